"""The first GAN: two multilayer perceptrons (Goodfellow et al. 2014, arXiv 1406.2661).

    G: z (100) -> 256 -> 512 -> 1024 -> pixels, tanh
    D: pixels -> 512 -> 256 -> 1 logit

with leaky ReLU (slope .2) between. At the optimum D = p_data / (p_data + p_g), and the value of the game is
2 JSD(p_data, p_g) - log 4. With `norm="batch"` the generator's hidden layers are batch-normalised; never after tanh, which
would leave [-1, 1].

The defaults were chosen by measurement (`bench/defaults.py`): an R1 penalty and Adam without momentum, so that the rate may be
1e-3 and digits are legible after a thousand steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import nn
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import NORMS, GANConfig
from minigan.gans.class_checks import SAMPLES, class_checks
from minigan.gans.gan import GAN
from minigan.gans.options import again, option

_RECIPE = "glyphs, batch 64, 1,000 steps, seeds 0 to 2:"
TARGETS = {
    "confidence": (">= .85", f"{_RECIPE} .87 to .89"),
    "legible": (">= .7", f"{_RECIPE} .71 to .72 (7.1 to 7.2 of 9.95)"),
}  # `bench/defaults.py`


@dataclass(frozen=True, kw_only=True)
class MLPConfig(GANConfig):
    """The MLP GAN's options."""

    steps: int = again(GANConfig, "steps", 4000)
    lr: float = again(GANConfig, "lr", 1e-3)
    beta1: float = again(GANConfig, "beta1", 0.0)
    r1: float = again(GANConfig, "r1", 1.0)
    ema: float = again(GANConfig, "ema", 0.99)
    norm: str = option("batch", "normalisation of the generator's hidden layers", choices=NORMS)


class MLP(GAN):
    """Fully connected generator and discriminator for small images."""

    Config = MLPConfig
    summary = "fully connected GAN (Goodfellow et al. 2014)"
    family = "two-player"
    lesson = "09_mlp_gan"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels = math.prod(self.shape)
        generator = nn.Sequential(
            *self._hidden(self.config.latent, 256),
            *self._hidden(256, 512),
            *self._hidden(512, 1024),
            nn.Dense(1024, pixels, activation="tanh"),
            nn.Reshape(*self.shape),
        )
        discriminator = nn.Sequential(
            nn.Flatten(),
            nn.Dense(self.config.pack * pixels, 512, activation="leaky_relu"),
            nn.Dense(512, 256, activation="leaky_relu"),
            nn.Dense(256, 1),
        )
        return {"generator": generator, "discriminator": discriminator}

    def checks(self, real: RealData) -> list[Check]:
        """What the defaults reach on the embedded digits (see `class_checks` and `TARGETS`)."""
        return [*super().checks(real), *class_checks(self.sample(SAMPLES, seed=real.seed), real, TARGETS)]

    def _hidden(self, inputs: int, outputs: int) -> list[nn.Module]:
        if self.config.norm == "none":
            return [nn.Dense(inputs, outputs, activation="leaky_relu")]
        return [nn.Dense(inputs, outputs, bias=False), nn.BatchNorm(outputs, activation="leaky_relu")]
