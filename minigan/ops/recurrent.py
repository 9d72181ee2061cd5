"""Recurrent layers over whole sequences: LSTM and GRU, each one operation.

The product of the inputs with their weights has no memory, so it stands outside: `xw = dense(x, w, bias)`, one product for all
steps. What is left is a scan, h_t = step(xw_t, h_{t-1} U). Backward it goes from the last step to the first, and ends with the
cotangents dz_t of what the gates' functions were taken of. These are the cotangent of `xw`, and with z_t = xw_t + h_{t-1} U,

    dU = sum over t of h_{t-1}^T dz_t = (h_0, ..., h_{L-1})^T (dz_1, ..., dz_L):    one product for all steps again.

The backward scans are kernels without derivatives of their own. Where a graph of them is wanted, the engine differentiates the
composite, a Python loop of plain operations, which is also the definition.

A mask (N, L) says which steps count: at others the state stays what it was, whatever the input. Sequences of unequal lengths,
padded at their ends, so leave their last state in h_L and c_L.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.kernels import reference as kernels
from minigan.ops.elementwise import sigmoid, tanh, where
from minigan.ops.linear import matmul
from minigan.ops.packing import cut, end_to_end
from minigan.ops.shape import concatenate, expand_dims, reshape, split, stack, swapaxes
from minigan.primitive import undifferentiable
from minigan.switches import state

_NO_SECOND = undifferentiable(
    "a recurrent layer's backward kernel has no derivative; its composite is replayed instead"
)


class LSTMResult(NamedTuple):
    """All hidden states h (N, L, H) and the last cell c (N, H)."""

    h: Tensor
    c: Tensor


def _contiguous(*arrays: Array) -> list[Array]:
    return [array_module(a).ascontiguousarray(a) for a in arrays]


def _packed(like: Array, out: Array | None, *shapes: tuple[int, ...]) -> Array:
    return array_module(like).empty(sum(map(math.prod, shapes)), like.dtype) if out is None else out


def _before(h0: Tensor, h: Tensor) -> Tensor:
    """(h_0, ..., h_{L-1}) as a matrix (N L, H)."""
    return reshape(concatenate([expand_dims(h0, 1), h[:, :-1]], axis=1), (-1, h.shape[2]))


def _product_of_all_steps(before: Tensor, dz: Tensor) -> Tensor:
    """sum over t of h_{t-1}^T dz_t."""
    return matmul(swapaxes(before, 0, 1), reshape(dz, (-1, dz.shape[2])))


def _recurrent_samples(draw: Any, gates: int) -> Any:
    n, length, units = draw.integer(1, 3), draw.integer(1, 4), draw.integer(1, 3)
    xw, h0 = draw.array((n, length, gates * units)), draw.array((n, units))
    return xw, h0, draw.array((units, gates * units)), draw.mask((n, length))


# -- LSTM ------------------------------------------------------------------------------------------------------------
def _lstm_shapes(n: int, length: int, units: int) -> list[tuple[int, ...]]:
    return [(n, length, 4 * units), (n, units), (n, units)]


@primitive(_NO_SECOND, samples=None, kinds="fffffb", name="lstm_backward")
def _lstm_backward(
    g: Array,
    xw: Array,
    h0: Array,
    c0: Array,
    u: Array,
    mask: Array,
    *,
    kept: Array | None,
    out: Array | None = None,
) -> Array:
    (n, length), units = xw.shape[:2], u.shape[0]
    shapes = _lstm_shapes(n, length, units)
    out = _packed(g, out, *shapes)
    g, xw, h0, c0, u, mask = _contiguous(g, xw, h0, c0, u, mask)
    if kept is None:
        kept, again = _kept(5, xw, units), _packed(g, None, (n, length, units), (n, units))
        hs, last = cut(again, (n, length, units), (n, units))
        kernels.lstm(xw, h0, c0, u, mask, hs, last, kept)
    g_hs, g_last = cut(g, (n, length, units), (n, units))
    dz, dh0, dc0 = cut(out, *shapes)
    kernels.lstm_backward(g_hs, g_last, c0, u, mask, kept, dz, dh0, dc0)
    return out


def _lstm_cotangents(
    needs: Any, g: Tensor, y: Tensor, xw: Tensor, h0: Tensor, c0: Tensor, u: Tensor, mask: Tensor, *, kept: Any
) -> Any:
    (n, length), units = xw.shape[:2], u.shape[0]
    packed = _lstm_backward(g, xw, h0, c0, u, mask, kept=kept)
    dz, dh0, dc0 = cut(packed, *_lstm_shapes(n, length, units))
    h = cut(y, (n, length, units))[0]
    return dz, dh0, dc0, _product_of_all_steps(_before(h0, h), dz) if needs[3] else None, None


def _lstm_composite(xw: Tensor, h0: Tensor, c0: Tensor, u: Tensor, mask: Tensor, kept: Any = None) -> Tensor:
    h, c, made = h0, c0, []
    for t in range(xw.shape[1]):
        i, f, g, o = split(xw[:, t] + matmul(h, u), 4, axis=1)
        new = sigmoid(f) * c + sigmoid(i) * tanh(g)
        counts = mask[:, t : t + 1]
        h, c = where(counts, sigmoid(o) * tanh(new), h), where(counts, new, c)
        made.append(h)
    return end_to_end(stack(made, axis=1), c)


def _kept(numbers: int, xw: Array, units: int) -> Array:
    """Room for what the way back reads of each step. A forward kernel fills it; without it the way back runs that again."""
    return array_module(xw).empty((*xw.shape[:2], numbers, units), xw.dtype)


def _lstm_samples(draw: Any) -> Any:
    xw, h0, u, mask = _recurrent_samples(draw, 4)
    return (xw, h0, draw.array(h0.shape), u, mask), {"kept": None}


@primitive(_lstm_cotangents, samples=_lstm_samples, composite=_lstm_composite, kinds="ffffb", name="lstm")
def _lstm(
    xw: Array,
    h0: Array,
    c0: Array,
    u: Array,
    mask: Array,
    *,
    kept: Array | None,
    out: Array | None = None,
) -> Array:
    shapes = [(*xw.shape[:2], u.shape[0]), h0.shape]
    out = _packed(xw, out, *shapes)
    xw, h0, c0, u, mask = _contiguous(xw, h0, c0, u, mask)
    hs, last = cut(out, *shapes)
    kernels.lstm(xw, h0, c0, u, mask, hs, last, kept)
    return out


def lstm(xw: TensorLike, h0: TensorLike, c0: TensorLike, u: TensorLike, mask: TensorLike | None = None) -> LSTMResult:
    """Long short-term memory over a sequence (Hochreiter, Schmidhuber 1997, Neural Computation 9(8); the forget gate: Gers,
    Schmidhuber, Cummins 2000, ibid. 12(10)): for t = 1, ..., L, s the logistic function,

        (i, f, g, o) = xw_t + h_{t-1} U,    c_t = s(f) c_{t-1} + s(i) tanh(g),    h_t = s(o) tanh(c_t).

    Backward, with the gates i, f, g, o now after their functions, q = tanh(c_t), and dh, dc the cotangents of h_t and c_t
    that have arrived from step t + 1 and from outside,

        dc += dh o (1 - q^2),
        dz = (dc g i (1 - i),  dc c_{t-1} f (1 - f),  dc i (1 - g^2),  dh q o (1 - o)),
        dh_{t-1} = dz U^T,    dc_{t-1} = dc f,    dxw_t = dz,    dU = sum over t of h_{t-1}^T dz.

    What is kept for that are the gates and the cells, 5 N L H numbers; without derivatives nothing is.

    Args:
        xw: (N, L, 4H), the inputs times their weights plus the bias, gates in the order i, f, g, o. L >= 1.
        h0, c0: (N, H), the state before the first step.
        u: (H, 4H).
        mask: booleans (N, L): where False, h_t = h_{t-1} and c_t = c_{t-1}. None: all steps count. A constant.

    Returns:
        h (N, L, H) and c_L (N, H).

    Raises:
        TypeError, ValueError: shapes that do not fit, a mask that is not of booleans.
    """
    xw, h0, c0, u = map(as_tensor, (xw, h0, c0, u))
    _check("lstm", 4, xw, u, {"h0": h0, "c0": c0})
    mask = _mask_of("lstm", xw, mask)
    recorded = state.enabled and any(t.node is not None for t in (xw, h0, c0, u))
    packed = _lstm(xw, h0, c0, u, mask, kept=_kept(5, xw._data, h0.shape[1]) if recorded else None)
    return LSTMResult(*cut(packed, (*xw.shape[:2], h0.shape[1]), h0.shape))


# -- GRU -------------------------------------------------------------------------------------------------------------
def _gru_shapes(n: int, length: int, units: int) -> list[tuple[int, ...]]:
    return [(n, length, 3 * units), (n, length, units), (n, units)]


@primitive(_NO_SECOND, samples=None, kinds="ffffffb", name="gru_backward")
def _gru_backward(
    g: Array,
    hs: Array,
    xw: Array,
    h0: Array,
    u: Array,
    bias: Array,
    mask: Array,
    *,
    kept: Array | None,
    out: Array | None = None,
) -> Array:
    shapes = _gru_shapes(*hs.shape)
    out = _packed(g, out, *shapes)
    g, hs, xw, h0, u, bias, mask = _contiguous(g, hs, xw, h0, u, bias, mask)
    if kept is None:
        kept = _kept(4, xw, u.shape[0])
        kernels.gru(xw, h0, u, bias, mask, array_module(hs).empty_like(hs), kept)
    kernels.gru_backward(g, h0, hs, u, mask, kept, *cut(out, *shapes))
    return out


def _gru_cotangents(
    needs: Any, g: Tensor, y: Tensor, xw: Tensor, h0: Tensor, u: Tensor, bias: Tensor, mask: Tensor, *, kept: Any
) -> Any:
    dz, dm, dh0 = cut(_gru_backward(g, y, xw, h0, u, bias, mask, kept=kept), *_gru_shapes(*y.shape))
    du = None
    if needs[2]:
        before, gates = _before(h0, y), dz[:, :, : 2 * u.shape[0]]
        du = concatenate([_product_of_all_steps(before, part) for part in (gates, dm)], axis=1)
    return dz, dh0, du, dm.sum((0, 1)), None


def _gru_composite(xw: Tensor, h0: Tensor, u: Tensor, bias: Tensor, mask: Tensor, kept: Any = None) -> Tensor:
    h, made = h0, []
    for t in range(xw.shape[1]):
        (xr, xz, xn), (hr, hz, hn) = split(xw[:, t], 3, axis=1), split(matmul(h, u), 3, axis=1)
        n, z = tanh(xn + sigmoid(xr + hr) * (hn + bias)), sigmoid(xz + hz)
        h = where(mask[:, t : t + 1], n + z * (h - n), h)
        made.append(h)
    return stack(made, axis=1)


def _gru_samples(draw: Any) -> Any:
    xw, h0, u, mask = _recurrent_samples(draw, 3)
    return (xw, h0, u, draw.array(h0.shape[1:]), mask), {"kept": None}


@primitive(_gru_cotangents, samples=_gru_samples, composite=_gru_composite, kinds="ffffb", name="gru")
def _gru(
    xw: Array,
    h0: Array,
    u: Array,
    bias: Array,
    mask: Array,
    *,
    kept: Array | None,
    out: Array | None = None,
) -> Array:
    out = array_module(xw).empty((*xw.shape[:2], u.shape[0]), xw.dtype) if out is None else out
    xw, h0, u, bias, mask = _contiguous(xw, h0, u, bias, mask)
    kernels.gru(xw, h0, u, bias, mask, out, kept)
    return out


def gru(xw: TensorLike, h0: TensorLike, u: TensorLike, bias: TensorLike, mask: TensorLike | None = None) -> Tensor:
    """A gated recurrent unit over a sequence (Cho et al. 2014, arXiv 1406.1078, eq. 5-8), the reset gate applied after the
    product, so that one product makes all three parts, as in cuDNN: for t = 1, ..., L, s the logistic function, x = xw_t and
    a = h_{t-1} U,

        r = s(x_r + a_r),   z = s(x_z + a_z),   m = a_n + b,   n = tanh(x_n + r m),   h_t = (1 - z) n + z h_{t-1}.

    (The paper has r inside the product, tanh(x_n + (r h_{t-1}) U_n).) Backward, dh the cotangent of h_t from step t + 1 and
    outside,

        dn = dh (1 - z) (1 - n^2),   dr = dn m r (1 - r),   dz = dh (h_{t-1} - n) z (1 - z),   dm = dn r,
        dxw_t = (dr, dz, dn),   dh_{t-1} = dh z + (dr, dz, dm) U^T,   dU = sum over t of h_{t-1}^T (dr, dz, dm),   db = sum of
        dm.

    Args:
        xw: (N, L, 3H), the inputs times their weights plus the bias, in the order r, z, n. L >= 1.
        h0: (N, H), the state before the first step.
        u: (H, 3H).
        bias: (H,), b: the bias that the reset gate scales.
        mask: booleans (N, L): where False, h_t = h_{t-1}. None: all steps count. A constant.

    Returns:
        h (N, L, H).

    Raises:
        TypeError, ValueError: shapes that do not fit, a mask that is not of booleans.
    """
    xw, h0, u, bias = map(as_tensor, (xw, h0, u, bias))
    _check("gru", 3, xw, u, {"h0": h0})
    if bias.shape != h0.shape[1:]:
        raise ValueError(f"gru: got bias {bias.shape}, expected {h0.shape[1:]}")
    mask = _mask_of("gru", xw, mask)
    recorded = state.enabled and any(t.node is not None for t in (xw, h0, u, bias))
    return _gru(xw, h0, u, bias, mask, kept=_kept(4, xw._data, h0.shape[1]) if recorded else None)


# -- checks ----------------------------------------------------------------------------------------------------------
def _check(name: str, gates: int, xw: Tensor, u: Tensor, states: dict[str, Tensor]) -> None:
    units = u.shape[0] if u.ndim == 2 else 0
    fits = xw.ndim == 3 and xw.size and xw.shape[2] == gates * units and u.shape == (units, gates * units)
    if not fits or any(h.shape != (xw.shape[0], units) for h in states.values()):
        got = ", ".join(f"{key} {h.shape}" for key, h in states.items())
        raise ValueError(
            f"{name}: got xw {xw.shape}, {got}, u {u.shape}; expected xw (N, L, {gates} H) with L >= 1, states (N, H), "
            f"u (H, {gates} H)"
        )


def _mask_of(name: str, xw: Tensor, mask: TensorLike | None) -> Tensor:
    """The mask as a tensor of booleans (N, L)."""
    if mask is None:
        return Tensor(array_module(xw._data).ones(xw.shape[:2], bool))
    mask = as_tensor(mask)
    if mask.dtype != np.bool_ or mask.shape != xw.shape[:2]:
        raise (TypeError if mask.dtype != np.bool_ else ValueError)(
            f"{name}: got a mask {mask.shape} {mask.dtype} for {xw.shape[0]} sequences of {xw.shape[1]} steps, "
            f"expected booleans {xw.shape[:2]}: ops.sequence_mask(lengths, {xw.shape[1]})"
        )
    return mask
