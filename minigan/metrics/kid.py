"""The kernel inception distance: a maximum mean discrepancy of features, without bias."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan.data.base import stream
from minigan.metrics.inputs import two_sets, whole
from minigan.metrics.registry import register
from minigan.theory.discrepancies import mmd_squared, polynomial_kernel

SUBSETS, SUBSET_SIZE = 100, 1000


class KID(NamedTuple):
    """The mean over subsets, and their standard deviation (not that of the mean, which is smaller)."""

    mean: float
    std: float


def kernel_inception_distance(
    real: Any, fake: Any, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0
) -> KID:
    """The mean of the unbiased squared MMD with k(x, y) = (x.y/d + 1)^3 over random subsets, drawn without replacement.

    Args:
        real, fake: (N, d) and (M, d) features, N, M >= subset_size.
        subsets, subset_size: 100 of 1,000, as published. seed: of the choice.

    Bias: none, at any size of the sets; so it may be negative where both laws are equal. It sees moments up to the third.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer rows than `subset_size`.

    Source: Binkowski, Sutherland, Arbel, Gretton 2018 (arXiv 1801.01401), section 4.
    """
    owner = "kernel_inception_distance"
    size = whole(owner, "subset_size", subset_size, low=2)
    x, y = two_sets(owner, real, fake, least=size)
    rng, kernel, found = stream(seed, owner), polynomial_kernel(3), []
    for _ in range(whole(owner, "subsets", subsets, low=1)):
        parts = (each[rng.choice(len(each), size, replace=False)].astype(np.float64) for each in (x, y))
        found.append(float(mmd_squared(*parts, kernel=kernel, unbiased=True)))
    return KID(float(np.mean(found)), float(np.std(found)))


register(
    kernel_inception_distance,
    name="KID",
    judged="cKID",
    better="lower",
    measure=lambda c: (
        kernel_inception_distance(
            c.real.features, c.fake.features, subset_size=min(SUBSET_SIZE, len(c.real), len(c.fake)), seed=c.seed
        ).mean
    ),
    bias=lambda c: 0.0,
)
