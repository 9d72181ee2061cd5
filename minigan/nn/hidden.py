"""What objects and functions hold where nobody looks for the parts of a network: closures, attributes of objects, sets."""

from __future__ import annotations

from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

DEPTH = 4  # of objects in objects
_PLAIN = (str, bytes, int, float, complex, type(None))
_SEVERAL = (list, tuple, set, frozenset, deque, KeysView, ValuesView, ItemsView)
_CODE = (FunctionType, classmethod, staticmethod, property)


def hidden(value: Any, kinds: tuple[type, ...], *, depth: int = DEPTH) -> Iterator[tuple[str, Any]]:
    """Objects of these kinds that a value holds, with the names they have there; not what is inside of them in turn."""
    seen: dict[int, Any] = {}
    stack = [("", value, depth)]
    while stack:
        name, part, left = stack.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, kinds):
            yield name, part
        elif left:
            stack += [(inner, found, left - 1) for inner, found in held(part) if not isinstance(found, _PLAIN)]


def held(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds itself: entries, arguments, defaults, variables of a closure, attributes, and those of its class. The
    engine's own objects (sources, optimizers) hold nothing that could be lost, and `self` in a closure is who wrote it."""
    if isinstance(value, Mapping):
        yield from ((str(key), part) for key, part in value.items())
    elif isinstance(value, _SEVERAL):
        yield from ((str(i), part) for i, part in enumerate(value))
    elif isinstance(value, partial):
        yield from (("function", value.func), ("arguments", value.args), ("keywords", value.keywords))
    elif isinstance(value, MethodType):
        if _is_engines(type(value.__self__)):
            yield "self", value.__self__
        yield "function", value.__func__
    elif isinstance(value, FunctionType):
        if not _is_engines(value):
            yield from _of_function(value)
    elif not isinstance(value, ModuleType) and not _is_engines(value if isinstance(value, type) else type(value)):
        yield from _of_object(value)


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    yield from ((f"default {i}", value) for i, value in enumerate(function.__defaults__ or ()))
    yield from (function.__kwdefaults__ or {}).items()
    if hasattr(function, "__wrapped__"):
        yield "function", function.__wrapped__
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            if name != "self":
                yield name, cell.cell_contents
        except ValueError:  # a variable without a value yet
            continue


def _of_object(value: Any) -> Iterator[tuple[str, Any]]:
    kind = value if isinstance(value, type) else type(value)
    yield from getattr(value, "__dict__", {}).items() if not isinstance(value, type) else ()
    for base in kind.__mro__[:-1]:
        for name, part in list(vars(base).items()):
            if hasattr(part, "__objclass__") and not isinstance(value, type):  # of __slots__
                yield name, getattr(value, name, None)
            elif not name.startswith("__") and not isinstance(part, _CODE):
                yield name, part


def _is_engines(owner: Any) -> bool:
    """Whether a class or a function is the engine's, and no model's."""
    top, _, rest = str(getattr(owner, "__module__", "")).partition(".")
    return top == "minigan" and rest.partition(".")[0] not in ("gans", "lessons")
