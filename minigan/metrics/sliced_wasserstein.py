"""The sliced Wasserstein distance of examples: of points, and of images as points in pixel space."""

from __future__ import annotations

from minigan.metrics.inputs import two_sets
from minigan.metrics.registry import register
from minigan.theory.transport_line import sliced_wasserstein

# The function stands with optimal transport on the line. With order 1 it is, for points on a line, W_1 itself, by sorting.
# Bias: upwards, of order n^-1/2 at equal laws, whatever the dimension (the mean over directions of a distance on the line,
# Nadjahi et al. 2020, arXiv 2003.05783); in pixel space it is blind to all that random directions average out.
register(
    sliced_wasserstein,
    name="sliced W1",
    better="lower",
    measure=lambda c: sliced_wasserstein(*two_sets("sliced W1", c.real.points, c.fake.points), order=1, seed=c.seed),
    live=True,
)
