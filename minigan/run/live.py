"""Metrics while a model trains: those that are cheap, on a few samples.

By the clock, for at most 2 % of the time, or as often as `--live-every` says, they go to `live.jsonl`, not to `metrics.jsonl`:
the numbers of a run do not depend on the clock. At the steps where a run is judged (`minigan.run.contest`) the one that its model
is judged by goes there too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan import metrics
from minigan.data import Dataset
from minigan.data.base import stream
from minigan.gans.conditions import Examples
from minigan.gans.needs import Facts
from minigan.gans.protocol import makes_examples
from minigan.metrics import Comparison, Metric, MissingError, Side
from minigan.run import lines
from minigan.run.progress import note
from minigan.run.references import Reference
from minigan.run.schedule import Pace

SHARE = 0.02  # of the time since training began
FIRST = 5.0  # seconds before the first
SAMPLES = 500
NAME = "live.jsonl"


def metric_of(name: str) -> Metric | None:
    """The metric, registered as `live`, that one of these numbers is of."""
    for metric in metrics.METRICS.values():
        if metric.live and name in ({metric.name} if isinstance(metric.better, str) else metric.better):
            return metric
    return None


class Panel:
    """Samples of a model beside as many examples of its data: the same ones each time, for what is told must be a function of
    the weights.

    Args:
        reference, model: what trains. sets: its data. facts: of the data, with the units of points. rows: the examples that are
            trained on; None for all.

    Attributes:
        set: the data set that samples are of; None where that is not one.
    """

    def __init__(
        self,
        reference: Reference,
        model: Any,
        sets: Mapping[str, Dataset],
        facts: Facts | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        self.reference, self.model, self.facts, self.rows = reference, model, facts or Facts(), rows
        translates = any(isinstance(c, Examples) for c in model.conditions.values())
        one = len(sets) == 1 and not translates and makes_examples(model)
        only = next(iter(sets.values()), None)
        self.set = (
            only if one and only is not None and only.kind != "tokens" else None
        )  # whose numbers are no coordinates

    def measured(self, chosen: Iterable[Metric]) -> dict[str, float]:
        """The numbers of these metrics, NaN for one that cannot take the samples; nothing where there is nothing to compare."""
        if self.set is None:
            return {}
        rows = np.arange(len(self.set)) if self.rows is None else self.rows
        count = min(SAMPLES, len(rows))
        try:
            with self.reference.blamed(), np.errstate(all="ignore"):
                samples = self.facts.in_units(self.model.sample(count))
        except NotImplementedError:  # the model makes no examples
            samples = np.empty(0)
        if samples.shape[1:] != self.set.x.shape[1:] or not len(samples):
            self.set = None
            return {}
        rows = np.sort(stream(0, "live").permutation(rows)[:count])
        mixture = None if self.set.modes is None or self.set.sigma is None else (self.set.modes, self.set.sigma)
        comparison, found = Comparison(Side(self.set.x[rows]), Side(samples), mixture=mixture), dict[str, float]()
        for metric in chosen:
            try:
                found |= metric.values(comparison)
            except MissingError:
                continue
            except ValueError:  # samples that are NaN: told as null
                found[metric.name] = math.nan
        return found


class Live:
    """Takes the metrics that are registered as `live` now and then, and writes a line for each time.

    Args:
        folder: of the run. panel: who measures. step: at which it begins; later lines are cut.
        every: see `minigan.run.schedule.Pace`.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        folder: Path,
        panel: Panel,
        *,
        step: int = 0,
        every: Pace | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.file, self.panel, self.every, self.clock = folder / NAME, panel, every or Pace(), clock
        self.began, self.spent, self.cost = clock(), 0.0, 0.0
        self.last = step - 1, self.began
        self.on = panel.set is not None and not self.every.never
        self._cut(step)

    def move(self, folder: Path) -> None:
        """The run's folder has another name from now on."""
        self.file = folder / NAME

    def due(self, step: int) -> bool:
        """Whether its time has come; where nobody says when that is, whether one more would keep the share."""
        if not self.on or step == self.last[0]:
            return False
        if self.every.text:
            return self.every.due(step, *self.last, self.clock())
        elapsed = self.clock() - self.began
        return elapsed >= FIRST and self.spent + self.cost <= SHARE * elapsed

    @property
    def wake(self) -> float:
        """The time at which it wants to be asked again, where it goes by seconds."""
        return self.last[1] + self.every.seconds if self.on else math.inf

    def take(self, step: int) -> dict[str, float]:
        """Measure and write, if it is due; returns what was found. What cannot be measured, or written, ends it with a note."""
        if not self.due(step):
            return {}
        begin = self.clock()
        found = self.panel.measured(metric for metric in metrics.METRICS.values() if metric.live)
        if found:
            self._write({"step": step, **found})
        else:
            self.on = False
        self.cost = self.clock() - begin
        self.spent += self.cost
        self.last = step, self.clock()
        return found

    def _write(self, row: dict[str, Any]) -> None:
        try:
            lines.append(self.file, row)
        except OSError as error:
            note(f"note: {self.file} cannot be written ({error}); there are no more metrics in it")
            self.on = False

    def _cut(self, step: int) -> None:
        try:
            lines.cut(self.file, step)
        except OSError as error:
            note(f"note: {self.file} cannot be read and written ({error})")
            self.on = False
