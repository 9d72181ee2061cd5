"""Optimal transport on the line, where sorting solves it.

For numbers on a line no plan is cheaper than the monotone one, for any cost |x - y|^p with p >= 1 (Villani 2003, Topics in
Optimal Transportation, theorem 2.18): the t-quantile of one law goes to the t-quantile of the other. Everything here is that
sentence, and for p = 1 its mirror image, the area between the distribution functions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan import ops, random
from minigan.autodiff import Tensor
from minigan.backend import array_module, to_numpy
from minigan.theory.arrays import on_arrays, table


def _numbers(name: str, x: Tensor) -> Tensor:
    """A sample on the line as shape (n,)."""
    if x.ndim == 2 and x.shape[1] == 1:
        x = ops.reshape(x, (x.shape[0],))
    if x.ndim != 1 or not x.size:
        raise ValueError(f"{name}: got shape {x.shape}, expected (n,) or (n, 1) with n >= 1")
    if not bool(array_module(x.data).isfinite(x.data).all()):
        raise ValueError(f"{name}: got a number that is NaN or infinite, expected finite ones")
    return x


def _masses(name: str, weights: Tensor | None, x: Tensor) -> Tensor:
    """Weights of a sample, divided by their sum; equal ones where none are given."""
    if weights is None:
        return Tensor(array_module(x.data).full(x.shape, 1.0 / x.size, x.dtype))
    if weights.shape != x.shape:
        raise ValueError(f"{name}: got shape {weights.shape}, expected {x.shape}, a weight for each number")
    total = float(weights.data.sum())
    if not (bool((weights.data >= 0).all()) and 0 < total < math.inf):
        raise ValueError(f"{name}: got weights with sum {total!r}, expected numbers >= 0 with a positive, finite sum")
    return weights / ops.sum(weights)


def _order(p: float) -> float:
    if not 1 <= p < math.inf:
        raise ValueError(f"p: got {p!r}, expected a number with 1 <= p < inf")
    return float(p)


def _power(gaps: Tensor, p: float) -> Tensor:
    """|gaps|^p, with derivative 0 where a gap is 0."""
    if p in (1.0, 2.0):
        return ops.abs(gaps) if p == 1 else ops.square(gaps)
    zero = ops.equal(gaps, 0.0)
    return ops.where(zero, 0.0, ops.power(ops.abs(ops.where(zero, 1.0, gaps)), p))


def _power_mean(gaps: Tensor, masses: Tensor | float, p: float) -> Tensor:
    """(sum masses |gaps|^p)^(1/p) over the last axis. The gaps are scaled by the largest, so that nothing over- or underflows;
    as the formula is homogeneous, the scale needs no derivative."""
    if p == 1:
        return ops.sum(ops.abs(gaps) * masses, -1)
    largest = abs(gaps.data).max(axis=-1, keepdims=True)
    scale = Tensor(array_module(largest).where(largest > 0, largest, 1))
    total = ops.sum(_power(gaps / scale, p) * masses, -1)
    zero = ops.equal(total, 0.0)
    root = ops.where(zero, 0.0, ops.power(ops.where(zero, 1.0, total), 1.0 / p))
    return root * Tensor(scale.data[..., 0])


def _monotone_pieces(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(gap, mass) of each piece of the monotone plan between sorted numbers x, y with masses a, b.

    Between neighbouring values of the two distribution functions both quantile functions are constant. Values that are equal
    but for rounding leave a piece of mass about 1e-16, of which the root of W_p would make 1e-8: such masses are set to 0.
    """
    xp = array_module(x.data)
    f, g = ops.cumsum(a), ops.cumsum(b)
    levels = ops.sort(ops.concatenate([f, g]))
    masses = levels - ops.concatenate([Tensor(xp.zeros(1, levels.dtype)), levels[:-1]])
    rounding = (x.size + y.size) * np.finfo(levels.dtype).eps
    masses = masses - Tensor(xp.where(masses.data <= rounding, masses.data, 0))
    i = xp.minimum(xp.searchsorted(f.data, levels.data, side="left"), x.size - 1)
    j = xp.minimum(xp.searchsorted(g.data, levels.data, side="left"), y.size - 1)
    return x[i] - y[j], masses


