"""Pooling and nearest upsampling on the CPU: sums and maxima of windows and their adjoints, one pass over memory, by the team.

A task makes some rows of the result (all positions of the last axis). Also an adjoint gathers: its row (n, i) looks for the
windows o s <= i < o s + w that hold it, so that no two tasks write to one place and sums have one order. The inner loops run
along the channels; with fewer than CHANNELS of them, in windows of more than TAPS positions (whose sums need double precision),
and for arrays that are no pieces of memory, the array code of `reference.py` does as well.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import array_at, compile_ordered, compile_task, filled, record, record_at, task
from minigan.kernels.cpu.team import team

SPAN = 16_384  # elements of the larger array that a task should have, at least
CHANNELS, TAPS = 4, 64


@compile_ordered
def _add(source: Array, target: Array) -> None:
    for c in range(target.size):
        target[c] += source[c]


@compile_ordered
def _add_two(a: Array, b: Array, target: Array) -> None:
    for c in range(target.size):
        target[c] += a[c] + b[c]


@compile_ordered
def _scale(source: Array, factor: float, target: Array) -> None:
    for c in range(target.size):
        target[c] = factor * source[c]


@compile_ordered
def _add_scaled(source: Array, factor: float, target: Array) -> None:
    for c in range(target.size):
        target[c] += factor * source[c]


@compile_ordered
def _add_where(source: Array, winner: Array, number: int, target: Array) -> None:
    for c in range(target.size):
        target[c] += source[c] if winner[c] == number else source[c] * 0


@compile_ordered
def _fill(value: float, target: Array) -> None:
    for c in range(target.size):
        target[c] = value


@compile_ordered
def _raise_to(source: Array, target: Array) -> None:
    """target = max(target, source), NaN where one is."""
    for c in range(target.size):
        v = source[c]
        target[c] = v if v > target[c] or v != v else target[c]


@compile_ordered
def _note_winner(source: Array, best: Array, number: int, winner: Array) -> None:
    for c in range(winner.size):
        winner[c] = number if source[c] > best[c] else winner[c]


@compile_task
def _holding(i: int, window: int, stride: int, count: int) -> tuple[int, int]:
    """The windows o, first and behind the last, that hold position i: o stride <= i < o stride + window."""
    return max((i - window + stride) // stride, 0), min(i // stride + 1, count)


# Rows of the result, and of a task; lengths, windows and strides of three axes.
_WINDOWS = record(
    "large small winner rows rows_of_task big0 big1 big2 pooled0 pooled1 pooled2 window0 window1 window2 stride0 stride1 stride2 "
    "channels tiles",
    "factor",
)


@cache
def _sum_task(dtype: Any) -> int:
    """y[n, o] = factor times the sum over a window's positions."""
    like = np.empty(0, dtype)
    size, kind = like.itemsize, like.dtype.type

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _WINDOWS)
        channels, width, step = p.channels, p.window2, p.stride2
        factor, pixel = kind(p.factor), size * channels
        for row in range(index * p.rows_of_task, min(p.rows, (index + 1) * p.rows_of_task)):
            o1, o0 = row % p.pooled1, row // p.pooled1 % p.pooled0
            n = row // (p.pooled1 * p.pooled0)
            out = array_at(p.small + pixel * p.pooled2 * row, channels * p.pooled2, like)
            _fill(0, out)
            for t0 in range(p.window0):
                for t1 in range(p.window1):
                    i0, i1 = o0 * p.stride0 + t0, o1 * p.stride1 + t1
                    line = p.large + pixel * p.big2 * ((n * p.big0 + i0) * p.big1 + i1)
                    for o2 in range(p.pooled2):
                        here, target = line + pixel * o2 * step, out[o2 * channels : (o2 + 1) * channels]
                        for t2 in range(0, width - 1, 2):
                            first = array_at(here + pixel * t2, channels, like)
                            _add_two(first, array_at(here + pixel * (t2 + 1), channels, like), target)
                        if width % 2:
                            _add(array_at(here + pixel * (width - 1), channels, like), target)
            if factor != 1:
                for c in range(out.size):
                    out[c] *= factor

    return run


