"""Python values that a step can read, as they were when it was recorded.

A replay runs no Python, so it cannot see that a layer was switched to evaluation, that a weight of a penalty was changed, or
that a name stands for another network. :class:`Guards` finds what the code of a step can reach: the variables of its functions
(closures and globals), the attributes that the code names, settings of layers, optimizers and players, and what lists and dicts
hold. Looking whether they are still the same objects costs some 30 ns each, before every replay.
"""

from __future__ import annotations

import operator
import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.nn.module import Module

_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_MISSING: Any = object()
_LONG = 256  # of longer lists only the length is watched
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MODELS = tuple(_PACKAGE + name + os.sep for name in ("gans", "lessons"))
_LIBRARIES = sys.stdlib_module_names | {"numpy", "cupy", "scipy", "numba"}


_CONTENTS, _DATA, _NODE, _HOOKS = map(operator.attrgetter, ("cell_contents", "_data", "node", "hooks"))


def is_engine(file: str) -> bool:
    """Whether a source file belongs to the engine rather than to a model."""
    return file.startswith(_PACKAGE) and not file.startswith(_MODELS)


class Guards:
    """What the roots (functions and objects) can read."""

    def __init__(self, roots: Iterable[Any]) -> None:
        roots, names = list(roots), set[str]()
        while True:  # code names attributes, attributes lead to more code
            before = len(names)
            search = _Search(names)
            for root in roots:
                search.visit(root)
            if len(names) == before:
                break
        self._bindings, self._cells = search.bindings, search.cells
        self._lists, self._sizes, self._tensors = search.lists, search.sizes, search.tensors
        self._arrange()

    def _arrange(self) -> None:
        """Columns for :meth:`_as_they_were`, which compares them without a line of Python for each."""
        self._columns: list[tuple[Any, tuple[list[Any], ...], list[Any]]] = []
        for kind in (dict, MappingProxyType):
            spaces, keys, values = _columns((b for b in self._bindings if type(b[0]) is kind), 3)
            self._columns.append((kind.get, (spaces, keys, [_MISSING] * len(keys)), values))
        cells, _, values = _columns(self._cells, 3)
        tensors, arrays, nodes, _ = _columns(self._tensors, 4)
        leaves = [node for node in nodes if node is not None]
        hooks = [node.hooks for node in leaves]
        self._columns += [(_CONTENTS, (cells,), values), (_DATA, (tensors,), arrays), (_NODE, (tensors,), nodes)]
        self._columns.append((_HOOKS, (leaves,), hooks))
        self._held, were, _ = _columns(self._lists, 3)
        self._parts = [part for was in were for part in was]
        sized, sizes, _ = _columns(self._sizes, 3)
        added = [held for held in hooks if held is not None]
        self._sized = [*self._held, *sized, *added]
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
        return all(map(operator.is_, chain.from_iterable(self._held), self._parts))

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
        for i, (space, key, value) in enumerate(self._bindings):
            now = space.get(key, _MISSING)
            if now is not value:
                if not _same(now, value):
                    return repr(key)
                self._bindings[i] = (space, key, now)
        for i, (cell, name, value) in enumerate(self._cells):
            if (now := _content(cell)) is not value:
                if not _same(now, value):
                    return repr(name)
                self._cells[i] = (cell, name, now)
        for held, was, name in self._lists:
            if _list_changed(held, was):
                return f"the {type(held).__name__} {name!r}"
        for held, size, name in self._sizes:
            if len(held) != size:
                return f"the {type(held).__name__} {name!r}"
        return None

    def forget_changed(self) -> None:
        """Watch no longer what is another one now: an effect changes it, which a replay will do, too."""
        if self.changed_values() is None:
            return
        self._bindings = [(s, k, v) for s, k, v in self._bindings if _same(s.get(k, _MISSING), v)]
        self._cells = [(c, n, v) for c, n, v in self._cells if _same(_content(c), v)]
        self._lists = [(held, was, n) for held, was, n in self._lists if not _list_changed(held, was)]
        self._sizes = [(held, size, n) for held, size, n in self._sizes if len(held) == size]
        self._arrange()


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def _list_changed(held: Any, was: tuple[Any, ...]) -> bool:
    if len(held) == len(was) and all(map(operator.is_, held, was)):
        return False
    now = tuple(held)
    return len(now) != len(was) or not all(map(_same, now, was))


def _tensor_changed(t: Tensor, array: Any, node: Any, hooks: int) -> str:
    if t._data is not array:
        return f"the array of a tensor {t.shape}, which was moved or converted,"
    if t.node is not node:
        return f"requires_grad of a tensor {t.shape}"
    return f"the hooks of a tensor {t.shape}" if node is not None and len(node.hooks or ()) != hooks else ""


def _same(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, _PLAIN) and type(a) is type(b) and (a == b or repr(a) == repr(b)))


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable without a value yet
        return _MISSING


