"""Dropout: a random multiplication."""

from __future__ import annotations

from typing import Any

from minigan.autodiff import Tensor, TensorLike, as_tensor
from minigan.checks import number
from minigan.kernels.reference import keep_level
from minigan.random import Source


def keep_of(owner: str, rate: Any) -> float:
    """The probability 1 - rate of keeping an element.

    Raises:
        TypeError: a rate that is no number.
        ValueError: one outside [0, 1), or so near to 0 or 1 that a mask of 32 bits does not tell it from them.
    """
    keep = 1.0 - number(owner, "rate", rate, low=0, below=1)
    try:
        keep_level(keep)
        good = keep < 1 or rate == 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{owner}: got rate {rate!r}, which a mask of 32 bits does not tell from {round(rate)}")
    return keep


def dropout(x: TensorLike, *, rate: float, random: Source, stream: str = "dropout") -> Tensor:
    """x m / p with independent m ~ Bernoulli(p), p = 1 - rate, so that the mean is x (Srivastava et al. 2014, scaled in
    training as usual);  dx = g m / p, the same mask.

    p is rounded to 16 bits (32 near its ends), and it is the rounded number that x is divided by.

    Args:
        rate: probability of 0, in [0, 1).
        random, stream: where the mask comes from; two calls in one step draw two masks.

    Raises:
        TypeError, ValueError: as :func:`keep_of`.
    """
    keep = keep_of("dropout", rate)
    x = as_tensor(x)
    return x * random.mask(x.shape, keep=keep, stream=stream, dtype=x.dtype) if keep < 1 else x
