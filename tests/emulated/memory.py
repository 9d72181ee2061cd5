"""Memory of the emulated device: an array ends at a page that nobody may touch, and what nobody wrote holds NaN.

A kernel that reads or writes past the end of an array, or memory that was given back, stops at once; up to 15 bytes (an
array begins at a multiple of 16, as CuPy's do) and everything before the array are a red zone, whose writes are found after
the launch and whose reads give NaN.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import weakref
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
ALIGNMENT = 16
POISON = 0xFF  # every byte: a NaN as float32 and float64, -1 as an integer
ZONES = itertools.cycle(range(0xF0, 0xFF))  # bytes of red zones

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
NO_ACCESS = 0

allocator: Any = None  # where memory comes from, a function of the size; None for no pool at all
live: weakref.WeakValueDictionary[int, Allocation] = weakref.WeakValueDictionary()


class Allocation:
    """Some bytes of the device, poisoned; given back when no array looks at them.

    Attributes:
        begin: address of the first byte.
        size: number of bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pages = (size + PAGE - 1) // PAGE * PAGE + PAGE
        writable = mmap.PROT_READ | mmap.PROT_WRITE
        base = _libc.mmap(None, self._pages, writable, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if base in (None, ctypes.c_void_p(-1).value):
            raise MemoryError(f"{self._pages} bytes: {ctypes.get_errno()}")
        self._base = base
        if _libc.mprotect(base + self._pages - PAGE, PAGE, NO_ACCESS):
            raise MemoryError(f"mprotect: {ctypes.get_errno()}")
        self.begin = (base + self._pages - PAGE - size) // ALIGNMENT * ALIGNMENT
        self._zone = next(ZONES)
        ctypes.memset(base, self._zone, self._pages - PAGE)
        ctypes.memset(self.begin, POISON, size)
        live[self.begin] = self

    def __del__(self) -> None:
        if hasattr(self, "_base"):
            _libc.munmap(self._base, self._pages)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"data": (self.begin, False), "shape": (self.size,), "typestr": "|u1", "version": 3}

    @property
    def end(self) -> int:
        return self.begin + self.size

    def intact(self) -> bool:
        """Whether the red zones are as they were made; they are afterwards."""
        whole = np.ctypeslib.as_array((ctypes.c_uint8 * (self._pages - PAGE)).from_address(self._base))
        first = self.begin - self._base
        zones = whole[:first], whole[first + self.size :]
        sound = all(bool((zone == self._zone).all()) for zone in zones)
        for zone in zones:
            zone[...] = self._zone
        return sound

    def bytes(self) -> np.ndarray:
        """The bytes themselves."""
        return np.asarray(self)


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array on memory of its own."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.asarray((allocator or Allocation)(size)).view(dtype).reshape(shape)


def allocation_of(array: np.ndarray) -> Allocation | None:
    """Whose bytes an array looks at; None for those of NumPy."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, Allocation) else None


def owner(address: int) -> str:
    """Which array an address is next to, in words."""
    nearest = min(live.values(), key=lambda a: min(abs(address - a.begin), abs(address - a.end)), default=None)
    if nearest is None:
        return "there are no arrays"
    if address >= nearest.end:
        return f"{address - nearest.end} bytes past the end of an array of {nearest.size}"
    if address < nearest.begin:
        return f"{nearest.begin - address} bytes before an array of {nearest.size}"
    return f"inside an array of {nearest.size}"
