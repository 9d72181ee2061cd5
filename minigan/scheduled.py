"""Numbers that change with the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.backend import Array
from minigan.switches import state


class Scheduled(Tensor):
    """See :func:`scheduled`."""

    __slots__ = ("_array", "_clock", "_function")

    def __init__(self, function: Callable[[int], Any], array: Array) -> None:
        self._function, self._array, self._clock = function, array, None
        super().__init__(array)

    def refill(self) -> None:
        """Take the number of the present step; outside of steps, nothing happens."""
        clock = state.clock
        if clock is not self._clock and clock is not None:
            self._clock = clock
            self._fill(clock.step)

    def _fill(self, step: int) -> None:
        value = _number(self._function, step)
        if value.shape != self._array.shape:
            raise ValueError(
                f"scheduled: got shape {value.shape} at step {step}, expected {self._array.shape} as at step 0"
            )
        self._array[...] = backend.to_device(value.astype(self._array.dtype), backend.device_of(self._array))
        self.version.count += 1

    @property
    def _data(self) -> Array:
        self.refill()
        return self._array

    @_data.setter
    def _data(self, array: Array) -> None:
        self._array = array

    def _told(self) -> Any:
        raise TypeError(
            "scheduled: got a value, but the next step would put f(step) back; expected a tensor of one's own, mg.tensor(...)"
        )

    requires_grad = property(lambda self: False, lambda self, flag: self._told() if flag else None, doc="False.")
    data = property(Tensor.data.fget, lambda self, array: self._told(), doc="The array; not to be assigned.")  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return super().__repr__().replace("tensor", "scheduled", 1)

    def __deepcopy__(self, memo: dict[int, Any]) -> Scheduled:
        new = memo[id(self)] = Scheduled(self._function, self._array.copy())
        return new

    def __copy__(self) -> Scheduled:
        return Scheduled(self._function, self._array)

    def detach(self) -> Scheduled:
        """Itself: it is outside every graph."""
        return self


def _number(function: Callable[[int], Any], step: int) -> np.ndarray:
    """f(step), a number or an array of them. Raises TypeError for anything else."""
    given = function(step)
    value = np.asarray(given) if not isinstance(given, Tensor) else np.empty(0, object)
    if value.dtype.kind not in "biuf":
        raise TypeError(
            f"scheduled: got {given!r:.60} of type {type(given).__name__} at step {step}, expected a number or an array of them"
        )
    return value


def scheduled(function: Callable[[int], Any], *, dtype: Any = None, device: str = "cpu") -> Scheduled:
    """A constant tensor that holds `function(t)` during step t = 0, 1, 2, ... of a game: a number that is annealed.

    It is refilled at each step, recorded or not, so that `beta * kl` in a loss follows
    `beta = mg.scheduled(lambda t: min(1.0, t / 1000))`. Before the first step it holds function(0). The step is part of
    `Game.state()`, so a resumed run goes on where it stopped.

    Args:
        function: of the number of steps that the game has done, to a number or an array of one shape.
        dtype: float32 by default.
        device: "cpu" or "gpu".

    Raises:
        TypeError: not a function, or one that returns no numbers (at the step in which it does).
        ValueError: function(t) has another shape than function(0).
    """
    if not callable(function):
        raise TypeError(f"scheduled: got {function!r}, expected a function of the step t")
    first = _number(function, 0)
    return Scheduled(function, backend.to_device(np.array(first, backend.as_float_dtype(dtype)), device))
