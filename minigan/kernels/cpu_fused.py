"""The kernels of `reference.py` for the CPU, fused by Numba: one pass over memory instead of one an operation.

Each compiled function works on rows `[start, stop)`, so that `threads.split` can hand out parts. Inner loops run along the
contiguous channel axis and are free of branches, so LLVM turns them into vector instructions. tanh and sigmoid go to NumPy,
whose vector versions are faster than Numba's calls to the scalar C library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from minigan.backend import Array, Group
from minigan.kernels import cpu_gemm, reference
from minigan.kernels.compiler import address_of, array_at, compile_task, njit, task
from minigan.kernels.cpu_gemm import leak
from minigan.kernels.cpu_team import Job, team
from minigan.kernels.threads import split

# -- activations -----------------------------------------------------------------------------------------------------


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
    like = np.empty(0, np.float32)

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = array_at(parameters, 3, np.empty(0, np.int64))
        begin = index * SPAN
        n = min(SPAN, p[2] - begin)
        z, out = array_at(p[0] + 4 * begin, n, like), array_at(p[1] + 4 * begin, n, like)
        for i in range(n):
            out[i] = _tanh(z[i])

    return run


def tanh(z: Array, out: Array) -> None:
    """tanh of a contiguous array: our own in single precision, NumPy's in double."""
    if z.dtype == np.float32 and z.flags.c_contiguous and out.flags.c_contiguous and z.size:
        team().run(_tanh_task(), np.array([address_of(z), address_of(out), z.size]), -(-z.size // SPAN))
    else:
        np.tanh(z, out=out)


def bias_activation(z: Array, bias: Array | None, kind: str, slope: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bias_activation`."""
    if kind == "linear" and bias is None:
        if z is not out:
            out[...] = z
        return
    if kind in ("relu", "leaky_relu"):
        a = z.dtype.type(slope if kind == "leaky_relu" else 0.0)
        if bias is None:
            split(_leaky, len(z), z.size, z, a, out)
        else:
            split(_bias_leaky, len(z), z.size, z, bias, a, out)
        return
    if bias is not None:
        z = np.add(z, bias, out=out)
    if kind == "tanh":
        tanh(z, out)
    elif kind == "sigmoid":
        reference.sigmoid(z, out=out)
    elif z is not out:
        out[...] = z


def activation_backward(g: Array, y: Array, kind: str, slope: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.activation_backward`."""
    if kind in ("relu", "leaky_relu"):
        a = g.dtype.type(slope if kind == "leaky_relu" else 0.0)
        split(_leaky_backward, len(g), g.size, g, y, a, out)
    elif kind == "tanh":
        split(_tanh_backward, len(g), g.size, g, y, out)
    elif kind == "sigmoid":
        split(_sigmoid_backward, len(g), g.size, g, y, out)
    else:
        out[...] = g


@cache
def _leaky_backward_task() -> int:
    like = np.empty(0, np.float32)

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = array_at(parameters, 5, np.empty(0, np.int64))
        slope = array_at(parameters + 32, 1, like)[0]
        begin = index * SPAN
        n = min(SPAN, p[3] - begin)
        g, y = array_at(p[0] + 4 * begin, n, like), array_at(p[1] + 4 * begin, n, like)
        out = array_at(p[2] + 4 * begin, n, like)
        for i in range(n):
            out[i] = g[i] if y[i] > 0 else leak(g[i], slope)

    return run


def plan_activation_backward(g: Array, y: Array, kind: str, slope: float, out: Array) -> Job | None:
    """See :func:`minigan.kernels.reference.plan_activation_backward`: leaky ReLU, shared out among the team."""
    whole = all(a.dtype == np.float32 and a.flags.c_contiguous for a in (g, y, out))
    if not whole or kind not in ("relu", "leaky_relu") or g.shape != y.shape or not g.size:
        return None
    p = np.array([address_of(g), address_of(y), address_of(out), g.size, 0])
    p[4:].view(np.float32)[0] = slope if kind == "leaky_relu" else 0.0
    return team().job(_leaky_backward_task(), p, -(-g.size // SPAN))


# -- products --------------------------------------------------------------------------------------------------------
SMALL = 8  # an edge of a product up to this length is "thin": vectors run along the other edges


@njit
def _few_rows(a: Array, b: Array, out: Array) -> None:
    """out = a b for few rows: each is a weighted sum of the rows of b, four at a time."""
    rows, depth = a.shape
    for i in range(rows):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(0, depth - 3, 4):
            c0, c1, c2, c3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(b.shape[1]):
                out[i, j] += (c0 * b[k, j] + c1 * b[k + 1, j]) + (c2 * b[k + 2, j] + c3 * b[k + 3, j])
        for k in range(depth // 4 * 4, depth):
            c0 = a[i, k]
            for j in range(b.shape[1]):
                out[i, j] += c0 * b[k, j]


@njit
def _few_columns(a: Array, b_rows: Array, out: Array) -> None:
    """out = a b for few columns, given b's transpose: inner products of contiguous rows."""
    for i in range(a.shape[0]):
        for j in range(b_rows.shape[0]):
            total = a.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b_rows[j, k]
            out[i, j] = total


def _thin(a: Array, b: Array, out: Array) -> Job | None:
    """What computes a product with a thin edge, or None where there is none. (A threaded BLAS loses more than it wins on these,
    and its threads would spin on the team's cores.)"""
    if a.dtype != b.dtype or a.dtype.kind != "f" or out.size * a.shape[1] > 4_000_000 or not out.flags.c_contiguous:
        return None
    if a.shape[1] == 1:
        return partial(_outer, 0, len(a), a, np.ascontiguousarray(b), out) if b.flags.c_contiguous else None
    if a.shape[0] <= SMALL and b.flags.c_contiguous:
        return partial(_few_rows, a, b, out)
    if b.shape[1] <= SMALL and a.flags.c_contiguous:
        return partial(_turn_and, _few_columns, a, b.T, np.empty(b.T.shape, b.dtype), out)
    if b.shape[1] == 1 and a.T.flags.c_contiguous:
        return partial(_few_rows, b.T, a.T, out.reshape(1, -1))
    if b.shape[1] <= SMALL and a.T.flags.c_contiguous:
        return partial(_few_rows_turned, b.T, a.T, np.empty((b.shape[1], a.shape[0]), out.dtype), out)
    if a.shape[1] <= NARROW and a.flags.c_contiguous:
        nothing, one = np.zeros(b.shape[1], b.dtype), b.dtype.type(1)
        return partial(_narrow_turned, a, b, np.empty(b.shape, b.dtype), nothing, one, out)
    return None


def _turn_and(kernel: Any, a: Array, b_rows: Array, turned: Array, out: Array) -> None:
    turned[...] = b_rows
    kernel(a, turned, out)


def _few_rows_turned(b_rows: Array, a_rows: Array, turned: Array, out: Array) -> None:
    _few_rows(b_rows, a_rows, turned)
    out[...] = turned.T


def _narrow_turned(a: Array, b: Array, straight: Array, nothing: Array, one: float, out: Array) -> None:
    straight[...] = b
    _narrow(0, len(a), a, straight, nothing, one, out)


def matmul(a: Array, b: Array, out: Array | None) -> Array:
    """a @ b: by our own kernels where they suit, else by the BLAS."""
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]:
        out = np.empty((a.shape[0], b.shape[1]), a.dtype) if out is None else out
        if cpu_gemm.suits(a, b, out):
            cpu_gemm.matmul(a, b, out)
            return out
        thin = _thin(a, b, out) if out.size and a.size else None
        if thin is not None:
            thin()
            return out
    return np.matmul(a, b, out=out)


def dense(x: Array, w: Array, bias: Array | None, kind: str, slope: float, out: Array | None) -> Array:
    """See :func:`minigan.kernels.reference.dense`: bias and activation are applied while the product is in cache."""
    out = np.empty((x.shape[0], w.shape[1]), x.dtype) if out is None else out
    if bias is not None and 0 < w.shape[0] <= NARROW:
        narrow_dense(x, np.ascontiguousarray(w), bias, kind, slope, out)
    elif bias is not None and cpu_gemm.suits(x, w, out):
        cpu_gemm.matmul(x, w, out, bias, PIECEWISE[kind](slope) if kind in PIECEWISE else 1.0)
        if kind not in PIECEWISE:
            bias_activation(out, None, kind, slope, out)
    else:
        matmul(x, w, out)
        bias_activation(out, bias, kind, slope, out)
    return out


PIECEWISE = {"linear": lambda slope: 1.0, "relu": lambda slope: 0.0, "leaky_relu": lambda slope: slope}


def plan_matmul(a: Array, b: Array, out: Array) -> Job | None:
    """See :func:`minigan.kernels.reference.plan_matmul`."""
    if a.ndim != 2 or b.ndim != 2 or not a.size or not b.size:
        return None
    return cpu_gemm.plan(a, b, out) if cpu_gemm.suits(a, b, out) else _thin(a, b, out)


def plan_dense(x: Array, w: Array, bias: Array | None, kind: str, slope: float, out: Array) -> Job | None:
    """See :func:`minigan.kernels.reference.plan_dense`."""
    if bias is None or not x.size or not w.size:
        return None
    if w.shape[0] <= NARROW:
        return partial(narrow_dense, x, w, bias, kind, slope, out) if w.flags.c_contiguous else None
    if cpu_gemm.suits(x, w, out):
        if kind in PIECEWISE:
            return cpu_gemm.plan(x, w, out, bias, PIECEWISE[kind](slope))
        return _in_turn(cpu_gemm.plan(x, w, out, bias), partial(bias_activation, out, None, kind, slope, out))
    thin = _thin(x, w, out)
    return None if thin is None else _in_turn(thin, partial(bias_activation, out, bias, kind, slope, out))


def _in_turn(first: Job, second: Job) -> Job:
    def run() -> None:
        first()
        second()

    return run


def plan_column_sum(x: Array, out: Array) -> Job:
    """See :func:`minigan.kernels.reference.plan_column_sum`."""
    return partial(_column_sum, x, out)


# -- small products --------------------------------------------------------------------------------------------------
NARROW = 4


@njit
def _outer(start: int, stop: int, column: Array, row: Array, out: Array) -> None:
    for i in range(start, stop):
        a = column[i, 0]
        for j in range(out.shape[1]):
            out[i, j] = a * row[0, j]


@njit
def _narrow(start: int, stop: int, x: Array, w: Array, bias: Array, slope: float, out: Array) -> None:
    """One or two columns: a sum of fixed length that LLVM vectorises over the outputs. More: column by column."""
    columns = x.shape[1]
    for i in range(start, stop):
        if columns == 2:
            for j in range(out.shape[1]):
                out[i, j] = bias[j] + x[i, 0] * w[0, j] + x[i, 1] * w[1, j]
        else:
            for j in range(out.shape[1]):
                out[i, j] = bias[j]
            for k in range(columns):
                for j in range(out.shape[1]):
                    out[i, j] += x[i, k] * w[k, j]
        for j in range(out.shape[1]):
            v = out[i, j]
            out[i, j] = leak(v, slope) if v <= 0 else v


def narrow_dense(x: Array, w: Array, bias: Array, kind: str, slope: float, out: Array) -> None:
    """Dense with at most NARROW inputs (points in the plane): product, bias and activation in one pass."""
    if kind not in ("linear", "relu", "leaky_relu"):
        np.matmul(x, w, out=out)
        bias_activation(out, bias, kind, slope, out)
        return
    a = x.dtype.type({"linear": 1.0, "relu": 0.0, "leaky_relu": slope}[kind])
    split(_narrow, len(x), 2 * out.size, x, w, bias, a, out)


@njit
def _column_sum(x: Array, out: Array) -> None:
    """Four rows at a time, so that the sums are read and written once for them."""
    rows = x.shape[0]
    for j in range(x.shape[1]):
        out[j] = 0
    for i in range(0, rows - 3, 4):
        for j in range(x.shape[1]):
            out[j] += (x[i, j] + x[i + 1, j]) + (x[i + 2, j] + x[i + 3, j])
    for i in range(rows // 4 * 4, rows):
        for j in range(x.shape[1]):
            out[j] += x[i, j]


def column_sum(x: Array, out: Array) -> None:
    """See :func:`minigan.kernels.reference.column_sum`; long columns go to NumPy."""
    if len(x) > 4096:
        x.sum(axis=0, out=out)
    else:
        _column_sum(x, out)


# -- normalisation ---------------------------------------------------------------------------------------------------


@njit
def _column_moments(start: int, stop: int, x: Array, shift: Array, out: Array) -> None:
    """out[0] += sum over rows of (x - shift), out[1] += the same of its square, in float64."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            d = np.float64(x[i, j]) - shift[j]
            out[0, j] += d
            out[1, j] += d * d


@njit
def _affine(start: int, stop: int, x: Array, mean: Array, scale: Array, beta: Array, out: Array) -> None:
    """out = (x - mean) scale + beta: the difference first, which keeps the digits where the mean is large."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean[j]) * scale[j] + beta[j]


@njit
def _norm_sums(start: int, stop: int, g: Array, x: Array, mean: Array, inverse: Array, out: Array) -> None:
    """out[0] += sum over rows of g, out[1] += sum over rows of g h, h = (x - mean) inverse."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            d = np.float64(g[i, j])
            out[0, j] += d
            out[1, j] += d * (np.float64(x[i, j]) - mean[j]) * inverse[j]


@njit
def _norm_backward(
    start: int, stop: int, g: Array, x: Array, mean: Array, a: Array, b: Array, c: Array, out: Array
) -> None:
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = g[i, j] * a[j] + (x[i, j] - mean[j]) * b[j] + c[j]


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance over rows, in float64.

    Moments about the first row, not about zero: var = mean(d^2) - mean(d)^2 with d = x - x[0] loses nothing when the mean
    is large against the spread, and needs one pass.
    """
    sums = np.zeros((2, x.shape[1]))
    shift = x[0].astype(np.float64)
    _column_moments(0, len(x), x, shift, sums)
    mean = sums[0] / len(x)
    return mean + shift, np.maximum(sums[1] / len(x) - mean * mean, 0.0)


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> tuple[Array, Array]:
    """See :func:`minigan.kernels.reference.batch_norm`."""
    mean, var = _moments(x)
    scale = (gamma / np.sqrt(var + eps)).astype(x.dtype)
    split(_affine, len(x), x.size, x, mean.astype(x.dtype), scale, beta, out)
    return mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm_backward(g: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """See :func:`minigan.kernels.reference.batch_norm_backward`. Collected, with r = 1/s:

    dx = g (gamma r) - (x - mean) (gamma r^2 mean(g h)) - gamma r mean(g).
    """
    mean, var = _moments(x)
    inverse = 1.0 / np.sqrt(var + eps)
    sums = np.zeros((2, x.shape[1]))
    _norm_sums(0, len(x), g, x, mean, inverse, sums)
    a = gamma * inverse
    b = -a * inverse * sums[1] / len(x)
    c = -a * sums[0] / len(x)
    dx = np.empty_like(x)
    split(_norm_backward, len(x), x.size, g, x, *[v.astype(x.dtype) for v in (mean, a, b, c)], dx)
    return dx, sums[1].astype(x.dtype), sums[0].astype(x.dtype)


@njit
def _layer_norm(start: int, stop: int, x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    n = x.shape[1]
    for i in range(start, stop):
        mean = 0.0
        for j in range(n):
            mean += x[i, j]
        mean /= n
        var = 0.0
        for j in range(n):
            var += (x[i, j] - mean) ** 2
        inverse = 1.0 / np.sqrt(var / n + eps)
        for j in range(n):
            out[i, j] = gamma[j] * ((x[i, j] - mean) * inverse) + beta[j]


@njit
def _layer_norm_backward(
    start: int, stop: int, g: Array, x: Array, gamma: Array, eps: float, dx: Array, sums: Array
) -> None:
    n = x.shape[1]
    for i in range(start, stop):
        mean = 0.0
        for j in range(n):
            mean += x[i, j]
        mean /= n
        var = 0.0
        for j in range(n):
            var += (x[i, j] - mean) ** 2
        inverse = 1.0 / np.sqrt(var / n + eps)
        mean_u = mean_uh = 0.0
        for j in range(n):
            h = (x[i, j] - mean) * inverse
            mean_u += gamma[j] * g[i, j]
            mean_uh += gamma[j] * g[i, j] * h
            sums[0, j] += g[i, j] * h
            sums[1, j] += g[i, j]
        mean_u, mean_uh = mean_u / n, mean_uh / n
        for j in range(n):
            h = (x[i, j] - mean) * inverse
            dx[i, j] = (gamma[j] * g[i, j] - mean_u - h * mean_uh) * inverse


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.layer_norm`."""
    split(_layer_norm, len(x), x.size, x, gamma, beta, eps, out)


def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """See :func:`minigan.kernels.reference.layer_norm_backward`."""
    dx, sums = np.empty_like(x), np.zeros((2, x.shape[1]))
    _layer_norm_backward(0, len(x), g, x, gamma, eps, dx, sums)
    return dx, sums[0].astype(x.dtype), sums[1].astype(x.dtype)


# -- losses ----------------------------------------------------------------------------------------------------------
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


def mean_softplus(x: Array, sign: float) -> float:
    """See :func:`minigan.kernels.reference.mean_softplus`. Scalar code: logits are few."""
    return _mean_softplus(x.reshape(-1), x.dtype.type(sign))


def mean_softplus_backward(g: float, x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus_backward`."""
    one = x.dtype.type
    _mean_softplus_backward(one(g * sign / x.size), x.reshape(-1), one(sign), out.reshape(-1))


# -- optimizers: all arrays of a player in one call ------------------------------------------------------------------
# A table cuts every array into chunks of at most CHUNK elements, and a chunk is a task of the team (multi-tensor kernels on a
# GPU do the same), so threads share the work evenly whatever the layer sizes are. A kernel gets one row of the table: the
# chunk's length and its address in each group of arrays; `s` holds the scalars.
CHUNK = 16_384


@compile_task
def _sgd(row: Array, s: Array) -> None:
    n, (lr, mu, decay, nesterov) = row[0], (s[0], s[1], s[2], s[3])
    p, g, v = array_at(row[1], n, s), array_at(row[2], n, s), array_at(row[3], n, s)
    for i in range(n):
        d = g[i] + decay * p[i]
        step = mu * v[i] + d
        v[i] = step
        p[i] -= lr * (nesterov * (d + mu * step) + (s.dtype.type(1) - nesterov) * step)


@compile_task
def _rmsprop(row: Array, s: Array) -> None:
    n, (lr, rho, rest, eps) = row[0], (s[0], s[1], s[2], s[3])
    p, g, q = array_at(row[1], n, s), array_at(row[2], n, s), array_at(row[3], n, s)
    for i in range(n):
        q_i = rho * q[i] + rest * g[i] * g[i]
        q[i] = q_i
        p[i] -= lr * g[i] / (np.sqrt(q_i) + eps)


@compile_task
def _adam(row: Array, s: Array) -> None:
    n, (b1, c1, b2, c2, rate, root, eps, shrink) = row[0], (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
    p, g, m, v = array_at(row[1], n, s), array_at(row[2], n, s), array_at(row[3], n, s), array_at(row[4], n, s)
    for i in range(n):
        m_i = b1 * m[i] + c1 * g[i]
        v_i = b2 * v[i] + c2 * g[i] * g[i]
        m[i] = m_i
        v[i] = v_i
        p[i] = shrink * p[i] - rate * m_i / (root * np.sqrt(v_i) + eps)


@compile_task
def _ema(row: Array, s: Array) -> None:
    n, (decay, rest) = row[0], (s[0], s[1])
    a, p = array_at(row[1], n, s), array_at(row[2], n, s)
    for i in range(n):
        a[i] = decay * a[i] + rest * p[i]


@cache
def _chunk_task(kernel: Any, dtype: Any) -> int:
    """The task that runs `kernel` on row `index`; parameters: address of the table, its row length, address of the scalars."""
    words, like = np.empty(0, np.int64), np.empty(0, dtype)

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = array_at(parameters, 3, words)
        kernel(array_at(p[0] + 8 * p[1] * index, p[1], words), array_at(p[2], 8, like))

    return run


def _column(group: Sequence[Array], like: Sequence[Array]) -> Array:
    """The address of each chunk of each array of a group, whose shapes and dtypes are those of `like`.

    A :class:`Group` keeps the answer, since its arrays stay where they are.
    """
    if isinstance(group, Group) and group.cache is not None:
        return group.cache
    starts = []
    for array, other in zip(group, like, strict=True):
        if array.dtype != like[0].dtype or array.shape != other.shape or not array.flags.c_contiguous:
            raise ValueError(
                f"optimizer: got {array.shape} {array.dtype}, expected {other.shape} {like[0].dtype} in C order"
            )
        address = address_of(array)
        starts += [address + begin * array.itemsize for begin in range(0, array.size, CHUNK)]
    column = np.array(starts, dtype=np.int64)
    if isinstance(group, Group):
        group.cache = column
    return column


def _multi(kernel: Any, groups: Sequence[Sequence[Array]], *scalars: float) -> None:
    """Run a kernel over the chunks of all arrays."""
    first, grads = groups[0], groups[1]
    if isinstance(grads, Group) and grads.plan is not None:
        key, values, job, _ = grads.plan
        if all(mine is theirs for mine, theirs in zip((kernel, *groups), key, strict=True)):
            values[: len(scalars)] = scalars
            job()
            return
    lengths = [min(CHUNK, a.size - begin) for a in first for begin in range(0, a.size, CHUNK)]
    table = np.stack([lengths, *[_column(group, first) for group in groups]], axis=1)
    values = np.zeros(8, first[0].dtype)
    values[: len(scalars)] = scalars
    parameters = np.array([address_of(table), table.shape[1], address_of(values)])
    job = team().job(_chunk_task(kernel, first[0].dtype), parameters, len(table))
    if isinstance(grads, Group) and all(isinstance(group, Group) for group in groups):
        grads.plan = (kernel, *groups), values, job, table  # the arrays stay where they are: so does the table
    job()


def sgd(
    params: Sequence[Array], grads: Sequence[Array], velocity: Sequence[Array], hyper: Array, nesterov: bool
) -> None:
    """See :func:`minigan.kernels.reference.sgd`."""
    _multi(_sgd, (params, grads, velocity), *hyper, float(nesterov))


def rmsprop(params: Sequence[Array], grads: Sequence[Array], square: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.rmsprop`."""
    lr, rho, eps = (float(h) for h in hyper)
    _multi(_rmsprop, (params, grads, square), lr, rho, 1 - rho, eps)


def adam(params: Sequence[Array], grads: Sequence[Array], m: Sequence[Array], v: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.adam`; the bias corrections are folded into two scalars:

    lr m_hat / (sqrt(v_hat) + eps) = [lr/(1-b1^t)] m / ([1/sqrt(1-b2^t)] sqrt(v) + eps).
    """
    lr, b1, b2, eps, decay, step = (float(h) for h in hyper)
    rate, root = lr / (1 - b1**step), (1 - b2**step) ** -0.5
    _multi(_adam, (params, grads, m, v), b1, 1 - b1, b2, 1 - b2, rate, root, eps, 1 - lr * decay)


def ema(averages: Sequence[Array], params: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.ema`."""
    _multi(_ema, (averages, params), float(hyper[0]), 1 - float(hyper[0]))


# -- random bits -----------------------------------------------------------------------------------------------------


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
