"""Adding rows up where an index repeats, on the CPU: the gradient of an embedding, as a gather.

A scatter would have two threads add to one row of the table. Here the entries are sorted by their row first (a counting sort, so
that equals keep the order of the index); then each row of the table belongs to one task, which reads what is its own and adds it
up in double. The result does not depend on the number of threads.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.compiler import address_of, array_at, njit, task, words_at
from minigan.kernels.cpu_team import team

SPAN = 16_384  # numbers that a task should read, at least


@njit
def _sort(rows: Array, starts: Array, order: Array) -> None:
    """order = the entries by their row; those of row v are starts[v] <= j < starts[v + 1]."""
    for i in range(rows.size):
        starts[rows[i] + 2] += 1
    for v in range(2, starts.size):
        starts[v] += starts[v - 1]
    for i in range(rows.size):  # starts[v + 1] runs from the first entry of v to the first of v + 1
        order[starts[rows[i] + 1]] = i
        starts[rows[i] + 1] += 1


@cache
def _add_task(dtype: Any) -> int:
    """Parameters: addresses of g, the order, the starts, the table, scratch; rows of the table, of a task; length of a row."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = words_at(parameters, 8)
        length = p[7]
        starts, total = words_at(p[2], p[5] + 1), array_at(p[4] + 8 * length * thread, length, double)
        order = words_at(p[1], starts[p[5]])
        for v in range(index * p[6], min(p[5], (index + 1) * p[6])):
            if starts[v] == starts[v + 1]:
                continue
            for c in range(length):
                total[c] = 0
            for j in range(starts[v], starts[v + 1]):
                g = array_at(p[0] + size * length * order[j], length, like)
                for c in range(length):
                    total[c] += g[c]
            out = array_at(p[3] + size * length * v, length, like)
            for c in range(length):
                out[c] += total[c]

    return run


def add_rows(g: Array, rows: Array, out: Array) -> None:
    """See :func:`minigan.kernels.reference.add_rows`."""
    if not g.size or g.dtype.kind != "f" or not g.flags.c_contiguous or not out.flags.c_contiguous:
        reference.add_rows(g, rows, out)
        return
    count, length = out.shape
    flat = np.where(rows < 0, rows + count, rows).astype(np.int64)
    starts, order = np.zeros(count + 2, np.int64), np.empty(flat.size, np.int64)
    _sort(flat, starts, order)
    of_task = max(1, SPAN * count // g.size)
    scratch = np.empty((team().size, length))
    arrays = (g, order, starts, out, scratch)
    p = np.array([*map(address_of, arrays), count, of_task, length])
    team().run(_add_task(g.dtype), p, -(-count // of_task))
