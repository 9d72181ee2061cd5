"""Samples that can be differentiated: Gumbel noise, and its softmax relaxation of a choice.

With independent Gumbel noise G_k, P(argmax_k (l_k + G_k) = i) = softmax(l)_i: adding noise and taking the largest draws from
the table. The argmax has derivative zero; the softmax at a temperature has a useful one, and tends to the argmax.
"""

from __future__ import annotations

from typing import Any

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module
from minigan.theory.arrays import on_arrays


@on_arrays("uniform")
def gumbel(uniform: Any) -> Any:
    """Standard Gumbel noise -log(-log u) from uniform numbers in (0, 1): distribution function exp(-e^-g), mean 0.5772....

    u = 0 and 1 give -inf and inf.

    Raises:
        ValueError: a number outside [0, 1].
    """
    if not bool(((uniform._data >= 0) & (uniform._data <= 1)).all()):
        raise ValueError(
            "gumbel: got a number outside [0, 1] or NaN, expected uniform draws, such as random.uniform gives"
        )
    return -ops.log(-ops.log(uniform))


def _scores(logits: Tensor, noise: Tensor) -> Tensor:
    """logits + noise (..., K), checked."""
    fits = logits.shape[-1:] == noise.shape[-1:] != ()
    scores = logits + noise if fits else logits
    if not fits or not scores.shape[-1] or bool(array_module(scores._data).isnan(scores._data).any()):
        raise ValueError(
            f"logits, noise: got shapes {logits.shape} and {noise.shape}, expected (..., K) for both, without NaN"
        )
    return scores


@on_arrays("logits", "noise")
def gumbel_max(logits: Any, noise: Any) -> Any:
    """The one-hot choice argmax_k (l_k + G_k): a draw from softmax(logits). Its derivative is zero.

    Args:
        logits: (..., K). noise: (..., K), from :func:`gumbel`.

    Returns:
        (..., K), ones and zeros; the first of several largest is chosen.

    Source: Gumbel 1954; Maddison, Tarlow, Minka 2014 (arXiv 1411.0030).
    """
    scores = _scores(logits, noise)
    best = ops.equal(scores, ops.max(scores, -1, keepdims=True))
    first = ops.cast(best, dtype=scores.dtype)
    first = first * ops.cast(ops.equal(ops.cumsum(first), 1.0), dtype=scores.dtype)
    return ops.stop_gradient(first)


@on_arrays("logits", "noise", "temperature")
def gumbel_softmax(logits: Any, noise: Any, *, temperature: Any) -> Any:
    """softmax((l + G) / temperature): a relaxed one-hot choice. As temperature tends to 0 it tends to :func:`gumbel_max`, as
    it grows to 1/K everywhere.

    Args:
        logits: (..., K). noise: (..., K), from :func:`gumbel`.
        temperature: > 0, one number; as a tensor it can be learned, or annealed in a recorded step (`mg.scheduled`).

    Source: Jang, Gu, Poole 2016 (arXiv 1611.01144), eq. 2; Maddison, Mnih, Teh 2016 (arXiv 1611.00712), eq. 10.
    """
    if temperature.size != 1 or not bool((temperature._data > 0).all()):
        raise ValueError(f"temperature: got {temperature._data.tolist()!r}, expected a positive number")
    return ops.softmax(_scores(logits, noise) / ops.reshape(temperature, ()), -1)
