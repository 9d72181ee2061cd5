"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigan import ops
from minigan.activation import SLOPE, activation_of
from minigan.autodiff import Tensor, TensorLike, effect, tensor
from minigan.backend import Array, array_module
from minigan.checks import flag, number, whole
from minigan.kernels import reference as kernels
from minigan.nn.module import Module
from minigan.random import Source
from minigan.staged import of_arrays


@of_arrays
def _follow(running: Sequence[Array], statistics: Array, momentum: float, rows: int) -> None:
    """The running mean and variance take in a batch's."""
    mean, var = running
    kernels.follow_statistics(mean, var, statistics, momentum, rows)


class _Scaled(Module):
    """A layer that ends with gamma h + beta, gamma and beta of length `channels`: learned, or with affine=False 1 and 0."""

    def __init__(self, channels: int, eps: float, affine: bool = True) -> None:
        name = type(self).__name__
        channels = whole(name, "channels", channels, low=1)
        self.eps = number(name, "eps", eps, low=0)
        self.affine = flag(name, "affine", affine)
        self.gamma = tensor(np.ones(channels, np.float32), requires_grad=self.affine)
        self.beta = tensor(np.zeros(channels, np.float32), requires_grad=self.affine)

    def reset(self, random: Source, stream: str) -> None:
        """gamma = 1, beta = 0."""
        self.gamma.assign(1.0)
        self.beta.assign(0.0)


class BatchNorm(_Scaled):
    """f(gamma (x - mean) / sqrt(var + eps) + beta) for each channel (Ioffe, Szegedy 2015, arXiv 1502.03167), f an activation.

    In training, mean and variance are the batch's, over all axes but the last, and running averages follow them with weight
    `momentum` (the variance times n / (n - 1)); in evaluation the running averages are used. One value a channel has no
    variance: training on it raises.

    Args:
        channels: length of the last axis.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages, in [0, 1].
        gamma_std: gamma starts at N(1, gamma_std^2); DCGAN uses .02, the default 0 starts at 1.
        activation: linear (or None), relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.
        slope: of leaky_relu below zero, > 0.
        affine: whether gamma and beta are learned; if not, they stay 1 and 0 (buffers).
        update: whether the running averages follow in training. `layer.update = False` leaves them as they are for passes that
            should not count, such as a discriminator's over mixed or augmented batches.

    Raises:
        TypeError, ValueError: a hyper-parameter that is no finite number in its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        gamma_std: float = 0.0,
        activation: str | None = None,
        slope: float = SLOPE,
        affine: bool = True,
        update: bool = True,
    ) -> None:
        super().__init__(channels, eps, affine)
        self.update = flag("BatchNorm", "update", update)
        if not affine and gamma_std:
            raise ValueError(f"BatchNorm: got gamma_std {gamma_std} and affine=False, expected one of the two")
        self.momentum = number("BatchNorm", "momentum", momentum, low=0, high=1)
        self.gamma_std = number("BatchNorm", "gamma_std", gamma_std, low=0)
        self.activation = activation_of("BatchNorm", activation, slope)
        self.running_mean = tensor(np.zeros(channels, np.float32))
        self.running_var = tensor(np.ones(channels, np.float32))

    def reset(self, random: Source, stream: str) -> None:
        """gamma ~ N(1, gamma_std^2), beta = 0, running averages at (0, 1)."""
        super().reset(random, stream)
        if self.gamma_std:
            noise = random.normal(self.gamma.shape, stream=f"{stream}.gamma").data
            self.gamma.assign(1.0 + self.gamma_std * noise)
        self.running_mean.assign(0.0)
        self.running_var.assign(1.0)

    def forward(self, x: TensorLike) -> Tensor:
        """Normalise by the batch in training, by the running averages in evaluation."""
        x = ops.as_tensor(x)
        if not self.training:
            scale = self.gamma / ops.sqrt(self.running_var + self.eps)
            z = (x - self.running_mean) * scale + self.beta
            return z if self.activation.kind == "linear" else ops.activation(z, self.activation)
        statistics = array_module(x._data).empty((2, *self.gamma.shape), x.dtype)
        y = ops.batch_norm(x, self.gamma, self.beta, eps=self.eps, activation=self.activation, statistics=statistics)
        if self.update:
            effect(_follow, [self.running_mean, self.running_var], statistics, self.momentum, x.size // self.gamma.size)
        return y


class LayerNorm(_Scaled):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis (Ba, Kiros, Hinton 2016, arXiv 1607.06450)."""

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)

    def forward(self, x: TensorLike) -> Tensor:
        """Normalise each element by its own mean and variance."""
        return ops.layer_norm(x, self.gamma, self.beta, eps=self.eps)


class GroupNorm(_Scaled):
    """f(gamma (x - mean) / sqrt(var + eps) + beta) over all positions and the channels of a group, x (N, *spatial, C)
    (Wu, He 2018, arXiv 1803.08494), f an activation; the same in training and evaluation.

    Args:
        groups: a divisor of `channels`. One normalises each element as a whole, `channels` is :class:`InstanceNorm`.
        channels: length of the last axis.
        eps: added to the variance.
        activation, slope: as of :class:`BatchNorm`.

    Raises:
        TypeError, ValueError: a hyper-parameter out of range; `groups` does not divide `channels`.
    """

    def __init__(
        self,
        groups: int,
        channels: int,
        *,
        eps: float = 1e-5,
        activation: str | None = None,
        slope: float = SLOPE,
    ) -> None:
        super().__init__(channels, eps)
        groups = whole("GroupNorm", "groups", groups, low=1)
        if channels % groups:
            raise ValueError(
                f"GroupNorm: got {groups} groups for {channels} channels, expected a divisor of {channels}"
            )
        self.groups = groups
        self.activation = activation_of("GroupNorm", activation, slope)

    def forward(self, x: TensorLike) -> Tensor:
        """Normalise each group of channels of each element by its own mean and variance."""
        return ops.group_norm(x, self.gamma, self.beta, groups=self.groups, eps=self.eps, activation=self.activation)


class InstanceNorm(_Scaled):
    """f(gamma (x - mean) / sqrt(var + eps) + beta) over the positions of each channel of each element, x (N, *spatial, C)
    (Ulyanov, Vedaldi, Lempitsky 2016, arXiv 1607.08022), f an activation; the same in training and evaluation.

    Args:
        channels: length of the last axis.
        eps: added to the variance.
        affine: whether gamma and beta are learned; if not, they stay 1 and 0 (buffers), as in pix2pix and CycleGAN.
        activation, slope: as of :class:`BatchNorm`.

    Raises:
        TypeError, ValueError: a hyper-parameter out of range.

    Gains and offsets of each element, (N, C), are :class:`minigan.nn.AdaIN`'s, or :func:`minigan.nn.modulate`'s.
    """

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        activation: str | None = None,
        slope: float = SLOPE,
    ) -> None:
        super().__init__(channels, eps, affine)
        self.activation = activation_of("InstanceNorm", activation, slope)

    def forward(self, x: TensorLike) -> Tensor:
        """Normalise each channel of each element by its own mean and variance."""
        return ops.instance_norm(x, self.gamma, self.beta, eps=self.eps, activation=self.activation)
