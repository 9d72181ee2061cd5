"""Peak signal-to-noise ratio."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.images import pairs
from minigan.metrics.inputs import blocks
from minigan.metrics.registry import register


def psnr(x: Any, y: Any, *, data_range: float) -> np.ndarray:
    """10 log10(R^2 / MSE) of each pair, in decibels, (N,) float64; inf where both are equal.

    Args:
        x, y: (N, H, W, C) images and their references.
        data_range: R, the largest minus the smallest value that a pixel may have: 2 for images in [-1, 1]. It has no default:
            a wrong one shifts every result by a constant.

    Bias: none of sampling. The mean of PSNRs is above the PSNR of the mean error (Jensen); this gives each pair's, so that the
    caller chooses. It counts every pixel alike: a blurred image beats a sharp one that is shifted by a pixel.

    Raises:
        ValueError: unequal or other shapes, NaN or Inf, a range that is not positive.
    """
    a, b = pairs("psnr", x, y, data_range)
    error = np.concatenate([np.square(p - q).mean(axis=(1, 2, 3)) for p, q in blocks(a, b)])
    with np.errstate(divide="ignore"):
        return 10 * np.log10(float(data_range) ** 2 / error)


register(psnr, name="PSNR", better="higher")
