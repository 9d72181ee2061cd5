"""The process that trains: `python -m minigan.lab.worker [RUN]`, started by `process.py`.

Reads commands from stdin, one JSON object a line, and writes events to stdout, "KIND JSON" a line. It ends when stdin does, so
that none is left behind when the server is gone, however it went. What anything prints goes to stderr.
"""

from __future__ import annotations

import json
import math
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from minigan.data import DataError
from minigan.kernels.cpu import compiler
from minigan.lab.scenes import Event, Scene
from minigan.run.errors import AuthorError, UsageError, shown

WRONG = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    UsageError,
    DataError,
    AuthorError,
)  # what a wrong command raises


def scenes(run: str | None) -> dict[str, Callable[[], Scene]]:
    """What makes each scene, by name; the first is shown first. Modules are imported when they are needed."""

    def points() -> Scene:
        from minigan.lab.points import Points

        return Points()

    def dirac() -> Scene:
        from minigan.lab.dirac import Dirac

        return Dirac()

    def images() -> Scene:
        from minigan.lab.images import Images

        return Images()

    def viewer() -> Scene:
        from minigan.lab.viewer import Viewer

        assert run is not None
        return Viewer(run)

    own: dict[str, Callable[[], Scene]] = {"points": points, "dirac": dirac, "images": images}
    return own if run is None else {"run": viewer, **own}


class Worker:
    """One scene at a time, the others as they were left."""

    def __init__(self, run: str | None, out: TextIO) -> None:
        self._makers, self._made, self._out = scenes(run), dict[str, Scene](), out
        self.commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._compiled = 0
        compiler.announce.append(self._compiling)
        self.scene = self._scene(next(iter(self._makers)))

    def _scene(self, name: str) -> Scene:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def _compiling(self, name: str) -> None:
        self._compiled += 1
        self.tell([("busy", {"text": f"compiling kernels, once: {self._compiled}, the last one {name}"})])

    def _ready(self) -> None:
        if self._compiled:
            self._compiled = 0
            self.tell([("busy", {"text": ""})])

    def tell(self, events: Iterable[Event]) -> None:
        """Write events; a number that JSON does not have becomes null."""
        for kind, value in events:
            try:
                text = json.dumps(value, allow_nan=False)
            except ValueError:
                text = json.dumps(finite(value))
            self._out.write(f"{kind} {text}\n")
            self._out.flush()

    def serve(self) -> None:
        """Until stdin ends."""
        while True:
            self.tell(self.scene.work())
            self._ready()
            try:
                command = (
                    self.commands.get(timeout=self.scene.pause()) if self.scene.pause() else self.commands.get_nowait()
                )
            except queue.Empty:
                continue
            if command is None:
                return
            self.answer(command)

    def answer(self, command: dict[str, Any]) -> None:
        """Carry out one command; what is wrong with it is told, and changes nothing."""
        try:
            if command["do"] == "hello":
                self.tell([("scenes", list(self._makers)), *self.scene.hello()])
            elif command["do"] == "scene":
                if command.get("name") not in self._makers:
                    raise ValueError(f"scene: got {command.get('name')!r}, expected one of {', '.join(self._makers)}")
                self.tell([("busy", {"text": "loading ..."})])
                self.scene = self._scene(command["name"])
                self.tell([("busy", {"text": ""}), *self.scene.hello()])
            else:
                self.tell([("problem", {"text": ""})])
                self.tell(self.scene.answer(command))
        except WRONG as error:
            self.tell([("busy", {"text": ""}), ("problem", {"text": shown(error)})])


def finite(value: Any) -> Any:
    """The same with None for each number that is NaN or Inf."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def _listen(commands: queue.Queue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        commands.put(json.loads(line))
    commands.put(None)


def main() -> None:
    """Serve stdin; stdout is for events alone."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1] if len(sys.argv) > 1 else None, out)
    threading.Thread(target=_listen, args=(worker.commands,), daemon=True).start()
    try:
        worker.serve()
    except BrokenPipeError:  # the server is gone
        os._exit(0)


if __name__ == "__main__":
    main()
