"""Films: GIF files (by Pillow) as clips (N, T, H, W, C) in [-1, 1] with a rate."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from minigan.data.base import READ_ERRORS, DataError, Dataset, checked_count
from minigan.data.images import from_uint8

LENGTH = 8  # pictures of a clip, where nobody says how many
MOST_REPEATED = 20  # pictures for each that is stored, on average
RATE = 8.0  # pictures a second, where a file does not say


def load_films(path: str, *, n: int | None = None, length: int | None = None) -> Dataset:
    """A GIF, or a folder of them, cut into clips of `length` pictures (8); what does not fill one is left out. Grey where all are
    grey. Raises DataError: no such file, another format, films of several sizes, fewer than two clips."""
    length = LENGTH if length is None else length
    names = sorted(str(p) for p in Path(path).glob("*.[gG][iI][fF]")) if os.path.isdir(path) else [path]
    if not names:
        raise DataError(f"{path}: holds no .gif files")
    films = [_read(name) for name in names]
    sizes = {frames.shape[1:3] for frames, _ in films}
    if len(sizes) > 1:
        raise DataError(f"{path}: holds films of several sizes, {sorted(sizes)[:4]}; expected one: convert them")
    clips = np.concatenate([f[: len(f) // length * length].reshape(-1, length, *f.shape[1:]) for f, _ in films])
    if len(clips) < 2:
        raise DataError(
            f"{path}: holds {len(clips)} clips of {length} pictures; expected at least 2: give a smaller --length"
        )
    if n is not None:
        if checked_count(n, path) > len(clips):
            raise DataError(f"{path}: n={n}, but there are {len(clips)} clips of {length}: ask for that many or fewer")
        clips = clips[:n]
    grey = bool((clips == clips[..., :1]).all())
    x = from_uint8(np.ascontiguousarray(clips[..., :1] if grey else clips))
    left = sum(len(f) % length for f, _ in films)
    notes = (f"{left} pictures at the end left out",) if left else ()
    return Dataset(path, x, None, "video", source=path, notes=notes, own=True, rate=films[0][1])


def _read(path: str) -> tuple[np.ndarray, float]:
    """(T, H, W, 3) uint8, on white where transparent, and the rate. A picture that stands for several beats, as writers make of
    equal ones, is repeated; the beat is the longest time of which all pictures take whole numbers."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as image:
            if image.format != "GIF":
                raise DataError(f"{path}: is {image.format} by its content; expected GIF")
            frames, times = [], []
            for frame in ImageSequence.Iterator(image):
                times.append(frame.info.get("duration", 0))
                white = Image.new("RGBA", frame.size, "white")
                frames.append(np.asarray(Image.alpha_composite(white, frame.convert("RGBA")).convert("RGB")))
    except READ_ERRORS as error:
        raise (
            error if isinstance(error, DataError) else DataError(f"{path}: cannot be read as GIF ({error})")
        ) from error
    beat = math.gcd(*(round(time) for time in times))
    if beat <= 0 or min(times) <= 0:
        return np.stack(frames), RATE
    counts = [round(time) // beat for time in times]
    if sum(counts) > MOST_REPEATED * len(frames):
        raise DataError(
            f"{path}: its pictures take {min(times):g} to {max(times):g} ms, which have no common beat; expected one rate"
        )
    return np.repeat(np.stack(frames), counts, axis=0), 1000 / beat
