"""Toy laws whose density is known exactly, so that a generator can be judged by a number.

Each set is a pure function of (n, seed); the same seed with a larger n extends the smaller set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, stream

# Curves are integrated on panels one sigma long, with 8 Gauss-Legendre nodes each: see CurveDensity.
_NODES_PER_PANEL = 8
_SMALLEST_SIGMA = 1e-3
_CHUNK_ELEMENTS = 1 << 21


def _log_sum_exp(a: np.ndarray) -> np.ndarray:
    """log sum_j exp(a_ij) over the last axis, shifted by the maximum so that nothing over- or underflows."""
    top = a.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(a - top).sum(axis=-1))


def _squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """|x_i - c_j|^2, (M, K) float64, summed one coordinate at a time: no cancellation, no (M, K, d) array."""
    total = np.zeros((len(x), len(centres)))
    for axis in range(x.shape[1]):
        total += np.square(np.subtract.outer(x[:, axis], centres[:, axis]))
    return total


def _points(x: np.ndarray, dimension: int) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != dimension:
        raise DataError(f"expected points of shape (M, {dimension}), received {x.shape}")
    return x


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """log p of an equal-weight isotropic Gaussian mixture.

    log p(x) = log (1/K) sum_k N(x; mu_k, sigma^2 I), x (M, d) -> (M,) float64, by a stable log-sum-exp.
    """

    modes: np.ndarray
    sigma: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        count, dimension = self.modes.shape
        exponents = _squared_distances(_points(x, dimension), self.modes) / (-2 * self.sigma**2)
        return _log_sum_exp(exponents) - math.log(count) - dimension / 2 * math.log(2 * math.pi * self.sigma**2)

    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (K, d) and weights (K,): p is the sum of weight times N(centre, sigma^2 I)."""
        return self.modes, np.full(len(self.modes), 1 / len(self.modes))


@dataclass(frozen=True, eq=False)
class CurveDensity:
    """log p of a point on one of B plane curves, blurred by Gaussian noise.

    p(x) = (1/B) sum_b integral_0^1 N(x; c_b(u), sigma^2 I) du, x (M, 2) -> (M,) float64.

    The integral has no closed form in general. It is taken by Gauss-Legendre quadrature, 8 nodes on each
    panel no longer than sigma: relative error below 1e-9 within 3 sigma of the curve, 1e-5 within 10 sigma.
    """

    curves: tuple[Callable[[np.ndarray], np.ndarray], ...]
    sigma: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = _points(x, 2)
        nodes, log_weights = self._quadrature()
        scale = -1 / (2 * self.sigma**2)
        out = np.empty(len(x))
        step = max(1, _CHUNK_ELEMENTS // len(nodes))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            out[part] = _log_sum_exp(_squared_distances(x[part], nodes) * scale + log_weights)
        return out - math.log(2 * math.pi * self.sigma**2)

    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (Q, 2) and weights (Q,): p is the sum of weight times N(centre, sigma^2 I), as exactly as `__call__` is."""
        nodes, log_weights = self._quadrature()
        return nodes, np.exp(log_weights)

    def _quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes on the curves (Q, 2) and the logarithms of their weights (Q,), which sum to 1."""
        abscissa, weight = np.polynomial.legendre.leggauss(_NODES_PER_PANEL)
        nodes, log_weights = [], []
        for curve in self.curves:
            trace = curve(np.linspace(0, 1, 4097))
            top_speed = 4096 * float(np.linalg.norm(np.diff(trace, axis=0), axis=1).max())
            panels = max(1, math.ceil(top_speed / self.sigma))
            u = (np.arange(panels)[:, None] + (abscissa + 1) / 2) / panels
            nodes.append(curve(u.ravel()))
            log_weights.append(np.tile(np.log(weight / (2 * panels * len(self.curves))), panels))
        return np.concatenate(nodes), np.concatenate(log_weights)


def _check_sigma(name: str, sigma: float, smallest: float = 0.0) -> None:
    if not (math.isfinite(sigma) and sigma > 0 and sigma >= smallest):
        bound = f"at least {smallest:g}" if smallest else "greater than 0"
        raise DataError(f"{name}: sigma={sigma!r}; expected a finite number {bound}")


def _check_finite(name: str, **values: float) -> None:
    for key, value in values.items():
        if not math.isfinite(value):
            raise DataError(f"{name}: {key}={value!r}; expected a finite number")


def _mixture(name: str, n: int, seed: int, modes: np.ndarray, sigma: float) -> Dataset:
    n = checked_count(n, name)
    _check_sigma(name, sigma)
    y = (stream(seed, f"{name}/mode").random(n) * len(modes)).astype(np.int64)
    noise = stream(seed, f"{name}/noise").standard_normal((n, modes.shape[1]))
    x = (modes[y] + sigma * noise).astype(np.float32)
    density = MixtureDensity(modes, sigma)
    return Dataset(name, x, y, "points", {}, modes, sigma, density, f"generated, seed {seed}")


def mixture(modes: np.ndarray, sigma: float, n: int = 10_000, seed: int = 0) -> Dataset:
    """Equal Gaussians N(mu_k, sigma^2 I) around centres of one's own. x (n, d), y the mode.

    Args:
        modes: mu, (K, d) finite numbers, K >= 1.

    Raises DataError for other centres, n < 2 or sigma <= 0.
    """
    modes = np.asarray(modes, np.float64)
    if modes.ndim != 2 or not modes.size or not np.isfinite(modes).all():
        raise DataError(f"mixture: got centres of shape {modes.shape}, expected (K, d) finite numbers, K >= 1")
    return _mixture("mixture", n, seed, modes, sigma)


def ring8(n: int = 10_000, seed: int = 0, *, radius: float = 2.0, sigma: float = 0.02) -> Dataset:
    """Eight equal Gaussians on a circle: mu_k = radius (cos 2 pi k/8, sin 2 pi k/8). x (n, 2), y the mode.

    Metz, Poole, Pfau & Sohl-Dickstein 2016 (arXiv:1611.02163), radius 2 sigma .02. PacGAN (arXiv:1712.04086)
    uses radius 1 sigma .01, the same law up to scale. Raises DataError for n < 2 or sigma <= 0.
    """
    _check_finite("ring8", radius=radius)
    angle = np.arange(8) * (2 * math.pi / 8)
    return _mixture("ring8", n, seed, radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), sigma)


