"""The optimal tree of a transport problem: floats find it, integers prove it. `transport_discrete` says what it is for.

The masses are whole numbers of 2^-60. A cost is exactly a whole number times a power of 2, the same for all; so potentials along
a tree are sums of integers, and exact. A cost out of scale (1e6 times those that a tree can be made of) would spoil the
floats of all others: for them it counts as forbidden, in the integers as what it is.
"""

from __future__ import annotations

import math

import numpy as np

from minigan.kernels.cpu import network_simplex as kernel
from minigan.kernels.cpu.network_simplex import CHILD, DEPTH, FLOW, NONE, PARENT, PART

UNIT = 2**60
BEYOND = 1e6  # how many times the costs of a cheap tree a cost has to be to be out of scale
CHEAP = 16  # cells of a row that the start looks at first
SMALL = 400  # cells up to which the kernels run uncompiled
ROWS = 64  # priced at a time in the proof
MANTISSA = 53


def whole(masses: np.ndarray) -> np.ndarray:
    """Masses as positive integers with sum UNIT."""
    numbers = [max(1, round(float(x) * UNIT)) for x in masses]
    numbers[int(np.argmax(masses))] += UNIT - sum(numbers)
    return np.array(numbers, dtype=np.int64)


def out_of_scale(cost: np.ndarray) -> np.ndarray:
    """Which costs are infinite or so large that the floats of the others would not be seen beside them: BEYOND times a typical
    one, or above a gap of that factor. (In a small problem the lowest gap counts; in a large one, where each exchange in integers
    takes long, the highest that leaves a cost for every row and column below it.)"""
    finite = np.abs(np.where(np.isinf(cost), 0.0, cost))
    positive = np.sort(finite[finite > 0])
    if not positive.size:
        return np.isinf(cost)
    limit = BEYOND * positive[min(sum(cost.shape), (positive.size + 1) // 2) - 1]
    gaps = np.flatnonzero(positive[1:] > BEYOND * positive[:-1])
    if cost.size > SMALL:
        gaps = gaps[finite.size - positive.size + gaps + 1 >= max(cost.shape)][::-1]
    if gaps.size:
        limit = min(limit, positive[gaps[0]])
    return np.isinf(cost) | (finite > limit)


class Tree:
    """A spanning tree of the sources and sinks of positive mass, with its flows and potentials; inf is a forbidden cost."""

    def __init__(self, a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> None:
        self.n, self.m = cost.shape
        self.cost, self.forbidden, self.far = cost, np.isinf(cost), out_of_scale(cost)
        self.near = np.ascontiguousarray(np.where(self.far, 0.0, cost))
        largest = float(np.abs(self.near).max())
        self.slack = 4 * np.finfo(np.float64).eps * (self.n + self.m) * largest
        exponents = np.frexp(cost[~self.forbidden & (cost != 0)])[1]
        self.scale = MANTISSA - int(exponents.min(initial=MANTISSA))  # cost * 2^scale is whole
        compiled = cost.size > SMALL
        self._greedy = kernel.greedy if compiled else kernel.greedy.__wrapped__  # type: ignore[attr-defined]
        self._exchange = kernel.exchange if compiled else kernel.exchange.__wrapped__  # type: ignore[attr-defined]
        self._start(a, b)

    def _start(self, a: np.ndarray, b: np.ndarray) -> None:
        n, m = self.n, self.m
        left = np.concatenate([whole(a), whole(b)])
        parts = np.concatenate([np.ones(n, np.int64), np.zeros(m, np.int64)])
        parts[-1] = n
        ends, flows = np.zeros((2, n + m - 1), np.int64), np.zeros((2, n + m - 1), np.int64)
        made = self._greedy(self._cheapest_first(), left, parts, n, m, ends, flows)
        assert made == n + m - 1, "the masses do not balance"
        neighbours: list[list[int]] = [[] for _ in range(n + m)]
        for k, (i, j) in enumerate(ends.T.tolist()):
            neighbours[i].append(k)
            neighbours[j].append(k)
        self.tree = np.full((7, n + m), NONE, np.int64)
        self.tree[[DEPTH, FLOW, PART], 0] = 0
        stack = [0]
        while stack:
            node = stack.pop()
            for k in neighbours[node]:
                other = int(ends[0, k] + ends[1, k]) - node
                if other != self.tree[PARENT, node]:
                    self._link(other, node, flows[:, k])
                    stack.append(other)

    def _cheapest_first(self) -> np.ndarray:
        """A few of the cheapest cells of each row, in order, and then all cells as they come."""
        few = min(CHEAP, self.m)
        columns = (
            np.argpartition(self.cost, few - 1, axis=1)[:, :few]
            if few < self.m
            else np.tile(np.arange(self.m), (self.n, 1))
        )
        cells = np.sort((np.arange(self.n)[:, None] * self.m + columns).ravel())
        return np.concatenate([cells[np.argsort(self.cost.ravel()[cells], kind="stable")], np.arange(self.cost.size)])

    def _link(self, node: int, above: int, flow: np.ndarray) -> None:
        first = int(self.tree[CHILD, above])
        self.tree[:, node] = above, self.tree[DEPTH, above] + 1, NONE, first, NONE, *flow
        if first != NONE:
            self.tree[kernel.BEFORE, first] = node
        self.tree[CHILD, above] = node

    def edges(self) -> list[tuple[int, int]]:
        """(source, sink) of each edge."""
        parents = self.tree[PARENT].tolist()
        return [(min(x, p), max(x, p) - self.n) for x, p in enumerate(parents) if p != NONE]

    def _downwards(self) -> list[int]:
        """The nodes, each after its parent."""
        return np.argsort(self.tree[DEPTH], kind="stable").tolist()

    # -- in floats -------------------------------------------------------------------------------------------------------
    def _search(self, into: tuple[int, int] = (NONE, NONE)) -> int:
        """Exchange edges in floats, from potentials that were summed up anew; returns how many."""
        potential, levels = np.zeros(self.n + self.m), np.zeros(self.n + self.m, np.int64)
        level = self.far.astype(np.int8)
        parents = self.tree[PARENT].tolist()
        for node in self._downwards()[1:]:
            above = parents[node]
            cell = (min(node, above), max(node, above) - self.n)
            potential[node] = self.near[cell] - potential[above]
            levels[node] = level[cell] - levels[above]
        block = math.isqrt(
            self.cost.size
        )  # priced for each step: more finds better edges, and costs more than they save
        return int(
            self._exchange(self.near, level, self.tree, potential, levels, self.slack, block, np.array(into, np.int64))
        )

    def optimise(self) -> None:
        """Find the optimal tree."""
        while self._search():  # until sums made anew agree
            pass
        while (edge := self._cheaper()) is not None:
            self._search(edge)

    # -- in integers -----------------------------------------------------------------------------------------------------
    def _exact(self, i: int, j: int) -> int:
        return self._whole(float(self.cost[i, j]))

    def _whole(self, value: float) -> int:
        """value * 2^scale, without what is below 1; exact for a cost."""
        fraction, exponent = math.frexp(value)
        shift, digits = exponent - MANTISSA + self.scale, int(fraction * 2**MANTISSA)
        return digits << shift if shift >= 0 else digits >> -shift

    def _sums(self) -> tuple[list[int], list[int]]:
        """Potentials of the nodes: how many forbidden edges, and the sum of the costs, times 2^scale."""
        counts, sums = [0] * (self.n + self.m), [0] * (self.n + self.m)
        parents = self.tree[PARENT].tolist()
        for node in self._downwards()[1:]:
            above = parents[node]
            i, j = min(node, above), max(node, above) - self.n
            closed = bool(self.forbidden[i, j])
            counts[node] = closed - counts[above]
            sums[node] = (0 if closed else self._exact(i, j)) - sums[above]
        return counts, sums

    def _as_floats(self, sums: list[int]) -> np.ndarray:
        one = 1 << max(0, self.scale)
        lift = 1 << max(0, -self.scale)
        return np.array([lift * x / one for x in sums])

    def _cheaper(self) -> tuple[int, int] | None:
        """An edge that is below the bound by more than the slack, in exact arithmetic; None if there is none."""
        counts, sums = self._sums()
        values, numbers = self._as_floats(sums), np.array(counts)
        limit = self._whole(self.slack)
        eps = np.finfo(np.float64).eps
        for start in range(0, self.n, ROWS):
            rows = slice(start, min(start + ROWS, self.n))
            u, v = values[rows, None], values[self.n :]
            above = self.forbidden[rows] - numbers[rows, None] - numbers[self.n :]
            if (above < 0).any():
                i, j = np.argwhere(above < 0)[0]
                return start + int(i), int(j)
            cost = np.where(self.forbidden[rows], 0.0, self.cost[rows])
            gap = cost - u - v
            doubt = 4 * eps * (np.abs(cost) + np.abs(u) + np.abs(v))
            for i, j in np.argwhere((above == 0) & (gap < doubt - self.slack)).tolist():
                i += start
                known = 0 if self.forbidden[i, j] else self._exact(i, j)
                if known - sums[i] - sums[self.n + j] < -limit:
                    return i, j
        return None

    def potentials(self, bridge: float) -> tuple[np.ndarray, np.ndarray]:
        """(u, v), with the number `bridge` for the cost of a forbidden edge."""
        counts, sums = self._sums()
        values = self._as_floats(sums) + bridge * np.array(counts)
        return values[: self.n], values[self.n :]
