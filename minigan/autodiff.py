"""Reverse-mode automatic differentiation of every order.

A `Tensor` is an array and, when derivatives are wanted, the `Node` that made it (both in `graph.py`). A node remembers its
operation, its parents and what its derivative needs. :func:`grad` walks the nodes backwards and multiplies by each
operation's vector-Jacobian product

    vjp_i(g) = (d y / d x_i)^T g,      y = op(x_1, ..., x_n),   g the cotangent of y.

Each vjp is itself written with differentiable operations on tensors. With `create_graph=True` the backward walk is
therefore one more graph, which can be differentiated again: that is the whole of higher-order differentiation here.

Reading order: `graph.py` (what a graph is), `primitive.py` (one row of the table of operations), then here :func:`apply`
(one step forward) and :func:`grad` (all steps backward).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, owner_of
from minigan.checks import numbers
from minigan.effects import assign, effect, fill, overwrite
from minigan.graph import GraphError, Node, Tensor, TensorLike, Version, as_tensor, tensor
from minigan.methods import Methods
from minigan.primitive import Primitive, Unsaved, signature_of
from minigan.staged import of_arrays
from minigan.switches import Event, graph, origin, state

# -- the table of operations -----------------------------------------------------------------------------------------
REGISTRY: dict[str, Primitive] = {}


def primitive(vjps: Any = None, **options: Any) -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Decorator: register `forward` as an operation and return the function on tensors that applies it.

    The function keeps the name and docstring of `forward`, so a file reads: formula, forward, derivative, samples.
    """

    def register(forward: Callable[..., Array]) -> Callable[..., Tensor]:
        name = options.pop("name", forward.__name__)
        if name in REGISTRY:
            raise ValueError(f"primitive: the name {name!r} is taken")
        op = REGISTRY[name] = Primitive(forward, vjps, name=name, **options)

        def call(*args: Any, **params: Any) -> Tensor:
            return apply(op, args, params)

        call.__name__ = call.__qualname__ = name
        call.__doc__, call.__module__ = forward.__doc__, forward.__module__
        call.__signature__ = signature_of(forward)  # type: ignore[attr-defined]
        return call

    return register


def _as_tensors(op: Primitive, args: tuple[Any, ...]) -> list[Tensor]:
    """Arguments as tensors, of one float dtype where floats are among them. Python numbers are weak: they take the dtype of the
    arrays. Integers among themselves stay integers where the operation can (see :class:`Primitive`, `kinds`)."""
    dtypes = {a._data.dtype if isinstance(a, Tensor) else None for a in args}
    if len(dtypes) == 1 and not dtypes.isdisjoint(backend.FLOATS):
        return list(args)  # nearly always: tensors of one float dtype
    dtype = array = None
    for i, a in enumerate(args):
        if isinstance(a, (Tensor, np.ndarray)) or hasattr(a, "__cuda_array_interface__"):
            own = a._data if isinstance(a, Tensor) else a
            array = own if array is None or own.ndim else array
            if backend.is_float(own.dtype) and op.kind(i) != "b":
                if dtype is not None and own.dtype != dtype:
                    raise TypeError(
                        f"{op.name}: got {dtype} and {own.dtype} arrays, expected one dtype; convert with ops.cast"
                    )
                dtype = own.dtype
    if dtype is None:
        dtype = _dtype_without_floats(op, args)
    xp = np if array is None else backend.array_module(array)
    return [
        a if isinstance(a, Tensor) and (a.dtype == dtype or op.kind(i) in "bc") else _convert(op, a, i, dtype, xp)
        for i, a in enumerate(args)
    ]


def _dtype_without_floats(op: Primitive, args: tuple[Any, ...]) -> Any:
    """float32; but an integer dtype (bools count as int64) where all numbers of an "n" operation are integers, and None, as they
    are, where numbers are compared."""
    if "c" in op.kinds:
        return None
    found: list[Any] = []  # Python's integers, which are weak, and dtypes
    for i, a in enumerate(args):
        if op.kind(i) == "n":
            kind: Any = a if type(a) is int else a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype
            found.append(np.dtype(np.int64) if type(a) is not int and kind.kind == "b" else kind)
    whole = found and all(type(n) is int or n.kind in "iu" for n in found)
    return np.result_type(*found) if whole else backend.DEFAULT_DTYPE


