"""Convolution and transposed convolution in place, by register tiles: no patch matrix, no multiplication by padding.

The matrix product `patches @ weights` is cut into tiles of TALL rows as in `gemm.py`, but the rows of a tile are TALL
*images* at one and the same position. They lie a constant stride apart in memory, so the microkernel reads them where they are,
and they share the taps that are inside the image, so a tile sums over these only:

    out[n, o] = sum over r of  x[n, source(r)] . W[tap(r)]        r = 1 ... runs(o)

**Valid region.** Taps that fall into the padding are not in the list: a 5x5 'same' kernel on a 7x7 map has 29^2 pairs of
position and tap instead of 35^2, 31 % less.

**Phases.** A transposed convolution with stride s sends tap k to outputs i = o s + k d - p. For one output i only taps with
k d = i + p (mod s) contribute: s phases an axis, each a small stride-1 convolution of its own, and the outputs of the phases
interleave. Here a phase is nothing but the list of its positions: the same loop serves both maps, without scatter and without
an intermediate array.

    kernel 5, stride 2, p = 1:    even i: k = 1, 3     (o = i/2, i/2 - 1)
                                  odd  i: k = 0, 2, 4  (o = (i+1)/2, (i-1)/2, (i-3)/2)

**Runs.** Channels come last, so neighbouring positions are one stretch of memory. Taps along the last axis whose sources are
neighbours are stored side by side in the packed weights (in each phase, in falling order for the transposed map), and are summed
as one run of a greater depth.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.gemm_microkernel import LANES, NOTHING, TALL, WIDTH, leak, microkernel
from minigan.kernels.cpu.gemm_packing import pack
from minigan.kernels.cpu.team import Job, keeping, team
from minigan.kernels.cpu.workspace import whole_lines, workspace
from minigan.kernels.geometry import Geometry

PANEL = 4 * WIDTH  # bytes of a row of a packed panel
TILE = 4 * whole_lines(WIDTH * TALL)  # bytes of a tile of the result that is not stored where it belongs
TASKS = 16  # tasks a thread, where there is work for so many


def tap_order(geometry: Geometry, transposed: bool) -> list[int]:
    """The taps of the last axis in the order that they are packed in: those with neighbouring sources together."""
    k, s, d = geometry.kernel[-1], geometry.stride[-1], geometry.dilation[-1]
    return sorted(range(k), key=lambda tap: (tap * d % s, -tap)) if transposed else list(range(k))


def _meetings(geometry: Geometry, axis: int, transposed: bool) -> list[list[tuple[int, int]]]:
    """For each output position along an axis, its (source, tap) pairs in the order of packing."""
    outputs: list[list[tuple[int, int]]] = [
        [] for _ in range(geometry.big[axis] if transposed else geometry.small[axis])
    ]
    last = axis == geometry.ndim - 1
    order = tap_order(geometry, transposed) if last else list(range(geometry.kernel[axis]))
    for slot, k in enumerate(order):
        for o in geometry.span(axis, k):
            i = geometry.position(axis, o, k)
            outputs[i if transposed else o].append((o, slot) if transposed else (i, slot))
    return outputs


def axis_table(geometry: Geometry, axis: int, transposed: bool) -> Array:
    """Runs of one axis as integers: where the entries of each output position begin (and end), then the entries
    (source, slot of the tap, positions in the run)."""
    merge = axis == geometry.ndim - 1
    starts, entries = [0], []
    for pairs in _meetings(geometry, axis, transposed):
        mine: list[list[int]] = []
        for source, slot in pairs:
            if merge and mine and mine[-1][0] + mine[-1][2] == source and mine[-1][1] + mine[-1][2] == slot:
                mine[-1][2] += 1
            else:
                mine.append([source, slot, 1])
        entries += mine
        starts.append(len(entries))
    head = np.array(starts) * 3 + len(starts)
    return np.concatenate([head, np.array(entries, np.int64).reshape(-1)]).astype(np.int64)


@lru_cache(maxsize=256)
def tables(geometry: Geometry, transposed: bool) -> tuple[Array, Array, Array, int]:
    """The tables of the three axes, and the longest list of runs of an output position."""
    three = geometry.lifted()
    made = [axis_table(three, axis, transposed) for axis in range(3)]
    longest = 1
    for axis, table in enumerate(made):
        heads = table[: (three.big if transposed else three.small)[axis] + 1]
        longest *= int(np.diff(heads).max()) // 3
    return made[0], made[1], made[2], max(1, longest)


# -- packing the weights ---------------------------------------------------------------------------------------------
@compile_task
def pack_partial(b: int, b_row: int, b_column: int, depth: int, columns: int, panel: int) -> None:
    """`columns` < WIDTH columns of a matrix as (depth, WIDTH) floats, zeros in the rest."""
    for k in range(depth):
        target = floats_at(panel + PANEL * k, WIDTH)
        for j in range(WIDTH):
            target[j] = 0
        for j in range(columns):
            target[j] = floats_at(b + k * b_row + j * b_column, 1)[0]


_WEIGHTS = record("w taps row column depth columns packed slots")


def _pack_weights(parameters: int, index: int, thread: int) -> None:
    """One tap of one panel; see `plan_packing` for the parameters."""
    p = record_at(parameters, _WEIGHTS)
    taps, depth, columns = p.taps, p.depth, p.columns
    slots = words_at(p.slots, taps)
    panel, tap = index // taps, index % taps
    source = p.w + 4 * depth * columns * tap
    target = p.packed + PANEL * depth * (taps * panel + slots[tap])
    j = panel * WIDTH
    if columns - j >= WIDTH and (p.column == 4 or depth >= LANES):
        pack(source, p.row, p.column, depth, j, target)
    else:
        pack_partial(source + j * p.column, p.row, p.column, depth, min(WIDTH, columns - j), target)


_pack_task = later(_pack_weights)


def plan_packing(w: Array, geometry: Geometry, transposed: bool, packed: Array) -> Job:
    """The weights as panels (panel, slot, depth, WIDTH) in `packed`."""
    taps, last = geometry.taps, geometry.kernel[-1]
    rank = np.argsort(tap_order(geometry, transposed))
    slots = (np.arange(taps) // last * last + rank[np.arange(taps) % last]).astype(np.int64)
    depth, columns = (w.shape[-1], w.shape[-2]) if transposed else w.shape[-2:]
    row, column = (4, 4 * depth) if transposed else (4 * columns, 4)
    p = filled(
        _WEIGHTS, w=w, taps=taps, row=row, column=column, depth=depth, columns=columns, packed=packed, slots=slots
    )
    job = team().job(_pack_task(), p, taps * -(-columns // WIDTH))
    return keeping(job, slots)


# -- the tiles -------------------------------------------------------------------------------------------------------
_TILES = record(
    "source image size1 size2 pixel packed panel_bytes channels k1 k2 out out_image out_pixel out0 out1 "
    "out2 bias images columns group_blocks row_blocks scratch thread_bytes t0 t1 t2 biased threads",
    "slope",
)


@compile_task
def _list_runs(p: Any, o0: int, o1: int, o2: int, base: int, panel: int, runs: Array) -> int:
    """The runs of one output position, (address in the source, address in the packed panel, depth); how many."""
    heads = words_at(p.t0, 1 << 40)
    t0, t1, t2 = heads, words_at(p.t1, 1 << 40), words_at(p.t2, 1 << 40)
    size1, size2, channels, k1, k2, pixel = p.size1, p.size2, p.channels, p.k1, p.k2, p.pixel
    count = 0
    for e0 in range(t0[o0], t0[o0 + 1], 3):
        for e1 in range(t1[o1], t1[o1 + 1], 3):
            line, tap = (t0[e0] * size1 + t1[e1]) * size2, (t0[e0 + 1] * k1 + t1[e1 + 1]) * k2
            for e2 in range(t2[o2], t2[o2 + 1], 3):
                runs[3 * count] = base + (line + t2[e2]) * pixel
                runs[3 * count + 1] = panel + (tap + t2[e2 + 1]) * channels * PANEL
                runs[3 * count + 2] = t2[e2 + 2] * channels
                count += 1
    return count


@compile_task
def copy_tile(tile: int, rows: int, columns: int, c: int, c_row: int) -> None:
    """The first rows and columns of a tile into C."""
    for r in range(rows):
        source = floats_at(tile + PANEL * r, columns)
        target = floats_at(c + r * c_row, columns)
        for n in range(columns):
            target[n] = source[n]


@compile_task
def _fill(bias: int, slope: float, tile: int) -> None:
    """A tile of positions that meet no tap: f(bias)."""
    b = floats_at(bias, WIDTH)
    for r in range(TALL):
        row = floats_at(tile + PANEL * r, WIDTH)
        for n in range(WIDTH):
            row[n] = leak(b[n], slope) if b[n] <= 0 else b[n]


def _tiles(parameters: int, index: int, thread: int) -> None:
    """Some images, some rows of positions, one panel of channels; see `plan` for the parameters."""
    p = record_at(parameters, _TILES)
    slope = np.float32(p.slope)
    images, columns, group_blocks, row_blocks = p.images, p.columns, p.group_blocks, p.row_blocks
    scratch = p.scratch + thread * p.thread_bytes
    tile = scratch
    runs_at = scratch + TILE
    runs = words_at(runs_at, 1 << 40)
    panel_index, rest = index // (group_blocks * row_blocks), index % (group_blocks * row_blocks)
    groups, rows = (images + TALL - 1) // TALL, p.out0 * p.out1
    group_block, row_block = rest // row_blocks, rest % row_blocks
    width = min(WIDTH, columns - panel_index * WIDTH)
    panel = p.packed + panel_index * p.panel_bytes
    bias = p.bias + PANEL * panel_index * p.biased
    stop = groups * (group_block + 1) // group_blocks
    for group in range(groups * group_block // group_blocks, stop):
        first = min(group * TALL, images - TALL)
        # While this group is computed, the images of the one that this thread is likely to take next are fetched.
        following = group + 1 if group + 1 < stop else (group + p.threads) % groups
        soon = p.source + min(following * TALL, images - TALL) * p.image
        for row in range(rows * row_block // row_blocks, rows * (row_block + 1) // row_blocks):
            for o2 in range(p.out2):
                c = p.out + first * p.out_image + (row * p.out2 + o2) * p.out_pixel + PANEL * panel_index
                count = _list_runs(p, row // p.out1, row % p.out1, o2, p.source + first * p.image, panel, runs)
                depth = 0
                for r in range(count):
                    depth += runs[3 * r + 2]
                part, parts = row * p.out2 + o2, rows * p.out2
                ahead = soon + TALL * p.image * part // parts
                pace = TALL * p.image // (parts * max(depth, 1)) + 1
                if count and width == WIDTH:
                    microkernel(runs_at, count, p.image, 4, PANEL, c, p.out_image, bias, ahead, pace, slope)
                    continue
                if count:
                    microkernel(runs_at, count, p.image, 4, PANEL, tile, PANEL, bias, ahead, pace, slope)
                else:
                    _fill(bias, slope, tile)
                copy_tile(tile, TALL, width, c, p.out_image)


_tiles_task = later(_tiles)


def _few_images(
    source: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array, transposed: bool
) -> Job:
    """The same for fewer images than a tile has rows: with images of zeros beside them."""
    n = len(source)
    more, made = (np.zeros((TALL, *a.shape[1:]), np.float32) for a in (source, out))
    job = plan(more, w, bias, geometry, slope, made, transposed)

    def run() -> None:
        more[:n] = source
        job()
        out[...] = made[:n]

    return run


def plan(
    source: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array, transposed: bool
) -> Job:
    """conv (or conv_transpose) as a job, bias and leaky ReLU (slope 1: none) in the epilogue. float32."""
    if len(source) < TALL:
        return _few_images(source, w, bias, geometry, slope, out, transposed)
    three = geometry.lifted()
    inputs, outputs = (three.small, three.big) if transposed else (three.big, three.small)
    images, depth, columns = len(source), source.shape[-1], out.shape[-1]
    panels, groups, rows = -(-columns // WIDTH), -(-images // TALL), outputs[0] * outputs[1]
    size = threads.THREADS
    wanted = -(-TASKS * size // panels) if size > 1 else 1
    group_blocks = min(groups, wanted)
    row_blocks = min(rows, -(-wanted // group_blocks))
    *axes, longest = tables(geometry, transposed)
    per_thread = TILE // 4 + whole_lines(2 * 3 * longest)
    packed, scratch, padded = workspace(panels * geometry.taps * depth * WIDTH, size * per_thread, panels * WIDTH)
    t0, t1, t2 = axes
    p = filled(
        _TILES, source=source, image=source[0].nbytes, size1=inputs[1], size2=inputs[2], pixel=4 * depth,
        packed=packed, panel_bytes=PANEL * geometry.taps * depth, channels=depth, k1=three.kernel[1], k2=three.kernel[2],
        out=out, out_image=out[0].nbytes, out_pixel=4 * columns, out0=outputs[0], out1=outputs[1], out2=outputs[2],
        bias=NOTHING if bias is None else padded, images=images, columns=columns, group_blocks=group_blocks,
        row_blocks=row_blocks, scratch=scratch, thread_bytes=4 * per_thread, t0=t0, t1=t1, t2=t2,
        biased=int(bias is not None), threads=size, slope=slope,
    )  # fmt: skip
    packing = plan_packing(w, geometry, transposed, packed)
    tiling = team().job(_tiles_task(), p, panels * group_blocks * row_blocks)

    def run(_keep: tuple[Array, ...] = (*axes, packed, scratch)) -> None:
        if bias is not None:
            padded[:columns] = bias
        packing()
        tiling()

    return run
