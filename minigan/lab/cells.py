"""Laws in the plane as tables: a square of cells, and one more outcome for all that lies outside.

A sum of Gaussians has its exact mass in every cell, since that mass is a product: with Phi the distribution function of N(0, 1),

    P(cell) = sum_k w_k [Phi((b_1 - m_k1)/s) - Phi((a_1 - m_k1)/s)] [the same along x_2]

All toy laws are such sums (curves by quadrature: `minigan.data.toys`). A generator's law is the image of its noise: the shares of
many points G(z), z spread evenly over its law. Coarser laws are nearer: JSD of the tables <= JSD of the laws (data processing).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from minigan import ops
from minigan.random import uniform

SIDE = 192  # points of noise along each of two coordinates
_HALF = np.sqrt(0.5)


@dataclass(frozen=True)
class Square:
    """A square [low, low + size]^2 of cells x cells cells; low (2,)."""

    low: np.ndarray
    size: float
    cells: int

    @classmethod
    def around(cls, x: np.ndarray, cells: int) -> Square:
        """The points x (n, 2), with a quarter of their extent on each side."""
        low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
        size = 1.5 * float((high - low).max())
        return cls((low + high) / 2 - size / 2, size, cells)

    def split(self, cells: int) -> Square:
        """The same square in another number of cells."""
        return Square(self.low, self.size, cells)

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Where cells meet, along x_1 and along x_2: (cells + 1,) each."""
        steps = np.linspace(0.0, self.size, self.cells + 1)
        return self.low[0] + steps, self.low[1] + steps

    def centres(self) -> np.ndarray:
        """(cells^2, 2) float32, x_1 changing first."""
        x1, x2 = ((e[:-1] + e[1:]) / 2 for e in self.edges())
        return np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2).astype(np.float32)

    def table_of_gaussians(self, centres: np.ndarray, weights: np.ndarray, sigma: float) -> np.ndarray:
        """The exact masses (cells^2 + 1,) of sum_k w_k N(m_k, sigma^2 I), the last outside."""
        along = [
            np.diff(0.5 * ops.erfc((m[:, None] - edges) / sigma * _HALF).numpy(), axis=1)
            for m, edges in zip(centres.T, self.edges(), strict=True)
        ]
        inside = ((along[1] * weights[:, None]).T @ along[0]).reshape(-1)
        return _closed(np.append(inside, max(0.0, 1 - inside.sum())))

    def table_of_points(self, x: np.ndarray) -> np.ndarray:
        """The shares (cells^2 + 1,) of points (n, 2), the last outside."""
        places = np.floor((x.astype(np.float64) - self.low) * (self.cells / self.size))
        inside = ((places >= 0) & (places < self.cells)).all(axis=1)  # False for NaN, too
        numbers = np.where(inside, np.where(inside, places[:, 1] * self.cells + places[:, 0], 0), self.cells**2)
        return np.bincount(numbers.astype(np.int64), minlength=self.cells**2 + 1) / len(x)


def _closed(p: np.ndarray) -> np.ndarray:
    return p / p.sum()


@cache
def spread_noise(latent: int, law: str) -> np.ndarray:
    """SIDE^2 points of noise that stand for its law, (SIDE^2, latent) float32, the same at every call; not to be written.

    Of one or two coordinates one at random in each of as many parts of equal share, so that tables are off by less than by
    chance, and show no pattern of a lattice; of more, random ones.
    """
    drawn = uniform(
        (SIDE, SIDE, 2) if latent <= 2 else (SIDE**2, latent), seed=0, stream="noise of the tables", dtype=np.float64
    )
    shares = drawn.numpy()
    if latent == 2:
        places = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1)
        shares = ((places + shares) / SIDE).reshape(-1, 2)
    elif latent == 1:
        shares = ((np.arange(SIDE**2) + shares[..., 0].reshape(-1)) / SIDE**2)[:, None]
    shares = shares.clip(1e-12, 1 - 1e-12)
    points = np.vectorize(NormalDist().inv_cdf)(shares) if law == "normal" else 2 * shares - 1
    points = points.astype(np.float32)
    points.flags.writeable = False
    return points