def _convert(op: Primitive, a: Any, i: int, dtype: Any, xp: Any) -> Tensor:
    kind = op.kind(i)
    known = hasattr(a, "dtype") and not isinstance(a, np.generic)
    xp = (
        backend.array_module(a) if known and np.ndim(a) else xp
    )  # numbers go where the arrays are; an array is not moved
    if kind == "b":
        return Tensor(xp.asarray(a))
    if known and not (backend.is_float(a.dtype) or a.dtype.kind in "biu"):
        raise TypeError(f"{op.name}: got an array of dtype {a.dtype}, expected float32, float64, integer or bool")
    if isinstance(a, Tensor):  # an integer or bool tensor among floats; a float of another dtype was refused before
        return run("cast", a, dtype=dtype)
    if not known:
        a = numbers(op.name, a)
    t = Tensor(xp.asarray(a, dtype=None if kind == "c" and (known or dtype is None) else dtype))
    if state.hooks and isinstance(a, np.ndarray) and a.ndim and t._data is not a:
        fill(overwrite, t, a)  # a copy, which a replay makes anew
    return t


def _describe(tensors: Sequence[Tensor]) -> str:
    if len({t.device for t in tensors}) > 1:
        places = ", ".join(f"{tuple(t.shape)} {t.dtype} on the {t.device}" for t in tensors)
        return f"{places}; minigan.backend.to_device brings arrays together"
    return ", ".join(f"{tuple(t.shape)} {t.dtype}" for t in tensors)


