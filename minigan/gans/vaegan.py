"""The VAE-GAN (Larsen, Sonderby, Larochelle, Winther 2015, arXiv 1512.09300): a VAE whose error is measured by a discriminator.

    x --> encoder --> z ~ q(z | x) --+--> decoder --> x~ --+
               z_p ~ N(0, I) --------+            x_p -----+--> D_l: convolutions --> dense --> logit of "real"
                                                  x -------+

Pixels are compared no more; the likelihood is normal in D_l, the discriminator's features after its last convolution and its
batch norm (ibid., eq. 7, 8). With

    L_prior = KL(q(z | x) || N(0, I))      L_like = 1/2 E |D_l(x) - D_l(x~)|^2
    L_GAN   = log D(x) + log(1 - D(x~)) + log(1 - D(x_p))

the three networks minimise, all moving at once (ibid., eq. 9 and algorithm 1):

    encoder  L_prior + L_like          decoder  gamma L_like - L_GAN          discriminator  -L_GAN

(the decoder's half of L_GAN here in its non-saturating form). With p~, p_p the laws of x~ and x_p, the best D is p / (p + p~ +
p_p), and max L_GAN is least, log 4/27, where (p~ + p_p) / 2 = p: D = 1/3. What goes wrong: gamma weighs faithful against sharp,
and D_l changes all the time, so L_like has no fixed meaning and should not be read as progress; where D wins, its features
carry nothing; and where D_l is small beside the prior's term, the encoder gives up and all codes are one.

likelihood = "pixels" leaves the discriminator out of both other losses and measures 1/2 |x - x~|^2 in pixels: the plain VAE of
the same networks, to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.images import Averaged, Down, ImageConfig, Up
from minigan.gans.latents import Posterior, beside
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.metrics.sharpness import gradient_energy
from minigan.player import Player

JUDGED, SHOWN = 2000, 40  # images that checks look at; reconstructions in a picture
LIKELIHOODS = {"features": "D's trunk (Larsen 2015, eq. 7)", "pixels": "pixels: a plain VAE, and D does nothing"}


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig(ImageConfig):
    """The VAE-GAN's options."""

    steps: int = option(1200, "steps to train: one update of every player each", low=0)
    latent: int = option(20, "length of the code z", low=1)
    gamma: float = option(
        0.02, "weight of the feature error in the decoder's loss (Larsen 2015, arXiv 1512.09300, algorithm 1)", low=0.0
    )
    likelihood: str = option("features", "what reconstructions are compared in", choices=LIKELIHOODS)
    lr: float = option(3e-4, "learning rate of Adam (Kingma, Ba 2014, arXiv 1412.6980)", low=0.0)


class VAEGAN(Averaged):
    """Encoder, decoder and discriminator, all moving at once."""

    Config = VAEGANConfig
    summary = "VAE with a discriminator's features for pixels (Larsen et al. 2015)"
    family = "autoencoders"
    lesson = "22_autoencoders_and_adversaries"
    rule = "simultaneous"
    averaged = ("encoder", "decoder")
    encoder: nn.Module
    decoder: nn.Module
    trunk: Down
    head: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        trunk, below = Down(self.shape, config.features), Down(self.shape, config.features)
        return {
            "encoder": nn.Sequential(below, nn.Dense(below.outputs, 2 * config.latent)),
            "decoder": Up(config.latent, self.shape, config.features),
            "trunk": trunk,
            "head": nn.Dense(trunk.outputs, 1, init="normal"),
        }

    def players(self) -> list[Player]:
        """One a network; trunk and head are the discriminator."""
        adam, judging = {"lr": self.config.lr, "beta1": 0.5}, {"trunk": self.trunk, "head": self.head}
        return [
            Player("encoder", self.encoder_loss, optim.Adam(self.encoder, **adam)),
            Player("decoder", self.decoder_loss, optim.Adam(self.decoder, **adam)),
            Player("discriminator", self.discriminator_loss, optim.Adam(judging, **adam)),
        ]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n images x_p."""
        return self.decoder(self.random.normal((n, self.config.latent), stream="z"))

    def again(self, x: Tensor) -> tuple[Tensor, Posterior]:
        """x~, and the posterior that its code was drawn from."""
        q = Posterior.of(self.encoder(x))
        return self.decoder(q.draw(self.random.normal(q.mean.shape, stream="posterior"))), q

    def error(self, x: Tensor, again: Tensor) -> Tensor:
        """L_like: half the squared distance of both images, in features or in pixels, the mean over examples."""
        if self.config.likelihood == "pixels":
            return 0.5 * ops.sum(ops.square(x - again)) / len(x)
        return 0.5 * ops.sum(ops.square(self.trunk.convolved(x) - self.trunk.convolved(again))) / len(x)

    def encoder_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_prior + L_like."""
        again, q = self.again(x)
        kl, error = q.kl(), self.error(x, again)
        return kl + error, {"kl": kl, "error": error}

    def decoder_loss(self, x: Tensor) -> Tensor:
        """gamma L_like, and -E log D of both fakes."""
        again, _ = self.again(x)
        if self.config.likelihood == "pixels":
            return self.error(x, again)
        fakes = (again, self.generate(len(x)))
        fooled = sum(losses.non_saturating.generator(self.head(self.trunk(fake))) for fake in fakes)
        return self.config.gamma * self.error(x, again) + fooled

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-L_GAN: one real, two fakes."""
        real, again, drawn = (self.head(self.trunk(each)) for each in (x, self.again(x)[0], self.generate(len(x))))
        return ops.mean_softplus(real, sign=-1) + ops.mean_softplus(again) + ops.mean_softplus(drawn)

    def reconstructed(self, x: np.ndarray) -> np.ndarray:
        """Images decoded from the means of their codes."""
        with self.evaluating():
            return self.decoder(Posterior.of(self.encoder(self.tensor(x))).mean).numpy()

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; and real images beside their reconstructions."""
        x = real["x"][:SHOWN]
        return {**super().pictures(real), "reconstructions": beside(x, self.reconstructed(x))}

    def checks(self, real: RealData) -> Sequence[Check]:
        """Sharpness of reconstructions; and their error in a judge's features, of that between two images of the data."""
        x = real["x"][:JUDGED]
        again, judge = self.reconstructed(x), real.judge()
        energy = gradient_energy(again) / gradient_energy(x)
        made = [Check("gradient energy of reconstructions, of the data's", energy, "0.85 to 1.15")]
        if judge is not None:
            f, g = judge.features(x), judge.features(again)
            error = np.square(f - g).sum() / np.square(f - f[::-1]).sum()
            made.append(Check("feature error, of that of another image", error, "<= 0.4"))
        return made
