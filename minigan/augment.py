"""Random changes of images, as differentiable operations: flip, shift, brightness, saturation, contrast, translation, cutout.

`diff_augment` puts them together as Zhao et al. 2020 (DiffAugment, arXiv 2006.10738) do: the discriminator sees T(x) and T(G(z)),
never the images themselves, and the generator's gradient goes through T. Every part, for images x (N, H, W, C):

    flip          y = x mirrored left to right, with probability 1/2
    brightness    y = x + u,                         u uniform in [-1/2, 1/2)
    saturation    y = m + u (x - m),                 u uniform in [0, 2), m the mean over the channels of a pixel
    contrast      y = m + u (x - m),                 u uniform in [1/2, 3/2), m the mean of the image
    translation   y[i, j] = x[i - s, j - t], else 0  s, t whole, uniform in -S..S, S = floor(H ratio + 1/2), for t with W
    cutout        y = 0 in a rectangle, else x       of floor(H ratio + 1/2) x floor(W ratio + 1/2) pixels, its middle anywhere

Each image gets numbers of its own. `p`, a number or a tensor (which a recorded step reads anew), is the probability with which
each part changes each image: p = 1 is DiffAugment; what turns p up while D overfits is ADA (Karras et al. 2020, arXiv
2006.06676).

The numbers are tensors drawn from a `minigan.random.Source`, so that a recorded step draws new ones at every replay; all parts
are affine in x, and have derivatives of every order. 0, the value that is moved in, is mid-grey where images are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.checks import number
from minigan.ops.elementwise import cast, greater, greater_equal, less, negative, where
from minigan.ops.indexing import flip as reverse
from minigan.ops.logical import logical_and
from minigan.ops.reduction import mean
from minigan.ops.shape import concatenate
from minigan.random import Source

POLICY = ("color", "translation", "cutout")


# -- the shift, whose adjoint is the shift back ----------------------------------------------------------------------
def _shift_samples(draw: Any) -> Any:
    shape = (draw.integer(0, 3), draw.integer(1, 4), draw.integer(1, 4), draw.integer(1, 2))
    offsets = np.floor(draw.array((shape[0], 2), -5.0, 5.0)).astype(np.int64)
    return (draw.array(shape), offsets), {}


@primitive(
    (lambda g, _y, _x, offsets: _shift(g, negative(offsets)), lambda _g, _y, _x, _offsets: None),
    samples=_shift_samples,
    kinds="fb",
    name="shift",
)
def _shift(x: Array, offsets: Array) -> Array:
    xp = array_module(x)
    count, height, width = x.shape[:3]
    rows = xp.arange(height) - offsets[:, :1]  # (N, H): where each row comes from
    columns = xp.arange(width) - offsets[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    images = xp.arange(count)[:, None, None]
    y = x[images, rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None, :]]
    return xp.where(inside[..., None], y, x.dtype.type(0))


def shift(x: Any, offsets: Any) -> Tensor:
    """y[n, i, j] = x[n, i - s_n, j - t_n], 0 where that is outside;  dx = g shifted by (-s, -t).

    Args:
        x: images (N, H, W, C).
        offsets: (N, 2) integers, s down and t to the right, of any size.

    Raises:
        TypeError, ValueError: what is no images, or offsets of another kind or shape.
    """
    x, offsets = _images("shift", x), as_tensor(offsets)
    if offsets.shape != (x.shape[0], 2) or offsets.dtype.kind not in "iu":
        raise ValueError(
            f"shift: got offsets {offsets.shape} {offsets.dtype} for images {x.shape}, expected integers ({x.shape[0]}, 2)"
        )
    return _shift(x, offsets)


# -- the parts -------------------------------------------------------------------------------------------------------
def flip(x: Any, random: Source, *, stream: str = "flip", p: Any = 1.0) -> Tensor:
    """Each image mirrored left to right with probability p/2: with p = 1 both ways are as likely."""
    x = _images("flip", x)
    coin = random.bernoulli((len(x), 1, 1, 1), p=0.5, stream=stream)
    return _sometimes("flip", x, where(greater(coin, 0), reverse(x, 2), x), random, stream, p)


def brightness(x: Any, random: Source, *, stream: str = "brightness", p: Any = 1.0) -> Tensor:
    """x + u, u uniform in [-1/2, 1/2), one for each image."""
    x = _images("brightness", x)
    return _sometimes("brightness", x, x + (_uniform(x, random, stream) - 0.5), random, stream, p)


def saturation(x: Any, random: Source, *, stream: str = "saturation", p: Any = 1.0) -> Tensor:
    """m + u (x - m), u uniform in [0, 2), m the mean over the channels of each pixel: grey at 0, unchanged at 1. Grey images stay
    as they are."""
    x = _images("saturation", x)
    if x.shape[3] == 1:
        return x
    grey = mean(x, axis=3, keepdims=True)
    return _sometimes("saturation", x, (x - grey) * (_uniform(x, random, stream) * 2.0) + grey, random, stream, p)


def contrast(x: Any, random: Source, *, stream: str = "contrast", p: Any = 1.0) -> Tensor:
    """m + u (x - m), u uniform in [1/2, 3/2), m the mean of each image over pixels and channels."""
    x = _images("contrast", x)
    level = mean(x, axis=(1, 2, 3), keepdims=True)
    return _sometimes("contrast", x, (x - level) * (_uniform(x, random, stream) + 0.5) + level, random, stream, p)


def color(x: Any, random: Source, *, stream: str = "color", p: Any = 1.0) -> Tensor:
    """Brightness, then saturation, then contrast."""
    for part in (brightness, saturation, contrast):
        x = part(x, random, stream=f"{stream}/{part.__name__}", p=p)
    return as_tensor(x)


def translation(x: Any, random: Source, *, stream: str = "translation", p: Any = 1.0, ratio: float = 0.125) -> Tensor:
    """Each image moved by whole pixels, up to `ratio` of its height and width each way; zeros come in from outside."""
    x = _images("translation", x)
    number("translation", "ratio", ratio, low=0, high=1)
    moves = []
    for side, name in zip(x.shape[1:3], ("down", "right"), strict=True):
        most = int(side * ratio + 0.5)
        moves.append(random.integers((len(x), 1), low=-most, high=most + 1, stream=f"{stream}/{name}"))
    return _sometimes("translation", x, _shift(x, concatenate(moves, 1)), random, stream, p)


def cutout(x: Any, random: Source, *, stream: str = "cutout", p: Any = 1.0, ratio: float = 0.5) -> Tensor:
    """A rectangle of each image set to 0: `ratio` of its height and width, its middle anywhere in the image (and so a part of it
    may lie outside)."""
    x = _images("cutout", x)
    number("cutout", "ratio", ratio, low=0, high=1)
    hole: Tensor | None = None
    for axis, name in ((1, "row"), (2, "column")):
        side = x.shape[axis]
        length = int(side * ratio + 0.5)
        middles = side + 1 - length % 2  # an even length has its middle between two pixels, or at either border
        first = random.integers((len(x), 1, 1, 1), high=middles, stream=f"{stream}/{name}") - length // 2
        places = array_module(x._data).arange(side).reshape([-1 if i == axis else 1 for i in range(4)])
        band = logical_and(greater_equal(places, first), less(places, first + length))
        hole = band if hole is None else logical_and(hole, band)
    assert hole is not None
    return _sometimes("cutout", x, where(hole, 0.0, x), random, stream, p)


PARTS: dict[str, Callable[..., Tensor]] = {
    "flip": flip,
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def diff_augment(
    x: Any, random: Source, *, stream: str = "augment", policy: Sequence[str] = POLICY, p: Any = 1.0
) -> Tensor:
    """The parts of `policy`, one after the other.

        fake = augment.diff_augment(G(z), random)
        real = augment.diff_augment(batch, random)

    Two calls in one step draw different numbers. The loss of D and that of G both read T(G(z)).

    Args:
        x: images (N, H, W, C), floats, in [-1, 1] (what comes out may be outside).
        random: where the numbers come from; stream: the name they are drawn under, each part's after it.
        policy: names of `PARTS`.
        p: probability in [0, 1] with which each part changes each image; a number, or a tensor.

    Raises:
        TypeError, ValueError: what is no images, an unknown part, or a number p outside [0, 1].
    """
    if isinstance(policy, str):
        raise TypeError(f"diff_augment: got policy {policy!r}, expected a sequence of names, such as ({policy!r},)")
    if unknown := [name for name in policy if name not in PARTS]:
        raise ValueError(f"diff_augment: got {unknown[0]!r} in policy, expected names of {', '.join(PARTS)}")
    y = _images("diff_augment", x)
    for name in policy:
        y = PARTS[name](y, random, stream=f"{stream}/{name}", p=p)
    return y


# -- what they share -------------------------------------------------------------------------------------------------
def _images(owner: str, x: Any) -> Tensor:
    x = as_tensor(x)
    if x.ndim != 4 or x.dtype.kind != "f":
        raise ValueError(f"{owner}: got {x.shape} {x.dtype}, expected float images (N, H, W, C)")
    return x


def _uniform(x: Tensor, random: Source, stream: str) -> Tensor:
    """One number in [0, 1) for each image, in x's dtype."""
    u = random.uniform((len(x), 1, 1, 1), stream=stream)
    return u if u.dtype == x.dtype else cast(u, dtype=x.dtype)


def _sometimes(owner: str, x: Tensor, changed: Tensor, random: Source, stream: str, p: Any) -> Tensor:
    """`changed` with probability p, one decision for each image, else x."""
    if not isinstance(p, Tensor):
        number(owner, "p", p, low=0, high=1)
        if p == 1:
            return changed
    chosen = random.bernoulli((len(x), 1, 1, 1), p=p, stream=f"{stream}/whether")
    return where(greater(chosen, 0), changed, x)
