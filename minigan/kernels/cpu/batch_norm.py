"""Batch normalisation on the CPU, fused with the activation that follows it: two passes of the team forward, two backward.

Rows of few channels make short loops, so `repeat` rows are taken as one line of `repeat * channels` lanes, and a constant a
channel is repeated along the lanes. A task is a block of lines that stays in a core's cache while it is read twice:

1. its mean a channel, m;
2. sums about m: of d = x - m and d^2, and backward of u = g f'(z) and u d. About its own mean, a block loses no digits to
   cancellation, wherever the data lie, so lanes add up at most 64 numbers in the arrays' precision; all else is float64.

With n_b rows, mean m_b and sum of squares M_b a block (Chan, Golub, LeVeque 1983, "Algorithms for computing the sample
variance", eq. 1.5, for many blocks at once):

    mean = sum n_b m_b / n,   n var = sum M_b + n_b (m_b - mean)^2,   sum u (x - mean) = sum [(u d)_b + (m_b - mean) u_b].
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.activation import LINEAR, Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.activation import bias_activation
from minigan.kernels.cpu.compiler import array_at, compile_ordered, compile_task, filled, njit, record, record_at, task
from minigan.kernels.cpu.gemm_microkernel import leak
from minigan.kernels.cpu.team import Job, team

LANES = 512  # of a line, at least: loops long enough for vectors
LINES = 64  # of a block, at most: the longest sum of a lane, and 128 kB of single precision
# f'(z) = c0 + y (c1 + c2 y) of the smooth activations y = f(z).
POLYNOMIAL = {"tanh": (1.0, 0.0, -1.0), "sigmoid": (0.0, 1.0, -1.0)}


# -- one line --------------------------------------------------------------------------------------------------------
@compile_ordered
def _clear(total: Array) -> None:
    for i in range(total.size):
        total[i] = 0


@compile_ordered
def _add(v: Array, total: Array) -> None:
    for i in range(v.size):
        total[i] += v[i]


@compile_ordered
def _add_moments(v: Array, shift: Array, first: Array, second: Array) -> None:
    for i in range(v.size):
        d = v[i] - shift[i]
        first[i] += d
        second[i] += d * d


@compile_ordered
def _pull_leaky(g: Array, y: Array, slope: float, u: Array, total: Array) -> None:
    for i in range(g.size):
        v = g[i] if y[i] > 0 else leak(g[i], slope)
        u[i] = v
        total[i] += v


@compile_ordered
def _pull_smooth(g: Array, y: Array, c: Array, u: Array, total: Array) -> None:
    c0, c1, c2 = c[0], c[1], c[2]
    for i in range(g.size):
        v = g[i] * (c0 + y[i] * (c1 + c2 * y[i]))
        u[i] = v
        total[i] += v


@compile_ordered
def _add_product(u: Array, v: Array, shift: Array, total: Array) -> None:
    for i in range(v.size):
        total[i] += u[i] * (v[i] - shift[i])


@compile_ordered
def _affine(v: Array, mean: Array, scale: Array, beta: Array, slope: float, out: Array) -> None:
    """The difference first, which keeps the digits where the mean is large."""
    for i in range(v.size):
        z = (v[i] - mean[i]) * scale[i] + beta[i]
        out[i] = leak(z, slope) if z <= 0 else z


@compile_ordered
def _combine_leaky(
    g: Array, y: Array, slope: float, v: Array, mean: Array, a: Array, b: Array, c: Array, out: Array
) -> None:
    for i in range(v.size):
        u = g[i] if y[i] > 0 else leak(g[i], slope)
        out[i] = u * a[i] + (v[i] - mean[i]) * b[i] + c[i]


@compile_ordered
def _combine_smooth(
    g: Array, y: Array, k: Array, v: Array, mean: Array, a: Array, b: Array, c: Array, out: Array
) -> None:
    c0, c1, c2 = k[0], k[1], k[2]
    for i in range(v.size):
        u = g[i] * (c0 + y[i] * (c1 + c2 * y[i]))
        out[i] = u * a[i] + (v[i] - mean[i]) * b[i] + c[i]


# -- one block -------------------------------------------------------------------------------------------------------
@compile_task
def _fold(lanes: Array, channels: int, channel: int) -> float:
    """The sum of a channel's lanes."""
    total = 0.0
    for i in range(lanes.size // channels):
        total += np.float64(lanes[i * channels + channel])
    return total


@compile_task
def _block_moments(x: int, count: int, channels: int, shift: Array, first: Array, second: Array, out: Array) -> None:
    """out[0] = mean and out[1] = sum of squared deviations of `count` rows at address x, a channel; and `shift`, the mean
    rounded, along the lanes."""
    width, size, total = shift.size, shift.itemsize, count * channels
    _clear(first)
    for begin in range(0, total, width):
        _add(array_at(x + size * begin, min(width, total - begin), shift), first)
    for c in range(channels):
        mean = _fold(first, channels, c) / count
        for lane in range(c, width, channels):
            shift[lane] = mean
    _clear(first)
    _clear(second)
    for begin in range(0, total, width):
        _add_moments(array_at(x + size * begin, min(width, total - begin), shift), shift, first, second)
    for c in range(channels):
        d = _fold(first, channels, c) / count
        out[c] = np.float64(shift[c]) + d
        out[channels + c] = _fold(second, channels, c) - count * d * d


_BLOCKS = record("x g y out rows channels repeat span scratch partial tiles factor smooth")


@cache
def _moments_task(dtype: Any) -> int:
    """partial[block] = (mean, sum of squared deviations)."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _BLOCKS)
        channels, width = p.channels, p.channels * p.repeat
        first_row = index * p.span
        count = min(p.span, p.rows - first_row)
        scratch = p.scratch + 5 * size * width * thread
        shift, first = array_at(scratch, width, like), array_at(scratch + size * width, width, like)
        second = array_at(scratch + 2 * size * width, width, like)
        out = array_at(p.partial + 8 * 2 * channels * index, 2 * channels, double)
        _block_moments(p.x + size * channels * first_row, count, channels, shift, first, second, out)

    return run


@cache
def _sums_task(dtype: Any) -> int:
    """partial[block] = (mean m, sum of squared deviations, sum of u, sum of u (x - m)), u = g f'(z)."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _BLOCKS)
        factor, smooth = array_at(p.factor, 3, like), p.smooth == 1
        channels, width = p.channels, p.channels * p.repeat
        start = index * p.span
        count = min(p.span, p.rows - start)
        scratch = p.scratch + 5 * size * width * thread
        shift, first = array_at(scratch, width, like), array_at(scratch + size * width, width, like)
        second, u = array_at(scratch + 2 * size * width, width, like), array_at(scratch + 3 * size * width, width, like)
        out = array_at(p.partial + 8 * 4 * channels * index, 4 * channels, double)
        place = size * channels * start
        _block_moments(p.x + place, count, channels, shift, first, second, out)
        _clear(first)
        _clear(second)
        for begin in range(0, count * channels, width):
            n, here = min(width, count * channels - begin), place + size * begin
            g, y = array_at(p.g + here, n, like), array_at(p.y + here, n, like)
            if smooth:
                _pull_smooth(g, y, factor, u, first)
            else:
                _pull_leaky(g, y, factor[0], u, first)
            _add_product(u, array_at(p.x + here, n, like), shift, second)
        for c in range(channels):
            total = _fold(first, channels, c)
            out[2 * channels + c] = total
            out[3 * channels + c] = _fold(second, channels, c) - (out[c] - np.float64(shift[c])) * total

    return run


@cache
def _forward_task(dtype: Any) -> int:
    """out = f((x - mean) scale + beta) for f the identity or a (leaky) ReLU. Blocks in reverse: the last are in cache."""
    like = np.empty(0, dtype)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _BLOCKS)
        slope = array_at(p.factor, 1, like)[0]
        width, total = p.channels * p.repeat, p.channels * p.rows
        block = (p.rows - 1) // p.span - index
        start = block * p.span * p.channels
        mean = array_at(p.tiles, width, like)
        scale, beta = array_at(p.tiles + size * width, width, like), array_at(p.tiles + 2 * size * width, width, like)
        for begin in range(start, min(total, start + p.span * p.channels), width):
            n = min(width, total - begin)
            v, out = array_at(p.x + size * begin, n, like), array_at(p.out + size * begin, n, like)
            _affine(v, mean, scale, beta, slope, out)

    return run


