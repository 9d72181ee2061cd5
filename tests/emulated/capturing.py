"""CUDA graphs of the emulated device: while a stream captures, work is noted, and a graph does it again on the same memory.

Nothing runs while it is captured. Here it does, so that results have shapes and values, and when the capture ends all memory is
put back: arrays hold what they held before, those that were made meanwhile hold poison. A graph knows addresses, and keeps no
array alive. Launched after one of its arrays was given back, it raises, where a GPU would use memory that is another's by then.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from emulated import memory

_noted: list[Work] | None = None
_before: dict[memory.Allocation, np.ndarray] = {}
_invalid = ""  # what has ended the capture that is going on


class Work(NamedTuple):
    """One thing that a graph does: a kernel of ours by its name, or one of CuPy's."""

    name: str
    run: Callable[[], Any]


class CaptureError(RuntimeError):
    """What CUDA does not let into a capture."""


def active() -> bool:
    """Whether a stream captures."""
    return _noted is not None


def begin() -> None:
    """Start to note."""
    global _noted, _before, _invalid
    if _noted is not None:
        raise CaptureError("cudaErrorIllegalState: a stream captures already")
    _noted, _invalid = [], ""
    _before = {allocation: allocation.bytes().copy() for allocation in list(memory.live.values())}


def end() -> list[Work]:
    """What was noted, and memory as if it had not been done."""
    global _noted, _before
    if _noted is None:
        raise CaptureError("cudaErrorIllegalState: no stream captures")
    noted, _noted = _noted, None
    before, _before = _before, {}
    for allocation in list(memory.live.values()):
        allocation.bytes()[...] = before.get(allocation, memory.POISON)
    if _invalid:
        raise CaptureError(f"cudaErrorStreamCaptureInvalidated: {_invalid}")
    return noted


def refuse(what: str) -> None:
    """Raise while a stream captures, which is no use from then on."""
    global _invalid
    if _noted is not None:
        _invalid = what
        raise CaptureError(f"cudaErrorStreamCaptureUnsupported: {what} is not permitted when a stream is capturing")


def note(name: str, work: Callable[..., Any], *values: Any, **named: Any) -> None:
    """Work that has been done with these values, for the graph."""
    if _noted is not None:
        known, known_named = _told(values), {key: _told(value) for key, value in named.items()}
        run = lambda: work(*_there(known), **{k: _there(v) for k, v in known_named.items()})  # noqa: E731
        _noted.append(Work(name, run))


def run(name: str, work: Callable[..., Any], *values: Any, **named: Any) -> None:
    """Do work, and note it."""
    work(*values, **named)
    note(name, work, *values, **named)


class _Place(NamedTuple):
    """An array by its address."""

    allocation: weakref.ref[memory.Allocation]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype


def _told(value: Any) -> Any:
    """Places for the arrays of the device."""
    if isinstance(value, (list, tuple)):
        return [_told(part) for part in value] if isinstance(value, list) else tuple(map(_told, value))
    allocation = memory.allocation_of(value) if isinstance(value, np.ndarray) else None
    if allocation is None:
        return value
    offset = value.ctypes.data - allocation.begin
    return _Place(weakref.ref(allocation), offset, value.shape, value.strides, value.dtype)


def _there(value: Any) -> Any:
    """The arrays again."""
    if isinstance(value, _Place):
        allocation = value.allocation()
        if allocation is None:
            raise CaptureError("a graph was launched that uses memory which was given back")
        return np.ndarray(value.shape, value.dtype, allocation.bytes(), value.offset, value.strides)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_there, value))
    return value
