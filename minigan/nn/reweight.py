"""Changed weights: `spectral(layer)`, `weight_norm(layer)`, `equalized(layer)`, and `reweight` for a change of one's own.

A changed layer computes with f(W) wherever it says `self.weight`, and W itself stays what is learned: a parameter under its
old name, in the layer's `vars`, where optimizers, checkpoints and averages find it. `layer.weight` reads as f(W),
differentiable in W.
For that the layer's class becomes a subclass of itself with a property of that name. Changes add up: the last one made is
applied last. All three take a layer, or a network, whose layers with a weight they change, and return it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, tensor
from minigan.checks import number, whole
from minigan.nn import init as initializers
from minigan.nn.conv import ConvTranspose
from minigan.nn.module import Module
from minigan.ops.spectral import power_iteration, spectral_normalize
from minigan.random import Source
from minigan.switches import no_grad

M = TypeVar("M", bound=Module)
_plainly: set[int] = set()  # layers whose weight reads as W at present


class Change(Module):
    """What is done to a weight W (*kernel, in, out): subclasses write `forward(w)`, and `start` where they have something to set.

    A transposed convolution's weight arrives with its last two axes exchanged, so that outputs are last everywhere.
    """

    def start(self, w: Tensor, random: Source, stream: str) -> Tensor | None:
        """Set this change's own tensors for a weight that was just drawn; a tensor that is returned becomes the weight."""
        return None


class Spectral(Change):
    """W / s, s the largest singular value of W read as a matrix with `out` columns, by power iteration (Miyato, Kataoka,
    Koyama, Yoshida 2018, arXiv 1802.05957, eq. 8 and algorithm 1): with v kept from pass to pass, each pass in training does

        u <- W v / |W v|,   v <- W^T u / |W^T u|   (`steps` times),      s = u^T W v.

    The derivative takes u and v as constants: with G the cotangent of Wb = W / s, dW = (G - <G, Wb> u v^T) / s (ibid., eq. 12),
    exact where they are singular vectors; second derivatives lack the motion of u and v. v is a buffer, part of `state()`; in
    evaluation it does not move.
    """

    WARM_UP = 15  # steps for a newly drawn weight

    def __init__(self, outputs: int, *, steps: int = 1, eps: float = 1e-12) -> None:
        self.steps = whole("spectral", "steps", steps, low=1)
        self.eps = number("spectral", "eps", eps, above=0)
        self.v = tensor(np.full(outputs, 1 / math.sqrt(outputs), np.float32))

    def start(self, w: Tensor, random: Source, stream: str) -> None:
        """v from a random direction, after a few steps."""
        self.v.assign(random.normal(self.v.shape, stream=f"{stream}.v"))  # which makes it of v's dtype
        self.v.assign(power_iteration(w.detach(), self.v, steps=self.WARM_UP).v)

    def forward(self, w: Tensor) -> Tensor:
        """W / s."""
        with no_grad():
            _, u, v = power_iteration(w.detach(), self.v, steps=self.steps)
        if self.training:
            self.v.assign(v)
        return spectral_normalize(w, u, v, eps=self.eps)


class WeightNorm(Change):
    """g W / |W|, for each output: the length g is learned apart from the direction W (Salimans, Kingma 2016, arXiv 1602.07868,
    eq. 2, 3). g starts as |W|, so that at first nothing is changed. With G the cotangent of Wb and D = W / |W|,

        dg = <G, D>,      dW = g (G - <G, D> D) / |W|.
    """

    def __init__(self, outputs: int) -> None:
        self.g = tensor(np.ones(outputs, np.float32), requires_grad=True)

    def start(self, w: Tensor, random: Source, stream: str) -> None:
        """g = |W|."""
        self.g.assign(ops.norm(w.detach(), axis=tuple(range(w.ndim - 1))).data)

    def forward(self, w: Tensor) -> Tensor:
        """g W / |W|."""
        return w * (self.g / ops.norm(w, axis=tuple(range(w.ndim - 1)), keepdims=True))


class Equalized(Change):
    """c W with W ~ N(0, 1) and c = gain / sqrt(fan in), He's constant at run time instead of in the first draw, so that Adam
    moves all layers at one relative speed (Karras et al. 2017, arXiv 1710.10196, section 4.1). dW = c G.
    """

    def __init__(self, *, gain: float = math.sqrt(2)) -> None:
        self.gain = number("equalized", "gain", gain, above=0)

    def start(self, w: Tensor, random: Source, stream: str) -> Tensor:
        """W ~ N(0, 1)."""
        return random.normal(w.shape, stream=f"{stream}.weight")

    def forward(self, w: Tensor) -> Tensor:
        """c W."""
        return w * (self.gain / math.sqrt(initializers.fans(w.shape)[0]))


def spectral(network: M, *, steps: int = 1, eps: float = 1e-12, name: str = "weight") -> M:
    """The layer, or network, with spectrally normalised weights: see :class:`Spectral`.

    Args:
        network: a layer with a weight, or a network of such layers.
        steps: of power iteration at each pass in training, at least 1.
        eps: s is taken as at least this.
        name: of the weight.

    Raises:
        TypeError, ValueError: no such weight, or a hyper-parameter out of range.
    """
    return _all(network, name, "spectral", lambda w: Spectral(w.shape[-1], steps=steps, eps=eps))


