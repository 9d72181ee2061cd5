"""The adversarial autoencoder (Makhzani, Shlens, Jaitly, Goodfellow, Frey 2015, arXiv 1511.05644): the prior by a game.

    x (784) --> 512 --> 512 --> z (10) --+--> 512 --> 512 --> reconstruction
                                         +--> D: 512 --> 256 --> logit of "drawn from the prior"
                        z' ~ N(0, I) ----+

A VAE brings q(z) near the prior by a divergence in closed form; here a discriminator of codes does, so any law that can be
sampled will do as a prior. With the aggregated posterior q(z) = E_x q(z | x) (ibid., section 2), here of a deterministic
encoder, and a weight w

    D             maximises  E log D(z') + E log(1 - D(E(x)))
    autoencoder   minimises  (1 - w) E |x - G(E(x))| - w E log D(E(x))        (mean over pixels)

where D is best the first game's value is 2 JSD(N(0, I), q) - log 4: at the optimum codes have the prior's law, and G(z'), z'
from the prior, is a sample. What goes wrong: w too small leaves holes in q(z), whose samples are no digits, though each
reconstruction is good; a mean and variance that fit do not show that, so a kernel distance is looked at, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.latents import beside, normed, off_prior
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player

JUDGED, CODES, SHOWN = 2000, 1000, 40  # images that checks look at, codes beside the prior; reconstructions shown


@dataclass(frozen=True, kw_only=True)
class AAEConfig(Config):
    """The adversarial autoencoder's options."""

    steps: int = option(6000, "steps to train: one update of every player each", low=0)
    latent: int = option(10, "length of the code z", low=1)
    width: int = option(512, "hidden units", low=2)
    weight: float = option(
        0.01,
        "w: of the adversary in the autoencoder's loss (Makhzani 2015, arXiv 1511.05644, section 2)",
        low=0.0,
        high=1.0,
    )
    lr: float = option(2e-4, "Adam's rate (Kingma, Ba 2014, arXiv 1412.6980); it falls linearly to 0", low=0.0)


class AAE(Model):
    """Encoder and decoder against a discriminator of codes."""

    Config = AAEConfig
    summary = "adversarial autoencoder (Makhzani et al. 2015)"
    family = "autoencoders"
    lesson = "22_autoencoders_and_adversaries"
    encoder: nn.Module
    decoder: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, latent, width = math.prod(self.shape), self.config.latent, self.config.width
        return {
            "encoder": nn.Sequential(
                nn.Flatten(),
                *normed(pixels, width, "leaky_relu"),
                *normed(width, width, "leaky_relu"),
                nn.Dense(width, latent),
            ),
            "decoder": nn.Sequential(
                *normed(latent, width, "leaky_relu"),
                *normed(width, width, "leaky_relu"),
                nn.Dense(width, pixels, activation="tanh"),
                nn.Reshape(*self.shape),
            ),
            "discriminator": nn.Sequential(
                nn.Dense(latent, width, activation="leaky_relu"),
                nn.Dense(width, width // 2, activation="leaky_relu"),
                nn.Dense(width // 2, 1),
            ),
        }

    def players(self) -> list[Player]:
        """Discriminator first, then the autoencoder."""
        both = {"encoder": self.encoder, "decoder": self.decoder}
        adam: dict[str, Any] = {"lr": self.falling(self.config.lr), "beta1": 0.5}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("autoencoder", self.autoencoder_loss, optim.Adam(both, **adam)),
        ]

    def prior(self, n: int) -> Tensor:
        """n codes z'."""
        return self.random.normal((n, self.config.latent), stream="z")

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images G(z')."""
        return self.decoder(self.prior(n))

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(z') - E log(1 - D(E(x)))."""
        n = len(x)
        logits = self.discriminator(ops.concatenate([self.prior(n), self.encoder(x)]))
        return losses.non_saturating.discriminator(logits[:n], logits[n:])

    def autoencoder_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(1 - w) E |x - G(E(x))| - w E log D(E(x)); the first mean is reported."""
        z, w = self.encoder(x), self.config.weight
        error = losses.l1(self.decoder(z), x)
        return (1 - w) * error + w * losses.non_saturating.generator(self.discriminator(z)), {"error": error}

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """How far codes are from the prior."""
        gap, mmd = self.off_prior(real["x"])
        return {"code_moments_off": gap, "code_mmd": mmd}

    def off_prior(self, x: np.ndarray, seed: int = 0) -> tuple[float, float]:
        """Of the codes of x: see :func:`minigan.gans.latents.off_prior`."""
        with self.evaluating():
            z = self.encoder(self.tensor(x[:CODES])).numpy()
        return off_prior(z, np.random.default_rng(seed).normal(size=z.shape))

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and real images beside their reconstructions."""
        x = real["x"][:SHOWN]
        with self.evaluating():
            again = self.decoder(self.encoder(self.tensor(x))).numpy()
        return {**super().pictures(real), "reconstructions": beside(x, again)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The law of codes beside the prior, and the error of reconstructions."""
        x = real["x"][:JUDGED]
        gap, mmd = self.off_prior(x, real.seed)
        with self.evaluating():
            error = losses.l1(self.decoder(self.encoder(given := self.tensor(x))), given).item()
        return [
            Check("largest error of a code's mean, deviation, correlation", gap, "<= 0.25"),
            Check("MMD between codes and prior", mmd, "<= 0.05"),
            Check("reconstruction, mean absolute error in [-1, 1]", error, "<= 0.1"),
        ]
