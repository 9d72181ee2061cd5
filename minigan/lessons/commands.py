"""`minigan lessons`: what each action does with its options."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from minigan.lessons import catalog
from minigan.run.errors import UsageError, command

ACTIONS = {
    "list": (),
    "run": ("lesson numbers", "--fast", "--solutions", "--out"),
    "start": ("lesson numbers",),
    "build": ("--fast", "--only", "--out"),
}


def lessons(
    action: str,
    *,
    dir: str | None = None,
    lessons: Sequence[str] = (),
    fast: bool = False,
    solutions: bool = False,
    only: Sequence[str] = (),
    out: str | None = None,
) -> str:
    """Carry out `minigan lessons ACTION`, with the options of the command line, and return what to print.

    Raises:
        UsageError: for an unknown action or lesson, or an option that the action does not take.
        LessonError: where a lesson does not hold.
    """
    if action not in ACTIONS:
        raise UsageError(_unknown(action))
    given = {"lesson numbers": lessons, "--fast": fast, "--solutions": solutions, "--only": only, "--out": out}
    for name, value in given.items():
        if value and name not in ACTIONS[action]:
            raise UsageError(f"lessons {action} does not take {name}")
    if action == "list":
        return catalog.listing(dir)
    if action == "start":
        return catalog.start(lessons, dir)
    if action == "run":
        from minigan.lessons import runner

        return runner.run(lessons, given=dir, fast=fast, solutions=solutions, out=out)
    with catalog.extra():
        from minigan.lessons import site
    return site.build(only, given=dir, fast=fast, out=out or "site")


def _unknown(action: str) -> str:
    if action.isdigit():
        return f"unknown action {action!r}; did you mean {command('lessons', 'run', action)}?"
    close = difflib.get_close_matches(action, ACTIONS, 1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"unknown action {action!r}{hint} Actions: {', '.join(ACTIONS)}"
