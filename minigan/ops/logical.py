"""Logic on bool tensors, and whether two tensors differ: constants for the derivative, as all comparisons are."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.ops.axes import Axis, axes_of
from minigan.ops.elementwise import equal
from minigan.ops.shape import reshape


def _two(draw: Any) -> Any:
    a, b = draw.broadcastable()
    return (draw.mask(a), draw.mask(b)), {}


def _one(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.mask(shape),), {"axis": draw.axes(len(shape))}


def _masks(name: str, *values: Any) -> tuple[Any, ...]:
    """The values, which must be bools: what `&` means for other numbers differs between libraries."""
    for value in values:
        dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        if dtype != np.bool_:
            raise TypeError(f"{name}: got {dtype}, expected bool; compare first: x > 0, x != 0")
    return values


@primitive(samples=_two, kinds="bb", broadcasts=True, name="logical_and")
def _and(a: Array, b: Array) -> Array:
    return array_module(a, b).logical_and(a, b)


def logical_and(a: TensorLike, b: TensorLike) -> Tensor:
    """a and b, elementwise, of bools: `a & b`.

    Raises:
        TypeError: anything but bools.
    """
    return _and(*_masks("logical_and", a, b))


@primitive(samples=_two, kinds="bb", broadcasts=True, name="logical_or")
def _or(a: Array, b: Array) -> Array:
    return array_module(a, b).logical_or(a, b)


def logical_or(a: TensorLike, b: TensorLike) -> Tensor:
    """a or b, elementwise, of bools: `a | b`.

    Raises:
        TypeError: anything but bools.
    """
    return _or(*_masks("logical_or", a, b))


@primitive(samples=_two, kinds="bb", broadcasts=True, name="logical_xor")
def _xor(a: Array, b: Array) -> Array:
    return array_module(a, b).logical_xor(a, b)


def logical_xor(a: TensorLike, b: TensorLike) -> Tensor:
    """Either a or b, not both, elementwise, of bools: `a ^ b`.

    Raises:
        TypeError: anything but bools.
    """
    return _xor(*_masks("logical_xor", a, b))


@primitive(samples=lambda draw: ((draw.mask(draw.shape()),), {}), kinds="b", name="logical_not")
def _not(x: Array) -> Array:
    return array_module(x).logical_not(x)


def logical_not(x: TensorLike) -> Tensor:
    """not x, elementwise, of bools: `~x`.

    Raises:
        TypeError: anything but bools.
    """
    return _not(*_masks("logical_not", x))


def not_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """a != b elementwise, as bool; NaN differs from everything, itself included."""
    return _not(equal(a, b))


@primitive(samples=_one, kinds="b", name="all")
def _all(x: Array, *, axis: tuple[int, ...]) -> Array:
    return x.all(axis=axis)


def all(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether every element over `axis` is true (nonzero); True where there is none."""
    return _reduced(_all, as_tensor(x), axis, keepdims)


@primitive(samples=_one, kinds="b", name="any")
def _any(x: Array, *, axis: tuple[int, ...]) -> Array:
    return x.any(axis=axis)


def any(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether some element over `axis` is true (nonzero); False where there is none."""
    return _reduced(_any, as_tensor(x), axis, keepdims)


def _reduced(op: Any, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    axes = axes_of(op.__name__, axis, x.ndim)
    y = op(x, axis=axes)
    return reshape(y, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else y
