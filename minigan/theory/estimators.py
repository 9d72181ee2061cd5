"""Entropies and divergences from samples. Each estimator says how it errs: its bias, with a sign or a formula.

Samples have shape (N, d), or (N,) on the line. Bounds of a trained critic take its values on the samples. The expected
value of an estimate is not the divergence: a histogram estimate of KL(p || p) is positive. Of the bounds, InfoNCE never exceeds
log K. Donsker-Varadhan's and NWJ's can, on one sample; but no bound that holds with high confidence on N samples, whatever the
law, is much above log N (McAllester, Stratos 2020, arXiv 1811.04251, theorem 1.1).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module, to_numpy
from minigan.theory import divergences
from minigan.theory.arrays import on_arrays

BLOCK = 2**24  # distances computed at a time
TREE_DIMENSIONS = 16  # beyond, a k-d tree looks at nearly all points, and brute force is faster

# SciPy is optional: `_neighbours` says what its absence costs
_k_d_tree: Any = importlib.import_module("scipy.spatial").cKDTree if importlib.util.find_spec("scipy") else None


# -- histograms ------------------------------------------------------------------------------------------------------
def _points(name: str, x: Any) -> np.ndarray:
    array = np.asarray(to_numpy(x.data if isinstance(x, Tensor) else x), dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: got samples of shape {array.shape}, expected (N, d) or (N,), N and d at least 1")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: got samples that are not finite")
    return array


def _is_whole(n: Any) -> bool:
    return isinstance(n, (int, np.integer)) and not isinstance(n, bool)


def _samples(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = _points("x", x), _points("y", y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"samples: got {x.shape[1]} and {y.shape[1]} coordinates, expected equally many")
    return x, y


def histograms(x: Any, y: Any, *, bins: int, pseudocount: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(p, q): the shares of both samples in `bins` equal bins a coordinate, over the range of both together, flat.

    Args:
        x: samples of p, (N, d) or (N,).
        y: samples of q, (M, d) or (M,).
        bins: of each coordinate; bins^d together.
        pseudocount: added to every count. 1/2 is Jeffreys' prior; with 0 a bin that y misses makes KL infinite.

    Raises:
        ValueError: bad shapes, samples that are not finite, no bins, more than 2^24 of them, or a negative pseudocount.
    """
    x, y = _samples(x, y)
    if not _is_whole(bins) or bins < 1 or int(bins) ** x.shape[1] > BLOCK:
        raise ValueError(f"histograms: got {bins!r} bins in {x.shape[1]} dimensions, expected 1 to {BLOCK} bins in all")
    if not pseudocount >= 0:
        raise ValueError(f"histograms: got pseudocount {pseudocount!r}, expected a number that is not negative")
    both = np.concatenate([x, y])
    low, high = both.min(axis=0), both.max(axis=0)
    edges = [np.linspace(a, b if b > a else a + 1.0, int(bins) + 1) for a, b in zip(low, high, strict=True)]
    counts = [np.histogramdd(s, bins=edges)[0].ravel() + pseudocount for s in (x, y)]
    p, q = (c / c.sum() for c in counts)
    return p, q


def histogram_kl(x: Any, y: Any, *, bins: int, pseudocount: float = 0.0) -> float:
    """KL of the two histograms, an estimate of KL(p || q).

    Bias, two parts of opposite sign. Binning loses: the KL of the binned p and q is at most KL(p || q) (data
    processing). Counting adds, with K bins that both show, N and M samples, to first order (Paninski 2003, for
    entropies)

        (K - 1)/(2N) + sum_i p_i (1 - q_i)/(2M q_i)        = (K - 1)(1/N + 1/M)/2 at p = q.

    Inf where a bin holds an x and no y, unless a pseudocount is given; that shrinks the estimate.

    Args:
        x, y, bins, pseudocount: as :func:`histograms`.
    """
    return divergences.kl(*histograms(x, y, bins=bins, pseudocount=pseudocount))


