"""Normalisations whose gain and offset depend on something: a style, or a class."""

from __future__ import annotations

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.backend import array_module
from minigan.checks import number, whole
from minigan.labels import labels_of
from minigan.nn.layers import Dense
from minigan.nn.module import Module
from minigan.nn.norm import BatchNorm
from minigan.random import Source


def modulate(h: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """gain h + offset with a gain and an offset for each element and channel: h (N, *spatial, C), gain and offset (N, C).

    Raises:
        ValueError: shapes that do not fit.
    """
    expected = (h.shape[0], h.shape[-1]) if h.ndim > 1 else None
    if gain.shape != expected or offset.shape != expected:
        raise ValueError(
            f"modulate: got gain {gain.shape} and offset {offset.shape} for {h.shape}, expected {expected}, one a channel "
            "of each element"
        )
    spread = (h.shape[0], *(1,) * (h.ndim - 2), h.shape[-1])
    return ops.reshape(gain, spread) * h + ops.reshape(offset, spread)


def instance_standardize(x: TensorLike, *, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the positions of each channel of each element, x (N, *spatial, C): instance norm
    without gain and offset (Ulyanov, Vedaldi, Lempitsky 2016, arXiv 1607.08022, eq. 2)."""
    x = ops.as_tensor(x)
    xp = array_module(x._data)
    channels = x.shape[-1:] or (1,)
    return ops.instance_norm(x, xp.ones(channels, x.dtype), xp.zeros(channels, x.dtype), eps=eps)


class AdaIN(Module):
    """Adaptive instance norm: y = (1 + a) h + b with h the instance norm of x and (a, b) = W s + c an affine function of a style
    s (Karras et al. 2018, arXiv 1812.04948, eq. 1; Huang, Belongie 2017, arXiv 1703.06868, eq. 8).

    c starts at 0, so that at first the gain is near 1. To give another picture's statistics for gain and offset, as Huang and
    Belongie do, call :func:`modulate` on :func:`instance_standardize`.

    Args:
        channels: C, length of the last axis of x (N, *spatial, C).
        features: length of a style, s (N, features).
        eps: added to the variance.

    Raises:
        TypeError, ValueError: a hyper-parameter out of range; when called, shapes that do not fit.
    """

    def __init__(self, channels: int, features: int, *, eps: float = 1e-5) -> None:
        self.channels = whole("AdaIN", "channels", channels, low=1)
        self.features = whole("AdaIN", "features", features, low=1)
        self.eps = number("AdaIN", "eps", eps, low=0)
        self.style = Dense(self.features, 2 * self.channels)

    def forward(self, x: TensorLike, style: TensorLike) -> Tensor:  # type: ignore[override]  # the style is its second input
        """(1 + a) h + b."""
        x, style = ops.as_tensor(x), ops.as_tensor(style)
        if x.shape[-1:] != (self.channels,) or style.shape != (x.shape[0], self.features):
            raise ValueError(
                f"AdaIN: got x {x.shape} and style {style.shape}, expected (N, *spatial, {self.channels}) and "
                f"(N, {self.features})"
            )
        a, b = ops.split(self.style(style), 2, axis=1)
        return ops.instance_norm(x, 1.0 + a, b, eps=self.eps)


class ConditionalBatchNorm(Module):
    """y = gamma[k] h + beta[k] with h the batch norm of x, k the class of each element (Dumoulin et al. 2016, arXiv 1610.07629,
    eq. 5; Miyato, Koyama 2018, arXiv 1802.05637, section 4.1). The statistics are those of the whole batch.

    A class may also be a vector of weights t, floats (N, classes): gamma = t G, beta = t B. A one-hot vector is its label; a
    learned table is a shared embedding (Brock et al. 2018, arXiv 1809.11096, section 3).

    Args:
        channels: C, length of the last axis of x (N, *spatial, C).
        classes: number of classes.
        eps, momentum, update: as of :class:`minigan.nn.BatchNorm`.

    Raises:
        TypeError, ValueError: a hyper-parameter out of range; when called, labels out of range, or shapes that do not fit.
    """

    def __init__(
        self, channels: int, classes: int, *, eps: float = 1e-5, momentum: float = 0.1, update: bool = True
    ) -> None:
        self.classes = whole("ConditionalBatchNorm", "classes", classes, low=1)
        self.norm = BatchNorm(channels, eps=eps, momentum=momentum, update=update, affine=False)
        self.gamma = tensor(np.ones((self.classes, channels), np.float32), requires_grad=True)
        self.beta = tensor(np.zeros((self.classes, channels), np.float32), requires_grad=True)

    def reset(self, random: Source, stream: str) -> None:
        """gamma = 1, beta = 0."""
        self.gamma.assign(1.0)
        self.beta.assign(0.0)

    def forward(self, x: TensorLike, classes: TensorLike) -> Tensor:  # type: ignore[override]  # the classes are its second input
        """gamma[k] h + beta[k]."""
        x, k = ops.as_tensor(x), ops.as_tensor(classes)
        expected = (x.shape[:1], (*x.shape[:1], self.classes))[k.dtype.kind == "f"]
        if k.shape != expected:
            raise ValueError(
                f"ConditionalBatchNorm: got x {x.shape} and classes {k.shape} {k.dtype}, expected {expected}"
            )
        if k.dtype.kind == "f":
            gain, offset = ops.matmul(k, self.gamma), ops.matmul(k, self.beta)
        else:
            k = labels_of("ConditionalBatchNorm", k, self.classes)
            gain, offset = ops.embedding(self.gamma, k), ops.embedding(self.beta, k)
        return modulate(self.norm(x), gain, offset)
