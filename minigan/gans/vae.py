"""The variational autoencoder (Kingma, Welling 2013, arXiv 1312.6114): no adversary, a likelihood and a bound.

    x (784) --> 400 --> mean, log variance (20 each) --> z = mean + std e --> 400 --> 784 logits of pixels

The decoder models p(x | z) as independent pixels, each white with probability sigmoid(logit); the encoder is q(z | x), normal.
Over both networks the loss is the negative evidence lower bound (ibid., eq. 3, 7):

    -ELBO = E_q -log p(x | z) + KL(q(z | x) || N(0, I)) >= -log p(x)

with the gap KL(q(z | x) || p(z | x)): at the optimum q is as near to the posterior as a normal law with independent coordinates
can be. The divergence is the closed form of appendix B, and z is drawn once an example.

Pixels here are grey values t = (x + 1)/2 in [0, 1] in the cross entropy -t log p - (1 - t) log(1 - p), as is common; it is a
likelihood for t in {0, 1} only. What goes wrong: samples are blurred, since independent pixels average over what z does not
say; and the decoder may ignore coordinates of z, whose KL is 0 then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.latents import Posterior, beside
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player

JUDGED, SHOWN = 5000, 40  # images that checks look at; reconstructions in a picture


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """The VAE's options."""

    steps: int = option(6000, "steps to train: one update of both networks each", low=0)
    batch_size: int = option(128, "examples a step", low=1)
    latent: int = option(20, "length of the code z (20: Kingma, Welling 2013, arXiv 1312.6114, figure 2)", low=1)
    width: int = option(400, "hidden units of encoder and decoder", low=1)
    lr: float = option(1e-3, "learning rate of Adam (Kingma, Ba 2014, arXiv 1412.6980)", low=0.0)


class VAE(Model):
    """Encoder and decoder, one loss."""

    Config = VAEConfig
    summary = "variational autoencoder (Kingma, Welling 2013)"
    family = "autoencoders"
    lesson = "22_autoencoders_and_adversaries"
    best = "min autoencoder"
    encoder: nn.Module
    decoder: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, config = math.prod(self.shape), self.config
        return {
            "encoder": nn.Sequential(
                nn.Flatten(),
                nn.Dense(pixels, config.width, activation="relu"),
                nn.Dense(config.width, 2 * config.latent),
            ),
            "decoder": nn.Sequential(
                nn.Dense(config.latent, config.width, activation="relu"),
                nn.Dense(config.width, pixels),
                nn.Reshape(*self.shape),
            ),
        }

    def players(self) -> list[Player]:
        """One: there is no game here."""
        both = {"encoder": self.encoder, "decoder": self.decoder}
        return [Player("autoencoder", self.loss, optim.Adam(both, lr=self.config.lr))]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images: the means of p(x | z), z ~ N(0, I), as grey values."""
        return self.image(self.decoder(self.random.normal((n, self.config.latent), stream="z")))

    def image(self, logits: Tensor) -> Tensor:
        """2 sigmoid(l) - 1 = tanh(l / 2), in [-1, 1]."""
        return ops.tanh(0.5 * logits)

    def noise(self, n: int) -> Tensor:
        """For n codes."""
        return self.random.normal((n, self.config.latent), stream="posterior")

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-ELBO in nats, the mean over examples; its two terms are reported."""
        q = Posterior.of(self.encoder(x))
        logits = self.decoder(q.draw(self.noise(len(x))))
        reconstruction = ops.sum(ops.bce_with_logits(logits, 0.5 * x + 0.5)) / len(x)
        kl = q.kl()
        return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and real images beside what the mean of their code is decoded to."""
        x = real["x"][:SHOWN]
        with self.evaluating():
            again = self.image(self.decoder(Posterior.of(self.encoder(self.tensor(x))).mean)).numpy()
        return {**super().pictures(real), "reconstructions": beside(x, again)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The bound on these images, and its closed-form KL against the definition."""
        x = self.tensor(real["x"][:JUDGED])
        with self.evaluating(), self.random.apart(real.seed, "checks"):
            bound, _ = self.loss(x)
            q = Posterior.of(self.encoder(x))
            closed, drawn = q.kl().item(), q.monte_carlo_kl(self.noise(len(x))).item()
        return [
            Check("-ELBO, nats (the target is MNIST's)", bound.item(), "<= 108"),
            Check("KL by Monte Carlo, of its closed form", drawn / closed, "0.98 to 1.02"),
        ]
