"""Entropies and divergences of probability tables, and f-divergences by their generators.

A table holds probabilities along its last axis; leading axes are a batch, and broadcast. Zeros get the right limit: 0
log 0 is 0, and a divergence that needs p << q (q = 0 only where p = 0) is inf where that fails. No function returns
NaN. Everything is in nats.

Two ways of writing the same sum differ in floating point. KL and JSD are summed here from terms that are never negative
and vanish to second order at p = q, so that they keep all their digits for neighbours: see :func:`_excess`.

Sources: Csiszar 1967, "Information-type measures of difference of probability distributions"; Nowozin, Cseke, Tomioka
2016 (arXiv 1606.00709), tables 2 and 6, for generators, conjugates and output activations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, primitive
from minigan.backend import Array, array_module
from minigan.theory.arrays import on_arrays, table, xlogy

LOG2 = math.log(2.0)
NEAR = 1.0 / 16.0  # |p/q - 1| below which (1 + x) log(1 + x) - x is summed as a series
# x^2/2 - x^3/6 + x^4/12 - ... = sum (-x)^k / (k (k - 1)): the terms after k = 14 are below 4e-17 of the first
SERIES = tuple((-1.0) ** k / (k * (k - 1)) for k in range(14, 1, -1))


# -- what the divergences are made of --------------------------------------------------------------------------------
def _pair(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Two tables over the same outcomes, in one dtype."""
    table("p", p), table("q", q)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"divergence: got {p.shape[-1]} outcomes in p and {q.shape[-1]} in q, expected equally many")
    try:
        np.broadcast_shapes(p.shape, q.shape)
    except ValueError:
        raise ValueError(
            f"divergence: got tables of shapes {p.shape} and {q.shape}, expected leading axes that broadcast"
        ) from None
    dtype = np.result_type(p.dtype, q.dtype)
    return (p if p.dtype == dtype else ops.cast(p, dtype=dtype)), (q if q.dtype == dtype else ops.cast(q, dtype=dtype))


def _total(terms: Tensor) -> Tensor:
    return ops.sum(terms, axis=-1)


def small_excess(x: Tensor) -> Tensor:
    """(1+x) log(1+x) - x = x^2/2 - x^3/6 + x^4/12 - ..., for |x| <= NEAR, with all its digits."""
    series = 0.0 * x
    for coefficient in SERIES:
        series = series * x + coefficient
    return series * x * x


def _excess(p: Tensor, q: Tensor, gap: Tensor) -> Tensor:
    """p log(p/q) - p + q, elementwise: never negative, 0 only at p = q, inf where q = 0 < p.

    With x = p/q - 1 it is q ((1+x) log(1+x) - x) = q (x^2/2 - x^3/6 + ...). `gap` is p - q; the caller may know it
    better than the subtraction does. Near p = q the series keeps every digit, where the three terms would cancel to
    noise of size 1e-16.
    """
    near = ops.less(ops.abs(gap) - NEAR * q, 0.0)
    x = ops.where(near, gap, 0.0) / ops.where(near, q, 1.0)
    return ops.where(near, q * small_excess(x), xlogy(p, p) - xlogy(p, q) - gap)


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """log p - log q for p, q > 0, with all its digits near p = q, and no overflow far from it."""
    near = ops.less(ops.abs(p - q) - 0.5 * q, 0.0)
    close = ops.log1p(ops.where(near, p - q, 0.0) / ops.where(near, q, 1.0))
    return ops.where(near, close, ops.log(p) - ops.log(q))


# -- entropies -------------------------------------------------------------------------------------------------------
@on_arrays("p")
def entropy(p: Any) -> Any:
    """H(p) = -sum p log p, in [0, log n] (Shannon 1948).

    Args:
        p: probabilities, (..., n).

    Returns:
        (...), a float for one table.

    Raises:
        ValueError: p is no table of probabilities.
    """
    return 0.0 - _total(xlogy(table("p", p), p))  # and not -total: a sure outcome has entropy 0.0, not -0.0


