"""What a model's codes stand for: categories matched with classes, numbers with slant and width."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigan.metrics.inputs import blocks
from minigan.metrics.registry import register
from minigan.theory.transport import discrete_transport


def matching_accuracy(found: np.ndarray, labels: np.ndarray, *, categories: int) -> float:
    """max over maps m of categories to classes, no two to one class, of the share of examples with m(found) = label (Chen et al.
    2016, arXiv 1606.03657, section 7.2, match by hand). The best map is an optimal transport plan between both.

    With more categories than classes (or the reverse) some stay without a partner, and their examples count as wrong. Bias: up,
    since the map is chosen on the same examples: categories that say nothing give more than 1 / classes, by order N^-1/2.

    Args:
        found, labels: (N,) integers from 0 on; categories: how many values `found` can have.

    Raises:
        ValueError: different lengths, nothing, or a category out of range.
    """
    if found.shape != labels.shape or found.ndim != 1 or not len(found):
        raise ValueError(
            f"matching_accuracy: got {found.shape} categories and {labels.shape} labels, expected (N,) twice"
        )
    if found.min() < 0 or found.max() >= categories or labels.min() < 0:
        raise ValueError(f"matching_accuracy: got values outside of 0 to {categories - 1}, or labels below 0")
    side = max(categories, int(labels.max()) + 1)
    counts = np.zeros((side, side))
    np.add.at(counts, (found, labels), 1.0)
    each = np.full(side, 1 / side)
    plan = np.asarray(discrete_transport(each, each, -counts).plan)
    return float((plan * side * counts).sum() / len(found))


def slant(images: np.ndarray) -> np.ndarray:
    """(N,) slope by which each image leans to the right: -mu_11 / mu_02 with the central moments of ink (x + 1)/2, x right and y
    down. An upright stroke has 0, one along (1, -1) has 1. images (N, H, W, C) in [-1, 1]."""
    _, vertical, mixed = _moments(images)
    return -mixed / np.maximum(vertical, 1e-12)


def width(images: np.ndarray) -> np.ndarray:
    """(N,) standard deviation of the ink's horizontal place about its slanted axis, in pixels: sqrt(mu_20 - mu_11^2 / mu_02)."""
    horizontal, vertical, mixed = _moments(images)
    return np.sqrt(np.maximum(horizontal - mixed**2 / np.maximum(vertical, 1e-12), 0.0))


def _moments(images: np.ndarray) -> tuple[np.ndarray, ...]:
    """mu_20, mu_02, mu_11 for each image."""
    found = [_moments_of_few(part) for (part,) in blocks(images)]
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def _moments_of_few(images: np.ndarray) -> tuple[np.ndarray, ...]:
    ink = (images.mean(axis=3) + 1) / 2
    ink = ink / np.maximum(ink.sum(axis=(1, 2), keepdims=True), 1e-12)
    y, x = np.indices(ink.shape[1:], dtype=np.float64)
    mean_x, mean_y = ((ink * place).sum(axis=(1, 2))[:, None, None] for place in (x, y))
    dx, dy = x - mean_x, y - mean_y
    return tuple((ink * product).sum(axis=(1, 2)) for product in (dx * dx, dy * dy, dx * dy))


def explained(values: np.ndarray, numbers: np.ndarray, groups: np.ndarray) -> float:
    """R^2 of the regression of `values` on `numbers` with an intercept for each group: the share of the variance within groups
    that codes explain. values, groups (N,), numbers (N,) or (N, K); 0 where nothing varies. Bias: up, by about K/N for codes that
    explain nothing.

    Raises:
        ValueError: different lengths.
    """
    if values.shape != groups.shape or values.ndim != 1 or numbers.ndim not in (1, 2) or len(numbers) != len(values):
        raise ValueError(
            f"explained: got {values.shape}, {numbers.shape}, {groups.shape}, expected (N,), (N,) or (N, K), and (N,)"
        )
    a, b = values.astype(np.float64).copy(), numbers.reshape(len(values), -1).astype(np.float64).copy()
    for group in np.unique(groups):
        a[groups == group] -= a[groups == group].mean()
        b[groups == group] -= b[groups == group].mean(axis=0)
    total = float((a * a).sum())
    left = a - b @ np.linalg.lstsq(b, a, rcond=None)[0]
    return max(0.0, 1.0 - float((left * left).sum()) / total) if total > 0 else 0.0


class Read(NamedTuple):
    """R^2 of slant and width: by one number each, which is which taken as it fits best, and by both numbers together."""

    slant_by_one_number: float
    width_by_the_other: float
    slant_by_both: float
    width_by_both: float


def slant_and_width(images: np.ndarray, numbers: np.ndarray, groups: np.ndarray) -> Read:
    """How far two numbers of a code are slant and width, within groups. images (N, H, W, C), numbers (N, 2), groups (N,).

    A squared error, by which InfoGAN's numbers are read, knows no axes: it is content with any rotation of slant and width.
    """
    lean, wide = slant(images), width(images)
    pairs = [(explained(lean, numbers[:, i], groups), explained(wide, numbers[:, 1 - i], groups)) for i in (0, 1)]
    return Read(*max(pairs, key=sum), *(explained(v, numbers, groups) for v in (lean, wide)))


register(matching_accuracy, better="higher")
register(explained, name="variance explained by a code", better="higher")
