"""What Python does in one run of a step beside array operations: which code runs, what it changes, draws and asks for."""

from __future__ import annotations

import linecache
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import numpy as np

from minigan.guards import Guards, states_of
from minigan.profiler import marked, pause, resume
from minigan.reach import USERS, is_library, users_code
from minigan.refusals import changed_by_effect, changed_by_python, line
from minigan.switches import Event, state

_OF_CLOCKS = ("time", "monotonic", "perf_", "process_", "thread_", "localtime", "gmtime", "ctime", "strftime")
_CLOCKS = {getattr(time, name) for name in dir(time) if name.startswith(_OF_CLOCKS)}
_NOW = {"now", "today", "utcnow"}
_FILES = {  # what else asks the system, also where a library does it for the step: `Path.exists`, `os.path.getsize`, `glob`
    open, np.fromfile, os.open, os.urandom, os.stat, os.lstat, os.access, os.listdir, os.scandir, os.readlink, os.getcwd,
}  # fmt: skip
_THREADS = {"start_new_thread", "SimpleQueue.put"}  # what runs there is not seen
_ASKING = (
    {getattr(known, "__name__", "") for known in _CLOCKS | _FILES}
    | _NOW
    | {name.rpartition(".")[2] for name in _THREADS}
)
_FINALIZER = "weakref_cb"  # of `concurrent.futures`: it wakes the threads of a pool, so that they end
_TELLING = {warnings.__file__, linecache.__file__}  # to show a warning with its line, Python looks for the file


class Watch:
    """One run under observation.

    Args:
        guards: the Python values that the step can read, which must not change; None where it is not known yet which code runs.

    Attributes:
        ran: the code that ran outside of effects, with its globals; None where a profiler was in the way of finding out.
        drawn: whether random numbers of NumPy's or Python's were drawn outside of effects.
        asked: something outside that the step asked for, such as the time, in words.
    """

    def __init__(self, guards: Guards | None) -> None:
        self.ran: dict[CodeType, dict[str, Any]] | None = {}
        self.drawn, self.asked = False, ""
        self._guards = guards
        self._draws: Any = None
        self._changed: str | None = None
        self._by_effect: str | None = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Context manager: watch.

        Raises:
            RecordingError: a Python value is changed inside.
        """
        self._draws = self._drawn()
        profiler = sys.getprofile()
        if profiler is None:
            sys.setprofile(marked(self._profiler()))
        else:
            self.ran = None
        try:
            yield
        finally:
            if profiler is None:
                sys.setprofile(None)
        self._look_at_draws()
        if (
            self._guards is not None
            and self._by_effect is None
            and (changed := self._changed or self._guards.changed())
        ):
            raise changed_by_python(changed)

    def _profiler(self) -> Callable[[FrameType, str, Any], None]:
        """What Python calls a hundred thousand times in a step, half of them for returns: most of the time that a recording takes
        is spent here."""
        ran: dict[CodeType, dict[str, Any]] = {} if self.ran is None else self.ran

        def called(frame: FrameType, event: str, what: Any) -> None:
            if event == "call":
                if frame.f_code not in ran and state.reading is not None:  # it is None in an effect
                    ran[frame.f_code] = frame.f_globals
            elif event == "c_call" and what.__name__ in _ASKING:
                self._asks(frame, what)

        return called

    def _asks(self, frame: FrameType, called: Any) -> None:
        """A function in C is called whose name is that of one which asks for something outside."""
        if state.reading is not None and not self.asked and _outside(called):
            file = frame.f_code.co_filename
            if frame.f_code.co_name == _FINALIZER:  # it runs whenever Python collects such a pool
                return
            if called in _FILES or called.__qualname__ in _THREADS:
                while is_library(file) and file not in _TELLING and frame.f_back is not None:
                    frame = frame.f_back
                    file = frame.f_code.co_filename
            if USERS[file]:
                what = "another thread" if called.__qualname__ in _THREADS else f"for {called.__qualname__}()"
                self.asked = f"{file}:{frame.f_lineno}: Python asks {what} in the step"

    def before_effect(self, function: Any) -> None:
        """An effect begins."""
        if users_code(function) is not None:
            self._look_at_draws()
            if self._guards is not None and self._by_effect is None:
                self._changed = self._changed or self._guards.changed_values()

    def after_effect(self, function: Any) -> None:
        """What an effect drew and changed is its own business, unless the step reads it, too: then it must be at its end."""
        if users_code(function) is not None:
            self._draws = self._drawn()
            if self._guards is not None and self._by_effect is None and self._changed is None:
                self._by_effect = self._guards.changed_values()

    def depends(self) -> None:
        """Something is done now that might depend on Python values.

        Raises:
            RecordingError: an effect changed one of them before.
        """
        if self._by_effect is not None:
            raise changed_by_effect(self._by_effect, line())

    def _drawn(self) -> list[Any]:
        return states_of(self._guards.generators if self._guards is not None else ())

    def _look_at_draws(self) -> None:
        before, self._draws = self._draws, self._drawn()
        self.drawn = self.drawn or before != self._draws


def _outside(called: Any) -> bool:
    name = getattr(called, "__name__", "")
    return (
        called in _CLOCKS
        or called in _FILES
        or getattr(called, "__qualname__", "") in _THREADS
        or (name in _NOW and getattr(called, "__module__", "") is None)
    )


def unseen(function: Callable[[Event], None]) -> Callable[[Event], None]:
    """The same hook, of which the profiler sees nothing."""

    def unprofiled(event: Event) -> None:
        profiler = pause()
        try:
            function(event)
        finally:
            resume(profiler)

    return unprofiled
