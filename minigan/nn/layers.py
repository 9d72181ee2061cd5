"""Dense layers, activations, dropout and containers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minigan import ops
from minigan.activation import SLOPE, activation_of
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.checks import flag, number, whole
from minigan.nn import init as initializers
from minigan.nn.init import Initializer
from minigan.nn.module import Module
from minigan.ops.dropout import keep_of
from minigan.random import Source


class Dense(Module):
    """activation(x W + b), x (..., in), W (in, out), b (out,): one fused operation.

    Args:
        inputs, outputs: numbers of features.
        activation: linear (or None), relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.
        slope: of leaky_relu below zero, > 0.
        bias: whether b exists; it starts at 0.
        init: initialiser of W, by name or function. Default: xavier.

    W is drawn with seed 0 until `initialize(seed)` is called on the layer or on a network that holds it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activation: str | None = None,
        slope: float = SLOPE,
        bias: bool = True,
        init: str | Initializer = "xavier",
    ) -> None:
        inputs, outputs = whole("Dense", "inputs", inputs, low=1), whole("Dense", "outputs", outputs, low=1)
        self.activation, self.init = activation_of("Dense", activation, slope), initializers.get(init)
        self.weight = initializers.leaf((inputs, outputs), f"Dense({inputs}, {outputs})")
        if flag("Dense", "bias", bias):
            self.bias: Tensor | None = tensor(np.zeros(outputs, np.float32), requires_grad=True)
        else:
            self.bias = None
        self.reset(Source(0), f"Dense {inputs} {outputs}")

    def reset(self, random: Source, stream: str) -> None:
        """W from the initialiser, b = 0."""
        self.weight.assign(initializers.drawn(self.init, random, f"{stream}.weight", self.weight.shape))
        if self.bias is not None:
            self.bias.assign(0.0)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(x W + b)."""
        return ops.dense(x, self.weight, self.bias, activation=self.activation)


class Activation(Module):
    """An elementwise function as a layer: linear (or None), relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.

    Options: `slope` of leaky_relu, `alpha` of elu, `approximate` of gelu, as of the functions of `minigan.ops`.

    Raises:
        TypeError, ValueError: an unknown name, an option that the function does not have, or a value out of its range.
    """

    _options: ClassVar[dict[str, str]] = {"leaky_relu": "slope", "elu": "alpha", "gelu": "approximate"}

    def __init__(self, name: str | None, **options: Any) -> None:
        if wrong := options.keys() - {self._options.get(name or "linear")}:
            raise TypeError(f"Activation: got option {sorted(wrong)[0]!r}, which {name} does not have")
        self.activation = activation_of("Activation", name, options.pop("slope", SLOPE))
        self.name = self.activation.kind
        if "alpha" in options:
            number("Activation", "alpha", options["alpha"])
        if options.get("approximate", "none") not in ("none", "tanh"):
            raise ValueError(f"Activation: got approximate={options['approximate']!r}, expected 'none' or 'tanh'")
        self.options = options

    def forward(self, x: TensorLike) -> Tensor:
        """The function of that name."""
        return getattr(ops, self.name)(x, **self.options) if self.options else ops.activation(x, self.activation)


def ReLU() -> Activation:  # noqa: N802 (the layers' usual names)
    """max(x, 0)."""
    return Activation("relu")


def LeakyReLU(slope: float = SLOPE) -> Activation:  # noqa: N802
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
        keep_of("Dropout", rate)
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
        self.shape = tuple(whole("Reshape", "a length", n, low=0) for n in shape)

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
