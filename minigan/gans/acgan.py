"""The auxiliary classifier GAN (Odena, Olah, Shlens 2016, arXiv 1610.09585): D is not told the class, it has to say it.

    z (64), y (10) --> G --> image                    +--> source: logit of "real"
                               x (28 x 28) --> trunk -+
                                                      +--> classifier: C(y | x), 10 classes

With the log-likelihoods of the right source and of the right class (ibid., eq. 2, 3),

    L_S = E log P(real | x) + E log P(fake | G(z, y))          L_C = E log C(y | x) + E log C(y | G(z, y)),

D maximises L_S + L_C, and G maximises L_C - L_S (here with the non-saturating form of its half of L_S). At the optimum of D the
source is p / (p + q) and the classifier is the posterior of the mixture of both, C(y | x) = (p + q)(x, y) / (p + q)(x). So G
gains by making x that are easy to classify: the game's optimum is not q = p where classes overlap.

The second half of L_C is left out of D's update unless `fakes` is 1, as in the paper: with it the classifier learns to name a bad
image by the class that was asked for, and G need not draw that class. Without it C(y | x) is the posterior of the data alone.

What goes wrong: for hundreds of steps images and classes are apart, each class being some blob, and then it comes together; G
prefers typical pictures of a class, so that diversity within a class falls as the accuracy rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops
from minigan.autodiff import Tensor
from minigan.gans.conditional import ClassConditional, ConditionalConfig
from minigan.gans.images import Down, Up
from minigan.gans.options import again, option


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(ConditionalConfig):
    """The options of the AC-GAN."""

    steps: int = again(ConditionalConfig, "steps", 1600)
    fakes: float = option(0.0, "weight of generated images in the classifier's loss (1: Odena 2016, eq. 3)", low=0.0)


class ACGAN(ClassConditional):
    """One trunk with two heads, and a generator that is told the class beside the noise."""

    Config = ACGANConfig
    summary = "GAN with an auxiliary classifier (Odena et al. 2016)"
    least_accuracy = 0.93
    trunk: nn.Module
    source: nn.Module
    classifier: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, classes = self.config, self.classes
        trunk = Down(self.shape, config.features, dropout=config.dropout)
        return {
            "generator": Up(config.latent + classes, self.shape, config.features),
            "trunk": trunk,
            "source": nn.Dense(trunk.outputs, 1, init="normal"),
            "classifier": nn.Dense(trunk.outputs, classes, init="normal"),
        }

    def generate(self, n: int, label: Tensor) -> Tensor:  # type: ignore[override]
        """n examples G(z, label): the label is a part of the code."""
        z = self.random.normal((n, self.config.latent), stream="z")
        return self.generator(ops.concatenate([z, label], axis=1))

    def discriminator_loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-L_S - L_C, the half of L_C that is of fakes with its weight."""
        h, h_fake = self.trunk(b.x), self.trunk(self.generate(len(b), b.y))
        real, fake = (losses.cross_entropy(self.classifier(features), b.y) for features in (h, h_fake))
        adversarial = losses.non_saturating.discriminator(self.source(h), self.source(h_fake))
        weighted = self.config.fakes * fake if self.config.fakes else 0.0  # no backward pass for nothing
        return adversarial + real + weighted, {"class_loss_real": real, "class_loss_fake": fake}

    def generator_loss(self, b: Any) -> Tensor:
        """-E log P(real | G(z, y)) - E log C(y | G(z, y))."""
        h = self.trunk(self.generate(len(b), b.y))
        return losses.non_saturating.generator(self.source(h)) + losses.cross_entropy(self.classifier(h), b.y)

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """How often the classifier is right on real images and on samples of each class in turn."""
        asked = np.arange(200) % self.classes
        given = {
            "real": (real["x"][:200], real["y"][:200].argmax(axis=1)),
            "fake": (self.sample(200, label=asked), asked),
        }
        with self.evaluating():
            return {
                f"class_accuracy_{name}": float(
                    (self.classifier(self.trunk(self.tensor(x))).numpy().argmax(axis=1) == y).mean()
                )
                for name, (x, y) in given.items()
            }
