"""The network simplex on a complete bipartite network: a tree to start from, and the exchange of edges until none is cheaper.

Nodes are sources 0..n-1 and sinks n..n+m-1; a tree is the parent of each node, and the flow on the edge to it. A step that moves
nothing could repeat for ever, so no flow may be zero: each source holds an infinitesimal part more, the last sink takes them all.
Then no proper part of the network balances, every step lowers the cost, and the tree at the end is optimal without the parts
too (Orden 1956; Ahuja, Magnanti, Orlin 1993, Network Flows, chapter 11). So a flow is a pair: `flow` in whole units, `part`
in infinitesimal ones, compared in this order. A cost is a pair too: `level`, how many forbidden edges, and then `cost`.

`minigan.theory.network_simplex` says what the arrays mean and proves the result.
"""

from __future__ import annotations

import numpy as np

from minigan.kernels.cpu.compiler import njit

# rows of `tree`, (7, nodes)
PARENT, DEPTH, CHILD, NEXT, BEFORE, FLOW, PART = range(7)
NONE = -1


@njit
def greedy(order, left, parts, n, m, ends, flows):  # type: ignore[no-untyped-def]
    """Cells in the given order take all they can: edges (sources, sinks) into `ends`, flows and parts into `flows`."""
    k = 0
    for at in range(order.size):
        cell = order[at]
        i, j = cell // m, n + cell % m
        if (left[i] == 0 and parts[i] == 0) or (left[j] == 0 and parts[j] == 0):
            continue
        less = i if left[i] < left[j] or (left[i] == left[j] and parts[i] < parts[j]) else j
        amount, part = left[less], parts[less]
        left[i] -= amount
        left[j] -= amount
        parts[i] -= part
        parts[j] -= part
        ends[0, k], ends[1, k] = i, j
        flows[0, k], flows[1, k] = amount, part
        k += 1
        if k == n + m - 1:
            break
    return k


@njit
def exchange(cost, level, tree, potential, levels, slack, block, into):  # type: ignore[no-untyped-def]
    """Bring edges into the tree until none is below the bound by more than `slack`; or only the edge `into`, if it is one.

    `potential` and `levels` hold u and v of the nodes; they are kept up to date. Returns how many steps were made.
    """
    n, m = cost.shape
    cells = n * m
    once = into[0] >= 0
    start, idle, steps = 0, 0, 0
    stack = np.empty(n + m, np.int64)
    while True:
        # -- the edge of a block of cells that is worth the most
        bi, bj, best, best_level = NONE, NONE, -slack, 0
        if once:
            bi, bj = into[0], into[1]
            best_level = level[bi, bj] - levels[bi] - levels[n + bj]
            best = cost[bi, bj] - potential[bi] - potential[n + bj]
        else:
            i, j = start // m, start % m
            for _ in range(min(block, cells)):
                above = level[i, j] - levels[i] - levels[n + j]
                if above <= best_level:
                    gap = cost[i, j] - potential[i] - potential[n + j]
                    if above < best_level or gap < best:
                        bi, bj, best, best_level = i, j, gap, above
                j += 1
                if j == m:
                    i, j = i + 1, 0
                    if i == n:
                        i = 0
            idle += block
            start = i * m + j
            if bi < 0:
                if idle >= cells + block:
                    return steps
                continue
            idle = 0
        steps += 1
        # -- the cycle: from both ends up to where they meet; the edges that carry less are those above a source on the
        # source's side, above a sink on the sink's side
        x, y = bi, n + bj
        out, amount, part, of_x = NONE, 0, 0, True
        while x != y:
            on_x = tree[DEPTH, x] >= tree[DEPTH, y]
            node = x if on_x else y
            gives = (node < n) == on_x
            if gives:
                f, e = tree[FLOW, node], tree[PART, node]
                if out == NONE or f < amount or (f == amount and e < part):
                    out, amount, part, of_x = node, f, e, on_x
            if on_x:
                x = tree[PARENT, x]
            else:
                y = tree[PARENT, y]
        x, y = bi, n + bj
        while x != y:
            on_x = tree[DEPTH, x] >= tree[DEPTH, y]
            node = x if on_x else y
            sign = -1 if (node < n) == on_x else 1
            tree[FLOW, node] += sign * amount
            tree[PART, node] += sign * part
            if on_x:
                x = tree[PARENT, x]
            else:
                y = tree[PARENT, y]
        # -- hang the part below the edge that leaves under the edge that enters: its path up is turned round
        node, above = (bi, n + bj) if of_x else (n + bj, bi)
        flow, extra = amount, part
        while True:
            parent, old_flow, old_extra = tree[PARENT, node], tree[FLOW, node], tree[PART, node]
            before, after = tree[BEFORE, node], tree[NEXT, node]  # unlink from the old parent
            if before == NONE:
                tree[CHILD, parent] = after
            else:
                tree[NEXT, before] = after
            if after != NONE:
                tree[BEFORE, after] = before
            first = tree[CHILD, above]  # link to the new one
            tree[PARENT, node], tree[BEFORE, node], tree[NEXT, node] = above, NONE, first
            if first != NONE:
                tree[BEFORE, first] = node
            tree[CHILD, above] = node
            tree[FLOW, node], tree[PART, node] = flow, extra
            if node == out:
                break
            above, node, flow, extra = node, parent, old_flow, old_extra
        # -- potentials below: those of one side rise by the gap, those of the other fall
        top = bi if of_x else n + bj
        stack[0], count = top, 1
        while count:
            count -= 1
            node = stack[count]
            same = (node < n) == (top < n)
            potential[node] += best if same else -best
            levels[node] += best_level if same else -best_level
            tree[DEPTH, node] = tree[DEPTH, tree[PARENT, node]] + 1
            child = tree[CHILD, node]
            while child != NONE:
                stack[count] = child
                count += 1
                child = tree[NEXT, child]
        if once:
            return steps
