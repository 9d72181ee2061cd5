"""What the class-conditional models share: labelled images, a generator G(z, y), two players, the checks of what y does."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigan import nn, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import GANConfig
from minigan.gans.conditions import Label
from minigan.gans.images import Averaged, ImageConfig
from minigan.gans.options import again, option
from minigan.metrics.class_spread import class_spread
from minigan.player import Player

JUDGED = 2000  # samples that the checks look at
SHOWN = 200  # real images of a line of metrics


@dataclass(frozen=True, kw_only=True)
class ConditionalConfig(ImageConfig):
    """The options of a class-conditional GAN."""

    steps: int = option(1200, "steps to train: one update of every player each", low=0)
    latent: int = option(64, "length of the noise vector z ~ N(0, 1)", low=1)
    lr: float = option(5e-4, "Adam's learning rate (2e-4: Radford 2015, arXiv 1511.06434)", low=0.0)
    decay: bool = again(GANConfig, "decay", True)
    beta1: float = option(0.5, "Adam's beta1, decay of the mean gradient (.5: ibid.)", low=0.0, high=0.999)
    dropout: float = option(0.0, "rate of dropout in D (Srivastava 2014, JMLR 15)", low=0.0, high=0.99)


class ClassConditional(Averaged):
    """A generator G(z, y) and whatever judges it, on labelled images.

    `networks` returns a `generator`, called with (z, y), and the networks of the discriminator; labels y are one-hot.
    """

    Config = ConditionalConfig
    family = "conditional"
    lesson = "21_conditions_and_information"
    needs = {"x": "images", "y": "one-hot"}  # noqa: RUF012
    conditions = {"label": Label("y")}  # noqa: RUF012
    least_accuracy: ClassVar[float] = 0.95  # of samples, by the judge
    generator: nn.Module

    @abstractmethod
    def discriminator_loss(self, b: Any) -> Any:
        """Of a batch with images x and labels y."""

    @abstractmethod
    def generator_loss(self, b: Any) -> Any:
        """The same."""

    def players(self) -> list[Player]:
        """Discriminator first, then generator, each with its own Adam."""
        config = self.config
        rate = self.falling(config.lr) if config.decay else config.lr
        adam = {"lr": rate, "beta1": config.beta1}
        judging = {name: network for name, network in self.modules.items() if name != "generator"}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(judging, **adam)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    def generate(self, n: int, label: Tensor) -> Tensor:  # type: ignore[override]
        """n examples G(z, label)."""
        return self.generator(self.random.normal((n, self.config.latent), stream="z"), label)

    def with_labels_right_and_wrong(
        self, score: Callable[[Tensor, Tensor], Tensor], real: Mapping[str, np.ndarray]
    ) -> tuple[Tensor, Tensor]:
        """score(x, y) of some real images with their label, and with the next one."""
        x, y = self.tensor(real["x"][:SHOWN]), real["y"][:SHOWN]
        return score(x, self.tensor(y)), score(x, self.tensor(np.roll(y, 1, axis=1)))

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether a sample is of the class that was asked for, and whether a class is more than one picture."""
        judge = real.judge()
        if judge is None:
            return []
        asked = np.arange(JUDGED) % self.classes
        samples = self.sample(JUDGED, seed=real.seed, label=asked)
        right = judge.log_probabilities(samples).argmax(axis=1) == asked
        worst = min(right[asked == k].mean() for k in range(self.classes))
        truth = real["y"].argmax(axis=1)[:JUDGED]
        ratio = class_spread(judge.features(samples), asked) / class_spread(judge.features(real["x"][:JUDGED]), truth)
        return [
            Check("class accuracy", right.mean(), f">= {self.least_accuracy}"),
            Check("class accuracy, worst class", worst, ">= 0.8"),
            Check("diversity within a class, of the data's", ratio, "0.85 to 1.1"),
        ]
