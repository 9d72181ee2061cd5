"""What a recorded step may not do: the errors, with the line and the way out."""

from __future__ import annotations

import sys
from typing import Any

from minigan.autodiff import Tensor
from minigan.reach import USERS


class RecordingError(RuntimeError):
    """A step cannot be recorded, because a replay of it would not be what the step does."""


def line() -> str:
    """file:line of the caller's innermost frame that is neither the engine's nor a library's."""
    frame = first = sys._getframe(1)
    while frame is not None:
        if USERS[frame.f_code.co_filename]:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return f"{first.f_code.co_filename}:{first.f_lineno}"


def read_by_python(what: Any) -> RecordingError:
    """For a tensor whose values Python reads, or for something else that it reads, in words."""
    if isinstance(what, Tensor):
        what = (
            f"Python reads the values of a tensor {what.shape} {what.dtype} in a recorded step (.data, .numpy(), .item(), float, "
            "bool, a mask as an index, ...)"
        )
    return RecordingError(
        f"{line()}: {what}. A replay would not read them again. Compute with minigan.ops (where, maximum, take), put Python that "
        "works on arrays into mg.effect(function, out, x), numbers that change with the step into mg.scheduled(f), what should "
        "run after a step into Game(after=[...]), or give up the speed: replay=False"
    )


def changed_by_python(name: str) -> RecordingError:
    """For a value that the step itself changes."""
    return RecordingError(
        f"{name} is changed by Python inside the recorded step, and a replay would not change it again. Return what you want to "
        "see, keep state in a tensor with t.assign(...), put Python into mg.effect(function, out, x) or into a hook (before, "
        "after), or give up the speed: replay=False"
    )


def changed_by_effect(name: str, where: str = "") -> RecordingError:
    """For a value that an effect changes, and that the step reads outside of effects."""
    place = f"{where}: " if where else ""
    return RecordingError(
        f"{place}an effect, or a hook, changes {name}, which Python reads in the rest of the recorded step, and a replay would "
        "not read it again. Read it in the effect, too, keep it in a tensor, change it in Game(before=[...]) or "
        "Game(after=[...]), take it from mg.scheduled(f), or give up the speed: replay=False"
    )


def frozen(what: str) -> RecordingError:
    """For what two runs of a step did differently, or might."""
    return RecordingError(
        f"{what}. A replay would repeat one of them for ever. Draw random numbers from a mg.random.Source, take numbers that "
        "change with the step from mg.scheduled(f), put other Python into mg.effect(function, out, x), or give up the speed: "
        "replay=False"
    )
