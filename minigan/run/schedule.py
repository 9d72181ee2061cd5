"""When a run is saved: `--save-every 500` (steps) or `--save-every 30s` (seconds)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from minigan.run.errors import UsageError

SAVES = 5  # in a run, where nothing is said, and
SECONDS = 600.0  # a slow run at least this often


@dataclass(frozen=True)
class Schedule:
    """The longest that a run goes without a checkpoint.

    Attributes:
        text: as it was given; empty for the default.
        steps: between two checkpoints; 0 for no limit. seconds: the same in time; infinity for no limit.
    """

    text: str = ""
    steps: int = 0
    seconds: float = SECONDS

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """`500` or `30s`; UsageError for anything else."""
        word = text.strip().lower()
        wrong = f"--save-every: got {text!r}, expected a number of steps (500), or of seconds (30s), above 0"
        try:
            if word.endswith("s"):
                seconds = float(word.removesuffix("s"))
                found = cls(text, 0, seconds)
            else:
                found = cls(text, int(word), math.inf)
        except ValueError as error:
            raise UsageError(wrong) from error
        if not (found.steps > 0 or 0 < found.seconds < math.inf):
            raise UsageError(wrong)
        return found

    @classmethod
    def of_checkpoint(cls, text: str) -> Schedule:
        """What a checkpoint recorded, where "" is the default."""
        return cls.parse(text) if text else cls()

    def of(self, steps: int) -> Schedule:
        """The schedule of a run of so many steps."""
        return self if self.text else replace(self, steps=max(1, steps // SAVES))

    def due(self, step: int, saved: int, saved_at: float) -> bool:
        """Whether to save at this step. saved: the step of the last checkpoint, or -1. saved_at: its `time.perf_counter()`."""
        missed = self.steps and step // self.steps > max(saved, 0) // self.steps
        return step != saved and (bool(missed) or time.perf_counter() - saved_at >= self.seconds)
