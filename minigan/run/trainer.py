"""Train a model and resume it: put the parts together, each complete when it is made.

The trainer knows no model by name, only `minigan.gans.protocol`. A loop steps, a feed gives it batches, a recorder writes down
what happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backend
from minigan.gans.needs import Facts, Supply
from minigan.run import building, checkpoint, references, settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import DONE, CheckpointError, UsageError, command
from minigan.run.feed import Feed
from minigan.run.gallery import Gallery
from minigan.run.interrupts import Interrupts
from minigan.run.loop import Loop
from minigan.run.progress import note
from minigan.run.recorder import Job, Recorder, Result
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, check_free


def train(name: str, texts: Mapping[str, str], *, device: str = "cpu", out: str | None = None) -> Result:
    """Train a model from the start.

    Args:
        name: of the model: a key of `gans.MODELS`, or FILE.py[:Class].
        texts: settings that differ from the defaults, as text: {"lr": "1e-3"}.
        device: "cpu" or "gpu".
        out: the run's directory; by default runs/MODEL-DATA-seedS.

    Raises:
        UsageError, DataError, AuthorError, Diverged, MemoryError, OSError: see `minigan.run.errors.outcome`.
    """
    reference = references.resolve(name)
    config = settings.build(reference, texts)
    config = replace(config, data=settings.data_path(config.data, reference.model.needs))
    check_free(out)
    backend.module_for(device)
    supply = building.load_data(reference, config)
    building.tell(supply)
    job = Job(reference, config, supply.facts, building.checksum(supply), device)
    with Interrupts() as interrupts:
        with building.kernel_phase(device):
            model = building.new_model(reference, config, supply.facts, device)
            loop, gallery = _parts(job, model, supply, step=0)
            first = _warmed_up(job, loop, gallery)
        sources = [Path(found.name).stem for found in supply.sets.values()]
        default = Path("runs") / "-".join([reference.stem, *sources, f"seed{config.seed}"])
        return _run(Recorder(RunDir.create(out, str(default)), job, loop, gallery), interrupts, first)


def _parts(job: Job, model: Any, supply: Supply, *, step: int) -> tuple[Loop, Gallery]:
    feed = Feed(supply, model, job.device)
    loop = Loop(job.reference, model, feed, step=step, steps=job.config.steps)
    return loop, Gallery(job.reference, model, building.some_of(supply), supply.sets, supply.facts)


def _warmed_up(job: Job, loop: Loop, gallery: Gallery) -> dict[str, np.ndarray]:
    """The pictures before training, after the next step: whatever has to be compiled, or does not fit, shows here."""
    with building.usage_if_unsuitable(job.reference, job.config, job.facts), np.errstate(all="ignore"):
        first = gallery.draw(0) if loop.step == 0 else {}
        if loop.step < loop.steps:
            loop.advance()
    return first


def _run(recorder: Recorder, interrupts: Interrupts, first: Mapping[str, np.ndarray]) -> Result:
    """Train to the last step, or until interrupted, and leave everything in the folder."""
    with recorder.recording(first), np.errstate(all="ignore"):  # NaN and Inf are looked for in `Recorder.check`
        recorder.loop.run(interrupts, recorder.pause)
        return recorder.finish(interrupts.received)


# -- resume ----------------------------------------------------------------------------------------------------------
def resume(path: str, *, steps: str | None = None, model: str | None = None) -> Result:
    """Go on with the run in a directory, from its newest checkpoint: the same numbers as if it had never stopped.

    Args:
        path: the run's directory.
        steps: the last step, as text; by default the one the run was begun with.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).

    Raises:
        UsageError, CheckpointError, DataError, AuthorError, Diverged, MemoryError, OSError.
    """
    folder = RunDir.open(path)
    folder.lock()
    try:
        return _resume(folder, None if steps is None else settings.parse("--steps", steps, int), model)
    finally:
        folder.close()


def _resume(folder: RunDir, steps: int | None, chosen: str | None) -> Result:
    file, saved = checkpoint.latest(folder)
    reference = building.reference_of(folder, file, saved, chosen, "resume")
    config = _agreed_config(folder, file, reference, saved)
    steps = config.steps if steps is None else steps
    if steps < saved.step:
        raise UsageError(f"--steps: got {steps}, but {folder.path} is at step {saved.step} already")
    if steps == saved.step and folder.read_state() == "done":
        more = command("resume", folder.path, "--steps", 2 * max(steps, 1))
        return Result(DONE, f"{folder.path}: all {steps} steps are done; to train on: {more}")
    config = replace(config, steps=steps)
    device = building.usable_device(saved.device, folder.path)
    supply = _same_data(reference, saved, config)
    job = Job(reference, config, supply.facts, building.checksum(supply), device)
    with Interrupts() as interrupts:
        with building.kernel_phase(device):
            model = building.restored_model(file, reference, saved, config, device)
            loop, gallery = _parts(job, model, supply, step=saved.step)
            first = _warmed_up(job, loop, gallery)
        folder.remove_parts()
        folder.cut_metrics(saved.step)
        return _run(Recorder(folder, job, loop, gallery), interrupts, first)


def _agreed_config(folder: RunDir, file: Path, reference: Reference, saved: Checkpoint) -> Any:
    """The checkpoint's configuration, with the steps of config.json; both must agree on the rest."""
    config, written = building.restored_config(file, reference, saved), folder.read_config()
    if written is None:
        return config
    values = written.get("config")
    same = written.get("model") == saved.model or "file" in saved.origin  # a file may have been named anew
    if not isinstance(values, dict) or not same:
        raise CheckpointError(f"{folder.config}: is not what was written for this run; delete it, or restore it")
    for key in sorted(values.keys() | saved.config.keys()):
        if key != "steps" and values.get(key) != saved.config.get(key):
            raise CheckpointError(
                f"{folder.config}: {key} is {values.get(key)!r}, but the run was trained with {saved.config.get(key)!r}; "
                "change it back, or delete the file to go on as before"
            )
    steps = values.get("steps")
    return replace(config, steps=steps) if type(steps) is int and steps >= saved.step else config


def _same_data(reference: Reference, saved: Checkpoint, config: Any) -> Supply:
    trained_on = Facts.read(saved.facts)
    supply = building.load_data(reference, config, trained_on)
    if supply.facts != trained_on:
        raise CheckpointError(f"{config.data}: holds {supply.facts}; the run was trained on {trained_on}")
    if building.checksum(supply) != saved.data_checksum:
        note(f"note: {config.data} is not what it was when the run began; it goes on, but not as it would have")
    return supply
