"""Scatter as gather on the GPU, repeatable to the bit: the host's side of `cuda/index.cu`."""

from __future__ import annotations

import cupy
import numpy as np

from minigan.backend import Array, is_gpu_array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import THREADS, blocks, check, launch

LONG_SEGMENT = 8  # from this mean length on, a warp shares a segment


@reference.index_add.on("gpu")
def index_add(g: Array, index: Array, out: Array) -> None:
    """The indices are sorted (stably); each out[j] is then one sum over neighbours, in double, in a fixed order. An index
    outside of `out` adds to nothing: finding it would make the CPU wait for the GPU.

    Raises:
        TypeError, ValueError: as :func:`check`; TypeError unless `index` is int64 on the GPU, ValueError unless it is contiguous
            and of the shape of `g`, or for an `out` that is not 1-D.
    """
    check("index_add", None, g=g, out=out)
    check("index_add", (out.size,), out=out)
    if not is_gpu_array(index) or index.dtype != np.int64:
        got = f"{type(index).__name__} {getattr(index, 'dtype', '')}"
        raise TypeError(f"index_add: index is {got}, expected an int64 CuPy array")
    if index.shape != g.shape or not index.flags.c_contiguous:
        raise ValueError(f"index_add: index is {index.shape}, expected contiguous {g.shape}, as g")
    if not g.size or not out.size:
        out[...] = 0
        return
    flat = index.ravel()
    order = cupy.argsort(flat)  # CuPy's is stable, always
    start = cupy.empty(out.size + 1, np.int64)
    launch("segment_starts", g.dtype, blocks(out.size + 1), THREADS, flat, order, g.size, out.size, start)
    args = (g, order, start, out.size, out)
    if g.size >= LONG_SEGMENT * out.size:
        launch("segment_sum<{T}, 32>", g.dtype, blocks(32 * out.size), THREADS, *args)
    else:
        launch("segment_sum<{T}, 1>", g.dtype, blocks(out.size), THREADS, *args)


@reference.add_rows.on("gpu")
def add_rows(g: Array, rows: Array, out: Array) -> None:
    """By :func:`index_add`, number by number. A row outside of `out` wraps round: finding it would make the CPU wait."""
    count, length = out.shape
    total = cupy.empty(out.size, out.dtype)
    places = (rows.astype(np.int64) % count)[:, None] * length + cupy.arange(length)
    index_add(g, places, total)
    out += total.reshape(out.shape)
