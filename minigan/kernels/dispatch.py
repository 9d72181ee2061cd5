"""Which implementation of a kernel runs: by where its arrays live, and by one switch.

`fast` (the default) takes Numba on the CPU and CUDA on the GPU; `reference` takes the plain array code of `reference.py`
on both. Set MINIGAN_KERNELS=reference, or use the context manager :func:`using`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from minigan.backend import Array, is_gpu_array
from minigan.kernels import reference

CHOICES = ("fast", "reference")
_choice = os.environ.get("MINIGAN_KERNELS", "fast")
_loaded: dict[str, ModuleType] = {}


@contextmanager
def using(choice: str) -> Iterator[None]:
    """Run the block with `"fast"` or `"reference"` kernels."""
    global _choice
    if choice not in CHOICES:
        raise ValueError(f"kernels: got {choice!r}, expected one of {CHOICES}")
    before, _choice = _choice, choice
    try:
        yield
    finally:
        _choice = before


def settings() -> tuple[str, int]:
    """What decides which code runs: the present one of `CHOICES`, and how many threads."""
    from minigan.kernels.cpu import threads  # reads the environment, which may be wrong, so not before it is needed

    return _choice, threads.THREADS


def kernels_for(array: Array) -> Any:
    """The module whose kernels work on `array`. Numba and CuPy are imported at the first call, not before."""
    if _choice == "reference":
        return reference
    if _choice not in CHOICES:
        raise ValueError(f"MINIGAN_KERNELS: got {_choice!r}, expected one of {CHOICES}")
    place = "gpu" if is_gpu_array(array) else "cpu"
    if place not in _loaded:
        if place == "cpu":
            from minigan.kernels.cpu import fused as module
        else:
            from minigan.kernels.gpu import fused as module  # type: ignore[no-redef]
        _loaded[place] = module
    return _loaded[place]
