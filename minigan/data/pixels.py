"""Images kept as they were stored, whole numbers in memory or in a mapped file, and read as floats in [-1, 1]."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from minigan.backend import Array, array_module, to_device
from minigan.data.base import DataError

_CHUNK = 1 << 22  # elements looked at together where all are


class Pixels:
    """Images (N, H, W, C) that read as float32, y = (x - low) / ((high - low) / 2) - 1, and take the memory of what is stored.

    A quarter of it for bytes; none for a mapped file, of which a batch's images are read when they are wanted. It has what an
    array of floats has as far as batches need it: `shape`, `dtype`, `len`, indexing, `take`, `numpy.asarray`.

    Args:
        stored: unsigned integers (N, H, W, C), NumPy's (also mapped) or CuPy's.
        low, high: what becomes -1 and 1.

    Raises:
        DataError: another dtype or rank, or low >= high.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, stored: Array, *, low: float = 0.0, high: float = 255.0) -> None:
        if stored.ndim != 4 or stored.dtype.kind != "u" or not low < high:
            raise DataError(
                f"Pixels: got {stored.dtype} {stored.shape} from {low:g} to {high:g}, expected unsigned integers (N, H, W, C) "
                "and low < high"
            )
        self.stored, self.low, self.high = stored, float(low), float(high)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return tuple(self.stored.shape)

    @property
    def ndim(self) -> int:
        """4."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        return f"Pixels({self.shape} of {self.stored.dtype}, {self.low:g}..{self.high:g} read as -1..1)"

    def __getitem__(self, index: Any) -> Array:
        return self._floats(self.stored[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Pixels: the floats are made when they are read; expected copy=None or True")
        return np.asarray(self[:], dtype)

    def take(self, indices: Array, *, out: Array | None = None) -> Array:
        """The images at these places, (len(indices), H, W, C) float32, in `out` where it is given."""
        xp = array_module(self.stored)
        return self._floats(xp.take(self.stored, indices, axis=0), out)

    def _floats(self, stored: Array, out: Array | None = None) -> Array:
        y = array_module(stored).empty(stored.shape, np.float32) if out is None else out
        y[...] = stored
        if self.low:
            y -= np.float32(self.low)
        y /= np.float32((self.high - self.low) / 2)
        y -= np.float32(1)
        return y

    def to(self, device: str) -> Pixels:
        """The same with what is stored on that device."""
        return Pixels(to_device(np.ascontiguousarray(self.stored), device), low=self.low, high=self.high)

    def checksum(self, start: int = 0) -> int:
        """CRC-32 of what is stored, a piece at a time, continued from `start`."""
        total = zlib.crc32(f"{self.stored.dtype.str} {self.low!r} {self.high!r}".encode(), start)
        for part in pieces(self.stored):
            total = zlib.crc32(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data, total)
        return total


def pieces(array: np.ndarray) -> list[np.ndarray]:
    """Views of successive rows, few enough in each that a copy of one is small."""
    rows = max(1, _CHUNK // max(1, array[:1].size))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def extremes(array: np.ndarray) -> tuple[Any, Any]:
    """The smallest and the largest value, read a piece at a time."""
    found = [(part.min(), part.max()) for part in pieces(array)]
    return min(low for low, _ in found), max(high for _, high in found)
