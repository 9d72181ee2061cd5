"""Data sets by name or by path: `load`, and `catalogue` for what there is."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data import toys
from minigan.data.base import (
    READ_ERRORS,
    DataError,
    Dataset,
    cache_folder,
    checked_count,
)
from minigan.data.glyphs import draw_glyphs
from minigan.data.images import from_uint8
from minigan.data.loader import Loader
from minigan.data.mnist import SOURCES, idx_dataset, read_idx
from minigan.data.pool import Pool
from minigan.data.toys import mode_statistics
from minigan.data.transforms import colour, invert, resize

__all__ = [
    "DataError", "Dataset", "Entry", "Loader", "Pool", "cache_folder", "catalogue", "colour", "draw_glyphs", "invert", "load",
    "mode_statistics", "read_idx", "resize",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue. shape: of one example; network: whether it may have to be downloaded."""

    name: str
    kind: str
    shape: tuple[int, ...]
    description: str
    source: str
    network: bool


_DRAWN = "drawn here, from matplotlib's typefaces"
_TOY = "generated"
_ENTRIES = (
    Entry("glyphs", "images", (28, 28, 1), "digits in 21 typefaces, all factors known", _DRAWN, False),
    Entry("letters", "images", (28, 28, 1), "the same with letters A-Z", _DRAWN, False),
    Entry("mnist", "images", (28, 28, 1), "handwritten digits", SOURCES["mnist"].title, True),
    Entry(
        "fashion",
        "images",
        (28, 28, 1),
        "Fashion-MNIST, ten kinds of clothes",
        SOURCES["fashion"].title,
        True,
    ),
    Entry("kmnist", "images", (28, 28, 1), "Kuzushiji-MNIST, ten characters", SOURCES["kmnist"].title, True),
    Entry("ring8", "points", (2,), "8 Gaussians on a circle", _TOY, False),
    Entry("grid25", "points", (2,), "25 Gaussians on a grid", _TOY, False),
    Entry("swiss_roll", "points", (2,), "a noisy spiral", _TOY, False),
    Entry("moons", "points", (2,), "two interlocking half circles", _TOY, False),
    Entry("line", "points", (2,), "a noisy segment", _TOY, False),
    Entry("gauss1d", "points", (1,), "2 (or 3) Gaussians on the line", _TOY, False),
)


def _letters(n: int = 10_000, seed: int = 0, *, alphabet: str = "upper", cache: bool = True) -> Dataset:
    return replace(draw_glyphs(n, seed, alphabet=alphabet, cache=cache), name="letters")


_MAKERS: dict[str, Callable[..., Dataset]] = {
    "glyphs": draw_glyphs,
    "letters": _letters,
    **{name: partial(idx_dataset, name) for name in SOURCES},
    **{name: getattr(toys, name) for name in ("ring8", "grid25", "swiss_roll", "moons", "line", "gauss1d")},
}


def catalogue() -> list[Entry]:
    """Every data set that `load` knows by name."""
    return list(_ENTRIES)


def load(name_or_path: str | os.PathLike[str], *, seed: int = 0, n: int | None = None, **options: Any) -> Dataset:
    """A data set by catalogue name, or from a .npy or .npz file.

    seed: for generated sets. n: how many examples, the first n of a file; by default 10,000 generated ones,
    or the whole file.
    options: the keyword arguments of the set's own function (ring8: radius, sigma; mnist: split; ...).

    Files (never pickled) hold one of:
      uint8 (N, H, W) or (N, H, W, C), C 1 or 3   images, mapped to x / 127.5 - 1;
      floats of such a shape, within [-1, 1]      images, taken as they are. Values all within [0, 1] are
                                                  refused, since they are most often unscaled: pass
                                                  value_range="0..1" to have them mapped to 2x - 1, or
                                                  value_range="-1..1" to say that they are meant;
      floats (N, d)                               points.
    An .npz with several arrays: the one called x, images, data, samples or points, or the option key=NAME; an
    integer array (N,) called y or labels becomes the labels.

    Raises DataError for anything else: unknown names or options, unreadable files, NaN or Inf, wrong ranks.
    """
    name = os.fspath(name_or_path)
    maker = _MAKERS.get(name)
    if maker is None:
        if not _looks_like_path(name):
            raise DataError(_unknown("data set", name, [entry.name for entry in _ENTRIES]))
        maker = partial(_load_file, name)
    known = inspect.signature(maker).parameters
    for option in options:
        if option not in known or option in ("n", "seed"):
            names = [each for each in known if each not in ("n", "seed")]
            raise DataError(f"{name}: " + _unknown("option", option, names))
    if n is not None:
        options["n"] = n
    if "seed" in known:
        options["seed"] = seed
    try:
        return maker(**options)
    except (TypeError, OverflowError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise DataError(f"{name}: an option has the wrong type: {given} ({error})") from error


def _looks_like_path(name: str) -> bool:
    return name.endswith((".npy", ".npz")) or "/" in name or os.sep in name or os.path.exists(name)


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    also = ", or a path to a .npy or .npz file" if what == "data set" else ""
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known) or 'none'}{also}"


# ---- files


