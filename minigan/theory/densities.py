"""Divergences of densities on the line, by Gauss-Legendre quadrature of their logarithms.

A density is a function `log_p(x)` of an array of points, normalised, -inf where it is 0 (`scipy.stats.norm(0,
1).logpdf` is one). It may return tensors, and so have parameters: the results can then be differentiated. Working with
logarithms keeps ratios right where both densities are below the smallest float: log(p/q) of N(0, 1) and N(40, 1) at 0
is 800, though q is 0 there.

The interval [low, high] is cut into panels of equal length, with a Gauss-Legendre rule on each: smooth densities that a
panel resolves (a few panels a standard deviation) give about 14 digits. Jumps and kinks of a density belong into
`breaks`, which become ends of panels. What lies outside the interval is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.theory.arrays import plain, tensor_of
from minigan.theory.generators import Generator, generator
from minigan.theory.terms import NEAR, small_excess

LogDensity = Callable[[Any], Any]
FARTHEST = 700.0  # e^700 is a float, e^710 is not


# -- quadrature ------------------------------------------------------------------------------------------------------
def quadrature(
    low: float, high: float, *, panels: int = 200, nodes: int = 16, breaks: Sequence[float] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """(points, weights) of a Gauss-Legendre rule on each of `panels` equal panels of [low, high], cut also at `breaks`.

    On each panel polynomials up to degree 2 nodes - 1 are integrated exactly.

    Raises:
        ValueError: an interval that is empty or not finite, or no panels or nodes.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"quadrature: got [{low}, {high}], expected finite ends, low < high (say 40 deviations out)")
    if panels < 1 or nodes < 1:
        raise ValueError(f"quadrature: got {panels} panels of {nodes} nodes, expected at least one of each")
    inner = [b for b in breaks if low < b < high]
    edges = np.unique(np.concatenate([np.linspace(low, high, panels + 1), np.asarray(inner, dtype=np.float64)]))
    at, weight = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)[:, None]
    centre = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (centre + half * at).ravel(), (half * weight).ravel()


def _integral(
    terms: Callable[..., Tensor], densities: Sequence[LogDensity], grid: tuple[np.ndarray, np.ndarray]
) -> Any:
    """sum of weights times terms(log-densities at the points); a tensor if a density gave one."""
    points, weights = grid
    with np.errstate(all="ignore"):
        logs = [_checked(log_p(points), points) for log_p in densities]
        total = ops.sum(terms(*(tensor_of(v) for v in logs)) * weights)
    return total if any(isinstance(v, Tensor) for v in logs) else plain(total)


def _checked(values: Any, points: np.ndarray) -> Any:
    data = values.data if isinstance(values, Tensor) else np.asarray(values)
    if data.shape != points.shape or np.isnan(data).any():
        what = "NaN" if data.shape == points.shape else f"shape {data.shape}"
        raise ValueError(f"log-density: got {what} for {points.shape[0]} points, expected a number or -inf for each")
    return values


# -- the terms: functions of log p and log q -------------------------------------------------------------------------
def _difference(log_p: Tensor, log_q: Tensor) -> Tensor:
    """log p - log q; 0 where both densities are 0."""
    empty = ops.equal(ops.maximum(log_p, log_q), -math.inf)
    return ops.where(empty, 0.0, log_p) - ops.where(empty, 0.0, log_q)


def _p_log_p(log_p: Tensor) -> Tensor:
    some = ops.greater(log_p, -math.inf)
    return ops.exp(log_p) * ops.where(some, log_p, 0.0)


def _cross_terms(log_p: Tensor, log_q: Tensor) -> Tensor:
    some = ops.greater(log_p, -math.inf)
    return -ops.exp(log_p) * ops.where(some, log_q, 0.0)


