"""How often: `--save-every 500` (steps) or `--save-every 30s` (seconds), and `--live-every` alike, or 0 for never."""

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
        return cls(text, *_interval("--save-every", text))

    @classmethod
    def of_checkpoint(cls, text: str) -> Schedule:
        """What a checkpoint recorded, where "" is the default."""
        return cls.parse(text) if text else cls()

    def of(self, steps: int) -> Schedule:
        """The schedule of a run of so many steps."""
        return self if self.text else replace(self, steps=max(1, steps // SAVES))

    def due(self, step: int, saved: int, saved_at: float) -> bool:
        """Whether to save at this step. saved: the step of the last checkpoint, or -1. saved_at: its `time.perf_counter()`."""
        passed = time.perf_counter() - saved_at >= self.seconds
        return step != saved and (_passed(self.steps, step, saved) or passed)


@dataclass(frozen=True)
class Pace:
    """How often metrics are taken while a run trains.

    Attributes:
        text: as it was given; empty for the default, a share of the time (see `minigan.run.live`).
        steps, seconds: from one time to the next, as in :class:`Schedule`. never: not at all.
    """

    text: str = ""
    steps: int = 0
    seconds: float = math.inf
    never: bool = False

    @classmethod
    def parse(cls, text: str) -> Pace:
        """`100`, `10s`, or `0` for never; "" is the default. UsageError for anything else."""
        if not text or text.strip() == "0":
            return cls(text, never=bool(text))
        return cls(text, *_interval("--live-every", text, " or 0 for never"))

    def due(self, step: int, last: int, last_at: float, now: float) -> bool:
        """Whether it is time at this step. last: the step of the last time. now, last_at: `time.perf_counter()` of both."""
        return _passed(self.steps, step, last) or now - last_at >= self.seconds


def _passed(every: int, step: int, last: int) -> bool:
    """Whether a multiple of `every` lies between two steps."""
    return bool(every) and step // every > max(last, 0) // every


def _interval(option: str, text: str, more: str = "") -> tuple[int, float]:
    """(steps, seconds) from `500` or `30s`: one of them, and for the other no limit."""
    word = text.strip().lower()
    wrong = f"{option}: got {text!r}, expected a number of steps (500), or of seconds (30s), above 0{more}"
    try:
        if word.endswith("s"):
            steps, seconds = 0, float(word.removesuffix("s"))
        else:
            steps, seconds = int(word), math.inf
    except ValueError as error:
        raise UsageError(wrong) from error
    if not (steps > 0 or 0 < seconds < math.inf):
        raise UsageError(wrong)
    return steps, seconds
