"""What metrics are given, checked once: shapes, numbers that are finite, enough of them; and the same in float64, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 2**18  # numbers that become float64 at a time: 2 MB, of which a metric holds a dozen


def numbers(owner: str, name: str, values: Any) -> np.ndarray:
    """An array of numbers as it is, checked without a copy in float64. ValueError: what is no array of numbers, NaN or Inf."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64, casting="unsafe" if array.dtype.kind in "OUS" else "safe")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: {name}: got {type(values).__name__}, expected an array of numbers") from error
    if bad := array.size - int(np.isfinite(array).sum()):
        raise ValueError(f"{owner}: {name}: {bad} of {array.size} values are NaN or Inf; a score of them means nothing")
    return array


def finite(owner: str, name: str, values: Any) -> np.ndarray:
    """The same in float64: for what is small."""
    return numbers(owner, name, values).astype(np.float64, copy=False)


def blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The same rows of each array in float64, a few at a time: 50,000 images of 28 x 28 pixels would be 314 MB."""
    length = len(arrays[0])
    height = max(1, BLOCK * length // max(1, *(each.size for each in arrays)))
    for start in range(0, length, height):
        yield tuple(each[start : start + height].astype(np.float64) for each in arrays)


def rows(owner: str, name: str, values: Any, *, least: int = 2) -> np.ndarray:
    """(N, d) as they are, in their own dtype. Raises ValueError: another rank, NaN or Inf, fewer than `least` rows."""
    array = numbers(owner, name, values)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"{owner}: {name}: got shape {array.shape}, expected (N, d), a row for each example: flatten images"
        )
    if len(array) < least:
        raise ValueError(f"{owner}: {name}: got {len(array)} examples, expected at least {least}")
    return array


def two_sets(owner: str, real: Any, fake: Any, *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Real and generated rows of one width. Raises ValueError."""
    x, y = rows(owner, "real", real, least=least), rows(owner, "fake", fake, least=least)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{owner}: got {x.shape[1]} real and {y.shape[1]} generated coordinates, expected as many")
    return x, y


def log_table(owner: str, log_p: Any) -> np.ndarray:
    """(N, classes) float64 log-probabilities; -inf is one. Raises ValueError: rows that do not sum to 1 (to 1e-6), NaN."""
    table = np.asarray(log_p, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not len(table):
        raise ValueError(f"{owner}: got shape {table.shape}, expected (N, classes) with 2 classes or more")
    with np.errstate(over="ignore"):
        off = np.abs(np.exp(table).sum(axis=1) - 1).max()
    if not off <= 1e-6:
        raise ValueError(
            f"{owner}: got rows whose probabilities sum to 1 within {off:.3g}, expected log-probabilities, to 1e-6: "
            "take a log-softmax in float64"
        )
    return table


def whole(owner: str, name: str, value: Any, *, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high`. Raises ValueError."""
    fits = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not fits or value < low or (high is not None and value > high):
        bound = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{owner}: {name}: got {value!r}, expected a whole number, {bound}")
    return int(value)