def grid25(n: int = 10_000, seed: int = 0, *, spacing: float = 2.0, sigma: float = 0.05) -> Dataset:
    """Twenty-five equal Gaussians at {-2, -1, 0, 1, 2}^2 * spacing. x (n, 2), y the mode (row-major).

    Dumoulin et al. 2016 (ALI, arXiv:1606.00704); PacGAN (arXiv:1712.04086): spacing 2, sigma .05.
    Raises DataError for n < 2 or sigma <= 0.
    """
    _check_finite("grid25", spacing=spacing)
    ticks = spacing * np.arange(-2.0, 3.0)
    return _mixture("grid25", n, seed, np.array([(a, b) for a in ticks for b in ticks]), sigma)


def gauss1d(n: int = 10_000, seed: int = 0, *, modes: int = 2, spacing: float = 4.0, sigma: float = 0.5) -> Dataset:
    """An equal mixture of `modes` (1, 2 or 3) Gaussians on the line, `spacing` apart, centred on 0. x (n, 1).

    Raises DataError for another number of modes, n < 2 or sigma <= 0.
    """
    if modes not in (1, 2, 3):
        raise DataError(f"gauss1d: modes={modes!r}; expected 1, 2 or 3")
    _check_finite("gauss1d", spacing=spacing)
    centres = spacing * (np.arange(modes) - (modes - 1) / 2)
    return _mixture("gauss1d", n, seed, centres[:, None], sigma)


def gauss2d(n: int = 10_000, seed: int = 0, *, sigma: float = 0.8) -> Dataset:
    """One Gaussian around (1, -1/2): what has a closed form beside N(0, I). x (n, 2), y 0.

    Raises DataError for n < 2 or sigma <= 0.
    """
    return _mixture("gauss2d", n, seed, np.array([[1.0, -0.5]]), sigma)


def _segment(u: np.ndarray) -> np.ndarray:
    return np.stack([4 * u - 2, 2 * u - 1], axis=-1)


def _spiral(u: np.ndarray) -> np.ndarray:
    t = 1.5 * math.pi * (1 + 2 * u)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=-1) / 7.5


def _upper_moon(u: np.ndarray) -> np.ndarray:
    t = math.pi * u
    return np.stack([np.cos(t) - 0.5, np.sin(t) - 0.25], axis=-1)


def _lower_moon(u: np.ndarray) -> np.ndarray:
    t = math.pi * u
    return np.stack([0.5 - np.cos(t), 0.25 - np.sin(t)], axis=-1)


