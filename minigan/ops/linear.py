"""Matrix products and the fused dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.activation import SLOPE, Activation, activation_of
from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.kernels import reference as kernels
from minigan.ops.elementwise import activation as activation_
from minigan.ops.elementwise import add, apply_backward, apply_fused, draw_activation, rows
from minigan.ops.reduction import sum as sum_
from minigan.ops.shape import reshape


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """a @ b, into `out` or a new array."""
    if out is None:
        plain = a.ndim == b.ndim == 2
        lead = () if plain else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        dtype = a.dtype if a.dtype == b.dtype else np.result_type(a.dtype, b.dtype)
        out = array_module(a).empty((*lead, a.shape[-2], b.shape[-1]), dtype)
    kernels.matmul(a, b, out)
    return out


# Three products, each derivative of which is one of them: no cotangent is a transposed view, so that gradients lie in memory as
# their weights do, and are added and used without being turned.
#     matmul     a b      da = g b^T    db = a^T g
#     matmul_nt  a b^T    da = g b      db = g^T a
#     matmul_tn  a^T b    da = b g^T    db = a g
def turned(a: Array) -> Array:
    """a^T of the last two axes, a view."""
    return a.swapaxes(-1, -2)


def _product_samples(left: bool, right: bool) -> Any:
    def samples(draw: Any) -> Any:
        n, k, m = (draw.integer(0, 3) for _ in range(3))
        a, b = draw.broadcastable(max_ndim=2)
        return (draw.array((*a, *((k, n) if left else (n, k)))), draw.array((*b, *((m, k) if right else (k, m))))), {}

    return samples


@primitive(
    (lambda g, _y, _a, b: _matmul_nt(g, b), lambda g, _y, a, _b: _matmul_tn(a, g)),
    samples=_product_samples(False, False),
    plan=lambda a, b, out: kernels.matmul.plan(a, b, out),
    kinds="n",
    broadcasts=True,
    name="matmul",
)
def _matmul(a: Array, b: Array, *, out: Array | None = None) -> Array:
    return product(a, b, out)


@primitive(
    (lambda g, _y, _a, b: _matmul(g, b), lambda g, _y, a, _b: _matmul_tn(g, a)),
    samples=_product_samples(False, True),
    plan=lambda a, b, out: kernels.matmul.plan(a, turned(b), out),
    kinds="n",
    broadcasts=True,
    name="matmul_nt",
)
def _matmul_nt(a: Array, b: Array, *, out: Array | None = None) -> Array:
    return product(a, turned(b), out)


@primitive(
    (lambda g, _y, _a, b: _matmul_nt(b, g), lambda g, _y, a, _b: _matmul(a, g)),
    samples=_product_samples(True, False),
    plan=lambda a, b, out: kernels.matmul.plan(turned(a), b, out),
    kinds="n",
    broadcasts=True,
    name="matmul_tn",
)
def _matmul_tn(a: Array, b: Array, *, out: Array | None = None) -> Array:
    return product(turned(a), b, out)


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """a @ b, as NumPy does it: (..., n, k) times (..., k, m) with leading axes broadcast; a 1-D operand is a row on the
    left or a column on the right.  da = g b^T, db = a^T g.

    Raises:
        ValueError: for operands without axes, or inner lengths that differ.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: got shapes {a.shape} and {b.shape}, expected (..., n, k) and (..., k, m)")
    row, column = a.ndim == 1, b.ndim == 1
    a = reshape(a, (1, a.shape[0])) if row else a
    b = reshape(b, (b.shape[0], 1)) if column else b
    y = _matmul(a, b)
    shape = [n for i, n in enumerate(y.shape) if not (row and i == y.ndim - 2) and not (column and i == y.ndim - 1)]
    return reshape(y, shape) if row or column else y


# -- dense -----------------------------------------------------------------------------------------------------------
def _dense_cotangents(needs: Any, g: Tensor, y: Tensor, x: Tensor, w: Tensor, *_b: Any, f: Activation) -> Any:
    """With z = x w + b, y = f(z) and d = g f'(z):  dx = d w^T,  dw = x^T d,  db = sum of d over rows."""
    d = g if f.kind == "linear" else apply_backward(g, y, f=f)
    dx = _matmul_nt(d, w) if needs[0] else None
    dw = _matmul_tn(x, d) if needs[1] else None
    return [dx, dw] + [sum_(d, 0) if need else None for need in needs[2:]]


def _dense_composite(x: Tensor, w: Tensor, *b: Tensor, f: Activation) -> Tensor:
    z = _matmul(x, w)
    return apply_fused(add(z, b[0]) if b else z, f=f)


def _dense_samples(draw: Any) -> Any:
    n, k, m = (draw.integer(0, 4) for _ in range(3))
    bias = (draw.array((m,)),) if draw.choice((True, False)) else ()
    return (draw.array((n, k)), draw.array((k, m)), *bias), {"f": draw_activation(draw)}


def _plan_dense(x: Array, w: Array, *b: Array, f: Activation, out: Array) -> Any:
    return kernels.dense.plan(x, w, b[0] if b else None, f, out)


@primitive(_dense_cotangents, samples=_dense_samples, equals=_dense_composite, plan=_plan_dense, name="dense")
def _dense(x: Array, w: Array, *b: Array, f: Activation, out: Array | None = None) -> Array:
    """One matrix product, then bias and activation in one pass over its result while it is in cache."""
    if not x.size or not w.size:
        z = product(x, w, out)
        return _shifted(z, b[0] if b else None, f) if z.size else z
    out = array_module(x).empty((len(x), w.shape[1]), x.dtype) if out is None else out
    kernels.dense(x, w, b[0] if b else None, f, out)
    return out


def _shifted(z: Array, b: Array | None, f: Activation) -> Array:
    """activation(z + b) in place: a layer without inputs is its bias."""
    kernels.bias_activation(rows(z), b, f, rows(z))
    return z


def dense(
    x: TensorLike,
    w: TensorLike,
    b: TensorLike | None = None,
    *,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
) -> Tensor:
    """f(x w + b), f an activation, fused.

    Args:
        x: (..., in).  w: (in, out).  b: (out,) or None.
        activation: None or linear, relu, leaky_relu, tanh, sigmoid (fused); softplus, elu, gelu, silu (applied after); or a
            value of :class:`minigan.activation.Activation`, which has its slope.
        slope: of leaky_relu below zero, > 0.

    Returns:
        (..., out).

    Raises:
        TypeError, ValueError: shapes that do not fit, an unknown activation, or a slope that is not > 0.
    """
    x, w = as_tensor(x), as_tensor(w)
    b = None if b is None else as_tensor(b)
    if w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[0] or (b is not None and b.shape != w.shape[1:]):
        received = f"x {x.shape}, w {w.shape}, b {None if b is None else b.shape}"
        raise ValueError(f"dense: got {received}, expected x (..., in), w (in, out), b (out,)")
    f = activation_of("dense", activation, slope)
    if not f.fused:
        return activation_(dense(x, w, b), f)
    flat = x if x.ndim == 2 else reshape(x, (int(np.prod(x.shape[:-1], dtype=np.int64)), x.shape[-1]))
    y = _dense(flat, w, *(() if b is None else (b,)), f=f)
    return y if x.ndim == 2 else reshape(y, (*x.shape[:-1], w.shape[1]))