@on_arrays("t")
def binary_entropy(t: Any) -> Any:
    """h(t) = -t log t - (1-t) log(1-t), in [0, log 2], elementwise for t in [0, 1]: the entropy of a coin.

    Raises:
        ValueError: a value outside [0, 1].
    """
    if not bool(((t.data >= 0) & (t.data <= 1)).all()):
        raise ValueError(f"binary_entropy: got {float(t.data.min())!r} to {float(t.data.max())!r}, expected [0, 1]")
    certain = ops.equal(t, 1.0)
    return -xlogy(t, t) - (1.0 - t) * ops.log1p(-ops.where(certain, 0.0, t))


@on_arrays("p", "q")
def cross_entropy(p: Any, q: Any) -> Any:
    """H(p, q) = -sum p log q = H(p) + KL(p || q); inf where q = 0 < p. Shapes (..., n), broadcasting, to (...).

    Raises:
        ValueError: p or q is no table of probabilities, or their shapes do not fit.
    """
    p, q = _pair(p, q)
    return -_total(xlogy(p, q))


# -- divergences -----------------------------------------------------------------------------------------------------
@on_arrays("p", "q")
def kl(p: Any, q: Any) -> Any:
    """KL(p || q) = sum p log(p/q) >= 0, 0 iff p = q, inf unless p << q (Kullback, Leibler 1951).

    Computed as sum (p log(p/q) - p + q), the same for tables (sum p = sum q), with terms that are never negative. Its
    derivatives are those of sum p log(p/q): log(p/q) + 1 in p and -p/q in q.

    Args:
        p, q: probabilities, (..., n), broadcasting.

    Returns:
        (...), a float for one pair.

    Raises:
        ValueError: p or q is no table of probabilities, or their shapes do not fit.
    """
    p, q = _pair(p, q)
    gap = p - q
    # sum (p - q) is 0 for tables, but its derivative is not: added with value 0, it leaves the textbook's derivative
    return _total(_excess(p, q, gap)) + _total(gap - ops.stop_gradient(gap))


@on_arrays("p", "q")
def reverse_kl(p: Any, q: Any) -> Any:
    """KL(q || p) = sum q log(q/p): :func:`kl` with its arguments swapped."""
    p, q = _pair(p, q)  # so that errors name them as they were given
    return kl(q, p)


@on_arrays("p", "q")
def jeffreys(p: Any, q: Any) -> Any:
    """J(p, q) = KL(p || q) + KL(q || p) = sum (p - q) log(p/q), symmetric; inf unless p << q << p (Jeffreys 1946)."""
    p, q = _pair(p, q)
    return _total(_excess(p, q, p - q) + _excess(q, p, q - p))


