"""What models with a map in each direction share, G from `a` to `b` and F back: pictures, numbers and checks of both.

cycle              the mean of |F(G(a)) - a| and |G(F(b)) - b| over pixels in [-1, 1]
label kept         the share of G(a) that the judge of b takes for a's label, and of F(b) likewise; both sets' labels must mean
                   the same, as they do where one was made of the other
from the true map  |G(a) - T(a)|, where the true T is known (`minigan.data.derived`)
gained by F        the accuracy on b of the judge of a, through F, above what it is without
texture            the Gram distance (`metrics/texture.py`) of G(a) to b, as a share of that of a to b as it is: what can be
                   measured where neither labels nor a true map are known, as of two photographs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from minigan import nn
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.domains import JUDGED, SHOWN, TwoSets, distance, fitted_to, rows, shares, some, truth
from minigan.gans.protocol import Picture
from minigan.metrics.texture import WINDOW, texture_distance

TINY = 1e-12


class Cycled(TwoSets):
    """A model of two unpaired sets with networks `G` and `F`."""

    needs = {"a": "images", "b": "images"}  # noqa: RUF012
    averaged = ("G", "F")
    best = "min cycle"
    least_cycle: ClassVar[str] = "<= 0.05"
    G: nn.Module
    F: nn.Module

    def generate(self, n: int, source: Tensor) -> Tensor:  # type: ignore[override]
        """G(source)."""
        return self.G(source)

    def there_and_back(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
        """G(a), F(G(a)), F(b), G(F(b))."""
        with self.evaluating():
            there, back = self.G(self.tensor(a)), self.F(self.tensor(b))
            return tuple(t.numpy() for t in (there, self.F(there), back, self.G(back)))

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """How well the cycle closes, and how far images go: the means of |F(G(a)) - a| and |G(a) - a|, of both directions."""
        a, b = some(real, "a", "b")
        there, again, back, back_again = self.there_and_back(a, b)
        found = {"cycle": _both(again, a, back_again, b)}
        if a.shape == b.shape:
            found["moved"] = _both(there, a, back, b)
        return found

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Rows: a, G(a), F(G(a)), and b, F(b), G(F(b))."""
        a, b = some(real, "a", "b", count=SHOWN)
        there, again, back, back_again = self.there_and_back(a, b)
        return {"samples": rows(a, there, again, b, back, back_again)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """See the file's docstring."""
        a, b = some(real, "a", "b", count=JUDGED)
        there, again, back, back_again = self.there_and_back(a, b)
        made = [Check("cycle", _both(again, a, back_again, b), self.least_cycle)]
        for name, (one, other, x, y) in {"G(a)": ("a", "b", a, there), "F(b)": ("b", "a", b, back)}.items():
            if change := truth(real, one, other):
                made.append(Check(f"{name}, distance to the true map", distance(y, change(x)), "<= 0.1"))
        if min(a.shape[1:3]) >= WINDOW:
            for name, (x, y, wanted) in {"G(a)": (a, there, b), "F(b)": (b, back, a)}.items():
                plain = texture_distance(fitted_to(x, wanted.shape[-1]), wanted)
                share = texture_distance(y, wanted) / max(plain, TINY)
                made.append(Check(f"{name}, Gram distance to the other set, of what it began with", share, "<= 0.5"))
        return [*made, *self._of_labels(real, b, there, back)]

    def _of_labels(self, real: RealData, b: np.ndarray, there: np.ndarray, back: np.ndarray) -> Iterator[Check]:
        labels = (real.sets[name].y for name in ("a", "b"))
        of_a, of_b = (None if y is None else y[: len(b)] for y in labels)
        if (kept := shares(real, "b", there, of_a)) is not None:
            yield Check("label of a kept in G(a)", kept, ">= 0.9")
        if (read := shares(real, "a", back, of_b)) is not None:
            yield Check("label of b kept in F(b)", read, ">= 0.9")
            plain = shares(real, "a", fitted_to(b, back.shape[-1]), of_b)
            yield Check("accuracy on b of the judge of a: gained by F", read - (plain or 0.0), "> 0")


def _both(x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray) -> float:
    """The mean of |x - a| and |y - b|."""
    return (distance(x, a) + distance(y, b)) / 2
