"""Metrics while a model trains: those that are cheap, on a few samples, for at most 2 % of the time.

They go to `live.jsonl`, not to `metrics.jsonl`: when they are taken depends on the clock, and the numbers of a run do not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan import metrics
from minigan.data import Dataset
from minigan.data.base import stream
from minigan.gans.conditions import Examples
from minigan.gans.needs import Facts
from minigan.metrics import Comparison, MissingError, Side
from minigan.run import lines
from minigan.run.progress import note
from minigan.run.references import Reference

SHARE = 0.02  # of the time since training began
FIRST = 5.0  # seconds before the first
SAMPLES = 500
NAME = "live.jsonl"


class Live:
    """Takes the metrics that are registered as `live` now and then, and writes a line for each time.

    Args:
        folder: of the run. reference, model: what trains. sets: its data. step: at which it begins; later lines are cut.
        facts: of the data, with the units of points. rows: the examples that are trained on; None for all.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        folder: Path,
        reference: Reference,
        model: Any,
        sets: Mapping[str, Dataset],
        *,
        step: int = 0,
        facts: Facts | None = None,
        rows: np.ndarray | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.file, self.reference, self.model, self.clock = folder / NAME, reference, model, clock
        self.facts, self.rows = facts or Facts(), rows
        self.began, self.spent, self.cost = clock(), 0.0, 0.0
        translates = any(isinstance(c, Examples) for c in model.conditions.values())
        self.set = next(iter(sets.values())) if len(sets) == 1 and not translates else None
        self._cut(step)

    def move(self, folder: Path) -> None:
        """The run's folder has another name from now on."""
        self.file = folder / NAME

    @property
    def due(self) -> bool:
        """Whether one more would keep the share."""
        elapsed = self.clock() - self.began
        return self.set is not None and elapsed >= FIRST and self.spent + self.cost <= SHARE * elapsed

    def take(self, step: int) -> dict[str, float]:
        """Measure and write, if it is due; returns what was found. What cannot be measured, or written, ends it with a note."""
        if not self.due:
            return {}
        begin = self.clock()
        try:
            found = self._measured()
        except NotImplementedError:  # the model makes no examples
            found = {}
        if found:
            self._write({"step": step, **found})
        else:
            self.set = None
        self.cost = self.clock() - begin
        self.spent += self.cost
        return found

    def _measured(self) -> dict[str, float]:
        assert self.set is not None
        rows = np.arange(len(self.set)) if self.rows is None else self.rows
        count = min(SAMPLES, len(rows))
        with self.reference.blamed(), np.errstate(all="ignore"):
            samples = self.facts.in_units(self.model.sample(count))
        if samples.shape[1:] != self.set.x.shape[1:]:
            return {}
        rows = np.sort(stream(0, "live").permutation(rows)[:count])
        mixture = None if self.set.modes is None or self.set.sigma is None else (self.set.modes, self.set.sigma)
        comparison, found = Comparison(Side(self.set.x[rows]), Side(samples), mixture=mixture), dict[str, float]()
        for metric in metrics.METRICS.values():
            if metric.live:
                try:
                    found |= metric.values(comparison)
                except MissingError:
                    continue
                except ValueError:  # samples that are NaN: told as null
                    found[metric.name] = math.nan
        return found

    def _write(self, row: dict[str, Any]) -> None:
        try:
            lines.append(self.file, row)
        except OSError as error:
            note(f"note: {self.file} cannot be written ({error}); there are no more metrics in it")
            self.set = None

    def _cut(self, step: int) -> None:
        try:
            lines.cut(self.file, step)
        except OSError as error:
            note(f"note: {self.file} cannot be read and written ({error})")
            self.set = None
