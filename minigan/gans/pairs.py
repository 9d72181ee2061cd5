"""The losses that `--set loss=` chooses from, and their values where fakes are as reals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minigan import losses
from minigan.gans.protocol import Unsuitable
from minigan.theory import optimal
from minigan.theory.generators import f_gan_pair

F_GANS = {  # our names: those of the f in `theory.generators`
    "kl": "kl",
    "reverse_kl": "reverse_kl",
    "js": "jensen_shannon",
    "chi_squared": "pearson",
    "hellinger": "hellinger",
    "tv": "total_variation",
}
LOSSES: dict[str, losses.Pair] = {**losses.PAIRS, **{name: f_gan_pair(f) for name, f in F_GANS.items()}}
EXPLAINED = {  # a line on each, with its source
    "minimax": "Goodfellow 2014, arXiv 1406.2661, eq. 1; G's gradient vanishes where D is sure",
    "non_saturating": "ibid., section 3: G raises log D instead",
    "hinge": "Lim, Ye 2017, arXiv 1705.02894; 2 - 2 TV; only scores inside the margins count",
    "least_squares": "Mao 2016, arXiv 1611.04076, eq. 2, with a, b, c",
    "least_squares_pearson": "the same with a, b, c = -1, 1, 0: Pearson chi2(p + q || 2q)",
    "wasserstein": "Arjovsky 2017, arXiv 1701.07875, eq. 2; D needs a constraint: gp, lp, clip, spectral ...",
    "relativistic": "RpGAN, each fake beside a real: Jolicoeur-Martineau 2018, arXiv 1807.00734",
    "relativistic_average": "RaGAN, each beside the mean of the others: ibid., section 4.2",
    "kl": "f-GAN, Nowozin 2016, arXiv 1606.00709, eq. 4: KL(p || q)",
    "reverse_kl": "ibid.: KL(q || p)",
    "js": "ibid.: Jensen-Shannon",
    "chi_squared": "ibid.: Pearson chi2(p || q)",
    "hellinger": "ibid.: squared Hellinger distance",
    "tv": "ibid.: total variation, D's output through tanh",
}
SMOOTH = ("minimax", "non_saturating")  # whose labels may be soft
CONSTRAINTS = (
    "clip",
    "spectral",
    "gp",
    "lp",
    "dragan",
    "r1",
    "r2",
    "zero_gp",
)  # one of which a Wasserstein critic needs


def pair_of(config: Any) -> losses.Pair:
    """The pair that a configuration asks for.

    Raises:
        Unsuitable: settings of one loss beside another, or a Wasserstein critic without a constraint.
    """
    soft, scores = (config.label_real, config.label_fake), (config.a, config.b, config.c)
    if soft != (1.0, 0.0) and config.loss not in SMOOTH:
        raise Unsuitable(
            f"label_real, label_fake: got {soft} with loss={config.loss}, expected loss={' or loss='.join(SMOOTH)}, whose labels "
            "can be soft; the labels of least squares are a and b"
        )
    if scores != (0.0, 1.0, 1.0) and config.loss != "least_squares":
        raise Unsuitable(f"a, b, c: got {scores} with loss={config.loss}, expected them with loss=least_squares only")
    if config.loss == "wasserstein" and not any(getattr(config, name) not in (0.0, "none") for name in CONSTRAINTS):
        raise Unsuitable(
            "loss=wasserstein: has no minimum without a constraint on D, since twice the score is twice as good; add gp=10, "
            f"clip=0.01 or spectral=reshaped (or another of {', '.join(CONSTRAINTS)})"
        )
    if soft != (1.0, 0.0):
        return losses.smoothed(LOSSES[config.loss], real_label=config.label_real, fake_label=config.label_fake)
    if config.loss == "least_squares":
        return losses.least_squares(a=config.a, b=config.b, c=config.c)
    return LOSSES[config.loss]


def equilibrium_of(config: Any) -> Mapping[str, tuple[str, float]]:
    """For each player its loss where fakes are as reals and D is the best constant: what to call it, and its value."""
    if (config.label_real, config.label_fake) != (1.0, 0.0):
        share = (config.label_real + config.label_fake) / 2
        game = optimal.smoothed(real_label=config.label_real, fake_label=config.label_fake)
        own = -math.log(share) if config.loss == "non_saturating" else math.log(1 - share)
        return {"discriminator": ("2 h(s)", float(game.value([1.0], [1.0]))), "generator": ("at D = s", own)}
    if config.loss == "least_squares":
        a, b, c = config.a, config.b, config.c
        d, g = (b - a) ** 2 / 4, ((a + b) / 2 - c) ** 2 / 2
        return {"discriminator": (f"{d:g}", d), "generator": (f"{g:g}", g)}
    return losses.EQUILIBRIUM[config.loss]
