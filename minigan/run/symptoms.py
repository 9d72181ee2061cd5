"""How a training fails, one symptom a function: what it looks like in numbers, and how far each may go in a sound run.

A function returns the numbers as `Check`s, which say what a sound run keeps; the symptom is found where one of them is not met.
It raises `Unmeasured` where the run has not what it takes. Each bound is derived or measured, and its docstring says from what;
`bench/diagnose.py` counts, over models and seeds, what is found in runs that were made to fail and in sound ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigan.gans.checks import Check
from minigan.metrics.auroc import auroc
from minigan.metrics.memorisation import copying_left_out
from minigan.metrics.missing_share import missing_share
from minigan.run.course import spread
from minigan.run.evidence import Evidence, Unmeasured, flat


class Symptom(NamedTuple):
    """name: in the field's words. plain: what is happening. lesson: its file in `lessons/`. checks: see above."""

    name: str
    plain: str
    lesson: str
    checks: Callable[[Evidence], list[Check]]


SYMPTOMS: dict[
    str, Symptom
] = {}  # in the order in which they are told: the first ones say what the later ones are worth


def symptom(
    name: str, plain: str, *, lesson: str
) -> Callable[[Callable[[Evidence], list[Check]]], Callable[[Evidence], list[Check]]]:
    """Register a function as the symptom of that name."""

    def add(checks: Callable[[Evidence], list[Check]]) -> Callable[[Evidence], list[Check]]:
        SYMPTOMS[name] = Symptom(name, plain, lesson, checks)
        return checks

    return add


# -- the run ---------------------------------------------------------------------------------------------------------
LEAST_LOG = -math.log(np.finfo(np.float32).tiny)  # 87.3
FAR = 5.0


@symptom(
    "divergence",
    "The numbers run away: steps are too long for the slopes they meet, and each makes the next one longer.",
    lesson="11_games_and_rotation",
)
def divergence(e: Evidence) -> list[Check]:
    """NaN or Inf; losses or samples beyond all that can be meant.

    * A run that was stopped for NaN or Inf: 1 is not met by "== 0".
    * Each player's largest mean loss in the last quarter of metrics.jsonl. A logistic loss of 87.3 = -log 2^-126 says that D
      gives its examples, on average, probabilities below the smallest normal float32. Other losses have no scale of their own:
      the bound is the run's `loss_bound`, see `minigan.run.divergence`; 0 asks for silence.
    * The distance of the samples from the data, in spreads of the data (see `minigan.run.course`). By Chebyshev's inequality at
      most 1/25 of any data lie farther than 5 spreads from their mean.
    """
    found = [Check("stopped for NaN or Inf", float(e.diverged), "== 0")]
    if e.diverged:
        return found
    bound = LEAST_LOG if e.logistic else float(getattr(e.config, "loss_bound", 0.0))
    for name, values in e.losses().items():
        late = np.abs(values[-math.ceil(len(values) / 4) :]).max()
        found += [Check(f"|loss| of {name}", late, f"<= {bound:.4g}")] if bound else []
    return [*found, *_distance(e)]


def _distance(e: Evidence) -> list[Check]:
    try:
        return [Check("distance of samples from data, in its spreads", float(e.column("distance")[-1]), f"<= {FAR:g}")]
    except Unmeasured:  # the losses tell as well
        return []


@symptom(
    "too early to tell",
    "The networks have hardly moved from where chance put them.",
    lesson="10_reading_the_losses",
)
def too_early(e: Evidence) -> list[Check]:
    """Fewer steps than it takes to change a weight by its own size.

    An update of Adam or RMSProp moves a weight by about the learning rate lr, at most (Kingma, Ba 2014, arXiv 1412.6980,
    section 2.1). Before w / lr of them, w the root mean square of the weights, what was drawn at the start still decides; the
    bound is that of the quicker player. Plain descent has no such law, and is measured by the same ruler. Where all rates are 0
    nothing ever moves.
    """
    needed = e.own_time()
    if math.isinf(needed):
        return [Check("largest learning rate", 0.0, "> 0")]
    return [Check("steps", float(e.step), f">= {needed:.0f}")]


# -- the generator ---------------------------------------------------------------------------------------------------
PULL = 0.01


@symptom(
    "vanishing gradient of the generator",
    "D tells samples from data so surely that G's loss no longer says in which direction to go.",
    lesson="08_generator_losses",
)
def vanishing(e: Evidence) -> list[Check]:
    """The slope of G's loss where the samples are, times the size of the data, over the gap between D's mean scores of real
    examples and of samples:

        pull = E |n dL/dx| s / |E D(x) - E D(G(z))|,    s = sqrt(sum of variances of the data's coordinates)

    It has no unit. A critic that rises evenly from the samples to the data, a distance of order s, has a pull of order 1,
    whatever its scale; a loss with slope sigma(l) in the logit l, as minimax has it, that factor less. Below .01 D gives the
    samples, on average, less than 1 % (minimax), or is flat around them. Where D tells nothing apart, the gap is small and the
    pull large. (Measured on sound runs: 4 to 16.)
    """
    size = math.sqrt(flat(e.real).var(axis=0).sum())
    slope = float(e.slopes().mean())
    gap = abs(float(e.scores(e.real).mean(dtype=np.float64) - e.scores(e.samples).mean(dtype=np.float64)))
    return [Check("pull on samples", slope * size / max(gap, 1e-30), f">= {PULL:g}")]


