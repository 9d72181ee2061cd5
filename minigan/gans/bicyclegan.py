"""BicycleGAN (Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman 2017, arXiv 1711.11586): many translations of one image.

    a (28 x 28), z (1) as maps --> G: U-Net --> b^                  b or b^ --> D_v, D_r: PatchGANs --> logits, one a patch
    b --> E: conv 4x4/2 f, conv 4x4/2 2f, dense 16f --> q(z | b) = N(mean, diag e^log_var)

Two cycles, on pairs (a, b) such as a grey digit and the same in some colour (ibid., section 3):

    b -> z -> b^    z ~ E(b): the conditional VAE-GAN. b^ = G(a, E(b)) should be b, and q near the prior,

        L_VAE = game(D_v) + lambda E |b - G(a, E(b))|_1 + lambda_KL E KL(E(b) || N(0, I)),      lambda = 10

    z -> b^ -> z^   z ~ N(0, I): the conditional latent regressor. The mean z^ of E(G(a, z)) should be z,

        L_LR = game(D_r) + lambda_z E |z - z^|_1,                                                lambda_z = .5

with least squares for the games: D minimises 1/2 E (D(b) - 1)^2 + 1/2 E D(b^)^2 and G E (D(b^) - 1)^2. G and E minimise both
sums; of |z - z^| only G hears, so that E cannot agree with it on hidden signs (ibid., section 3.4).
At the optimum E(b) tells which b of its a it is, and G inverts it. What goes wrong: a large lambda_KL hides b in nothing, a small
one leaves E's codes outside of the prior: with the paper's .01 z^ had a correlation of -.3 with z after 1,000 steps, with .3 .97.
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
from minigan.gans.domains import JUDGED, SHOWN, TranslationConfig, TwoSets, distance
from minigan.gans.images import Down
from minigan.gans.latents import Posterior
from minigan.gans.options import again, option
from minigan.gans.protocol import Picture
from minigan.gans.translators import PatchGAN, UNet
from minigan.player import Player, frozen

EACH, INPUTS, DRAWN = 16, 60, 5  # translations of an input that checks look at, of so many inputs; in a picture


@dataclass(frozen=True, kw_only=True)
class BicycleGANConfig(TranslationConfig):
    """BicycleGAN's options."""

    data: str = option("a=glyphs,b=glyphs+coloured", "inputs and translations, in one order: a=NAME,b=NAME")
    latent: int = option(1, "length of z ~ N(0, 1): in how many ways translations of one image differ", low=1)
    l1: float = option(10.0, "lambda: of |b - G(a, E(b))| (Zhu 2017, arXiv 1711.11586, section 4)", low=0.0)
    kl: float = option(0.3, "lambda_KL: of E's distance from the prior (.01 for 8 codes: ibid.)", low=0.0)
    code: float = option(0.5, "lambda_z: of |z - z^| (ibid.)", low=0.0)
    lr: float = again(TranslationConfig, "lr", 5e-4)


class BicycleGAN(TwoSets):
    """A generator and an encoder against two discriminators."""

    Config = BicycleGANConfig
    summary = "many translations of one image, each with a code (Zhu et al. 2017)"
    needs = {"a": "images", "b": "paired images"}  # noqa: RUF012
    averaged = ("generator", "encoder")
    best = "min L1"
    generator: UNet
    encoder: nn.Module
    D_v: nn.Module
    D_r: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, (a, b) = self.config, self.facts.shapes.values()
        below = Down(b, config.features)
        return {
            "generator": UNet(a, b[-1], config.features, inputs=config.latent),
            "encoder": nn.Sequential(below, nn.Dense(below.outputs, 2 * config.latent)),
            **{name: PatchGAN(b[-1], config.features) for name in ("D_v", "D_r")},
        }

    def players(self) -> list[Player]:
        """Both discriminators, then generator and encoder together."""
        adam, both = {"lr": self.config.lr, "beta1": self.config.beta1}, {"G": self.generator, "E": self.encoder}
        return [
            Player("discriminators", self.discriminator_loss, optim.Adam({"v": self.D_v, "r": self.D_r}, **adam)),
            Player("generator_encoder", self.generator_encoder_loss, optim.Adam(both, **adam)),
        ]

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """G(source, z)."""
        return self.generator(source, self.random.normal((n, self.config.latent), stream="z"))

    def coded(self, x: Any) -> tuple[Tensor, Posterior]:
        """G(a, z) with z ~ E(b), and E(b)."""
        q = Posterior.of(self.encoder(x.b))
        return self.generator(x.a, q.draw(self.random.normal(q.mean.shape, stream="posterior"))), q

    def discriminator_loss(self, x: Any) -> Tensor:
        """Of D_v and of D_r."""
        pair, (again, _) = losses.least_squares(), self.coded(x)
        of_v = pair.discriminator(self.D_v(x.b), self.D_v(again))
        return of_v + pair.discriminator(self.D_r(x.b), self.D_r(self.generate(len(x.a), x.a)))

    def generator_encoder_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """L_VAE + L_LR."""
        config, (again, q) = self.config, self.coded(x)
        z = self.random.normal(q.mean.shape, stream="z")
        made = self.generator(x.a, z)
        with frozen(list(self.encoder.parameters().values())):
            code = losses.l1(Posterior.of(self.encoder(made)).mean, z)
        game = ops.mean(ops.square(self.D_v(again) - 1.0)) + ops.mean(ops.square(self.D_r(made) - 1.0))
        told = {"game": game, "l1": losses.l1(again, x.b), "kl": q.kl(), "code": code}
        return game + config.l1 * told["l1"] + config.kl * told["kl"] + config.code * code, told

    def again(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """G(a, z) with z the mean of E(b)."""
        with self.evaluating():
            return self.generator(self.tensor(a), Posterior.of(self.encoder(self.tensor(b))).mean).numpy()

    def read_back(self, a: np.ndarray, seed: int) -> float:
        """The correlation of z^, the mean of E(G(a, z)), with z of the prior."""
        with self.evaluating(), self.random.apart(seed, "codes"):
            z = self.random.normal((len(a), self.config.latent), stream="z")
            again = Posterior.of(self.encoder(self.generator(self.tensor(a), z))).mean.numpy()
            return domains.correlation(z.numpy(), again)

    def many(self, a: np.ndarray, each: int) -> np.ndarray:
        """(len(a), each, H, W, C): translations of every input, of the same `each` codes."""
        return np.stack([self.translated(np.repeat(x[None], each, axis=0), self.config.seed) for x in a])

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """|b - G(a, E(b))|, and the correlation of z^ with z."""
        a, b = domains.some(real, "a", "b")
        return {"L1": distance(self.again(a, b), b), "code_correlation": self.read_back(a, self.config.seed)}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Rows: a; a translation of each by one z, another by another z, ...; G(a, E(b)); b."""
        a, b = domains.some(real, "a", "b", count=SHOWN)
        return {"samples": domains.rows(a, *self.many(a, DRAWN).swapaxes(0, 1), self.again(a, b), b)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether an input has several translations, whether they are told apart by z, and whether the class stays."""
        a, b = domains.some(real, "a", "b", count=JUDGED)
        different = domains.modes_each(self.many(a[:INPUTS], EACH), (other := distance(b, b[::-1])) / 4)
        return [
            Check("different translations of an input, of 16", different, ">= 2"),
            Check("correlation of z^ with z", self.read_back(a, real.seed), ">= 0.9"),
            Check("|b - G(a, E(b))|, of that of two images b", distance(self.again(a, b), b) / other, "<= 0.25"),
            *domains.read_check(real, "b", self.translated(a)),
        ]
