"""The embedded data set: digits and letters drawn from the typefaces that ship inside matplotlib.

It needs no network and no file, and every true factor of every image is known: what InfoGAN has to discover
can be compared with what was really varied.

How an image is made. The outline of each (typeface, character) is turned once into a signed distance field
(Green 2007, "Improved alpha-tested magnification for vector textures and special effects"): the distance to
the outline, positive inside. A thicker stroke is then the same field plus a constant, and an antialiased edge
is a ramp across the zero level. An image samples the field through the inverse of its affine map, at 2x2
points a pixel.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import string
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.base import (
    READ_ERRORS,
    DataError,
    Dataset,
    cache_folder,
    checked_count,
    stream,
    write_atomically,
)
from minigan.data.images import from_uint8

SIZE = 28
ALPHABETS = {
    "digits": string.digits,
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
}
# The text faces in matplotlib's folder; the others hold symbols only. factors["font"] indexes this tuple.
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmti10", "cmss10", "cmtt10",
)  # fmt: skip
# The range each factor is drawn from, uniformly: radians, a slope, a ratio, and pixels for the last three.
RANGES = {
    "rotation": (-0.2, 0.2),
    "shear": (-0.25, 0.25),
    "scale": (0.8, 1.02),
    "stroke": (0.1, 0.7),
    "dx": (-1.2, 1.2),
    "dy": (-1.2, 1.2),
}

_BOX = 20.0  # a glyph is fitted into this box, as MNIST's are, leaving 4 pixels of margin
_DIAGONAL = 25.0  # and into this circle, so that a wide letter does not leave the image when it turns
_HALF = 14.0  # the field covers [-14, 14]^2 pixels
_CELLS = 57  # with this many samples a side: one every half pixel
_BATCH = 32  # images at a time: the temporaries then stay in the processor's cache
_FORMAT = 1  # raised when the drawing changes, so that old cache files are not used


def draw_glyphs(n: int = 10_000, seed: int = 0, *, alphabet: str = "digits", cache: bool = True) -> Dataset:
    """n images (n, 28, 28, 1) float32 in [-1, 1], white on black, with labels and true factors.

    Image i is a pure function of (seed, alphabet, i): it does not depend on n.

    alphabet: "digits", "upper", "lower", or the characters themselves, such as "01" or "abcXYZ".
    y: the position in the alphabet. factors, each (n,): label, font (index into FONTS), rotation (radians,
    counter-clockwise), shear (slope, positive leans right), scale, stroke (pixels added on each side of every
    stroke), dx and dy (pixels right and down). A point g of the glyph, y upwards, lands at
    p = centre + (dx, -dy) + scale R(rotation) [[1, shear], [0, 1]] g.
    cache: keep the images in the user's cache folder ($MINIGAN_CACHE). A broken cache file is remade, and a
    folder that cannot be written is passed over.

    Raises DataError for n < 2, an unknown alphabet, or typefaces missing from matplotlib.
    """
    n = checked_count(n, "glyphs")
    characters = _characters(alphabet)
    factors = draw_factors(n, seed, letters=len(characters))
    path = _cache_path(characters, seed) if cache else None
    pixels = _read_cache(path, n) if path else None
    if pixels is None:
        pixels = _render(characters, factors)
        if path:
            _write_cache(path, pixels)
    source = f"{alphabet} drawn from {len(FONTS)} typefaces, seed {seed}"
    return Dataset("glyphs", from_uint8(pixels), factors["label"], "images", factors, source=source)


def _characters(alphabet: str) -> str:
    characters = ALPHABETS.get(alphabet, alphabet) if isinstance(alphabet, str) else ""
    allowed = set(string.digits + string.ascii_letters)
    if not characters or not set(characters) <= allowed or len(set(characters)) != len(characters):
        raise DataError(
            f"glyphs: alphabet {alphabet!r}; expected one of {', '.join(ALPHABETS)}, or different "
            "characters out of 0-9, A-Z, a-z"
        )
    return characters


def draw_factors(n: int, seed: int, *, letters: int = 10) -> dict[str, np.ndarray]:
    """The generating factors of images 0..n-1, each (n,): label and font int64, the others float64 in RANGES.

    Each factor has its own stream, so they are independent and the first n values do not depend on n.
    """

    def uniform(name: str) -> np.ndarray:
        return stream(seed, f"glyphs/{name}").random(n)

    factors: dict[str, np.ndarray] = {
        "label": (uniform("label") * letters).astype(np.int64),
        "font": (uniform("font") * len(FONTS)).astype(np.int64),
    }
    for name, (low, high) in RANGES.items():
        factors[name] = low + (high - low) * uniform(name)
    return factors


# ---- outlines to distance fields


def _outline(font: str, character: str) -> np.ndarray:
    """The closed outline as straight segments (S, 2, 2), in pixels, y upwards, centred, fitted to _BOX."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    file = os.path.join(get_data_path(), "fonts", "ttf", f"{font}.ttf")
    try:
        path = TextPath((0, 0), character, size=100, prop=FontProperties(fname=file))
    except (OSError, RuntimeError) as error:
        raise DataError(f"glyphs: typeface {file} cannot be read ({error}); reinstall matplotlib") from error
    steps = np.linspace(0, 1, 5)  # on a 5-pixel radius, 0.03 pixel from the true arc
    pieces = []
    curves: Any = path.iter_bezier()  # matplotlib's own annotation leaves out the code
    for curve, code in curves:
        if code == path.MOVETO:
            continue
        points = curve(steps if len(curve.control_points) > 2 else steps[[0, -1]])
        pieces.append(np.stack([points[:-1], points[1:]], axis=1))
    segments = np.concatenate(pieces)
    segments = segments[(segments[:, 0] != segments[:, 1]).any(axis=1)]
    low, high = segments.min(axis=(0, 1)), segments.max(axis=(0, 1))
    extent = high - low
    fit = min(_BOX / extent.max(), _DIAGONAL / math.hypot(*extent))
    return (segments - (low + high) / 2) * fit


