"""Numbers that count up with the steps of a game."""

from __future__ import annotations

from typing import Any

from minigan.checks import whole
from minigan.switches import state


def told(what: str) -> None:
    """Say that Python reads, or changes, something that goes on with the step; in a recorded step that is refused."""
    if state.reading is not None:
        state.reading(what)


class Counter:
    """An attribute that counts up. In a step that is recorded Python cannot read it: a replay would not read it again.

    Args:
        what: it is, for the message.
    """

    def __init__(self, what: str) -> None:
        self.what, self.name = what, ""

    def __repr__(self) -> str:
        return f"Counter({self.what!r})"

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        told(f"Python reads {self.what} in a recorded step")
        return vars(instance)[self.name]

    def __set__(self, instance: Any, value: int) -> None:
        vars(instance)[self.name] = (
            value if type(value) is int and value >= 0 else whole(self.what, self.name, value, low=0)
        )
