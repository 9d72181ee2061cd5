"""The area under the receiver operating characteristic, by ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import finite
from minigan.metrics.registry import register


def auroc(scores: Any, labels: Any) -> float:
    """P(score of a positive > score of a negative) + P(equal)/2, over all pairs: .5 for scores that know nothing.

    From the ranks R of the positives, ties sharing their mean rank: (sum R - n(n + 1)/2) / (n m), n positives and m negatives.

    Args:
        scores: (N,) larger for what is more likely positive: an anomaly score, a discriminator's logit.
        labels: (N,) booleans, or 0 and 1.

    Bias: none; its standard deviation is at most (4 min(n, m))^-1/2. It looks at the order only, not at any threshold.

    Raises:
        ValueError: other shapes, NaN or Inf, labels of one kind only.

    Source: Hanley, McNeil 1982; Mann, Whitney 1947.
    """
    values, kinds = finite("auroc", "scores", scores), np.asarray(labels)
    if values.ndim != 1 or kinds.shape != values.shape:
        raise ValueError(f"auroc: got scores {values.shape} and labels {kinds.shape}, expected (N,) and (N,)")
    if not np.isin(kinds, (0, 1)).all():
        raise ValueError("auroc: labels: got other values than 0 and 1, expected booleans, or 0 and 1")
    positive = kinds.astype(bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        raise ValueError(f"auroc: got {n} positives and {m} negatives, expected at least one of each")
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


register(auroc, name="AUROC", better="higher")
