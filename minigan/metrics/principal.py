"""The linear autoencoder: coordinates along principal directions, and what they leave over."""

from __future__ import annotations

import numpy as np


def principal(x: np.ndarray, components: int) -> np.ndarray:
    """(N, components): the coordinates of the flattened examples along their directions of largest variance."""
    f = np.asarray(x, np.float64).reshape(len(x), -1)
    f = f - f.mean(axis=0)
    return f @ _directions(f, components)


def principal_residual(fitted: np.ndarray, x: np.ndarray, components: int) -> np.ndarray:
    """|d - V V^T d|^2 of each d = x - mean, (N,): mean and the directions V of largest variance are of other examples `fitted`.

    The error of the best linear autoencoder with so many hidden units: the least that an anomaly score has to beat.

    Raises:
        ValueError: examples of different shapes, or none to fit.
    """
    if not len(fitted) or fitted.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"principal_residual: got {fitted.shape} to fit and {x.shape}, expected examples of one shape, one or more to fit"
        )
    f, g = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (fitted, x))
    mean = f.mean(axis=0)
    v = _directions(f - mean, components)
    d = g - mean
    return np.square(d).sum(axis=1) - np.square(d @ v).sum(axis=1)


def _directions(centred: np.ndarray, components: int) -> np.ndarray:
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return vectors[:, ::-1][:, :components]
