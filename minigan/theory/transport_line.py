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
from minigan.backend import Array, array_module, to_numpy
from minigan.theory.arrays import on_arrays, table
from minigan.theory.discrepancies import finite


def _numbers(name: str, x: Tensor) -> Tensor:
    """A sample on the line as shape (n,)."""
    if x.ndim == 2 and x.shape[1] == 1:
        x = ops.reshape(x, (x.shape[0],))
    if x.ndim != 1 or not x.size:
        raise ValueError(f"{name}: got shape {x.shape}, expected (n,) or (n, 1) with n >= 1")
    return finite(name, x)


def _masses(name: str, weights: Tensor | None, x: Tensor) -> Tensor:
    """Weights of a sample, divided by their sum; equal ones where none are given."""
    if weights is None:
        return Tensor(array_module(x._data).full(x.shape, 1.0 / x.size, x.dtype))
    if weights.shape != x.shape:
        raise ValueError(f"{name}: got shape {weights.shape}, expected {x.shape}, a weight for each number")
    total = float(weights.data.sum())
    if not (bool((weights.data >= 0).all()) and 0 < total < math.inf):
        raise ValueError(f"{name}: got weights with sum {total!r}, expected numbers >= 0 with a positive, finite sum")
    return weights / ops.sum(weights)


def _order(order: float, p: float | None = None) -> float:
    """The order as a float; `p` is another name for it, and None where it was not used."""
    name, order = ("order", order) if p is None else ("p", p)
    if not isinstance(order, (int, float, np.number)) or not order >= 1:
        raise ValueError(f"{name}: got {order!r}, expected a number >= 1 (or inf), the order of the distance")
    return float(order)


def _power(gaps: Tensor, p: float) -> Tensor:
    """|gaps|^p, with derivative 0 where a gap is 0."""
    if p in (1.0, 2.0):
        return ops.abs(gaps) if p == 1 else ops.square(gaps)
    zero = ops.equal(gaps, 0.0)
    return ops.where(zero, 0.0, ops.power(ops.abs(ops.where(zero, 1.0, gaps)), p))


def _power_mean(gaps: Tensor, masses: Tensor | float, p: float) -> Tensor:
    """(sum masses |gaps|^p)^(1/p) over the last axis; for p = inf the largest gap that has mass. The gaps are scaled by the
    largest, so that nothing over- or underflows; as the formula is homogeneous, the scale needs no derivative."""
    if p == 1:
        return ops.sum(ops.abs(gaps) * masses, -1)
    if p == math.inf:
        present = Tensor(masses.data > 0) if isinstance(masses, Tensor) else masses > 0
        return ops.max(ops.where(present, ops.abs(gaps), 0.0), -1)
    largest = abs(gaps.data).max(axis=-1, keepdims=True)
    scale = Tensor(array_module(largest).where(largest > 0, largest, 1))
    total = ops.sum(_power(gaps / scale, p) * masses, -1)
    zero = ops.equal(total, 0.0)
    root = ops.where(zero, 0.0, ops.power(ops.where(zero, 1.0, total), 1.0 / p))
    return root * Tensor(scale.data[..., 0])


