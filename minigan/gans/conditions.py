"""What a model can be asked for: `minigan sample RUN -n 100 --set label=3`.

A model declares its conditions by name in one attribute, and `generate(n, name=...)` gets n rows of each:

    conditions = {"label": Label("y")}                   a class of the data; as `y` in a batch, integers or one-hot
    conditions = {"digit": Category(10), "slant": Number(-1, 1)}
    conditions = {"a": Examples("a")}                    examples of the data set `a`, to be translated

Several values (`--set label=3,5`) are taken in turn. Where nothing is asked for it is every class in turn, the usual number, or
one drawn evenly from the range, and the examples of the run's own data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from minigan import data, random
from minigan.gans.needs import LABELS, SETS, Facts, Needs, entries

RESERVED = ("n", "seed", "batch_size")  # words of `sample` itself


class Condition(Protocol):
    """One thing that a model can be asked for."""

    def parse(self, text: str) -> Any:
        """What a command line asks for. Raises ValueError."""

    def check(self, value: Any) -> np.ndarray:
        """What a caller asks for, as rows. Raises ValueError: of another form, or out of range."""

    def default(self, start: int, n: int, source: random.Source, stream: str) -> np.ndarray:
        """Rows for the examples from number `start` on, where nothing is asked for. Raises ValueError: it has to be."""

    def tensor_rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows as `generate` gets them."""


def _numbers(text: str, kind: Callable[[str], Any], wanted: str) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"got {text!r}, expected {wanted}") from None


@dataclass(frozen=True)
class Category:
    """A whole number from 0 to classes - 1; `generate` gets int64 (n,), or with `one_hot` float32 (n, classes)."""

    classes: int
    one_hot: bool = False

    def parse(self, text: str) -> list[int]:
        """Whole numbers, separated by commas."""
        return _numbers(text, int, self._wanted)

    def check(self, value: Any) -> np.ndarray:
        """Integers (k,) in range."""
        rows = np.atleast_1d(np.asarray(value))
        if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
            raise ValueError(f"got {value!r}, expected {self._wanted}")
        if (bad := rows[(rows < 0) | (rows >= self.classes)]).size:
            raise ValueError(f"got {bad[0]}, expected {self._wanted}")
        return rows.astype(np.int64)

    def default(self, start: int, n: int, source: random.Source, stream: str) -> np.ndarray:
        """Every class in turn."""
        return np.arange(start, start + n) % self.classes

    def tensor_rows(self, rows: np.ndarray) -> np.ndarray:
        """Integers, or rows of the unit matrix."""
        return np.eye(self.classes, dtype=np.float32)[rows] if self.one_hot else rows

    @property
    def _wanted(self) -> str:
        return f"a whole number from 0 to {self.classes - 1}"


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; `generate` gets float32 (n, 1).

    usual: what it is where nothing is asked for; None: evenly drawn.
    """

    low: float
    high: float
    usual: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"Number: got {self.low} to {self.high}, expected two finite numbers, the smaller one first"
            )
        if self.usual is not None and not self.low <= self.usual <= self.high:
            raise ValueError(f"Number: got the usual value {self.usual}, expected {self._wanted}, or None")

    def parse(self, text: str) -> list[float]:
        """Numbers, separated by commas."""
        return _numbers(text, float, self._wanted)

    def check(self, value: Any) -> np.ndarray:
        """Numbers (k,) in range."""
        rows = np.atleast_1d(np.asarray(value))
        numbers = rows.ndim == 1 and rows.size and rows.dtype.kind in "iuf"
        if not numbers or not ((rows >= self.low) & (rows <= self.high)).all():
            raise ValueError(f"got {value!r}, expected {self._wanted}")
        return rows.astype(np.float32)

    def default(self, start: int, n: int, source: random.Source, stream: str) -> np.ndarray:
        """The usual number, or evenly drawn."""
        if self.usual is not None:
            return np.full(n, self.usual, np.float32)
        drawn = source.uniform((n,), stream=stream).numpy()
        return (self.low + (self.high - self.low) * drawn).astype(np.float32)

    def tensor_rows(self, rows: np.ndarray) -> np.ndarray:
        """One column."""
        return rows[:, None]

    @property
    def _wanted(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Rows:
    """Examples of one shape; `generate` gets float32 (n, *shape)."""

    shape: tuple[int, ...]

    def parse(self, text: str) -> np.ndarray:
        """A data set by name, or a path to a file of examples."""
        return data.load(text).x

    def check(self, value: Any) -> np.ndarray:
        """float32 (k, *shape)."""
        rows = np.asarray(value)
        if rows.shape[1:] != self.shape or not len(rows) or rows.dtype.kind != "f":
            raise ValueError(f"got {rows.dtype} of shape {rows.shape}, expected float32 (n, {_listed(self.shape)})")
        return rows.astype(np.float32)

    def default(self, start: int, n: int, source: random.Source, stream: str) -> np.ndarray:
        """There is none here: the data is not at hand."""
        raise ValueError(f"got nothing, expected examples (n, {_listed(self.shape)})")

    def tensor_rows(self, rows: np.ndarray) -> np.ndarray:
        """As they are."""
        return rows


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


class Label(NamedTuple):
    """A class of the data: the model's batches hold it under the name `of`, and `generate` gets it in the same form."""

    of: str


class Examples(NamedTuple):
    """Examples of the data set that the model's batches hold under the name `of`."""

    of: str


def bound(declared: Mapping[str, Any], needs: Needs, facts: Facts) -> dict[str, Condition]:
    """A model's conditions for the data that it has: labels become categories, examples rows of their shape.

    Raises:
        TypeError: what is no condition, or names what the model does not need.
    """
    return {name: _bound(name, condition, entries(needs), facts) for name, condition in declared.items()}


def _bound(name: str, condition: Any, needed: Mapping[str, str], facts: Facts) -> Condition:
    if name in RESERVED or not name.isidentifier():
        raise TypeError(f"conditions: got the name {name!r}, expected a word other than {', '.join(RESERVED)}")
    if isinstance(condition, (Label, Examples)):
        kinds = LABELS if isinstance(condition, Label) else SETS
        if needed.get(condition.of) not in kinds:
            raise TypeError(
                f"conditions: {name} is {condition}, but `needs` has no such {' or '.join(kinds)}: {needed}"
            )
        if isinstance(condition, Examples):
            return Rows(facts.shapes[condition.of])
        return Category(facts.classes[condition.of], needed[condition.of] == "one-hot")
    if not isinstance(condition, (Category, Number, Rows)):
        raise TypeError(f"conditions: {name} is {condition!r}, expected Label, Category, Number or Examples")
    return condition
