"""Which checkpoint of a run is the best, by the number that its model names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minigan.gans.protocol import ModelError, best_of


class Contest:
    """Compares one number of the lines of metrics.jsonl.

    A step that improves on all before it is claimed by the checkpoint that is made there, and holds when that is written.

    Args:
        text: `best` of the model: "min NAME", "max NAME", or None.
        best: {"name": NAME, "step": s, "value": v} of the best so far; empty before there is one.
    """

    def __init__(self, text: str | None, best: Mapping[str, Any]) -> None:
        self.name, self.sign = best_of(text)
        self.best = dict(best) if best.get("name") == self.name else {}  # a model that changed its mind begins anew
        self._claim: dict[str, Any] = {}

    def improved(self, row: Mapping[str, Any]) -> bool:
        """Whether a line is better than the best so far. NaN and Inf never are.

        Raises:
            ModelError: the line has no such number.
        """
        value = row.get(self.name)
        if not isinstance(value, (int, float)):
            raise self.unknown(row)
        better = math.isfinite(value) and (not self.best or self.sign * value > self.sign * self.best["value"])
        self._claim = {"name": self.name, "step": row["step"], "value": value} if better else {}
        return better

    def unknown(self, row: Mapping[str, Any]) -> ModelError:
        """What to raise where nothing of that name is known."""
        known = ", ".join(key for key in row if key != "step")
        return ModelError(f"best: the model is judged by {self.name!r}, which no line of metrics.jsonl has: {known}")

    def claimed(self, step: int) -> dict[str, Any]:
        """What a checkpoint of that step is to say."""
        return dict(self._claim if self._claim.get("step") == step else self.best)

    def settle(self, step: int) -> None:
        """The checkpoint of that step is written."""
        self.best, self._claim = self.claimed(step), {}