def _monotone_pieces(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(gap, mass) of each piece of the monotone plan between sorted numbers x, y with masses a, b.

    Between neighbouring values of the two distribution functions both quantile functions are constant. A piece that is one
    whole mass of x or y has just that mass: the difference of two values near 1 would have lost a small one.
    """
    xp = array_module(x._data)
    f = ops.cumsum(a)
    g = _aligned(ops.cumsum(b), f)
    zero = Tensor(xp.zeros(1, f.dtype))
    levels = ops.sort(ops.concatenate([f, g]))
    below = ops.concatenate([zero, levels[:-1]])
    masses = levels - below
    indices = []
    for sums, own in ((f, a), (g, b)):
        i = xp.minimum(xp.searchsorted(sums.data, levels.data, side="left"), sums.size - 1)
        before = xp.concatenate([zero.data, sums.data[:-1]])[i]
        whole = Tensor((sums.data[i] == levels.data) & (before == below.data) & (masses.data > 0))
        masses = ops.where(whole, own[i], masses)
        indices.append(i)
    return x[indices[0]] - y[indices[1]], masses


def _aligned(g: Tensor, f: Tensor) -> Tensor:
    """g, with the values that equal one of f but for rounding set to it.

    They would leave a piece of mass about 1e-16, of which the root of W_p would make 1e-8. So a value of g and one of f that
    are each other's nearest, and as near as their sums are exact, are taken for one. Both end at 1.
    """
    xp = array_module(f._data)
    nearest = _nearest(g.data, f.data)
    mutual = _nearest(nearest, g.data) == g.data
    rounding = (f.size + g.size) * np.finfo(f.dtype).eps
    values = xp.where(mutual & (abs(nearest - g.data) <= rounding), nearest, g.data)
    end = f.data[-1]
    values = xp.where(g.data == g.data[-1], end, xp.minimum(values, end))
    return g + Tensor(values - g.data)


def _nearest(values: Array, ascending: Array) -> Array:
    """For each value, the nearest number of a list in ascending order."""
    xp = array_module(values)
    k = xp.searchsorted(ascending, values)
    low, high = ascending[xp.maximum(k - 1, 0)], ascending[xp.minimum(k, ascending.size - 1)]
    return xp.where(abs(values - low) < abs(high - values), low, high)


def _sorted(x: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    order = ops.argsort(x, axis=-1)
    return ops.permute(x, order, axis=-1), ops.permute(masses, order, axis=-1)


def _distance(x: Tensor, y: Tensor, a: Tensor, b: Tensor, p: float) -> Tensor:
    (x, a), (y, b) = _sorted(x, a), _sorted(y, b)
    gaps, masses = _monotone_pieces(x, y, a, b)
    return _power_mean(gaps, masses, p)


@on_arrays("x", "y", "weights_x", "weights_y")
def wasserstein_1d(
    x: Any, y: Any, *, order: float = 1, weights_x: Any = None, weights_y: Any = None, p: float | None = None
) -> Any:
    """The Wasserstein distance of order p between two samples on the line, by their quantile functions:

        W_p = ( int_0^1 |F^-1(t) - G^-1(t)|^p dt )^(1/p),   for equal sizes  ( mean |x_(i) - y_(i)|^p )^(1/p),

    and W_inf, its limit, the longest way that any mass goes: sup_t |F^-1(t) - G^-1(t)|.

    Args:
        x, y: (n,) and (m,) numbers (or (n, 1), (m, 1)).
        order: p, 1 <= p <= inf. `p` is another name of this argument.
        weights_x, weights_y: (n,) and (m,) numbers >= 0, divided by their sums; equal weights where not given.

    Returns:
        A number >= 0, in the units of x. It is differentiable in the samples and the weights; where W_p = 0 with p > 1 its
        derivative is taken as 0.

    Raises:
        ValueError: no numbers, a number that is not finite, weights that do not fit, an order below 1.

    Source: Villani 2003, theorem 2.18; Peyre, Cuturi 2019 (arXiv 1803.00567), eqs. 2.36 and 2.37.
    """
    order, x, y = _order(order, p), _numbers("x", x), _numbers("y", y)
    if weights_x is None and weights_y is None and x.size == y.size:
        return _power_mean(ops.sort(x) - ops.sort(y), 1.0 / x.size, order)
    return _distance(x, y, _masses("weights_x", weights_x, x), _masses("weights_y", weights_y, y), order)


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
        raise ValueError(
            f"support: got {support.size} numbers for tables of shapes {p.shape} and {q.shape}, expected (n,) for (..., n)"
        )
    try:
        np.broadcast_shapes(p.shape, q.shape)
    except ValueError:
        raise ValueError(f"tables: got shapes {p.shape} and {q.shape}, expected leading axes that broadcast") from None
    order = ops.argsort(support, axis=-1)
    return ops.take(p, order, -1), ops.take(q, order, -1), ops.take(support, order), order


@on_arrays("p", "q", "support")
def wasserstein_tables(p: Any, q: Any, support: Any, *, order: float = 1) -> Any:
    """The Wasserstein distance between two probability tables on the same numbers.

    For order 1 it is sum_k |F_k - G_k| (x_(k+1) - x_(k)), F and G the cumulated tables.

    Args:
        p, q: (..., n) probabilities, leading axes a batch that broadcasts.
        support: (n,) the numbers that carry them, in any order.
        order: 1 <= order <= inf, as of :func:`wasserstein_1d`.

    Returns:
        (...), in the units of the support.

    Raises:
        ValueError: not probabilities, sizes that do not fit, an order below 1.
    """
    p, q, support, _ = _on_support(p, q, support)
    order = _order(order)
    if order == 1:
        return ops.sum(ops.abs(ops.cumsum(p - q)[..., :-1]) * (support[1:] - support[:-1]), -1)
    shape = np.broadcast_shapes(p.shape, q.shape)
    lines = (ops.reshape(ops.broadcast_to(t, shape), (math.prod(shape[:-1]), shape[-1])) for t in (p, q))
    values = [_power_mean(*_monotone_pieces(support, support, a, b), order) for a, b in zip(*lines, strict=True)]
    return ops.reshape(ops.stack(values) if values else Tensor(p.data[:0].ravel()), shape[:-1])


@on_arrays("p", "q", "support")
def kantorovich_critic(p: Any, q: Any, support: Any) -> Any:
    """A 1-Lipschitz f on the line with E_p f - E_q f = W_1(p, q): the best critic of Kantorovich and Rubinstein.

    Integrating by parts, E_p f - E_q f = int f' (G - F), so slope f' = sign(G - F) is best: it climbs where q lags behind p.
    It is unique up to a constant only where F != G; where F = G, to the rounding of sums (n 2^-52), this one is flat. It is 0
    at the smallest point.

    Args:
        p, q: (..., n) probabilities.
        support: (n,) numbers, in any order.

    Returns:
        (..., n), the values of f on the support.
    """
    p, q, support, order = _on_support(p, q, support)
    lag = ops.cumsum(q - p)[..., :-1]
    lag = ops.where(Tensor(abs(lag.data) <= support.size * np.finfo(lag.dtype).eps), 0.0, lag)
    steps = ops.sign(lag) * (support[1:] - support[:-1])
    start = Tensor(array_module(steps._data).zeros((*steps.shape[:-1], 1), steps.dtype))
    return ops.take(ops.cumsum(ops.concatenate([start, steps], -1)), ops.argsort(order, axis=-1), -1)


@on_arrays("x", "y")
def sliced_wasserstein(
    x: Any, y: Any, *, order: float = 2, directions: Any = 128, seed: int = 0, p: float | None = None
) -> Any:
    """The sliced Wasserstein distance: distances on the line, averaged over directions u of the unit sphere,

        SW_p = ( mean_u W_p(<x, u>, <y, u>)^p )^(1/p).

    It is a Monte Carlo estimate of the mean over the sphere, without bias in SW_p^p; for d = 1 it is W_p itself.

    Args:
        x, y: (n, d) and (m, d).
        order: p, 1 <= p <= inf; it is 2 where not given, as in most of the literature. `p` is another name of this argument.
        directions: how many to draw, or (k, d) of them, which are divided by their lengths.
        seed: of the directions that are drawn (`minigan.random`, stream "sliced_wasserstein").

    Raises:
        ValueError: shapes that do not fit, a number that is not finite, no direction, a direction of length 0, an order
            below 1.

    Source: Rabin, Peyre, Delon, Bernot 2011; Bonneel, Rabin, Peyre, Pfister 2015.
    """
    order = _order(order, p)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not (x.size and y.size):
        raise ValueError(f"sliced_wasserstein: got shapes {x.shape} and {y.shape}, expected (n, d) and (m, d)")
    for name, points in (("x", x), ("y", y)):
        finite(name, points)
    u = Tensor(array_module(x._data).asarray(unit_directions(directions, x.shape[1], seed), dtype=x.dtype))
    lines = [ops.matmul(u, ops.transpose(points)) for points in (x, y)]
    if x.shape[0] == y.shape[0]:
        distances = _power_mean(ops.sort(lines[0]) - ops.sort(lines[1]), 1.0 / x.shape[0], order)
    else:
        a, b = (_masses("", None, points[0]) for points in lines)
        distances = ops.stack([_distance(s, t, a, b, order) for s, t in zip(*lines, strict=True)])
    return _power_mean(distances, 1.0 / u.shape[0], order)


def unit_directions(directions: Any, d: int, seed: int) -> np.ndarray:
    """(k, d) float64 of length 1: k of them drawn uniformly on the sphere, or those that were given, divided by their lengths."""
    if isinstance(directions, (int, np.integer)):
        if directions < 1:
            raise ValueError(f"directions: got {directions}, expected at least 1, or (k, {d}) of them")
        stream = "sliced_wasserstein"
        u = random.normal((int(directions), d), seed=seed, stream=stream, dtype=np.float64).numpy()
    else:
        u = np.asarray(to_numpy(directions.data if isinstance(directions, Tensor) else directions), dtype=np.float64)
    if u.ndim != 2 or u.shape[1] != d or not u.size or not np.isfinite(u).all() or not u.any(axis=1).all():
        raise ValueError(
            f"directions: got shape {u.shape}, expected how many, or finite numbers (k, {d}), no direction of length 0"
        )
    u = u / np.abs(u).max(axis=1, keepdims=True)  # or the square of a small one would underflow
    return u / np.linalg.norm(u, axis=1, keepdims=True)
