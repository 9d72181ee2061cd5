"""The inception score's form, with any classifier: sure of each sample, and unsure of all together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan.metrics.inputs import log_table, whole
from minigan.metrics.registry import register


class Score(NamedTuple):
    """The mean over splits, and their standard deviation (0 for one split)."""

    mean: float
    std: float


def inception_score(log_p: Any, *, splits: int = 1) -> Score:
    """exp(mean_x KL(p(y|x) || p(y))), p(y) the mean of p(y|x): 1 to the number of classes.

    Args:
        log_p: (N, classes) log p(y|x), a log-softmax in float64; -inf is allowed.
        splits: parts of which each is scored by itself, in the order of the samples; published scores take 10, here it is 1.

    Bias: downwards, as p(y) of few samples is nearer to each p(y|x): by about a factor exp(-(classes - 1)/2n) at n samples a
    split. It never looks at real data: one perfect image a class has the highest score. With another classifier than Inception
    it compares with no published score.

    Raises:
        ValueError: another shape, rows that are no log-probabilities, more splits than samples.

    Source: Salimans et al. 2016 (arXiv 1606.03498), section 4; Barratt, Sharma 2018 (arXiv 1801.01973).
    """
    table = log_table("inception_score", log_p)
    count = whole("inception_score", "splits", splits, low=1, high=len(table))
    scores = [_score(part) for part in np.array_split(table, count)]
    return Score(float(np.mean(scores)), float(np.std(scores)))


def _score(log_p: np.ndarray) -> float:
    p = np.exp(log_p)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (log_p - np.log(p.mean(axis=0))), 0.0)  # 0 log 0 = 0
    return float(np.exp(terms.sum(axis=1).mean()))


register(
    inception_score,
    name="inception score",
    judged="class score",
    better="higher",
    measure=lambda c: inception_score(c.fake.log_probabilities).mean,
)
