"""A run's folder, finished or going on: samples over time, losses, noise under sliders, and what `minigan diagnose` says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.lab import latents
from minigan.lab.scenes import Event, Scene
from minigan.run import building, checkpoint, diagnosis
from minigan.run.checkpoint import CheckpointError
from minigan.run.plots import step_picture
from minigan.run.rundir import RunDir

EVERY = 2.0  # seconds from one look at the folder to the next
MOST_ROWS = 1500


class Viewer(Scene):
    """The run in that folder. Nothing is ever written there."""

    name = "run"

    def __init__(self, path: str) -> None:
        self.path, self.folder = path, RunDir.open(path)
        self._due, self._seen = 0.0, ""
        self._load()

    def _load(self) -> None:
        """The newest checkpoint's model; none where it cannot be used, which is said."""
        self.model: Any = None
        self.step, self.no_model = 0, ""
        try:
            file, saved = checkpoint.latest(self.folder)
            reference = building.reference_of(self.folder, file, saved, None, "lab")
            config = building.restored_config(file, reference, saved)
            self.model = building.restored_model(file, reference, saved, config, "cpu")
            self.step = saved.step
        except CheckpointError as error:
            self.no_model = str(error)
        self.asked: tuple[list[float], int] = ([0.0] * self._sliders()["sliders"], 0)

    def _sliders(self) -> dict[str, Any]:
        if self.model is None:
            return {"sliders": 0, "reach": 0.0, "classes": 0, "no_sliders": self.no_model}
        return latents.sliders(self.model)

    # -- what the page asks ------------------------------------------------------------------------------------------
    def do_decode(self, z: Any, label: Any = 0) -> Iterator[Event]:
        """The image of that noise."""
        if self.model is None:
            raise ValueError(self.no_model)
        latents.asked_for(self.model, z, label)
        self.asked = (z, label)
        yield from self._decoded()

    def do_diagnose(self) -> Iterator[Event]:
        """What `minigan diagnose` says."""
        yield "busy", {"text": "loading ..."}
        yield "diagnosis", {"text": diagnosis.diagnose(self.path)}
        yield "busy", {"text": ""}

    def do_reload(self) -> Iterator[Event]:
        """The newest checkpoint."""
        self._load()
        yield from self.hello()

    def hello(self) -> Iterator[Event]:
        """Everything."""
        yield "state", {"mode": self.name, "playing": False, "path": self.path, "step": self.step, **self._sliders()}
        self._seen = ""
        yield from self._look()
        yield from self._decoded()

    # -- what happens by itself --------------------------------------------------------------------------------------
    def work(self) -> Iterator[Event]:
        """Look whether there is more in the folder."""
        if time.perf_counter() >= self._due:
            self._due = time.perf_counter() + EVERY
            yield from self._look()

    def pause(self) -> float:
        """Until the next look."""
        return max(0.01, self._due - time.perf_counter())

    def _look(self) -> Iterator[Event]:
        about, status = self.folder.read_config() or {}, self.folder.read_status()
        rows = self.folder.read_metrics()
        names = [n for n in ("discriminator", "generator") if any(n in row for row in rows)]
        names = names or [n for n in (rows[-1] if rows else {}) if n not in ("step", "seconds", "time")][:2]
        steps = sorted(int(p.stem.removeprefix("step-")) for p in self.folder.samples.glob("step-*.png"))
        pictures = [f"samples/{step_picture(self.folder.samples, step).name}" for step in steps]
        latest = [self.folder.latest.name] if self.folder.latest.is_file() else []
        found = {
            "model": about.get("model", ""), "config": about.get("config", {}), "state": self.folder.read_state(),
            "step": status.get("step", 0), "of": status.get("steps", 0), "warnings": status.get("warnings", []),
            "pictures": pictures or latest, "steps": steps, "names": names,
            "rows": [[row.get("step", 0), *(row.get(name) for name in names)] for row in _some(rows)],
        }  # fmt: skip
        if (text := repr(found)) != self._seen:
            self._seen = text
            yield "about", found

    def _decoded(self) -> Iterator[Event]:
        if self.model is not None and not latents.no_sliders(self.model):
            z, label = latents.asked_for(self.model, *self.asked)
            yield "decoded", {"step": self.step, **latents.as_bytes(latents.decoded(self.model, z, label))}


def _some(rows: list[Any]) -> list[Any]:
    return [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, MOST_ROWS).astype(int))] if rows else []
