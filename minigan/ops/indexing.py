"""Reading elements by their places, and the adjoint, adding to places; sorting.

`x[index]` and `gather` read, `index_add` and `gather_add` add up where a place is named more than once: each is the derivative
of the other, so every order is here. Sums at a place run in double, in the order of the index, so that they repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Placed, Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module, is_gpu_array
from minigan.checks import is_whole
from minigan.kernels import reference as kernels
from minigan.ops.axes import Axis, axes_of, axis_of
from minigan.ops.shape import expand_dims, reshape


class Slot(NamedTuple):
    """Place of the `number`-th index array in an index template. Index arrays are inputs, not parameters, so that a
    recorded step sees their new values."""

    number: int


_PLAIN = (Slot, slice, int, np.integer, bool, np.bool_, type(None), type(Ellipsis))


def _fill(template: tuple[Any, ...], arrays: Sequence[Array]) -> tuple[Any, ...]:
    """The index, its arrays put in. Anything else that names a place several times would lose cotangents."""
    if bad := [part for part in template if not isinstance(part, _PLAIN)]:
        raise TypeError(f"got {bad[0]!r} in an index template, expected a Slot for it and an array among the inputs")
    return tuple(arrays[part.number] if isinstance(part, Slot) else part for part in template)


def _add_at(g: Array, places: Array, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with each element of g added at its flat place."""
    xp = array_module(g)
    total = xp.empty(int(np.prod(shape)), g.dtype)
    kernels.index_add(xp.ascontiguousarray(g), xp.ascontiguousarray(places, dtype=np.int64), total)
    return total.reshape(shape)


# -- x[index] --------------------------------------------------------------------------------------------------------
def _getitem_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1, min_side=1)
    part = slice(draw.integer(0, shape[0] - 1), shape[0], draw.integer(1, 2))
    last = draw.integer(-shape[-1], shape[-1] - 1)
    rows = np.array([draw.integer(-shape[0], shape[0] - 1) for _ in range(draw.integer(0, 4))], dtype=np.int64)
    template, arrays = draw.choice((((part,), ()), ((..., last), ()), ((None, ...), ()), ((Slot(0),), (rows,))))
    return (draw.array(shape), *arrays), {"template": template}


@primitive(
    lambda needs, g, _y, _x, *index, template: [Placed(g, index, template, _x.shape)] + [None] * len(index),
    samples=_getitem_samples,
    kinds="b",
    view=True,
    name="getitem",
)
def _getitem(x: Array, *index: Array, template: tuple[Any, ...]) -> Array:
    return x[_fill(template, index)]


def _index_add_samples(draw: Any) -> Any:
    (x, *index), params = _getitem_samples(draw)
    templates = [params["template"], *draw.choice(((), ((...,),), ((..., slice(None, None, -2)),)))]
    parts = [draw.array(np.empty(x.shape)[_fill(templates[0], index)].shape)]
    parts += [draw.array(np.empty(x.shape)[template].shape) for template in templates[1:]]
    return (*parts, *index), {"templates": tuple(templates), "shape": x.shape}


def _parted(arrays: Sequence[Any], templates: Sequence[tuple[Any, ...]]) -> list[tuple[Any, list[Any]]]:
    """Each part with its index arrays, which follow the parts in turn."""
    rest = iter(arrays[len(templates) :])
    return [
        (g, [next(rest) for entry in template if isinstance(entry, Slot)])
        for g, template in zip(arrays, templates, strict=False)
    ]


def _index_add_cotangents(needs: Any, u: Tensor, _y: Tensor, *arrays: Any, templates: Any, shape: Any) -> Any:
    parts = zip(_parted(arrays, templates), templates, needs, strict=False)
    found = [_getitem(u, *index, template=template) if need else None for (_, index), template, need in parts]
    return found + [None] * (len(arrays) - len(found))


@primitive(_index_add_cotangents, samples=_index_add_samples, kinds="b", name="index_add")
def _index_add(
    *arrays: Array, templates: tuple[tuple[Any, ...], ...], shape: tuple[int, ...], out: Array | None = None
) -> Array:
    xp, dtype = array_module(arrays[0]), arrays[0].dtype
    out = xp.empty(shape, dtype) if out is None else out
    out[...] = 0
    for (g, index), template in zip(_parted(arrays, templates), templates, strict=True):
        where = _fill(template, index)
        if not index:
            out[where] += g
        elif len(template) == 1 and _takes_rows(g, out):  # an embedding's
            _add_rows(g, index[0], out)
        else:
            out += _add_at(g, xp.arange(out.size).reshape(shape)[where], shape)
    return out