@cache
def _backward_task(dtype: Any) -> int:
    """out = u a + (x - mean) b + c. Blocks in reverse."""
    like = np.empty(0, dtype)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _BLOCKS)
        factor, smooth = array_at(p.factor, 3, like), p.smooth == 1
        width, total = p.channels * p.repeat, p.channels * p.rows
        block = (p.rows - 1) // p.span - index
        start = block * p.span * p.channels
        mean, a = array_at(p.tiles, width, like), array_at(p.tiles + size * width, width, like)
        b, c = (
            array_at(p.tiles + 2 * size * width, width, like),
            array_at(p.tiles + 3 * size * width, width, like),
        )
        for begin in range(start, min(total, start + p.span * p.channels), width):
            n, here = min(width, total - begin), size * begin
            g, y = array_at(p.g + here, n, like), array_at(p.y + here, n, like)
            v, out = array_at(p.x + here, n, like), array_at(p.out + here, n, like)
            if smooth:
                _combine_smooth(g, y, factor, v, mean, a, b, c, out)
            else:
                _combine_leaky(g, y, factor[0], v, mean, a, b, c, out)

    return run


# -- all blocks ------------------------------------------------------------------------------------------------------
@compile_task
def _mean_and_var(partial: Array, span: int, rows: int, c: int) -> tuple[float, float]:
    blocks = partial.shape[0]
    mean = squares = 0.0
    for b in range(blocks):
        mean += partial[b, 0, c] * min(span, rows - b * span)
    mean /= rows
    for b in range(blocks):
        squares += partial[b, 1, c] + (partial[b, 0, c] - mean) ** 2 * min(span, rows - b * span)
    return mean, max(squares / rows, 0.0)


