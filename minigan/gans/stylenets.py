"""StyleGAN's networks (Karras, Laine, Aila 2018, arXiv 1812.04948, figure 1), for sides of 2^k times a small number.

    Mapping    z --> z / rms z --> four dense layers, leaky ReLU --> w
    Synthesis  constant (7 x 7 for 28 x 28) --> [noise, leaky ReLU, AdaIN(w)] --> conv 3x3 --> [...]       7 x 7: styles 0 and 1
                 --> bilinear x 2 --> conv 3x3 --> [...] --> conv 3x3 --> [...]                          14 x 14: styles 2 and 3
                 --> and again, for each octave --> conv 1x1 --> image                                    28 x 28: styles 4 and 5
    Scorer     image --> conv 1x1 f --> (conv 3x3, mean of 2 x 2) an octave --> minibatch std --> conv 3x3 --> dense --> a logit

There are f channels at full size, 4 f an octave below, and 8 f further down. Weights are N(0, 1), multiplied by He's
constant when they are used, so that Adam moves all layers at one relative speed (Karras et al. 2017, arXiv 1710.10196, 4.1).
"""

from __future__ import annotations

import itertools

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor, tensor
from minigan.gans.protocol import Unsuitable
from minigan.random import Source

MOST = 8  # times f, channels at most


def octaves(shape: tuple[int, ...]) -> int:
    """How often both sides can be halved before one is below 8 or odd. Raises Unsuitable: not once."""
    count = 0
    while (
        len(shape) == 3 and not (shape[0] >> count) % 2 and not (shape[1] >> count) % 2 and min(shape[:2]) >> count > 7
    ):
        count += 1
    if not count:
        raise Unsuitable(
            f"got images of shape {shape}, expected (H, W, C) with even sides of at least 8; resize them: --size 28"
        )
    return count


def channels_of(features: int, octave: int) -> int:
    """At that octave below full size."""
    return min(features << 2 * octave, MOST * features)


def _conv(inputs: int, outputs: int, kernel: int, activation: str | None = None, gain: float = 2**0.5) -> nn.Conv:
    return nn.equalized(nn.Conv(inputs, outputs, kernel, activation=activation), gain=gain)


def _dense(inputs: int, outputs: int, activation: str | None = None, gain: float = 2**0.5) -> nn.Dense:
    return nn.equalized(nn.Dense(inputs, outputs, activation=activation), gain=gain)


class Mapping(nn.Module):
    """From z (N, latent) to w (N, width)."""

    def __init__(self, latent: int, width: int, depth: int = 4) -> None:
        sizes = (latent, *(width,) * depth)
        self.layers = nn.Sequential(*(_dense(a, b, "leaky_relu") for a, b in itertools.pairwise(sizes)))

    def forward(self, z: Tensor) -> Tensor:
        """w."""
        return self.layers(z / ops.sqrt(ops.mean(ops.square(z), axis=1, keepdims=True) + 1e-8))


class Styled(nn.Module):
    """Noise with a learned strength a channel, leaky ReLU, AdaIN."""

    def __init__(self, channels: int, width: int, gain: float) -> None:
        self.noise = nn.Noise(channels=channels)
        self.norm = nn.AdaIN(channels, width)
        nn.equalized(self.norm.style, gain=gain)

    def forward(self, h: Tensor, w: Tensor, share: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The styled maps; share (N, 1), of the noise."""
        noisy = self.noise(h)
        if share is not None:
            noisy = h + ops.reshape(share, (len(h), 1, 1, 1)) * (noisy - h)
        return self.norm(ops.leaky_relu(noisy), w)


class Synthesis(nn.Module):
    """From a style w for each of `count` layers to images (N, *shape). fine: gain of w -> (a, b) at full size; elsewhere 1."""

    def __init__(self, shape: tuple[int, ...], features: int, width: int, fine: float = 1.0) -> None:
        depth = octaves(shape)
        self.count = 2 * (depth + 1)
        wide = [channels_of(features, octave) for octave in range(depth, -1, -1)]
        self.constant = tensor(
            np.ones((1, shape[0] >> depth, shape[1] >> depth, wide[0]), np.float32), requires_grad=True
        )
        self.first = [_conv(a, b, 3) for a, b in itertools.pairwise(wide)]  # behind each doubling
        self.second = [_conv(c, c, 3) for c in wide]
        gains = [1.0] * depth + [fine]
        self.styled = [Styled(c, width, gain) for c, gain in zip(wide, gains, strict=True) for _ in range(2)]
        self.to_image = _conv(wide[-1], shape[-1], 1, gain=1.0)

    def reset(self, random: Source, stream: str) -> None:
        """The constant is drawn from N(0, 1), as by Karras et al. 2019 (arXiv 1912.04958).

        The authors began with ones, of which instance norm leaves nothing: with them all images kept one shape for 500 steps.
        """
        self.constant.assign(random.normal(self.constant.shape, stream=f"{stream}.constant"))

    def forward(self, styles: list[Tensor], share: Tensor | None = None) -> Tensor:
        """An image of as many styles as there are layers."""
        h = ops.broadcast_to(self.constant, (len(styles[0]), *self.constant.shape[1:]))
        for octave, second in enumerate(self.second):
            if octave:
                h = self.first[octave - 1](ops.upsample(h, scale=2, mode="bilinear"))
            h = self.styled[2 * octave](h, styles[2 * octave], share)
            h = self.styled[2 * octave + 1](second(h), styles[2 * octave + 1], share)
        return self.to_image(h)


class Scorer(nn.Module):
    """D: logits (N, 1)."""

    def __init__(self, shape: tuple[int, ...], features: int) -> None:
        depth = octaves(shape)
        wide = [channels_of(features, octave) for octave in range(depth + 1)]
        small = (shape[0] >> depth) * (shape[1] >> depth)
        self.from_image = _conv(shape[-1], features, 1, "leaky_relu")
        self.down = [_conv(a, b, 3, "leaky_relu") for a, b in itertools.pairwise(wide)]
        self.last = nn.Sequential(
            nn.MinibatchStd(),
            _conv(wide[-1] + 1, wide[-1], 3, "leaky_relu"),
            nn.Flatten(),
            _dense(small * wide[-1], wide[-1], "leaky_relu"),
            _dense(wide[-1], 1, gain=1.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        h = self.from_image(x)
        for layer in self.down:
            h = ops.avg_pool(layer(h), window=2)
        return self.last(h)
