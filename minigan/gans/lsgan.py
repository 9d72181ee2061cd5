"""Least squares GAN (Mao, Li, Xie, Lau, Wang, Smolley 2016, arXiv 1611.04076).

    min_D  1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2        (eq. 2)
    min_G  1/2 E (D(G(z)) - c)^2

D is a plain number, no probability. Its optimum is D* = (b p + a q) / (p + q); with b - c = 1 and b - a = 2, as for
a, b, c = -1, 1, 0, G then minimises the Pearson divergence chi2(p + q || 2 q) (section 3). The default is 0, 1, 1.

Why: a sigmoid's loss is flat for fakes that are on the right side of the boundary yet far from the data; a square pulls them to
it. What goes wrong: where p and q do not overlap D* is 0 on all fakes, near or far, so that the game still needs a D that is
too smooth to reach its optimum; and scores without a bound let D overshoot at high rates.

Networks by the kind of the data, see `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class LSGANConfig(EitherConfig):
    """Its options."""

    loss: str = again(EitherConfig, "loss", "least_squares")


class LSGAN(Either):
    """Scores, and squares of their distance from labels."""

    Config = LSGANConfig
    summary = "least squares (Mao et al. 2016)"
    lesson = "14_least_squares_hinge_smoothing"
