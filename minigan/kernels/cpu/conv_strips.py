"""Convolution and its weight gradient with few input channels: patches of a strip of positions, gathered where they are used.

With three input channels the taps that a position meets are a few short stretches of memory: as runs of a tile they take longer
to begin than to multiply, and as a matrix of patches (`conv_patches.py`) they are written to memory, taps times as large as the
input, and read back. Here a task takes a strip of some 64 neighbouring positions, whatever images and rows they are of, gathers
their patches into an array of (position, tap and channel) that stays in the first-level cache, and multiplies

    conv          out[positions] = f(patches W + bias)         positions are the rows of a tile, one run of all taps
    conv_weight   dW += patches^T g[positions]                 taps and channels are the rows, one run of all positions

so x is read once, g is read where it lies and out is written in order. A gather copies, for each tap of the axes before the last,
the row of x that it meets between zeros, then for each position the stretch of it under the taps of the last axis, by whole
registers: what a copy spills beyond its end the next tap's copy overwrites, and nothing lies behind the last tap's.

Weight gradients are summed strip by strip, in parts of the strips that are added at the end, in order and in double: so results
repeat, on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.conv_tiles import PANEL, TILE, copy_tile, plan_packing
from minigan.kernels.cpu.conv_weight_tiles import add_tile
from minigan.kernels.cpu.gemm_microkernel import LANES, NOTHING, TALL, WIDTH, load_vector, microkernel, store_vector
from minigan.kernels.cpu.registers import LINE, processor
from minigan.kernels.cpu.strips import pitch, strip_lines
from minigan.kernels.cpu.sums import column_sum
from minigan.kernels.cpu.team import Job, in_turn, keeping, team
from minigan.kernels.cpu.workspace import whole_lines, workspace
from minigan.kernels.geometry import Geometry

REGISTERS = processor().tile
PARTS = 16  # of the strips, which are summed by themselves
POINT = Geometry((1,), (1,), (1,), (0,), (1,), (1,))  # one position and one tap: weights that are a matrix


def _copy_register(typing: Any, source: Any, target: Any) -> Any:
    """LANES floats from one address to another."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        store_vector(builder, load_vector(builder, args[0], 0), args[1])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


_copy: Any = intrinsic(_copy_register)

_STRIPS = record(
    "x size0 size1 length k0 k1 s0 s1 d0 d1 low0 low1 out0 out1 out2 before width row_bytes step reach pitch depth lines taken "
    "scratch thread_bytes strip_at tile_at run_at other result columns panels panel_bytes bias biased parts nothing",
    "slope",
)


@compile_task
def _take_row(p: Any, n: int, i0: int, i1: int, row: int) -> None:
    """One row of x between zeros; all zeros where it lies outside."""
    target, before = floats_at(row, p.width), min(p.before, p.width)
    inside = min(p.length, p.width - before) if 0 <= i0 < p.size0 and 0 <= i1 < p.size1 else 0
    source = floats_at(p.x + 4 * ((n * p.size0 + i0) * p.size1 + i1) * p.length, inside)
    for j in range(before):
        target[j] = 0
    for j in range(inside):
        target[before + j] = source[j]
    for j in range(before + inside, target.size):
        target[j] = 0


@compile_task
def _gather(p: Any, first: int, lines: int, rows: int, strip: int) -> None:
    """The patches of the positions of some lines, at the address `strip`; `rows`: room for the rows of x that a line meets."""
    k0, k1, row_bytes, reach, out2, step, pitch = p.k0, p.k1, p.row_bytes, 4 * p.reach, p.out2, p.step, p.pitch
    target = strip
    for line in range(first, first + lines):
        n, o0, o1 = line // (p.out0 * p.out1), line // p.out1 % p.out0, line % p.out1
        for t in range(k0 * k1):
            i0, i1 = o0 * p.s0 + t // k1 * p.d0 - p.low0, o1 * p.s1 + t % k1 * p.d1 - p.low1
            _take_row(p, n, i0, i1, rows + t * row_bytes)
        for t in range(k0 * k1):
            for at in range(0, reach, 4 * LANES):
                source, to = rows + t * row_bytes + at, target + t * reach + at
                for _ in range(out2):
                    _copy(source, to)
                    source += step
                    to += pitch
        target += out2 * pitch


