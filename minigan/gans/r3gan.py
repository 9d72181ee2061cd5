"""R3GAN (Huang, Gokaslan, Kuleshov, Tompkin 2025, arXiv 2501.05441): a relativistic pair with two penalties.

    min_D  E softplus(-(D(x) - D(G(z)))) + gamma/2 E |grad D(x)|^2 + gamma/2 E |grad D(G(z))|^2        (section 2)
    min_G  E softplus(-(D(G(z)) - D(x)))

Each fake is judged beside a real: a fake that is good by an absolute boundary, far from the data's other modes, gains nothing by
staying there, which is why modes are not dropped (section 2.1; Sun et al. 2020, arXiv 2011.04926). D* = log p/q up to a
constant, the value log 2 - JSD(p x q, q x p). R1 alone leaves D free on fakes, R2 alone on reals; with both the game converges
locally. No normalisation in either network (norm=batch brings it back to G); Adam with beta1 = 0.

What goes wrong: gamma is a trade of sharpness against stability, and fits one scale of data; the paper lets it fall in training.

Networks by the kind of the data, see `nets.py`. The paper's are residual; what it says of the losses holds for any.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.choices import strength
from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import option
from minigan.gans.pairs import EXPLAINED


@dataclass(frozen=True, kw_only=True)
class R3GANConfig(EitherConfig):
    """Its options."""

    loss: str = option("relativistic", "pair of losses", choices=EXPLAINED)
    r1: float = strength("gamma of gamma/2 E |grad D(x)|^2 on reals", 0.1, images=1.0)
    r2: float = strength("gamma of gamma/2 E |grad D(G(z))|^2 on fakes", 0.1, images=1.0)
    penalty_every: int = option(1, "steps from one penalty to the next, which counts as many times", low=1, images=4)
    lr: float = option(1e-3, "learning rate", low=0.0, images=5e-4)
    beta1: float = option(0.0, "Adam's beta1", low=0.0, high=0.999)
    beta2: float = option(0.99, "Adam's beta2", low=0.0, high=0.99999)
    norm: str = option("none", "images: normalisation in G", choices=("none", "batch"))


class R3GAN(Either):
    """A relativistic pair, R1 and R2."""

    Config = R3GANConfig
    summary = "relativistic pair with R1 and R2 (Huang et al. 2025)"