def _kl_terms(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p log(p/q) - p + q >= 0: as for tables, with p/q - 1 = expm1(log p - log q)."""
    p, q, d = ops.exp(log_p), ops.exp(log_q), _difference(log_p, log_q)
    near = ops.less(ops.abs(d), NEAR)
    x = ops.expm1(ops.where(near, d, 0.0))
    some = ops.greater(p, 0.0)
    return ops.where(near, q * small_excess(x), p * ops.where(some, d, 0.0) - p + q)


def _pearson_terms(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(p - q)^2/q, as e^(2 log p - log q) (1 - q/p)^2 where p is the larger."""
    d = _difference(log_p, log_q)
    above = ops.greater(d, 0.0)
    smaller = ops.expm1(-ops.abs(d))
    empty = ops.equal(log_p, -math.inf)
    scale = ops.where(above, ops.where(empty, 0.0, log_p) + ops.where(above, d, 0.0), log_q)
    return ops.exp(scale) * ops.square(smaller)


def _hellinger_terms(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(sqrt p - sqrt q)^2/2, with the larger of both outside the square."""
    d = _difference(log_p, log_q)
    return 0.5 * ops.exp(ops.maximum(log_p, log_q)) * ops.square(ops.expm1(-0.5 * ops.abs(d)))


def _jsd_terms(log_p: Tensor, log_q: Tensor, prior: float) -> Tensor:
    """m (pi e(x) + (1-pi) e(y)) with e(x) = (1+x) log(1+x) - x, x = p/m - 1, y = q/m - 1, m = pi p + (1-pi) q.

    x = (1-pi) r and y = -pi r with r = (p - q)/m, which is computed from p/q or q/p, whichever is below 1.
    """
    d = _difference(log_p, log_q)
    small = ops.exp(-ops.abs(d))
    weight_large = (1.0 - prior) + (2.0 * prior - 1.0) * ops.cast(ops.greater(d, 0.0), dtype=d.dtype)
    r = ops.sign(d) * -ops.expm1(-ops.abs(d)) / (weight_large + (1.0 - weight_large) * small)
    m = prior * ops.exp(log_p) + (1.0 - prior) * ops.exp(log_q)
    return m * (prior * _any_excess((1.0 - prior) * r) + (1.0 - prior) * _any_excess(-prior * r))


def _any_excess(x: Tensor) -> Tensor:
    """(1+x) log(1+x) - x for x >= -1."""
    near = ops.less(ops.abs(x), NEAR)
    rest = ops.greater(1.0 + x, 0.0)
    log = ops.log1p(ops.where(rest, x, 0.0))
    return ops.where(near, small_excess(ops.where(near, x, 0.0)), (1.0 + x) * log - x)


def _generator_terms(g: Generator) -> Callable[[Tensor, Tensor], Tensor]:
    """q f(p/q), or p f(u)/u where u = p/q is above 1. u is kept within e^-700 and e^700: f(0), f'(inf) are reached there."""

    def terms(log_p: Tensor, log_q: Tensor) -> Tensor:
        d = ops.clip(_difference(log_p, log_q), -FARTHEST, FARTHEST)
        above = ops.greater(d, 0.0)
        return ops.where(above, ops.exp(log_p - ops.where(above, d, 0.0)), ops.exp(log_q)) * g.f(ops.exp(d))

    return terms


def _swapped(terms: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda log_p, log_q: terms(log_q, log_p)


# generators with an infinite end, where u = p/q may leave the range of floats while q f(u) does not, and those with
# kinks or squares
TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": _kl_terms,
    "reverse_kl": _swapped(_kl_terms),
    "jeffreys": lambda log_p, log_q: _kl_terms(log_p, log_q) + _kl_terms(log_q, log_p),
    "pearson": _pearson_terms,
    "neyman": _swapped(_pearson_terms),
    "hellinger": _hellinger_terms,
    "jensen_shannon": lambda log_p, log_q: _jsd_terms(log_p, log_q, 0.5),
}


# -- the integrals ---------------------------------------------------------------------------------------------------
def mass_1d(log_p: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """int p over [low, high]: 1 where the interval holds all of it and the panels resolve it. Worth a look before the
    rest.

    Args:
        log_p: the log-density, a function of an array of points.
        low, high: the interval.
        grid: `panels`, `nodes`, `breaks` as :func:`quadrature`.
    """
    return _integral(ops.exp, [log_p], quadrature(low, high, **grid))


def entropy_1d(log_p: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H(p) = -int p log p, the differential entropy: negative where p is narrow. Arguments as :func:`mass_1d`."""
    return -_integral(_p_log_p, [log_p], quadrature(low, high, **grid))


def cross_entropy_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H(p, q) = -int p log q = H(p) + KL(p || q). Arguments as :func:`kl_1d`."""
    return _integral(_cross_terms, [log_p, log_q], quadrature(low, high, **grid))


def kl_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """KL(p || q) = int p log(p/q), as int (p log(p/q) - p + q): no term is negative, whatever the interval leaves out.

    Args:
        log_p, log_q: log-densities, functions of an array of points.
        low, high: the interval.
        grid: `panels`, `nodes`, `breaks` as :func:`quadrature`.

    Raises:
        ValueError: a bad interval; a log-density that gives NaN or a wrong shape.
    """
    return divergence_1d("kl", log_p, log_q, low=low, high=high, **grid)


def jsd_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, prior: float = 0.5, **grid: Any) -> Any:
    """pi KL(p || m) + (1-pi) KL(q || m), m = pi p + (1-pi) q, pi the prior in (0, 1). Other arguments as :func:`kl_1d`."""
    if not 0 < prior < 1:
        raise ValueError(f"jsd_1d: got prior {prior!r}, expected a number in (0, 1), the weight of p")
    return _integral(lambda a, b: _jsd_terms(a, b, prior), [log_p, log_q], quadrature(low, high, **grid))


def hellinger_squared_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H^2 = int (sqrt p - sqrt q)^2 / 2 = 1 - int sqrt(p q). Arguments as :func:`kl_1d`."""
    return divergence_1d("hellinger", log_p, log_q, low=low, high=high, **grid)


def total_variation_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """TV = int |p - q| / 2. Panels are cut where p and q cross, found by bisection, so that the kinks cost no digits.

    Arguments as :func:`kl_1d`.
    """
    return divergence_1d("total_variation", log_p, log_q, low=low, high=high, **grid)


def divergence_1d(
    f: str | Generator,
    log_p: LogDensity,
    log_q: LogDensity,
    *,
    low: float,
    high: float,
    panels: int = 200,
    nodes: int = 16,
    breaks: Sequence[float] = (),
) -> Any:
    """D_f(p || q) = int q f(p/q) over [low, high].

    Args:
        f: a name in `divergences.GENERATORS`, or a Generator. A Generator of your own whose f(0) or f'(inf) is infinite
            sees ratios p/q no farther than e^-700 and e^700.
        log_p, log_q: log-densities, functions of an array of points.
        low, high: the interval.
        panels, nodes, breaks: as :func:`quadrature`.

    Raises:
        ValueError: an unknown name, a bad interval; a log-density that gives NaN or a wrong shape.
    """
    g = generator(f)
    if g.curvature == math.inf:
        breaks = [
            *breaks,
            *_crossings(log_p, log_q, quadrature(low, high, panels=panels, nodes=nodes, breaks=breaks)[0]),
        ]
    grid = quadrature(low, high, panels=panels, nodes=nodes, breaks=breaks)
    return _integral(TERMS[g.name] if isinstance(f, str) and f in TERMS else _generator_terms(g), [log_p, log_q], grid)


def _crossings(log_p: LogDensity, log_q: LogDensity, points: np.ndarray) -> np.ndarray:
    """Where log p - log q changes its sign between neighbouring points, by bisection."""

    def above(x: np.ndarray) -> np.ndarray:
        return _values(log_p(x)) > _values(log_q(x))

    start = above(points)
    changes = np.flatnonzero(start[1:] != start[:-1])
    if not changes.size:
        return changes.astype(np.float64)
    left, right, side = points[changes], points[changes + 1], start[changes]
    for _ in range(60):
        middle = 0.5 * (left + right)
        same = above(middle) == side
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return 0.5 * (left + right)


def _values(log: Any) -> np.ndarray:
    return np.asarray(log.data if isinstance(log, Tensor) else log)
