"""Networks by the kind of the data: two players for points, two for images.

points   G: z -> width -> width -> point, ReLU             D: point -> width -> width -> 1 logit, leaky ReLU (slope .2)
images   the DCGAN's (`dcgan.py`): transposed convolutions up, strided ones down, no normalisation in D
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import nn
from minigan.gans.choices import GANConfig, strength
from minigan.gans.dcgan import convolutional
from minigan.gans.gan import GAN
from minigan.gans.options import option
from minigan.gans.toy import perceptron


@dataclass(frozen=True, kw_only=True)
class EitherConfig(GANConfig):
    """The options of a GAN for points or for images."""

    data: str = option("ring8", "points or images: a data set by name, or a path to a .npy or .npz file")
    steps: int = option(5000, "steps to train: one update of every player each", low=0, images=2000)
    batch_size: int = option(256, "examples a step", low=1, images=64)
    latent: int = option(16, "length of the noise vector z ~ N(0, 1)", low=1, images=100)
    decay: bool = option(
        True,
        "learning rates fall to 0 in a straight line over `steps`; a run that is made longer follows the longer line",
    )
    ema: float = strength(
        "decay of the averaged generator that samples are drawn from", 0.995, high=0.99999, images=0.99
    )
    width: int = option(128, "points: units in each hidden layer", low=1)
    net: str = option("ig", "images: 5x5 kernels (s4) or InfoGAN's 4x4 kernels (ig)", choices=("s4", "ig"))
    features: int = option(32, "images: channels of the map before the image in G, after the first layer in D", low=1)
    norm: str = option("batch", "images: normalisation in G", choices=("none", "batch"))


class Either(GAN):
    """A two-player GAN whose networks follow the data."""

    Config = EitherConfig
    family = "stabilised"
    needs = "examples"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        if len(self.shape) == 3:
            return convolutional(
                self.shape, latent=config.latent, net=config.net, features=config.features, norm=config.norm,
                dropout=0.0, pack=config.pack,
            )  # fmt: skip
        size = math.prod(self.shape)
        return {
            "generator": perceptron(config.latent, config.width, size, "relu"),
            "discriminator": perceptron(config.pack * size, config.width, 1, "leaky_relu"),
        }
