"""Which part of the data has lost its samples? Without labels: the data are cut into cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import rows, two_sets, whole
from minigan.metrics.neighbours import squared_distances
from minigan.metrics.registry import register

CELLS, ROUNDS = 20, 25  # of Lloyd's algorithm
LOST = 0.25  # of its share: a cell with fewer samples than that has lost them


def missing_share(real: Any, fake: Any, *, centres: Any = None, cells: int = CELLS, seed: int = 0) -> float:
    """The share of real examples in cells that samples have left: sum of p_k over the cells k with q_k < p_k / 4.

    A cell is what lies nearest to one of K centres; p_k and q_k are the shares of real examples and of samples in it. At
    equal laws a cell that n samples should hit m = n p_k times is lost by chance with probability P(Binomial(n, p_k) < m/4), at
    most exp(-.4 m) (Chernoff): 2e-9 for m = 50. It asks where samples are, not whether they are good.

    Args:
        real: (N, d). fake: (M, d).
        centres: (K, d), the modes of a mixture; by default those of Lloyd's algorithm (k-means) on the real ones.
        cells: K, where no centres are given; at most N / 2.
        seed: of where Lloyd's algorithm begins.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than 2 rows.

    Source: the bins are those of Richardson, Weiss 2018 (arXiv 1805.12462, section 2), who count the bins whose shares differ
    by more than chance (NDB). GANs differ in most of them; here only what is lost counts.
    """
    x, y = two_sets("missing_share", real, fake)
    if centres is None:
        centres = k_means(x, min(whole("missing_share", "cells", cells, low=1), len(x) // 2), seed=seed)
    where = rows("missing_share", "centres", centres, least=1)
    if where.shape[1] != x.shape[1]:
        raise ValueError(f"missing_share: got centres of {where.shape[1]} coordinates, expected {x.shape[1]}")
    p, q = (np.bincount(cell_of(each, where), minlength=len(where)) / len(each) for each in (x, y))
    return float(p[q < LOST * p].sum())


def cell_of(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,): the number of the nearest centre."""
    return np.concatenate([block.argmin(axis=1) for _, block in squared_distances(x, centres)])


def k_means(x: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """(count, d) centres by Lloyd's algorithm, begun as k-means++ (Arthur, Vassilvitskii 2007): each next centre is an example,
    drawn with a probability that grows as its squared distance to the centres so far. A centre that loses all stays."""
    rng = np.random.default_rng(seed)
    centres = x[rng.integers(len(x))][None]
    while len(centres) < count:
        far = np.concatenate([block.min(axis=1) for _, block in squared_distances(x, centres)])
        chosen = rng.choice(len(x), p=far / far.sum()) if far.sum() > 0 else rng.integers(len(x))
        centres = np.concatenate([centres, x[chosen][None]])
    for _ in range(ROUNDS):
        cells = cell_of(x, centres)
        counts = np.bincount(cells, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, cells, x)
        moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


register(missing_share, better="lower")
