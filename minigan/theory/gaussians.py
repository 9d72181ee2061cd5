"""Closed forms for Gaussians: entropy and divergences of N(m1, S1) and N(m2, S2).

Means have shape (..., d), covariances (..., d, d), and leading axes are a batch that broadcasts. A covariance that is a
single number is that variance in every direction; a mean that is a single number is one in one dimension. So `kl(0.0,
1.0, 3.0, 4.0)` compares N(0, 1) with N(3, 4), standard deviation 2. Everything is in nats and differentiable in means
and covariances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module
from minigan.theory.arrays import on_arrays
from minigan.theory.linalg import inverse, log_determinant, positive_definite, trace

LOG_2PI = math.log(2.0 * math.pi)
PAIR = ("mean1", "cov1", "mean2", "cov2")


def _covariance(name: str, cov: Tensor, d: int) -> Tensor:
    """`cov` as matrices (..., d, d), checked to be symmetric and positive definite."""
    xp = array_module(cov._data)
    if cov.ndim == 0:
        cov = cov * xp.eye(d, dtype=cov.dtype)
    if cov.ndim < 2 or cov.shape[-2:] != (d, d):
        raise ValueError(f"{name}: got shape {cov.shape}, expected (..., {d}, {d}) or a single variance")
    gap = abs(cov.data - cov.data.swapaxes(-1, -2)).max(initial=0.0)
    if not gap <= 1e-6 * abs(cov.data).max(initial=0.0):
        raise ValueError(f"{name}: got a matrix that is {float(gap):.3g} off its transpose, expected a symmetric one")
    if not bool(positive_definite(cov).data.all()):
        raise ValueError(f"{name}: got a matrix that is not positive definite; a density needs one (add eps I)")
    return cov


def _mean(name: str, mean: Tensor) -> Tensor:
    if mean.ndim and not mean.shape[-1]:
        raise ValueError(f"{name}: got shape {mean.shape}, expected (..., d) with d >= 1")
    return mean if mean.ndim else ops.reshape(mean, (1,))


def _moments(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(m1 - m2, S1, S2), checked."""
    mean1, mean2 = _mean("mean1", mean1), _mean("mean2", mean2)
    if mean1.shape[-1] != mean2.shape[-1]:
        raise ValueError(f"gaussians: got means of shapes {mean1.shape} and {mean2.shape}, expected one dimension d")
    d = mean1.shape[-1]
    return mean1 - mean2, _covariance("cov1", cov1, d), _covariance("cov2", cov2, d)


def _quadratic(v: Tensor, matrix: Tensor) -> Tensor:
    """v^T A v, (...)."""
    row = ops.expand_dims(v, -2)
    product = row @ matrix @ ops.swapaxes(row, -1, -2)
    return ops.squeeze(ops.squeeze(product, -1), -1)


@on_arrays("x", "mean", "cov")
def log_density(x: Any, mean: Any, cov: Any) -> Any:
    """log N(x; m, S) = -(x-m)^T S^-1 (x-m)/2 - log det(2 pi S)/2.

    Args:
        x: points (..., d); of any shape, elementwise, where the mean is a single number.
        mean: (..., d) or a single number.
        cov: (..., d, d) or a single variance.

    Returns:
        (...), one value a point.

    Raises:
        ValueError: shapes that do not fit, or a covariance that is not symmetric and positive definite.
    """
    if mean.ndim == 0:
        x = ops.expand_dims(x, -1)
    mean = _mean("mean", mean)
    if x.ndim == 0 or x.shape[-1] != mean.shape[-1]:
        raise ValueError(f"log_density: got points of shape {x.shape}, expected (..., {mean.shape[-1]})")
    cov = _covariance("cov", cov, mean.shape[-1])
    return -0.5 * (_quadratic(x - mean, inverse(cov)) + log_determinant(cov) + LOG_2PI * mean.shape[-1])


@on_arrays("cov")
def entropy(cov: Any) -> Any:
    """H(N(m, S)) = log det(2 pi e S)/2, whatever the mean; negative for small S.

    Args:
        cov: (..., d, d), or a single variance for one dimension.
    """
    d = cov.shape[-1] if cov.ndim else 1
    return 0.5 * (log_determinant(_covariance("cov", cov, d)) + d * (1.0 + LOG_2PI))


