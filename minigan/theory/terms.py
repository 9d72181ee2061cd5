"""What divergences of tables add up: q f(p/q) for one outcome, elementwise in p and q.

Two ways of writing the same term differ in floating point. Those here subtract nothing that is nearly equal: they are never
negative, vanish to second order at p = q, and keep their digits for neighbours and at the ends of the floats. Zeros get the
right limit, and derivatives there are finite or the right infinity, never NaN.
"""

from __future__ import annotations

import math

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.theory.arrays import xlogy

NEAR = 1.0 / 16.0  # |p/q - 1| below which (1 + x) log(1 + x) - x is summed as a series
# x^2/2 - x^3/6 + x^4/12 - ... = sum (-x)^k / (k (k - 1)): the terms after k = 14 are below 4e-17 of the first
SERIES = tuple((-1.0) ** k / (k * (k - 1)) for k in range(14, 1, -1))
FAR = 30.0  # |log| of a ratio beyond which 1 is nothing beside it, and the ratio may leave the floats


def small_excess(x: Tensor) -> Tensor:
    """(1+x) log(1+x) - x = x^2/2 - x^3/6 + x^4/12 - ..., for |x| <= NEAR, with all its digits."""
    series = 0.0 * x
    for coefficient in SERIES:
        series = series * x + coefficient
    return series * x * x


def excess(p: Tensor, q: Tensor, gap: Tensor) -> Tensor:
    """p log(p/q) - p + q, elementwise: never negative, 0 only at p = q, inf where q = 0 < p.

    With x = p/q - 1 it is q ((1+x) log(1+x) - x) = q (x^2/2 - x^3/6 + ...). `gap` is p - q; the caller may know it
    better than the subtraction does. Near p = q the series keeps every digit, where the three terms would cancel to
    noise of size 1e-16.
    """
    near = ops.less(ops.abs(gap) - NEAR * q, 0.0)
    x = ops.where(near, gap, 0.0) / ops.where(near, q, 1.0)
    return ops.where(near, q * small_excess(x), xlogy(p, p) - xlogy(p, q) - gap)


def log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """log p - log q for p, q > 0, with all its digits near p = q, and no overflow far from it."""
    near = ops.less(ops.abs(p - q) - 0.5 * q, 0.0)
    close = ops.log1p(ops.where(near, p - q, 0.0) / ops.where(near, q, 1.0))
    return ops.where(near, close, ops.log(p) - ops.log(q))


def alpha_excess(d: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """(near, e): where d and b d are small, and there e = ((e^(-b d) - 1)/(-b) + e^-d - 1) / (1 - b), with d = log(p/q).

    It is what a term of D_a, a = 1 - b, holds for each unit of p: d^2/2 - (1 + b) d^3/6 + (1 + b + b^2) d^4/24 - .... The two
    parts cancel to the second order, so the series is summed. Elsewhere e is 0.
    """
    near = ops.less(ops.abs(d) * max(1.0, abs(b)), NEAR)
    x, series = ops.where(near, d, 0.0), 0.0 * d
    sums = np.cumsum(float(b) ** np.arange(13)) if abs(b) < 1e20 else np.zeros(13)  # no d is near then, but 0
    for k in range(14, 1, -1):
        series = series * x + (-1.0) ** k * float(sums[k - 2]) / math.factorial(k)
    return near, series * x * x


def kl_terms(p: Tensor, q: Tensor) -> Tensor:
    """p log(p/q) - p + q, with the derivatives of p log(p/q)."""
    gap = p - q
    # sum (p - q) is 0 for tables, but its derivative is not: added with value 0, it leaves the textbook's derivative
    return excess(p, q, gap) + (gap - ops.stop_gradient(gap))


def jeffreys_terms(p: Tensor, q: Tensor) -> Tensor:
    """(p - q) log(p/q)."""
    return excess(p, q, p - q) + excess(q, p, q - p)


def jsd_terms(p: Tensor, q: Tensor, prior: float = 0.5) -> Tensor:
    """pi p log(p/m) + (1-pi) q log(q/m), m = pi p + (1-pi) q.

    p - m = (1-pi)(p - q) and q - m = -pi (p - q) are computed so, not by subtraction; and where both p and q are near the
    smallest number that a float can hold, they are scaled up first: (p+q)/2 would round to 0 there, and its logarithm to -inf.
    """
    eps = float(np.finfo(p.dtype).eps)
    tiny = ops.less(p + q, float(np.finfo(p.dtype).tiny) / eps**2)
    scale = ops.where(tiny, eps**-2 + 0.0 * (p + q), 1.0).detach()
    p, q = p * scale, q * scale
    m, gap = prior * p + (1.0 - prior) * q, p - q
    return (prior * excess(p, m, (1.0 - prior) * gap) + (1.0 - prior) * excess(q, m, -prior * gap)) / scale


def total_variation_terms(p: Tensor, q: Tensor) -> Tensor:
    """|p - q| / 2."""
    return 0.5 * ops.abs(p - q)


def hellinger_terms(p: Tensor, q: Tensor) -> Tensor:
    """(sqrt p - sqrt q)^2 / 2, as ((p - q) / (sqrt p + sqrt q))^2 / 2, which subtracts no roots."""
    some = ops.greater(p + q, 0.0)
    roots = ops.sqrt(ops.where(some, p, 1.0)) + ops.sqrt(ops.where(some, q, 1.0))
    return 0.5 * ops.square((p - q) / roots)


def square_over(gap: Tensor, weight: Tensor) -> Tensor:
    """gap^2 / weight, with 0/0 = 0; in the order in which no square underflows."""
    alive = ops.greater(ops.abs(gap) + weight, 0.0)
    return gap * (gap / ops.where(alive, weight, 1.0))


def pearson_terms(p: Tensor, q: Tensor) -> Tensor:
    """(p - q)^2 / q."""
    return square_over(p - q, q)


def le_cam_terms(p: Tensor, q: Tensor) -> Tensor:
    """(p - q)^2 / (2 (p + q))."""
    return 0.5 * square_over(p - q, p + q)


def alpha_terms(p: Tensor, q: Tensor, a: float, b: float) -> Tensor:
    """(a p + b q - p^a q^b) / (a b) with a + b = 1, never negative; KL's terms at a = 1 and b = 1.

    They are (p (u^(-b) - 1)/(-b) - (p - q)) / a, u = p/q, which has its limit at b = 0, and its series at u = 1; a < 1/2 is the
    other order of p and q. Both a and b are arguments, as 1 - a has lost the digits of a small a.
    """
    if a < 0.5:
        return alpha_terms(q, p, b, a)
    if b == 0:
        return excess(p, q, p - q)
    both = ops.greater(ops.minimum(p, q), 0.0)
    safe_p, safe_q = ops.where(both, p, 1.0), ops.where(both, q, 1.0)
    ratio = log_ratio(safe_p, safe_q)
    near, close = alpha_excess(ratio, b)
    exponent = -b * ratio
    far = ops.greater(exponent, FAR)
    power = ops.exp(ops.where(far, a * ops.log(safe_p) + b * ops.log(safe_q), 0.0))
    apart = a * p + b * q - power
    alike = ops.where(near, p * close, (p * (ops.expm1(ops.where(far, 0.0, exponent)) / -b) - (p - q)) / a)
    only_p = p / b if b > 0 else ops.where(ops.greater(p, 0.0), math.inf, 0.0 * p)
    alone = ops.where(ops.greater(p, 0.0), only_p, q / a)
    return ops.where(both, ops.where(far, apart / (a * b), alike), alone)
