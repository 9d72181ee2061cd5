"""What a run leaves in its folder: numbers, status, pictures, checkpoints, and in the end what to say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.finite import NotFiniteError
from minigan.gans.needs import Facts
from minigan.gans.protocol import ModelError, check_mapping, check_numbers, makes_examples
from minigan.run import checkpoint, environment, places, plots, preview
from minigan.run.checkpoint import Checkpoint
from minigan.run.contest import Contest
from minigan.run.course import Course
from minigan.run.divergence import Watcher, keep, not_finite
from minigan.run.errors import DONE, Diverged, TakenError, command, is_out_of_memory, shown
from minigan.run.gallery import MAIN, Gallery
from minigan.run.interrupts import Interrupts
from minigan.run.live import Live, Panel, metric_of
from minigan.run.loop import Loop
from minigan.run.progress import note, redraw
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, write_json
from minigan.run.schedule import Pace, Schedule
from minigan.version import __version__

LOG_EVERY = 50  # steps; short runs log more often, for at least this many points:
LOGS, PICTURES = 20, 20
NORM = "_gradient_norm"  # ends the keys of gradients' norms, behind a player's name
TAKEN = ("step", "ms_per_step")  # keys of a line of metrics.jsonl that are the run's own


class Result(NamedTuple):
    """How a run ended: the command's exit code, and what to tell on stdout."""

    code: int
    text: str


@dataclass(frozen=True)
class Job:
    """What is trained, as a run's files tell it.

    Attributes:
        reference: the model. config: its options. facts: of the data. checksum: of the data. device: "cpu" or "gpu".
        files: the data sets that are files, by their names in the model's needs.
        preview: whether samples may be drawn on the terminal.
        reduce: how several ranks add up, as the option has it.
        schedule: when to save. live: when to take metrics. changes: of the options, see `minigan.run.checkpoint.Checkpoint`.
    """

    reference: Reference
    config: Any
    facts: Facts
    checksum: int
    device: str
    files: Mapping[str, Path] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    live: Pace = field(default_factory=Pace)
    changes: tuple[dict[str, Any], ...] = ()
    preview: bool = True
    reduce: str = ""

    def about(self) -> dict[str, Any]:
        """For `config.json`."""
        return {
            "model": self.reference.name, "origin": self.reference.recorded(), "device": self.device,
            "facts": asdict(self.facts), "minigan": __version__, "config": asdict(self.config),
            "save_every": self.schedule.text, "live_every": self.live.text, "changes": list(self.changes),
            "reduce": self.reduce,
        }  # fmt: skip

    def checkpoint(self, folder: RunDir, step: int, **rest: Any) -> Checkpoint:
        """All that a resumed run starts from. rest: `best`, `means` and `state`."""
        return Checkpoint(
            model=self.reference.name, origin=self.reference.recorded(), config=asdict(self.config),
            facts=asdict(self.facts), device=self.device, data_checksum=self.checksum, step=step,
            save_every=self.schedule.text, live_every=self.live.text, reduce=self.reduce,
            near=places.near(folder.path, self.files), changes=list(self.changes), **rest,
        )  # fmt: skip


