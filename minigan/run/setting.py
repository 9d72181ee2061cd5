"""What the samples of a run are compared with: two halves of its data, a judge, a few examples held out.

Three sets of n examples are drawn: `real` and `other`, disjoint, from the shuffled data, and n samples of the model. Every metric
that has what it takes is measured twice, on (real, samples) and on (real, other): the second is what real data get, and of a
distance it is the floor that no generator can be expected to go below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from minigan import data
from minigan.data import Dataset
from minigan.data.base import stream
from minigan.gans.checks import RealData
from minigan.gans.conditions import Examples, Label
from minigan.gans.needs import Supply
from minigan.gans.protocol import Trainable
from minigan.metrics import Comparison, Side
from minigan.metrics import judge as judges
from minigan.metrics.judge import Judge
from minigan.run import sampling
from minigan.run.errors import UsageError
from minigan.run.progress import note, phase
from minigan.run.references import Reference

SAMPLES = {
    "images": 5000,
    "points": 2500,
    "tokens": 2500,
    "audio": 1000,
    "video": 1000,
}  # where nobody says how many; at most half of the data
LEAST = 20  # samples: fewer say nothing
MOST_TRAINING = 2**27  # numbers in the training examples among which copies are looked for: half a gigabyte
HELD_OUT = 1000  # real examples that take no part as training examples in the search for copies


class Setting:
    """What a run's models are compared with.

    Args:
        reference, config, supply: of the run. conditions: of its model, as it was made. n: samples, None for the default.
        seed: of samples and of the choice.

    Attributes:
        n: how many samples. drawn: they, by the checkpoint's label. real_data: for the model's own checks.
    """

    def __init__(
        self,
        reference: Reference,
        config: Any,
        supply: Supply,
        conditions: Mapping[str, Any],
        n: int | None,
        seed: int,
    ) -> None:
        self.reference, self.config, self.supply, self.seed = reference, config, supply, seed
        self.real_data = RealData(supply, seed=seed, judge_of=_judge_of)
        self.name = _target(conditions, supply)
        self._order = self._shuffled()
        self.n = _count(n, supply.sets[self.name] if self.name else None, len(self._order))
        self.drawn: dict[str, np.ndarray] = {}

    def _shuffled(self) -> np.ndarray:
        """The examples that samples are compared with, in random order: those that the model trains on."""
        if not self.name:
            return np.empty(0, np.int64)
        rows = self.reference.model.trains_on(self.config, self.supply.group_of(self.name))
        order = stream(self.seed, "evaluation")
        return order.permutation(len(self.set)) if rows is None else order.permutation(rows)

    @property
    def set(self) -> Dataset:
        """The data set that samples are compared with."""
        return self.supply.sets[self.name]

    def side(self, rows: np.ndarray) -> Side:
        """Real examples, by their numbers."""
        labels = None if self.set.y is None else self.set.y[rows]
        return Side(self.set.x[rows], judge=self._judge(), labels=labels)

    def _judge(self) -> Callable[[], Any] | None:
        labelled = self.set.kind == "images" and self.set.y is not None and len(np.unique(self.set.y)) > 1
        return (lambda: self.real_data.judge(self.name)) if labelled else None

    def judge_told(self) -> dict[str, Any] | None:
        """Of the judge that was asked, if one was."""
        judge: Judge | None = next(iter(self.real_data.judges.values()), None)
        return {"sha256": judge.sha256, "record": asdict(judge.record)} if judge and judge.record else None

    def samples(self, model: Trainable, label: str, left_out: dict[str, str]) -> Side | None:
        """n samples; None, with the reason in `left_out`, where there is nothing to compare them with."""
        if not self.name:
            left_out["all metrics"] = "no data set of the run is what samples are to be compared with; see the checks"
            return None
        if self.set.kind == "tokens":
            left_out["all metrics"] = (
                "numbers of words are no coordinates, which the metrics take examples for; see the checks"
            )
            return None
        conditions, n = model.conditions, self.n
        given = sampling.conditions(self.reference, model, {}, self.config, self.supply.facts)
        labels = {
            name: np.arange(n) % self.supply.facts.classes[c.of]
            for name, c in conditions.items()
            if isinstance(c, Label)
        }
        try:
            one = sampling.drawn(self.reference, model, 1, self.seed, given)
            sampling.check_memory(n, one.size)
            examples = self.supply.facts.in_units(sampling.drawn(self.reference, model, n, self.seed, given | labels))
        except UsageError as error:
            left_out["all metrics"] = str(error)
            return None
        if examples.shape[1:] != self.set.x.shape[1:]:
            left_out["all metrics"] = (
                f"samples are {examples.shape[1:]}, and {self.set.name} holds {self.set.x.shape[1:]}"
            )
            return None
        self.drawn[label] = examples
        return Side(examples, judge=self._judge(), labels=next(iter(labels.values()), None))

    @cached_property
    def real(self) -> Side:
        """n real examples."""
        return self.side(self._order[: self.n])

    @cached_property
    def other(self) -> Side:
        """n others."""
        return self.side(self._order[self.n : 2 * self.n])

    @cached_property
    def _unseen(self) -> dict[str, Side]:
        """A few of the others, and all real examples but those few, or as many of them as `MOST_TRAINING` allows."""
        start = self.n
        few = self._order[start : start + min(HELD_OUT, self.n)]
        rest = np.setdiff1d(self._order, few)
        most = max(self.n, MOST_TRAINING // math.prod(self.set.x.shape[1:]))
        if len(rest) > most:
            note(f"note: copies are looked for among {most:,} of {len(rest):,} training examples, which fit in memory")
            rest = np.sort(stream(self.seed, "training examples").permutation(rest)[:most])
        return {"held_out": self.side(few), "training": self.side(rest)}

    def comparison(self, fake: Side) -> Comparison:
        """Examples with the real ones."""
        mixture = None if self.set.modes is None or self.set.sigma is None else (self.set.modes, self.set.sigma)
        return Comparison(self.real, fake, **self._unseen, mixture=mixture, seed=self.seed)


def _target(conditions: Mapping[str, Any], supply: Supply) -> str:
    """The data set that samples are of: the one that is there, or the one that is not translated; "" where that is not one."""
    translated = {c.of for c in conditions.values() if isinstance(c, Examples)}
    names = [name for name in supply.sets if name not in translated or len(supply.sets) == 1]
    return names[0] if len(names) == 1 else ""


def _count(n: int | None, found: Dataset | None, examples: int) -> int:
    most = examples // 2
    if n is None:
        return min(SAMPLES[found.kind], most) if found else 0
    if found and not LEAST <= n <= most:
        raise UsageError(f"-n: got {n}, expected {LEAST} to {most}, half of the {examples} examples of {found.name}")
    return n


def _judge_of(found: Dataset) -> Judge:
    """Of a set that minigan knows by name it is that of seed 0, so that runs of all seeds have one judge."""
    if data.is_known(found.name):
        known = data.load(found.name)
        found = known if known.x.shape[1:] == found.x.shape[1:] else found
    if judges.path_for(found).exists():
        return judges.for_data(found)
    with phase(f"training the judge of {found.name} (once; kept in {judges.path_for(found).parent})"):
        return judges.for_data(found)
