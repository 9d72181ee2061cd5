"""The loop: step after step, and a pause now and then. What happens in a pause is the recorder's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from minigan.gans.protocol import Trainable
from minigan.run.feed import Feed
from minigan.run.interrupts import Interrupts
from minigan.run.progress import Progress
from minigan.run.references import Reference


class Loop:
    """A model, its batches, and the step it is at.

    Args:
        reference, model, feed: what is trained, and on what.
        step: steps done. steps: the last one.

    Attributes:
        step, steps: as given; `step` counts up.
    """

    def __init__(self, reference: Reference, model: Trainable, feed: Feed, *, step: int, steps: int) -> None:
        self.reference, self.model, self.feed = reference, model, feed
        self.step, self.steps = step, steps
        self._losses: dict[str, Any] = {}

    def advance(self) -> None:
        """One step."""
        with self.reference.blamed():
            batches = self.feed(self.step)
            self._losses = self.model.game.step(batches=batches) if batches else self.model.game.step()
        self.step += 1

    @property
    def started(self) -> bool:
        """Whether a step was made here."""
        return bool(self._losses)

    def numbers(self) -> dict[str, float]:
        """Each player's last loss and what the losses report, as numbers; waits for the device."""
        values = {**self._losses, **self.model.game.metrics} if self._losses else {}
        return {name: value.item() for name, value in values.items()}

    def run(self, interrupts: Interrupts, pause: Callable[[bool], int]) -> None:
        """Step to the last step, or until interrupted.

        pause: called when its time has come, with whether progress was shown; returns the step of the next pause.
        """
        progress = Progress(self.step, self.steps)
        try:
            next_pause = self._paused(progress, pause) if self.started else self.step
            while self.step < self.steps and not interrupts.received:
                self.advance()
                if self.step >= next_pause or time.perf_counter() >= progress.due:
                    next_pause = self._paused(progress, pause)
        finally:
            progress.close()

    def _paused(self, progress: Progress, pause: Callable[[bool], int]) -> int:
        show = self.step == self.steps or time.perf_counter() >= progress.due
        if show:
            progress.show(self.step, self.numbers())
        return pause(show)
