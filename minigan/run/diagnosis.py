"""What is happening in a run, in plain words: `minigan diagnose`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import data
from minigan.gans.checks import Check
from minigan.gans.needs import Facts, Supply
from minigan.gans.options import reading
from minigan.run import advice, building, checkpoint, lesson, places, settings
from minigan.run.advice import Advice
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import CheckpointError, UsageError, command, shown
from minigan.run.evidence import Evidence, Unmeasured
from minigan.run.references import Reference
from minigan.run.rundir import RunDir
from minigan.run.symptoms import SYMPTOMS, Symptom
from minigan.run.table import cell

HEALTHY = "healthy"
DIVERGED, EARLY = "divergence", "too early to tell"  # symptoms after which the others are not what they seem


class Finding(NamedTuple):
    """A symptom, and what was measured: its checks, or why there are none. found: whether one of them is not met."""

    symptom: Symptom
    checks: list[Check]
    unmeasured: str

    @property
    def found(self) -> bool:
        """Whether one of the checks is not met."""
        return any(not check.met for check in self.checks)


@dataclass
class Diagnosis:
    """All that `minigan diagnose` tells.

    Attributes:
        run, model, data, state: what was looked at. step, steps: how far it is, of how many.
        notes: what else is to be known of the run. findings: one for each symptom. advice: by symptom.
    """

    run: str
    model: str
    data: str
    state: str
    step: int
    steps: int
    notes: list[str]
    findings: list[Finding]
    advice: dict[str, list[Advice]] = field(default_factory=dict)

    @property
    def verdict(self) -> list[str]:
        """The symptoms that were found; of a run that has diverged, or has hardly begun, that alone. [HEALTHY] where none was."""
        found = [each.symptom.name for each in self.findings if each.found]
        for first in (DIVERGED, EARLY):
            if first in found:
                return [first]
        return found or [HEALTHY]

    def as_text(self) -> str:
        """What is printed."""
        measured = [each for each in self.findings if each.checks]
        lines = [
            f"{self.run}: {self.model} on {self.data}, step {self.step} of {self.steps}, {self.state}",
            *self.notes,
        ]
        if self.verdict == [HEALTHY]:
            names = ", ".join(each.symptom.name for each in measured)
            lines += ["", f"HEALTHY: none of the {len(measured)} signs that could be looked for was found ({names})."]
            lines += [f"  how good the samples are: {command('evaluate', self.run)}"]
        given: set[str] = set()
        for each in self.findings:
            if each.symptom.name in self.verdict:
                lines += ["", *self._told(each, given)]
        lines += ["", *_table(measured, self.verdict)]
        reasons: dict[str, list[str]] = {}
        for each in self.findings:
            if each.unmeasured:
                reasons.setdefault(each.unmeasured, []).append(each.symptom.name)
        return "\n".join([*lines, *(f"not measured: {', '.join(names)}: {why}" for why, names in reasons.items())])

    def _told(self, found: Finding, given: set[str]) -> list[str]:
        """given: command lines that stand above already, which are not said again."""
        symptom, tried = found.symptom, self.advice.get(found.symptom.name, [])
        new = [each for each in tried if each.command not in given]
        given.update(each.command for each in tried)
        lines = [f"{symptom.name.upper()}. {symptom.plain}"]
        lines += [f"  evidence  {c.name}: {cell(c.value)}, expected {c.target}" for c in found.checks if not c.met]
        lines += [f"  try       {each.command}\n            ({each.why})" for each in new]
        lines += ["  try       as above"] if len(new) < len(tried) else []
        return [*lines, f"  lesson    {lesson.told(symptom.lesson)}"]

    def as_json(self) -> str:
        """The same as one document; numbers that JSON does not have become null."""
        whole = {
            key: getattr(self, key) for key in ("run", "model", "data", "state", "step", "steps", "notes", "verdict")
        }
        return json.dumps(whole | {"findings": [self._document(each) for each in self.findings]}, indent=2)

    def _document(self, found: Finding) -> dict[str, Any]:
        symptom = found.symptom
        checks = [
            {"name": c.name, "value": c.value if math.isfinite(c.value) else None, "expected": c.target, "met": c.met}
            for c in found.checks
        ]
        tried = [each._asdict() for each in self.advice.get(symptom.name, [])]
        return {
            "symptom": symptom.name, "found": found.found if checks else None, "evidence": checks,
            "unmeasured": found.unmeasured, "plain": symptom.plain, "lesson": symptom.lesson, "advice": tried,
        }  # fmt: skip


def _table(measured: list[Finding], verdict: list[str]) -> list[str]:
    rows = [("sign", "number", "value", "sound")]
    for each in measured:
        rows += [(each.symptom.name, c.name, cell(c.value), c.target) for c in each.checks]
    so_far = " (so far: it is too early)" if verdict == [EARLY] else ""
    return [f"all that was measured{so_far}:", settings.table(rows)]


# -- the command -----------------------------------------------------------------------------------------------------
def diagnose(path: str, *, as_json: bool = False, model: str | None = None, held_out: str | None = None) -> str:
    """Look for each symptom in a run, and say what to try.

    Args:
        path: the run's directory.
        as_json: return a JSON document instead of text.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).
        held_out: examples like the run's data that it was not trained on, by name or path, for data of one's own; data that
            minigan generates, or that have a test half, need none.

    Raises:
        UsageError: held-out examples of another shape. CheckpointError, DataError: no run, or no usable checkpoint.
        AuthorError: an error in the code of a model that is not minigan's own.
    """
    folder = RunDir.open(path)
    file, saved = _newest(folder)
    reference = building.reference_of(folder, file, saved, model, "diagnose")
    config = building.restored_config(file, reference, saved)
    config = places.found_again(folder.path, config, reference.model.needs, saved.near)
    device, facts = building.usable_device(saved.device, folder.path), Facts.read(saved.facts)
    beside = None if held_out is None else _beside(held_out, config, facts)
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        made = building.restored_model(file, reference, saved, config, device) if saved.state else None
        evidence = Evidence(
            folder, reference, config, facts, model=made, supply=_supply(reference, config, saved), beside=beside
        )
        found = _found(folder, evidence)
        for name in found.verdict:
            found.advice[name] = _advice(name, folder, evidence, device)
    return found.as_json() if as_json else found.as_text()


def _newest(folder: RunDir) -> tuple[Path, Checkpoint]:
    """The newest checkpoint; of a run that diverged before there was one, what config.json says, without weights.

    Raises:
        CheckpointError: there is none, and the run has not diverged.
    """
    about = folder.read_config() or {}
    if checkpoint.all_of(folder) or folder.read_state() != "diverged" or not about:
        return checkpoint.latest(folder)
    try:
        names = {key: about[key] for key in ("model", "origin", "config", "facts", "device")}
    except KeyError as error:
        raise CheckpointError(f"{folder.config}: is not what was written for this run: {error} is not there") from error
    return folder.config, Checkpoint(**names, data_checksum=0, step=int(folder.read_status().get("step", 0)))


def _supply(reference: Reference, config: Any, saved: Checkpoint) -> Supply | str:
    """The run's data, or why there are none: they may be gone, and much can be said without."""
    try:
        supply = building.load_same_kind(reference, config, saved)
    except (data.DataError, UsageError) as error:
        return shown(error)
    if saved.state and building.checksum(supply) != saved.data_checksum:
        building.note(
            f"note: {config.data} is not what it was when the run began; samples are compared with what it is now"
        )
    return supply


