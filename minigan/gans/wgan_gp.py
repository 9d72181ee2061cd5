"""Wasserstein GAN with gradient penalty (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017, arXiv 1704.00028).

    min_D  E D(G(z)) - E D(x) + lambda E (|grad D(y)| - 1)^2,  y = u x + (1 - u) G(z), u uniform        (eq. 3)
    min_G  -E D(G(z))

Along a segment that optimal transport moves mass on, the best 1-Lipschitz critic rises at slope 1 (proposition 1): the penalty
asks for that slope between fakes and reals. No batch norm in D, whose scores must each depend on one input. lambda is 10 for
images; the authors' toys take .1, and so does the default here (gp=10 with --data mnist).

At p = q the penalty still asks for slope 1, which a constant critic has not: the game has no rest point there, and G circles at a
distance that falls with the learning rate (Mescheder et al. 2018, arXiv 1801.04406, section 3.2): decay=true helps. One-sided
(gp=0 lp=10) only slopes above 1 cost.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.choices import strength
from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import option
from minigan.gans.pairs import EXPLAINED


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(EitherConfig):
    """Its options."""

    loss: str = option("wasserstein", "pair of losses", choices=EXPLAINED)
    gp: float = strength("lambda of E (|grad D| - 1)^2 between fakes and reals; 10 for images", 0.1)
    penalty_every: int = option(1, "steps from one penalty to the next, which counts as many times", low=1)
    lr: float = option(1e-3, "learning rate (1e-4 in the paper)", low=0.0)
    beta1: float = option(0.0, "Adam's beta1", low=0.0, high=0.999)
    beta2: float = option(0.9, "Adam's beta2", low=0.0, high=0.99999)
    d_steps: int = option(1, "updates of D a step (5 in the paper)", low=1, high=1000)


class WGANGP(Either):
    """A critic whose slope is led to 1."""

    Config = WGANGPConfig
    summary = "Wasserstein distance, gradient penalty (Gulrajani et al. 2017)"
