"""Record a training step once, replay it many times.

A step in Python spends much of a small network's time on bookkeeping: tensors, nodes, shape checks, new arrays. None of it
changes from step to step. A :class:`Recording` runs a function once under the engine's hook and keeps what touched memory:
the list of array calls, forward and backward, random draws and optimizer updates, each with the arrays it reads and the
array it fills. A replay runs that list: same arithmetic, no graph, no allocation, no Python per operation but one call.

Views cost nothing in a replay: the arrays they look at are refilled under them. Arrays that only a replay sees share memory, by
when they are used (`arena.py`). What does not go through the engine is frozen as it was when recorded: Python numbers, branches
and loops. `minigan.replayed` sees to it that none of that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigan.arena import Arena, Place, Places
from minigan.autodiff import Tensor, Version
from minigan.backend import Array
from minigan.captured import Call, Graphs
from minigan.effects import raw, tensors_in
from minigan.fusing import endings, nothing
from minigan.primitive import Primitive
from minigan.reach import code_of, inner, is_engine
from minigan.scheduled import Scheduled
from minigan.staged import Staged
from minigan.switches import Event, hook
from minigan.watching import unseen


def _refill(out: Array, forward: Callable[..., Array], arrays: tuple[Array, ...], params: dict[str, Any]) -> None:
    out[...] = forward(*arrays, **params)


def name_of(function: Any) -> str:
    """The name of an effect's function."""
    function = inner(function)
    return str(getattr(function, "__qualname__", type(function).__name__))


def is_free(event: Event) -> bool:
    """Whether an operation leaves nothing to do for a replay: its result is empty, or a view of its input."""
    out = event.output._data
    return not out.size or (event.op.view and np.may_share_memory(out, event.inputs[0]._data))


def _is_fresh(event: Event) -> bool:
    """Whether an effect fills an array that was allocated for it."""
    return event.kind == "effect" and "fresh" in event.params


class _Noted(NamedTuple):
    """A call to make: of an operation that fills `out`, or of an effect. Arrays are places where they are the step's own."""

    kind: str
    function: Any
    inputs: Any
    out: Any  # of an effect: the arrays it writes
    params: dict[str, Any]


class _Plan(NamedTuple):
    """Calls that know where their arrays lie, and for each its name and the arrays it writes; None for a product that a later
    call makes."""

    calls: list[Callable[[], Any]]
    made: list[tuple[str, list[Array] | None]]
    kept: list[Any]  # a planned kernel knows addresses only
    steps: list[Call]  # the same calls, as graphs ask for them


class _Checked(partial[Any]):
    """A recorded call, and what to do after it."""

    check: Callable[[], None]

    def __call__(self) -> None:
        super().__call__()
        self.check()


