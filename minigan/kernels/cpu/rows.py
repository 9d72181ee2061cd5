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
from minigan.kernels.cpu.compiler import array_at, filled, njit, record, record_at, task, words_at
from minigan.kernels.cpu.team import team

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


_ROWS = record("g order starts out scratch count span length")


@cache
def _add_task(dtype: Any) -> int:
    """Parameters: `count` rows of the table, `span` of a task, and what :func:`_sort` has left."""
    like, double = np.empty(0, dtype), np.empty(0, np.float64)
    size = like.itemsize

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _ROWS)
        length = p.length
        starts, total = words_at(p.starts, p.count + 1), array_at(p.scratch + 8 * length * thread, length, double)
        order = words_at(p.order, starts[p.count])
        for v in range(index * p.span, min(p.count, (index + 1) * p.span)):
            if starts[v] == starts[v + 1]:
                continue
            for c in range(length):
                total[c] = 0
            for j in range(starts[v], starts[v + 1]):
                g = array_at(p.g + size * length * order[j], length, like)
                for c in range(length):
                    total[c] += g[c]
            out = array_at(p.out + size * length * v, length, like)
            for c in range(length):
                out[c] += total[c]

    return run


@reference.add_rows.on("cpu")
def add_rows(g: Array, rows: Array, out: Array) -> None:
    """The entries sorted by their row, then each row by one task."""
    if not g.size or g.dtype.kind != "f" or not g.flags.c_contiguous or not out.flags.c_contiguous:
        reference.add_rows.reference(g, rows, out)
        return
    count, length = out.shape
    flat = rows.astype(np.int64) % count
    starts, order = np.zeros(count + 2, np.int64), np.empty(flat.size, np.int64)
    _sort(flat, starts, order)
    span, scratch = max(1, SPAN * count // g.size), np.empty((team().size, length))
    p = filled(
        _ROWS, g=g, order=order, starts=starts, out=out, scratch=scratch, count=count, span=span, length=length
    )  # fmt: skip
    team().run(_add_task(g.dtype), p, -(-count // span))
