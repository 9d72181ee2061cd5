"""Does a class have one picture or many?"""

from __future__ import annotations

import numpy as np

from minigan.metrics.neighbours import squared_distances
from minigan.metrics.registry import register


def class_spread(features: np.ndarray, labels: np.ndarray) -> float:
    """The mean distance |f_i - f_j| of two different examples of one class, averaged over the classes.

    Args:
        features: (N, d). labels: (N,) of which class each is, or was asked to be of.

    Bias: none of sampling within a class. Examples that are of another class than they were asked to be raise it: read it
    beside the label accuracy. Only its ratio to that of real examples means something.

    Raises:
        ValueError: unequal lengths, or a class with a single example.
    """
    if len(features) != len(labels) or min(np.unique(labels, return_counts=True)[1], default=0) < 2:
        raise ValueError(
            f"class_spread: got {len(features)} features and {len(labels)} labels, expected as many, and two of each class"
        )
    found = []
    for k in np.unique(labels):
        f = np.asarray(features[labels == k], np.float64)
        total = sum(float(np.sqrt(block).sum()) for _, block in squared_distances(f, f))
        found.append(total / (len(f) * (len(f) - 1)))
    return float(np.mean(found))


register(class_spread, better="")