class Recording:
    """The array calls of `function(*args)`.

    Args:
        arena: the memory to share with other recordings; by default one of its own.

    Attributes:
        result: what the function returned; the arrays in it are refilled by each replay.
        outer: the tensors that were there before and are read or written, by identity.
        owners: optimizers, averages and random sources whose counters go on with each replay, by identity.
        arena: holds the arrays that only a replay sees.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, arena: Arena | None = None) -> None:
        self.arena = arena or Arena()
        self.outer: dict[int, Tensor] = {}
        self.owners: dict[int, Any] = {}
        self._noted: list[_Noted] = []
        self._places = Places()
        self._plan: _Plan | None = None
        self._graphs: Graphs | None = None  # after a replay call by call
        self._fused = False
        self._of_users: list[int] = []  # calls that are a user's effects
        self._last = 0  # of the calls, the last that might depend on Python
        self._check: Callable[[], None] | None = None
        self._written: dict[int, Version] = {}
        self._own: dict[int, Version] = {}  # of the tensors that were made inside
        with hook(unseen(self._note)):
            self.result = function(*args)
        self._scheduled = [t for t in self.outer.values() if isinstance(t, Scheduled)]
        self._own.clear()
        self._places.ended()

    def __len__(self) -> int:
        return len(self._noted)

    def after_effects(self, check: Callable[[], None]) -> None:
        """Call `check` after each of a user's effects behind which there are calls that depend on Python values."""
        self._check = check

    def __repr__(self) -> str:
        return f"Recording({len(self)} calls, {len(self.outer)} outer tensors)"

    @property
    def graphs(self) -> Graphs | None:
        """The CUDA graphs that a replay launches; None where it runs the calls one by one."""
        return self._graphs if self._graphs is not None and self._graphs.parts else None

    def replay(self, *, graphs: bool = False) -> Any:
        """Run the recorded calls on what the arrays hold now; returns the refilled result. With `graphs`, those of a GPU as
        captured CUDA graphs, from the second replay on."""
        for t in self._scheduled:
            t.refill()
        if graphs and self._graphs is not None:
            self._graphs.run()
        else:
            for call in self.calls:
                call()
            if graphs and any(step.on_device() for step in self._planned().steps):
                self._graphs = Graphs(self._planned().steps, lambda: list(self.owners.values()))
        for version in self._written.values():
            version.count += 1  # a graph that saved one of these arrays before must notice
        return self.result

    @property
    def calls(self) -> list[Callable[[], Any]]:
        """The recorded calls, in order; `len(recording)` of them."""
        return self._planned().calls

    @property
    def made(self) -> list[tuple[str, list[Array] | None]]:
        """For each call its name and the arrays it writes; None where a later call does its work."""
        return self._planned().made

    def forget(self) -> None:
        """Let go of the arena's block; the next replay plans anew."""
        self._plan = self._graphs = None

    def _note(self, event: Event) -> None:
        for t in tensors_in(event.inputs):
            if id(t.version) not in self._own and not _is_fresh(event):
                self.outer[id(t)] = t
        if event.kind == "effect":
            self._note_effect(event)
        elif event.kind == "apply":
            self._own[id(event.output.version)] = event.output.version
            if not is_free(event):
                inputs = [self._place(t) for t in event.inputs]
                out = self._place(event.output, fresh=True)
                self._last = len(self._noted)
                self._noted.append(_Noted("apply", event.op, inputs, out, event.params))

    def _note_effect(self, event: Event) -> None:
        targets = list(tensors_in(event.inputs[:1]))
        if fresh := _is_fresh(event):
            self._own |= {id(t.version): t.version for t in targets}
        else:
            self._written |= {id(t.version): t.version for t in targets}
        owner = getattr(inner(event.op), "__self__", None)
        if hasattr(owner, "mark"):
            self.owners[id(owner)] = owner
        code = code_of(event.op)
        users = code is not None and not is_engine(code.co_filename)
        stays = code is None or users  # Python that is not the engine's may keep what it sees for another effect
        if users:
            self._of_users.append(len(self._noted))
        elif not all(isinstance(value, (Tensor, list)) for value in event.inputs):
            self._last = len(self._noted)
        rest = [self._place(value, stays=stays) for value in event.inputs[1:]]
        first = [self._place(value, fresh=fresh, stays=stays) for value in event.inputs[:1]]
        self._noted.append(_Noted("effect", event.op, [*first, *rest], [self._place(t) for t in targets], {}))

    def _fuse(self) -> None:
        """Let products do what follows them, see `minigan.fusing`; once, when nobody else holds the step's arrays."""
        if self._fused:
            return
        self._fused = True
        for i, ending in endings(self._noted).items():
            product = self._noted[ending.product]
            for value in product.inputs:
                if isinstance(value, Place):
                    value.storage.last = max(value.storage.last, i)
            self._places.drop(product.out.storage)
            self._noted[i] = self._noted[i]._replace(function=ending, inputs=[*product.inputs, ending.beside])
            self._noted[ending.product] = product._replace(kind="nothing")

    def _place(self, value: Any, *, fresh: bool = False, stays: bool = False) -> Any:
        return self._places.of(raw(value), len(self._noted), fresh=fresh, stays=stays)

    def _planned(self) -> _Plan:
        """The calls, planned for where their arrays lie; from here on nobody may see an array that a replay does not fill."""
        if self._plan is None:
            self._fuse()
            array, plan = self._places.laid_out(self.arena, self), _Plan([], [], [], [])
            for noted in self._noted:
                if noted.kind == "nothing":
                    plan.calls.append(nothing)
                    plan.made.append((noted.function.name, None))
                    continue
                arrays = [array(value) for value in noted.inputs]
                if noted.kind == "effect":
                    made = [array(t) for t in noted.out]
                    call = self._effect(len(plan.calls), noted.function, arrays)
                    name, staged = (
                        name_of(noted.function),
                        noted.function if isinstance(noted.function, Staged) else None,
                    )
                    step = Call(
                        name, call, made, None if staged is None else (staged, arrays), True, _apart(noted, arrays)
                    )
                else:
                    made = [array(noted.out)]
                    call = _call(noted.function, arrays, made[0], noted.params)
                    name, step = noted.function.name, Call(noted.function.name, call, made, apart=_apart(noted, arrays))
                    plan.kept.append((arrays, made[0]))
                plan.calls.append(call)
                plan.made.append((name, made))
                plan.steps.append(step)
            self._plan = plan
        return self._plan

    def _effect(self, i: int, function: Callable[..., None], arrays: list[Array]) -> Callable[[], Any]:
        """What runs call number `i` again, an effect, and checks what it left where calls behind it depend on Python values."""
        if self._check is None or i not in self._of_users or i >= self._last or not _is_python(function):
            return partial(function, *arrays)
        call = _Checked(function, *arrays)
        call.check = self._check
        return call


def _apart(noted: _Noted, arrays: list[Any]) -> str:
    """Why a call cannot go into a CUDA graph; "" where it may."""
    if noted.kind == "effect" and _is_python(noted.function):
        return "Python that runs at every step"
    if any(isinstance(v, np.ndarray) for v in _arrays_in([*arrays, noted.out, *noted.params.values()])):
        return "an array of the host"
    return ""


def _is_python(effect: Any) -> bool:
    """Whether Python that nothing is known of has to run again."""
    return not (isinstance(effect, Staged) or hasattr(inner(effect), "of_arrays"))


def _arrays_in(values: Iterable[Any]) -> Iterator[Any]:
    """What stands in a list, and in the lists and tuples in it."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays_in(value)
        else:
            yield value


def _call(op: Primitive, arrays: list[Array], out: Array, params: dict[str, Any]) -> Callable[[], Any]:
    """What runs an operation again, into `out`."""
    planned = op.plan(*arrays, out=out, **params) if op.plan else None
    if planned is not None:
        return planned
    if op.takes_out:
        return partial(op.forward, *arrays, out=out, **params)
    return partial(_refill, out, op.forward, tuple(arrays), params)
