"""GANomaly (Akcay, Atapour-Abarghouei, Breckon 2018, arXiv 1805.06725): what cannot be encoded twice alike is an anomaly.

    x --> encoder --> z (100) --> decoder --> x^ --> again --> z^
    x or x^ --> trunk f --> head: logit of "an image of the data"

Trained on normal images only: one class is held out (`held_out`). Encoder, decoder and second encoder minimise (ibid., eq. 5)

    L = w_adv L_adv + w_con L_con + w_enc L_enc           with weights 1, 50, 1
    L_adv = E |f(x) - f(x^)|^2     (eq. 2: feature matching; E f in the paper, pair by pair in the authors' program)
    L_con = E |x - x^|_1           (eq. 3)
    L_enc = E |z - z^|^2           (eq. 4)

each a mean over coordinates, too, and the discriminator  -E log D(x) - E log(1 - D(x^)). At L = 0 images of the normal classes
return as they were and have their code twice; nothing was asked of other images, and the score of one is (eq. 6, 7)

    A(x) = |z - z^|_1 / length of z,     shown as (A - min A) / (max A - min A) over the images that are judged.

What goes wrong: nothing but luck keeps a stranger's score high. A class that is made of the same strokes as the others, and
simpler, is encoded well without being seen: held out, digit 1 is told worse the longer one trains. And an epoch chosen by its
AUROC is chosen by the anomalies: fix it beforehand.

Differences: images keep their size (the paper pads 28 pixels to 32), a dense layer makes the code of 7 x 7; f = 32 (64 there).
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.anomaly import Detector, held_out
from minigan.gans.images import NORMAL, Up, quarter
from minigan.gans.options import Config, option
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class GANomalyConfig(Config):
    """GANomaly's options."""

    held_out: int = held_out()
    steps: int = option(600, "steps to train: one update of every player each", low=0)
    latent: int = option(100, "length of the code z", low=1)
    features: int = option(32, "channels after the first convolution of each encoder and of D (the paper: 64)", low=1)
    w_adv: float = option(1.0, "weight of the features' error L_adv (Akcay 2018, arXiv 1805.06725)", low=0.0)
    w_con: float = option(50.0, "weight of the images' error L_con (ibid.)", low=0.0)
    w_enc: float = option(1.0, "weight of the codes' error L_enc (ibid.)", low=0.0)
    lr: float = option(2e-4, "learning rate of Adam (Kingma, Ba 2014, arXiv 1412.6980)", low=0.0)


class GANomaly(Detector):
    """Two encoders and a decoder against a discriminator."""

    Config = GANomalyConfig
    best = "min l_con"
    summary = "anomalies are not encoded twice alike (Akcay et al. 2018)"
    encoder: nn.Module
    decoder: nn.Module
    again: nn.Module
    trunk: nn.Module
    head: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        latent, features = self.config.latent, self.config.features
        height, width = quarter(self.shape)
        outputs = height * width * 2 * features
        return {
            "encoder": nn.Sequential(*self.down(), nn.Dense(outputs, latent, init=NORMAL)),
            "decoder": Up(latent, self.shape, features),
            "again": nn.Sequential(*self.down(), nn.Dense(outputs, latent, init=NORMAL)),
            "trunk": nn.Sequential(*self.down()),
            "head": nn.Dense(outputs, 1, init=NORMAL),
        }

    def down(self) -> list[nn.Module]:
        """From images to vectors: convolutions 4 x 4 with stride 2, leaky ReLU, batch norm before the second one."""
        f = self.config.features
        return [
            nn.Conv(self.shape[-1], f, 4, stride=2, activation="leaky_relu", init=NORMAL),
            nn.Conv(f, 2 * f, 4, stride=2, bias=False, init=NORMAL),
            nn.BatchNorm(2 * f, activation="leaky_relu"),
            nn.Flatten(),
        ]

    def players(self) -> list[Player]:
        """Discriminator first, then the three others together."""
        making = {"encoder": self.encoder, "decoder": self.decoder, "again": self.again}
        judging, adam = {"trunk": self.trunk, "head": self.head}, {"lr": self.config.lr, "beta1": 0.5}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(judging, **adam)),
            Player("generator", self.generator_loss, optim.Adam(making, **adam)),
        ]

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(x^))."""
        logits = [self.head(self.trunk(images)) for images in (x, self.reconstruction(x))]
        return losses.non_saturating.discriminator(*logits)

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L; its three terms are reported without their weights."""
        config, z = self.config, self.encoder(x)
        made = self.decoder(z)
        terms = {
            "l_adv": losses.mse(self.trunk(x), self.trunk(made)),
            "l_con": losses.l1(x, made),
            "l_enc": losses.mse(z, self.again(made)),
        }
        return config.w_adv * terms["l_adv"] + config.w_con * terms["l_con"] + config.w_enc * terms["l_enc"], terms

    def reconstruction(self, x: Tensor) -> Tensor:
        """x^."""
        return self.decoder(self.encoder(x))

    def score(self, x: Tensor) -> Tensor:
        """A(x)."""
        z = self.encoder(x)
        return ops.mean(ops.abs(z - self.again(self.decoder(z))), axis=1)
