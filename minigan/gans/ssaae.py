"""The semi-supervised adversarial autoencoder (Makhzani, Shlens, Jaitly, Goodfellow, Frey 2015, arXiv 1511.05644, section 5): a
code of two parts, the class y and the style z, each led to its prior by a game of its own.

    x --> encoder: w --> w --+--> softmax y (K) --+--> decoder: w --> w --> reconstruction
                             +--> z (10) ---------+
    y or a row of the unit matrix --> D_y           z or z' ~ N(0, I) --> D_z            logits of "drawn from the prior"

Images without labels train the first three players, the few labelled ones the last, one after the other (ibid., section 5.1):

    reconstruction  encoder, decoder   E |x - G(y, z)|^2                            (mean over pixels)
    discriminators  D_y, D_z           -E log D(prior) - E log(1 - D(code)), summed over both
    regularization  encoder            -E log D_y(y) - E log D_z(z)
    labels          encoder            -E log p(y | x) on labelled images

At the optimum y(x) is a corner, all classes equally often, and z is normal: one z with another y is another digit in one hand.
What goes wrong: until labels catch it, any ten groups are classes; z is normal over all images, not in each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Label
from minigan.gans.labelled import ROWS, FewLabels, labels
from minigan.gans.latents import normed, off_prior
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player

CODES = 1000  # styles beside their prior; samples that the judge looks at


@dataclass(frozen=True, kw_only=True)
class SSAAEConfig(Config):
    """The semi-supervised adversarial autoencoder's options."""

    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(100, "images without labels a step", low=1)
    labels: int = labels()
    latent: int = option(10, "length of the style z", low=1)
    width: int = option(500, "w: hidden units (the paper: 1000)", low=2)
    lr: float = option(
        5e-4, "Adam's rate (Kingma 2014, arXiv 1412.6980) of reconstruction and labels; all fall to 0", low=0.0
    )
    game_lr: float = option(2e-4, "that of both games (Makhzani 2015, arXiv 1511.05644)", low=0.0)


class SSAAE(FewLabels):
    """Four players, three of which share the encoder."""

    Config = SSAAEConfig
    summary = "adversarial autoencoder of class and style, from few labels (Makhzani et al. 2015)"
    lesson = "22_autoencoders_and_adversaries"
    conditions = {"label": Label("y")}  # noqa: RUF012
    encoder: nn.Module
    decoder: nn.Module
    D_y: nn.Module
    D_z: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, codes, width = int(np.prod(self.shape)), self.classes + self.config.latent, self.config.width
        image = [nn.Dense(width, pixels, activation="tanh"), nn.Reshape(*self.shape)]
        below = [nn.Flatten(), *normed(pixels, width, "relu"), *normed(width, width, "relu")]
        return {
            "encoder": nn.Sequential(*below, nn.Dense(width, codes)),
            "decoder": nn.Sequential(*normed(codes, width, "relu"), *normed(width, width, "relu"), *image),
            "D_y": self.judge(self.classes),
            "D_z": self.judge(self.config.latent),
        }

    def judge(self, inputs: int) -> nn.Module:
        """D_y or D_z."""
        hidden = [nn.Dense(i, self.config.width, activation="leaky_relu") for i in (inputs, self.config.width)]
        return nn.Sequential(*hidden, nn.Dense(self.config.width, 1))

    def players(self) -> list[Player]:
        """Each with its own Adam, also where parameters are shared: gradients of one size are not those of another."""
        slow, fast = self.falling(self.config.game_lr), self.falling(self.config.lr)
        return [
            Player("reconstruction", self.reconstruction_loss, optim.Adam([self.encoder, self.decoder], lr=fast)),
            Player("discriminators", self.discriminators_loss, optim.Adam([self.D_y, self.D_z], lr=slow, beta1=0.5)),
            Player("regularization", self.regularization_loss, optim.Adam(self.encoder, lr=slow, beta1=0.5)),
            Player("labels", self.labels_loss, optim.Adam(self.encoder, lr=fast)),
        ]

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and z."""
        h = self.encoder(x)
        return ops.softmax(h[:, : self.classes]), h[:, self.classes :]

    def prior(self, n: int) -> tuple[Tensor, Tensor]:
        """n rows of the unit matrix, all equally likely, and n normal z'."""
        z, k = self.random.normal((n, self.config.latent), stream="z"), self.classes
        return ops.one_hot(self.random.integers((n,), high=k, stream="category"), k, dtype=z.dtype), z

    def generate(self, n: int, label: Tensor) -> Tensor:  # type: ignore[override]
        """n images G(label, z')."""
        z = self.prior(n)[1]
        return self.decoder(ops.concatenate([ops.one_hot(label, self.classes, dtype=z.dtype), z], axis=1))

    def reconstruction_loss(self, b: Any) -> Tensor:
        """E |x - G(y, z)|^2."""
        return losses.mse(self.decoder(ops.concatenate(self.code(b.x), axis=1)), b.x)

    def discriminators_loss(self, b: Any) -> Tensor:
        """Of D_y and D_z, summed."""
        n, found, drawn = len(b.x), self.code(b.x), self.prior(len(b.x))
        l_y, l_z = (d(ops.concatenate([t, c])) for d, t, c in zip((self.D_y, self.D_z), drawn, found, strict=True))
        return losses.logistic(l_y[:n], l_y[n:]) + losses.logistic(l_z[:n], l_z[n:])

    def regularization_loss(self, b: Any) -> Tensor:
        """-E log D_y(y) - E log D_z(z)."""
        y, z = self.code(b.x)
        return losses.heuristic(self.D_y(y)) + losses.heuristic(self.D_z(z))

    def logits(self, x: Tensor) -> Tensor:
        """Of y."""
        return self.encoder(x)[:, : self.classes]

    def labels_loss(self, b: Any) -> Tensor:
        """-E log p(y | x) on labelled images."""
        return losses.cross_entropy(self.logits(b.labelled), b.label)

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Images without labels, each in the column of its class; and a style a row, drawn as every class in turn."""
        k = self.classes
        with self.evaluating(), self.random.apart(self.config.seed, "styles"):
            y, z = np.tile(np.eye(k, dtype=np.float32), (ROWS, 1)), np.repeat(self.prior(ROWS)[1].numpy(), k, axis=0)
            drawn = self.decoder(self.tensor(np.concatenate([y, z], axis=1))).numpy()
        return {"styles": Picture(drawn, k), "told": self.told(real["x"])}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The error; whether styles have their prior's law; whether samples are of the class that was asked for."""
        with self.evaluating():
            z = self.code(self.tensor(real["x"][:CODES]))[1].numpy()
        mmd = off_prior(z, np.random.default_rng(real.seed).normal(size=z.shape))[1]
        made = [Check("error", self.error(real), "<= 0.05"), Check("MMD between styles and prior", mmd, "<= 0.05")]
        if judge := real.judge():
            asked = np.arange(CODES) % self.classes
            read = judge.log_probabilities(self.sample(CODES, seed=real.seed, label=asked)).argmax(axis=1)
            made.append(Check("samples of the class asked for", (read == asked).mean(), ">= 0.9"))
        return made
