"""Networks of images that several models share: a small DCGAN with room for a condition.

    Up     code -> dense s/4 x s/4 x 4f -> T 4x4/2 2f -> T 4x4/2 channels, tanh     batch norm and ReLU after both hidden layers
    Down   image -> conv 4x4/2 f -> conv 4x4/2 2f -> dense 16f                      leaky ReLU (slope .2) after each, batch norm
                                                                                    before it but after the first layer
    Through  image -> conv 4x4/2 f -> conv 4x4/2 2f -> [a code as maps beside it] -> two of conv 3x3 4f -> T 4x4/2 2f -> T 4x4/2
           channels, tanh: from an image to another one                             batch norm after all but the ends

s is the image's size, T a transposed convolution, and weights start at N(0, .02^2) (Radford, Metz, Chintala 2015, arXiv
1511.06434). Down needs its batch norm, as they say: without it D's loss stays near 2 log 2 before images that a person would not
take for real. A conditional G asked for digits of MNIST (lr 5e-4, 200 steps) is right on .22 of them without, on .56 with that of
the convolution alone and no dense layer, on .68 with both. Real images and fakes pass one after the other, each with its own
statistics.

A condition y (N, K) enters in one of two ways:

    maps    K constant maps, one an entry of y, are joined to what each layer reads (Mirza, Osindero 2014, arXiv 1411.1784, where
            layers are dense and y is joined to their vectors)
    norms   y chooses gain and offset of each batch norm (Miyato, Koyama 2018, arXiv 1802.05637, section 4.1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minigan import nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.options import Config, option
from minigan.gans.protocol import Unsuitable

NORMAL = "normal"  # N(0, .02^2)


@dataclass(frozen=True, kw_only=True)
class AveragedConfig(Config):
    """The option of a model whose generator is averaged."""

    ema: float = option(
        0.995,
        "decay of the averaged weights that samples are drawn from (Yazici 2018, arXiv 1806.04498); 0: none",
        low=0.0,
        high=0.99999,
    )


@dataclass(frozen=True, kw_only=True)
class ImageConfig(AveragedConfig):
    """The options of a model made of these networks."""

    features: int = option(32, "channels f: half those before the image in G, those after the first layer in D", low=1)


class Averaged(Model):
    """A model that samples from averages of the networks in `averaged`: what one step's weights do swings, and their average
    does not."""

    averaged: ClassVar[tuple[str, ...]] = ("generator",)

    def average(self) -> optim.EMA | None:
        """With decay `ema`."""
        chosen = {name: self.modules[name] for name in self.averaged}
        return optim.EMA(chosen, decay=self.config.ema) if self.config.ema else None


def multiple(shape: tuple[int, ...], of: int) -> None:
    """Raises Unsuitable: images (H, W, C) whose sides are no multiples of `of`."""
    if len(shape) != 3 or shape[0] % of or shape[1] % of:
        sides = [max(1, round(side / of)) * of for side in shape[:2]]
        size = "x".join(map(str, sides)) if len(set(sides)) > 1 else str(sides[0])
        raise Unsuitable(
            f"got images of shape {shape}, expected (H, W, C) with H and W multiples of {of}; resize them: --size {size}"
        )


def quarter(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the maps in the middle. Raises Unsuitable: sides that are no multiples of 4."""
    multiple(shape, 4)
    return shape[0] // 4, shape[1] // 4


def with_maps(h: Tensor, y: Tensor | None) -> Tensor:
    """h (N, *spatial, C) with y's entries (N, K) as constant maps behind its own: (N, *spatial, C + K). None adds nothing."""
    if y is None:
        return h
    spread = ops.reshape(y, (y.shape[0], *(1,) * (h.ndim - 2), y.shape[1]))
    return ops.concatenate([h, ops.broadcast_to(spread, (*h.shape[:-1], y.shape[1]))], axis=-1)


