"""Denoising by a residual network against a discriminator: an image from itself and noise of known strength.

    x --> + 2 sigma n, n ~ N(0, I) --> y --> 2 x 2 pixels as channels --> conv 3x3 f --> residual blocks --> conv 3x3 --+
                                       |                                                                              |
                                       +--> artanh --> (+) --> tanh = G(y)                                            |
                                                        +<------------------------------ channels as 2 x 2 pixels <---+

sigma is a share of the range of pixels, which is 2 here. G computes what is to be added, as DnCNN does (Zhang, Zuo, Chen, Meng,
Zhang 2016, arXiv 1608.03981, eq. 1), but inside of a tanh, which black and white pixels saturate; and on images of half the side
and four times the channels, as FFDNet (Zhang et al. 2017, arXiv 1710.04026, section 3.2). It minimises

    E (x - G(y))^2 + 10^-3 E -log D(G(y)),        D  minimises  -E log D(x) - E log(1 - D(G(y)))

(the adversarial term as in SRGAN: Ledig et al. 2016, arXiv 1609.04802, eq. 3). At the minimum of the first term alone G(y) is the
posterior mean, E[x | y] = y + (2 sigma)^2 grad log p(y) (Tweedie's formula: Robbins 1956; Efron 2011): whoever removes normal
noise best has learned the score of noisy images. Of y itself the mean error is (2 sigma)^2, so that

    PSNR(y) = 10 log10(2^2 / (2 sigma)^2) = -20 log10 sigma,

which does not depend on the images. What goes wrong: y must not be clipped to [-1, 1] before it is measured, which makes the
noise smaller where images are black or white; a network of one sigma fails at another; and where noise hides everything, E[x | y]
is a blur of all digits: then the adversarial term makes a digit of it, perhaps not the one that was there.

blur > 0 spreads x by a Gaussian of that many pixels before the noise comes: deblurring, an inverse with noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.damage import blurred
from minigan.gans.images import multiple
from minigan.gans.options import again, option
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


@dataclass(frozen=True, kw_only=True)
class DenoiseConfig(RestoringConfig):
    """The denoiser's options."""

    steps: int = again(RestoringConfig, "steps", 1200)
    sigma: float = option(
        0.25, "standard deviation of the noise, of the pixels' range (Zhang 2016, arXiv 1608.03981)", low=0.0
    )
    blur: float = option(
        0.0,
        "standard deviation of a blur before it, in pixels, for deblurring as in papers on inverse problems",
        low=0.0,
    )
    adversarial: float = option(0.001, "weight of -log D (Ledig 2016, arXiv 1609.04802, eq. 3)", low=0.0)


class Denoiser(nn.Module):
    """G: see the file's docstring."""

    def __init__(self, channels: int, features: int, blocks: int) -> None:
        self.layers = nn.Sequential(
            nn.Conv(4 * channels, features, 3, activation="relu", init="he"),
            residual(features, blocks),
            nn.Conv(features, 4 * channels, 3, init="normal"),
        )

    def forward(self, y: Tensor) -> Tensor:
        """y without its noise."""
        return beside(y, ops.pixel_shuffle(self.layers(ops.pixel_unshuffle(y, 2)), 2))


class Denoise(Restorer):
    """A denoiser against a discriminator."""

    Config = DenoiseConfig
    summary = "images from noisy ones, or blurred ones (after Zhang et al. 2016)"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, channels = self.config, self.shape[-1]
        multiple(self.shape, 4)
        return {
            "generator": Denoiser(channels, config.features, config.blocks),
            "discriminator": Patches(channels, config.features),
        }

    def damaged(self, x: Tensor) -> Tensor:
        """Blurred, where that is asked for, and noisy."""
        x = blurred(x, self.config.blur) if self.config.blur else x
        return x + 2 * self.config.sigma * self.random.normal(x.shape, stream="noise")

    def shown(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """The noisy image."""
        return {"noisy": y}

    def judged(self, rows: dict[str, np.ndarray], real: RealData) -> list[Check]:
        """What was gained, and what it was before."""
        x, judge = rows["truth"], real.judge()
        noisy, clean = self.noisy_quality(x, real.seed), quality(rows["restored"], x)
        made = [
            Check("PSNR gained, dB", clean - noisy, ">= 6"),
            Check("SSIM gained", similarity(rows["restored"], x) - similarity(rows["noisy"], x), "> 0"),
        ]
        if self.config.sigma and not self.config.blur:
            formula = -20 * math.log10(self.config.sigma)
            made.insert(0, Check("PSNR of noisy images - (-20 log10 sigma), dB", noisy - formula, tolerance(x.size)))
        if judge is not None:
            share = relative_distance(judge, rows["restored"], rows["noisy"], x)
            made.append(Check("cFD of restored images, of noisy ones'", share, "<= 0.3"))
        return made

    def noisy_quality(self, x: np.ndarray, seed: int) -> float:
        """Of damaged images as they are: those of `rows` are clipped for drawing."""
        with self.evaluating(), self.random.apart(seed, "damage"):
            return quality(self.damaged(self.tensor(x)).numpy(), x)


def tolerance(pixels: int) -> str:
    """Four standard errors of 10 log10 of the mean of that many squares: each has a relative deviation of sqrt 2."""
    reach = 4 * 10 / math.log(10) * math.sqrt(2 / pixels)
    return f"{-reach:.4f} to {reach:.4f}"
