"""Structural similarity over several scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.images import pairs
from minigan.metrics.inputs import blocks, whole
from minigan.metrics.registry import register
from minigan.metrics.ssim import TAPS, maps

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def most_scales(height: int, width: int) -> int:
    """How many of the five scales have room for the window of 11 pixels."""
    return sum(min(height, width) >> scale >= TAPS for scale in range(len(WEIGHTS)))


def ms_ssim(x: Any, y: Any, *, data_range: float, scales: int = len(WEIGHTS)) -> np.ndarray:
    """prod_(j<M) cs_j^(w_j) * (l_M cs_M)^(w_M) of each pair, (N,) float64: contrast and structure of every scale, luminance of
    the coarsest, each the mean over the Gaussian windows of :func:`minigan.metrics.ssim.ssim`.

    From scale to scale images are averaged over 2 x 2 pixels; an odd last row or column is left out. A channel's negative mean of
    cs counts as 0, since its power would be complex; channels are averaged in the end.

    Args:
        x, y: (N, H, W, C); five scales need 176 pixels, two 22.
        data_range: 2 for images in [-1, 1].
        scales: M, with the first M weights .0448, .2856, .3001, .2363, .1333, divided by their sum. Fewer than five is another
            number: say so.

    Bias: none of sampling. As a measure of diversity (Odena et al. 2017: of pairs of samples of one class) it sees a class
    collapse only when it is extreme.

    Raises:
        ValueError: as :func:`minigan.metrics.ssim.ssim`; more scales than there is room for.

    Source: Wang, Simoncelli, Bovik 2003 (Asilomar), eq. 7 and table 1.
    """
    a, b = pairs("ms_ssim", x, y, data_range)
    count, most = whole("ms_ssim", "scales", scales, low=1, high=len(WEIGHTS)), most_scales(*a.shape[1:3])
    if count > most:
        raise ValueError(
            f"ms_ssim: got images {a.shape} and scales={count}, expected at least {TAPS << count - 1} pixels a side, or "
            f"{f'scales={most}' if most else 'larger images'}"
        )
    return np.concatenate([_of_scales(p, q, float(data_range), count) for p, q in blocks(a, b)])


def _of_scales(a: np.ndarray, b: np.ndarray, data_range: float, count: int) -> np.ndarray:
    weights, value = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count]), np.ones((len(a), a.shape[-1]))
    for scale, weight in enumerate(weights):
        luminance, structure = maps(a, b, data_range, "gaussian")
        part = luminance * structure if scale == count - 1 else structure
        value *= part.mean(axis=(1, 2)).clip(0) ** weight
        a, b = _halved(a), _halved(b)
    return value.mean(axis=1)


def _halved(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    rows = images[:, 0:height:2] + images[:, 1:height:2]
    return (rows[:, :, 0:width:2] + rows[:, :, 1:width:2]) / 4


register(ms_ssim, name="MS-SSIM", better="higher")
