"""DRAGAN (Kodali, Abernethy, Hays, Kira 2017, arXiv 1705.07215).

    min_D  -E log D(x) - E log(1 - D(G(z))) + lambda E (|grad D(x + d)| - 1)^2        (section 2.3)
    min_G  -E log D(G(z))

with d normal around the data, here of half the batch's standard deviation, as in the authors' code; D is the logit in the
penalty. D* without it is p / (p + q), the value log 4 - 2 JSD(p, q).

Why: training as regret minimisation stops at local equilibria where D is steep around reals, and modes are lost there; the
penalty flattens these surroundings. It looks at the data alone, so it is cheap to reason about and needs no fakes.
What goes wrong: slope 1 is asked for at p = q as well, as in WGAN-GP; and nothing holds D where fakes are.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class DRAGANConfig(EitherConfig):
    """Its options."""

    dragan: float = again(EitherConfig, "dragan", 0.1, images=10.0)
    penalty_every: int = again(EitherConfig, "penalty_every", 1)
    lr: float = again(EitherConfig, "lr", 1e-3, images=2e-4)


class DRAGAN(Either):
    """Goodfellow's game with a penalty around the data."""

    Config = DRAGANConfig
    summary = "gradient penalty around the data (Kodali et al. 2017)"
    lesson = "17_gradient_penalty"
