"""What a step reads: an array, or a mapping of names to arrays, handed to losses as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor


class Batch:
    """Tensors by name: `b.x`, `b["y"]`, `"y" in b`, and `keys`, `values`, `items` as a dict has them.

    `len(b)` is the number of examples, where all entries agree on it.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = dict(entries)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._entries:
            raise AttributeError(f"batch: has no entry {name!r}, but {', '.join(self._entries)}")
        return self._entries[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self._entries:
            raise KeyError(f"batch: has no entry {name!r}, but {', '.join(self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        lengths = {name: len(entry) for name, entry in self._entries.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"batch: its entries have different lengths, {lengths}; take that of one: len(b.name)")
        return next(iter(lengths.values()))

    def __array__(self, *args: Any, **options: Any) -> Any:
        names = ", ".join(f"b.{name}" for name in self._entries)
        raise TypeError(f"batch: a mapping is no array; its entries are {names}")

    def __repr__(self) -> str:
        return f"Batch({', '.join(f'{name}: {entry!r}' for name, entry in self._entries.items())})"

    keys = property(lambda self: self._entries.keys, doc="As of a dict.")
    values = property(lambda self: self._entries.values, doc="As of a dict.")
    items = property(lambda self: self._entries.items, doc="As of a dict.")


def arrays_of(batch: Any, what: str = "batch") -> Any:
    """The arrays of a batch: an array for an array or a tensor, a dict for a mapping.

    Raises:
        TypeError: something else, or an array of a dtype without meaning here.
        ValueError: a mapping without entries, or with a name that cannot be an attribute.
    """
    if isinstance(batch, Mapping):
        for name in batch:
            if not isinstance(name, str) or not name.isidentifier() or name.startswith("_") or hasattr(Batch, name):
                raise ValueError(f"{what}: got the name {name!r}, expected one that can be written b.name")
        if not batch:
            raise ValueError(f"{what}: got a mapping without entries")
        return {name: arrays_of(entry, f"{what}[{name!r}]") for name, entry in batch.items()}
    if isinstance(batch, (Tensor, np.ndarray, np.generic)) or backend.is_gpu_array(batch):
        return _checked(batch, what)
    if isinstance(batch, (list, tuple)) and what.endswith("']"):  # an entry of a mapping
        raise TypeError(f"{what}: got a {type(batch).__name__}, expected an array: np.asarray({batch!r:.40})")
    if isinstance(batch, (list, tuple)):
        raise TypeError(
            f"{what}: got a {type(batch).__name__}, which could mean two things. Several arrays that belong together: a mapping, "
            '{"x": images, "y": labels}. Several batches, one an update: step(batches=[...])'
        )
    raise TypeError(f"{what}: got {type(batch).__name__}, expected an array or a mapping of names to arrays")


def _checked(batch: Any, what: str) -> Any:
    if isinstance(batch, np.ma.MaskedArray):
        raise TypeError(f"{what}: got a masked array, whose mask would be lost; give the mask as an array of its own")
    array = batch._data if isinstance(batch, Tensor) else batch
    if isinstance(array, (np.ndarray, np.generic)):
        array = np.asarray(array)  # a number, a matrix, a memory map: what NumPy calls an array, and nothing of its own
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not backend.is_float(array.dtype) and array.dtype.kind not in "biu":
        raise TypeError(f"{what}: got dtype {array.dtype}, expected float32, float64, integer or bool")
    return array


def tensors_of(arrays: Any) -> Any:
    """Arrays as tensors, also in lists and tuples, and a dict of them as a :class:`Batch`; anything else as it is."""
    if isinstance(arrays, dict):
        return Batch({name: tensors_of(entry) for name, entry in arrays.items()})
    if isinstance(arrays, (list, tuple)):
        return type(arrays)(map(tensors_of, arrays))
    return Tensor(arrays) if isinstance(arrays, np.ndarray) or backend.is_gpu_array(arrays) else arrays
