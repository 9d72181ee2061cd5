"""Ctrl-C and SIGTERM: the first finishes the step and saves, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context manager that turns the first signal into a flag.

    A signal that the parent process has told us to ignore (`nohup`, `&` in a script) stays ignored. Outside the main thread,
    where Python allows no handlers, nothing changes.

    Attributes:
        received: the signal's number, 0 before there is one.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _first(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        try:  # not through sys.stderr, which may be in the middle of a line
            os.write(2, f"\n{name}: finishing the step and saving; once more stops at once\n".encode())
        except OSError:
            return
