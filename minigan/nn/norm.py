"""Normalisation layers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, effect, tensor
from minigan.backend import Array
from minigan.nn.module import Module
from minigan.random import Source


def _average_in(running: Array, x: Array, momentum: float, which: str) -> None:
    """running <- (1 - momentum) running + momentum statistic(x), over all axes but the last."""
    axes = tuple(range(x.ndim - 1))
    if which == "mean":
        value = x.mean(axis=axes)
    else:
        n = math.prod(x.shape[:-1])
        value = x.var(axis=axes) * (n / max(n - 1, 1))  # unbiased, as is usual for the running variance
    running *= 1 - momentum
    running += (momentum * value).astype(running.dtype)


class BatchNorm(Module):
    """gamma (x - mean) / sqrt(var + eps) + beta for each channel (Ioffe, Szegedy 2015, arXiv 1502.03167).

    In training, mean and variance are the batch's, over all axes but the last, and running averages follow them with weight
    `momentum`; in evaluation the running averages are used.

    Args:
        channels: length of the last axis.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages.
        gamma_std: gamma starts at N(1, gamma_std^2); DCGAN uses .02, the default 0 starts at 1.
    """

    buffer_names: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1, gamma_std: float = 0.0) -> None:
        self.eps, self.momentum, self.gamma_std = eps, momentum, gamma_std
        self.gamma = tensor(np.ones(channels, np.float32), requires_grad=True)
        self.beta = tensor(np.zeros(channels, np.float32), requires_grad=True)
        self.running_mean = tensor(np.zeros(channels, np.float32))
        self.running_var = tensor(np.ones(channels, np.float32))

    def reset(self, random: Source, stream: str) -> None:
        """gamma ~ N(1, gamma_std^2), beta = 0, running averages at (0, 1)."""
        noise = random.normal(self.gamma.shape, stream=f"{stream}.gamma").data if self.gamma_std else 0.0
        self.gamma.assign(1.0 + self.gamma_std * noise)
        self.beta.assign(0.0)
        self.running_mean.assign(0.0)
        self.running_var.assign(1.0)

    def forward(self, x: Any) -> Tensor:
        """Normalise by the batch in training, by the running averages in evaluation."""
        if self.training:
            x = ops.as_tensor(x)
            effect(_average_in, self.running_mean, x, self.momentum, "mean")
            effect(_average_in, self.running_var, x, self.momentum, "var")
            return ops.batch_norm(x, self.gamma, self.beta, eps=self.eps)
        scale = self.gamma / ops.sqrt(self.running_var + self.eps)
        return (x - self.running_mean) * scale + self.beta


class LayerNorm(Module):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis (Ba, Kiros, Hinton 2016, arXiv 1607.06450)."""

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        self.eps = eps
        self.gamma = tensor(np.ones(channels, np.float32), requires_grad=True)
        self.beta = tensor(np.zeros(channels, np.float32), requires_grad=True)

    def reset(self, random: Source, stream: str) -> None:
        """gamma = 1, beta = 0."""
        self.gamma.assign(1.0)
        self.beta.assign(0.0)

    def forward(self, x: Any) -> Tensor:
        """Normalise each element by its own mean and variance."""
        return ops.layer_norm(x, self.gamma, self.beta, eps=self.eps)