@cache
def _spread_task(dtype: Any) -> int:
    """The adjoint of the sum: x[n, i] = factor times the sum over the windows that hold i."""
    like = np.empty(0, dtype)
    size, kind = like.itemsize, like.dtype.type

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _WINDOWS)
        channels, width, step = p.channels, p.window2, p.stride2
        factor, pixel = kind(p.factor), size * channels
        for row in range(index * p.rows_of_task, min(p.rows, (index + 1) * p.rows_of_task)):
            i1, i0, n = row % p.big1, row // p.big1 % p.big0, row // (p.big1 * p.big0)
            out = p.large + pixel * p.big2 * row
            if not p.tiles:
                _fill(0, array_at(out, channels * p.big2, like))
            begin0, end0 = _holding(i0, p.window0, p.stride0, p.pooled0)
            begin1, end1 = _holding(i1, p.window1, p.stride1, p.pooled1)
            for o0 in range(begin0, end0):
                for o1 in range(begin1, end1):
                    line = p.small + pixel * p.pooled2 * ((n * p.pooled0 + o0) * p.pooled1 + o1)
                    for o2 in range(p.pooled2):
                        g = array_at(line + pixel * o2, channels, like)
                        for t2 in range(width):
                            target = array_at(out + pixel * (o2 * step + t2), channels, like)
                            if p.tiles:
                                _scale(g, factor, target)
                            else:
                                _add_scaled(g, factor, target)

    return run


@cache
def _max_task(dtype: Any, number: Any) -> int:
    """y[n, o] = the largest of a window, and, unless there is no address for it, the number of the first tap that has it."""
    like, integer = np.empty(0, dtype), np.empty(0, number)
    size, bytes_of_number = like.itemsize, integer.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _WINDOWS)
        channels, pixel, step = p.channels, size * p.channels, p.stride2
        length = channels * p.pooled2
        for row in range(index * p.rows_of_task, min(p.rows, (index + 1) * p.rows_of_task)):
            o1, o0 = row % p.pooled1, row // p.pooled1 % p.pooled0
            n = row // (p.pooled1 * p.pooled0)
            out = array_at(p.small + size * length * row, length, like)
            winners = array_at(p.winner + bytes_of_number * length * row, length if p.winner else 0, integer)
            _fill(0, winners)
            tap = 0
            for t0 in range(p.window0):
                for t1 in range(p.window1):
                    i0, i1 = o0 * p.stride0 + t0, o1 * p.stride1 + t1
                    line = p.large + pixel * p.big2 * ((n * p.big0 + i0) * p.big1 + i1)
                    for t2 in range(p.window2):
                        for o2 in range(p.pooled2):
                            x = array_at(line + pixel * (o2 * step + t2), channels, like)
                            best = out[o2 * channels : (o2 + 1) * channels]
                            if tap == 0:
                                _scale(x, 1, best)
                                continue
                            if p.winner:
                                _note_winner(x, best, tap, winners[o2 * channels : (o2 + 1) * channels])
                            _raise_to(x, best)
                        tap += 1

    return run


@cache
def _place_task(dtype: Any, number: Any) -> int:
    """x[n, i] = the sum over the windows that hold i of those g whose winner i is."""
    like, integer = np.empty(0, dtype), np.empty(0, number)
    size, bytes_of_number = like.itemsize, integer.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _WINDOWS)
        channels, width, step = p.channels, p.window2, p.stride2
        pixel = size * channels
        for row in range(index * p.rows_of_task, min(p.rows, (index + 1) * p.rows_of_task)):
            i1, i0, n = row % p.big1, row // p.big1 % p.big0, row // (p.big1 * p.big0)
            out = p.large + pixel * p.big2 * row
            _fill(0, array_at(out, channels * p.big2, like))
            begin0, end0 = _holding(i0, p.window0, p.stride0, p.pooled0)
            begin1, end1 = _holding(i1, p.window1, p.stride1, p.pooled1)
            for o0 in range(begin0, end0):
                for o1 in range(begin1, end1):
                    at = p.pooled2 * ((n * p.pooled0 + o0) * p.pooled1 + o1)
                    tap = ((i0 - o0 * p.stride0) * p.window1 + i1 - o1 * p.stride1) * width
                    for o2 in range(p.pooled2):
                        g = array_at(p.small + pixel * (at + o2), channels, like)
                        winner = array_at(p.winner + bytes_of_number * channels * (at + o2), channels, integer)
                        for t2 in range(width):
                            target = array_at(out + pixel * (o2 * step + t2), channels, like)
                            _add_where(g, winner, tap + t2, target)

    return run


