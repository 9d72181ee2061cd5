"""Memory for large arrays that live as long as a network: weights, and what an optimizer keeps of them.

A product reads a matrix of weights in columns of a register tile, so that each row it touches lies on another page of 4 KiB,
and the processor must look hundreds of addresses up again and again. Here such arrays lie side by side in blocks that the
system (Linux) maps in pages of 2 MiB: the step of an MLP of 784 to 1,024 features takes about a tenth less time. Elsewhere it
is just memory.
"""

from __future__ import annotations

import ctypes
import math
import os
from typing import Any

import numpy as np

from minigan.backend import Array, array_module, is_gpu_array

BLOCK = 32 << 20  # bytes; only pages that are used become resident. NumPy asks for large pages from 4 MiB on.
LARGE = 256 << 10  # bytes of an array that comes here
LINE = 64  # bytes to which arrays are aligned

_block = np.empty(0, np.uint8)
_used = 0


def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros on the CPU, like `np.zeros`. A block goes back to the system when its last array does."""
    global _block, _used
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if not LARGE <= size <= BLOCK // 2:
        return np.zeros(shape, dtype)
    start = _used + (-(_block.ctypes.data + _used)) % LINE
    if start + size > _block.size:
        _block = np.empty(BLOCK, np.uint8)
        start = -_block.ctypes.data % LINE
    _used = start + size
    made: Array = _block[start : start + size].view(dtype).reshape(shape)
    made[...] = 0
    return made


def block(size: int) -> np.ndarray:
    """`size` bytes that begin on a cache line."""
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size]


def trim() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc): the arrays of an eager step, say."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if give_back is not None:
        give_back(0)


def zeros_like(array: Array) -> Array:
    """Zeros of the shape and dtype of an array, where that lives."""
    return array_module(array).zeros_like(array) if is_gpu_array(array) else zeros(array.shape, array.dtype)
