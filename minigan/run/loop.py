"""The loop: step after step, and a pause now and then. What happens in a pause is the recorder's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from minigan.finite import NotFiniteError
from minigan.gans.protocol import Trainable
from minigan.run.feed import Feed
from minigan.run.interrupts import Interrupts
from minigan.run.means import Means
from minigan.run.progress import Progress
from minigan.run.references import Reference
from minigan.run.team import Team


class Loop:
    """A model, its batches, and the step it is at.

    Args:
        reference, model, feed: what is trained, and on what.
        step: steps done. steps: the last one.
        team: the ranks that step together.

    Attributes:
        step, steps: as given; `step` counts up.
        batches: of the last step.
        failure: a NaN or Inf in a step that was made before `run`, which raises it.
        means: of each player's loss and of what the losses report, since they were last written down.
        torn: whether a step has begun and not ended: what the model holds then is not worth saving.
        wake: the `time.perf_counter()` of the next pause, should no step be due before.
    """

    def __init__(
        self, reference: Reference, model: Trainable, feed: Feed, *, step: int, steps: int, team: Team | None = None
    ) -> None:
        self.reference, self.model, self.feed, self.team = reference, model, feed, team or Team()
        model.game.ranks = self.team.world
        self.step, self.steps = step, steps
        self.batches: list[Any] = []
        self.failure: NotFiniteError | None = None
        self.means = Means()
        self.torn = False
        self.wake = math.inf

    def advance(self) -> None:
        """One step."""
        self.torn = True
        with self.reference.blamed():
            batches, game = self.feed(self.step), self.model.game
            self.batches = batches
            self.means.add(game.step(batches=batches) if batches else game.step())
            self.means.add(game.metrics)
        self.step += 1
        self.torn = False
        self.team.check(self.model, self.step)

    def numbers(self) -> dict[str, float]:
        """The means, as numbers; waits for the device."""
        return self.means.values()

    def run(self, interrupts: Interrupts, pause: Callable[[bool], int]) -> None:
        """Step to the last step, or until interrupted.

        pause: called when its time has come, with whether progress was shown; returns the step of the next pause.
        """
        if self.failure is not None:
            raise self.failure
        progress = Progress(self.step, self.steps)
        try:
            next_pause = self._paused(progress, pause)
            while self.step < self.steps and not self._stopped(interrupts):
                self.advance()
                if self.step >= next_pause or time.perf_counter() >= min(progress.due, self.wake):
                    next_pause = self._paused(progress, pause)
        finally:
            progress.close()

    def follow(self, interrupts: Interrupts) -> None:
        """The same on a rank that writes and shows nothing."""
        if self.failure is not None:
            raise self.failure
        while self.step < self.steps and not self._stopped(interrupts):
            self.advance()

    def _stopped(self, interrupts: Interrupts) -> bool:
        """Whether this rank or another one was told to end: all do at the same step."""
        agreed = self.team.signal(interrupts.received)
        interrupts.received = (
            interrupts.received or agreed
        )  # a signal that comes meanwhile is told before the next step
        return bool(agreed)

    def _paused(self, progress: Progress, pause: Callable[[bool], int]) -> int:
        show = self.step == self.steps or time.perf_counter() >= progress.due
        if show:
            progress.show(self.step, self.numbers())
        return pause(show)
