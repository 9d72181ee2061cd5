"""WaveGAN (Donahue, McAuley, Puckette 2018, arXiv 1802.04208): raw sound by one-dimensional convolutions.

    z (100) --> SoundUp (`sounds.py`), transposed convolutions of 25 samples, stride 4 --> sound (1,024)               G
    sound --> SoundDown, convolutions of 25 samples, stride 4, phases shuffled between them --> score                  D

The losses are those of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, eq. 3), with several steps of the critic, five there:

    min_D  E D(G(z)) - E D(x) + lambda E (|grad D(y)| - 1)^2,        min_G  -E D(G(z)),

whose optimum is p_g = p, where -L_D is lambda-close to W1(p, p_g) = 0.

Phase shuffle (ibid., section 3.3): transposed convolutions leave a period of their strides in all that they make, always at the
same phase. A critic that sees it needs to hear nothing else. So the features behind each layer but the last are moved by up to n
samples, each sequence by its own: what depends on the exact phase is no evidence any more.

What goes wrong: kernels shorter than the stride leave gaps that are heard as a tone; after few steps pitches are missing, and
what lies between two of them is made, for z is connected and pitches are not (`cwavegan.py` is told which); a spectrum looks
right long before a sound sounds pure, so that the checks tell pitch and purity apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigan import nn
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import GANConfig
from minigan.gans.gan import GAN
from minigan.gans.needs import ONLY
from minigan.gans.options import again, option
from minigan.gans.sounds import SoundDown, SoundUp, pitch_checks

JUDGED = 1000  # sounds that are judged


@dataclass(frozen=True, kw_only=True)
class WaveGANConfig(GANConfig):
    """WaveGAN's options."""

    data: str = option("tones", "sounds: a data set by name, or a path (see: minigan datasets)")
    steps: int = again(GANConfig, "steps", 1500)
    batch_size: int = again(GANConfig, "batch_size", 32, "64 there")
    loss: str = again(GANConfig, "loss", "wasserstein")
    gp: float = again(GANConfig, "gp", 10.0)
    penalty_every: int = again(GANConfig, "penalty_every", 1)
    lr: float = again(GANConfig, "lr", 1e-3, "1e-4 there")
    beta1: float = again(GANConfig, "beta1", 0.5)
    beta2: float = again(GANConfig, "beta2", 0.9)
    d_steps: int = again(GANConfig, "d_steps", 2, "5 there, in so many times the time")
    ema: float = again(GANConfig, "ema", 0.99)
    features: int = option(16, "channels f after D's first layer and before G's last; 64 there", low=1)
    shuffle: int = option(2, "n of phase shuffle (Donahue 2018, arXiv 1802.04208, section 3.3); 0: none", low=0)


class WaveGAN(GAN):
    """A critic of raw sound with shuffled phases, and a generator of upsampling convolutions."""

    Config = WaveGANConfig
    summary = "raw sound by convolutions of 25 samples, phase shuffle (Donahue et al. 2018)"
    family = "time"
    needs = "audio"
    best = None

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        return {
            "generator": SoundUp(config.latent, self.shape, config.features),
            "discriminator": SoundDown(self.seen_shape, config.features, 1, config.shuffle),
        }

    def checks(self, real: RealData) -> Sequence[Check]:
        """Which pitches there are, and how pure; each beside as many real sounds."""
        sounds, half = np.asarray(real[ONLY]), len(real[ONLY]) // 2
        made = self.sample(JUDGED, seed=real.seed)
        return [*super().checks(real), *pitch_checks(made, sounds[:half][:JUDGED], sounds[half:][:JUDGED])]
