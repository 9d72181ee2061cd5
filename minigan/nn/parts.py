"""Parts that networks are put together from: tables of vectors, shortcuts, noise, moved sequences, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.checks import number, whole
from minigan.labels import labels_of
from minigan.nn import init as initializers
from minigan.nn.hidden import hidden
from minigan.nn.init import Initializer
from minigan.nn.layers import Sequential
from minigan.nn.module import Module
from minigan.random import Source


class Embedding(Module):
    """A vector for each of `count` labels: y = W[labels], labels (...) integers, W (count, features), y (..., features);
    dW = the cotangents added up where a label repeats. It equals one_hot(labels) W (Bengio et al. 2003, section 2).

    Args:
        count: how many labels there are.
        features: length of a vector.
        init: initialiser of W, by name or function. Default: N(0, 1).

    Raises:
        TypeError, ValueError: sizes below 1; when called, labels that are no integers in [0, count) (a negative one would read
            from the end; on a GPU it does).
    """

    def __init__(self, count: int, features: int, *, init: str | Initializer | None = None) -> None:
        self.count = whole("Embedding", "count", count, low=1)
        self.features = whole("Embedding", "features", features, low=1)
        self.init = initializers.get(initializers.normal(1.0) if init is None else init)
        self.weight = initializers.leaf((self.count, self.features), f"Embedding({count}, {features})")
        self.reset(Source(0), f"Embedding {count} {features}")

    def reset(self, random: Source, stream: str) -> None:
        """W from the initialiser."""
        self.weight.assign(initializers.drawn(self.init, random, f"{stream}.weight", (self.count, self.features)))

    def forward(self, labels: TensorLike) -> Tensor:
        """W[labels]."""
        return ops.embedding(self.weight, labels_of("Embedding", labels, self.count))


class Residual(Module):
    """y = scale (s(x) + F(x)), F the layers one after the other, s the shortcut (He et al. 2015, arXiv 1512.03385, eq. 1, 2).

    Args:
        layers: F, one or more modules.
        shortcut: a module where F changes the shape (a 1x1 convolution, ibid. eq. 2); None for the identity.
        scale: 1/sqrt(2) keeps the variance of two independent terms (Karras et al. 2019, arXiv 1912.04958, section 4.1).

    Raises:
        TypeError, ValueError: no layers, something that is no module, a scale that is no finite number; when called, a sum of
            different shapes.
    """

    def __init__(self, *layers: Module, shortcut: Module | None = None, scale: float = 1.0) -> None:
        if not layers:
            raise ValueError("Residual: got no layers, expected one or more modules")
        if shortcut is not None and not isinstance(shortcut, Module):
            raise TypeError(f"Residual: got shortcut {shortcut!r}, expected a module or None")
        self.body = Sequential(*layers)
        self.shortcut = shortcut
        self.scale = number("Residual", "scale", scale)

    def forward(self, x: TensorLike) -> Tensor:
        """scale (s(x) + F(x))."""
        x = ops.as_tensor(x)
        y, kept = self.body(x), x if self.shortcut is None else self.shortcut(x)
        if y.shape != kept.shape:
            raise ValueError(
                f"Residual: got F(x) {y.shape} beside s(x) {kept.shape} for x {x.shape}, expected one shape; "
                "give a shortcut that changes it, such as Conv(inputs, outputs, 1)"
            )
        return kept + y if self.scale == 1 else (kept + y) * self.scale


class Noise(Module):
    """Gaussian noise added in training: y = x + std n, n ~ N(0, I); in evaluation y = x. On a discriminator's inputs it makes
    the supports of data and model overlap (Arjovsky, Bottou 2017, arXiv 1701.04862, section 3).

    With `channels` it is a generator's noise: y = x + gamma_c n, one n a position for all channels and a learned gamma of each,
    0 at first, in training and evaluation alike (Karras et al. 2018, arXiv 1812.04948, section 2); std is left out.

    Until `initialize` is called, the numbers are drawn with seed 0, in turns with all other layers that were not initialised.

    Args:
        std: standard deviation, a number >= 0, or a tensor without axes such as `mg.scheduled(f)` to anneal it.
        channels: length of the last axis, for learned strengths.

    Raises:
        TypeError, ValueError: both or neither, or one out of range.
    """

    def __init__(self, std: float | Tensor | None = None, *, channels: int | None = None) -> None:
        if (std is None) == (channels is None):
            raise ValueError(f"Noise: got std {std!r} and channels {channels!r}, expected one of the two")
        if isinstance(std, Tensor) and std.shape != ():
            raise ValueError(f"Noise: got std of shape {std.shape}, expected a number")
        self.std = number("Noise", "std", std, low=0) if not (std is None or isinstance(std, Tensor)) else std
        self.gamma: Tensor | None = None
        if channels is not None:
            self.gamma = tensor(np.zeros(whole("Noise", "channels", channels, low=1), np.float32), requires_grad=True)
        self.stream, self.random = "noise", Source.unnamed()

    def reset(self, random: Source, stream: str) -> None:
        """gamma = 0; take the run's random numbers, in a stream of this layer's own."""
        self.random, self.stream = random, f"{stream}.noise"
        if self.gamma is not None:
            self.gamma.assign(0.0)

    def forward(self, x: TensorLike) -> Tensor:
        """x + std n, in training; or x + gamma n."""
        x = ops.as_tensor(x)
        if self.gamma is None:
            if not self.training or self.std is None:
                return x
            return x + self.std * self._drawn(x, x.shape)
        if not x.ndim or x.shape[-1:] != self.gamma.shape:
            raise ValueError(f"Noise: got x {x.shape}, expected (..., {self.gamma.shape[0]})")
        return x + self.gamma * self._drawn(x, (*x.shape[:-1], 1))

    def _drawn(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return ops.cast(self.random.normal(shape, stream=self.stream), dtype=x.dtype)


class PhaseShuffle(Module):
    """In training, each sequence (L, C) of x (N, L, C) moved by k steps of its own, k uniform in -radius, ..., radius; what
    moves in at an end is the reflection of what is there: y_t = x_{r(t - k)}, r the reflection at the ends that repeats none.
    In evaluation x.

    On the features of a discriminator of sounds it hides the phase that transposed convolutions leave in all that they make: an
    artefact that would give fakes away, and says nothing about how they sound (Donahue, McAuley, Puckette 2018, arXiv
    1802.04208, section 3.3; there the features of a whole batch move together).

    Until `initialize` is called, the numbers are drawn with seed 0, in turns with all other layers that were not initialised.

    Args:
        radius: the longest way, >= 0.

    Raises:
        TypeError, ValueError: a radius that is no whole number >= 0; when called, an x of other axes or of at most `radius`
            steps.
    """

    def __init__(self, radius: int = 2) -> None:
        self.radius = whole("PhaseShuffle", "radius", radius, low=0)
        self.stream, self.random = "phase", Source.unnamed()

    def reset(self, random: Source, stream: str) -> None:
        """Take the run's random numbers, in a stream of this layer's own."""
        self.random, self.stream = random, f"{stream}.phase"

    def forward(self, x: TensorLike) -> Tensor:
        """x, moved in training."""
        x = ops.as_tensor(x)
        if x.ndim != 3 or x.shape[1] <= self.radius:
            raise ValueError(f"PhaseShuffle: got x {x.shape}, expected (N, L, C) with L > {self.radius}")
        if not self.training or not self.radius:
            return x
        n, length, channels = x.shape
        k = self.random.integers((n, 1, 1), low=-self.radius, high=self.radius + 1, stream=self.stream)
        places = ops.abs(np.arange(length).reshape(1, -1, 1) - k)  # reflected at the beginning
        last = length - 1
        places = last - ops.abs(last - places)  # and at the end
        return ops.gather(x, ops.broadcast_to(places, (n, length, channels)), axis=1)


class Lambda(Module):
    """A function of tensors as a layer: `Lambda(ops.square)`, `Lambda(lambda x: 2 * x)`.

    It has no parameters. A function that uses a network, or a tensor that takes gradients, would hide them from optimizers,
    checkpoints and `initialize`, so it is refused: write a :class:`Module`.

    Args:
        function: of one tensor, to a tensor.
        name: for `repr`; the function's own by default.

    Raises:
        TypeError: not a function, or one that holds modules or parameters; when called, a result that is no tensor.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], *, name: str | None = None) -> None:
        if isinstance(function, Module) or not callable(function):
            raise TypeError(f"Lambda: got {function!r}, expected a function; a module is a layer already")
        for what, value in _used(function):
            if isinstance(value, Module) or value.requires_grad:
                raise TypeError(
                    f"Lambda: the function uses {what!r}, a {type(value).__name__} whose parameters nobody would find; write a "
                    "Module with it as an attribute, or put the network beside the function into a Sequential"
                )
        self.function, self.name = function, name or getattr(function, "__name__", type(function).__name__)

    def forward(self, x: TensorLike) -> Tensor:
        """function(x)."""
        y = self.function(ops.as_tensor(x))
        if not isinstance(y, Tensor):
            raise TypeError(
                f"Lambda: {self.name} returned {type(y).__name__}, expected a tensor: compute with minigan.ops"
            )
        return y


def _used(function: Any) -> Iterator[tuple[str, Any]]:
    """Modules and tensors that a function holds, its object, or the globals in its code."""
    if isinstance(function, MethodType):
        yield from hidden(function.__self__, (Module, Tensor))
    yield from hidden(function, (Module, Tensor))
    code, space = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    for name in code.co_names if code is not None else ():
        yield from ((name, part) for _, part in hidden(space.get(name), (Module, Tensor)))
