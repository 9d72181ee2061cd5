"""Train a model and resume it: put the parts together, each complete when it is made.

The trainer knows no model by name, only `minigan.gans.protocol`. A loop steps, a feed gives it batches, a recorder writes down
what happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backend
from minigan.finite import NotFiniteError
from minigan.gans.needs import Supply
from minigan.run import building, checkpoint, places, references, settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import DONE, CheckpointError, UsageError, command
from minigan.run.feed import Feed
from minigan.run.footprint import Estimate, estimate
from minigan.run.gallery import Gallery
from minigan.run.interrupts import Interrupts
from minigan.run.loop import Loop
from minigan.run.progress import note
from minigan.run.recorder import Job, Recorder, Result
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, check_free
from minigan.run.schedule import Pace, Schedule
from minigan.run.team import Team, checksum, joined


def train(
    name: str,
    texts: Mapping[str, str],
    *,
    device: str = "cpu",
    out: str | None = None,
    save_every: str | None = None,
    live_every: str | None = None,
    preview: bool = True,
    reduce: str | None = None,
) -> Result:
    """Train a model from the start; on all ranks that were started together, see `minigan.run.team`.

    Args:
        name: of the model: a key of `gans.MODELS`, or FILE.py[:Class].
        texts: settings that differ from the defaults, as text: {"lr": "1e-3"}.
        device: "cpu" or "gpu".
        out: the run's directory; by default runs/MODEL-DATA-seedS.
        save_every: steps or seconds between two checkpoints, as text: "500", "30s".
        live_every: the same for metrics, or "0" for none; by default at most 2 % of the time goes into them.
        preview: draw samples on the terminal, where it can.
        reduce: how several ranks add up: "fast", "ordered" or "ordered:SHARDS" (see `minigan.ranks`).

    Raises:
        UsageError, DataError, AuthorError, Diverged, MemoryError, OSError: see `minigan.run.errors.outcome`.
    """
    with joined() as team:
        team.add_up(reduce or "", device)
        return _train(team, name, texts, device, out, (save_every, live_every), preview, reduce or "")


def _train(
    team: Team,
    name: str,
    texts: Mapping[str, str],
    device: str,
    out: str | None,
    when: tuple[str | None, str | None],
    preview: bool,
    reduce: str,
) -> Result:
    reference = references.resolve(name)
    config = settings.build(reference, texts)
    own = settings.defaults(reference)["data"]
    config = replace(config, data=settings.data_path(config.data, reference.model.needs, own))
    schedule, pace = Schedule.of_checkpoint(when[0] or ""), Pace.parse(when[1] or "")
    check_free(out)
    backend.module_for(device)
    supply = building.load_data(reference, config)
    building.tell(supply)
    config = settings.suited(reference, config, texts, supply.facts)
    job = _job(reference, config, supply, device, (schedule, pace), preview=preview, reduce=reduce)
    team.agree(_agreement(job, step=0))
    with Interrupts() as interrupts:
        with building.kernel_phase(device):
            memory = estimate(reference, config, supply, device)
            model = building.new_model(reference, config, supply.facts, device)
            loop, gallery = _parts(job, model, supply, team, step=0)
            first = _warmed_up(job, loop, gallery, memory)
        if not team.root:
            return _followed(loop, interrupts, memory)
        sources = [Path(found.name).stem for found in supply.sets.values()]
        default = Path("runs") / "-".join([reference.stem, *sources, f"seed{config.seed}"])
        return _run(Recorder(RunDir.begin(out, str(default)), job, loop, gallery), interrupts, first, memory)


def _job(
    reference: Reference,
    config: Any,
    supply: Supply,
    device: str,
    when: tuple[Schedule, Pace],
    changes: Sequence[dict[str, Any]] = (),
    *,
    preview: bool = True,
    reduce: str = "",
) -> Job:
    files = places.files_of(config.data, reference.model.needs)
    return Job(
        reference,
        config,
        supply.facts,
        building.checksum(supply),
        device,
        files,
        *when,
        tuple(changes),
        preview,
        reduce,
    )


def _agreement(job: Job, *, step: int, state: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
    """What all ranks must have in common."""
    options = {f"option {name}": value for name, value in asdict(job.config).items()}
    weights = {} if state is None else {"checkpoint": (step, checksum(state))}
    return {
        "model": job.reference.recorded(), "data": job.checksum, "facts of the data": asdict(job.facts), "device": job.device,
        "option reduce": job.reduce, **options, **weights,
    }  # fmt: skip


def _parts(job: Job, model: Any, supply: Supply, team: Team, *, step: int) -> tuple[Loop, Gallery]:
    feed = Feed(supply, model, job.device)
    for rows in feed.rows.values():
        if rows is not None:
            note(f"trained on {len(rows):,} of these examples; the others are held out")
    loop = Loop(job.reference, model, feed, step=step, steps=job.config.steps, team=team)
    return loop, Gallery(job.reference, model, building.some_of(supply), supply.sets, supply.facts)


def _warmed_up(job: Job, loop: Loop, gallery: Gallery, memory: Estimate) -> dict[str, np.ndarray]:
    """The pictures before training, after the next step: whatever has to be compiled, or does not fit, shows here."""
    memory.check()
    unsuitable = building.usage_if_unsuitable(job.reference, job.config, job.facts)
    with memory.holding(), unsuitable, np.errstate(all="ignore"):
        first = gallery.draw(0) if loop.step == 0 and loop.team.root else {}
        if loop.step < loop.steps:
            try:
                loop.advance()
            except NotFiniteError as error:  # told by the recorder, which has a folder
                loop.failure = error
    return first


def _run(recorder: Recorder, interrupts: Interrupts, first: Mapping[str, np.ndarray], memory: Estimate) -> Result:
    """Train to the last step, or until interrupted, and leave everything in the folder."""
    interrupts.unsaved = True
    # NaN and Inf are looked for in `Recorder.check`. The outer `holding` is for the first save, which `recording` makes
    with memory.holding(), recorder.recording(first), memory.holding(), np.errstate(all="ignore"):
        recorder.loop.run(interrupts, recorder.pause)
        return recorder.finish(interrupts)


def _followed(loop: Loop, interrupts: Interrupts, memory: Estimate) -> Result:
    """Train on a rank that writes nothing."""
    interrupts.unsaved = True
    with memory.holding(), np.errstate(all="ignore"):
        loop.follow(interrupts)
    return Result(interrupts.code if loop.step < loop.steps else DONE, "")


# -- resume ----------------------------------------------------------------------------------------------------------
def resume(
    path: str,
    *,
    steps: str | None = None,
    model: str | None = None,
    data: str | None = None,
    texts: Mapping[str, str] | None = None,
    save_every: str | None = None,
    live_every: str | None = None,
    preview: bool = True,
    reduce: str | None = None,
) -> Result:
    """Go on with the run in a directory, from its newest whole checkpoint: the same numbers as if it had never stopped.

    Args:
        path: the run's directory.
        steps: the last step, as text; by default the one the run was begun with.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).
        data: where the run's data is now, which must be the same data.
        texts: settings to change from here on, as text; the change is kept in `config.json`, with its step.
        save_every, live_every, reduce: as of :func:`train`; by default as before. preview: as there.

    Any number of ranks may go on with a run of any other number.

    Raises:
        UsageError, CheckpointError, DataError, AuthorError, Diverged, MemoryError, OSError.
    """
    last = None if steps is None else settings.parse("--steps", steps, int)
    when = (
        None if save_every is None else Schedule.parse(save_every),
        None if live_every is None else Pace.parse(live_every),
    )
    with joined() as team:
        folder = RunDir.open(path)
        if team.root:
            folder.check_not_elsewhere()
            folder.lock()
        try:
            return _resume(team, folder, last, model, data, texts or {}, when, preview, reduce)
        finally:
            folder.close()


def _resume(
    team: Team,
    folder: RunDir,
    last: int | None,
    chosen: str | None,
    data: str | None,
    texts: Mapping[str, str],
    when: tuple[Schedule | None, Pace | None],
    preview: bool,
    reduce: str | None,
) -> Result:
    file, saved = checkpoint.latest(folder)
    reduce = saved.reduce if reduce is None else reduce
    team.add_up(reduce, saved.device)
    reference = building.reference_of(folder, file, saved, chosen, "resume")
    config = _agreed_config(folder, file, reference, saved)
    steps = config.steps if last is None else last
    if steps < saved.step:
        raise UsageError(f"--steps: got {steps}, but {folder.path} is at step {saved.step} already")
    if steps == saved.step and folder.read_state() == "done":
        more = command("resume", folder.path, "--steps", 2 * max(steps, 1))
        return Result(DONE, f"{folder.path}: all {steps} steps are done; to train on: {more}")
    if left := folder.told():
        note(f"note: {left}; going on from step {saved.step}")
    config = replace(config, steps=steps)
    config, new, old = settings.changed(reference, config, texts)
    changes = [*saved.changes, *([{"step": saved.step, "set": new, "was": old}] if new else [])]
    device = building.usable_device(saved.device, folder.path)
    config, supply = _same_data(folder, reference, saved, config, data)
    often = when[0] or Schedule.of_checkpoint(saved.save_every), when[1] or Pace.parse(saved.live_every)
    job = _job(reference, config, supply, device, often, changes, preview=preview, reduce=reduce)
    team.agree(_agreement(job, step=saved.step, state=saved.state))
    with Interrupts() as interrupts:
        with building.kernel_phase(device), _usage_if_set(new):
            memory = estimate(reference, config, supply, device, option="--set batch_size=")
            model = building.restored_model(file, reference, saved, config, device)
            loop, gallery = _parts(job, model, supply, team, step=saved.step)
            loop.means.load_state(saved.means)
            first = _warmed_up(job, loop, gallery, memory)
        if not team.root:
            return _followed(loop, interrupts, memory)
        folder.remove_parts()
        folder.cut_metrics(saved.step)
        if new:  # the change is part of the run from now on, whatever comes before the next checkpoint
            saved = job.checkpoint(folder, saved.step, best=saved.best, means=saved.means, state=saved.state)
            checkpoint.save(folder, saved)
        return _run(Recorder(folder, job, loop, gallery, saved), interrupts, first, memory)


@contextmanager
def _usage_if_set(new: Mapping[str, Any]) -> Iterator[None]:
    """Where settings were changed, it is they that do not fit the checkpoint."""
    try:
        yield
    except CheckpointError as error:
        if not new:
            raise
        said = ", ".join(f"{key}={value}" for key, value in new.items())
        raise UsageError(f"--set: with {said} the run's weights and state have no place: {error}") from error


def _agreed_config(folder: RunDir, file: Path, reference: Reference, saved: Checkpoint) -> Any:
    """The checkpoint's configuration, with the steps of config.json; both must agree on the rest."""
    config, written = building.restored_config(file, reference, saved), folder.read_config()
    if written is None:
        return config
    values, changes = written.get("config"), written.get("changes", [])
    same = written.get("model") == saved.model or "file" in saved.origin  # a file may have been named anew
    if not isinstance(values, dict) or not _are_changes(changes) or not same:
        raise CheckpointError(f"{folder.config}: is not what was written for this run; delete it, or restore it")
    agreed = _brought_in_line(values, changes, saved.changes)
    for key in sorted(values.keys() | saved.config.keys()):
        if key not in ("steps", "data") and agreed.get(key) != saved.config.get(key):
            raise CheckpointError(
                f"{folder.config}: {key} is {values.get(key)!r}, but the run was trained with {saved.config.get(key)!r}; "
                f"change it back, or delete the file to go on as before (to change it from here on: "
                f"{command('resume', folder.path, '--set', f'{key}={values.get(key)}')})"
            )
    steps = values.get("steps")
    return replace(config, steps=steps) if type(steps) is int and steps >= saved.step else config


