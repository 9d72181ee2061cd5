"""Dropout: a random multiplication."""

from __future__ import annotations

from typing import Any

from minigan.autodiff import Tensor, as_tensor
from minigan.checks import plain
from minigan.random import Source


def dropout(x: Any, *, rate: float, random: Source, stream: str = "dropout") -> Tensor:
    """x m / (1 - rate) with independent m ~ Bernoulli(1 - rate), so that the mean is x (Srivastava et al. 2014, scaled in
    training as usual);  dx = g m / (1 - rate), the same mask.

    Args:
        rate: probability of 0, in [0, 1).
        random, stream: where the mask comes from; two calls in one step draw two masks.
    """
    if not 0 <= plain("dropout", "rate", rate) < 1:
        raise ValueError(f"dropout: got rate {rate}, expected 0 <= rate < 1")
    x = as_tensor(x)
    return x * random.mask(x.shape, keep=1 - rate, stream=stream, dtype=x.dtype) if rate else x
