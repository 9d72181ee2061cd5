"""What a run leaves in its folder: numbers, status, pictures, checkpoints, and in the end what to say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.gans.needs import Facts
from minigan.gans.protocol import ModelError, check_mapping
from minigan.run import checkpoint, environment, plots
from minigan.run.checkpoint import Checkpoint
from minigan.run.divergence import not_finite
from minigan.run.errors import DONE, Diverged, command, shown
from minigan.run.gallery import Gallery
from minigan.run.loop import Loop
from minigan.run.progress import note
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, write_json
from minigan.version import __version__

LOG_EVERY = 50  # steps; short runs log more often, for at least this many points:
LOGS, PICTURES, SAVES = 20, 20, 5
SAVE_SECONDS = 600  # a slow run is saved at least this often
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
    """

    reference: Reference
    config: Any
    facts: Facts
    checksum: int
    device: str

    def about(self) -> dict[str, Any]:
        """For `config.json`."""
        return {
            "model": self.reference.name, "origin": self.reference.recorded(), "device": self.device,
            "facts": asdict(self.facts), "minigan": __version__, "config": asdict(self.config),
        }  # fmt: skip

    def checkpoint(self, step: int, state: dict[str, np.ndarray]) -> Checkpoint:
        """All that a resumed run starts from."""
        return Checkpoint(
            model=self.reference.name, origin=self.reference.recorded(), config=asdict(self.config),
            facts=asdict(self.facts), device=self.device, data_checksum=self.checksum, step=step, state=state,
        )  # fmt: skip


