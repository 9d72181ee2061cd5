"""The table of `minigan evaluate`, as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from minigan.gans.checks import Check
from minigan.run import settings
from minigan.version import __version__


class Row(NamedTuple):
    """One number of one metric.

    Attributes:
        name: of the number. better: "lower", "higher" or "".
        values: by checkpoint. real: of as many other real examples. bias: of equal laws, where a formula tells.
    """

    name: str
    better: str
    values: dict[str, float]
    real: float | None
    bias: float | None

    @property
    def floor(self) -> float | None:
        """Of a distance: real against real."""
        return self.real if self.better == "lower" else None


@dataclass
class Evaluation:
    """All that was measured; `evaluation.json` holds it.

    Attributes:
        run, model, data: what was evaluated, on what. n, seed: of the samples.
        checkpoints: by label ("last", "best") the file and the step.
        judge: its hash and record, or None. rows: the metrics. checks: the model's own, by label.
        left_out: metrics that were not measured, and why.
    """

    run: str
    model: str
    data: str
    n: int
    seed: int
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    judge: dict[str, Any] | None = None
    rows: list[Row] = field(default_factory=list)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """One document; numbers that JSON does not have (NaN, Inf) become null."""
        rows = [{**row._asdict(), "floor": row.floor} for row in self.rows]
        checks = {label: [{**asdict(c), "met": c.met} for c in found] for label, found in self.checks.items()}
        whole = {"minigan": __version__, **vars(self), "metrics": rows, "checks": checks}
        del whole["rows"]
        return json.dumps(_clean(whole), indent=2)

    def as_text(self) -> str:
        """The table that is printed and stored."""
        labels = list(self.checkpoints)
        steps = [f"{label}: step {self.checkpoints[label]['step']}" for label in labels if label != "given"]
        lines = [
            f"{self.run}: {', '.join([f'{self.model} on {self.data}', *steps])}; {self.n} samples, seed {self.seed}"
        ]
        if self.judge:
            record = self.judge["record"]
            lines.append(
                f"judge {self.judge['sha256'][:12]} of {record['data']}, right on {record['accuracy']:.2%} of "
                f"{record['held_out']} held-out examples; cFD and its kind compare only under one judge, never with an FID"
            )
        if self.rows:
            head = ("metric", "better", *labels, "floor", "real", "bias")
            rows = [
                (r.name, r.better or "-", *(cell(r.values.get(each)) for each in labels), cell(r.floor),
                 cell(None if r.better == "lower" else r.real), cell(r.bias))
                for r in self.rows
            ]  # fmt: skip
            lines += ["", settings.table([head, *rows], indent="")]
            lines.append(
                "floor, real: what as many other real examples get; bias: what equal laws would get on average"
            )
        for label, found in self.checks.items():
            if found:
                cells = [(c.name, cell(c.value), c.target, "met" if c.met else "NOT met", c.source) for c in found]
                told = "where the target comes from" if any(c.source for c in found) else ""
                head = (f"checks, {label}", "value", "target", "", told)
                lines += ["", settings.table([head, *cells], indent="")]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            reasons.setdefault(why, []).append(name)
        lines += ["", *(f"left out: {', '.join(names)}: {why}" for why, names in reasons.items())] if reasons else []
        return "\n".join(lines)


def cell(value: float | None) -> str:
    """A number of a table: four digits, or a dash for none."""
    return "-" if value is None else f"{value:.4g}"


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, (list, tuple)) else value