@njit
def _finish_forward(
    partial: Array, span: int, rows: int, gamma: Array, beta: Array, eps: float, tiles: Array, statistics: Array
) -> None:
    """statistics = (mean, var), tiles = (mean, gamma / sqrt(var + eps), beta) along the lanes."""
    for c in range(gamma.size):
        mean, var = _mean_and_var(partial, span, rows, c)
        statistics[0, c], statistics[1, c] = mean, var
        scale = gamma[c] / np.sqrt(var + eps)
        tiles[0, c] = mean
        left = mean - np.float64(tiles[0, c])  # what rounding a large mean has left
        for lane in range(c, tiles.shape[1], gamma.size):
            tiles[0, lane], tiles[1, lane], tiles[2, lane] = mean, scale, beta[c] - left * scale


@njit
def _finish_backward(
    partial: Array, span: int, rows: int, gamma: Array, eps: float, tiles: Array, dgamma: Array, dbeta: Array
) -> None:
    """tiles = (mean, a, b, c) along the lanes: dx = u a + (x - mean) b + c."""
    for c in range(gamma.size):
        mean, var = _mean_and_var(partial, span, rows, c)
        sum_u = sum_ud = 0.0
        for b in range(partial.shape[0]):
            sum_u += partial[b, 2, c]
            sum_ud += partial[b, 3, c] + (partial[b, 0, c] - mean) * partial[b, 2, c]
        inverse = 1.0 / np.sqrt(var + eps)
        dgamma[c], dbeta[c] = sum_ud * inverse, sum_u
        a = gamma[c] * inverse
        tiles[0, c] = mean
        left, slope = mean - np.float64(tiles[0, c]), -a * inverse * inverse * sum_ud / rows
        for lane in range(c, tiles.shape[1], gamma.size):
            tiles[0, lane], tiles[1, lane] = mean, a
            tiles[2, lane], tiles[3, lane] = slope, -a * sum_u / rows - left * slope


class _Blocks:
    """How an array is cut, and the memory its tasks work in."""

    def __init__(self, x: Array, g: Array, y: Array, out: Array, sums: int, tiles: int, f: Activation) -> None:
        rows, channels = x.shape
        repeat = min(rows, -(-LANES // channels))
        lines = max(8, min(LINES, LINES * LANES // (repeat * channels)))
        self.rows, self.span = rows, lines * repeat
        self.count = -(-rows // self.span)
        self.partial = np.empty((self.count, sums, channels))
        self.tiles = np.empty((tiles, repeat * channels), x.dtype)
        self.factor = np.zeros(3, x.dtype)
        below = f.below
        self.factor[:] = POLYNOMIAL[f.kind] if below is None else below
        scratch = np.empty((team().size, 5, repeat * channels), x.dtype)
        self.p = filled(
            _BLOCKS, x=x, g=g, y=y, out=out, rows=rows, channels=channels, repeat=repeat, span=self.span, scratch=scratch,
            partial=self.partial, tiles=self.tiles, factor=self.factor, smooth=int(below is None),
        )  # fmt: skip
        self.kept = x, g, y, out, scratch

    def job(self, function: int) -> Job:
        return team().job(function, self.p, self.count)


def _suits(*arrays: Array) -> bool:
    return all(a.flags.c_contiguous and a.dtype == arrays[0].dtype for a in arrays) and arrays[0].size > 0


@reference.batch_norm.planned_on("cpu")
def batch_norm(
    x: Array, gamma: Array, beta: Array, eps: float, f: Activation, out: Array, statistics: Array
) -> Job | None:
    """Moments of all blocks, then the affine map and the activation in one pass; a curve in a second."""
    if not _suits(x, out):
        return None
    smooth = f.kind in POLYNOMIAL
    blocks = _Blocks(x, x, x, out, 2, 3, LINEAR if smooth else f)
    moments, apply = blocks.job(_moments_task(x.dtype)), blocks.job(_forward_task(x.dtype))

    def run(blocks: _Blocks = blocks) -> None:
        moments()
        _finish_forward(blocks.partial, blocks.span, blocks.rows, gamma, beta, eps, blocks.tiles, statistics)
        apply()
        if smooth:
            bias_activation(out, None, f, out)

    return run


@reference.batch_norm_backward.planned_on("cpu")
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
) -> Job | None:
    """All sums of all blocks, then dx in one pass."""
    if not _suits(g, x, y, dx):
        return None
    blocks = _Blocks(x, g, g if f.kind == "linear" else y, dx, 4, 4, f)
    sums, apply = blocks.job(_sums_task(x.dtype)), blocks.job(_backward_task(x.dtype))

    def run(blocks: _Blocks = blocks) -> None:
        sums()
        _finish_backward(blocks.partial, blocks.span, blocks.rows, gamma, eps, blocks.tiles, dgamma, dbeta)
        apply()

    return run
