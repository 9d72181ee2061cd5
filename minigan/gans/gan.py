"""The two-player GAN (Goodfellow et al. 2014, arXiv 1406.2661): a generator and a discriminator, each with its half of a pair
of losses. A model's file defines the two networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minigan import losses, nn, ops, optim, penalties
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.options import Config, option
from minigan.player import Lazy, Player


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """The options of a two-player GAN."""

    latent: int = option(100, "length of the noise vector z ~ N(0, 1)", low=1)
    loss: str = option("non_saturating", "pair of losses", choices=tuple(losses.PAIRS))
    lr: float = option(2e-4, "Adam's learning rate", low=0.0)
    beta1: float = option(0.5, "Adam's beta1", low=0.0, high=0.999)
    beta2: float = option(0.999, "Adam's beta2", low=0.0, high=0.99999)
    r1: float = option(0.0, "gamma of the R1 penalty gamma/2 E |grad D(x)|^2 on reals; 0 for none", low=0.0)
    r1_every: int = option(4, "steps from one R1 penalty to the next, which counts as many times", low=1)
    ema: float = option(
        0.0, "decay of the averaged generator that samples are drawn from; 0 for none", low=0.0, high=0.99999
    )


class GAN(Model):
    """A generator and a discriminator that play Goodfellow's game.

    `networks` returns a `generator`, from z (N, latent) to examples, and a `discriminator`, from examples to logits (N, 1).
    """

    Config = GANConfig
    generator: nn.Module
    discriminator: nn.Module

    def players(self) -> list[Player]:
        """Discriminator first, then generator, each with its own Adam (Radford et al. 2015 chose beta1 = .5).

        The discriminator's loss has the penalty `r1` where it is asked for. It is 0 at the equilibrium, where D is constant.
        """
        config = self.config
        adam = {"lr": config.lr, "beta1": config.beta1, "beta2": config.beta2}
        lazy = [Lazy("r1", self.r1, every=config.r1_every)] if config.r1 else []
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam), lazy=lazy),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    @property
    def pair(self) -> losses.Pair:
        """The two losses."""
        return losses.PAIRS[self.config.loss]

    def fake(self, n: int, stream: str) -> Tensor:
        """n examples G(z) with fresh noise."""
        return self.generator(self.random.normal((n, self.config.latent), stream=stream))

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n examples G(z)."""
        return self.fake(n, "z")

    def discriminator_loss(self, real: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))).

        Reals and fakes go through D as one batch: without batch norm in D nothing else changes, and one matrix product of
        twice the rows is faster than two.
        """
        n = len(real)
        logits = self.discriminator(ops.concatenate([real, self.fake(n, "noise for the discriminator")]))
        return self.pair.discriminator(logits[:n], logits[n:])

    def generator_loss(self, real: Tensor) -> Tensor:
        """The generator's half of the pair, on fresh noise; `real` only tells how many."""
        return self.pair.generator(self.discriminator(self.fake(len(real), "noise for the generator")))

    def r1(self, real: Tensor) -> Tensor:
        """gamma/2 E |grad D(x)|^2 (Mescheder et al. 2018, arXiv 1801.04406, eq. 9)."""
        return penalties.r1(self.discriminator, real, gamma=self.config.r1)

    def average(self) -> optim.EMA | None:
        """Of the generator, with decay `ema`."""
        return optim.EMA(self.generator, decay=self.config.ema) if self.config.ema else None

    def equilibrium(self) -> Mapping[str, tuple[str, float]]:
        """That of the pair, as long as the players play it with losses as they stand here."""
        own, plain = type(self), GAN
        same = own.players is plain.players and own.pair is plain.pair
        same &= own.discriminator_loss is plain.discriminator_loss and own.generator_loss is plain.generator_loss
        return losses.EQUILIBRIUM[self.config.loss] if same else {}