def _conv(parameters: int, index: int, thread: int) -> None:
    """One strip of outputs; see `_filled` for the parameters."""
    p = record_at(parameters, _STRIPS)
    slope, depth, columns = np.float32(p.slope), p.depth, p.columns
    scratch = p.scratch + thread * p.thread_bytes
    strip, tile, runs = scratch + p.strip_at, scratch + p.tile_at, scratch + p.run_at
    first, positions = min(index * p.taken, p.lines - p.taken), p.taken * p.out2
    _gather(p, first, p.taken, scratch, strip)
    run = words_at(runs, 3)
    run[2] = depth
    for panel in range(p.panels):
        run[1], width = p.other + panel * p.panel_bytes, min(WIDTH, columns - panel * WIDTH)
        bias, c = p.bias + PANEL * panel * p.biased, p.result + 4 * first * p.out2 * columns + PANEL * panel
        for part in range((positions + TALL - 1) // TALL):
            i = min(part * TALL, positions - TALL)
            run[0], to = strip + i * p.pitch, c + 4 * i * columns
            if width == WIDTH:
                microkernel(runs, 1, p.pitch, 4, PANEL, to, 4 * columns, bias, strip, 0, slope)
            else:
                microkernel(runs, 1, p.pitch, 4, PANEL, tile, PANEL, bias, strip, 0, slope)
                copy_tile(tile, TALL, width, to, 4 * columns)


def _weight(parameters: int, index: int, thread: int) -> None:
    """One part of the strips, into sums of its own; see `_filled` for the parameters."""
    p = record_at(parameters, _STRIPS)
    depth, columns, taken = p.depth, p.columns, p.taken
    scratch = p.scratch + thread * p.thread_bytes
    strip, tile, runs = scratch + p.strip_at, scratch + p.tile_at, scratch + p.run_at
    run, strips = words_at(runs, 3), (p.lines + taken - 1) // taken
    into = p.result + 4 * index * depth * columns
    sums = floats_at(into, depth * columns)
    for j in range(depth * columns):
        sums[j] = 0
    for number in range(strips * index // p.parts, strips * (index + 1) // p.parts):
        first = number * taken
        lines = min(taken, p.lines - first)
        _gather(p, first, lines, scratch, strip)
        run[2] = lines * p.out2
        for panel in range(p.panels):
            run[1] = p.other + 4 * first * p.out2 * columns + PANEL * panel
            for row in range(0, depth, TALL):
                run[0] = strip + 4 * row
                microkernel(runs, 1, 4, p.pitch, 4 * columns, tile, PANEL, p.nothing, strip, 0, np.float32(1))
                add_tile(tile, min(TALL, depth - row), WIDTH, into + 4 * row * columns + PANEL * panel, 4 * columns)


_conv_task, _weight_task = later(_conv), later(_weight)


def _filled(x: Array, geometry: Geometry, other: Array, result: Array, scratch: Array, more: dict[str, Any]) -> Array:
    """The parameters of both tasks. `other`: the packed weights, or g; `result`: the outputs, or the parts' sums."""
    three, channels, columns = geometry.lifted(), x.shape[-1], more["columns"]
    width, row_bytes, strip, floats = _sizes(geometry, len(x), channels)
    return filled(
        _STRIPS, x=x, size0=three.big[0], size1=three.big[1], length=three.big[2] * channels, k0=three.kernel[0],
        k1=three.kernel[1], s0=three.stride[0], s1=three.stride[1], d0=three.dilation[0], d1=three.dilation[1],
        low0=three.low[0], low1=three.low[1], out0=three.small[0], out1=three.small[1], out2=three.small[2],
        before=three.low[2] * channels, width=width, row_bytes=row_bytes, step=4 * three.stride[2] * channels,
        reach=three.kernel[2] * channels, pitch=4 * pitch(geometry, channels, REGISTERS), depth=geometry.taps * channels,
        lines=len(x) * three.small[0] * three.small[1], taken=strip_lines(geometry, len(x), REGISTERS), scratch=scratch,
        thread_bytes=4 * floats, strip_at=strip, tile_at=4 * floats - 4 * LINE - TILE, run_at=4 * floats - 4 * LINE,
        other=other, result=result, columns=columns, panels=-(-columns // WIDTH),
        panel_bytes=PANEL * geometry.taps * channels, bias=more.get("bias", NOTHING), biased=int("bias" in more),
        parts=more.get("parts", 1), nothing=NOTHING, slope=more.get("slope", 1.0),
    )  # fmt: skip


def _sizes(geometry: Geometry, images: int, channels: int) -> tuple[int, int, int, int]:
    """(floats of a row of x that a line of positions reaches, bytes from row to row, where the patches begin in the scratch
    memory, in bytes, and its floats): the rows, the patches, a tile, a run. Copies by whole registers, and tiles of fewer rows,
    reach beyond the end of each."""
    three = geometry.lifted()
    width = ((three.small[2] - 1) * three.stride[2] + three.kernel[2]) * channels
    row = whole_lines(width + LANES)
    rows = three.kernel[0] * three.kernel[1] * row
    patches = strip_lines(geometry, images, REGISTERS) * three.small[2] * pitch(geometry, channels, REGISTERS) + TALL
    return width, 4 * row, 4 * rows, rows + whole_lines(patches) + TILE // 4 + LINE


def plan(x: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array) -> Job:
    """conv as a job, bias and leaky ReLU (slope 1: none) in the epilogue. float32; ask `strips.fits` first."""
    depth, columns = geometry.taps * x.shape[-1], w.shape[-1]
    panels, floats = -(-columns // WIDTH), _sizes(geometry, len(x), x.shape[-1])[-1]
    packed, scratch, padded = workspace(panels * depth * WIDTH, threads.THREADS * floats, panels * WIDTH)
    more = {"columns": columns, "slope": slope} | ({} if bias is None else {"bias": padded})
    p = _filled(x, geometry, packed, out, scratch, more)
    lines = len(x) * int(np.prod(geometry.small[:-1]))
    packing = plan_packing(w.reshape(1, depth, columns), POINT, False, packed)
    strips = team().job(_conv_task(), p, -(-lines // strip_lines(geometry, len(x), REGISTERS)))

    def run(_keep: tuple[Array, ...] = (packed, scratch)) -> None:
        if bias is not None:
            padded[:columns] = bias
        packing()
        strips()

    return run


def plan_weight(x: Array, g: Array, geometry: Geometry, out: Array) -> Job:
    """conv_weight as a job, for a multiple of WIDTH output channels. float32; ask `strips.fits` first."""
    depth, columns = geometry.taps * x.shape[-1], g.shape[-1]
    lines = len(x) * int(np.prod(geometry.small[:-1]))
    parts = min(PARTS, -(-lines // strip_lines(geometry, len(x), REGISTERS)))
    floats = _sizes(geometry, len(x), x.shape[-1])[-1]
    sums, scratch = workspace(parts * depth * columns, threads.THREADS * floats)
    p = _filled(x, geometry, g, sums, scratch, {"columns": columns, "parts": parts})
    return in_turn(
        keeping(team().job(_weight_task(), p, parts), sums, scratch),
        column_sum(sums.reshape(parts, -1), out.reshape(-1)),
    )
