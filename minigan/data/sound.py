"""Sounds: WAV files (by the standard library's `wave`) as pieces (N, L, C) in [-1, 1] with a rate, and back."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, read_file, write_atomically

LENGTH = 1024  # samples of a piece, where nobody says how many
_SCALE = {1: 128.0, 2: 32768.0, 3: 8388608.0, 4: 2147483648.0}  # by the bytes of a sample: what becomes 1


def load_sounds(path: str, *, n: int | None = None, length: int | None = None) -> Dataset:
    """A WAV file, or a folder of them, cut into pieces of `length` samples (1,024); what does not fill one is left out.

    Whole numbers of 8 (unsigned), 16, 24 and 32 bits are divided by 2^(bits - 1). Raises DataError: no such file, another
    encoding, files of several rates or numbers of channels, fewer than two pieces.
    """
    length = LENGTH if length is None else length
    names = sorted(str(p) for p in Path(path).glob("*.[wW][aA][vV]")) if os.path.isdir(path) else [path]
    if not names:
        raise DataError(f"{path}: holds no .wav files")
    sounds = [_read(name) for name in names]
    forms = {(rate, x.shape[1]) for x, rate in sounds}
    if len(forms) > 1:
        told = ", ".join(f"{rate} Hz with {channels} channels" for rate, channels in sorted(forms))
        raise DataError(f"{path}: holds sounds of {told}; expected one rate and one number of channels: convert them")
    rate, channels = forms.pop()
    pieces = [x[: len(x) // length * length].reshape(-1, length, channels) for x, _ in sounds]
    x = np.concatenate(pieces)
    if len(x) < 2:
        raise DataError(
            f"{path}: holds {len(x)} pieces of {length} samples; expected at least 2: give a smaller --length"
        )
    if n is not None:
        if checked_count(n, path) > len(x):
            raise DataError(f"{path}: n={n}, but there are {len(x)} pieces of {length}: ask for that many or fewer")
        x = x[:n]
    left = sum(len(whole) % length for whole, _ in sounds)
    notes = (f"{left} samples at the end left out",) if left else ()
    return Dataset(path, x, None, "audio", source=path, notes=notes, own=True, rate=float(rate))


def _read(path: str) -> tuple[np.ndarray, int]:
    """(samples, channels) float32 and the rate."""
    try:
        with wave.open(io.BytesIO(read_file(Path(path)))) as file:
            channels, width, rate, count, *_ = file.getparams()
            raw = file.readframes(count)
    except (OSError, EOFError, wave.Error, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as WAV ({error}); expected whole numbers (PCM), not compressed"
        ) from error
    if width not in _SCALE or len(raw) % (width * channels):
        raise DataError(
            f"{path}: WAV with samples of {width} bytes, {len(raw)} bytes in all; expected 1 to 4, and whole samples"
        )
    if width == 1:
        x = np.frombuffer(raw, np.uint8).astype(np.float32) - 128
    elif width == 3:  # into the upper bytes of 32 bits, which keeps the sign
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        x = (wide.view("<i4")[:, 0] / 256).astype(np.float32)
    else:
        x = np.frombuffer(raw, f"<i{width}").astype(np.float32)
    return (x / np.float32(_SCALE[width])).reshape(-1, channels), rate


def save_sounds(path: Path, x: np.ndarray, rate: float, *, gap: float = 0.25) -> None:
    """Pieces (N, L, C) one behind the other, `gap` seconds of silence between them, in 16 bits: round(32767 x), clipped."""
    n, _, channels = x.shape
    silence = np.zeros((n, round(gap * rate), channels), np.float32)
    joined = np.concatenate([np.nan_to_num(x), silence], axis=1).reshape(-1, channels)
    words = np.rint(np.clip(joined, -1, 1) * 32767).astype("<i2")
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes(words.tobytes())
    write_atomically(path, lambda file: file.write(held.getvalue()))