@on_arrays("p", "q")
def jsd(p: Any, q: Any, *, prior: float = 0.5) -> Any:
    """Jensen-Shannon divergence pi KL(p || m) + (1-pi) KL(q || m), m = pi p + (1-pi) q (Lin 1991).

    It is the mutual information of x ~ m and the label that says which of the two x came from, so 0 <= JSD <= h(pi)
    (log 2 at pi = 1/2), the upper end iff p and q are disjoint. Always finite. Its square root is a metric for pi = 1/2
    (Endres, Schindelin 2003).

    p - m = (1-pi)(p - q) and q - m = -pi (p - q) are computed so, not by subtraction; and where both p and q are near
    the smallest number that a float can hold, they are scaled up first: (p+q)/2 would round to 0 there, and its
    logarithm to -inf.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        prior: pi, the weight of p, in (0, 1).

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or the prior is outside (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"jsd: got prior {prior!r}, expected a number in (0, 1), the weight of p")
    p, q = _pair(p, q)
    eps = float(np.finfo(p.dtype).eps)
    tiny = ops.less(p + q, float(np.finfo(p.dtype).tiny) / eps**2)
    scale = ops.where(tiny, eps**-2 + 0.0 * (p + q), 1.0).detach()
    p, q = p * scale, q * scale
    m, gap = prior * p + (1.0 - prior) * q, p - q
    terms = prior * _excess(p, m, (1.0 - prior) * gap) + (1.0 - prior) * _excess(q, m, -prior * gap)
    return _total(terms / scale)


@on_arrays("p", "q")
def total_variation(p: Any, q: Any) -> Any:
    """TV(p, q) = sum |p - q| / 2 = max_A (p(A) - q(A)) = 1 - sum min(p, q), in [0, 1]; derivative sign(p - q)/2, 0 at ties."""
    p, q = _pair(p, q)
    return 0.5 * _total(ops.abs(p - q))


@on_arrays("p", "q")
def hellinger_squared(p: Any, q: Any) -> Any:
    """H^2(p, q) = 1 - sum sqrt(p q) = sum (sqrt p - sqrt q)^2 / 2, in [0, 1] (the convention with the 1/2).

    Computed as sum ((p - q) / (sqrt p + sqrt q))^2 / 2, which subtracts no roots.
    """
    p, q = _pair(p, q)
    some = ops.greater(p + q, 0.0)
    roots = ops.sqrt(ops.where(some, p, 1.0)) + ops.sqrt(ops.where(some, q, 1.0))
    return 0.5 * _total(ops.square((p - q) / roots))


def _square_over(gap: Tensor, weight: Tensor) -> Tensor:
    """sum gap^2 / weight, with 0/0 = 0; in the order in which no square underflows."""
    alive = ops.greater(ops.abs(gap) + weight, 0.0)
    return _total(gap * (gap / ops.where(alive, weight, 1.0)))


@on_arrays("p", "q")
def pearson_chi_squared(p: Any, q: Any) -> Any:
    """chi^2(p || q) = sum (p - q)^2 / q = sum p^2/q - 1; inf unless p << q (Pearson 1900)."""
    p, q = _pair(p, q)
    return _square_over(p - q, q)


@on_arrays("p", "q")
def neyman_chi_squared(p: Any, q: Any) -> Any:
    """chi^2(q || p) = sum (p - q)^2 / p: :func:`pearson_chi_squared` with its arguments swapped; inf unless q << p."""
    p, q = _pair(p, q)
    return _square_over(p - q, p)


@on_arrays("p", "q")
def le_cam(p: Any, q: Any) -> Any:
    """LC(p, q) = sum (p - q)^2 / (2 (p + q)), in [0, 1], symmetric; half the triangular discrimination (Le Cam 1986)."""
    p, q = _pair(p, q)
    return 0.5 * _square_over(p - q, p + q)


# -- the two families with a parameter -------------------------------------------------------------------------------
def _alpha_terms(p: Tensor, q: Tensor, alpha: float) -> Tensor:
    """The terms (p^a q^(1-a) - a p - (1-a) q) / (a (a-1)) of :func:`alpha_divergence`, never negative.

    They are (p (u^(a-1) - 1)/(a-1) - (p - q)) / a, u = p/q, which has its limit at a = 1; a < 1/2 is the other order of
    p and q.
    """
    if alpha < 0.5:
        return _alpha_terms(q, p, 1.0 - alpha)
    both = ops.greater(ops.minimum(p, q), 0.0)
    if alpha == 1:
        return _excess(p, q, p - q)
    log_u = _log_ratio(ops.where(both, p, 1.0), ops.where(both, q, 1.0))
    alike = (p * (ops.expm1((alpha - 1.0) * log_u) / (alpha - 1.0)) - (p - q)) / alpha
    some = ops.greater(p, 0.0)
    only_p = p / (1.0 - alpha) if alpha < 1 else ops.where(some, math.inf, 0.0 * p)
    return ops.where(both, alike, ops.where(some, only_p, q / alpha))


@on_arrays("p", "q")
def alpha_divergence(p: Any, q: Any, *, alpha: float) -> Any:
    """D_a(p || q) = (sum p^a q^(1-a) - 1) / (a (a - 1)), a any real number (Cressie, Read 1984, whose lambda is a - 1).

    The limits are KL(p || q) at a = 1 and KL(q || p) at a = 0; a = 2 is chi^2(p || q) / 2, a = 1/2 is 4 H^2, a = -1 is
    chi^2(q || p) / 2. Amari's parameter is 2a - 1 (or 1 - 2a). D_a(p || q) = D_(1-a)(q || p). Inf where a >= 1 and not
    p << q, or a <= 0 and not q << p.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        alpha: a.

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or alpha is not finite.
    """
    if not math.isfinite(alpha):
        raise ValueError(f"alpha_divergence: got alpha {alpha!r}, expected a finite number")
    p, q = _pair(p, q)
    return _total(_alpha_terms(p, q, alpha))


@on_arrays("p", "q")
def renyi(p: Any, q: Any, *, alpha: float) -> Any:
    """R_a(p || q) = log(sum p^a q^(1-a)) / (a - 1), a >= 0 (Renyi 1961; van Erven, Harremoes 2014, arXiv 1206.2459).

    The limits are -log q(p > 0) at a = 0, KL(p || q) at a = 1, log max p/q at a = inf. Not decreasing in a. For a < 1
    it is inf iff p and q are disjoint; for a >= 1 iff not p << q.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        alpha: a.

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or alpha is negative or NaN.
    """
    if not alpha >= 0:
        raise ValueError(f"renyi: got alpha {alpha!r}, expected a number >= 0")
    p, q = _pair(p, q)
    if alpha == 1:
        return kl(p, q)
    some, both = ops.greater(p, 0.0), ops.greater(ops.minimum(p, q), 0.0)
    safe_p, safe_q = ops.where(both, p, 1.0), ops.where(both, q, 1.0)
    absent = -math.inf if alpha < 1 else math.inf  # log of p^a q^(1-a) where q = 0 < p
    if alpha == math.inf:
        log_u = ops.where(both, _log_ratio(safe_p, safe_q), ops.where(some, math.inf, -math.inf + 0.0 * p))
        return ops.max(log_u, axis=-1)
    logs = alpha * ops.log(safe_p) + (1.0 - alpha) * ops.log(safe_q)
    logs = ops.where(both, logs, ops.where(some, absent, -math.inf + 0.0 * p))
    # Close to p = q the sum is 1 + small, and small is known to more digits than the sum
    small = (
        -_total(ops.where(some, 0.0, q)) if alpha == 0 else alpha * (alpha - 1.0) * _total(_alpha_terms(p, q, alpha))
    )
    near = ops.less(ops.abs(small), 0.5)
    return ops.where(near, ops.log1p(ops.where(near, small, 0.0)), ops.logsumexp(logs, axis=-1)) / (alpha - 1.0)


# -- f-divergences ---------------------------------------------------------------------------------------------------
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Generator:
    """A convex f on [0, inf) and what a variational f-GAN needs of it; D_f(p || q) = sum q f(p/q).

    The functions take tensors, arrays or numbers, elementwise.

    Attributes:
        name: its key in `GENERATORS`.
        f: f(u), u >= 0; f(0) is `at_zero`.
        derivative: f'(u), a subgradient at a kink.
        conjugate: f*(t) = sup over u >= 0 of u t - f(u); inf outside `domain`.
        activation: g_f(v), from a network's raw output v (any real number) into the range of f', inside `domain`.
        domain: (low, high): f* is finite between them.
        at_zero: f(0), perhaps inf: what a point costs that p never shows.
        slope_at_infinity: f'(inf) = lim f(u)/u, perhaps inf: what a point costs, for each unit of p, that q never
            shows.
        curvature: f''(1): close to p = q, D_f is f''(1)/2 sum (p-q)^2/q. Inf for a kink.
    """

    name: str
    f: Function
    derivative: Function
    conjugate: Function
    activation: Function
    domain: tuple[float, float]
    at_zero: float
    slope_at_infinity: float
    curvature: float


@primitive((lambda g, y, _x: g * (y / (1.0 + y)),), samples=lambda draw: ((draw.array(draw.shape()),), {}))
def wright_omega(x: Array) -> Array:
    """The w > 0 with w + log w = x, that is W(e^x) with Lambert's W;  dx = g w / (1 + w).

    By Newton's method on s = log w: e^s + s - x is convex and increasing, and positive at the starting points, so the
    steps only come down, and eight of them reach the last digit.
    """
    xp = array_module(x)
    infinite = xp.isinf(x)
    goal = xp.where(infinite, 0.0, x).astype(x.dtype)
    s = xp.where(goal > 1, xp.log(xp.maximum(goal, 1)), goal)
    for _ in range(8):
        s = s - (xp.exp(s) + s - goal) / (xp.exp(s) + 1)
    return xp.where(infinite, xp.maximum(x, 0), xp.exp(s)).astype(x.dtype)


def _log_sigmoid(v: Any) -> Tensor:
    return -ops.softplus(-v)


def _gan_f(u: Tensor) -> Tensor:
    return xlogy(u, u / (1.0 + u)) - ops.log1p(u)


def _below(t: Tensor, high: float, value: Function) -> Tensor:
    """value(t) where t is in the domain of a conjugate that ends at `high`, inf beyond."""
    inside = ops.less_equal(t, high)
    return ops.where(inside, value(ops.where(inside, t, high - 1.0)), math.inf)


def _omega_conjugate(t: Tensor) -> Tensor:
    w = wright_omega(1.0 - t)
    return 1.0 / w - 1.0 - ops.log(w)


def _roots(t: Tensor) -> Tensor:
    """s = sqrt(1 - 2t), at most 2, where the supremum over u >= 0 moves to the end u = 0."""
    return ops.minimum(ops.sqrt(1.0 - 2.0 * t), 2.0)


def _generator(
    name: str,
    f: Function,
    derivative: Function,
    conjugate: Function,
    activation: Function,
    *,
    high: float,
    at_zero: float,
    slope_at_infinity: float,
    curvature: float,
) -> Generator:
    u, t, v = on_arrays("u"), on_arrays("t"), on_arrays("v")
    limit = math.inf if slope_at_infinity > 0 else -math.inf

    def values(u: Tensor) -> Tensor:
        endless = ops.equal(_not_negative(u), math.inf)
        return ops.where(endless, limit, f(ops.where(endless, 1.0, u)))

    return Generator(
        name,
        u(values),
        u(lambda u: derivative(_not_negative(u))),
        t(lambda t: conjugate(t) if high == math.inf else _below(t, high, conjugate)),
        v(lambda v: activation(v)),
        (-math.inf, high),
        at_zero,
        slope_at_infinity,
        curvature,
    )


def _not_negative(u: Tensor) -> Tensor:
    if not bool((u.data >= 0).all()):
        raise ValueError(f"generator: got a ratio {float(u.data.min())!r}, expected p/q >= 0")
    return u


# Each conjugate below is u t - f(u) at the u >= 0 with f'(u) = t; for t < f'(0) the supremum is at u = 0, and f*(t) =
# -f(0). (Table 2 of the f-GAN paper goes on with the formula there, which is the supremum over all real u: larger, so a
# weaker bound.)
#
#   kl             f' = 1 + log u = t:  u = e^(t-1),               f* = e^(t-1)
#   reverse_kl     f' = -1/u = t < 0:   u = -1/t,                  f* = -1 - log(-t)
#   pearson        f' = 2(u-1) = t:     u = 1 + t/2,               f* = t + t^2/4 for t >= -2, else -1
#   neyman         f' = 1 - 1/u^2 = t:  u = (1-t)^(-1/2),          f* = 2 - 2 sqrt(1-t)
#   hellinger      f' = (1 - u^(-1/2))/2 = t:  u = (1-2t)^(-2),    f* = t/(1-2t)
#   jensen_shannon f' = log(2u/(1+u))/2 = t:   u/(1+u) = e^(2t)/2, f* = -log(2 - e^(2t))/2
#   gan            f' = log(u/(1+u)) = t:      u/(1+u) = e^t,      f* = -log(1 - e^t)
#   total_variation  f' = sign(u-1)/2; |t| <= 1/2: the sup is at the kink u = 1,  f* = t; below -1/2 at u = 0, f* = -1/2
#   jeffreys       f' = log u + 1 - 1/u = t; w = 1/u: w + log w = 1 - t,          f* = 1/w - 1 - log w
#   le_cam         f' = 1/2 - 2/(u+1)^2 = t; s = sqrt(1-2t): u + 1 = 2/s,         f* = (s-1)(s-3)/2, s <= 2
GENERATORS: dict[str, Generator] = {
    g.name: g
    for g in (
        _generator(
            "kl", lambda u: xlogy(u, u), lambda u: 1.0 + ops.log(u), lambda t: ops.exp(t - 1.0), lambda v: v,
            high=math.inf, at_zero=0.0, slope_at_infinity=math.inf, curvature=1.0,
        ),
        _generator(
            "reverse_kl", lambda u: -ops.log(u), lambda u: -1.0 / u, lambda t: -1.0 - ops.log(-t), lambda v:
            -ops.exp(-v), high=0.0, at_zero=math.inf, slope_at_infinity=0.0, curvature=1.0,
        ),
        _generator(
            "pearson", lambda u: ops.square(u - 1.0), lambda u: 2.0 * (u - 1.0),
            lambda t: ops.square(1.0 + 0.5 * ops.maximum(t, -2.0)) - 1.0, lambda v: v,
            high=math.inf, at_zero=1.0, slope_at_infinity=math.inf, curvature=2.0,
        ),
        _generator(
            "neyman", lambda u: (1.0 - u) * ((1.0 - u) / u), lambda u: 1.0 - 1.0 / ops.square(u),
            lambda t: 2.0 - 2.0 * ops.sqrt(1.0 - t), lambda v: 1.0 - ops.exp(v),
            high=1.0, at_zero=math.inf, slope_at_infinity=1.0, curvature=2.0,
        ),
        _generator(
            "hellinger", lambda u: 0.5 * ops.square(ops.sqrt(u) - 1.0), lambda u: 0.5 * (1.0 - 1.0 / ops.sqrt(u)),
            lambda t: 0.5 / (1.0 - 2.0 * t) - 0.5, lambda v: 0.5 * (1.0 - ops.exp(v)),
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=0.25,
        ),
        _generator(
            "jensen_shannon", lambda u: 0.5 * (_gan_f(u) + LOG2 * (u + 1.0)),
            lambda u: 0.5 * (LOG2 - ops.log1p(1.0 / u)), lambda t: -0.5 * (LOG2 + ops.log(-ops.expm1(2.0 * t - LOG2))),
            lambda v: 0.5 * (LOG2 + _log_sigmoid(v)),
            high=0.5 * LOG2, at_zero=0.5 * LOG2, slope_at_infinity=0.5 * LOG2, curvature=0.25,
        ),
        _generator(
            "gan", _gan_f, lambda u: -ops.log1p(1.0 / u), lambda t: -ops.log(-ops.expm1(t)), _log_sigmoid,
            high=0.0, at_zero=0.0, slope_at_infinity=0.0, curvature=0.5,
        ),
        _generator(
            "total_variation", lambda u: 0.5 * ops.abs(u - 1.0), lambda u: 0.5 * ops.sign(u - 1.0),
            lambda t: ops.maximum(t, -0.5), lambda v: 0.5 * ops.tanh(v),
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=math.inf,
        ),
        _generator(
            "jeffreys", lambda u: (u - 1.0) * ops.log(u), lambda u: ops.log(u) + 1.0 - 1.0 / u, _omega_conjugate, lambda
            v: v, high=math.inf, at_zero=math.inf, slope_at_infinity=math.inf, curvature=2.0,
        ),
        _generator(
            "le_cam", lambda u: 0.5 * (u - 1.0) * ((u - 1.0) / (u + 1.0)), lambda u: 0.5 - 2.0 / ops.square(u + 1.0),
            lambda t: 0.5 * (_roots(t) - 1.0) * (_roots(t) - 3.0), lambda v: 0.5 - 2.0 * ops.square(ops.sigmoid(-v)),
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=0.5,
        ),
    )
}  # fmt: skip


def generator(f: str | Generator) -> Generator:
    """The generator of that name, or `f` itself.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(f, Generator):
        return f
    if f not in GENERATORS:
        raise ValueError(f"f-divergence: got {f!r}, expected a Generator or one of {', '.join(GENERATORS)}")
    return GENERATORS[f]


