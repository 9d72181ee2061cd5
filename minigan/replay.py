"""Record a training step once, replay it many times.

A step in Python spends much of a small network's time on bookkeeping: tensors, nodes, shape checks, new arrays. None of it
changes from step to step. A :class:`Recording` runs a function once under the engine's hook and keeps what touched memory:
the list of array calls, forward and backward, random draws and optimizer updates, each with the arrays it reads and the
array it fills. A replay runs that list: same arithmetic, no graph, no allocation, no Python per operation but one call.

Views cost nothing in a replay: the arrays they look at are refilled under them. What does not go through the engine is
frozen as it was when recorded: Python numbers, branches and loops. `minigan.replayed` sees to it that none of that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, Version
from minigan.backend import Array, Group
from minigan.scheduled import Scheduled
from minigan.switches import Event, hook


def _refill(out: Array, forward: Callable[..., Array], arrays: tuple[Array, ...], params: dict[str, Any]) -> None:
    out[...] = forward(*arrays, **params)


def _arrays(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value._data
    return Group(_arrays(v) for v in value) if isinstance(value, (list, tuple)) else value


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among an event's inputs, also in lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (t for t in value if isinstance(t, Tensor))


def is_free(event: Event) -> bool:
    """Whether an operation leaves nothing to do for a replay: its result is empty, or a view of its input."""
    out = event.output._data
    return not out.size or (event.op.view and np.may_share_memory(out, event.inputs[0]._data))


class Recording:
    """The array calls of `function(*args)`.

    Attributes:
        result: what the function returned; the arrays in it are refilled by each replay.
        calls: the recorded calls, in order; `len(recording)` of them.
        made: for each call its name and the arrays it writes.
        outer: the tensors that were there before and are read or written, by identity.
        owners: optimizers, averages and random sources whose counters go on with each replay, by identity.
    """

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.made: list[tuple[str, list[Array]]] = []
        self.outer: dict[int, Tensor] = {}
        self.owners: dict[int, Any] = {}
        self._scheduled: list[Scheduled] = []
        self._arrays: list[Any] = []
        self._written: dict[int, Version] = {}
        self._own: dict[int, Version] = {}  # of the tensors that were made inside
        with hook(self._note):
            self.result = function(*args)
        self._scheduled = [t for t in self.outer.values() if isinstance(t, Scheduled)]

    def __len__(self) -> int:
        return len(self.calls)

    def __repr__(self) -> str:
        return f"Recording({len(self.calls)} calls, {len(self.outer)} outer tensors)"

    def replay(self) -> Any:
        """Run the recorded calls on what the arrays hold now; returns the refilled result."""
        for t in self._scheduled:
            t.refill()
        for call in self.calls:
            call()
        for version in self._written.values():
            version.count += 1  # a graph that saved one of these arrays before must notice
        return self.result

    def _note(self, event: Event) -> None:
        for t in tensors_in(event.inputs):
            if id(t.version) not in self._own:
                self.outer[id(t)] = t
        if event.kind == "effect":
            self.calls.append(partial(event.op, *map(_arrays, event.inputs)))
            targets = list(tensors_in(event.inputs[:1]))
            self._written |= {id(t.version): t.version for t in targets}
            function = event.op
            while isinstance(function, partial):
                function = function.func
            owner = getattr(function, "__self__", None)
            if hasattr(owner, "mark"):
                self.owners[id(owner)] = owner
            self.made.append((getattr(function, "__qualname__", type(function).__name__), [t._data for t in targets]))
        elif event.kind == "apply":
            self._own[id(event.output.version)] = event.output.version
            if is_free(event):
                return
            arrays, out = tuple(t._data for t in event.inputs), event.output._data
            planned = event.op.plan(*arrays, out=out, **event.params) if event.op.plan else None
            if planned is not None:
                self._arrays.append((arrays, out))  # a planned call knows addresses only
                self.calls.append(planned)
            elif event.op.takes_out:
                self.calls.append(partial(event.op.forward, *arrays, out=out, **event.params))
            else:
                self.calls.append(partial(_refill, out, event.op.forward, arrays, event.params))
            self.made.append((event.op.name, [out]))
