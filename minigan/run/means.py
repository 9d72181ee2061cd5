"""Means of what a run reports, over the steps since it was last written down: one step's loss is mostly noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.autodiff import Tensor


class Means:
    """The mean of each number over an interval of steps, over those steps that report it (a lazy term: every k-th).

    Sums are float64 and stay where the numbers are, so that a GPU need not be waited for. A NaN or Inf in one step is one in
    the mean.

    Attributes:
        names: of all numbers that were ever reported, in their order.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Any, int]] = {}
        self._last: dict[str, float] = {}
        self.names: list[str] = []

    def add(self, values: Mapping[str, Tensor]) -> None:
        """The numbers of one more step: tensors with one element."""
        sums = self._sums
        for name, value in values.items():
            if name not in self.names:
                self.names.append(name)
            total, count = sums.get(name, (0.0, 0))
            sums[name] = value.data.astype("float64") + total, count + 1

    def restart(self) -> None:
        """Begin a new interval."""
        self._last = self.values()
        self._sums = {}

    @property
    def pending(self) -> bool:
        """Whether the interval has a step."""
        return bool(self._sums)

    def values(self) -> dict[str, float]:
        """The means by name; before the first step of an interval, those of the interval before."""
        return {name: total.item() / count for name, (total, count) in self._sums.items()} or self._last

    def state(self) -> dict[str, Any]:
        """Everything that the interval goes on with, for JSON, which keeps every bit of a float64."""
        sums = {name: [total.item(), count] for name, (total, count) in self._sums.items()}
        return {"sums": sums, "last": dict(self._last), "names": list(self.names)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: something else.
        """
        try:
            sums = {str(name): (np.float64(total), int(count)) for name, (total, count) in state["sums"].items()}
            last = {str(name): float(value) for name, value in state["last"].items()}
            names = [str(name) for name in state["names"]]
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"load_state: got the means {state!r} ({error})") from error
        self._sums, self._last, self.names = sums, last, names
