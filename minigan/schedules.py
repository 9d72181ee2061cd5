"""Schedules: numbers that depend on an update's number t = 0, 1, 2, ...

Raises of each: TypeError or ValueError for a rate that is no finite number >= 0, or a number of steps that is none >= 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minigan.checks import number, whole

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """lr at every update."""
    number("constant", "lr", lr, low=0)
    return lambda t: lr


def linear(lr: float, *, steps: int, final: float = 0.0, hold: int = 0) -> Schedule:
    """lr until t = hold < steps, a straight line from there to `final` at t = steps, and `final` after."""
    _check("linear", lr, steps, final)
    whole("linear", "hold", hold, low=0)
    if hold >= steps:
        raise ValueError(f"linear: got hold {hold} of {steps} steps, expected fewer, so that there is a line")
    return lambda t: lr + (final - lr) * min(max(t - hold, 0) / (steps - hold), 1.0)


def cosine(lr: float, *, steps: int, final: float = 0.0) -> Schedule:
    """final + (lr - final) (1 + cos(pi t / steps)) / 2, and `final` after `steps` (Loshchilov, Hutter 2016, arXiv
    1608.03983, eq. 5)."""
    _check("cosine", lr, steps, final)
    return lambda t: final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1.0))) / 2


def step_decay(lr: float, *, every: int, factor: float = 0.1) -> Schedule:
    """lr factor^floor(t / every)."""
    number("step_decay", "lr", lr, low=0)
    number("step_decay", "factor", factor, low=0)
    whole("step_decay", "every", every, low=1)
    return lambda t: lr * factor ** (t // every)


def warm_up(schedule: Schedule | float, *, steps: int) -> Schedule:
    """The schedule times min((t + 1) / steps, 1)."""
    inner = schedule if callable(schedule) else constant(schedule)
    whole("warm_up", "steps", steps, low=1)
    return lambda t: inner(t) * min((t + 1) / steps, 1.0)


def _check(name: str, lr: float, steps: int, final: float) -> None:
    number(name, "lr", lr, low=0)
    number(name, "final", final, low=0)
    whole(name, "steps", steps, low=1)
