"""A number at every point of the plane, as an image."""

from __future__ import annotations

import numpy as np


def plane(x: np.ndarray, cells: int) -> np.ndarray:
    """The points (cells^2, 2) of a square around the origin that holds the points x (n, 2), row by row from the top."""
    reach = 1.25 * float(np.abs(x).max())
    axis = np.linspace(-reach, reach, cells, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis[::-1]), axis=-1).reshape(-1, 2)


def coloured(values: np.ndarray, limit: float) -> np.ndarray:
    """Numbers (..., cells^2) as images (..., cells, cells, 3) in [-1, 1]: white is 0, green above, violet below, full colour from
    +-limit on."""
    cells = round(values.shape[-1] ** 0.5)
    share = np.clip(values.reshape(*values.shape[:-1], cells, cells, 1) / limit, -1, 1)
    taken = np.where(share > 0, [2.0, 0.9, 1.6], [0.9, 2.0, 0.8])  # from white's 1, 1, 1
    return (1 - taken * np.abs(share)).astype(np.float32)
