"""The deep convolutional GAN (Radford, Metz, Chintala 2015, arXiv 1511.06434).

Its rules: strides instead of pooling, batch norm instead of biases in G, ReLU-like activations, tanh at the end, weights from
N(0, .02^2), Adam with lr 2e-4 and beta1 .5. Two networks by configuration, s = image size:

    net = "s4"    G: z -> dense s/4 x s/4 x 4f -> T 5x5/1 2f -> T 5x5/2 f -> T 5x5/2 channels, tanh
                  D: conv 5x5/2 f -> conv 5x5/2 2f -> 1 logit, leaky ReLU and dropout after each
    net = "ig"    G: z -> dense 16f -> dense s/4 x s/4 x 2f -> T 4x4/2 f -> T 4x4/2 channels, tanh
                  D: conv 4x4/2 f -> conv 4x4/2 2f -> dense 16f -> 1 logit, leaky ReLU after each

T is a transposed convolution. "s4" is the network of many tutorials, with f = 64; "ig" that of InfoGAN (Chen et al. 2016, arXiv
1606.03657, table 1; there D has batch norm too, and f is 64). "ig" with f = 32 is the default: in the same time it takes four
times the steps and draws better digits (`bench/digits.py`). For sizes of 64 and more both are extended as in the paper: one more
stride-2 stage with twice the channels for each doubling beyond 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import nn
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import NORMS, GANConfig
from minigan.gans.class_checks import SAMPLES, class_checks
from minigan.gans.gan import GAN
from minigan.gans.images import multiple
from minigan.gans.options import again, option

_RECIPE = "MNIST, s4, batch 64, 2,000 steps, by one judge:"
TARGETS = {
    "class KL": ("<= .1", f"{_RECIPE} PyTorch's .067, minigan's .091"),
    "confidence": (">= .8", f"{_RECIPE} PyTorch's .80, minigan's .84"),
    "legible": (">= .57", f"{_RECIPE} PyTorch's .575 (5.5 of 9.57), minigan's .62 (5.96)"),
}  # of 10,000 digits, an architecture of a tutorial written in PyTorch and here; another judge may differ by a few hundredths
NETS = {
    "s4": "5x5 kernels, as in many tutorials after Radford 2015, arXiv 1511.06434",
    "ig": "4x4 kernels, InfoGAN's (Chen 2016, arXiv 1606.03657, table 1)",
}


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(GANConfig):
    """The DCGAN's options."""

    steps: int = again(GANConfig, "steps", 1800)
    ema: float = again(GANConfig, "ema", 0.99)
    net: str = option("ig", "networks, see minigan/gans/dcgan.py", choices=NETS)
    features: int = option(32, "channels f: of the map before the image in G, after the first layer in D", low=1)
    norm: str = option("batch", "normalisation in G", choices=NORMS)
    dropout: float = option(0.3, "rate of dropout in D, s4 only (Srivastava 2014, JMLR 15)", low=0.0, high=0.99)


class DCGAN(GAN):
    """Strided convolutions down, transposed ones up."""

    Config = DCGANConfig
    summary = "deep convolutional GAN (Radford et al. 2015)"
    family = "two-player"
    lesson = "19_convolution_and_its_transpose"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        return convolutional(
            self.shape, latent=config.latent, net=config.net, features=config.features, norm=config.norm,
            dropout=config.dropout, pack=config.pack,
        )  # fmt: skip

    def checks(self, real: RealData) -> list[Check]:
        """What the networks of "s4" reach on MNIST (see `class_checks` and `TARGETS`)."""
        return [*super().checks(real), *class_checks(self.sample(SAMPLES, seed=real.seed), real, TARGETS)]


def convolutional(
    shape: tuple[int, ...], *, latent: int, net: str, features: int, norm: str, dropout: float, pack: int
) -> dict[str, nn.Module]:
    """Generator and discriminator for images of that shape; see the file's docstring. D judges `pack` images, joined along the
    channels.

    Raises:
        Unsuitable: sides that cannot be halved as often as the networks do.
    """
    height, width, channels = shape
    stages = 2
    while min(height, width) >> stages > 8:
        stages += 1
    multiple(shape, 1 << stages)
    start = (height >> stages, width >> stages)
    kernel = 5 if net == "s4" else 4
    up = _Up(norm)
    if net == "s4":
        wide = features << stages
        layers = [*up.dense(latent, (*start, wide)), *up.conv(wide, wide // 2, kernel, 1)]
    else:
        wide = features << stages - 1
        layers = [*up.dense(latent, (16 * features,)), *up.dense(16 * features, (*start, wide))]
    down: list[nn.Module] = []
    before = pack * channels
    for stage in range(stages):
        down.append(_conv(before, features << stage, kernel))
        down += [nn.Dropout(dropout)] if net == "s4" and dropout else []
        before = features << stage
        outputs = features << stages - 1 - stage
        layers += up.conv(outputs, outputs // 2, kernel, 2) if stage + 1 < stages else []
    layers.append(nn.ConvTranspose(features, channels, kernel, stride=2, bias=False, activation="tanh", init="normal"))
    head = _head(net, start[0] * start[1] * before, features)
    return {"generator": nn.Sequential(*layers), "discriminator": nn.Sequential(*down, nn.Flatten(), *head)}


def _head(net: str, size: int, features: int) -> list[nn.Module]:
    """From the numbers of the last map to a logit."""
    if net == "s4":
        return [nn.Dense(size, 1, init="normal")]
    hidden = nn.Dense(size, 16 * features, activation="leaky_relu", init="normal")
    return [hidden, nn.Dense(16 * features, 1, init="normal")]


class _Up:
    """A generator's blocks: a layer, its normalisation, leaky ReLU."""

    def __init__(self, norm: str) -> None:
        self.norm = norm

    def dense(self, inputs: int, shape: tuple[int, ...]) -> list[nn.Module]:
        """Dense to a map of that shape; batch norm of every feature."""
        size = math.prod(shape)
        if self.norm == "none":
            return [nn.Dense(inputs, size, activation="leaky_relu", init="he"), nn.Reshape(*shape)]
        return [nn.Dense(inputs, size, bias=False, init="normal"), _norm(size), nn.Reshape(*shape)]

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
        """A transposed convolution."""
        if self.norm == "none":
            return [nn.ConvTranspose(inputs, outputs, kernel, stride=stride, activation="leaky_relu", init="he")]
        layer = nn.ConvTranspose(inputs, outputs, kernel, stride=stride, bias=False, init="normal")
        return [layer, _norm(outputs)]


def _norm(channels: int) -> nn.BatchNorm:
    """Batch norm fused with the leaky ReLU after it."""
    return nn.BatchNorm(channels, activation="leaky_relu", gamma_std=0.02)


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv:
    return nn.Conv(inputs, outputs, kernel, stride=2, activation="leaky_relu", init="normal")
