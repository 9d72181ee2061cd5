"""Convolutional layers, for 1, 2 or 3 spatial axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.backend import Array
from minigan.kernels.geometry import Padding
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
        kernel = (kernel_size,) * axes if isinstance(kernel_size, int) else tuple(kernel_size)
        if inputs < 1 or outputs < 1 or not 1 <= len(kernel) <= 3 or any(k < 1 for k in kernel):
            raise ValueError(
                f"{name}: got {inputs} inputs, {outputs} outputs and kernel_size {kernel}; "
                "expected positive numbers and 1 to 3 axes"
            )
        self.kernel_size, self.inputs, self.outputs = kernel, inputs, outputs
        self.init = initializers.get(init)
        shape = self._arrange(np.empty((*kernel, inputs, outputs))).shape
        self.weight = initializers.leaf(shape)
        self.bias: Tensor | None = tensor(np.zeros(outputs, np.float32), requires_grad=True) if bias else None
        self.reset(Source(0), f"{name} {inputs} {outputs}")

    def _arrange(self, weight: Array) -> Array:
        """An array (*kernel, in, out) in the layout of this layer's weight."""
        return weight

    def reset(self, random: Source, stream: str) -> None:
        """W from the initialiser, b = 0."""
        drawn = self.init(random, f"{stream}.weight", (*self.kernel_size, self.inputs, self.outputs))
        self.weight.assign(self._arrange(drawn))
        if self.bias is not None:
            self.bias.assign(0.0)


class Conv(_Kernel):
    """activation(conv(x, W) + b), x (N, *sizes, in), W (*kernel, in, out): one fused operation; see :func:`minigan.ops.conv`.

    Args:
        inputs, outputs: numbers of channels.
        kernel_size: an integer (with `axes`), or one a spatial axis.
        stride, padding, dilation: as in :func:`minigan.ops.conv`.
        activation: linear, relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu or silu.
        slope: of leaky_relu below zero.
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
        activation: str = "linear",
        slope: float = 0.2,
        bias: bool = True,
        init: str | Initializer = "xavier",
        axes: int = 2,
    ) -> None:
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        self.options |= {"activation": activation, "slope": slope}
        super().__init__(inputs, outputs, kernel_size, axes, bias, init)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(conv(x, W) + b)."""
        return ops.conv(x, self.weight, self.bias, **self.options)


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
        activation: str = "linear",
        slope: float = 0.2,
        bias: bool = True,
        init: str | Initializer = "xavier",
        axes: int = 2,
    ) -> None:
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        self.options |= {"activation": activation, "slope": slope, "output_size": output_size}
        super().__init__(inputs, outputs, kernel_size, axes, bias, init)

    def _arrange(self, weight: Array) -> Array:
        return weight.swapaxes(-1, -2)

    def forward(self, x: TensorLike) -> Tensor:
        """activation(A^T x + b)."""
        return ops.conv_transpose(x, self.weight, self.bias, **self.options)
