"""The lab's first page: one or two GANs of points that train side by side, step by step or as fast as they can."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from minigan.finite import NotFiniteError
from minigan.lab import measures
from minigan.lab.experiment import PLAYERS, Experiment
from minigan.lab.laws import Law
from minigan.lab.model import schema
from minigan.lab.scenes import Event, Scene, wanted

NAMES = ("A", "B")  # of the runs
REALS = 600  # points of the data that are drawn
FRAME = 1 / 36  # seconds from one frame to the next
SHARE = 0.2  # of the time, for what is measured beside frames


class Points(Scene):
    """Runs by name, and whether and how fast they play."""

    name = "points"

    def __init__(self) -> None:
        self.runs = {"A": Experiment()}
        self.playing, self.rate = False, 0.0
        self._due = {"step": 0.0, "frame": 0.0, "truth": 0.0}
        self._stale, self._notes, self._sent = True, {"A": ""}, dict[str, int]()
        self._truths: dict[str, list[list[Any]]] = {"A": []}

    # -- what the page asks ------------------------------------------------------------------------------------------
    def do_play(self) -> Iterator[Event]:
        """Go."""
        self.playing = True
        yield self._state()

    def do_pause(self) -> Iterator[Event]:
        """Stop."""
        self.playing, self._stale = False, True
        yield self._state()

    def do_step(self, player: str = "") -> Iterator[Event]:
        """One step of every run, of both players or of one."""
        self.playing = False
        yield from self._step_or_stop(wanted("player", player, ("", *PLAYERS)))
        yield self._state()

    def do_rate(self, steps: float) -> Iterator[Event]:
        """So many steps a second; 0 for as many as there is time for."""
        if not isinstance(steps, (int, float)) or not 0 <= steps <= 1000:
            raise ValueError(f"rate: got {steps!r}, expected steps a second, 0 to 1000")
        self.rate = float(steps)
        yield self._state()

    def do_set(self, run: str, settings: dict[str, Any], drawn: Any = None) -> Iterator[Event]:
        """Other settings of a run from here on."""
        name = wanted("run", run, self.runs)
        anew = self.runs[name].change(settings, drawn)
        self._notes[name] = f"{' and '.join(anew)} began anew" if anew else ""
        if not self.runs[name].rows:
            self._truths[name] = []
        yield from self._whole(name)

    def do_restart(self) -> Iterator[Event]:
        """All runs from their initial weights."""
        for name, run in self.runs.items():
            run.restart()
            self._truths[name], self._notes[name] = [], ""
            yield from self._whole(name)

    def do_rewind(self, step: int) -> Iterator[Event]:
        """All runs back to their last snapshot at or before that step."""
        if type(step) is not int:
            raise ValueError(f"rewind: got {step!r}, expected a step")
        self.playing = False
        for name, run in self.runs.items():
            run.rewind(step)
            self._truths[name] = [row for row in self._truths[name] if row[0] <= run.batches]
            yield from self._whole(name)

    def do_split(self) -> Iterator[Event]:
        """A second run with the settings of the first; both from their beginning."""
        first = self.runs["A"]
        self.runs["B"] = Experiment(first.settings, first.law.drawn)
        self._notes["B"], self._truths["B"] = "", []
        yield from self.do_restart()

    def do_join(self) -> Iterator[Event]:
        """The first run alone."""
        self.runs.pop("B", None)
        yield self._state()

    def do_load(self, runs: dict[str, Any], rate: float = 0.0) -> Iterator[Event]:
        """What a permalink says: {"A": {"settings": ..., "drawn": ...}, ...}."""
        if not isinstance(runs, dict) or "A" not in runs or not runs.keys() <= {*NAMES}:
            raise ValueError(f"load: got runs {list(runs)}, expected A, or A and B")
        made = {
            name: Experiment(runs[name].get("settings"), runs[name].get("drawn", ())) for name in NAMES if name in runs
        }
        self.runs, self._notes = made, dict.fromkeys(made, "")
        self._truths = {name: [] for name in made}
        yield from self.do_rate(rate)
        for name in made:
            yield from self._whole(name)

    def hello(self) -> Iterator[Event]:
        """Everything, for a page that has just been opened."""
        yield self._state()
        yield "schema", schema()
        for name in self.runs:
            yield from self._whole(name)

    # -- what happens by itself --------------------------------------------------------------------------------------
    def work(self) -> Iterator[Event]:
        """Steps, until it is time for a frame; then the frame."""
        now = time.perf_counter()
        while self.playing and now < self._due["frame"]:
            if self.rate and now < self._due["step"]:
                return
            self._due["step"] = max(self._due["step"] + 1 / self.rate, now) if self.rate else now
            yield from self._step_or_stop("")
            now = time.perf_counter()
        if now >= self._due["frame"] and (self.playing or self._stale):
            self._due["frame"] = now + FRAME
            for name, run in self.runs.items():
                run.note()
                yield f"frame/{name}", {**measures.frame(run), "run": name}
                yield from self._new_rows(name)
            yield from self._truth(now)

    def pause(self) -> float:
        """Seconds for which nothing is to be done but to listen."""
        now = time.perf_counter()
        if not self.playing:
            return max(0.0, self._due["frame"] - now) if self._stale else 1.0
        return max(0.0, min(self._due["frame"], self._due["step"]) - now) if self.rate else 0.0

    def _truth(self, now: float) -> Iterator[Event]:
        if self.playing and now < self._due["truth"]:
            return
        for name, run in self.runs.items():
            found = measures.measured(run)
            about = found.get("divergence") or {}
            modes = found.get("modes", {})
            row = [
                found["step"],
                found.get("jsd"),
                found.get("w1"),
                about.get("truth"),
                about.get("by_d"),
                found.get("regret"),
            ]
            self._truths[name] = [*self._truths[name], [*row, modes.get("modes")]][-1200:]
            yield f"truth/{name}", {**found, "run": name, "snapshots": list(run.snapshots)}
            yield "rows", {"run": name, "rows": [], "truths": self._truths[name][-1:]}
        spent = time.perf_counter() - now
        self._due["truth"] = now + max(0.25, spent / SHARE)
        self._stale = False

    def _step_or_stop(self, player: str) -> Iterator[Event]:
        try:
            self._step(player)
        except NotFiniteError as error:
            self.playing = False
            yield "problem", {"text": f"Stopped: {error}"}
            yield self._state()

    def _step(self, player: str) -> None:
        self._stale = True
        for run in self.runs.values():
            run.step(player)

    # -- what is told ------------------------------------------------------------------------------------------------
    def _whole(self, name: str) -> Iterator[Event]:
        """A run from its beginning: what it is, and all rows."""
        self._stale = True
        run = self.runs[name]
        yield self._state()
        yield f"run/{name}", {"run": name, **_about(run)}
        self._sent[name] = len(run.rows)
        yield f"history/{name}", {"run": name, "rows": run.rows, "truths": self._truths[name]}

    def _new_rows(self, name: str) -> Iterator[Event]:
        rows = self.runs[name].rows
        if len(rows) < self._sent.get(name, 0):  # some were forgotten
            yield f"history/{name}", {"run": name, "rows": rows, "truths": self._truths[name]}
        elif new := rows[self._sent.get(name, 0) :]:
            yield "rows", {"run": name, "rows": new, "truths": []}
        self._sent[name] = len(rows)

    def _state(self) -> Event:
        runs = {
            name: {
                "settings": run.settings,
                "drawn": run.law.drawn,
                "note": self._notes[name],
                "snapshots": list(run.snapshots),
            }
            for name, run in self.runs.items()
        }
        return "state", {"mode": self.name, "playing": self.playing, "rate": self.rate, "runs": runs}


def _about(run: Experiment) -> dict[str, Any]:
    """What does not change while a run trains."""
    law: Law = run.law
    modes = law.dataset.modes if law.counted else None
    return {
        "low": law.square.low.tolist(), "size": law.square.size, "reals": measures.flat(law.dataset.x[:REALS]),
        "modes": [] if modes is None else measures.flat(modes), "sigma": law.dataset.sigma,
        "equilibrium": {name: {"text": text, "value": value} for name, (text, value) in run.model.equilibrium().items()},
        "latent": run.config.latent, "lines": measures.GRID if run.config.latent == 2 else measures.FINE,
    }  # fmt: skip
