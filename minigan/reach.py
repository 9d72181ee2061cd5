"""What Python values the code of a step can read: one walk over functions and objects.

A function reads its closure, its defaults and its globals; an object is read through the attributes that some code names, and
through its special methods (`len(x)`, `x[0]`, `float(x)` name nothing). What is found leads to more code, and code to more names.
Where code finds attributes by other means (`getattr`, `vars`, `__dict__`), all attributes count. Libraries do not: no step
depends on variables of theirs. Only code counts that did run in the step, and not merely in effects, which run at each replay.
"""

from __future__ import annotations

import dis
import gc
import io
import os
import random
import re
import site
import sys
import sysconfig
import weakref
from collections import ChainMap, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property, partial
from operator import attrgetter, methodcaller
from types import BuiltinMethodType, CodeType, FrameType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.counters import Counter
from minigan.nn.module import Module
from minigan.staged import Staged

PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
MISSING: Any = object()
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MODELS = tuple(_PACKAGE + name + os.sep for name in ("gans", "lessons"))
_LIBRARIES = sys.stdlib_module_names | {"numpy", "cupy", "scipy", "numba"}
_INSTALLED = (sysconfig.get_paths()["stdlib"] + os.sep, *(path + os.sep for path in site.getsitepackages()))
_TYPED = ("<stdin>", "<string>", "<input>", "<console>", "<ipython", "<doctest")
_BY_OTHER_MEANS = {
    "getattr", "vars", "dir", "__dict__", "__getattribute__", "attrgetter", "methodcaller", "asdict", "astuple", "eval", "exec",
}  # fmt: skip
_WHOLE = {"vars", "__dict__", "asdict", "astuple", "eval", "exec"}  # these pass by a counter's refusal to be read
_ALL_GLOBALS = {"globals", "locals", "eval", "exec"}
_MATCH_CLASS = dis.opmap["MATCH_CLASS"]
_FIELD = re.compile(r"[.\[](\w+)")  # of "{0.beta}", for str.format
_WRAPPERS = (UserDict, UserList, ChainMap)  # of the standard library, which keep what they hold in an attribute
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


def is_engine(file: str) -> bool:
    """Whether a source file belongs to the engine rather than to a model."""
    return file.startswith(_PACKAGE) and not file.startswith(_MODELS)


def is_library(file: str) -> bool:
    """Whether a source file belongs to Python or to an installed library; this package, wherever it is installed, is none, and
    what was typed at a prompt is not."""
    if file.startswith(_PACKAGE):
        return False
    return file.startswith(_INSTALLED) or (file.startswith("<") and not file.startswith(_TYPED))


class _Users(dict[str, bool]):
    """Of source files, whether they are a user's: neither the engine's nor a library's. A table, since a step that is observed
    asks some ten thousand times, and looking up is no call that its profiler sees."""

    def __missing__(self, file: str) -> bool:
        found = self[file] = not (is_engine(file) or is_library(file))
        return found


USERS = _Users()


def inner(function: Any) -> Any:
    """What is left of a function without its partials; of an effect in two parts, the Python of it."""
    while isinstance(function, (partial, Staged)):
        function = function.numbers if isinstance(function, Staged) else function.func
    return function


def code_of(function: Any) -> CodeType | None:
    """The code that a function, a method, a partial or an object with `__call__` runs; None where it is not Python."""
    function = inner(function)
    for called in (function, type(function).__call__ if callable(function) else None):
        if (code := getattr(getattr(called, "__func__", called), "__code__", None)) is not None:
            return code
    return None


def users_code(effect: Any) -> CodeType | None:
    """The code of an effect that is not the engine's own: of those nothing is known but what they write."""
    code = code_of(effect)
    return None if code is None or is_engine(code.co_filename) else code


class Value(NamedTuple):
    """A value that can be read as `get(space, key, default)`, and its name in messages."""

    get: Callable[[Any, Any, Any], Any]
    space: Any
    key: Any
    value: Any
    name: str

    def now(self) -> Any:
        """What it is now."""
        try:
            return self.get(self.space, self.key, MISSING)
        except ValueError:  # a variable without a value yet
            return MISSING


class Held(NamedTuple):
    """A container and what it held."""

    container: Any
    held: Any
    name: str


