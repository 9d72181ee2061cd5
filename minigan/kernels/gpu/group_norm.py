"""Group normalisation on the GPU: the host's side of its part of `cuda/normalize.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import THREADS, blocks, check, kind_code, launch


def _sizes(kernel: str, x: Array, groups: int, **gains: Array) -> tuple[int, int, int, int, int]:
    """(elements, positions, channels, channels of a group, channels from one element's gains to the next's)."""
    if x.ndim != 3 or not x.size or x.shape[2] % groups:
        raise ValueError(
            f"{kernel}: x has shape {x.shape}, expected (elements, positions, channels), none of them 0, the channels a "
            f"multiple of {groups} groups"
        )
    elements, positions, channels = (int(n) for n in x.shape)
    first = next(iter(gains.values()))
    check(kernel, None, x=x, **gains)
    check(kernel, (elements if len(first) > 1 else 1, channels), **gains)
    return elements, positions, channels, channels // groups, channels if len(first) > 1 else 0


def _columns(elements: int, channels: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(column groups, elements) and (width, height): see the head of normalize.cu."""
    width = min(32, 1 << (channels - 1).bit_length())
    return (-(-channels // width), blocks(THREADS * elements)), (width, THREADS // width)


@reference.group_norm.on("gpu")
def group_norm(x: Array, gain: Array, offset: Array, groups: int, eps: float, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.group_norm`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for an x of another rank, or one without elements.
    """
    code = kind_code(f)
    check("group_norm", x.shape, x=x, out=out)
    elements, positions, channels, size, each = _sizes("group_norm", x, groups, gain=gain, offset=offset)
    stats, factor = cupy.empty((elements, 2, channels), np.float64), cupy.empty((elements, 3, channels), x.dtype)
    shape = elements, positions, channels
    launch("group_norm_sums<{T}>", x.dtype, *_columns(elements, channels), x, *shape, stats)
    args: tuple[Any, ...] = (stats, *shape, size, gain, offset, each, float(eps), factor)
    launch("group_norm_factors<{T}>", x.dtype, blocks(elements * channels), THREADS, *args)
    args = (x, factor, x.size, positions, channels, code, f.slope, out)
    launch("group_norm_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)


@reference.group_norm_backward.on("gpu")
def group_norm_backward(
    g: Array, x: Array, y: Array, gain: Array, groups: int, eps: float, f: Activation, dx: Array, sums: Array
) -> None:
    """See :func:`minigan.kernels.reference.group_norm_backward`; errors as :func:`group_norm`."""
    code = kind_code(f)
    y = g if f.kind == "linear" else y
    check("group_norm_backward", x.shape, x=x, g=g, y=y, dx=dx)
    elements, positions, channels, size, each = _sizes("group_norm_backward", x, groups, gain=gain)
    check("group_norm_backward", (elements, 2, channels), sums=sums)
    stats, factor = cupy.empty((elements, 4, channels), np.float64), cupy.empty((elements, 4, channels), x.dtype)
    shape = elements, positions, channels
    args: tuple[Any, ...] = (g, x, y, *shape, code, f.slope, stats)
    launch("group_norm_backward_sums<{T}>", x.dtype, *_columns(elements, channels), *args)
    args = (stats, *shape, size, gain, each, float(eps), factor, sums)
    launch("group_norm_backward_factors<{T}>", x.dtype, blocks(elements * channels), THREADS, *args)
    args = (g, x, y, factor, x.size, positions, channels, code, f.slope, dx)
    launch("group_norm_backward_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)
