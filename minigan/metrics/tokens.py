"""Texts as metrics take them: sequences (N, L) of tokens, and numbers for what stands in them."""

from __future__ import annotations

from typing import Any

import numpy as np


def texts(owner: str, name: str, x: Any, *, least: int = 1) -> np.ndarray:
    """Sequences (N, L) of whole numbers >= 0, int64.

    Raises:
        ValueError: anything else, or fewer than `least` sequences.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.dtype.kind not in "iu" or len(x) < least or not x.shape[1] or x.min() < 0:
        raise ValueError(
            f"{owner}: got {name} {x.dtype} {x.shape}, expected at least {least} sequences (N, L) of whole numbers >= 0"
        )
    return x.astype(np.int64)


def numbered(*parts: np.ndarray) -> np.ndarray:
    """One number for each combination of whole numbers of equal shapes: 0, 1, ... in the order of the combinations."""
    found = np.zeros(parts[0].shape, np.int64)
    for part in parts:
        base = int(part.max(initial=0)) + 1
        found = np.unique(found * base + part, return_inverse=True)[1].reshape(part.shape)
    return found
