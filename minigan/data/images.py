"""Arrays to pictures: 8-bit conversion, contact sheets, PNG and GIF files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minigan.data.base import DataError, write_atomically


def to_uint8(x: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to 0..255: round(127.5 (x + 1)), clipped; NaN becomes 0. Any shape; uint8 passes."""
    x = np.asarray(x)
    if x.dtype == np.uint8:
        return x
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"to_uint8: received dtype {x.dtype}, expected floats in [-1, 1] or uint8")
    scaled = np.rint(np.clip(np.nan_to_num(x, nan=-1.0), -1.0, 1.0) * 127.5 + 127.5)
    return scaled.astype(np.uint8)


def from_uint8(x: np.ndarray) -> np.ndarray:
    """0..255 to float32 in [-1, 1]: x / 127.5 - 1, undone by to_uint8. Raises DataError for others."""
    x = np.asarray(x)
    if x.dtype != np.uint8:
        raise DataError(f"from_uint8: received dtype {x.dtype}, expected uint8")
    out = x.astype(np.float32)
    out /= np.float32(127.5)
    out -= np.float32(1)
    return out


def make_grid(images: np.ndarray, *, columns: int | None = None, padding: int = 2) -> np.ndarray:
    """A contact sheet, uint8 (rows (H + p) + p, columns (W + p) + p, C) with p = padding, row by row.

    images: (N, H, W, C) or (N, H, W), floats in [-1, 1] or uint8, C 1 or 3. columns: ceil(sqrt N) by default.
    Padding and unused places are mid-grey. Raises DataError for other shapes, no image, or columns < 1.
    """
    pictures = to_uint8(images)
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    if pictures.ndim != 4 or pictures.shape[-1] not in (1, 3) or pictures.size == 0:
        raise DataError(f"make_grid: received shape {np.shape(images)}, expected (N, H, W, C) with C 1 or 3")
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or padding < 0:
        raise DataError(f"make_grid: columns={columns}, padding={padding}; expected >= 1 and >= 0")
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height + padding, width + padding, channels), 128, dtype=np.uint8)
    cells[:count, padding:, padding:] = pictures
    cells = cells.reshape(rows, columns, height + padding, width + padding, channels)
    sheet = cells.swapaxes(1, 2).reshape(rows * (height + padding), columns * (width + padding), channels)
    return np.pad(sheet, ((0, padding), (0, padding), (0, 0)), constant_values=128)


def _picture(array: np.ndarray, caller: str) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3), the two layouts Pillow writes."""
    pixels = to_uint8(array)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 3)):
        raise DataError(f"{caller}: received shape {np.shape(array)}, expected (H, W), (H, W, 1) or (H, W, 3)")
    return np.ascontiguousarray(pixels)


def save_png(path: str | Path, array: np.ndarray) -> None:
    """Write one picture, (H, W), (H, W, 1) or (H, W, 3), uint8 or floats in [-1, 1]; whole or not at all.

    Raises DataError for another shape, OSError when the file cannot be written.
    """
    from PIL import Image

    picture = Image.fromarray(_picture(array, "save_png"))
    write_atomically(Path(path), lambda file: picture.save(file, format="PNG"))


def save_gif(path: str | Path, frames: Iterable[np.ndarray], *, fps: float) -> None:
    """Write an endless animation of frames, each as in save_png and all of one shape, fps frames a second.

    GIF counts in hundredths of a second, and viewers slow down below two of them: fps is at most 50.
    Raises DataError for no frames, unequal shapes or a bad fps; OSError when the file cannot be written.
    """
    from PIL import Image

    if not 0 < fps <= 50:
        raise DataError(f"save_gif: fps={fps!r}; expected more than 0 and at most 50")
    pictures = [_picture(frame, "save_gif") for frame in frames]
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) != 1:
        raise DataError(f"save_gif: frames of shapes {shapes}; expected one or more frames of one shape")
    first, *rest = [Image.fromarray(picture) for picture in pictures]
    duration = 10 * max(2, round(100 / fps))
    write_atomically(
        Path(path),
        lambda file: first.save(file, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0),
    )
