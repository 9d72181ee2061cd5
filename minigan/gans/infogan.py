"""InfoGAN (Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016, arXiv 1606.03657): codes that an image can be read back to.

    z (4), c = (category of 10, two numbers in [-1, 1]) --> G --> image
                                             +--> D: logit of "real"
                          x --> trunk -------+
                                             +--> Q: p(category | x), means of both numbers

G should not ignore c, so the game gets a term for the mutual information of c and G(z, c), by its lower bound (ibid., eq. 5, 6):

    min_{G,Q} max_D  V(D, G) - lambda L_I(G, Q),      L_I = H(c) + E log Q(c | G(z, c)) <= I(c; G(z, c)),

equal where Q is the posterior. At the optimum q = p, and codes divide the data among them. H(category) = log 10 = 2.303 nats is
reached when each image tells its category. A number has Q = N(mean, 1), so that -log Q is half a squared error up to a
constant. As in the authors' program L_I is maximised by D's player too, which shares its trunk with Q.

What goes wrong: the bound is reached within hundreds of steps, long before a category is one digit: any ten groups of images will
do, and only a bias of the networks makes them digits. So both are checked. Nor does anything ask for slant and width. With 62
numbers in z beside the two codes G writes these where Q reads them and a person sees nothing (slant R^2 .02); with 4 what differs
within a category has to come from them (.63, and the categories are digits sooner), so that is the default here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Category, Number
from minigan.gans.images import Averaged, Down, ImageConfig, Up
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.metrics import codes
from minigan.player import Player

CATEGORIES, NUMBER = 10, Number(-1.0, 1.0)
CODES = {"category": Category(CATEGORIES, one_hot=True), "first": NUMBER, "second": NUMBER}
JUDGED, COLUMNS = 2000, 9  # images that checks look at; of a sweep


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(ImageConfig):
    """InfoGAN's options."""

    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    latent: int = option(4, "length of z ~ N(0, 1), beside the codes (62: Chen 2016, arXiv 1606.03657, C.1)", low=1)
    information: float = option(1.0, "lambda: of the bound on I(c; x) (Chen 2016, arXiv 1606.03657, eq. 6)", low=0.0)
    lr: float = option(2e-4, "Adam's learning rate in D and Q (ibid., appendix C)", low=0.0)
    generator_lr: float = option(1e-3, "Adam's learning rate in G (ibid.)", low=0.0)


class InfoGAN(Averaged):
    """Two players; Q is a second head on D's trunk."""

    Config = InfoGANConfig
    summary = "GAN whose codes can be read back from images (Chen et al. 2016)"
    family = "codes"
    lesson = "21_conditions_and_information"
    conditions = CODES
    generator: nn.Module
    trunk: nn.Module
    head: nn.Module
    Q: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, trunk = self.config, Down(self.shape, self.config.features)
        return {
            "generator": Up(config.latent + CATEGORIES + 2, self.shape, config.features),
            "trunk": trunk,
            "head": nn.Dense(trunk.outputs, 1, init="normal"),
            "Q": nn.Sequential(
                nn.Dense(trunk.outputs, 4 * config.features, activation="leaky_relu"),
                nn.Dense(4 * config.features, CATEGORIES + 2),
            ),
        }

    def players(self) -> list[Player]:
        """D and Q first, then G."""
        judging = {"trunk": self.trunk, "head": self.head, "Q": self.Q}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(judging, lr=self.config.lr, beta1=0.5)),
            Player(
                "generator", self.generator_loss, optim.Adam(self.generator, lr=self.config.generator_lr, beta1=0.5)
            ),
        ]

    def generate(self, n: int, category: Tensor, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        """n images G(z, c)."""
        z = self.random.normal((n, self.config.latent), stream="z")
        return self.generator(ops.concatenate([z, category, first, second], axis=1))

    def drawn(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """n codes as they are drawn in training."""
        numbers = 2.0 * self.random.uniform((n, 2), stream="numbers") - 1.0
        which = self.random.integers((n,), high=CATEGORIES, stream="category")
        return ops.one_hot(which, CATEGORIES, dtype=numbers.dtype), numbers[:, :1], numbers[:, 1:]

    def bound(self, h: Tensor, given: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log Q(c | x) without its constants, from the trunk's features of G(z, c); and L_I of the category, in nats."""
        k, answer = CATEGORIES, self.Q(h)
        cross = losses.cross_entropy(answer[:, :k], given[0])
        squares = ops.mean(ops.sum(ops.square(answer[:, k:] - ops.concatenate(given[1:], axis=1)), axis=1))
        return cross + 0.5 * squares, {"information": math.log(k) - cross, "number_error": 0.5 * squares}

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-V(D, G) - lambda L_I."""
        given = self.drawn(len(x))
        real, fake = self.trunk(x), self.trunk(self.generate(len(x), *given))
        unread, _ = self.bound(fake, given)
        adversarial = losses.non_saturating.discriminator(self.head(real), self.head(fake))
        return adversarial + self.config.information * unread

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log D(G(z, c)) - lambda L_I."""
        given = self.drawn(len(x))
        unread, said = self.bound(h := self.trunk(self.generate(len(x), *given)), given)
        return losses.non_saturating.generator(self.head(h)) + self.config.information * unread, said

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """A category a column; and for each number, -1 to 1 from left to right with all else fixed, a category a row."""
        k, steps = CATEGORIES, np.linspace(-1, 1, COLUMNS, dtype=np.float32)
        category, across = np.repeat(np.eye(k, dtype=np.float32), COLUMNS, axis=0), np.tile(steps, k)[:, None]
        with self.evaluating(), self.random.apart(self.config.seed, "sweeps"):
            z = np.repeat(self.random.normal((k, self.config.latent), stream="z").numpy(), COLUMNS, axis=0)
            first = self.generator(self.tensor(np.concatenate([z, category, across, 0 * across], axis=1))).numpy()
            second = self.generator(self.tensor(np.concatenate([z, category, 0 * across, across], axis=1))).numpy()
        swept = {name: Picture(images, COLUMNS) for name, images in (("first", first), ("second", second))}
        return {"samples": Picture(self.sample(8 * k), k), **swept}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether codes can be read back, and whether they are what a person would name, with labels that nobody was told."""
        k = CATEGORIES
        groups, numbers = np.arange(JUDGED) % k, np.random.default_rng(real.seed).uniform(-1, 1, (JUDGED, 2))
        fakes = self.sample(JUDGED, seed=real.seed, category=groups, first=numbers[:, 0], second=numbers[:, 1])
        with self.evaluating():
            told, found = (self.Q(self.trunk(self.tensor(x))).numpy()[:, :k] for x in (fakes, real["x"][:JUDGED]))
        information = 1 - losses.cross_entropy(told, groups).item() / math.log(k)
        read = codes.slant_and_width(fakes, numbers, groups)
        made = [Check("bound on the category's information, of its entropy", information, ">= 0.977")]  # 2.25 of 2.303
        made += [Check(f"{name.replace('_', ' ')}, R^2", value, ">= 0.5") for name, value in read._asdict().items()]
        if (labels := real.sets["x"].y) is not None:
            accuracy = codes.matching_accuracy(found.argmax(axis=1), labels[:JUDGED], categories=k)
            made.append(Check("categories matched with classes, real images", accuracy, ">= 0.7"))
        return made
