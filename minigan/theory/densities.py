"""Divergences of densities on the line, by Gauss-Legendre quadrature of their logarithms.

A density is a function `log_p(x)` of an array of points, normalised, -inf where it is 0 (`scipy.stats.norm(0,
1).logpdf` is one). It may return tensors, and so have parameters: the results can then be differentiated. Working with
logarithms keeps ratios right where both densities are below the smallest float: log(p/q) of N(0, 1) and N(40, 1) at 0
is 800, though q is 0 there.

The interval [low, high] is cut into panels of equal length, with a Gauss-Legendre rule on each. A panel on which that rule
and the same rule on its two halves differ is halved, until they agree: narrow peaks, jumps and integrable singularities of a
density are met this way, to about 12 digits. Kinks and jumps that are known belong into `breaks`, which become ends of panels
and save the search. Those that move with a parameter, the end of a support for instance, are given as tensors, as `low` and
`high` may be: the points of their panels move with them, so that derivatives have their boundary terms (`moving`). Where a kink
or jump is found that nobody named, the value is right, and a derivative that might lack such a term raises.

What lies outside the interval is not counted. Where the tolerance is not reached, or a density's mass in
the interval is not 1 (the interval is too short, or a peak lies between all points), a RuntimeWarning says so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.switches import no_grad
from minigan.theory import moving
from minigan.theory.arrays import in_one_dtype, plain
from minigan.theory.generators import Function, Generator, generator
from minigan.theory.terms import FAR, NEAR, alpha_excess, small_excess

LogDensity = Callable[[Any], Any]
FARTHEST = 700.0  # e^700 is a float, e^710 is not


TOLERANCE = 1e-12  # of the error, relative to the integral of the terms' absolute values
DEPTH = 60  # how often a panel may be halved
MOST = 20_000  # panels
NARROWEST = 1e-13  # a panel, relative to its place: its points are still apart
NOTHING = 1e-100  # an integral that is nothing beside masses of 1

Terms = Callable[..., Tensor]


# -- quadrature ------------------------------------------------------------------------------------------------------
def quadrature(
    low: float, high: float, *, panels: int = 200, nodes: int = 16, breaks: Sequence[Any] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """(points, weights) of a Gauss-Legendre rule on each of `panels` equal panels of [low, high], cut also at `breaks`.

    On each panel polynomials up to degree 2 nodes - 1 are integrated exactly.

    Raises:
        ValueError: an interval that is empty or not finite, or no panels or nodes.
    """
    return moving.rule(*_panels(low, high, panels, nodes, breaks), nodes, [])


def _panels(
    low: Any, high: Any, panels: int, nodes: int, breaks: Sequence[Any] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The left and the right ends of the panels."""
    low, high, breaks = moving.number(low), moving.number(high), [moving.number(b) for b in breaks]
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"quadrature: got [{low}, {high}], expected finite ends, low < high (say 40 deviations out)")
    if panels != int(panels) or nodes != int(nodes) or panels < 1 or nodes < 1:
        raise ValueError(f"quadrature: got {panels} panels of {nodes} nodes, expected at least one of each")
    inner = np.array([b for b in breaks if low < b < high], dtype=np.float64)
    grid = np.linspace(low, high, int(panels) + 1)
    # A break that is an end but for rounding takes its place: between the two lay a panel in which p and q differ by rounding.
    same = np.abs(grid[1:-1, None] - inner) <= 1e-9 * (high - low) / panels
    edges = np.unique(np.concatenate([grid[:1], grid[1:-1][~same.any(axis=1)], grid[-1:], inner]))
    return edges[:-1], edges[1:]


