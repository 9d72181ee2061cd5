"""Structural similarity: brightness, contrast and structure of small windows of two images."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.images import filtered, pairs
from minigan.metrics.inputs import blocks
from minigan.metrics.registry import register

K1, K2 = 0.01, 0.03
SIGMA, TAPS, UNIFORM = 1.5, 11, 7


def gaussian_taps() -> np.ndarray:
    """(11,): a Gaussian of sigma 1.5, sum 1."""
    taps = np.exp(-0.5 * np.square(np.arange(TAPS) - TAPS // 2) / SIGMA**2)
    return taps / taps.sum()


WINDOWS = {"uniform": lambda: np.full(UNIFORM, 1 / UNIFORM), "gaussian": gaussian_taps}


def maps(x: np.ndarray, y: np.ndarray, data_range: float, window: str) -> tuple[np.ndarray, np.ndarray]:
    """(luminance, contrast times structure) of every window that lies inside, each (N, H', W', C).

        l = (2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1),   cs = (2 s_xy + C2) / (s_x^2 + s_y^2 + C2),   C_i = (K_i R)^2.

    The uniform window takes sample covariances (divided by 48), the Gaussian one weighted means, as their sources do.
    """
    taps = WINDOWS[window]()
    factor = UNIFORM**2 / (UNIFORM**2 - 1) if window == "uniform" else 1.0
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_x, mean_y = filtered(x, taps), filtered(y, taps)
    spread = filtered(x * x + y * y, taps) - mean_x**2 - mean_y**2
    joint = filtered(x * y, taps) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * factor * joint + c2) / (factor * spread + c2)


def check_window(owner: str, shape: tuple[int, ...], window: str) -> None:
    """ValueError: an unknown window, or images that are smaller than it."""
    if window not in WINDOWS:
        raise ValueError(f"{owner}: window: got {window!r}, expected one of {', '.join(WINDOWS)}")
    size = UNIFORM if window == "uniform" else TAPS
    if min(shape[1:3]) < size:
        raise ValueError(f"{owner}: got images {shape}, expected a height and a width of at least {size}, the window's")


def ssim(x: Any, y: Any, *, data_range: float, window: str = "gaussian") -> np.ndarray:
    """The mean of luminance, contrast and structure over all windows and channels, of each pair: (N,) float64, at most 1.

    Args:
        x, y: (N, H, W, C).
        data_range: R, the largest minus the smallest value that a pixel may have: 2 for images in [-1, 1].
        window: "gaussian", 11 taps of sigma 1.5 and population covariances (Wang et al. 2004), or "uniform", 7 x 7 with sample
            covariances, which is scikit-image's default. Both leave windows out that reach over the border.

    Bias: none of sampling. The two windows give different numbers for one pair: say which. Values on [-1, 1] differ from those on
    [0, 1], since the luminance term is no function of differences: say that, too.

    Raises:
        ValueError: unequal or other shapes, NaN or Inf, a range that is not positive, an unknown window, images smaller than it.

    Source: Wang, Bovik, Sheikh, Simoncelli 2004 (IEEE TIP 13), eqs. 12 to 17, K1 = .01, K2 = .03.
    """
    a, b = pairs("ssim", x, y, data_range)
    check_window("ssim", a.shape, window)
    products = (np.multiply(*maps(p, q, float(data_range), window)) for p, q in blocks(a, b))
    return np.concatenate([each.mean(axis=(1, 2, 3)) for each in products])


register(ssim, name="SSIM", better="higher")