def _takes_rows(g: Array, out: Array) -> bool:
    return bool(g.size) and out.dtype.kind == "f" and out.flags.c_contiguous


def _add_rows(g: Array, rows: Array, out: Array) -> None:
    count, flat = len(out), rows.reshape(-1)
    if not is_gpu_array(flat) and not -count <= flat.min() <= flat.max() < count:
        raise IndexError(f"index_add: got rows from {flat.min()} to {flat.max()}, expected them within {count}")
    kernels.add_rows(array_module(g).ascontiguousarray(g).reshape(flat.size, -1), flat, out.reshape(count, -1))


def index_add(g: TensorLike, *index: Any, template: tuple[Any, ...], shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with g added at an index, repeated places summed: the adjoint of `x[index]`.

    The primitive adds up several: `y = sum over parts of E_part g_part`, E the adjoint of a part's `x[index]`, in one array; so
    the cotangent of an array that is read slice by slice is made once.  dg_part = u[index of the part].
    """
    return _index_add(as_tensor(g), *index, templates=(template,), shape=tuple(shape))


def getitem(x: TensorLike, index: Any) -> Tensor:
    """`x[index]`, as NumPy reads it;  dx = zeros with g added there, at a place named twice both.

    Args:
        x: any shape.
        index: slices, integers, None, Ellipsis, integer arrays and boolean masks, or a tuple of these. Lists, tuples and
            ranges inside are arrays. A mask has the shape of the axes that it stands for.

    Raises:
        IndexError: more indices than axes, an integer outside x, a mask of another shape. (An integer array on a GPU is not
            looked at, which would make the CPU wait: it wraps round, and reads other elements.)
        TypeError: something else as an index.
    """
    x = as_tensor(x)
    given = index if isinstance(index, tuple) else (index,)
    parts = [_part(x, part) for part in given]
    arrays: list[Any] = []
    template: list[Any] = []
    for was, part, axis in zip(given, parts, _first_axes(x, parts), strict=True):
        if not isinstance(part, Tensor):
            template.append(part)
        elif part.dtype.kind == "b":
            mask = part.data if isinstance(was, Tensor) else part._data  # a recording cannot follow a tensor's places
            for places in _places_of_mask(x, mask, axis):
                template.append(Slot(len(arrays)))
                arrays.append(places)
        else:
            template.append(Slot(len(arrays)))
            arrays.append(part)
    return _getitem(x, *arrays, template=tuple(template))


def _part(x: Tensor, part: Any) -> Any:
    """One index: an array as a tensor of integers or booleans, a scalar as Python's, the others as they are."""
    if isinstance(part, (list, tuple, range)):
        part = array_module(x._data).asarray(list(part) or np.empty(0, np.int64))
        part = part if part.size or part.dtype.kind in "biu" else part.astype(np.int64)  # nothing has no dtype
    if isinstance(part, (bool, np.bool_)):
        return bool(part)
    if not isinstance(part, (Tensor, np.ndarray)) and is_whole(part):
        return int(part)
    if isinstance(part, (Tensor, np.ndarray)) or is_gpu_array(part):
        values = as_tensor(part)
        if values.dtype.kind not in "biu":
            raise TypeError(f"getitem: got an index array of dtype {values.dtype}, expected integers or bools")
        if values.dtype.kind == "b" and not values.ndim:
            return bool(values.data if isinstance(part, Tensor) else values._data)
        return values
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    raise TypeError(
        f"getitem: got an index {part!r} of type {type(part).__name__}, expected integers, slices, None, ..., integer arrays "
        "or boolean masks"
    )


def _first_axes(x: Tensor, parts: Sequence[Any]) -> list[int]:
    """For each index the first axis of x that it stands for."""
    spans = [
        0
        if part is None or part is Ellipsis or isinstance(part, bool)
        else part.ndim
        if isinstance(part, Tensor) and part.dtype.kind == "b"
        else 1
        for part in parts
    ]
    rest, dots = x.ndim - sum(spans), sum(part is Ellipsis for part in parts)
    if rest < 0 or dots > 1:
        what = "more than one ..." if dots > 1 else f"indices for {sum(spans)} axes"
        raise IndexError(f"getitem: got {what}, for an array of shape {x.shape}")
    spans = [rest if part is Ellipsis else span for part, span in zip(parts, spans, strict=True)]
    return [sum(spans[:i]) for i in range(len(spans))]


def _places_of_mask(x: Tensor, mask: Array, axis: int) -> Sequence[Array]:
    """The places where a mask is true, an array an axis."""
    expected = x.shape[axis : axis + mask.ndim]
    if mask.shape != expected:
        raise IndexError(f"getitem: got a mask of shape {mask.shape} for axes of lengths {expected} of {x.shape}")
    return array_module(mask).nonzero(mask)


def _indices(owner: str, indices: Any, like: Tensor) -> Tensor:
    """Integers as a tensor."""
    if isinstance(indices, (list, tuple, range)):
        values = _part(like, indices)
    else:
        values = as_tensor(indices if isinstance(indices, Tensor) else array_module(like._data).asarray(indices))
    if values.dtype.kind not in "iu":
        raise TypeError(f"{owner}: got indices of dtype {values.dtype}, expected integers")
    return values


def take(x: TensorLike, indices: TensorLike, axis: int = 0) -> Tensor:
    """Slices of x along `axis` at integer `indices` of any shape;  dx = g added up where an index repeats.

    Raises:
        TypeError: indices that are no integers (a boolean mask belongs into `x[mask]`).
        ValueError: an axis that is not there.
        IndexError: an index outside x (see :func:`getitem`).
    """
    x = as_tensor(x)
    axis = axis_of("take", axis, x.ndim)
    return getitem(x, (*(slice(None),) * axis, _indices("take", indices, x)))


def embedding(weight: TensorLike, indices: TensorLike) -> Tensor:
    """Rows of `weight` (vocabulary, features) at integer `indices` of any shape: (*indices.shape, features).

    y_i = W[k_i] is linear in W, and <g, y> = sum over i of <g_i, W[k_i]>, in which row v meets every g_i with k_i = v:

        dW[v] = sum of g_i over the i with k_i = v,

    in double and in the order of i; each row is added up by one thread (`kernels/cpu/rows.py`), so that it repeats.
    """
    return take(weight, indices, 0)


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The order of elements reversed along `axis` (all axes if None);  dx = g flipped."""
    x = as_tensor(x)
    axes = axes_of("flip", axis, x.ndim)
    return getitem(x, tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)))


# -- one place a line ------------------------------------------------------------------------------------------------
def _gather_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1, min_side=1)
    axis = draw.integer(0, len(shape) - 1)
    wanted = (*shape[:axis], draw.integer(0, 4), *shape[axis + 1 :])
    places = np.floor(draw.array(wanted, 0.0, 0.999) * shape[axis]).astype(np.int64)
    return shape, draw.array(shape), places - shape[axis] * draw.mask(wanted), {"axis": axis}


def _flat_places(index: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Where in an array of `shape`, in C order, the elements lie that `index` shows."""
    xp = array_module(index)
    return xp.take_along_axis(xp.arange(int(np.prod(shape))).reshape(shape), index, axis)


@primitive(
    (
        lambda g, _y, _x, index, axis: _gather_add(g, index, axis=axis, shape=_x.shape),
        lambda _g, _y, _x, _index, axis: None,
    ),
    samples=lambda draw: (lambda _shape, x, places, params: ((x, places), params))(*_gather_samples(draw)),
    kinds="b",
    name="gather",
)
def _gather(x: Array, index: Array, *, axis: int) -> Array:
    return array_module(x).take_along_axis(x, index, axis)


def _gather_add_samples(draw: Any) -> Any:
    shape, _, places, params = _gather_samples(draw)
    return (draw.array(places.shape), places), {**params, "shape": shape}


@primitive(
    (
        lambda u, _y, _g, index, axis, shape: _gather(u, index, axis=axis),
        lambda _u, _y, _g, _index, axis, shape: None,
    ),
    samples=_gather_add_samples,
    kinds="fb",
    name="gather_add",
)
def _gather_add(g: Array, index: Array, *, axis: int, shape: tuple[int, ...]) -> Array:
    return _add_at(g, _flat_places(index, shape, axis), shape)


def _lines(owner: str, x: Tensor, index: Tensor, axis: int) -> None:
    others = [i for i in range(x.ndim) if i != axis]
    if index.ndim != x.ndim or any(index.shape[i] != x.shape[i] for i in others):
        raise ValueError(
            f"{owner}: got indices of shape {index.shape} for x {x.shape}, expected as many axes, and the same lengths but along "
            f"axis {axis}; ops.take reads the same places of every line, ops.transpose exchanges axes"
        )


def gather(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """y[..., j, ...] = x[..., indices[..., j, ...], ...] along `axis`, NumPy's take_along_axis: places of its own for each
    line;  dx = zeros with g added at these places, at one named twice both.

    Args:
        x: any shape with an axis.  indices: integers, of x's shape but for `axis`; negative ones count from the end.

    Raises:
        TypeError: indices that are no integers.
        ValueError: another shape, an axis that is not there.
        IndexError: an index outside x (on a GPU it wraps round: see :func:`getitem`).
    """
    x = as_tensor(x)
    index, axis = _indices("gather", indices, x), axis_of("gather", axis, x.ndim)
    _lines("gather", x, index, axis)
    return _gather(x, index, axis=axis)


# -- sorting ---------------------------------------------------------------------------------------------------------
@primitive(samples=lambda draw: _sort_samples(draw, 1), kinds="b", name="argsort")
def _argsort(x: Array, *, axis: int) -> Array:
    return array_module(x).argsort(x, axis=axis, kind="stable")  # the method of CuPy 13 takes no kind


def argsort(x: TensorLike, axis: int = -1) -> Tensor:
    """The integer order that sorts x along `axis` (stable); a constant for the derivative."""
    x = as_tensor(x)
    return _argsort(x, axis=axis_of("argsort", axis, x.ndim))


@primitive(
    (
        lambda g, _y, _x, order, axis, check: _permute(g, _argsort(order, axis=axis), axis=axis, check=False),
        lambda _g, _y, _x, _order, axis, check: None,
    ),
    samples=lambda draw: _sort_samples(draw, 2),
    kinds="b",
    name="permute",
)
def _permute(x: Array, order: Array, *, axis: int, check: bool) -> Array:
    """`check` unless `order` comes from a sort."""
    xp = array_module(x)
    if check:
        n = x.shape[axis]
        straight = xp.arange(n).reshape([n if i == axis else 1 for i in range(x.ndim)])
        if not bool((xp.sort(order, axis=axis) == straight).all()):
            raise ValueError(
                f"expected every number from 0 to {n - 1} once along axis {axis}; for others use ops.gather"
            )
    return xp.take_along_axis(x, order, axis)


def permute(x: TensorLike, order: TensorLike, axis: int = -1) -> Tensor:
    """x with its elements along `axis` put into `order`, a permutation for each line:  y_j = x_order(j), dx = g put back,
    which moves every number once. :func:`gather` takes any places. (PyTorch's `permute` is :func:`transpose` here.)

    Args:
        x: any shape with an axis.  order: integers of x's shape, 0 to n - 1 along `axis`, each once.

    Raises:
        TypeError, ValueError: an order that is no such permutation, an axis that is not there.
    """
    x = as_tensor(x)
    order, axis = _indices("permute", order, x), axis_of("permute", axis, x.ndim)
    _lines("permute", x, order, axis)
    if order.shape != x.shape:
        raise ValueError(f"permute: got an order of shape {order.shape}, expected {x.shape}; for others use ops.gather")
    return _permute(x, order, axis=axis, check=True)


def _sort_samples(draw: Any, count: int) -> Any:
    shape = draw.shape(min_ndim=1)
    x, axis = draw.array(shape, distinct=True), draw.integer(0, len(shape) - 1)
    more = {"check": True} if count > 1 else {}
    return (x, np.argsort(draw.array(shape, distinct=True), axis))[:count], {"axis": axis, **more}


def sort(x: TensorLike, axis: int = -1) -> Tensor:
    """Ascending order along `axis`;  dx = g carried back to where each element came from."""
    x = as_tensor(x)
    axis = axis_of("sort", axis, x.ndim)
    return _permute(x, _argsort(x, axis=axis), axis=axis, check=False)


# -- places as numbers -----------------------------------------------------------------------------------------------
def _largest_samples(draw: Any) -> Any:
    shape = draw.shape(min_ndim=1, min_side=1)
    return (draw.array(shape, distinct=True),), {"axis": draw.integer(0, len(shape) - 1)}


@primitive(samples=_largest_samples, kinds="b", name="argmax")
def _argmax(x: Array, *, axis: int) -> Array:
    return x.argmax(axis=axis)


@primitive(samples=_largest_samples, kinds="b", name="argmin")
def _argmin(x: Array, *, axis: int) -> Array:
    return x.argmin(axis=axis)


def _extreme(op: Any, name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    flat = axis is None
    place = 0 if flat else axis_of(name, axis, x.ndim)
    if not x.size:
        raise ValueError(f"{name}: got shape {x.shape}, expected elements: nothing has no extreme")
    y = op(reshape(x, -1) if flat else x, axis=place)
    if not keepdims:
        return y
    return reshape(y, (1,) * x.ndim) if flat else expand_dims(y, place)


def argmax(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The place of the largest element along `axis`, the first of several; without an axis, in x in C order. Integers, a
    constant for the derivative."""
    return _extreme(_argmax, "argmax", x, axis, keepdims)


def argmin(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The place of the smallest element along `axis`, as :func:`argmax`."""
    return _extreme(_argmin, "argmin", x, axis, keepdims)
