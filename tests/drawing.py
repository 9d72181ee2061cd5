"""Where the test suite's samples come from: Hypothesis chooses everything discrete, and the seed of the values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigan.samples import SeededDraw, Shape


class HypothesisDraw(SeededDraw):
    """A `minigan.samples.Draw` on top of `hypothesis.strategies.data()`.

    Shapes, axes, choices and whether an array holds an end of its interval are Hypothesis' own decisions, which it
    reports and shrinks. The many floats come from one integer: drawn one by one they would cost a thousand times more
    and would be round numbers, which hide errors (0, 1, equal values).
    """

    def __init__(self, data: st.DataObject) -> None:
        super().__init__(data.draw(st.integers(0, 2**32 - 1), label="seed"))
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def array(self, shape: Shape, low: float = -2.0, high: float = 2.0, **options: Any) -> np.ndarray:
        x = super().array(shape, low, high, **options)
        if x.size and not options.get("distinct") and self.integer(0, 3) == 3:
            x.reshape(-1)[self.integer(0, x.size - 1)] = low if self.integer(0, 1) else high
        return x
