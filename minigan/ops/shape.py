"""Operations that move elements and compute nothing: their derivatives move the cotangent back.

Where NumPy can answer with a view of the same memory, it does, and no bytes are moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Tensor, as_tensor, primitive, run
from minigan.backend import Array, array_module, is_float, is_gpu_array
from minigan.checks import plain

_ANY = "b" * 1000  # inputs taken as they are: values of any dtype, and index arrays


# -- shapes ----------------------------------------------------------------------------------------------------------
def _reshape_samples(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape),), {"shape": draw.choice(((int(np.prod(shape)),), (1, *shape), shape[::-1]))}


@primitive(
    (lambda g, _y, _x, shape: reshape(g, _x.shape),), samples=_reshape_samples, kinds="b", view=True, name="reshape"
)
def _reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape)


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in C order with another shape (one length may be -1);  dx = g reshaped back."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return _reshape(as_tensor(x), shape=tuple(int(n) for n in shape))


def _axes_samples(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape),), {"axes": draw.permutation(len(shape))}


@primitive(
    (lambda g, _y, _x, axes: transpose(g, tuple(int(a) for a in np.argsort(axes))),),
    samples=_axes_samples,
    kinds="b",
    view=True,
    name="transpose",
)
def _transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    return x.transpose(axes)


def transpose(x: Any, *axes: Any) -> Tensor:
    """Axis i of the result is axis `axes[i]` of x; without `axes`, all axes in reverse.  dx = g transposed back."""
    x = as_tensor(x)
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = tuple(axes[0] or ())
    axes = tuple(int(a) % x.ndim for a in axes) or tuple(range(x.ndim))[::-1]
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(
            f"transpose: got axes {axes} for shape {x.shape}, expected each of {tuple(range(x.ndim))} once"
        )
    return _transpose(x, axes=axes)


@primitive((lambda g, _y, _x: g,), samples=lambda draw: ((draw.array(draw.shape()),), {}), kinds="b", view=True)
def contiguous(x: Array) -> Array:
    """x in C order, copied only when it is not;  dx = g."""
    return array_module(x).ascontiguousarray(x).reshape(x.shape)


def swapaxes(x: Any, a: int, b: int) -> Tensor:
    """Exchange axes a and b."""
    x = as_tensor(x)
    axes = list(range(x.ndim))
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


def expand_dims(x: Any, axis: int) -> Tensor:
    """A new axis of length 1 at place `axis` of the result."""
    x = as_tensor(x)
    shape = list(x.shape)
    shape.insert(axis if axis >= 0 else axis + x.ndim + 1, 1)
    return reshape(x, shape)


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Without the axes of length 1 (all of them, or those named)."""
    x = as_tensor(x)
    axes = (axis,) if isinstance(axis, int) else axis
    gone = [i for i, n in enumerate(x.shape) if n == 1] if axes is None else [a % x.ndim for a in axes]
    if bad := [a for a in gone if x.shape[a] != 1]:
        raise ValueError(
            f"squeeze: got axis {bad[0]} of length {x.shape[bad[0]]} in shape {x.shape}, expected length 1"
        )
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


def flatten(x: Any, start: int = 0) -> Tensor:
    """All axes from `start` on merged into one."""
    x = as_tensor(x)
    size = int(np.prod(x.shape[start:], dtype=np.int64))
    return reshape(x, (*x.shape[:start], size))


@primitive(
    (lambda g, _y, _x, shape: sum_to(g, _x.shape),),
    samples=lambda draw: _broadcast_samples(draw),
    view=True,
    kinds="b",
    name="broadcast_to",
)
def _broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    return array_module(x).broadcast_to(x, shape)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated along new axes and axes of length 1;  dx = g summed over them."""
    return _broadcast_to(as_tensor(x), shape=tuple(shape))


def _broadcast_samples(draw: Any) -> Any:
    shape, small = draw.widening()
    return (draw.array(small),), {"shape": shape}


@primitive(
    (lambda g, _y, _x, shape: broadcast_to(g, _x.shape),),
    samples=lambda draw: _sum_to_samples(draw),
    name="sum_to",
)
def _sum_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1)
    return x.sum(axis=axes, keepdims=True).reshape(shape)


def sum_to(x: Any, shape: Sequence[int]) -> Tensor:
    """The adjoint of `broadcast_to`: x summed over the axes that broadcasting `shape` would repeat."""
    return _sum_to(as_tensor(x), shape=tuple(shape))


def _sum_to_samples(draw: Any) -> Any:
    shape, small = draw.widening()
    return (draw.array(shape),), {"shape": small}


# -- joining and cutting ---------------------------------------------------------------------------------------------
def _split_cotangent(needs: Any, g: Tensor, _y: Tensor, *_xs: Tensor, axis: int) -> Any:
    cuts = np.cumsum([0] + [x.shape[axis] for x in _xs])
    lead = (slice(None),) * axis
    return [g[(*lead, slice(a, b))] if need else None for a, b, need in zip(cuts[:-1], cuts[1:], needs, strict=True)]


def _concatenate_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1)
    axis = draw.integer(0, len(shape) - 1)
    lengths = [draw.integer(0, 3) for _ in range(draw.integer(1, 3))]
    return tuple(draw.array((*shape[:axis], n, *shape[axis + 1 :])) for n in lengths), {"axis": axis}


@primitive(_split_cotangent, samples=_concatenate_samples, kinds=_ANY, name="concatenate")
def _concatenate(*xs: Array, axis: int, out: Array | None = None) -> Array:
    return array_module(*xs).concatenate(xs, axis=axis, out=out)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Join along an existing axis;  each input gets its part of g."""
    if not len(xs):
        raise ValueError("concatenate: got no arrays")
    xs = [as_tensor(x) for x in xs]
    xs = _one_dtype(xs)
    ndim = xs[0].ndim
    if not -ndim <= axis < ndim:
        raise ValueError(f"concatenate: got axis {axis} for {ndim} axes")
    return _concatenate(*xs, axis=axis % ndim)


