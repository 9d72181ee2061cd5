"""The deep convolutional GAN (Radford, Metz, Chintala 2015, arXiv 1511.06434).

Its rules: strides instead of pooling, batch norm instead of biases in G, ReLU-like activations, tanh at the end, weights from
N(0, .02^2), Adam with lr 2e-4 and beta1 .5. Two networks by configuration, s = image size:

    net = "s4"    G: z -> dense s/4 x s/4 x 4f -> T 5x5/1 2f -> T 5x5/2 f -> T 5x5/2 channels, tanh
                  D: conv 5x5/2 f -> conv 5x5/2 2f -> 1 logit, leaky ReLU and dropout after each
    net = "ig"    G: z -> dense 16f -> dense s/4 x s/4 x 2f -> T 4x4/2 f -> T 4x4/2 channels, tanh
                  D: conv 4x4/2 f -> conv 4x4/2 2f -> dense 16f -> 1 logit, leaky ReLU after each

T is a transposed convolution. "s4" is the network of many tutorials, "ig" that of InfoGAN (Chen et al. 2016, arXiv 1606.03657,
table 1; there D has batch norm too). For sizes of 64 and more both are extended as in the paper: one more stride-2 stage with
twice the channels for each doubling beyond 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import nn
from minigan.gans.checks import Check, RealData
from minigan.gans.class_checks import SAMPLES, class_checks
from minigan.gans.gan import GAN, GANConfig
from minigan.gans.options import option
from minigan.gans.protocol import Unsuitable


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(GANConfig):
    """The DCGAN's options."""

    steps: int = option(700, "steps to train: one update of every player each", low=0)
    ema: float = option(
        0.99, "decay of the averaged generator that samples are drawn from; 0 for none", low=0.0, high=0.99999
    )
    net: str = option("s4", "networks: 5x5 kernels (s4) or InfoGAN's 4x4 kernels (ig)", choices=("s4", "ig"))
    features: int = option(64, "channels f: of the map before the image in G, after the first layer in D", low=1)
    dropout: float = option(0.3, "rate of dropout in D (s4)", low=0.0, high=0.99)


class DCGAN(GAN):
    """Strided convolutions down, transposed ones up."""

    Config = DCGANConfig
    summary = "deep convolutional GAN (Radford et al. 2015)"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        height, width, channels = self.shape
        stages = 2
        while min(height, width) >> stages > 8:
            stages += 1
        if height % (1 << stages) or width % (1 << stages):
            raise Unsuitable(
                f"dcgan: got images of {height} x {width}, expected multiples of {1 << stages}; resize the images"
            )
        start = (height >> stages, width >> stages)
        make = self._s4 if self.config.net == "s4" else self._ig
        generator, discriminator = make(self.config, start, stages, channels)
        return {"generator": generator, "discriminator": discriminator}

    def checks(self, real: RealData) -> list[Check]:
        """Targets for legible, even digits (see `class_checks`): what is asked of a run, and not yet measured over seeds."""
        return class_checks(self.sample(SAMPLES, seed=real.seed), real, kl=0.15, score=0.7, cfd=0.15)

    def _s4(
        self, config: DCGANConfig, start: tuple[int, int], stages: int, channels: int
    ) -> tuple[nn.Module, nn.Module]:
        f, wide = config.features, config.features << stages
        up: list[nn.Module] = [*_dense(config.latent, (*start, wide)), *_up(wide, wide // 2, 5, 1)]
        down: list[nn.Module] = []
        before = channels
        for stage in range(stages):
            after = f << stage
            down += [_conv(before, after, 5), nn.Dropout(config.dropout)]
            before = after
            up += _up(wide >> stage + 1, wide >> stage + 2, 5, 2) if stage + 1 < stages else []
        up.append(nn.ConvTranspose(f, channels, 5, stride=2, bias=False, activation="tanh", init="normal"))
        logit = nn.Dense(start[0] * start[1] * before, 1, init="normal")
        return nn.Sequential(*up), nn.Sequential(*down, nn.Flatten(), logit)

    def _ig(
        self, config: DCGANConfig, start: tuple[int, int], stages: int, channels: int
    ) -> tuple[nn.Module, nn.Module]:
        f, wide = config.features, config.features << stages - 1
        up: list[nn.Module] = [*_dense(config.latent, (16 * f,)), *_dense(16 * f, (*start, wide))]
        down: list[nn.Module] = []
        before = channels
        for stage in range(stages):
            down.append(_conv(before, f << stage, 4))
            before = f << stage
            up += _up(wide >> stage, wide >> stage + 1, 4, 2) if stage + 1 < stages else []
        up.append(nn.ConvTranspose(f, channels, 4, stride=2, bias=False, activation="tanh", init="normal"))
        hidden = nn.Dense(start[0] * start[1] * before, 16 * f, activation="leaky_relu", init="normal")
        return nn.Sequential(*up), nn.Sequential(*down, nn.Flatten(), hidden, nn.Dense(16 * f, 1, init="normal"))


def _dense(inputs: int, shape: tuple[int, ...]) -> list[nn.Module]:
    """Dense to a map of that shape, batch norm of every feature, leaky ReLU."""
    size = math.prod(shape)
    return [nn.Dense(inputs, size, bias=False, init="normal"), _norm(size), nn.Reshape(*shape)]


def _norm(channels: int) -> nn.BatchNorm:
    """Batch norm fused with the leaky ReLU after it."""
    return nn.BatchNorm(channels, activation="leaky_relu", gamma_std=0.02)


def _up(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    """Transposed convolution, batch norm, leaky ReLU."""
    layer = nn.ConvTranspose(inputs, outputs, kernel, stride=stride, bias=False, init="normal")
    return [layer, _norm(outputs)]


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv:
    return nn.Conv(inputs, outputs, kernel, stride=2, activation="leaky_relu", init="normal")