@on_arrays(*PAIR)
def kl(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """KL(N1 || N2) = (tr(S2^-1 S1) - d + (m1-m2)^T S2^-1 (m1-m2) + log det S2 - log det S1)/2.

    In one dimension: log(s2/s1) + (s1^2 + (m1-m2)^2)/(2 s2^2) - 1/2.

    Args:
        mean1, mean2: (..., d) or single numbers.
        cov1, cov2: (..., d, d) or single variances.

    Returns:
        (...), a float for one pair.

    Raises:
        ValueError: shapes that do not fit, or a covariance that is not symmetric and positive definite.
    """
    gap, cov1, cov2 = _moments(mean1, cov1, mean2, cov2)
    precision = inverse(cov2)
    b = precision @ (cov1 - cov2)
    apart = trace(b) - (log_determinant(cov1) - log_determinant(cov2))
    # tr B - log det(1 + B): near B = 0 its first terms cancel
    spread = ops.where(_is_small(b, 1.0), -_log_det_series(b, 2), apart)
    return 0.5 * (spread + _quadratic(gap, precision))


@on_arrays(*PAIR)
def reverse_kl(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """KL(N2 || N1): :func:`kl` with its arguments swapped."""
    _moments(mean1, cov1, mean2, cov2)  # so that errors name them as they were given
    return kl(mean2, cov2, mean1, cov1)


@on_arrays(*PAIR)
def cross_entropy(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """-int p log q = H(N1) + KL(N1 || N2) = (tr(S2^-1 S1) + (m1-m2)^T S2^-1 (m1-m2) + log det(2 pi S2))/2.

    Arguments as :func:`kl`.
    """
    gap, cov1, cov2 = _moments(mean1, cov1, mean2, cov2)
    precision = inverse(cov2)
    constant = float(gap.shape[-1]) * LOG_2PI
    return 0.5 * (trace(precision @ cov1) + _quadratic(gap, precision) + log_determinant(cov2) + constant)


@on_arrays(*PAIR)
def jeffreys(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """KL(N1 || N2) + KL(N2 || N1). Arguments as :func:`kl`."""
    return kl(mean1, cov1, mean2, cov2) + kl(mean2, cov2, mean1, cov1)


@on_arrays(*PAIR)
def hellinger_squared(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """H^2 = 1 - int sqrt(p q), in [0, 1], where 1 is only what it rounds to. With S = (S1 + S2)/2 the integral is

        (det S1 det S2)^(1/4) det S^(-1/2) exp(-(m1-m2)^T S^-1 (m1-m2)/8).

    Arguments as :func:`kl`.
    """
    gap, cov1, cov2 = _moments(mean1, cov1, mean2, cov2)
    middle = 0.5 * (cov1 + cov2)
    precision = inverse(middle)
    half = 0.5 * (
        precision @ (cov1 - cov2)
    )  # S1 = S (1 + C), S2 = S (1 - C), so det S1 det S2 / det S^2 = det(1 - C^2)
    square = -(half @ half)
    apart = log_determinant(cov1) + log_determinant(cov2) - 2.0 * log_determinant(middle)
    spread = 0.25 * ops.where(_is_small(square, 1.0), _log_det_series(square, 1), apart)
    return -ops.expm1(spread - _quadratic(gap, precision) / 8.0)


@on_arrays(*PAIR)
def renyi(mean1: Any, cov1: Any, mean2: Any, cov2: Any, *, alpha: float) -> Any:
    """R_a(N1 || N2) = log(int p^a q^(1-a)) / (a - 1), a >= 0; KL(N1 || N2) at a = 1 (Gil, Alajaji, Linder 2013).

    With S = (1-a) S1 + a S2 and E = S2^-1 S1 - 1 it is

        a/2 (m1-m2)^T S^-1 (m1-m2) - (log det(1 + E) - log det(1 + (1-a) E)/(1-a))/2,

    and inf where S is not positive definite: then a > 1 and p^a outweighs q^(a-1) in the tails. Arguments as
    :func:`kl`.

    Raises:
        ValueError: as :func:`kl`; or alpha is negative or not finite.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"renyi: got alpha {alpha!r}, expected a finite number >= 0")
    gap, cov1, cov2 = _moments(mean1, cov1, mean2, cov2)
    if alpha >= 0.5:
        return _renyi(gap, cov1, cov2, alpha, 1.0 - alpha)
    return alpha / (1.0 - alpha) * _renyi(gap, cov2, cov1, 1.0 - alpha, alpha)  # both sides are log int p^a q^(1-a)


def _renyi(gap: Tensor, cov1: Tensor, cov2: Tensor, a: float, b: float) -> Tensor:
    """R_a for a >= 1/2; both a and b = 1 - a are arguments, as 1 - a has lost the digits of a small b."""
    mixed = b * cov1 + a * cov2
    finite = positive_definite(mixed)
    mixed = ops.where(Tensor(finite.data[..., None, None]), mixed, cov1)
    precision = inverse(cov2)
    e = precision @ (cov1 - cov2)
    apart = log_determinant(cov1) - log_determinant(cov2) - _log_det_slope(e, precision @ mixed, b)
    spread = ops.where(_is_small(e, max(1.0, abs(b))), _log_det_gap_series(e, b), apart)
    return ops.where(finite, 0.5 * (a * _quadratic(gap, inverse(mixed)) - spread), math.inf)


SMALL = 0.1  # norm of B below which log det(1 + B) is summed as a series
TERMS = 16  # of the series; the next is below 1e-17


def _is_small(b: Tensor, step: float) -> Tensor:
    return Tensor(abs(step) * abs(b.data).sum(axis=(-1, -2)) < SMALL)


def _series(b: Tensor, coefficients: Sequence[float]) -> Tensor:
    """sum of c_k tr B^k, k = 1, 2, ..."""
    powers, series = b, coefficients[0] * trace(b)
    for coefficient in coefficients[1:]:
        powers = powers @ b
        series = series + coefficient * trace(powers)
    return series


def _log_det_series(b: Tensor, first: int, step: float = 1.0) -> Tensor:
    """tr B - h tr B^2/2 + h^2 tr B^3/3 - ..., from the given term on: log det(1 + h B)/h, for small h B."""
    return _series(b, [(-step) ** (k - 1) / k if k >= first else 0.0 for k in range(1, TERMS + 1)])


def _log_det_gap_series(e: Tensor, b: float) -> Tensor:
    """log det(1 + E) - log det(1 + b E)/b = -(1 - b) tr E^2/2 + (1 - b^2) tr E^3/3 - ...: the first terms cancel."""
    return _series(e, [-((-1.0) ** k) * (1.0 - b ** (k - 1)) / k for k in range(1, TERMS + 1)])


def _log_det_slope(b: Tensor, one_plus: Tensor, step: float) -> Tensor:
    """log det(1 + h B)/h with one_plus = 1 + h B, which has no 0/0 in the series."""
    return ops.where(_is_small(b, step), _log_det_series(b, 1, step), log_determinant(one_plus) / (step or 1.0))


@on_arrays(*PAIR)
def alpha_divergence(mean1: Any, cov1: Any, mean2: Any, cov2: Any, *, alpha: float) -> Any:
    """D_a(N1 || N2) = (int p^a q^(1-a) - 1) / (a (a-1)) = (exp((a-1) R_a) - 1) / (a (a-1)), R_a as :func:`renyi`.

    Any real a; KL(N1 || N2) at a = 1, KL(N2 || N1) at a = 0. D_a(N1 || N2) = D_(1-a)(N2 || N1). Arguments as :func:`kl`.

    Raises:
        ValueError: as :func:`kl`; or alpha is not finite.
    """
    if not math.isfinite(alpha):
        raise ValueError(f"alpha_divergence: got alpha {alpha!r}, expected a finite number")
    if alpha < 0.5:
        return alpha_divergence(mean2, cov2, mean1, cov1, alpha=1.0 - alpha)
    if alpha == 1:
        return kl(mean1, cov1, mean2, cov2)
    exponent = (alpha - 1.0) * renyi(mean1, cov1, mean2, cov2, alpha=alpha)
    return ops.expm1(exponent) / (alpha * (alpha - 1.0))


@on_arrays(*PAIR)
def neyman_chi_squared(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """chi^2(N2 || N1): :func:`chi_squared` with its arguments swapped; inf unless 2 S1 - S2 is positive definite."""
    _moments(mean1, cov1, mean2, cov2)
    return chi_squared(mean2, cov2, mean1, cov1)


@on_arrays(*PAIR)
def chi_squared(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """Pearson's chi^2(N1 || N2) = int p^2/q - 1 = exp(R_2) - 1; inf unless 2 S2 - S1 is positive definite.

    For equal covariances: exp((m1-m2)^T S^-1 (m1-m2)) - 1. Arguments as :func:`kl`.
    """
    return ops.expm1(renyi(mean1, cov1, mean2, cov2, alpha=2.0))
