"""LSTM and GRU over whole sequences on the CPU: the scan of `reference.lstm` and `reference.gru` in one task of the team.

The rows of a batch do not meet each other in a scan, so a task is a block of rows that goes through all steps alone: no
thread waits for another between two steps, and a step's state is in the core's cache when the next one reads it. In each step

- the product with U (backward: with U^T) goes through the register tiles of `cpu_gemm`, TALL rows at a time. U is packed once
  for all steps and blocks, in panels of WIDTH columns, the last one filled up with zeros;
- the gates' functions follow row by row, in loops with one result each, which LLVM turns into vectors.

Each number of a row is added up in the same order whatever the block, so the threads do not show in the result. Other dtypes,
and batches of fewer rows than a tile, go to the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference, threads
from minigan.kernels.compiler import address_of, compile_ordered, compile_task, floats_at, later, words_at
from minigan.kernels.cpu_activation import _sigmoid, _tanh
from minigan.kernels.cpu_gemm import AVAILABLE, TALL, WIDTH, microkernel
from minigan.kernels.cpu_team import team
from minigan.kernels.cpu_workspace import LOCK, workspace
from minigan.kernels.registers import LINE

# Words of the tasks' parameters: addresses, and sizes. HS are all states, H0 and C0 the first ones, MASK bytes.
XW, H0, C0, HS, LAST, KEPT, MASK, G, G_LAST, DZ, DM, DH0, DC0, BIAS = range(14)
ROWS, STEPS, UNITS, BLOCKS, PANELS, WIDE, SCRATCH, SHARE, ZEROS, WORDS = range(14, 24)
PACK_FROM, PACK_ROW, PACK_COLUMN, PACK_DEPTH, PACK_WIDTH, PACK_TO, PACK_WORDS = range(7)


# -- rows: one result a loop, so that few arrays have to be known not to overlap --------------------------------------
@compile_ordered
def _sigmoid_of_sum(a: Array, b: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = _sigmoid(a[j] + b[j])


@compile_ordered
def _tanh_of_sum(a: Array, b: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = _tanh(a[j] + b[j])


@compile_ordered
def _tanh_of(v: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = _tanh(v[j])


@compile_ordered
def _cell(f: Array, before: Array, i: Array, g: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = f[j] * before[j] + i[j] * g[j]


@compile_ordered
def _gated_tanh(o: Array, c: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = o[j] * _tanh(c[j])


@compile_ordered
def _plus(a: Array, b: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = a[j] + b[j]


@compile_ordered
def _candidate(x: Array, r: Array, m: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = _tanh(x[j] + r[j] * m[j])


@compile_ordered
def _between(n: Array, z: Array, before: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = n[j] + z[j] * (before[j] - n[j])


@compile_ordered
def _copy(v: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = v[j]


@compile_ordered
def _clear(out: Array) -> None:
    for j in range(out.size):
        out[j] = 0


@compile_ordered
def _add_through_output(dh: Array, o: Array, bent: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] += dh[j] * o[j] * (np.float32(1) - bent[j] * bent[j])


@compile_ordered
def _through_sigmoid(g: Array, beside: Array, y: Array, out: Array) -> None:
    """The cotangent g beside of y = sigmoid(z), pulled back to z."""
    for j in range(out.size):
        out[j] = g[j] * beside[j] * y[j] * (np.float32(1) - y[j])


@compile_ordered
def _through_tanh(g: Array, beside: Array, y: Array, out: Array) -> None:
    """The cotangent g beside of y = tanh(z), pulled back to z."""
    for j in range(out.size):
        out[j] = g[j] * beside[j] * (np.float32(1) - y[j] * y[j])


@compile_ordered
def _through_candidate(g: Array, z: Array, n: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = g[j] * (np.float32(1) - z[j]) * (np.float32(1) - n[j] * n[j])


@compile_ordered
def _through_update(g: Array, before: Array, n: Array, z: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = g[j] * (before[j] - n[j]) * z[j] * (np.float32(1) - z[j])


@compile_ordered
def _times(a: Array, b: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] = a[j] * b[j]


@compile_ordered
def _scale(a: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] *= a[j]


@compile_ordered
def _add(a: Array, out: Array) -> None:
    for j in range(out.size):
        out[j] += a[j]


# -- products --------------------------------------------------------------------------------------------------------
def _pack(parameters: int, index: int, thread: int) -> None:
    """Panel `index` of a matrix, WIDTH columns as (depth, WIDTH), with zeros where it has no more."""
    p = words_at(parameters, PACK_WORDS)
    row, column, depth = p[PACK_ROW] // 4, p[PACK_COLUMN] // 4, p[PACK_DEPTH]
    first, own = index * WIDTH, min(WIDTH, p[PACK_WIDTH] - index * WIDTH)
    source = floats_at(p[PACK_FROM] + first * p[PACK_COLUMN], (depth - 1) * row + (own - 1) * column + 1)
    target = floats_at(p[PACK_TO] + 4 * WIDTH * depth * index, depth * WIDTH)
    _clear(target)
    if column == 1:
        for k in range(depth):
            for j in range(own):
                target[k * WIDTH + j] = source[k * row + j]
    else:
        for j in range(own):
            for k in range(depth):
                target[k * WIDTH + j] = source[k + j * column]


@compile_task
def _product(p: Array, a: int, row: int, rows: int, depth: int, run: int, out: int) -> None:
    """out (rows, WIDE) = A B for a block of rows: A at `a`, its rows `row` bytes apart; B packed. At `run` is room for a run."""
    wide, own = p[WIDE], words_at(run, 3)
    own[2] = depth
    for panel in range(wide // WIDTH):
        own[1] = p[PANELS] + 4 * WIDTH * depth * panel
        for part in range((rows + TALL - 1) // TALL):
            i = min(part * TALL, rows - TALL)
            own[0] = a + i * row
            to = out + 4 * (i * wide + panel * WIDTH)
            microkernel(run, 1, row, 4, 4 * WIDTH, to, 4 * wide, p[ZEROS], own[1], 0, np.float32(1))


@compile_task
def _counts(p: Array, n: int, t: int) -> bool:
    """Whether step t of row n counts: a byte of the mask, which lies in words."""
    place = n * p[STEPS] + t
    word = words_at(p[MASK] + place // 8 * 8, 1)[0]
    return (word >> (8 * (place % 8))) & 255 != 0


@compile_task
def _block(p: Array, index: int) -> tuple[int, int]:
    """The rows of a block."""
    return p[ROWS] * index // p[BLOCKS], p[ROWS] * (index + 1) // p[BLOCKS]


# -- LSTM ------------------------------------------------------------------------------------------------------------
def _lstm_block(parameters: int, index: int, thread: int) -> None:
    p = words_at(parameters, WORDS)
    steps, units, wide = p[STEPS], p[UNITS], p[WIDE]
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p[SCRATCH] + 4 * p[SHARE] * thread
    product = run + 4 * LINE
    spare = product + 4 * rows * wide  # gates of a row, and the cells of two steps, where nothing is kept
    for t in range(steps):
        row = line if t == 0 else steps * line
        states = p[H0] + first * line if t == 0 else p[HS] + (first * steps + t - 1) * line
        _product(p, states, row, rows, units, run, product)
        for r in range(rows):
            n = first + r
            at = n * steps + t
            h_before = floats_at(p[H0] + n * line if t == 0 else p[HS] + (at - 1) * line, units)
            h = floats_at(p[HS] + at * line, units)
            if p[KEPT] == 0:
                gates = spare
                c_at = spare + 4 * line + ((t & 1) * rows + r) * line
                c_before_at = spare + 4 * line + ((1 - (t & 1)) * rows + r) * line
            else:
                gates = p[KEPT] + at * 5 * line
                c_at, c_before_at = gates + 4 * line, gates - line
            c = floats_at(c_at, units)
            c_before = floats_at(p[C0] + n * line if t == 0 else c_before_at, units)
            if _counts(p, n, t):
                x, z = p[XW] + at * 4 * line, product + 4 * r * wide
                _sigmoid_of_sum(floats_at(x, 2 * units), floats_at(z, 2 * units), floats_at(gates, 2 * units))
                new, out = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                _tanh_of_sum(floats_at(x + 2 * line, units), floats_at(z + 2 * line, units), new)
                _sigmoid_of_sum(floats_at(x + 3 * line, units), floats_at(z + 3 * line, units), out)
                _cell(floats_at(gates + line, units), c_before, floats_at(gates, units), new, c)
                _gated_tanh(out, c, h)
            else:
                _copy(c_before, c)
                _copy(h_before, h)
            if t == steps - 1:
                _copy(c, floats_at(p[LAST] + n * line, units))


def _lstm_backward_block(parameters: int, index: int, thread: int) -> None:
    p = words_at(parameters, WORDS)
    steps, units, wide = p[STEPS], p[UNITS], p[WIDE]
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p[SCRATCH] + 4 * p[SHARE] * thread
    product = run + 4 * LINE  # dh from the step behind, in rows of `wide`
    bent = floats_at(product + 4 * rows * wide, units)
    _clear(floats_at(product, rows * wide))
    for r in range(rows):
        place = (first + r) * line
        _copy(floats_at(p[G_LAST] + place, units), floats_at(p[DC0] + place, units))
    for step in range(steps):
        t = steps - 1 - step
        for r in range(rows):
            n = first + r
            at = n * steps + t
            dh, dc = floats_at(product + 4 * r * wide, units), floats_at(p[DC0] + n * line, units)
            held = floats_at(p[DH0] + n * line, units)  # dh of a step that does not count passes by the product
            _plus(floats_at(p[G] + at * line, units), dh, held)
            dz, gates = p[DZ] + at * 4 * line, p[KEPT] + at * 5 * line
            if _counts(p, n, t):
                i, f = floats_at(gates, units), floats_at(gates + line, units)
                new, out = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                before = floats_at(p[C0] + n * line if t == 0 else gates - line, units)
                _tanh_of(floats_at(gates + 4 * line, units), bent)
                _through_sigmoid(held, bent, out, floats_at(dz + 3 * line, units))
                _add_through_output(held, out, bent, dc)
                _through_sigmoid(dc, new, i, floats_at(dz, units))
                _through_sigmoid(dc, before, f, floats_at(dz + line, units))
                _through_tanh(dc, i, new, floats_at(dz + 2 * line, units))
                _scale(f, dc)
            else:
                _clear(floats_at(dz, 4 * units))
        _product(p, p[DZ] + (first * steps + t) * 4 * line, steps * 4 * line, rows, 4 * units, run, product)
        for r in range(rows):
            if not _counts(p, first + r, t):
                _copy(floats_at(p[DH0] + (first + r) * line, units), floats_at(product + 4 * r * wide, units))
    for r in range(rows):
        _copy(floats_at(product + 4 * r * wide, units), floats_at(p[DH0] + (first + r) * line, units))


# -- GRU -------------------------------------------------------------------------------------------------------------
def _gru_block(parameters: int, index: int, thread: int) -> None:
    p = words_at(parameters, WORDS)
    steps, units, wide = p[STEPS], p[UNITS], p[WIDE]
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p[SCRATCH] + 4 * p[SHARE] * thread
    product = run + 4 * LINE
    spare = product + 4 * rows * wide
    bias = floats_at(p[BIAS], units)
    for t in range(steps):
        row = line if t == 0 else steps * line
        states = p[H0] + first * line if t == 0 else p[HS] + (first * steps + t - 1) * line
        _product(p, states, row, rows, units, run, product)
        for r in range(rows):
            n = first + r
            at = n * steps + t
            before = floats_at(p[H0] + n * line if t == 0 else p[HS] + (at - 1) * line, units)
            h = floats_at(p[HS] + at * line, units)
            gates = spare if p[KEPT] == 0 else p[KEPT] + at * 4 * line
            if _counts(p, n, t):
                x, own = p[XW] + at * 3 * line, product + 4 * r * wide
                _sigmoid_of_sum(floats_at(x, 2 * units), floats_at(own, 2 * units), floats_at(gates, 2 * units))
                new, m = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                _plus(floats_at(own + 2 * line, units), bias, m)
                _candidate(floats_at(x + 2 * line, units), floats_at(gates, units), m, new)
                _between(new, floats_at(gates + line, units), before, h)
            else:
                _copy(before, h)


def _gru_backward_block(parameters: int, index: int, thread: int) -> None:
    p = words_at(parameters, WORDS)
    steps, units, wide = p[STEPS], p[UNITS], p[WIDE]
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p[SCRATCH] + 4 * p[SHARE] * thread
    product = run + 4 * LINE
    own_at = product + 4 * rows * wide  # the cotangents of h U: the first two thirds of dz, and dm
    for r in range(rows):
        _clear(floats_at(p[DH0] + (first + r) * line, units))
    for step in range(steps):
        t = steps - 1 - step
        for r in range(rows):
            n = first + r
            at = n * steps + t
            dh = floats_at(p[DH0] + n * line, units)
            _add(floats_at(p[G] + at * line, units), dh)
            dz, dm, gates = p[DZ] + at * 3 * line, floats_at(p[DM] + at * line, units), p[KEPT] + at * 4 * line
            own = own_at + r * 3 * line
            if _counts(p, n, t):
                reset, z = floats_at(gates, units), floats_at(gates + line, units)
                n_, m = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                before = floats_at(p[H0] + n * line if t == 0 else p[HS] + (at - 1) * line, units)
                new = floats_at(dz + 2 * line, units)
                _through_candidate(dh, z, n_, new)
                _through_sigmoid(new, m, reset, floats_at(dz, units))
                _through_update(dh, before, n_, z, floats_at(dz + line, units))
                _times(new, reset, dm)
                _scale(z, dh)
            else:
                _clear(floats_at(dz, 3 * units))
                _clear(dm)
            _copy(floats_at(dz, 2 * units), floats_at(own, 2 * units))
            _copy(dm, floats_at(own + 2 * line, units))
        _product(p, own_at, 3 * line, rows, 3 * units, run, product)
        for r in range(rows):
            dh = floats_at(p[DH0] + (first + r) * line, units)
            _add(floats_at(product + 4 * r * wide, units), dh)


_pack_task, _lstm_task, _lstm_backward_task = later(_pack), later(_lstm_block), later(_lstm_backward_block)
_gru_task, _gru_backward_task = later(_gru_block), later(_gru_backward_block)
_zeros = np.zeros(WIDTH, np.float32)


def _suits(*arrays: Array) -> bool:
    """Whether the tiles can take it: single precision, contiguous, as many rows as a tile has."""
    return AVAILABLE and all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays) and len(arrays[0]) >= TALL


def _scan(
    task: Any, matrix: Array, rows: int, spare: int, places: dict[int, Array | None], sizes: dict[int, int]
) -> None:
    """Run a task over blocks of rows, beside `matrix` (depth, columns) in panels.

    spare: the floats that a row of a block wants beside its row of the product.
    """
    size, (depth, columns) = threads.THREADS, matrix.shape
    blocks = min(max(rows // (2 * TALL), min(size, rows // TALL)), 4 * size)
    panels = -(-columns // WIDTH)
    share = LINE + (-(-rows // blocks) + 1) * (panels * WIDTH + spare)
    with LOCK:
        packed, scratch = workspace(panels * depth * WIDTH, size * share)
        words = np.zeros(PACK_WORDS, np.int64)
        words[:] = address_of(matrix), *matrix.strides, depth, columns, address_of(packed)
        team().run(_pack_task(), words, panels)
        p = np.zeros(WORDS, np.int64)
        for place, array in places.items():
            p[place] = 0 if array is None else address_of(array)
        for place, number in sizes.items():
            p[place] = number
        p[[ROWS, BLOCKS, PANELS, WIDE, SCRATCH, SHARE, ZEROS]] = (
            rows, blocks, address_of(packed), panels * WIDTH, address_of(scratch), share, address_of(_zeros),
        )  # fmt: skip
        team().run(task(), p, blocks)


def _in_words(mask: Array) -> Array:
    """The mask's bytes, filled up to whole words, since a task reads words."""
    words = np.zeros(-(-mask.size // 8) * 8, np.uint8)
    words[: mask.size] = mask.reshape(-1)
    return words


def lstm(
    xw: Array, h0: Array, c0: Array, u: Array, mask: Array, hs: Array, last: Array, kept: Array | None = None
) -> None:
    """See :func:`minigan.kernels.reference.lstm`."""
    if not _suits(xw, h0, c0, u, hs, last):
        reference.lstm(xw, h0, c0, u, mask, hs, last, kept)
        return
    units, bits = len(u), _in_words(mask)
    places = {XW: xw, H0: h0, C0: c0, HS: hs, LAST: last, KEPT: kept, MASK: bits}
    _scan(_lstm_task, u, len(xw), 6 * units, places, {STEPS: xw.shape[1], UNITS: units})


def lstm_backward(
    g: Array,
    g_last: Array,
    c0: Array,
    u: Array,
    mask: Array,
    kept: Array,
    dz: Array,
    dh0: Array,
    dc0: Array,
) -> None:
    """See :func:`minigan.kernels.reference.lstm_backward`."""
    if not _suits(g, g_last, c0, u, kept, dz, dh0, dc0):
        reference.lstm_backward(g, g_last, c0, u, mask, kept, dz, dh0, dc0)
        return
    units, bits = len(u), _in_words(mask)
    places = {G: g, G_LAST: g_last, C0: c0, KEPT: kept, DZ: dz, DH0: dh0, DC0: dc0, MASK: bits}
    _scan(_lstm_backward_task, u.T, len(g), units, places, {STEPS: g.shape[1], UNITS: units})


def gru(xw: Array, h0: Array, u: Array, bias: Array, mask: Array, hs: Array, kept: Array | None = None) -> None:
    """See :func:`minigan.kernels.reference.gru`."""
    if not _suits(xw, h0, u, bias, hs):
        reference.gru(xw, h0, u, bias, mask, hs, kept)
        return
    units, bits = len(u), _in_words(mask)
    places = {XW: xw, H0: h0, BIAS: bias, HS: hs, KEPT: kept, MASK: bits}
    _scan(_gru_task, u, len(xw), 4 * units, places, {STEPS: xw.shape[1], UNITS: units})


def gru_backward(
    g: Array, h0: Array, hs: Array, u: Array, mask: Array, kept: Array, dz: Array, dm: Array, dh0: Array
) -> None:
    """See :func:`minigan.kernels.reference.gru_backward`."""
    if not _suits(g, h0, hs, u, kept, dz, dm, dh0):
        reference.gru_backward(g, h0, hs, u, mask, kept, dz, dm, dh0)
        return
    units, bits = len(u), _in_words(mask)
    places = {G: g, H0: h0, HS: hs, KEPT: kept, DZ: dz, DM: dm, DH0: dh0, MASK: bits}
    _scan(_gru_backward_task, u.T, len(g), 3 * units, places, {STEPS: g.shape[1], UNITS: units})
