"""Activations and the logistic loss on the CPU, fused by Numba: one pass over memory instead of one an operation.

Each `@njit` function works on rows `[start, stop)`, so that `threads.split` can hand out parts; each `@task` on a span of
elements, for the team. Inner loops run along the contiguous channel axis and are free of branches, so LLVM turns them into
vector instructions.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import (
    array_at,
    compile_ordered,
    compile_task,
    filled,
    floats_at,
    njit,
    record,
    record_at,
    task,
)
from minigan.kernels.cpu.gemm_microkernel import leak
from minigan.kernels.cpu.team import Job, team
from minigan.kernels.cpu.threads import split


# In place (z is out) the loops below name one array only: LLVM's vectors are for arrays that do not overlap, or for one.
@njit
def _bias_leaky(start: int, stop: int, z: Array, bias: Array, slope: float, out: Array) -> None:
    if z.ctypes.data == out.ctypes.data:
        for i in range(start, stop):
            for j in range(out.shape[1]):
                v = out[i, j] + bias[j]
                out[i, j] = leak(v, slope) if v <= 0 else v
        return
    for i in range(start, stop):
        for j in range(z.shape[1]):
            v = z[i, j] + bias[j]
            out[i, j] = leak(v, slope) if v <= 0 else v


@njit
def _leaky(start: int, stop: int, z: Array, slope: float, out: Array) -> None:
    if z.ctypes.data == out.ctypes.data:
        for i in range(start, stop):
            for j in range(out.shape[1]):
                v = out[i, j]
                out[i, j] = leak(v, slope) if v <= 0 else v
        return
    for i in range(start, stop):
        for j in range(z.shape[1]):
            v = z[i, j]
            out[i, j] = leak(v, slope) if v <= 0 else v


LEAKY, TANH, SIGMOID = range(3)
_SLOPES = {"relu": LEAKY, "leaky_relu": LEAKY, "tanh": TANH, "sigmoid": SIGMOID}


@compile_task
def _pull(kind: int, g: Array, y: Array, slope: float, out: Array) -> None:
    """out = g f'(z), read off y = f(z), in either precision."""
    if kind == LEAKY:
        for i in range(out.size):
            out[i] = g[i] if y[i] > 0 else leak(g[i], slope)
    elif kind == TANH:
        for i in range(out.size):
            out[i] = g[i] * (np.float32(1) - y[i] * y[i])
    else:
        for i in range(out.size):
            out[i] = g[i] * (y[i] * (np.float32(1) - y[i]))


# In single precision exp and log are polynomials, free of branches, so that LLVM computes 8 or 16 at a time.
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOWEST = np.float32(-87.0)  # below it powers of e have no longer all their digits: taken as 0


@compile_ordered
def _exp(v: Any) -> Any:
    """e^v for v <= 0: e^r 2^n with n the integer nearest to v / log 2, and Cephes' polynomial for |r| <= log(2) / 2."""
    kept = v if v > _LOWEST else _LOWEST  # also for NaN, since no integer is nearest to it
    n = np.int32(kept * _LOG2_E - np.float32(0.5))
    r = kept - np.float32(n) * _LN2_HIGH - np.float32(n) * _LN2_LOW
    p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.uint32((n + np.int32(127)) << np.int32(23)).view(np.float32)
    e = (p * r * r + r + np.float32(1)) * power
    return v if v != v else (e if v >= _LOWEST else np.float32(0))


@compile_ordered
def _log1p(e: Any) -> Any:
    """log(1 + e) for 0 <= e <= 1: 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = e / (2 + e) <= 1/3; the first term left out
    is 5e-9 of it."""
    s = e / (np.float32(2) + e)
    z = s * s
    p = np.float32(1 / 15) * z + np.float32(1 / 13)
    p = p * z + np.float32(1 / 11)
    p = p * z + np.float32(1 / 9)
    p = p * z + np.float32(1 / 7)
    p = p * z + np.float32(1 / 5)
    p = p * z + np.float32(1 / 3)
    return np.float32(2) * (p * z * s + s)


@compile_task
def _tanh(v: Any) -> Any:
    """tanh within 1.5 units in the last place, and +-1 where float32 has no nearer number (|v| > 9.01). No branches.

    An odd polynomial for |v| < .625 (Cephes, Moshier 1984-92, single precision), and beyond it 1 - 2t / (1 + t), t = e^(-2|v|).
    """
    a = abs(v)
    z = a * a
    p = np.float32(-5.70498872745e-3) * z + np.float32(2.06390887954e-2)
    p = p * z - np.float32(5.37397155531e-2)
    p = p * z + np.float32(1.33314422036e-1)
    p = p * z - np.float32(3.33332819422e-1)
    near = p * z * a + a
    t = _exp(np.float32(-2) * a)
    far = np.float32(1) - np.float32(2) * t / (np.float32(1) + t)
    y = near if a < np.float32(0.625) else far
    y = -y if v < np.float32(0) else y
    return y if a > np.float32(0) else v  # also NaN and -0


@compile_task
def _sigmoid(v: Any) -> Any:
    """1 / (1 + e^-v), for v < 0 as e^v / (1 + e^v)."""
    e = _exp(-abs(v))
    return (np.float32(1) if v >= 0 else e) / (np.float32(1) + e)


