"""What models that restore images share: a known damage, networks, the two losses, PSNR beside baselines, pictures in rows.

    x --> damage --> y --> G --> x~          D: x or x~ --> conv 4x4/2 f --> conv 4x4/2 2f --> conv 3x3 4f --> a logit a patch

The pairs (y, x) are made here, so the truth is known. G minimises an error of x~ plus a little of -log D, D what it always does:

    G  minimises  E error(x, x~) + weight E -log D(x~)           D  minimises  -E log D(x) - E log(1 - D(x~))

D's logits are one for each patch of about 16 pixels, and a mean over all of them (Isola et al. 2016, arXiv 1611.07004, section
3.2.2), so that images may be of any size. Of the residual blocks batch norm is left out, as by Lim et al. 2017 (arXiv 1707.02921,
section 3.1): it costs accuracy where brightness counts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples
from minigan.gans.images import NORMAL, Averaged, ImageConfig
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.psnr import psnr
from minigan.metrics.ssim import ssim
from minigan.player import Player

RANGE, LIMIT = 2.0, 0.98  # of pixels in [-1, 1]; of what artanh is taken
JUDGED, LIVE = 1000, 200  # images that checks and live numbers look at
COLUMNS, PART = 10, 100  # of a picture; images made at once


@dataclass(frozen=True, kw_only=True)
class RestoringConfig(ImageConfig):
    """The options of a model that restores images."""

    steps: int = option(1500, "steps to train: one update of every player each", low=0)
    batch_size: int = option(32, "examples a step", low=1)
    blocks: int = option(4, "residual blocks of two convolutions in G (He 2015, arXiv 1512.03385)", low=0)
    lr: float = option(
        1e-3, "Adam's rate in G (Kingma 2014, arXiv 1412.6980); all fall to 0 in a straight line", low=0.0
    )
    d_lr: float = option(2e-4, "that in D (Radford 2015, arXiv 1511.06434)", low=0.0)


class Patches(nn.Module):
    """D: a logit for each patch, (N, H/4, W/4, 1)."""

    def __init__(self, channels: int, features: int) -> None:
        self.first = nn.Conv(channels, features, 4, stride=2, activation="leaky_relu", init=NORMAL)
        self.rest = nn.Sequential(
            nn.Conv(features, 2 * features, 4, stride=2, bias=False, init=NORMAL),
            nn.BatchNorm(2 * features, activation="leaky_relu"),
            nn.Conv(2 * features, 4 * features, 3, bias=False, init=NORMAL),
            nn.BatchNorm(4 * features, activation="leaky_relu"),
        )
        self.last = nn.Conv(4 * features, 1, 3, init=NORMAL)

    def features(self, x: Tensor) -> Tensor:
        """What the logits are read from."""
        return self.rest(self.first(x))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.last(self.features(x))


def residual(features: int, blocks: int) -> nn.Module:
    """h + (blocks of h + conv ReLU conv) -> conv: the body of an SRResNet (Ledig 2016, arXiv 1609.04802, fig. 4)."""
    made = [
        nn.Residual(nn.Conv(features, features, 3, activation="relu", init="he"), nn.Conv(features, features, 3))
        for _ in range(blocks)
    ]
    return nn.Residual(*made, nn.Conv(features, features, 3))


def beside(y: Tensor, h: Tensor) -> Tensor:
    """tanh(artanh(.98 y) + h), y clipped to [-1, 1]: y itself (nearly) for h = 0, and black or white are reached by large h."""
    u = LIMIT * ops.clip(y, -1.0, 1.0)
    return ops.tanh(0.5 * ops.log((1.0 + u) / (1.0 - u)) + h)


class Restorer(Averaged):
    """G restores what `damaged` did; D is optional (`weight` 0 leaves it unused by G)."""

    Config = RestoringConfig
    family = "restoring"
    lesson = "24_resolution_and_style"
    best = "max psnr"
    conditions = {"source": Examples("x")}  # noqa: RUF012
    error: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(losses.mse)
    generator: nn.Module
    discriminator: nn.Module

    @abstractmethod
    def damaged(self, x: Tensor) -> Tensor:
        """y, what G reads of images x."""

    @abstractmethod
    def shown(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """By name, images of x's shape that need no learning: the damaged one as it is drawn first, then baselines."""

    @property
    def weight(self) -> float:
        """Of D in G's loss."""
        return self.config.adversarial

    def players(self) -> list[Player]:
        """Discriminator, then generator."""
        return [
            Player("discriminator", self.discriminator_loss, self.adam(self.discriminator, self.config.d_lr)),
            Player("generator", self.generator_loss, self.adam(self.generator, self.config.lr)),
        ]

    def adam(self, network: nn.Module, lr: float) -> optim.Adam:
        """Of a network, whose rate begins at `lr`."""
        return optim.Adam(network, lr=self.falling(lr))

    def restored(self, y: Tensor, network: nn.Module) -> Tensor:
        """x~ of y by one of the networks."""
        return network(y)

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """Images that are damaged, and restored."""
        return ops.clip(self.restored(self.damaged(source), self.generator), -1.0, 1.0)

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(x~))."""
        fake = self.restored(self.damaged(x), self.generator)
        return losses.non_saturating.discriminator(self.discriminator(x), self.discriminator(fake))

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """E error(x, x~) - weight E log D(x~)."""
        made = self.restored(self.damaged(x), self.generator)
        fooled, error = losses.non_saturating.generator(self.discriminator(made)), self.distance(x, made)
        return error + self.weight * fooled, {"error": error, "fooled": fooled}

    def distance(self, x: Tensor, made: Tensor) -> Tensor:
        """E error(x, x~)."""
        return type(self).error(made, x)

    # -- looking -----------------------------------------------------------------------------------------------------
    def restorers(self) -> Mapping[str, nn.Module]:
        """The networks that restore, by the names of the pictures' rows."""
        return {"restored": self.generator}

    def rows(self, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """For images x, by name in the order of a picture's rows: the damaged ones, baselines, what networks make, the truth."""
        found: list[dict[str, np.ndarray]] = []
        with self.evaluating(), self.random.apart(seed, "damage"):
            for start in range(0, len(x), PART):
                y = self.damaged(self.tensor(x[start : start + PART]))
                made = {name: self.restored(y, network).numpy() for name, network in self.restorers().items()}
                found.append({**self.shown(y.numpy()), **made})
        joined = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        return {**{name: np.clip(v, -1, 1).astype(np.float32) for name, v in joined.items()}, "truth": x}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """A row each: see `rows`."""
        rows = self.rows(real["x"][:COLUMNS], self.config.seed)
        return {"samples": Picture(np.concatenate(list(rows.values())), min(COLUMNS, len(real["x"])))}

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The mean PSNR of restored images, in decibels."""
        rows = self.rows(real["x"][:LIVE], self.config.seed)
        return {"psnr": quality(rows["restored"], rows["truth"])}

    def checks(self, real: RealData) -> Sequence[Check]:
        """See the model's file."""
        return self.judged(self.rows(real["x"][:JUDGED], real.seed), real)

    @abstractmethod
    def judged(self, rows: dict[str, np.ndarray], real: RealData) -> list[Check]:
        """The checks, from the rows of pictures."""


def quality(made: np.ndarray, x: np.ndarray) -> float:
    """The PSNR of the mean squared error of all images, in decibels: of them as one (at most that of an error of 1e-10)."""
    one, other = (each.reshape(1, -1, 1, 1) for each in (made, x))
    return min(10 * float(np.log10(RANGE**2 / 1e-10)), float(psnr(one, other, data_range=RANGE)[0]))


def similarity(made: np.ndarray, x: np.ndarray) -> float:
    """The mean SSIM, in windows of 7 x 7."""
    return float(ssim(made, x, data_range=RANGE, window="uniform").mean())


def relative_distance(judge: Any, made: np.ndarray, plain: np.ndarray, x: np.ndarray) -> float:
    """cFD of images `made` to the truth x, as a share of that of plainer ones; each set by the judge's features."""
    truth, better, worse = (judge.features(images) for images in (x, made, plain))
    return frechet_distance(truth, better) / max(1e-12, frechet_distance(truth, worse))
