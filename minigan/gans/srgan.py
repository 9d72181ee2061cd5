"""SRGAN (Ledig, Theis, Huszar et al. 2016, arXiv 1609.04802): images with r times as many pixels a side.

    x (28 x 28) --> mean of r x r --> y (7 x 7) --> conv 3x3 f --> residual blocks --> conv 3x3 r^2 f/4 --> pixel shuffle r --+
                                       |                                                                                    |
                                       +--> bilinear --> artanh --> (+) --> tanh = G(y)                                     |
                                                                     +<---------------------------------- conv 3x3 c <------+

Two such networks learn from the same pairs, so that one run shows what each is good for (ibid., eq. 4 and 3, table 2):

    SRResNet  minimises  l_MSE = E (x - G(y))^2
    SRGAN     minimises  l_content + 10^-3 l_gen,   l_gen = E -log D(G(y)),   against D

    content = "pixels"    l_content = l_MSE ("SRGAN-MSE")
    content = "features"  E (phi(x) - phi(G(y)))^2 (ibid., eq. 5), phi the features of D's last layer but one, in place of VGG's,
                          which took a million labelled photographs

The minimum of l_MSE is G(y) = E[x | y], the mean of all sharp images that y may come from: no image has a smaller error, and it
is blurred. SRGAN's G is to return one of them: at D's equilibrium G(y) has the law of x, and in the Gaussian case twice the
error (Blau, Michaeli 2017, arXiv 1711.06077: no method has both). So PSNR falls, and the Frechet distance falls too.

What goes wrong: l_gen far above 10^-3 makes detail that was never there, far below it nothing. (The adversarial term is larger
here, see --help: an error of pixels in [-1, 1] is not one of VGG's features.) G begins as the bilinear image (as Kim et al. 2015,
arXiv 1511.04587, do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import data, losses, nn, ops
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.images import multiple
from minigan.gans.options import option
from minigan.gans.restoring import (
    Patches,
    Restorer,
    RestoringConfig,
    beside,
    quality,
    relative_distance,
    residual,
    similarity,
)  # fmt: skip
from minigan.player import Player

CONTENTS = {"pixels": "their squared error (Ledig 2016, eq. 4)", "features": "that of D's features (ibid., eq. 5)"}


@dataclass(frozen=True, kw_only=True)
class SRGANConfig(RestoringConfig):
    """SRGAN's options."""

    scale: int = option(
        4, "r, pixels a side that become one (Ledig 2016: 4)", choices={2: "28 from 14", 4: "28 from 7"}
    )
    content: str = option("pixels", "what the adversarial model's error is of", choices=CONTENTS)
    adversarial: float = option(
        0.01, "weight of -log D (Ledig 2016, arXiv 1609.04802, eq. 3: .001, with an error of VGG's features)", low=0.0
    )


class Enlarger(nn.Module):
    """G: see the file's docstring."""

    def __init__(self, channels: int, features: int, blocks: int, scale: int) -> None:
        self.scale = scale
        self.head = nn.Conv(channels, features, 3, activation="relu", init="he")
        self.body = residual(features, blocks)
        fine = max(1, features // 4)
        self.up = nn.Conv(features, fine * scale**2, 3, activation="relu", init="he")
        self.tail = nn.Conv(fine, channels, 3, init="normal")

    def forward(self, y: Tensor) -> Tensor:
        """An image r times as large."""
        h = ops.pixel_shuffle(self.up(self.body(self.head(y))), self.scale)
        return beside(ops.upsample(y, scale=self.scale, mode="bilinear"), self.tail(h))


class SRGAN(Restorer):
    """A generator of least error, and one against a discriminator."""

    Config = SRGANConfig
    summary = "super-resolution: least error beside likeness (Ledig et al. 2016)"
    averaged = ("generator", "resnet")
    resnet: nn.Module
    discriminator: Patches

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, channels = self.config, self.shape[-1]
        multiple(self.shape, 4)
        make = lambda: Enlarger(channels, config.features, config.blocks, config.scale)  # noqa: E731
        return {"generator": make(), "resnet": make(), "discriminator": Patches(channels, config.features)}

    def players(self) -> list[Player]:
        """The three networks."""
        return [*super().players(), Player("resnet", self.resnet_loss, self.adam(self.resnet, self.config.lr))]

    def damaged(self, x: Tensor) -> Tensor:
        """Means of r x r pixels."""
        return ops.avg_pool(x, window=self.config.scale)

    def resnet_loss(self, x: Tensor) -> Tensor:
        """l_MSE."""
        return losses.mse(self.resnet(self.damaged(x)), x)

    def distance(self, x: Tensor, made: Tensor) -> Tensor:
        """l_content."""
        if self.config.content == "pixels":
            return super().distance(x, made)
        return losses.mse(self.discriminator.features(made), self.discriminator.features(x))

    def restorers(self) -> Mapping[str, nn.Module]:
        """Both."""
        return {"least_error": self.resnet, "restored": self.generator}

    def shown(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """Coarse pixels as squares, and the bicubic interpolation."""
        size = (y.shape[1] * self.config.scale, y.shape[2] * self.config.scale)
        return {name: data.resize(y, size, filter=name) for name in ("nearest", "bicubic")}

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """PSNRs in decibels: of SRGAN, and of SRResNet beyond the bicubic interpolation's."""
        return self.levels(self.rows(real["x"][:200], self.config.seed))

    def levels(self, rows: dict[str, np.ndarray]) -> dict[str, float]:
        """See `metrics`."""
        of: Any = {name: quality(images, rows["truth"]) for name, images in rows.items()}
        return {"psnr": of["restored"], "gain": of["least_error"] - of["bicubic"]}

    def judged(self, rows: dict[str, np.ndarray], real: RealData) -> list[Check]:
        """Least error beats bicubic; and the trade-off between error and likeness."""
        x, judge = rows["truth"], real.judge()
        db, alike = ({k: f(v, x) for k, v in rows.items() if k != "truth"} for f in (quality, similarity))
        made = [
            Check("SRResNet's PSNR above bicubic's, dB", db["least_error"] - db["bicubic"], ">= 1"),
            Check("SRResNet's SSIM above bicubic's", alike["least_error"] - alike["bicubic"], "> 0"),
            Check("SRGAN's PSNR above SRResNet's, dB", db["restored"] - db["least_error"], "< 0"),
        ]
        if judge is not None:
            first = relative_distance(judge, rows["least_error"], rows["bicubic"], x)
            second = relative_distance(judge, rows["restored"], rows["least_error"], x)
            made.append(Check("cFD of SRResNet, of bicubic's", first, "< 1"))
            made.append(Check("cFD of SRGAN, of SRResNet's", second, "< 1"))
        return made
