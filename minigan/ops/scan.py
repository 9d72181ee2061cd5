"""A loop over time for any cell, differentiable, with as much of it kept in memory as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor
from minigan.checks import whole
from minigan.ops.checkpoint import checkpoint as checkpointed
from minigan.ops.shape import stack

Structure = (
    TensorLike | Sequence[Any] | Mapping[str, Any] | None
)  # of tensors: one, or sequences and mappings of structures
Cell = Callable[[Any, Any], tuple[Any, Any]]


def scan(
    cell: Cell, state: Structure, xs: Structure = None, *, length: int | None = None, checkpoint: int | None = None
) -> tuple[Any, Any]:
    """y_t, s_t = cell(x_t, s_{t-1}) for t = 1, ..., L: a recurrence of plain operations, with derivatives of every order.

    Args:
        cell: a function or a module, `cell(x, state) -> (y, state)`; x is None where there are no `xs`. `nn.LSTMCell` is one.
        state: s_0: a tensor, or lists, tuples (named ones too) and dicts of tensors. The cell returns one of the same
            structure.
        xs: what the steps read: arrays (N, L, ...), structured likewise, cut along their second axis; or None.
        length: L; it may be left out where `xs` say it.
        checkpoint: k: of each k steps only the first state is kept, and the rest computed again on the way back, so that the
            memory for L steps is that of L/k states and k steps; least near k = sqrt(L). None keeps all. See
            :func:`minigan.ops.checkpoint` for what a cell must not do then.

    Returns:
        (ys, s_L): what the cell returned, stacked along a second axis, (N, L, ...), in the cell's own structure; and the last
        state.

    Raises:
        TypeError, ValueError: no length, or several; a structure that holds something else than tensors, or changes.
    """
    length = _length(xs, length)
    chunk = length if checkpoint is None else whole("scan", "checkpoint", checkpoint, low=1)
    made: list[Any] = []
    for begin in range(0, length, chunk):
        steps = range(begin, min(begin + chunk, length))
        parts = None if xs is None else [_mapped(xs, partial(_at, t)) for t in steps]
        if checkpoint is None:
            ys, state = _steps(cell, state, parts, len(steps))
        else:
            ys, state = _steps_again(cell, state, parts, len(steps))
        made += ys
    return _stacked(made), state


def _at(t: int, x: TensorLike) -> Tensor:
    """Step t of a sequence."""
    return as_tensor(x)[:, t]


def _steps(cell: Cell, state: Any, xs: list[Any] | None, count: int) -> tuple[list[Any], Any]:
    made, form = [], _form(state)
    for t in range(count):
        y, state = cell(None if xs is None else xs[t], state)
        if _form(state) != form:
            raise ValueError(
                f"scan: the cell got a state of the form {form} and returned {_form(state)}, expected the same"
            )
        made.append(y)
    return made, state


def _steps_again(cell: Cell, state: Any, xs: list[Any] | None, count: int) -> tuple[list[Any], Any]:
    """The same, kept as its first state and its inputs."""
    returned: list[Any] = []
    function = partial(_flat_steps, cell, count, _skeleton((xs, state)), returned)
    parameters = getattr(cell, "parameters", None)  # a module's
    leaves = checkpointed(function, _leaves((xs, state)), parameters().values() if parameters else ())
    ys, state = _filled(returned[0], iter(leaves))
    return ys, state


def _flat_steps(cell: Cell, count: int, given: Any, returned: list[Any], *leaves: Tensor) -> list[Tensor]:
    """Steps from a list of tensors to a list of tensors; `given` and `returned` say how these are structured."""
    xs, state = _filled(given, iter(leaves))
    result = _steps(cell, state, xs, count)
    returned[:] = [_skeleton(result)]
    return _leaves(result)


# -- structures of tensors -------------------------------------------------------------------------------------------
def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same structure with the function's results for its arrays."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: _mapped(part, function) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_mapped(part, function) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not hasattr(value, "shape"):
        raise TypeError(f"scan: got {type(value).__name__}, expected tensors, or lists, tuples and dicts of them")
    return function(value)


def _leaves(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _mapped(value, lambda t: found.append(as_tensor(t)))
    return found


def _skeleton(value: Any) -> Any:
    """The structure without its tensors: what two runs of a step can be compared by."""
    return _mapped(value, lambda _: np.int64(0))


def _filled(value: Any, leaves: Any) -> Any:
    return _mapped(value, lambda _: next(leaves))


def _form(value: Any) -> Any:
    """What stays the same from one state to the next: the structure, the shapes and the dtypes, as text."""
    return repr(_mapped(value, lambda t: _Form(t.shape, str(t.dtype))))


class _Form(tuple[Any, str]):
    """Shape and dtype of a tensor."""

    def __new__(cls, shape: Any, dtype: str) -> _Form:
        return super().__new__(cls, (tuple(shape), dtype))


def _stacked(made: list[Any]) -> Any:
    """A structure for each step, as one of stacked tensors."""
    columns = [_leaves(y) for y in made]
    joined = iter([stack(list(column), axis=1) for column in zip(*columns, strict=True)])
    return _filled(made[0], joined)


def _length(xs: Any, length: int | None) -> int:
    found = {x.shape[1] if len(x.shape) > 1 else None for x in _leaves(xs)} | (
        {length} if length is not None else set()
    )
    if len(found) != 1 or None in found:
        raise ValueError(
            f"scan: got sequences of lengths {sorted(map(str, found))}, expected xs (N, L, ...) or a length"
        )
    return whole("scan", "length", found.pop(), low=1)
