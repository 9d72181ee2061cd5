"""Convolutional layers, for 1, 2 or 3 spatial axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.activation import SLOPE, activation_of
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.backend import Array
from minigan.checks import flag, is_whole, whole
from minigan.kernels.geometry import Padding, pads, per_axis, sizes
from minigan.nn import init as initializers
from minigan.nn.init import Initializer
from minigan.nn.module import Module
from minigan.random import Source


class _Kernel(Module):
    """What both layers share: a kernel of weights, a bias, and the options of the operation."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: Any, axes: int, bias: bool, init: str | Initializer
    ) -> None:
        name = type(self).__name__
        inputs, outputs = whole(name, "inputs", inputs, low=1), whole(name, "outputs", outputs, low=1)
        sizes(f"{name}: kernel_size", kernel_size)
        axes = whole(name, "axes", axes, low=1) if is_whole(kernel_size) else len(kernel_size)
        if axes > 3:
            raise ValueError(f"{name}: got kernel_size {kernel_size} for {axes} axes, expected 1 to 3 axes")
        kernel = per_axis(f"{name}: kernel_size", kernel_size, axes)
        self.kernel_size, self.inputs, self.outputs = kernel, inputs, outputs
        self.init = initializers.get(init)
        shape = self._arrange(np.broadcast_to(np.float32(0), (*kernel, inputs, outputs))).shape
        self.weight = initializers.leaf(shape, f"{name}({inputs}, {outputs})")
        some = flag(name, "bias", bias)
        self.bias: Tensor | None = tensor(np.zeros(outputs, np.float32), requires_grad=True) if some else None
        self.reset(Source(0), f"{name} {inputs} {outputs}")

    def _arrange(self, weight: Array) -> Array:
        """An array (*kernel, in, out) in the layout of this layer's weight."""
        return weight

    def _places(self, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
        """Checked once, as an integer or pair an axis."""
        n = len(self.kernel_size)
        named = isinstance(padding, str) and padding in ("same", "valid")
        return {
            "stride": per_axis("stride", stride, n),
            "padding": padding if named else tuple(pads(padding, n)),
            "dilation": per_axis("dilation", dilation, n),
        }

    def reset(self, random: Source, stream: str) -> None:
        """W from the initialiser, b = 0."""
        shape = (*self.kernel_size, self.inputs, self.outputs)
        drawn = initializers.drawn(self.init, random, f"{stream}.weight", shape)
        self.weight.assign(self._arrange(drawn))
        if self.bias is not None:
            self.bias.assign(0.0)


class Conv(_Kernel):
    """activation(conv(x, W) + b), x (N, *sizes, in), W (*kernel, in, out): one fused operation; see :func:`minigan.ops.conv`.

    Args:
        inputs, outputs: numbers of channels.
        kernel_size: an integer (with `axes`), or one a spatial axis.
        stride, padding, dilation: as in :func:`minigan.ops.conv`.
        activation: linear (or None), relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.
        slope: of leaky_relu below zero, > 0.
        bias: whether b exists; it starts at 0.
        init: initialiser of W, by name or function. Default: xavier.
        axes: spatial axes where `kernel_size` is one integer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Any,
        *,
        stride: Any = 1,
        padding: Padding = "same",
        dilation: Any = 1,
        activation: str | None = None,
        slope: float = SLOPE,
        bias: bool = True,
        init: str | Initializer = "xavier",
        axes: int = 2,
    ) -> None:
        self.activation = activation_of("Conv", activation, slope)
        super().__init__(inputs, outputs, kernel_size, axes, bias, init)
        self.options = self._places(stride, padding, dilation)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(conv(x, W) + b)."""
        return ops.conv(x, self.weight, self.bias, activation=self.activation, **self.options)


class ConvTranspose(_Kernel):
    """activation(A^T x + b), A the convolution with kernel W (*kernel, out, in); see :func:`minigan.ops.conv_transpose`.

    Args:
        output_size: sizes of the result where stride and padding leave a choice. Default: sizes * stride for "same".
        Others: as :class:`Conv`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Any,
        *,
        stride: Any = 1,
        padding: Padding = "same",
        output_size: Any = None,
        dilation: Any = 1,
        activation: str | None = None,
        slope: float = SLOPE,
        bias: bool = True,
        init: str | Initializer = "xavier",
        axes: int = 2,
    ) -> None:
        self.activation = activation_of("ConvTranspose", activation, slope)
        super().__init__(inputs, outputs, kernel_size, axes, bias, init)
        size = None if output_size is None else per_axis("output_size", output_size, len(self.kernel_size))
        self.options = {**self._places(stride, padding, dilation), "output_size": size}

    def _arrange(self, weight: Array) -> Array:
        return weight.swapaxes(-1, -2)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(A^T x + b)."""
        return ops.conv_transpose(x, self.weight, self.bias, activation=self.activation, **self.options)