def apply(op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
    """Run one operation forward and, when a derivative may be wanted, note it down as a node."""
    inputs = _as_tensors(op, args)
    spread = state.spread.apply(op, inputs, params) if state.spread is not None else None
    if spread is not None and spread.node is not None:  # by its composite, which has a graph
        return spread
    data = spread._data if spread is not None else _forward(op, inputs, params)
    node = None
    if state.enabled and op.vjps is not None and any(t.node is not None for t in inputs):
        node = Node(op, data, origin())
        node.parents = tuple(t.node for t in inputs)
        node.params = params
    output = Tensor(data, node, _version(op, inputs[0], data) if spread is None else spread.version)
    if node is not None:
        kept = [t if op.keep(i + 1) else Unsaved(t.shape, t.dtype) for i, t in enumerate(inputs)]
        node.saved = (_save(output.detach()) if op.keep(0) else None, *map(_save, kept))
    if spread is None:  # else its parts were looked at, and told of
        if state.anomaly:
            _check_finite(data, f"{op.name} called at {origin()}", inputs)
        for hook in state.hooks:
            hook(Event("apply", op, tuple(inputs), params, output, node))
    return output


def _forward(op: Primitive, inputs: list[Tensor], params: dict[str, Any]) -> Array:
    try:
        data = op.forward(*[t._data for t in inputs], **params)
    except (ValueError, TypeError, IndexError) as error:
        extra = f", {params}" if params else ""
        raise type(error)(f"{op.name}: {error} [received {_describe(inputs)}{extra}]") from None
    return np.asarray(data) if isinstance(data, np.generic) else data  # NumPy turns 0-d results into scalars


def _version(op: Primitive, x: Tensor, data: Array) -> Version | None:
    """That of x where the result is a view of it."""
    return x.version if op.view and data.base is not None and np.may_share_memory(data, x._data) else None


def run(name: str, *args: Any, **params: Any) -> Tensor:
    """Apply the operation of that name."""
    return apply(REGISTRY[name], args, params)


def _save(t: Any) -> Any:
    """What a node keeps of a tensor: its parts, never the tensor itself (which could close a cycle)."""
    return (t._data, t.node, t.version, t.version.count) if isinstance(t, Tensor) else t


def _load(node: Node, i: int) -> Any:
    """Slot i of `node.saved` as a tensor again, after checking that its array is the one that was saved."""
    saved = node.saved[i]
    if not isinstance(saved, tuple) or isinstance(saved, Unsaved):
        return saved
    data, made_by, version, count = saved
    if version.count != count:
        what = "its output" if i == 0 else f"its input {i - 1}"
        raise GraphError(
            f"{node.op.name if node.op else 'leaf'} called at {node.origin} saved {what} of shape {tuple(data.shape)} for "
            f"its derivative, but the array was changed in place since ({version.count - count} times); "
            "take the derivative before the change, or compute on a copy"
        )
    return Tensor(data, node if i == 0 else made_by, version)


def _check_finite(data: Array, where: str, inputs: Sequence[Tensor] = ()) -> None:
    xp = backend.array_module(data)
    if data.dtype.kind == "f" and not bool(xp.isfinite(data).all()):
        bad = "NaN" if bool(xp.isnan(data).any()) else "Inf"
        raise FloatingPointError(f"anomaly: first {bad} made by {where} [received {_describe(inputs)}]")


def _reachable(roots: list[Node]) -> list[Node]:
    """All ancestors of `roots`, children before parents. No recursion: chains may be 100,000 nodes long."""
    seen = {id(node): node for node in roots}
    stack = list(roots)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and id(parent) not in seen:
                seen[id(parent)] = parent
                stack.append(parent)
    return sorted(seen.values(), key=lambda node: -node.order)


def _as_list(value: Any) -> list[Any]:
    """A new list of one or several."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _seed(y: Tensor, g: Any) -> Tensor:
    """The cotangent a walk starts with: 1 for a scalar, the given one otherwise."""
    if g is None:
        if y.size != 1:
            raise GraphError(f"grad: the output has shape {y.shape}, not one element; pass grad_outputs of that shape")
        return Tensor(backend.array_module(y._data).ones(y.shape, y.dtype))
    if not isinstance(g, Tensor):
        g = g if hasattr(g, "dtype") else numbers("grad", g)
        g = Tensor(backend.array_module(y._data).asarray(g, dtype=y.dtype))
    if g.shape != y.shape or g.dtype != y.dtype:
        raise ValueError(f"grad: grad_outputs has shape {g.shape} {g.dtype}, expected {y.shape} {y.dtype}")
    return g


def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, *, create_graph: bool = False) -> Any:
    """Sum over outputs of (d output / d input)^T grad_output, for each input, each in an array of its own.

    Args:
        outputs: a tensor, or a list or tuple of them.
        inputs: a tensor, or a list or tuple of them: leaves or any tensors inside the graph.
        grad_outputs: a cotangent an output, of its shape; may be left out (ones) for outputs with one element.
        create_graph: make the result differentiable, for higher orders.

    Returns:
        A tensor an input, with that input's shape; a single tensor when `inputs` is one. An input that the outputs do
        not depend on gets zeros, its true derivative.

    Raises:
        GraphError: an input or every output is outside the graph, a saved array was changed in place, or an operation
            on the way has no derivative of this order.
    """
    found = cotangents(_as_list(outputs), inputs, grad_outputs, create_graph=create_graph)
    results = [zeros_for(x) if g is None else g for g, x in zip(found, _as_list(inputs), strict=True)]
    given = _as_list(grad_outputs) if grad_outputs is not None else []
    with graph(create_graph):
        results = _unshared(results, [g._data if isinstance(g, Tensor) else g for g in given])
    return results if isinstance(inputs, (list, tuple)) else results[0]


def cotangents(
    outputs: list[Tensor], inputs: Any, grad_outputs: Any = None, *, create_graph: bool = False
) -> list[Tensor | None]:
    """What :func:`grad` returns, for who only reads it: these arrays may share memory or be read-only; None for no way at all.
    The list `outputs` is emptied: a graph that nobody else holds is freed while it is walked, each node as it is passed."""
    xs, gs = _as_list(inputs), _as_list(grad_outputs) if grad_outputs is not None else [None] * len(outputs)
    if len(gs) != len(outputs):
        raise ValueError(f"grad: got {len(gs)} grad_outputs for {len(outputs)} outputs")
    for i, x in enumerate(xs):
        if not isinstance(x, Tensor) or x.node is None:
            raise GraphError(f"grad: input {i} is not in a graph; make it with mg.tensor(..., requires_grad=True)")
    if all(y.node is None for y in outputs):
        raise GraphError("grad: the outputs depend on no tensor that requires derivatives (or ran under no_grad)")
    with graph(create_graph):
        roots, sums = _seeded(outputs, gs)
        outputs.clear()
        found = _walk(roots, {id(x.node) for x in xs}, sums, create_graph)
    return [found.get(id(x.node)) for x in xs]


def _seeded(outputs: list[Tensor], gs: list[Any]) -> tuple[list[Node], dict[int, _Sum]]:
    """The outputs' nodes, and the cotangents that a walk begins with."""
    roots: list[Node] = []
    sums: dict[int, _Sum] = {}
    for y, g in zip(outputs, gs, strict=True):
        if y.node is not None:
            roots.append(y.node)
            sums.setdefault(id(y.node), _Sum()).add(_seed(y, g))
    return roots, sums


def _unshared(results: list[Tensor], taken: list[Any]) -> list[Tensor]:
    """The tensors, copied where one is read-only or overlaps an earlier one or an array of `taken`."""
    roots: dict[int, list[Any]] = {}
    for array in taken:
        roots.setdefault(id(owner_of(array)), []).append(array)
    for i, t in enumerate(results):
        same, xp = roots.setdefault(id(owner_of(t._data)), []), backend.array_module(t._data)
        writable = xp is not np or t._data.flags.writeable
        if not writable or any(xp.may_share_memory(t._data, other) for other in same):
            t = results[i] = run("cast", t, dtype=t.dtype)
        same.append(t._data)
    return results


def zeros_for(x: Tensor) -> Tensor:
    """The cotangent of what nothing depends on."""
    return Tensor(backend.array_module(x._data).zeros(x.shape, x.dtype))


class Placed(NamedTuple):
    """A cotangent that is zero but at an index, where it is `g`: what an operation that reads a part of an array returns for it.
    `template` and `indices` as of `ops.index_add`."""

    g: Tensor
    indices: tuple[Tensor, ...]
    template: tuple[Any, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return self.g._data.dtype

    @property
    def device(self) -> str:
        """Where they are."""
        return backend.device_of(self.g._data)


class _Sum:
    """The cotangent of a node while contributions to it come in. Placed ones keep their own size until :meth:`total`, so that T
    slices of an array cost as much as the array, and not T times as much."""

    __slots__ = ("_own", "_placed", "_whole")

    def __init__(self) -> None:
        self._whole: Tensor | None = None
        self._own = False  # the sum was made here, so nobody else sees it change
        self._placed: list[Placed] = []

    def add(self, g: Tensor | Placed) -> None:
        if isinstance(g, Placed):
            self._placed.append(g)
        elif self._whole is None:
            self._whole = g
        elif self._own and not state.enabled and not state.anomaly:
            effect(_increase, self._whole, g)
        else:
            self._whole, self._own = run("add", self._whole, g), True

    def total(self) -> Tensor:
        parts = self._placed
        if self._whole is not None:
            if not parts:
                return self._whole
            parts = [Placed(self._whole, (), (...,), self._whole.shape), *parts]
        arrays, index = [part.g for part in parts], [t for part in parts for t in part.indices]
        return run("index_add", *arrays, *index, templates=tuple(p.template for p in parts), shape=parts[0].shape)


@of_arrays
def _increase(target: Array, g: Array) -> None:
    backend.array_module(target).add(target, g, out=target)


_increase.rowwise = True  # type: ignore[attr-defined]  # any part of it is the same sum of parts: see `minigan.ranks`


def _walk(roots: list[Node], targets: set[int], sums: dict[int, _Sum], create_graph: bool) -> dict[int, Tensor]:
    """The backward pass: visit nodes from outputs to `targets`, only on paths between them. Empties `roots`."""
    order = _reachable(roots)
    roots.clear()
    order.reverse()
    wanted: set[int] = set()  # nodes from which a target can be reached
    for node in order:
        if id(node) in targets or any(id(parent) in wanted for parent in node.parents):
            wanted.add(id(node))
    found: dict[int, Tensor] = {}
    while order:
        node = order.pop()
        arrived = sums.pop(id(node), None)
        if arrived is not None and id(node) in wanted:
            g = _passed(node, arrived.total())
            if id(node) in targets:
                found[id(node)] = g
            del arrived
            _go_on(node, g, wanted, sums, create_graph)
            del g
    return found


def _passed(node: Node, g: Tensor) -> Tensor:
    """A node's finished cotangent, after those who asked to be told of it."""
    for hook in node.hooks or ():
        replaced = hook(g)
        if replaced is not None and (replaced.shape, replaced.dtype) != (g.shape, g.dtype):
            raise GraphError(
                f"register_hook: a hook of {node} returned {replaced.shape} {replaced.dtype} for a cotangent of "
                f"{g.shape} {g.dtype}"
            )
        g = g if replaced is None else replaced
    for watch in state.hooks:
        watch(Event("cotangent", node.op, (g,), node.params, None, node))
    return g


def _go_on(node: Node, g: Tensor, wanted: set[int], sums: dict[int, _Sum], create_graph: bool) -> None:
    """Add a node's contributions to the cotangents of its parents."""
    needs = [parent is not None and id(parent) in wanted for parent in node.parents]
    if any(needs):
        for parent, cotangent in zip(node.parents, _pull_back(node, g, needs, create_graph), strict=True):
            if parent is not None and cotangent is not None:
                sums.setdefault(id(parent), _Sum()).add(cotangent)


def _pull_back(node: Node, g: Tensor, needs: list[bool], create_graph: bool) -> list[Tensor | Placed | None]:
    """The cotangents of a node's inputs, checked."""
    op = node.op
    assert op is not None
    saved = [_load(node, i) for i in range(len(node.saved))]
    try:
        if create_graph and op.composite is not None:
            raw = _replay_composite(op, g, needs, saved[1:], node.params)
        elif op.joint:
            raw = op.vjps(needs, g, *saved, **node.params)
        else:
            raw = [f(g, *saved, **node.params) if need else None for f, need in zip(op.vjps, needs, strict=True)]
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}, in the derivative of {op.name} called at {node.origin}") from None
    return [
        _fit(op, node, parent, cotangent) if need and parent is not None and cotangent is not None else None
        for parent, cotangent, need in zip(node.parents, raw, needs, strict=True)
    ]


def _replay_composite(op: Primitive, g: Tensor, needs: list[bool], inputs: list[Any], params: dict[str, Any]) -> Any:
    """Differentiate the composite of a fused operation instead of its kernel.

    Each input is aliased first (x' = identity(x)), so that an input computed from another one is not followed twice.
    """
    assert op.composite is not None
    aliases = [run("identity", x) if need else x for x, need in zip(inputs, needs, strict=True)]
    wanted = [a for a, need in zip(aliases, needs, strict=True) if need]
    found = iter(cotangents([op.composite(*aliases, **params)], wanted, g, create_graph=True))
    return [next(found) if need else None for need in needs]


def _fit(op: Primitive, node: Node, parent: Node, g: Tensor | Placed) -> Tensor | Placed:
    """Sum a cotangent over broadcast axes, once for all operations, and check that it belongs to its input."""
    if op.broadcasts and isinstance(g, Tensor) and g.shape != parent.shape:
        g = run("sum_to", g, shape=parent.shape)
    if g.shape != parent.shape or g.dtype != parent.dtype or g.device != parent.device:
        raise GraphError(
            f"{op.name} called at {node.origin}: its vjp returned {g.shape} {g.dtype} on the {g.device} for an input of "
            f"{parent.shape} {parent.dtype} on the {parent.device}"
        )
    return g


def backward(output: Tensor, grad_output: Any = None, *, create_graph: bool = False) -> None:
    """Add d output / d leaf to `.grad` of every leaf that `output` depends on."""
    if output.node is None:
        raise GraphError("backward: this tensor depends on no tensor made with requires_grad=True")
    owners = [node.owner() for node in _reachable([output.node]) if node.op is None and node.owner is not None]
    leaves = [leaf for leaf in owners if leaf is not None]
    for leaf, value in zip(leaves, grad(output, leaves, grad_output, create_graph=create_graph), strict=True):
        leaf.grad = value if leaf.grad is None else leaf.grad + value


Methods.assign, Methods.backward = assign, backward  # type: ignore[method-assign, assignment]
__all__ = [
    "REGISTRY",
    "GraphError",
    "Node",
    "Placed",
    "Primitive",
    "Tensor",
    "TensorLike",
    "Version",
    "apply",
    "as_tensor",
    "assign",
    "backward",
    "cotangents",
    "effect",
    "fill",
    "grad",
    "primitive",
    "run",
    "tensor",
]
