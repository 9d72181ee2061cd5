"""Choices as arrays: one-hot rows, masks of sequences, and relaxed choices that can be differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module, as_float_dtype
from minigan.checks import number, whole
from minigan.ops.axes import axis_of
from minigan.ops.elementwise import cast, divide, equal, less
from minigan.ops.indexing import argmax, gather
from minigan.ops.reduction import log_softmax, softmax
from minigan.ops.shape import expand_dims, squeeze
from minigan.random import Source


def _integers(owner: str, name: str, values: Any) -> Tensor:
    t = as_tensor(np.asarray(values) if isinstance(values, (int, list, tuple, range, np.integer)) else values)
    if t.dtype.kind not in "iu":
        raise TypeError(f"{owner}: got {name} of dtype {t.dtype}, expected integers")
    return t


def _one_hot_samples(draw: Any) -> Any:
    shape, classes = draw.shape(), draw.integer(1, 4)
    indices = np.floor(draw.array(shape, 0.0, 0.999) * classes).astype(np.int64)
    return (indices,), {"classes": classes, "dtype": np.dtype(np.float64)}


@primitive(samples=_one_hot_samples, kinds="b", name="one_hot")
def _one_hot(indices: Array, *, classes: int, dtype: Any) -> Array:
    xp = array_module(indices)
    outside = (indices < 0) | (indices >= classes)
    if xp is np and outside.any():
        raise ValueError(f"expected indices in [0, {classes - 1}], got {indices[outside][0]}")
    y = (indices[..., None] == xp.arange(classes)).astype(dtype)
    if xp is not np:  # looking would make the CPU wait
        y[outside] = np.nan
    return y


def one_hot(indices: TensorLike, classes: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """y[..., k] = 1 where k is the index, else 0: (*shape) to (*shape, classes). A constant for the derivative.

    Args:
        indices: integers in [0, classes), of any shape.
        classes: their number.
        dtype: float32 (default) or float64.

    Raises:
        TypeError: indices that are no integers.
        ValueError: one outside [0, classes). (On a GPU, where looking would make the CPU wait, its row is NaN.)
    """
    indices = _integers("one_hot", "indices", indices)
    return _one_hot(indices, classes=whole("one_hot", "classes", classes, low=1), dtype=as_float_dtype(dtype))


def sequence_mask(lengths: TensorLike, length: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """y[..., t] = (t < lengths[...]): (*shape) to (*shape, length), which elements of padded sequences count.

    Args:
        lengths: integers of any shape.
        length: of the longest sequence, and of the result's last axis.
        dtype: None for booleans; float32 or float64 for ones and zeros to multiply with.

    Raises:
        TypeError: lengths that are no integers.
    """
    lengths = _integers("sequence_mask", "lengths", lengths)
    times = array_module(lengths._data).arange(whole("sequence_mask", "length", length, low=0))
    mask = less(times, expand_dims(lengths, -1))
    return mask if dtype is None else cast(mask, dtype=as_float_dtype(dtype))


def log_prob(logits: TensorLike, chosen: TensorLike) -> Tensor:
    """log p(chosen), p = softmax(logits): (..., K) and integers (...) in [0, K) to (...);  d logits = g (e_chosen - p).

    What `random.Source.categorical` draws has this log-probability.

    Raises:
        TypeError: choices that are no integers.
        ValueError: another shape than that of the tables.
        IndexError: a choice outside [-K, K).
    """
    logits, chosen = as_tensor(logits), _integers("log_prob", "choices", chosen)
    if not logits.ndim or chosen.shape != logits.shape[:-1]:
        raise ValueError(
            f"log_prob: got choices {chosen.shape} for logits {logits.shape}, expected {logits.shape[:-1]}"
        )
    return squeeze(gather(log_softmax(logits, -1), expand_dims(chosen, -1), -1), -1)


def _straight_samples(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.array(shape)), {}


@primitive((lambda _g, _y, _h, _s: None, lambda g, _y, _h, _s: g), samples=_straight_samples, name="straight_through")
def _straight_through(hard: Array, soft: Array) -> Array:
    return hard.copy()


def straight_through(hard: TensorLike, soft: TensorLike) -> Tensor:
    """The value of `hard` with the derivative of `soft`:  d hard = 0, d soft = g (Bengio, Leonard, Courville 2013,
    arXiv 1308.3432). The shapes are equal. `straight_through(round(x), x)` rounds, and passes g through.

    Its derivative is not that of its value, which is the purpose: `gradcheck` says so.
    """
    hard, soft = as_tensor(hard), as_tensor(soft)
    if hard.shape != soft.shape:
        raise ValueError(f"straight_through: got shapes {hard.shape} and {soft.shape}, expected equal ones")
    return _straight_through(hard, soft)


def gumbel_softmax(
    logits: TensorLike,
    *,
    temperature: TensorLike,
    random: Source,
    stream: str = "gumbel",
    axis: int = -1,
    hard: bool = False,
) -> Tensor:
    """softmax((l + G) / temperature) along `axis`, G independent Gumbel noise: a relaxed draw from softmax(l), nearer to one-hot
    the lower the temperature (Jang, Gu, Poole 2016, arXiv 1611.01144, eq. 2; Maddison, Mnih, Teh 2016, arXiv 1611.00712).

    Args:
        logits: any shape with an axis.
        temperature: > 0; as a tensor it can be learned, or annealed in a recorded step (`mg.scheduled`), and is not checked.
        random, stream: where the noise comes from.
        hard: one-hot values with the derivative of the relaxed ones, by :func:`straight_through`.

    Raises:
        ValueError: a number as temperature that is not > 0, an axis that is not there.
    """
    logits = as_tensor(logits)
    axis = axis_of("gumbel_softmax", axis, logits.ndim)
    if not isinstance(temperature, Tensor):
        number("gumbel_softmax", "temperature", np.asarray(temperature)[()], above=0)
    noise = random.gumbel(logits.shape, stream=stream, dtype=logits.dtype)
    soft = softmax(divide(logits + noise, temperature), axis)
    if not hard:
        return soft
    places = (
        array_module(soft._data).arange(soft.shape[axis]).reshape([-1 if i == axis else 1 for i in range(soft.ndim)])
    )
    chosen = equal(places, argmax(soft, axis, keepdims=True))
    return straight_through(cast(chosen, dtype=soft.dtype), soft)
