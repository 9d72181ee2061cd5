"""Networks by the kind of the data: two players for points, two for images.

points   G: z -> width -> width -> point, ReLU             D: point -> width -> width -> 1 logit, leaky ReLU (slope .2)
images   the DCGAN's (`dcgan.py`): transposed convolutions up, strided ones down, no normalisation in D
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import nn
from minigan.gans.choices import GANConfig
from minigan.gans.dcgan import DCGANConfig, convolutional
from minigan.gans.gan import GAN
from minigan.gans.options import again, option
from minigan.gans.toy import perceptron


@dataclass(frozen=True, kw_only=True)
class EitherConfig(GANConfig):
    """The options of a GAN for points or for images."""

    data: str = option("ring8", "points or images: a data set by name, or a path to a .npy or .npz file")
    steps: int = again(GANConfig, "steps", 5000, images=2000)
    batch_size: int = again(GANConfig, "batch_size", 256, images=64)
    latent: int = again(GANConfig, "latent", 16, images=100)
    decay: bool = again(GANConfig, "decay", True)
    ema: float = again(GANConfig, "ema", 0.995, images=0.99)
    width: int = option(128, "points: units in each hidden layer", low=1)
    net: str = again(DCGANConfig, "net", "ig", "images")
    features: int = again(DCGANConfig, "features", 32, "images")
    norm: str = again(DCGANConfig, "norm", "batch", "images")


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
