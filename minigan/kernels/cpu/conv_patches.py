"""Convolution by one large matrix product: with the patches gathered before it (im2col), or the taps summed after it (col2im).

**Patches.** Row (n, o) of the patch matrix holds the inputs under all taps, zeros where a tap is in the padding:

    patches[n, o, (k, c)] = x[n, o s + k d - p, c]        conv = patches @ W,   W as (taps * in, out)

It serves few images, whose positions then fill the tiles.

**Columns.** With few *output* channels a tile of WIDTH columns would be mostly empty. Then every source position is multiplied
with all taps at once, and each output position sums those that reach it:

    columns[n, i, (k, c)] = x[n, i] . W[k][:, c]          out[n, o, c] = f(bias[c] + sum over taps of columns[n, i(o, k), (k, c)])

For the transposed map the roles of i and o change. The 64 -> 1 layer that ends a DCGAN's generator is such a product, with 25
columns. A few images at a time, so that the columns are summed while they are in cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import conv_tiles
from minigan.kernels.cpu.compiler import compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.gemm_microkernel import leak
from minigan.kernels.cpu.team import Job, in_turn, keeping, team
from minigan.kernels.cpu.workspace import matrices
from minigan.kernels.geometry import Geometry

SPAN = 64  # rows of positions that a task takes
KEPT = 512 * 1024  # columns at a time, 2 MB: they stay in the caches until they are summed


@lru_cache(maxsize=256)
def _tables(geometry: Geometry, transposed: bool) -> tuple[Array, ...]:
    """For each axis, as integers: where the entries of each output position begin (and end), then the (source, tap) pairs."""
    three, made = geometry.lifted(), []
    for axis in range(3):
        meetings: list[list[tuple[int, int]]] = [[] for _ in range((three.big if transposed else three.small)[axis])]
        for k in range(three.kernel[axis]):
            for o in three.span(axis, k):
                i = three.position(axis, o, k)
                meetings[i if transposed else o].append((o, k) if transposed else (i, k))
        starts = np.cumsum([0, *map(len, meetings)]) * 2 + len(meetings) + 1
        made.append(
            np.concatenate(
                [starts, np.array([pair for pairs in meetings for pair in pairs], np.int64).reshape(-1)]
            ).astype(np.int64)
        )
    return tuple(made)


# -- patches ---------------------------------------------------------------------------------------------------------
_GATHERED = record("x patches size0 size1 size2 channels k1 k2 out0 out1 out2 taps rows t0 t1 t2")


def _gather(parameters: int, index: int, thread: int) -> None:
    """Some rows (n, o0, o1) of the patch matrix; see `plan_patches` for the parameters."""
    p = record_at(parameters, _GATHERED)
    size0, size1, size2, channels, k1, k2, out0, out1, out2, taps = (
        p.size0,
        p.size1,
        p.size2,
        p.channels,
        p.k1,
        p.k2,
        p.out0,
        p.out1,
        p.out2,
        p.taps,
    )
    t0 = words_at(p.t0, 1 << 40)
    t1, t2 = words_at(p.t1, 1 << 40), words_at(p.t2, 1 << 40)
    width = taps * channels
    for row in range(index * SPAN, min(p.rows, (index + 1) * SPAN)):
        n, o0, o1 = row // (out0 * out1), row // out1 % out0, row % out1
        target = floats_at(p.patches + 4 * row * out2 * width, out2 * width)
        for j in range(out2 * width):
            target[j] = 0
        for e0 in range(t0[o0], t0[o0 + 1], 2):
            for e1 in range(t1[o1], t1[o1 + 1], 2):
                line = ((n * size0 + t0[e0]) * size1 + t1[e1]) * size2
                tap = (t0[e0 + 1] * k1 + t1[e1 + 1]) * k2
                source = floats_at(p.x + 4 * line * channels, size2 * channels)
                for o2 in range(out2):
                    for e2 in range(t2[o2], t2[o2 + 1], 2):
                        begin, end = t2[e2] * channels, (o2 * taps + tap + t2[e2 + 1]) * channels
                        for c in range(channels):
                            target[end + c] = source[begin + c]


_gather_task = later(_gather)


def plan_patches(x: Array, geometry: Geometry, patches: Array) -> Job:
    """The patch matrix (N, *small, taps * in) of x."""
    three, tables = geometry.lifted(), _tables(geometry, False)
    rows = len(x) * three.small[0] * three.small[1]
    (size0, size1, size2), (_, k1, k2), (out0, out1, out2), (t0, t1, t2) = three.big, three.kernel, three.small, tables
    p = filled(
        _GATHERED, x=x, patches=patches, size0=size0, size1=size1, size2=size2, channels=x.shape[-1], k1=k1, k2=k2,
        out0=out0, out1=out1, out2=out2, taps=geometry.taps, rows=rows, t0=t0, t1=t1, t2=t2,
    )  # fmt: skip
    return keeping(team().job(_gather_task(), p, -(-rows // SPAN)), *tables, patches)


POINT = Geometry((1,), (1,), (1,), (0,), (1,), (1,))  # one position and one tap: a matrix product


def plan_conv(x: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array) -> Job:
    """conv as patches and one product; at least TALL rows (n, o)."""
    positions = int(np.prod(geometry.small))
    depth, columns = geometry.taps * x.shape[-1], w.shape[-1]
    patches = matrices(len(x) * positions * depth)[0].reshape(-1, 1, depth)
    product = conv_tiles.plan(
        patches, w.reshape(1, depth, columns), bias, POINT, slope, out.reshape(-1, 1, columns), False
    )
    return in_turn(plan_patches(x, geometry, patches), product)


# -- columns ---------------------------------------------------------------------------------------------------------
_COLLECTED = record(
    "columns out size0 size1 size2 channels k1 k2 out0 out1 out2 taps rows t0 t1 spans bias out_stride source_stride",
    "slope",
)


@compile_task
def _sum_row(columns: Array, out: Array, p: Any, spans: Array, tap: int) -> None:
    """Add one row of source positions under one row of taps to a row of outputs. A tap of the last axis pairs equally spaced
    sources with equally spaced outputs: (first output, first source, how many)."""
    channels, taps, out_step, source_step = (
        p.channels,
        p.taps,
        p.channels * p.out_stride,
        p.channels * p.taps * p.source_stride,
    )
    for k in range(p.k2):
        to, source = spans[3 * k] * channels, (spans[3 * k + 1] * taps + tap + k) * channels
        for _ in range(spans[3 * k + 2]):
            for c in range(channels):
                out[to + c] += columns[source + c]
            to += out_step
            source += source_step


def _collect(parameters: int, index: int, thread: int) -> None:
    """Some rows (n, o0, o1) of the output; see `plan_columns` for the parameters."""
    p = record_at(parameters, _COLLECTED)
    size0, size1, size2, channels, k1, k2, out0, out1, out2, taps = (
        p.size0,
        p.size1,
        p.size2,
        p.channels,
        p.k1,
        p.k2,
        p.out0,
        p.out1,
        p.out2,
        p.taps,
    )
    slope = np.float32(p.slope)
    bias = floats_at(p.bias, channels)
    t0 = words_at(p.t0, 1 << 40)
    t1, spans = words_at(p.t1, 1 << 40), words_at(p.spans, 3 * k2)
    for row in range(index * SPAN, min(p.rows, (index + 1) * SPAN)):
        n, o0, o1 = row // (out0 * out1), row // out1 % out0, row % out1
        out = floats_at(p.out + 4 * row * out2 * channels, out2 * channels)
        for j in range(out2 * channels):
            out[j] = 0
        for e0 in range(t0[o0], t0[o0 + 1], 2):
            for e1 in range(t1[o1], t1[o1 + 1], 2):
                line = ((n * size0 + t0[e0]) * size1 + t1[e1]) * size2
                columns = floats_at(p.columns + 4 * line * taps * channels, size2 * taps * channels)
                _sum_row(columns, out, p, spans, (t0[e0 + 1] * k1 + t1[e1 + 1]) * k2)
        for o2 in range(out2):
            for c in range(channels):
                v = out[o2 * channels + c] + bias[c]
                out[o2 * channels + c] = leak(v, slope) if v <= 0 else v


def _spans(geometry: Geometry, transposed: bool) -> Array:
    """Of each tap of the last axis: first output, first source, how many."""
    axis, entries = geometry.ndim - 1, []
    for k in range(geometry.kernel[axis]):
        span = geometry.span(axis, k)
        o = span[0] if span else 0
        i = geometry.position(axis, o, k) if span else 0
        entries.append((i, o, len(span)) if transposed else (o, i, len(span)))
    return np.array(entries, np.int64)


_collect_task = later(_collect)


def plan_columns(
    source: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array, transposed: bool
) -> Job:
    """conv (or conv_transpose) as one product with all taps, and their sum."""
    three, (t0, t1, _), spans = geometry.lifted(), _tables(geometry, transposed), _spans(geometry, transposed)
    tables, stride = (t0, t1, spans), geometry.stride[-1]
    inputs, outputs = (three.small, three.big) if transposed else (three.big, three.small)
    channels, depth, taps = out.shape[-1], source.shape[-1], geometry.taps
    each, images = inputs[0] * inputs[1] * inputs[2], len(source)
    portion = min(images, max(1, KEPT // (each * taps * channels)))
    columns, weights = matrices(portion * each * taps * channels, 0 if transposed else w.size)
    jobs: list[Job] = []
    if transposed:  # w is (taps, out, in): its rows are the columns wanted
        weights = w.reshape(taps * channels, depth)
    else:
        turned = w.reshape(taps, depth, channels)
        jobs.append(lambda: np.copyto(weights.reshape(taps, channels, depth), turned.swapaxes(1, 2)))
    zeros = np.zeros(channels, np.float32)
    (size0, size1, size2), (_, k1, k2), (out0, out1, out2) = inputs, three.kernel, outputs
    matrix = weights.reshape(1, taps * channels, depth)
    for first in range(0, images, portion):
        part, target = source[first : first + portion], out[first : first + portion]
        made = columns[: len(part) * each * taps * channels]
        rows = len(part) * out0 * out1
        p = filled(
            _COLLECTED, columns=made, out=target, size0=size0, size1=size1, size2=size2, channels=channels, k1=k1, k2=k2,
            out0=out0, out1=out1, out2=out2, taps=taps, rows=rows, t0=t0, t1=t1, spans=spans,
            bias=zeros if bias is None else bias, out_stride=stride if transposed else 1,
            source_stride=1 if transposed else stride, slope=slope,
        )  # fmt: skip
        flat, wide = part.reshape(-1, 1, depth), made.reshape(-1, 1, taps * channels)
        jobs.append(conv_tiles.plan(flat, matrix, None, POINT, 1.0, wide, True))
        jobs.append(keeping(team().job(_collect_task(), p, -(-rows // SPAN)), *tables, columns, weights, zeros))
    return in_turn(*jobs)