def _ratio(p: Tensor, q: Tensor) -> Tensor:
    """p/q, with 1 for 0/0 and inf for p/0 (or for a q so small that p/q is above the largest float)."""
    some = ops.greater(p + q, 0.0)
    return ops.where(some, p, 1.0) / ops.where(some, q, 1.0)


def _values(g: Generator, u: Tensor) -> Tensor:
    """f(u), with f(0) from the generator where its formula has no value (u log u is NaN at 0)."""
    values = g.f(u)
    undefined = (values.data != values.data) & (u.data == 0)
    if not bool(undefined.any()):
        return values
    return ops.where(undefined, g.at_zero, g.f(ops.where(undefined, 1.0, u)))


@on_arrays("p", "q")
def f_divergence(p: Any, q: Any, f: str | Generator) -> Any:
    """D_f(p || q) = sum over q > 0 of q f(p/q)  +  f'(inf) p(q = 0): Csiszar 1967; Ali, Silvey 1966.

    "kl", "reverse_kl", "pearson", "neyman", "hellinger", "jensen_shannon", "total_variation", "jeffreys" and "le_cam"
    are the functions above of these names (chi_squared, hellinger_squared, jsd): so "hellinger" and "jensen_shannon"
    are half of what the f of table 2 in arXiv 1606.00709 gives. "gan" is 2 JSD - log 4: its f(1) is not 0.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        f: a name in `GENERATORS`, or a Generator.

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or the name is unknown.
    """
    g = generator(f)
    p, q = _pair(p, q)
    lost = ops.equal(_ratio(p, q), math.inf)
    inside = q * _values(g, _ratio(ops.where(lost, 1.0, p), ops.where(lost, 1.0, q)))
    outside = math.inf if g.slope_at_infinity == math.inf else g.slope_at_infinity * p
    return _total(ops.where(lost, outside, inside))


