"""Frame interpolation by a conditional GAN (Mathieu, Couprie, LeCun 2015, arXiv 1511.05440, between pictures, not after them).

    x_t-1, x_t+1 --> blend (x_t-1 + x_t+1) / 2 ----------------------------------+
        |                                                                        v
        +--> conv 3x3 f --> residual blocks of two conv 3x3 f --> conv 3x3 --> h, beside it --> x~_t               G
    x_t-1, x_t or x~_t, x_t+1, joined along channels --> PatchGAN (`translators.py`) --> a logit a patch          D

Any film gives the pairs of neighbours a, c = x_t-1, x_t+1 and the picture b = x_t between them. G adds to the blend: x~ =
tanh(artanh(.98 blend) + h). The losses are those of pix2pix (Isola et al. 2016, arXiv 1611.07004, eq. 1, 3, 4):

    D minimises  -E log D(a, b, c) - E log(1 - D(a, x~, c)),      G minimises  lambda E |b - x~|_1 - E log D(a, x~, c).

The blend knows of no motion: what moves stands in both places, half as bright. The absolute error is least at the median of p(b |
a, c): the picture itself at constant speed, and grey where the way between is not known. The game's optimum is that law, never
grey.

What goes wrong: what moves further than G sees is not brought together; a PSNR rewards blur, so that the game costs some of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.data import motion
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples, Number
from minigan.gans.films import FilmConfig, refilled, slowed
from minigan.gans.images import NORMAL, Averaged
from minigan.gans.needs import ONLY
from minigan.gans.options import again, option
from minigan.gans.protocol import Picture, Unsuitable
from minigan.gans.restoring import RestoringConfig, beside, quality, residual
from minigan.gans.translators import PatchGAN, batch
from minigan.metrics.sharpness import gradient_energy
from minigan.player import Player

JUDGED, LIVE, SHOWN = 500, 100, 2  # films that checks, live numbers, the picture look at


@dataclass(frozen=True, kw_only=True)
class InterpolateConfig(FilmConfig):
    """The options of frame interpolation."""

    steps: int = again(FilmConfig, "steps", 1000)
    batch_size: int = again(FilmConfig, "batch_size", 8)
    features: int = option(16, "channels f: of all of G, and after D's first layer", low=1)
    blocks: int = again(RestoringConfig, "blocks", 3)
    l1: float = option(100.0, "lambda: of the mean absolute difference (Isola 2016, arXiv 1611.07004, eq. 4)", low=0.0)
    adversarial: float = option(1.0, "of the game in G's loss (ibid.); 0: the difference alone", low=0.0)


class Interpolate(Averaged):
    """A generator of the picture between two, against a discriminator of three."""

    Config = InterpolateConfig
    summary = "the picture between two pictures of a film, beside the blend of both"
    family = "time"
    needs = "video"
    best = "max psnr gained"
    conditions = {"source": Examples(ONLY), "slow": Number(0.0, 1.0, 0.0)}  # noqa: RUF012
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring. Raises Unsuitable: films of fewer than three pictures."""
        f, channels = self.config.features, self.shape[-1]
        if self.shape[0] < 3:
            raise Unsuitable(f"got films of {self.shape[0]} pictures, expected 3 or more: cut them longer, --length 8")
        first = nn.Conv(2 * channels, f, 3, activation="leaky_relu", init="he")
        last = nn.Conv(f, channels, 3, init=NORMAL)
        return {
            "generator": nn.Sequential(first, residual(f, self.config.blocks), last),
            "discriminator": PatchGAN(3 * channels, f, batch),
        }

    def players(self) -> list[Player]:
        """D, then G."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    def between(self, before: Tensor, after: Tensor) -> Tensor:
        """x~ of pictures (N, H, W, C)."""
        return beside(0.5 * (before + after), self.generator(ops.concatenate([before, after], axis=-1)))

    def triples(self, x: Tensor) -> list[Tensor]:
        """All three neighbours of films (N, T, H, W, C): before, middle, after, each (N (T - 2), H, W, C)."""
        t = x.shape[1]
        return [ops.reshape(x[:, k : t - 2 + k], (-1, *x.shape[2:])) for k in range(3)]

    def logits(self, *three: Tensor) -> Tensor:
        """log D / (1 - D) of every patch of three pictures, in order of time."""
        return self.discriminator(ops.concatenate(three, axis=-1))

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(a, b, c) - E log(1 - D(a, x~, c))."""
        a, b, c = self.triples(x)
        return losses.non_saturating.discriminator(self.logits(a, b, c), self.logits(a, self.between(a, c), c))

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """lambda E |b - x~| - E log D(a, x~, c)."""
        a, b, c = self.triples(x)
        fake = self.between(a, c)
        fooled, apart = losses.non_saturating.generator(self.logits(a, fake, c)), losses.l1(fake, b)
        return self.config.l1 * apart + self.config.adversarial * fooled, {"l1": apart, "fooled": fooled}

    def generate(self, n: int, source: Tensor, slow: Tensor) -> Tensor:  # type: ignore[override]
        """Films whose every other picture is made of its neighbours; with `slow` >= .5, of half the speed."""
        usual = ops.reshape(slow, (-1, 1, 1, 1, 1)) < 0.5
        return ops.where(usual, refilled(source, self.between), slowed(source, self.between))

    def looked(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pictures in the middle of all three neighbours of films: true ones, blends, made ones."""
        with self.evaluating():
            a, b, c = self.triples(self.tensor(x))
            return b.numpy(), 0.5 * (a + c).numpy(), self.between(a, c).numpy()

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The PSNR above that of the blend, in decibels."""
        truth, blend, made = self.looked(np.asarray(real[ONLY][:LIVE]))
        return {"psnr gained": quality(made, truth) - quality(blend, truth)}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Films with every other picture left out; blended; made; the truth: a strip each."""
        films = np.asarray(real[ONLY][:SHOWN])
        black, blend = (
            refilled(Tensor(films), of).numpy() for of in (lambda a, c: 0 * a - 1, lambda a, c: 0.5 * (a + c))
        )
        rows = np.stack([black, blend, self.sample(len(films), source=films), films], axis=1)
        return {"samples": Picture(rows.reshape(-1, *self.shape), kind="video")}

    def checks(self, real: RealData) -> Sequence[Check]:
        """PSNR above the blend's; sharpness; of films with known truth how far the centre is from where it should be."""
        truth, blend, made = self.looked(np.asarray(real[ONLY][:JUDGED]))
        plain = quality(blend, truth)
        sharp, gained = gradient_energy(made) / gradient_energy(truth), quality(made, truth) - plain
        found = [Check("PSNR above linear blending, dB", gained, "> 0", f"blending: {plain:.1f} dB")]
        found.append(Check("gradient energy, of the truth's", sharp, "0.9 to 1.1"))
        if "vx" in real.sets[ONLY].factors:
            places, wanted = (motion.centroids(each[None])[0] for each in (made, truth))
            off = np.linalg.norm(places - wanted, axis=1)
            found.append(Check("centre, pixels off the true one", float(off.mean()), "<= 0.1"))
        return found
