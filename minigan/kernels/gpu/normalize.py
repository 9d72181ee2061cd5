"""Batch and layer normalisation on the GPU: the host's side of `cuda/normalize.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import MAX_SLABS, THREADS, blocks, check, kind_code, launch
from minigan.kernels.reference import unbiased


def _check_matrix(kernel: str, x: Array) -> tuple[int, int]:
    if x.ndim != 2:
        raise ValueError(f"{kernel}: x has shape {x.shape}, expected (rows, channels)")
    return int(x.shape[0]), int(x.shape[1])


def _check_batch(kernel: str, x: Array) -> tuple[int, int]:
    rows, channels = _check_matrix(kernel, x)
    if rows == 0:
        raise ValueError(f"{kernel}: x has shape {x.shape}, expected at least one row: no rows have no mean")
    return rows, channels


def _column_launch(rows: int, channels: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(column groups, slabs) and (width, height) for a sum over rows: see the head of normalize.cu."""
    width = min(32, 1 << (channels - 1).bit_length())
    height = THREADS // width
    return (-(-channels // width), min(MAX_SLABS, -(-rows // (8 * height)))), (width, height)


@reference.batch_norm.on("gpu")
def batch_norm(x: Array, gamma: Array, beta: Array, eps: float, f: Activation, out: Array, statistics: Array) -> None:
    """See :func:`minigan.kernels.reference.batch_norm`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels) with a row, or for one that is not fused.
    """
    code = kind_code(f)
    check("batch_norm", x.shape, x=x, out=out)
    rows, channels = _check_batch("batch_norm", x)
    check("batch_norm", None, x=x, gamma=gamma, beta=beta)
    check("batch_norm", (channels,), gamma=gamma, beta=beta)
    check("batch_norm", None, x=x, statistics=statistics)
    check("batch_norm", (2, channels), statistics=statistics)
    if channels:
        scale = cupy.empty(channels, x.dtype)
        (groups, slabs), block = _column_launch(rows, channels)
        partial = cupy.empty((slabs, 2, channels), np.float64)
        args: tuple[Any, ...] = (x, rows, channels, partial)
        launch("batch_norm_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, x, rows, channels, gamma, float(eps), statistics, scale)
        launch("batch_norm_statistics<{T}>", x.dtype, groups, block, *args)
        args = (x, statistics, scale, beta, x.size, channels, code, f.slope, out)  # the mean comes first
        launch("batch_norm_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)


@reference.follow_statistics.on("gpu")
def follow_statistics(mean: Array, var: Array, statistics: Array, momentum: float, rows: int) -> None:
    """See :func:`minigan.kernels.reference.follow_statistics`.

    Raises:
        TypeError, ValueError: as :func:`check`.
    """
    check("follow_statistics", mean.shape, mean=mean, var=var)
    check("follow_statistics", None, mean=mean, statistics=statistics)
    check("follow_statistics", (2, *mean.shape), statistics=statistics)
    if mean.size:
        args = (statistics, mean.size, float(momentum), unbiased(rows), mean, var)
        launch("follow_statistics<{T}>", mean.dtype, blocks(mean.size), THREADS, *args)


@reference.batch_norm_backward.on("gpu")
def batch_norm_backward(
    g: Array,
    x: Array,
    y: Array,
    gamma: Array,
    eps: float,
    f: Activation,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """See :func:`minigan.kernels.reference.batch_norm_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels) with a row, or for one that is not fused.
    """
    code = kind_code(f)
    y = g if f.kind == "linear" else y
    check("batch_norm_backward", x.shape, x=x, g=g, y=y, dx=dx)
    rows, channels = _check_batch("batch_norm_backward", x)
    check("batch_norm_backward", None, x=x, gamma=gamma)
    check("batch_norm_backward", (channels,), gamma=gamma, dgamma=dgamma, dbeta=dbeta)
    if channels:
        factor = cupy.empty((4, channels), x.dtype)
        (groups, slabs), block = _column_launch(rows, channels)
        partial = cupy.empty((slabs, 4, channels), np.float64)
        args: tuple[Any, ...] = (g, x, y, rows, channels, code, f.slope, partial)
        launch("batch_norm_backward_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, x, rows, channels, gamma, float(eps), factor, dgamma, dbeta)
        launch("batch_norm_backward_statistics<{T}>", x.dtype, groups, block, *args)
        args = (g, x, y, factor, x.size, channels, code, f.slope, dx)
        launch("batch_norm_backward_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)


def _row_launch(rows: int, n: int) -> tuple[int, int]:
    """One block a row, of as many threads as fit the row: a power of two from a warp to 512."""
    return min(rows, 2**20), min(512, max(32, 1 << (n - 1).bit_length()))


@reference.layer_norm.on("gpu")
def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.layer_norm`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels).
    """
    check("layer_norm", x.shape, x=x, out=out)
    rows, n = _check_matrix("layer_norm", x)
    check("layer_norm", None, x=x, gamma=gamma, beta=beta)
    check("layer_norm", (n,), gamma=gamma, beta=beta)
    if x.size:
        args = (x, gamma, beta, rows, n, float(eps), out)
        launch("layer_norm<{T}>", x.dtype, *_row_launch(rows, n), *args)


@reference.layer_norm_backward.on("gpu")
def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float, dx: Array, dgamma: Array, dbeta: Array) -> None:
    """See :func:`minigan.kernels.reference.layer_norm_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels).
    """
    check("layer_norm_backward", x.shape, x=x, g=g, dx=dx)
    rows, n = _check_matrix("layer_norm_backward", x)
    check("layer_norm_backward", None, x=x, gamma=gamma)
    check("layer_norm_backward", (n,), gamma=gamma, dgamma=dgamma, dbeta=dbeta)
    if not rows:
        dgamma[...] = dbeta[...] = 0
    if x.size:
        row_stats = cupy.empty((rows, 2), np.float64)
        args: tuple[Any, ...] = (g, x, gamma, rows, n, float(eps), dx, row_stats)
        launch("layer_norm_backward<{T}>", x.dtype, *_row_launch(rows, n), *args)
        (groups, slabs), block = _column_launch(rows, n)
        partial = cupy.empty((slabs, 2, n), np.float64)
        args = (g, x, row_stats, rows, n, partial)
        launch("layer_norm_backward_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, n, dgamma, dbeta)
        launch("layer_norm_backward_finish<{T}>", x.dtype, groups, block, *args)
