"""The weight gradient of a convolution with few input channels: the taps of the last axis are the rows of a tile.

With one input channel, a tile of TALL channels would be seven eighths empty. But channels come last, so the inputs that the
taps of one row of the kernel meet are one stretch of memory:

    out[k', (k, c), b] = sum over n and (o', o) of  x[n, i(o', k'), (o s + k, c)] g[n, o', o, b]

(primes: all axes but the last). For each k' this is a product whose rows (k, c) lie 4 bytes apart and whose inner index o moves
by s pixels: x is read where it lies, once each of its rows has zeros before and after it, and so is g. Nothing is gathered.

A task takes a few images, whose g stays in the second-level cache, through all tiles, into sums of its own; these are added at
the end, in order, so that results repeat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.conv_tiles import PANEL, TILE, copy_tile
from minigan.kernels.cpu.conv_weight_tiles import scratch_floats, spans_of
from minigan.kernels.cpu.gemm_microkernel import NOTHING, TALL, WIDTH, microkernel
from minigan.kernels.cpu.sums import column_sum
from minigan.kernels.cpu.team import Job, in_turn, keeping, team
from minigan.kernels.cpu.workspace import workspace
from minigan.kernels.geometry import Geometry

KEPT = 128 * 1024  # floats of g that a task takes at a time, at most (or one image)
LINES = 64  # rows of x that a task copies


_PADDED = record("x padded lines before length width")


def _pad(parameters: int, index: int, thread: int) -> None:
    """Some rows of x between zeros; see `_plan_padding` for the parameters."""
    p = record_at(parameters, _PADDED)
    before, length, width = p.before, p.length, p.width
    for line in range(index * LINES, min(p.lines, (index + 1) * LINES)):
        source = floats_at(p.x + 4 * line * length, length)
        target = floats_at(p.padded + 4 * line * width, width)
        for i in range(width):
            target[i] = 0
        for i in range(min(length, width - before)):
            target[before + i] = source[i]


_pad_task = later(_pad)


_TILES = record(
    "padded g sums spans k0 k1 size0 size1 out0 out1 width out2 outs rows images portion scratch "
    "thread_bytes step nothing threads"
)


@compile_task
def _list_runs(p: Any, spans: Array, tap: int, row: int, panel: int, images: tuple[int, int], runs: Array) -> int:
    """The runs of a tap of the other axes, one a row of outputs; how many."""
    k1, size0, size1, out0, out1, width = p.k1, p.size0, p.size1, p.out0, p.out1, p.width
    s0, s1 = 4 * (tap // k1), 4 * (p.k0 + tap % k1)
    count = 0
    for n in range(images[0], images[1]):
        for m0 in range(spans[s0 + 2]):
            o0, i0 = spans[s0] + m0, spans[s0 + 1] + m0 * spans[s0 + 3]
            for m1 in range(spans[s1 + 2]):
                o1, i1 = spans[s1] + m1, spans[s1 + 1] + m1 * spans[s1 + 3]
                runs[3 * count] = p.padded + 4 * (((n * size0 + i0) * size1 + i1) * width + row)
                runs[3 * count + 1] = p.g + 4 * ((n * out0 + o0) * out1 + o1) * p.out2 * p.outs + PANEL * panel
                runs[3 * count + 2] = p.out2
                count += 1
    return count


def _tiles(parameters: int, index: int, thread: int) -> None:
    """All tiles of some images; see `plan` for the parameters."""
    p = record_at(parameters, _TILES)
    spans = words_at(p.spans, 1 << 40)
    outs, rows = p.outs, p.rows
    tile = p.scratch + thread * p.thread_bytes
    runs_at = tile + TILE
    runs = words_at(runs_at, 1 << 40)
    images = (index * p.portion, min(p.images, (index + 1) * p.portion))
    # Meanwhile the g of the images that this thread is likely to take next is fetched.
    share = (
        4 * p.portion * p.out0 * p.out1 * p.out2 * outs // (p.k0 * p.k1 * (outs // WIDTH) * ((rows + TALL - 1) // TALL))
    )
    soon = p.g + min((index + p.threads) * p.portion, p.images - p.portion) * 4 * p.out0 * p.out1 * p.out2 * outs
    for tap in range(p.k0 * p.k1):
        for panel in range(outs // WIDTH):
            for row in range(0, rows, TALL):
                count = _list_runs(p, spans, tap, row, panel, images, runs)
                c = p.sums + 4 * (((index * p.k0 * p.k1 + tap) * rows + row) * outs + panel * WIDTH)
                if count:
                    pace = share // (count * p.out2) + 1
                    microkernel(runs_at, count, 4, p.step, 4 * outs, tile, PANEL, p.nothing, soon, pace, np.float32(1))
                    soon += share
                else:
                    zeros = floats_at(tile, TALL * WIDTH)
                    for i in range(TALL * WIDTH):
                        zeros[i] = 0
                copy_tile(tile, min(TALL, rows - row), WIDTH, c, 4 * outs)


_tiles_task = later(_tiles)


def plan(x: Array, g: Array, geometry: Geometry, out: Array) -> Job:
    """conv_weight as a job; the last axis without dilation, and a multiple of WIDTH output channels. float32."""
    three, images, channels, outs = geometry.lifted(), len(x), x.shape[-1], g.shape[-1]
    rows, stride, (size0, size1, size2), small = three.kernel[2] * channels, three.stride[2], three.big, three.small
    pixels = (small[2] - 1) * stride + three.kernel[2]  # what the outputs of a row reach
    width, lines = pixels * channels, images * size0 * size1
    portion = min(images, max(1, KEPT // (small[0] * small[1] * small[2] * outs)))
    parts, others = -(-images // portion), three.kernel[0] * three.kernel[1]
    spans, per_thread = spans_of(three), scratch_floats(three, portion)
    padded, sums, scratch = workspace(
        lines * width + TALL, parts * others * rows * outs, threads.THREADS * per_thread
    )  # a tile of fewer taps reads up to TALL floats beyond the last row
    before = three.low[2] * channels
    pad = filled(_PADDED, x=x, padded=padded, lines=lines, before=before, length=size2 * channels, width=width)
    p = filled(
        _TILES, padded=padded, g=g, sums=sums, spans=spans, k0=three.kernel[0], k1=three.kernel[1], size0=size0,
        size1=size1, out0=small[0], out1=small[1], width=width, out2=small[2], outs=outs, rows=rows, images=images,
        portion=portion, scratch=scratch, thread_bytes=4 * per_thread, step=4 * stride * channels, nothing=NOTHING,
        threads=threads.THREADS,
    )  # fmt: skip
    return in_turn(
        team().job(_pad_task(), pad, -(-lines // LINES)),
        keeping(team().job(_tiles_task(), p, parts), padded, sums, spans, scratch),
        column_sum(sums.reshape(parts, -1), out.reshape(-1)),
    )
