"""What a two-player GAN can be set to: its loss, its regularisers, what its players see, and how they move.

Each option is off by default and says where it comes from. A model's own dataclass gives other defaults: a GAN of the
literature is a loss, a regulariser and a few numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan.gans.options import Config, option
from minigan.gans.pairs import EXPLAINED, pair_of
from minigan.gans.protocol import Unsuitable

OPTIMIZERS = {
    "adam": "Kingma, Ba 2014, arXiv 1412.6980",
    "optimistic_adam": "expects its last step once more: Daskalakis 2017, arXiv 1711.00141, algorithm 1",
    "rmsprop": "Tieleman, Hinton 2012; beta2 is its rho",
    "sgd": "plain descent; beta1 is its momentum",
}
ORDERS = {
    "alternating": "D, then G against the new D (Goodfellow 2014, algorithm 1)",
    "simultaneous": "both at the same point (Nagarajan, Kolter 2017, arXiv 1706.04156)",
    "extragradient": "both look a step ahead and step by the gradients there (Gidel 2018, arXiv 1802.10551)",
}
SPECTRAL = {
    "none": "weights as they are",
    "reshaped": "over the largest singular value of the kernel as a matrix (Miyato 2018, arXiv 1802.05957)",
    "operator": "over that of the whole convolution (Sedghi 2018, arXiv 1805.10408; minigan/nn/operator_norm.py)",
}
NORMS = {"none": "none", "batch": "by each batch's mean and variance (Ioffe, Szegedy 2015, arXiv 1502.03167)"}
AUGMENTATIONS = {
    "none": "examples as they are",
    "color": "brightness, saturation and contrast",
    "translation": "moved by up to an eighth of the side",
    "cutout": "half of the side cut out in both directions",
    "color,translation": "both, one after the other",
    "color,translation,cutout": "all three, the authors' choice for few images",
}


def strength(help: str, default: float = 0.0, **limits: Any) -> Any:
    """An option that is a number >= 0, 0 for none."""
    return option(default, f"{help}; 0 for none", **{"low": 0.0, **limits})


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """The options of a two-player GAN.

    Raises:
        ValueError: a value outside the limits of its option.
        Unsuitable: options that do not go together.
    """

    latent: int = option(100, "length of the noise vector z ~ N(0, 1)", low=1)
    # -- the loss
    loss: str = option(
        "non_saturating", "pair of losses; minigan/losses.py derives each with its optimum", choices=EXPLAINED
    )
    a: float = option(0.0, "least_squares: score that D gives to fakes (Mao 2016, arXiv 1611.04076, eq. 2)")
    b: float = option(1.0, "least_squares: score that D gives to reals (ibid.)")
    c: float = option(
        1.0, "least_squares: score that G wants; a=-1 b=1 c=0 is the Pearson divergence (ibid., section 3.2)"
    )
    label_real: float = option(
        1.0, "label of reals, .9 smooths one side (Salimans 2016, arXiv 1606.03498, 3.4)", low=0.0, high=1.0
    )
    label_fake: float = option(0.0, "label of fakes, .1 smooths the other side too (ibid.)", low=0.0, high=1.0)
    noise: float = strength("standard deviation of noise on all that D sees (Sonderby 2016, arXiv 1610.04490)")
    noise_steps: int = option(
        0, "steps in which that noise falls to 0 in a straight line, as is done there; 0: it stays", low=0
    )
    # -- penalties on D's gradient
    r1: float = strength("gamma of R1, gamma/2 E |grad D(x)|^2 on reals (Mescheder 2018, arXiv 1801.04406, eq. 9)")
    r2: float = strength("gamma of R2, the same on fakes (ibid., eq. 10)")
    zero_gp: float = strength("gamma of the same between fakes and reals (Thanh-Tung 2019, arXiv 1902.03984)")
    gp: float = strength("lambda of WGAN-GP, E (|grad D| - 1)^2 between them (Gulrajani 2017, arXiv 1704.00028, eq. 3)")
    lp: float = strength("lambda of its one-sided form, E max(0, |grad D| - 1)^2 (Petzka 2017, arXiv 1709.08894)")
    dragan: float = strength("lambda of DRAGAN, E (|grad D| - 1)^2 around the data (Kodali 2017, arXiv 1705.07215)")
    penalty_every: int = option(
        4, "steps from one penalty to the next, which counts as many times (Karras 2019, arXiv 1912.04958)", low=1
    )
    consensus: float = strength(
        "gamma of gamma/2 |field|^2 for both players (Mescheder 2017, arXiv 1705.10461, section 4)"
    )
    # -- constraints on weights
    clip: float = strength("D's weights are clipped to [-c, c] after every update (Arjovsky 2017, arXiv 1701.07875)")
    spectral: str = option("none", "D's weights over their largest singular value", choices=SPECTRAL)
    weight_norm: bool = option(False, "D's weights as length times direction (Salimans, Kingma 2016, arXiv 1602.07868)")
    orthogonal: float = strength("beta of |W^T W (1 - I)|^2 for G (Brock 2018, arXiv 1809.11096, eq. 3)")
    historical: float = strength(
        "weight of |theta - mean of the past|^2 for both (Salimans 2016, arXiv 1606.03498, 3.3)"
    )
    # -- what D sees
    pack: int = option(1, "examples that D judges together (PacGAN: Lin 2017, arXiv 1712.04086)", low=1)
    minibatch: int = option(
        0, "kernels of minibatch discrimination in D (Salimans 2016, arXiv 1606.03498, 3.2); 0 for none", low=0
    )
    minibatch_std: bool = option(
        False, "D gets the batch's standard deviation (Karras 2017, arXiv 1710.10196, section 3)"
    )
    pool: int = option(0, "fakes kept for D to see again (Shrivastava 2016, arXiv 1612.07828, 2.3); 0 for none", low=0)
    augment: str = option(
        "none",
        "what D sees is augmented, reals and fakes alike (DiffAugment: Zhao 2020, arXiv 2006.10738)",
        choices=AUGMENTATIONS,
    )
    ada: float = strength(
        "target of E sign D(x), by which the share of augmented examples is led (Karras 2020, arXiv 2006.06676)",
        high=0.99,
    )
    ada_images: int = option(50_000, "examples in which that share can rise from 0 to 1 (ibid.: 500,000)", low=1)
    # -- what G minimises
    feature_matching: bool = option(
        False, "G minimises |E f(x) - E f(G(z))|^2, f before D's last layer (Salimans 2016, arXiv 1606.03498, 3.1)"
    )
    unroll: int = option(0, "steps of D that G looks ahead (Metz 2016, arXiv 1611.02163); 0 for none", low=0, high=100)
    unroll_lr: float = option(0.3, "rate of these steps of plain descent (ibid.)", low=0.0)
    # -- how they move
    optimizer: str = option(
        "adam", "of both players (optimistic: Daskalakis 2017, arXiv 1711.00141)", choices=OPTIMIZERS
    )
    lr: float = option(2e-4, "learning rate (2e-4: Radford 2015, arXiv 1511.06434)", low=0.0)
    d_lr: float = strength("D's learning rate, where it is another one (TTUR: Heusel 2017, arXiv 1706.08500)")
    beta1: float = option(
        0.5, "Adam's beta1, decay of the mean gradient (.5: Radford 2015, arXiv 1511.06434)", low=0.0, high=0.999
    )
    beta2: float = option(
        0.999, "Adam's beta2, decay of the mean square (Kingma, Ba 2014, arXiv 1412.6980)", low=0.0, high=0.99999
    )
    decay: bool = option(
        False,
        "learning rates fall to 0 in a straight line over `steps`; a run that is made longer follows the longer line",
    )
    d_steps: int = option(1, "updates of D a step (Goodfellow 2014, algorithm 1: k; WGAN: 5)", low=1, high=1000)
    rule: str = option("alternating", "in which order the players move", choices=ORDERS)
    ema: float = strength(
        "decay of the averaged generator that samples are drawn from (Yazici 2018, arXiv 1806.04498)", high=0.99999
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        pair_of(self)
        self._check_pairs_of_options()

    def _check_pairs_of_options(self) -> None:
        if self.rule != "alternating" and self.d_steps != 1:
            raise Unsuitable(
                f"d_steps: got {self.d_steps} with rule={self.rule}, which moves each player once; set d_steps=1"
            )
        if self.batch_size % self.pack:
            raise Unsuitable(f"batch_size: got {self.batch_size} with pack={self.pack}, expected a multiple of it")
        if self.noise_steps and not self.noise:
            raise Unsuitable(f"noise_steps: got {self.noise_steps} without noise; add noise=0.1")
        if self.ada and self.augment == "none":
            raise Unsuitable("ada: leads how often images are augmented; add augment=color,translation,cutout")
        if self.weight_norm and self.spectral != "none":
            raise Unsuitable(
                "weight_norm: gives weights a learned length, and spectral takes it away; keep one of the two"
            )
        if self.consensus and (self.unroll or self.feature_matching):
            other = "unroll" if self.unroll else "feature_matching"
            raise Unsuitable(f"consensus: is about the field of the pair's own two losses; set {other}=0")
        if self.unroll and self.feature_matching:
            raise Unsuitable("unroll and feature_matching: both replace G's loss; keep one of the two")
        if self.clip and (self.weight_norm or self.spectral != "none"):
            other = "weight_norm" if self.weight_norm else "spectral"
            raise Unsuitable(
                f"clip: bounds the numbers of a weight, of which {other} takes the direction only; keep one of the two"
            )
