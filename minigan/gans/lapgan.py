"""LAPGAN (Denton, Chintala, Szlam, Fergus 2015, arXiv 1506.05751): an image octave by octave, a GAN for what each one adds.

    pyramid (ibid., eq. 3)   I_0 = x,  I_k+1 = d(I_k),  h_k = I_k - u(I_k+1)        d: mean of 2 x 2 pixels, u: bilinear x 2
    back (ibid., eq. 4)      I_k = u(I_k+1) + h_k                                   exact, whatever d and u are

    coarse   z --> dense --> dense --> I_2 (7 x 7), tanh               D: I_2 --> dense --> a logit
    k = 1, 0 u(I_k+1), a plane of noise --> three conv 5x5 --> h_k     D: I_k, u(I_k+1) --> conv 5x5/2 --> conv 5x5/2 --> a logit

Each level is a conditional GAN of its own, trained on real coarse images (ibid., eq. 2 and section 2.3):

    D_k  minimises  -E log D(h, l) - E log(1 - D(G(z, l), l)),      G_k  minimises  -E log D(G(z, l), l),      l = u(I_k+1)

At the optimum G_k draws h_k given I_k+1, and the chain has the data's law: p(x) = p(I_2) p(h_1 | I_2) p(h_0 | I_1).

What goes wrong: in training each level is given real coarse images, in sampling those of the level above, whose mistakes nobody
corrects: so the levels are judged twice, on real coarse images and down the chain. The noise plane is easily ignored where l
tells nearly everything. (The paper has SGD with momentum; here Adam, as for the other models.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from minigan import data, losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.images import Averaged, ImageConfig, multiple
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.gans.pyramid import down, put_together, taken_apart, up
from minigan.gans.restoring import JUDGED, PART, relative_distance
from minigan.gans.stages import Detail, coarse_judge, coarsest, detail_judge
from minigan.player import Player

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class LAPGANConfig(ImageConfig):
    """LAPGAN's options."""

    steps: int = option(2000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(32, "examples a step", low=1)
    features: int = option(24, "channels of the convolutions (the paper: 64)", low=1)
    latent: int = option(32, "length of the coarse level's noise vector z ~ N(0, 1)", low=1)
    width: int = option(256, "hidden units of the coarse level (the paper: 1200)", low=1)
    octaves: int = option(2, "levels above the coarse one (Denton 2015, arXiv 1506.05751, section 4)", low=1, high=5)
    lr: float = option(1e-3, "Adam's rate (Kingma 2014, arXiv 1412.6980); it falls to 0 in a straight line", low=0.0)


class LAPGAN(Averaged):
    """A pair of players a level."""

    Config = LAPGANConfig
    summary = "octave by octave, a GAN for what each adds (Denton et al. 2015)"
    lesson = "24_resolution_and_style"
    family = "restoring"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring; G and D of level k are called g0, d0, g1, d1, ..."""
        config, levels, (height, width, c) = self.config, self.config.octaves, self.shape
        multiple(self.shape, 2**levels)
        small = (height >> levels, width >> levels, c)
        found: dict[str, nn.Module] = {f"g{levels}": coarsest(small, config.latent, config.width)}
        found[f"d{levels}"] = coarse_judge(small, config.width)
        for k in range(levels):
            found[f"g{k}"] = Detail(c, config.features)
            found[f"d{k}"] = detail_judge((height >> k, width >> k, 2 * c), config.features)
        return found

    @property
    def averaged(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"g{k}" for k in range(self.config.octaves + 1))

    def players(self) -> list[Player]:
        """D and G of each level, the finest first."""
        rate = self.falling(self.config.lr)
        sides = {"d": self.discriminator_loss, "g": self.generator_loss}
        return [
            Player(f"{side}{k}", partial(loss, k), optim.Adam(self.modules[f"{side}{k}"], lr=rate, beta1=0.5))
            for k in range(self.config.octaves + 1)
            for side, loss in sides.items()
        ]

    def made(self, k: int, coarse: Tensor) -> Tensor:
        """h_k for l = `coarse`."""
        return self.modules[f"g{k}"](coarse, self.random.normal((*coarse.shape[:-1], 1), stream=f"plane {k}"))

    def both(self, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """What D_k sees: I_k beside l, and one that is made beside l; at the coarsest level without l."""
        if k == self.config.octaves:
            return down(x, k), self.coarse(len(x))
        low = up(down(x, k + 1))
        real, fake = down(x, k), low + self.made(k, low)
        return ops.concatenate([real, low], axis=-1), ops.concatenate([fake, low], axis=-1)

    def discriminator_loss(self, k: int, x: Tensor) -> Tensor:
        """-E log D(h, l) - E log(1 - D(G(z, l), l))."""
        real, fake = map(self.modules[f"d{k}"], self.both(k, x))
        return losses.non_saturating.discriminator(real, fake)

    def generator_loss(self, k: int, x: Tensor) -> Tensor:
        """-E log D(G(z, l), l)."""
        return losses.non_saturating.generator(self.modules[f"d{k}"](self.both(k, x)[1]))

    def coarse(self, n: int) -> Tensor:
        """The coarsest level's images."""
        return self.modules[f"g{self.config.octaves}"](self.random.normal((n, self.config.latent), stream="z"))

    def chain(self, image: Tensor) -> Tensor:
        """From the coarsest image to I_0."""
        for k in reversed(range(self.config.octaves)):
            image = (lower := up(image)) + self.made(k, lower)
        return image

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images down the chain."""
        return ops.clip(self.chain(self.coarse(n)), -1.0, 1.0)

    # -- looking -----------------------------------------------------------------------------------------------------
    def refined(self, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """By name: the coarsest images as squares, their bicubic interpolation, what the chain makes of them, the truth."""
        with self.evaluating(), self.random.apart(seed, "refined"):
            parts = [self.tensor(x[i : i + PART]) for i in range(0, len(x), PART)]
            coarse = [down(part, self.config.octaves) for part in parts]
            made = np.concatenate([self.chain(image).numpy() for image in coarse])
        low, size = np.concatenate([image.numpy() for image in coarse]), x.shape[1:3]
        enlarged = {name: data.resize(low, size, filter=name) for name in ("nearest", "bicubic")}
        rows = {**enlarged, "made": made, "truth": x}
        return {name: np.clip(row, -1, 1).astype(np.float32) for name, row in rows.items()}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and real coarse images, in rows: squares, bicubic, what the levels add, the truth."""
        rows = list(self.refined(real["x"][:SHOWN], self.config.seed).values())
        return {**super().pictures(real), "refined": Picture(np.concatenate(rows), len(rows[0]))}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The round trip; detail against none, on real coarse images."""
        x = real["x"][:JUDGED]
        rows, judge = self.refined(x, real.seed), real.judge()
        again = put_together(*taken_apart(self.tensor(x[:PART]), self.config.octaves)).numpy()
        made = [Check("pyramid there and back, largest error", np.abs(again - x[:PART]).max(), "< 1e-6")]
        if judge is not None:
            share = relative_distance(judge, rows["made"], rows["bicubic"], x)
            made.append(Check("cFD with the levels' detail, of bicubic's", share, "< 1"))
        return made
