"""Each loss as the terms that a person would write, with their values: what the formula panel shows.

The engine's pair gives one number for each player; here the same number is a sum. A test holds the two together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Tensor
from minigan.gans.pairs import F_GANS
from minigan.theory.generators import generator


class Term(NamedTuple):
    """A term of a player's loss: who minimises it, how it is written, what it is now."""

    player: str
    text: str
    value: float


Written = list[tuple[str, Any]]  # a term's text, and what it is the mean of


def terms(config: Any, real: np.ndarray, fake: np.ndarray) -> list[Term]:
    """The terms of both players' losses on logits of reals and of fakes, (n,) each."""
    r, f = real.astype(np.float64), fake.astype(np.float64)
    of_d, of_g = _written(config, r, f)
    both = (("discriminator", of_d), ("generator", of_g))
    return [Term(who, text, float(np.mean(values))) for who, written in both for text, values in written]


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def _written(config: Any, r: np.ndarray, f: np.ndarray) -> tuple[Written, Written]:
    loss = config.loss
    if loss in ("minimax", "non_saturating"):
        return _logistic(config, r, f), [
            ("E log(1 − D(G(z)))", -_softplus(f)) if loss == "minimax" else ("−E log D(G(z))", _softplus(-f))
        ]
    if loss in ("least_squares", "least_squares_pearson"):
        a, b, c = (config.a, config.b, config.c) if loss == "least_squares" else (-1.0, 1.0, 0.0)
        return [
            (f"½ E (D(x) − {b:g})²", (r - b) ** 2 / 2),
            (f"½ E (D(G(z)) − {a:g})²".replace("− -", "+ "), (f - a) ** 2 / 2),
        ], [(f"½ E (D(G(z)) − {c:g})²", (f - c) ** 2 / 2)]
    if loss == "hinge":
        return [("E max(0, 1 − D(x))", np.maximum(0, 1 - r)), ("E max(0, 1 + D(G(z)))", np.maximum(0, 1 + f))], [
            ("−E D(G(z))", -f)
        ]
    if loss == "wasserstein":
        return [("−E D(x)", -r), ("E D(G(z))", f)], [("−E D(G(z))", -f)]
    if loss == "relativistic":
        gap = r - f
        return [("E log(1 + e^(D(G(z)) − D(x)))", _softplus(-gap))], [("E log(1 + e^(D(x) − D(G(z))))", _softplus(gap))]
    if loss == "relativistic_average":
        over, under = r - f.mean(), f - r.mean()
        return [
            ("−E log σ(D(x) − E D(G(z)))", _softplus(-over)),
            ("−E log σ(E D(x) − D(G(z)))", _softplus(under)),
        ], [("−E log σ(D(G(z)) − E D(x))", _softplus(-under)), ("−E log σ(E D(G(z)) − D(x))", _softplus(over))]
    g = generator(F_GANS[loss])
    conjugate = g.conjugate_of_activation(Tensor(f)).numpy()
    return [("−E T(x)", -g.activation(Tensor(r)).numpy()), ("E f*(T(G(z)))", conjugate)], [
        ("−E f*(T(G(z)))", -conjugate)
    ]


def _logistic(config: Any, r: np.ndarray, f: np.ndarray) -> Written:
    a, b = config.label_real, config.label_fake
    if (a, b) == (1.0, 0.0):
        return [("−E log D(x)", _softplus(-r)), ("−E log(1 − D(G(z)))", _softplus(f))]
    return [(f"E BCE(D(x), {a:g})", _softplus(r) - a * r), (f"E BCE(D(G(z)), {b:g})", _softplus(f) - b * f)]


PENALTIES = {
    "r1": "γ/2 E |∇D(x)|²",
    "r2": "γ/2 E |∇D(G(z))|²",
    "zero_gp": "γ/2 E |∇D(x̂)|²",
    "gp": "λ E (|∇D(x̂)| − 1)²",
    "lp": "λ E max(0, |∇D(x̂)| − 1)²",
    "dragan": "λ E (|∇D(x + δ)| − 1)²",
}
