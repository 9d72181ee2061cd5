"""Zip archives of others: what their headers claim is checked before a member is unpacked. Nothing is written to disk."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np

from minigan.data.base import READ_ERRORS, DataError

MOST_MEMBERS = 10_000_000
_BOMB_BYTES, _BOMB_RATIO = 256 << 20, 500  # more than both: deflate's best is 1,032 to 1, of one byte repeated


@contextmanager
def opened(path: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose directory has been looked at.

    Raises:
        DataError: no archive; a member that is encrypted, has another's name or one that leads outside, or claims to hold more
            than it can.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - by itself, because ZipFile leaves open what turns out to be no archive
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except READ_ERRORS as error:
            raise DataError(f"{path}: cannot be read as a zip archive ({error}); fetch or pack it again") from error
        with archive:
            _check(path, archive.infolist(), file.seek(0, io.SEEK_END))
            yield archive


def _check(path: str, members: list[zipfile.ZipInfo], size: int) -> None:
    seen: set[str] = set()
    for info in members:
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise DataError(f"{path}: the member {info.filename!r} leads outside of the archive; pack it again")
        if info.filename in seen:
            raise DataError(f"{path}: holds two members {info.filename!r}; pack it again, each once")
        if info.flag_bits & 1:
            raise DataError(f"{path}: the member {info.filename!r} is encrypted; pack it without a password")
        if info.compress_size > size:
            raise DataError(
                f"{path}: is cut short: {info.filename!r} claims {info.compress_size:,} of its {size:,} bytes"
            )
        _check_claim(path, repr(info.filename), info.file_size, info.compress_size)
        seen.add(info.filename)
    _check_claim(path, "all", sum(info.file_size for info in members), size)


def _check_claim(path: str, what: str, claimed: int, packed: int) -> None:
    if claimed > _BOMB_BYTES and claimed > _BOMB_RATIO * packed:
        raise DataError(
            f"{path}: {what} would unpack from {packed:,} to {claimed:,} bytes, which is how zip bombs look; if it is meant, "
            "unpack it yourself and give the folder or the .npy file"
        )


# -- .npz ------------------------------------------------------------------------------------------------------------
class ArrayHeader(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype


def array_header(file: IO[bytes], owner: str) -> ArrayHeader:
    """The header of an array in NumPy's format, read up to where the values begin; DataError where there is none."""
    try:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except READ_ERRORS as error:
        raise DataError(
            f"{owner}: is no array of NumPy's ({error}); expected what numpy.save or numpy.savez writes"
        ) from error
    return ArrayHeader(shape, dtype)


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the members that are called arrays, without their ending."""
    return [info.filename[:-4] for info in archive.infolist() if info.filename.endswith(".npy")]


def read_member(path: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array of that name, once its header agrees with the archive's directory.

    Raises:
        DataError: Python objects, a size that is not what the member holds, damaged data.
    """
    info, owner = archive.getinfo(f"{name}.npy"), f"{path}: {name}"
    try:
        with archive.open(info) as member:
            header = array_header(member, owner)
            if header.dtype.hasobject:
                raise DataError(f"{owner}: holds Python objects, which are never unpickled; expected numbers")
            expected = math.prod(header.shape) * header.dtype.itemsize
            if member.tell() + expected != info.file_size:
                raise DataError(
                    f"{owner}: its header says {header.shape} {header.dtype}, {expected:,} bytes; the archive holds "
                    f"{info.file_size - member.tell():,}: save it again"
                )
        with archive.open(info) as member:
            return np.lib.format.read_array(member, allow_pickle=False)
    except DataError:
        raise
    except READ_ERRORS as error:
        raise DataError(f"{owner}: cannot be read ({type(error).__name__}: {error}); save it again") from error
