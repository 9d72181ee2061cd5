"""Reductions: sums, extremes and log-sum-exp, with their derivatives.

`axis` is None (all axes), an integer or a tuple; `keepdims` as in NumPy. Each primitive works with `keepdims=True` inside,
so that its derivative broadcasts back by itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.kernels import reference as kernels
from minigan.ops.axes import Axis, axes_of, axis_of
from minigan.ops.elementwise import cast, divide, equal, exp, multiply, slope_at_zero, square, where
from minigan.ops.indexing import flip
from minigan.ops.shape import broadcast_to, reshape, sum_over


def _samples(*, min_side: int = 0, **options: Any) -> Any:
    def samples(draw: Any) -> Any:
        shape = draw.shape(min_side=min_side)
        return (draw.array(shape, **options),), {"axis": draw.axes(len(shape))}

    return samples


def _squeeze(y: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if keepdims or not axes:
        return y
    return reshape(y, tuple(n for i, n in enumerate(y.shape) if i not in axes))


def _reduce(owner: str, op: Any, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = axes_of(owner, axis, x.ndim)
    return _squeeze(op(x, axis=axes), axes, keepdims)


def _total(x: Array, axis: tuple[int, ...], out: Array | None = None) -> Array:
    """The sum over `axis`, kept as length 1: all sums go through here, where none loses digits to its length."""
    return sum_over(x, axis, out)


def _sums_columns(x: Array, axis: tuple[int, ...]) -> bool:
    return axis == (0,) and x.ndim == 2 and bool(x.size) and x.flags.c_contiguous and x.dtype.kind == "f"


def _plan_sum(x: Array, *, axis: tuple[int, ...], out: Array) -> Any:
    return kernels.column_sum.plan(x, out[0]) if _sums_columns(x, axis) else None


@primitive(
    (lambda g, _y, _x, axis: broadcast_to(g, _x.shape),), samples=_samples(), kinds="n", plan=_plan_sum, name="sum"
)
def _sum(x: Array, *, axis: tuple[int, ...], out: Array | None = None) -> Array:
    if _sums_columns(x, axis):
        out = array_module(x).empty((1, x.shape[1]), x.dtype) if out is None else out
        kernels.column_sum(x, out[0])
        return out
    return _total(x, axis, out)


def sum(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Sum over `axis`;  dx = g broadcast to x's shape. In float32 its error does not grow with its length (see
    `kernels/cpu/sums.py`); integers are added exactly, and bools counted."""
    return _reduce("sum", _sum, x, axis, keepdims)


def _count(owner: str, x: Tensor, axis: Axis) -> int:
    return math.prod(x.shape[a] for a in axes_of(owner, axis, x.ndim))


