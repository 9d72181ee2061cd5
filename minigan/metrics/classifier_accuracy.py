"""Classifier accuracy score: is a set of samples as good to learn from as real data are?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minigan.metrics.comparison import Comparison
from minigan.metrics.judge import RECIPES, Judge, Recipe
from minigan.metrics.registry import register


def classifier_accuracy_score(
    samples: np.ndarray,
    labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
    *,
    recipe: Recipe | None = None,
) -> float:
    """The accuracy on real examples of a classifier that was trained on labelled samples alone (a judge's network).

    Args:
        samples, labels: (N, H, W, C) float32 in [-1, 1], and the classes (N,) that they were asked to be of.
        real, real_labels: examples that the classifier was not trained on, and their classes. (The table's are of the data that
            the generator was trained on.)
        recipe: of the training.

    Bias: downwards with few samples, or a short recipe: compare with the same classifier trained on as many real examples. It
    rewards every class alike, and says little of looks: Inception score and FID order models otherwise (section 4).

    Raises:
        ValueError: unequal lengths or shapes, labels that are no whole numbers from 0 on, one class only.

    Source: Ravuri, Vinyals 2019 (arXiv 1905.10887), section 3.
    """
    owner = "classifier_accuracy_score"
    for name, x, y in (("samples", samples, labels), ("real", real, real_labels)):
        if np.ndim(x) != 4 or np.shape(y) != (len(x),) or not len(x) or np.asarray(y).dtype.kind not in "iu":
            raise ValueError(
                f"{owner}: {name}: got shapes {np.shape(x)} and {np.shape(y)}, expected images (N, H, W, C), whole numbers (N,)"
            )
        if not np.isfinite(x).all():
            raise ValueError(f"{owner}: {name}: got NaN or Inf")
    if samples.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"{owner}: got samples {samples.shape[1:]} and real images {real.shape[1:]}, expected one shape"
        )
    if min(labels.min(), real_labels.min()) < 0 or len(np.unique(labels)) < 2:
        raise ValueError(f"{owner}: labels: expected two classes or more, whole numbers from 0 on")
    return Judge.trained(samples, labels, recipe).accuracy(real, real_labels)


def _measured(c: Comparison) -> float:
    record = c.real.judge.record
    recipe = replace(RECIPES.get(record.data, Recipe()), seed=c.seed)
    # Of held_out the other real examples, which stand in the samples' place for "real", have some: tested on what they learned.
    return classifier_accuracy_score(c.fake.images, c.fake.labels, c.real.images, c.real.labels, recipe=recipe)


register(classifier_accuracy_score, name="classifier accuracy score", better="higher", measure=_measured, slow=True)
