"""The weight gradient of a convolution by register tiles.

For each tap k the result is a matrix product, with the positions and images as the inner index:

    out[k] (in, out) = sum over (o, n) of  x[n, o s + k d - p]^T g[n, o]

A tile holds TALL input channels and WIDTH output channels of one tap. To sum over images and neighbouring positions in one run,
both operands are packed with the image as the fastest index but the channels of a tile:

    x as (blocks, position, image, TALL)      g as (panels, position, image, WIDTH)

Positions of x along the last axis are stored by their remainder modulo the stride, so that the next o is the next stored
position also where the stride is not 1. Packing costs one pass; all taps and all pairs of blocks and panels then read the same
arrays. Images are taken in portions whose panel of g stays in the second-level cache; from the second portion on, tiles are
added to the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.conv_tiles import PANEL, TASKS, TILE, copy_tile
from minigan.kernels.cpu.gemm_microkernel import NOTHING, TALL, WIDTH, microkernel
from minigan.kernels.cpu.team import Job, in_turn, keeping, team
from minigan.kernels.cpu.workspace import whole_lines, workspace
from minigan.kernels.geometry import Geometry

PORTION = 128 * 1024 // WIDTH  # rows of a packed panel of g: 512 KB
ROWS = 16  # positions that a packing task takes


# -- packing ---------------------------------------------------------------------------------------------------------
@compile_task
def pack_row(source: Array, channels: int, width: int, target: Array, panel: int) -> None:
    """One position of one image: `width` channels into each panel, zeros where there are no more. (Two loops of fixed length,
    which LLVM turns into single vector instructions.)"""
    whole = channels // width
    for block in range(whole):
        start, end = block * width, block * panel
        if width == TALL:
            for j in range(TALL):
                target[end + j] = source[start + j]
        else:
            for j in range(WIDTH):
                target[end + j] = source[start + j]
    if whole * width < channels:
        for j in range(width):
            target[whole * panel + j] = 0
        for j in range(channels - whole * width):
            target[whole * panel + j] = source[whole * width + j]


_PACKED = record("source image images positions channels packed slots panel width")


def _pack(parameters: int, index: int, thread: int) -> None:
    """Some positions of all images as (channel // width, slot of the position, image, width)."""
    p = record_at(parameters, _PACKED)
    images, positions, channels, width = p.images, p.positions, p.channels, p.width
    slots = words_at(p.slots, positions)
    panel = positions * images * width
    for position in range(index * ROWS, min(positions, (index + 1) * ROWS)):
        for n in range(images):
            source = floats_at(p.source + n * p.image + 4 * channels * position, channels)
            target = floats_at(p.packed + 4 * width * (slots[position] * images + n), p.panel)
            pack_row(source, channels, width, target, panel)


_pack_task = later(_pack)


def plan_packing(a: Array, first: int, images: int, slots: Array, width: int, packed: Array) -> Job:
    """Images first ... first + images of `a`, packed into `packed` with `width` channels together."""
    positions, channels = slots.size, a.shape[-1]
    p = filled(
        _PACKED, source=a[first:], image=a[0].nbytes, images=images, positions=positions, channels=channels,
        packed=packed, slots=slots, panel=packed.size, width=width,
    )  # fmt: skip
    return keeping(team().job(_pack_task(), p, -(-positions // ROWS)), slots, packed)


# -- the tiles -------------------------------------------------------------------------------------------------------
@compile_task
def add_tile(tile: int, rows: int, columns: int, c: int, c_row: int) -> None:
    """C += the first rows and columns of a tile."""
    for r in range(rows):
        source = floats_at(tile + PANEL * r, columns)
        target = floats_at(c + r * c_row, columns)
        for n in range(columns):
            target[n] += source[n]


_TILES = record(
    "xs block_bytes gs panel_bytes out images k1 k2 k0 size1 size2 out1 out2 blocks tap_blocks taps ins "
    "outs spans scratch thread_bytes fresh nothing threads panels tasks"
)


@compile_task
def _list_runs(p: Any, spans: Array, tap: int, block: int, panel: int, runs: Array) -> int:
    """The runs of a tap, one a row of positions that it pairs; how many. `spans` holds for each axis and tap the first small
    position, the slot of its partner (of a row: the index), how many, and the step from partner to partner."""
    k1, k2, images = p.k1, p.k2, p.images
    s0, s1, s2 = 4 * (tap // (k1 * k2)), 4 * (p.k0 + tap // k2 % k1), 4 * (p.k0 + k1 + tap % k2)
    size1, size2, out1, out2 = p.size1, p.size2, p.out1, p.out2
    count = 0
    if spans[s2 + 2] == 0:
        return 0
    for m0 in range(spans[s0 + 2]):
        o0, i0 = spans[s0] + m0, spans[s0 + 1] + m0 * spans[s0 + 3]
        for m1 in range(spans[s1 + 2]):
            o1, i1 = spans[s1] + m1, spans[s1 + 1] + m1 * spans[s1 + 3]
            big, small = (i0 * size1 + i1) * size2 + spans[s2 + 1], (o0 * out1 + o1) * out2 + spans[s2]
            runs[3 * count] = block + big * images * (4 * TALL)
            runs[3 * count + 1] = panel + small * images * PANEL
            runs[3 * count + 2] = spans[s2 + 2] * images
            count += 1
    return count


@compile_task
def _soon(p: Any, index: int, done: int, taps: int) -> tuple[int, int]:
    """While tap number `done` of a task's `taps` is computed: where the memory begins that is fetched meanwhile, and how many
    bytes. Even taps fetch the block of x that this thread is likely to take next, odd ones the next panel of g."""
    blocks, tap_blocks, threads_ = p.blocks, p.tap_blocks, p.threads
    if done % 2 == 0:
        following = min(index + threads_, p.tasks - 1) // tap_blocks
        block = following // blocks // p.panels * blocks + following % blocks
        size = p.block_bytes // ((taps + 1) // 2)
        return p.xs + block * p.block_bytes + size * (done // 2), size
    block, panel = index // tap_blocks % blocks, index // tap_blocks // blocks
    share = p.panel_bytes * threads_ // (blocks * tap_blocks)  # of the panel, by this task
    size = share // (taps // 2)
    start = min(p.panel_bytes - share, share * (block // threads_ * tap_blocks + index % tap_blocks))
    return p.gs + min(panel + 1, p.tasks // (tap_blocks * blocks) - 1) * p.panel_bytes + start + size * (
        done // 2
    ), size


def _tiles(parameters: int, index: int, thread: int) -> None:
    """Some taps of one block of input channels and one panel of output channels; see `plan_tiles` for the parameters."""
    p = record_at(parameters, _TILES)
    blocks, tap_blocks, taps, ins, outs = p.blocks, p.tap_blocks, p.taps, p.ins, p.outs
    spans = words_at(p.spans, 1 << 40)
    tile = p.scratch + thread * p.thread_bytes
    runs_at = tile + TILE
    runs = words_at(runs_at, 1 << 40)
    product, block, part = index // tap_blocks // blocks, index // tap_blocks % blocks, index % tap_blocks
    which, panel = product // p.panels, product % p.panels
    rows, columns = min(TALL, ins - block * TALL), min(WIDTH, outs - panel * WIDTH)
    a, b = p.xs + (which * blocks + block) * p.block_bytes, p.gs + product * p.panel_bytes
    first, last = taps * part // tap_blocks, taps * (part + 1) // tap_blocks
    for tap in range(first, last):
        c = p.out + 4 * (((which * taps + tap) * ins + block * TALL) * outs + panel * WIDTH)
        count = _list_runs(p, spans, tap, a, b, runs)
        depth = 0
        for r in range(count):
            depth += runs[3 * r + 2]
        soon, size = _soon(p, index, tap - first, last - first)
        pace = size // max(depth, 1) + 1
        if count == 0:
            if p.fresh:  # nothing meets this tap: zero, in the first portion
                for r in range(TALL):
                    row = floats_at(tile + PANEL * r, WIDTH)
                    for j in range(WIDTH):
                        row[j] = 0
                copy_tile(tile, rows, columns, c, 4 * outs)
            continue
        if p.fresh and rows == TALL and columns == WIDTH:
            microkernel(runs_at, count, 4, 4 * TALL, PANEL, c, 4 * outs, p.nothing, soon, pace, np.float32(1))
            continue
        microkernel(runs_at, count, 4, 4 * TALL, PANEL, tile, PANEL, p.nothing, soon, pace, np.float32(1))
        if p.fresh:
            copy_tile(tile, rows, columns, c, 4 * outs)
        else:
            add_tile(tile, rows, columns, c, 4 * outs)


_tiles_task = later(_tiles)


def _slots(geometry: Geometry) -> Array:
    """Where each big position is stored: along the last axis by its remainder modulo the stride."""
    last, stride = geometry.big[-1], geometry.stride[-1]
    rank = np.argsort(sorted(range(last), key=lambda i: (i % stride, i)))
    everything = np.arange(int(np.prod(geometry.big)), dtype=np.int64)
    return everything // last * last + rank[everything % last]


def spans_of(geometry: Geometry) -> Array:
    """For each axis and tap: first small position, its partner's slot, how many, the step from partner to partner."""
    rank, entries = _slots(geometry)[: geometry.big[-1]], []
    for axis in range(3):
        last = axis == 2
        for k in range(geometry.kernel[axis]):
            span = geometry.span(axis, k)
            o = span[0] if span else 0
            i = geometry.position(axis, o, k) if span else 0
            entries.append([o, int(rank[i]) if last else i, len(span), 1 if last else geometry.stride[axis]])
    return np.array(entries, np.int64).reshape(-1)


def scratch_floats(geometry: Geometry, images: int = 1) -> int:
    """Floats of scratch memory that a thread needs: a tile of the result and the runs of a tap, `images` for each of its rows."""
    most = images
    for axis in range(2):
        most *= max(1, *(len(geometry.span(axis, k)) for k in range(geometry.kernel[axis])))
    return TILE // 4 + whole_lines(2 * 3 * most)


def plan_tiles(
    xs: Array,
    gs: Array,
    geometry: Geometry,
    images: int,
    ins: int,
    outs: int,
    out: Array,
    scratch: Array,
    fresh: bool,
    sets: int = 1,
) -> Job:
    """The tiles of all taps, from packed operands; `fresh`: they are the result, else they are added to it.

    `geometry` has three axes; `xs` is (sets, blocks, position, image, TALL), `gs` (sets, panels, position, image, WIDTH), and
    `out` (sets, taps, ins, outs): as many independent products.
    """
    blocks, panels, size = -(-ins // TALL), -(-outs // WIDTH), threads.THREADS
    tap_blocks = min(geometry.taps, max(1, -(-TASKS * size // (sets * blocks * panels)))) if size > 1 else 1
    tasks, spans = sets * panels * blocks * tap_blocks, spans_of(geometry)
    p = filled(
        _TILES, xs=xs, block_bytes=4 * xs.size // (sets * blocks), gs=gs, panel_bytes=4 * gs.size // (sets * panels), out=out,
        images=images, k1=geometry.kernel[1], k2=geometry.kernel[2], k0=geometry.kernel[0], size1=geometry.big[1],
        size2=geometry.big[2], out1=geometry.small[1], out2=geometry.small[2], blocks=blocks, tap_blocks=tap_blocks,
        taps=geometry.taps, ins=ins, outs=outs, spans=spans, scratch=scratch, thread_bytes=scratch.size // size * 4,
        fresh=int(fresh), nothing=NOTHING, threads=size, panels=panels, tasks=tasks,
    )  # fmt: skip
    job = team().job(_tiles_task(), p, tasks)
    return keeping(job, spans, xs, gs, scratch)


def plan(x: Array, g: Array, geometry: Geometry, out: Array) -> Job:
    """conv_weight as a job."""
    three = geometry.lifted()
    images, ins, outs = len(x), x.shape[-1], g.shape[-1]
    wide_x, wide_g = -(-ins // TALL) * TALL, -(-outs // WIDTH) * WIDTH
    big, small = int(np.prod(three.big)), int(np.prod(three.small))
    portion = min(images, max(1, PORTION // small))
    xs, gs, scratch = workspace(
        big * portion * wide_x, small * portion * wide_g, threads.THREADS * scratch_floats(three)
    )
    x_slots, g_slots = _slots(three), np.arange(small, dtype=np.int64)
    jobs: list[Job] = []
    for first in range(0, images, portion):
        n = min(portion, images - first)
        x_part, g_part = xs[: big * n * wide_x], gs[: small * n * wide_g]
        jobs.append(plan_packing(x, first, n, x_slots, TALL, x_part))
        jobs.append(plan_packing(g, first, n, g_slots, WIDTH, g_part))
        jobs.append(plan_tiles(x_part, g_part, three, n, ins, outs, out, scratch, first == 0))
    return in_turn(*jobs)
