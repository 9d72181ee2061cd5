"""Density and coverage: precision and recall that one outlier cannot spoil."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import two_sets, whole
from minigan.metrics.neighbours import radii, squared_distances
from minigan.metrics.registry import register


def density_coverage(real: Any, fake: Any, *, k: int = 5) -> dict[str, float]:
    """density: 1/(kM) sum_j sum_i [|y_j - x_i| < r_i];   coverage: the share of real x_i with a sample y_j nearer than r_i,

    r_i the distance of x_i to its k-th nearest other real example. The comparison is strict, as in the authors' own code (prdc).

    Args:
        real, fake: (N, d) and (M, d) features, N, M > k.
        k: 5, as published.

    Bias: for equal laws and N = M density is 1 on average, and may exceed it; coverage is :func:`expected_coverage`, about
    1 - 2^-k, .969 at k = 5 (the authors' eq. 7, which no law and no dimension changes). Coverage grows with M.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than k + 1 rows.

    Source: Naeem, Oh, Uh, Choi, Yoo 2020 (arXiv 2002.09797), eqs. 3 and 4.
    """
    k = whole("density_coverage", "k", k, low=1)
    x, y = two_sets("density_coverage", real, fake, least=k + 1)
    reach, inside = radii(x, k), 0
    covered = np.zeros(len(x), bool)
    for part, block in squared_distances(x, y):
        near = block < reach[part, None]
        inside += int(near.sum())
        covered[part] = near.any(axis=1)
    return {"density": inside / (k * len(y)), "coverage": float(covered.mean())}


def expected_coverage(n: int, m: int, k: int = 5) -> float:
    """Of n real examples by m samples of the same law: 1 - prod_(i<k) (n - 1 - i)/(n + m - 1 - i).

    All m + n - 1 other points are equally likely to be the nearest; x is not covered when its k nearest are all real.
    """
    places = np.arange(k)
    return float(1 - np.prod((n - 1 - places) / (n + m - 1 - places)))


register(
    density_coverage,
    better={"density": "higher", "coverage": "higher"},
    measure=lambda c: density_coverage(c.real.features, c.fake.features),
    bias=lambda c: {"density": 1.0, "coverage": expected_coverage(len(c.real), len(c.fake))},
)
