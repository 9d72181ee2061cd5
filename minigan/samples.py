"""Samples to test operations with: what `Primitive.samples(draw)` may ask of `draw`, and a seeded answer.

An operation states once which arguments are valid (`samples=lambda draw: ((draw.array(draw.shape()),), {})`). Who runs it
decides where the choices come from: the test suite asks Hypothesis, `minigan doctor` asks :class:`SeededDraw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Shape = tuple[int, ...]


class Draw(Protocol):
    """What `samples` may call. Arrays are float64."""

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""

    def choice(self, options: Sequence[Any]) -> Any:
        """One of `options`."""

    def permutation(self, n: int) -> tuple[int, ...]:
        """range(n) in some order."""

    def axes(self, ndim: int) -> tuple[int, ...]:
        """A sorted tuple of distinct axes in [0, ndim), perhaps empty."""

    def shape(self, min_ndim: int = 0, min_side: int = 0) -> Shape:
        """A shape of `min_ndim` to three axes; lengths 1 to 4, and now and then one of 0 if `min_side` allows."""

    def broadcastable(self, max_ndim: int = 3) -> tuple[Shape, Shape]:
        """Two shapes that broadcast together."""

    def widening(self) -> tuple[Shape, Shape]:
        """(shape, a shape that broadcasts to it)."""

    def mask(self, shape: Shape) -> np.ndarray:
        """Booleans."""

    def array(
        self, shape: Shape, low: float = -2.0, high: float = 2.0, *, avoid: float = 0.0, distinct: bool = False
    ) -> np.ndarray:
        """Values in [low, high]. For operations with kinks, so that a small step never reaches one:

        Args:
            avoid: values are at least this far from 0 (and may overshoot a nearer end of the interval).
            distinct: values are at least `SEPARATION` apart from each other and from those of every other distinct array
                of this draw (closer only if there are more of them than the interval has room for).
        """


SEPARATION = 2.0**-6
_FINEST = 16  # distinct values are multiples of 2^-16 before they are jittered


class SeededDraw:
    """A :class:`Draw` that is a pure function of its seed (Philox; no global state).

    Everything discrete goes through :meth:`integer` and everything continuous through :meth:`_uniform`, so that another
    source of choices need override one or two methods.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(seed))
        self._taken: set[int] = set()

    def integer(self, low: int, high: int) -> int:
        """See :meth:`Draw.integer`."""
        return int(self._generator.integers(low, high, endpoint=True))

    def _uniform(self, shape: Shape) -> np.ndarray:
        return self._generator.random(shape)

    def choice(self, options: Sequence[Any]) -> Any:
        """See :meth:`Draw.choice`."""
        return options[self.integer(0, len(options) - 1)]

    def permutation(self, n: int) -> tuple[int, ...]:
        """See :meth:`Draw.permutation`."""
        rest = list(range(n))
        return tuple(rest.pop(self.integer(0, len(rest) - 1)) for _ in range(n))

    def axes(self, ndim: int) -> tuple[int, ...]:
        """See :meth:`Draw.axes`."""
        return tuple(axis for axis in range(ndim) if self.integer(0, 1))

    def shape(self, min_ndim: int = 0, min_side: int = 0) -> Shape:
        """See :meth:`Draw.shape`."""
        ndim = self.integer(min_ndim, max(3, min_ndim))
        shape = [self.choice([n for n in (2, 1, 3, 4) if n >= min_side]) for _ in range(ndim)]
        if ndim and min_side == 0 and self.integer(0, 7) == 7:
            shape[self.integer(0, ndim - 1)] = 0
        return tuple(shape)

    def broadcastable(self, max_ndim: int = 3) -> tuple[Shape, Shape]:
        """See :meth:`Draw.broadcastable`."""
        shape = self.shape()[:max_ndim]
        pair = shape, self._narrow(shape)
        return pair if self.integer(0, 1) else (pair[1], pair[0])

    def widening(self) -> tuple[Shape, Shape]:
        """See :meth:`Draw.widening`."""
        shape = self.shape()
        return shape, self._narrow(shape)

    def _narrow(self, shape: Shape) -> Shape:
        kept = shape[self.integer(0, len(shape)) :]
        return tuple(1 if self.integer(0, 3) == 3 else n for n in kept)

    def mask(self, shape: Shape) -> np.ndarray:
        """See :meth:`Draw.mask`."""
        return np.asarray(self._uniform(shape) < 0.5)

    def array(
        self, shape: Shape, low: float = -2.0, high: float = 2.0, *, avoid: float = 0.0, distinct: bool = False
    ) -> np.ndarray:
        """See :meth:`Draw.array`."""
        if distinct:
            return self._distinct(int(np.prod(shape)), low, high, avoid).reshape(shape)
        x = np.asarray(low + (high - low) * self._uniform(shape))
        return np.where(np.abs(x) < avoid, x + np.copysign(avoid, x), x)

    def _distinct(self, count: int, low: float, high: float, avoid: float) -> np.ndarray:
        """Cells of a grid that no earlier call took, at the coarsest spacing 2^-k >= 2^-16 that has enough; then a jitter of
        up to a quarter of the spacing, which makes coincidences such as equal sums unlikely."""
        for level in range(5, _FINEST + 1):
            unit = 2.0**-level
            places = np.arange(np.ceil(low / unit), np.floor(high / unit) + 1)
            places = places[np.abs(places * unit) >= avoid + unit / 4]
            free = np.array([p for p in places if int(p) << (_FINEST - level) not in self._taken])
            if len(free) >= count:
                break
        else:
            raise ValueError(f"distinct: got {count} values for [{low}, {high}], which has room for {len(free)}")
        chosen = free[np.argsort(self._uniform((len(free),)), kind="stable")[:count]]
        self._taken |= {int(p) << (_FINEST - level) for p in chosen}
        return np.clip((chosen + 0.5 * self._uniform((count,)) - 0.25) * unit, low, high)