def _load_file(path: str, *, n: int | None = None, key: str | None = None, value_range: str | None = None) -> Dataset:
    if value_range not in (None, "0..1", "-1..1"):
        raise DataError(f"{path}: value_range={value_range!r}; expected '0..1' or '-1..1'")
    values, labels = _read_array(path, key)
    if n is not None:
        if checked_count(n, path) > len(values):
            raise DataError(f"{path}: n={n}, but the file holds {len(values)} examples: ask for that many or fewer")
        values, labels = values[:n], labels[:n] if labels is not None else None
    if values.ndim == 2:
        return Dataset(path, _finite(path, values), labels, "points", source=path)
    return Dataset(path, _images(path, values, value_range), labels, "images", source=path)


def _read_array(path: str, key: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The examples, of a usable dtype and rank, and their labels."""
    _check_file(path)
    try:
        if path.endswith(".npy"):
            # Mapped, not read: the length is checked against the header before any memory is taken.
            values, labels = np.load(path, mmap_mode="r", allow_pickle=False), None
            if key is not None:
                raise DataError(f"{path}: key={key!r} was given, but a .npy file holds one array without a name")
        else:
            values, labels = _read_npz(path, key)
    except DataError:
        raise
    except READ_ERRORS as error:
        raise DataError(
            f"{path}: cannot be read as {path[-4:]} ({type(error).__name__}: {error}); expected a file "
            "written by numpy.save or numpy.savez, holding numbers and no Python objects"
        ) from error
    _check_layout(path, values)
    if labels is not None and (labels.shape != (len(values),) or labels.dtype.kind not in "iu"):
        raise DataError(
            f"{path}: labels are {labels.dtype} of shape {labels.shape}; expected integers ({len(values)},)"
        )
    return values, labels if labels is None else labels.astype(np.int64)


def _check_file(path: str) -> None:
    try:
        file = Path(path)
        if file.is_dir():
            raise DataError(f"{path}: is a folder; expected a .npy or .npz file")
        if not file.is_file():
            raise DataError(f"{path}: no such file; expected a .npy or .npz file")
        if not path.endswith((".npy", ".npz")):
            raise DataError(f"{path}: unknown kind of file; expected .npy or .npz (numpy.save, numpy.savez)")
        if file.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path!r}: not a readable path ({error})") from error


def _read_npz(path: str, key: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    # Opened here, because np.load leaves a file open that turns out not to be an archive.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        names = archive.files
        label_name = next((name for name in ("y", "labels") if name in names), None)
        if key is not None:
            candidates = [key] if key in names else []
        elif len(names) == 1:
            candidates = names
        else:
            candidates = [name for name in ("x", "images", "data", "samples", "points") if name in names]
        if len(candidates) != 1:
            wanted = f"an array {key!r}" if key else "one array, or one called x, images, data, samples or points"
            raise DataError(f"{path}: holds {', '.join(names) or 'no arrays'}; expected {wanted}")
        labels = archive[label_name] if label_name and label_name != candidates[0] else None
        return archive[candidates[0]], labels


def _check_layout(path: str, values: np.ndarray) -> None:
    """Reject what can be neither images nor points, saying which of the rules it breaks."""
    shape, dtype = values.shape, values.dtype
    if not (dtype == np.uint8 or dtype.kind == "f"):
        raise DataError(f"{path}: dtype {dtype}; expected uint8 images (0..255) or floats: convert with .astype")
    if values.ndim not in (2, 3, 4):
        raise DataError(f"{path}: shape {shape}; expected images (N, H, W) or (N, H, W, C), or points (N, d)")
    if values.ndim == 2 and dtype == np.uint8:
        raise DataError(f"{path}: uint8 of shape {shape}; expected images (N, H, W): reshape, or floats for points")
    if values.ndim == 4 and shape[3] not in (1, 3):
        fix = ": move the channels last with numpy.moveaxis(x, 1, -1)" if shape[1] in (1, 3) else ""
        raise DataError(f"{path}: shape {shape}; expected (N, H, W, C) with C 1 or 3{fix}")
    if len(values) < 2 or values.size == 0:
        raise DataError(f"{path}: shape {shape}; expected at least 2 examples, none of them empty")


def _finite(path: str, values: np.ndarray) -> np.ndarray:
    """float32, C order, in memory."""
    with np.errstate(over="ignore"):
        out = np.array(values, dtype=np.float32, order="C")
    bad = out.size - int(np.count_nonzero(np.isfinite(out)))
    if bad:
        raise DataError(f"{path}: {bad} of {out.size} values are NaN, Inf or too large for float32: remove them")
    return out


def _images(path: str, values: np.ndarray, value_range: str | None) -> np.ndarray:
    """float32 (N, H, W, C) in [-1, 1], by the rules in `load`."""
    if values.ndim == 3:
        values = values[..., None]
    if values.dtype == np.uint8:
        return from_uint8(np.ascontiguousarray(values))
    out = _finite(path, values)
    low, high = float(out.min()), float(out.max())
    smallest = 0.0 if value_range == "0..1" else -1.0
    if low < smallest or high > 1:
        raise DataError(
            f"{path}: float images between {low:g} and {high:g}; expected [{smallest:g}, 1]: rescale them, "
            "or save 0..255 as uint8"
        )
    if value_range is None and low >= 0:
        raise DataError(
            f"{path}: float images between {low:g} and {high:g}, which looks like the range [0, 1]; expected "
            "[-1, 1]: save 2 * x - 1, or pass value_range='0..1'"
        )
    return out * 2 - 1 if value_range == "0..1" else out