def _beside(name: str, config: Any, facts: Facts) -> Callable[[], np.ndarray]:
    """Examples of one's own choice, in the model's units."""
    found = data.load(name, **reading(config))
    if found.x.shape[1:] not in facts.shapes.values():
        shapes = " or ".join(str(shape) for shape in facts.shapes.values())
        raise UsageError(
            f"--held-out: {name} holds examples of shape {found.x.shape[1:]}, expected {shapes}, as the run's data"
        )
    units = facts.units_of(found.x)
    return lambda: np.asarray(units.standardised(found.x) if units else found.x[:], np.float32)


def _found(folder: RunDir, e: Evidence) -> Diagnosis:
    findings: list[Finding] = []
    for symptom in SYMPTOMS.values():
        try:
            if any(each.found for each in findings if each.symptom.name == DIVERGED):
                raise Unmeasured("the run has diverged")
            findings.append(Finding(symptom, symptom.checks(e), ""))
        except Unmeasured as reason:
            findings.append(Finding(symptom, [], str(reason)))
    notes = [f"warning: {text}" for text in e.status.get("warnings", [])]
    notes += [folder.told()] if folder.told() else []
    notes += [str(e.status.get("message", ""))] if e.diverged else []
    if e.reached != e.step:
        notes.append(
            f"what is measured on weights is of the newest checkpoint, step {e.step}"
            if e.step
            else "there is no checkpoint"
        )
    steps = e.status.get("steps", e.config.steps)
    return Diagnosis(
        str(folder.path), e.reference.name, str(e.config.data), folder.read_state() or "in an unknown state", e.reached, steps,
        notes, findings,
    )  # fmt: skip


def _advice(name: str, folder: RunDir, e: Evidence, device: str) -> list[Advice]:
    found = advice.advised(name, e.reference, e.config, e.facts, device)
    if name != EARLY or found or folder.held_by_another():
        return found
    return [Advice(advice.longer(folder, e.config, e.step, e.own_time()), "train on")]
