"""Images made into others: grey ones coloured, inverted, resized. All three are affine in the pixels.

Each takes a tensor, an array (NumPy's or CuPy's) or a :class:`Dataset`, and returns the same kind: tensors stay in their graph.
Images are (N, H, W, C) in [-1, 1], and so are the results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import to_device
from minigan.checks import whole
from minigan.data.base import DataError, Dataset, stream

T = TypeVar("T")


def _changed(owner: str, images: T, change: Callable[[Tensor], Tensor], channels: int | None = None) -> T:
    """`change` on images of any kind, checked."""
    given: Any = images.x if isinstance(images, Dataset) else images
    x = ops.as_tensor(given)
    if x.ndim != 4 or not x.size or x.dtype.kind != "f" or (channels and x.shape[-1] != channels):
        wanted = channels or "C"
        raise DataError(f"{owner}: got {x.shape} {x.dtype}, expected float images (N, H, W, {wanted}) in [-1, 1]")
    y = change(x)
    if isinstance(images, Dataset):
        return replace(images, x=np.ascontiguousarray(y.numpy()))
    return y if isinstance(images, Tensor) else y.data  # type: ignore[return-value]


def invert(images: T) -> T:
    """-x: white on black becomes black on white."""
    return _changed("invert", images, ops.negative)


def colour(images: T, colours: Any = None, *, seed: int = 0) -> T:
    """Grey images (N, H, W, 1) in colour: y = -1 + (x + 1)/2 (c + 1), black where x is -1 and the colour c where x is 1.

    Args:
        images: see the module.
        colours: c, (N, 3) or (3,) in [-1, 1]; by default each image gets a hue of its own, fully saturated, uniform in [0, 1)
            and a pure function of (seed, N). A Dataset then gets the factor "hue", (N,).
        seed: of the hues.

    Raises:
        DataError: images that are not grey, or colours of another shape or range.
    """
    count = len(images.x if isinstance(images, Dataset) else images)  # type: ignore[arg-type]
    drawn = stream(seed, "colour").random(count) if colours is None else None
    c = np.asarray(hues(drawn) if drawn is not None else colours, np.float64)
    if c.shape not in ((3,), (count, 3)) or not (np.abs(c) <= 1).all():
        raise DataError(
            f"colour: got colours {c.shape} in [{c.min():g}, {c.max():g}], expected (3,) or ({count}, 3) in [-1, 1]"
        )

    def change(x: Tensor) -> Tensor:
        half = to_device(np.broadcast_to((c + 1) / 2, (count, 3)).reshape(count, 1, 1, 3).astype(x.dtype), x.device)
        return (x + 1.0) * half - 1.0

    result = _changed("colour", images, change, channels=1)
    if isinstance(result, Dataset) and drawn is not None:
        return replace(result, factors={**result.factors, "hue": drawn})
    return result


def hues(h: np.ndarray) -> np.ndarray:
    """Hues in [0, 1) as fully saturated colours in [-1, 1]: red at 0, green at 1/3, blue at 2/3, linear between."""
    distance = np.abs((h[:, None] - np.array([0, 1 / 3, 2 / 3]) + 0.5) % 1 - 0.5)
    return np.clip(2 - 6 * distance, 0, 1) * 2 - 1


def resize(images: T, size: int | tuple[int, int], *, filter: str = "bilinear") -> T:
    """Images in another size, (N, H', W', C): y = A x B^T for each channel, the rows of A and B weights that sum to 1.

    Args:
        images: see the module.
        size: an integer for squares, or (H', W').
        filter: "bilinear": a triangle of half-width max(1, H/H') around each new pixel's centre, so that pixels that vanish are
            averaged (as Pillow's BILINEAR); "bicubic": Keys' cubic with a = -1/2 and half-width 2 max(1, H/H') (as Pillow's
            BICUBIC; Keys 1981, IEEE TASSP 29, eq. 15); "nearest": the pixel at its centre.

    Values stay in [-1, 1], but for "bicubic", which overshoots at edges: its weights sum to 1, and some are negative.

    Raises:
        DataError: what is no images, a size below 1, or an unknown filter.
    """
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sizes) != 2 or filter not in _FILTERS:
        raise DataError(
            f"resize: got size {size!r} and filter {filter!r}, expected (H, W) and one of {tuple(_FILTERS)}"
        )
    height, width = (whole("resize", "size", n, low=1) for n in sizes)

    def change(x: Tensor) -> Tensor:
        a, b = (
            to_device(_FILTERS[filter](old, new).astype(x.dtype), x.device)
            for old, new in ((x.shape[1], height), (x.shape[2], width))
        )
        rows = ops.matmul(a, ops.reshape(x, (x.shape[0], x.shape[1], -1)))
        rows = ops.reshape(rows, (x.shape[0] * height, x.shape[2], x.shape[3]))
        return ops.reshape(ops.matmul(b, rows), (x.shape[0], height, width, x.shape[3]))

    return _changed("resize", images, change)


def _triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(t))


def _cubic(t: np.ndarray) -> np.ndarray:
    """Keys' piecewise cubic, a = -1/2: it gives polynomials of degree 2 back exactly."""
    t = np.abs(t)
    inner, outer = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0))


def _weights(kernel: Callable[[np.ndarray], np.ndarray], old: int, new: int) -> np.ndarray:
    """(new, old): the kernel around each centre, as wide as a new pixel where that is larger, normalised where cut off."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    weights = kernel((np.arange(old) - centres[:, None]) / max(1.0, scale))
    return weights / weights.sum(1, keepdims=True)


def _nearest(old: int, new: int) -> np.ndarray:
    return np.eye(old)[np.floor((np.arange(new) + 0.5) * old / new).astype(int)]


_FILTERS: dict[str, Callable[[int, int], np.ndarray]] = {
    "bilinear": partial(_weights, _triangle), "bicubic": partial(_weights, _cubic), "nearest": _nearest,
}  # fmt: skip
