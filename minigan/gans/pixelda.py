"""PixelDA (Bousmalis et al. 2016, arXiv 1612.05424): labelled images made to look like others, to classify these without labels.

    a (28 x 28 x 1), labels y --+
                                +--> G: U-Net --> G(a, z), an image like those of b, of which labels are not known
    z (10) --> dense, as a map -+
    G(a, z) or b --> D: conv 4x4/2 f, conv 4x4/2 2f, dense 16f --> logit of "of set b"
    a, G(a, z); later b --> T: conv 5x5, pool, conv 5x5, pool, dense --> classes

The game of ibid., eq. 1 to 3, for G and the task's classifier T against D:

    min_{G,T} max_D  alpha L_d + beta L_t
    L_d = E log D(b) + E log(1 - D(G(a, z)))
    L_t = -E log T(y | G(a, z)) - E log T(y | a)

(-E log D(G(a, z)) for G). At the optimum G(a, z) has the law of b, and T is right on it. T is then right on b as far as G keeps
the class: L_t punishes a G that does not, for one T must find y in a and in G(a, z). Nothing says so of b's own images: a G
that exchanged classes as a whole would do as well by all of these terms; its skips (U-Net) make that unlikely.

What goes wrong: D wins by some grain that G does not have, and G's colours stop anywhere; dropout in D slows it. T does well on
G's images long before it does on b. `alone` is a classifier of the same kind, trained on a only, to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans import domains
from minigan.gans.checks import Check, RealData
from minigan.gans.domains import JUDGED, SHOWN, TranslationConfig, TwoSets
from minigan.gans.images import NORMAL, Down
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.gans.translators import UNet, classifier, in_colour
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class PixelDAConfig(TranslationConfig):
    """PixelDA's options."""

    data: str = option("a=glyphs,b=glyphs+textured", "a with labels, and the set to be classified: a=NAME,b=NAME")
    batch_size: int = option(32, "images of each set a step", low=1)
    latent: int = option(10, "length of the noise vector z ~ N(0, 1)", low=1)
    task: float = option(
        1.0, "beta, with alpha 1: of L_t in G's loss (Bousmalis 2016, arXiv 1612.05424, eq. 1)", low=0.0
    )
    dropout: float = option(0.1, "rate of dropout in D (ibid., supplement)", low=0.0, high=0.99)
    lr: float = option(1e-3, "Adam's learning rate (ibid., supplement)", low=0.0)
    alone: bool = option(True, "train a classifier on a alone, to compare with (ibid., table 1: source only)")


class PixelDA(TwoSets):
    """A generator and a classifier against a discriminator."""

    Config = PixelDAConfig
    summary = "labels carried to unlabelled images, by making some like others (Bousmalis et al. 2016)"
    needs = {"a": "images", "y": "labels", "b": "images"}  # noqa: RUF012
    averaged = ("generator", "noise", "classifier")
    best = None  # what it is for needs labels that a run does not have: see `checks`
    generator: UNet
    noise: nn.Module
    discriminator: nn.Module
    classifier: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, (a, b) = self.config, self.facts.shapes.values()
        trunk = Down(b, config.features, dropout=config.dropout)
        names = ("classifier", "alone") if config.alone else ("classifier",)
        return {
            "generator": UNet((*a[:2], a[2] + 1), b[-1], config.features),
            "noise": nn.Sequential(nn.Dense(config.latent, a[0] * a[1]), nn.Reshape(a[0], a[1], 1)),
            "discriminator": nn.Sequential(trunk, nn.Dense(trunk.outputs, 1, init=NORMAL)),
            **{name: classifier(b, self.classes, config.features) for name in names},
        }

    def players(self) -> list[Player]:
        """Discriminator, classifier, generator; and who learns beside them."""
        adam: dict[str, Any] = {"lr": self.config.lr, "beta1": self.config.beta1}
        making = {"generator": self.generator, "noise": self.noise}
        made = [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("classifier", self.task_loss, optim.Adam(self.classifier, **adam)),
            Player("generator", self.generator_loss, optim.Adam(making, **adam)),
        ]
        alone = self.modules.get("alone")
        return [*made, Player("alone", self.alone_loss, optim.Adam(alone, **adam))] if alone else made

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """G(source, z)."""
        z = self.noise(self.random.normal((n, self.config.latent), stream="z"))
        return self.generator(ops.concatenate([source, z], axis=-1))

    def discriminator_loss(self, x: Any) -> Tensor:
        """-L_d."""
        fake = self.generate(len(x.a), x.a)
        return losses.non_saturating.discriminator(self.discriminator(x.b), self.discriminator(fake))

    def task_loss(self, x: Any, fake: Tensor | None = None) -> Tensor:
        """L_t."""
        fake = self.generate(len(x.a), x.a) if fake is None else fake
        plain = in_colour(x.a, fake.shape[-1])
        return losses.cross_entropy(self.classifier(fake), x.y) + losses.cross_entropy(self.classifier(plain), x.y)

    def generator_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log D(G(a, z)) + beta L_t."""
        fake = self.generate(len(x.a), x.a)
        fooled, task = losses.non_saturating.generator(self.discriminator(fake)), self.task_loss(x, fake)
        return fooled + self.config.task * task, {"game": fooled, "task": task}

    def alone_loss(self, x: Any) -> Tensor:
        """-E log T'(y | a) of the classifier beside."""
        return losses.cross_entropy(self.modules["alone"](in_colour(x.a, self.facts.shapes["b"][-1])), x.y)

    def accuracy(self, x: np.ndarray, y: np.ndarray, name: str = "classifier") -> float:
        """The share of images whose likeliest class is their label."""
        with self.evaluating():
            told = self.modules[name](in_colour(self.tensor(x), self.facts.shapes["b"][-1])).numpy()
        return float((told.argmax(axis=1) == y).mean())

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """T's accuracy on a, and on what G makes of a."""
        x, y = domains.some(real, "a", "y")
        return {"accuracy_a": self.accuracy(x, y), "accuracy_made": self.accuracy(self.translated(x), y)}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Rows: a, G(a, z) of two z, and b."""
        a, b = domains.some(real, "a", "b", count=SHOWN)
        return {"samples": domains.rows(a, self.translated(a), self.translated(a, 1), b)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """T on b, beside the classifier that never heard of b."""
        (a, labels, b), y = domains.some(real, "a", "y", "b", count=JUDGED), real.sets["b"].y
        made = [Check("accuracy on translations of a", self.accuracy(self.translated(a), labels), ">= 0.95")]
        if y is None:
            return made
        own = self.accuracy(b, y[: len(b)])
        made.append(Check("accuracy on b", own, ">= 0.95"))
        if "alone" in self.modules:
            gain = own - self.accuracy(b, y[: len(b)], "alone")
            made.append(Check("accuracy on b, above that of a classifier of a alone", gain, "> 0"))
        return made
