"""Train a model and resume it: the loop, and what happens between the steps.

The trainer knows no model by name. It uses `Config`, `kind`, `modules`, `game.step`, `game.buffers`, `game.updates`, `sample`,
`state` and `load_state` (see `minigan.gans.base`). Losses are read, which on a GPU waits for the device, only when they are
logged or shown.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import backend, data, gans
from minigan.backend import Array, array_module
from minigan.run import building, checkpoint, environment, plots, settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import DONE, CheckpointError, Diverged, UsageError, command, shown
from minigan.run.interrupts import Interrupts
from minigan.run.progress import Progress, note
from minigan.run.rundir import RunDir, check_free, write_json
from minigan.version import __version__

LOG_EVERY = 50  # steps; short runs log more often, for at least this many points:
LOGS, PICTURES, SAVES = 20, 20, 5
SAVE_SECONDS = 600  # a slow run is saved at least this often


class Result(NamedTuple):
    """How a run ended: the command's exit code, and what to tell on stdout."""

    code: int
    text: str


def train(name: str, texts: Mapping[str, str], *, device: str = "cpu", out: str | None = None) -> Result:
    """Train a model from the start.

    Args:
        name: of the model, a key of `gans.MODELS`.
        texts: settings that differ from the defaults, as text: {"lr": "1e-3"}.
        device: "cpu" or "gpu".
        out: the run's directory; by default runs/MODEL-DATA-seedS.

    Raises:
        UsageError, DataError, Diverged, MemoryError, OSError: see `minigan.run.errors.outcome`.
    """
    model = settings.model_class(name)
    config = settings.build(model, texts)
    config = replace(config, data=settings.data_path(config.data))
    check_free(out)
    backend.module_for(device)
    found = building.load_data(name, model, config)
    trainer = Trainer(name, config, found, device)
    with Interrupts() as interrupts:
        with building.kernel_phase(device):
            trainer.build()
            trainer.warm_up()
        default = Path("runs") / f"{name}-{Path(config.data).stem}-seed{config.seed}"
        return trainer.run_in(RunDir.create(out, str(default)), interrupts)


def resume(path: str, *, steps: str | None = None) -> Result:
    """Go on with the run in a directory, from its newest checkpoint: the same numbers as if it had never stopped.

    Args:
        path: the run's directory.
        steps: the last step, as text; by default the one the run was begun with.

    Raises:
        UsageError, CheckpointError, DataError, Diverged, MemoryError, OSError.
    """
    folder = RunDir.open(path)
    folder.lock()
    try:
        return _resume(folder, None if steps is None else settings.parse("--steps", steps, int))
    finally:
        folder.close()


def _resume(folder: RunDir, steps: int | None) -> Result:
    file, saved = checkpoint.latest(folder)
    config = _agreed_config(folder, file, saved)
    steps = config.steps if steps is None else steps
    if steps < saved.step:
        raise UsageError(f"--steps: got {steps}, but {folder.path} is at step {saved.step} already")
    if steps == saved.step and folder.read_state() == "done":
        more = command("resume", folder.path, "--steps", 2 * max(steps, 1))
        return Result(DONE, f"{folder.path}: all {steps} steps are done; to train on: {more}")
    config = replace(config, steps=steps)
    device = building.usable_device(saved.device, folder.path)
    trainer = Trainer(saved.model, config, _same_data(saved, config), device)
    with Interrupts() as interrupts:
        with building.kernel_phase(device):
            trainer.build(file, saved)
            trainer.warm_up()
        folder.remove_parts()
        folder.cut_metrics(saved.step)
        return trainer.run_in(folder, interrupts)


def _agreed_config(folder: RunDir, file: Path, saved: Checkpoint) -> Any:
    """The checkpoint's configuration, with the steps of config.json; both must agree on the rest."""
    config, written = building.restored_config(file, saved), folder.read_config()
    if written is None:
        return config
    values = written.get("config")
    if not isinstance(values, dict) or written.get("model") != saved.model:
        raise CheckpointError(f"{folder.config}: is not what was written for this run; delete it, or restore it")
    for key in sorted(values.keys() | saved.config.keys()):
        if key != "steps" and values.get(key) != saved.config.get(key):
            raise CheckpointError(
                f"{folder.config}: {key} is {values.get(key)!r}, but the run was trained with {saved.config.get(key)!r}; "
                "change it back, or delete the file to go on as before"
            )
    steps = values.get("steps")
    return replace(config, steps=steps) if type(steps) is int and steps >= saved.step else config


def _same_data(saved: Checkpoint, config: Any) -> data.Dataset:
    found = building.load_data(saved.model, gans.get(saved.model), config)
    if list(found.x.shape[1:]) != saved.shape:
        raise CheckpointError(
            f"{config.data}: examples have shape {found.x.shape[1:]}; the run was trained on {tuple(saved.shape)}"
        )
    if building.checksum(found) != saved.data_checksum:
        note(f"note: {config.data} is not what it was when the run began; it goes on, but not as it would have")
    return found