def _suits(window: reference.Sizes, *arrays: Array) -> bool:
    taps, first = int(np.prod(window)), arrays[0]
    whole = all(a.flags.c_contiguous and a.size for a in arrays) and first.dtype.kind == "f"
    return whole and first.shape[-1] >= CHANNELS and taps <= TAPS


def _run(
    function: int, window: reference.Sizes, stride: reference.Sizes, large: Array, small: Array, winner: Array | None,
    factor: float, by_large: bool,
) -> None:  # fmt: skip
    """Run a task on the rows of its result: those of `large`, or those of `small`."""
    fill = (1,) * (3 - len(window))
    lengths = [(*fill, *sizes) for sizes in (large.shape[1:-1], small.shape[1:-1], window, stride)]
    names = ("big", "pooled", "window", "stride")
    axes = {f"{name}{i}": n for name, sizes in zip(names, lengths, strict=True) for i, n in enumerate(sizes)}
    result = large if by_large else small
    rows = result.size // (result.shape[-2] * result.shape[-1])
    of_task = max(1, SPAN * rows // large.size)
    tiles = window == stride and all(n % w == 0 for n, w in zip(large.shape[1:-1], window, strict=True))
    p = filled(
        _WINDOWS, large=large, small=small, winner=0 if winner is None else winner, rows=rows, rows_of_task=of_task, **axes,
        channels=large.shape[-1], tiles=int(tiles), factor=factor,
    )  # fmt: skip
    team().run(function, p, -(-rows // of_task))


@reference.window_sum.on("cpu")
def window_sum(x: Array, window: reference.Sizes, stride: reference.Sizes, factor: float, out: Array) -> None:
    """A task some rows of windows."""
    if _suits(window, x, out):
        _run(_sum_task(x.dtype), window, stride, x, out, None, factor, False)
    else:
        reference.window_sum.reference(x, window, stride, factor, out)


@reference.window_spread.on("cpu")
def window_spread(g: Array, window: reference.Sizes, stride: reference.Sizes, factor: float, out: Array) -> None:
    """A task some rows of positions, each of which gathers from its windows."""
    if _suits(window, g, out):
        _run(_spread_task(g.dtype), window, stride, out, g, None, factor, True)
    else:
        reference.window_spread.reference(g, window, stride, factor, out)


@reference.window_max.on("cpu")
def window_max(
    x: Array, window: reference.Sizes, stride: reference.Sizes, out: Array, winner: Array | None = None
) -> None:
    """A task some rows of windows."""
    if _suits(window, x, out) and (winner is None or winner.flags.c_contiguous):
        number = np.dtype(np.uint8) if winner is None else winner.dtype
        _run(_max_task(x.dtype, number), window, stride, x, out, winner, 1.0, False)
    else:
        reference.window_max.reference(x, window, stride, out, winner)


@reference.window_place.on("cpu")
def window_place(g: Array, winner: Array, window: reference.Sizes, stride: reference.Sizes, out: Array) -> None:
    """A task some rows of positions, as in :func:`window_spread`."""
    if _suits(window, g, out, winner):
        _run(_place_task(g.dtype, winner.dtype), window, stride, out, g, winner, 1.0, True)
    else:
        reference.window_place.reference(g, winner, window, stride, out)
