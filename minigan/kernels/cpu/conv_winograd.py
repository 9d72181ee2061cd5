"""Convolution by Winograd's filter along the last axis, direct along the others. The derivation is in `winograd.py`.

Outputs along the last axis are taken OUTPUTS at a time, from n = OUTPUTS + taps - 1 inputs. For each of the n points:

    V = B^T d    inputs (image, point, row, block, channel), one pass over x
    U = G w      weights (panel, point, tap of the other axes, channel, WIDTH), from the packed panels
    M = sum over the other axes' taps of V U, by the register tiles of `conv_tiles.py`, valid region included
    y = A^T M    while M is in cache, with bias and activation

A transposed convolution with stride 1 is a convolution with its taps in reverse order and the padding taps - 1 - p.

The weight gradient is the filter with the roles changed, g's OUTPUTS positions being its taps:

    dw = A'^T [sum over images, rows and blocks of (B^T d) (G' g)^T]

so inputs and cotangents are transformed while they are packed, and A'^T acts once on the sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from minigan.backend import Array
from minigan.kernels.cpu import conv_tiles, conv_weight_tiles, threads, winograd
from minigan.kernels.cpu.compiler import (
    compile_ordered,
    compile_task,
    filled,
    floats_at,
    later,
    record,
    record_at,
    words_at,
)
from minigan.kernels.cpu.conv_cost import WINOGRAD_OUTPUTS as OUTPUTS
from minigan.kernels.cpu.conv_tiles import PANEL, TASKS, copy_tile
from minigan.kernels.cpu.conv_weight_tiles import pack_row
from minigan.kernels.cpu.gemm_microkernel import (
    LANES,
    TALL,
    VECTORS,
    WIDTH,
    fused_multiply_add,
    leaky_relu,
    load_vector,
    microkernel,
    spread,
    store_vector,
)
from minigan.kernels.cpu.registers import LINE
from minigan.kernels.cpu.team import Job, in_turn, keeping, team
from minigan.kernels.cpu.workspace import whole_lines, workspace
from minigan.kernels.geometry import Geometry

POINTS = winograd.LARGEST
PART = 1024  # floats of a panel that are transformed at a time: eight such rows fit into the first-level cache
ADDRESSES = 4 * whole_lines(2 * OUTPUTS)  # bytes of the addresses of OUTPUTS rows
ASIDE = ADDRESSES + 4 * whole_lines(PANEL * OUTPUTS // 4)  # bytes for outputs that are not stored where they are made
KEPT = 256 * 1024  # bytes of M that a task keeps: they stay in the second-level cache


def blocks_of(size: int) -> int:
    """Blocks of OUTPUTS that cover an axis."""
    return -(-size // OUTPUTS)


# -- linear combinations of rows -------------------------------------------------------------------------------------
@compile_ordered
def combine(matrix: Array, row: int, rows: Array, length: int, target: Array) -> None:
    """target = sum over j of matrix[row, j] times the row of floats at address rows[j]; POINTS terms."""
    m = POINTS * row
    a0, a1, a2, a3 = matrix[m], matrix[m + 1], matrix[m + 2], matrix[m + 3]
    a4, a5, a6, a7 = matrix[m + 4], matrix[m + 5], matrix[m + 6], matrix[m + 7]
    r0, r1 = floats_at(rows[0], length), floats_at(rows[1], length)
    r2, r3 = floats_at(rows[2], length), floats_at(rows[3], length)
    r4, r5 = floats_at(rows[4], length), floats_at(rows[5], length)
    r6, r7 = floats_at(rows[6], length), floats_at(rows[7], length)
    for c in range(length):
        target[c] = (a0 * r0[c] + a1 * r1[c] + (a2 * r2[c] + a3 * r3[c])) + (
            a4 * r4[c] + a5 * r5[c] + (a6 * r6[c] + a7 * r7[c])
        )


def _square(matrix: Array) -> Array:
    """A matrix as float32 in the upper left of POINTS x POINTS, flat."""
    full = np.zeros((POINTS, POINTS), np.float32)
    full[: matrix.shape[0], : matrix.shape[1]] = matrix
    return full.reshape(-1)


# -- inputs ----------------------------------------------------------------------------------------------------------
_INPUTS = record("x transformed size channels blocks points before zeros matrix rows lines image_bytes")


def _inputs(parameters: int, index: int, thread: int) -> None:
    """The inputs of one image; see `plan_inputs` for the parameters."""
    p = record_at(parameters, _INPUTS)
    size, channels, blocks, points, before, zeros = p.size, p.channels, p.blocks, p.points, p.before, p.zeros
    matrix = floats_at(p.matrix, POINTS * POINTS)
    rows = words_at(p.rows + thread * 8 * POINTS, POINTS)
    lines = p.lines
    for line in range(lines):
        for block in range(blocks):
            for j in range(POINTS):
                at = block * OUTPUTS - before + j
                inside = j < points and 0 <= at < size
                rows[j] = p.x + 4 * ((index * lines + line) * size + at) * channels if inside else zeros
            for point in range(points):
                place = p.transformed + index * p.image_bytes + 4 * ((point * lines + line) * blocks + block) * channels
                combine(matrix, point, rows, channels, floats_at(place, channels))


_inputs_task = later(_inputs)


def image_floats(floats: int) -> int:
    """Floats from image to image: five cache lines more than a page's multiple, or else the rows of a tile, one an image, would
    compete for the same places in the first-level cache."""
    return -(-floats // 1024) * 1024 + 5 * LINE


def plan_inputs(x: Array, before: int, blocks: int, matrix: Array, points: int, transformed: Array) -> Job:
    """V (image, point, row, block, channel) of x (image, *rows, position, channel); `before` zeros precede each row."""
    size, channels = x.shape[-2:]
    rows, zeros = x[0].size // (size * channels), np.zeros(channels, np.float32)
    addresses, square = np.zeros(POINTS * threads.THREADS, np.int64), _square(matrix)
    p = filled(
        _INPUTS, x=x, transformed=transformed, size=size, channels=channels, blocks=blocks, points=points, before=before,
        zeros=zeros, matrix=square, rows=addresses, lines=rows,
        image_bytes=4 * image_floats(rows * blocks * points * channels),
    )  # fmt: skip
    return keeping(team().job(_inputs_task(), p, len(x)), zeros, addresses, square, transformed)


# -- weights ---------------------------------------------------------------------------------------------------------
_WEIGHTS = record("packed transformed others taps points length zeros matrix rows")


def _weights(parameters: int, index: int, thread: int) -> None:
    """One tap of the other axes of one panel; see `plan_weights` for the parameters."""
    p = record_at(parameters, _WEIGHTS)
    others, taps, points, length, zeros = p.others, p.taps, p.points, p.length, p.zeros
    matrix = floats_at(p.matrix, POINTS * POINTS)
    rows = words_at(p.rows + thread * 8 * POINTS, POINTS)
    panel, other = index // others, index % others
    for start in range(0, length, PART):
        part = min(PART, length - start)
        for j in range(POINTS):
            rows[j] = p.packed + 4 * (((panel * others + other) * taps + j) * length + start) if j < taps else zeros
        for point in range(points):
            target = floats_at(p.transformed + 4 * (((panel * points + point) * others + other) * length + start), part)
            combine(matrix, point, rows, part, target)


_weights_task = later(_weights)


def plan_weights(packed: Array, panels: int, geometry: Geometry, depth: int, matrix: Array, transformed: Array) -> Job:
    """U (panel, point, other taps, depth, WIDTH) of weights packed as (panel, other taps, tap, depth, WIDTH)."""
    taps, points = geometry.kernel[-1], len(matrix)
    others, zeros = geometry.taps // taps, np.zeros(PART, np.float32)
    addresses, square = np.zeros(POINTS * threads.THREADS, np.int64), _square(matrix)
    p = filled(
        _WEIGHTS, packed=packed, transformed=transformed, others=others, taps=taps, points=points, length=depth * WIDTH,
        zeros=zeros, matrix=square, rows=addresses,
    )  # fmt: skip
    return keeping(team().job(_weights_task(), p, panels * others), zeros, addresses, square, packed, transformed)


# -- the data maps ---------------------------------------------------------------------------------------------------
def _counters(builder: Any, values: list[Any], block: Any) -> list[Any]:
    """The variables of a loop, with the values that they have on coming from `block`."""
    phis = [builder.phi(value.type) for value in values]
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, block)
    return phis


def _inverse_row(typing: Any, m: Any, step: Any, points: Any, matrix: Any, bias: Any, slope: Any, targets: Any) -> Any:
    """y_j = f(bias + sum over points of A^T[j, point] M[point]) for one row of a tile, WIDTH floats, and all OUTPUTS j.

    M[point] at m + point step; A^T stored as (point, j) at `matrix`; y_j to the address at targets + 8 j.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        m, step, points, matrix, bias, slope, targets = args
        fma, i64 = fused_multiply_add(builder), points.type
        before, loop, after = builder.block, builder.append_basic_block("point"), builder.append_basic_block("after")
        shift = [load_vector(builder, bias, 4 * LANES * half) for half in range(VECTORS)]
        builder.branch(loop)
        builder.position_at_end(loop)
        phis = _counters(builder, [points, m, matrix, *shift * OUTPUTS], before)
        left, m_p, a_p, *sums = phis
        rows = [load_vector(builder, m_p, 4 * LANES * half) for half in range(VECTORS)]
        results = []
        for j in range(OUTPUTS):
            number = spread(builder, builder.add(a_p, i64(4 * j)))
            results += [builder.call(fma, [number, rows[h], sums[VECTORS * j + h]]) for h in range(VECTORS)]
        steps = [builder.sub(left, i64(1)), builder.add(m_p, step), builder.add(a_p, i64(4 * OUTPUTS))]
        for phi, value in zip(phis, [*steps, *results], strict=True):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed(">", steps[0], i64(0)), loop, after)
        builder.position_at_end(after)
        leaky = leaky_relu(builder, slope)
        for j in range(OUTPUTS):
            target = builder.load(builder.inttoptr(builder.add(targets, i64(8 * j)), i64.as_pointer()))
            for h in range(VECTORS):
                store_vector(builder, leaky(results[VECTORS * j + h]), builder.add(target, i64(4 * LANES * h)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float32, types.int64), codegen


inverse_row: Any = intrinsic(_inverse_row)


_TILES = record(
    "v image_bytes size1 blocks points u panel_bytes channels k1 others out out_image out_pixel out0 out1 "
    "out2 bias images columns group_blocks row_blocks scratch thread_bytes t0 t1 lines biased kept matrix "
    "nothing threads",
    "slope",
)


@compile_task
def _outputs(m: int, p: Any, count: int, bias: int, slope: float, width: int, c: int, aside: int) -> None:
    """The outputs of one block for the TALL rows of its tiles, `count` <= OUTPUTS positions, `width` <= WIDTH channels; what is
    not wanted goes to `aside` (the addresses of the rows, then OUTPUTS rows)."""
    targets = words_at(aside, OUTPUTS)
    for r in range(TALL):
        for j in range(OUTPUTS):
            whole = j < count and width == WIDTH
            targets[j] = c + r * p.out_image + j * p.out_pixel if whole else aside + ADDRESSES + PANEL * j
        inverse_row(m + PANEL * r, PANEL * TALL, p.points, p.matrix, bias, slope, aside)
        if width < WIDTH:
            for j in range(count):
                copy_tile(aside + ADDRESSES + PANEL * j, 1, width, c + r * p.out_image + j * p.out_pixel, 0)


@compile_task
def _list_runs(p: Any, o0: int, o1: int, block: int, point: int, base: int, panel: int, runs: Array) -> int:
    """The runs of one point of a block: one for each tap of the other axes that is inside."""
    t0 = words_at(p.t0, 1 << 40)
    t1 = words_at(p.t1, 1 << 40)
    channels, blocks, k1, others = p.channels, p.blocks, p.k1, p.others
    count, plane = 0, point * p.lines
    for e0 in range(t0[o0], t0[o0 + 1], 3):
        for e1 in range(t1[o1], t1[o1 + 1], 3):
            line, tap = t0[e0] * p.size1 + t1[e1], t0[e0 + 1] * k1 + t1[e1 + 1]
            runs[3 * count] = base + 4 * ((plane + line) * blocks + block) * channels
            runs[3 * count + 1] = panel + (point * others + tap) * channels * PANEL
            runs[3 * count + 2] = channels
            count += 1
    return count


def _tiles(parameters: int, index: int, thread: int) -> None:
    """Some images, some rows of positions, one panel of channels; see `plan` for the parameters."""
    p = record_at(parameters, _TILES)
    slope = np.float32(p.slope)
    images, columns, group_blocks, row_blocks, blocks, points = (
        p.images,
        p.columns,
        p.group_blocks,
        p.row_blocks,
        p.blocks,
        p.points,
    )
    scratch = p.scratch + thread * p.thread_bytes
    runs = words_at(scratch, 1 << 40)
    kept = scratch + p.kept
    panel_index, rest = index // (group_blocks * row_blocks), index % (group_blocks * row_blocks)
    groups, rows = (images + TALL - 1) // TALL, p.out0 * p.out1
    group_block, row_block = rest // row_blocks, rest % row_blocks
    width = min(WIDTH, columns - panel_index * WIDTH)
    panel, bias = p.u + panel_index * p.panel_bytes, p.bias + PANEL * panel_index * p.biased
    nothing, aside = p.nothing, p.scratch + (thread + 1) * p.thread_bytes - ASIDE
    first_row, last_row = rows * row_block // row_blocks, rows * (row_block + 1) // row_blocks
    stop = groups * (group_block + 1) // group_blocks
    for group in range(groups * group_block // group_blocks, stop):
        first = min(group * TALL, images - TALL)
        following = group + 1 if group + 1 < stop else (group + p.threads) % groups
        ahead, tiles = p.v + min(following * TALL, images - TALL) * p.image_bytes, rows * blocks * points
        for point in range(points):
            for row in range(first_row, last_row):
                for block in range(blocks):
                    o0, o1 = row // p.out1, row % p.out1
                    count = _list_runs(p, o0, o1, block, point, p.v + first * p.image_bytes, panel, runs)
                    m = kept + PANEL * TALL * (((row - first_row) * blocks + block) * POINTS + point)
                    if count:
                        part = (row * blocks + block) * points + point
                        soon = ahead + TALL * p.image_bytes * part // tiles
                        pace = TALL * p.image_bytes // (tiles * count * p.channels) + 1
                        microkernel(
                            scratch, count, p.image_bytes, 4, PANEL, m, PANEL, nothing, soon, pace, np.float32(1)
                        )
                    else:
                        tile = floats_at(m, TALL * WIDTH)
                        for n in range(TALL * WIDTH):
                            tile[n] = 0
        for row in range(first_row, last_row):
            for block in range(blocks):
                m = kept + PANEL * TALL * ((row - first_row) * blocks + block) * POINTS
                c = p.out + first * p.out_image + (row * p.out2 + block * OUTPUTS) * p.out_pixel + PANEL * panel_index
                _outputs(m, p, min(OUTPUTS, p.out2 - block * OUTPUTS), bias, slope, width, c, aside)


_tiles_task = later(_tiles)


def plan(
    source: Array, w: Array, bias: Array | None, geometry: Geometry, slope: float, out: Array, transposed: bool
) -> Job:
    """conv (or conv_transpose) as a job; see :func:`conv_cost.winograd_possible`. At least TALL images; float32."""
    three, size = geometry.lifted(), threads.THREADS
    inputs, outputs = (three.small, three.big) if transposed else (three.big, three.small)
    images, depth, columns, taps = len(source), source.shape[-1], out.shape[-1], geometry.kernel[-1]
    a, g, b = winograd.matrices(OUTPUTS, taps)
    points, blocks, panels = len(g), blocks_of(outputs[2]), -(-columns // WIDTH)
    others, rows = geometry.taps // taps, outputs[0] * outputs[1]
    row_blocks = min(rows, -(-rows * blocks * POINTS * PANEL * TALL // KEPT))
    group_blocks = min(-(-images // TALL), max(1, -(-TASKS * size // (panels * row_blocks)))) if size > 1 else 1
    t0, t1, _, longest = conv_tiles.tables(geometry, transposed)
    kept = -(-rows // row_blocks) * blocks * POINTS * WIDTH * TALL + ASIDE // 4
    per_thread = whole_lines(2 * 3 * longest) + kept
    source_rows = inputs[0] * inputs[1]
    packed, u, v, scratch, padded = workspace(
        panels * geometry.taps * depth * WIDTH, panels * points * others * depth * WIDTH,
        images * image_floats(source_rows * blocks * points * depth), size * per_thread, panels * WIDTH,
    )  # fmt: skip
    matrix, nothing = np.ascontiguousarray(a.T, np.float32), np.zeros(WIDTH, np.float32)
    p = filled(
        _TILES, v=v, image_bytes=4 * image_floats(source_rows * blocks * points * depth), size1=inputs[1], blocks=blocks,
        points=points, u=u, panel_bytes=PANEL * points * others * depth, channels=depth, k1=three.kernel[1],
        others=others, out=out, out_image=out[0].nbytes, out_pixel=4 * columns, out0=outputs[0], out1=outputs[1],
        out2=outputs[2], bias=nothing if bias is None else padded, images=images, columns=columns,
        group_blocks=group_blocks, row_blocks=row_blocks, scratch=scratch, thread_bytes=4 * per_thread, t0=t0, t1=t1,
        lines=source_rows, biased=int(bias is not None), kept=4 * (per_thread - kept), matrix=matrix, nothing=nothing,
        threads=size, slope=slope,
    )  # fmt: skip
    before = taps - 1 - geometry.low[-1] if transposed else geometry.low[-1]
    jobs = in_turn(
        conv_tiles.plan_packing(w, geometry, transposed, packed),
        plan_weights(packed, panels, geometry, depth, g, u),
        plan_inputs(source, before, blocks, b, points, v),
        team().job(_tiles_task(), p, panels * group_blocks * row_blocks),
    )

    def run(_keep: tuple[Array, ...] = (t0, t1, packed, u, v, scratch, matrix, nothing)) -> None:
        if bias is not None:
            padded[:columns] = bias
        jobs()

    return run


# -- the weight gradient ---------------------------------------------------------------------------------------------
_PACKED = record(
    "a image_bytes size channels blocks points before zeros matrix rows lines images width reach made "
    "packed point_floats parts"
)


def _pack(parameters: int, index: int, thread: int) -> None:
    """One row of some images, transformed and packed for the tiles; see `plan_packing` for the parameters."""
    p = record_at(parameters, _PACKED)
    size, channels, blocks, points, before, zeros = p.size, p.channels, p.blocks, p.points, p.before, p.zeros
    lines, images, width, reach = p.lines, p.images, p.width, p.reach
    matrix = floats_at(p.matrix, POINTS * POINTS)
    rows = words_at(p.rows + thread * 8 * POINTS, POINTS)
    made = floats_at(p.made + 4 * thread * channels, channels)
    panel, line, part = lines * blocks * images * width, index // p.parts, index % p.parts
    for block in range(blocks):
        for n in range(images * part // p.parts, images * (part + 1) // p.parts):
            for j in range(POINTS):
                at = block * OUTPUTS - before + j
                inside = j < reach and 0 <= at < size
                rows[j] = p.a + n * p.image_bytes + 4 * (line * size + at) * channels if inside else zeros
            for point in range(points):
                combine(matrix, point, rows, channels, made)
                place = p.packed + 4 * (point * p.point_floats + ((line * blocks + block) * images + n) * width)
                pack_row(made, channels, width, floats_at(place, 1 << 40), panel)


_pack_task = later(_pack)


def plan_packing(
    a: Array, first: int, images: int, before: int, blocks: int, matrix: Array, width: int, packed: Array
) -> Job:
    """Images first ... first + images of `a`, transformed by `matrix` (points x inputs) along the last axis and packed as
    (point, channel // width, row, block, image, width) in `packed`."""
    size, channels = a.shape[-2:]
    lines, (points, reach) = a[0].size // (size * channels), matrix.shape
    zeros, made = np.zeros(channels, np.float32), np.empty(channels * threads.THREADS, np.float32)
    addresses, square = np.zeros(POINTS * threads.THREADS, np.int64), _square(matrix)
    parts = min(images, -(-TASKS * threads.THREADS // lines))
    p = filled(
        _PACKED, a=a[first:], image_bytes=a[0].nbytes, size=size, channels=channels, blocks=blocks, points=points,
        before=before, zeros=zeros, matrix=square, rows=addresses, lines=lines, images=images, width=width, reach=reach,
        made=made, packed=packed, point_floats=packed.size // points, parts=parts,
    )  # fmt: skip
    return keeping(team().job(_pack_task(), p, lines * parts), zeros, made, addresses, square, packed)


_WEIGHT_OUTPUTS = record("m out points others taps length matrix rows parts")


def _weight_outputs(parameters: int, index: int, thread: int) -> None:
    """A part of one tap of the other axes: dw = A'^T M; see `plan_weight` for the parameters."""
    p = record_at(parameters, _WEIGHT_OUTPUTS)
    points, others, taps, length, parts = p.points, p.others, p.taps, p.length, p.parts
    matrix = floats_at(p.matrix, POINTS * POINTS)
    rows = words_at(p.rows + thread * 8 * POINTS, POINTS)
    other, part = index // parts, index % parts
    for start in range(length * part // parts, length * (part + 1) // parts, PART):
        count = min(PART, length * (part + 1) // parts - start)
        for point in range(POINTS):
            rows[point] = p.m + 4 * (((point if point < points else 0) * others + other) * length + start)
        for k in range(taps):
            target = floats_at(p.out + 4 * ((other * taps + k) * length + start), count)
            combine(matrix, k, rows, count, target)


_weight_outputs_task = later(_weight_outputs)


def plan_weight(x: Array, g: Array, geometry: Geometry, out: Array) -> Job:
    """conv_weight as a job; see :func:`conv_cost.winograd_possible`. float32."""
    three, size = geometry.lifted(), threads.THREADS
    images, ins, outs, taps = len(x), x.shape[-1], g.shape[-1], geometry.kernel[-1]
    a, gm, b = winograd.matrices(taps, OUTPUTS)
    points, blocks, others = len(gm), blocks_of(three.small[2]), geometry.taps // taps
    wide_x, wide_g = -(-ins // TALL) * TALL, -(-outs // WIDTH) * WIDTH
    rows_x, rows_g = three.big[0] * three.big[1] * blocks, three.small[0] * three.small[1] * blocks
    point = three._replace(  # the geometry of one point's products: blocks are positions that pair with themselves
        kernel=(*three.kernel[:2], 1),
        low=(*three.low[:2], 0),
        big=(*three.big[:2], blocks),
        small=(*three.small[:2], blocks),
    )
    portion = min(images, max(1, conv_weight_tiles.PORTION // rows_g))
    xs, gs, m, scratch = workspace(
        points * rows_x * portion * wide_x, points * rows_g * portion * wide_g, points * others * ins * outs,
        size * conv_weight_tiles.scratch_floats(point),
    )  # fmt: skip
    jobs: list[Job] = []
    for first in range(0, images, portion):
        n = min(portion, images - first)
        x_part = xs[: points * rows_x * n * wide_x]
        g_part = gs[: points * rows_g * n * wide_g]
        jobs.append(plan_packing(x, first, n, three.low[2], blocks, b, TALL, x_part))
        jobs.append(plan_packing(g, first, n, 0, blocks, gm, WIDTH, g_part))
        jobs.append(
            conv_weight_tiles.plan_tiles(x_part, g_part, point, n, ins, outs, m, scratch, first == 0, sets=points)
        )
    parts = max(1, -(-4 * size // others))
    addresses, square = np.zeros(POINTS * size, np.int64), _square(a)
    p = filled(
        _WEIGHT_OUTPUTS, m=m, out=out, points=points, others=others, taps=taps, length=ins * outs, matrix=square,
        rows=addresses, parts=parts,
    )  # fmt: skip
    finish = keeping(team().job(_weight_outputs_task(), p, others * parts), m, addresses, square)
    return in_turn(*jobs, finish)
