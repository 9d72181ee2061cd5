"""SEGAN (Pascual, Bonafonte, Serra 2017, arXiv 1703.09452): speech enhancement, from a noisy sound to a clean one.

    y (1,024) --> conv 31/4 three times (`enhancing.py`) --> c (16 x 4f), joined with z ~ N(0, I) of its shape
          --> T 31/4 three times, each but the first joined with the map of its size on the way down --> x~ (1,024)           G
    x or x~, and y, as channels --> conv 31/4 three times, batch norm --> dense --> score                                     D

y is x with noise. The losses are least squares given y (Mao et al. 2016, arXiv 1611.04076, eq. 2) and an absolute error (SEGAN,
section 3):

    D minimises  1/2 E (D(x, y) - 1)^2 + 1/2 E D(x~, y)^2,      G minimises  1/2 E (D(x~, y) - 1)^2 + lambda E |x~ - x|_1,

lambda = 100. The optimum of the game is p(x~ | y) = p(x | y), a sound that could have been, that of the error the median of
p(x | y), which is too quiet where noise hides everything. The Wiener filter beside it is the best linear one: a spectrum times
S / (S + N); it knows nothing of sounds but that they are louder than the noise, and is told the noise's true power here.

What goes wrong: with the game alone x~ sounds clean and says something else; what is quieter than the noise at all frequencies is
lost to both; a network of one noise fails at another, so that each sound gets one of several loudnesses (ibid., section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples
from minigan.gans.enhancing import Enhancer, Judge, signal_to_noise, wiener
from minigan.gans.images import Averaged, AveragedConfig
from minigan.gans.needs import ONLY
from minigan.gans.options import again, option
from minigan.gans.protocol import Picture
from minigan.gans.wavegan import WaveGANConfig
from minigan.player import Player

JUDGED, LIVE = 300, 100  # sounds that checks and live numbers look at
RATIOS = (0.0, 5.0, 10.0, 15.0)  # signal to noise in decibels


@dataclass(frozen=True, kw_only=True)
class SEGANConfig(AveragedConfig):
    """SEGAN's options."""

    data: str = option("voiced", "clean sounds: a data set by name, or a path (see: minigan datasets)")
    steps: int = again(WaveGANConfig, "steps", 1500)
    batch_size: int = again(WaveGANConfig, "batch_size", 32)
    features: int = option(16, "channels f after the first layers", low=1)
    l1: float = option(100.0, "lambda: of the mean absolute error (Pascual 2017, arXiv 1703.09452, section 3)", low=0.0)
    adversarial: float = option(1.0, "of the game in G's loss (ibid.); 0: the error alone", low=0.0)
    lr: float = option(1e-3, "Adam's rate in G, .2 of it in D; both fall to 0 (ibid., section 4.2: .0002)", low=0.0)


class SEGAN(Averaged):
    """An enhancer against a judge of sounds beside their noisy form."""

    Config = SEGANConfig
    summary = "a clean sound from a noisy one (Pascual et al. 2017)"
    family = "time"
    needs = "audio"
    conditions = {"source": Examples(ONLY)}  # noqa: RUF012
    best = "max SNR gained"
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        return {
            "generator": Enhancer(self.shape, self.config.features),
            "discriminator": Judge(self.shape, self.config.features),
        }

    def players(self) -> list[Player]:
        """D, then G."""
        return [
            Player("discriminator", self.discriminator_loss, self.adam(self.discriminator, 0.2 * self.config.lr)),
            Player("generator", self.generator_loss, self.adam(self.generator, self.config.lr)),
        ]

    def adam(self, network: nn.Module, lr: float) -> optim.Adam:
        """Of a network, whose rate begins at `lr`."""
        return optim.Adam(network, lr=optim.linear(lr, steps=max(1, self.config.steps)), beta1=0.5)

    def noisy(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y, sounds x with white noise, each at one of `RATIOS`; and the noise's deviation, (N, 1, 1)."""
        which = self.random.integers((len(x), 1, 1), high=len(RATIOS), stream="ratio")
        loud = ops.sqrt(ops.mean(ops.square(x), axis=(1, 2), keepdims=True))
        quiet = ops.take(np.array([10 ** (-r / 20) for r in RATIOS]), which)
        std = loud * ops.cast(quiet, dtype=x.dtype)
        return x + std * self.random.normal(x.shape, stream="noise"), std

    def enhanced(self, y: Tensor) -> Tensor:
        """x~ of y with fresh z."""
        return self.generator(y, lambda shape: self.random.normal(shape, stream="z"))

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """Of noisy sounds the clean ones."""
        return self.enhanced(source)

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """D(x, y), (N, 1)."""
        return self.discriminator(ops.concatenate([x, y], axis=-1))

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """1/2 E (D(x, y) - 1)^2 + 1/2 E D(x~, y)^2."""
        y, _ = self.noisy(x)
        return losses.least_squares().discriminator(self.score(x, y), self.score(self.enhanced(y), y))

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """1/2 E (D(x~, y) - 1)^2 + lambda E |x~ - x|."""
        y, _ = self.noisy(x)
        made = self.enhanced(y)
        fooled, apart = losses.least_squares().generator(self.score(made, y)), losses.l1(made, x)
        return self.config.adversarial * fooled + self.config.l1 * apart, {"fooled": fooled, "l1": apart}

    def looked(self, x: np.ndarray, seed: int) -> list[np.ndarray]:
        """Of sounds x: noisy ones, a Wiener filter's, enhanced ones."""
        with self.evaluating(), self.random.apart(seed, "noise"):
            y, std = self.noisy(self.tensor(x))
            made = self.enhanced(y).numpy()
        return [y.numpy(), wiener(y.numpy(), std.numpy()[:, 0, 0]), made]

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Decibels gained."""
        x = np.asarray(real[ONLY][:LIVE])
        noisy, _, made = (signal_to_noise(each, x).mean() for each in self.looked(x, self.config.seed))
        return {"SNR gained": made - noisy}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """A sound with noise, through a Wiener filter, enhanced, and as it was."""
        x = np.asarray(real[ONLY][:1])
        rows = np.concatenate([*self.looked(x, self.config.seed), x])
        return {"samples": Picture(np.clip(rows, -1, 1).astype(np.float32), kind="audio")}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Decibels gained, and by how many more than a Wiener filter gains."""
        x = np.asarray(real[ONLY][:JUDGED])
        noisy, plain, made = (float(signal_to_noise(each, x).mean()) for each in self.looked(x, real.seed))
        return [
            Check("SNR gained, dB", made - noisy, "> 0", f"noisy: {noisy:.1f} dB"),
            Check(
                "SNR above a Wiener filter's, dB", made - plain, "> 0", f"Wiener filter: {plain - noisy:.1f} dB gained"
            ),
        ]
