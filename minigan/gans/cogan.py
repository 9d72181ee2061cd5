"""Coupled GANs (Liu, Tuzel 2016, arXiv 1606.07536): pairs of images of two sets, from sets that are given apart.

    z (64) --> shared: dense 7 x 7 x 4f, T 4x4/2 2f --+--> g_a: T 4x4/2 --> image of a
                                                      +--> g_b: T 4x4/2 --> image of b, of the same z
    a or g_a(z) --> first_a: conv 4x4/2 f --+
                                            +--> shared: conv 4x4/2 2f, dense 16f --+--> logit of "real"
    b or g_b(z) --> first_b: conv 4x4/2 f --+                                       +--> classes

Two games at once, with weights in common (ibid., section 3.1):

    min_{g_a, g_b} max_{f_a, f_b}  V(f_a, g_a) + V(f_b, g_b),      V(f, g) = E log f(x) + E log(1 - f(g(z)))

No term asks that both images of z show the same thing: at the optimum each marginal law is right, and the joint law is one of
very many. What goes wrong: sets that have little in common need more private layers, and nothing couples them.
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
from minigan.gans.domains import JUDGED, SHOWN, TranslationConfig
from minigan.gans.images import NORMAL, Averaged, quarter
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.gans.translators import alike, batch, in_colour
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class CoGANConfig(TranslationConfig):
    """CoGAN's options."""

    data: str = option("a=glyphs,b=glyphs+edges", "the two sets, a with labels: a=NAME,b=NAME, or NAME,NAME")
    latent: int = option(64, "length of the noise vector z ~ N(0, 1)", low=1)
    batch_size: int = option(64, "images of each set a step", low=1)
    features: int = option(32, "channels f before the images in G, after the first layers in D", low=1)
    lr: float = option(5e-4, "Adam's learning rate (2e-4: Liu 2016, arXiv 1606.07536, section 3.2)", low=0.0)


