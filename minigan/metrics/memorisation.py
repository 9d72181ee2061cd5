"""Does a generator copy what it was trained on? Its samples beside unseen real examples, by nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.auroc import auroc
from minigan.metrics.inputs import rows
from minigan.metrics.neighbours import nearest, nearest_other
from minigan.metrics.registry import register

MOST = 1000  # samples and held-out examples that the table's line takes: enough for two digits


def copying(fake: Any, training: Any, held_out: Any) -> float:
    """P(d(G) < d(X)) + P(d(G) = d(X))/2: how often a sample G is nearer to its nearest training example than an unseen real
    example X of the same law is to its own. .5: as far as real ones; 1: copies; below .5: farther away than real ones.

    The statistic U of Mann and Whitney for the distances, divided by the number of pairs.

    Args:
        fake: (M, d) samples. training: (N, d) what the generator was trained on.
        held_out: (K, d) real examples that are not in `training`. Those of `training` would be at distance 0.

    Bias: none in itself at equal laws. Distances in pixel space miss a copy that is shifted by a pixel, and blurred samples lie
    nearer to everything (values above .5 without a copy): look at the pairs before you call it copying.

    Raises:
        ValueError: other shapes, NaN or Inf, no rows.

    Source: Meehan, Chaudhuri, Dasgupta 2020 (arXiv 2004.05675), section 3, without cells.
    """
    x, h = rows("copying", "fake", fake, least=1), rows("copying", "held_out", held_out, least=1)
    t = rows("copying", "training", training, least=1)
    if not x.shape[1] == t.shape[1] == h.shape[1]:
        raise ValueError(f"copying: got {x.shape[1]}, {t.shape[1]} and {h.shape[1]} coordinates, expected as many")
    return _nearer(nearest(x, t)[0], nearest(h, t)[0])


def copying_left_out(fake: Any, training: Any) -> float:
    """:func:`copying` without held-out examples: X is a training example, beside all the others (of many, 1,000 evenly spread).

    Args:
        fake: (M, d) samples. training: (N, d), N >= 2, what the generator was trained on.

    Bias: X has one neighbour less to choose from than a sample, which of N is nothing where N is not small. An example that is
    there twice is at distance 0 from the others, as a copy is. Otherwise as of `copying`.

    Raises:
        ValueError: other shapes, NaN or Inf, too few rows.
    """
    x, t = rows("copying_left_out", "fake", fake, least=1), rows("copying_left_out", "training", training)
    if x.shape[1] != t.shape[1]:
        raise ValueError(f"copying_left_out: got {x.shape[1]} and {t.shape[1]} coordinates, expected as many")
    chosen = np.arange(min(len(t), MOST)) * len(t) // min(len(t), MOST)
    return _nearer(nearest(x, t)[0], nearest_other(t, chosen))


def _nearer(fake: np.ndarray, real: np.ndarray) -> float:
    """P(fake < real) + P(fake = real)/2, over all pairs of distances."""
    return auroc(-np.concatenate([fake, real]), np.arange(len(fake) + len(real)) < len(fake))


register(
    copying,
    better="",
    measure=lambda c: copying(c.fake.points[:MOST], c.training.points, c.held_out.points[:MOST]),
    bias=lambda c: 0.5,
)
register(copying_left_out, better="")
