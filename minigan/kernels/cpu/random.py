"""Philox, the normal law and masks on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import (
    address_of,
    array_at,
    compile_inlined,
    compile_task,
    filled,
    floats_at,
    later,
    njit,
    record,
    record_at,
)
from minigan.kernels.cpu.team import team
from minigan.kernels.cpu.threads import split
from minigan.kernels.reference import keep_level, wide_mask

_WORD = np.empty(0, np.uint32)


@compile_task
def _two_rounds(c0: Any, c1: Any, c2: Any, c3: Any, a: Any, b: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    m0, m1, w0, w1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57), np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
    p, q = c0 * m0, c2 * m1
    c0, c1, c2, c3 = (q >> shift) ^ c1 ^ a, q & mask, (p >> shift) ^ c3 ^ b, p & mask
    a, b = (a + w0) & mask, (b + w1) & mask
    p, q = c0 * m0, c2 * m1
    c0, c1, c2, c3 = (q >> shift) ^ c1 ^ a, q & mask, (p >> shift) ^ c3 ^ b, p & mask
    return c0, c1, c2, c3, (a + w0) & mask, (b + w1) & mask


@compile_inlined
def philox_block(i: int, x1: int, x2: int, x3: int, k0: int, k1: int) -> tuple[Any, Any, Any, Any]:
    """The four words of block i (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; ten rounds).

    No inner loop, and factors that are seen to have 32 bits: so LLVM computes several blocks at a time.
    """
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.uint64(i) & mask, np.uint64(x1) & mask, np.uint64(x2) & mask, np.uint64(x3) & mask
    c0, c1, c2, c3, a, b = _two_rounds(c0, c1, c2, c3, np.uint64(k0) & mask, np.uint64(k1) & mask)
    c0, c1, c2, c3, a, b = _two_rounds(c0, c1, c2, c3, a, b)
    c0, c1, c2, c3, a, b = _two_rounds(c0, c1, c2, c3, a, b)
    c0, c1, c2, c3, a, b = _two_rounds(c0, c1, c2, c3, a, b)
    c0, c1, c2, c3, a, b = _two_rounds(c0, c1, c2, c3, a, b)
    return c0, c1, c2, c3


@njit
def _philox(start: int, stop: int, k0: int, k1: int, x1: int, x2: int, x3: int, out: Array) -> None:
    for i in range(start, stop):
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = philox_block(i, x1, x2, x3, k0, k1)


@reference.philox.on("cpu")
def philox(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.philox`."""
    blocks = -(-out.size // 4)
    whole = out if out.size == 4 * blocks else np.empty(4 * blocks, np.uint32)
    words = [np.uint64(int(w)) for w in (*key, *counter)]
    split(_philox, blocks, 10 * out.size, *words, whole)
    if whole is not out:
        out[...] = whole[: out.size]


BLOCKS = 4096  # blocks of the stream that a task turns into masks


_MASK = record("k0 k1 x1 x2 x3 out size blocks level", "scale")


def _mask(parameters: int, index: int, thread: int) -> None:
    """Eight stretches of a mask from a stretch of blocks; see `mask` for the parameters."""
    p = record_at(parameters, _MASK)
    half, sixteen, level = np.uint64(0xFFFF), np.uint64(16), np.uint64(p.level)
    scale = np.float32(p.scale)
    zero, blocks = np.float32(0), p.blocks
    first = index * BLOCKS
    count = min(BLOCKS, blocks - first)
    o0, o1 = floats_at(p.out + 4 * first, count), floats_at(p.out + 4 * (blocks + first), count)
    o2, o3 = (
        floats_at(p.out + 4 * (2 * blocks + first), count),
        floats_at(p.out + 4 * (3 * blocks + first), count),
    )
    o4, o5 = (
        floats_at(p.out + 4 * (4 * blocks + first), count),
        floats_at(p.out + 4 * (5 * blocks + first), count),
    )
    o6, o7 = (
        floats_at(p.out + 4 * (6 * blocks + first), count),
        floats_at(p.out + 4 * (7 * blocks + first), count),
    )
    for i in range(count):
        c0, c1, c2, c3 = philox_block(first + i, p.x1, p.x2, p.x3, p.k0, p.k1)
        o0[i], o1[i] = scale if c0 & half < level else zero, scale if c0 >> sixteen < level else zero
        o2[i], o3[i] = scale if c1 & half < level else zero, scale if c1 >> sixteen < level else zero
        o4[i], o5[i] = scale if c2 & half < level else zero, scale if c2 >> sixteen < level else zero
        o6[i], o7[i] = scale if c3 & half < level else zero, scale if c3 >> sixteen < level else zero


_mask_task = later(_mask)


@reference.mask.on("cpu")
def mask(key: Any, counter: Any, keep: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mask`."""
    bits, level = keep_level(keep)
    if bits == 32:
        words = np.empty(out.size, np.uint32)
        philox(key, counter, words)
        wide_mask(words, keep, out)
        return
    blocks = -(-out.size // 8)
    whole = out if out.dtype == np.float32 and out.size == 8 * blocks else np.empty(8 * blocks, np.float32)
    (k0, k1), (x1, x2, x3) = key, counter
    p = filled(
        _MASK, k0=k0, k1=k1, x1=x1, x2=x2, x3=x3, out=whole, size=whole.size, blocks=blocks, level=level,
        scale=2**bits / level,
    )  # fmt: skip
    team().run(_mask_task(), p, -(-blocks // BLOCKS))
    if whole is not out:
        out[...] = (whole[: out.size] != 0) * out.dtype.type(2**bits / level)


@njit
def _shuffle(words: Array, out: Array) -> None:
    half = np.uint64(32)
    for k in range(1, out.size):
        i = out.size - k
        n = np.uint64(i + 1)
        lower = (np.uint64(words[2 * i + 1]) * n) >> half
        j = np.int64((np.uint64(words[2 * i]) * n + lower) >> half)
        kept = out[i]
        out[i] = out[j]
        out[j] = kept


@reference.shuffle.on("cpu")
def shuffle(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.shuffle`; for fewer than 2^32 elements."""
    words = np.empty(2 * out.size, np.uint32)
    philox(key, counter, words)
    _shuffle(words, out)


# Box-Muller needs a logarithm, a sine and a cosine for each pair. Calls to the C library are scalar; the polynomials below
# are the single-precision ones of Cephes (Moshier 1984-92), free of branches, so that LLVM computes 16 pairs at a time.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@compile_task
def _pair(a: int, b: int) -> tuple[float, float]:
    """The two normal numbers that Box and Muller make of two random words."""
    # log(1 - u) with 1 - u = m 2^e, m in [sqrt(1/2), sqrt(2)): exponent and mantissa are read off the bits
    v = np.float32(1.0) - np.float32(a >> np.uint32(8)) * np.float32(2.0**-24)
    bits = np.float32(v).view(np.uint32)
    e = np.float32(np.int32(bits >> np.uint32(23)) - np.int32(126))
    m = np.uint32((bits & np.uint32(0x007FFFFF)) | np.uint32(0x3F000000)).view(np.float32)
    small = m < np.float32(0.70710678)
    e = e - np.float32(1.0) if small else e
    x = m + m - np.float32(1.0) if small else m - np.float32(1.0)
    p = np.float32(7.0376836292e-2)
    p = p * x - np.float32(1.1514610310e-1)
    p = p * x + np.float32(1.1676998740e-1)
    p = p * x - np.float32(1.2420140846e-1)
    p = p * x + np.float32(1.4249322787e-1)
    p = p * x - np.float32(1.6668057665e-1)
    p = p * x + np.float32(2.0000714765e-1)
    p = p * x - np.float32(2.4999993993e-1)
    p = p * x + np.float32(3.3333331174e-1)
    z = x * x
    log = x + (x * z * p + e * _LN2_LOW - np.float32(0.5) * z) + e * _LN2_HIGH
    radius = np.sqrt(np.float32(-2.0) * log)
    # 2 pi t, t in [0, 1): the nearest quarter turn q, and sine and cosine of the rest in [-pi/4, pi/4]
    t = np.float32(b >> np.uint32(8)) * np.float32(2.0**-22)
    q = np.int32(t + np.float32(0.5))
    r = (t - np.float32(q)) * np.float32(np.pi / 2)
    z = r * r
    s = np.float32(-1.9515295891e-4) * z + np.float32(8.3321608736e-3)
    s = r + r * z * (s * z - np.float32(1.6666654611e-1))
    c = np.float32(2.443315711809948e-5) * z - np.float32(1.388731625493765e-3)
    c = np.float32(1.0) - np.float32(0.5) * z + z * z * (c * z + np.float32(4.166664568298827e-2))
    odd = (q & 1) == 1
    cosine, sine = (s, c) if odd else (c, s)
    return radius * (-cosine if ((q + 1) & 2) == 2 else cosine), radius * (-sine if (q & 2) == 2 else sine)


PAIRS = 512  # blocks of the stream that a task turns into normal numbers, four a block


_NORMALS = record("k0 k1 x1 x2 x3 out scratch blocks")


def _normals(parameters: int, index: int, thread: int) -> None:
    """Four normal numbers of each block of a stretch; see `normal` for the parameters. The words of the blocks lie in four rows
    of the thread's scratch, and so do the numbers, for vectors; in the end they are interleaved."""
    p = record_at(parameters, _NORMALS)
    first = index * PAIRS
    count = min(PAIRS, p.blocks - first)
    place, row = p.scratch + 16 * PAIRS * thread, 4 * PAIRS
    w0, w1 = array_at(place, count, _WORD), array_at(place + row, count, _WORD)
    w2, w3 = array_at(place + 2 * row, count, _WORD), array_at(place + 3 * row, count, _WORD)
    for i in range(count):
        w0[i], w1[i], w2[i], w3[i] = philox_block(first + i, p.x1, p.x2, p.x3, p.k0, p.k1)
    f0, f1 = floats_at(place, count), floats_at(place + row, count)
    f2, f3 = floats_at(place + 2 * row, count), floats_at(place + 3 * row, count)
    for i in range(count):
        f0[i], f1[i] = _pair(w0[i], w1[i])
    for i in range(count):
        f2[i], f3[i] = _pair(w2[i], w3[i])
    out = floats_at(p.out + 16 * first, 4 * count)
    for i in range(count):
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = f0[i], f1[i], f2[i], f3[i]


_normals_task = later(_normals)


@cache
def _scratch(threads: int) -> tuple[Array, int]:
    """Memory in which each thread of a team makes normal numbers, and its address."""
    memory = np.empty(4 * PAIRS * threads, np.uint32)
    return memory, address_of(memory)


@reference.normal.on("cpu")
def normal(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.normal`; equal to it up to single-precision rounding."""
    blocks = -(-out.size // 4)
    whole = out if out.dtype == np.float32 and out.size == 4 * blocks else np.empty(4 * blocks, np.float32)
    workers = team()
    (k0, k1), (x1, x2, x3), (_, scratch) = key, counter, _scratch(workers.size)
    p = filled(_NORMALS, k0=k0, k1=k1, x1=x1, x2=x2, x3=x3, out=whole, scratch=scratch, blocks=blocks)
    workers.run(_normals_task(), p, -(-blocks // PAIRS))
    if whole is not out:
        out[...] = whole[: out.size]
