"""Wasserstein GAN (Arjovsky, Chintala, Bottou 2017, arXiv 1701.07875).

    W1(p, q) = max over 1-Lipschitz f of E f(x) - E f(G(z))        (eq. 2, Kantorovich and Rubinstein)
    min_D  E D(G(z)) - E D(x),  then every weight of D clipped to [-c, c]        (algorithm 1)
    min_G  -E D(G(z))

Five updates of the critic a step, by RMSProp: the paper found Adam unstable here. The critic's loss is minus an estimate of
K W1, with a K that the clipping leaves open; at p = q it is 0.

Why: W1 is continuous in G, and its gradient does not vanish where p and q do not overlap.
What goes wrong: "weight clipping is a clearly terrible way to enforce a Lipschitz constraint" (ibid., section 3): with a small c
gradients shrink from layer to layer, with a large one training to the optimum takes long; and weights go to the two ends +-c
(Gulrajani et al. 2017, figure 1). See `wgan_gp` and `sngan`.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class WGANConfig(EitherConfig):
    """Its options."""

    loss: str = again(EitherConfig, "loss", "wasserstein")
    clip: float = again(EitherConfig, "clip", 0.1, "0.01 there, with lr=5e-5", images=0.01)
    optimizer: str = again(EitherConfig, "optimizer", "rmsprop")
    beta2: float = again(EitherConfig, "beta2", 0.99, "here RMSProp's rho")
    lr: float = again(EitherConfig, "lr", 5e-4, "5e-5 in WGAN's paper", images=2e-4)
    d_steps: int = again(EitherConfig, "d_steps", 5)


class WGAN(Either):
    """A critic with clipped weights."""

    Config = WGANConfig
    summary = "Wasserstein distance, clipped weights (Arjovsky et al. 2017)"
    lesson = "16_wgan_and_clipping"