SPAN = 16_384  # elements of a task


_MAP = record("z out size")


@cache
def _map_task(kind: str) -> int:
    """out = tanh(z) or the sigmoid of z; parameters: two addresses, elements."""
    of_tanh = kind == "tanh"  # a constant to the compiler

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _MAP)
        begin = index * SPAN
        n = min(SPAN, p.size - begin)
        z, out = floats_at(p.z + 4 * begin, n), floats_at(p.out + 4 * begin, n)
        if p.z == p.out:
            for i in range(n):
                out[i] = _tanh(out[i]) if of_tanh else _sigmoid(out[i])
        else:
            for i in range(n):
                out[i] = _tanh(z[i]) if of_tanh else _sigmoid(z[i])

    return run


def _curve(z: Array, kind: str, out: Array) -> None:
    """tanh or the sigmoid: our own in single precision, NumPy's in double."""
    if z.dtype == np.float32 and z.flags.c_contiguous and out.flags.c_contiguous and z.size:
        team().run(_map_task(kind), filled(_MAP, z=z, out=out, size=z.size), -(-z.size // SPAN))
    elif kind == "tanh":
        np.tanh(z, out=out)
    else:
        reference.sigmoid(z, out=out)


@reference.bias_activation.on("cpu")
def bias_activation(z: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """A pass for a (leaky) ReLU with its bias; one more for the curves behind a bias."""
    if f.kind == "linear" and bias is None:
        if z is not out:
            out[...] = z
        return
    if f.kind in ("relu", "leaky_relu"):
        a = z.dtype.type(f.slope)
        if bias is None:
            split(_leaky, len(z), z.size, z, a, out)
        else:
            split(_bias_leaky, len(z), z.size, z, bias, a, out)
        return
    if bias is not None:
        z = np.add(z, bias, out=out)
    if f.kind in ("tanh", "sigmoid"):
        _curve(z, f.kind, out)
    elif z is not out:
        out[...] = z


_SLOPE = record("g y out size kind", "slope")


@cache
def _backward_task(dtype: Any) -> int:
    """:func:`_pull` of a span of elements."""
    like = np.empty(0, dtype)
    size, kind_of = like.itemsize, like.dtype.type

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _SLOPE)
        begin = index * SPAN
        n = min(SPAN, p.size - begin)
        g, y = array_at(p.g + size * begin, n, like), array_at(p.y + size * begin, n, like)
        _pull(p.kind, g, y, kind_of(p.slope), array_at(p.out + size * begin, n, like))

    return run


@njit
def _backward_alone(kind: int, g: Array, y: Array, slope: float, out: Array) -> None:
    _pull(kind, g, y, slope, out)


@reference.activation_backward.planned_on("cpu")
def activation_backward(g: Array, y: Array, f: Activation, out: Array) -> Job | None:
    """Shared out among the team where there is more than a span."""
    kind, flags = _SLOPES.get(f.kind), (g.flags.c_contiguous, y.flags.c_contiguous, out.flags.c_contiguous)
    if kind is None or not (all(flags) and g.dtype == y.dtype == out.dtype and g.shape == y.shape == out.shape):
        return None
    if g.size <= SPAN:
        flat = g.reshape(-1), y.reshape(-1), g.dtype.type(f.slope), out.reshape(-1)
        return partial(_backward_alone, kind, *flat)
    p = filled(_SLOPE, g=g, y=y, out=out, size=g.size, kind=kind, slope=f.slope)
    return team().job(_backward_task(g.dtype), p, -(-g.size // SPAN))


@njit
def _mean_softplus(x: Array, sign: float) -> float:
    total = 0.0
    for i in range(x.size):
        v = sign * x[i]
        total += max(v, x.dtype.type(0)) + np.log1p(np.exp(-abs(v)))
    return total / x.size


@njit
def _mean_softplus_backward(factor: float, x: Array, sign: float, out: Array) -> None:
    one = x.dtype.type(1)
    for i in range(x.size):
        v = sign * x[i]
        e = np.exp(-abs(v))
        out[i] = factor * (one if v >= 0 else e) / (one + e)


@njit
def _mean_softplus_single(x: Array, sign: float) -> float:
    total = 0.0
    for i in range(x.size):
        v = sign * x[i]
        total += np.float64((np.float32(0) if v <= 0 else v) + _log1p(_exp(-abs(v))))
    return total / x.size


@njit
def _mean_softplus_backward_single(factor: float, x: Array, sign: float, out: Array) -> None:
    for i in range(x.size):
        out[i] = factor * _sigmoid(sign * x[i])


@reference.mean_softplus.on("cpu")
def mean_softplus(x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus`."""
    kernel = _mean_softplus_single if x.dtype == np.float32 else _mean_softplus
    out[...] = kernel(x.reshape(-1), x.dtype.type(sign))


@reference.mean_softplus_backward.on("cpu")
def mean_softplus_backward(g: Array, x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus_backward`."""
    one = x.dtype.type
    kernel = _mean_softplus_backward_single if x.dtype == np.float32 else _mean_softplus_backward
    kernel(one(g * sign / x.size), x.reshape(-1), one(sign), out.reshape(-1))