def _on_curves(
    name: str, n: int, seed: int, curves: tuple[Callable[[np.ndarray], np.ndarray], ...], sigma: float
) -> Dataset:
    n = checked_count(n, name)
    _check_sigma(name, sigma, _SMALLEST_SIGMA)
    u = stream(seed, f"{name}/position").random(n)
    branch = (stream(seed, f"{name}/branch").random(n) * len(curves)).astype(np.int64)
    centre = np.stack([curve(u) for curve in curves])[branch, np.arange(n)]
    x = (centre + sigma * stream(seed, f"{name}/noise").standard_normal((n, 2))).astype(np.float32)
    y = branch if len(curves) > 1 else None
    density = CurveDensity(curves, sigma)
    return Dataset(name, x, y, "points", {"position": u}, None, sigma, density, f"generated, seed {seed}")


def swiss_roll(n: int = 10_000, seed: int = 0, *, sigma: float = 0.03) -> Dataset:
    """The plane swiss roll: (t cos t, t sin t) / 7.5 + sigma eps, t = 1.5 pi (1 + 2u), u uniform on [0, 1].

    x (n, 2); factors["position"] = u. The law of Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028), figure 2.
    Density: CurveDensity. Raises DataError for n < 2 or sigma < 0.001.
    """
    return _on_curves("swiss_roll", n, seed, (_spiral,), sigma)


def moons(n: int = 10_000, seed: int = 0, *, sigma: float = 0.08) -> Dataset:
    """Two interlocking half circles, centred on 0: c_0 = (cos t - 1/2, sin t - 1/4), c_1 = -c_0, t = pi u.

    x (n, 2); y the half circle; factors["position"] = u, uniform on [0, 1]. Density: CurveDensity.
    Raises DataError for n < 2 or sigma < 0.001.
    """
    return _on_curves("moons", n, seed, (_upper_moon, _lower_moon), sigma)


def line(n: int = 10_000, seed: int = 0, *, sigma: float = 0.05) -> Dataset:
    """A segment from (-2, -1) to (2, 1), u uniform along it, plus isotropic noise sigma eps. x (n, 2).

    With a along the segment from its middle, b across and L the half length sqrt(5), the density is
    p = N(b; 0, sigma^2) [Phi((a + L)/sigma) - Phi((a - L)/sigma)] / (2L); computed here by CurveDensity.
    A law on a thin set, the case of Arjovsky & Bottou 2017 (arXiv:1701.04862). Raises as swiss_roll.
    """
    return _on_curves("line", n, seed, (_segment,), sigma)


def mode_statistics(samples: np.ndarray, modes: np.ndarray, sigma: float) -> dict[str, float]:
    """How well samples (M, d) cover the mixture with centres modes (K, d) and standard deviation sigma.

    good: the fraction of samples within 3 sigma of their nearest mode.
    modes: how many modes have at least one good sample.
    reverse_kl: sum_k q_k log(K q_k) in nats, q_k the share of samples whose nearest mode is k: 0 when even,
    log K when all sit at one mode.
    For samples of the mixture itself, good = 1 - exp(-9/2) = .989 in the plane and .997 on the line. Samples
    that are not finite count as not good and join no q_k; with none left, reverse_kl is log K.

    Lin, Khetan, Fanti & Oh 2017 (PacGAN, arXiv:1712.04086). Raises DataError for wrong shapes, no samples, or
    sigma <= 0.
    """
    modes = np.asarray(modes, dtype=np.float64)
    if modes.ndim != 2 or len(modes) == 0:
        raise DataError(f"mode_statistics: modes have shape {modes.shape}, expected (K, d) with K >= 1")
    _check_sigma("mode_statistics", sigma)
    samples = _points(samples, modes.shape[1])
    if len(samples) == 0:
        raise DataError("mode_statistics: no samples; expected at least one")
    finite = samples[np.isfinite(samples).all(axis=1)]
    distances = _squared_distances(finite, modes)
    nearest = distances.argmin(axis=1)
    good = distances[np.arange(len(finite)), nearest] <= (3 * sigma) ** 2
    share = np.bincount(nearest, minlength=len(modes)) / max(1, len(finite))
    held = share[share > 0]
    reverse_kl = float(np.sum(held * np.log(held * len(modes)))) if len(held) else math.log(len(modes))
    covered = float(np.unique(nearest[good]).size)
    return {"modes": covered, "good": float(good.sum() / len(samples)), "reverse_kl": reverse_kl}
