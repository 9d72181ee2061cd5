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

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import address_of, compile_task, floats_at, later, words_at
from minigan.kernels.cpu.conv_tiles import PANEL, TASKS, TILE, copy_tile, in_turn, keeping
from minigan.kernels.cpu.gemm import TALL, WIDTH, _nothing, microkernel
from minigan.kernels.cpu.team import Job, team
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


def _pack(parameters: int, index: int, thread: int) -> None:
    """Some positions of all images as (channel // width, slot of the position, image, width)."""
    p = words_at(parameters, 9)
    images, positions, channels, width = p[2], p[3], p[4], p[8]
    slots = words_at(p[6], positions)
    panel = positions * images * width
    for position in range(index * ROWS, min(positions, (index + 1) * ROWS)):
        for n in range(images):
            source = floats_at(p[0] + n * p[1] + 4 * channels * position, channels)
            target = floats_at(p[5] + 4 * width * (slots[position] * images + n), p[7])
            pack_row(source, channels, width, target, panel)


_pack_task = later(_pack)


def plan_packing(a: Array, first: int, images: int, slots: Array, width: int, packed: Array) -> Job:
    """Images first ... first + images of `a`, packed into `packed` with `width` channels together."""
    positions, channels = slots.size, a.shape[-1]
    p = np.array([
        address_of(a) + first * a[0].nbytes, a[0].nbytes, images, positions, channels,
        address_of(packed), address_of(slots), packed.size, width,
    ])  # fmt: skip
    return keeping(team().job(_pack_task(), p, -(-positions // ROWS)), slots, packed)


# -- the tiles -------------------------------------------------------------------------------------------------------
@compile_task
def _add_tile(tile: int, rows: int, columns: int, c: int, c_row: int) -> None:
    """C += the first rows and columns of a tile."""
    for r in range(rows):
        source = floats_at(tile + PANEL * r, columns)
        target = floats_at(c + r * c_row, columns)
        for n in range(columns):
            target[n] += source[n]


@compile_task
def _list_runs(p: Array, spans: Array, tap: int, block: int, panel: int, runs: Array) -> int:
    """The runs of a tap, one a row of positions that it pairs; how many. `spans` holds for each axis and tap the first small
    position, the slot of its partner (of a row: the index), how many, and the step from partner to partner."""
    k1, k2, images = p[6], p[7], p[5]
    s0, s1, s2 = 4 * (tap // (k1 * k2)), 4 * (p[8] + tap // k2 % k1), 4 * (p[8] + k1 + tap % k2)
    size1, size2, out1, out2 = p[9], p[10], p[11], p[12]
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
def _soon(p: Array, index: int, done: int, taps: int) -> tuple[int, int]:
    """While tap number `done` of a task's `taps` is computed: where the memory begins that is fetched meanwhile, and how many
    bytes. Even taps fetch the block of x that this thread is likely to take next, odd ones the next panel of g."""
    blocks, tap_blocks, threads_ = p[13], p[14], p[23]
    if done % 2 == 0:
        following = min(index + threads_, p[25] - 1) // tap_blocks
        block = following // blocks // p[24] * blocks + following % blocks
        size = p[1] // ((taps + 1) // 2)
        return p[0] + block * p[1] + size * (done // 2), size
    block, panel = index // tap_blocks % blocks, index // tap_blocks // blocks
    share = p[3] * threads_ // (blocks * tap_blocks)  # of the panel, by this task
    size = share // (taps // 2)
    start = min(p[3] - share, share * (block // threads_ * tap_blocks + index % tap_blocks))
    return p[2] + min(panel + 1, p[25] // (tap_blocks * blocks) - 1) * p[3] + start + size * (done // 2), size


def _tiles(parameters: int, index: int, thread: int) -> None:
    """Some taps of one block of input channels and one panel of output channels; see `plan_tiles` for the parameters."""
    p = words_at(parameters, 26)
    blocks, tap_blocks, taps, ins, outs = p[13], p[14], p[15], p[16], p[17]
    spans = words_at(p[18], 1 << 40)
    tile = p[19] + thread * p[20]
    runs_at = tile + TILE
    runs = words_at(runs_at, 1 << 40)
    product, block, part = index // tap_blocks // blocks, index // tap_blocks % blocks, index % tap_blocks
    which, panel = product // p[24], product % p[24]
    rows, columns = min(TALL, ins - block * TALL), min(WIDTH, outs - panel * WIDTH)
    a, b = p[0] + (which * blocks + block) * p[1], p[2] + product * p[3]
    first, last = taps * part // tap_blocks, taps * (part + 1) // tap_blocks
    for tap in range(first, last):
        c = p[4] + 4 * (((which * taps + tap) * ins + block * TALL) * outs + panel * WIDTH)
        count = _list_runs(p, spans, tap, a, b, runs)
        depth = 0
        for r in range(count):
            depth += runs[3 * r + 2]
        soon, size = _soon(p, index, tap - first, last - first)
        pace = size // max(depth, 1) + 1
        if count == 0:
            if p[21]:  # nothing meets this tap: zero, in the first portion
                for r in range(TALL):
                    row = floats_at(tile + PANEL * r, WIDTH)
                    for j in range(WIDTH):
                        row[j] = 0
                copy_tile(tile, rows, columns, c, 4 * outs)
            continue
        if p[21] and rows == TALL and columns == WIDTH:
            microkernel(runs_at, count, 4, 4 * TALL, PANEL, c, 4 * outs, p[22], soon, pace, np.float32(1))
            continue
        microkernel(runs_at, count, 4, 4 * TALL, PANEL, tile, PANEL, p[22], soon, pace, np.float32(1))
        if p[21]:
            copy_tile(tile, rows, columns, c, 4 * outs)
        else:
            _add_tile(tile, rows, columns, c, 4 * outs)


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
    p = np.array([
        address_of(xs), 4 * xs.size // (sets * blocks), address_of(gs), 4 * gs.size // (sets * panels), address_of(out), images,
        geometry.kernel[1], geometry.kernel[2], geometry.kernel[0], geometry.big[1], geometry.big[2],
        geometry.small[1], geometry.small[2], blocks, tap_blocks, geometry.taps, ins, outs, address_of(spans),
        address_of(scratch), scratch.size // size * 4, int(fresh), address_of(_nothing), size, panels, tasks,
    ])  # fmt: skip
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
