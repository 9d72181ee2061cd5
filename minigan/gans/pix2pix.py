"""pix2pix (Isola, Zhu, Zhou, Efros 2016, arXiv 1611.07004): a game that finds the loss between an image and its translation.

    a (28 x 28) --> G: U-Net, dropout inside --> b^ (28 x 28)
    a, and b or b^, joined along channels --> D: PatchGAN --> 7 x 7 logits of "the true translation of a", one a patch

From pairs (a, b), here outlines of digits and the digits (ibid., eq. 1, 3, 4):

    min_G max_D  E log D(a, b) + E log(1 - D(a, G(a)))  +  lambda E |b - G(a)|_1,         lambda = 100,

the absolute differences averaged over pixels in [-1, 1], the first two terms over patches, and -E log D(a, G(a)) for G.

L1 alone is least where each pixel is the median of p(b | a): where several b fit one a, something between them, hence blur and
grey. The game alone is at its optimum where G(a) has the law p(b | a), one of the true ones, but nothing ties it to the very b.
The sum has a little of the first error and less of the second. D need only see what L1 does not: textures and edges, which is why
it may judge patches (ibid., section 3.2.2), and noise z enters by dropout alone, which G learns to live with: G(a) is one image,
and not the law (`bicyclegan.py` mends that).

What goes wrong: where a tells all of b, L1 alone is as good, and the game adds only its noise. A D that wins too early leaves G
to L1; that halves D's loss, as the authors do. Batch norm samples by its running statistics here, where the authors take the
batch's, of one image.

`beside` trains one more U-Net on L1 alone, on the same pairs, to compare with; no other network hears of it.
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
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.gans.translators import PatchGAN, UNet, batch
from minigan.metrics.sharpness import gradient_energy
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig(TranslationConfig):
    """The options of pix2pix."""

    data: str = option("a=glyphs+edges,b=glyphs", "inputs and their translations, in one order: a=NAME,b=NAME")
    steps: int = option(1500, "steps to train: one update of every player each", low=0)
    features: int = option(32, "channels f after the first layers", low=1)
    l1: float = option(100.0, "lambda: of the mean absolute difference (Isola 2016, arXiv 1611.07004, eq. 4)", low=0.0)
    adversarial: float = option(1.0, "of the game in G's loss (ibid.); 0: L1 alone", low=0.0)
    dropout: float = option(0.5, "rate of dropout inside G (ibid., section 3.2.1)", low=0.0, high=0.99)
    beside: bool = option(True, "train a second G by L1 alone, to compare with (ibid., table 1)")


class Pix2Pix(TwoSets):
    """A generator against a discriminator of patches of pairs."""

    Config = Pix2PixConfig
    summary = "a translation learned from pairs, by a game and L1 (Isola et al. 2016)"
    needs = {"a": "images", "b": "paired images"}  # noqa: RUF012
    best = "min L1"
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, a, channels = self.config, self.facts.shapes["a"], self.facts.shapes["b"][-1]
        names = ("generator", "l1_generator") if config.beside else ("generator",)
        made: dict[str, nn.Module] = {n: UNet(a, channels, config.features, dropout=config.dropout) for n in names}
        return {**made, "discriminator": PatchGAN(a[-1] + channels, config.features, batch)}

    def players(self) -> list[Player]:
        """Discriminator, generator, and who learns beside them."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        made = [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]
        beside = self.modules.get("l1_generator")
        return [*made, Player("l1_alone", self.l1_loss, optim.Adam(beside, **adam))] if beside else made

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """G(source)."""
        return self.generator(source)

    def logits(self, a: Tensor, b: Tensor) -> Tensor:
        """log D / (1 - D) of every patch of the pairs (a, b)."""
        return self.discriminator(ops.concatenate([a, b], axis=-1))

    def discriminator_loss(self, b: Any) -> Tensor:
        """-1/2 E log D(a, b) - 1/2 E log(1 - D(a, G(a)))."""
        fake = self.generator(b.a)
        return 0.5 * losses.non_saturating.discriminator(self.logits(b.a, b.b), self.logits(b.a, fake))

    def generator_loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log D(a, G(a)) + lambda E |b - G(a)|."""
        fake = self.generator(b.a)
        fooled, apart = losses.non_saturating.generator(self.logits(b.a, fake)), losses.l1(fake, b.b)
        return self.config.adversarial * fooled + self.config.l1 * apart, {"game": fooled, "l1": apart}

    def l1_loss(self, b: Any) -> Tensor:
        """E |b - G'(a)| of the generator beside."""
        return losses.l1(self.modules["l1_generator"](b.a), b.b)

    def both(self, a: np.ndarray) -> dict[str, np.ndarray]:
        """What each generator makes of these."""
        with self.evaluating():
            names = {"generator": "", "l1_generator": ", L1 alone"}
            return {said: self.modules[n](self.tensor(a)).numpy() for n, said in names.items() if n in self.modules}

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Mean |b - G(a)|, and that of the generator beside."""
        a, b = domains.some(real, "a", "b")
        return {f"L1{said}": domains.distance(made, b) for said, made in self.both(a).items()}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Inputs; what L1 alone makes of them; what the game does; the truth."""
        a, b = domains.some(real, "a", "b", count=SHOWN)
        return {"samples": domains.rows(a, *reversed(self.both(a).values()), b)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Distances to the truth, as shares of those of L1 alone; sharpness; whether a judge reads the same digit."""
        (a, b), made, found = domains.some(real, "a", "b", count=JUDGED), {}, []
        for said, images in self.both(a).items():
            made[said] = (
                domains.distance(images, b),
                domains.similarity(images, b),
                gradient_energy(images) / gradient_energy(b),
            )
        (l1, alike, sharp), beside = made[""], made.get(", L1 alone")
        found.append(Check("L1", l1, "<= 0.1"))
        if alike is not None:
            found.append(Check("SSIM", alike, ">= 0.9"))
        found.append(Check("gradient energy, of the truth's", sharp, "0.9 to 1.1"))
        if beside:
            found.append(Check("L1, of that of L1 alone", l1 / beside[0], "<= 1.2"))
            found.append(
                Check(
                    "gradient energy nearer to the truth's than L1 alone's", abs(beside[2] - 1) - abs(sharp - 1), "> 0"
                )
            )
            if alike is not None and beside[1] is not None:
                found.append(Check("SSIM, above that of L1 alone", alike - beside[1], ">= -0.02"))
        return [*found, *domains.read_check(real, "b", self.translated(a))]