SPREAD = 0.5


@symptom(
    "collapse of variance",
    "The samples vary far less than the data: whatever the noise, G makes nearly the same.",
    lesson="13_mode_collapse",
)
def variance(e: Evidence) -> list[Check]:
    """The spread of the samples over that of the data (see `minigan.run.course`). Half of it is a quarter of the variance. Of
    the ring of eight two neighbouring modes alone keep .35, and two opposite ones .71 to 1: what is lost there, `modes` tells.
    (Sound runs: .94 to 1.04.)
    """
    if not (whole := spread(e.real)):
        raise Unmeasured("all data are one and the same")
    return [Check("spread of samples / of data", spread(e.samples) / whole, f">= {SPREAD:g}")]


MISSING = 0.1


@symptom(
    "collapse of modes",
    "Parts of the data get no samples: G makes a few kinds and leaves out the others.",
    lesson="13_mode_collapse",
)
def modes(e: Evidence) -> list[Check]:
    """The share of the data in cells that samples have left (see `minigan.metrics.missing_share`): cells around the modes of a
    mixture, or 20 that k-means finds. The bound is less than one mode of the ring of eight, or three of the grid of 25. (Sound
    runs: 0.)
    """
    share = missing_share(flat(e.real), flat(e.samples), centres=e.modes)
    return [Check("share of the data without samples", share, f"<= {MISSING:g}")]


RESTLESS = 0.25
LINES = 6  # of course.jsonl, in the second half of the run


@symptom(
    "oscillation",
    "The samples move to and fro among the data and come no nearer to it.",
    lesson="12_dirac_gan",
)
def oscillation(e: Evidence) -> list[Check]:
    """How far the centre of the samples moves in the second half of the run, beside a steady drift: the root mean square, over
    the directions of `minigan.run.course`, of what a straight line in time leaves.

    In spreads of the data. A normal law that is moved by .25 of its deviation differs from itself by a total variation of
    2 Phi(.125) - 1 = .10: whoever guesses from which of two moments a sample is, by its place alone, is right in 55 % of the
    cases. The noise is the same at each drawing, so that none of the movement is chance. (Sound runs: below .02.)
    """
    centre = e.column("centre")
    late = centre[len(centre) // 2 :]
    if len(late) < LINES:
        raise Unmeasured(f"samples were drawn {len(late)} times in the second half of the run, expected {LINES}")
    time = np.arange(len(late)) - (len(late) - 1) / 2
    rest = late - late.mean(axis=0) - time[:, None] * (time @ late) / (time @ time)
    moved = math.sqrt(np.square(rest).mean())
    return [Check("movement of the samples' centre, in spreads", moved, f"<= {RESTLESS:g}")]


# -- the data --------------------------------------------------------------------------------------------------------
TOLD_APART, SIGMAS = 0.2, 3.0


@symptom(
    "overfitting of the discriminator",
    "D knows the training examples by heart: it scores them above real ones that it has not seen.",
    lesson="09_mlp_gan",
)
def overfitting(e: Evidence) -> list[Check]:
    """How often D scores a training example above a held-out one: 1/2 where both are the same to it.

    The standard deviation of this number, at 1/2 and with n and m examples, is at most (4 min(n, m))^-1/2; three of them, and at
    least .2, may lie beside 1/2. (The measure r_v of Karras et al. 2020, arXiv 2006.06676, eq. 1, divides the same difference by
    that between training examples and samples, which is next to 0 where a training ends well.)
    """
    seen, unseen = e.scores(e.real), e.scores(e.held_out)
    above = auroc(np.concatenate([seen, unseen]), np.arange(len(seen) + len(unseen)) < len(seen))
    beside = max(TOLD_APART, SIGMAS / math.sqrt(4 * min(len(seen), len(unseen))))
    return [Check("how often D prefers what it trained on", above, f"<= {0.5 + beside:.3g}")]


COPIES = 0.9


@symptom(
    "memorising",
    "The samples are copies of training examples.",
    lesson="09_mlp_gan",
)
def memorising(e: Evidence) -> list[Check]:
    """How often a sample is nearer to its nearest training example than a training example is to its nearest other one (see
    `minigan.metrics.memorisation`): .5 at equal laws. Samples that are only smoother than the data lie above that, so the bound
    is nearer to the 1 of copies. (Sound runs: .02 to .4.)
    """
    return [
        Check(
            "how often samples are nearer than real ones",
            copying_left_out(flat(e.samples), e.training),
            f"<= {COPIES:g}",
        )
    ]
