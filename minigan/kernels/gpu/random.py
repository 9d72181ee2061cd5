"""Philox, the normal law and masks on the GPU: the host's side of `cuda/philox.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from minigan.backend import Array, is_gpu_array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import THREADS, blocks, check, launch
from minigan.kernels.reference import keep_level, wide_mask

# `counter` may in all three also be a uint32 array of shape (3,) on the GPU: it is read there when the kernel
# runs, so a recorded step draws new numbers at every replay.


def _word(kernel: str, value: Any) -> np.uint32:
    if not 0 <= int(value) < 2**32:
        raise ValueError(f"{kernel}: got the word {int(value)}, expected 0 <= word < 2^32")
    return np.uint32(int(value))


def _is_word_array(array: Any, shape: tuple[int, ...]) -> bool:
    contiguous = is_gpu_array(array) and array.flags.c_contiguous
    return contiguous and array.dtype == np.uint32 and array.shape == shape


def _stream(kernel: str, key: Any, counter: Any, out: Array, numbers_a_block: int) -> tuple[Any, ...]:
    """The first arguments of a kernel of philox.cu: five words, and the address of a counter on the GPU or None.

    Raises:
        TypeError: for another kind of CuPy `counter`.
        ValueError: for a word outside [0, 2^32), an `out` that is not 1-D, or more numbers than blocks give.
    """
    if out.ndim != 1:
        raise ValueError(f"{kernel}: out has shape {out.shape}, expected (n,)")
    if out.size > numbers_a_block * 2**32:  # the first word of a block's counter is its place
        raise ValueError(f"{kernel}: out has {out.size} numbers, expected at most {numbers_a_block} x 2^32")
    on_gpu = is_gpu_array(counter)
    if on_gpu and not _is_word_array(counter, (3,)):
        raise TypeError(f"{kernel}: counter is {counter.dtype} {counter.shape}, expected uint32 (3,)")
    words = [_word(kernel, w) for w in (*key, *((0, 0, 0) if on_gpu else counter))]
    return (*words, counter if on_gpu else None)


@reference.philox.on("gpu")
def philox(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.philox`.

    Raises:
        TypeError, ValueError: as :func:`_stream`; TypeError unless `out` is a contiguous uint32 CuPy array.
    """
    if not _is_word_array(out, (out.size,)):
        got = f"{type(out).__name__} {out.dtype} {out.shape}"
        raise TypeError(f"philox: out is {got}, expected a contiguous 1-D uint32 array on the GPU")
    args = (*_stream("philox", key, counter, out, 4), out.size, out)
    if out.size:
        launch("philox", out.dtype, blocks(-(-out.size // 4)), THREADS, *args)


@reference.normal.on("gpu")
def normal(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.normal`: the same words, and numbers equal to rounding.

    Raises:
        TypeError, ValueError: as :func:`check` and :func:`_stream`; TypeError unless `out` is float32.
    """
    check("normal", None, out=out)
    if out.dtype != np.float32:
        raise TypeError(f"normal: out is {out.dtype}, expected float32")
    args = (*_stream("normal", key, counter, out, 4), out.size, out)
    if out.size:
        launch("normal", out.dtype, blocks(-(-out.size // 4)), THREADS, *args)


@reference.mask.on("gpu")
def mask(key: Any, counter: Any, keep: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mask`: the same numbers to the bit.

    Raises:
        TypeError, ValueError: as :func:`check` and :func:`_stream`.
    """
    check("mask", None, out=out)
    bits, level = keep_level(keep)
    if bits == 32:
        words = cupy.empty(out.size, np.uint32)
        philox(key, counter, words)
        wide_mask(words, keep, out)
        return
    args = (*_stream("mask", key, counter, out, 8), level, 2**bits / level, out.size, out)
    if out.size:
        launch("mask<{T}>", out.dtype, blocks(-(-out.size // 8)), THREADS, *args)
