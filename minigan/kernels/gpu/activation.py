"""Activations and the logistic loss on the GPU: the host's side of `cuda/activation.cu`."""

from __future__ import annotations

import cupy
import numpy as np

from minigan.activation import Activation
from minigan.backend import Array, is_gpu_array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import MAX_SLABS, THREADS, blocks, check, kind_code, launch

SHARE = 2048  # elements of a loss that one block adds up


@reference.bias_activation.on("gpu")
def bias_activation(z: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bias_activation`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for one that is not fused.
    """
    code = kind_code(f)
    check("bias_activation", z.shape, z=z, out=out)
    channels = int(z.shape[-1]) if z.ndim else 1
    if bias is not None:
        check("bias_activation", None, z=z, bias=bias)
        check("bias_activation", (channels,), bias=bias)
    if z.size:
        args = (z, bias, z.size, channels, code, f.slope, out)
        launch("bias_activation<{T}>", z.dtype, blocks(z.size), THREADS, *args)


@reference.activation_backward.on("gpu")
def activation_backward(g: Array, y: Array, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.activation_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for one that is not fused.
    """
    code = kind_code(f)
    check("activation_backward", g.shape, g=g, y=y, out=out)
    if g.size:
        args = (g, y, g.size, code, f.slope, out)
        launch("activation_backward<{T}>", g.dtype, blocks(g.size), THREADS, *args)


@reference.bce_with_logits.on("gpu")
def bce_with_logits(logits: Array, target: Array, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bce_with_logits`; `target` broadcasts to the shape of `logits`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError when `target` does not broadcast.
    """
    if is_gpu_array(target) and target.shape != logits.shape:
        target = cupy.ascontiguousarray(cupy.broadcast_to(target, logits.shape))
    check("bce_with_logits", logits.shape, logits=logits, target=target, out=out)
    if logits.size:
        args = (logits, target, logits.size, out)
        launch("bce_with_logits<{T}>", logits.dtype, blocks(logits.size), THREADS, *args)


@reference.mean_softplus.on("gpu")
def mean_softplus(x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for an x without elements.
    """
    check("mean_softplus", None, x=x, out=out)
    check("mean_softplus", (), out=out)
    if not x.size:
        raise ValueError(f"mean_softplus: x has shape {x.shape}, expected at least one element: none have no mean")
    parts = min(MAX_SLABS, -(-x.size // SHARE))
    partial = cupy.empty(parts, np.float64) if parts > 1 else None
    launch("mean_softplus<{T}>", x.dtype, parts, THREADS, x, x.size, float(sign), partial, out)
    if parts > 1:
        launch("mean_softplus_finish<{T}>", x.dtype, 1, THREADS, partial, parts, x.size, out)


@reference.mean_softplus_backward.on("gpu")
def mean_softplus_backward(g: Array, x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`.
    """
    x = x.reshape(out.shape)  # ascontiguousarray makes (1,) of ()
    check("mean_softplus_backward", None, x=x, out=out)
    check("mean_softplus_backward", None, x=x, g=g)
    check("mean_softplus_backward", (), g=g)
    if x.size:
        launch("mean_softplus_backward<{T}>", x.dtype, blocks(x.size), THREADS, g, x, x.size, float(sign), out)
