"""LSTM and GRU over whole sequences on the CPU: the scan of `reference.lstm` and `reference.gru` in one task of the team.

The rows of a batch do not meet each other in a scan, so a task is a block of rows that goes through all steps alone: no
thread waits for another between two steps, and a step's state is in the core's cache when the next one reads it. In each step

- the product with U (backward: with U^T) goes through the register tiles of `gemm_microkernel.py`, TALL rows at a time. U is
  packed once for all steps and blocks, in panels of WIDTH columns, the last one filled up with zeros;
- the gates' functions follow row by row, in loops with one result each, which LLVM turns into vectors.

Each number of a row is added up in the same order whatever the block, so the threads do not show in the result. Other dtypes,
and batches of fewer rows than a tile, go to the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.activation import _sigmoid, _tanh
from minigan.kernels.cpu.compiler import (
    Later,
    compile_ordered,
    compile_task,
    filled,
    floats_at,
    later,
    record,
    record_at,
    words_at,
)
from minigan.kernels.cpu.gemm_microkernel import AVAILABLE, TALL, WIDTH, microkernel
from minigan.kernels.cpu.registers import LINE
from minigan.kernels.cpu.team import team
from minigan.kernels.cpu.workspace import LOCK, workspace

# hs are all states, h0 and c0 the first ones, mask bytes.
_SCAN = record(
    "xw h0 c0 hs last kept mask g g_last dz dm dh0 dc0 bias rows steps units blocks panels wide scratch share zeros"
)
_PACK = record("source row column depth width panels")


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
    p = record_at(parameters, _PACK)
    row, column, depth = p.row // 4, p.column // 4, p.depth
    first, own = index * WIDTH, min(WIDTH, p.width - index * WIDTH)
    source = floats_at(p.source + first * p.column, (depth - 1) * row + (own - 1) * column + 1)
    target = floats_at(p.panels + 4 * WIDTH * depth * index, depth * WIDTH)
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
def _product(p: Any, a: int, row: int, rows: int, depth: int, run: int, out: int) -> None:
    """out (rows, WIDE) = A B for a block of rows: A at `a`, its rows `row` bytes apart; B packed. At `run` is room for a run."""
    wide, own = p.wide, words_at(run, 3)
    own[2] = depth
    for panel in range(wide // WIDTH):
        own[1] = p.panels + 4 * WIDTH * depth * panel
        for part in range((rows + TALL - 1) // TALL):
            i = min(part * TALL, rows - TALL)
            own[0] = a + i * row
            to = out + 4 * (i * wide + panel * WIDTH)
            microkernel(run, 1, row, 4, 4 * WIDTH, to, 4 * wide, p.zeros, own[1], 0, np.float32(1))


@compile_task
def _counts(p: Any, n: int, t: int) -> bool:
    """Whether step t of row n counts: a byte of the mask, which lies in words."""
    place = n * p.steps + t
    word = words_at(p.mask + place // 8 * 8, 1)[0]
    return (word >> (8 * (place % 8))) & 255 != 0


@compile_task
def _block(p: Any, index: int) -> tuple[int, int]:
    """The rows of a block."""
    return p.rows * index // p.blocks, p.rows * (index + 1) // p.blocks


# -- LSTM ------------------------------------------------------------------------------------------------------------
def _lstm_block(parameters: int, index: int, thread: int) -> None:
    p = record_at(parameters, _SCAN)
    steps, units, wide = p.steps, p.units, p.wide
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p.scratch + 4 * p.share * thread
    product = run + 4 * LINE
    spare = product + 4 * rows * wide  # gates of a row, and the cells of two steps, where nothing is kept
    for t in range(steps):
        row = line if t == 0 else steps * line
        states = p.h0 + first * line if t == 0 else p.hs + (first * steps + t - 1) * line
        _product(p, states, row, rows, units, run, product)
        for r in range(rows):
            n = first + r
            at = n * steps + t
            h_before = floats_at(p.h0 + n * line if t == 0 else p.hs + (at - 1) * line, units)
            h = floats_at(p.hs + at * line, units)
            if p.kept == 0:
                gates = spare
                c_at = spare + 4 * line + ((t & 1) * rows + r) * line
                c_before_at = spare + 4 * line + ((1 - (t & 1)) * rows + r) * line
            else:
                gates = p.kept + at * 5 * line
                c_at, c_before_at = gates + 4 * line, gates - line
            c = floats_at(c_at, units)
            c_before = floats_at(p.c0 + n * line if t == 0 else c_before_at, units)
            if _counts(p, n, t):
                x, z = p.xw + at * 4 * line, product + 4 * r * wide
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
                _copy(c, floats_at(p.last + n * line, units))


def _lstm_backward_block(parameters: int, index: int, thread: int) -> None:
    p = record_at(parameters, _SCAN)
    steps, units, wide = p.steps, p.units, p.wide
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p.scratch + 4 * p.share * thread
    product = run + 4 * LINE  # dh from the step behind, in rows of `wide`
    bent = floats_at(product + 4 * rows * wide, units)
    _clear(floats_at(product, rows * wide))
    for r in range(rows):
        place = (first + r) * line
        _copy(floats_at(p.g_last + place, units), floats_at(p.dc0 + place, units))
    for step in range(steps):
        t = steps - 1 - step
        for r in range(rows):
            n = first + r
            at = n * steps + t
            dh, dc = floats_at(product + 4 * r * wide, units), floats_at(p.dc0 + n * line, units)
            held = floats_at(p.dh0 + n * line, units)  # dh of a step that does not count passes by the product
            _plus(floats_at(p.g + at * line, units), dh, held)
            dz, gates = p.dz + at * 4 * line, p.kept + at * 5 * line
            if _counts(p, n, t):
                i, f = floats_at(gates, units), floats_at(gates + line, units)
                new, out = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                before = floats_at(p.c0 + n * line if t == 0 else gates - line, units)
                _tanh_of(floats_at(gates + 4 * line, units), bent)
                _through_sigmoid(held, bent, out, floats_at(dz + 3 * line, units))
                _add_through_output(held, out, bent, dc)
                _through_sigmoid(dc, new, i, floats_at(dz, units))
                _through_sigmoid(dc, before, f, floats_at(dz + line, units))
                _through_tanh(dc, i, new, floats_at(dz + 2 * line, units))
                _scale(f, dc)
            else:
                _clear(floats_at(dz, 4 * units))
        _product(p, p.dz + (first * steps + t) * 4 * line, steps * 4 * line, rows, 4 * units, run, product)
        for r in range(rows):
            if not _counts(p, first + r, t):
                _copy(floats_at(p.dh0 + (first + r) * line, units), floats_at(product + 4 * r * wide, units))
    for r in range(rows):
        _copy(floats_at(product + 4 * r * wide, units), floats_at(p.dh0 + (first + r) * line, units))


# -- GRU -------------------------------------------------------------------------------------------------------------
def _gru_block(parameters: int, index: int, thread: int) -> None:
    p = record_at(parameters, _SCAN)
    steps, units, wide = p.steps, p.units, p.wide
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p.scratch + 4 * p.share * thread
    product = run + 4 * LINE
    spare = product + 4 * rows * wide
    bias = floats_at(p.bias, units)
    for t in range(steps):
        row = line if t == 0 else steps * line
        states = p.h0 + first * line if t == 0 else p.hs + (first * steps + t - 1) * line
        _product(p, states, row, rows, units, run, product)
        for r in range(rows):
            n = first + r
            at = n * steps + t
            before = floats_at(p.h0 + n * line if t == 0 else p.hs + (at - 1) * line, units)
            h = floats_at(p.hs + at * line, units)
            gates = spare if p.kept == 0 else p.kept + at * 4 * line
            if _counts(p, n, t):
                x, own = p.xw + at * 3 * line, product + 4 * r * wide
                _sigmoid_of_sum(floats_at(x, 2 * units), floats_at(own, 2 * units), floats_at(gates, 2 * units))
                new, m = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                _plus(floats_at(own + 2 * line, units), bias, m)
                _candidate(floats_at(x + 2 * line, units), floats_at(gates, units), m, new)
                _between(new, floats_at(gates + line, units), before, h)
            else:
                _copy(before, h)


def _gru_backward_block(parameters: int, index: int, thread: int) -> None:
    p = record_at(parameters, _SCAN)
    steps, units, wide = p.steps, p.units, p.wide
    first, last = _block(p, index)
    rows, line = last - first, 4 * units
    run = p.scratch + 4 * p.share * thread
    product = run + 4 * LINE
    own_at = product + 4 * rows * wide  # the cotangents of h U: the first two thirds of dz, and dm
    for r in range(rows):
        _clear(floats_at(p.dh0 + (first + r) * line, units))
    for step in range(steps):
        t = steps - 1 - step
        for r in range(rows):
            n = first + r
            at = n * steps + t
            dh = floats_at(p.dh0 + n * line, units)
            _add(floats_at(p.g + at * line, units), dh)
            dz, dm, gates = p.dz + at * 3 * line, floats_at(p.dm + at * line, units), p.kept + at * 4 * line
            own = own_at + r * 3 * line
            if _counts(p, n, t):
                reset, z = floats_at(gates, units), floats_at(gates + line, units)
                n_, m = floats_at(gates + 2 * line, units), floats_at(gates + 3 * line, units)
                before = floats_at(p.h0 + n * line if t == 0 else p.hs + (at - 1) * line, units)
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
            dh = floats_at(p.dh0 + (first + r) * line, units)
            _add(floats_at(product + 4 * r * wide, units), dh)


_pack_task, _lstm_task, _lstm_backward_task = later(_pack), later(_lstm_block), later(_lstm_backward_block)
_gru_task, _gru_backward_task = later(_gru_block), later(_gru_backward_block)
_zeros = np.zeros(WIDTH, np.float32)


def _suits(*arrays: Array) -> bool:
    """Whether the tiles can take it: single precision, contiguous, as many rows as a tile has."""
    return AVAILABLE and all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays) and len(arrays[0]) >= TALL


def _scan(task: Later, matrix: Array, rows: int, spare: int, **given: Array | int | None) -> None:
    """Run a task over blocks of rows, beside `matrix` (depth, columns) in panels.

    spare: the floats that a row of a block wants beside its row of the product.
    given: what the task has of :data:`_SCAN`.
    """
    size, (depth, columns) = threads.THREADS, matrix.shape
    blocks = min(max(rows // (2 * TALL), min(size, rows // TALL)), 4 * size)
    panels = -(-columns // WIDTH)
    share = LINE + (-(-rows // blocks) + 1) * (panels * WIDTH + spare)
    with LOCK:
        packed, scratch = workspace(panels * depth * WIDTH, size * share)
        row, column = matrix.strides
        pack = filled(_PACK, source=matrix, row=row, column=column, depth=depth, width=columns, panels=packed)
        team().run(_pack_task(), pack, panels)
        values = given | dict(
            rows=rows, blocks=blocks, panels=packed, wide=panels * WIDTH, scratch=scratch, share=share, zeros=_zeros
        )
        found = {name: values.get(name) for name in _SCAN.dtype.names or ()}
        p = filled(_SCAN, **{name: 0 if value is None else value for name, value in found.items()})
        team().run(task(), p, blocks)


def _in_words(mask: Array) -> Array:
    """The mask's bytes, filled up to whole words, since a task reads words."""
    words = np.zeros(-(-mask.size // 8) * 8, np.uint8)
    words[: mask.size] = mask.reshape(-1)
    return words


@reference.lstm.on("cpu")
def lstm(
    xw: Array, h0: Array, c0: Array, u: Array, mask: Array, hs: Array, last: Array, kept: Array | None = None
) -> None:
    """Blocks of rows, each through all steps."""
    if not _suits(xw, h0, c0, u, hs, last):
        reference.lstm.reference(xw, h0, c0, u, mask, hs, last, kept)
        return
    units, bits = len(u), _in_words(mask)
    _scan(
        _lstm_task, u, len(xw), 6 * units, xw=xw, h0=h0, c0=c0, hs=hs, last=last, kept=kept, mask=bits,
        steps=xw.shape[1], units=units,
    )  # fmt: skip


@reference.lstm_backward.on("cpu")
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
    """Blocks of rows, each back through all steps."""
    if not _suits(g, g_last, c0, u, kept, dz, dh0, dc0):
        reference.lstm_backward.reference(g, g_last, c0, u, mask, kept, dz, dh0, dc0)
        return
    units, bits = len(u), _in_words(mask)
    _scan(
        _lstm_backward_task, u.T, len(g), units, g=g, g_last=g_last, c0=c0, kept=kept, dz=dz, dh0=dh0, dc0=dc0, mask=bits,
        steps=g.shape[1], units=units,
    )  # fmt: skip


@reference.gru.on("cpu")
def gru(xw: Array, h0: Array, u: Array, bias: Array, mask: Array, hs: Array, kept: Array | None = None) -> None:
    """Blocks of rows, each through all steps."""
    if not _suits(xw, h0, u, bias, hs):
        reference.gru.reference(xw, h0, u, bias, mask, hs, kept)
        return
    units, bits = len(u), _in_words(mask)
    _scan(
        _gru_task, u, len(xw), 4 * units, xw=xw, h0=h0, bias=bias, hs=hs, kept=kept, mask=bits,
        steps=xw.shape[1], units=units,
    )  # fmt: skip


@reference.gru_backward.on("cpu")
def gru_backward(
    g: Array, h0: Array, hs: Array, u: Array, mask: Array, kept: Array, dz: Array, dm: Array, dh0: Array
) -> None:
    """Blocks of rows, each back through all steps."""
    if not _suits(g, h0, hs, u, kept, dz, dm, dh0):
        reference.gru_backward.reference(g, h0, hs, u, mask, kept, dz, dm, dh0)
        return
    units, bits = len(u), _in_words(mask)
    _scan(
        _gru_backward_task, u.T, len(g), 3 * units, g=g, h0=h0, hs=hs, kept=kept, dz=dz, dm=dm, dh0=dh0, mask=bits,
        steps=g.shape[1], units=units,
    )  # fmt: skip
