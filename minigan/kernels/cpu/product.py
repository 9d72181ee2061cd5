"""Matrix products and dense layers on the CPU: which kernel serves which shape, eagerly and planned for a replay."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu import gemm
from minigan.kernels.cpu.activation import bias_activation
from minigan.kernels.cpu.compiler import Later, compile_inlined, filled, floats_at, later, njit, record, record_at
from minigan.kernels.cpu.gemm_microkernel import leak
from minigan.kernels.cpu.team import Job, in_turn, team
from minigan.kernels.cpu.threads import split

NARROW = 4  # up to so many inputs a dense layer is one pass without a product
DEEPEST = 8192  # terms that a thin product adds up in single precision, at most (the BLAS does not count)
SMALL = 8  # an edge of a product up to this length is "thin": vectors run along the other edges


@njit
def _few_rows(a: Array, b: Array, out: Array) -> None:
    """out = a b for few rows: each is a weighted sum of the rows of b, four at a time."""
    rows, depth = a.shape
    for i in range(rows):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(0, depth - 3, 4):
            c0, c1, c2, c3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(b.shape[1]):
                out[i, j] += (c0 * b[k, j] + c1 * b[k + 1, j]) + (c2 * b[k + 2, j] + c3 * b[k + 3, j])
        for k in range(depth // 4 * 4, depth):
            c0 = a[i, k]
            for j in range(b.shape[1]):
                out[i, j] += c0 * b[k, j]


@njit
def _few_columns(a: Array, b_rows: Array, out: Array) -> None:
    """out = a b for few columns, given b's transpose: inner products of contiguous rows."""
    for i in range(a.shape[0]):
        for j in range(b_rows.shape[0]):
            total = a.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b_rows[j, k]
            out[i, j] = total


def _thin(a: Array, b: Array, out: Array) -> Job | None:
    """What computes a product with a thin edge, or None where there is none. (A threaded BLAS loses more than it wins on these,
    and its threads would spin on the team's cores.)"""
    if a.dtype != b.dtype or a.dtype.kind != "f" or out.size * a.shape[1] > 4_000_000 or not out.flags.c_contiguous:
        return None
    if a.shape[1] == 1:
        return partial(_outer, 0, len(a), a, np.ascontiguousarray(b), out) if b.flags.c_contiguous else None
    if a.shape[0] <= SMALL and b.flags.c_contiguous:
        return partial(_few_rows, a, b, out)
    if b.shape[1] <= SMALL and a.flags.c_contiguous:
        return partial(_turn_and, _few_columns, a, b.T, np.empty(b.T.shape, b.dtype), out)
    if b.shape[1] == 1 and a.T.flags.c_contiguous:
        return partial(_few_rows, b.T, a.T, out.reshape(1, -1))
    if b.shape[1] <= SMALL and a.T.flags.c_contiguous:
        return partial(_few_rows_turned, b.T, a.T, np.empty((b.shape[1], a.shape[0]), out.dtype), out)
    if a.shape[1] <= NARROW and a.flags.c_contiguous:
        nothing, one = np.zeros(b.shape[1], b.dtype), b.dtype.type(1)
        return partial(_narrow_turned, a, b, np.empty(b.shape, b.dtype), nothing, one, out)
    return None


def _turn_and(kernel: Any, a: Array, b_rows: Array, turned: Array, out: Array) -> None:
    turned[...] = b_rows
    kernel(a, turned, out)


def _few_rows_turned(b_rows: Array, a_rows: Array, turned: Array, out: Array) -> None:
    _few_rows(b_rows, a_rows, turned)
    out[...] = turned.T


def _narrow_turned(a: Array, b: Array, straight: Array, nothing: Array, one: float, out: Array) -> None:
    straight[...] = b
    _narrow(0, len(a), a, straight, nothing, one, out)


def _deep(a: Array, b: Array, out: Array) -> None:
    """A thin product in stretches of DEEPEST terms, which are added up in double."""
    total, part = np.zeros(out.shape), np.empty(out.shape, np.float32)
    for k in range(0, a.shape[1], DEEPEST):
        _product(a[:, k : k + DEEPEST], b[k : k + DEEPEST], part)()
        total += part
    out[...] = total