class Recorder:
    """Writes a run's folder while a loop goes on.

    Training is worth more than what is told about it: a picture or a line that cannot be written is a note on stderr, and so is
    a checkpoint, which is tried again in the next pause; only the last one has to succeed. Whatever else goes wrong between two
    steps, the run is saved before it ends.

    Args:
        folder: begun for the run, or that of the run that goes on.
        job, loop, gallery: what is trained, what trains it, and who draws.
        saved: the checkpoint that the run goes on from.
    """

    def __init__(self, folder: RunDir, job: Job, loop: Loop, gallery: Gallery, saved: Checkpoint | None = None) -> None:
        self.folder, self.job, self.loop, self.gallery = folder, job, loop, gallery
        rows = next(iter(loop.feed.rows.values()), None)  # several sets have no live metrics
        self.panel = Panel(job.reference, loop.model, gallery.sets, job.facts, rows)
        self.live = Live(folder.path, self.panel, step=loop.step, every=job.live)
        self.course = Course(folder.path, gallery.real, step=loop.step)
        steps = loop.steps
        self.log_every = min(LOG_EVERY, max(1, steps // LOGS))
        self.draw_every = max(1, steps // PICTURES)
        self.schedule = job.schedule.of(steps)
        self.watcher = Watcher(job.config, gallery.real)
        self.contest = Contest(loop.model.best, saved.best if saved else {})
        self._logged = loop.step, time.perf_counter()
        self._changed = _not_told(job.changes, folder)
        self._saved, self._saved_at = saved.step if saved else -1, time.perf_counter()
        self._notes: set[str] = set()

    @contextlib.contextmanager
    def recording(self, first: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Hold the folder while the block trains, and let status.json tell how it ended.

        first: the pictures before the first step; none for a run that goes on.
        """
        try:
            self.folder.lock()
            self._describe()
            if self._saved < 0 and self.loop.failure is None:
                self._log_if_due()
                self.save()
            self.folder.appear()
            self.live.move(self.folder.path)
            self.course.move(self.folder.path)
            on = f" on {self.job.config.data}" if self.job.facts.shapes else ""
            note(f"training {self.job.reference.name}{on} in {self.folder.path}")
            note(f"its pictures as they come: {self.folder.latest}")
            with self._or_note("pictures"):
                if first:
                    self.course.take(0, self.gallery.samples)
                self._write_pictures(0, first)
                self.gallery.save_real(self.folder.samples)
            yield
        except TakenError:  # nothing in that folder is ours
            raise
        except NotFiniteError as error:
            diverged = self._not_finite(error)
            self._fail("diverged", shown(diverged))
            raise diverged from error
        except BaseException as error:  # whatever it is, status.json tells; then it goes on to the caller
            states = {KeyboardInterrupt: "interrupted", Diverged: "diverged"}
            self._fail(states.get(type(error), "failed"), shown(error))
            raise
        finally:
            self.folder.close()

    def _describe(self) -> None:
        write_json(self.folder.config, self.job.about())
        write_json(self.folder.env, environment.describe(self.job.device))
        self._write_status("running")

    # -- what need not succeed ---------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _or_note(self, what: str) -> Iterator[None]:
        """A note, once until it works again, where the block cannot write, or has no memory for it."""
        try:
            yield
        except Exception as error:
            if not (isinstance(error, OSError) or is_out_of_memory(error)):
                raise
            if what not in self._notes:
                note(f"note: {what} cannot be written ({shown(error)}); the training goes on, and it is tried again")
            self._notes.add(what)
        else:
            self._notes.discard(what)

    def set_status(self, state: str, message: str = "") -> None:
        """Write status.json, or a note."""
        with self._or_note("status.json"):
            self._write_status(state, message)

    def _write_status(self, state: str, message: str = "") -> None:
        self.folder.set_status(state, self.loop.step, self.loop.steps, message, self.watcher.warnings)

    def _draw(self, step: int) -> dict[str, np.ndarray]:
        """The pictures of this step, drawn and written as far as they can be."""
        drawn: dict[str, np.ndarray] = {}
        with self._or_note("pictures"):
            drawn = self._drawn(step)
            self._write_pictures(step, drawn)
        self._preview()
        return drawn

    def _preview(self) -> None:
        """The samples on the terminal, where it can."""
        picture = self.gallery.shown.get(MAIN)
        if self.job.preview and preview.drawable(picture) and (columns := preview.room()):
            real = next(iter(self.gallery.real.values()), None) if self.gallery.points else None
            redraw(preview.lines_of(picture, columns, real))

    def _drawn(self, step: int) -> dict[str, np.ndarray]:
        """The pictures as they are now, looked at for collapse, and a line of `course.jsonl`."""
        pictures = self.gallery.draw(step)
        self.course.take(step, self.gallery.samples)
        self._warn(self.watcher.see_pictures(step, self.gallery.shown))
        return pictures

    def _write_pictures(self, step: int, drawn: Mapping[str, np.ndarray]) -> None:
        self.folder.samples.mkdir(exist_ok=True)
        self.gallery.save_step(self.folder.samples, step, drawn)
        if drawn:
            plots.save_picture(self.folder.latest, drawn.get(MAIN, next(iter(drawn.values()))))

    # -- in a pause of the loop --------------------------------------------------------------------------------------
    def pause(self, shown: bool) -> int:
        """Whatever is due at this step. Returns the step of the next pause."""
        step, last = self.loop.step, self.loop.step == self.loop.steps
        if shown:
            self.set_status("running")
        improved = self._log_if_due()
        if improved or (not last and self.schedule.due(step, self._saved, self._saved_at)):
            self._try_to_save()
        if not last and step % self.draw_every == 0:
            self._draw(step)
        with self._or_note("live.jsonl"):
            self.live.take(step)
        self.loop.wake = min(self._saved_at + self.schedule.seconds, self.live.wake)
        periods = (self.log_every, self.draw_every, self.schedule.steps, self.job.live.steps)
        return min([self.loop.steps, *(step - step % period + period for period in periods if period)])

    def _log_if_due(self) -> bool:
        """A line of metrics.jsonl where its time has come; returns whether it is the best so far.

        It comes before the checkpoint of the same step, which would otherwise go on with means that are told already.
        """
        step = self.loop.step
        marked = step == self.loop.steps or step % self.draw_every == 0
        judged = marked and bool(self.contest.name)
        due = judged or step == self.loop.steps or step % self.log_every == 0
        if not (due and self.loop.means.pending):
            return False
        row = self._log(judged)
        return judged and self.contest.name in row and self.contest.improved(row)

    def _judged(self, known: Mapping[str, Any]) -> dict[str, float]:
        """The number by which the model is judged, where it is a metric of samples."""
        if self.contest.name in known:
            return {}
        metric = metric_of(self.contest.name)
        if metric is None:
            raise self.contest.unknown(known)
        found: dict[str, float] = {}
        with self._or_note(f"{self.contest.name!r}"):
            found = self.panel.measured([metric])
        return {name: value for name, value in found.items() if name == self.contest.name}

    def _log(self, judged: bool) -> dict[str, Any]:
        """A line of metrics.jsonl: the means since the line before it, and the settings that were changed since."""
        numbers, present = self.loop.numbers(), time.perf_counter()
        step, then = self._logged
        pace = 1e3 * (present - then) / max(1, self.loop.step - step)
        self._logged = self.loop.step, present
        metrics = self._metrics(numbers)
        row = {"step": self.loop.step, **numbers, **metrics, **self._norms(), **self._changed}
        row |= self._judged(row) if judged else {}
        row["ms_per_step"] = round(pace, 4)
        with self._or_note("metrics.jsonl"):
            self.folder.add_metrics(row)
        self._changed = {}
        self.loop.means.restart()
        self.check(numbers)
        self._warn(self.watcher.see_numbers(self.loop.step, numbers, self.loop.model.game))
        return row

    def _warn(self, found: list[str]) -> None:
        for text in found:
            note(f"warning: {text}")

    def _norms(self) -> dict[str, float]:
        """The norm of each player's gradients in its last update, where the optimizer notes it."""
        norms = {p.name: p.optimizer.gradient_norm() for p in self.loop.model.game.players}
        return {f"{name}{NORM}": norm for name, norm in norms.items() if norm is not None}

    def _metrics(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The model's own numbers."""
        with self.job.reference.blamed():
            made = self.loop.model.metrics(self.gallery.real)
            found = check_numbers(self.job.reference.name, "metrics", made)
        if taken := sorted(found.keys() & {*numbers, *TAKEN}) + sorted(numbers.keys() & set(TAKEN)):
            raise ModelError(
                f"{self.job.reference.name}: {taken[0]!r} names two numbers of a step; call one differently"
            )
        return found

    def check(self, numbers: Mapping[str, float]) -> None:
        """Raise Diverged when a loss, a weight or a running statistic is NaN or Inf."""
        if bad := not_finite(numbers, self.loop.model.modules):
            raise self._diverged(f"{bad} is NaN or Inf")

    def _not_finite(self, error: NotFiniteError) -> Diverged:
        """Keep what reproduces it, in RUN/diverged."""
        self.loop.step = error.step
        saved, config = checkpoint.all_of(self.folder), asdict(self.job.config)
        if saved:
            again = command("resume", self.folder.path, "--steps", error.step)
        else:
            own = [f"{name}={value}" for name, value in config.items() if name != "steps"]
            name = self.job.reference.name
            again = command("train", name, "--steps", error.step, "--device", self.job.device, "--set", *own)
        about = {
            "seed": config["seed"],
            "checkpoint": str(saved[-1]) if saved else None,
            "command": again,
            "config": config,
        }
        try:
            keep(self.folder, error, self.loop.batches, about)
            where = f"; its batch and what reproduces it are in {self.folder.path / 'diverged'}"
        except OSError as problem:
            where = f"; what reproduces it could not be written ({problem}): {again}"
        return self._diverged(f"player {error.player!r}: {error.cause}", where)

    def _diverged(self, what: str, where: str = "") -> Diverged:
        """The error with what can be done."""
        saved = checkpoint.all_of(self.folder)
        kept = f"the last good checkpoint is {saved[-1]}" if saved else "there was no checkpoint yet"
        config = self.job.config
        lr = getattr(config, "lr", None)
        smaller = min(lr / 10, type(config)().lr) if isinstance(lr, float) else 0
        advice = f"a smaller learning rate (--set lr={smaller:g})" if smaller else "gentler settings"
        return Diverged(
            f"diverged: {what} at step {self.loop.step}; {kept}{where}.\n"
            f"Try {advice}, another --seed, or another loss (see: {command('train', self.job.reference.name, '--help')}).\n"
            f"What its numbers are signs of: {command('diagnose', self.folder.path)}"
        )

    def _try_to_save(self) -> None:
        """A checkpoint, or a note: the next pause tries again."""
        with self._or_note("a checkpoint"):
            self.save()
        self._saved_at = time.perf_counter()

    def save(self) -> Path:
        """Write a checkpoint, after a check that it is worth it.

        Raises:
            OSError, Diverged, AuthorError, ModelError: there is none of this step, and the best is the one before.
        """
        self.check(self.loop.numbers())
        if self.folder.mend():
            note(f"note: {self.folder.path}, or a part of it, was removed and is made again")
            self._describe()
        with self._or_note("metrics.jsonl"):
            self.folder.flush_metrics(durably=True)
        with self.job.reference.blamed():
            state = self.loop.model.state()
        means, step = self.loop.means.state(), self.loop.step
        saved = checkpoint.save(
            self.folder,
            self.job.checkpoint(self.folder, step, best=self.contest.claimed(step), means=means, state=state),
        )
        self.contest.settle(step)
        self._saved, self._saved_at = step, time.perf_counter()
        return saved

    # -- in the end --------------------------------------------------------------------------------------------------
    def finish(self, interrupts: Interrupts) -> Result:
        """The last checkpoint, then the last pictures, and what to say."""
        step = self.loop.step
        saved = checkpoint.path_of(self.folder, step) if self._saved == step else self.save()
        stopped, warned = step < self.loop.steps, self.watcher.warnings
        state, why = ("interrupted", f"by signal {interrupts.received}") if stopped else ("done", "")
        self.set_status(state, why)
        interrupts.unsaved = False
        try:
            pictures = self._last_pictures(interrupts, final=not stopped)
            if self.watcher.warnings != warned:  # by the last pictures
                self.set_status(state, why)
        except KeyboardInterrupt:
            note("stopped: some of the last pictures are missing")
            pictures = []
        if stopped:
            go_on = command("resume", self.folder.path)
            text = f"{self.folder.path}: stopped at step {step} of {self.loop.steps}; to go on:\n  {go_on}"
            text += "".join(f"\n{line}" for line in _warned(self.folder.path, self.watcher.warnings))
            return Result(interrupts.code, text)
        final = [path for path in pictures if path.stem.endswith("final")]
        files = [*final, saved, *(path for path in pictures if path not in final)]
        word = ("sample", "-n", 1000) if makes_examples(self.loop.model) else ("evaluate",)
        return Result(DONE, _summary(self.folder.path, step, files, self.watcher.warnings, word))

    def _last_pictures(self, interrupts: Interrupts, *, final: bool) -> list[Path]:
        """Those of the last step, the losses and the animation; none for one who has asked twice to stop."""
        if interrupts.count > 1:
            return []
        samples, step, made = self.folder.samples, self.loop.step, []
        pictures = self._draw(step)
        with self._or_note("losses.png"):
            made += [self.folder.losses] if self._draw_losses() else []
        with self._or_note("pictures"):
            made += self.gallery.animate(samples, step)
            made += self.gallery.save_final(samples, pictures) if final else []
        return made

    def _draw_losses(self) -> bool:
        with self.job.reference.blamed():
            levels = self.loop.model.equilibrium()
        check_mapping(self.job.reference.name, "equilibrium", levels, "players' names to (text, number)")
        return plots.save_losses(self.folder.losses, self.folder.read_metrics(), self.loop.means.names, levels)

    def _fail(self, state: str, message: str) -> None:
        """Save what is worth it, and say in status.json what has happened."""
        if state != "diverged" and not self.loop.torn and self._saved != self.loop.step:
            try:
                self.save()
            except (Exception, KeyboardInterrupt) as error:
                note(f"note: step {self.loop.step} could not be saved ({shown(error)})")
        with self._or_note("the folder"):
            self.folder.appear()
        self.set_status(state, message)
        if state == "diverged":
            with self._or_note("losses.png"):
                self._draw_losses()


def _not_told(changes: Sequence[dict[str, Any]], folder: RunDir) -> dict[str, Any]:
    """The changes that no line of metrics.jsonl has told yet, as its keys."""
    told = max((row["step"] for row in folder.read_metrics()), default=-1)
    return {f"set.{k}": v for change in changes if change["step"] >= told for k, v in change["set"].items()}


def _warned(folder: Path, warnings: Sequence[str]) -> list[str]:
    """What looks wrong, and which command says more."""
    told = [f"warning: {text}" for text in warnings]
    return [*told, f"what to make of it: {command('diagnose', folder)}"] if told else []


def _summary(folder: Path, step: int, files: list[Path], warnings: list[str], word: tuple[object, ...]) -> str:
    """What was made, and what can be done with it. word: a command with its options."""
    lines = [f"{folder}: all {step} steps are done", *(f"  {file}" for file in files)]
    lines += [
        *_warned(folder, warnings),
        "next:",
        f"  {command(word[0], folder, *word[1:])}",
        f"  {command('resume', folder, '--steps', 2 * max(step, 1))}",
    ]
    return "\n".join(lines)
