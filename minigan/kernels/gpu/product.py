"""Matrix products on the GPU: cuBLAS through CuPy, in the precision that :mod:`minigan.backend` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from cupy import _core
from cupy._core import _routines_linalg

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.gpu.activation import bias_activation
from minigan.kernels.gpu.launch import use_tf32


@contextmanager
def _tf32() -> Iterator[None]:
    """Let cuBLAS round float32 factors to TF32; CuPy has no public name for this switch."""
    before = _core.get_compute_type(np.float32)
    _core.set_compute_type(np.float32, _routines_linalg.COMPUTE_TYPE_TF32)
    try:
        yield
    finally:
        _core.set_compute_type(np.float32, before)


@reference.matmul.on("gpu")
def matmul(a: Array, b: Array, out: Array) -> None:
    """float32 products may use TF32 under `matmul_precision("high")`."""
    if not use_tf32(a.dtype):
        reference.matmul.reference(a, b, out)
        return
    with _tf32():
        reference.matmul.reference(a, b, out)


@reference.dense.on("gpu")
def dense(x: Array, w: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """cuBLAS, then bias and activation in one pass."""
    matmul(x, w, out)
    bias_activation(out, bias, f, out)
