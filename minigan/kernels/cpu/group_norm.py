"""Group norm on the CPU, fused with the activation that follows it; instance norm and AdaIN are of the same kind.

An element of the batch is a task of the team, forward and backward, and is read several times while it is in a core's cache. (A
batch of one is one task: nothing is shared out then.) Within an element the positions are cut into lines and blocks as the rows
of a batch norm are, and the moments of the blocks put together in the same way: see `batch_norm.py`. So lanes add up at most
64 numbers in the arrays' precision, about their block's own mean, and all else is float64. Every sum has one order, whatever
the number of threads.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from minigan.activation import LINEAR, Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.activation import bias_activation
from minigan.kernels.cpu.batch_norm import (
    LINES,
    POLYNOMIAL,
    _add_product,
    _affine,
    _block_moments,
    _clear,
    _combine_leaky,
    _combine_smooth,
    _fold,
    _pull_leaky,
    _pull_smooth,
)
from minigan.kernels.cpu.compiler import array_at, compile_task, filled, record, record_at, task
from minigan.kernels.cpu.team import Job, in_turn, team

LANES = 256  # of a line, at least: loops long enough for vectors, and few lanes to add up at the end of a block
LINE_ARRAYS, MOMENTS = 8, 4  # lines of a thread's scratch memory; numbers a block and channel, and a channel


@compile_task
def _spread(values: Array, line: Array) -> None:
    """A value a channel, repeated along the lanes."""
    for lane in range(0, line.size, values.size):
        for c in range(values.size):
            line[lane + c] = values[c]


@compile_task
def _move(mean: Array, shift: Array, scale: Array, offset: Array) -> None:
    """Make `offset` what it is about `shift`, the mean rounded to x's precision: scale (x - mean) + offset is then
    scale (x - shift) + offset. Where the mean is large, the two lie far apart."""
    for c in range(mean.size):
        offset[c] -= (mean[c] - np.float64(shift[c])) * scale[c]


@compile_task
def _group_moments(blocks: Array, rows: int, span: int, groups: int, eps: float, mean: Array, inverse: Array) -> None:
    """Mean and 1 / sqrt(var + eps) of each channel's group, from means and squares (MOMENTS, channels) a block."""
    channels, stride = mean.size, MOMENTS * mean.size
    size = channels // groups
    for group in range(groups):
        total = squares = 0.0
        for b in range((rows + span - 1) // span):
            for c in range(group * size, (group + 1) * size):
                total += blocks[b * stride + c] * min(span, rows - b * span)
        middle = total / (rows * size)
        for b in range((rows + span - 1) // span):
            for c in range(group * size, (group + 1) * size):
                d = blocks[b * stride + c] - middle
                squares += blocks[b * stride + channels + c] + d * d * min(span, rows - b * span)
        for c in range(group * size, (group + 1) * size):
            mean[c], inverse[c] = middle, 1.0 / np.sqrt(max(squares / (rows * size), 0.0) + eps)


# gain_step: from one element's gains to the next's, 0 or channels.
_ELEMENTS = record(
    "x g y out gain offset sums scratch totals factor rows channels groups repeat span gain_step smooth", "eps"
)


@cache
def _forward_task(dtype: Any) -> int:
    """out = f(gain (x - mean) / sqrt(var + eps) + offset) of one element, f the identity or a (leaky) ReLU."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _ELEMENTS)
        rows, channels, span = p.rows, p.channels, p.span
        width, total = channels * p.repeat, rows * channels
        blocks = (rows + span - 1) // span
        lines = p.scratch + LINE_ARRAYS * size * width * thread
        shift, first = array_at(lines, width, like), array_at(lines + size * width, width, like)
        second, scale = array_at(lines + 2 * size * width, width, like), array_at(lines + 4 * size * width, width, like)
        offset = array_at(lines + 5 * size * width, width, like)
        totals = p.totals + 8 * MOMENTS * channels * (blocks + 1) * thread
        mean, inverse = array_at(totals, channels, double), array_at(totals + 8 * channels, channels, double)
        total_offset = array_at(totals + 16 * channels, channels, double)
        parts = array_at(totals + 8 * MOMENTS * channels, MOMENTS * channels * blocks, double)
        x, out = p.x + size * total * index, p.out + size * total * index
        for b in range(blocks):
            part = parts[MOMENTS * channels * b : MOMENTS * channels * b + 2 * channels]
            _block_moments(
                x + size * channels * span * b, min(span, rows - span * b), channels, shift, first, second, part
            )
        _group_moments(parts, rows, span, p.groups, p.eps, mean, inverse)
        gain = array_at(p.gain + size * p.gain_step * index, channels, like)
        beta = array_at(p.offset + size * p.gain_step * index, channels, like)
        for c in range(channels):
            inverse[c] *= np.float64(gain[c])
            total_offset[c] = np.float64(beta[c])
        _spread(mean, shift)
        _spread(inverse, scale)
        _move(mean, shift, inverse, total_offset)
        _spread(total_offset, offset)
        slope = array_at(p.factor, 1, like)[0]
        for begin in range(0, total, width):
            n = min(width, total - begin)
            v, y = array_at(x + size * begin, n, like), array_at(out + size * begin, n, like)
            _affine(v, shift, scale, offset, slope, y)

    return run


@cache
def _backward_task(dtype: Any) -> int:
    """Of one element: dx, and the sums of u h and of u of each channel, u = g f'(z), h = (x - mean) / sqrt(var + eps)."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _ELEMENTS)
        factor, smooth = array_at(p.factor, 3, like), p.smooth == 1
        rows, channels, span, groups = p.rows, p.channels, p.span, p.groups
        width, total = channels * p.repeat, rows * channels
        blocks = (rows + span - 1) // span
        lines = p.scratch + LINE_ARRAYS * size * width * thread
        shift, first = array_at(lines, width, like), array_at(lines + size * width, width, like)
        second, u = array_at(lines + 2 * size * width, width, like), array_at(lines + 3 * size * width, width, like)
        totals = p.totals + 8 * MOMENTS * channels * (blocks + 1) * thread
        mean, inverse = array_at(totals, channels, double), array_at(totals + 8 * channels, channels, double)
        sum_u, sum_uh = (
            array_at(totals + 16 * channels, channels, double),
            array_at(totals + 24 * channels, channels, double),
        )
        parts = array_at(totals + 8 * MOMENTS * channels, MOMENTS * channels * blocks, double)
        x, g, y = p.x + size * total * index, p.g + size * total * index, p.y + size * total * index
        for b in range(blocks):
            start, count = size * channels * span * b, min(span, rows - span * b)
            part = parts[MOMENTS * channels * b : MOMENTS * channels * (b + 1)]
            _block_moments(x + start, count, channels, shift, first, second, part)
            _clear(first)
            _clear(second)
            for begin in range(0, count * channels, width):
                n, here = min(width, count * channels - begin), start + size * begin
                if smooth:
                    _pull_smooth(array_at(g + here, n, like), array_at(y + here, n, like), factor, u, first)
                else:
                    _pull_leaky(array_at(g + here, n, like), array_at(y + here, n, like), factor[0], u, first)
                _add_product(u, array_at(x + here, n, like), shift, second)
            for c in range(channels):
                part[2 * channels + c] = _fold(first, channels, c)
                moved = (part[c] - np.float64(shift[c])) * part[2 * channels + c]
                part[3 * channels + c] = _fold(second, channels, c) - moved
        _group_moments(parts, rows, span, groups, p.eps, mean, inverse)
        for c in range(channels):
            sum_u[c] = sum_uh[c] = 0.0
            for b in range(blocks):
                at = MOMENTS * channels * b + c
                sum_u[c] += parts[at + 2 * channels]
                sum_uh[c] += parts[at + 3 * channels] + (parts[at] - mean[c]) * parts[at + 2 * channels]
            sum_uh[c] *= inverse[c]
        sums = array_at(p.sums + size * 2 * channels * index, 2 * channels, like)
        for c in range(channels):
            sums[c], sums[channels + c] = sum_uh[c], sum_u[c]
        # dx = u a + (x - mean) b + c: a gain and an offset of each group.
        gain = array_at(p.gain + size * p.gain_step * index, channels, like)
        for group in range(groups):
            begin, end = group * (channels // groups), (group + 1) * (channels // groups)
            mean_u = mean_uh = 0.0
            for c in range(begin, end):
                mean_u += np.float64(gain[c]) * sum_u[c]
                mean_uh += np.float64(gain[c]) * sum_uh[c]
            count = rows * (end - begin)
            for c in range(begin, end):
                sum_u[c] = -inverse[c] * mean_u / count
                sum_uh[c] = -inverse[c] * inverse[c] * mean_uh / count
                inverse[c] *= np.float64(gain[c])
        a, b_line = array_at(lines + 4 * size * width, width, like), array_at(lines + 5 * size * width, width, like)
        c_line = array_at(lines + 6 * size * width, width, like)
        _spread(mean, shift)
        _spread(inverse, a)
        _spread(sum_uh, b_line)
        _move(mean, shift, sum_uh, sum_u)
        _spread(sum_u, c_line)
        out = p.out + size * total * index
        for begin in range(0, total, width):
            n, here = min(width, total - begin), size * begin
            gs, ys = array_at(g + here, n, like), array_at(y + here, n, like)
            xs, dx = array_at(x + here, n, like), array_at(out + here, n, like)
            if smooth:
                _combine_smooth(gs, ys, factor, xs, shift, a, b_line, c_line, dx)
            else:
                _combine_leaky(gs, ys, factor[0], xs, shift, a, b_line, c_line, dx)

    return run


def _job(
    function: int, x: Array, g: Array, y: Array, out: Array, gain: Array, offset: Array, sums: Array, groups: int, eps: float,
    f: Activation,
) -> Job:  # fmt: skip
    """A task an element."""
    elements, rows, channels = x.shape
    repeat = min(rows, -(-LANES // channels))
    span, below, factor, size = LINES * repeat, f.below, np.zeros(3, x.dtype), team().size
    factor[:] = POLYNOMIAL[f.kind] if below is None else below
    scratch = np.empty((size, LINE_ARRAYS, repeat * channels), x.dtype)
    totals = np.empty((size, -(-rows // span) + 1, MOMENTS, channels))
    p = filled(
        _ELEMENTS, x=x, g=g, y=y, out=out, gain=gain, offset=offset, sums=sums, scratch=scratch, totals=totals, factor=factor,
        rows=rows, channels=channels, groups=groups, repeat=repeat, span=span, gain_step=channels if len(gain) > 1 else 0,
        smooth=int(below is None), eps=eps,
    )  # fmt: skip
    job = team().job(function, p, elements)

    def run(_kept: tuple[Array, ...] = (x, g, y, out, gain, offset, sums, scratch, totals, factor)) -> None:
        job()

    return run


def _suits(*arrays: Array) -> bool:
    return all(a.flags.c_contiguous and a.dtype == arrays[0].dtype for a in arrays) and arrays[0].size > 0


@reference.group_norm.planned_on("cpu")
def group_norm(x: Array, gain: Array, offset: Array, groups: int, eps: float, f: Activation, out: Array) -> Job | None:
    """An element a task; a curve in a second pass."""
    if not _suits(x, gain, offset, out):
        return None
    smooth = f.kind in POLYNOMIAL
    function = _forward_task(x.dtype)
    job = _job(function, x, x, x, out, gain, offset, out, groups, eps, LINEAR if smooth else f)
    return in_turn(job, partial(bias_activation, _flat(out), None, f, _flat(out))) if smooth else job


@reference.group_norm_backward.planned_on("cpu")
def group_norm_backward(
    g: Array, x: Array, y: Array, gain: Array, groups: int, eps: float, f: Activation, dx: Array, sums: Array
) -> Job | None:
    """An element a task: its sums, then its dx."""
    if not _suits(g, x, y, gain, dx, sums):
        return None
    y = g if f.kind == "linear" else y
    return _job(_backward_task(x.dtype), x, g, y, dx, gain, gain, sums, groups, eps, f)


def _flat(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])
