"""Wasserstein GAN with gradient penalty (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017, arXiv 1704.00028).

    min_D  E D(G(z)) - E D(x) + lambda E (|grad D(y)| - 1)^2,  y = u x + (1 - u) G(z), u uniform        (eq. 3)
    min_G  -E D(G(z))

Along a segment that optimal transport moves mass on, the best 1-Lipschitz critic rises at slope 1 (proposition 1): the penalty
asks for that slope between fakes and reals. No batch norm in D, whose scores must each depend on one input. lambda is 10 for
images; the authors' toys take .1.

At p = q the penalty still asks for slope 1, which a constant critic has not: the game has no rest point there, and G circles at a
distance that falls with the learning rate (Mescheder et al. 2018, arXiv 1801.04406, section 3.2): decay=true helps. One-sided
(gp=0 lp=10) only slopes above 1 cost.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(EitherConfig):
    """Its options."""

    loss: str = again(EitherConfig, "loss", "wasserstein")
    gp: float = again(EitherConfig, "gp", 0.1, images=10.0)
    penalty_every: int = again(EitherConfig, "penalty_every", 1)
    lr: float = again(EitherConfig, "lr", 1e-3, "1e-4 in WGAN-GP's paper", images=2e-4)
    beta1: float = again(EitherConfig, "beta1", 0.0, images=0.5)
    beta2: float = again(EitherConfig, "beta2", 0.9)
    d_steps: int = again(EitherConfig, "d_steps", 1)


class WGANGP(Either):
    """A critic whose slope is led to 1."""

    Config = WGANGPConfig
    summary = "Wasserstein distance, gradient penalty (Gulrajani et al. 2017)"
    lesson = "17_gradient_penalty"
