"""Unrolled GAN (Metz, Poole, Pfau, Sohl-Dickstein 2016, arXiv 1611.02163).

    theta_0 = theta,   theta_(k+1) = theta_k - eta grad L_D(theta_k; G),   k = 0, ..., K - 1        (section 2)
    min_G  L_G(theta_K(G), G)
    min_D  L_D(theta; G), as ever: the K steps are thought, not made

G's gradient has a second term, through theta_K: how D would answer. K = 0 is the plain game; K to infinity is G against
D*, where the value is log 4 - 2 JSD(p, q). With K = 0 the best answer of G is to put all mass where D is highest; a look ahead
shows that D will be lower there, so that mass is spread.

Here it is a dozen lines (`GAN.unrolled`): D's gradient as a graph, K times, and one derivative through it all.
What goes wrong: it costs K double backward passes a step; the steps are plain descent, also where D itself moves by Adam.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class UnrolledConfig(EitherConfig):
    """Its options."""

    unroll: int = again(EitherConfig, "unroll", 5, images=2)
    unroll_lr: float = again(EitherConfig, "unroll_lr", 0.3, images=0.01)
    lr: float = again(EitherConfig, "lr", 1e-3, images=2e-4)
    beta2: float = again(EitherConfig, "beta2", 0.99, images=0.999)


class Unrolled(Either):
    """A generator that foresees its discriminator."""

    Config = UnrolledConfig
    summary = "G looks K steps of D ahead (Metz et al. 2016)"
    lesson = "13_mode_collapse"
