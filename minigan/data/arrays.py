"""Arrays of images or points in .npy and .npz files, and the one rule by which numbers become images in [-1, 1].

uint8                              0..255; {0, 1} alone is refused, because it would be all but black
bool                               False..True
floats within [-1, 1], some < 0    as they are
anything else                      says which range it holds, and wants value_range="A..B": 2 (x - A) / (B - A) - 1
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from minigan.data import archives
from minigan.data.base import READ_ERRORS, DataError, Dataset, checked_count
from minigan.data.pixels import Pixels, extremes, pieces

# Where images may be in an archive, in the order of preference, and where their labels are.
IMAGES = ("x", "images", "data", "samples", "points", "x_train", "X_train", "train_images", "train_x", "X", "arr_0")
_PAIRS = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"), ("x", "labels"), ("data", "y"))
_LABELS = ("y", "labels", "targets")  # of whatever there is
_SPLITS = ("train", "test", "val")


class Stored(NamedTuple):
    """Arrays as they were found, and what to tell of it."""

    values: np.ndarray
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def interval(text: str) -> tuple[float, float]:
    """(A, B) of "A..B".

    Raises:
        ValueError: another form, or A >= B.
    """
    match = re.fullmatch(r"\s*(.+?)\s*\.\.\s*(.+?)\s*", text)
    try:
        low, high = float(match[1]), float(match[2])  # type: ignore[index]
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"got {text!r}, expected A..B, two numbers with A < B, such as 0..1 or 0..65535")
    return low, high


def load_arrays(
    path: str, *, n: int | None = None, key: str | None = None, value_range: str | None = None, lazy: bool = False
) -> Dataset:
    """A .npy or .npz file; see `minigan.data.load`."""
    bounds = _bounds(path, value_range)
    values, labels, notes = read_npz(path, key) if is_archive(path) else Stored(read_npy(path, key))
    _check_layout(path, values, bounds)
    labels, more = checked_labels(path, labels, len(values))
    if n is not None:
        if checked_count(n, path) > len(values):
            raise DataError(f"{path}: n={n}, but the file holds {len(values)} examples: ask for that many or fewer")
        values, labels = values[:n], labels[:n] if labels is not None else None
    notes = (*notes, *more)
    if values.ndim == 2:
        x = finite(path, values)
        low, high = float(x.min()), float(x.max())
        notes = (*notes, *hint_of_images(x.shape[1]))
        return Dataset(path, x, labels, "points", source=path, limits=(low, high), notes=notes, own=True)
    return images_of(path, values, labels, bounds, notes=notes, lazy=lazy)


def hint_of_images(coordinates: int) -> tuple[str, ...]:
    """A note on points that may be images in rows: as many coordinates as a square grey or colour image has pixels."""
    for channels in (1, 3):
        side = math.isqrt(coordinates // channels)
        if side >= 8 and side * side * channels == coordinates:
            shape = (-1, side, side, *(channels,) * (channels > 1))
            return (f"taken for points: if a row is an image, save it as .npy after reshape{shape}",)
    return ()


def _bounds(path: str, text: str | None) -> tuple[float, float] | None:
    try:
        return None if text is None else interval(text)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: value_range={text!r}: {error}") from error


# -- the files -------------------------------------------------------------------------------------------------------
def is_archive(path: str) -> bool:
    """Whether a file of arrays is an archive by its content; DataError where its name says the opposite."""
    try:
        with open(path, "rb") as file:
            start = file.read(6)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    packed = start[:2] == b"PK"
    if packed and path.endswith(".npy"):
        raise DataError(f"{path}: is an archive of arrays by its content (.npz), and is called .npy: rename it")
    if start == b"\x93NUMPY" and path.endswith(".npz"):
        raise DataError(f"{path}: is a single array by its content (.npy), and is called .npz: rename it")
    return path.endswith(".npz")


def read_npy(path: str, key: str | None) -> np.ndarray:
    """The array of a .npy file, mapped and not read: its length is checked against the header before memory is taken."""
    if key is not None:
        raise DataError(f"{path}: key={key!r} was given, but a .npy file holds one array without a name")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except READ_ERRORS as error:
        raise DataError(
            f"{path}: cannot be read as .npy ({type(error).__name__}: {error}); expected a file written by numpy.save, holding "
            "numbers and no Python objects"
        ) from error


def read_npz(path: str, key: str | None) -> Stored:
    """The examples of an archive, and the labels that go with them."""
    with archives.opened(path) as archive:
        names = archives.array_names(archive)
        if key is not None:
            chosen = key if key in names else None
        elif len(names) == 1:
            chosen = names[0]
        else:
            chosen = next((name for name in IMAGES if name in names), None)
        if chosen is None:
            others = [info.filename for info in archive.infolist()][:8]
            held = ", ".join(names) or f"no arrays{f' (but {chr(44).join(others)})' if others else ''}"
            wanted = f"an array {key!r}" if key is not None else f"one array, or one called {', '.join(IMAGES[:-1])}"
            raise DataError(
                f"{path}: holds {held}; expected {wanted}{'' if key else ': choose one by its name, --key NAME'}"
            )
        values, label_name = archives.read_member(path, archive, chosen), _labels_of(chosen, names)
        labels = archives.read_member(path, archive, label_name) if label_name else None
    used = {chosen, label_name}
    rest = [name for name in names if name not in used]
    notes = (f"array {chosen}, not {', '.join(rest[:6])}",) if rest else ()
    return Stored(values, labels, notes)


def _labels_of(chosen: str, names: list[str]) -> str | None:
    """The array that holds the labels of another, by the habits of Keras, MedMNIST and others."""
    wanted = [
        other.join(chosen.rsplit(word, 1)) for word, other in _PAIRS
        if re.search(rf"(^|_){word}(_|$)", chosen)
    ]  # fmt: skip
    if not any(split in chosen for split in _SPLITS):
        wanted += _LABELS
    return next((name for name in wanted if name in names and name != chosen), None)


def checked_labels(path: str, labels: np.ndarray | None, count: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels (N,) or (N, 1) as int64, and notes; None, with a note, for several labels an example."""
    if labels is None:
        return None, ()
    if not labels.ndim or len(labels) != count:
        raise DataError(f"{path}: labels are {labels.dtype} of shape {labels.shape}; expected integers ({count},)")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim > 1:
        fix = (
            f"; to use them, save {labels.shape} as integers ({count},), such as labels.argmax(axis=1) of one-hot rows"
        )
        return None, (f"labels {labels.shape} left out, expected one an example{fix}",)
    if labels.dtype.kind not in "iub":
        raise DataError(f"{path}: labels are {labels.dtype} of shape {labels.shape}; expected integers ({count},)")
    return labels.astype(np.int64), ()


