"""The bidirectional GAN (Donahue, Krahenbuhl, Darrell 2016, arXiv 1605.09782; ALI: Dumoulin et al. 2016, arXiv 1606.00704).

    x (784) --> E: 512 --> 512 --> E(x) (50)      pairs (x, E(x))  --+
                                                                     +--> D: 1024 --> 1024 --> logit of "the encoder's pair"
    z (50) ~ U[-1, 1] --> G: 512 --> 512 --> G(z)  pairs (G(z), z) --+

D sees images together with codes (ibid., eq. 3):

    min_{G,E} max_D  E log D(x, E(x)) + E log(1 - D(G(z), z))

At the optimum of D the value is 2 JSD(p_E(x, z), p_G(x, z)) - log 4, so at that of the game both joint laws are one, and then E
inverts G and G inverts E (ibid., theorem 2), although no loss compares x with G(E(x)). G and E take the opposite labels,

    E softplus(D(x, E(x))) + E softplus(-D(G(z), z)),

so that they do not stall where D is sure (ibid., section 3.4).

What goes wrong: far from the optimum E(x) need not be a code of x; reconstructions are other digits in the first epochs, and stay
less faithful than an autoencoder's. What E(x) is worth is overrated: 1-NN on an *untrained* encoder's codes gets .85 of MNIST.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.images import Averaged, AveragedConfig
from minigan.gans.latents import beside, normed, reconstruction_ratio
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.metrics.nearest_neighbour import nearest_neighbour_accuracy
from minigan.metrics.principal import principal
from minigan.player import Player

JUDGED, QUERIES, SHOWN = 5000, 1000, 40  # images that checks look at, of them queries; reconstructions in a picture


@dataclass(frozen=True, kw_only=True)
class BiGANConfig(AveragedConfig):
    """BiGAN's options."""

    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(128, "examples a step", low=1)
    latent: int = option(50, "length of the code z, uniform on [-1, 1]", low=1)
    width: int = option(512, "hidden units in G and E; twice as many in D", low=1)
    lr: float = option(2e-4, "learning rate of Adam (Kingma, Ba 2014, arXiv 1412.6980)", low=0.0)


class BiGAN(Averaged):
    """A generator and an encoder against a discriminator of pairs."""

    Config = BiGANConfig
    averaged = ("generator", "encoder")
    summary = "GAN with an encoder, judged in pairs (Donahue et al. 2016)"
    family = "autoencoders"
    lesson = "22_autoencoders_and_adversaries"
    best = "min reconstruction_ratio"
    generator: nn.Module
    encoder: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, latent, width = math.prod(self.shape), self.config.latent, self.config.width
        image = [nn.Dense(width, pixels, activation="tanh"), nn.Reshape(*self.shape)]
        return {
            "generator": nn.Sequential(*normed(latent, width, "relu"), *normed(width, width, "relu"), *image),
            "encoder": nn.Sequential(
                nn.Flatten(),
                nn.Dense(pixels, width, activation="leaky_relu"),
                *normed(width, width, "leaky_relu"),
                nn.Dense(width, latent),
            ),
            "discriminator": nn.Sequential(
                nn.Dense(pixels + latent, 2 * width, activation="leaky_relu"),
                nn.Dense(2 * width, 2 * width, activation="leaky_relu"),
                nn.Dense(2 * width, 1),
            ),
        }

    def players(self) -> list[Player]:
        """Discriminator first, then generator and encoder together."""
        both = {"generator": self.generator, "encoder": self.encoder}
        adam = {"lr": self.config.lr, "beta1": 0.5}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("generator_encoder", self.generator_encoder_loss, optim.Adam(both, **adam)),
        ]

    def prior(self, n: int) -> Tensor:
        """n codes z."""
        return 2.0 * self.random.uniform((n, self.config.latent), stream="z") - 1.0

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images G(z)."""
        return self.generator(self.prior(n))

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """D of the pairs (x, E(x)), and of as many (G(z), z)."""
        n, z = len(x), self.prior(len(x))
        images = ops.flatten(ops.concatenate([x, self.generator(z)]), 1)
        logits = self.discriminator(ops.concatenate([images, ops.concatenate([self.encoder(x), z])], axis=1))
        return logits[:n], logits[n:]

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x, E(x)) - E log(1 - D(G(z), z))."""
        encoded, generated = self.logits(x)
        return ops.mean_softplus(encoded, sign=-1) + ops.mean_softplus(generated)

    def generator_encoder_loss(self, x: Tensor) -> Tensor:
        """The same with the labels exchanged."""
        encoded, generated = self.logits(x)
        return ops.mean_softplus(encoded) + ops.mean_softplus(generated, sign=-1)

    def code_and_back(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E(x) and G(E(x))."""
        with self.evaluating():
            z = self.encoder(self.tensor(x))
            return z.numpy(), self.generator(z).numpy()

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """|x - G(E(x))| of that to another image, and how far codes are from the prior's deviation 1/sqrt(3)."""
        x = real["x"][:500]
        z, again = self.code_and_back(x)
        return {"reconstruction_ratio": reconstruction_ratio(x, again), "code_std": float(z.std())}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and real images beside their reconstructions."""
        x = real["x"][:SHOWN]
        return {**super().pictures(real), "reconstructions": beside(x, self.code_and_back(x)[1])}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Reconstructions; and the nearest neighbour in codes beside three baselines: pixels, PCA, the encoder untrained."""
        x, labels = real["x"][:JUDGED], real.sets["x"].y
        z, again = self.code_and_back(x)
        made = [Check("reconstruction error, of that of another image", reconstruction_ratio(x, again), "<= 0.75")]
        if labels is None or len(x) <= QUERIES:
            return made
        untrained, _ = type(self)(self.config, self.facts).code_and_back(x)
        codes = {"encoder": z, "pixels": x, "PCA-50": principal(x, 50), "untrained encoder": untrained}
        right = {of: nearest_neighbour_accuracy(c, labels[: len(x)], queries=QUERIES) for of, c in codes.items()}
        own = right.pop("encoder")
        above = [Check(f"1-NN on codes, above that on {of}", own - r, "> 0") for of, r in right.items()]
        return [*made, Check("1-NN accuracy on codes", own, ">= 0.9"), *above]
