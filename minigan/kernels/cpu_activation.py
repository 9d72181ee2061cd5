"""Activations and the logistic loss on the CPU, fused by Numba: one pass over memory instead of one an operation.

Each `@njit` function works on rows `[start, stop)`, so that `threads.split` can hand out parts; each `@task` on a span of
elements, for the team. Inner loops run along the contiguous channel axis and are free of branches, so LLVM turns them into
vector instructions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.compiler import address_of, compile_task, floats_at, njit, task, words_at
from minigan.kernels.cpu_gemm import leak
from minigan.kernels.cpu_team import Job, team
from minigan.kernels.threads import split


@njit
def _bias_leaky(start: int, stop: int, z: Array, bias: Array, slope: float, out: Array) -> None:
    for i in range(start, stop):
        for j in range(z.shape[1]):
            v = z[i, j] + bias[j]
            out[i, j] = leak(v, slope) if v <= 0 else v


@njit
def _leaky(start: int, stop: int, z: Array, slope: float, out: Array) -> None:
    for i in range(start, stop):
        for j in range(z.shape[1]):
            v = z[i, j]
            out[i, j] = leak(v, slope) if v <= 0 else v


@njit
def _leaky_backward(start: int, stop: int, g: Array, y: Array, slope: float, out: Array) -> None:
    for i in range(start, stop):
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] if y[i, j] > 0 else leak(g[i, j], slope)


@njit
def _tanh_backward(start: int, stop: int, g: Array, y: Array, out: Array) -> None:
    for i in range(start, stop):
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] * (y.dtype.type(1) - y[i, j] * y[i, j])


@njit
def _sigmoid_backward(start: int, stop: int, g: Array, y: Array, out: Array) -> None:
    for i in range(start, stop):
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] * (y[i, j] * (y.dtype.type(1) - y[i, j]))


@compile_task
def _tanh(v: Any) -> Any:
    """tanh as an odd polynomial of degree 13 over an even one of degree 6 (the single-precision fit that Eigen uses), within a
    few units in the last place; beyond the clip it is +-1 in float32. No branches: 16 at a time."""
    limit = np.float32(7.90531110763549805)
    clipped = min(max(v, -limit), limit)
    z = clipped * clipped
    p = z * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
    p = z * p + np.float32(-8.60467152213735e-11)
    p = z * p + np.float32(5.12229709037114e-08)
    p = z * p + np.float32(1.48572235717979e-05)
    p = z * p + np.float32(6.37261928875436e-04)
    p = z * p + np.float32(4.89352455891786e-03)
    q = z * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
    q = z * q + np.float32(2.26843463243900e-03)
    q = z * q + np.float32(4.89352518554385e-03)
    return clipped * p / q if abs(v) > np.float32(4e-4) else v  # also NaN and the smallest numbers


SPAN = 16_384  # elements of a task


@cache
def _tanh_task() -> int:

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = words_at(parameters, 3)
        begin = index * SPAN
        n = min(SPAN, p[2] - begin)
        z, out = floats_at(p[0] + 4 * begin, n), floats_at(p[1] + 4 * begin, n)
        for i in range(n):
            out[i] = _tanh(z[i])

    return run


def tanh(z: Array, out: Array) -> None:
    """tanh of a contiguous array: our own in single precision, NumPy's in double."""
    if z.dtype == np.float32 and z.flags.c_contiguous and out.flags.c_contiguous and z.size:
        team().run(_tanh_task(), np.array([address_of(z), address_of(out), z.size]), -(-z.size // SPAN))
    else:
        np.tanh(z, out=out)


def bias_activation(z: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bias_activation`."""
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
    if f.kind == "tanh":
        tanh(z, out)
    elif f.kind == "sigmoid":
        reference.sigmoid(z, out=out)
    elif z is not out:
        out[...] = z


def activation_backward(g: Array, y: Array, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.activation_backward`."""
    if f.kind in ("relu", "leaky_relu"):
        a = g.dtype.type(f.slope)
        split(_leaky_backward, len(g), g.size, g, y, a, out)
    elif f.kind == "tanh":
        split(_tanh_backward, len(g), g.size, g, y, out)
    elif f.kind == "sigmoid":
        split(_sigmoid_backward, len(g), g.size, g, y, out)
    else:
        out[...] = g


@cache
def _leaky_backward_task() -> int:

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = words_at(parameters, 5)
        slope = floats_at(parameters + 32, 1)[0]
        begin = index * SPAN
        n = min(SPAN, p[3] - begin)
        g, y = floats_at(p[0] + 4 * begin, n), floats_at(p[1] + 4 * begin, n)
        out = floats_at(p[2] + 4 * begin, n)
        for i in range(n):
            out[i] = g[i] if y[i] > 0 else leak(g[i], slope)

    return run


def plan_activation_backward(g: Array, y: Array, f: Activation, out: Array) -> Job | None:
    """See :func:`minigan.kernels.reference.plan_activation_backward`: leaky ReLU, shared out among the team."""
    whole = all(a.dtype == np.float32 and a.flags.c_contiguous for a in (g, y, out))
    if not whole or f.kind not in ("relu", "leaky_relu") or g.shape != y.shape or not g.size:
        return None
    p = np.array([address_of(g), address_of(y), address_of(out), g.size, 0])
    p[4:].view(np.float32)[0] = f.slope
    return team().job(_leaky_backward_task(), p, -(-g.size // SPAN))


bce_with_logits = reference.bce_with_logits


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


def mean_softplus(x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus`. Scalar code: logits are few."""
    out[...] = _mean_softplus(x.reshape(-1), x.dtype.type(sign))


def mean_softplus_backward(g: Array, x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus_backward`."""
    one = x.dtype.type
    _mean_softplus_backward(one(g * sign / x.size), x.reshape(-1), one(sign), out.reshape(-1))