class Recorder:
    """Writes a run's folder while a loop goes on.

    Args:
        folder: made for the run, or that of the run that goes on.
        job, loop, gallery: what is trained, what trains it, and who draws.
    """

    def __init__(self, folder: RunDir, job: Job, loop: Loop, gallery: Gallery) -> None:
        self.folder, self.job, self.loop, self.gallery = folder, job, loop, gallery
        steps = loop.steps
        self.log_every = min(LOG_EVERY, max(1, steps // LOGS))
        self.draw_every, self.save_every = max(1, steps // PICTURES), max(1, steps // SAVES)
        self._logged, self._saved_at = (loop.step, time.perf_counter()), time.perf_counter()

    @contextlib.contextmanager
    def recording(self, first: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Hold the folder while the block trains, and let status.json tell how it ended.

        first: the pictures before the first step; none for a run that goes on.
        """
        try:
            self.folder.lock()
            self._describe(first)
            yield
        except Diverged as error:
            self._fail("diverged", shown(error))
            raise
        except BaseException as error:  # whatever it is, status.json tells; then it goes on to the caller
            self._fail("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", shown(error))
            raise
        finally:
            self.folder.close()

    def _describe(self, first: Mapping[str, np.ndarray]) -> None:
        write_json(self.folder.config, self.job.about())
        write_json(self.folder.env, environment.describe(self.job.device))
        self.set_status("running")
        on = f" on {self.job.config.data}" if self.job.facts.shapes else ""
        note(f"training {self.job.reference.name}{on} in {self.folder.path}")
        self.gallery.save_real(self.folder.samples)
        self.gallery.save_step(self.folder.samples, 0, first)

    # -- in a pause of the loop --------------------------------------------------------------------------------------
    def pause(self, shown: bool) -> int:
        """Whatever is due at this step. Returns the step of the next pause."""
        step, last = self.loop.step, self.loop.step == self.loop.steps
        if shown:
            self.set_status("running")
        if step % self.log_every == 0 or last:
            self._log()
        if not last and step % self.draw_every == 0:
            self.gallery.save_step(self.folder.samples, step, self.gallery.draw(step))
        if not last and (step % self.save_every == 0 or time.perf_counter() - self._saved_at > SAVE_SECONDS):
            self.save()
        periods = (self.log_every, self.draw_every, self.save_every)
        return min([self.loop.steps, *(step - step % period + period for period in periods)])

    def _log(self) -> None:
        """A line of metrics.jsonl: the means since the line before it."""
        numbers, present = self.loop.numbers(), time.perf_counter()
        step, then = self._logged
        pace = 1e3 * (present - then) / max(1, self.loop.step - step)
        self._logged = self.loop.step, present
        row = {"step": self.loop.step, **numbers, **self._metrics(numbers), "ms_per_step": round(pace, 4)}
        self.folder.add_metrics(row)
        self.loop.means.restart()
        self.check(numbers)

    def _metrics(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The model's own numbers."""
        with self.job.reference.blamed():
            made = self.loop.model.metrics(self.gallery.real)
            check_mapping(self.job.reference.name, "metrics", made, "names to numbers")
            found = {name: float(value) for name, value in made.items()}
        if taken := sorted(found.keys() & {*numbers, *TAKEN}) + sorted(numbers.keys() & set(TAKEN)):
            raise ModelError(
                f"{self.job.reference.name}: {taken[0]!r} names two numbers of a step; call one differently"
            )
        return found

    def check(self, numbers: Mapping[str, float]) -> None:
        """Raise Diverged when a loss, a weight or a running statistic is NaN or Inf."""
        bad = not_finite(numbers, self.loop.model.modules)
        if not bad:
            return
        saved = checkpoint.all_of(self.folder)
        kept = f"the last good checkpoint is {saved[-1]}" if saved else "there was no checkpoint yet"
        config = self.job.config
        lr = getattr(config, "lr", None)
        smaller = min(lr / 10, type(config)().lr) if isinstance(lr, float) else 0
        advice = f"a smaller learning rate (--set lr={smaller:g})" if smaller else "gentler settings"
        raise Diverged(
            f"diverged: {bad} is NaN or Inf at step {self.loop.step}; {kept}.\n"
            f"Try {advice}, another --seed, or another loss (see: {command('train', self.job.reference.name, '--help')})"
        )

    def set_status(self, state: str, message: str = "") -> None:
        """Write status.json."""
        self.folder.set_status(state, self.loop.step, self.loop.steps, message)

    def save(self) -> Path:
        """Write a checkpoint, after a check that it is worth it.

        A line of metrics.jsonl ends there, so that the means of a resumed run are those of an unbroken one.
        """
        if self.loop.means.pending:
            self._log()
        self.check(self.loop.numbers())
        self._saved_at = time.perf_counter()
        with self.job.reference.blamed():
            state = self.loop.model.state()
        return checkpoint.save(self.folder, self.job.checkpoint(self.loop.step, state))

    # -- in the end --------------------------------------------------------------------------------------------------
    def finish(self, signal_number: int) -> Result:
        """The last checkpoint and pictures, and what to say."""
        step, samples = self.loop.step, self.folder.samples
        saved, pictures = self.save(), self.gallery.draw(step)
        self.gallery.save_step(samples, step, pictures)
        files = [saved, *([self.folder.losses] if self._draw_losses() else []), *self.gallery.animate(samples, step)]
        if step < self.loop.steps:
            self.set_status("interrupted", f"by signal {signal_number}")
            go_on = command("resume", self.folder.path)
            text = f"{self.folder.path}: stopped at step {step} of {self.loop.steps}; to go on:\n  {go_on}"
            return Result(128 + signal_number, text)
        final = self.gallery.save_final(samples, pictures)
        self.set_status("done")
        return Result(DONE, _summary(self.folder.path, step, [*final, *files]))

    def _draw_losses(self) -> bool:
        with self.job.reference.blamed():
            levels = self.loop.model.equilibrium()
        check_mapping(self.job.reference.name, "equilibrium", levels, "players' names to (text, number)")
        return plots.save_losses(self.folder.losses, self.folder.read_metrics(), self.loop.means.names, levels)

    def _fail(self, state: str, message: str) -> None:
        with contextlib.suppress(OSError):  # the disk may be what failed
            self.set_status(state, message)
            if state == "diverged":
                self._draw_losses()


def _summary(folder: Path, step: int, files: list[Path]) -> str:
    lines = [f"{folder}: all {step} steps are done", *(f"  {file}" for file in files), "next:"]
    lines += [
        f"  {command('sample', folder, '-n', 1000)}",
        f"  {command('resume', folder, '--steps', 2 * max(step, 1))}",
    ]
    return "\n".join(lines)
