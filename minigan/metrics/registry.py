"""The metrics by name. One is a function of arrays and one registration, in a file of its own; this shows all it takes:

    from minigan import metrics

    def mean_gap(real, fake):
        return float(abs(real.mean(axis=0) - fake.mean(axis=0)).max())

    metrics.register(mean_gap, better="lower", measure=lambda c: mean_gap(c.real.points, c.fake.points))

`minigan evaluate RUN --metric FILE.py` then has it in its table. `measure` takes the numbers out of a
:class:`minigan.metrics.comparison.Comparison`; what it asks for and is not there (a judge, modes) leaves the line out of the
table, with the reason. A metric without `measure` is for pairs, or for a model's own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BETTER = ("lower", "higher", "")


class MissingError(ValueError):
    """What a metric asks for is not there. The message says what, and why."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: in tables; of a metric of several numbers, of all of them together.
        function: of arrays; its docstring has formula, source and bias.
        better: "lower", "higher", or "" where neither is; a mapping by name for several numbers.
        measure: from a comparison to the number, or to several by name; None for one that no comparison has the arrays for.
        bias: what the number is on average where both laws are equal, as far as a formula tells, by the same names.
        live: cheap enough to be taken while a model trains. slow: takes minutes, and is measured when asked for.
        judged: its name where the features or probabilities are those of the judge: a Frechet distance of those is a cFD, and
            must not be taken for an FID.
    """

    name: str
    function: Callable[..., Any]
    better: str | Mapping[str, str]
    measure: Callable[[Any], float | Mapping[str, float]] | None = None
    bias: Callable[[Any], float | Mapping[str, float]] | None = None
    live: bool = False
    judged: str = ""
    slow: bool = False

    def direction(self, name: str) -> str:
        """Which way is better for one of its numbers."""
        return self.better if isinstance(self.better, str) else self.better[name]

    def values(self, comparison: Any) -> dict[str, float]:
        """Its numbers by name.

        Raises:
            MissingError: the comparison has not what it takes. TypeError: `measure` returned something else.
        """
        if self.measure is None:
            raise MissingError(f"{self.name} is no metric of two sets of examples")
        found = self._by_name(self.measure(comparison))
        if not isinstance(self.better, str) and found.keys() != self.better.keys():
            raise TypeError(f"metric {self.name!r}: measure returned {sorted(found)}, expected {sorted(self.better)}")
        return found

    def biases(self, comparison: Any) -> dict[str, float]:
        """What is known of the bias, by the same names."""
        return self._by_name(self.bias(comparison)) if self.bias else {}

    def _by_name(self, made: Any) -> dict[str, float]:
        found = dict(made) if isinstance(made, Mapping) else {self.name: made}
        if wrong := [value for value in found.values() if np.ndim(value) or not np.isreal(value)]:
            raise TypeError(f"metric {self.name!r}: got {wrong[0]!r} for a number; a mean of several is one")
        return {name: float(value) for name, value in found.items()}


METRICS: dict[str, Metric] = {}


def register(
    function: Callable[..., Any],
    *,
    better: str | Mapping[str, str],
    name: str = "",
    measure: Callable[[Any], float | Mapping[str, float]] | None = None,
    bias: Callable[[Any], float | Mapping[str, float]] | None = None,
    live: bool = False,
    judged: str = "",
    slow: bool = False,
) -> Metric:
    """Add a metric; see :class:`Metric` for the arguments. By default its name is the function's, with spaces.

    Raises:
        ValueError: a name that another function has, or another direction than "lower", "higher" and "".
    """
    metric = Metric(name or function.__name__.replace("_", " "), function, better, measure, bias, live, judged, slow)
    directions = [better] if isinstance(better, str) else list(better.values())
    if wrong := [each for each in directions if each not in BETTER]:
        raise ValueError(f"register {metric.name!r}: got better={wrong[0]!r}, expected one of {BETTER}")
    if metric.name in METRICS:
        raise ValueError(f"register: {metric.name!r} is a metric already; choose another name")
    METRICS[metric.name] = metric
    return metric
