"""What every data file shares: the error, the data-set record, random streams and safe file writing."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import sys
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

# All that NumPy's readers may raise on damaged .npy and .npz files.
READ_ERRORS: tuple[type[Exception], ...] = (
    OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, OverflowError, NotImplementedError,
    RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError,
)  # fmt: skip


# By kind, the axes of the array of all examples and its dtype.
KINDS: dict[str, tuple[str, type]] = {
    "images": ("NHWC", np.float32), "points": ("Nd", np.float32), "tokens": ("NL", np.int64), "audio": ("NLC", np.float32),
    "video": ("NTHWC", np.float32),
}  # fmt: skip
IN_TIME = ("tokens", "audio", "video")


class DataError(ValueError):
    """Bad, missing or unreadable data. The message names what came, what was expected and a likely fix."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set.

    name: the name or path it was asked for by.
    x: float32; images (N, H, W, C) in [-1, 1], points (N, d), sounds (N, L, C) in [-1, 1], films (N, T, H, W, C) in [-1, 1]; or
        tokens (N, L) int64, which number the vocabulary. Where images were loaded lazily, `minigan.data.pixels.Pixels`: images
        that are stored as whole numbers, in memory or in a file, and read as float32.
    y: int64 labels (N,), or None.
    kind: "images", "points", "tokens", "audio" or "video".
    factors: the true generating factors, each (N,), where the set was generated; else empty.
    modes, sigma: centres (K, d) and the common standard deviation of a mixture; else None.
    log_density: exact log p(x) in nats of the generating law, (M, d) -> (M,) float64; else None.
    source: one line on where the values came from.
    limits: the smallest and the largest value as they were stored; None where nobody looked.
    classes: what the labels stand for, by number, where that is known; else empty.
    notes: what a reader should know of how it was read: arrays or files left out, pictures enlarged.
    own: read from a user's file, and so in units of their own.
    rate: samples of a sound, or pictures of a film, a second; 0 for what is in no time.
    vocabulary: of tokens, what each number stands for; else empty.

    Raises DataError when the parts do not fit together or fewer than two examples are given.
    """

    name: str
    x: Any
    y: np.ndarray | None = None
    kind: Literal["images", "points", "tokens", "audio", "video"] = "points"
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    modes: np.ndarray | None = None
    sigma: float | None = None
    log_density: Callable[[np.ndarray], np.ndarray] | None = None
    source: str = ""
    limits: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    own: bool = False
    rate: float = 0.0
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"data set {self.name!r}: kind {self.kind!r}; expected one of {', '.join(KINDS)}")
        axes, dtype = KINDS[self.kind]
        if self.x.ndim != len(axes) or self.x.dtype != dtype:
            raise DataError(
                f"data set {self.name!r}: {self.kind} must be a {np.dtype(dtype)} array of rank {len(axes)}, "
                f"received shape {self.x.shape}, dtype {self.x.dtype}"
            )
        if (self.kind in ("audio", "video")) != (self.rate > 0):
            raise DataError(
                f"data set {self.name!r}: {self.kind} with rate {self.rate:g}; only sounds and films have one, > 0"
            )
        if (self.kind == "tokens") != bool(self.vocabulary):
            raise DataError(
                f"data set {self.name!r}: {self.kind} and {len(self.vocabulary)} words; only tokens have a vocabulary"
            )
        if self.kind == "tokens" and self.x.size and not 0 <= self.x.min() <= self.x.max() < len(self.vocabulary):
            raise DataError(
                f"data set {self.name!r}: tokens from {self.x.min()} to {self.x.max()}; expected 0 to {len(self.vocabulary) - 1}"
            )
        if len(self.x) < 2:
            raise DataError(
                f"data set {self.name!r} has {len(self.x)} example(s); training needs at least 2: give more examples"
            )
        for part, values in {"y": self.y, **self.factors}.items():
            if values is not None and values.shape != (len(self.x),):
                raise DataError(
                    f"data set {self.name!r}: {part} has shape {values.shape}, "
                    f"expected ({len(self.x)},), one value for each example"
                )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        parts = [f"{self.kind} {self.x.shape} {self.x.dtype}"]
        if self.y is not None:
            parts.append(f"{len(np.unique(self.y))} labels")
        if self.factors:
            parts.append(f"factors {', '.join(self.factors)}")
        if self.modes is not None:
            parts.append(f"{len(self.modes)} modes")
        return f"Dataset({self.name!r}: {'; '.join(parts)}{f'; from {self.source}' if self.source else ''})"

    def summary(self) -> str:
        """One line on what was read: "5,000 images, 64 x 64 x 3, 10 labels, range 0..255"."""
        if self.kind in IN_TIME:
            return "; ".join([self._in_time(), *self.notes])
        shape = " x ".join(map(str, self.x.shape[1:]))
        parts = [f"{len(self):,} {self.kind}", shape if self.kind == "images" else f"{shape} coordinates"]
        if self.y is not None:
            parts.append(f"{len(np.unique(self.y))} labels")
        low, high = self.limits or (self.x[:].min(), self.x[:].max())
        parts.append(f"range {low:g}..{high:g}")
        return "; ".join([", ".join(parts), *self.notes])

    def _in_time(self) -> str:
        """What `summary` says of text, sounds and films."""
        n, length = self.x.shape[:2]
        labels = f", {len(np.unique(self.y))} labels" if self.y is not None else ""
        if self.kind == "tokens":
            return f"{n:,} sequences of {length} tokens, a vocabulary of {len(self.vocabulary):,}{labels}"
        if self.kind == "audio":
            seconds = length / self.rate
            return f"{n:,} sounds of {length:,} samples at {self.rate:g} Hz ({seconds:.3g} s), {self.x.shape[2]} channels{labels}"
        size = " x ".join(map(str, self.x.shape[2:]))
        return f"{n:,} films of {length} pictures {size} at {self.rate:g} a second{labels}"


def counted(n: int, what: str) -> str:
    """ "1 picture", "2,000 pictures"."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def stream(seed: int, name: str) -> np.random.Generator:
    """An independent random stream, a pure function of (seed, name).

    Philox4x64 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) keyed by
    (seed mod 2**64, crc32(name)): a fixed hash, because Python's own differs from run to run.
    """
    key = np.array([int(seed) & 0xFFFF_FFFF_FFFF_FFFF, zlib.crc32(name.encode())], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def checked_count(n: int, name: str) -> int:
    """n as an int of at least 2; raises DataError otherwise."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 2:
        raise DataError(f"{name}: n={n!r}; expected a whole number of examples, at least 2")
    return int(n)


def cache_folder() -> Path:
    """$MINIGAN_CACHE, or else the user's cache folder of this platform + "minigan". It may not exist yet."""
    chosen = os.environ.get("MINIGAN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        root = "~/Library/Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(root)) / "minigan"


NO_FILE = "is there, and is no regular file"


def open_file(path: Path, mode: str = "rb") -> IO[bytes]:
    """An ordinary file, as `open` does it; OSError, and no wait for a partner, for a pipe, and for a device."""
    opener = lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0), 0o666)  # noqa: E731
    file = open(path, mode, opener=opener)  # noqa: SIM115 - handed on
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    return file


def read_file(path: Path) -> bytes:
    """All bytes of an ordinary file. OSError as :func:`open_file`."""
    with open_file(path) as file:
        return file.read()


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call write(file) on a temporary neighbour of path, then rename it into place.

    A reader, or a crash half-way, sees the old file or the new one and never a part. Raises OSError; also where there is
    something else of that name, for a rename would put a file in the place of a pipe, or of /dev/null.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, NO_FILE, str(path))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        # mkstemp makes files private; a data file or a picture gets the permissions an ordinary open() gives.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # gone with its folder, or the disk fails: what went wrong first is told
            os.unlink(temporary)
        raise
