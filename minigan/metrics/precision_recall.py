"""Improved precision and recall: is each sample among the real ones, is each real one among the samples?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import two_sets, whole
from minigan.metrics.neighbours import radii, squared_distances
from minigan.metrics.registry import register


def precision_recall(real: Any, fake: Any, *, k: int = 3) -> dict[str, float]:
    """precision: the share of samples within reach of a real example; recall: that of real examples within reach of a sample.

    Within reach of x: at most as far from it as its k-th nearest neighbour in its own set, itself excluded (<=).

    Args:
        real, fake: (N, d) and (M, d) features, N, M > k; most compare N = M.
        k: 3, as published.

    Bias: two sets of one law do not give 1 (about .48 for 10,000 of N(0, I) in 1,000 dimensions at k = 5), and what they give
    depends on n, d and k: look at what real data give. One outlier with a large reach raises precision (Naeem et al. 2020,
    section 3).

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than k + 1 rows.

    Source: Kynkaanniemi, Karras, Laine, Lehtinen, Aila 2019 (arXiv 1904.06991), eqs. 1 and 2.
    """
    k = whole("precision_recall", "k", k, low=1)
    x, y = two_sets("precision_recall", real, fake, least=k + 1)
    reach_x, reach_y = radii(x, k), radii(y, k)
    precise, recalled = np.zeros(len(y), bool), np.zeros(len(x), bool)
    for part, block in squared_distances(x, y):
        precise |= (block <= reach_x[part, None]).any(axis=0)
        recalled[part] = (block <= reach_y).any(axis=1)
    return {"precision": float(precise.mean()), "recall": float(recalled.mean())}


register(
    precision_recall,
    better={"precision": "higher", "recall": "higher"},
    measure=lambda c: precision_recall(c.real.features, c.fake.features),
)
