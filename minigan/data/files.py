"""Data of one's own: which reader a path is for, and which options that reader takes."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.arrays import images_of, interval, load_arrays
from minigan.data.base import IN_TIME, DataError, Dataset, checked_count
from minigan.data.cifar import is_cifar, load_cifar
from minigan.data.film import load_films
from minigan.data.mnist import read_idx
from minigan.data.sound import load_sounds
from minigan.data.tables import load_table
from minigan.data.timed import load_timed
from minigan.data.tokens import load_text
from minigan.data.transforms import resize

KINDS = "a folder or .zip of pictures, .npy, .npz, .csv, .wav, .gif, CIFAR's .bin files, or IDX files"
OPTIONS = ("size", "crop", "grey", "value_range", "key", "kind", "length", "rate")  # what a user says of how to read
_IDX = re.compile(r".*idx\d-ubyte(\.gz)?|.*\.idx(\.gz)?")


def looks_like_path(name: str) -> bool:
    """Whether a text is meant as a path, and no name of the catalogue."""
    return "." in name or "/" in name or os.sep in name or os.path.exists(name)


def reader_of(path: str, kind: str | None = None) -> Callable[..., Dataset]:
    """The function that reads what is there, as a kind where one is said.

    Raises:
        DataError: there is nothing, or nothing that can be read, or nothing of that kind.
    """
    if kind is not None and kind not in IN_TIME:
        raise DataError(f"{path}: kind={kind!r}; expected {', '.join(IN_TIME)}: images and points are told by the file")
    try:
        if not os.path.exists(path):
            raise DataError(f"{path}: no such file or folder; expected {KINDS}")
        if kind is None and is_cifar(path):
            return load_cifar
        if os.path.isdir(path):
            if kind == "tokens":
                raise DataError(f"{path}: is a folder; text is read from one file")
            return {"audio": load_sounds, "video": load_films}.get(kind or "", _load_pictures)
        if not os.path.isfile(path):
            raise DataError(f"{path}: is no regular file; expected {KINDS}")
        if os.path.getsize(path) == 0:
            raise DataError(f"{path}: the file is empty")
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path!r}: not a readable path ({error})") from error
    name = os.path.basename(path).lower()
    if kind is not None:
        return _reader_in_time(path, name, kind)
    if name.endswith((".npy", ".npz")):
        return load_arrays
    if name.endswith(".wav"):
        return load_sounds
    if name.endswith(".gif"):
        return load_films
    if name.endswith((".csv", ".tsv", ".txt")):
        return load_table
    if name.endswith(".zip"):
        return _load_pictures
    if _IDX.fullmatch(name):
        return load_idx
    raise DataError(f"{path}: unknown kind of file; expected {KINDS}")


def _reader_in_time(path: str, name: str, kind: str) -> Callable[..., Dataset]:
    """The reader of tokens, sounds or films."""
    if name.endswith((".npy", ".npz")):
        return partial(load_timed, kind=kind)
    readers = {
        "tokens": ((".txt", ".md"), load_text), "audio": ((".wav",), load_sounds), "video": ((".gif",), load_films)
    }  # fmt: skip
    endings, read = readers[kind]
    if not name.endswith(endings):
        raise DataError(f"{path}: as {kind}; expected {', '.join(endings)}, .npy or .npz")
    return read


def load_file(path: str, **options: Any) -> Dataset:
    """What is at a path; see `minigan.data.load`. An option that the reader has no use for is an error."""
    read = reader_of(path, options.pop("kind", None))
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    known = inspect.signature(read).parameters
    lazy = bool(given.pop("lazy", False))
    sized = read in (load_arrays, load_cifar, load_idx)  # arrays of one size, resized as a whole
    changes = {name: given.pop(name) for name in ("size", "crop", "grey") if sized and name in given}
    for name in given:
        if name not in known:
            raise DataError(f"{path}: the option {name} is not for this kind of data ({_what(read)}): leave it out")
    if "lazy" in known:
        given["lazy"] = lazy and not changes
    return fitted(read(path, **given), **changes)


def _what(read: Callable[..., Dataset]) -> str:
    names = {load_arrays: "arrays", load_table: "a table", load_cifar: "CIFAR", load_idx: "an IDX file"}
    names |= {load_text: "text", load_sounds: "sounds", load_films: "films"}
    kind = read.keywords["kind"] if isinstance(read, partial) else "pictures"
    return names.get(read, kind)


def _load_pictures(
    path: str,
    *,
    n: int | None = None,
    size: str | int | None = None,
    crop: bool = False,
    grey: bool = False,
    lazy: bool = False,
) -> Dataset:
    from minigan.data.pictures import load_pictures  # which imports Pillow

    return load_pictures(path, n=n, size=size, crop=crop, grey=grey, lazy=lazy)


def fitted(images: Dataset, *, size: str | int | None = None, crop: bool = False, grey: bool = False) -> Dataset:
    """A set of images of one size cropped, made grey and resized, in this order.

    crop: the middle, of the aspect of `size`, or square. grey: .299 R + .587 G + .114 B. Raises DataError for points.
    """
    if size is None and not crop and not grey:
        return images
    from minigan.data.pictures import side_lengths

    if images.kind != "images":
        raise DataError(f"{images.name}: holds {images.kind}; size, crop and grey are for images: leave them out")
    x = np.asarray(images.x)
    height, width = side_lengths(size, images.name) if size is not None else (min(x.shape[1:3]),) * 2
    if crop:
        scale = min(x.shape[1] / height, x.shape[2] / width)
        rows, columns = round(scale * height), round(scale * width)
        top, left = (x.shape[1] - rows) // 2, (x.shape[2] - columns) // 2
        x = x[:, top : top + rows, left : left + columns]
    elif size is not None and abs(x.shape[1] * width - x.shape[2] * height) >= max(x.shape[1], x.shape[2]):
        raise DataError(
            f"{images.name}: images of {x.shape[2]} x {x.shape[1]} have another aspect than {width} x {height} and would be "
            "squashed; --crop (crop=True) takes the middle of each"
        )
    if grey and x.shape[3] == 3:
        x = (x @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    x = np.ascontiguousarray(x)
    if size is not None and x.shape[1:3] != (height, width):
        x = resize(x, (height, width))
    return replace(images, x=x)


# -- IDX -------------------------------------------------------------------------------------------------------------
def load_idx(path: str, *, n: int | None = None, value_range: str | None = None, lazy: bool = False) -> Dataset:
    """An IDX file of images, with the labels of its companion: ...-images-idx3-ubyte and ...-labels-idx1-ubyte."""
    images, labels = read_idx(path), None
    if images.ndim not in (3, 4) or len(images) < 2 or not images.size:
        raise DataError(f"{path}: holds {images.dtype} {images.shape}; expected images (N, H, W), at least 2")
    name = os.path.basename(path)
    companion = Path(path).with_name(name.replace("images", "labels").replace("idx3", "idx1"))
    if companion.name != name and companion.is_file():
        labels = read_idx(companion)
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(
                f"{companion}: {labels.dtype} labels {labels.shape} for {len(images)} images in {path}: are the files of one set?"
            )
        labels = labels.astype(np.int64)
    if n is not None:
        if checked_count(n, path) > len(images):
            raise DataError(f"{path}: n={n}, but there are {len(images)} images: ask for that many or fewer")
        images, labels = images[:n], None if labels is None else labels[:n]
    try:
        bounds = None if value_range is None else interval(value_range)
    except ValueError as error:
        raise DataError(f"{path}: value_range={value_range!r}: {error}") from error
    return images_of(path, images, labels, bounds, lazy=lazy)
