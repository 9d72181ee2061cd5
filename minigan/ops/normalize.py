"""Normalisation over the batch (batch norm) and over the features (layer norm), fused forward and backward.

The backward kernels are first order only. When a graph of the backward is wanted, the engine differentiates the composite
instead, in which mean and variance are functions of x: treating them as constants is the classic batch-norm bug.
"""

from __future__ import annotations

from typing import Any

from minigan.autodiff import Tensor, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.kernels import dispatch
from minigan.ops.elementwise import rows, sqrt
from minigan.ops.reduction import mean, var
from minigan.ops.shape import reshape
from minigan.primitive import undifferentiable

_NO_SECOND = undifferentiable("a normalisation's backward kernel has no derivative; its composite is replayed instead")


def _samples(min_rows: int, min_channels: int) -> Any:
    def samples(draw: Any) -> Any:
        n, c = draw.integer(min_rows, 6), draw.integer(min_channels, 5)
        return (draw.array((n, c), distinct=True), draw.array((c,), 0.5, 1.5), draw.array((c,))), {"eps": 0.1}

    return samples


def _normalize(x: Tensor, gamma: Tensor, beta: Tensor, eps: float, axis: int) -> Tensor:
    h = (x - mean(x, axis, keepdims=True)) / sqrt(var(x, axis, keepdims=True) + eps)
    return gamma * h + beta


def _packed(which: str) -> Any:
    """A backward kernel as one operation with one result: dx, dgamma and dbeta end to end."""

    def forward(g: Array, x: Array, gamma: Array, *, eps: float) -> Array:
        kernel = getattr(dispatch.kernels_for(x), which)
        parts = kernel(*(array_module(a).ascontiguousarray(a) for a in (g, x, gamma)), eps)
        return array_module(x).concatenate([part.ravel() for part in parts])

    return primitive(_NO_SECOND, samples=None, name=which)(forward)


_batch_norm_backward = _packed("batch_norm_backward")
_layer_norm_backward = _packed("layer_norm_backward")


def _cotangents(backward: Any) -> Any:
    def vjps(needs: Any, g: Tensor, _y: Any, x: Tensor, gamma: Tensor, beta: Any, *, eps: float) -> Any:
        packed = backward(g, x, gamma, eps=eps)
        n, c = x.size, gamma.size
        return reshape(packed[:n], x.shape), packed[n : n + c], packed[n + c :]

    return vjps


@primitive(
    _cotangents(_batch_norm_backward),
    samples=_samples(2, 1),
    composite=lambda x, gamma, beta, eps: _normalize(x, gamma, beta, eps, 0),
    name="batch_norm",
)
def _batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: Array | None = None) -> Array:
    out = array_module(x).empty(x.shape, x.dtype) if out is None else out
    dispatch.kernels_for(x).batch_norm(rows(x), gamma, beta, eps, out)
    return out


@primitive(
    _cotangents(_layer_norm_backward),
    samples=_samples(1, 2),
    composite=lambda x, gamma, beta, eps: _normalize(x, gamma, beta, eps, 1),
    name="layer_norm",
)
def _layer_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: Array | None = None) -> Array:
    out = array_module(x).empty(x.shape, x.dtype) if out is None else out
    dispatch.kernels_for(x).layer_norm(rows(x), gamma, beta, eps, out)
    return out


def _check(name: str, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> None:
    if x.ndim < 2 or not x.size or gamma.shape != x.shape[-1:] or beta.shape != x.shape[-1:] or eps < 0:
        raise ValueError(
            f"{name}: got x {x.shape}, gamma {gamma.shape}, beta {beta.shape}, eps {eps}; expected a non-empty x (..., C), "
            "gamma and beta (C,), eps >= 0"
        )


def batch_norm(x: Any, gamma: Any, beta: Any, *, eps: float = 1e-5) -> Tensor:
    """gamma (x - mean) / sqrt(var + eps) + beta with mean and biased variance of each channel over all other axes
    (Ioffe, Szegedy 2015, arXiv 1502.03167, algorithm 1).

    x: (..., C); gamma, beta: (C,). With s = sqrt(var + eps), h = (x - mean)/s and means over the batch,

        dx = (gamma/s) (g - mean(g) - h mean(g h)),   dgamma = sum(g h),   dbeta = sum(g).
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    _check("batch_norm", x, gamma, beta, eps)
    flat = reshape(x, (-1, x.shape[-1]))
    return reshape(_batch_norm(flat, gamma, beta, eps=float(eps)), x.shape)


def layer_norm(x: Any, gamma: Any, beta: Any, *, eps: float = 1e-5) -> Tensor:
    """gamma (x - mean) / sqrt(var + eps) + beta with mean and biased variance over the last axis of each element
    (Ba, Kiros, Hinton 2016, arXiv 1607.06450, eq. 3-4).

    x: (..., C); gamma, beta: (C,). With u = gamma g and means over the last axis, dx = (u - mean(u) - h mean(u h)) / s.
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    _check("layer_norm", x, gamma, beta, eps)
    flat = reshape(x, (-1, x.shape[-1]))
    return reshape(_layer_norm(flat, gamma, beta, eps=float(eps)), x.shape)