class Trainer:
    """One model, its data and the step it is at.

    Attributes:
        step: steps done. losses: each player's last loss, on the device.
    """

    def __init__(self, name: str, config: Any, found: data.Dataset, device: str) -> None:
        self.name, self.config, self.data, self.device = name, config, found, device
        self.shape = tuple(found.x.shape[1:])
        self.loader = data.Loader(found, batch_size=config.batch_size, seed=config.seed)
        self.artist = plots.painter(found.kind, self.shape, found)
        self.checksum = building.checksum(found)
        self.step = 0
        self.losses: dict[str, Any] = {}
        self.model: Any = None
        self.folder: RunDir
        self._first_picture: np.ndarray | None = None
        steps = config.steps
        self.log_every = min(LOG_EVERY, max(1, steps // LOGS))
        self.draw_every, self.save_every = max(1, steps // PICTURES), max(1, steps // SAVES)

    # -- before the loop ---------------------------------------------------------------------------------------------
    def build(self, file: Path | None = None, saved: Checkpoint | None = None) -> None:
        """Make the model: anew, or from a checkpoint."""
        if saved is None or file is None:
            self.model = building.new_model(self.name, self.config, self.shape, self.device)
        else:
            self.model = building.restored_model(file, saved, self.config, self.device)
            self.step = saved.step
        self.feed = Feed(self.loader, self.model.game, self.device)

    def warm_up(self) -> None:
        """The picture before training and the next step: whatever has to be compiled, or does not fit, shows here."""
        with building.usage_if_unsuitable(self.name, self.config, self.shape), np.errstate(all="ignore"):
            if self.step == 0:
                self._first_picture = self._picture()
            if self.step < self.config.steps:
                self._advance()

    # -- the loop ----------------------------------------------------------------------------------------------------
    def run_in(self, folder: RunDir, interrupts: Interrupts) -> Result:
        """Train to the last step, or until interrupted, and leave everything in the folder."""
        self.folder = folder
        try:
            folder.lock()
            self._describe()
            with np.errstate(all="ignore"):  # NaN and Inf are looked for in `check`
                self._loop(interrupts)
                return self._finish(interrupts.received)
        except Diverged as error:
            self._fail("diverged", shown(error))
            raise
        except BaseException as error:  # whatever it is, status.json tells; then it goes on to the caller
            self._fail("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", shown(error))
            raise
        finally:
            folder.close()

    def _loop(self, interrupts: Interrupts) -> None:
        steps, progress = self.config.steps, Progress(self.step, self.config.steps)
        self._logged, self._saved_at = (self.step, time.perf_counter()), time.perf_counter()
        try:
            next_pause = self._pause(progress) if self.losses else self.step
            while self.step < steps and not interrupts.received:
                self._advance()
                if self.step >= next_pause or time.perf_counter() >= progress.due:
                    next_pause = self._pause(progress)
        finally:
            progress.close()

    def _advance(self) -> None:
        self.losses = self.model.game.step(batches=self.feed(self.step))
        self.step += 1

    def _pause(self, progress: Progress) -> int:
        """Whatever is due at this step. Returns the step of the next pause."""
        last = self.step == self.config.steps
        if last or time.perf_counter() >= progress.due:
            progress.show(self.step, self.read_losses())
            self._set_status("running")
        if self.step % self.log_every == 0 or last:
            self._log()
        if not last and self.step % self.draw_every == 0:
            self._draw(self._picture())
        if not last and (self.step % self.save_every == 0 or time.perf_counter() - self._saved_at > SAVE_SECONDS):
            self.save()
        periods = (self.log_every, self.draw_every, self.save_every)
        return min([self.config.steps, *(self.step - self.step % period + period for period in periods)])

    def _log(self) -> None:
        losses, present = self.read_losses(), time.perf_counter()
        step, then = self._logged
        pace = 1e3 * (present - then) / max(1, self.step - step)
        self._logged = self.step, present
        self.folder.add_metrics({"step": self.step, **losses, "ms_per_step": round(pace, 4)})
        self.check(losses)

    def read_losses(self) -> dict[str, float]:
        """Each player's last loss as a number; waits for the device."""
        return {name: float(backend.to_numpy(loss.data)) for name, loss in self.losses.items()}

    def check(self, losses: Mapping[str, float]) -> None:
        """Raise Diverged when a loss, a weight or a running statistic is NaN or Inf."""
        bad = [f"the {name} loss" for name, value in losses.items() if not math.isfinite(value)]
        bad = bad or [f"{module}/{tensor}" for module, tensor in _tensors_not_finite(self.model.modules)][:1]
        if not bad:
            return
        saved = checkpoint.all_of(self.folder)
        kept = f"the last good checkpoint is {saved[-1]}" if saved else "there was no checkpoint yet"
        lr = getattr(self.config, "lr", None)
        smaller = min(lr / 10, type(self.config)().lr) if lr else 0
        advice = f"a smaller learning rate (--set lr={smaller:g})" if smaller else "gentler settings"
        raise Diverged(
            f"diverged: {bad[0]} is NaN or Inf at step {self.step}; {kept}.\n"
            f"Try {advice}, another --seed, or another loss (see: {command('train', self.name, '--help')})"
        )

    # -- files -------------------------------------------------------------------------------------------------------
    def _describe(self) -> None:
        about = {"model": self.name, "device": self.device, "shape": list(self.shape), "minigan": __version__}
        write_json(self.folder.config, {**about, "config": asdict(self.config)})
        write_json(self.folder.env, environment.describe(self.device))
        self._set_status("running")
        note(f"training {self.name} on {self.config.data} in {self.folder.path}")
        if self._first_picture is not None:
            plots.save_picture(plots.step_picture(self.folder.samples, 0), self._first_picture)

    def _set_status(self, state: str, message: str = "") -> None:
        self.folder.set_status(state, self.step, self.config.steps, message)

    def save(self) -> Path:
        """Write a checkpoint, after a check that it is worth it."""
        self.check(self.read_losses())
        self._saved_at = time.perf_counter()
        return checkpoint.save(
            self.folder,
            Checkpoint(
                model=self.name, config=asdict(self.config), shape=list(self.shape), device=self.device,
                data_checksum=self.checksum, step=self.step, state=self.model.state(),
            ),
        )  # fmt: skip

    def _picture(self) -> np.ndarray:
        samples = self.model.sample(self.artist.count, seed=self.config.seed)
        return self.artist.picture(samples, f"step {self.step}")

    def _draw(self, picture: np.ndarray) -> None:
        plots.save_picture(plots.step_picture(self.folder.samples, self.step), picture)

    def _draw_losses(self) -> bool:
        names = [player.name for player in self.model.game.players]
        loss = str(getattr(self.config, "loss", ""))
        return plots.save_losses(self.folder.losses, self.folder.read_metrics(), names, loss)

    def _finish(self, signal_number: int) -> Result:
        """The last checkpoint and pictures, and what to say."""
        saved, picture, samples = self.save(), self._picture(), self.folder.samples
        self._draw(picture)
        files = [saved, *([self.folder.losses] if self._draw_losses() else [])]
        if animation := plots.save_progress(samples, self.artist, self.step):
            files.append(animation)
        if self.step < self.config.steps:
            self._set_status("interrupted", f"by signal {signal_number}")
            go_on = command("resume", self.folder.path)
            text = f"{self.folder.path}: stopped at step {self.step} of {self.config.steps}; to go on:\n  {go_on}"
            return Result(128 + signal_number, text)
        final = samples / "final.png"
        plots.save_picture(final, picture)
        self._set_status("done")
        return Result(DONE, _summary(self.folder.path, self.step, [final, *files]))

    def _fail(self, state: str, message: str) -> None:
        with contextlib.suppress(OSError):  # the disk may be what failed
            self._set_status(state, message)
            if state == "diverged":
                self._draw_losses()


class Feed:
    """Batches for a game, put straight into the memory it reads them from: for each step as many as the largest `updates`. On a
    GPU the whole data set is kept there."""

    def __init__(self, loader: data.Loader, game: Any, device: str) -> None:
        self.loader, self.game = loader, game
        self.resident: Array | None = backend.to_device(loader.x, device) if device == "gpu" else None

    def __call__(self, step: int) -> list[Array]:
        """The batches of a step."""
        count = self.game.updates()
        buffers = self.game.buffers() or []
        return [self._batch(step * count + k, buffers[k] if len(buffers) == count else None) for k in range(count)]

    def _batch(self, number: int, buffer: Array | None) -> Array:
        if self.resident is None:
            return self.loader.batch(number, out=buffer)
        xp = array_module(self.resident)
        return xp.take(self.resident, xp.asarray(self.loader.indices(number)), axis=0, out=buffer)


def _tensors_not_finite(modules: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, module in modules.items():
        for path, tensor in module.tensors().items():
            xp = array_module(tensor.data)
            # A sum is quick to look at; where large finite numbers overflow it, each number is looked at.
            if not bool(xp.isfinite(tensor.data.sum())) and not bool(xp.isfinite(tensor.data).all()):
                found.append((name, path))
    return found


def _summary(folder: Path, step: int, files: list[Path]) -> str:
    lines = [f"{folder}: all {step} steps are done", *(f"  {file}" for file in files), "next:"]
    lines += [
        f"  {command('sample', folder, '-n', 1000)}",
        f"  {command('resume', folder, '--steps', 2 * max(step, 1))}",
    ]
    return "\n".join(lines)
