"""Operations that move elements and compute nothing: their derivatives move the cotangent back.

Where NumPy can answer with a view of the same memory, it does, and no bytes are moved.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive, run
from minigan.backend import Array, array_module, is_float
from minigan.checks import is_whole, plain, whole
from minigan.kernels import reference as kernels
from minigan.ops.axes import Axis, axes_of, axis_of, lengths_of


# -- shapes ----------------------------------------------------------------------------------------------------------
def _reshape_samples(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape),), {"shape": draw.choice(((int(np.prod(shape)),), (1, *shape), shape[::-1]))}


@primitive(
    (lambda g, _y, _x, shape: reshape(g, _x.shape),), samples=_reshape_samples, kinds="b", view=True, name="reshape"
)
def _reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape)


def reshape(x: TensorLike, *shape: int | Sequence[int]) -> Tensor:
    """The same elements in C order with another shape (one length may be -1);  dx = g reshaped back."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return _reshape(as_tensor(x), shape=lengths_of("reshape", "a length", shape))


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


def transpose(x: TensorLike, *axes: int | Sequence[int]) -> Tensor:
    """Axis i of the result is axis `axes[i]` of x; without `axes`, all axes in reverse.  dx = g transposed back."""
    x = as_tensor(x)
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = tuple(axes[0] or ())
    order = axes_of("transpose", axes, x.ndim, ordered=True) or tuple(range(x.ndim))[::-1]
    if len(order) != x.ndim:
        raise ValueError(
            f"transpose: got axes {axes} for shape {x.shape}, expected each of {tuple(range(x.ndim))} once"
        )
    return _transpose(x, axes=order)


@primitive((lambda g, _y, _x: g,), samples=lambda draw: ((draw.array(draw.shape()),), {}), kinds="b", view=True)
def contiguous(x: Array) -> Array:
    """x in C order, copied only when it is not;  dx = g."""
    return array_module(x).ascontiguousarray(x).reshape(x.shape)


def swapaxes(x: TensorLike, a: int, b: int) -> Tensor:
    """Exchange axes a and b."""
    x = as_tensor(x)
    a, b = axis_of("swapaxes", a, x.ndim), axis_of("swapaxes", b, x.ndim)
    axes = list(range(x.ndim))
    axes[a], axes[b] = b, a
    return _transpose(x, axes=tuple(axes))


def expand_dims(x: TensorLike, axis: int) -> Tensor:
    """A new axis of length 1 at place `axis` of the result."""
    x = as_tensor(x)
    place = axis_of("expand_dims", axis, x.ndim + 1)
    return reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """Without the axes of length 1 (all of them, or those named)."""
    x = as_tensor(x)
    gone = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else axes_of("squeeze", axis, x.ndim)
    if bad := [a for a in gone if x.shape[a] != 1]:
        raise ValueError(
            f"squeeze: got axis {bad[0]} of length {x.shape[bad[0]]} in shape {x.shape}, expected length 1"
        )
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


def flatten(x: TensorLike, start: int = 0) -> Tensor:
    """All axes from `start` on merged into one; a number, which has none, becomes an array with one element."""
    x = as_tensor(x)
    start = axis_of("flatten", start, max(x.ndim, 1))
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


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """x repeated along new axes and axes of length 1;  dx = g summed over them."""
    lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
    return _broadcast_to(as_tensor(x), shape=lengths_of("broadcast_to", "a length", lengths))


def _broadcast_samples(draw: Any) -> Any:
    shape, small = draw.widening()
    return (draw.array(small),), {"shape": shape}


def sum_over(x: Array, axis: tuple[int, ...], out: Array | None = None) -> Array:
    """The sum over `axis`, each kept as length 1, into `out` or a new array; integers and bools are counted in 64 bits."""
    if out is None:
        dtype = x.dtype if x.dtype.kind == "f" else np.zeros((), x.dtype).sum().dtype
        out = array_module(x).empty([1 if i in axis else n for i, n in enumerate(x.shape)], dtype)
    kernels.sum_over(x, axis, out)
    return out


@primitive(
    (lambda g, _y, _x, shape: broadcast_to(g, _x.shape),),
    samples=lambda draw: _sum_to_samples(draw),
    name="sum_to",
)
def _sum_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1)
    return sum_over(x, axes).reshape(shape)


def sum_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
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


JOINED_AT_ONCE = (
    8  # of more arrays CuPy copies a table of addresses from the host, which a captured CUDA graph cannot hold
)


@primitive(_split_cotangent, samples=_concatenate_samples, kinds="b", name="concatenate")
def _concatenate(*xs: Array, axis: int, out: Array | None = None) -> Array:
    xp = array_module(*xs)
    if xp is np or len(xs) <= JOINED_AT_ONCE:
        return xp.concatenate(xs, axis=axis, out=out)
    ends = list(itertools.accumulate(x.shape[axis] for x in xs))
    shape, lead = xs[0].shape, (slice(None),) * axis
    out = xp.empty((*shape[:axis], ends[-1], *shape[axis + 1 :]), xs[0].dtype) if out is None else out
    for x, end in zip(xs, ends, strict=True):
        out[(*lead, slice(end - x.shape[axis], end))] = x
    return out


