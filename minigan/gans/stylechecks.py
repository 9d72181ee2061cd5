"""What StyleGAN's styles do (`stylegan.py`): a table of mixed ones, truncation, and numbers for both.

Coarse styles are the first half of them, fine ones those of full size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.gans.checks import Check, RealData
from minigan.gans.protocol import Picture

PAIRS, SOURCES, PSI = 500, 7, (0.0, 0.25, 0.5, 0.75, 1.0)  # of the checks; of the tables


def pictures_of(model: Any) -> dict[str, Picture]:
    """`mixing`: sources in the first row and column, elsewhere the row's coarse styles and the column's others.
    `truncation`: the same z in a column, w from its mean (top) to itself.
    """
    k, seed, half = SOURCES, model.config.seed, range(model.synthesis.count // 2)
    with model.evaluating(), model.random.apart(seed, "table"):
        w = model.w(k)
        alone = model.crossed(w, w, half, seed)
        within = [model.crossed(w, ops.broadcast_to(w[i : i + 1], w.shape), half, seed) for i in range(k)]
    rows = [-np.ones_like(alone[:1]), alone, *(part for i in range(k) for part in (alone[i : i + 1], within[i]))]
    by_psi = np.concatenate([model.sample(2 * k, seed=seed, truncation=psi) for psi in PSI])
    return {"mixing": Picture(np.concatenate(rows), k + 1), "truncation": Picture(by_psi, 2 * k)}


def checks_of(model: Any, real: RealData) -> list[Check]:
    """Mean absolute changes of pixels, as shares of the distance of two images; and, by the data's judge, changes of the class
    among pairs of images of two classes, and how many there are: among images of nearly one shape the others mean nothing.
    """
    count, seed = model.synthesis.count, real.seed
    with model.evaluating(), model.random.apart(seed, "checks"):
        a, b = model.w(PAIRS), model.w(PAIRS, "another z")
        swapped = (range(0), range(count), range(count // 2), range(count - 2, count))
        plain, other, coarse, fine = (model.crossed(a, b, layers, seed) for layers in swapped)
        again = model.crossed(a, b, range(0), seed + 1)
    moved = {
        name: float(np.abs(plain - x).mean() / np.abs(plain - other).mean())
        for name, x in {"coarse": coarse, "fine": fine, "noise": again}.items()
    }
    spread = [model.sample(PAIRS, seed=seed, truncation=psi).std(axis=0).mean() for psi in (0.5, 1.0)]
    made = [
        Check("moved by another's coarse styles over moved by its fine ones", moved["coarse"] / moved["fine"], "> 1.5"),
        Check("moved by other noise, of the distance of two images", moved["noise"], "0.001 to 0.3"),
        Check("deviation of pixels at truncation .5, of that at 1", spread[0] / spread[1], "< 0.9"),
    ]
    if (judge := real.judge()) is not None:
        of, to, by_coarse, by_fine = (judge.log_probabilities(x).argmax(axis=1) for x in (plain, other, coarse, fine))
        two = of != to
        made.append(Check("pairs of two classes, of all: .9 for ten alike", two.mean(), ">= 0.7"))
        if two.any():
            made.append(Check("class changed by another's coarse styles", (by_coarse != of)[two].mean(), ">= 0.6"))
            made.append(Check("class kept with another's fine styles", (by_fine == of)[two].mean(), ">= 0.9"))
    return made
