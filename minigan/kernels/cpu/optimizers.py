"""Optimizer updates on the CPU: all arrays of a player in one call."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array, Group, Notes
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import address_of, array_at, compile_task, filled, record, record_at, task
from minigan.kernels.cpu.team import team

# A table cuts every array into chunks of at most CHUNK elements, and a chunk is a task of the team (multi-tensor kernels on a
# GPU do the same), so threads share the work evenly whatever the layer sizes are. A kernel gets one row of the table (a form
# below): the chunk's length, its address in each group of arrays, and the addresses of what it notes: the array's entry in `bad`
# and the chunk's in `squares`. `s` holds the scalars. While a gradient is in registers anyway, its squares are added up, and its
# numbers times 0 that are not 0 are counted: NaN and Inf. (Those products are not added up themselves: a compiler that may change
# the order of sums may take the 0 out, and large numbers add up to Inf.)
CHUNK = 8_192
_SGD = record("size params grads velocity bad squares")
_RMSPROP = record("size params grads square bad squares")
_ADAM = record("size params grads m v bad squares")
_EMA = record("size averages params bad squares")
_UPDATE = record("table row_bytes scalars")


@compile_task
def _note(lost: float, square: float, row: Any, s: Array) -> None:
    """Leave the sum of squares, and NaN where a number was lost; nothing otherwise: the chunks of an array share that entry."""
    bad, squares = array_at(row.bad, 1, s), array_at(row.squares, 1, s)
    squares[0] = square
    if lost > 0:
        bad[0] = s.dtype.type(np.nan)


@compile_task
def _sgd(row: Any, s: Array) -> None:
    n, (lr, mu, decay, nesterov) = row.size, (s[0], s[1], s[2], s[3])
    p, g, v = array_at(row.params, n, s), array_at(row.grads, n, s), array_at(row.velocity, n, s)
    lost = square = zero = s.dtype.type(0)
    one = s.dtype.type(1)
    for i in range(n):
        lost += zero if zero * g[i] == zero else one
        square += g[i] * g[i]
        d = g[i] + decay * p[i]
        step = mu * v[i] + d
        v[i] = step
        p[i] -= lr * (nesterov * (d + mu * step) + (s.dtype.type(1) - nesterov) * step)
    _note(lost, square, row, s)


@compile_task
def _rmsprop(row: Any, s: Array) -> None:
    n, (lr, rho, rest, eps) = row.size, (s[0], s[1], s[2], s[3])
    p, g, q = array_at(row.params, n, s), array_at(row.grads, n, s), array_at(row.square, n, s)
    lost = square = zero = s.dtype.type(0)
    one = s.dtype.type(1)
    for i in range(n):
        lost += zero if zero * g[i] == zero else one
        square += g[i] * g[i]
        q_i = rho * q[i] + rest * g[i] * g[i]
        q[i] = q_i
        p[i] -= lr * g[i] / (np.sqrt(q_i) + eps)
    _note(lost, square, row, s)


@compile_task
def _adam(row: Any, s: Array) -> None:
    n, (b1, c1, b2, c2, rate, root, eps, shrink) = row.size, (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
    p, g = array_at(row.params, n, s), array_at(row.grads, n, s)
    m, v = array_at(row.m, n, s), array_at(row.v, n, s)
    lost = square = zero = s.dtype.type(0)
    one = s.dtype.type(1)
    for i in range(n):
        lost += zero if zero * g[i] == zero else one
        square += g[i] * g[i]
        m_i = b1 * m[i] + c1 * g[i]
        v_i = b2 * v[i] + c2 * g[i] * g[i]
        m[i] = m_i
        v[i] = v_i
        p[i] = shrink * p[i] - rate * m_i / (root * np.sqrt(v_i) + eps)
    _note(lost, square, row, s)


@compile_task
def _ema(row: Any, s: Array) -> None:
    n, (decay, rest) = row.size, (s[0], s[1])
    a, p = array_at(row.averages, n, s), array_at(row.params, n, s)
    for i in range(n):
        a[i] = decay * a[i] + rest * p[i]


SGD, RMSPROP, ADAM, EMA = range(4)


@cache
def _chunk_task(rule: int, dtype: Any) -> int:
    """The task that runs the kernel of `rule` on row `index`."""
    like = np.empty(0, dtype)

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _UPDATE)
        row, s = p.table + p.row_bytes * index, array_at(p.scalars, 8, like)
        if rule == SGD:  # `rule` is a constant to the compiler, which leaves the other branches out
            _sgd(record_at(row, _SGD), s)
        elif rule == RMSPROP:
            _rmsprop(record_at(row, _RMSPROP), s)
        elif rule == ADAM:
            _adam(record_at(row, _ADAM), s)
        else:
            _ema(record_at(row, _EMA), s)

    return run


def _column(group: Sequence[Array], like: Sequence[Array]) -> Array:
    """The address of each chunk of each array of a group, whose shapes and dtypes are those of `like`.

    A :class:`Group` keeps the answer, since its arrays stay where they are.
    """
    if isinstance(group, Group) and group.cache is not None:
        return group.cache
    starts = []
    for array, other in zip(group, like, strict=True):
        if array.dtype != like[0].dtype or array.shape != other.shape or not array.flags.c_contiguous:
            raise ValueError(
                f"optimizer: got {array.shape} {array.dtype}, expected {other.shape} {like[0].dtype} in C order"
            )
        address = address_of(array)
        starts += [address + begin * array.itemsize for begin in range(0, array.size, CHUNK)]
    column = np.array(starts, dtype=np.int64)
    if isinstance(group, Group):
        group.cache = column
    return column


def _same(a: Sequence[Array], b: Sequence[Array]) -> bool:
    """Whether two groups are the same arrays."""
    return a is b or (len(a) == len(b) and all(map(operator.is_, a, b)))


class _Table:
    """The chunks of all arrays of some groups, the second of which are the gradients, and a job that updates them."""

    def __init__(self, rule: int, groups: Sequence[Sequence[Array]], notes: Notes | None) -> None:
        first = tuple(groups[0])
        lengths = [min(CHUNK, a.size - begin) for a in first for begin in range(0, a.size, CHUNK)]
        self.rule, self.notes = rule, notes
        self.grads = groups[1] if isinstance(groups[1], Group) else None  # others are not kept alive
        self.first, self.state = first, groups[2:]
        self.held = Notes(len(first), first[0].dtype) if notes is None else notes
        self.squares, self.values = np.zeros(len(lengths), first[0].dtype), np.zeros(8, first[0].dtype)
        entries = [address_of(self.held.bad[i:]) for i, a in enumerate(first) for _ in range(0, a.size, CHUNK)]
        places = address_of(self.squares) + self.squares.itemsize * np.arange(len(lengths))
        columns = [lengths, *[_column(group, first) for group in groups], entries, places]
        self.rows = np.stack(columns, axis=1)
        parameters = filled(_UPDATE, table=self.rows, row_bytes=self.rows.strides[0], scalars=self.values)
        self.job = team().job(_chunk_task(rule, first[0].dtype), parameters, len(self.rows))

    def fits(self, rule: int, groups: Sequence[Sequence[Array]], notes: Notes | None) -> bool:
        """Whether it is this rule's, for the same arrays but for the gradients."""
        kept, found = (self.first, *self.state), (groups[0], *groups[2:])
        return self.rule == rule and self.notes is notes and len(kept) == len(found) and all(map(_same, kept, found))

    def take(self, grads: Sequence[Array]) -> None:
        """The next update reads these gradients."""
        if self.grads is None or grads is not self.grads:
            self.rows[:, 2] = _column(grads, self.first)

    def run(self, scalars: tuple[float, ...]) -> None:
        """Update."""
        self.values[: len(scalars)] = scalars
        self.held.squares = self.squares  # another table may have been the last
        self.job()


