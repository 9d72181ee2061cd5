"""The semi-supervised GAN (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen 2016, arXiv 1606.03498, section 5): a classifier
of K classes that tells generated images from real ones by the way.

    z (100) --> G: w --> w --> image (784)
    x --> D, noise before each layer: w --> w/2 --> w/4 --> w/4 --> w/4 = f(x) --> logits l_1 ... l_K

D has K + 1 classes, the last one "generated". Softmax does not change when a number is added to all logits, so l_(K+1) is fixed
at 0, and with Z(x) = sum_k exp l_k over the K classes D's probability that x is real is D(x) = Z / (Z + 1). D minimises

    L = L_supervised + weight L_unsupervised
    L_supervised   = -E log p(y | x, y < K + 1)                             on the few labelled images
    L_unsupervised = -E log D(x) - E log(1 - D(G(z)))                       on images without labels

Both meet where exp l_k(x) = c(x) p(y = k, x) with one c(x) > 0 for all k; which c they would agree on stays open, and G's
images are what ties the labels to the rest. G minimises the distance of mean features (ibid., section 3.1)

    |E f(x) - E f(G(z))|^2

and not the other half of D's game: "feature matching" makes worse samples and a better D. At its optimum means agree, no more.

A second network `alone`, of the same layers, learns from the labelled images and nothing else: what the others are worth. What
goes wrong: a G that is too good leaves D nothing to learn from, and what a hundred labels say depends on which images they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.labelled import JUDGED, FewLabels, labels
from minigan.gans.latents import normed
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class SSGANConfig(Config):
    """The semi-supervised GAN's options."""

    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(100, "images without labels a step", low=1)
    labels: int = labels()
    latent: int = option(100, "length of the noise vector z, uniform on [0, 1]", low=1)
    width: int = option(600, "w: units of G's layers (the paper: 500) and of D's first (1000)", low=4)
    noise: float = option(0.6, "deviation of noise on D's images; .5 on its layers (the paper's program)", low=0.0)
    weight: float = option(1.0, "of L_unsupervised (1/2 in the paper's program)", low=0.0)
    lr: float = option(3e-3, "Adam's rate (Kingma 2014, arXiv 1412.6980); it falls linearly to 0", low=0.0)


class SSGAN(FewLabels):
    """A classifier against a generator, and a classifier alone."""

    Config = SSGANConfig
    summary = "classifier from few labels, with a class for fakes (Salimans et al. 2016)"
    generator: nn.Module
    body: nn.Module
    head: nn.Module
    alone: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, width, last = math.prod(self.shape), self.config.width, self.config.width // 4
        image = [nn.Dense(width, pixels, activation="tanh"), nn.Reshape(*self.shape)]
        hidden = [*normed(self.config.latent, width, "relu"), *normed(width, width, "relu")]
        return {
            "generator": nn.Sequential(*hidden, *image),
            "body": nn.Sequential(*self.layers()),
            "head": nn.Dense(last, self.classes),
            "alone": nn.Sequential(*self.layers(), nn.Dense(last, self.classes)),
        }

    def layers(self) -> list[nn.Module]:
        """D's, up to f."""
        w = self.config.width
        sizes = [math.prod(self.shape), w, w // 2, w // 4, w // 4, w // 4]
        made: list[nn.Module] = [nn.Flatten(), nn.Noise(self.config.noise)]
        for i, o in itertools.pairwise(sizes):
            made += [nn.Dense(i, o, activation="relu", init="he"), nn.Noise(0.5)]
        return made

    def prepare(self) -> None:
        """Weights as length times direction, in D and the classifier alone."""
        for network in (self.body, self.head, self.alone):
            nn.weight_norm(network)

    def players(self) -> list[Player]:
        """Discriminator first, then the generator; the classifier alone takes no part in the game."""
        rate = self.falling(self.config.lr)
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam([self.body, self.head], lr=rate, beta1=0.5)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, lr=rate, beta1=0.5)),
            Player("labels_alone", self.alone_loss, optim.Adam(self.alone, lr=rate, beta1=0.5)),
        ]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images G(z)."""
        return self.generator(self.random.uniform((n, self.config.latent), stream="z"))

    def discriminator_loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """L; both terms are reported without the weight."""
        n, few = len(b.x), len(b.labelled)
        logits = self.logits(ops.concatenate([b.labelled, b.x, self.generate(n)]))
        log_z = ops.logsumexp(logits[few:], axis=1)  # the logit of D(x): log Z - 0
        supervised = losses.cross_entropy(logits[:few], b.label)
        unsupervised = losses.logistic(log_z[:n], log_z[n:])
        return supervised + self.config.weight * unsupervised, {"supervised": supervised, "unsupervised": unsupervised}

    def generator_loss(self, b: Any) -> Tensor:
        """|E f(x) - E f(G(z))|^2."""
        f = self.body(ops.concatenate([b.x, self.generate(len(b.x))]))
        return losses.feature_matching(f[: len(b.x)], f[len(b.x) :])

    def alone_loss(self, b: Any) -> Tensor:
        """-E log p(y | x) on labelled images."""
        return losses.cross_entropy(self.alone(b.labelled), b.label)

    def logits(self, x: Tensor) -> Tensor:
        """l_1 ... l_K."""
        return self.head(self.body(x))

    def error_alone(self, real: Mapping[str, np.ndarray]) -> float:
        """Of the classifier that had the labelled images only."""
        with self.evaluating():
            answers = self.alone(self.tensor(real["x"][:JUDGED])).numpy().argmax(axis=1)
        return float((answers != real["y"][:JUDGED]).mean())

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Both errors."""
        return {"error": self.error(real), "error_of_labels_alone": self.error_alone(real)}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and images without labels, each in the column of the class that D gives it."""
        return {**super().pictures(real), "told": self.told(real["x"])}

    def checks(self, real: RealData) -> Sequence[Check]:
        """D's error, and what the images without labels are worth."""
        error, alone = self.error(real), self.error_alone(real)
        return [
            Check("error", error, "<= 0.05"),
            Check("error, below that of the labels alone", alone - error, "> 0"),
        ]
