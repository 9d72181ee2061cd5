"""`minigan lessons`: what each action does with its options."""

from __future__ import annotations

import difflib

from minigan.lessons import catalog
from minigan.run.errors import UsageError, command

ACTIONS = {
    "list": {"dir"},
    "run": {"dir", "lessons", "fast", "solutions", "out"},
    "build": {"dir", "fast", "only", "out"},
}


def lessons(action: str, **options: object) -> str:
    """Carry out `minigan lessons ACTION` and return what to print.

    Options: dir, lessons, fast, solutions, only, out, as on the command line; a false value means that it was not given.

    Raises:
        UsageError: for an unknown action or lesson, or an option that the action does not take.
        LessonError: where a lesson does not hold.
    """
    if action not in ACTIONS:
        raise UsageError(_unknown(action))
    for name, value in options.items():
        if value and name not in ACTIONS[action]:
            raise UsageError(f"lessons {action} does not take {'lesson numbers' if name == 'lessons' else '--' + name}")
    return _carry_out(action, **options)


def _carry_out(
    action: str, *, dir: str | None, lessons: list[str], fast: bool, solutions: bool, only: list[str], out: str | None
) -> str:
    if action == "list":
        return catalog.listing(dir)
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
