"""Which classes a generator makes, and how often."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import whole
from minigan.metrics.registry import register
from minigan.theory.divergences import kl

PRESENT = 0.005  # a class is there from this share of the samples on


def class_histogram(real: Any, fake: Any, *, classes: int) -> dict[str, float]:
    """classes: how many make up at least .5 % of the samples; class KL: sum_k q_k log(q_k / p_k) in nats, q the shares of classes
    among the samples, p among the real examples.

    Args:
        real, fake: (N,) and (M,) whole numbers from 0 to classes - 1: what a judge says of examples; of the real ones, too, so
            that its own mistakes count on both sides.
        classes: how many there are.

    Bias: upwards by about (classes - 1)/2 (1/N + 1/M), as every plug-in estimate (Miller 1955). It is inf where a class is made
    that the real examples lack. A histogram says nothing of variety within a class.

    Raises:
        ValueError: no examples, or numbers that are no classes.
    """
    count = whole("class_histogram", "classes", classes, low=2)
    p, q = (_shares(name, values, count) for name, values in (("real", real), ("fake", fake)))
    return {"classes": float((q >= PRESENT).sum()), "class KL": float(kl(q, p))}


def _shares(name: str, values: Any, classes: int) -> np.ndarray:
    labels = np.asarray(values)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu":
        raise ValueError(
            f"class_histogram: {name}: got {labels.dtype} of shape {labels.shape}, expected whole numbers (N,)"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"class_histogram: {name}: got {labels.min()} to {labels.max()}, expected classes 0 to {classes - 1}"
        )
    return np.bincount(labels, minlength=classes) / labels.size


def _bias(c: Any) -> dict[str, float]:
    classes = c.real.log_probabilities.shape[1]
    return {"class KL": (classes - 1) / 2 * (1 / len(c.real) + 1 / len(c.fake))}


register(
    class_histogram,
    better={"classes": "higher", "class KL": "lower"},
    measure=lambda c: class_histogram(c.real.classes, c.fake.classes, classes=c.real.log_probabilities.shape[1]),
    bias=_bias,
)
