"""CIFAR-10 and CIFAR-100 in the authors' binary files (Krizhevsky 2009), in a folder, alone, or in their archive.

A record is its labels, one byte (CIFAR-10) or two (CIFAR-100: coarse, fine), then 3 x 32 x 32 bytes, planes of red, green and
blue. The other version that is offered, for Python, is a pickle: unpickling runs whatever code its author wrote: refused.
"""

from __future__ import annotations

import gzip
import os
import re
import tarfile
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from minigan.data.base import READ_ERRORS, DataError, Dataset, checked_count
from minigan.data.pixels import Pixels

_PIXELS = 3 * 32 * 32
_TRAIN, _TEST = re.compile(r"(data_batch_\d+|train)\.bin"), re.compile(r"(test_batch|test)\.bin")
_PICKLED = re.compile(r"(data_batch_\d+|test_batch|train|test|meta|batches\.meta)")
_MOST_BYTES = 1 << 29  # three times what there is
_BROKEN: tuple[type[Exception], ...] = (*READ_ERRORS, tarfile.TarError)
_WAY_OUT = (
    "is CIFAR's version for Python, a pickle, which is never opened here: it could run any code. Fetch the binary version of the "
    "same page, cifar-10-binary.tar.gz, and give that file or its folder"
)


def is_cifar(path: str) -> bool:
    """Whether a path is that of CIFAR files, by their names."""
    if os.path.isdir(path):
        names = os.listdir(path)
        return any(_TRAIN.fullmatch(name) or _TEST.fullmatch(name) for name in names) or _is_pickled(names)
    name = os.path.basename(path)
    return name.endswith((".bin", ".tar", ".tar.gz", ".tgz")) or bool(_PICKLED.fullmatch(name))


def _is_pickled(names: list[str]) -> bool:
    return sum(bool(_PICKLED.fullmatch(name)) for name in names) > 1


def load_cifar(path: str, *, n: int | None = None, key: str | None = None, lazy: bool = False) -> Dataset:
    """The training images, or those of the test files where there are no others; key="test" for these.

    Raises:
        DataError: the pickled version, files cut short, labels out of range.
    """
    if key not in (None, "train", "test"):
        raise DataError(f"{path}: key={key!r}; expected train or test")
    files = _in_tar(path) if not os.path.isdir(path) and not path.endswith(".bin") else _in_folder(path)
    chosen = [name for name in files if _TRAIN.fullmatch(name)] if key != "test" else []
    chosen = chosen or ([name for name in files if _TEST.fullmatch(name)] if key != "train" else [])
    chosen = chosen or (list(files) if len(files) == 1 and key is None else [])
    if not chosen:
        raise DataError(
            f"{path}: holds {', '.join(files) or 'no .bin files'}; expected data_batch_1.bin ... or test_batch.bin"
        )
    parts = [_records(f"{path}: {name}", name, files[name]) for name in sorted(chosen)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if n is not None:
        if checked_count(n, path) > len(images):
            raise DataError(f"{path}: n={n}, but there are {len(images)} images: ask for that many or fewer")
        images, labels = images[:n], labels[:n]
    pixels = Pixels(images)
    limits = float(images.min()), float(images.max())
    rest = sorted(set(files) - set(chosen))
    notes = (f"{', '.join(rest)} left out",) if rest else ()
    x = pixels if lazy else np.asarray(pixels)
    return Dataset(path, x, labels, "images", source=path, limits=limits, notes=notes, own=True)


def _in_folder(path: str) -> dict[str, bytes]:
    try:
        if not os.path.isdir(path):
            paths = [Path(path)]
        else:
            paths = [file for file in sorted(Path(path).iterdir()) if file.name.endswith(".bin")]
            if not paths and _is_pickled(os.listdir(path)):
                raise DataError(f"{path}: {_WAY_OUT}")
        if (size := sum(file.stat().st_size for file in paths)) > _MOST_BYTES:
            raise DataError(f"{path}: {size:,} bytes; expected CIFAR's, at most {_MOST_BYTES:,}")
        return {file.name: file.read_bytes() for file in paths}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


class _Limited:
    """A file, unpacked if it is gzipped, that gives no more than CIFAR's bytes, whatever the headers inside claim."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self._path, self._file, self._left = path, gzip.GzipFile(fileobj=file) if packed else file, _MOST_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes; DataError beyond the limit."""
        self._left -= size
        if self._left < 0:
            raise DataError(
                f"{self._path}: unpacks to more than CIFAR's {_MOST_BYTES:,} bytes; give a folder or a .zip"
            )
        return self._file.read(size)


def _in_tar(path: str) -> dict[str, bytes]:
    """The .bin files of an archive by name, in memory."""
    if _PICKLED.fullmatch(os.path.basename(path)):
        raise DataError(f"{path}: {_WAY_OUT}")
    found: dict[str, bytes] = {}
    names: list[str] = []
    try:
        with open(path, "rb") as file, tarfile.open(fileobj=cast(Any, _Limited(path, file)), mode="r|") as archive:
            for member in archive:
                name = os.path.basename(member.name)
                names.append(name)
                if member.isfile() and name.endswith(".bin"):
                    if name in found:
                        raise DataError(f"{path}: holds two members {name!r}")
                    found[name] = cast(Any, archive.extractfile(member)).read()  # a file has one
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as a tar archive ({type(error).__name__}: {error})") from error
    if not found and _is_pickled(names):
        raise DataError(f"{path}: {_WAY_OUT}")
    if not found:
        raise DataError(
            f"{path}: is a tar archive without CIFAR's .bin files; unpack it and give the folder, or pack it as .zip"
        )
    return found


def _records(owner: str, name: str, body: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels int64, the fine ones of CIFAR-100."""
    heads = [count for count in (1, 2) if body and len(body) % (count + _PIXELS) == 0]
    if not heads:
        raise DataError(
            f"{owner}: {len(body):,} bytes; expected records of 3,073 (CIFAR-10) or 3,074 (CIFAR-100): is it cut short?"
        )
    heads = heads[-1:] if name in ("train.bin", "test.bin") else heads[:1]
    records = np.frombuffer(body, np.uint8).reshape(-1, heads[0] + _PIXELS)
    labels, most = records[:, heads[0] - 1].astype(np.int64), 10 if heads[0] == 1 else 100
    if labels.max() >= most:
        raise DataError(
            f"{owner}: has a label {labels.max()}; expected 0 to {most - 1}: it is damaged, or no file of CIFAR's"
        )
    planes = records[:, heads[0] :].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
