"""Exact optimal transport between two finite laws, by the simplex method on the network of sources and sinks.

    W = min { <P, C> : P >= 0, P 1 = a, P^T 1 = b } = max { <a, u> + <b, v> : u_i + v_j <= C_ij }.

A basis of this linear program is a spanning tree of the n sources and m sinks: the tree alone determines the flows (each edge
carries what its side has in excess) and the potentials (u_i + v_j = C_ij along it). A step adds the edge whose cost exceeds
the potentials' bound, sends mass around the cycle that closes, and drops the edge that runs empty first (`network_simplex`).

Floating point finds the tree, integers prove it. A float is a whole number times a power of 2, so the potentials along a tree
are exact in integers of any length. An edge is worth a step where its exact cost is below the bound: those whose sign rounding
cannot change are told in floats, the few others in integers. So costs of 1 beside costs of 1e16 are not lost in rounding, and
a cost that is inf, an edge that is forbidden, counts as more than all others together: as a pair (how many forbidden edges,
cost), compared in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module, to_numpy
from minigan.ops.indexing import Slot
from minigan.theory import network_simplex
from minigan.theory.arrays import on_arrays, table

Edge = tuple[int, int]


class Transport(NamedTuple):
    """A transport plan: `plan` (n, m), its `cost` <plan, C>, and the dual `potentials` (u, v) of shapes (n,) and (m,)."""

    plan: Any
    cost: Any
    potentials: Any


def check_problem(a: Tensor, b: Tensor, cost: Tensor, *, forbidden: bool = False) -> None:
    """Two tables (n,), (m,) and finite costs (n, m), or inf for what is forbidden if it may be; ValueError otherwise."""
    table("a", a), table("b", b)
    if a.ndim != 1 or b.ndim != 1 or cost.shape != (a.size, b.size):
        raise ValueError(
            f"cost: got shape {cost.shape} for tables {a.shape} and {b.shape}, expected (n,), (m,), (n, m)"
        )
    if not forbidden and not bool(array_module(cost._data).isfinite(cost.data).all()):
        raise ValueError("cost: got a number that is NaN or infinite, expected finite costs")
    if not bool((cost.data > -np.inf).all()):
        raise ValueError(
            "cost: got a number that is NaN or -inf, expected finite costs, or inf where a way is forbidden"
        )


@on_arrays("a", "b", "cost")
def discrete_transport(a: Any, b: Any, cost: Any) -> Any:
    """The cheapest way to turn one probability table into another: min <P, C> over P >= 0 with row sums a, column sums b.

    Args:
        a: (n,) probabilities of the sources; zeros are allowed.
        b: (m,) probabilities of the sinks.
        cost: (n, m) numbers, C_ij for a unit of mass from i to j; inf where this is forbidden.

    Returns:
        Transport(plan, cost, potentials=(u, v)). The plan has at most n + m - 1 positive entries; u_i + v_j <= C_ij, with
        equality where P_ij > 0 (complementary slackness), hence <a, u> + <b, v> = <P, C>. Potentials are fixed up to a
        constant, (u + c, v - c): here u is 0 at the first source of positive mass. Where forbidden ways part the network, its
        parts have a constant each.

        Tensors are differentiated with the optimal tree held fixed, which is exact wherever the optimum is unique:
        dW/dC = P, and dW/da = u, dW/db = v up to that constant.

    Raises:
        ValueError: not probabilities, shapes that do not fit, a cost that is NaN or -inf, or so many forbidden ways that no plan
            is left.

    Source: Kantorovich 1942; Peyre, Cuturi 2019 (arXiv 1803.00567), eqs. 2.11 and 2.20, section 3.5.
    """
    check_problem(a, b, cost, forbidden=True)
    n, m = cost.shape
    masses = [to_numpy(t.data).astype(np.float64) for t in (a, b)]
    numbers = to_numpy(cost.data).astype(np.float64)
    edges = _optimal_edges(masses[0], masses[1], numbers)
    far = network_simplex.out_of_scale(numbers)
    cost = _without_forbidden(cost, numbers, masses, edges)
    xp = array_module(cost._data)
    paths = Tensor(xp.asarray(_paths(n, m, edges), dtype=cost.dtype))
    i, j = (xp.asarray(ends) for ends in np.array(edges).T)
    prices = cost[i, j]
    potentials = ops.matmul(paths, prices)
    flows = ops.matmul(ops.concatenate([a, b]), paths)
    # rounding may leave -1e-17, and what it leaves on an edge that costs 1e300 would count
    void = (flows.data < 0) | (xp.asarray([bool(far[edge]) for edge in edges]) & (flows.data <= 2.0**-52 * (n + m)))
    flows = flows + ops.stop_gradient(ops.where(Tensor(void), 0.0, flows) - flows)
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


def _without_forbidden(cost: Tensor, numbers: np.ndarray, masses: list[np.ndarray], edges: list[Edge]) -> Tensor:
    """The costs with a finite number for inf, on the tree's edges too, where nothing flows.

    Raises:
        ValueError: where something flows there, more than the rounding of the masses.
    """
    forbidden = np.isinf(numbers)
    if not forbidden.any():
        return cost
    flows = np.concatenate(masses) @ _paths(numbers.shape[0], numbers.shape[1], edges)
    used = sum(f for f, edge in zip(flows, edges, strict=True) if forbidden[edge])
    if used > 1e-14 * sum(numbers.shape):
        raise ValueError(
            f"cost: got so many infinite ones that no plan is left: a mass of {used:.6g} at least has to take a forbidden way"
        )
    # Any number is right there for plan and cost. So that u_i + v_j <= C_ij holds, a part of the network that only a forbidden
    # edge joins to the rest is set as low as its finite edges to the rest ask for
    return ops.where(Tensor(array_module(cost._data).asarray(forbidden)), _bridge(numbers), cost)


def _bridge(numbers: np.ndarray) -> float:
    """More than any sum of costs along a path."""
    finite = np.abs(numbers[np.isfinite(numbers)])
    return 2.0 * float(finite.max(initial=0.0)) * sum(numbers.shape) + 1.0


def _optimal_edges(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> list[Edge]:
    """The edges (i, j) of an optimal tree. Nodes without mass join last, each by its cheapest edge."""
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    tree = network_simplex.Tree(a[rows], b[columns], cost[np.ix_(rows, columns)])
    tree.optimise()
    edges = [(int(rows[i]), int(columns[j])) for i, j in tree.edges()]
    edges.sort(key=lambda edge: edge != (rows[0], edge[1]))  # the first edge starts at the root
    u, v = np.full(len(a), np.nan), np.full(len(b), np.nan)
    bridge = _bridge(cost)
    u[rows], v[columns] = tree.potentials(bridge)
    cost = np.where(np.isinf(cost), bridge, cost)
    for i in np.flatnonzero(a == 0):
        j = columns[int(np.argmin(cost[i, columns] - v[columns]))]
        u[i] = cost[i, j] - v[j]
        edges.append((int(i), int(j)))
    for j in np.flatnonzero(b == 0):
        edges.append((int(np.argmin(cost[:, j] - u)), int(j)))
    return edges
