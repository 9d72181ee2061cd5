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
from minigan.kernels.cpu.compiler import address_of, compile_ordered, compile_task, floats_at, later, words_at
from minigan.kernels.cpu.conv_cost import WINOGRAD_OUTPUTS as OUTPUTS
from minigan.kernels.cpu.conv_tiles import PANEL, TASKS, copy_tile, in_turn, keeping
from minigan.kernels.cpu.conv_weight_tiles import pack_row
from minigan.kernels.cpu.gemm import (
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
from minigan.kernels.cpu.team import Job, team
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
def _inputs(parameters: int, index: int, thread: int) -> None:
    """The inputs of one image; see `plan_inputs` for the parameters."""
    p = words_at(parameters, 12)
    size, channels, blocks, points, before, zeros = p[2], p[3], p[4], p[5], p[6], p[7]
    matrix = floats_at(p[8], POINTS * POINTS)
    rows = words_at(p[9] + thread * 8 * POINTS, POINTS)
    lines = p[10]
    for line in range(lines):
        for block in range(blocks):
            for j in range(POINTS):
                at = block * OUTPUTS - before + j
                inside = j < points and 0 <= at < size
                rows[j] = p[0] + 4 * ((index * lines + line) * size + at) * channels if inside else zeros
            for point in range(points):
                place = p[1] + index * p[11] + 4 * ((point * lines + line) * blocks + block) * channels
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
    p = np.array([
        address_of(x), address_of(transformed), size, channels, blocks, points, before, address_of(zeros),
        address_of(square), address_of(addresses), rows, 4 * image_floats(rows * blocks * points * channels),
    ])  # fmt: skip
    return keeping(team().job(_inputs_task(), p, len(x)), zeros, addresses, square, transformed)


# -- weights ---------------------------------------------------------------------------------------------------------
def _weights(parameters: int, index: int, thread: int) -> None:
    """One tap of the other axes of one panel; see `plan_weights` for the parameters."""
    p = words_at(parameters, 9)
    others, taps, points, length, zeros = p[2], p[3], p[4], p[5], p[6]
    matrix = floats_at(p[7], POINTS * POINTS)
    rows = words_at(p[8] + thread * 8 * POINTS, POINTS)
    panel, other = index // others, index % others
    for start in range(0, length, PART):
        part = min(PART, length - start)
        for j in range(POINTS):
            rows[j] = p[0] + 4 * (((panel * others + other) * taps + j) * length + start) if j < taps else zeros
        for point in range(points):
            target = floats_at(p[1] + 4 * (((panel * points + point) * others + other) * length + start), part)
            combine(matrix, point, rows, part, target)


_weights_task = later(_weights)


def plan_weights(packed: Array, panels: int, geometry: Geometry, depth: int, matrix: Array, transformed: Array) -> Job:
    """U (panel, point, other taps, depth, WIDTH) of weights packed as (panel, other taps, tap, depth, WIDTH)."""
    taps, points = geometry.kernel[-1], len(matrix)
    others, zeros = geometry.taps // taps, np.zeros(PART, np.float32)
    addresses, square = np.zeros(POINTS * threads.THREADS, np.int64), _square(matrix)
    p = np.array([
        address_of(packed), address_of(transformed), others, taps, points, depth * WIDTH, address_of(zeros),
        address_of(square), address_of(addresses),
    ])  # fmt: skip
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


@compile_task
def _outputs(m: int, p: Array, count: int, bias: int, slope: float, width: int, c: int, aside: int) -> None:
    """The outputs of one block for the TALL rows of its tiles, `count` <= OUTPUTS positions, `width` <= WIDTH channels; what is
    not wanted goes to `aside` (the addresses of the rows, then OUTPUTS rows)."""
    targets = words_at(aside, OUTPUTS)
    for r in range(TALL):
        for j in range(OUTPUTS):
            whole = j < count and width == WIDTH
            targets[j] = c + r * p[11] + j * p[12] if whole else aside + ADDRESSES + PANEL * j
        inverse_row(m + PANEL * r, PANEL * TALL, p[4], p[29], bias, slope, aside)
        if width < WIDTH:
            for j in range(count):
                copy_tile(aside + ADDRESSES + PANEL * j, 1, width, c + r * p[11] + j * p[12], 0)


@compile_task
def _list_runs(p: Array, o0: int, o1: int, block: int, point: int, base: int, panel: int, runs: Array) -> int:
    """The runs of one point of a block: one for each tap of the other axes that is inside."""
    t0 = words_at(p[24], 1 << 40)
    t1 = words_at(p[25], 1 << 40)
    channels, blocks, k1, others = p[7], p[3], p[8], p[9]
    count, plane = 0, point * p[26]
    for e0 in range(t0[o0], t0[o0 + 1], 3):
        for e1 in range(t1[o1], t1[o1 + 1], 3):
            line, tap = t0[e0] * p[2] + t1[e1], t0[e0 + 1] * k1 + t1[e1 + 1]
            runs[3 * count] = base + 4 * ((plane + line) * blocks + block) * channels
            runs[3 * count + 1] = panel + (point * others + tap) * channels * PANEL
            runs[3 * count + 2] = channels
            count += 1
    return count


def _tiles(parameters: int, index: int, thread: int) -> None:
    """Some images, some rows of positions, one panel of channels; see `plan` for the parameters."""
    p = words_at(parameters, 32)
    slope = floats_at(parameters + 8 * 17, 1)[0]
    images, columns, group_blocks, row_blocks, blocks, points = p[18], p[19], p[20], p[21], p[3], p[4]
    scratch = p[22] + thread * p[23]
    runs = words_at(scratch, 1 << 40)
    kept = scratch + p[28]
    panel_index, rest = index // (group_blocks * row_blocks), index % (group_blocks * row_blocks)
    groups, rows = (images + TALL - 1) // TALL, p[13] * p[14]
    group_block, row_block = rest // row_blocks, rest % row_blocks
    width = min(WIDTH, columns - panel_index * WIDTH)
    panel, bias = p[5] + panel_index * p[6], p[16] + PANEL * panel_index * p[27]
    nothing, aside = p[30], p[22] + (thread + 1) * p[23] - ASIDE
    first_row, last_row = rows * row_block // row_blocks, rows * (row_block + 1) // row_blocks
    stop = groups * (group_block + 1) // group_blocks
    for group in range(groups * group_block // group_blocks, stop):
        first = min(group * TALL, images - TALL)
        following = group + 1 if group + 1 < stop else (group + p[31]) % groups
        ahead, tiles = p[0] + min(following * TALL, images - TALL) * p[1], rows * blocks * points
        for point in range(points):
            for row in range(first_row, last_row):
                for block in range(blocks):
                    o0, o1 = row // p[14], row % p[14]
                    count = _list_runs(p, o0, o1, block, point, p[0] + first * p[1], panel, runs)
                    m = kept + PANEL * TALL * (((row - first_row) * blocks + block) * POINTS + point)
                    if count:
                        part = (row * blocks + block) * points + point
                        soon = ahead + TALL * p[1] * part // tiles
                        pace = TALL * p[1] // (tiles * count * p[7]) + 1
                        microkernel(scratch, count, p[1], 4, PANEL, m, PANEL, nothing, soon, pace, np.float32(1))
                    else:
                        tile = floats_at(m, TALL * WIDTH)
                        for n in range(TALL * WIDTH):
                            tile[n] = 0
        for row in range(first_row, last_row):
            for block in range(blocks):
                m = kept + PANEL * TALL * ((row - first_row) * blocks + block) * POINTS
                c = p[10] + first * p[11] + (row * p[15] + block * OUTPUTS) * p[12] + PANEL * panel_index
                _outputs(m, p, min(OUTPUTS, p[15] - block * OUTPUTS), bias, slope, width, c, aside)


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
    p = np.empty(32, np.int64)
    p[:16] = (
        address_of(v), 4 * image_floats(source_rows * blocks * points * depth), inputs[1], blocks, points,
        address_of(u), PANEL * points * others * depth, depth, three.kernel[1], others,
        address_of(out), out[0].nbytes, 4 * columns, *outputs,
    )  # fmt: skip
    p[16] = address_of(nothing if bias is None else padded)
    p[17:18].view(np.float32)[0] = slope
    p[18:24] = images, columns, group_blocks, row_blocks, address_of(scratch), 4 * per_thread
    p[24:28] = address_of(t0), address_of(t1), source_rows, int(bias is not None)
    p[28:] = 4 * (per_thread - kept), address_of(matrix), address_of(nothing), size
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
def _pack(parameters: int, index: int, thread: int) -> None:
    """One row of some images, transformed and packed for the tiles; see `plan_packing` for the parameters."""
    p = words_at(parameters, 18)
    size, channels, blocks, points, before, zeros = p[2], p[3], p[4], p[5], p[6], p[7]
    lines, images, width, reach = p[10], p[11], p[12], p[13]
    matrix = floats_at(p[8], POINTS * POINTS)
    rows = words_at(p[9] + thread * 8 * POINTS, POINTS)
    made = floats_at(p[14] + 4 * thread * channels, channels)
    panel, line, part = lines * blocks * images * width, index // p[17], index % p[17]
    for block in range(blocks):
        for n in range(images * part // p[17], images * (part + 1) // p[17]):
            for j in range(POINTS):
                at = block * OUTPUTS - before + j
                inside = j < reach and 0 <= at < size
                rows[j] = p[0] + n * p[1] + 4 * (line * size + at) * channels if inside else zeros
            for point in range(points):
                combine(matrix, point, rows, channels, made)
                place = p[15] + 4 * (point * p[16] + ((line * blocks + block) * images + n) * width)
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
    p = np.array([
        address_of(a) + first * a[0].nbytes, a[0].nbytes, size, channels, blocks, points, before, address_of(zeros),
        address_of(square), address_of(addresses), lines, images, width, reach, address_of(made),
        address_of(packed), packed.size // points, parts,
    ])  # fmt: skip
    return keeping(team().job(_pack_task(), p, lines * parts), zeros, made, addresses, square, packed)


def _weight_outputs(parameters: int, index: int, thread: int) -> None:
    """A part of one tap of the other axes: dw = A'^T M; see `plan_weight` for the parameters."""
    p = words_at(parameters, 9)
    points, others, taps, length, parts = p[2], p[3], p[4], p[5], p[8]
    matrix = floats_at(p[6], POINTS * POINTS)
    rows = words_at(p[7] + thread * 8 * POINTS, POINTS)
    other, part = index // parts, index % parts
    for start in range(length * part // parts, length * (part + 1) // parts, PART):
        count = min(PART, length * (part + 1) // parts - start)
        for point in range(POINTS):
            rows[point] = p[0] + 4 * (((point if point < points else 0) * others + other) * length + start)
        for k in range(taps):
            target = floats_at(p[1] + 4 * ((other * taps + k) * length + start), count)
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
    p = np.array([
        address_of(m), address_of(out), points, others, taps, ins * outs, address_of(square), address_of(addresses), parts,
    ])  # fmt: skip
    finish = keeping(team().job(_weight_outputs_task(), p, others * parts), m, addresses, square)
    return in_turn(*jobs, finish)
