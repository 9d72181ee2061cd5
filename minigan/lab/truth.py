"""What D could be at best, and how far it is from it: the game on the tables of `cells.py`, where everything is known.

On tables p and q each loss has its best discriminator, and its least value in closed form, a divergence
(`minigan.theory.optimal`). D's own loss there minus that least value is its regret, >= 0. What D's loss says of the divergence is
therefore too little, by as much as D is not the best one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Tensor
from minigan.gans.pairs import F_GANS
from minigan.theory import generators, optimal

LOGISTIC = ("minimax", "non_saturating", "relativistic", "relativistic_average")  # whose outputs are logits
PROBABILITIES = ("minimax", "non_saturating")  # whose sigmoid is the probability of a real


class Divergence(NamedTuple):
    """What a loss of D estimates: its name, and from the loss to its value."""

    name: str
    of: Callable[[float], float]


def game_of(config: Any) -> optimal.Game | None:
    """The game of that loss on tables; None where the best D is not a closed form of two numbers at a place."""
    loss, labels = config.loss, (config.label_real, config.label_fake)
    if loss in PROBABILITIES and labels != (1.0, 0.0):
        return optimal.smoothed(real_label=labels[0], fake_label=labels[1])
    if loss in PROBABILITIES or loss == "hinge":
        return optimal.GAMES[loss]
    if loss.startswith("least_squares"):
        a, b, c = (config.a, config.b, config.c) if loss == "least_squares" else (-1.0, 1.0, 0.0)
        return optimal.least_squares(a=a, b=b, c=c)
    return optimal.f_gan(F_GANS[loss]) if loss in F_GANS else None


def divergence_of(config: Any) -> Divergence | None:
    """What -L_D says of p and q, where that is said by a formula."""
    loss = config.loss
    if loss in PROBABILITIES:
        if (config.label_real, config.label_fake) != (1.0, 0.0):
            return None
        return Divergence("JSD", lambda value: (math.log(4) - value) / 2)
    if loss == "hinge":
        return Divergence("TV", lambda value: (2 - value) / 2)
    if loss.startswith("least_squares"):
        gap = config.b - config.a if loss == "least_squares" else 2.0
        return Divergence("½ Σ (p − q)²/(p + q)", lambda value: 1 - 4 * value / gap**2)
    if loss in F_GANS:
        return Divergence(f"D_f ({loss})", lambda value: -value)
    return None


def outputs_of(config: Any, raw: np.ndarray) -> np.ndarray:
    """What `game_of` calls D's outputs, from what the network gives: T of an f-GAN, else the number itself. float64."""
    raw = raw.astype(np.float64)
    if config.loss in F_GANS:
        return generators.generator(F_GANS[config.loss]).activation(Tensor(raw)).numpy()
    return raw


def log_ratio(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """log p/q: the best C of a relativistic discriminator of pairs, up to a constant (lesson 7, formula 7.28)."""
    return optimal.optimal_logit(p, q)


def critic(places: np.ndarray, y: np.ndarray, potential: np.ndarray) -> np.ndarray:
    """min_j |x - y_j| - v_j at each place x of (n, 2): the best 1-Lipschitz critic, up to a constant; v: of `laws.transport`.

    It is 1-Lipschitz as a smallest of such functions. With u_i + v_j <= |x_i - y_j| it is at least u_i at x_i and at most -v_j at
    y_j, so the difference of its means is at least <a, u> + <b, v> = W1, and no 1-Lipschitz function has more.
    """
    gaps = np.linalg.norm(places[:, None].astype(np.float64) - y[None].astype(np.float64), axis=-1)
    return np.asarray((gaps - potential).min(axis=1))


def why_no_best(config: Any) -> str:
    """Why no D* is shown for a loss, "" where one is."""
    if config.loss == "relativistic_average":
        return "no D*: a score is compared with the mean of all others, so no formula of p and q at one place gives it"
    return ""


class Verdict(NamedTuple):
    """D on the tables: its loss there, the least there is, and the best outputs (cells,)."""

    loss: float
    least: float
    best: np.ndarray


def verdict(config: Any, outputs: np.ndarray, p: np.ndarray, q: np.ndarray) -> Verdict | None:
    """None where `game_of` knows no game."""
    game = game_of(config)
    if game is None:
        return None
    with np.errstate(all="ignore"):
        found = (game.discriminator(outputs, p, q), game.value(p, q), game.optimum(p, q))
    return Verdict(float(found[0]), float(found[1]), np.asarray(found[2]))
