"""What a run's model is worth, as numbers: `minigan evaluate`.

Three sets of n examples are drawn: `real` and `other`, disjoint, from the shuffled data, and n samples of the model. Every metric
that has what it takes is measured twice, on (real, samples) and on (real, other): the second is what real data get, and of a
distance it is the floor that no generator can be expected to go below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minigan import metrics
from minigan.data import Dataset
from minigan.data.base import stream
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples, Label
from minigan.gans.needs import Supply
from minigan.gans.protocol import Trainable, check_checks
from minigan.metrics import Comparison, Metric, MissingError, Side
from minigan.metrics import judge as judges
from minigan.metrics.judge import Judge
from minigan.run import building, checkpoint, sampling, settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import UsageError
from minigan.run.progress import note, phase
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, write_durably
from minigan.version import __version__

SAMPLES = {"images": 5000, "points": 2500}  # where nobody says how many; at most half of the data
LEAST = 20  # samples: fewer say nothing
HELD_OUT = 1000  # real examples that take no part as training examples in the search for copies


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
        steps = ", ".join(f"{label}: step {self.checkpoints[label]['step']}" for label in labels)
        lines = [f"{self.run}: {self.model} on {self.data}, {steps}; {self.n} samples, seed {self.seed}"]
        if self.judge:
            record = self.judge["record"]
            lines.append(
                f"judge {self.judge['sha256'][:12]} of {record['data']}, right on {record['accuracy']:.2%} of "
                f"{record['held_out']} held-out examples; cFD and its kind compare only under one judge, never with an FID"
            )
        if self.rows:
            head = ("metric", "better", *labels, "floor", "real", "bias")
            rows = [
                (r.name, r.better or "-", *(_shown(r.values.get(each)) for each in labels), _shown(r.floor),
                 _shown(None if r.better == "lower" else r.real), _shown(r.bias))
                for r in self.rows
            ]  # fmt: skip
            lines += ["", settings.table([head, *rows], indent="")]
            lines.append(
                f"floor, real: what {self.n} other real examples get; bias: what equal laws would get on average"
            )
        for label, found in self.checks.items():
            if found:
                cells = [(c.name, _shown(c.value), c.target, "met" if c.met else "NOT met") for c in found]
                lines += ["", settings.table([(f"checks, {label}", "value", "target", ""), *cells], indent="")]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            reasons.setdefault(why, []).append(name)
        lines += ["", *(f"left out: {', '.join(names)}: {why}" for why, names in reasons.items())] if reasons else []
        return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, (list, tuple)) else value


# -- the command -----------------------------------------------------------------------------------------------------
def evaluate(
    path: str,
    *,
    n: int | None = None,
    seed: int | None = None,
    as_json: bool = False,
    model: str | None = None,
    slow: bool = False,
) -> str:
    """Measure a run, store the table in its folder, and return it.

    Args:
        path: the run's directory.
        n: samples; by default 5,000 images or 2,500 points, at most half of the data.
        seed: of the samples; by default the run's.
        as_json: return the JSON document instead of the table.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).
        slow: take the metrics too that need minutes.

    Raises:
        UsageError: n out of range. CheckpointError, DataError: no usable checkpoint, or no data. AuthorError: see `errors`.
    """
    found, _ = measured(path, n=n, seed=seed, model=model, slow=slow)
    text = found.as_text()
    _store(RunDir.open(path), found.as_json(), text)
    return found.as_json() if as_json else text


def _store(folder: RunDir, document: str, text: str) -> None:
    try:
        for file, content in (("evaluation.json", document), ("evaluation.txt", text)):
            write_durably(folder.path / file, partial(_write, content))
    except OSError as error:
        note(f"note: the table could not be stored in {folder.path} ({error})")


def _write(content: str, file: IO[bytes]) -> None:
    file.write(f"{content}\n".encode())


def checkpoints_to_evaluate(folder: RunDir) -> dict[str, tuple[Path, Checkpoint]]:
    """By label, in the order of the table: the last, and the best where one is kept."""
    return {"last": checkpoint.latest(folder)}


def measured(
    path: str, *, n: int | None = None, seed: int | None = None, model: str | None = None, slow: bool = False
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """(what :func:`evaluate` tells, the samples by label). Arguments and errors as there."""
    folder = RunDir.open(path)
    chosen = checkpoints_to_evaluate(folder)
    file, saved = next(iter(chosen.values()))
    reference = building.reference_of(folder, file, saved, model, "evaluate")
    config = building.restored_config(file, reference, saved)
    seed = config.seed if seed is None else seed
    supply = building.load_data(reference, config)
    device = building.usable_device(saved.device, folder.path)
    setting = Setting(reference, config, supply, n, seed)
    found = Evaluation(str(folder.path), reference.name, str(config.data), setting.n, seed)
    drawings = {}
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        for label, (file, saved) in chosen.items():
            restored = building.restored_model(file, reference, saved, config, device)
            found.checkpoints[label] = {"file": str(file), "step": saved.step}
            samples = setting.samples(restored, found.left_out)
            if samples is not None:
                drawings[label] = samples.examples
                add_rows(found, label, setting.comparison(samples), setting.comparison(setting.other), slow=slow)
            with reference.blamed():
                found.checks[label] = check_checks(reference.name, restored.checks(setting.real_data))
    found.judge = setting.judge_told()
    return found, drawings


def add_rows(found: Evaluation, label: str, comparison: Comparison, floor: Comparison, *, slow: bool = False) -> None:
    """Measure every metric that has what it takes; the others are told in `left_out`."""
    for metric in metrics.METRICS.values():
        if metric.measure is None:
            continue
        if metric.slow and not slow:
            found.left_out[metric.name] = "takes minutes: ask for it with --slow"
            continue
        try:
            values = metric.values(comparison)
        except ValueError as error:  # a MissingError, or what a metric says of samples that it cannot take
            found.left_out[metric.name if isinstance(error, MissingError) else f"{metric.name}, {label}"] = str(error)
            continue
        _merge(found, label, metric, values, floor)


def _merge(found: Evaluation, label: str, metric: Metric, values: Mapping[str, float], floor: Comparison) -> None:
    known = {row.name: row for row in found.rows}
    fresh = [name for name in values if _title(metric, name, floor) not in known]
    real = metric.values(floor) if fresh else {}
    biases = metric.biases(floor) if fresh else {}
    for name, value in values.items():
        title = _title(metric, name, floor)
        if name in fresh:
            row = Row(title, metric.direction(name), {}, real.get(name), biases.get(name))
            known[title] = row
            found.rows.append(row)
        known[title].values[label] = value


def _title(metric: Metric, name: str, comparison: Comparison) -> str:
    return metric.judged if metric.judged and comparison.real.judged else name


class Setting:
    """What a run's models are compared with.

    Args:
        reference, config, supply: of the run. n: samples, None for the default. seed: of samples and of the choice.

    Attributes:
        n: how many samples. real_data: for the model's own checks.
    """

    def __init__(self, reference: Reference, config: Any, supply: Supply, n: int | None, seed: int) -> None:
        self.reference, self.config, self.supply, self.seed = reference, config, supply, seed
        self.real_data = RealData(supply, seed=seed, judge_of=_judge_of)
        self.name = _target(reference.model.conditions, supply)
        self.n = _count(n, supply.sets[self.name] if self.name else None)
        self._order = stream(seed, "evaluation").permutation(len(self.set)) if self.name else np.empty(0, np.int64)

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

    def samples(self, model: Trainable, left_out: dict[str, str]) -> Side | None:
        """n samples; None, with the reason in `left_out`, where there is nothing to compare them with."""
        if not self.name:
            left_out["all metrics"] = "no data set of the run is what samples are to be compared with; see the checks"
            return None
        conditions, n = self.reference.model.conditions, self.n
        given = sampling.conditions(self.reference, model, {}, self.config)
        labels = {
            name: np.arange(n) % self.supply.facts.classes[c.of]
            for name, c in conditions.items()
            if isinstance(c, Label)
        }
        try:
            one = sampling.drawn(self.reference, model, 1, self.seed, given)
            sampling.check_memory(n, one.size)
            examples = sampling.drawn(self.reference, model, n, self.seed, given | labels)
        except UsageError as error:
            left_out["all metrics"] = str(error)
            return None
        if examples.shape[1:] != self.set.x.shape[1:]:
            left_out["all metrics"] = (
                f"samples are {examples.shape[1:]}, and {self.set.name} holds {self.set.x.shape[1:]}"
            )
            return None
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
        """A few of the others, and all real examples but those few."""
        start = self.n
        few = self._order[start : start + min(HELD_OUT, self.n)]
        return {"held_out": self.side(few), "training": self.side(np.setdiff1d(self._order, few))}

    def comparison(self, fake: Side) -> Comparison:
        """Examples with the real ones."""
        mixture = None if self.set.modes is None or self.set.sigma is None else (self.set.modes, self.set.sigma)
        return Comparison(self.real, fake, **self._unseen, mixture=mixture, seed=self.seed)


def _target(conditions: Mapping[str, Any], supply: Supply) -> str:
    """The data set that samples are of: the one that is there, or the one that is not translated; "" where that is not one."""
    translated = {c.of for c in conditions.values() if isinstance(c, Examples)}
    names = [name for name in supply.sets if name not in translated or len(supply.sets) == 1]
    return names[0] if len(names) == 1 else ""


def _count(n: int | None, found: Dataset | None) -> int:
    most = len(found) // 2 if found else 0
    if n is None:
        return min(SAMPLES[found.kind], most) if found else 0
    if found and not LEAST <= n <= most:
        raise UsageError(f"-n: got {n}, expected {LEAST} to {most}, half of the {len(found)} examples of {found.name}")
    return n


def _judge_of(found: Dataset) -> Judge:
    if judges.path_for(found).exists():
        return judges.for_data(found)
    with phase(f"training the judge of {found.name} (once; kept in {judges.path_for(found).parent})"):
        return judges.for_data(found)