def _multi(rule: int, groups: Sequence[Sequence[Array]], notes: Notes | None, *scalars: float) -> None:
    """Run the kernel of a rule over the chunks of all arrays. The table of these is kept beside gradients that stay where they
    are, and beside the notes of an optimizer whose gradients come in new arrays: only their addresses are looked up then."""
    grads = groups[1]
    keeper = grads if isinstance(grads, Group) else notes
    table = keeper.plan if keeper is not None else None
    if table is None or not table.fits(rule, groups, notes):
        table = _Table(rule, groups, notes)
        if keeper is not None:
            keeper.plan = table
    table.take(grads)
    table.run(scalars)


@reference.sgd.on("cpu")
def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    velocity: Sequence[Array],
    hyper: Array,
    nesterov: bool,
    notes: Notes | None = None,
) -> None:
    """See :func:`minigan.kernels.reference.sgd`."""
    _multi(SGD, (params, grads, velocity), notes, *hyper.tolist(), float(nesterov))


@reference.rmsprop.on("cpu")
def rmsprop(
    params: Sequence[Array], grads: Sequence[Array], square: Sequence[Array], hyper: Array, notes: Notes | None = None
) -> None:
    """See :func:`minigan.kernels.reference.rmsprop`."""
    lr, rho, eps = hyper.tolist()
    _multi(RMSPROP, (params, grads, square), notes, lr, rho, 1 - rho, eps)


@reference.adam.on("cpu")
def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    hyper: Array,
    notes: Notes | None = None,
) -> None:
    """See :func:`minigan.kernels.reference.adam`; the bias corrections are folded into two scalars:

    lr m_hat / (sqrt(v_hat) + eps) = [lr/(1-b1^t)] m / ([1/sqrt(1-b2^t)] sqrt(v) + eps).
    """
    lr, b1, b2, eps, decay, step = hyper.tolist()
    rate, root = lr / (1 - b1**step), (1 - b2**step) ** -0.5
    _multi(ADAM, (params, grads, m, v), notes, b1, 1 - b1, b2, 1 - b2, rate, root, eps, 1 - lr * decay)


@reference.ema.on("cpu")
def ema(averages: Sequence[Array], params: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.ema`."""
    decay = hyper.item()
    _multi(EMA, (averages, params), None, decay, 1 - decay)
