"""Does a sample show the class that was asked for?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.registry import register


def label_accuracy(asked: Any, judged: Any) -> float:
    """The share of samples that a judge takes for the class that they were asked to be of.

    Args:
        asked, judged: (N,) whole numbers.

    Bias: downwards by the judge's own mistakes, upwards by samples that are easier than real ones. Whether a class has
    one sample or many it does not see.

    Raises:
        ValueError: unequal or other shapes, no samples.
    """
    x, y = np.asarray(asked), np.asarray(judged)
    if x.shape != y.shape or x.ndim != 1 or not x.size or {x.dtype.kind, y.dtype.kind} - set("iu"):
        raise ValueError(
            f"label_accuracy: got {x.dtype} {x.shape} and {y.dtype} {y.shape}, expected whole numbers (N,) twice"
        )
    return float((x == y).mean())


register(label_accuracy, better="higher", measure=lambda c: label_accuracy(c.fake.labels, c.fake.classes))
