"""The linear autoencoder: coordinates along principal directions, and what they leave over."""

from __future__ import annotations

import numpy as np

from minigan.metrics.frechet import moments
from minigan.metrics.inputs import blocks


def principal(x: np.ndarray, components: int) -> np.ndarray:
    """(N, components): the coordinates of the flattened examples along their directions of largest variance."""
    f = np.asarray(x).reshape(len(x), -1)
    mean, directions = _fit(f, components)
    return np.concatenate([(part - mean) @ directions for (part,) in blocks(f)])


def principal_residual(fitted: np.ndarray, x: np.ndarray, components: int) -> np.ndarray:
    """|d - V V^T d|^2 of each d = x - mean, (N,): mean and the directions V of largest variance are of other examples `fitted`.

    The error of the best linear autoencoder with so many hidden units: the least that an anomaly score has to beat.

    Raises:
        ValueError: examples of different shapes, or fewer than two to fit.
    """
    if len(fitted) < 2 or fitted.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"principal_residual: got {fitted.shape} to fit and {x.shape}, expected examples of one shape, two or more to fit"
        )
    mean, v = _fit(np.asarray(fitted).reshape(len(fitted), -1), components)
    parts = [part - mean for (part,) in blocks(np.asarray(x).reshape(len(x), -1))]
    return np.concatenate([np.square(d).sum(axis=1) - np.square(d @ v).sum(axis=1) for d in parts])


def _fit(f: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of rows, and their directions of largest variance as columns, in float64."""
    mean, covariance = moments(f)
    return mean, np.linalg.eigh(covariance)[1][:, ::-1][:, :components]
