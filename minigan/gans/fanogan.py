"""f-AnoGAN (Schlegl, Seebock, Waldstein, Langs, Schmidt-Erfurth 2019, Medical Image Analysis 54): a GAN learns what is normal,
then an encoder finds an image's place in it.

    phase 1    z (64) --> G --> image             x or G(z) --> D, whose last layer but one is f
    phase 2    x --> encoder --> E(x) --> G --> G(E(x)),     G and D stay as they are

First a WGAN-GP on normal images (`wgan_gp.py`: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3); one class is held out. Then the
encoder alone is trained, guided by image and features (2019, the izi_f encoder, in place of the search for a z by descent,
image by image, of AnoGAN: Schlegl et al. 2017, arXiv 1703.05921)

    L_izi_f = E |x - G(E(x))|^2 / n  +  kappa E |f(x) - f(G(E(x)))|^2 / n_f

n, n_f the numbers of pixels and of features, and the score of an image is its own two terms:

    A(x) = A_R(x) + kappa A_D(x)

At the optimum of the first phase G makes normal images and no others, and at that of the second G(E(x)) is the nearest one of
these, in that distance. What goes wrong: G must make all normal images, or a rare one scores like an anomaly; and a G that is
too good at strokes makes strangers, too. The encoder is trained on whatever G has become by then: more steps of the first phase
are worth more than of the second.

`gan_steps` of the steps are phase 1; batch norm in G counts with its running statistics in phase 2, as in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import nn, ops, optim
from minigan.autodiff import Tensor
from minigan.game import Phase
from minigan.gans.anomaly import Detector, held_out
from minigan.gans.checks import Check, RealData
from minigan.gans.held import EXAMPLES, checks_of
from minigan.gans.images import Down
from minigan.gans.options import again, option
from minigan.gans.protocol import Unsuitable
from minigan.gans.regularizers import features
from minigan.gans.wgan_gp import WGANGP, WGANGPConfig
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class FAnoGANConfig(WGANGPConfig):
    """Those of WGAN-GP, and the encoder's."""

    data: str = option("glyphs", "data set by name, or a path (see: minigan datasets)")
    held_out: int = held_out()
    steps: int = option(1800, "steps to train, in both phases", low=1)
    gan_steps: int = option(0, "steps of the first phase, G and D (Schlegl 2019); 0: two thirds", low=0)
    kappa: float = option(1.0, "weight of the features' error (Schlegl 2019, Medical Image Analysis 54)", low=0.0)
    encoder_lr: float = option(2e-4, "Adam's rate (Kingma 2014, arXiv 1412.6980) of the encoder", low=0.0)
    batch_size: int = option(64, "examples a step", low=1)
    latent: int = option(64, "length of the code z ~ N(0, 1)", low=1)
    gp: float = again(WGANGPConfig, "gp", 10.0)
    lr: float = again(WGANGPConfig, "lr", 2e-4)
    beta1: float = again(WGANGPConfig, "beta1", 0.0)
    net: str = again(WGANGPConfig, "net", "ig")
    features: int = option(32, "channels of the map before the image in G, after the first layer in D", low=1)
    decay: bool = option(False, "learning rates of G and D fall to 0 in a straight line over `steps`")
    ema: float = again(WGANGPConfig, "ema", 0.0, "must be 0: the encoder is trained for the generator as it is")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gan_steps and self.gan_steps >= self.steps:
            raise Unsuitable(
                f"gan_steps: got {self.gan_steps} of {self.steps} steps, which leaves none to the encoder; give fewer, "
                "or more steps"
            )
        if self.ema:
            raise Unsuitable(f"ema: got {self.ema}, expected 0: the encoder is trained for the generator as it is")


class FAnoGAN(Detector, WGANGP):
    """A WGAN-GP and, in a second phase, an encoder."""

    Config = FAnoGANConfig
    summary = "anomalies are what a GAN of normal images cannot make (Schlegl et al. 2019)"
    needs = Detector.needs  # type: ignore[assignment]
    encoder: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        below = Down(self.shape, self.config.features, norm=False)
        encoder = nn.Sequential(below, nn.Dense(below.outputs, self.config.latent))
        return {**super().networks(), "encoder": encoder}

    def players(self) -> list[Phase]:  # type: ignore[override]
        """Two phases."""
        adam = optim.Adam(self.encoder, lr=self.config.encoder_lr, beta1=0.5)
        return [
            Phase("gan", super().players(), steps=self.config.gan_steps or max(1, 2 * self.config.steps // 3)),
            Phase("encoder", [Player("encoder", self.encoder_loss, adam)]),
        ]

    def before_step(self) -> Sequence[Callable[[], Any]]:
        """In the second phase G and D are as in evaluation."""
        return [self.hold]

    def hold(self) -> None:
        """Batch norm is not to move what is frozen."""
        if self.game.phase.name == "encoder":
            self.generator.eval()
            self.discriminator.eval()

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A_R and A_D of each image, (N,)."""
        made = self.reconstruction(x)
        of_image = ops.mean(ops.flatten(ops.square(x - made), 1), axis=1)
        f, g = (ops.flatten(features(self.discriminator, images), 1) for images in (x, made))
        return of_image, ops.mean(ops.square(f - g), axis=1)

    def encoder_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_izi_f; both terms are reported without kappa."""
        of_image, of_features = map(ops.mean, self.residuals(x))
        return of_image + self.config.kappa * of_features, {"residual": of_image, "feature_residual": of_features}

    def reconstruction(self, x: Tensor) -> Tensor:
        """G(E(x))."""
        return self.generator(self.encoder(x))

    def score(self, x: Tensor) -> Tensor:
        """A(x)."""
        of_image, of_features = self.residuals(x)
        return of_image + self.config.kappa * of_features

    def checks(self, real: RealData) -> Sequence[Check]:
        """A detector's, and the critic's slope, on images of the classes that it was trained on."""
        normal = np.asarray(real["x"][self.trains_on(self.config, real)[:EXAMPLES]])
        with self.evaluating(), self.random.apart(real.seed, "checks"):
            held = checks_of(self, normal)
        return [*super().checks(real), *held]