@reference.matmul.planned_on("cpu")
def matmul(a: Array, b: Array, out: Array) -> Job | None:
    """By our own kernels where they suit; where none does, the BLAS."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or not a.size or not b.size:
        return None
    if a.shape[1] > DEEPEST and min(a.shape[0], b.shape[1]) <= SMALL and a.dtype == b.dtype == np.float32:
        return partial(_deep, a, b, out)
    if gemm.suits(a, b, out):
        return gemm.plan(a, b, out)
    return _stretches(a, b, out, None, 1.0) or _thin(a, b, out)


def _stretches(a: Array, b: Array, out: Array, bias: Array | None, slope: float) -> Job | None:
    """f(a b + bias), f the leaky ReLU, for a depth that one panel of b would be too long for: the depth is cut into stretches,
    and each product begins with the sum so far, as a bias of each place. None where a stretch does not suit."""
    if a.shape[1] <= gemm.DEEPEST:
        return None
    count = -(-a.shape[1] // gemm.DEEPEST)
    cuts = [a.shape[1] * part // count for part in range(count + 1)]
    parts = [(a[:, i:j], b[i:j]) for i, j in itertools.pairwise(cuts)]
    if not all(gemm.suits(*part, out) for part in parts):
        return None
    other = np.empty(out.shape, np.float32)  # a product may not land where its bias lies
    jobs, beside = [], bias
    for number, part in enumerate(parts, 1):
        target = out if (count - number) % 2 == 0 else other
        jobs.append(gemm.plan(*part, target, beside, slope if number == count else 1.0))
        beside = target

    def run(_kept: Array = other) -> None:
        for job in jobs:
            job()

    return run


def _product(a: Array, b: Array, out: Array) -> Job:
    return matmul(a, b, out) or partial(np.matmul, a, b, out=out)


@reference.matmul_add.planned_on("cpu")
def matmul_add(a: Array, b: Array, c: Array, out: Array) -> Job | None:
    """A bias for each row."""
    return gemm.plan(a, b, out, c) if a.ndim == b.ndim == 2 and gemm.suits(a, b, out) else None


@reference.matmul_backward.planned_on("cpu")
def matmul_backward(a: Array, b: Array, y: Array, f: Activation, out: Array) -> Job | None:
    """The slope of a piecewise linear f while the product is in registers."""
    below = f.below
    if below is None or not (a.ndim == b.ndim == 2 and gemm.suits(a, b, out)):
        return None
    return gemm.plan(a, b, out, y, below, masks=True)


@reference.dense.planned_on("cpu")
def dense(x: Array, w: Array, bias: Array | None, f: Activation, out: Array) -> Job:
    """Bias and activation while the product is in registers, or in a pass after it."""
    if bias is not None and x.size and w.size:
        below = f.below
        if w.shape[0] <= NARROW and w.flags.c_contiguous:
            return partial(narrow_dense, x, w, bias, f, out)
        if w.shape[0] > NARROW:
            slope = 1.0 if below is None else below
            suits = gemm.suits(x, w, out)
            product = gemm.plan(x, w, out, bias, slope) if suits else _stretches(x, w, out, bias, slope)
            if product is not None:
                return product if below is not None else in_turn(product, partial(bias_activation, out, None, f, out))
            if (thin := _thin(x, w, out)) is not None:
                return in_turn(thin, partial(bias_activation, out, bias, f, out))
    return in_turn(_product(x, w, out), partial(bias_activation, out, bias, f, out))


@njit
def _outer(start: int, stop: int, column: Array, row: Array, out: Array) -> None:
    for i in range(start, stop):
        a = column[i, 0]
        for j in range(out.shape[1]):
            out[i, j] = a * row[0, j]


@njit
def _narrow(start: int, stop: int, x: Array, w: Array, bias: Array, slope: float, out: Array) -> None:
    """One row after the other, taken as an array of its own: indices that a compiler knows not to be negative become vectors."""
    columns = x.shape[1]
    first, second = w[0], w[columns - 1]
    for i in range(start, stop):
        row = out[i]
        if columns == 2:
            x0, x1 = x[i, 0], x[i, 1]
            for j in range(row.size):
                v = bias[j] + x0 * first[j] + x1 * second[j]
                row[j] = leak(v, slope) if v <= 0 else v
        else:
            for j in range(row.size):
                row[j] = bias[j]
            for k in range(columns):
                number, weights = x[i, k], w[k]
                for j in range(row.size):
                    row[j] += number * weights[j]
            for j in range(row.size):
                v = row[j]
                row[j] = leak(v, slope) if v <= 0 else v


def narrow_dense(x: Array, w: Array, bias: Array, f: Activation, out: Array) -> None:
    """Dense with at most NARROW inputs (points in the plane): product, bias and activation in one pass."""
    below = f.below
    if below is None:
        np.matmul(x, w, out=out)
        bias_activation(out, bias, f, out)
    else:
        split(_narrow, len(x), 2 * out.size, x, w, bias, x.dtype.type(below), out)


# -- element by element ----------------------------------------------------------------------------------------------
SPAN = 16_384  # elements of a task


_PARTS = record("a b out size")


@compile_inlined
def _part_of(parameters: int, index: int) -> tuple[Array, Array, Array]:
    """The stretches of a, b and out that are a task's."""
    p = record_at(parameters, _PARTS)
    begin = index * SPAN
    n = min(SPAN, p.size - begin)
    return floats_at(p.a + 4 * begin, n), floats_at(p.b + 4 * begin, n), floats_at(p.out + 4 * begin, n)


def _add_part(parameters: int, index: int, thread: int) -> None:
    a, b, out = _part_of(parameters, index)
    for i in range(out.size):
        out[i] = a[i] + b[i]


def _multiply_part(parameters: int, index: int, thread: int) -> None:
    a, b, out = _part_of(parameters, index)
    for i in range(out.size):
        out[i] = a[i] * b[i]


_add_task, _multiply_task = later(_add_part), later(_multiply_part)


def _plan_parts(task: Later, a: Array, b: Array, out: Array) -> Job | None:
    arrays = (a, b, out)
    if out.size < 4 * SPAN or any(
        v.dtype != np.float32 or v.shape != out.shape or not v.flags.c_contiguous for v in arrays
    ):
        return None
    return team().job(task(), filled(_PARTS, a=a, b=b, out=out, size=out.size), -(-out.size // SPAN))


@reference.add.planned_on("cpu")
def add(a: Array, b: Array, out: Array) -> Job | None:
    """Large arrays of one shape, shared out among the team. (Often gradients that both cores have just written: one core alone
    would fetch half of each from the other.)"""
    return _plan_parts(_add_task, a, b, out)


@reference.multiply.planned_on("cpu")
def multiply(a: Array, b: Array, out: Array) -> Job | None:
    """As :func:`add`."""
    return _plan_parts(_multiply_task, a, b, out)