class Reach:
    """What the roots (functions and objects) can read.

    Args:
        roots: functions and objects.
        names: of attributes and globals that code mentions.
        ran: the code that ran outside of effects, with its globals; None where that is not known.

    Attributes:
        values: variables, attributes and entries of dicts.
        lists, sets: with their parts; of dicts the keys. sizes: attributes of objects, how many. buffers: arrays of numbers.
        tensors: (tensor, array, node, how many hooks).
        iterators: names of iterators. generators: of random numbers. names: all names that were met.
    """

    def __init__(self, roots: Iterable[Any], names: set[str], ran: Mapping[CodeType, dict[str, Any]] | None) -> None:
        self.names, self._ran = set(names), ran
        self.values: list[Value] = []
        self.lists: list[Held] = []
        self.sets: list[Held] = []
        self.sizes: list[Held] = []
        self.buffers: list[Held] = []
        self.tensors: list[tuple[Tensor, Any, Any, int]] = []
        self.iterators: list[str] = []
        self.generators: list[Any] = []
        self._seen: dict[int, Any] = {}
        self._bound: set[tuple[int, Any]] = set()
        self._kept: list[Any] = []  # an identity counts while its object lives
        for root in roots:
            self._visit(root)
        for code, space in (ran or {}).items():
            if id(code) not in self._seen and not is_engine(code.co_filename) and not is_library(code.co_filename):
                self._of_code(code, space)
        if self.names & {"environ", "getenv"}:
            self._visit(vars(os.environ)["_data"], "os.environ")

    def _visit(self, root: Any, name: str = "") -> None:
        stack = [(root, name)]
        while stack:
            value, name = stack.pop()
            if isinstance(value, PLAIN) or id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            stack += self._inside(value, name)

    def _bind(self, get: Any, space: Any, key: Any, name: str = "") -> list[tuple[Any, str]]:
        """Watch a value; what it is, to go on from."""
        if (id(space), key) in self._bound:
            return []
        self._bound.add((id(space), key))
        self._kept.append(space)
        found = Value(get, space, key, None, name or str(key))
        self.values.append(found._replace(value=found.now()))
        return [(self.values[-1].value, found.name)]

    def _inside(self, value: Any, name: str) -> list[tuple[Any, str]]:
        if isinstance(value, Tensor):
            if type(value) is Tensor:  # others refill themselves
                hooks = value.node.hooks or () if value.node is not None else ()
                self.tensors.append((value, value._data, value.node, len(hooks)))
                return [(hooks, f"hooks of a tensor {value.shape}")] if hooks else []
            return []
        if isinstance(value, FunctionType):
            return self._of_function(value)
        if isinstance(value, MethodType):
            return [(value.__func__, name), (value.__self__, name)]
        if isinstance(value, (attrgetter, methodcaller)):  # name what they read
            self.names |= {part for text in value.__reduce__()[1] if isinstance(text, str) for part in text.split(".")}
            return []
        if isinstance(value, partial):
            if isinstance(value.func, BuiltinMethodType):  # partial(getattr, holder, "beta")
                self.names.add(value.func.__name__)
            return [(value.func, name), (value.args, name), (value.keywords, name)]
        if isinstance(value, Module):
            if "training" not in vars(value):
                object.__setattr__(value, "training", value.training)
            return self._all_of(vars(value)) + self._of_class(type(value), vars(value))
        if isinstance(value, (dict, list, tuple, deque, set, frozenset)):
            return self._of_container(value, name) + (
                [] if _foreign(type(value).__module__) else self._of_object(value)
            )
        if backend.is_gpu_array(value) or _is_buffer(value):
            self.buffers.append(Held(value, None, name))
            of_objects = isinstance(value, np.ndarray) and value.dtype.hasobject
            return [(part, f"{name}[{i}]") for i, part in enumerate(value.ravel())] if of_objects else []
        if isinstance(value, ModuleType):
            return [] if _foreign(value.__name__) else self._named(vars(value))
        if isinstance(value, type):
            return self._of_class(value, None)
        return self._of_other(value, name)

    def _of_other(self, value: Any, name: str) -> list[tuple[Any, str]]:
        if isinstance(value, Iterator) and not isinstance(value, io.IOBase):
            self.iterators.append(name)
        if isinstance(value, _GENERATORS):
            self.generators.append(value)
        if isinstance(value, ContextVar):
            return self._bind(_of_variable, value, None, value.name)
        if isinstance(value, weakref.ref):
            return [(value(), name)]
        if isinstance(value, BuiltinMethodType) and not isinstance(value.__self__, (ModuleType, type)):
            return [(value.__self__, name)]  # list.append of a list
        if "__wrapped__" in getattr(value, "__dict__", {}):
            return [(value.__wrapped__, name)]
        return self._of_object(value)

    def _of_function(self, function: FunctionType) -> list[tuple[Any, str]]:
        code = function.__code__
        if not self._counts(code):
            return self._named(vars(function))
        found: list[tuple[Any, str]] = []
        free = self._free(code)
        for cell, name in zip(function.__closure__ or (), code.co_freevars, strict=True):
            found += [] if name not in free else self._bind(getattr, cell, "cell_contents", name)
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            found.append((default, f"a default of {function.__name__}"))
        if is_engine(code.co_filename):
            return found
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self._bind(getattr, function, part, function.__name__)
        return found + self._of_code(code, function.__globals__) + self._named(vars(function))

    def _of_code(self, code: CodeType, space: dict[str, Any]) -> list[tuple[Any, str]]:
        """The globals that code mentions."""
        names = self._names(code)
        self.names |= names
        wanted = list(space) if names & _ALL_GLOBALS else names & space.keys()
        return [part for name in wanted for part in self._bind(dict.get, space, name)]

    def _counts(self, code: CodeType) -> bool:
        if self._ran is None:
            return not is_library(code.co_filename)
        return code in self._ran or is_engine(code.co_filename)

    def _names(self, code: CodeType) -> set[str]:
        """The global names and attributes that code mentions, inner functions included."""
        self._seen[id(code)] = code
        inner = (constant for constant in code.co_consts if isinstance(constant, CodeType) and self._counts(constant))
        texts = {"__dict__"} & {constant for constant in code.co_consts if isinstance(constant, str)}
        return (set(code.co_names) | texts | _names_in_texts(code)).union(*map(self._names, inner))

    def _free(self, code: CodeType) -> set[str]:
        """The variables from outside that a function reads, or functions in it do that count."""
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        if all(map(self._counts, inner)):
            return set(code.co_freevars)
        read = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF")}
        return read.union(*(self._free(constant) for constant in inner if self._counts(constant)))

    def _of_container(self, value: Any, name: str) -> list[tuple[Any, str]]:
        if isinstance(value, dict):
            self.lists.append(Held(value, tuple(value), name))  # its keys, in their order
            made = [(value.default_factory, name)] if isinstance(value, defaultdict) else []
            return made + self._all_of(value)
        if isinstance(value, (set, frozenset)):
            self.sets.append(Held(value, frozenset(value), name))
        elif not isinstance(value, tuple):
            self.lists.append(Held(value, tuple(value), name))
        return [(part, f"{name}[{i}]") for i, part in enumerate(value)]

    def _all_of(self, space: dict[Any, Any]) -> list[tuple[Any, str]]:
        return [part for key in list(dict.keys(space)) for part in self._bind(dict.get, space, key)]

    def _named(self, space: dict[Any, Any], kind: type = object) -> list[tuple[Any, str]]:
        if self.names & _BY_OTHER_MEANS:
            self.sizes.append(Held(space, len(space), "attributes"))
        skipped = self._of_effects(kind)
        return [
            part for key in self._those_named(space) if key not in skipped for part in self._bind(dict.get, space, key)
        ]

    def _of_effects(self, kind: type) -> set[str]:
        """Attributes that a user's class has from one of the engine's, and that change at every step: counters, which refuse to
        be read in it, and what `in_effects` names, where no code of the step does."""
        if self.names & _WHOLE:
            return set()
        counters = {name for base in kind.__mro__ for name, member in vars(base).items() if isinstance(member, Counter)}
        return counters | (set(getattr(kind, "in_effects", ())) - self.names)

    def _those_named(self, keys: Iterable[Any]) -> list[Any]:
        return list(keys) if self.names & _BY_OTHER_MEANS else [key for key in keys if key in self.names]

    def _of_object(self, value: Any) -> list[tuple[Any, str]]:
        kind, space = type(value), getattr(value, "__dict__", {})
        if not isinstance(space, dict):  # an alias such as dict[str, int] or Callable[..., Any] shows that of its class
            return []
        found: list[tuple[Any, str]] = []
        if watched := _watched(kind):
            for name in getattr(kind, "bound", ()):  # what lies behind it is nothing that is recorded
                self._bind(dict.get, space, name)
            found = [part for name in watched for part in self._bind(dict.get, space, name)]
        if _foreign(kind.__module__) and kind.__module__.startswith("minigan."):
            return found
        if kind.__module__ == "builtins":  # a view of a dict, a read-only mapping: what they show lies behind them
            inner = (part for part in gc.get_referents(value) if not isinstance(part, (type, CodeType, FrameType)))
            return [(part, str(kind.__name__)) for part in inner]
        if isinstance(value, _WRAPPERS):
            return self._all_of(space)
        return found + self._named(space, kind) + self._of_class(kind, space, value)

    def _of_class(self, kind: type, own: dict[str, Any] | None, instance: Any = None) -> list[tuple[Any, str]]:
        """Methods that the code can call, and settings that live in the class, where the object has none of its `own`."""
        found: list[tuple[Any, str]] = []
        for base in kind.__mro__:
            space = vars(base)
            if _foreign(base.__module__):
                found += self._of_library(base)
                continue
            special = [k for k in space if k.startswith("__") and self._runs(space[k])]
            skipped = _NO_SETTINGS | set(getattr(kind, "in_effects", ()))
            for name in {*self._those_named(space), *special, *({"forward"} & space.keys())} - skipped:
                if isinstance(space[name], MemberDescriptorType):  # of __slots__
                    found += [] if instance is None else self._bind(getattr, instance, name)
                elif own is None or name not in own:
                    if own is not None and not name.startswith("__"):
                        self._bind(dict.get, own, name)
                    self._bind(_in_class, base, name)
                    found.append((_behind(space[name]), name))
        return found

    def _of_library(self, kind: type) -> list[tuple[Any, str]]:
        """The methods of a library's class that ran."""
        if self._ran is None or kind.__module__.startswith("minigan."):
            return []
        members = ((_behind(member), name) for name, member in vars(kind).items())
        return [
            (member, name)
            for member, name in members
            if isinstance(member, FunctionType) and member.__code__ in self._ran
        ]

    def _runs(self, member: Any) -> bool:
        return isinstance(member, FunctionType) and self._counts(member.__code__)


