"""The specification: every kernel in plain array code, written to be read and to be right.

The same text runs on NumPy and CuPy arrays. Each function marked `@kernel` is called by its name here and runs where its arrays
live, by what is registered there (see `kernel.py`); it calls none of the others, so that it stands for itself.
Shapes: `z`, `x`, `y`, `g` are `(rows, channels)`, C-contiguous; per-channel arrays are `(channels,)`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigan.activation import Activation
from minigan.backend import Array, Notes, array_module
from minigan.kernels.geometry import Geometry
from minigan.kernels.kernel import kernel

# -- activations -----------------------------------------------------------------------------------------------------
# Each fused activation (`minigan.activation.FUSED`) is invertible enough that its derivative can be read off its output y:
#   linear     y = z                      y' = 1
#   relu       y = max(z, 0)              y' = [y > 0]
#   leaky_relu y = z if z > 0 else a z    y' = 1 if y > 0 else a      (0 < a)
#   tanh       y = tanh z                 y' = 1 - y^2
#   sigmoid    y = 1 / (1 + exp(-z))      y' = y (1 - y)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)) without overflow: with e = exp(-|x|), it is 1/(1+e) for x >= 0 and e/(1+e) below."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.divide(xp.where(x >= 0, xp.ones_like(e), e), 1 + e, out=out)


def activated(z: Array, bias: Array | None, f: Activation) -> Array:
    """f(z + bias)."""
    xp = array_module(z)
    z = z if bias is None else z + bias
    if f.kind == "relu":
        return xp.maximum(z, 0)
    if f.kind == "leaky_relu":
        return xp.where(z > 0, z, f.slope * z)
    if f.kind == "tanh":
        return xp.tanh(z)
    return sigmoid(z) if f.kind == "sigmoid" else z


def pulled(g: Array, y: Array, f: Activation) -> Array:
    """g f'(z), with the derivative read off y = f(z)."""
    if f.kind == "relu":
        return array_module(g).where(y > 0, g, 0)
    if f.kind == "leaky_relu":
        return array_module(g).where(y > 0, g, f.slope * g)
    if f.kind == "tanh":
        return g * (1 - y * y)
    return g * (y * (1 - y)) if f.kind == "sigmoid" else g