def _sorted(x: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    order = ops.argsort(x, axis=-1)
    return ops.permute(x, order, axis=-1), ops.permute(masses, order, axis=-1)


def _distance(x: Tensor, y: Tensor, a: Tensor, b: Tensor, p: float) -> Tensor:
    (x, a), (y, b) = _sorted(x, a), _sorted(y, b)
    gaps, masses = _monotone_pieces(x, y, a, b)
    return _power_mean(gaps, masses, p)


@on_arrays("x", "y", "weights_x", "weights_y")
def wasserstein_1d(x: Any, y: Any, *, p: float = 1, weights_x: Any = None, weights_y: Any = None) -> Any:
    """The Wasserstein distance of order p between two samples on the line, by their quantile functions:

        W_p = ( int_0^1 |F^-1(t) - G^-1(t)|^p dt )^(1/p),   for equal sizes  ( mean |x_(i) - y_(i)|^p )^(1/p).

    Args:
        x, y: (n,) and (m,) numbers (or (n, 1), (m, 1)).
        p: the order, 1 <= p < inf.
        weights_x, weights_y: (n,) and (m,) numbers >= 0, divided by their sums; equal weights where not given.

    Returns:
        A number >= 0, in the units of x. It is differentiable in the samples and the weights; where W_p = 0 with p > 1 its
        derivative is taken as 0.

    Raises:
        ValueError: no numbers, a number that is not finite, weights that do not fit, p < 1.

    Source: Villani 2003, theorem 2.18; Peyre, Cuturi 2019 (arXiv 1803.00567), eqs. 2.36 and 2.37.
    """
    p, x, y = _order(p), _numbers("x", x), _numbers("y", y)
    if weights_x is None and weights_y is None and x.size == y.size:
        return _power_mean(ops.sort(x) - ops.sort(y), 1.0 / x.size, p)
    return _distance(x, y, _masses("weights_x", weights_x, x), _masses("weights_y", weights_y, y), p)


@on_arrays("x", "y", "weights_x", "weights_y")
def wasserstein_1d_cdf(x: Any, y: Any, *, weights_x: Any = None, weights_y: Any = None) -> Any:
    """W_1 between two samples on the line as the area between their distribution functions, int |F(t) - G(t)| dt.

    Args, errors: as of :func:`wasserstein_1d`, which computes the same number from the quantiles.

    Source: Vallender 1974; Peyre, Cuturi 2019 (arXiv 1803.00567), eq. 2.37.
    """
    x, y = _numbers("x", x), _numbers("y", y)
    signed = ops.concatenate([_masses("weights_x", weights_x, x), -_masses("weights_y", weights_y, y)])
    places, signed = _sorted(ops.concatenate([x, y]), signed)
    return ops.sum(ops.abs(ops.cumsum(signed)[:-1]) * (places[1:] - places[:-1]))


def _on_support(p: Tensor, q: Tensor, support: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
    """The tables along an ascending support, that support, and the order that sorts it."""
    p, q, support = table("p", p), table("q", q), _numbers("support", support)
    if p.shape[-1] != support.size or q.shape[-1] != support.size:
        raise ValueError(f"support: got {support.size} numbers for tables of shapes {p.shape} and {q.shape}")
    order = ops.argsort(support, axis=-1)
    return ops.take(p, order, -1), ops.take(q, order, -1), ops.take(support, order), order


@on_arrays("p", "q", "support")
def wasserstein_tables(p: Any, q: Any, support: Any, *, order: float = 1) -> Any:
    """The Wasserstein distance between two probability tables on the same numbers.

    For order 1 it is sum_k |F_k - G_k| (x_(k+1) - x_(k)), F and G the cumulated tables.

    Args:
        p, q: (..., n) probabilities, leading axes equal.
        support: (n,) the numbers that carry them, in any order.
        order: 1 <= order < inf.

    Returns:
        (...), in the units of the support.

    Raises:
        ValueError: not probabilities, sizes that do not fit, order < 1.
    """
    p, q, support, _ = _on_support(p, q, support)
    if _order(order) == 1:
        return ops.sum(ops.abs(ops.cumsum(p - q)[..., :-1]) * (support[1:] - support[:-1]), -1)
    if p.shape != q.shape:
        raise ValueError(f"wasserstein_tables: got tables of shapes {p.shape} and {q.shape}, expected equal ones")
    lines = (ops.reshape(t, (-1, support.size)) for t in (p, q))
    values = [
        _power_mean(*_monotone_pieces(support, support, a, b), _order(order)) for a, b in zip(*lines, strict=True)
    ]
    return ops.reshape(ops.stack(values), p.shape[:-1])


@on_arrays("p", "q", "support")
def kantorovich_critic(p: Any, q: Any, support: Any) -> Any:
    """A 1-Lipschitz f on the line with E_p f - E_q f = W_1(p, q): the best critic of Kantorovich and Rubinstein.

    Integrating by parts, E_p f - E_q f = int f' (G - F), so slope f' = sign(G - F) is best: it climbs where q lags behind p.
    It is unique up to a constant only where F != G; where F = G, this one is flat. It is 0 at the smallest point.

    Args:
        p, q: (..., n) probabilities.
        support: (n,) numbers, in any order.

    Returns:
        (..., n), the values of f on the support.
    """
    p, q, support, order = _on_support(p, q, support)
    steps = ops.sign(ops.cumsum(q - p)[..., :-1]) * (support[1:] - support[:-1])
    start = Tensor(array_module(steps.data).zeros((*steps.shape[:-1], 1), steps.dtype))
    return ops.take(ops.cumsum(ops.concatenate([start, steps], -1)), ops.argsort(order, axis=-1), -1)


@on_arrays("x", "y")
def sliced_wasserstein(x: Any, y: Any, *, p: float = 2, directions: Any = 128, seed: int = 0) -> Any:
    """The sliced Wasserstein distance: distances on the line, averaged over directions u of the unit sphere,

        SW_p = ( mean_u W_p(<x, u>, <y, u>)^p )^(1/p).

    It is a Monte Carlo estimate of the mean over the sphere, without bias in SW_p^p; for d = 1 it is W_p itself.

    Args:
        x, y: (n, d) and (m, d).
        p: the order, 1 <= p < inf.
        directions: how many to draw, or (k, d) of them, which are divided by their lengths.
        seed: of the directions that are drawn (`minigan.random`, stream "sliced_wasserstein").

    Raises:
        ValueError: shapes that do not fit, no direction, a direction of length 0, p < 1.

    Source: Rabin, Peyre, Delon, Bernot 2011; Bonneel, Rabin, Peyre, Pfister 2015.
    """
    p = _order(p)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not (x.size and y.size):
        raise ValueError(f"sliced_wasserstein: got shapes {x.shape} and {y.shape}, expected (n, d) and (m, d)")
    u = Tensor(array_module(x.data).asarray(_directions(directions, x.shape[1], seed), dtype=x.dtype))
    lines = [ops.matmul(u, ops.transpose(points)) for points in (x, y)]
    if x.shape[0] == y.shape[0]:
        distances = _power_mean(ops.sort(lines[0]) - ops.sort(lines[1]), 1.0 / x.shape[0], p)
    else:
        a, b = (_masses("", None, points[0]) for points in lines)
        distances = ops.stack([_distance(s, t, a, b, p) for s, t in zip(*lines, strict=True)])
    return _power_mean(distances, 1.0 / u.shape[0], p)


def _directions(directions: Any, d: int, seed: int) -> np.ndarray:
    if isinstance(directions, (int, np.integer)):
        if directions < 1:
            raise ValueError(f"directions: got {directions}, expected at least 1")
        stream = "sliced_wasserstein"
        u = random.normal((int(directions), d), seed=seed, stream=stream, dtype=np.float64).numpy()
    else:
        u = np.asarray(to_numpy(directions.data if isinstance(directions, Tensor) else directions), dtype=np.float64)
    lengths = np.linalg.norm(u, axis=-1, keepdims=True)
    if u.ndim != 2 or u.shape[1] != d or not u.size or not (lengths > 0).all():
        raise ValueError(f"directions: got shape {u.shape}, expected (k, {d}) with no direction of length 0")
    return u / lengths