def _check_layout(path: str, values: np.ndarray, bounds: tuple[float, float] | None) -> None:
    """Reject what can be neither images nor points, saying which of the rules it breaks."""
    shape, dtype = values.shape, values.dtype
    if dtype.kind not in "biuf":
        raise DataError(f"{path}: dtype {dtype}; expected numbers: uint8 images (0..255), or floats")
    if values.ndim not in (2, 3, 4):
        raise DataError(f"{path}: shape {shape}; expected images (N, H, W) or (N, H, W, C), or points (N, d)")
    if values.ndim == 2 and dtype.kind in "bu" and shape[1] > 3:
        side = math.isqrt(shape[1])
        fix = f"reshape(-1, {side}, {side})" if side * side == shape[1] else "reshape(-1, H, W)"
        raise DataError(f"{path}: {dtype} of shape {shape}; expected images (N, H, W): {fix}, or floats for points")
    if values.ndim == 2 and bounds is not None:
        raise DataError(f"{path}: value_range was given, but {shape} are points, which are standardised and have none")
    if values.ndim == 4 and shape[3] not in (1, 3):
        fix = ": move the channels last with numpy.moveaxis(x, 1, -1)" if shape[1] in (1, 3) else ""
        raise DataError(f"{path}: shape {shape}; expected (N, H, W, C) with C 1 or 3{fix}")
    if len(values) < 2 or values.size == 0:
        raise DataError(f"{path}: shape {shape}; expected at least 2 examples, none of them empty")


