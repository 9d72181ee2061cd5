"""MNIST, Fashion-MNIST and Kuzushiji-MNIST, and a careful reader of their file format, IDX."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from minigan.data.base import DataError, Dataset, cache_folder, checked_count
from minigan.data.download import Remote, fetch
from minigan.data.images import from_uint8

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20
_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Source:
    """Where a set comes from: folders that hold the four files, and the SHA-256 of each file."""

    title: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


SOURCES = {
    "mnist": Source(
        "LeCun, Cortes & Burges 1998, handwritten digits",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion": Source(
        "Xiao, Rasul & Vollgraf 2017 (arXiv:1708.07747), clothes",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "kmnist": Source(
        "Clanuwat et al. 2018 (arXiv:1812.01718), cursive Japanese",
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        {
            "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
    ),
}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, plain or gzipped (told apart by content, not by name), in native byte order.

    Layout: bytes 0 0 dtype rank, then `rank` big-endian uint32 dimensions, then the values in C order, and
    nothing after. Every number of the header is checked against the bytes that follow.

    Raises DataError for a missing, empty, truncated, overlong or otherwise broken file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _parse_idx(path, file)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _parse_idx(path, unpacked)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder; expected an IDX file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: broken gzip data ({error}); fetch the file again") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read ({error})") from error


def _parse_idx(path: Path, file: IO[bytes] | gzip.GzipFile) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4:
        raise DataError(f"{path}: {len(head)} bytes; expected an IDX file, which starts with 4 bytes of magic")
    code, rank = head[2], head[3]
    if head[:2] != b"\0\0" or code not in _DTYPES or rank == 0:
        raise DataError(
            f"{path}: starts with {head.hex(' ')}; expected an IDX magic number such as 00 00 08 03 "
            "(two zeros, a type of 08, 09 or 0b..0e, a rank): is this an IDX file?"
        )
    header = file.read(4 * rank)
    if len(header) < 4 * rank:
        raise DataError(f"{path}: ends inside its header; fetch the file again")
    shape = tuple(int(d) for d in np.frombuffer(header, dtype=">u4"))
    dtype = np.dtype(_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    body = _read_up_to(file, expected + 1)
    if len(body) != expected:
        received = "more" if len(body) > expected else f"{len(body)}"
        raise DataError(
            f"{path}: the header says shape {shape} of {dtype.newbyteorder('=')}, {expected} bytes; "
            f"{received} follow it: the file is cut short or its header is wrong; fetch it again"
        )
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_up_to(file: IO[bytes] | gzip.GzipFile, limit: int) -> bytes:
    """At most limit bytes, a piece at a time: a lying header must not make us allocate what it claims."""
    pieces: list[bytes] = []
    left = limit
    while left > 0 and (piece := file.read(min(left, _CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def idx_dataset(name: str, *, n: int | None = None, split: str = "any") -> Dataset:
    """One of SOURCES as images (N, 28, 28, 1) in [-1, 1] with labels; the first n examples, or all of them.

    split: "train", "test", or "any" (the training files where present, else the test files). Looked for in
    $MINIGAN_DATA/<name>/ (plain or gzipped); else downloaded into the cache folder, each mirror in turn, and
    checked by SHA-256 there on every use.

    Raises DataError for an unknown split, broken or unequal files, n out of range, or no way to get the set.
    """
    if split not in ("any", *_PREFIX):
        raise DataError(f"{name}: split={split!r}; expected train, test or any")
    image_file, label_file = _find(name, split)
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"{image_file}: {images.dtype} of shape {images.shape}; expected uint8 (N, H, W)")
    if labels.shape != images.shape[:1] or labels.dtype != np.uint8:
        raise DataError(
            f"{label_file}: {labels.dtype} labels of shape {labels.shape} for {len(images)} images in "
            f"{image_file}; expected uint8 ({len(images)},): are the files of one set?"
        )
    if n is not None and checked_count(n, name) > len(images):
        raise DataError(f"{name}: n={n}, but {image_file} holds {len(images)} images: ask for that many or fewer")
    x = from_uint8(images[:n, :, :, None])
    return Dataset(name, x, labels[:n].astype(np.int64), "images", source=str(image_file))


def only_tested(name: str) -> bool:
    """Whether split="any" reads the test files, there being no others in $MINIGAN_DATA. Raises DataError as `idx_dataset`."""
    return _find(name, "any") == _find(name, "test")


def _file_names(split: str) -> tuple[str, str]:
    return f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"


def _find(name: str, split: str) -> tuple[Path, Path]:
    """The image file and the label file, downloaded if they are nowhere."""
    given = os.environ.get("MINIGAN_DATA")
    for candidate in (_PREFIX if split == "any" else (split,)) if given else ():
        folder = Path(str(given)).expanduser() / name
        pair = [_present(folder, file) for file in _file_names(candidate)]
        if pair[0] and pair[1]:
            return pair[0], pair[1]
    images, labels = _file_names("train" if split == "any" else split)
    return _download(name, f"{images}.gz"), _download(name, f"{labels}.gz")


def _present(folder: Path, file: str) -> Path | None:
    return next((path for path in (folder / f"{file}.gz", folder / file) if path.is_file()), None)


def _download(name: str, file: str) -> Path:
    """The file in the cache folder, fetched if it is not there as it should be."""
    source = SOURCES[name]
    remote = Remote([mirror + file for mirror in source.mirrors], source.sha256[file])
    way_out = (
        f"Put {file} and its companion into DIR/{name}/ and set MINIGAN_DATA=DIR, or use the data set glyphs, which needs "
        "no files"
    )
    return fetch(name, remote, cache_folder() / name / file, way_out=way_out)
