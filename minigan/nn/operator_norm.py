"""Spectral normalisation of convolutions as what they are: linear maps of whole images.

`nn.spectral` divides a kernel (*taps, in, out) by the largest singular value s_M of the matrix M (taps in, out), the form of
Miyato et al. 2018 (arXiv 1802.05957, section 2.1: "reshaped"). The convolution itself is another matrix A, with one row for each
number of the output map, and its largest singular value s_A, the true operator norm, is what bounds its Lipschitz constant. The
two differ: an input number meets up to r = prod ceil(kernel / stride) windows, so that

    s_A <= sqrt(r) s_M          (Tsuzuku, Sato, Sugiyama 2018, arXiv 1802.04034; Sedghi et al. 2018, arXiv 1805.10408)

with near equality for smooth kernels. If one window lies in the image whole, s_M <= s_A (feed A^T one output); where every window
is cut by the border, s_A < s_M is possible, too. After `nn.spectral` a layer of 5x5 taps and stride 2 may
stretch by up to 3, three such layers by 27; after `spectral_operator` by 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from minigan import backend, ops
from minigan.autodiff import Tensor, tensor
from minigan.checks import number, whole
from minigan.nn.conv import Conv, ConvTranspose
from minigan.nn.layers import Dense
from minigan.nn.module import Module
from minigan.nn.reweight import Change, reweight, spectral
from minigan.ops.spectral import Singular, conv_power_iteration
from minigan.random import Source
from minigan.switches import no_grad

M = TypeVar("M", bound=Module)


class SpectralOperator(Change):
    """W / s, s the largest singular value of x -> conv(x, W) on images of one size, by power iteration: with v a map kept from
    pass to pass, each pass in training does `steps` times

        u <- A v / |A v|,   v <- A^T u / |A^T u|,      s = <u, A v>,  A v = conv(v, W), A^T u = conv_transpose(u, W).

    The derivative takes u and v as constants, as that of :class:`minigan.nn.reweight.Spectral`. v is a buffer, part of `state()`;
    in evaluation it does not move.

    Args:
        size: of the map that the layer reads, (*sizes, in).
        options: the layer's stride, padding and dilation.
        steps, eps: as of :func:`minigan.nn.spectral`.
    """

    WARM_UP = 30  # steps for a newly drawn weight

    def __init__(self, size: tuple[int, ...], options: dict[str, Any], *, steps: int = 1, eps: float = 1e-12) -> None:
        self.steps = whole("spectral_operator", "steps", steps, low=1)
        self.eps = number("spectral_operator", "eps", eps, above=0)
        self.options = options
        self.v = tensor(np.full((1, *size), 1 / math.sqrt(math.prod(size)), np.float32))

    def start(self, w: Tensor, random: Source, stream: str) -> None:
        """v from a random direction, after a few steps."""
        self.v.assign(random.normal(self.v.shape, stream=f"{stream}.v"))  # which makes it of v's dtype
        self.v.assign(conv_power_iteration(w.detach(), self.v, steps=self.WARM_UP, **self.options).v)

    def forward(self, w: Tensor) -> Tensor:
        """W / s."""
        with no_grad():
            found: Singular = conv_power_iteration(w.detach(), self.v, steps=self.steps, **self.options)
        if self.training:
            self.v.assign(found.v)
        s = ops.sum(found.u * ops.conv(found.v, w, **self.options))  # <u, A v>, differentiable in w
        return w / ops.maximum(s, self.eps)


def spectral_operator(network: M, shape: tuple[int, ...], *, steps: int = 1, eps: float = 1e-12) -> M:
    """The network with each convolution divided by its true operator norm, and each dense layer by its largest singular value.

    Args:
        network: a convolution, or a network with convolutions and dense layers.
        shape: of one input of the network; each layer's norm is that on the maps which it then reads.
        steps: of power iteration at each pass in training, at least 1.
        eps: s is taken as at least this.

    Raises:
        TypeError: a transposed convolution, for which only `nn.spectral` is defined here.
        ValueError: no layer with a weight, or one that the network does not use.
    """
    layers = [m for _, m in network.modules() if isinstance(m, (Conv, ConvTranspose, Dense))]
    if turned := [m for m in layers if isinstance(m, ConvTranspose)]:
        raise TypeError(f"spectral_operator: got {type(turned[0]).__name__}, expected Conv and Dense; use nn.spectral")
    sizes: dict[int, tuple[int, ...]] = {}
    with _noting(layers, sizes), no_grad():
        mode, first = network.training, layers[0].weight if layers else None
        xp = backend.module_for(first.device if first is not None else "cpu")
        network.eval()
        try:
            network(Tensor(xp.zeros((1, *shape), np.float32 if first is None else first.dtype)))
        finally:
            network.train(mode)
    if not layers or len(sizes) < len(layers):
        raise ValueError(f"spectral_operator: {type(network).__name__} uses {len(sizes)} of {len(layers)} layers")
    for layer in layers:
        if isinstance(layer, Conv):
            reweight(layer, SpectralOperator(sizes[id(layer)], layer.options, steps=steps, eps=eps))
        else:
            spectral(layer, steps=steps, eps=eps)
    return network


@contextmanager
def _noting(layers: list[Any], sizes: dict[int, tuple[int, ...]]) -> Iterator[None]:
    """Inside the block each layer notes the shape, without the first axis, of what it reads."""

    def noted(layer: Any) -> Callable[[Any], Tensor]:
        plain = layer.forward

        def forward(x: Any) -> Tensor:
            sizes[id(layer)] = tuple(ops.as_tensor(x).shape[1:])
            return plain(x)

        return forward

    for layer in layers:
        vars(layer)["forward"] = noted(layer)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]
