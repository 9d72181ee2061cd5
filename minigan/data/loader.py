"""Batches as a pure function of (seed, step): a resumed run sees exactly what the unbroken one would have."""

from __future__ import annotations

import numpy as np

from minigan.data.base import DataError, Dataset, stream


class Loader:
    """Shuffled batches of a data set or array.

    Epoch e = step // steps_per_epoch visits the examples in a permutation that depends on (seed, e) alone;
    the remainder that does not fill a batch is dropped for that epoch.

    data: a Dataset, or an array (N, ...). batch_size: 1 <= batch_size <= N. seed: any integer.
    Raises DataError when the set is smaller than a batch, ValueError for a batch size below 1.
    """

    def __init__(self, data: Dataset | np.ndarray, *, batch_size: int, seed: int) -> None:
        x = data.x if isinstance(data, Dataset) else data
        if np.ndim(x) == 0:
            raise DataError("Loader: received a scalar, expected an array of examples (N, ...)")
        self.x = np.ascontiguousarray(x)
        self.y = data.y if isinstance(data, Dataset) else None
        if batch_size < 1:
            raise ValueError(f"Loader: batch_size={batch_size}; expected at least 1")
        if len(self.x) < batch_size:
            raise DataError(
                f"Loader: {len(self.x)} examples do not fill one batch of {batch_size}: "
                f"use a batch size of {len(self.x)} or less, or give more examples"
            )
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self._epoch = -1
        self._order = np.empty(0, dtype=np.intp)

    @property
    def steps_per_epoch(self) -> int:
        """floor(N / batch_size)."""
        return len(self.x) // self.batch_size

    def indices(self, step: int) -> np.ndarray:
        """Which examples batch `step` holds, (batch_size,) integers. Raises ValueError for step < 0."""
        if step < 0:
            raise ValueError(f"Loader: step {step}; expected 0 or more")
        epoch, place = divmod(int(step), self.steps_per_epoch)
        if epoch != self._epoch:
            # One epoch's order is kept: training asks for the steps of an epoch one after another.
            self._order = stream(self.seed, f"shuffle/{epoch}").permutation(len(self.x))
            self._epoch = epoch
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]

    def batch(self, step: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """The examples of batch `step`, (batch_size, ...), put into `out` (same shape, dtype) when given."""
        # mode="clip" lets NumPy gather straight into `out`; the default mode goes through a second buffer.
        return np.take(self.x, self.indices(step), axis=0, out=out, mode="clip")

    def labels(self, step: int) -> np.ndarray:
        """The labels (batch_size,) int64 of batch `step`. Raises DataError when the set has none."""
        if self.y is None:
            raise DataError("Loader: this data set has no labels; a conditional model needs a labelled one")
        return self.y[self.indices(step)]