def _integral(
    terms: Terms,
    densities: Sequence[LogDensity],
    *,
    low: Any,
    high: Any,
    panels: int = 200,
    nodes: int = 16,
    breaks: Sequence[Any] | np.ndarray = (),
    tolerance: float = TOLERANCE,
    refused: Sequence[float] = (),
) -> Any:
    """The integral of terms(log-densities) over [low, high], on panels that resolve it; a tensor if a density gave one.

    `refused`: places of `breaks` that are not known to stand still.
    """
    if not tolerance > 0:
        raise ValueError(f"quadrature: got tolerance {tolerance!r}, expected a positive number")
    ends = _panels(low, high, panels, nodes, breaks)
    with np.errstate(all="ignore"):
        with no_grad():
            peaks = _narrow_peaks(densities, moving.rule(*ends, nodes, [])[0])
            if peaks.size:
                ends = _panels(low, high, panels, nodes, [*breaks, *peaks])
            ends = _refined(terms, densities, *ends, nodes=nodes, tolerance=tolerance)
        movers = [t for t in (low, high, *breaks) if moving.in_graph(t)]
        points, weights = moving.rule(*ends, nodes, movers)
        if movers:
            beside = np.isin(ends[0], [moving.number(t) for t in movers])
            beside |= np.isin(ends[1], [moving.number(t) for t in movers])
            for log_p in densities:
                moving.check_follows(log_p, ends[0][beside], ends[1][beside])
        ask = moving.at_tensor if movers else _ask
        logs = [_checked(ask(log_p, points), points) for log_p in densities]
        *tensors, w = in_one_dtype(*logs, weights)
        values = terms(*tensors) * w
        total = ops.sum(values)
        _check_ends(values, tensors, w, nodes)
        if not any(isinstance(v, Tensor) for v in (*logs, low, high, *breaks)):
            return plain(total)
        if not moving.in_graph(total):
            return total
        known = {moving.number(b) for b in breaks} - set(refused)
        with no_grad():
            corners = moving.corners(_integrand(terms, densities), *ends, sorted(known))
    return moving.guarded(total, corners)


def _ask(log_p: LogDensity, points: Any) -> Any:
    return log_p(points)


