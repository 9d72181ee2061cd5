"""Arrays of tokens, sounds or films in .npy and .npz files. Which of them an array holds is said, not guessed from its axes."""

from __future__ import annotations

import numpy as np

from minigan.data.arrays import Stored, checked_labels, finite, images_of, interval, is_archive, read_npy, read_npz
from minigan.data.base import DataError, Dataset, checked_count
from minigan.data.film import RATE

_AXES = {"tokens": "(N, L)", "audio": "(N, L) or (N, L, C)", "video": "(N, T, H, W) or (N, T, H, W, C), C 1 or 3"}
_RANKS = {"tokens": (2,), "audio": (2, 3), "video": (4, 5)}


def load_timed(
    path: str,
    *,
    kind: str,
    n: int | None = None,
    key: str | None = None,
    value_range: str | None = None,
    rate: float | None = None,
) -> Dataset:
    """An array of a kind that is said:

    tokens  whole numbers (N, L) >= 0; the vocabulary are the numbers from 0 to the largest.
    audio   (N, L) or (N, L, C): floats in [-1, 1], or int16, which is divided by 32,768; with a rate in Hz.
    video   (N, T, H, W) or (N, T, H, W, C), of numbers as images are; with a rate in pictures a second, by default 8.

    Raises DataError.
    """
    values, labels, notes = read_npz(path, key) if is_archive(path) else Stored(read_npy(path, key))
    if values.ndim not in _RANKS[kind] or len(values) < 2 or not values.size or values.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: {values.dtype} {values.shape} as {kind}; expected numbers {_AXES[kind]}, at least 2 of them"
        )
    labels, more = checked_labels(path, labels, len(values))
    if n is not None:
        if checked_count(n, path) > len(values):
            raise DataError(f"{path}: n={n}, but the file holds {len(values)} examples: ask for that many or fewer")
        values, labels = values[:n], labels[:n] if labels is not None else None
    if rate is not None and not 0 < rate < np.inf:
        raise DataError(f"{path}: rate={rate}; expected a number > 0")
    notes = (*notes, *more)
    if kind == "tokens":
        return _tokens(path, values, labels, notes, rate, value_range)
    if kind == "audio":
        return _audio(path, values, labels, notes, rate, value_range)
    return _video(path, values, labels, notes, rate, value_range)


def _tokens(
    path: str, x: np.ndarray, y: np.ndarray | None, notes: tuple[str, ...], rate: float | None, span: str | None
) -> Dataset:
    if rate is not None or span is not None:
        raise DataError(f"{path}: tokens have neither a rate nor a range: leave --rate and --range out")
    if x.dtype.kind not in "iu" or x.min() < 0:
        raise DataError(f"{path}: {x.dtype} from {x.min()} as tokens; expected whole numbers >= 0")
    if x.max() >= 2**20:
        raise DataError(
            f"{path}: tokens up to {x.max()}; expected a vocabulary of at most {2**20}: number what occurs from 0 on"
        )
    vocabulary = tuple(map(str, range(int(x.max()) + 1)))
    return Dataset(path, x.astype(np.int64), y, "tokens", source=path, notes=notes, own=True, vocabulary=vocabulary)


def _audio(
    path: str, x: np.ndarray, y: np.ndarray | None, notes: tuple[str, ...], rate: float | None, span: str | None
) -> Dataset:
    if rate is None or span is not None:
        raise DataError(f"{path}: sounds in an array need a rate in Hz, --rate 16000, and no range")
    if x.dtype == np.int16:
        x = x.astype(np.float32) / np.float32(32768)
    elif x.dtype.kind != "f":
        raise DataError(f"{path}: {x.dtype} as sounds; expected floats in [-1, 1], or int16")
    x = finite(path, x)
    if np.abs(x).max() > 1:
        raise DataError(f"{path}: sounds from {x.min():g} to {x.max():g}; expected [-1, 1]: divide by what is loudest")
    x = x[..., None] if x.ndim == 2 else x
    return Dataset(path, x, y, "audio", source=path, notes=notes, own=True, rate=float(rate))


def _video(
    path: str, x: np.ndarray, y: np.ndarray | None, notes: tuple[str, ...], rate: float | None, span: str | None
) -> Dataset:
    x = x[..., None] if x.ndim == 4 else x
    if x.shape[4] not in (1, 3):
        raise DataError(f"{path}: shape {x.shape} as films; expected (N, T, H, W, C) with C 1 or 3")
    try:
        bounds = None if span is None else interval(span)
    except ValueError as error:
        raise DataError(f"{path}: value_range={span!r}: {error}") from error
    pictures = images_of(path, np.asarray(x).reshape(-1, *x.shape[2:]), None, bounds)
    films = np.asarray(pictures.x).reshape(x.shape)
    return Dataset(path, films, y, "video", source=path, notes=notes, own=True, rate=float(rate or RATE))
