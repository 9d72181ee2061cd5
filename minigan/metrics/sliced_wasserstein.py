"""The sliced Wasserstein distance of examples: of points, and of images as points in pixel space."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import blocks, two_sets
from minigan.metrics.registry import register
from minigan.theory.transport_line import unit_directions, wasserstein_1d

DIRECTIONS = 128


def sliced_w1(real: Any, fake: Any, *, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """The mean over directions u of the unit sphere of W_1(<real, u>, <fake, u>), the distance on the line, by sorting.

    What `minigan.theory.transport_line.sliced_wasserstein` gives with order 1, a block of examples at a time. In one dimension
    it is W_1 itself.

    Args:
        real, fake: (N, d) and (M, d) points; of an image all its pixels.
        directions: how many are drawn. seed: of the choice.

    Bias: upwards, of order n^-1/2 at equal laws, whatever the dimension (Nadjahi et al. 2020, arXiv 2003.05783). In pixel space
    it is blind to all that random directions average out.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than 2 rows, no direction.

    Source: Rabin, Peyre, Delon, Bernot 2011; Bonneel, Rabin, Peyre, Pfister 2015.
    """
    x, y = two_sets("sliced_w1", real, fake)
    u = unit_directions(directions, x.shape[1], seed)
    lines = [np.concatenate([u @ part.T for (part,) in blocks(each)], axis=1) for each in (x, y)]
    return float(np.mean([wasserstein_1d(a, b) for a, b in zip(*lines, strict=True)]))


register(
    sliced_w1,
    name="sliced W1",
    better="lower",
    measure=lambda c: sliced_w1(c.real.points, c.fake.points, seed=c.seed),
    live=True,
)
