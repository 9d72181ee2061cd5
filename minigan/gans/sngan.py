"""Spectrally normalised GAN (Miyato, Kataoka, Koyama, Yoshida 2018, arXiv 1802.05957).

    W <- W / sigma(W)  in every layer of D, sigma the largest singular value        (eq. 8)
    sigma by one power iteration an update                                          (algorithm 1)
    min_D  E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))        (eq. 16)
    min_G  -E D(G(z))        (eq. 17)

Each layer and each leaky ReLU is then 1-Lipschitz, and so is D (eq. 7), on the whole space and not only where a penalty looks, at
the price of two products of a matrix and a vector. D* for the hinge without the constraint is sign(p - q), the value
2 - 2 TV(p, q).

What goes wrong: a kernel's matrix is not the convolution (spectral=operator is); two hidden layers of slope at most 1 cannot
follow a density of width .02, so that on the ring fakes stay around the modes; and a product of norms bounds D loosely.

Networks by the kind of the data, see `nets.py`. All of D's layers are changed, none of G's.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class SNGANConfig(EitherConfig):
    """Its options."""

    loss: str = again(EitherConfig, "loss", "hinge")
    spectral: str = again(EitherConfig, "spectral", "reshaped")
    lr: float = again(EitherConfig, "lr", 1e-3, "2e-4 in SNGAN's paper", images=2e-4)
    beta1: float = again(EitherConfig, "beta1", 0.0, images=0.5)
    beta2: float = again(EitherConfig, "beta2", 0.9, images=0.999)


class SNGAN(Either):
    """A discriminator whose every layer has norm 1."""

    Config = SNGANConfig
    summary = "spectral normalisation, hinge (Miyato et al. 2018)"
    lesson = "18_spectral_norm"