def _integrand(terms: Terms, densities: Sequence[LogDensity]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: terms(*(Tensor(_values(f(x))) for f in densities)).data


def _check_ends(values: Tensor, logs: Sequence[Tensor], weights: Tensor, nodes: int) -> None:
    """Refuse an integral that lies at the ends of the interval, where there is no mass: it grows without end."""
    size, w = np.abs(values.data), weights.data
    for end in (slice(None, nodes), slice(-nodes, None)):
        mass = max(float((np.exp(log.data[end]) * w[end]).sum()) for log in logs)
        if size[end].sum() > 1e-3 * size.sum() and size[end].max() >= size.max() and mass < 1e-12:
            raise ValueError(
                f"quadrature: the integrand is largest at an end of the interval, where the densities have a mass of {mass:.2g} "
                "only: the integral diverges (one density's tail outweighs the other's), or the interval is too long for floats"
            )


def _checked(values: Any, points: Any) -> Any:
    data = values.data if isinstance(values, Tensor) else np.asarray(values)
    if data.shape != points.shape or np.isnan(data).any():
        what = "NaN" if data.shape == points.shape else f"shape {data.shape}"
        raise ValueError(f"log-density: got {what} for {points.shape[0]} points, expected a number or -inf for each")
    return values


def _values(log: Any) -> np.ndarray:
    return np.asarray(log.data if isinstance(log, Tensor) else log, dtype=np.float64)


def _narrow_peaks(densities: Sequence[LogDensity], points: np.ndarray) -> np.ndarray:
    """Modes that no point is close to, by golden-section search: logarithms show the way to a peak from far below it."""
    found: list[float] = []
    for log_p in densities:
        values = _values(_checked(log_p(points), points))
        inner = values[1:-1]
        drop = np.fmax(inner - values[:-2], inner - values[2:])
        tops = (
            np.flatnonzero((inner > values[:-2]) & (inner >= values[2:]) & (drop > 1.0)) + 1
        )  # of two equal ones the first
        if tops.size:
            found.extend(_search(log_p, points[tops - 1], points[tops + 1]))
    return np.asarray(found)


def _search(log_p: LogDensity, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    for _ in range(80):
        a, b = right - golden * (right - left), left + golden * (right - left)
        up = _values(log_p(a)) < _values(log_p(b))
        left, right = np.where(up, a, left), np.where(up, right, b)
    return 0.5 * (left + right)


class _Sums(NamedTuple):
    """For the terms and for each density (rows), panel by panel (last axis)."""

    integral: np.ndarray
    size: np.ndarray  # the integral of absolute values
    missed: np.ndarray  # what an end far above all points inside tells of a peak between them
    noise: np.ndarray  # what rounding may do: log p is known to eps |log p|


def _sums(terms: Terms, densities: Sequence[LogDensity], left: np.ndarray, right: np.ndarray, nodes: int) -> _Sums:
    points, weights = moving.rule(left, right, nodes, [])
    panels = (1 + len(densities), len(left), -1)

    def rows(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logs = [_values(_checked(f(at), at)) for f in densities]
        deepest = np.max([np.abs(np.where(np.isfinite(v), v, 0.0)) for v in logs], axis=0)
        return np.array([terms(*(Tensor(v) for v in logs)).data, *(np.exp(v) for v in logs)]), 1.0 + deepest

    values, deepest = rows(points)
    ends = np.abs(np.nan_to_num(rows(np.concatenate([left, right]))[0], posinf=0.0)).reshape(len(values), 2, -1).max(1)
    highest = np.abs(values).reshape(panels).max(axis=-1)
    sizes = np.abs(values) * weights
    return _Sums(
        (values * weights).reshape(panels).sum(axis=-1),
        sizes.reshape(panels).sum(axis=-1),
        np.where(ends > 1e3 * highest, ends * (right - left), 0.0),
        64 * np.finfo(np.float64).eps * (sizes * deepest).reshape(panels).sum(axis=-1),
    )


def _refined(
    terms: Terms, densities: Sequence[LogDensity], left: np.ndarray, right: np.ndarray, *, nodes: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Panels on each of which the rule and its halves agree, about the terms to `tolerance`, about the masses to 1e-6."""
    goals = np.array([tolerance, *(1e-6 for _ in densities)])[:, None]
    done = [(left[:0], right[:0])]
    settled, off = np.zeros_like(goals), 0.0
    whole = _sums(terms, densities, left, right, nodes)
    for depth in range(DEPTH + 1):
        middle, n = 0.5 * (left + right), len(left)
        parts = _sums(terms, densities, np.concatenate([left, middle]), np.concatenate([middle, right]), nodes)
        first, second = (_Sums(*(v[:, k] for v in parts)) for k in (slice(n), slice(n, None)))
        size = first.size + second.size
        total = settled + size.sum(axis=1, keepdims=True) + NOTHING
        error = np.abs(whole.integral - first.integral - second.integral) + whole.missed
        limit = np.maximum(goals * total / (n + sum(len(d[0]) for d in done)), first.noise + second.noise)
        rough = (error > limit).any(axis=0) & bool(np.isfinite(total).all())
        wide = right - left > NARROWEST * np.maximum(np.abs(left), np.abs(right))
        off += float(error[0][rough & ~wide].sum())
        rough &= wide
        last = not rough.any() or depth == DEPTH or rough.sum() > MOST
        kept = np.full(n, True) if last else ~rough
        done.append((left[kept], right[kept]))
        settled = settled + size[:, kept].sum(axis=1, keepdims=True)
        if last:
            break
        left, right = np.concatenate([left[rough], middle[rough]]), np.concatenate([middle[rough], right[rough]])
        whole = _Sums(*(np.concatenate([a[:, rough], b[:, rough]], axis=1) for a, b in zip(first, second, strict=True)))
    _warn(off + float(error[0][rough].sum()), tolerance * float(total[0, 0]), settled[1:, 0])
    lefts, rights = (np.concatenate(ends) for ends in zip(*done, strict=True))
    order = np.argsort(lefts)
    return lefts[order], rights[order]


def _warn(error: float, allowed: float, masses: np.ndarray) -> None:
    if error > 100 * allowed:
        warnings.warn(
            f"quadrature: the integral is off by about {error:.2g}, as its panels cannot be halved further; give the places of "
            "jumps and singularities as breaks=, or a larger tolerance=",
            RuntimeWarning,
            stacklevel=5,
        )
    if (np.abs(masses - 1.0) > 1e-3).any():
        received = ", ".join(f"{m:.6g}" for m in masses)
        warnings.warn(
            f"quadrature: the densities have masses {received} in the interval, expected 1: it is too short, a narrow peak lies "
            "between all points (more panels=, or breaks= around it), or a density is not normalised",
            RuntimeWarning,
            stacklevel=5,
        )


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


def _alpha_terms(log_p: Tensor, log_q: Tensor, a: float, b: float) -> Tensor:
    """(a p + b q - p^a q^b)/(a b), a + b = 1: as `terms.alpha_terms` for tables."""
    if a < 0.5:
        return _alpha_terms(log_q, log_p, b, a)
    if b == 0:
        return _kl_terms(log_p, log_q)
    d = _difference(log_p, log_q)
    p, q = ops.exp(log_p), ops.exp(log_q)
    near, close = alpha_excess(d, b)
    far = ops.greater(-b * d, FAR)
    alike = ops.where(near, p * close, (p * (ops.expm1(ops.where(far, 0.0, -b * d)) / -b) - (p - q)) / a)
    return ops.where(far, (a * p + b * q - ops.exp(_alpha_exponent(log_p, log_q, a, b))) / (a * b), alike)


def _alpha_exponent(log_p: Tensor, log_q: Tensor, a: float, b: float) -> Tensor:
    """a log p + b log q; -inf where p = 0."""
    some = ops.greater(log_p, -math.inf)
    return ops.where(some, a * ops.where(some, log_p, 0.0) + b * ops.where(some, log_q, 0.0), -math.inf)


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
    """int p over [low, high]: 1 where the interval holds all of it.

    Args:
        log_p: the log-density, a function of an array of points.
        low, high: the interval.
        grid: `panels`, `nodes`, `breaks` as :func:`quadrature`; `tolerance`, of the error relative to the integral.
    """
    return _integral(ops.exp, [log_p], low=low, high=high, **grid)


def entropy_1d(log_p: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H(p) = -int p log p, the differential entropy: negative where p is narrow. Arguments as :func:`mass_1d`."""
    return -_integral(_p_log_p, [log_p], low=low, high=high, **grid)


def cross_entropy_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H(p, q) = -int p log q = H(p) + KL(p || q). Arguments as :func:`kl_1d`."""
    return _integral(_cross_terms, [log_p, log_q], low=low, high=high, **grid)


def kl_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """KL(p || q) = int p log(p/q), as int (p log(p/q) - p + q): no term is negative, whatever the interval leaves out.

    Args:
        log_p, log_q: log-densities, functions of an array of points.
        low, high: the interval.
        grid: `panels`, `nodes`, `breaks` as :func:`quadrature`; `tolerance`, of the error relative to the integral.

    Raises:
        ValueError: a bad interval; a log-density that gives NaN or a wrong shape; an integral that diverges towards an end;
            and of derivatives, one that might lack the boundary term of a jump or kink which is not among the breaks.
    """
    return divergence_1d(log_p, log_q, "kl", low=low, high=high, **grid)


def jsd_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, prior: float = 0.5, **grid: Any) -> Any:
    """pi KL(p || m) + (1-pi) KL(q || m), m = pi p + (1-pi) q, pi the prior in (0, 1). Other arguments as :func:`kl_1d`."""
    if not 0 < prior < 1:
        raise ValueError(f"jsd_1d: got prior {prior!r}, expected a number in (0, 1), the weight of p")
    return _integral(lambda a, b: _jsd_terms(a, b, prior), [log_p, log_q], low=low, high=high, **grid)


def hellinger_squared_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """H^2 = int (sqrt p - sqrt q)^2 / 2 = 1 - int sqrt(p q). Arguments as :func:`kl_1d`."""
    return divergence_1d(log_p, log_q, "hellinger", low=low, high=high, **grid)


def total_variation_1d(log_p: LogDensity, log_q: LogDensity, *, low: float, high: float, **grid: Any) -> Any:
    """TV = int |p - q| / 2. Panels are cut where p and q cross, found by bisection, so that the kinks cost no digits.

    Arguments as :func:`kl_1d`.
    """
    return divergence_1d(log_p, log_q, "total_variation", low=low, high=high, **grid)


def alpha_divergence_1d(
    log_p: LogDensity, log_q: LogDensity, *, alpha: float, low: float, high: float, **grid: Any
) -> Any:
    """D_a = (int p^a q^(1-a) - 1) / (a (a-1)), any real a; KL(p || q) at 1, KL(q || p) at 0. Other arguments as :func:`kl_1d`."""
    if not math.isfinite(alpha):
        raise ValueError(f"alpha_divergence_1d: got alpha {alpha!r}, expected a finite number")
    return _integral(lambda a, b: _alpha_terms(a, b, alpha, 1.0 - alpha), [log_p, log_q], low=low, high=high, **grid)


def renyi_1d(log_p: LogDensity, log_q: LogDensity, *, alpha: float, low: float, high: float, **grid: Any) -> Any:
    """R_a = log(int p^a q^(1-a)) / (a - 1), a > 0; KL(p || q) at 1. Inf where p and q are disjoint.

    Close to p = q it is log(1 + a (a-1) D_a) / (a - 1), which keeps the digits. Other arguments as :func:`kl_1d`.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"renyi_1d: got alpha {alpha!r}, expected a finite number > 0")
    if alpha == 1:
        return kl_1d(log_p, log_q, low=low, high=high, **grid)
    gap = alpha * (alpha - 1.0) * alpha_divergence_1d(log_p, log_q, alpha=alpha, low=low, high=high, **grid)
    if abs(float(gap)) < 0.5:
        return (ops.log1p(gap) if isinstance(gap, Tensor) else math.log1p(gap)) / (alpha - 1.0)

    def exponent(x: Any) -> Any:
        a, b = in_one_dtype(log_p(x), log_q(x))
        return _alpha_exponent(a, b, alpha, 1.0 - alpha)

    with no_grad(), np.errstate(all="ignore"):
        places = quadrature(low, high, **_fixed(grid))[0]
        peaks = _narrow_peaks([log_p, log_q, exponent], places)
        places = np.concatenate([places, peaks, [moving.number(b) for b in grid.get("breaks", ())]])
        top = float(_values(exponent(places)).max())
    if math.isinf(top):
        return math.inf
    grid["breaks"] = [*grid.get("breaks", ()), *peaks]

    def scaled(a: Tensor, b: Tensor) -> Tensor:
        return ops.exp(_alpha_exponent(a, b, alpha, 1.0 - alpha) - top)

    total = _integral(scaled, [log_p, log_q], low=low, high=high, **grid)
    return ((ops.log(total) if isinstance(total, Tensor) else math.log(total)) + top) / (alpha - 1.0)


def _fixed(grid: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in grid.items() if name != "tolerance"}


def divergence_1d(
    log_p: LogDensity, log_q: LogDensity, f: str | Generator | Function, *, low: float, high: float, **grid: Any
) -> Any:
    """D_f(p || q) = int q f(p/q) over [low, high].

    Args:
        log_p, log_q: log-densities, functions of an array of points.
        f: as `generators.f_divergence` takes it. One of your own whose f(0) or f'(inf) is infinite sees ratios p/q no farther
            than e^-700 and e^700.
        low, high: the interval.
        grid: `panels`, `nodes`, `breaks` as :func:`quadrature`; `tolerance`, of the error relative to the integral.

    Raises:
        ValueError: an unknown name, a bad interval; a log-density that gives NaN or a wrong shape.
    """
    g = generator(f)
    if g.curvature == math.inf:
        grid |= _cut(log_p, log_q, low, high, grid)
    terms = TERMS[f] if isinstance(f, str) and f in TERMS else _generator_terms(g)
    return _integral(terms, [log_p, log_q], low=low, high=high, **grid)


def _cut(log_p: LogDensity, log_q: LogDensity, low: Any, high: Any, grid: dict[str, Any]) -> dict[str, Any]:
    """Breaks where p and q cross, which is where f(p/q) has its kink; as tensors where they move with parameters."""
    points = quadrature(low, high, **_fixed(grid))[0]
    before = [moving.number(b) for b in grid.get("breaks", ())]
    cuts = np.array([x for x in _crossings(log_p, log_q, points) if x not in before])
    still = cuts.tolist()
    movers: list[Tensor] = []
    if cuts.size and moving.in_graph(log_p(cuts), log_q(cuts)):
        movers, still = moving.roots(log_p, log_q, cuts)
        return {"breaks": [*grid.get("breaks", ()), *movers, *still], "refused": still}
    return {"breaks": [*grid.get("breaks", ()), *still]}


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
