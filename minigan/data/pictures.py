"""Folders and zip archives of pictures, of any size and colour, as one set of images; subfolders are labels.

All headers are read first, so that what does not fit is known before the first picture is decoded. The pixels are then kept in
the cache folder, in a file named after their content, and mapped: the next time nothing is decoded, and no memory is taken.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from minigan.data import archives
from minigan.data.base import READ_ERRORS, DataError, Dataset, cache_folder, checked_count, counted, write_atomically
from minigan.data.decoding import FORMATS, Form, Header, Opener, PictureError, Where, decode_all, header
from minigan.data.pixels import Pixels, extremes, pieces
from minigan.kernels.cpu.threads import THREADS

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
LARGEST_SIDE = 4096  # of an image that is trained on
_FORMAT = 1  # of the cache: another number for another way of decoding
_WORTH_IT = 100_000_000  # pixels, about 2 s of decoding: below, processes take longer to start than they save
_TOO_MANY_OTHERS = 1000  # files that are no pictures, before a folder is taken for something else


class Picture(NamedTuple):
    """A picture that was found, its path within the folder or archive, and a hash of its file."""

    where: Where
    path: PurePosixPath
    digest: bytes


def load_pictures(
    path: str,
    *,
    n: int | None = None,
    size: str | int | None = None,
    crop: bool = False,
    grey: bool = False,
    lazy: bool = False,
) -> Dataset:
    """A folder or a .zip of pictures; see `minigan.data.load`."""
    found, others = _in_folder(path) if os.path.isdir(path) else _in_archive(path)
    if len(found) < 2:
        also = f"; there are other files, such as {others[0]}" if others else ""
        raise DataError(f"{path}: holds {len(found)} pictures ({', '.join(FORMATS)}); expected at least 2{also}")
    if n is not None:
        if checked_count(n, path) > len(found):
            raise DataError(f"{path}: n={n}, but there are {len(found)} pictures: ask for that many or fewer")
        found = [found[i * len(found) // n] for i in range(n)]  # of all folders
    labels, classes, notes = _labelled(found)
    if others:
        more = ", ..." if len(others) > 3 else ""
        notes.append(f"{counted(len(others), 'other file')} left out ({', '.join(others[:3])}{more})")
    try:
        opener = Opener()
        headers = [header(picture.where, opener) for picture in found]
        form = _form(path, found, headers, size, crop, grey)
        stored, unkept = _decoded(path, found, form, sum(each.width * each.height for each in headers))
    except PictureError as error:
        raise DataError(str(error)) from error
    notes += unkept
    if small := sum(each.width < form.width or each.height < form.height for each in headers):
        notes.append(f"{counted(small, 'picture')} enlarged")
    low, high = extremes(stored)
    pixels = Pixels(stored)
    try:
        x = pixels if lazy else np.asarray(pixels)
    except MemoryError as error:
        raise DataError(
            f"{path}: {pixels.shape} as floats need more memory than there is; load it with lazy=True, or with a smaller size"
        ) from error
    return Dataset(
        path, x, labels, "images", source=path, limits=(float(low), float(high)), classes=classes, notes=tuple(notes), own=True
    )  # fmt: skip


# -- what there is ---------------------------------------------------------------------------------------------------
def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in path.parts)


def _in_folder(path: str) -> tuple[list[Picture], list[str]]:
    """The pictures below a folder in the order of their paths, and the other files."""
    found, others = [], []

    def fail(error: OSError) -> None:
        raise DataError(f"{path}: cannot be read ({error})") from error

    for folder, below, files in os.walk(path, onerror=fail):
        below[:] = sorted(name for name in below if not _hidden(PurePosixPath(name)))
        for name in sorted(files):
            file = os.path.join(folder, name)
            inside = PurePosixPath(Path(file).relative_to(path).as_posix())
            if _hidden(inside):
                continue
            if not name.lower().endswith(ENDINGS):
                others.append(str(inside))
            elif os.path.isfile(file):
                found.append((file, inside))
        if len(others) > max(_TOO_MANY_OTHERS, 10 * len(found)):
            raise DataError(
                f"{path}: holds {len(others):,} other files, such as {others[0]}: is it a folder of pictures?"
            )
    try:
        return [Picture(Where(file), inside, _digest_of(file)) for file, inside in found], others
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _digest_of(file: str) -> bytes:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "blake2b").digest()


def _in_archive(path: str) -> tuple[list[Picture], list[str]]:
    found, others = [], []
    with archives.opened(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            inside = PurePosixPath(info.filename.replace("\\", "/"))
            if info.is_dir() or _hidden(inside):
                continue
            if not inside.name.lower().endswith(ENDINGS):
                others.append(str(inside))
                continue
            try:
                with archive.open(info) as member:
                    digest = hashlib.blake2b(member.read(info.file_size)).digest()
            except READ_ERRORS as error:
                raise DataError(f"{path}: {info.filename}: cannot be unpacked ({error}); pack it again") from error
            found.append(Picture(Where(path, info.filename), inside, digest))
    if not found and any(name.endswith(".npy") for name in others):
        raise DataError(f"{path}: holds arrays and no pictures: rename it to .npz")
    return found, others


def _labelled(found: Sequence[Picture]) -> tuple[np.ndarray | None, tuple[str, ...], list[str]]:
    """Labels by folder, their names, and notes; no labels where all are in one folder, or some in none."""
    folders = [picture.path.parent for picture in found]
    root = PurePosixPath(os.path.commonpath(folders)) if len(set(folders)) > 1 else folders[0]
    names = sorted({str(folder.relative_to(root)) for folder in folders})
    if len(names) < 2:
        return None, (), []
    if "." in names:
        beside = [picture.path for picture, folder in zip(found, folders, strict=True) if folder == root]
        return None, (), [f"no labels: {counted(len(beside), 'picture')} beside the folders ({beside[0]}, ...)"]
    places = {name: number for number, name in enumerate(names)}
    labels = np.array([places[str(folder.relative_to(root))] for folder in folders], np.int64)
    return labels, tuple(names), []


# -- what they become ------------------------------------------------------------------------------------------------
def side_lengths(size: str | int, owner: str) -> tuple[int, int]:
    """(height, width) of N, "N" or "HxW"; DataError for anything else."""
    words = str(size).lower().split("x")
    try:
        sides = [int(word) for word in words]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise DataError(f"{owner}: size={size!r}; expected N or HxW, each 1 to {LARGEST_SIDE}, such as 64 or 48x64")
    return sides[0], sides[-1]


def _form(
    path: str, found: Sequence[Picture], headers: Sequence[Header], size: str | int | None, crop: bool, grey: bool
) -> Form:
    channels = 1 if grey or all(each.grey for each in headers) else 3
    if size is not None:
        form = Form(*side_lengths(size, path), channels, crop)
        odd = [i for i, each in enumerate(headers) if not _same_aspect(each, form)]
        if odd and not crop:
            each = headers[odd[0]]
            raise DataError(
                f"{path}: {len(odd):,} of {len(found):,} pictures have another aspect than {form.width} x {form.height} "
                f"({found[odd[0]].path}: {each.width} x {each.height}) and would be squashed; --crop (crop=True) takes the "
                "middle of each"
            )
        return form
    sizes = {(each.width, each.height): i for i, each in reversed(list(enumerate(headers)))}
    if len(sizes) > 1:
        some = ", ".join(
            f"{found[i].path}: {w} x {h}" for (w, h), i in sorted(sizes.items(), key=lambda pair: pair[1])[:2]
        )
        raise DataError(f"{path}: the pictures are of {len(sizes)} sizes ({some}); choose one: --size 64 (size=64)")
    ((width, height),) = sizes
    if max(width, height) > LARGEST_SIDE:
        raise DataError(
            f"{path}: pictures of {width} x {height}; expected at most {LARGEST_SIDE}: choose --size 64 (size=64)"
        )
    side = min(width, height)
    return Form(side, side, channels, crop=True) if crop else Form(height, width, channels)


def _same_aspect(each: Header, form: Form) -> bool:
    """Whether a resize of the picture would be less than a pixel off."""
    scale = form.width / each.width
    return abs(each.height * scale - form.height) < 1 or abs(form.height / scale - each.height) < 1


# -- the cache -------------------------------------------------------------------------------------------------------
def _decoded(path: str, found: Sequence[Picture], form: Form, pixels: int) -> tuple[np.ndarray, list[str]]:
    """All pictures, uint8 (N, H, W, C): from the cache, or decoded into it, or, with a note, in memory where it cannot be."""
    shape = (len(found), *form.shape)
    total = hashlib.blake2b(f"{_FORMAT} {form} {shape}".encode(), digest_size=16)
    for picture in found:
        total.update(picture.digest)
    folder = cache_folder() / "pictures"
    if (kept := _kept(folder, total.hexdigest(), shape)) is not None:
        return kept, []
    wheres, processes = [picture.where for picture in found], THREADS if pixels > _WORTH_IT else 1
    try:
        return _keep(folder, total.hexdigest(), shape, decode_all(wheres, form, processes)), []
    except OSError as error:
        note = f"the pixels cannot be kept in {folder} ({error.strerror or error}) and stay in memory"
    try:
        return np.concatenate(list(decode_all(wheres, form, processes))), [note]
    except MemoryError as error:
        raise DataError(f"{path}: {shape} needs more memory than there is, and {note}") from error


def _kept(folder: Path, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The mapped pixels, where the file is whole: its name ends in a checksum of them."""
    for file in folder.glob(f"{key}-*.npy"):
        try:
            stored = np.load(file, mmap_mode="r", allow_pickle=False)
            if stored.shape == shape and stored.dtype == np.uint8 and file.stem.endswith(f"-{_checksum(stored):08x}"):
                return stored
            file.unlink()
        except READ_ERRORS:  # damaged: made anew, under the same name
            continue
    return None


def _checksum(stored: np.ndarray) -> int:
    total = 0
    for part in pieces(stored):
        total = zlib.crc32(np.ascontiguousarray(part).reshape(-1).data, total)
    return total


def _keep(folder: Path, key: str, shape: tuple[int, ...], blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Write the pixels as they come, by plain writes: a full disk is an error then, where a mapped file would end the process."""
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    temporary = folder / f"{key}-{os.getpid()}.new"

    def write(file: object) -> None:
        nonlocal total
        description = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, description)  # type: ignore[arg-type]
        for block in blocks:
            total = zlib.crc32(block.reshape(-1).data, total)
            file.write(block.reshape(-1).data)  # type: ignore[attr-defined]

    write_atomically(temporary, write)
    target = folder / f"{key}-{total:08x}.npy"
    os.replace(temporary, target)
    return np.load(target, mmap_mode="r", allow_pickle=False)
