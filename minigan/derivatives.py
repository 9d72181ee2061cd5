"""Derivatives of functions: vjp, jvp, hvp, jacobian and hessian, all made from `grad`.

Every function takes `f` and its `inputs` (an array or tensor, or a tuple of them, passed to f one by one), and mirrors that
structure in what it returns. An input that is already in a graph stays in it, so results can be differentiated again with
`create_graph=True`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan import backend
from minigan.autodiff import GraphError, Tensor, as_tensor, grad
from minigan.ops import reshape, stack
from minigan.switches import enable_grad

Function = Callable[..., Any]


def _prepare(inputs: Any) -> list[Tensor]:
    """Inputs as tensors in a graph: fresh leaves, except for those that are in one already."""
    values = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    tensors = []
    for value in values:
        t = as_tensor(value)
        if t.node is None:
            t = t.detach()
            t.requires_grad = True
        tensors.append(t)
    return tensors


def _like(results: list[Any], inputs: Any) -> Any:
    return tuple(results) if isinstance(inputs, (tuple, list)) else results[0]


def _constants(values: Any, like: list[Tensor], what: str) -> list[Tensor]:
    values = list(values) if isinstance(values, (tuple, list)) else [values]
    if len(values) != len(like):
        raise ValueError(f"{what}: got {len(values)} arrays, expected {len(like)}")
    tensors = [
        v if isinstance(v, Tensor) else Tensor(backend.array_module(t._data).asarray(v, dtype=t.dtype))
        for v, t in zip(values, like, strict=True)
    ]
    for i, (v, t) in enumerate(zip(tensors, like, strict=True)):
        if v.shape != t.shape:
            raise ValueError(f"{what}: array {i} has shape {v.shape}, expected {t.shape}")
    return tensors


def _outputs(f: Function, xs: list[Tensor]) -> tuple[Any, list[Tensor]]:
    with enable_grad():
        y = f(*xs)
    return y, list(y) if isinstance(y, (tuple, list)) else [y]


def _scalar(f: Function, xs: list[Tensor], what: str) -> Tensor:
    _, ys = _outputs(f, xs)
    if len(ys) != 1 or ys[0].size != 1:
        raise ValueError(f"{what}: f returned shape {[t.shape for t in ys]}, expected one element")
    return ys[0]


def _grad(ys: list[Tensor], xs: list[Tensor], gs: list[Tensor] | None, create_graph: bool) -> list[Tensor]:
    """`grad`, with zeros where f does not depend on any input at all (its true derivative)."""
    if all(y.node is None for y in ys):
        return [Tensor(backend.array_module(x._data).zeros_like(x._data)) for x in xs]
    return grad(ys, xs, gs, create_graph=create_graph)


def vjp(f: Function, inputs: Any, cotangents: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """(f(inputs), J^T cotangents), J the Jacobian of f: one backward walk.

    `cotangents` mirrors f's outputs.
    """
    xs = _prepare(inputs)
    y, ys = _outputs(f, xs)
    gs = _constants(cotangents, ys, "vjp: cotangents")
    return y, _like(_grad(ys, xs, gs, create_graph), inputs)


def jvp(f: Function, inputs: Any, tangents: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """(f(inputs), J tangents): the directional derivative of f.

    u -> J^T u is linear with transpose J, so the vjp of that map, taken at any u, pulls `tangents` back to J tangents: two
    backward walks and no forward-mode table. `tangents` mirrors the inputs.
    """
    xs = _prepare(inputs)
    vs = _constants(tangents, xs, "jvp: tangents")
    y, ys = _outputs(f, xs)
    us = [Tensor(backend.array_module(t._data).zeros_like(t._data)) for t in ys]
    for u in us:
        u.requires_grad = True
    with enable_grad():
        pulled = _grad(ys, xs, us, True)
    rows = [p for p in pulled if p.node is not None]
    if not rows:
        return y, _like([u.detach() for u in us], y)
    chosen = [v for p, v in zip(pulled, vs, strict=True) if p.node is not None]
    return y, _like(grad(rows, us, chosen, create_graph=create_graph), y)


def hvp(f: Function, inputs: Any, vectors: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """(f(inputs), H vectors) for f with one element, H its Hessian over all inputs: the gradient of <grad f, vectors>."""
    xs = _prepare(inputs)
    vs = _constants(vectors, xs, "hvp: vectors")
    y = _scalar(f, xs, "hvp")
    gs = _grad([y], xs, None, True)
    rows = [(g, v) for g, v in zip(gs, vs, strict=True) if g.node is not None]
    if not rows:  # f is linear
        return y, _like([Tensor(backend.array_module(x._data).zeros_like(x._data)) for x in xs], inputs)
    return y, _like(grad([g for g, _ in rows], xs, [v for _, v in rows], create_graph=create_graph), inputs)


def jacobian(f: Function, inputs: Any, *, create_graph: bool = False) -> Any:
    """J[i, j] = d f(inputs)_i / d input_j, of shape (*output.shape, *input.shape): one backward walk an output element.

    A tuple of inputs gives a tuple of Jacobians; f must return one tensor.
    """
    xs = _prepare(inputs)
    _, ys = _outputs(f, xs)
    if len(ys) != 1:
        raise GraphError(f"jacobian: f returned {len(ys)} tensors, expected one")
    return _like(_rows(ys[0], xs, create_graph), inputs)


def _rows(y: Tensor, xs: list[Tensor], create_graph: bool) -> list[Tensor]:
    xp = backend.array_module(y._data)
    rows = []
    for i in range(y.size):
        unit = xp.zeros(y.shape, y.dtype)
        unit.reshape(-1)[i] = 1
        rows.append(_grad([y], xs, [Tensor(unit)], create_graph))
    if not rows:
        return [Tensor(xp.zeros((*y.shape, *x.shape), x.dtype)) for x in xs]
    return [reshape(stack([row[k] for row in rows]), (*y.shape, *x.shape)) for k, x in enumerate(xs)]


def hessian(f: Function, inputs: Any, *, create_graph: bool = False) -> Any:
    """H[i, j] = d^2 f / d input_i d input_j for f with one element, of shape (*input.shape, *input.shape).

    A tuple of inputs gives a tuple of tuples of blocks, as the Jacobian of the gradient.
    """
    xs = _prepare(inputs)
    gs = _grad([_scalar(f, xs, "hessian")], xs, None, True)
    blocks = [tuple(_rows(g, xs, create_graph)) for g in gs]
    return tuple(blocks) if isinstance(inputs, (tuple, list)) else blocks[0][0]
