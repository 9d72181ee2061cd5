"""Which part of the data has lost its samples? Without labels: the data are cut into cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import rows, two_sets, whole
from minigan.metrics.neighbours import squared_distances
from minigan.metrics.registry import register

CELLS, ROUNDS, STARTS = 20, 25, 4  # of Lloyd's algorithm
LOST = 0.25  # of its share: a cell with fewer samples than that has lost them


def missing_share(real: Any, fake: Any, *, centres: Any = None, cells: int = CELLS, seed: int = 0) -> float:
    """The share of real examples in cells that samples have left: sum of p_k over the cells k with q_k < p_k / 4.

    A cell is what lies nearest to one of K centres; p_k and q_k are the shares of real examples and of samples in it. It asks
    where samples are, not whether they are good.

    Bias: upwards, and next to none where there are many samples. At equal laws a cell that n samples should hit m = n p_k times
    is lost by chance with probability P(Binomial(n, p_k) < m/4), at most exp(-.4 m) (Chernoff): 2e-9 for m = 50.

    Args:
        real: (N, d). fake: (M, d).
        centres: (K, d), the modes of a mixture; by default those of Lloyd's algorithm (k-means) on every other real example, and
            p_k is counted on those between.
        cells: K, where no centres are given; at most N / 2.
        seed: of where Lloyd's algorithm begins.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than 2 rows.

    Source: the bins are those of Richardson, Weiss 2018 (arXiv 1805.12462, section 2), who count the bins whose shares differ
    by more than chance (NDB). GANs differ in most of them; here only what is lost counts.
    """
    x, y = two_sets("missing_share", real, fake)
    if (
        centres is None
    ):  # not of the examples that are counted: those lie nearer to centres of their own than others of their law
        begun = x[::2]
        centres, x = k_means(begun, min(whole("missing_share", "cells", cells, low=1), len(begun)), seed=seed), x[1::2]
    where = rows("missing_share", "centres", centres, least=1)
    if where.shape[1] != x.shape[1]:
        raise ValueError(f"missing_share: got centres of {where.shape[1]} coordinates, expected {x.shape[1]}")
    p, q = (np.bincount(cell_of(each, where), minlength=len(where)) / len(each) for each in (x, y))
    return float(p[q < LOST * p].sum())


def cell_of(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,): the number of the nearest centre."""
    return np.concatenate([block.argmin(axis=1) for _, block in squared_distances(x, centres)])


def k_means(x: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """(count, d) centres by Lloyd's algorithm: of a few beginnings the end with the smallest mean squared distance to them."""
    rng = np.random.default_rng(seed)
    ends = [_moved(x, _begin(x, count, rng)) for _ in range(STARTS)]
    return min(ends, key=lambda centres: _squared(x, centres).mean())


def _begin(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++ (Arthur, Vassilvitskii 2007): each next centre is an example, drawn with a probability that grows as its squared
    distance to the centres so far."""
    centres = x[rng.integers(len(x))][None]
    while len(centres) < count:
        far = _squared(x, centres)
        chosen = rng.choice(len(x), p=far / far.sum()) if far.sum() > 0 else rng.integers(len(x))
        centres = np.concatenate([centres, x[chosen][None]])
    return centres


def _squared(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,): the squared distance to the nearest centre."""
    return np.concatenate([block.min(axis=1) for _, block in squared_distances(x, centres)])


def _moved(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Each centre in the mean of its cell, until nothing moves. One that loses all examples stays."""
    for _ in range(ROUNDS):
        cells = cell_of(x, centres)
        counts, sums = np.bincount(cells, minlength=len(centres)), (np.arange(len(centres))[:, None] == cells) @ x
        moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


register(missing_share, better="lower")
