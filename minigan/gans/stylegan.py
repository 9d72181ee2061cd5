"""StyleGAN (Karras, Laine, Aila 2018, arXiv 1812.04948): an image from a constant, and a style at every layer.

    z --> mapping --> w --+--> style 0, 1 (7 x 7) --+--> style 2, 3 (14 x 14) --+--> style 4, 5 (28 x 28)
                          |                         |                           |
    constant -------------+--> synthesis -----------+---------------------------+--> image --> D: a logit

(see `stylenets.py`). A style sets mean and deviation of each channel by AdaIN (ibid., eq. 1), y = (1 + a) (h - mean h) / std h
+ b with (a, b) = A w, so that a layer forgets what the styles before it set, and each has an effect of its own: coarse ones
on what is shown, fine ones on how. A share `mixing` of the images gets the w of another z from a random layer on, so that
neighbouring styles do not rely on each other (ibid., section 3.1). The losses (ibid., appendix C; Goodfellow 2014, 1406.2661):

    G  minimises  -E log D(G(z))
    D  minimises  -E log D(x) - E log(1 - D(G(z))) + gamma/2 E |grad D(x)|^2   (R1: Mescheder 2018, arXiv 1801.04406, eq. 9)

the last term every 4th step, 4 times as strong (Karras et al. 2019, arXiv 1912.04958, section 3.1). At the equilibrium p_g is
the data's law and D constant: log 4 and log 2. Nothing there asks for styles that mean something; the architecture does.

What goes wrong: in a small network classes are decided at several layers at once. So it is measured: is the class kept when
fine styles are another image's (with gain 1 at full size by .35 of the pairs; with .05 by .92, with mixing by .97), and lost when
coarse ones are (.98)? Hence `fine`: what z says has to pass the coarse styles. With a gain of 1 and `mixing` .9 all z gave one
shape (2,500 steps; R1 of .1 as of 10): every mixture must pass, and styles that say nothing pass easiest. A mapping at the full
rate runs away, so it has a hundredth of it; without R1 D wins. `sample --set truncation=.7` moves w towards its mean (ibid.,
appendix B: fewer, safer images), `--set noise=0` leaves the noise out.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim, penalties
from minigan.autodiff import Tensor
from minigan.gans import stylechecks
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Number
from minigan.gans.images import Averaged, ImageConfig
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.gans.stylenets import Mapping, Scorer, Synthesis
from minigan.player import Lazy, Player

MEAN = 1000  # styles whose mean truncation goes to


@dataclass(frozen=True, kw_only=True)
class StyleGANConfig(ImageConfig):
    """StyleGAN's options."""

    steps: int = option(2000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(16, "examples a step", low=1)
    features: int = option(8, "channels f at full size; 4 f an octave below, 8 f further down", low=1)
    latent: int = option(64, "length of the noise vector z ~ N(0, 1)", low=1)
    width: int = option(64, "length of w, and of the mapping's layers", low=1)
    mixing: float = option(
        0.9, "share of images with two w (Karras 2018, arXiv 1812.04948, table 2)", low=0.0, high=1.0
    )
    fine: float = option(
        0.05, "gain of w -> (a, b) at full size (1: Karras 2018, arXiv 1812.04948); 1 elsewhere", low=0.01, high=1.0
    )
    r1: float = option(
        10.0, "gamma of R1 (Mescheder 2018, arXiv 1801.04406, eq. 9; Karras 2018: 10 for large images)", low=0.0
    )
    every: int = option(4, "steps from one R1 to the next (Karras 2019, arXiv 1912.04958, section 3.1: 16)", low=1)
    lr: float = option(2e-3, "Adam's rate, beta1 0 and beta2 .99 (Karras 2018, appendix C: .001)", low=0.0)
    slower: float = option(0.01, "the mapping's rate, of the other's (ibid.)", low=0.0)


class StyleGAN(Averaged):
    """A mapping and a synthesis network against a discriminator."""

    Config = StyleGANConfig
    summary = "a style at every layer, coarse to fine (Karras et al. 2018)"
    lesson = "24_resolution_and_style"
    family = "restoring"
    averaged = ("mapping", "synthesis")
    conditions = {"truncation": Number(0.0, 1.0, usual=1.0), "noise": Number(0.0, 1.0, usual=1.0)}  # noqa: RUF012
    mapping: Mapping
    synthesis: Synthesis
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See `stylenets.py`."""
        config = self.config
        return {
            "mapping": Mapping(config.latent, config.width),
            "synthesis": Synthesis(self.shape, config.features, config.width, config.fine),
            "discriminator": Scorer(self.shape, config.features),
        }

    def players(self) -> list[Player]:
        """Discriminator, then mapping and synthesis together."""
        config, made = self.config, {"mapping": self.mapping, "synthesis": self.synthesis}
        slow = {"mapping": {"lr": config.slower * config.lr}}
        r1 = [Lazy("r1", self.r1, every=config.every)] if config.r1 else []
        d = optim.Adam(self.discriminator, lr=config.lr, beta1=0.0, beta2=0.99)
        g = optim.Adam(made, lr=config.lr, beta1=0.0, beta2=0.99, options=slow)
        return [
            Player("discriminator", self.discriminator_loss, d, lazy=r1),
            Player("generator", self.generator_loss, g),
        ]

    def w(self, n: int, stream: str = "z") -> Tensor:
        """n styles of fresh noise."""
        return self.mapping(self.random.normal((n, self.config.latent), stream=stream))

    def mixed(self, n: int) -> Tensor:
        """n images as they are made in training: `mixing` of them change from one w to another at a random layer."""
        first, second, count = self.w(n), self.w(n, "another z"), self.synthesis.count
        change = self.random.integers((n, 1), low=1, high=count, stream="change")
        one = self.random.uniform((n, 1), stream="whether") >= self.config.mixing
        return self.synthesis([ops.where((change > layer) | one, first, second) for layer in range(count)])

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        real, fake = self.discriminator(x), self.discriminator(self.mixed(len(x)))  # apart: each compares its batch
        return losses.non_saturating.discriminator(real, fake)

    def r1(self, x: Tensor) -> Tensor:
        """gamma/2 E |grad D(x)|^2."""
        return penalties.r1(self.discriminator, x, gamma=self.config.r1)

    def generator_loss(self, x: Tensor) -> Tensor:
        """-E log D(G(z))."""
        return losses.non_saturating.generator(self.discriminator(self.mixed(len(x))))

    def generate(self, n: int, truncation: Tensor, noise: Tensor) -> Tensor:  # type: ignore[override]
        """n images, w moved to its mean: mean + truncation (w - mean)."""
        mean = ops.mean(self.w(MEAN, "mean of w"), axis=0)
        w = mean + truncation * (self.w(n) - mean)
        return ops.clip(self.synthesis([w] * self.synthesis.count, noise), -1.0, 1.0)

    def crossed(self, a: Tensor, b: Tensor, layers: range, seed: int) -> np.ndarray:
        """Images of styles a (N, width), but those of `layers`, which are b's; the same noise at every call of a seed."""
        with self.random.apart(seed, "crossed"):
            styles = [b if layer in layers else a for layer in range(self.synthesis.count)]
            return np.clip(self.synthesis(styles).numpy(), -1, 1)

    def pictures(self, real: Named[str, np.ndarray]) -> Named[str, Picture | Histogram]:
        """Samples; a table of mixed styles; truncation."""
        return {**super().pictures(real), **stylechecks.pictures_of(self)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """What coarse and fine styles, truncation and noise change."""
        return stylechecks.checks_of(self, real)