class Up(nn.Module):
    """From a code (N, inputs) to images (N, *shape) in [-1, 1].

    Args:
        inputs: length of a code.
        shape: (H, W, C) of an image, H and W multiples of 4.
        features: f.
        maps: K, where a condition enters as maps.

    Raises:
        Unsuitable: another size.
    """

    def __init__(self, inputs: int, shape: tuple[int, ...], features: int, *, maps: int = 0) -> None:
        start, wide = quarter(shape), 4 * features
        self.dense = nn.Dense(inputs + maps, start[0] * start[1] * wide, bias=False, init=NORMAL)
        self.spread = nn.Reshape(*start, wide)
        self.middle = nn.ConvTranspose(wide + maps, wide // 2, 4, stride=2, bias=False, init=NORMAL)
        self.last = nn.ConvTranspose(wide // 2 + maps, shape[-1], 4, stride=2, activation="tanh", init=NORMAL)
        self.norms = [nn.BatchNorm(channels, activation="relu") for channels in (wide, wide // 2)]

    def forward(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        """G(code) or G(code, y)."""
        h = self.norms[0](self.spread(self.dense(with_maps(code, y))))
        h = self.norms[1](self.middle(with_maps(h, y)))
        return self.last(with_maps(h, y))


class Down(nn.Module):
    """From images (N, *shape) to vectors (N, 16 f), `outputs` long.

    Args:
        shape: (H, W, C) of an image, H and W multiples of 4.
        features: f.
        maps: K, where a condition enters as maps.
        dropout: rate of dropout after both convolutions.
        norm: whether there is batch norm; not where weights are normalised.

    Raises:
        Unsuitable: another size.
    """

    def __init__(
        self, shape: tuple[int, ...], features: int, *, maps: int = 0, dropout: float = 0.0, norm: bool = True
    ) -> None:
        height, width = quarter(shape)
        self.outputs = 16 * features
        self.drops = [nn.Dropout(dropout) for _ in range(2)] if dropout else []
        linear: dict[str, Any] = {"activation": None if norm else "leaky_relu", "bias": not norm, "init": NORMAL}
        self.first = nn.Conv(shape[-1] + maps, features, 4, stride=2, activation="leaky_relu", init=NORMAL)
        self.second = nn.Conv(features + maps, 2 * features, 4, stride=2, **linear)
        self.dense = nn.Dense(height * width * 2 * features + maps, self.outputs, **linear)
        widths = (2 * features, self.outputs) if norm else ()
        self.norms = [nn.BatchNorm(channels, activation="leaky_relu") for channels in widths]

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x, or of x beside y."""
        return self._normed(1, self.dense(with_maps(ops.flatten(self.convolved(x, y), 1), y)))

    def convolved(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The features before the dense layer, (N, H/4, W/4, 2 f)."""
        h = self._dropped(0, self.first(with_maps(x, y)))
        return self._dropped(1, self._normed(0, self.second(with_maps(h, y))))

    def _dropped(self, which: int, h: Tensor) -> Tensor:
        return self.drops[which](h) if self.drops else h

    def _normed(self, which: int, h: Tensor) -> Tensor:
        return self.norms[which](h) if self.norms else h


def _strided(inputs: int, outputs: int) -> nn.Conv:
    return nn.Conv(inputs, outputs, 4, stride=2, activation="leaky_relu", init=NORMAL)


class Through(nn.Module):
    """From images (N, *shape) and codes (N, inputs) to other images (N, *shape) in [-1, 1].

    Args:
        shape: (H, W, C) of an image, H and W multiples of 4.
        features: f.
        inputs: length of a code.

    Raises:
        Unsuitable: another size.
    """

    def __init__(self, shape: tuple[int, ...], features: int, inputs: int) -> None:
        quarter(shape)
        wide = 4 * features
        self.down = nn.Sequential(
            _strided(shape[-1], features),
            nn.Conv(features, wide // 2, 4, stride=2, bias=False, init=NORMAL),
            nn.BatchNorm(wide // 2, activation="leaky_relu"),
        )
        self.up = nn.Sequential(
            nn.Conv(wide // 2 + inputs, wide, 3, bias=False, init=NORMAL),
            nn.BatchNorm(wide, activation="relu"),
            nn.Conv(wide, wide, 3, bias=False, init=NORMAL),
            nn.BatchNorm(wide, activation="relu"),
            nn.ConvTranspose(wide, wide // 2, 4, stride=2, bias=False, init=NORMAL),
            nn.BatchNorm(wide // 2, activation="relu"),
            nn.ConvTranspose(wide // 2, shape[-1], 4, stride=2, activation="tanh", init=NORMAL),
        )

    def forward(self, x: Tensor, code: Tensor) -> Tensor:  # type: ignore[override]
        """Another image of x."""
        return self.up(with_maps(self.down(x), code))