def finite(path: str, values: np.ndarray) -> np.ndarray:
    """float32, C order, in memory; DataError for NaN and Inf."""
    try:
        with np.errstate(over="ignore"):
            out = np.array(values, dtype=np.float32, order="C")
    except MemoryError as error:
        raise _too_large(path, values) from error
    bad = out.size - sum(int(np.count_nonzero(np.isfinite(part))) for part in pieces(out))
    if bad:
        raise DataError(f"{path}: {bad} of {out.size} values are NaN, Inf or too large for float32: remove them")
    return out


def _too_large(path: str, values: np.ndarray) -> DataError:
    return DataError(
        f"{path}: {values.shape} as floats take {4 * values.size / 2**30:.1f} GiB, more memory than there is; save images as "
        "uint8 in a .npy file, which is trained from as it lies on the disk (lazy=True)"
    )


# -- numbers to images -----------------------------------------------------------------------------------------------
def images_of(
    path: str,
    values: np.ndarray,
    labels: np.ndarray | None,
    bounds: tuple[float, float] | None = None,
    *,
    notes: tuple[str, ...] = (),
    lazy: bool = False,
) -> Dataset:
    """Images (N, H, W) or (N, H, W, C) of any numbers, by the rule above.

    lazy: unsigned integers stay what they are (`Pixels`), in memory or in the file. Raises DataError.
    """
    if values.ndim == 3:
        values = values[..., None]
    if values.dtype == bool:
        values, bounds = np.asarray(values).view(np.uint8), bounds or (0.0, 1.0)
    low, high = _limits(path, values)
    a, b = bounds or _usual(path, values.dtype, low, high)
    if low < a or high > b:
        raise DataError(f"{path}: images between {low:g} and {high:g}, outside of {a:g}..{b:g}; {_advice(low, high)}")
    if values.dtype.kind == "u":
        pixels = Pixels(values, low=a, high=b)
        x = pixels if lazy else np.asarray(pixels)
    else:
        x = finite(path, values)
        if (a, b) != (-1, 1):
            x -= np.float32(a)
            x /= np.float32((b - a) / 2)
            x -= np.float32(1)
    return Dataset(path, x, labels, "images", source=path, limits=(low, high), notes=notes, own=True)


def _limits(path: str, values: np.ndarray) -> tuple[float, float]:
    if values.dtype.kind == "f":
        values = finite(path, values)
    low, high = extremes(values)
    return float(low), float(high)


def _usual(path: str, dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    """What becomes -1 and 1 where nobody said so; DataError where that is not plain."""
    if dtype == np.uint8:
        if high > 1:
            return 0.0, 255.0
        raise DataError(
            f"{path}: uint8 images between {low:g} and {high:g}, which would all but be black; {_range(0, 1)} if 1 is white, "
            f"or {_range(0, 255)} if they are meant so"
        )
    if dtype.kind != "f":
        raise DataError(f"{path}: {dtype} images between {low:g} and {high:g}; {_advice(low, high)}")
    if low < -1 or high > 1:
        raise DataError(f"{path}: float images between {low:g} and {high:g}; expected [-1, 1]; {_advice(low, high)}")
    if low >= 0:
        raise DataError(
            f"{path}: float images between {low:g} and {high:g}, which looks like the range [0, 1]; expected [-1, 1]: "
            f"{_range(0, 1)}, or {_range(-1, 1)} if they are meant so"
        )
    return -1.0, 1.0


def _range(low: float, high: float) -> str:
    return f"give --range {low:g}..{high:g} (value_range='{low:g}..{high:g}')"


def _advice(low: float, high: float) -> str:
    """A range that would hold the values: the next usual one. Never a cast, which wraps round."""
    usual = [(0, 1), (-1, 1), (0, 15), (0, 16), (0, 255), (0, 1023), (0, 4095), (0, 65535)]
    a, b = next(((a, b) for a, b in usual if a <= low and high <= b), (low, high))
    return f"say which values are black and white: {_range(a, b)}"
