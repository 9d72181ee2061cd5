"""Python values that a step can read, as they were when it was recorded.

A replay runs no Python, so it cannot see that a layer was switched to evaluation, that a weight of a penalty was changed, or
that a name stands for another network. :class:`Guards` watches what `reach.py` finds. Looking whether all are still the same
objects costs some 30 ns each, before every replay.
"""

from __future__ import annotations

import io
import operator
import random
from collections.abc import Iterable, Mapping
from itertools import chain
from types import CodeType
from typing import Any

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.reach import MISSING, PLAIN, Held, Reach

_DATA, _NODE, _HOOKS = map(operator.attrgetter, ("_data", "node", "hooks"))
_WHOLE, _GLANCE = 2**24, 2**16  # bytes: of larger arrays evenly spread elements are watched


class Guards:
    """What the roots can read.

    Args:
        roots: functions and objects.
        ran: the code that ran outside of effects, with its globals; None where that is not known.

    Attributes:
        generators: of random numbers.
        iterators: names of iterators that can be reached; whether something was taken from one cannot be told.
    """

    def __init__(self, roots: Iterable[Any], ran: Mapping[CodeType, dict[str, Any]] | None) -> None:
        roots, names = list(roots), set[str]()
        while (found := Reach(roots, names, ran)).names != names:  # code names attributes, attributes lead to more code
            names = found.names
        self._values, self._tensors = found.values, found.tensors
        self._lists, self._sets, self._sizes = found.lists, found.sets, found.sizes
        self._buffers = [held._replace(held=_bytes(held.container)) for held in found.buffers]
        self._followed: list[Held] = []
        self.generators, self.iterators = found.generators, found.iterators
        self._arrange()

    def _arrange(self) -> None:
        """Columns for :meth:`_as_they_were`, which compares them without a line of Python for each."""
        self._columns: list[tuple[Any, tuple[list[Any], ...], list[Any]]] = []
        for get in {value.get for value in self._values}:
            _, spaces, keys, values, _ = _columns((v for v in self._values if v.get is get), 5)
            self._columns.append((get, (spaces, keys, [MISSING] * len(keys)), values))
        tensors, arrays, nodes, _ = _columns(self._tensors, 4)
        leaves = [node for node in nodes if node is not None]
        hooks = [node.hooks for node in leaves]
        self._columns += [(_DATA, (tensors,), arrays), (_NODE, (tensors,), nodes), (_HOOKS, (leaves,), hooks)]
        held, were, _ = _columns(self._lists, 3)
        self._held, self._parts = held, [part for was in were for part in was]
        sized, sizes, _ = _columns(self._sizes, 3)
        added = [held for held in hooks if held is not None]
        self._sized = [*held, *sized, *added]
        self._counts = [*map(len, were), *sizes, *map(len, added)]

    def _as_they_were(self) -> bool:
        """Whether all are the same objects still; where not, they may be equal."""
        if list(map(len, self._sized)) != self._counts:
            return False
        try:
            for get, spaces, values in self._columns:
                if not all(map(operator.is_, map(get, *spaces), values)):
                    return False
        except ValueError:  # a variable without a value
            return False
        if not all(map(operator.is_, chain.from_iterable(self._held), self._parts)):
            return False
        return not (self._sets or self._buffers) or not self._contents_changed()

    def changed(self) -> str | None:
        """The name of a value that is another one now, or None."""
        if self._as_they_were():
            return None
        for guarded in self._tensors:
            if what := _tensor_changed(*guarded):
                return what
        if changed := self.changed_values():
            return changed
        self._arrange()  # equal, but other objects
        return None

    def changed_values(self) -> str | None:
        """The same without tensors, some of which are out of the graph while a player moves."""
        for i, value in enumerate(self._values):
            if (now := value.now()) is not value.value:
                if not _same(now, value.value):
                    return repr(value.name)
                self._values[i] = value._replace(value=now)
        for i, (held, was, name) in enumerate(self._lists):
            if len(now := tuple(held)) != len(was) or not all(map(operator.is_, now, was)):
                if not _list_same(now, was):
                    return f"the {type(held).__name__} {name!r}"
                self._lists[i] = Held(held, now, name)
        for held, size, name in self._sizes:
            if len(held) != size:
                return f"the {type(held).__name__} {name!r}"
        return self._contents_changed()

    def _contents_changed(self) -> str | None:
        for held, was, name in self._sets:
            if held != was:
                return f"the {type(held).__name__} {name!r}"
        for held, was, name in self._buffers:
            if _bytes(held) != was:
                return f"the {type(held).__name__} {name!r}"
        return None

    def follow(self, arrays: Iterable[Any]) -> None:
        """The arrays that recorded calls read themselves, each time anew, may change; see :meth:`refilled`."""
        if self._buffers or self._followed:
            live = {id(backend.owner_of(array)) for array in arrays}
            known = [*self._followed, *(h for h in self._buffers if id(backend.owner_of(h.container)) in live)]
            self._followed = [held._replace(held=_bytes(held.container, _GLANCE)) for held in known]
            self._buffers = [held for held in self._buffers if id(backend.owner_of(held.container)) not in live]

    def refilled(self) -> str | None:
        """The name of an array that recorded calls read, and that was written to. Each is told once: whether Python in the step
        reads it, too, such as `w.mean()`, only a comparison with the step can tell."""
        for i, (held, was, name) in enumerate(self._followed):
            if _bytes(held, _GLANCE) != was:
                del self._followed[i]
                return name
        return None


def states_of(generators: Iterable[Any]) -> list[Any]:
    """What the next random numbers depend on: of NumPy, of Python, and of these generators."""
    return [_state(generator) for generator in (random, np.random, *generators)]


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def _list_same(now: tuple[Any, ...], was: tuple[Any, ...]) -> bool:
    return len(now) == len(was) and all(map(_same, now, was))


def _tensor_changed(t: Tensor, array: Any, node: Any, hooks: int) -> str:
    if t._data is not array:
        return f"the array of a tensor {t.shape}, which was moved or converted,"
    if t.node is not node:
        return f"requires_grad of a tensor {t.shape}"
    return f"the hooks of a tensor {t.shape}" if node is not None and len(node.hooks or ()) != hooks else ""


def _same(a: Any, b: Any) -> bool:
    """The same object, or plain values of one type that read the same (so that 0.0 is not -0.0, and NaN is NaN)."""
    return a is b or (isinstance(a, PLAIN) and type(a) is type(b) and repr(a) == repr(b))


def _bytes(held: Any, most: int = _WHOLE) -> bytes:
    """What an array holds; of one that is larger than `most` bytes elements that lie evenly spread."""
    if isinstance(held, np.ndarray) or backend.is_gpu_array(held):
        if held.nbytes > most:
            held = held.reshape(-1)[:: held.nbytes // most + 1]
        held = backend.to_numpy(held)
        return repr(held.tolist()).encode() if held.dtype.hasobject else held.tobytes()
    if isinstance(held, (io.BytesIO, io.StringIO)):
        return repr((held.getvalue(), held.tell())).encode()
    return memoryview(held).tobytes()


def _state(generator: Any) -> Any:
    """What the next number of a random generator depends on, comparable."""
    if generator is random or isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return _comparable(generator.bit_generator.state)
    return _comparable(generator.get_state(legacy=False))


def _comparable(state: Any) -> Any:
    """A generator's state with bytes for its arrays. (To print 624 numbers takes milliseconds, and shows all of them only where
    nobody has told NumPy to print fewer.)"""
    if isinstance(state, Mapping):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