def _one_dtype(xs: list[Tensor]) -> list[Tensor]:
    """Integers and bools stay what they are among themselves, and become floats beside floats."""
    floats = sorted({str(x.dtype) for x in xs if is_float(x.dtype)})
    if len(floats) > 1:
        raise TypeError(
            f"concatenate: got {floats[0]} and {floats[1]} arrays, expected one dtype; convert with ops.cast"
        )
    return [run("cast", x, dtype=np.dtype(floats[0])) if floats and str(x.dtype) != floats[0] else x for x in xs]


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Join along a new axis."""
    return concatenate([expand_dims(x, axis) for x in xs], axis)


def split(x: Any, parts: int, axis: int = 0) -> list[Tensor]:
    """Cut into `parts` equal pieces along `axis`."""
    x = as_tensor(x)
    length, rest = divmod(x.shape[axis], parts)
    if rest:
        raise ValueError(f"split: got {parts} parts for an axis of length {x.shape[axis]}, expected a divisor of it")
    lead = (slice(None),) * (axis % x.ndim)
    return [x[(*lead, slice(i * length, (i + 1) * length))] for i in range(parts)]


def _pad_samples(draw: Any) -> Any:
    shape = draw.shape()
    widths = tuple((draw.integer(0, 2), draw.integer(0, 2)) for _ in shape)
    return (draw.array(shape),), {"widths": widths, "value": 0.5}


@primitive(
    (lambda g, _y, _x, widths, value: g[tuple(slice(a, n - b) for (a, b), n in zip(widths, g.shape, strict=True))],),
    samples=_pad_samples,
    name="pad",
)
def _pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    y = array_module(x).full(shape, value, dtype=x.dtype)
    y[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return y


def pad(x: Any, widths: Any, *, value: float = 0.0) -> Tensor:
    """`widths[i] = (before, after)` elements of `value` around axis i (or one number for all sides);  dx = the inner part
    of g."""
    x = as_tensor(x)
    if isinstance(widths, int):
        widths = ((widths, widths),) * x.ndim
    widths = tuple((int(a), int(b)) for a, b in widths)
    if len(widths) != x.ndim or any(a < 0 or b < 0 for a, b in widths):
        raise ValueError(f"pad: got widths {widths} for shape {x.shape}, expected {x.ndim} pairs of numbers >= 0")
    return _pad(x, widths=widths, value=plain("pad", "value", value))


# -- indexing --------------------------------------------------------------------------------------------------------
class Slot(NamedTuple):
    """Place of the `number`-th index array in an index template. Index arrays are inputs, not parameters, so that a
    recorded step sees their new values."""

    number: int


def _fill(template: tuple[Any, ...], arrays: Sequence[Array]) -> tuple[Any, ...]:
    return tuple(arrays[part.number] if isinstance(part, Slot) else part for part in template)


def _getitem_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1, min_side=1)
    part = slice(draw.integer(0, shape[0] - 1), shape[0], draw.integer(1, 2))
    last = draw.integer(-shape[-1], shape[-1] - 1)
    rows = np.array([draw.integer(-shape[0], shape[0] - 1) for _ in range(draw.integer(0, 4))], dtype=np.int64)
    template, arrays = draw.choice((((part,), ()), ((..., last), ()), ((None, ...), ()), ((Slot(0),), (rows,))))
    return (draw.array(shape), *arrays), {"template": template}


@primitive(
    lambda needs, g, _y, _x, *index, template: (
        [index_add(g, *index, template=template, shape=_x.shape)] + [None] * len(index)
    ),
    samples=_getitem_samples,
    kinds=_ANY,
    view=True,
    name="getitem",
)
def _getitem(x: Array, *index: Array, template: tuple[Any, ...]) -> Array:
    return x[_fill(template, index)]


def _index_add_samples(draw: Any) -> Any:
    (x, *index), params = _getitem_samples(draw)
    return (draw.array(_getitem_shape(x, index, params["template"])), *index), {**params, "shape": x.shape}


def _getitem_shape(x: Array, index: Sequence[Array], template: tuple[Any, ...]) -> tuple[int, ...]:
    return np.empty(x.shape)[_fill(template, index)].shape


@primitive(
    lambda needs, u, _y, _g, *index, template, shape: [_getitem(u, *index, template=template)] + [None] * len(index),
    samples=_index_add_samples,
    kinds="f" + _ANY,
)
def index_add(g: Array, *index: Array, template: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with g added at an index, repeated places summed: the adjoint of `x[index]`."""
    xp = array_module(g)
    where = _fill(template, index)
    if not index:
        y = xp.zeros(shape, g.dtype)
        y[where] = g
        return y
    if is_gpu_array(g):  # sorted segments instead of float atomics: the same result every time
        from minigan.kernels import gpu_fused

        size = int(np.prod(shape))
        flat = xp.arange(size).reshape(shape)[where]
        return gpu_fused.index_add(xp.ascontiguousarray(g).ravel(), flat.ravel(), size).reshape(shape)
    y = np.zeros(shape, g.dtype)
    np.add.at(y, where, g)
    return y


