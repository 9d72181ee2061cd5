"""Checks of labelled images that any image model may use: are all classes there, evenly, and are they legible?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.gans.checks import Check, RealData
from minigan.metrics.classes import class_histogram
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.inception_score import inception_score

SAMPLES = 1000


def class_checks(samples: np.ndarray, real: RealData, targets: Mapping[str, tuple[str, str]]) -> list[Check]:
    """What the judge of the data says of samples; none for data without a judge.

    classes: all that the data have, always. Beside it those of the following that have a target:

    class KL       sum_k q_k log(q_k / p_k), q the shares of classes among the samples, p among the real examples, in nats
    confidence     the mean of max_k p(k|x): how sure the judge is of a sample
    legible        the class score (the inception score's form) as a share of that of as many real images
    cFD / blank    the Frechet distance of the judge's features as a share of that of the examples' mean image

    Args:
        samples: (n, H, W, C) of the model. real: the data.
        targets: by name, the target and where it comes from (see :class:`minigan.gans.checks.Check`).
    """
    judge: Any = real.judge()
    if judge is None:
        return []
    found = next(iter(real.sets.values()))
    rows = np.random.default_rng(real.seed).permutation(len(found))[: len(samples)]
    examples = found.x[rows]
    mean = np.broadcast_to(examples.mean(axis=0, keepdims=True), examples.shape).astype(np.float32)
    of_samples, of_real = judge.features(samples), judge.features(examples)
    log_p, log_q = (judge.log_probabilities_of(each) for each in (of_samples, of_real))
    shares = class_histogram(log_q.argmax(axis=1), log_p.argmax(axis=1), classes=judge.classes)
    present = len(np.unique(found.y)) if found.y is not None else 0
    values = {
        "class KL": shares["class KL"],
        "confidence": np.exp(log_p.max(axis=1)).mean(),
        "legible": inception_score(log_p).mean / inception_score(log_q).mean,
        "cFD / blank": frechet_distance(of_real, of_samples) / frechet_distance(of_real, judge.features(mean)),
    }
    every = Check("classes", shares["classes"], f"== {present}", "all that the data have")
    return [every, *(Check(name, values[name], *about) for name, about in targets.items())]