def mean(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """sum(x) / n over `axis`;  dx = g / n. NaN for n = 0, as the mean of nothing is undefined."""
    x = as_tensor(x)
    n = float(_count("mean", x, axis))
    return divide(sum(x, axis, keepdims=keepdims), n)


def var(x: TensorLike, axis: Axis = None, *, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """sum((x - mean)^2) / (n - ddof) over `axis`;  dx = 2 g (x - mean) / (n - ddof)."""
    x = as_tensor(x)
    n = _count("var", x, axis)
    squares = sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims=keepdims)
    return multiply(squares, 1.0 / (n - ddof)) if n > ddof else divide(squares, 0.0)


def _to_winners(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """Split the cotangent evenly among the elements equal to the extreme."""
    winners = cast(equal(x, y), dtype=x.dtype)
    return winners * (g / sum(winners, axis, keepdims=True))


@primitive(
    (lambda g, y, x, axis: _to_winners(g, y, x, axis),),
    samples=_samples(min_side=1, distinct=True),
    kinds="n",
    name="max",
)
def _max(x: Array, *, axis: tuple[int, ...], out: Array | None = None) -> Array:
    """Largest element over `axis`."""
    return x.max(axis=axis, keepdims=True, out=out)


@primitive(
    (lambda g, y, x, axis: _to_winners(g, y, x, axis),),
    samples=_samples(min_side=1, distinct=True),
    kinds="n",
    name="min",
)
def _min(x: Array, *, axis: tuple[int, ...], out: Array | None = None) -> Array:
    """Smallest element over `axis`."""
    return x.min(axis=axis, keepdims=True, out=out)


def max(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Largest element over `axis`; the cotangent goes to it, in equal parts where several are largest."""
    return _reduce("max", _max, x, axis, keepdims)


def min(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis`; the cotangent goes to it, in equal parts where several are smallest."""
    return _reduce("min", _min, x, axis, keepdims)


def _largest(x: Array, axis: tuple[int, ...], empty: float) -> Array:
    """max(x) over `axis`, and `empty` where there is nothing. (NumPy's `initial` does this, and CuPy has no such argument.)"""
    if x.size:
        return x.max(axis=axis, keepdims=True)
    return array_module(x).full([1 if i in axis else n for i, n in enumerate(x.shape)], empty, x.dtype)


def _shift(x: Array, axis: tuple[int, ...]) -> Array:
    """max(x) over `axis`, 0 where it is infinite, so that x - shift is never Inf - Inf."""
    xp = array_module(x)
    top = _largest(x, axis, -np.inf)
    return xp.where(xp.isfinite(top), top, xp.zeros_like(top))


@primitive((lambda g, y, x, axis: g * exp(x - y),), samples=_samples(min_side=1), name="logsumexp")
def _logsumexp(x: Array, *, axis: tuple[int, ...]) -> Array:
    """log sum e^x;  dx = g softmax(x) = g e^(x - y)."""
    xp = array_module(x)
    shift = _shift(x, axis)
    total = _total(xp.exp(x - shift), axis)
    with np.errstate(divide="ignore"):  # log 0 = -inf is the right value of an empty or all -inf sum
        return xp.log(total) + shift


def logsumexp(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """log(sum(e^x)) over `axis`, shifted by max(x) so that nothing overflows;  dx = g softmax(x)."""
    return _reduce("logsumexp", _logsumexp, x, axis, keepdims)


@primitive(
    (lambda g, y, _x, axis: y * (g - sum(g * y, axis, keepdims=True)),), samples=_samples(min_side=1), name="softmax"
)
def _softmax(x: Array, *, axis: tuple[int, ...]) -> Array:
    xp = array_module(x)
    e = xp.exp(x - _shift(x, axis))
    return e / _total(e, axis)


def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """e^x / sum(e^x) over `axis`;  dx = y (g - sum(g y))."""
    x = as_tensor(x)
    return _softmax(x, axis=axes_of("softmax", axis, x.ndim))


@primitive(
    (lambda g, y, _x, axis: g - exp(y) * sum(g, axis, keepdims=True),),
    samples=_samples(min_side=1),
    name="log_softmax",
)
def _log_softmax(x: Array, *, axis: tuple[int, ...]) -> Array:
    xp = array_module(x)
    z = x - _shift(x, axis)
    return z - xp.log(_total(xp.exp(z), axis))


def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """x - logsumexp(x) over `axis`;  dx = g - softmax(x) sum(g)."""
    x = as_tensor(x)
    return _log_softmax(x, axis=axes_of("log_softmax", axis, x.ndim))


def _cumsum_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1)
    return (draw.array(shape),), {"axis": draw.integer(0, len(shape) - 1)}


@primitive(
    (lambda g, _y, _x, axis: flip(_cumsum(flip(g, axis), axis=axis), axis),),
    samples=_cumsum_samples,
    kinds="n",
    name="cumsum",
)
def _cumsum(x: Array, *, axis: int, out: Array | None = None) -> Array:
    if x.dtype != np.float32:
        return x.cumsum(axis=axis, out=out)
    y = x.cumsum(axis=axis, dtype=np.float64)
    if out is None:
        return y.astype(np.float32)
    out[...] = y
    return out


def cumsum(x: TensorLike, axis: int = -1) -> Tensor:
    """y_k = sum of x_i for i <= k along `axis`, float32 added up in double;  dx_i = sum of g_k for k >= i."""
    x = as_tensor(x)
    return _cumsum(x, axis=axis_of("cumsum", axis, x.ndim))


def _direction(y: Tensor, x: Tensor) -> Tensor:
    """x / |x|, and 0 where x = 0."""
    zero = equal(y, 0.0)
    return where(zero, 0.0, x / where(zero, 1.0, y))


def _norm_cotangent(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    slope = slope_at_zero(g, y)
    return g * _direction(y, x) if slope is None else g * _direction(y, x) + slope * x


@primitive((lambda g, y, x, axis: _norm_cotangent(g, y, x),), samples=_samples(avoid=0.2), name="norm")
def _norm(x: Array, *, axis: tuple[int, ...]) -> Array:
    xp = array_module(x)
    scale = _largest(xp.abs(x), axis, 0)
    scale = xp.where((scale > 0) & xp.isfinite(scale), scale, xp.ones_like(scale))
    return scale * xp.sqrt(_total((x / scale) ** 2, axis))


def norm(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """sqrt(sum(x^2)) over `axis`, without overflow;  dx = g x / |x|, and 0 at x = 0 (where sqrt(sum(x^2)) would give NaN:
    the choice matters for gradient penalties). The second derivative of h(|x|) at 0, with h'(0) = 0, is h''(0) times the
    identity: 2 for the square."""
    return _reduce("norm", _norm, x, axis, keepdims)
