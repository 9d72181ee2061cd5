"""Exact optimal transport between two finite laws, by the simplex method on the network of sources and sinks.

    W = min { <P, C> : P >= 0, P 1 = a, P^T 1 = b } = max { <a, u> + <b, v> : u_i + v_j <= C_ij }.

A basis of this linear program is a spanning tree of the n sources and m sinks: the tree alone determines the flows (each edge
carries what its side has in excess) and the potentials (u_i + v_j = C_ij along it). A step adds the edge whose cost exceeds
the potentials' bound the least, sends mass around the cycle that closes, and drops the edge that runs empty first. A step that
moves nothing could repeat for ever, so no flow may be zero: the masses are whole numbers of 2^-60, and each source holds one
part in n + 1 of such a unit more (the last sink takes them all). Then no proper part of the network balances, every step
lowers the cost, and the tree at the end is optimal without the extra parts too (Orden 1956; Ahuja, Magnanti, Orlin 1993,
Network Flows, chapter 11). All this is done in integers of any length, so it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module, to_numpy
from minigan.ops.indexing import Slot
from minigan.theory.arrays import on_arrays, table

UNIT = 2**60
Edge = tuple[int, int]


class Transport(NamedTuple):
    """A transport plan: `plan` (n, m), its `cost` <plan, C>, and the dual `potentials` (u, v) of shapes (n,) and (m,)."""

    plan: Any
    cost: Any
    potentials: Any


def check_problem(a: Tensor, b: Tensor, cost: Tensor) -> None:
    """Two tables (n,), (m,) and finite costs (n, m); ValueError otherwise."""
    table("a", a), table("b", b)
    if a.ndim != 1 or b.ndim != 1 or cost.shape != (a.size, b.size):
        raise ValueError(
            f"cost: got shape {cost.shape} for tables {a.shape} and {b.shape}, expected (n,), (m,), (n, m)"
        )
    if not bool(array_module(cost._data).isfinite(cost.data).all()):
        raise ValueError("cost: got a number that is NaN or infinite, expected finite costs")


@on_arrays("a", "b", "cost")
def discrete_transport(a: Any, b: Any, cost: Any) -> Any:
    """The cheapest way to turn one probability table into another: min <P, C> over P >= 0 with row sums a, column sums b.

    Args:
        a: (n,) probabilities of the sources; zeros are allowed.
        b: (m,) probabilities of the sinks.
        cost: (n, m) finite numbers, C_ij for a unit of mass from i to j.

    Returns:
        Transport(plan, cost, potentials=(u, v)). The plan has at most n + m - 1 positive entries; u_i + v_j <= C_ij, with
        equality where P_ij > 0 (complementary slackness), hence <a, u> + <b, v> = <P, C>. Potentials are fixed up to a
        constant, (u + c, v - c): here u is 0 at the first source of positive mass.

        Tensors are differentiated with the optimal tree held fixed, which is exact wherever the optimum is unique:
        dW/dC = P, and dW/da = u, dW/db = v up to that constant.

    Raises:
        ValueError: not probabilities, shapes that do not fit, a cost that is not finite.

    Source: Kantorovich 1942; Peyre, Cuturi 2019 (arXiv 1803.00567), eqs. 2.11 and 2.20, section 3.5.
    """
    check_problem(a, b, cost)
    n, m = cost.shape
    edges = _optimal_edges(*(to_numpy(t.data).astype(np.float64) for t in (a, b, cost)))
    xp = array_module(cost._data)
    paths = Tensor(xp.asarray(_paths(n, m, edges), dtype=cost.dtype))
    i, j = (xp.asarray(ends) for ends in np.array(edges).T)
    prices = cost[i, j]
    potentials = ops.matmul(paths, prices)
    flows = ops.matmul(ops.concatenate([a, b]), paths)
    flows = flows + ops.stop_gradient(ops.maximum(flows, 0.0) - flows)  # rounding may leave -1e-17
    plan = ops.index_add(flows, i, j, template=_EDGE, shape=(n, m))
    return Transport(plan, ops.sum(flows * prices), (potentials[:n], potentials[n:]))


_EDGE = (Slot(0), Slot(1))


def kantorovich_potentials(a: Any, b: Any, cost: Any) -> Any:
    """(u, v), the dual optimum: it maximises <a, u> + <b, v> subject to u_i + v_j <= C_ij. See :func:`discrete_transport`."""
    return discrete_transport(a, b, cost).potentials


def _paths(n: int, m: int, edges: Sequence[Edge]) -> np.ndarray:
    """(n + m, n + m - 1): potentials = paths @ costs of the edges, hence flows = masses @ paths, with u = 0 at the root.

    Along an edge the potentials of its ends add up to its cost, so a node's row is its edge minus its parent's row.
    """
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(n + m)]
    for k, (i, j) in enumerate(edges):
        neighbours[i].append((n + j, k))
        neighbours[n + j].append((i, k))
    paths = np.zeros((n + m, n + m - 1))
    root = edges[0][0]
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        for other, k in neighbours[node]:
            if other not in seen:
                seen.add(other)
                stack.append(other)
                paths[other] = -paths[node]
                paths[other, k] += 1.0
    return paths


def _optimal_edges(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> list[Edge]:
    """The edges (i, j) of an optimal tree. Nodes without mass join last, each by its cheapest edge."""
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    basis = _Basis(_whole(a[rows]), _whole(b[columns]), cost[np.ix_(rows, columns)])
    basis.optimise()
    edges = [(int(rows[i]), int(columns[j])) for i, j in basis.flow]
    edges.sort(key=lambda edge: edge != (rows[0], edge[1]))  # the first edge starts at the root
    u, v = np.full(len(a), np.nan), np.full(len(b), np.nan)
    u[rows], v[columns] = basis.u, basis.v
    for i in np.flatnonzero(a == 0):
        j = columns[int(np.argmin(cost[i, columns] - v[columns]))]
        u[i] = cost[i, j] - v[j]
        edges.append((int(i), int(j)))
    for j in np.flatnonzero(b == 0):
        edges.append((int(np.argmin(cost[:, j] - u)), int(j)))
    return edges


def _whole(masses: np.ndarray) -> list[int]:
    """Masses as positive integers with sum UNIT."""
    whole = [max(1, round(float(x) * UNIT)) for x in masses]
    whole[int(np.argmax(masses))] += UNIT - sum(whole)
    return whole


class _Basis:
    """A spanning tree of sources 0..n-1 and sinks n..n+m-1, with its flows and potentials."""

    def __init__(self, a: list[int], b: list[int], cost: np.ndarray) -> None:
        self.n, self.m = cost.shape
        self.cost = cost
        parts = self.n + 1
        left = [x * parts + 1 for x in a], [x * parts for x in b]
        left[1][-1] += self.n
        self.flow: dict[Edge, int] = {}
        self.neighbours: list[set[int]] = [set() for _ in range(self.n + self.m)]
        for cell in np.argsort(cost, axis=None, kind="stable"):  # the cheapest cell first takes all it can
            i, j = divmod(int(cell), self.m)
            if left[0][i] and left[1][j]:
                self._join(i, j, min(left[0][i], left[1][j]))
                left[0][i] -= self.flow[i, j]
                left[1][j] -= self.flow[i, j]
        self.refresh()

    def _join(self, i: int, j: int, flow: int) -> None:
        self.flow[i, j] = flow
        self.neighbours[i].add(self.n + j)
        self.neighbours[self.n + j].add(i)

    def refresh(self) -> None:
        """Parents, depths and potentials, from the root down, so that no rounding piles up."""
        self.parent = [-1] * (self.n + self.m)
        self.depth = [0] * (self.n + self.m)
        self.u, self.v = np.zeros(self.n), np.zeros(self.m)
        self._hang(0)

    def _hang(self, top: int) -> None:
        """Set what lies below `top`, whose own entries are right."""
        stack = [top]
        while stack:
            node = stack.pop()
            for child in self.neighbours[node]:
                if child == self.parent[node]:
                    continue
                self.parent[child], self.depth[child] = node, self.depth[node] + 1
                if child < self.n:
                    self.u[child] = self.cost[child, node - self.n] - self.v[node - self.n]
                else:
                    self.v[child - self.n] = self.cost[node, child - self.n] - self.u[node]
                stack.append(child)

    def optimise(self) -> None:
        """Exchange edges until none costs less than the potentials' bound, beyond rounding."""
        slack = 4 * np.finfo(np.float64).eps * (self.n + self.m) * float(np.abs(self.cost).max())
        rows = max(1, 20_000 // self.m)  # price a block of rows at a time
        start = idle = 0
        fresh = True
        while True:
            block = slice(start, min(start + rows, self.n))
            excess = self.cost[block] - self.u[block, None] - self.v
            cell = int(np.argmin(excess))
            if excess.flat[cell] < -slack:
                self._exchange(start + cell // self.m, cell % self.m)
                idle, fresh = 0, False
                continue
            idle += block.stop - start
            start = block.stop % self.n
            if idle >= self.n:
                if fresh:
                    return
                self.refresh()
                idle, fresh = 0, True

    def _exchange(self, i: int, j: int) -> None:
        """Bring the edge (i, j) into the tree, and take out the first that runs empty."""
        up, down = self._path(i, self.n + j)
        gives = up[::2] + down[::2]  # every other edge of the cycle, those next to i and j, carries less
        takes = up[1::2] + down[1::2]
        leaving = min(gives, key=self.flow.__getitem__)
        amount = self.flow[leaving]
        for edge in gives:
            self.flow[edge] -= amount
        for edge in takes:
            self.flow[edge] += amount
        del self.flow[leaving]
        out, into = leaving[0], self.n + leaving[1]
        self.neighbours[out].discard(into)
        self.neighbours[into].discard(out)
        self._join(i, j, amount)
        below, above = (i, self.n + j) if leaving in up else (self.n + j, i)
        self.parent[below], self.depth[below] = above, self.depth[above] + 1
        if below < self.n:
            self.u[below] = self.cost[i, j] - self.v[j]
        else:
            self.v[j] = self.cost[i, j] - self.u[i]
        self._hang(below)

    def _path(self, x: int, y: int) -> tuple[list[Edge], list[Edge]]:
        """The tree's edges from x and from y up to where they meet."""
        paths: tuple[list[Edge], list[Edge]] = [], []
        ends = [x, y]
        while ends[0] != ends[1]:
            side = 0 if self.depth[ends[0]] >= self.depth[ends[1]] else 1
            node = ends[side]
            above = self.parent[node]
            paths[side].append((node, above - self.n) if node < self.n else (above, node - self.n))
            ends[side] = above
        return paths