def weight_norm(network: M, *, name: str = "weight") -> M:
    """The layer, or network, with weights g W / |W|: see :class:`WeightNorm`.

    Raises:
        TypeError, ValueError: no such weight.
    """
    return _all(network, name, "weight_norm", lambda w: WeightNorm(w.shape[-1]))


def equalized(network: M, *, gain: float = math.sqrt(2), name: str = "weight") -> M:
    """The layer, or network, with an equalised learning rate: see :class:`Equalized`. The weights are drawn anew.

    Args:
        network: a layer with a weight, or a network of such layers.
        gain: sqrt(2) for (leaky) ReLU, 1 for a last layer.
        name: of the weight.

    Raises:
        TypeError, ValueError: no such weight, or a hyper-parameter out of range.
    """
    return _all(network, name, "equalized", lambda _: Equalized(gain=gain))


def reweight(layer: M, change: Change, *, name: str = "weight") -> M:
    """The layer, computing with change(W) where it says `self.<name>`.

    Raises:
        TypeError: no module, no :class:`Change`, or no parameter of that name with two axes or more.
        ValueError: another weight of this layer is changed already.
    """
    if not isinstance(layer, Module) or not isinstance(change, Change):
        raise TypeError(
            f"reweight: got {type(layer).__name__} and {type(change).__name__}, expected a module and a Change"
        )
    if not _is_weight(vars(layer).get(name)):
        raise TypeError(f"reweight: {type(layer).__name__} has no parameter {name!r} of two or more axes")
    changed: Any = layer
    w = vars(layer)[name]
    change.astype(w.dtype).to(w.device)
    if not isinstance(layer, _Changed):
        object.__setattr__(layer, "__class__", _class_for(type(changed), name))
        changed.changes = []
    elif layer._changed_name != name:
        raise ValueError(f"reweight: got {name!r}, but {layer._changed_name!r} of this layer is changed already")
    changed.changes = [*changed.changes, change]
    _start(changed, len(changed.changes) - 1, Source(0, device=w.device), f"{type(layer).__name__} {w.shape}")
    return layer


class _Changed:
    """What a changed layer is beside its own class."""

    changes: list[Change]
    _changed_name: str

    def reset(self: Any, random: Source, stream: str) -> None:
        """As the layer does, on W; then the changes start from it."""
        with _plain(self):
            super().reset(random, stream)  # type: ignore[misc]
        for i in range(len(self.changes)):
            _start(self, i, random, stream)


_classes: dict[tuple[Any, str], type] = {}


def _class_for(kind: Any, name: str) -> type:
    """The subclass of a layer's class whose attribute `name` is the changed weight; one for all layers of the class."""
    if (kind, name) in _classes:
        return _classes[kind, name]

    def read(self: Any) -> Tensor:
        w = vars(self)[name]
        return w if id(self) in _plainly else _turned(self, _through(self, _turned(self, w), len(self.changes)))

    def write(self: Any, value: Any) -> None:
        vars(self)[name] = value

    space = {name: property(read, write), "_changed_name": name, "__module__": __name__, "__doc__": kind.__doc__}
    return _classes.setdefault((kind, name), type(kind.__name__, (_Changed, kind), space))


@contextmanager
def _plain(layer: Any) -> Iterator[None]:
    _plainly.add(id(layer))
    try:
        yield
    finally:
        _plainly.discard(id(layer))


def _turned(layer: Any, w: Tensor) -> Tensor:
    """The weight with outputs last, or back again."""
    return ops.swapaxes(w, -1, -2) if isinstance(layer, ConvTranspose) else w


def _through(layer: Any, w: Tensor, count: int) -> Tensor:
    for change in layer.changes[:count]:
        w = change(w)
    return w


def _start(layer: Any, i: int, random: Source, stream: str) -> None:
    w = vars(layer)[layer._changed_name]
    with no_grad():
        seen = _through(layer, _turned(layer, w), i)
        drawn = layer.changes[i].start(seen, random, f"{stream}.changes.{i}")
    if drawn is not None:
        w.assign(_turned(layer, drawn).data)


def _is_weight(w: Any) -> bool:
    return isinstance(w, Tensor) and w.requires_grad and w.ndim >= 2


def _all(network: M, name: str, owner: str, make: Callable[[Tensor], Change]) -> M:
    if not isinstance(network, Module):
        raise TypeError(f"{owner}: got {type(network).__name__}, expected a layer or a network")
    layers = [module for _, module in network.modules() if _is_weight(vars(module).get(name))]
    if not layers:
        raise ValueError(
            f"{owner}: {type(network).__name__} has no layer with a parameter {name!r} of two or more axes"
        )
    for layer in layers:
        reweight(layer, make(_turned(layer, vars(layer)[name])), name=name)
    return network