class _Search:
    """One walk over what can be reached, given the names that code uses; it adds the names it meets."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.bindings: list[tuple[Mapping[Any, Any], Any, Any]] = []
        self.cells: list[tuple[CellType, str, Any]] = []
        self.lists: list[tuple[Any, tuple[Any, ...], str]] = []
        self.sizes: list[tuple[Any, int, str]] = []
        self.tensors: list[tuple[Tensor, Any, Any, int]] = []
        self._seen: dict[int, Any] = {}

    def visit(self, root: Any, name: str = "") -> None:
        stack = [(root, name)]
        while stack:
            value, name = stack.pop()
            if isinstance(value, _PLAIN) or id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            stack += self._inside(value, name)

    def _bind(self, space: Mapping[Any, Any], key: Any) -> list[tuple[Any, str]]:
        value = space[key]
        self.bindings.append((space, key, value))
        return [(value, str(key))]

    def _inside(self, value: Any, name: str) -> list[tuple[Any, str]]:
        if isinstance(value, Tensor):
            if type(value) is Tensor:  # others refill themselves
                hooks = len(value.node.hooks or ()) if value.node is not None else 0
                self.tensors.append((value, value._data, value.node, hooks))
            return []
        if isinstance(value, FunctionType):
            return self._of_function(value)
        if isinstance(value, MethodType):
            return [(value.__func__, name), (value.__self__, name)]
        if isinstance(value, partial):
            return [(value.func, name), (value.args, name), (value.keywords, name)]
        if isinstance(value, Module):
            if "training" not in vars(value):
                object.__setattr__(value, "training", value.training)
            return self._all_of(vars(value)) + self._of_class(type(value), vars(value))
        if isinstance(value, (dict, list, tuple, deque, set, frozenset)):
            return self._of_container(value, name)
        if isinstance(value, np.ndarray) or backend.is_gpu_array(value):
            return []
        if isinstance(value, ModuleType):
            return [] if _foreign(value.__name__) else self._plain_of(vars(value))
        if isinstance(value, type):
            return [] if _foreign(value.__module__) else self._plain_of(vars(value))
        return self._of_object(value)

    def _of_function(self, function: FunctionType) -> list[tuple[Any, str]]:
        code = function.__code__
        found: list[tuple[Any, str]] = []
        for cell, name in zip(function.__closure__ or (), code.co_freevars, strict=True):
            content = _content(cell)
            self.cells.append((cell, name, content))
            found.append((content, name))
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            found.append((default, f"a default of {function.__name__}"))
        if not is_engine(code.co_filename):
            self.names |= _names(code)
            for name in _names(code) & function.__globals__.keys():
                found += self._bind(function.__globals__, name)
        return found

    def _of_container(self, value: Any, name: str) -> list[tuple[Any, str]]:
        if isinstance(value, dict):
            self.sizes.append((value, len(value), name))
            return self._all_of(value) if len(value) <= _LONG else []
        if isinstance(value, (set, frozenset)) or len(value) > _LONG:
            self.sizes.append((value, len(value), name))
            return []
        if not isinstance(value, tuple):
            self.lists.append((value, tuple(value), name))
        return [(part, f"{name}[{i}]") for i, part in enumerate(value)]

    def _all_of(self, space: dict[Any, Any]) -> list[tuple[Any, str]]:
        return [part for key in list(space) for part in self._bind(space, key)]

    def _plain_of(self, space: Mapping[str, Any]) -> list[tuple[Any, str]]:
        for name in self.names & space.keys():
            if isinstance(space[name], _PLAIN):
                self.bindings.append((space, name, space[name]))
        return []

    def _of_object(self, value: Any) -> list[tuple[Any, str]]:
        watched = getattr(type(value), "watched", None)  # classes of the engine say what a step reads of them
        space = getattr(value, "__dict__", {})
        if watched is not None:
            for name in getattr(type(value), "bound", ()):  # what lies behind it is nothing that is recorded
                self._bind(space, name)
            return [part for name in watched for part in self._bind(space, name)]
        if _foreign(type(value).__module__):
            return []
        found = [part for name in self.names & space.keys() for part in self._bind(space, name)]
        return found + self._of_class(type(value), space)

    def _of_class(self, kind: type, own: Mapping[str, Any]) -> list[tuple[Any, str]]:
        """Methods that the code can call, and settings that live in the class, where the object has none of its `own`."""
        found: list[tuple[Any, str]] = []
        for base in kind.__mro__:
            if _foreign(base.__module__):
                continue
            space = vars(base)
            for name in (self.names | {"__call__", "forward"}) & space.keys():
                member = space[name]
                if name not in own:
                    self.bindings.append((own, name, _MISSING))
                    self.bindings.append((space, name, member))
                member = getattr(member, "__func__", getattr(member, "fget", member))
                if isinstance(member, FunctionType):
                    found.append((member, name))
        return found


def _foreign(module: str) -> bool:
    """Whether a module is a library's, or the engine's, whose state no step reads unless its classes say so."""
    top, _, rest = module.partition(".")
    return top in _LIBRARIES or (top == "minigan" and rest.partition(".")[0] not in ("gans", "lessons"))


def _names(code: CodeType) -> set[str]:
    """The global names and attributes that a function's code mentions, inner functions included."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
