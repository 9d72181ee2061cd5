"""Data sets made from others by a known map: `BASE+MAP`, as in "glyphs+edges", "mnist+textured", "photos/+grey".

Image i of the derived set is made of image i of the base: read side by side the two are pairs, read apart they are two domains
whose true relation is known, so that what a model says of it can be measured. Labels and factors stay. Several maps are taken
from left to right: "mnist+inverted+edges".

    inverted   y = -x
    tinted     black ink on yellow paper: y = PAPER + (x + 1)/2 (INK - PAPER) of a grey x
    coloured   on black in one hue an image, drawn evenly (`transforms.colour`)
    textured   the absolute difference to a random field of soft colours, channel by channel: what MNIST-M takes photographs for
               (Ganin et al. 2015, arXiv 1505.07818, section 5)
    edges      white where Sobel's gradient of the grey image, |(g_x, g_y)|/4 with black at 0 and white at 1, is above 1/2
    grey       .299 R + .587 G + .114 B

The results are kept as bytes (:class:`minigan.data.pixels.Pixels`): rounded to 255 steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigan.data.base import DataError, Dataset, stream
from minigan.data.images import to_uint8
from minigan.data.pixels import Pixels
from minigan.data.transforms import colour, hues, resize

INK, PAPER = np.array([-1.0, -1.0, -0.6], np.float32), np.array([1.0, 0.7, 0.0], np.float32)
GREY = np.array([0.299, 0.587, 0.114], np.float32)
STEEP = 0.5  # from which slope on there is an edge; a step from black to white has 1
CELLS = 4  # of a side of a random field of colours
SHADE, GRAIN = (
    0.5,
    0.3,
)  # of the colour that all of a field has, and of what differs within it, between black, 0, and white, 1
PART = 500  # images that are floats at a time

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Map:
    """How images become others.

    about: a line for `minigan datasets`. change: of images (n, H, W, C) in [-1, 1], and, where `numbers` is not 0, as many
    numbers in [0, 1) an image, (n, numbers). back: the map's inverse on its images, where it has one.
    """

    about: str
    change: Callable[..., np.ndarray]
    numbers: int = 0
    back: Change | None = None


def _grey(x: np.ndarray) -> np.ndarray:
    return (x @ GREY)[..., None] if x.shape[-1] == 3 else x


def _only_grey(x: np.ndarray, name: str) -> np.ndarray:
    if x.shape[-1] != 1:
        raise DataError(f"{name}: got images {x.shape[1:]}, expected grey ones; +grey before it makes them so")
    return x


def _tinted(x: np.ndarray) -> np.ndarray:
    return PAPER + (_only_grey(x, "tinted") + 1) / 2 * (INK - PAPER)


def _untinted(y: np.ndarray) -> np.ndarray:
    across = INK - PAPER
    return 2 * ((y - PAPER) @ across / (across @ across))[..., None] - 1


def _coloured(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    return colour(_only_grey(x, "coloured"), hues(u[:, 0]))


def _textured(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    colours, cells = np.split(u.astype(np.float32), [3], axis=1)
    field = SHADE * colours.reshape(-1, 1, 1, 3) + GRAIN * resize(cells.reshape(-1, CELLS, CELLS, 3), x.shape[1:3])
    return 2 * np.abs(field - (x + 1) / 2) - 1


def _edges(x: np.ndarray) -> np.ndarray:
    grey = (np.pad(_grey(x)[..., 0], ((0, 0), (1, 1), (1, 1)), mode="edge") + 1) / 2
    smooth = [np.array([1, 2, 1]), np.array([-1, 0, 1])]
    slopes = []
    for rows, columns in (smooth, smooth[::-1]):
        taken = sum(w * grey[:, i : grey.shape[1] - 2 + i] for i, w in enumerate(rows))
        slopes.append(sum(w * taken[:, :, i : grey.shape[2] - 2 + i] for i, w in enumerate(columns)) / 4)
    return np.where(np.hypot(*slopes) > STEEP, np.float32(1), np.float32(-1))[..., None]


MAPS = {
    "inverted": Map("black and white exchanged", np.negative, back=np.negative),
    "tinted": Map("black ink on yellow paper; of grey images", _tinted, back=_untinted),
    "coloured": Map(
        "in one random hue each, on black; of grey images", _coloured, 1, lambda y: y.max(-1, keepdims=True)
    ),
    "textured": Map("the difference to a random field of soft colours, as MNIST-M", _textured, 3 + 3 * CELLS**2),
    "edges": Map("outlines by Sobel's gradient", _edges),
    "grey": Map("in one channel", _grey),
}


def split(name: str) -> tuple[str, list[str]]:
    """("glyphs", ["edges"]) of "glyphs+edges"; a name without maps, and a path that exists, by itself."""
    base, maps = name, list[str]()
    while not os.path.exists(base):
        rest, plus, last = base.rpartition("+")
        if not plus or not rest or last not in MAPS:
            break
        base, maps = rest, [last, *maps]
    return base, maps


def joined(base: str, maps: list[str]) -> str:
    """The name of which :func:`split` makes these."""
    return "+".join([base, *maps])


def derive(found: Dataset, maps: list[str], name: str, *, seed: int, lazy: bool = False) -> Dataset:
    """A set of images changed by these maps, one after the other.

    seed: of the numbers that random maps draw, image by image. lazy: keep `x` as bytes.

    Raises:
        DataError: points, or images that a map is not for.
    """
    if found.kind != "images":
        raise DataError(f"{name}: {found.name} holds points, and {', '.join(maps)} are maps of images")
    x: Any = found.x
    for number, each in enumerate(maps):
        x = _mapped(MAPS[each], x, stream(seed, f"{each} {number}"))
    source = ", ".join([found.source, *maps])
    return replace(found, name=name, x=x if lazy else np.asarray(x), source=source, limits=None)


def _mapped(chosen: Map, x: Any, random: np.random.Generator) -> Pixels:
    stored = None
    for start in range(0, len(x), PART):
        part = np.asarray(x[start : start + PART])
        drawn = [random.random((len(part), chosen.numbers))] if chosen.numbers else []
        made = to_uint8(chosen.change(part, *drawn))
        if stored is None:
            stored = np.empty((len(x), *made.shape[1:]), np.uint8)
        stored[start : start + PART] = made
    assert stored is not None
    return Pixels(stored)


def known_map(a: str, b: str) -> Change | None:
    """The true map from the images of one data set to those of another, by their names; None where there is no single one.

    From "glyphs" to "glyphs+edges" it is `edges`, from "glyphs+coloured" to "glyphs" the inverse of `coloured`. A map that draws
    numbers has none, and one that loses something no inverse.
    """
    (base, before), (other, after) = split(a), split(b)
    if base != other or a == b:
        return None
    if after[: len(before)] == before:
        chosen = [MAPS[each] for each in after[len(before) :]]
        return None if any(m.numbers for m in chosen) else _chain([m.change for m in chosen])
    if before[: len(after)] == after:
        backwards = [MAPS[each].back for each in reversed(before[len(after) :])]
        return _chain([back for back in backwards if back]) if all(backwards) else None
    return None


def _chain(changes: list[Change]) -> Change:
    def change(x: np.ndarray) -> np.ndarray:
        for each in changes:
            x = each(x)
        return np.clip(x, -1, 1).astype(np.float32)

    return change