@on_arrays("p", "q")
def optimal_t(p: Any, q: Any, f: str | Generator) -> Any:
    """T = f'(p/q), which makes :func:`variational_bound` equal D_f(p || q); f'(inf) where q = 0 < p, f'(1) where both
    are 0.

    Shapes as :func:`f_divergence`; the result has one value for each outcome.
    """
    g = generator(f)
    p, q = _pair(p, q)
    lost = ops.equal(_ratio(p, q), math.inf)
    inside = g.derivative(_ratio(ops.where(lost, 1.0, p), ops.where(lost, 1.0, q)))
    return ops.where(lost, g.slope_at_infinity, inside)


@on_arrays("t", "p", "q")
def variational_bound(t: Any, p: Any, q: Any, f: str | Generator) -> Any:
    """E_p T - E_q f*(T) <= D_f(p || q), with equality at T = f'(p/q) (Nguyen, Wainwright, Jordan 2010, arXiv 0809.0853;
    f-GAN eq. 4).

    Args:
        t: T, one value for each outcome, (..., n). Where q shows a T outside the domain of f*, the bound is -inf.
        p, q: probabilities, (..., n), broadcasting.
        f: a name in `GENERATORS`, or a Generator.

    Returns:
        (...), a float for one pair.
    """
    g = generator(f)
    p, q = _pair(p, q)
    t = ops.cast(t, dtype=p.dtype)
    inner = 0.0 if g.domain[1] == math.inf else g.domain[1] - 1.0
    seen_p, seen_q = ops.greater(p, 0.0), ops.greater(q, 0.0)
    gain = p * ops.where(seen_p, t, 0.0)
    cost = ops.where(seen_q, q * g.conjugate(ops.where(seen_q, t, inner)), 0.0)
    lost = ops.equal(ops.maximum(cost, -gain), math.inf)  # T above the domain, or -inf where p is not 0
    bound = _total(ops.where(lost, 0.0, gain) - ops.where(lost, 0.0, cost))
    return ops.where(Tensor(lost.data.any(axis=-1)), -math.inf, bound)