def _names_in_texts(code: CodeType) -> set[str]:
    """The attributes that code mentions as texts: in `case Config(beta=b)` and in `"{0.beta}".format(config)`."""
    if _MATCH_CLASS in code.co_code[::2]:
        texts = {part for constant in code.co_consts if isinstance(constant, tuple) for part in constant}
        return {"__getattribute__", *(text for text in texts if isinstance(text, str))}  # by position: any attribute
    if {"format", "format_map"} & set(code.co_names):
        return {name for text in code.co_consts if isinstance(text, str) for name in _FIELD.findall(text)}
    return set()


_NO_SETTINGS = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__"}


def _is_buffer(value: Any) -> bool:
    """Whether it is an array of numbers: NumPy's, `bytearray`, `array.array`, ctypes, a memory map, a file in memory."""
    if isinstance(value, (np.ndarray, io.BytesIO, io.StringIO)):
        return True
    try:
        memoryview(value)
    except (TypeError, ValueError, BufferError):
        return False
    return True


def _in_class(kind: type, name: str, default: Any) -> Any:
    return vars(kind).get(name, default)


def _of_variable(variable: ContextVar[Any], _: None, default: Any) -> Any:
    return variable.get(default)


def _behind(member: Any) -> Any:
    """The function of a method or a property."""
    for attribute in ("__func__", "fget", "func"):
        if isinstance(member, (staticmethod, classmethod, property, cached_property)) and hasattr(member, attribute):
            return getattr(member, attribute)
    return member


def _watched(kind: type) -> tuple[str, ...]:
    """What a step reads of an object of the engine, as its class says."""
    return next(
        (vars(base)["watched"] for base in kind.__mro__ if _foreign(base.__module__) and "watched" in vars(base)), ()
    )


def _foreign(module: str) -> bool:
    """Whether a module is a library's, or the engine's, whose state no step reads unless its classes say so."""
    top, _, rest = module.partition(".")
    return top in _LIBRARIES or (top == "minigan" and rest.partition(".")[0] not in ("gans", "lessons"))