class CoGAN(Averaged):
    """Two generators and two discriminators that share their inner layers."""

    Config = CoGANConfig
    summary = "pairs of images of two sets that came without pairs (Liu, Tuzel 2016)"
    lesson = "23_image_to_image"
    family = "translation"
    needs = {"a": "images", "y": "labels", "b": "images"}  # noqa: RUF012
    averaged = ("shared", "g_a", "g_b")
    best = None  # no number in sight tells whether pairs are pairs: see `checks`
    shared: nn.Module
    second: nn.Module
    dense: nn.Module
    head: nn.Module
    reader: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        f, (a, b) = self.config.features, self.facts.shapes.values()
        height, width = quarter(alike(a, b))
        plain: dict[str, Any] = {"bias": False, "init": NORMAL}
        shared = nn.Sequential(
            nn.Dense(self.config.latent, height * width * 4 * f, **plain), nn.Reshape(height, width, 4 * f),
            batch(4 * f, "relu"), nn.ConvTranspose(4 * f, 2 * f, 4, stride=2, **plain), batch(2 * f, "relu"),
        )  # fmt: skip
        made: dict[str, nn.Module] = {"shared": shared, "second": nn.Conv(f, 2 * f, 4, stride=2, **plain)}
        for name, shape in {"a": a, "b": b}.items():
            made[f"g_{name}"] = nn.ConvTranspose(2 * f, shape[-1], 4, stride=2, activation="tanh", init=NORMAL)
            made[f"first_{name}"] = nn.Conv(shape[-1], f, 4, stride=2, activation="leaky_relu", init=NORMAL)
            made |= {f"norm_{name}": batch(2 * f, "leaky_relu"), f"last_{name}": batch(16 * f, "leaky_relu")}
        made["dense"] = nn.Dense(height * width * 2 * f, 16 * f, **plain)
        return {**made, "head": nn.Dense(16 * f, 1, init=NORMAL), "reader": nn.Dense(16 * f, self.classes)}

    def players(self) -> list[Player]:
        """Both discriminators with the classifier, then both generators."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        making = {name: self.modules[name] for name in self.averaged}
        judging = {name: each for name, each in self.modules.items() if name not in making}
        return [
            Player("discriminators", self.discriminator_loss, optim.Adam(judging, **adam)),
            Player("generators", self.generator_loss, optim.Adam(making, **adam)),
        ]

    def pairs(self, n: int) -> tuple[Tensor, Tensor]:
        """g_a(z) and g_b(z)."""
        h = self.shared(self.random.normal((n, self.config.latent), stream="z"))
        return self.modules["g_a"](h), self.modules["g_b"](h)

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n pairs side by side, (n, H, 2 W, C)."""
        both = self.pairs(n)
        return ops.concatenate([in_colour(x, max(y.shape[-1] for y in both)) for x in both], axis=2)

    def seen(self, x: Tensor, name: str) -> Tensor:
        """What the shared layers make of images of a set; batch norms are each set's own, for their running statistics."""
        first, norm, last = (self.modules[f"{layer}_{name}"] for layer in ("first", "norm", "last"))
        return last(self.dense(ops.flatten(norm(self.second(first(x))), 1)))

    def discriminator_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-V(f_a, g_a) - V(f_b, g_b), and the cross entropy of a's classes: so the shared part learns to read b (section 4)."""
        made, of_a, of_b = self.pairs(len(x.a)), self.seen(x.a, "a"), self.seen(x.b, "b")
        pair = losses.non_saturating.discriminator
        game = pair(self.head(of_a), self.head(self.seen(made[0], "a")))
        game = game + pair(self.head(of_b), self.head(self.seen(made[1], "b")))
        wrong = losses.cross_entropy(self.reader(of_a), x.y)
        return game + wrong, {"cross_entropy": wrong}

    def generator_loss(self, x: Any) -> Tensor:
        """-E log f_a(g_a(z)) - E log f_b(g_b(z))."""
        a, b = (self.head(self.seen(made, name)) for made, name in zip(self.pairs(len(x.a)), "ab", strict=True))
        return losses.non_saturating.generator(a) + losses.non_saturating.generator(b)

    def drawn(self, n: int) -> tuple[np.ndarray, ...]:
        """n pairs, the same ones at each call."""
        with self.evaluating(), self.random.apart(self.config.seed, "pairs"):
            return tuple(made.numpy() for made in self.pairs(n))

    def read(self, x: np.ndarray, name: str) -> np.ndarray:
        """The likeliest classes of images of a set, by the shared classifier."""
        with self.evaluating():
            return self.reader(self.seen(self.tensor(x), name)).numpy().argmax(axis=1)

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The classifier's accuracy on a."""
        return {"accuracy_a": float((self.read(real["a"], "a") == real["y"]).mean())}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Pairs: g_a(z) above g_b(z)."""
        return {"samples": domains.rows(*self.drawn(SHOWN))}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether pairs are pairs, and whether b is read without labels of b."""
        (of_a, of_b), (a, b), made = self.drawn(JUDGED), domains.some(real, "a", "b", count=JUDGED), []
        if change := domains.truth(real, "a", "b"):
            made.append(Check("pairs, |g_b(z) - T(g_a(z))|", domains.distance(change(of_a), of_b), "<= 0.15"))
        if judge := real.judge("a"):
            same = domains.shares(real, "b", of_b, judge.log_probabilities(of_a).argmax(axis=1))
            made += [] if same is None else [Check("pairs of one class, by the sets' judges", same, ">= 0.9")]
        if (labels := real.sets["b"].y) is not None:
            made.append(Check("accuracy on b", (self.read(b, "b") == labels[: len(b)]).mean(), ">= 0.95"))
            plain = domains.shares(real, "a", domains.fitted_to(b, a.shape[-1]), labels[: len(b)]) or 0.0
            made.append(Check("accuracy on b, above that of the judge of a", made[-1].value - plain, "> 0"))
        return made