def _signed_distance(segments: np.ndarray) -> np.ndarray:
    """Distance to the outline on the grid, (_CELLS, _CELLS) float32, positive inside; row 0 is the top.

    To one segment from a to b, with e = b - a: |p - a - e clip((p - a).e / |e|^2, 0, 1)|. Inside is where the
    winding number (signed crossings of the ray to the right) is not 0, the rule TrueType is defined by.
    """
    axis = np.linspace(-_HALF, _HALF, _CELLS, dtype=np.float32)
    (ax, ay), (bx, by) = segments.astype(np.float32).transpose(1, 2, 0)
    ex, ey = bx - ax, by - ay
    # Divided by |e|^2 once, so that the row loop only multiplies.
    ux, uy = ex / (ex * ex + ey * ey), ey / (ex * ex + ey * ey)
    qx = axis[:, None] - ax
    qx_ux = qx * ux
    field = np.empty((_CELLS, _CELLS), dtype=np.float32)
    for row, py in enumerate(axis[::-1]):
        qy = py - ay
        along = np.clip(qx_ux + qy * uy, 0, 1)
        distance = np.sqrt((np.square(qx - along * ex) + np.square(qy - along * ey)).min(axis=1))
        crossing = (ay <= py) != (by <= py)
        direction = np.sign(ey[crossing])
        on_the_right = (ex * qy - ey * qx)[:, crossing] * direction > 0
        winding = (on_the_right * direction).sum(axis=1)
        field[row] = np.where(winding != 0, distance, -distance)
    return field


@lru_cache(maxsize=4)
def _atlas(characters: str) -> np.ndarray:
    """The fields of every (font, character), flat: float32 (len(FONTS) * len(characters) * _CELLS^2,)."""
    fields = [_signed_distance(_outline(font, char)) for font in FONTS for char in characters]
    return np.stack(fields).reshape(-1)


# ---- distance fields to images


def _render(characters: str, factors: dict[str, np.ndarray]) -> np.ndarray:
    """uint8 images (n, 28, 28, 1)."""
    atlas = _atlas(characters)
    n = len(factors["label"])
    out = np.empty((n, SIZE, SIZE, 1), dtype=np.uint8)
    for start in range(0, n, _BATCH):
        part = slice(start, start + _BATCH)
        values = {name: value[part, None, None] for name, value in factors.items()}
        out[part, :, :, 0] = _draw(atlas, len(characters), values)
    return out


