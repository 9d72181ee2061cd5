"""The process that trains, as the server holds it: commands go to its stdin, what happens comes from its stdout, a line each.

Lines are JSON, and pass through the server as they are. Whoever listens gets the newest of each kind of event (see
:class:`Mailbox`): a slow page misses pictures, and no number of a chart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

ADDED = "rows"  # the kind of events of which none may be lost, since each adds to the others
FIRST = ("scenes", "state")  # which scene is shown, before what belongs to it: the page passes that on to the scene
MOST_WAITING = 2000  # of these, for a page that has stopped reading; then it has to begin anew


class Mailbox:
    """What one page has yet to be told."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}  # by kind, and by run
        self._rows: deque[str] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def put(self, kind: str, text: str) -> None:
        """Another event."""
        with self._changed:
            if kind == ADDED:
                self._rows.append(text)
                self.closed = self.closed or len(self._rows) > MOST_WAITING
            else:
                self._newest.pop(kind, None)  # so that it comes behind what was told before it
                self._newest[kind] = text
            self._changed.notify()

    def close(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self.closed = True
            self._changed.notify()

    def take(self, seconds: float) -> list[str]:
        """All that waits, once something does; nothing after so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._rows or self.closed, seconds)
            first = [self._newest.pop(kind) for kind in FIRST if kind in self._newest]
            found = [*first, *self._newest.values(), *self._rows]
            self._newest.clear()
            self._rows.clear()
        return found


class Trainer:
    """Starts the process (:meth:`start`), watches it, and passes on.

    Args:
        words: arguments of `minigan.lab.worker`.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._words, self._mailboxes = list(words), set[Mailbox]()
        self._lock, self._closing = threading.Lock(), False
        self._process: subprocess.Popen[str] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process that was started last; 0 for none."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, unless it runs."""
        with self._lock:
            if self.alive or self._closing:
                return
            # In a session of its own: Ctrl-C at the terminal is for the server, which then closes stdin here.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "minigan.lab.worker", *self._words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True,
            )  # fmt: skip
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        self._tell_process()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            kind, _, text = line.rstrip("\n").partition(" ")
            self._tell(kind, text)
        process.wait()
        if process is self._process:
            self._tell_process()

    def _tell(self, kind: str, text: str) -> None:
        name = kind.partition("/")[0]  # "frame/A" is a frame of run A
        for mailbox in list(self._mailboxes):
            mailbox.put(ADDED if name == ADDED else kind, f"event: {name}\ndata: {text}\n\n")

    def _tell_process(self) -> None:
        code = None if self._process is None else self._process.poll()
        self._tell("process", json.dumps({"alive": self.alive, "code": code, "pid": self.pid}))

    def send(self, command: dict[str, Any]) -> bool:
        """Hand a command on; False where no process runs to take it."""
        if command.get("do") == "start":
            self.start()
            return True
        with self._lock:
            if not self.alive:
                return False
            assert self._process is not None and self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(command) + "\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):  # it ends just now
                return False
        return True

    def listen(self) -> Mailbox:
        """A mailbox that gets all that happens from now on, and first how things stand."""
        mailbox = Mailbox()
        self._mailboxes.add(mailbox)
        self._tell_process()
        self.send({"do": "hello"})
        return mailbox

    def forget(self, mailbox: Mailbox) -> None:
        """Nobody reads it any more."""
        self._mailboxes.discard(mailbox)

    def close(self) -> None:
        """End the process, and tell every page."""
        with self._lock:
            self._closing, process = True, self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()  # which it takes for its end
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for mailbox in list(self._mailboxes):
            mailbox.close()
