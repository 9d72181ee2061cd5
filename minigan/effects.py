"""Writing into arrays in place: one door for all of it, so that saved arrays stay guarded and recordings see the write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from minigan.backend import Array
from minigan.checks import numbers
from minigan.graph import Tensor
from minigan.staged import of_arrays
from minigan.switches import Event, state


def effect(function: Callable[..., None], *args: Any) -> None:
    """Run `function(*arrays)`, which writes into its first argument (an array or a list of them), and count the change.

    Everything that writes in place goes through here (optimizers, random numbers, running statistics), so that
    saved arrays stay guarded and hooks see the write. Tensors among `args`, also inside lists, are passed as arrays.

    Raises:
        TypeError: not a function, a first argument that is no tensor (or list of tensors), or an array returned instead of
            written.
    """
    if not callable(function):
        raise TypeError(f"effect: got {function!r}, expected a function of arrays that writes into the first")
    for t in targets(args):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"effect: got {type(t).__name__} as what the function writes into, expected a tensor or a list of tensors"
            )
    _write(function, args, {})


def targets(args: tuple[Any, ...]) -> Sequence[Any]:
    """What an effect writes into: its first argument, or those in it."""
    return args[0] if args and isinstance(args[0], (list, tuple)) else args[:1]


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among the arguments of an effect, or the inputs of an event, also in lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def fill(function: Callable[..., None], *args: Any) -> None:
    """An effect whose first argument was just allocated for it, which nobody else has seen, and which it fills whole."""
    _write(function, args, {"fresh": True})


def _write(function: Callable[..., Any], args: tuple[Any, ...], params: dict[str, Any]) -> None:
    if state.spread is not None and state.spread.write(function, args, params):
        return
    hooks, reading, state.hooks, state.reading = state.hooks, state.reading, (), None
    if reading is not None:
        reading(function)
    try:  # a replay calls the function again, so nothing inside is recorded, and it may read what it likes
        arrays = list(map(raw, args))
        made = function(*arrays)
    finally:
        state.hooks, state.reading = hooks, reading
    if args and hasattr(made, "dtype") and not any(made is array for array in arrays):
        raise TypeError(
            f"effect: {getattr(function, '__name__', function)} returned an array, which nobody gets; expected that it writes "
            "into its first argument: out[...] = ..."
        )
    for t in targets(args):
        t.version.count += 1
    for hook in hooks:
        hook(Event("effect", function, args, params, None, None))


def raw(value: Any) -> Any:
    """An array for a tensor, also in lists; everything else as it is."""
    if isinstance(value, Tensor):
        return value._data
    return [raw(v) for v in value] if isinstance(value, (list, tuple)) else value


@of_arrays
def overwrite(target: Array, value: Any) -> None:
    """`target[...] = value`, for arrays."""
    target[...] = value


def assign(target: Tensor, value: Any) -> None:
    """Overwrite a tensor's array in place, `target[...] = value`, counted by its version. Raises TypeError for no numbers."""
    if not hasattr(value, "dtype") or value.dtype.kind not in "biuf":
        value = numbers("assign", value)
    effect(overwrite, target, value)
