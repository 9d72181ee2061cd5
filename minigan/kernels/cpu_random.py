"""Philox, the normal law and masks on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.compiler import address_of, array_at, njit, task
from minigan.kernels.cpu_team import team
from minigan.kernels.reference import keep_level
from minigan.kernels.threads import split


@njit
def _philox(start: int, stop: int, k0: int, k1: int, x1: int, x2: int, x3: int, out: Array) -> None:
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    m0, m1, w0, w1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57), np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
    for i in range(start, stop):
        c0, c1, c2, c3 = np.uint64(i), np.uint64(x1), np.uint64(x2), np.uint64(x3)
        a, b = np.uint64(k0), np.uint64(k1)
        for _ in range(10):
            p, q = c0 * m0, c2 * m1
            c0, c1, c2, c3 = (q >> shift) ^ c1 ^ a, q & mask, (p >> shift) ^ c3 ^ b, p & mask
            a, b = (a + w0) & mask, (b + w1) & mask
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = c0, c1, c2, c3


def philox(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.philox`."""
    blocks = -(-out.size // 4)
    whole = out if out.size == 4 * blocks else np.empty(4 * blocks, np.uint32)
    words = [np.uint64(int(w)) for w in (*key, *counter)]
    split(_philox, blocks, 10 * out.size, *words, whole)
    if whole is not out:
        out[...] = whole[: out.size]


BLOCKS = 4096  # blocks of the stream that a task turns into masks


def _mask(parameters: int, index: int, thread: int) -> None:
    """Eight stretches of a mask from a stretch of blocks; see `mask` for the parameters."""
    p = array_at(parameters, 10, np.empty(0, np.int64))
    like = np.empty(0, np.float32)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    m0, m1, w0, w1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57), np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
    half, sixteen, level = np.uint64(0xFFFF), np.uint64(16), np.uint64(p[8])
    scale = array_at(parameters + 8 * 9, 1, like)[0]
    zero, blocks = np.float32(0), p[7]
    first = index * BLOCKS
    count = min(BLOCKS, blocks - first)
    o0, o1 = array_at(p[5] + 4 * first, count, like), array_at(p[5] + 4 * (blocks + first), count, like)
    o2, o3 = (
        array_at(p[5] + 4 * (2 * blocks + first), count, like),
        array_at(p[5] + 4 * (3 * blocks + first), count, like),
    )
    o4, o5 = (
        array_at(p[5] + 4 * (4 * blocks + first), count, like),
        array_at(p[5] + 4 * (5 * blocks + first), count, like),
    )
    o6, o7 = (
        array_at(p[5] + 4 * (6 * blocks + first), count, like),
        array_at(p[5] + 4 * (7 * blocks + first), count, like),
    )
    for i in range(count):
        c0, c1, c2, c3 = np.uint64(first + i), np.uint64(p[2]), np.uint64(p[3]), np.uint64(p[4])
        a, b = np.uint64(p[0]), np.uint64(p[1])
        for _ in range(10):
            u, v = c0 * m0, c2 * m1
            c0, c1, c2, c3 = (v >> shift) ^ c1 ^ a, v & low, (u >> shift) ^ c3 ^ b, u & low
            a, b = (a + w0) & low, (b + w1) & low
        o0[i], o1[i] = scale if c0 & half < level else zero, scale if c0 >> sixteen < level else zero
        o2[i], o3[i] = scale if c1 & half < level else zero, scale if c1 >> sixteen < level else zero
        o4[i], o5[i] = scale if c2 & half < level else zero, scale if c2 >> sixteen < level else zero
        o6[i], o7[i] = scale if c3 & half < level else zero, scale if c3 >> sixteen < level else zero


@cache
def _mask_task() -> int:
    return task(_mask)


def mask(key: Any, counter: Any, keep: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mask`."""
    blocks = -(-out.size // 8)
    whole = out if out.dtype == np.float32 and out.size == 8 * blocks else np.empty(8 * blocks, np.float32)
    level = keep_level(keep)
    p = np.array([*(int(w) for w in (*key, *counter)), address_of(whole), whole.size, blocks, level, 0], np.int64)
    p[9:].view(np.float32)[0] = 1 / keep
    team().run(_mask_task(), p, -(-blocks // BLOCKS))
    if whole is not out:
        out[...] = (whole[: out.size] != 0) * out.dtype.type(1 / keep)


# Box-Muller needs a logarithm, a sine and a cosine for each pair. Calls to the C library are scalar; the polynomials below
# are the single-precision ones of Cephes (Moshier 1984-92), free of branches, so that LLVM computes 16 pairs at a time.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@njit
def _normal(start: int, stop: int, words: Array, out: Array) -> None:
    for i in range(start, stop):
        # log(1 - u) with 1 - u = m 2^e, m in [sqrt(1/2), sqrt(2)): exponent and mantissa are read off the bits
        v = np.float32(1.0) - np.float32(words[i, 0] >> np.uint32(8)) * np.float32(2.0**-24)
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
        t = np.float32(words[i, 1] >> np.uint32(8)) * np.float32(2.0**-22)
        q = np.int32(t + np.float32(0.5))
        a = (t - np.float32(q)) * np.float32(np.pi / 2)
        z = a * a
        s = np.float32(-1.9515295891e-4) * z + np.float32(8.3321608736e-3)
        s = a + a * z * (s * z - np.float32(1.6666654611e-1))
        c = np.float32(2.443315711809948e-5) * z - np.float32(1.388731625493765e-3)
        c = np.float32(1.0) - np.float32(0.5) * z + z * z * (c * z + np.float32(4.166664568298827e-2))
        odd = (q & 1) == 1
        cosine, sine = (s, c) if odd else (c, s)
        out[i, 0] = radius * (-cosine if ((q + 1) & 2) == 2 else cosine)
        out[i, 1] = radius * (-sine if (q & 2) == 2 else sine)


def normal(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.normal`; equal to it up to single-precision rounding."""
    pairs = -(-out.size // 2)
    words = np.empty((-(-pairs // 2), 4), np.uint32)
    philox(key, counter, words.reshape(-1))
    whole = out if out.size == 2 * pairs else np.empty(2 * pairs, np.float32)
    split(_normal, pairs, 20 * pairs, words.reshape(-1, 2), whole.reshape(-1, 2))
    if whole is not out:
        out[...] = whole[: out.size]
