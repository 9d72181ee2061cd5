"""Sums over axes on the GPU, added up in double, in an order that depends on the shape alone: `sums` of `cuda/normalize.cu`."""

from __future__ import annotations

import math

import cupy
import numpy as np

from minigan.backend import Array, is_float
from minigan.kernels import reference
from minigan.kernels.gpu.launch import MAX_SLABS, THREADS, blocks, launch

ROWS_A_THREAD = 64  # as many, and a sum is one launch; of more rows several blocks add up a part each
MAX_ALONE = 4096  # sums of neighbouring numbers, of which each is a block's


def _stack(x: Array, axis: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(outer, rows, channels), x in that shape being summed over its rows; None where x or the axes do not lie so."""
    axes = sorted(a for a in axis if x.shape[a] != 1)
    if not axes or not x.flags.c_contiguous or not is_float(x.dtype) or not x.size:
        return None
    first, last = axes[0], axes[-1] + 1
    if any(x.shape[a] != 1 for a in range(first, last) if a not in axes):
        return None
    return math.prod(x.shape[:first]), math.prod(x.shape[first:last]), math.prod(x.shape[last:])


def _sum(x: Array, outer: int, rows: int, channels: int, out: Array) -> None:
    width = min(32, 1 << (channels - 1).bit_length())
    height = min(THREADS // width, 1 << (rows - 1).bit_length())
    groups, slabs = -(-channels // width), min(MAX_SLABS, -(-rows // (ROWS_A_THREAD * height)))
    partial = cupy.empty((slabs, *out.shape), np.float64) if slabs > 1 else None
    args = (x, outer, rows, channels, groups, partial, out)
    launch("sums<{T}>", x.dtype, (outer * groups, slabs), (width, height), *args)
    if slabs > 1:
        launch("sums_finish<{T}>", x.dtype, blocks(out.size), THREADS, partial, slabs, out.size, out)


@reference.column_sum.on("gpu")
def column_sum(x: Array, out: Array) -> None:
    """By :func:`sum_over`."""
    sum_over(x, (0,), out[None])


@reference.sum_over.on("gpu")
def sum_over(x: Array, axis: tuple[int, ...], out: Array) -> None:
    """Over axes that are neighbours in memory; other sums are CuPy's."""
    stack = _stack(x, axis)
    if stack is None or out.dtype != x.dtype or not out.flags.c_contiguous or (stack[2] == 1 and stack[0] > MAX_ALONE):
        reference.sum_over.reference(x, axis, out)
    else:
        _sum(x, *stack, out)
