"""DAGAN, augmentation by a GAN (Antoniou, Storkey, Edwards 2017, arXiv 1711.04340): from one image another one of its class.

    x (28 x 28) --> conv 4x4/2 f --> conv 4x4/2 2f --+
                                                     +--> conv 3x3 4f --> conv 3x3 4f --> T 4x4/2 2f --> T 4x4/2 1, tanh = G(x, z)
                               z (16) --> as maps ---+

    (x, x') of one class, or (x, G(x, z)) --> joined along channels --> D: conv 4x4/2 f, conv 4x4/2 2f, dense 16f --> score

Neither is told a class: D sees pairs, real ones of two different images of a class, fake ones of an image and what was made of
it (ibid., section 3). The losses are those of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, eq. 3), for pairs:

    D  minimises  E D(x, G(x, z)) - E D(x, x') + lambda E (|grad D| - 1)^2
    G  minimises  -E D(x, G(x, z))

At the optimum the difference is W1 between both laws of pairs, and 0 where G(x, z) has the law of x' given x: another image of
the class, whichever class that is. So G may be applied to classes that it never saw (ibid., section 4), with few labels.

What goes wrong: a G that returns x is caught, since real pairs are different images; but one that ignores z is not caught at
once, nor one that leaves the class for a similar one. Of few labelled images (`labels` of each class, all that is ever seen) D
learns the targets by heart. That augmentations look good does not tell that a classifier gains by them: see `bench/dagan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim, penalties
from minigan.autodiff import Tensor
from minigan.gans.base import Stateful
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples
from minigan.gans.images import NORMAL, Averaged, Down, ImageConfig, Through
from minigan.gans.labelled import Labelled
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.metrics.class_spread import class_spread
from minigan.player import Lazy, Player

ROWS, COLUMNS, SOURCES, EACH = 10, 9, 200, 5  # of the picture: sources, with their augmentations; of the checks


@dataclass(frozen=True, kw_only=True)
class DAGANConfig(ImageConfig):
    """DAGAN's options."""

    steps: int = option(1500, "steps to train: one update of every player each", low=0)
    batch_size: int = option(32, "pairs a step", low=1)
    features: int = option(16, "channels f after the first layers", low=1)
    labels: int = option(50, "labelled images of each class that are learned from; the first ones that come", low=2)
    latent: int = option(16, "length of the noise vector z ~ N(0, 1)", low=1)
    gp: float = option(10.0, "lambda of the gradient penalty (Gulrajani 2017, arXiv 1704.00028, eq. 3)", low=0.0)
    lr: float = option(1e-3, "Adam's rate (Kingma 2014, arXiv 1412.6980); it falls to 0 in a straight line", low=0.0)


class DAGAN(Averaged):
    """A generator of further images against a critic of pairs."""

    Config = DAGANConfig
    summary = "another image of the same class, to augment few labels (Antoniou et al. 2017)"
    family = "augmentation"
    best = None  # by no number: see `checks`
    needs = {"x": "images", "y": "labels"}  # noqa: RUF012
    conditions = {"source": Examples("x")}  # noqa: RUF012
    generator: nn.Module
    critic: nn.Module
    labelled: Labelled

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        trunk = Down((*self.shape[:-1], 2 * self.shape[-1]), self.config.features, norm=False)
        return {
            "generator": Through(self.shape, self.config.features, self.config.latent),
            "critic": nn.Sequential(trunk, nn.Dense(trunk.outputs, 1, init=NORMAL)),
        }

    def players(self) -> list[Player]:
        """Critic, then generator."""
        rate = self.falling(self.config.lr)
        adam: dict[str, Any] = {"lr": rate, "beta1": 0.0, "beta2": 0.9}
        penalty = [Lazy("penalty", self.penalty, every=2)] if self.config.gp else []
        return [
            Player("critic", self.critic_loss, optim.Adam(self.critic, **adam), lazy=penalty),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    def extra_state(self) -> dict[str, Stateful]:
        """The labelled images: no others are ever learned from."""
        return {"labelled": Labelled(self.shape, classes=self.classes, each=self.config.labels)}

    def feed(self, batch: Any, number: int) -> Any:
        """As many pairs of labelled images: `x` and `other`, another one of its class."""
        self.labelled.collect(batch["x"], batch["y"])
        x, other = self.labelled.pairs(len(batch["x"]), np.random.default_rng([abs(self.config.seed), number]))
        return {"x": x, "other": other}

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """G(source, z)."""
        return self.generator(source, self.random.normal((n, self.config.latent), stream="z"))

    def critic_loss(self, b: Any) -> Tensor:
        """E D(x, G(x, z)) - E D(x, x')."""
        n, second = len(b.x), ops.concatenate([b.other, self.generate(len(b.x), b.x)])
        scores = self.critic(ops.concatenate([ops.concatenate([b.x, b.x]), second], axis=-1))
        return losses.wasserstein.discriminator(scores[:n], scores[n:])

    def penalty(self, b: Any) -> Tensor:
        """lambda E (|grad D| - 1)^2 between real and fake pairs."""
        real, fake = (ops.concatenate([b.x, x], axis=-1) for x in (b.other, self.generate(len(b.x), b.x)))
        return self.config.gp * penalties.gradient_penalty(self.critic, real, fake, uniform=self.random)

    def generator_loss(self, b: Any) -> Tensor:
        """-E D(x, G(x, z))."""
        return losses.wasserstein.generator(self.critic(ops.concatenate([b.x, self.generate(len(b.x), b.x)], axis=-1)))

    def augmented(self, x: np.ndarray, each: int, seed: int) -> np.ndarray:
        """`each` augmentations of every image, one behind the other: (len(x) * each, *shape)."""
        return self.sample(len(x) * each, seed=seed, source=np.repeat(x, each, axis=0))

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Mean absolute differences of G(x, z) to x and to G(x, z'), of that of two images of the data."""
        x = real["x"][:SOURCES]
        made, apart = self.augmented(x, 2, self.config.seed), float(np.abs(x - x[::-1]).mean())
        moved, spread = np.abs(made[::2] - x).mean(), np.abs(made[::2] - made[1::2]).mean()
        return {"moved": moved.item() / apart, "spread": spread.item() / apart}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """A row each: an image, and what is made of it."""
        x = real["x"][:ROWS]
        made = self.augmented(x, COLUMNS, self.config.seed).reshape(len(x), COLUMNS, *x.shape[1:])
        return {"samples": Picture(np.concatenate([x[:, None], made], axis=1).reshape(-1, *x.shape[1:]), COLUMNS + 1)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether augmentations keep the class of their source, and whether they are many images and none is the source."""
        judge, x, y = real.judge(), real["x"][:SOURCES], real["y"][:SOURCES]
        told = self.metrics(real)
        made = [Check("moved from the source, of the distance of two images", told["moved"], ">= 0.2")]
        if judge is None:
            return made
        again, rows = self.augmented(x, EACH, real.seed), np.repeat(np.arange(len(x)), EACH)
        kept = (judge.log_probabilities(again).argmax(axis=1) == y[rows]).mean()
        within = class_spread(judge.features(again), rows) / class_spread(judge.features(real["x"]), real["y"])
        return [
            *made,
            Check("class kept", kept, ">= 0.9"),
            Check("spread of a source's, of its class's", within, "0.3 to 1.1"),
        ]
