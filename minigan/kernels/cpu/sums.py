"""Sums of single precision on the CPU, along any axes: in blocks, so that their errors do not grow with their lengths.

A plain loop in float32 loses every number below an epsilon of the sum so far: ten million times .1 is 1,087,937. Here a lane
adds up at most LINES numbers in float32 (where vectors are twice as long), and these sums are added up in double. Along the last
axis NumPy's pairwise sum does as well. Every sum has one order, whatever the number of threads, so that it repeats.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import compile_ordered, filled, floats_at, later, njit, record, record_at
from minigan.kernels.cpu.team import Job, team
from minigan.kernels.cpu.threads import split

LONG = 512  # rows that a sum over rows takes at a time
LINES = 64  # numbers that a lane adds up in single precision, at most
LANES, TILE = 256, 4096  # lanes of a line, at least (where there are so many) and at most


# -- over the rows of a matrix: bias gradients -----------------------------------------------------------------------
@compile_ordered
def _add_rows(x: Array, out: Array) -> None:
    """out = the sum of the rows of a matrix: eight rows at a time, so that the sums are read and written once for them."""
    for j in range(out.size):
        out[j] = 0
    whole = x.shape[0] // 8 * 8
    for i in range(0, whole, 8):
        a, b, c, d, e, f, g, h = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for j in range(out.size):
            out[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
    for i in range(whole, x.shape[0]):
        a = x[i]
        for j in range(out.size):
            out[j] += a[j]


@njit
def _column_sum(x: Array, out: Array) -> None:
    _add_rows(x, out)


_PARTS = record("x parts rows columns")


def _column_sum_part(parameters: int, index: int, thread: int) -> None:
    """The sum of LONG rows, into row `index` of the partial sums."""
    p = record_at(parameters, _PARTS)
    rows, columns = p.rows, p.columns
    first = index * LONG
    count = min(LONG, rows - first)
    x = floats_at(p.x + 4 * first * columns, count * columns).reshape((count, columns))
    _add_rows(x, floats_at(p.parts + 4 * index * columns, columns))


_column_sum_task = later(_column_sum_part)


@njit
def _sum_of_parts(parts: Array, out: Array) -> None:
    total = np.zeros(out.size)
    for i in range(parts.shape[0]):
        part = parts[i]
        for j in range(out.size):
            total[j] += part[j]
    for j in range(out.size):
        out[j] = total[j]


@reference.column_sum.planned_on("cpu")
def column_sum(x: Array, out: Array) -> Job:
    """Long matrices in parts of LONG rows, then the sum of their sums, in double."""
    rows, columns = x.shape
    if x.dtype != np.float32 or not x.flags.c_contiguous or not out.flags.c_contiguous:
        return partial(np.sum, x, axis=0, out=out)
    if rows <= LONG:
        return partial(_column_sum, x, out)
    parts = np.empty((-(-rows // LONG), columns), np.float32)
    p = filled(_PARTS, x=x, parts=parts, rows=rows, columns=columns)
    job = team().job(_column_sum_task(), p, len(parts))

    def run() -> None:
        job()
        _sum_of_parts(parts, out)

    return run


# -- over any axes ---------------------------------------------------------------------------------------------------
@njit
def _sum_middle(start: int, stop: int, x: Array, n: int, out: Array) -> None:
    """out[o, c] = sum over i of x[o n + i, c]. Rows of few columns are taken several at a time, as one line of lanes."""
    inner = out.shape[1]
    repeat = max(1, min(n, LANES // inner))
    size = min(inner, TILE)
    lane, total = np.empty(repeat * size, np.float32), np.empty(repeat * size, np.float64)
    flat, lines = x.reshape(x.size), n // repeat
    for o in range(start, stop):
        for c in range(0, inner, TILE):
            wide = min(TILE, inner - c)
            width, begin = repeat * wide, o * n * inner + c
            for j in range(width):
                total[j] = 0
            for first in range(0, lines, LINES):
                for j in range(width):
                    lane[j] = 0
                for line in range(first, min(lines, first + LINES)):
                    v = flat[begin + line * repeat * inner : begin + line * repeat * inner + width]
                    for j in range(width):
                        lane[j] += v[j]
                for j in range(width):
                    total[j] += lane[j]
            for j in range(wide, width):
                total[j % wide] += total[j]
            for i in range(lines * repeat, n):
                for j in range(wide):
                    total[j] += flat[begin + i * inner + j]
            for j in range(wide):
                out[o, c + j] = total[j]


def _groups(shape: tuple[int, ...], axis: tuple[int, ...]) -> list[tuple[bool, int]]:
    """Neighbouring axes that are all summed, or all kept, as one: (summed, length)."""
    groups: list[tuple[bool, int]] = []
    for i, n in enumerate(shape):
        if groups and groups[-1][0] == (i in axis):
            groups[-1] = groups[-1][0], groups[-1][1] * n
        elif n != 1:
            groups.append((i in axis, n))
    return groups


@reference.sum_over.on("cpu")
def sum_over(x: Array, axis: tuple[int, ...], out: Array) -> None:
    """float32 that lies in one piece of memory, in whatever order of axes."""
    order = sorted(range(x.ndim), key=lambda i: -x.strides[i])
    y = x.transpose(order)
    if x.dtype != np.float32 or not x.size or not axis or not y.flags.c_contiguous:
        reference.sum_over.reference(x, axis, out)
        return
    groups = _groups(y.shape, tuple(i for i, a in enumerate(order) if a in axis))
    while any(summed for summed, _ in groups):
        last = max(i for i, (summed, _) in enumerate(groups) if summed)
        y = _sum_group(
            y, math.prod(n for _, n in groups[:last]), groups[last][1], math.prod(n for _, n in groups[last + 1 :])
        )
        del groups[last]
    kept = [1 if a in axis else x.shape[a] for a in order]
    out[...] = y.reshape(kept).transpose(np.argsort(order))


def _sum_group(x: Array, outer: int, n: int, inner: int) -> Array:
    """x, contiguous, read as (outer, n, inner), summed over the middle."""
    if inner == 1:
        return x.reshape(outer, n).sum(axis=1)
    y = np.empty((outer, inner), np.float32)
    if outer == 1:
        column_sum(x.reshape(n, inner), y[0])()
    else:
        split(_sum_middle, outer, x.size, x.reshape(outer * n, inner), n, y)
    return y