def histogram_jsd(x: Any, y: Any, *, bins: int, pseudocount: float = 0.0) -> float:
    """JSD of the two histograms, an estimate of JSD(p || q) in [0, log 2], always finite.

    Bias: binning loses (data processing); counting adds, for N samples of each and m = (p+q)/2, to first order

        (K - 1)/(2N) - sum_i (p_i (1 - p_i) + q_i (1 - q_i))/(8N m_i)        = (K - 1)/(4N) at p = q.

    With as many bins as samples every pair of samples looks disjoint: JSD near log 2, even at p = q.

    Args:
        x, y, bins, pseudocount: as :func:`histograms`.
    """
    return divergences.jsd(*histograms(x, y, bins=bins, pseudocount=pseudocount))


# -- nearest neighbours ----------------------------------------------------------------------------------------------
def _neighbours(x: np.ndarray, y: np.ndarray, k: int, *, skip_self: bool) -> np.ndarray:
    """The index of the k-th nearest row of y for each row of x.

    On the line by sorting; else by SciPy's k-d tree, in O(N log M) for few dimensions, where SciPy is installed (the extra
    `test` has it) and no square of a distance leaves the floats; else by brute force, block by block: N M d numbers, about a
    second for N = M = 10,000 and d = 2.
    """
    if x.shape[1] == 1:
        return _neighbours_on_the_line(x[:, 0], y[:, 0], k, skip_self=skip_self)
    if _k_d_tree is not None and x.shape[1] <= TREE_DIMENSIONS and _in_scale(x, y):
        return _neighbours_in_a_tree(x, y, k, skip_self=skip_self)
    rows = max(1, BLOCK // max(1, y.size))
    found = []
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        distance = _lengths(block[:, None, :] - y[None, :, :])
        if skip_self:
            distance[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        found.append(np.argpartition(distance, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)


def _in_scale(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether squares of distances are floats, and small ones are not lost beside the coordinates."""
    largest = max(np.abs(x).max(), np.abs(y).max())
    return bool(largest < 1e100) and bool(np.ptp(y, axis=0).max() > 1e-100)


def _neighbours_in_a_tree(x: np.ndarray, y: np.ndarray, k: int, *, skip_self: bool) -> np.ndarray:
    """As :func:`_neighbours`; itself is taken out by its index, as points may be equal."""
    assert _k_d_tree is not None
    found = _k_d_tree(y).query(x, k=k + skip_self)[1].reshape(len(x), -1)
    if not skip_self:
        return found[:, -1]
    own = found == np.arange(len(x))[:, None]
    return np.where(own.any(axis=1) & ~own[:, -1], found[:, -1], found[:, -2])


def _neighbours_on_the_line(x: np.ndarray, y: np.ndarray, k: int, *, skip_self: bool) -> np.ndarray:
    """The k nearest stand among the k + 1 on either side of where x would be inserted."""
    order = np.argsort(y, kind="stable")
    places = np.searchsorted(y[order], x)[:, None] + np.arange(-k - 1, k + 1)
    chosen = order[np.clip(places, 0, len(y) - 1)]
    gone = (places < 0) | (places >= len(y))
    if skip_self:
        gone |= chosen == np.arange(len(x))[:, None]
    distance = np.where(gone, np.inf, np.abs(x[:, None] - y[chosen]))
    best = np.argpartition(distance, k - 1, axis=1)[:, k - 1]
    return chosen[np.arange(len(x)), best]


def _lengths(v: np.ndarray) -> np.ndarray:
    """|v| along the last axis; scaled, where squares of the coordinates leave the floats."""
    largest = np.abs(v).max(initial=0.0)
    if 1e-100 < largest < 1e100:
        squares = np.square(v).sum(axis=-1)
        if squares.size and squares.min() > 1e-200:
            return np.sqrt(squares)
    scale = np.abs(v).max(axis=-1)
    return scale * np.sqrt(np.square(v / np.where(scale > 0, scale, 1.0)[..., None]).sum(axis=-1))


def _log_distances(x: Tensor, y: Tensor, k: int, *, skip_self: bool) -> Tensor:
    """log of the distance from each row of x to its k-th nearest row of y; differentiable, the choice of neighbours fixed."""
    chosen = _neighbours(_points("x", x), _points("y", y), k, skip_self=skip_self)
    gap = x - y[chosen]
    scale = ops.max(ops.abs(gap), axis=-1, keepdims=True).detach()  # so that no square leaves the floats
    if not bool(((scale._data > 0) & (scale._data < np.inf)).all()):
        raise ValueError(
            "nearest neighbours: got equal samples at distance 0 (or infinitely far), expected a density; add a little noise"
        )
    return ops.squeeze(ops.log(scale), -1) + 0.5 * ops.log(ops.sum(ops.square(gap / scale), axis=-1))


def _rows(x: Tensor) -> Tensor:
    return ops.reshape(x, (x.shape[0], 1)) if x.ndim == 1 else x


def digamma(n: int) -> float:
    """psi(n) = 1 + 1/2 + ... + 1/(n-1) - gamma, for whole n >= 1."""
    return math.fsum(1.0 / i for i in range(1, n)) - 0.5772156649015329


def log_ball(d: int) -> float:
    """log of the volume of the unit ball in d dimensions, pi^(d/2) / Gamma(d/2 + 1)."""
    return 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1.0)


def _check_k(k: int, *sizes: int) -> None:
    if not _is_whole(k) or not 1 <= k <= min(sizes):
        raise ValueError(f"nearest neighbours: got k = {k!r}, expected a whole number from 1 to {min(sizes)}")


@on_arrays("x")
def knn_entropy(x: Any, *, k: int = 3) -> Any:
    """Differential entropy from the distances r_i to the k-th nearest other sample (Kozachenko, Leonenko 1987):

        psi(N) - psi(k) + log V_d + (d/N) sum_i log r_i,        V_d the volume of the unit ball.

    Bias: as if the density were constant in each ball. 0 where it is (on a circle or torus), otherwise of order (k/N)^(2/d): too
    low for tails, where the density is convex and the balls are large (Gaussians), too high at the edges of a bounded
    support, where balls stick out (uniform on a square).

    Args:
        x: samples (N, d) or (N,); a tensor is differentiated with the neighbours held fixed.
        k: which neighbour; a larger k has less variance and more bias.

    Raises:
        ValueError: bad shapes, equal samples, or k outside [1, N - 1].
    """
    n, d = _points("x", x).shape
    _check_k(k, n - 1)
    x = _rows(x)
    return digamma(n) - digamma(k) + log_ball(d) + d * ops.mean(_log_distances(x, x, k, skip_self=True))


@on_arrays("x", "y")
def knn_kl(x: Any, y: Any, *, k: int = 3) -> Any:
    """KL(p || q) from nearest neighbours (Wang, Kulkarni, Verdu 2009; Perez-Cruz 2008):

        (d/N) sum_i log(s_i / r_i) + log(M/(N-1)),

    r_i the distance from x_i to its k-th nearest other x, s_i to its k-th nearest y. Can be negative.

    Bias: 0 in the limit, because what k adds to both logarithms cancels. For finite samples of order (k/N)^(1/d) to
    (k/N)^(2/d), and too low where p and q are far apart: no s_i exceeds the farthest y, so the estimate grows like d
    times the logarithm of a distance where KL grows like its square.

    Args:
        x: samples of p, (N, d) or (N,); tensors are differentiated with the neighbours held fixed.
        y: samples of q, (M, d) or (M,).
        k: which neighbour.

    Raises:
        ValueError: bad shapes, equal samples, or k outside [1, min(N - 1, M)].
    """
    (n, d), m = _samples(x, y)[0].shape, len(y.data)
    _check_k(k, n - 1, m)
    x, y = _rows(x), _rows(y)
    gap = _log_distances(x, y, k, skip_self=False) - _log_distances(x, x, k, skip_self=True)
    return d * ops.mean(gap) + math.log(m / (n - 1))


# -- bounds from the values of a critic ------------------------------------------------------------------------------
def _weights(name: str, t: Tensor, weights: Tensor | None) -> Tensor:
    """Probabilities of the values: as given, or 1/N each."""
    if not t.size:
        raise ValueError(f"{name}: got shape {t.shape}, expected at least one value")
    _check_scores(name, t)
    if weights is None:
        return Tensor(array_module(t._data).full(t.shape, 1.0 / t.size, dtype=t.dtype))
    if weights.shape != t.shape:
        raise ValueError(f"{name}: got weights of shape {weights.shape}, expected the values' shape, {t.shape}")
    if not bool((weights._data >= 0).all()) or not abs(float(weights._data.sum()) - 1.0) <= 1e-6:
        raise ValueError(
            f"{name}: got weights from {float(weights._data.min())!r} on with sum {float(weights._data.sum())!r}, expected "
            "probabilities: numbers >= 0 with sum 1"
        )
    return weights


def _check_scores(name: str, t: Tensor) -> None:
    if not bool((t._data < math.inf).all()):
        raise ValueError(f"{name}: got NaN or inf among the critic's values, expected numbers (or -inf)")


def _expected(t: Tensor, weights: Tensor) -> Tensor:
    some = ops.greater(weights, 0.0)
    return ops.sum(weights * ops.where(some, t, 0.0))


def _log_mean_exp(t: Tensor, weights: Tensor) -> Tensor:
    some = ops.greater(weights, 0.0)
    return ops.logsumexp(ops.where(some, t + ops.log(ops.where(some, weights, 1.0)), -math.inf))


CRITIC = ("t_p", "t_q", "weights_p", "weights_q")


@on_arrays(*CRITIC)
def donsker_varadhan(t_p: Any, t_q: Any, *, weights_p: Any = None, weights_q: Any = None) -> Any:
    """mean T(x) - log mean e^T(y), x ~ p and y ~ q: at most KL(p || q) in expectations (Donsker, Varadhan 1975; MINE,
    arXiv 1801.04062).

    Equal to it at T = log(p/q) + any constant.

    Bias: upwards. Jensen's inequality gives E[-log mean e^T] >= -log E e^T, by about Var(e^T)/(2 M E[e^T]^2) for M
    samples of q: for a fixed T the estimate is too high on average, and may exceed KL(p || q). It never exceeds max
    T(x) - max T(y) + log M.

    Args:
        t_p: the critic's values on samples of p, any shape.
        t_q: its values on samples of q, any shape.
        weights_p, weights_q: probabilities of these values, where they list a table in place of equally likely samples.

    Returns:
        One number.
    """
    w_p, w_q = _weights("t_p", t_p, weights_p), _weights("t_q", t_q, weights_q)
    return _expected(t_p, w_p) - _log_mean_exp(t_q, w_q)


@on_arrays(*CRITIC)
def nwj(t_p: Any, t_q: Any, *, weights_p: Any = None, weights_q: Any = None) -> Any:
    """mean T(x) - mean e^(T(y) - 1): at most KL(p || q) in expectations (Nguyen, Wainwright, Jordan 2010, arXiv
    0809.0853).

    Equal to it at T = 1 + log(p/q) only. It is the f-GAN bound with f(u) = u log u, and at most Donsker-Varadhan's at
    the same T.

    Bias: none for a fixed T, as both means are unbiased; the variance is Var_p(T)/N + Var_q(e^(T-1))/M, which at the
    best T is about e^KL / M or more. A T that was trained on the same samples is too high.

    Args:
        t_p, t_q, weights_p, weights_q: as :func:`donsker_varadhan`.

    Returns:
        One number.
    """
    w_p, w_q = _weights("t_p", t_p, weights_p), _weights("t_q", t_q, weights_q)
    return _expected(t_p, w_p) - ops.exp(_log_mean_exp(t_q - 1.0, w_q))


@on_arrays("scores")
def infonce(scores: Any) -> Any:
    """mean_i log( e^s_ii / ((1/K) sum_j e^s_ij) ) <= log K, a lower bound of I(X; Y) (van den Oord et al. 2018, arXiv
    1807.03748).

    Bias: downwards. Its expected value is at most I(X; Y) for every score function, and no value exceeds log K: more
    than log K nats cannot be seen with K candidates.

    Args:
        scores: s_ij = score(x_i, y_j) of K independent pairs, (..., K, K), the true pairs on the diagonal.

    Returns:
        (...), a float for one matrix.

    Raises:
        ValueError: a matrix that is not square, or empty; scores that are NaN or inf.
    """
    if scores.ndim < 2 or scores.shape[-1] != scores.shape[-2] or not scores.size:
        raise ValueError(
            f"infonce: got scores of shape {scores.shape}, expected (..., K, K), K pairs against each other"
        )
    _check_scores("scores", scores)
    k = scores.shape[-1]
    true = ops.sum(ops.where(array_module(scores._data).eye(k, dtype=bool), scores, 0.0), axis=-1)
    return ops.mean(true - ops.logsumexp(scores, axis=-1), axis=-1) + math.log(k)
