"""What a step did, in outline: enough to tell whether two runs of it did the same, without keeping its arrays.

A recording repeats the array calls of one run. That is right only if the next run would have made the same calls on the same
arrays, with the same numbers. So a step is run twice before it is replayed, each time under an :class:`Outline`, and
:func:`difference` compares the two: operations, parameters, which array came from where, and the bytes of whatever came from
Python. While an outline is taken, reading a tensor's values raises: what Python makes of them would not be made again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.backend import digest
from minigan.guards import Guards
from minigan.reach import users_code
from minigan.refusals import RecordingError, line, read_by_python
from minigan.replay import name_of
from minigan.staged import Staged
from minigan.switches import Event, state
from minigan.watching import Watch, unseen


class _Row(NamedTuple):
    """One event: its name and line, what identifies the call, and the arrays it reads and makes.

    What is read stands as an identity (a tensor's version, or the array itself) and, where it is met for the first time and
    might be Python's, the array and a hash of its bytes (None for what the step made, and for parameters).
    """

    name: str
    line: str
    call: Any
    reads: tuple[tuple[Any, Any, bytes | None], ...]
    makes: tuple[Any, ...]


class Outline:
    """The events of one run of a step.

    Args:
        guards: the Python values that the step can read, which must not change; None for the first run.

    Attributes:
        rows: the events. watch: what Python did beside.
    """

    def __init__(self, guards: Guards | None) -> None:
        self.rows: list[_Row] = []
        self.watch = Watch(guards)
        self._read_by_calls: list[Callable[[], Any]] = []
        self._known: dict[int, Any] = {}  # identities that were met, kept alive
        self._refused: RecordingError | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Context manager: note every event, and let nobody read values.

        Raises:
            RecordingError: values were read, or a Python value was changed, inside.
        """
        hooks, reading = state.hooks, state.reading
        state.hooks, state.reading = (*hooks, unseen(self._note)), self._look
        try:
            with self.watch.on():
                yield
        except Exception as error:
            if self._refused is not None and error is not self._refused:  # NumPy makes a ValueError of it
                raise self._refused from error
            raise
        finally:
            state.hooks, state.reading = hooks, reading
        if self._refused is not None:  # somebody caught it
            raise self._refused

    def read(self) -> list[Any]:
        """The arrays that the calls read, as far as somebody still has them (as the arrays whose memory it is)."""
        return [array for seen in self._read_by_calls if (array := seen()) is not None]

    def forget_read(self) -> None:
        """Nobody asks for them any more."""
        self._read_by_calls = []

    def _look(self, what: Any) -> None:
        if isinstance(what, (Tensor, str)):
            self._refused = read_by_python(what)
            raise self._refused
        self.watch.before_effect(what)

    def _note(self, event: Event) -> None:
        if event.kind == "effect":
            self.watch.after_effect(event.op)
        if event.kind == "apply":
            self.watch.depends()
            self._read_by_calls += [_seen(t._data) for t in event.inputs]
            reads = tuple(self._read(t) for t in event.inputs)
            written = [v for v in event.params.values() if isinstance(v, np.ndarray) or backend.is_gpu_array(v)]
            params = {k: v for k, v in event.params.items() if not any(v is w for w in written)}
            makes = tuple(self._make(v) for v in (event.output, *written))
            self.rows.append(_Row(event.op.name, line(), (event.op, params), reads, makes))
        elif event.kind == "effect":
            targets, rest = event.inputs[:1], event.inputs[1:]
            found: list[tuple[Any, Any, bytes | None]] = []
            plain: list[Any] = []
            for value in rest:
                for part in _parts(value):
                    if isinstance(part, (Tensor, np.ndarray)) or backend.is_gpu_array(part):
                        found.append(self._read(part))
                    else:
                        plain.append(part)
            makes = tuple(self._make(t) for value in targets for t in _parts(value))
            self._read_by_calls += [_seen(t._data if isinstance(t, Tensor) else t) for v in rest for t in _parts(v)]
            if plain and users_code(event.op) is None:
                self.watch.depends()
            self.rows.append(_Row(name_of(event.op), line(), (event.op, plain), tuple(found), makes))

    def _read(self, value: Any) -> tuple[Any, Any, bytes | None]:
        identity = value.version if isinstance(value, Tensor) else value
        if id(identity) in self._known:
            return identity, None, None
        self._known[id(identity)] = identity
        array = value._data if isinstance(value, Tensor) else value
        if isinstance(value, Tensor) and value.node is not None and value.node.op is None:
            return identity, array, None  # a parameter: the same in every run, or another one
        return identity, array, digest(array)

    def _make(self, value: Any) -> Any:
        identity = value.version if isinstance(value, Tensor) else value
        self._known[id(identity)] = identity
        return identity


def _seen(value: Any) -> Callable[[], Any]:
    """What returns the array whose memory a value is as long as there is one: to hold all arrays of a step would take several
    times the memory that the step takes."""
    owner = backend.owner_of(value)
    return weakref.ref(owner) if isinstance(owner, np.ndarray) else lambda: owner


def _parts(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def difference(first: Outline, second: Outline) -> str | None:
    """Where two runs of a step part, in words; None where they did the same."""
    same: dict[int, Any] = {}  # identities of the first run to those of the second
    before = {id(made) for row in first.rows for made in row.makes}
    for a, b in zip(first.rows, second.rows, strict=False):
        if a.name != b.name or len(a.reads) != len(b.reads) or len(a.makes) != len(b.makes):
            return f"{b.line}: one run of the step does {a.name} ({a.line}), the next {b.name}"
        if not _equal(a.call, b.call):
            return f"{b.line}: {b.name} is called with other settings in the next run of the step: {_settings(a, b)}"
        for (v, array, old), (w, again, new) in zip(a.reads, b.reads, strict=True):
            if id(v) in same:
                if same[id(v)] is not w:
                    return f"{b.line}: {b.name} reads another array in the next run of the step"
            elif v is not w:
                if id(w) in before:
                    return f"{b.line}: {b.name} reads what an earlier step made, and Python kept"
                if array is not again and (old is None or old != new):
                    return (
                        f"{b.line}: {b.name} reads a number or an array from Python that is another one in the next run of the "
                        "step"
                    )
                same[id(v)] = w
        for v, w in zip(a.makes, b.makes, strict=True):
            if same.setdefault(id(v), w) is not w:
                return f"{b.line}: {b.name} writes into another array in the next run of the step"
    if len(first.rows) != len(second.rows):
        longer = max(first.rows, second.rows, key=len)[min(len(first.rows), len(second.rows))]
        return f"{longer.line}: one run of the step does {longer.name}, another does not"
    return None


def _settings(a: _Row, b: _Row) -> str:
    left, right = a.call[1], b.call[1]
    if isinstance(left, dict):
        left, right = ({k: v for k, v in d.items() if not _equal(left.get(k), right.get(k))} for d in (left, right))
    return (
        f"{left!r}, then {right!r}" if repr(left) != repr(right) else "it belongs to another object, made in the step"
    )


def _equal(a: Any, b: Any) -> bool:
    """Whether two settings are the same: plain values by value, functions by code and what they close over."""
    if a is b:
        return True
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, Staged) and isinstance(b, Staged):
        return _equal((a.numbers, a.work), (b.numbers, b.work))
    if isinstance(a, partial) and isinstance(b, partial):
        return _equal((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    if isinstance(a, FunctionType) and isinstance(b, FunctionType):
        return a.__code__ is b.__code__ and _equal(_closed_over(a), _closed_over(b))
    if isinstance(a, MethodType) and isinstance(b, MethodType):
        return a.__func__ is b.__func__ and _equal(a.__self__, b.__self__)
    if isinstance(a, (Tensor, np.ndarray)) or backend.is_gpu_array(a):
        return False
    return type(a) is type(b) and (repr(a) == repr(b) if isinstance(a, float) else bool(a == b))


def _closed_over(function: FunctionType) -> list[Any]:
    cells = function.__closure__ or ()
    return [function.__defaults__, *(cell.cell_contents for cell in cells)]
