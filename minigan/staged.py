"""Effects that a captured CUDA graph may hold: what of them is Python, and what is work on arrays alone.

A graph repeats what was queued when it was captured: kernels with their arguments. Python does not run again, and a number that
Python computed stays what it was. So an effect may go into a graph where it is said to be one of two things:

    @of_arrays                             its result follows from the arrays, and from arguments that never change
    def clip(limit, arrays): ...

    Staged(numbers, work)                  `numbers()` is Python that runs at every step, and returns what changes with it;
                                           `work(numbers, *arrays)` follows from its arguments, as above

Called, a :class:`Staged` does one after the other. A graph gets the numbers in an array of the device that is refilled before
each launch (see `minigan.captured`). Every other effect stays outside of graphs, and runs as Python between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def of_arrays(function: F) -> F:
    """Say of an effect that it does the same to the same arrays, whenever it is called: no counter, no file, no clock."""
    function.of_arrays = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class Staged:
    """An effect in two parts.

    Attributes:
        numbers: called once a step; returns uint32 or float64 numbers, as an array or a tuple, or None where there are none.
        work: called with these, or with an array of the device that holds them, and with the effect's arrays.
    """

    numbers: Callable[[], Any]
    work: Callable[..., None]

    def __call__(self, *arrays: Any) -> None:
        self.work(self.numbers(), *arrays)
