"""Fewer or more positions: pooling, upsampling, pixel shuffle. Channels last, x (N, *spatial, C), one to three spatial axes.

Pooling looks at windows: with d spatial axes, window w and stride s, position o and tap k, 0 <= k_a < w_a, meet at

    i = o s + k,   0 <= o_a < floor((n_a - w_a) / s_a) + 1   (no padding: what no whole window covers is not read).

The sum over a window and its adjoint, which gives every position of a window the same value, differentiate into each other;
so do picking one tap a window and putting back there, and interpolation along an axis and its adjoint. Hence every
derivative of every order is here. The adjoint of the average over tiles is nearest-neighbour upsampling over the tile's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.checks import is_whole
from minigan.kernels import reference as kernels
from minigan.kernels.reference import Sizes, window_taps
from minigan.kernels.reference import pooled as pooled_shape
from minigan.ops import reduction
from minigan.ops.shape import reshape, transpose

MODES = ("nearest", "bilinear")


# -- windows ---------------------------------------------------------------------------------------------------------
def _window_samples(make: Callable[..., Any]) -> Any:
    """Samples for a drawn window: `make(draw, shape, pooled, taps) -> (arrays, further parameters)`."""

    def samples(draw: Any) -> Any:
        rank = draw.integer(1, 3)
        window = tuple(draw.integer(1, 2 if rank == 3 else 3) for _ in range(rank))
        stride = tuple(draw.integer(1, 3) for _ in range(rank))
        channels = draw.choice((1, 2, 5))  # the kernels are for more than a few
        shape = (draw.integer(1, 2), *(w + draw.integer(0, 2) for w in window), channels)
        arrays, more = make(draw, shape, pooled_shape(shape, window, stride), math.prod(window))
        return arrays, {"window": window, "stride": stride, **more}

    return samples


def _some_places(draw: Any, pooled: Sizes, taps: int) -> Array:
    return np.floor(draw.array(pooled, 0.0, 0.999) * taps).astype(np.int64)


@primitive(
    (
        lambda g, _y, _x, window, stride, factor: window_spread(
            g, window=window, stride=stride, factor=factor, shape=_x.shape
        ),
    ),
    samples=_window_samples(lambda draw, shape, pooled, taps: ((draw.array(shape),), {"factor": 1 / taps})),
)
def window_sum(x: Array, *, window: Sizes, stride: Sizes, factor: float, out: Array | None = None) -> Array:
    """y[n, o, c] = factor times the sum over taps k of x[n, o s + k, c];  dx = window_spread(g)."""
    out = array_module(x).empty(pooled_shape(x.shape, window, stride), x.dtype) if out is None else out
    kernels.window_sum(x, window, stride, factor, out)
    return out


@primitive(
    (lambda u, _y, _g, window, stride, factor, shape: window_sum(u, window=window, stride=stride, factor=factor),),
    samples=_window_samples(lambda draw, shape, pooled, taps: ((draw.array(pooled),), {"factor": 0.5, "shape": shape})),
)
def window_spread(
    g: Array, *, window: Sizes, stride: Sizes, factor: float, shape: Sizes, out: Array | None = None
) -> Array:
    """The adjoint of `window_sum`: y[n, i, c] = factor times the sum over o and k with o s + k = i of g[n, o, c], in zeros of
    `shape`;  dg = window_sum(u)."""
    out = array_module(g).empty(shape, g.dtype) if out is None else out
    kernels.window_spread(g, window, stride, factor, out)
    return out


@primitive(samples=_window_samples(lambda draw, shape, pooled, taps: ((draw.array(shape, distinct=True),), {})))
def window_winner(x: Array, *, window: Sizes, stride: Sizes) -> Array:
    """The number (in C order, from 0) of the first tap of each window whose element is the largest; a constant for the
    derivative."""
    xp = array_module(x)
    number_type = np.min_scalar_type(math.prod(window) - 1)  # bytes, for all but giant windows
    winner = xp.empty(pooled_shape(x.shape, window, stride), number_type)
    best = xp.empty(winner.shape, x.dtype)
    kernels.window_max(x, window, stride, best, winner)
    return winner


@primitive(
    (
        lambda g, _y, _x, winner, window, stride: window_place(g, winner, window=window, stride=stride, shape=_x.shape),
        lambda _g, _y, _x, _winner, window, stride: None,
    ),
    samples=_window_samples(
        lambda draw, shape, pooled, taps: ((draw.array(shape), _some_places(draw, pooled, taps)), {})
    ),
    kinds="fb",
)
def window_select(x: Array, winner: Array, *, window: Sizes, stride: Sizes) -> Array:
    """y[n, o, c] = x[n, o s + k, c] with the tap k = winner[n, o, c] (its number in C order);  dx = window_place(g)."""
    xp = array_module(x)
    y = xp.empty(winner.shape, x.dtype)
    for number, part in window_taps(x, window, stride):
        xp.copyto(y, part, where=winner == number)
    return y


@primitive(
    (
        lambda u, _y, _g, winner, window, stride, shape: window_select(u, winner, window=window, stride=stride),
        lambda _u, _y, _g, _winner, window, stride, shape: None,
    ),
    samples=_window_samples(
        lambda draw, shape, pooled, taps: (
            (draw.array(pooled), _some_places(draw, pooled, taps)),
            {"shape": shape},
        )
    ),
    kinds="fb",
)
def window_place(
    g: Array, winner: Array, *, window: Sizes, stride: Sizes, shape: Sizes, out: Array | None = None
) -> Array:
    """The adjoint of `window_select`: g[n, o, c] added at o s + winner[n, o, c], in zeros of `shape`;  dg = window_select(u)."""
    out = array_module(g).empty(shape, g.dtype) if out is None else out
    kernels.window_place(g, winner, window, stride, out)
    return out


def _max_pool_cotangent(g: Tensor, x: Tensor, window: Sizes, stride: Sizes) -> Tensor:
    winner = window_winner(x, window=window, stride=stride)
    return window_place(g, winner, window=window, stride=stride, shape=x.shape)


@primitive(
    (lambda g, _y, x, window, stride: _max_pool_cotangent(g, x, window, stride),),
    samples=_window_samples(lambda draw, shape, pooled, taps: ((draw.array(shape, distinct=True),), {})),
    equals=lambda x, window, stride: window_select(
        x, window_winner(x, window=window, stride=stride), window=window, stride=stride
    ),
    name="max_pool",
)
def _max_pool(x: Array, *, window: Sizes, stride: Sizes, out: Array | None = None) -> Array:
    out = array_module(x).empty(pooled_shape(x.shape, window, stride), x.dtype) if out is None else out
    kernels.window_max(x, window, stride, out)
    return out


# -- pooling ---------------------------------------------------------------------------------------------------------
def _spatial(name: str, x: Any) -> Tensor:
    x = as_tensor(x)
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"{name}: got x {x.shape}, expected (N, *spatial, C) with one to three spatial axes")
    return x


def _an_axis(name: str, what: str, value: Any, x: Tensor) -> Sizes:
    """A size for all spatial axes, or one for each."""
    rank = x.ndim - 2
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(sizes) != rank or any(not is_whole(n) or n < 1 for n in sizes):
        raise ValueError(f"{name}: got {what} {value} for x {x.shape}, expected one whole number > 0 or {rank} of them")
    return tuple(int(n) for n in sizes)


def _window(name: str, x: Any, window: Any, stride: Any) -> tuple[Tensor, Sizes, Sizes]:
    x = _spatial(name, x)
    window = _an_axis(name, "window", window, x)
    stride = window if stride is None else _an_axis(name, "stride", stride, x)
    if any(w > n for w, n in zip(window, x.shape[1:-1], strict=True)):
        raise ValueError(
            f"{name}: got window {window} for x {x.shape}, which no window fits; use a smaller one or ops.pad"
        )
    return x, window, stride


def avg_pool(x: TensorLike, *, window: int | Sizes, stride: int | Sizes | None = None) -> Tensor:
    """The mean of each window;  dx = each g / (window's size) given to all positions of its window.

    Args:
        x: (N, *spatial, C), one to three spatial axes.
        window: its length along all spatial axes, or one a spatial axis.
        stride: distance between windows, likewise; None for the window's length (tiles).

    Returns:
        (N, *out, C), out = floor((spatial - window) / stride) + 1: no padding, and what is left over is not read.

    Raises:
        ValueError: another rank, sizes that are not positive, or a window longer than x.
    """
    x, window, stride = _window("avg_pool", x, window, stride)
    return window_sum(x, window=window, stride=stride, factor=1 / math.prod(window))


def max_pool(x: TensorLike, *, window: int | Sizes, stride: int | Sizes | None = None) -> Tensor:
    """The largest element of each window;  dx = g at that element, 0 elsewhere.

    Where several are largest the first of the window in C order (last spatial axis fastest) gets all of g. A window
    with a NaN gives NaN. Arguments, result and errors as of :func:`avg_pool`.
    """
    x, window, stride = _window("max_pool", x, window, stride)
    return _max_pool(x, window=window, stride=stride)


def global_avg_pool(x: TensorLike) -> Tensor:
    """The mean over all positions: (N, *spatial, C) to (N, C);  dx = g / positions everywhere.

    Raises:
        ValueError: not one to three spatial axes.
    """
    x = _spatial("global_avg_pool", x)
    return reduction.mean(x, tuple(range(1, x.ndim - 1)))


def global_max_pool(x: TensorLike) -> Tensor:
    """The largest over all positions: (N, *spatial, C) to (N, C); as `ops.max`, g is shared equally where several are largest.

    Raises:
        ValueError: not one to three spatial axes.
    """
    x = _spatial("global_max_pool", x)
    return reduction.max(x, tuple(range(1, x.ndim - 1)))


# -- upsampling ------------------------------------------------------------------------------------------------------
def _lines(x: Array, axis: int) -> Array:
    """x as (lines, x.shape[axis], length), a copy only when it is not contiguous."""
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    return array_module(x).ascontiguousarray(x).reshape(before, x.shape[axis], after)


def _interpolate_samples(adjoint: bool) -> Any:
    def samples(draw: Any) -> Any:
        shape = list(draw.shape(min_ndim=1, min_side=1))
        axis, scale = draw.integer(0, len(shape) - 1), draw.integer(1, 4)
        shape[axis] *= scale if adjoint else 1
        return (draw.array(tuple(shape)),), {"axis": axis, "scale": scale}

    return samples


@primitive(
    (lambda g, _y, _x, axis, scale: interpolate_adjoint(g, axis=axis, scale=scale),),
    samples=_interpolate_samples(False),
)
def interpolate(x: Array, *, axis: int, scale: int, out: Array | None = None) -> Array:
    """Linear interpolation along one axis to `scale` times as many points:  dx = interpolate_adjoint(g).

    With pixel centres at half-integers, y's element i scale + r lies t = (r + 1/2)/scale - 1/2 from x's element i, so

        y[i scale + r] = x[i] + |t| (x[i + sign t] - x[i]),   x continued by its first and last element.
    """
    shape = tuple(n * scale if a == axis else n for a, n in enumerate(x.shape))
    out = array_module(x).empty(shape, x.dtype) if out is None else out
    kernels.interpolate(_lines(x, axis), scale, _lines(out, axis))
    return out


@primitive(
    (lambda u, _y, _g, axis, scale: interpolate(u, axis=axis, scale=scale),),
    samples=_interpolate_samples(True),
)
def interpolate_adjoint(g: Array, *, axis: int, scale: int, out: Array | None = None) -> Array:
    """The adjoint of `interpolate`: of each g[i scale + r], |t| goes to i's neighbour and the rest to i;  dg = interpolate(u)."""
    shape = tuple(n // scale if a == axis else n for a, n in enumerate(g.shape))
    out = array_module(g).empty(shape, g.dtype) if out is None else out
    kernels.interpolate_adjoint(_lines(g, axis), scale, _lines(out, axis))
    return out


def upsample(x: TensorLike, *, scale: int | Sizes, mode: str = "nearest") -> Tensor:
    """`scale` times as many positions along each spatial axis: y at i scale + r, 0 <= r < scale, is x at i ("nearest"), or
    the linear interpolation along every axis between x's pixel centres, clamped at the edges ("bilinear").

    Centres lie at half-integers and edges coincide, as in PyTorch with align_corners=False: along an axis, with
    t = (r + 1/2)/scale - 1/2, y[i scale + r] = x[i] + |t| (x[i + sign t] - x[i]). Both maps keep constants, and their
    derivatives are their adjoints.

    Args:
        x: (N, *spatial, C), one to three spatial axes.
        scale: a whole number > 0, or one a spatial axis.
        mode: "nearest" or "bilinear" (linear in one dimension, trilinear in three).

    Raises:
        ValueError: another rank, scale or mode.
    """
    x = _spatial("upsample", x)
    scale = _an_axis("upsample", "scale", scale, x)
    if mode not in MODES:
        raise ValueError(f"upsample: got mode {mode!r}, expected one of {MODES}")
    if mode == "nearest":
        shape = (x.shape[0], *(n * s for n, s in zip(x.shape[1:-1], scale, strict=True)), x.shape[-1])
        return window_spread(x, window=scale, stride=scale, factor=1.0, shape=shape)
    for axis, s in enumerate(scale, 1):
        x = interpolate(x, axis=axis, scale=s) if s > 1 else x
    return x


# -- pixels from channels --------------------------------------------------------------------------------------------
def pixel_shuffle(x: TensorLike, scale: int | Sizes) -> Tensor:
    """Channels become positions (Shi et al. 2016, arXiv 1609.05158, eq. 4): (N, H, W, r^2 C) to (N, r H, r W, C),

        y[n, h r + i, w r + j, c] = x[n, h, w, (i r + j) C + c],   0 <= i, j < r;

    with one or three spatial axes likewise, i r + j being the number of the phase in C order. A convolution before it is a
    transposed convolution without its uneven overlaps. (PyTorch's channel order is c r^2 + i r + j.) dx = pixel_unshuffle(g).

    Args:
        x: (N, *spatial, C times the product of the scales), one to three spatial axes.
        scale: r, a whole number > 0, or one a spatial axis.

    Raises:
        ValueError: another rank or scale, or channels that it does not divide.
    """
    x = _spatial("pixel_shuffle", x)
    scale = _an_axis("pixel_shuffle", "scale", scale, x)
    channels, rest = divmod(x.shape[-1], math.prod(scale))
    if rest:
        raise ValueError(
            f"pixel_shuffle: got x {x.shape}, expected channels divisible by {math.prod(scale)} for scale {scale}"
        )
    rank, spatial = len(scale), x.shape[1:-1]
    parts = reshape(x, (x.shape[0], *spatial, *scale, channels))
    order = [axis for a in range(rank) for axis in (1 + a, 1 + rank + a)]
    large = (n * s for n, s in zip(spatial, scale, strict=True))
    return reshape(transpose(parts, (0, *order, 1 + 2 * rank)), (x.shape[0], *large, channels))


def pixel_unshuffle(x: TensorLike, scale: int | Sizes) -> Tensor:
    """Positions become channels, the inverse of :func:`pixel_shuffle`: (N, r H, r W, C) to (N, H, W, r^2 C),

        y[n, h, w, (i r + j) C + c] = x[n, h r + i, w r + j, c];   dx = pixel_shuffle(g).

    Raises:
        ValueError: another rank or scale, or spatial axes that it does not divide.
    """
    x = _spatial("pixel_unshuffle", x)
    scale = _an_axis("pixel_unshuffle", "scale", scale, x)
    rank, spatial = len(scale), x.shape[1:-1]
    if any(n % s for n, s in zip(spatial, scale, strict=True)):
        raise ValueError(f"pixel_unshuffle: got x {x.shape}, expected spatial axes divisible by scale {scale}")
    small = tuple(n // s for n, s in zip(spatial, scale, strict=True))
    parts = reshape(x, (x.shape[0], *(n for pair in zip(small, scale, strict=True) for n in pair), x.shape[-1]))
    order = (*range(1, 1 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2))
    return reshape(transpose(parts, (0, *order, 1 + 2 * rank)), (x.shape[0], *small, math.prod(scale) * x.shape[-1]))
