"""A model's own checks: numbers that it should reach on its data, each with the target that decides whether it did.

    def checks(self, real):
        return [Check("digits", present, "== 10"), Check("class KL", kl, "<= .1"), Check("mean |grad D|", norm, ".8 to 1.2")]

`minigan evaluate RUN` prints and stores them. `met` is computed from value and target; nobody writes it by hand.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigan.data import Dataset
from minigan.data.base import stream
from minigan.data.pixels import Pixels
from minigan.gans.needs import ONLY, Supply

MOST = 20_000  # examples of a set that checks look at
ROOM = 1 << 28  # bytes that they may take as they are stored

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
}  # fmt: skip
_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_RELATION = re.compile(rf"(>=|<=|>|<|==)\s*{_NUMBER}")
_RANGE = re.compile(rf"{_NUMBER}\s+to\s+{_NUMBER}")


@dataclass(frozen=True)
class Check:
    """One number and what it should be.

    Args:
        name: in the field's words.
        value: what was measured; NaN and Inf meet no target.
        target: a relation and a number (">= .95", "< 3", "== 8"), or a range with both ends ("0.9 to 1.1").
        source: where the target comes from, in a few words: a paper's table, or the data, steps and seeds that were measured.

    Raises:
        ValueError: a target of another form, or an empty range. TypeError: a value that is no number, a source that is no text.
    """

    name: str
    value: float
    target: str
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"Check: got the name {self.name!r}, expected a text")
        if np.ndim(self.value) or not isinstance(self.value, (int, float, np.number, np.ndarray)):
            raise TypeError(f"Check {self.name!r}: got the value {self.value!r}, expected one number: call .item()")
        if not isinstance(self.source, str):
            raise TypeError(f"Check {self.name!r}: got the source {self.source!r}, expected a text")
        object.__setattr__(self, "value", float(self.value))
        _test_of(self.name, self.target)

    @property
    def met(self) -> bool:
        """Whether the value is finite and fulfils the target."""
        return math.isfinite(self.value) and _test_of(self.name, self.target)(self.value)


def _test_of(name: str, target: str) -> Callable[[float], bool]:
    text = target.strip() if isinstance(target, str) else ""
    if found := _RELATION.fullmatch(text):
        relation, bound = RELATIONS[found[1]], float(found[2])
        return lambda value: relation(value, bound)
    if found := _RANGE.fullmatch(text):
        low, high = float(found[1]), float(found[2])
        if low <= high:
            return lambda value: low <= value <= high
    raise ValueError(
        f"Check {name!r}: got the target {target!r}, expected a relation and a number such as '>= .95', or 'LOW to HIGH'"
    )


class RealData(Mapping[str, np.ndarray]):
    """What a model's checks may look at: examples of its data in a random order, by the names in `needs`; of a large set `MOST`.

    The order is random so that the first thousand stand for all: a folder of folders is sorted by class, and MNIST by writer
    (the means of a code over its first thousand digits differ from those of all by .3 standard deviations). What belongs
    together, examples, labels and pairs, stays together.

    Args:
        supply: the run's data.
        seed: of the order, and of the samples that are to be drawn.
        judge_of: finds the judge of a data set (see `minigan.metrics.judge.for_data`).

    Attributes:
        sets: the data sets by name, in the same order: a mixture's `modes` and `sigma`, its exact `log_density`, true factors.
        judges: those that were asked for, by the data set's name in `needs`.
        seed: for `self.sample(n, seed=real.seed)`, so that `minigan evaluate --seed` draws others.
    """

    def __init__(self, supply: Supply, *, seed: int = 0, judge_of: Callable[[Dataset], Any] | None = None) -> None:
        self.seed, self._whole, self._judge_of = seed, supply.sets, judge_of
        self.sets: dict[str, Dataset] = {}
        self._parts: dict[str, np.ndarray] = {}
        for first, group in supply.groups.items():
            rows = _some(supply.sets[first], stream(seed, f"checks of {first}"))
            self._parts |= {part: _taken(array, rows) for part, array in group.items()}
            for name in supply.sets.keys() & group.keys():
                self.sets[name] = _chosen(supply.sets[name], rows)
        self.judges: dict[str, Any] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def judge(self, name: str = ONLY) -> Any:
        """The classifier of the data set of that name (:class:`minigan.metrics.judge.Judge`), trained at the first use.

        None for data that no judge can be trained on: points, and images without labels or of one class.
        """
        found = self._whole[name]
        if self._judge_of is None or found.kind != "images" or found.y is None or len(np.unique(found.y)) < 2:
            return None
        if name not in self.judges:
            self.judges[name] = self._judge_of(found)
        return self.judges[name]


def _some(found: Dataset, random: np.random.Generator) -> np.ndarray:
    """Places of examples, in random order."""
    stored = found.x.stored if isinstance(found.x, Pixels) else found.x
    return random.permutation(len(found))[: max(2, min(MOST, ROOM // stored[:1].nbytes))]


def _chosen(found: Dataset, rows: np.ndarray) -> Dataset:
    """The examples at these places, with what is known of them."""
    return replace(
        found,
        x=_taken(found.x, rows),
        y=None if found.y is None else found.y[rows],
        factors={factor: values[rows] for factor, values in found.factors.items()},
    )


def _taken(array: Any, rows: np.ndarray) -> Any:
    """The examples at these places; bytes stay bytes."""
    return Pixels(array.stored[rows], low=array.low, high=array.high) if isinstance(array, Pixels) else array[rows]
