"""Where arrays lie that are not needed at the same time: one block of memory for all of them.

The calls of a recorded step run in a fixed order, so it is known of each array which call fills it first and which one reads
it last. Two arrays may share memory if one is done with before the other begins. Packing such intervals into the shortest
block is NP-hard (it is a two-dimensional packing); here the largest go first, each into the tightest gap that is free while
it lives ("greedy by size", Pisarchyk, Lee 2020, arXiv 2001.03288, algorithm 3). No block can be shorter than what lives at
once, :func:`least`, and on training steps this one is rarely some per cent longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LINE = 64  # bytes to which arrays are aligned


def pack(sizes: Sequence[int], first: Sequence[int], last: Sequence[int]) -> tuple[np.ndarray, int]:
    """(offsets, length) of a block of memory that holds every array from call `first[i]` to call `last[i]`, both included.

    Args:
        sizes: bytes of each array, >= 0. Offsets are multiples of LINE.
        first, last: numbers of calls, first[i] <= last[i].
    """
    room = -(-np.asarray(sizes, np.int64) // LINE) * LINE
    begin, end = np.asarray(first, np.int64), np.asarray(last, np.int64)
    offsets, length = np.zeros(len(room), np.int64), 0
    order = np.lexsort((begin, -room))
    for count, i in enumerate(order):
        placed = order[:count]
        meets = placed[(begin[placed] <= end[i]) & (begin[i] <= end[placed])]
        offsets[i] = _tightest(offsets[meets], room[meets], int(room[i]))
        length = max(length, int(offsets[i] + room[i]))
    return offsets, length


def _tightest(starts: np.ndarray, sizes: np.ndarray, size: int) -> int:
    """Where `size` bytes fit best among taken stretches: in the smallest gap, else behind them all."""
    if not len(starts):
        return 0
    order = np.argsort(starts, kind="stable")
    reached = np.maximum.accumulate(np.concatenate([[0], (starts + sizes)[order]]))
    gaps = starts[order] - reached[:-1]
    fits = np.flatnonzero(gaps >= size)
    return int(reached[fits[np.argmin(gaps[fits])]] if len(fits) else reached[-1])


def least(sizes: Sequence[int], first: Sequence[int], last: Sequence[int]) -> int:
    """The most bytes that live at once: no block is shorter."""
    if not len(sizes):
        return 0
    change = np.zeros(max(last) + 2, np.int64)
    room = -(-np.asarray(sizes, np.int64) // LINE) * LINE
    np.add.at(change, np.asarray(first), room)
    np.add.at(change, np.asarray(last) + 1, -room)
    return int(np.cumsum(change).max())
