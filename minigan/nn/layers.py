"""Dense layers, activations, dropout and containers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.nn import init as initializers
from minigan.nn.init import Initializer
from minigan.nn.module import Module
from minigan.random import Source


class Dense(Module):
    """activation(x W + b), x (..., in), W (in, out), b (out,): one fused operation.

    Args:
        inputs, outputs: numbers of features.
        activation: linear, relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.
        slope: of leaky_relu below zero.
        bias: whether b exists; it starts at 0.
        init: initialiser of W, by name or function. Default: xavier.

    W is drawn with seed 0 until `initialize(seed)` is called on the layer or on a network that holds it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activation: str = "linear",
        slope: float = 0.2,
        bias: bool = True,
        init: str | Initializer = "xavier",
    ) -> None:
        if inputs < 1 or outputs < 1:
            raise ValueError(f"Dense: got {inputs} inputs and {outputs} outputs, expected positive numbers")
        self.activation, self.slope, self.init = activation, slope, initializers.get(init)
        self.weight = initializers.leaf((inputs, outputs))
        if bias:
            self.bias: Tensor | None = tensor(np.zeros(outputs, np.float32), requires_grad=True)
        else:
            self.bias = None
        self.reset(Source(0), f"Dense {inputs} {outputs}")

    def reset(self, random: Source, stream: str) -> None:
        """W from the initialiser, b = 0."""
        self.weight.assign(self.init(random, f"{stream}.weight", self.weight.shape))
        if self.bias is not None:
            self.bias.assign(0.0)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(x W + b)."""
        return ops.dense(x, self.weight, self.bias, activation=self.activation, slope=self.slope)


class Activation(Module):
    """An elementwise function of `minigan.ops` as a layer: `Activation("leaky_relu", slope=.2)`."""

    def __init__(self, name: str, **options: Any) -> None:
        known = ("relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu", "gelu", "silu")
        if name not in known:
            raise ValueError(f"Activation: got {name!r}, expected one of {known}")
        self.name, self.options = name, options

    def forward(self, x: TensorLike) -> Tensor:
        """The function of that name."""
        return getattr(ops, self.name)(x, **self.options)


def ReLU() -> Activation:  # noqa: N802 (the layers' usual names)
    """max(x, 0)."""
    return Activation("relu")


def LeakyReLU(slope: float = 0.2) -> Activation:  # noqa: N802
    """x, or slope x below zero."""
    return Activation("leaky_relu", slope=slope)


def Tanh() -> Activation:  # noqa: N802
    """tanh x."""
    return Activation("tanh")


def Sigmoid() -> Activation:  # noqa: N802
    """1 / (1 + e^-x)."""
    return Activation("sigmoid")


class Dropout(Module):
    """In training, x m / (1 - rate) with independent m ~ Bernoulli(1 - rate): the mean is x. In evaluation, x
    (Srivastava et al. 2014, inverted as usual). Until `initialize` is called, masks are drawn with seed 0, in turns with all
    other layers that were not initialised."""

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: got rate {rate}, expected 0 <= rate < 1")
        self.rate, self.stream, self.random = rate, "dropout", Source.unnamed()

    def reset(self, random: Source, stream: str) -> None:
        """Take the run's random numbers, in a stream of this layer's own."""
        self.random, self.stream = random, f"{stream}.mask"

    def forward(self, x: TensorLike) -> Tensor:
        """x times a fresh mask, in training."""
        return ops.dropout(x, rate=self.rate if self.training else 0.0, random=self.random, stream=self.stream)


class Flatten(Module):
    """(N, ...) to (N, features)."""

    def forward(self, x: TensorLike) -> Tensor:
        """All axes but the first merged."""
        return ops.flatten(x, 1)


class Reshape(Module):
    """(N, ...) to (N, *shape)."""

    def __init__(self, *shape: int) -> None:
        self.shape = tuple(int(n) for n in shape)

    def forward(self, x: TensorLike) -> Tensor:
        """The same elements in the new shape."""
        x = ops.as_tensor(x)
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"Reshape: got {x.shape}, expected (N, ...) with {math.prod(self.shape)} elements each")
        return ops.reshape(x, (x.shape[0], *self.shape))


class Sequential(Module):
    """Layers one after the other."""

    def __init__(self, *layers: Module) -> None:
        if bad := [layer for layer in layers if not isinstance(layer, Module)]:
            raise TypeError(f"Sequential: got {bad[0]!r}, expected modules")
        self.layers = list(layers)

    def forward(self, x: TensorLike) -> Tensor:
        """layers[-1](... layers[0](x))."""
        y: Any = x
        for layer in self.layers:
            y = layer(y)
        return y

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)
