"""R3GAN (Huang, Gokaslan, Kuleshov, Tompkin 2025, arXiv 2501.05441): a relativistic pair with two penalties.

    min_D  E softplus(-(D(x) - D(G(z)))) + gamma/2 E |grad D(x)|^2 + gamma/2 E |grad D(G(z))|^2        (section 2)
    min_G  E softplus(-(D(G(z)) - D(x)))

Each fake is judged beside a real: a fake that is good by an absolute boundary, far from the data's other modes, gains nothing by
staying there, which is why modes are not dropped (section 2.1; Sun et al. 2020, arXiv 2011.04926). D* = log p/q up to a
constant, the value log 2 - JSD(p x q, q x p). R1 alone leaves D free on fakes, R2 alone on reals; with both the game converges
locally. Adam with beta1 = 0.

The paper has no normalisation in either network. For images G has batch norm here (norm=none takes it away): in the two minutes
of a default run on digits the distance to real ones (cFD) is 69 with it and 349 without, both at lr 5e-4 (`bench/digits.py`).

What goes wrong: gamma is a trade of sharpness against stability, and fits one scale of data; the paper lets it fall in training.

Networks by the kind of the data, see `nets.py`. The paper's are residual; what it says of the losses holds for any.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.gans.nets import Either, EitherConfig
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class R3GANConfig(EitherConfig):
    """Its options."""

    steps: int = again(EitherConfig, "steps", 5000, images=2100)
    loss: str = again(EitherConfig, "loss", "relativistic")
    r1: float = again(EitherConfig, "r1", 0.1, images=1.0)
    r2: float = again(EitherConfig, "r2", 0.1, images=1.0)
    penalty_every: int = again(EitherConfig, "penalty_every", 1, images=4)
    lr: float = again(EitherConfig, "lr", 1e-3, images=2e-3)
    beta1: float = again(EitherConfig, "beta1", 0.0)
    beta2: float = again(EitherConfig, "beta2", 0.99)


class R3GAN(Either):
    """A relativistic pair, R1 and R2."""

    Config = R3GANConfig
    summary = "relativistic pair with R1 and R2 (Huang et al. 2025)"
    lesson = "12_dirac_gan"
