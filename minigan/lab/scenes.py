"""What the process that trains can show: a scene answers commands and works between them.

A command {"do": "rate", "steps": 5} is the call `do_rate(steps=5)`. Both answers and work are events: a kind, and what JSON can
hold. An event "frame/A" is of the kind "frame" and replaces only what was told of A.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from typing import Any, ClassVar

Event = tuple[str, Any]


class Scene:
    """A scene that does nothing; see the module."""

    name: ClassVar[str] = ""

    def hello(self) -> Iterator[Event]:
        """Everything, for a page that has just been opened."""
        yield "state", {"mode": self.name}

    def work(self) -> Iterator[Event]:
        """Some of what goes on by itself, for at most some hundredths of a second."""
        yield from ()

    def pause(self) -> float:
        """Seconds for which nothing is to be done but to listen."""
        return 1.0

    def answer(self, command: dict[str, Any]) -> Iterator[Event]:
        """Carry out a command.

        Raises:
            ValueError: there is no such command, its arguments are not those that it takes, or their values are wrong.
        """
        arguments = {key: value for key, value in command.items() if key != "do"}
        method = getattr(self, f"do_{command['do']}", None)
        if method is None:
            known = sorted(name.removeprefix("do_") for name in dir(self) if name.startswith("do_"))
            raise ValueError(f"{command['do']}: is no command here, expected one of {', '.join(known)}")
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise ValueError(f"{command['do']}: {error}") from error
        yield from method(**arguments)


def wanted(name: str, value: Any, known: Collection[str]) -> str:
    """The value, which is to be one of these. ValueError otherwise."""
    if value not in known:
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(filter(None, known))}")
    return str(value)
