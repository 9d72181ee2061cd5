"""WaveGAN (Donahue, McAuley, Puckette 2018, arXiv 1802.04208) that is told the pitch, by a projection discriminator.

    z (64), y (one-hot) --> SoundUp (`sounds.py`) --> sound (1,024)                                                   G
    sound --> SoundDown, phases shuffled --> numbers h; w . h + <v_y, h> --> score of "a real sound of class y"       D

The score is linear in what the class says (Miyato, Koyama 2018, arXiv 1802.05637, eq. 3): a part for all sounds and one for those
of the class. The losses are those of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, eq. 3) given y, its penalty with y held:

    min_D  E D(G(z, y), y) - E D(x, y) + lambda E (|grad_x D(u, y)| - 1)^2,        min_G  -E D(G(z, y), y),

whose optimum is p_g(x | y) = p(x | y) for each class. So no pitch can be missing, as it can be where none is asked for
(`wavegan.py`): z has to carry the phase and the loudness only, which are connected, and nothing lies between two pitches.

What goes wrong: a critic of too few steps has no opinion yet, and G hums the same for each y; a class is a pitch only where the
labels of the data say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim, penalties
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import GANConfig
from minigan.gans.conditions import Label
from minigan.gans.images import Averaged, AveragedConfig
from minigan.gans.options import again, option
from minigan.gans.sounds import SoundDown, SoundUp, heard, pitch_checks, pitches_of
from minigan.gans.wavegan import WaveGANConfig
from minigan.metrics.label_accuracy import label_accuracy
from minigan.player import Lazy, Player

JUDGED = 1000  # sounds that are judged


@dataclass(frozen=True, kw_only=True)
class CWaveGANConfig(AveragedConfig):
    """The options of a WaveGAN that is told the class."""

    data: str = again(WaveGANConfig, "data", "tones")
    steps: int = again(WaveGANConfig, "steps", 1500)
    batch_size: int = again(WaveGANConfig, "batch_size", 32)
    latent: int = again(GANConfig, "latent", 64)
    gp: float = again(GANConfig, "gp", 10.0)
    lr: float = option(1e-3, "Adam's rate, beta1 .5, beta2 .9 (Donahue 2018, arXiv 1802.04208: 1e-4)", low=0.0)
    d_steps: int = again(WaveGANConfig, "d_steps", 2)
    ema: float = again(AveragedConfig, "ema", 0.98)
    features: int = again(WaveGANConfig, "features", 16)
    shuffle: int = again(WaveGANConfig, "shuffle", 2)


class CWaveGAN(Averaged):
    """A critic of sounds and their class, a generator of both."""

    Config = CWaveGANConfig
    summary = "raw sound of the pitch that is asked for: WaveGAN with a projection"
    family = "time"
    needs = {"x": "audio", "y": "one-hot"}  # noqa: RUF012
    conditions = {"label": Label("y")}  # noqa: RUF012
    best = None
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        return {
            "generator": SoundUp(config.latent + self.classes, self.shape, config.features),
            "discriminator": SoundDown(self.shape, config.features, 1 + self.classes, config.shuffle),
        }

    def players(self) -> list[Player]:
        """The critic, several times a step, then G."""
        adam = {"lr": self.config.lr, "beta1": 0.5, "beta2": 0.9}
        penalty = [Lazy("gp", self.penalty, every=1)] if self.config.gp else []
        judge, maker = optim.Adam(self.discriminator, **adam), optim.Adam(self.generator, **adam)
        return [
            Player("discriminator", self.discriminator_loss, judge, updates=self.config.d_steps, lazy=penalty),
            Player("generator", self.generator_loss, maker),
        ]

    def generate(self, n: int, label: Tensor) -> Tensor:  # type: ignore[override]
        """n sounds G(z, y)."""
        return self.generator(ops.concatenate([self.random.normal((n, self.config.latent), stream="z"), label], axis=1))

    def score(self, y: Tensor, x: Tensor) -> Tensor:
        """D(x, y), (N, 1): w . h and v . h are the critic's last layer, of which y chooses."""
        made = self.discriminator(x)
        return made[:, :1] + ops.sum(made[:, 1:] * y, axis=1, keepdims=True)

    def discriminator_loss(self, b: Any) -> Tensor:
        """E D(G(z, y), y) - E D(x, y)."""
        fake = self.generate(len(b.x), b.y)
        return losses.wasserstein.discriminator(self.score(b.y, b.x), self.score(b.y, fake))

    def penalty(self, b: Any) -> Tensor:
        """lambda E (|grad_x D(u, y)| - 1)^2, u between x and G(z, y)."""
        fake = self.generate(len(b.x), b.y)
        return self.config.gp * penalties.gradient_penalty(partial(self.score, b.y), b.x, fake, uniform=self.random)

    def generator_loss(self, b: Any) -> Tensor:
        """-E D(G(z, y), y)."""
        return losses.wasserstein.generator(self.score(b.y, self.generate(len(b.x), b.y)))

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether a sound has the pitch that was asked for: the one that most real sounds of its class have; which pitches there
        are, and how pure."""
        sounds, labels, half = np.asarray(real["x"]), real["y"].argmax(axis=1), len(real["x"]) // 2
        pitches, asked = pitches_of(sounds), np.arange(JUDGED) % self.classes
        made, told = self.sample(JUDGED, seed=real.seed, label=asked), heard(sounds, pitches)
        usual = np.array([np.bincount(told[labels == k], minlength=1).argmax() for k in range(self.classes)])
        right = label_accuracy(usual[asked], heard(made, pitches))
        return [
            Check("pitch that was asked for", right, ">= 0.95"),
            *pitch_checks(made, sounds[:half][:JUDGED], sounds[half:][:JUDGED]),
        ]