def _draw(atlas: np.ndarray, letters: int, factors: dict[str, np.ndarray]) -> np.ndarray:
    """One batch of uint8 images (b, 28, 28); each factor is (b, 1, 1)."""
    gx, gy = _glyph_coordinates(factors)
    glyph = (factors["font"] * letters + factors["label"]).astype(np.int32) * np.int32(_CELLS**2)
    distance = _bilinear(atlas, glyph, gx, gy)
    scale, stroke = (factors[name].astype(np.float32) for name in ("scale", "stroke"))
    # In output pixels; samples are half a pixel apart, so the edge's ramp is half a pixel wide.
    coverage = np.clip((distance * scale + stroke) * 2 + np.float32(0.5), 0, 1)
    # Four slices added by hand: a fixed order of summation, whatever the batch.
    total = coverage[:, ::2, ::2] + coverage[:, 1::2, ::2] + coverage[:, ::2, 1::2] + coverage[:, 1::2, 1::2]
    return np.rint(total * np.float32(255 / 4)).astype(np.uint8)


def _glyph_coordinates(factors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Where each sample (2 * 28 a side) lies in the field, in cells: the inverse of draw_glyphs' map."""
    axis = (np.arange(2 * SIZE, dtype=np.float32) + np.float32(0.5)) / 2 - np.float32(SIZE / 2)
    cos, sin = np.cos(factors["rotation"]), np.sin(factors["rotation"])
    cells = (_CELLS - 1) / (2 * _HALF)
    zoom = cells / factors["scale"]
    middle = (_CELLS - 1) / 2
    x = axis[None, None, :] - factors["dx"].astype(np.float32)
    y = factors["dy"].astype(np.float32) - axis[None, :, None]
    xx, xy = cos - factors["shear"] * -sin, sin - factors["shear"] * cos
    gx = (zoom * xx).astype(np.float32) * x + ((zoom * xy).astype(np.float32) * y + np.float32(middle))
    # Rows of the field run downwards, hence the minus sign.
    gy = (zoom * sin).astype(np.float32) * x - ((zoom * cos).astype(np.float32) * y - np.float32(middle))
    return gx, gy


def _bilinear(atlas: np.ndarray, base: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """The field at (gx, gy); beyond its border, where all is background, the border's value."""
    top = np.float32(_CELLS - 1.001)
    gx, gy = np.clip(gx, 0, top), np.clip(gy, 0, top)
    column, row = gx.astype(np.int32), gy.astype(np.int32)
    gx -= column
    gy -= row
    index = base + row * np.int32(_CELLS) + column
    upper, lower = atlas[index], atlas[index + _CELLS]
    upper += (atlas[index + 1] - upper) * gx
    lower += (atlas[index + (_CELLS + 1)] - lower) * gx
    upper += (lower - upper) * gy
    return upper


# ---- the cache: one file for each (alphabet, seed), holding the longest set made so far


def _cache_path(characters: str, seed: int) -> Path:
    version = importlib.metadata.version("matplotlib")
    key = zlib.crc32(f"{_FORMAT}|{version}|{characters}|{RANGES}|{FONTS}".encode())
    return cache_folder() / f"glyphs-{key:08x}-{int(seed)}.npz"


def _read_cache(path: Path, n: int) -> np.ndarray | None:
    """The first n cached images, or None. A file that cannot be read is removed, to be made again."""
    if not path.is_file():
        return None
    try:
        # Opened here, because np.load leaves a file open that turns out not to be an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            pixels = archive["pixels"]
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIZE, SIZE, 1):
            raise ValueError(f"holds {pixels.dtype} {pixels.shape}")
    except READ_ERRORS:
        _remove(path)
        return None
    return pixels[:n] if len(pixels) >= n else None


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False  # someone else's folder: writing the new file will fail as well, and is allowed to
    return True


def _write_cache(path: Path, pixels: np.ndarray) -> bool:
    """Whether the file was written; a full disk or a read-only folder costs only time on the next start."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: np.savez(file, pixels=pixels))
    except OSError:
        return False
    return True
