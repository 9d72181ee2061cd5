"""Sequences of unequal lengths: buckets, padding, masks; batches as a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.checks import whole
from minigan.data.base import DataError, stream


def bucket_lengths(lengths: np.ndarray, buckets: int, *, fewest: int = 1) -> list[int]:
    """Up to so many lengths b_1 < ... < b_K, the last the longest, that leave the least padding: the sum over sequences of b - l,
    where b is the first of them that is not less than l. Exact, by dynamic programming over the lengths that occur.

    Args:
        lengths: (N,) whole numbers >= 1.
        buckets: how many at most.
        fewest: sequences in each bucket, at least.

    Raises:
        DataError: fewer sequences than that.
    """
    values, counts = np.unique(lengths, return_counts=True)
    total = np.concatenate([[0], np.cumsum(counts)])
    if total[-1] < fewest:
        raise DataError(
            f"bucket_lengths: got {total[-1]} sequences, expected at least {fewest}: give more, or a smaller batch"
        )
    weight = np.concatenate([[0], np.cumsum(counts * values)])
    # best[k][j]: the least padding of the j shortest lengths in k buckets; the last of them holds lengths i, ..., j - 1.
    best = [np.where(np.arange(len(total)) == 0, 0.0, np.inf)]
    chosen: list[np.ndarray] = []
    for _ in range(min(buckets, len(values))):
        now, start = np.full(len(total), np.inf), np.zeros(len(total), np.int64)
        for j in range(1, len(total)):
            padding = values[j - 1] * (total[j] - total[:j]) - (weight[j] - weight[:j])
            costs = np.where(total[j] - total[:j] >= fewest, best[-1][:j] + padding, np.inf)
            start[j] = int(costs.argmin())
            now[j] = costs[start[j]]
        best.append(now)
        chosen.append(start)
    k = int(np.argmin([level[-1] for level in best[1:]])) + 1
    found, j = [], len(values)
    while k:
        found.append(int(values[j - 1]))
        k, j = k - 1, int(chosen[k - 1][j])
    return found[::-1]


class SequenceLoader:
    """Shuffled batches of sequences (L_i, ...) of unequal lengths, each batch of sequences of about one length.

    The sequences are put into buckets by length; a batch comes from one bucket and is padded to that bucket's length, so that
    batches have few shapes (a recorded step is recorded once for each) and little padding. Epoch e = step // steps_per_epoch
    visits each bucket in a permutation that depends on (seed, e) alone, what does not fill a batch is left out of that epoch,
    and so is the order of the batches of all buckets.

    Args:
        sequences: arrays (L_i, ...) of one dtype and one shape behind the first axis, L_i >= 1.
        batch_size: sequences in a batch.
        seed: any integer.
        buckets: how many at most; where they are cut is :func:`bucket_lengths`. 1: all batches are as long as the longest.
        pad: what stands behind a sequence's end.
        names: of a batch's entries: the sequences, which steps count, and how many.

    Raises:
        DataError: fewer sequences than a batch, an empty one, or sequences of several dtypes or shapes.
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        *,
        batch_size: int,
        seed: int,
        buckets: int = 4,
        pad: float = 0,
        names: tuple[str, str, str] = ("x", "mask", "lengths"),
    ) -> None:
        self.batch_size = whole("SequenceLoader", "batch_size", batch_size, low=1)
        self.seed = whole("SequenceLoader", "seed", seed)
        buckets, self.names, self.pad = whole("SequenceLoader", "buckets", buckets, low=1), names, pad
        self.sequences = [np.asarray(sequence) for sequence in sequences]
        forms = {(s.dtype.str, s.shape[1:]) if s.ndim else "a number" for s in self.sequences}
        if len(forms) != 1 or "a number" in forms or not all(len(s) for s in self.sequences):
            shown = ", ".join(sorted(map(str, forms))[:4]) or "none"
            raise DataError(
                f"SequenceLoader: got {len(self.sequences)} sequences of dtypes and shapes {shown}, expected arrays (L, ...) of "
                "one kind, each with L >= 1"
            )
        self.lengths = np.array([len(s) for s in self.sequences], np.int64)
        self.buckets = bucket_lengths(self.lengths, buckets, fewest=self.batch_size)
        which = np.searchsorted(self.buckets, self.lengths)
        self._members = [np.flatnonzero(which == k) for k in range(len(self.buckets))]
        # Of each batch of an epoch: its bucket, and its number there.
        self._batches = [
            (k, i) for k, members in enumerate(self._members) for i in range(len(members) // self.batch_size)
        ]
        self._epoch = -1
        self._orders: list[np.ndarray] = []
        self._turns = np.empty(0, np.int64)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(m)} up to {b}" for m, b in zip(self._members, self.buckets, strict=True))
        return f"SequenceLoader({len(self.sequences):,} sequences: {sizes}; batch_size={self.batch_size}, seed={self.seed})"

    @property
    def steps_per_epoch(self) -> int:
        """Batches of all buckets."""
        return len(self._batches)

    @property
    def padding(self) -> float:
        """The share of steps in padded sequences that do not count."""
        padded = sum(len(m) * b for m, b in zip(self._members, self.buckets, strict=True))
        return 1 - float(self.lengths.sum()) / padded

    def indices(self, step: int) -> np.ndarray:
        """Which sequences batch `step` holds, (batch_size,)."""
        return self._place(step)[1]

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch `step`: sequences (batch_size, L, ...) padded to their bucket's L, a mask (batch_size, L) of booleans, and
        lengths (batch_size,) int64, by `names`. Raises ValueError for step < 0."""
        length, chosen = self._place(step)
        first = self.sequences[chosen[0]]
        x = np.full((len(chosen), length, *first.shape[1:]), self.pad, first.dtype)
        for row, i in zip(x, chosen, strict=True):
            row[: self.lengths[i]] = self.sequences[i]
        lengths = self.lengths[chosen]
        return dict(zip(self.names, (x, np.arange(length) < lengths[:, None], lengths), strict=True))

    def _place(self, step: int) -> tuple[int, np.ndarray]:
        epoch, place = divmod(whole("SequenceLoader", "step", step, low=0), len(self._batches))
        if epoch != self._epoch:
            self._turns = stream(self.seed, f"buckets/{epoch}").permutation(len(self._batches))
            self._orders = [
                members[stream(self.seed, f"bucket/{k}/{epoch}").permutation(len(members))]
                for k, members in enumerate(self._members)
            ]
            self._epoch = epoch
        bucket, number = self._batches[self._turns[place]]
        begin = number * self.batch_size
        return self.buckets[bucket], self._orders[bucket][begin : begin + self.batch_size]
