"""Is the nearest neighbour of an example of its class? A code is judged by it without being trained on."""

from __future__ import annotations

import numpy as np

from minigan.metrics.inputs import rows
from minigan.metrics.neighbours import nearest
from minigan.metrics.registry import register


def nearest_neighbour_accuracy(codes: np.ndarray, labels: np.ndarray, *, queries: int) -> float:
    """The share of the last `queries` examples whose nearest neighbour (Euclidean) among all before has their label, as Donahue,
    Krahenbuhl, Darrell 2016 (arXiv 1605.09782, section 4.2) judge an encoder. Bias: it grows with
    the number of references.

    Args:
        codes: (N, ...), flattened. labels: (N,). queries: 1 to N - 1.

    Raises:
        ValueError: lengths that do not fit, no room for queries and references, NaN or Inf.
    """
    if len(codes) != len(labels) or not 0 < queries < len(codes):
        raise ValueError(
            f"nearest_neighbour_accuracy: got {len(codes)} codes, {len(labels)} labels, {queries} queries; expected as many "
            "labels as codes, and at least one query and one reference"
        )
    f = rows("nearest_neighbour_accuracy", "codes", np.asarray(codes).reshape(len(codes), -1))
    _, places = nearest(f[-queries:], f[:-queries])
    return float((labels[:-queries][places] == labels[-queries:]).mean())


register(nearest_neighbour_accuracy, better="higher")
