"""What each operation does with arrays that are dealt out: a rule an operation.

A rule `rule(world, op, inputs, params)` gives the result, or None where it does not cover the case: the inputs are then read
whole. Each says of which axis of the result the shards' results are parts, or that their sum is meant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan import ops
from minigan.activation import LINEAR
from minigan.autodiff import Tensor, apply
from minigan.backend import Array, is_float
from minigan.ops.indexing import Slot
from minigan.primitive import Primitive
from minigan.ranks.layout import Cut, Partial, Rows, Spread, bounds, whole_of
from minigan.switches import no_grad

if TYPE_CHECKING:
    from minigan.ranks.world import World

Inputs = Sequence[Tensor]
Params = dict[str, Any]
Rule = Callable[["World", Primitive, Inputs, Params], Tensor | None]
_RULES: dict[str, Rule] = {}


def rule_of(op: Primitive) -> Rule | None:
    """The rule of an operation; None where it has none."""
    return _RULES.get(op.name, _by_composite if op.composite is not None else None)


def _for(*names: str, linear: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule. linear: the operations are, so where all inputs are sums of parts, the result is one, whatever the rule
    says of rows."""

    def register(rule: Rule) -> Rule:
        def of_sums_too(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
            made = _of_sums(world, op, inputs, params)
            return rule(world, op, inputs, params) if made is None else made

        _RULES.update(dict.fromkeys(names, of_sums_too if linear else rule))
        return rule

    return register


# -- what rules are written with -------------------------------------------------------------------------------------
def _cut(t: Tensor) -> Cut | None:
    """How a tensor's rows are dealt out; None where they are not."""
    return t._data.cut if isinstance(t._data, Rows) else None


def _first_cut(inputs: Iterable[Tensor]) -> Cut | None:
    return next((cut for t in inputs if (cut := _cut(t)) is not None), None)


def _copies(world: World, t: Tensor) -> list[Tensor]:
    """The whole, once for each shard."""
    return [whole_of(t)] * len(world.own)


def _dealt(world: World, t: Tensor, cut: Cut) -> list[Tensor]:
    """Its parts by that cut, whatever it is: what is dealt out otherwise is read whole first."""
    if _cut(t) == cut:
        return t._data.blocks
    return world.parts(_copies(world, t)[0], cut)


def _blocks(op: Primitive, columns: Sequence[Sequence[Tensor]], params: Params | Sequence[Params]) -> list[Tensor]:
    """The operation on every shard. columns: for each input its parts; params: for all shards, or of each."""
    each = params if isinstance(params, (list, tuple)) else [params] * len(columns[0])
    with no_grad():
        return [apply(op, row, own) for row, own in zip(zip(*columns, strict=True), each, strict=True)]


def _rows(world: World, cut: Cut, blocks: Sequence[Tensor]) -> Tensor:
    return world.made(Rows(world, cut, blocks))


def _sum(world: World, blocks: Sequence[Tensor]) -> Tensor:
    return world.made(Partial(world, blocks))


def _of_sums(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """A linear operation where all inputs are sums of parts: such a sum again. None for other inputs."""
    if not all(isinstance(t._data, Partial) for t in inputs):
        return None
    return _sum(world, _blocks(op, [t._data.blocks for t in inputs], params))


def _run(length: int, units: int) -> tuple[int, int]:
    """A run of places that nobody has dealt out yet: of as many units as its neighbours', where that is possible."""
    return (units, length // units) if length % units == 0 else (length, 1)


def _with_length(shape: Sequence[int], axis: int, lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """The shape of each shard's part."""
    return [(*shape[:axis], n, *shape[axis + 1 :]) for n in lengths]


# -- factors of a sum of parts ---------------------------------------------------------------------------------------
@_for("multiply", "divide")
def _scaled(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """A sum of parts times a plain array is one; the quotient of a plain array and a sum is none."""
    a, b = inputs
    if isinstance(a._data, Partial) and not isinstance(b._data, Spread):
        return _sum(world, _blocks(op, [a._data.blocks, _copies(world, b)], params))
    if op.name == "multiply" and isinstance(b._data, Partial) and not isinstance(a._data, Spread):
        return _sum(world, _blocks(op, [_copies(world, a), b._data.blocks], params))
    return _elementwise(world, op, inputs, params)


# -- elementwise: parts of the same places ---------------------------------------------------------------------------
@_for(
    "power", "square", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "erf", "erfc", "abs", "sign", "floor", "ceil",
    "round", "maximum", "minimum", "where", "activation", "activation_backward", "softplus", "bce_with_logits", "less",
    "less_equal", "greater", "greater_equal", "equal", "straight_through", "logical_and", "logical_or", "logical_xor",
    "logical_not",
)  # fmt: skip
def _elementwise(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Inputs broadcast: what has the result's length along the dealt axis is dealt alike, what has length 1 or lacks the axis is
    the same for all."""
    cut = _first_cut(inputs)
    if cut is None:
        return None
    ndim = max(t.ndim for t in inputs)
    first = next(t for t in inputs if _cut(t) is not None)
    axis, columns = cut.axis + ndim - first.ndim, []
    for t in inputs:
        own = axis - (ndim - t.ndim)
        together = own >= 0 and t.shape[own] == cut.length != 1
        columns.append(_dealt(world, t, cut.at(own)) if together else _copies(world, t))
    return _rows(world, cut.at(axis), _blocks(op, columns, params))


_for("negative", "identity", "stop_gradient", "contiguous", "add", "subtract", linear=True)(_elementwise)


@_for("cast")
def _cast(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Linear, unless it rounds to whole numbers."""
    made = _of_sums(world, op, inputs, params) if is_float(np.dtype(params["dtype"])) else None
    return _elementwise(world, op, inputs, params) if made is None else made


# -- shapes ----------------------------------------------------------------------------------------------------------
@_for("reshape", linear=True)
def _reshape(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    (x,), shape = inputs, list(params["shape"])
    if -1 in shape:
        shape[shape.index(-1)] = x.size // max(1, -int(np.prod(shape, dtype=np.int64)))
    cut = _reshaped(world, x.shape, shape, x._data.cut)
    if cut is None:
        return None
    shapes = _with_length(shape, cut.axis, world.lengths(cut))
    return _rows(world, cut, _blocks(op, [x._data.blocks], [{"shape": own} for own in shapes]))


def _reshaped(world: World, old: Sequence[int], new: Sequence[int], cut: Cut) -> Cut | None:
    """How the dealt axis lies in another shape: alone, together with what follows it, or as a part of what it was; None for
    something else."""
    before = int(np.prod(old[: cut.axis], dtype=np.int64))
    for axis in range(len(new)):
        if int(np.prod(new[:axis], dtype=np.int64)) == before and new[axis] > 1:
            runs = _rescaled(world, cut, new[axis])
            found = None if runs is None else Cut(axis, runs)
            return found if found is not None and found.length == new[axis] else None
    return None


def _rescaled(world: World, cut: Cut, length: int) -> tuple[tuple[int, int], ...] | None:
    """The runs of the axis when it has another length: each place becomes several, or several become one."""
    if length % cut.length == 0:
        return tuple((units, places * (length // cut.length)) for units, places in cut.runs)
    if cut.length % length:
        return None
    runs, merged = [], cut.length // length
    for units, places in cut.runs:
        ends = [bounds(units, shard, world.shards)[1] for shard in range(world.shards)]
        fewer = [bounds(units // merged, shard, world.shards)[1] * merged for shard in range(world.shards)]
        if places % merged == 0:
            runs.append((units, places // merged))
        elif places == 1 and ends == fewer:
            runs.append((units // merged, 1))
        else:
            return None
    return tuple(runs)


@_for("transpose", linear=True)
def _transpose(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _cut(inputs[0])
    assert cut is not None
    axis = params["axes"].index(cut.axis)
    return _rows(world, cut.at(axis), _blocks(op, [inputs[0]._data.blocks], params))


@_for("broadcast_to", linear=True)
def _broadcast_to(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    (x,), cut = inputs, _cut(inputs[0])
    assert cut is not None
    axis = cut.axis + len(params["shape"]) - x.ndim
    shapes = _with_length(params["shape"], axis, world.lengths(cut))
    return _rows(world, cut.at(axis), _blocks(op, [x._data.blocks], [{"shape": own} for own in shapes]))


@_for("sum_to", linear=True)
def _sum_to(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    (x,), cut, shape = inputs, _cut(inputs[0]), params["shape"]
    assert cut is not None
    axis = cut.axis - (x.ndim - len(shape))
    if axis < 0 or (shape[axis] == 1 != cut.length):
        return _sum(world, _blocks(op, [x._data.blocks], params))
    shapes = _with_length(shape, axis, world.lengths(cut))
    return _rows(world, cut.at(axis), _blocks(op, [x._data.blocks], [{"shape": own} for own in shapes]))


@_for("concatenate", linear=True)
def _concatenate(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Along the dealt axis: run behind run. Along another: parts of the same rows."""
    cut = _first_cut(inputs)
    if cut is None:
        return None
    if cut.axis != params["axis"]:
        return _rows(world, cut, _blocks(op, [_dealt(world, t, cut) for t in inputs], params))
    cuts = [_cut(t) or Cut(cut.axis, (_run(t.shape[cut.axis], cut.runs[0][0]),)) for t in inputs]
    if any(own.axis != cut.axis for own in cuts):
        return None
    joined = Cut(cut.axis, tuple(run for own in cuts for run in own.runs))
    columns = [_dealt(world, t, own) for t, own in zip(inputs, cuts, strict=True)]
    return _rows(world, joined, _blocks(op, columns, params))


@_for("pad")
def _pad(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _cut(inputs[0])
    if cut is None or tuple(params["widths"][cut.axis]) != (0, 0):
        return None
    return _rows(world, cut, _blocks(op, [inputs[0]._data.blocks], params))


# -- reductions, and whatever runs along an axis ---------------------------------------------------------------------
@_for("sum", linear=True)
def _total(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _cut(inputs[0])
    assert cut is not None
    blocks = _blocks(op, [inputs[0]._data.blocks], params)
    return _sum(world, blocks) if cut.axis in params["axis"] else _rows(world, cut, blocks)


@_for("max", "min", "logsumexp", "softmax", "log_softmax", "norm", "all", "any")
def _over_axes(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _cut(inputs[0])
    if cut is None or cut.axis in params["axis"]:
        return None
    blocks = _blocks(op, [inputs[0]._data.blocks], params)
    gone = 0 if blocks[0].ndim == inputs[0].ndim else sum(axis < cut.axis for axis in params["axis"])
    return _rows(world, cut.at(cut.axis - gone), blocks)


@_for("cumsum", "argsort", "permute", "gather", "interpolate", "interpolate_adjoint")
def _along_axis(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Lines along an axis that is not dealt out; all inputs have the lines in common."""
    cut = _first_cut(inputs)
    if cut is None or cut.axis == params["axis"]:
        return None
    return _rows(world, cut, _blocks(op, [_dealt(world, t, cut) for t in inputs], params))


@_for("gather_add")
def _gather_add(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _first_cut(inputs)
    if cut is None or cut.axis == params["axis"]:
        return None
    shapes = _with_length(params["shape"], cut.axis, world.lengths(cut))
    own = [params | {"shape": shape} for shape in shapes]
    return _rows(world, cut, _blocks(op, [_dealt(world, t, cut) for t in inputs], own))


@_for("argmax", "argmin")
def _place_of_extreme(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut, axis = _cut(inputs[0]), params["axis"]
    if cut is None or cut.axis == axis:
        return None
    blocks = _blocks(op, [inputs[0]._data.blocks], params)
    gone = blocks[0].ndim < inputs[0].ndim and axis < cut.axis
    return _rows(world, cut.at(cut.axis - gone), blocks)


# -- examples side by side along the first axis ----------------------------------------------------------------------
def _by_example(world: World, op: Primitive, inputs: Inputs, params: Params, dealt: Sequence[int]) -> Tensor | None:
    """The inputs of numbers `dealt` have an example a row, the others are for all; so has the result."""
    cut = _first_cut([inputs[i] for i in dealt])
    others = [t for i, t in enumerate(inputs) if i not in dealt]
    if cut is None or cut.axis or any(_cut(t) is not None for t in others):
        return None
    columns = [_dealt(world, t, cut) if i in dealt else _copies(world, t) for i, t in enumerate(inputs)]
    own: Any = params
    if "shape" in params:
        own = [params | {"shape": shape} for shape in _with_length(params["shape"], 0, world.lengths(cut))]
    return _rows(world, cut, _blocks(op, columns, own))


@_for("conv", "conv_transpose", "dense")
def _layer(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    return _by_example(world, op, inputs, params, (0,))


@_for("window_sum", "window_spread", "window_winner", "window_select", "window_place", "max_pool", "shift")
def _images(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    return _by_example(world, op, inputs, params, range(len(inputs)))


@_for("one_hot")
def _one_hot(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    cut = _cut(inputs[0])
    return None if cut is None else _rows(world, cut, _blocks(op, [inputs[0]._data.blocks], params))


@_for("conv_weight")
def _conv_weight(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """A sum over examples: each shard has its part of it."""
    cut = _first_cut(inputs)
    if cut is None or cut.axis:
        return None
    return _sum(world, _blocks(op, [_dealt(world, t, cut) for t in inputs], params))


# -- products --------------------------------------------------------------------------------------------------------
_INNER = {
    "matmul": (-1, -2),
    "matmul_nt": (-1, -1),
    "matmul_tn": (-2, -2),
}  # the axis that is summed over, of each factor


@_for(*_INNER)
def _product(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Dealt along the inner axis, a sum of parts; along an outer axis of one factor, or leading axes of both, rows."""
    a, b = inputs
    which = 0 if _cut(a) is not None else 1
    cut = _cut(inputs[which])
    if cut is None:
        return None  # a product is linear in each factor, but one sum is cheaper than a product a shard
    one, other = inputs[which], inputs[1 - which]
    axis = cut.axis - one.ndim
    if axis == _INNER[op.name][which]:
        alike = cut.at(other.ndim + _INNER[op.name][1 - which])
        columns = {which: one._data.blocks, 1 - which: _dealt(world, other, alike)}
        return _sum(world, _blocks(op, [columns[0], columns[1]], params))
    ndim = max(a.ndim, b.ndim)
    if axis >= -2:
        columns = {which: one._data.blocks, 1 - which: _copies(world, other)}
        return _rows(world, cut.at(ndim - (1 if which else 2)), _blocks(op, [columns[0], columns[1]], params))
    place = other.ndim + axis
    alone = place < 0 or other.shape[place] == 1
    parts = _copies(world, other) if alone else _dealt(world, other, cut.at(place))
    columns = {which: one._data.blocks, 1 - which: parts}
    return _rows(world, cut.at(ndim + axis), _blocks(op, [columns[0], columns[1]], params))


# -- reading and adding at places ------------------------------------------------------------------------------------
def _slices(template: Sequence[Any], ndim: int) -> list[Any] | None:
    """An index without arrays and new axes, written out for every axis; None for one that is not such."""
    if any(part is None or isinstance(part, (Slot, bool, np.bool_)) for part in template):
        return None
    parts = list(template)
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (ndim - len(parts) + 1)
    return parts + [slice(None)] * (ndim - len(parts))


def _runs_within(cut: Cut, part: Any) -> tuple[list[int], tuple[tuple[int, int], ...]] | None:
    """Which whole runs of the dealt axis a slice reads: their numbers, and they; None where it cuts one in two."""
    if not isinstance(part, slice):
        return None
    first, last, step = part.indices(cut.length)
    if step != 1:
        return None
    starts = [0, *itertools.accumulate(units * places for units, places in cut.runs)]
    inside = [i for i in range(len(cut.runs)) if first <= starts[i] and starts[i + 1] <= last]
    if sum(units * places for units, places in (cut.runs[i] for i in inside)) != max(0, last - first) or not inside:
        return None
    return inside, tuple(cut.runs[i] for i in inside)


def _local_slices(world: World, cut: Cut, inside: Sequence[int]) -> list[slice]:
    """Where these runs, which follow one another, lie in each shard's part."""
    found = []
    for shard in world.own:
        sizes = [last - first for first, last in cut.spans(shard, world.shards)]
        start = sum(sizes[: inside[0]])
        found.append(slice(start, start + sum(sizes[i] for i in inside)))
    return found


@_for("getitem")
def _getitem(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    x, *index = inputs
    if index:
        return _embedding(world, op, inputs, params)
    if (made := _of_sums(world, op, inputs, params)) is not None:
        return made
    cut, template = _cut(x), params["template"]
    assert cut is not None
    parts = _slices([part for part in template if part is not None], x.ndim)
    if parts is None or (None in template and any(part is not None and part is not Ellipsis for part in template)):
        return None
    if None in template:  # new axes alone
        return _new_axes(world, op, x, cut, params)
    within = _runs_within(cut, parts[cut.axis])
    if within is None:
        return None
    inside, runs = within
    own = []
    for place in _local_slices(world, cut, inside):
        local = list(parts)
        local[cut.axis] = place
        own.append({"template": tuple(local)})
    axis = cut.axis - sum(not isinstance(part, slice) for part in parts[: cut.axis])
    return _rows(world, Cut(axis, runs), _blocks(op, [x._data.blocks], own))


def _new_axes(world: World, op: Primitive, x: Tensor, cut: Cut, params: Params) -> Tensor:
    template = params["template"]
    dots = template.index(Ellipsis) if Ellipsis in template else len(template)
    return _rows(world, cut.at(cut.axis + template[:dots].count(None)), _blocks(op, [x._data.blocks], params))


def _embedding(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """Rows of a table at places that are dealt out."""
    cut = _cut(inputs[1])
    if params["template"] != (Slot(0),) or cut is None or isinstance(inputs[0]._data, Spread):
        return None
    return _rows(world, cut, _blocks(op, [_copies(world, inputs[0]), inputs[1]._data.blocks], params))


@_for("index_add")
def _index_add(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """The adjoint: of a table a sum of parts; of slices rows again, where the slices are runs."""
    templates, shape = params["templates"], params["shape"]
    if templates == ((Slot(0),),) and all(_cut(t) is not None and _cut(t).axis == 0 for t in inputs):  # type: ignore[union-attr]
        cut = _cut(inputs[1])
        assert cut is not None
        return _sum(world, _blocks(op, [_dealt(world, t, cut) for t in inputs], params))
    if len(inputs) > len(templates):
        return None
    if (made := _of_sums(world, op, inputs, params)) is not None:
        return made
    return _slices_added(world, op, inputs, [_slices(template, len(shape)) for template in templates], params)


def _slices_added(
    world: World, op: Primitive, inputs: Inputs, templates: Sequence[Any], params: Params
) -> Tensor | None:
    """One axis is dealt out, of all parts that know it; the runs are those between the ends of all slices along it."""
    shape = params["shape"]
    if any(parts is None for parts in templates):
        return None
    axis = _axis_of_parts(inputs, templates)
    if axis is None:
        return None
    runs = _runs_of_parts(inputs, templates, axis, shape[axis])
    if runs is None:
        return None
    cut, columns, own = Cut(axis, runs), [], [[] for _ in world.own]  # type: ignore[var-annotated]
    for t, parts in zip(inputs, templates, strict=True):
        within = _runs_within(cut, parts[axis])
        if within is None:
            return None
        inside, taken = within
        place = axis - sum(not isinstance(part, slice) for part in parts[:axis])
        columns.append(_dealt(world, t, Cut(place, taken)))
        for local, where in zip(own, _local_slices(world, cut, inside), strict=True):
            local.append(tuple(where if i == axis else part for i, part in enumerate(parts)))
    shapes = _with_length(shape, axis, world.lengths(cut))
    each = [{"templates": tuple(t), "shape": s} for t, s in zip(own, shapes, strict=True)]
    return _rows(world, cut, _blocks(op, columns, each))


def _axis_of_parts(inputs: Inputs, templates: Sequence[Any]) -> int | None:
    """The axis of the result that the first dealt part is dealt along."""
    for t, parts in zip(inputs, templates, strict=True):
        if (cut := _cut(t)) is not None:
            kept = [i for i, part in enumerate(parts) if isinstance(part, slice)]
            return kept[cut.axis]
    return None


def _runs_of_parts(
    inputs: Inputs, templates: Sequence[Any], axis: int, length: int
) -> tuple[tuple[int, int], ...] | None:
    """The runs of the result: those of the parts, where they lie; between them runs of their own."""
    known: dict[tuple[int, int], tuple[tuple[int, int], ...]] = {}
    ends = {0, length}
    for t, parts in zip(inputs, templates, strict=True):
        if not isinstance(parts[axis], slice):
            return None
        first, last, step = parts[axis].indices(length)
        if step != 1:
            return None
        cut, start = _cut(t), first
        for units, places in cut.runs if cut is not None else ():
            known[start, start + units * places] = ((units, places),)
            start += units * places
            ends.add(start)
        ends |= {first, max(first, last)}
    units = next(iter(known.values()), ((length, 1),))[0][0]
    pieces = itertools.pairwise(sorted(ends))
    return tuple(run for a, b in pieces for run in known.get((a, b), (_run(b - a, units),)))


# -- fused operations with a composite -------------------------------------------------------------------------------
def _keep(mean: Array, var: Array, *, statistics: Array) -> Array:
    statistics[0], statistics[1] = mean, var
    return statistics.copy()


_KEEP = Primitive(_keep, None, name="batch_norm_statistics", samples=None)


@_for("batch_norm")
def _batch_norm(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """The composite, whose moments are of all rows; it leaves them where the running averages look."""
    (x, gamma, beta), f = inputs, params.get("f", LINEAR)
    mean = ops.mean(x, 0)
    centred = x - mean
    var = ops.mean(ops.square(centred), 0)
    if (statistics := params.get("statistics")) is not None:
        with no_grad():
            apply(_KEEP, tuple(_copies(world, t)[0] for t in (mean, var)), {"statistics": statistics})
    z = gamma * (centred / ops.sqrt(var + params["eps"])) + beta
    return z if f.kind == "linear" else ops.activation(z, f)


def _by_composite(world: World, op: Primitive, inputs: Inputs, params: Params) -> Tensor | None:
    """What the operation equals, in plain operations, which have rules and derivatives of every order."""
    assert op.composite is not None
    return op.composite(*inputs, **params)
