"""Samples on the terminal while a run goes on: each character is two pixels, one above the other.

A character is about twice as high as it is wide, so the block `▀` with a colour of its own for its upper and its lower half makes
two nearly square pixels, and w x h characters a picture of w x 2h. The colours are those of the 256 that every terminal with
colours has: a cube of 6 x 6 x 6, and 24 greys between black and white.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np

from minigan.gans.protocol import Picture

BLOCK, END = "\N{UPPER HALF BLOCK}", "\x1b[0m"
SIDE, MOST = 16, 120  # pixels of an image, at most; columns of a preview, at most
PLANE = 28  # pixels of a plane with points, across and down
COLUMNS, LINES = 40, 18  # of a terminal, at least
GREYS = [16, *range(232, 256), 231]  # from black to white, among the 256
REAL, BACKGROUND, SAMPLE = 238, 16, 214  # a dark grey, black, orange


def room() -> int | None:
    """The columns that a preview on stderr may take; None where it is no terminal, or one that is too small, without colours,
    or without blocks."""
    try:
        stream = sys.stderr
        if not stream.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "") or "NO_COLOR" in os.environ:
            return None
        size = os.get_terminal_size(stream.fileno())
        BLOCK.encode(stream.encoding or "ascii")
    except (OSError, ValueError, AttributeError):
        return None
    return min(size.columns, MOST) if size.columns >= COLUMNS and size.lines >= LINES else None


def drawable(picture: object) -> TypeGuard[Picture]:
    """Whether it is of images, or of points with two coordinates or more: not of numbers, text, sounds or films."""
    if not isinstance(picture, Picture) or picture.kind:
        return False
    shape = np.shape(picture.examples)
    return len(shape) == 4 or (len(shape) == 2 and shape[1] > 1)


def lines_of(picture: Picture, columns: int, real: np.ndarray | None = None) -> list[str]:
    """A picture's first row, as lines of at most that many columns.

    Args:
        picture: images (n, H, W, 1 or 3) in [-1, 1], or points (n, d), of which the first two coordinates are seen.
        columns: of the terminal.
        real: real points, which say where the plane ends; they are drawn beneath.
    """
    examples = np.asarray(picture.examples, np.float32)
    if examples.ndim == 4:
        return painted(row_of(examples, columns, picture.columns))
    return painted(plane_of(examples, examples if real is None else real))


def row_of(images: np.ndarray, columns: int, most: int | None = None) -> np.ndarray:
    """As many images as fit side by side, made smaller by the mean of squares of pixels: colours (H, W)."""
    factor = math.ceil(max(images.shape[1:3]) / SIDE)
    height, width = (side // factor for side in images.shape[1:3])
    count = max(1, min(len(images), most or len(images), (columns - 1) // (width + 1)))
    cut = images[:count, : height * factor, : width * factor]
    small = cut.reshape(count, height, factor, width, factor, -1).mean(axis=(2, 4))
    cells = [np.pad(coloured(one), ((0, 0), (0, 1)), constant_values=BACKGROUND) for one in small]
    return np.concatenate(cells, axis=1)[:, :columns]


def plane_of(points: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Points over real ones in a square that is a fifth wider than these: colours (H, W)."""
    low, high = real[:, :2].min(axis=0), real[:, :2].max(axis=0)
    width = 1.2 * max(float((high - low).max()), 1e-6)
    colours = np.full((PLANE, PLANE), BACKGROUND)
    for some, colour in ((real, REAL), (points, SAMPLE)):
        place = ((some[:, :2] - (low + high) / 2) / width + 0.5) * PLANE
        inside = place[((place >= 0) & (place < PLANE)).all(axis=1)].astype(int)  # NaN is nowhere
        colours[PLANE - 1 - inside[:, 1], inside[:, 0]] = colour
    return colours


def coloured(image: np.ndarray) -> np.ndarray:
    """(H, W, C) in [-1, 1], one channel or three, as numbers among the 256 colours; NaN is black."""
    unit = np.clip(np.nan_to_num(image, nan=-1.0) / 2 + 0.5, 0, 1)
    if image.shape[2] == 3:
        return 16 + (np.rint(5 * unit) @ np.array([36, 6, 1])).astype(int)
    return np.array(GREYS)[np.rint(unit[..., 0] * (len(GREYS) - 1)).astype(int)]


def painted(colours: np.ndarray) -> list[str]:
    """Colours (H, W) as H / 2 lines; a colour is named only where it changes."""
    padded = np.pad(colours, ((0, colours.shape[0] % 2), (0, 0)), constant_values=BACKGROUND)
    return [_line(upper, lower) for upper, lower in zip(padded[::2], padded[1::2], strict=True)]


def _line(upper: Sequence[int], lower: Sequence[int]) -> str:
    text, before = [], (-1, -1)
    for pair in zip(upper, lower, strict=True):
        if pair != before:
            text.append(f"\x1b[38;5;{pair[0]};48;5;{pair[1]}m")
        text.append(BLOCK)
        before = pair
    return "".join(text) + END
