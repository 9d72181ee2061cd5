"""Batches as a pure function of (seed, step): a resumed run sees exactly what the unbroken one would have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.checks import whole
from minigan.data.base import DataError, Dataset, stream
from minigan.data.pixels import Pixels

Examples = Dataset | np.ndarray


def _rows(array: Any, indices: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    if isinstance(array, Pixels):
        return array.take(indices, out=out)
    # mode="clip" lets NumPy gather straight into `out`; the default mode goes through a second buffer.
    return np.take(array, indices, axis=0, out=out, mode="clip")


class _Set:
    """Arrays whose rows belong together, and the order in which their rows are visited."""

    def __init__(
        self, name: str, arrays: dict[str, Any], batch_size: int, seed: int, rows: np.ndarray | None = None
    ) -> None:
        self.name, self.arrays, self.batch_size, self.seed, self.rows = name, arrays, batch_size, seed, rows
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(
                f"Loader: rows belong together, but the lengths are {lengths}; for unpaired sets give Datasets"
            )
        self.length = next(iter(lengths.values())) if rows is None else len(rows)
        if self.length < batch_size:
            where = f"{name!r}: " if name else ""
            smaller = f"use a batch size of {self.length} or less, or " if self.length else ""
            raise DataError(
                f"Loader: {where}{self.length} examples do not fill one batch of {batch_size}: {smaller}give more examples"
            )
        self._epoch = -1
        self._order = np.empty(0, dtype=np.intp)

    def indices(self, step: int) -> np.ndarray:
        epoch, place = divmod(int(step), self.length // self.batch_size)
        if epoch != self._epoch:
            # One epoch's order is kept: training asks for the steps of an epoch one after another.
            shuffle = f"{self.name}/shuffle/{epoch}" if self.name else f"shuffle/{epoch}"
            order = stream(self.seed, shuffle).permutation(self.length)
            self._order = order if self.rows is None else self.rows[order]
            self._epoch = epoch
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]

    def take(self, step: int, out: Any) -> dict[str, np.ndarray]:
        indices, out = self.indices(step), out or {}
        return {name: _rows(a, indices, out.get(name)) for name, a in self.arrays.items()}


class Loader:
    """Shuffled batches of one data set, of arrays whose rows belong together, or of several data sets.

    Epoch e = step // steps_per_epoch visits the examples in a permutation that depends on (seed, e) alone, or on (seed, e, name)
    where there is a name; the remainder that does not fill a batch is dropped for that epoch.

    Args:
        data: what a batch holds follows from it:

            - an array (N, ...), or a Dataset: an array (batch_size, ...); with `labels`, {"x": examples, "y": labels};
            - a mapping of names to arrays of one length: a dict of arrays, row i of each from the same example;
            - a mapping of names to Datasets (or to mappings of arrays): a dict with an entry for each, unpaired: each set is
              visited in an order of its own, from a stream named after it, and in epochs of its own.
        batch_size: 1 <= batch_size <= N.
        seed: any integer.
        labels: None for none; "integers" for a Dataset's y (batch_size,) int64; "one_hot" for (batch_size, classes) float32.
        classes: how many labels there are; by default one more than the largest.
        rows: of a single set, the numbers of the examples that are visited, each once an epoch; all by default.
        name: of the order's stream, for a single set. Two loaders of one seed and one length visit in the same order unless
            their names differ.

    Raises:
        DataError: a set smaller than a batch, arrays of different lengths, no labels where they are wanted, or something that is
            no data, such as a tuple or list of arrays.
        ValueError: a batch size below 1, an unknown kind of labels, or rows that are no numbers of examples.
    """

    def __init__(
        self,
        data: Examples | Mapping[str, Any],
        *,
        batch_size: int,
        seed: int,
        labels: str | None = None,
        classes: int | None = None,
        rows: np.ndarray | None = None,
        name: str = "",
    ) -> None:
        batch_size = whole("Loader", "batch_size", batch_size, low=1)
        if classes is not None:
            whole("Loader", "classes", classes, low=1)
        if labels not in (None, "integers", "one_hot"):
            raise ValueError(f"Loader: labels={labels!r}; expected None, 'integers' or 'one_hot'")
        self.batch_size, self.seed = batch_size, whole("Loader", "seed", seed)
        self._labels, self._classes = labels, classes
        self._sets: dict[str, _Set] = {}
        self._form = "array"  # what a batch is: an array, "rows" (a dict of arrays), or "sets" (a dict of these)
        if isinstance(data, Mapping):
            if not data:
                raise DataError("Loader: got a mapping without entries, expected names of arrays or of data sets")
            sets = {key: isinstance(value, (Dataset, Mapping)) for key, value in data.items()}
            self._form = "sets" if all(sets.values()) else "rows"
            if self._form == "rows" and any(sets.values()):
                raise DataError(
                    f"Loader: got arrays and data sets in one mapping, {list(data)}, expected all of one kind"
                )
        elif labels is not None:
            self._form = "rows"
        parts = dict(data) if isinstance(data, Mapping) and self._form == "sets" else {name: data}
        for key, value in parts.items():
            arrays = self._arrays(value, key)
            chosen = None if rows is None else self._chosen(rows, arrays)
            self._sets[key] = _Set(key, arrays, self.batch_size, self.seed, chosen)
        first = next(iter(self._sets.values()))
        self.x = next(iter(first.arrays.values()))
        self.y = data.y if isinstance(data, Dataset) else None

    def _arrays(self, value: Any, name: str) -> dict[str, Any]:
        arrays: dict[str, Any]
        if isinstance(value, Dataset):
            arrays = {"x": value.x}
            if self._labels is not None:
                if value.y is None:
                    raise DataError(f"Loader: labels={self._labels!r}, but the data set {value.name!r} has none")
                arrays["y"] = self._encoded(value.y)
        elif isinstance(value, Mapping):
            if self._labels is not None:
                raise DataError(
                    f"Loader: labels={self._labels!r} is for Datasets; in a mapping of arrays give them as one: 'y'"
                )
            arrays = {key: _array(part, key) for key, part in value.items()}
            if not arrays:
                raise DataError(f"Loader: {name!r} is a mapping without entries")
        else:
            if self._labels is not None:
                raise DataError(
                    f"Loader: labels={self._labels!r} is for Datasets; for arrays give {{'x': ..., 'y': ...}}"
                )
            arrays = {"x": _array(value, "")}
        return {key: a if isinstance(a, Pixels) else np.ascontiguousarray(a) for key, a in arrays.items()}

    def _chosen(self, rows: np.ndarray, arrays: Mapping[str, Any]) -> np.ndarray:
        rows, length = np.asarray(rows), len(next(iter(arrays.values())))
        if self._form == "sets":
            raise ValueError("Loader: rows are of a single set; give each set a loader of its own")
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= length)).any():
            raise ValueError(
                f"Loader: got rows {rows.dtype} {rows.shape}, expected whole numbers (k,) from 0 to {length - 1}"
            )
        if len(np.unique(rows)) < len(rows):
            raise ValueError(
                "Loader: got rows with the same number twice, expected each once; repeat the examples themselves"
            )
        return rows

    def _encoded(self, labels: np.ndarray) -> np.ndarray:
        if labels.dtype.kind not in "iu":
            raise DataError(
                f"Loader: got labels of dtype {labels.dtype}, expected whole numbers: np.unique(labels, return_inverse=True)[1]"
            )
        most = int(labels.max()) + 1
        classes = most if self._classes is None else self._classes
        if labels.min() < 0 or classes < most:
            raise DataError(f"Loader: got labels from {labels.min()} to {most - 1} for {classes} classes")
        return labels if self._labels == "integers" else np.eye(classes, dtype=np.float32)[labels]

    def __repr__(self) -> str:
        sets = []
        for one in self._sets.values():
            arrays = ", ".join(f"{n} {a.shape[1:]} {a.dtype}" for n, a in one.arrays.items())
            sets.append(f"{f'{one.name}: ' if one.name else ''}{one.length:,} examples ({arrays})")
        return f"Loader({'; '.join(sets)}; batch_size={self.batch_size}, seed={self.seed}, {self.steps_per_epoch} steps an epoch)"

    @property
    def steps_per_epoch(self) -> int:
        """floor(N / batch_size); of several sets, that of the smallest."""
        return min(one.length for one in self._sets.values()) // self.batch_size

    def indices(self, step: int) -> Any:
        """Which examples batch `step` holds, (batch_size,) integers; a dict of them for several sets. Raises ValueError for
        step < 0."""
        step = whole("Loader", "step", step, low=0)
        found = {name: one.indices(step) for name, one in self._sets.items()}
        return found if self._form == "sets" else next(iter(found.values()))

    def batch(self, step: int, *, out: Any = None) -> Any:
        """The examples of batch `step`, an array (batch_size, ...) or a dict (see the class), put into `out` (an array or a dict
        of them, of the same shapes and dtypes) when given. Raises ValueError for step < 0."""
        step = whole("Loader", "step", step, low=0)
        if self._form == "sets":
            return {name: self._one(one, step, (out or {}).get(name)) for name, one in self._sets.items()}
        (one,) = self._sets.values()
        return one.take(step, out) if self._form == "rows" else one.take(step, {"x": out})["x"]

    def _one(self, one: _Set, step: int, out: Any) -> Any:
        """One of several sets: an array where it has nothing but examples."""
        single = list(one.arrays) == ["x"]
        taken = one.take(step, {"x": out} if single else out)
        return taken["x"] if single else taken

    def labels(self, step: int) -> np.ndarray:
        """The labels (batch_size,) int64 of batch `step`. Raises DataError when the set has none."""
        if self.y is None:
            raise DataError("Loader: this data set has no labels; a conditional model needs a labelled one")
        return self.y[self.indices(step)]


def _array(value: Any, name: str) -> Any:
    where = f" for {name!r}" if name else ""
    if isinstance(value, (list, tuple)):
        raise DataError(
            f"Loader: received a {type(value).__name__}{where}, which would be stacked; name what belongs together: "
            '{"x": images, "y": labels}'
        )
    if not hasattr(value, "dtype") or np.ndim(value) == 0:
        raise DataError(f"Loader: received {type(value).__name__}{where}, expected an array of examples (N, ...)")
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(
            f"Loader: received a masked array{where}, whose mask would be lost; give the mask as an array too"
        )
    if value.dtype.kind not in "biuf":
        raise DataError(
            f"Loader: received an array of dtype {value.dtype}{where}, expected float32, float64, integer or bool"
        )
    return value if isinstance(value, Pixels) else np.asarray(value)
