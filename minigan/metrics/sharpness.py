"""How sharp images are, without a network: the energy of their differences."""

from __future__ import annotations

import numpy as np

from minigan.metrics.inputs import blocks
from minigan.metrics.registry import register


def gradient_energy(images: np.ndarray) -> float:
    """mean (x[i+1, j] - x[i, j])^2 + mean (x[i, j+1] - x[i, j])^2 over images (N, H, W, C): what blur takes away.

    Only a ratio to that of other images means something. Bias: none, it is a mean over images; but noise raises it as edges do.

    Raises:
        ValueError: another rank, or sides below 2.
    """
    if images.ndim != 4 or min(images.shape[1:3]) < 2:
        raise ValueError(f"gradient_energy: got shape {images.shape}, expected (N, H, W, C) with H and W of at least 2")
    energies = [
        np.square(np.diff(part, axis=axis)).mean(axis=(1, 2, 3)) for (part,) in blocks(images) for axis in (1, 2)
    ]
    return float(np.concatenate(energies).sum() / len(images))


register(gradient_energy, better="")
