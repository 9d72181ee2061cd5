"""What metrics of pairs of images are given, and local means of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import numbers


def pairs(owner: str, x: Any, y: Any, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of images (N, H, W, C) as they are. Raises ValueError: unequal or other shapes, NaN, a range that is not > 0."""
    a, b = numbers(owner, "x", x), numbers(owner, "y", y)
    if a.shape != b.shape or a.ndim != 4 or not a.size:
        raise ValueError(
            f"{owner}: got shapes {a.shape} and {b.shape}, expected two times (N, H, W, C): give one image as image[None], a "
            "grey one as image[None, ..., None]"
        )
    if not (np.ndim(data_range) == 0 and np.isfinite(data_range) and data_range > 0):
        raise ValueError(
            f"{owner}: data_range: got {data_range!r}, expected the largest minus the smallest value of a pixel: 2 for "
            "images in [-1, 1], 255 for bytes"
        )
    return a, b


def filtered(images: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Weighted local means, the same taps down and across, where the window lies inside: (N, H - k + 1, W - k + 1, C)."""
    for axis in (1, 2):
        places = images.shape[axis] - len(taps) + 1
        windows = (images[:, i : i + places] if axis == 1 else images[:, :, i : i + places] for i in range(len(taps)))
        images = sum((w * window for w, window in zip(taps, windows, strict=True)), start=np.zeros(()))
    return images
