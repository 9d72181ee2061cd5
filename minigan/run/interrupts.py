"""Ctrl-C, SIGTERM and SIGHUP (a terminal that closes): the step is finished, and what was trained is saved, whatever follows.

Signals often come in packs: a user presses Ctrl-C again, a cluster sends SIGTERM twice, a shell adds its SIGHUP. So a second
one never ends the training before its save. It stops at once only where that loses nothing: before the training has begun, and
while the last pictures are drawn, after the save. (SIGKILL, and Ctrl-\\ on a terminal, are for whoever will not wait.)
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

_NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}  # Windows lacks the last
_SIGNALS = {getattr(signal, name): text for name, text in _NAMES.items() if hasattr(signal, name)}


class Interrupts:
    """Context manager that turns signals into a flag.

    A signal that the parent process has told us to ignore (`nohup`, `&` in a script) stays ignored. Outside the main thread,
    where Python allows no handlers, nothing changes.

    Attributes:
        received: the first signal's number, 0 before there is one.
        count: how many have come.
        unsaved: whether there is something to lose. While there is not, a second signal does what it did before the context.
    """

    def __init__(self) -> None:
        self.received = self.count = 0
        self.unsaved = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @property
    def code(self) -> int:
        """The exit code of a command that the first signal has stopped, as a shell reports it."""
        return 128 + self.received

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.received = self.received or number
        if self.count > 1 and not self.unsaved:
            self._restore()
            signal.raise_signal(number)
            return
        then = "once more stops at once" if not self.unsaved else f"kill -9 {os.getpid()} would stop at once"
        _say(f"\n{_SIGNALS[number]}: finishing the step and saving; {then}\n")


def _say(text: str) -> None:
    try:  # not through sys.stderr, which may be in the middle of a line
        os.write(2, text.encode())
    except OSError:  # the terminal is gone
        return
