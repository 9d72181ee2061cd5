"""The two-dimensional GAN: small enough to see what the players do.

    G: z (2) -> 128 -> 128 -> 2         D: x (2) -> 128 -> 128 -> 1 logit

between them ReLU in G and leaky ReLU (slope .2) in D, for mixtures of Gaussians and curves whose density is known.

The defaults were chosen by measurement (`bench/defaults.py`). What counts most: Adam's rate of 2e-3 with beta2 = .99, ReLU in G,
whose kinks let it jump from mode to mode, and a weak R1 penalty, which holds all modes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from minigan import nn
from minigan.data import mode_statistics
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import GANConfig
from minigan.gans.gan import GAN
from minigan.gans.options import again, option


@dataclass(frozen=True, kw_only=True)
class ToyConfig(GANConfig):
    """The toy GAN's options."""

    data: str = option("ring8", "data set of points by name, or a path to a .npy, .npz or .csv file")
    batch_size: int = again(GANConfig, "batch_size", 256)
    latent: int = again(GANConfig, "latent", 2)
    steps: int = again(GANConfig, "steps", 10000)
    lr: float = again(GANConfig, "lr", 2e-3)
    beta2: float = again(GANConfig, "beta2", 0.99)
    r1: float = again(GANConfig, "r1", 0.1)
    ema: float = again(GANConfig, "ema", 0.995)
    width: int = option(128, "units in each hidden layer", low=1)


class Toy(GAN):
    """Two hidden layers each, for points."""

    Config = ToyConfig
    summary = "GAN for points in the plane"
    family = "two-player"
    lesson = "12_dirac_gan"
    needs = "points"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        features, config = math.prod(self.shape), self.config
        return {
            "generator": perceptron(config.latent, config.width, features, "relu"),
            "discriminator": perceptron(config.pack * features, config.width, 1, "leaky_relu"),
        }

    def checks(self, real: RealData) -> list[Check]:
        """What regularisers hold; of a mixture: every mode, four good samples of five, evenly.

        PacGAN's measures (Lin et al. 2018, arXiv 1712.04086), 2,500 samples; a plain GAN there: 6.3 of 8 modes on the ring.
        """
        found, held = next(iter(real.sets.values())), list(super().checks(real))
        if found.modes is None or found.sigma is None:
            return held
        seen = mode_statistics(self.sample(2500, seed=real.seed), found.modes, found.sigma)
        return [
            *held,
            Check("modes", seen["modes"], f"== {len(found.modes)}"),
            Check("good samples", seen["good"], ">= .8"),
            Check("reverse KL", seen["reverse_kl"], "<= .05"),
        ]


def perceptron(inputs: int, width: int, outputs: int, activation: str, *, hidden: int = 2) -> nn.Module:
    """So many hidden layers of that width."""
    sizes = [inputs, *[width] * hidden]
    layers = [nn.Dense(before, after, activation=activation) for before, after in itertools.pairwise(sizes)]
    return nn.Sequential(*layers, nn.Dense(sizes[-1], outputs))