def getitem(x: Any, index: Any) -> Tensor:
    """`x[index]` with slices, integers, None, Ellipsis, integer arrays and bool masks;  dx = zeros with g added there.

    An integer array that points outside x raises IndexError on the CPU. On a GPU it is not looked at, which would make the
    CPU wait: it wraps round, and reads other elements.
    """
    x = as_tensor(x)
    arrays: list[Any] = []
    template: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, (Tensor, list, np.ndarray)) or is_gpu_array(part):
            values = as_tensor(_index_list(x, part) if isinstance(part, list) else part)
            if (
                values.dtype.kind == "b"
            ):  # a mask stands for the places where it is true; a recording cannot follow a tensor's
                mask = part.data if isinstance(part, Tensor) else values._data
                places = array_module(mask).nonzero(mask)
                template += [Slot(len(arrays) + i) for i in range(len(places))]
                arrays += list(places)
            elif values.dtype.kind in "iu":
                template.append(Slot(len(arrays)))
                arrays.append(values)
            else:
                raise TypeError(f"getitem: got an index array of dtype {values.dtype}, expected integers or bools")
        else:
            template.append(part)
    return _getitem(x, *arrays, template=tuple(template))


def _index_list(x: Tensor, part: list[Any]) -> Array:
    return array_module(x._data).asarray(part, dtype=None if part else np.int64)


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """Slices of x along `axis` at integer `indices`;  dx = g added up where an index repeats."""
    x = as_tensor(x)
    return getitem(x, (*(slice(None),) * (axis % x.ndim), np.asarray(indices) if isinstance(indices, int) else indices))


def embedding(weight: Any, indices: Any) -> Tensor:
    """Rows of `weight` (vocabulary, features) at integer `indices` of any shape: (*indices.shape, features)."""
    return take(weight, indices, 0)


def flip(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The order of elements reversed along `axis` (all axes if None);  dx = g flipped."""
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)]
    return getitem(x, tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)))


# -- sorting ---------------------------------------------------------------------------------------------------------
@primitive(samples=lambda draw: _sort_samples(draw, 1), kinds="b")
def argsort(x: Array, *, axis: int = -1) -> Array:
    """The integer order that sorts x along `axis` (stable); a constant for the derivative."""
    return array_module(x).argsort(x, axis=axis, kind="stable")  # the method of CuPy 13 takes no kind


@primitive(
    (
        lambda g, _y, _x, order, axis=-1: permute(g, argsort(order, axis=axis), axis=axis),
        lambda _g, _y, _x, _order, axis=-1: None,
    ),
    samples=lambda draw: _sort_samples(draw, 2),
    kinds="fb",
)
def permute(x: Array, order: Array, *, axis: int = -1) -> Array:
    """x with its elements along `axis` put into `order`, a permutation for each line;  dx = g put back."""
    return array_module(x).take_along_axis(x, order, axis)


def _sort_samples(draw: Any, count: int) -> Any:
    shape = draw.shape(min_ndim=1)
    x = draw.array(shape, distinct=True)
    return (x, np.argsort(draw.array(shape, distinct=True), -1))[:count], {"axis": -1}


def sort(x: Any, axis: int = -1) -> Tensor:
    """Ascending order along `axis`;  dx = g carried back to where each element came from."""
    x = as_tensor(x)
    if not x.ndim:
        raise ValueError("sort: got a tensor without axes, expected at least one")
    return permute(x, argsort(x, axis=axis), axis=axis)