@kernel
def bias_activation(z: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """out = f(z + bias), f an activation; `out` may be `z`."""
    out[...] = activated(z, bias, f)


@kernel
def activation_backward(g: Array, y: Array, f: Activation, out: Array) -> None:
    """out = g f'(z), with the derivative read off y = f(z)."""
    out[...] = pulled(g, y, f)


# -- products --------------------------------------------------------------------------------------------------------
@kernel
def matmul(a: Array, b: Array, out: Array) -> None:
    """out = a b, leading axes broadcast."""
    array_module(a).matmul(a, b, out=out)


@kernel
def matmul_add(a: Array, b: Array, c: Array, out: Array) -> None:
    """out = a b + c, the sum rounded once after the product. `c` has the shape and strides of `out` and is another array."""
    array_module(a).matmul(a, b, out=out)
    out += c


@kernel
def matmul_backward(a: Array, b: Array, y: Array, f: Activation, out: Array) -> None:
    """out = (a b) f'(z), the derivative read off y = f(z) as in :func:`activation_backward`. `y` has the shape and strides of
    `out` and is another array."""
    array_module(a).matmul(a, b, out=out)
    out[...] = pulled(out, y, f)


@kernel
def dense(x: Array, w: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """out = f(x w + bias)."""
    out[...] = activated(array_module(x).matmul(x, w), bias, f)


@kernel
def add(a: Array, b: Array, out: Array) -> None:
    """out = a + b."""
    array_module(out).add(a, b, out=out)


@kernel
def multiply(a: Array, b: Array, out: Array) -> None:
    """out = a b, element by element."""
    array_module(out).multiply(a, b, out=out)


# -- sums, float32 added up in double --------------------------------------------------------------------------------
def _total(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The sum over `axis`, kept with length 1."""
    total = x.sum(axis=axis, keepdims=True, dtype=np.float64 if x.dtype == np.float32 else None)
    return total.astype(np.float32) if x.dtype == np.float32 else total


def _mean(x: Array, axis: int) -> Array:
    """The mean over an axis, kept with length 1."""
    return _total(x, axis) / x.dtype.type(x.shape[axis])


@kernel
def column_sum(x: Array, out: Array) -> None:
    """out = sum over rows of x."""
    out[...] = _total(x, 0)[0]


@kernel
def sum_over(x: Array, axis: tuple[int, ...], out: Array) -> None:
    """out = the sum over `axis`, each kept with length 1."""
    out[...] = _total(x, axis)


# -- convolution -----------------------------------------------------------------------------------------------------
# Shapes: x (N, *big, in), y and g (N, *small, out), w (*kernel, in, out), all contiguous; `geometry` pairs positions
# i = o s + k d - low.
# One matrix product a tap, over the positions that the tap pairs: padding is never multiplied.
def _regions(geometry: Geometry) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]]:
    """Each tap that pairs anything: (tap, its positions in big, its positions in small)."""
    for tap in itertools.product(*(range(k) for k in geometry.kernel)):
        spans = [geometry.span(axis, k) for axis, k in enumerate(tap)]
        if all(spans):
            first = [geometry.position(axis, span[0], tap[axis]) for axis, span in enumerate(spans)]
            last = [geometry.position(axis, span[-1], tap[axis]) for axis, span in enumerate(spans)]
            steps = geometry.stride
            big = tuple(slice(i, j + 1, s) for i, j, s in zip(first, last, steps, strict=True))
            yield tap, (slice(None), *big), (slice(None), *(slice(span[0], span[-1] + 1) for span in spans))


@kernel
def conv(x: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> None:
    """out[n, o] = f(bias + sum over (i, k) of x[n, i] @ w[k])."""
    out[...] = 0
    for tap, big, small in _regions(geometry):
        out[small] += array_module(x).matmul(x[big], w[tap])
    out[...] = activated(out, bias, f)


@kernel
def conv_transpose(g: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> None:
    """out[n, i] = f(bias + sum over (o, k) of g[n, o] @ w[k]^T): the adjoint of x -> conv(x, w)."""
    out[...] = 0
    for tap, big, small in _regions(geometry):
        out[big] += array_module(g).matmul(g[small], w[tap].T)
    out[...] = activated(out, bias, f)


@kernel
def conv_weight(x: Array, g: Array, geometry: Geometry, out: Array) -> None:
    """out[k] = sum over n and (i, o) of the outer product of x[n, i] and g[n, o]: the adjoint of w -> conv(x, w)."""
    out[...] = 0
    for tap, big, small in _regions(geometry):
        array_module(x).matmul(_flat(x[big]).T, _flat(g[small]), out=out[tap])


def _flat(x: Array) -> Array:
    """(..., channels) as (rows, channels)."""
    return x.reshape(-1, x.shape[-1])


# -- losses ----------------------------------------------------------------------------------------------------------
@kernel
def bce_with_logits(logits: Array, target: Array, out: Array) -> None:
    """out = max(l, 0) - l t + log1p(exp(-|l|)) = -t log s(l) - (1-t) log(1 - s(l)), s the sigmoid; finite for finite l."""
    xp = array_module(logits)
    out[...] = xp.maximum(logits, 0) - logits * target + xp.log1p(xp.exp(-xp.abs(logits)))


@kernel
def mean_softplus(x: Array, sign: float, out: Array) -> None:
    """out, of shape (), = mean of log(1 + exp(sign x)) = max(sign x, 0) + log1p(exp(-|x|))."""
    xp = array_module(x)
    out[...] = (xp.maximum(sign * x, 0) + xp.log1p(xp.exp(-xp.abs(x)))).mean(dtype=np.float64)


@kernel
def mean_softplus_backward(g: Array, x: Array, sign: float, out: Array) -> None:
    """out = g (sign / n) sigmoid(sign x), g of shape (), n the number of elements."""
    out[...] = (g * sign / x.size) * sigmoid(sign * x)


# -- normalisation over rows and over the last axis ------------------------------------------------------------------
@kernel
def batch_norm(x: Array, gamma: Array, beta: Array, eps: float, f: Activation, out: Array, statistics: Array) -> None:
    """out = f(gamma (x - mean) / sqrt(var + eps) + beta), statistics over rows (biased variance);
    statistics = (mean, var), of shape (2, channels)."""
    mean = _mean(x, 0)
    var = _mean((x - mean) ** 2, 0)
    statistics[0], statistics[1] = mean[0], var[0]
    out[...] = activated(gamma * ((x - mean) / array_module(x).sqrt(var + eps)) + beta, None, f)


@kernel
def follow_statistics(mean: Array, var: Array, statistics: Array, momentum: float, rows: int) -> None:
    """Running averages of a batch's statistics (mean, var), (2, channels), taken over `rows` rows:

    mean <- (1 - momentum) mean + momentum statistics[0],   var <- (1 - momentum) var + momentum statistics[1] n/(n - 1),

    n = rows: unbiased, as is usual for the running variance (and as it stands for one row).
    """
    for average, value, factor in zip((mean, var), statistics, (1.0, unbiased(rows)), strict=True):
        average *= 1 - momentum
        average += (momentum * factor) * value


def unbiased(rows: int) -> float:
    """n / (n - 1), which makes a variance over n rows unbiased; 1 for one row."""
    return rows / max(rows - 1, 1)


@kernel
def batch_norm_backward(
    g: Array,
    x: Array,
    y: Array,
    gamma: Array,
    eps: float,
    f: Activation,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Cotangents of x, gamma, beta, from g, that of y. With z = gamma h + beta and y = f(z), u = g f'(z) is read off y as
    in :func:`activation_backward`. With s = sqrt(var + eps), h = (x - mean)/s and means over rows:

    dx = (gamma/s) (u - mean(u) - h mean(u h)),   dgamma = sum(u h),   dbeta = sum(u).
    """
    u = pulled(g, y, f)
    mean = _mean(x, 0)
    s = array_module(x).sqrt(_mean((x - mean) ** 2, 0) + eps)
    h = (x - mean) / s
    dx[...] = (gamma / s) * (u - _mean(u, 0) - h * _mean(u * h, 0))
    dgamma[...], dbeta[...] = _total(u * h, 0)[0], _total(u, 0)[0]


@kernel
def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """out = gamma (x - mean) / sqrt(var + eps) + beta, statistics over each row (biased variance)."""
    mean = _mean(x, 1)
    var = _mean((x - mean) ** 2, 1)
    out[...] = gamma * ((x - mean) / array_module(x).sqrt(var + eps)) + beta


@kernel
def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float, dx: Array, dgamma: Array, dbeta: Array) -> None:
    """Cotangents of x, gamma, beta. With u = gamma g and means over each row:

    dx = (u - mean(u) - h mean(u h)) / s,   dgamma = sum over rows of g h,   dbeta = sum over rows of g.
    """
    mean = _mean(x, 1)
    s = array_module(x).sqrt(_mean((x - mean) ** 2, 1) + eps)
    h, u = (x - mean) / s, gamma * g
    dx[...] = (u - _mean(u, 1) - h * _mean(u * h, 1)) / s
    dgamma[...], dbeta[...] = _total(g * h, 0)[0], _total(g, 0)[0]


# -- normalisation over groups of channels: x (N, positions, C), gain and offset (1, C) or (N, C) ---------------------------
def _group_mean(x: Array, groups: int) -> Array:
    """The mean over positions and a group's channels of x (N, P, C), for each channel: (N, 1, C)."""
    n, _, channels = x.shape
    means = _mean(x, 1).reshape(n, groups, channels // groups)
    return array_module(x).broadcast_to(_mean(means, 2), means.shape).reshape(n, 1, channels)


def _group_standardized(x: Array, groups: int, eps: float) -> tuple[Array, Array]:
    """h = (x - mean) / s and s = sqrt(var + eps), mean and biased variance of each group of each element."""
    d = x - _group_mean(x, groups)
    d = d - _group_mean(d, groups)  # what the rounding of a large mean has left
    s = array_module(x).sqrt(_group_mean(d * d, groups) + eps)
    return d / s, s


@kernel
def group_norm(x: Array, gain: Array, offset: Array, groups: int, eps: float, f: Activation, out: Array) -> None:
    """out = f(gain (x - mean) / sqrt(var + eps) + offset), statistics of each element over its positions and the C / groups
    channels of a group (biased variance)."""
    h, _ = _group_standardized(x, groups, eps)
    out[...] = activated(gain[:, None] * h + offset[:, None], None, f)


@kernel
def group_norm_backward(
    g: Array, x: Array, y: Array, gain: Array, groups: int, eps: float, f: Activation, dx: Array, sums: Array
) -> None:
    """The cotangent of x, and sums (N, 2, C), from which those of gain and offset follow. With z = gain h + offset, y = f(z),
    u = g f'(z) read off y as in :func:`activation_backward`, and means over a group's positions and channels:

    dx = (gain u - mean(gain u) - h mean(gain u h)) / s,   sums[n] = (sum over positions of u h, sum over positions of u).
    """
    u = pulled(g, y, f)
    h, s = _group_standardized(x, groups, eps)
    v = gain[:, None] * u
    dx[...] = (v - _group_mean(v, groups) - h * _group_mean(v * h, groups)) / s
    sums[:, :1], sums[:, 1:] = _total(u * h, 1), _total(u, 1)


# -- rows of a table -------------------------------------------------------------------------------------------------
@kernel
def add_rows(g: Array, rows: Array, out: Array) -> None:
    """out[rows[i]] += g[i] for all i in their order, added up in double; g (M, length), out (count, length), rows (M,) of any
    type of integers in [-count, count): negative ones count from the end."""
    (count, length), xp = out.shape, array_module(out)
    places = (rows.astype(np.int64) % count)[:, None] * length + xp.arange(length)
    out += xp.bincount(places.ravel(), weights=g.ravel(), minlength=out.size).reshape(out.shape).astype(out.dtype)


# -- windows: x (N, *spatial, C), one to three spatial axes; position o and tap k of a window meet at i = o stride + k -----------
Sizes = tuple[int, ...]


def pooled(shape: Sizes, window: Sizes, stride: Sizes) -> Sizes:
    """(N, *out, C) of (N, *spatial, C): the windows that fit."""
    counts = ((n - w) // s + 1 for n, w, s in zip(shape[1:-1], window, stride, strict=True))
    return (shape[0], *counts, shape[-1])


def window_taps(x: Array, window: Sizes, stride: Sizes) -> Iterator[tuple[int, Array]]:
    """Each tap's number, in C order, and the view x[n, o s + k, c] over all o."""
    counts = pooled(x.shape, window, stride)[1:-1]
    for number, tap in enumerate(itertools.product(*map(range, window))):
        places = (slice(k, k + (o - 1) * s + 1, s) for k, o, s in zip(tap, counts, stride, strict=True))
        yield number, x[(slice(None), *places)]


def _roomy(out: Array, terms: int) -> Array:
    """Where that many terms an element are added up: `out`, or for more than 64 in single precision an array in double."""
    return out if terms <= 64 or out.dtype != np.float32 else array_module(out).empty(out.shape, np.float64)


@kernel
def window_sum(x: Array, window: Sizes, stride: Sizes, factor: float, out: Array) -> None:
    """out[n, o, c] = factor times the sum over taps k of x[n, o s + k, c]."""
    total = _roomy(out, math.prod(window))
    for number, part in window_taps(x, window, stride):
        if number:
            total += part
        else:
            total[...] = part
    total *= factor
    if total is not out:
        out[...] = total


@kernel
def window_spread(g: Array, window: Sizes, stride: Sizes, factor: float, out: Array) -> None:
    """out[n, i, c] = factor times the sum over o and k with o s + k = i of g[n, o, c]: the adjoint of `window_sum`."""
    g = g if factor == 1 else g * g.dtype.type(factor)
    rests = [n % w for n, w in zip(out.shape[1:-1], window, strict=True)]
    if window == stride and not any(rests):  # tiles that cover everything
        for _, part in window_taps(out, window, stride):
            part[...] = g
        return
    total = _roomy(out, math.prod(window))
    total[...] = 0
    for _, part in window_taps(total, window, stride):
        part += g
    if total is not out:
        out[...] = total


@kernel
def window_max(x: Array, window: Sizes, stride: Sizes, out: Array, winner: Array | None = None) -> None:
    """out[n, o, c] = the largest of x[n, o s + k, c] over taps k, NaN where one is; and `winner`, of integers, the number of the
    first tap that has it."""
    xp = array_module(x)
    for number, part in window_taps(x, window, stride):
        if number == 0:
            out[...] = part
            if winner is not None:
                winner[...] = 0
            continue
        if winner is not None:  # a later winner has the larger number
            xp.maximum(winner, (part > out) * winner.dtype.type(number), out=winner)
        xp.maximum(out, part, out=out)


@kernel
def window_place(g: Array, winner: Array, window: Sizes, stride: Sizes, out: Array) -> None:
    """g[n, o, c] added at o s + winner[n, o, c], in zeros."""
    total = _roomy(out, math.prod(window))
    total[...] = 0
    for number, part in window_taps(total, window, stride):
        part += g * (winner == number)
    if total is not out:
        out[...] = total


# -- interpolation: x (lines, n, length), y (lines, n scale, length), contiguous ------------------------------------------
def _phases(x: Array, y: Array, scale: int) -> Iterator[tuple[float, Array, Array, Array, Array]]:
    """For each phase r: the weight |t| of the neighbour, y's elements i scale + r for all i, and of those that have a
    neighbour in x: x's element, the neighbour, y's element."""
    for r in range(scale):
        t = (r + 0.5) / scale - 0.5
        part, first, last = y[:, r::scale], slice(None, -1), slice(1, None)
        here, there = (last, first) if t < 0 else (first, last)
        yield abs(t), part, x[:, here], x[:, there], part[:, here]


@kernel
def interpolate(x: Array, scale: int, out: Array) -> None:
    """out[:, i scale + r] = x[:, i] + |t| (x[:, i + sign t] - x[:, i]), t = (r + 1/2)/scale - 1/2, x continued by its ends."""
    for weight, part, here, there, target in _phases(x, out, scale):
        part[...] = x
        target += (there - here) * x.dtype.type(weight)


@kernel
def interpolate_adjoint(g: Array, scale: int, out: Array) -> None:
    """out[:, i] = what the elements of g = interpolate(x) weigh x[:, i] with: the adjoint of x -> interpolate(x)."""
    out[...] = 0
    for weight, part, here, there, source in _phases(out, g, scale):
        moved = source * g.dtype.type(weight)
        out += part
        here -= moved
        there += moved


# -- optimizers: one call updates all arrays of a player -------------------------------------------------------------
# `hyper` is a float64 array that lives beside the parameters, so that a recorded step reads today's values.
def note_gradients(grads: Sequence[Array], notes: Notes | None) -> None:
    """Which gradients hold a NaN or Inf, and the sum of squares of each. None: nobody asks."""
    if notes is not None:
        notes.squares = np.array([float((g * g).sum()) for g in grads])
        for i, g in enumerate(grads):
            if not bool(array_module(g).isfinite(g).all()):
                notes.bad[i] = np.nan


@kernel
def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    velocity: Sequence[Array],
    hyper: Array,
    nesterov: bool,
    notes: Notes | None = None,
) -> None:
    """v <- mu v + g + wd p;  p <- p - lr v  (Nesterov: p <- p - lr (g + wd p + mu v)).  hyper = (lr, mu, wd).

    notes, for this and the next two: see :func:`note_gradients`.
    """
    note_gradients(grads, notes)
    lr, mu, decay = (float(h) for h in hyper)
    for p, g, v in zip(params, grads, velocity, strict=True):
        g = g + decay * p
        v[...] = mu * v + g
        p -= (lr * (g + mu * v if nesterov else v)).astype(p.dtype)


@kernel
def rmsprop(
    params: Sequence[Array], grads: Sequence[Array], square: Sequence[Array], hyper: Array, notes: Notes | None = None
) -> None:
    """s <- rho s + (1-rho) g^2;  p <- p - lr g / (sqrt(s) + eps).  hyper = (lr, rho, eps)."""
    note_gradients(grads, notes)
    lr, rho, eps = (float(h) for h in hyper)
    for p, g, s in zip(params, grads, square, strict=True):
        s[...] = rho * s + (1 - rho) * g * g
        p -= (lr * g / (array_module(s).sqrt(s) + eps)).astype(p.dtype)


@kernel
def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    hyper: Array,
    notes: Notes | None = None,
) -> None:
    """Adam with decoupled weight decay, hyper = (lr, beta1, beta2, eps, decay, step), step = t counted from 1:

    m <- b1 m + (1-b1) g;   v <- b2 v + (1-b2) g^2
    p <- p - lr [ (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + decay p ]
    """
    note_gradients(grads, notes)
    lr, beta1, beta2, eps, decay, step = (float(h) for h in hyper)
    for p, g, m_i, v_i in zip(params, grads, m, v, strict=True):
        m_i[...] = beta1 * m_i + (1 - beta1) * g
        v_i[...] = beta2 * v_i + (1 - beta2) * g * g
        m_hat, v_hat = m_i / (1 - beta1**step), v_i / (1 - beta2**step)
        p -= (lr * (m_hat / (array_module(v_i).sqrt(v_hat) + eps) + decay * p)).astype(p.dtype)


@kernel
def ema(averages: Sequence[Array], params: Sequence[Array], hyper: Array) -> None:
    """a <- decay a + (1 - decay) p.  hyper = (decay,)."""
    decay = float(hyper[0])
    for a, p in zip(averages, params, strict=True):
        a[...] = decay * a + (1 - decay) * p


# -- random numbers -----------------------------------------------------------------------------------------------------
PHILOX_M = (0xD2511F53, 0xCD9E8D57)  # multipliers and key increments of Salmon et al. 2011, table 2
PHILOX_W = (0x9E3779B9, 0xBB67AE85)


@kernel
def philox(key: Any, counter: Any, out: Array) -> None:
    """Fill `out` (uint32, 1-D) with Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
    1, 2, 3"). Block i of four words is the bijection with key `(key[0], key[1])` of the 128-bit counter
    `(i, counter[0], counter[1], counter[2])`; each round maps

        (c0, c1, c2, c3) -> (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),   k += W.
    """
    out[...] = _words(key, counter, out.size, array_module(out))


def _words(key: Any, counter: Any, count: int, xp: Any) -> Array:
    """The first `count` words of the stream."""
    blocks = -(-count // 4)
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [xp.arange(blocks, dtype=xp.uint64)]
    c += [xp.full(blocks, int(counter[j]), dtype=xp.uint64) for j in range(3)]
    k = [int(key[0]), int(key[1])]
    for _ in range(10):
        a, b = c[0] * np.uint64(PHILOX_M[0]), c[2] * np.uint64(PHILOX_M[1])
        c = [(b >> shift) ^ c[1] ^ np.uint64(k[0]), b & mask, (a >> shift) ^ c[3] ^ np.uint64(k[1]), a & mask]
        k = [(k[0] + PHILOX_W[0]) & 0xFFFFFFFF, (k[1] + PHILOX_W[1]) & 0xFFFFFFFF]
    return xp.stack(c, axis=1).reshape(-1)[:count].astype(xp.uint32)


@kernel
def mask(key: Any, counter: Any, keep: float, out: Array) -> None:
    """Fill `out` (float32 or float64, 1-D) with independent numbers that are 1/p with probability p, else 0: their mean is 1.

    p = level / 2^bits is `keep` rounded: see :func:`keep_level`. Of 16 bits, two numbers share a word: with B = ceil(size / 8)
    blocks of the Philox stream, number j B + i is decided by half j (low half first) of the four words of block i. Of 32, word i
    decides number i.
    """
    bits, _ = keep_level(keep)
    if bits == 32:
        wide_mask(_words(key, counter, out.size, array_module(out)), keep, out)
    else:
        mask_of(_words(key, counter, 4 * (-(-out.size // 8)), array_module(out)), keep, out)


def mask_of(words: Array, keep: float, out: Array) -> None:
    """The second half of :func:`mask` of 16 bits: four words to eight numbers."""
    xp, (bits, level) = array_module(out), keep_level(keep)
    halves = xp.stack([words & np.uint32(0xFFFF), words >> np.uint32(16)], axis=1).reshape(-1, 8).T.reshape(-1)
    out[...] = (halves[: out.size] < level) * (2**bits / level)


def wide_mask(words: Array, keep: float, out: Array) -> None:
    """The second half of :func:`mask` of 32 bits: a word for each number."""
    bits, level = keep_level(keep)
    out[...] = (words < np.uint32(level)) * (2**bits / level)


def keep_level(keep: float) -> tuple[int, int]:
    """(bits, level) with keep near level / 2^bits: 16 bits, and 32 where these would be off by more than 1/512 of keep or of
    1 - keep.

    Raises:
        ValueError: not in (0, 1], or so near to 0 or 1 that 32 bits do not tell it from them.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"mask: got keep {keep}, expected 0 < keep <= 1")
    level = round(keep * 65536)
    if 256 <= level <= 65536 - 256 or keep == 1:
        return 16, level
    level = round(keep * 2**32)
    if not 0 < level < 2**32:
        raise ValueError(f"mask: got keep {keep}, which 32 bits do not tell from {level >> 32}")
    return 32, level


@kernel
def shuffle(key: Any, counter: Any, out: Array) -> None:
    """Put `out` (1-D) into a random order: for i = n - 1, ..., 1 exchange elements i and j, j uniform in [0, i].

    j = floor(w (i + 1) / 2^64), w the integer of 64 bits that words 2i (upper half) and 2i + 1 of the Philox stream make.
    """
    words, order = _words(key, counter, 2 * out.size, np), list(range(out.size))
    for i in range(out.size - 1, 0, -1):
        j = ((int(words[2 * i]) << 32 | int(words[2 * i + 1])) * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    out[...] = out[array_module(out).asarray(order, dtype=np.int64)]


UNIT = 2.0**-24  # a float32 holds 24 bits: the largest grid of equal steps in [0, 1)


@kernel
def normal(key: Any, counter: Any, out: Array) -> None:
    """Fill `out` (float32, 1-D) with standard normal numbers by Box and Muller (1958).

    Words 2i and 2i+1 of the Philox stream give u = (word_2i >> 8) 2^-24 and v likewise, both in [0, 1); then
    r = sqrt(-2 log(1 - u)) and the angle 2 pi v are the polar coordinates of two independent standard normals:
    out[2i] = r cos(2 pi v), out[2i+1] = r sin(2 pi v).
    """
    box_muller(_words(key, counter, 2 * (-(-out.size // 2)), array_module(out)), out)


def box_muller(words: Array, out: Array) -> None:
    """The second half of :func:`normal`: two words to two numbers."""
    xp = array_module(out)
    u = ((words >> np.uint32(8)).astype(xp.float32) * np.float32(UNIT)).reshape(-1, 2)
    radius, angle = xp.sqrt(-2 * xp.log1p(-u[:, 0])), u[:, 1] * np.float32(2 * np.pi)
    pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
    out[...] = pairs.reshape(-1)[: out.size]


# -- scatter ------------------------------------------------------------------------------------------------------------
@kernel
def index_add(g: Array, index: Array, out: Array) -> None:
    """out[j] = sum of g[k] over all k with index[k] = j, added up in double: g and index (int64, in [0, len(out))) of any one
    shape, out 1-D."""
    out[...] = array_module(g).bincount(index.ravel(), weights=g.ravel(), minlength=out.size)


# -- recurrent layers: sequences are (N, L, channels), batches of rows; `mask` (N, L) says which steps count ---------------
# A step that does not count leaves the state as it is. `kept` is what the way back reads of each step, or None; of the gates of a
# step that does not count it reads nothing, so that these may be anything.
def _carry(mask: Array, t: int, new: Array, old: Array) -> Array:
    return array_module(new).where(mask[:, t, None], new, old)


@kernel
def lstm(
    xw: Array, h0: Array, c0: Array, u: Array, mask: Array, hs: Array, last: Array, kept: Array | None = None
) -> None:
    """The recurrence of :func:`minigan.ops.lstm`: hs (N, L, H) all h_t, last (N, H) c_L, kept (N, L, 5, H) i, f, g, o, c."""
    xp, h, c, units = array_module(xw), h0, c0, u.shape[0]
    for t in range(xw.shape[1]):
        z = xw[:, t] + h @ u
        i, f, o = (sigmoid(z[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
        g = xp.tanh(z[:, 2 * units : 3 * units])
        new = f * c + i * g
        h, c = _carry(mask, t, o * xp.tanh(new), h), _carry(mask, t, new, c)
        hs[:, t] = h
        if kept is not None:
            kept[:, t] = xp.stack([i, f, g, o, c], axis=1)
    last[...] = c


@kernel
def lstm_backward(
    g: Array,
    g_last: Array,
    c0: Array,
    u: Array,
    mask: Array,
    kept: Array,
    dz: Array,
    dh0: Array,
    dc0: Array,
) -> None:
    """The way back through :func:`lstm`: from the cotangents g (N, L, H) of hs and g_last (N, H) of last to dz (N, L, 4H), those
    of what the gates' functions were taken of, and to those of the first state."""
    xp, dh, dc = array_module(g), array_module(dh0).zeros_like(dh0), g_last
    for t in reversed(range(g.shape[1])):
        i, f, new, o, c = (kept[:, t, k] for k in range(5))
        before = kept[:, t - 1, 4] if t else c0
        total, bent = dh + g[:, t], xp.tanh(c)
        inner = dc + total * o * (1 - bent * bent)
        parts = [
            inner * new * i * (1 - i),
            inner * before * f * (1 - f),
            inner * i * (1 - new * new),
            total * bent * o * (1 - o),
        ]
        z = _carry(mask, t, xp.concatenate(parts, axis=1), g.dtype.type(0))
        dh, dc = _carry(mask, t, z @ u.T, total), _carry(mask, t, inner * f, dc)
        dz[:, t] = z
    dh0[...], dc0[...] = dh, dc


@kernel
def gru(xw: Array, h0: Array, u: Array, bias: Array, mask: Array, hs: Array, kept: Array | None = None) -> None:
    """The recurrence of :func:`minigan.ops.gru`: hs (N, L, H) = all h_t; kept (N, L, 4, H) = r, z, n, m with m = h U_n + b."""
    xp, h, units = array_module(xw), h0, u.shape[0]
    for t in range(xw.shape[1]):
        x, own = xw[:, t], h @ u
        r, z = (sigmoid(x[:, k : k + units] + own[:, k : k + units]) for k in (0, units))
        m = own[:, 2 * units :] + bias
        n = xp.tanh(x[:, 2 * units :] + r * m)
        h = _carry(mask, t, n + z * (h - n), h)
        hs[:, t] = h
        if kept is not None:
            kept[:, t] = xp.stack([r, z, n, m], axis=1)


@kernel
def gru_backward(
    g: Array, h0: Array, hs: Array, u: Array, mask: Array, kept: Array, dz: Array, dm: Array, dh0: Array
) -> None:
    """The way back through :func:`gru`: from the cotangent g (N, L, H) of hs to dz (N, L, 3H), that of xw, to dm (N, L, H), that
    of m, and to that of h0. The cotangent of h U is (dz_r, dz_z, dm)."""
    xp, dh, units = array_module(g), array_module(dh0).zeros_like(dh0), u.shape[0]
    for t in reversed(range(g.shape[1])):
        r, z, n, m = (kept[:, t, k] for k in range(4))
        before = hs[:, t - 1] if t else h0
        total = dh + g[:, t]
        new = total * (1 - z) * (1 - n * n)
        parts = [new * m * r * (1 - r), total * (before - n) * z * (1 - z), new, new * r]
        four = _carry(mask, t, xp.concatenate(parts, axis=1), g.dtype.type(0))
        dz[:, t], dm[:, t] = four[:, : 3 * units], four[:, 3 * units :]
        own = xp.concatenate([four[:, : 2 * units], four[:, 3 * units :]], axis=1)
        dh = _carry(mask, t, total * z + own @ u.T, total)
    dh0[...] = dh
