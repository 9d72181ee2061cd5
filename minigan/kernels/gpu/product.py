"""Matrix products on the GPU: a b is a convolution with one tap, so `cuda/conv.cu` makes them too.

Rows are images of one pixel and the inner length is channels. Which of the three maps it is depends on how a and b lie in memory:

    a in rows,    b in rows        conv(x=a, w=b)                    bias and activation come for nothing
    a in rows,    b in columns     conv_transpose(g=a, w=b^T)        likewise
    a in columns, b in rows        conv_weight(x=a^T, g=b)

So a product is one launch that a CUDA graph can hold (CuPy lets none of cuBLAS in), eagerly and recorded alike, and its sums have
one order on every GPU. Stacks of products, and of other dtypes than floats, are cuBLAS's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cupy
import numpy as np
from cupy import _core
from cupy._core import _routines_linalg

from minigan.activation import LINEAR, Activation
from minigan.backend import Array, is_float
from minigan.kernels import reference
from minigan.kernels.geometry import Geometry
from minigan.kernels.gpu.activation import activation_backward, bias_activation
from minigan.kernels.gpu.conv import conv, conv_transpose, conv_weight
from minigan.kernels.gpu.launch import use_tf32

ONE_TAP = Geometry((1,), (1,), (1,), (0,), (1,), (1,))


@contextmanager
def _tf32() -> Iterator[None]:
    """Let cuBLAS round float32 factors to TF32; CuPy has no public name for this switch."""
    before = _core.get_compute_type(np.float32)
    _core.set_compute_type(np.float32, _routines_linalg.COMPUTE_TYPE_TF32)
    try:
        yield
    finally:
        _core.set_compute_type(np.float32, before)


def _by_cublas(a: Array, b: Array, out: Array) -> None:
    if not use_tf32(a.dtype):
        reference.matmul.reference(a, b, out)
        return
    with _tf32():
        reference.matmul.reference(a, b, out)


def _in_rows(a: Array) -> bool:
    return bool(a.flags.c_contiguous)


def _in_columns(a: Array) -> bool:
    return bool(a.flags.f_contiguous)


def _own(a: Array, b: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """out = f(a b + bias), all matrices of one floating dtype."""
    if not _in_rows(out):
        if bias is None and f.kind == "linear" and _in_columns(out):
            _own(b.T, a.T, None, LINEAR, out.T)
            return
        made = cupy.empty(out.shape, out.dtype)
        _own(a, b, bias, f, made)
        out[...] = made
        return
    a = a if _in_rows(a) or _in_columns(a) else a.copy()
    b = b if _in_rows(b) or _in_columns(b) else b.copy()
    if not _in_rows(a) and not _in_rows(b):
        b = cupy.ascontiguousarray(b)
    if _in_rows(a) and _in_rows(b):
        conv(a[:, None], b[None], bias, ONE_TAP, f, out[:, None])
    elif _in_rows(a):
        conv_transpose(a[:, None], b.T[None], bias, ONE_TAP, f, out[:, None])
    else:
        conv_weight(a.T[:, None], b[:, None], ONE_TAP, out[None])
        if bias is not None or f.kind != "linear":
            bias_activation(out, bias, f, out)


def _as_matrices(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array] | None:
    """The factors and the result as matrices; None where several products, or other dtypes, are asked for."""
    if not is_float(out.dtype) or not a.dtype == b.dtype == out.dtype or b.ndim != 2:
        return None
    if a.ndim > 2 and _in_rows(a) and _in_rows(out):
        a, out = a.reshape(-1, a.shape[-1]), out.reshape(-1, out.shape[-1])
    return (a, b, out) if a.ndim == 2 and out.shape == (a.shape[0], b.shape[1]) else None


@reference.matmul.on("gpu")
def matmul(a: Array, b: Array, out: Array) -> None:
    """float32 products may use TF32 under `matmul_precision("high")`."""
    if not out.size:
        return
    if (matrices := _as_matrices(a, b, out)) is None:
        _by_cublas(a, b, out)
    else:
        left, right, target = matrices
        _own(left, right, None, LINEAR, target)


@reference.matmul_add.on("gpu")
def matmul_add(a: Array, b: Array, c: Array, out: Array) -> None:
    """The product, then the sum."""
    matmul(a, b, out)
    out += c


@reference.matmul_backward.on("gpu")
def matmul_backward(a: Array, b: Array, y: Array, f: Activation, out: Array) -> None:
    """The product, then the derivative."""
    matmul(a, b, out)
    activation_backward(out, y, f, out)


@reference.dense.on("gpu")
def dense(x: Array, w: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """In one launch where x and w lie in rows or columns."""
    if not out.size:
        return
    if (matrices := _as_matrices(x, w, out)) is None:
        _by_cublas(x, w, out)
        bias_activation(out, bias, f, out)
    else:
        left, right, target = matrices
        _own(left, right, bias, f, target)
