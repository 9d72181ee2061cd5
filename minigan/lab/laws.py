"""The sets of points of the lab: examples, and the law that they are from as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigan import data
from minigan.data.toys import mixture
from minigan.lab.cells import Square
from minigan.lab.model import DRAWN
from minigan.theory.transport import discrete_transport

CELLS = 96  # a side of the tables
TRANSPORTED = 192  # points of each set between which the exact distance is computed
MOST_DRAWN, SIGMA_DRAWN = 2000, 0.03  # points, and the noise around each, of a plane of [-1, 1]^2


@dataclass(frozen=True)
class Law:
    """A set of points.

    Attributes:
        dataset: with its density. square: the part of the plane that is shown. table: its masses in the square's cells.
        drawn: the points that the user drew, or nothing.
    """

    dataset: data.Dataset
    square: Square
    table: np.ndarray
    drawn: list[list[float]]

    @property
    def counted(self) -> bool:
        """Whether it has modes to be counted."""
        return self.dataset.modes is not None and not self.drawn

    @cached_property
    def floor(self) -> float:
        """W1 of two disjoint sets of reals: what a perfect generator would be told."""
        x = self.dataset.x
        return transport(x[:TRANSPORTED], x[TRANSPORTED : 2 * TRANSPORTED])[0]


def transport(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """(W1, v) of two sets of as many points, (n, 2) each: the exact distance, and the Kantorovich potential of the points y (n,).

    By the network simplex (`theory.transport.discrete_transport`). The best 1-Lipschitz critic is the smallest of |x - y_j| - v_j
    (:func:`minigan.lab.truth.critic`).
    """
    gaps = np.linalg.norm(x[:, None].astype(np.float64) - y[None].astype(np.float64), axis=-1)
    even = np.full(len(x), 1 / len(x))
    found = discrete_transport(even, even, gaps)
    return float(found.cost), np.asarray(found.potentials[1])


def law_of(name: str, drawn: Any = ()) -> Law:
    """The law of that name; of what was drawn, equal small Gaussians around its points.

    Args:
        drawn: points in [-1, 1]^2, of which at least one is needed for "drawn".

    Raises:
        ValueError: points that are none, none at all, or too many.
    """
    points: list[list[float]] = []
    if name == DRAWN:
        modes = _points(drawn)
        points = modes.round(3).tolist()
        found = mixture(modes, SIGMA_DRAWN)
        square = Square(np.array([-1.5, -1.5]), 3.0, CELLS)
    else:
        found = data.load(name, seed=0)
        square = Square.around(found.x, CELLS)
    centres, weights = found.log_density.components()  # type: ignore[union-attr]
    assert found.sigma is not None
    return Law(found, square, square.table_of_gaussians(centres, weights, found.sigma), points)


def _points(drawn: Any) -> np.ndarray:
    wrong = ValueError(f"drawn: expected 1 to {MOST_DRAWN} points [x, y] in [-1, 1]^2; draw some first")
    try:
        points = np.array(drawn, np.float64)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if points.ndim != 2 or points.shape[1] != 2 or not 1 <= len(points) <= MOST_DRAWN or not (abs(points) <= 1).all():
        raise wrong
    return points