def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Join along an existing axis;  each input gets its part of g."""
    if not len(xs):
        raise ValueError("concatenate: got no arrays")
    tensors = _one_dtype([as_tensor(x) for x in xs])
    return _concatenate(*tensors, axis=axis_of("concatenate", axis, tensors[0].ndim))


def _one_dtype(xs: list[Tensor]) -> list[Tensor]:
    """Integers and bools stay what they are among themselves, and become floats beside floats."""
    floats = sorted({str(x.dtype) for x in xs if is_float(x.dtype)})
    if len(floats) > 1:
        raise TypeError(
            f"concatenate: got {floats[0]} and {floats[1]} arrays, expected one dtype; convert with ops.cast"
        )
    return [run("cast", x, dtype=np.dtype(floats[0])) if floats and str(x.dtype) != floats[0] else x for x in xs]


def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Join arrays of one shape along a new axis;  each input gets its part of g."""
    tensors = [as_tensor(x) for x in xs]
    if tensors and any(x.shape != tensors[0].shape for x in tensors):
        raise ValueError(f"stack: got shapes {sorted({x.shape for x in tensors})}, expected one; see ops.concatenate")
    return concatenate([expand_dims(x, axis) for x in tensors], axis)


def split(x: TensorLike, parts: int, axis: int = 0) -> list[Tensor]:
    """Cut into `parts` equal pieces along `axis`;  dx = the pieces of g, joined.

    Backward, a piece fills the array that it was cut from with zeros around it. Cut from x one by one, k pieces would move k
    times the bytes of x; so x is halved, and its halves again: each byte is moved log2 k times.

    Raises:
        ValueError: an axis that is not there, or a number of parts that does not divide its length.
    """
    x = as_tensor(x)
    axis, parts = axis_of("split", axis, x.ndim), whole("split", "parts", parts, low=1)
    length, rest = divmod(x.shape[axis], parts)
    if rest:
        raise ValueError(f"split: got {parts} parts for an axis of length {x.shape[axis]}, expected a divisor of it")
    return _halved(x, parts, length, (slice(None),) * axis)


def _halved(x: Tensor, parts: int, length: int, lead: tuple[slice, ...]) -> list[Tensor]:
    if parts == 1:
        return [x]
    half = parts // 2
    left, right = x[(*lead, slice(None, half * length))], x[(*lead, slice(half * length, None))]
    return _halved(left, half, length, lead) + _halved(right, parts - half, length, lead)


def unstack(x: TensorLike, axis: int = 0) -> list[Tensor]:
    """The slices of x along `axis`, without that axis: the inverse of `stack`; as cheap as :func:`split`."""
    x = as_tensor(x)
    axis = axis_of("unstack", axis, x.ndim)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [reshape(part, shape) for part in split(x, x.shape[axis], axis)] if x.shape[axis] else []


def _pad_samples(draw: Any) -> Any:
    shape = draw.shape()
    widths = tuple((draw.integer(0, 2), draw.integer(0, 2)) for _ in shape)
    return (draw.array(shape),), {"widths": widths, "value": 0.5}


@primitive(
    (lambda g, _y, _x, widths, value: g[tuple(slice(a, n - b) for (a, b), n in zip(widths, g.shape, strict=True))],),
    samples=_pad_samples,
    kinds="n",
    name="pad",
)
def _pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    if x.dtype.kind in "iu" and not float(value).is_integer():
        raise TypeError(f"expected a whole value for integers, got {value}; convert x with ops.cast")
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    y = array_module(x).full(shape, value, dtype=x.dtype)
    y[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return y


def pad(
    x: TensorLike, widths: int | Sequence[int | Sequence[int]], *, mode: str = "constant", value: float = 0.0
) -> Tensor:
    """`widths[i] = (before, after)` elements more around axis i; one pair, or one number, is for all axes.

    Args:
        x: any shape.  widths: integers >= 0.
        mode: "constant": elements of `value`, and dx = the inner part of g. "edge": the first and the last element again.
            "reflect": x[1], x[2], ... before x[0], and likewise after the end (the edge itself is not repeated; a pad longer
            than the axis runs to and fro). In both, dx adds up g wherever an element was repeated.

    Raises:
        ValueError: other widths or modes; "edge" and "reflect" of an axis without elements.
    """
    x = as_tensor(x)
    pairs = _widths(x, widths)
    if mode == "constant":
        return _pad(x, widths=pairs, value=plain("pad", "value", value))
    if mode not in ("reflect", "edge"):
        raise ValueError(f"pad: got mode {mode!r}, expected 'constant', 'reflect' or 'edge'")
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            if not x.shape[axis]:
                raise ValueError(
                    f"pad: got shape {x.shape} and mode {mode!r}, expected elements to repeat along {axis}"
                )
            places = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            x = x[(*(slice(None),) * axis, array_module(x._data).asarray(places))]
    return x


def _widths(x: Tensor, widths: Any) -> tuple[tuple[int, int], ...]:
    """One pair an axis."""
    kinds = (tuple, list, np.ndarray)
    parts: list[Any] = [widths] if is_whole(widths) else list(widths) if isinstance(widths, kinds) else []
    if len(parts) == 2 and all(map(is_whole, parts)):
        parts = [parts]
    pairs = [(w, w) if is_whole(w) else tuple(w) if isinstance(w, kinds) else () for w in parts]
    pairs = pairs * x.ndim if len(pairs) == 1 else pairs
    if len(pairs) != x.ndim or not all(len(p) == 2 and all(is_whole(n) and n >= 0 for n in p) for p in pairs):
        raise ValueError(f"pad: got widths {widths} for shape {x.shape}, expected {x.ndim} pairs of integers >= 0")
    return tuple((int(a), int(b)) for a, b in pairs)
