"""Checks of hyper-parameters: what was received, and what was expected."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np


def number(
    owner: str,
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite real number with low <= value <= high and above < value < below, as it was given.

    Raises:
        TypeError: not a number (booleans and tensors are none).
        ValueError: NaN, infinite or outside its range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{owner}: got {name} {value!r} of type {type(value).__name__}, expected a number")
    if not (math.isfinite(value) and low <= value <= high and above < value < below):
        limits = [
            f"{text} {limit:g}"
            for text, limit in ((">=", low), (">", above), ("<=", high), ("<", below))
            if math.isfinite(limit)
        ]
        raise ValueError(f"{owner}: got {name} {value!r}, expected a finite number {' and '.join(limits)}".rstrip())
    return value  # type: ignore[return-value]


def plain(owner: str, name: str, value: Any) -> float:
    """A setting of an operation as a float.

    Raises:
        TypeError: a tensor, whose derivative would be lost, or whatever else is no number.
    """
    if type(value) is float:
        return value
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(
            f"{owner}: got {name} of type {type(value).__name__}, expected a Python number (it is no input)"
        )
    return float(value)


def numbers(owner: str, value: Any) -> Any:
    """What is no array yet, as a NumPy array: a number, or lists of numbers. Python's own numbers are let through as they are.

    NumPy alone would read None as NaN and "1.5" as 1.5, and take tensors in a list out of their graph.

    Raises:
        TypeError: anything else.
    """
    if type(value) in (float, int, bool):
        return value
    if isinstance(value, (list, tuple)) and any(map(_holds_tensors, value)):
        raise TypeError(
            f"{owner}: got a {type(value).__name__} of tensors, which would lose their graph; join them by ops.stack"
        )
    array = np.asarray(value)
    of_numbers = array.dtype.kind in "biuf" or (array.dtype == object and isinstance(value, Real))  # a fraction
    if not of_numbers:
        what = "None" if value is None else f"{type(value).__name__} {value!r:.40}"
        raise TypeError(f"{owner}: got {what}, expected an array, a number, or lists of numbers")
    return value


def _holds_tensors(value: Any) -> bool:
    return hasattr(value, "requires_grad") or (isinstance(value, (list, tuple)) and any(map(_holds_tensors, value)))


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, Python's or NumPy's (also an array without axes); booleans are none."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iu"
    return hasattr(type(value), "__index__") and not isinstance(value, (bool, np.bool_))


def whole(owner: str, name: str, value: Any, *, low: int | None = None) -> int:
    """An integer of at least `low`, as Python's.

    Raises:
        TypeError: not an integer.
        ValueError: a smaller one.
    """
    if type(value) is not int and not is_whole(value):
        raise TypeError(f"{owner}: got {name} {value!r} of type {type(value).__name__}, expected an integer")
    if low is not None and operator.index(value) < low:
        raise ValueError(f"{owner}: got {name} {value!r}, expected an integer >= {low}")
    return operator.index(value)


def restorable(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """For `load_state`: that `value` is an array of numbers of this shape.

    Raises:
        TypeError, ValueError: it is none.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if hasattr(value, "requires_grad") or kind not in ("b", "i", "u", "f"):
        what = f"an array of dtype {value.dtype}" if hasattr(value, "dtype") else repr(value)
        raise TypeError(f"load_state: {name} is {what:.60}, expected an array of numbers, such as state() returns")
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"load_state: {name} has shape {tuple(value.shape)}, expected {tuple(shape)}")


def flag(owner: str, name: str, value: Any) -> bool:
    """True or False.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{owner}: got {name} {value!r} of type {type(value).__name__}, expected True or False")
    return bool(value)
