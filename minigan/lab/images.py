"""Digits forming: a GAN on drawn digits, its samples as they become, a column for each class, and noise under sliders."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from minigan import gans
from minigan.finite import NotFiniteError
from minigan.lab import latents
from minigan.lab.scenes import Event, Scene, wanted
from minigan.run import references
from minigan.run.building import load_data
from minigan.run.feed import Feed

MODELS = {
    "cgan": "a column for each class",
    "dcgan": "no classes",
    "r3gan": "relativistic, with R1 and R2",
}
DATA = {"glyphs": "digits in 21 typefaces", "letters": "letters in 21 typefaces"}
COUNT, COLUMNS = 60, 10  # samples that are shown
FRAME, MOST_ROWS = 0.4, 1200


class Images(Scene):
    """A model that trains."""

    name = "images"

    def __init__(self) -> None:
        self.chosen = {"model": "cgan", "data": "glyphs"}
        self.playing, self._due, self._stale = False, 0.0, True
        self._begin()

    def _begin(self) -> None:
        reference = references.resolve(self.chosen["model"])
        options = {f.name for f in dataclasses.fields(reference.model.Config)}
        plain = {"decay": False} if "decay" in options else {}  # there is no last step here
        config = reference.model.Config(data=self.chosen["data"], **plain)
        supply = load_data(reference, config)
        self.model = gans.get(self.chosen["model"])(config, supply.facts)
        self._feed = Feed(supply, self.model, "cpu")
        self.step, self.rows, self.losses = 0, list[list[Any]](), dict[str, float]()
        self.asked: tuple[list[float], int] = ([0.0] * latents.sliders(self.model)["sliders"], 0)
        self._stale = True

    # -- what the page asks ------------------------------------------------------------------------------------------
    def do_play(self) -> Iterator[Event]:
        """Go."""
        self.playing = True
        yield self._state()

    def do_pause(self) -> Iterator[Event]:
        """Stop."""
        self.playing, self._stale = False, True
        yield self._state()

    def do_step(self) -> Iterator[Event]:
        """One step."""
        self.playing, self._stale = False, True
        yield from self._step_or_stop()
        yield self._state()

    def do_set(self, settings: dict[str, str]) -> Iterator[Event]:
        """Another model, or other data: from the beginning."""
        known = {"model": MODELS, "data": DATA}
        for name, value in settings.items():
            wanted(name, value, known[wanted("setting", name, known)])
        self.chosen |= settings
        yield "busy", {"text": "loading ..."}
        self._begin()
        yield "busy", {"text": ""}
        yield from self.hello()

    def do_restart(self) -> Iterator[Event]:
        """From the initial weights."""
        yield from self.do_set({})

    def do_decode(self, z: Any, label: Any = 0) -> Iterator[Event]:
        """The image of that noise, now and from now on."""
        latents.asked_for(self.model, z, label)
        self.asked = (z, label)
        yield self._decoded()

    def hello(self) -> Iterator[Event]:
        """Everything."""
        self._stale = True
        yield self._state()
        yield "history", {"rows": self.rows}

    # -- what happens by itself --------------------------------------------------------------------------------------
    def work(self) -> Iterator[Event]:
        """A step, or samples."""
        now = time.perf_counter()
        if self.playing and now < self._due:
            yield from self._step_or_stop()
        elif self.playing or self._stale:
            self._due, self._stale = now + FRAME, False
            yield "images", {
                "step": self.step, "losses": self.losses, "columns": COLUMNS, **latents.as_bytes(self.model.sample(COUNT,
                seed=0)),
            }  # fmt: skip
            yield self._decoded()
            if self.losses and (not self.rows or self.rows[-1][0] < self.step):
                self.rows = [*self.rows, [self.step, self.losses["discriminator"], self.losses["generator"]]][
                    -MOST_ROWS:
                ]
                yield "rows", {"rows": self.rows[-1:]}

    def pause(self) -> float:
        """0 while it trains."""
        return 0.0 if self.playing or self._stale else 1.0

    def _step_or_stop(self) -> Iterator[Event]:
        try:
            self._step()
        except NotFiniteError as error:
            self.playing = False
            yield "problem", {"text": f"Stopped: {error}"}
            yield self._state()

    def _step(self) -> None:
        found = self.model.game.step(batches=self._feed(self.step))
        self.step += 1
        self.losses = {name: value.item() for name, value in found.items()}

    def _decoded(self) -> Event:
        z, label = latents.asked_for(self.model, *self.asked)
        return "decoded", {"step": self.step, **latents.as_bytes(latents.decoded(self.model, z, label))}

    def _state(self) -> Event:
        equilibrium = {name: {"text": text, "value": value} for name, (text, value) in self.model.equilibrium().items()}
        return "state", {
            "mode": self.name, "playing": self.playing, "settings": self.chosen, "choices": {"model": MODELS, "data": DATA},
            "equilibrium": equilibrium, **latents.sliders(self.model),
        }  # fmt: skip
