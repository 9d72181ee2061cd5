"""The engine's switches and its one hook protocol: no_grad, anomaly mode, and who is told of every operation."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_OPS = _HERE + "ops" + os.sep
_ENGINE = (
    _OPS,
    *(_HERE + f for f in ("autodiff.py", "methods.py", "interop.py", "graph.py", "derivatives.py", "nn" + os.sep)),
)


class Origin(NamedTuple):
    """The line of the caller's code that ran an operation, and the function of `minigan.ops` it `asked` for ("" for none)."""

    file: str
    line: int
    asked: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class _Inside(dict[str, int]):
    """Of source files: 2 for those of the operations, 1 for the rest of the engine, 0 for all others. A table, since every
    operation asks for some ten."""

    def __missing__(self, file: str) -> int:
        found = self[file] = 2 if file.startswith(_OPS) else int(file.startswith(_ENGINE))
        return found


_INSIDE = _Inside()


def origin() -> Origin:
    """The first line up the stack outside the engine, its operations and its layers."""
    frame, asked = sys._getframe(2), ""
    while frame.f_back is not None and (inside := _INSIDE[frame.f_code.co_filename]):
        if inside == 2:
            asked = frame.f_code.co_name
        frame = frame.f_back
    public = asked.isidentifier() and not asked.startswith("_")  # not a helper, nor a lambda in a table of derivatives
    return Origin(frame.f_code.co_filename, frame.f_lineno, asked if public else "")


class Event(NamedTuple):
    """What a hook sees: `kind` is "apply" (an operation ran), "effect" (something was written in place) or "cotangent"
    (the backward walk finished the cotangent of `node`)."""

    kind: str
    op: Any
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    output: Any
    node: Any


class State(threading.local):
    """The engine's switches, one set a thread."""

    enabled = True  # build graphs
    anomaly = False  # look for NaN and Inf after every operation
    hooks: tuple[Callable[[Event], None], ...] = ()
    reading: Callable[[Any], None] | None = (
        None  # told where Python reads a tensor's values; and None where an effect begins
    )
    frozen: frozenset[int] = (
        frozenset()
    )  # identities of parameters that are out of every graph while another player moves
    clock: Any = None  # during a step of a game: which one (see `minigan.random.Source` and `minigan.scheduled`)
    spread: Any = None  # during a step on several ranks: who deals arrays to them (see `minigan.ranks`)


state = State()


@contextmanager
def _switch(name: str, value: Any) -> Iterator[None]:
    before = getattr(state, name)
    setattr(state, name, value)
    try:
        yield
    finally:
        setattr(state, name, before)


def graph(flag: bool) -> Any:
    """Context manager: build graphs, or not."""
    return _switch("enabled", flag)


def no_grad() -> Any:
    """Context manager: compute without building a graph."""
    return _switch("enabled", False)


def enable_grad() -> Any:
    """Context manager: build graphs again inside a `no_grad` block."""
    return _switch("enabled", True)


def anomaly() -> Any:
    """Context manager: raise FloatingPointError at the first operation, forward or backward, that makes a NaN or Inf,
    with its name and the line that called it."""
    return _switch("anomaly", True)


def hook(function: Callable[[Event], None]) -> Any:
    """Context manager: call `function(event)` for every operation, write and finished cotangent (see :class:`Event`).
    One protocol serves recording, printing and drawing."""
    return _switch("hooks", (*state.hooks, function))