def _are_changes(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(c, dict) and isinstance(c.get("set"), dict) and isinstance(c.get("was"), dict) and "step" in c
        for c in found
    )


def _brought_in_line(values: dict[str, Any], changes: list[Any], saved: list[Any]) -> dict[str, Any]:
    """config.json's values as they would be with the changes that the checkpoint knows of.

    A run that died between the checkpoint with a change and config.json has one more there; one that goes back to an older
    checkpoint has one less.
    """
    common = 0
    while common < min(len(changes), len(saved)) and changes[common] == saved[common]:
        common += 1
    for change in reversed(changes[common:]):
        note(f"note: the change to {change['set']} at step {change['step']} is not in the checkpoint and is undone")
        values = values | change["was"]
    for change in saved[common:]:
        values = values | change["set"]
    return values


def _same_data(
    folder: RunDir, reference: Reference, saved: Checkpoint, config: Any, data: str | None
) -> tuple[Any, Supply]:
    """The configuration with the data where it is now, and the data."""
    needs = reference.model.needs
    if data is None:
        config = places.found_again(folder.path, config, needs, saved.near)
    else:
        config = replace(config, data=settings.data_path(data, needs, config.data))
    supply = building.load_same_kind(reference, config, saved)
    if building.checksum(supply) != saved.data_checksum:
        if data is not None:
            raise CheckpointError(
                f"--data: {data} is not the data that the run was trained on (its checksum differs); give that data, or begin "
                "a new run with this one"
            )
        note(f"note: {config.data} is not what it was when the run began; it goes on, but not as it would have")
    return config, supply
