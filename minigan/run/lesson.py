"""A lesson by the name of its file, as the command line tells of it."""

from __future__ import annotations

from minigan.run.errors import command


def number(lesson: str) -> int:
    """Of a lesson by its file's name without ending: 5 of "05_jsd_and_friends"."""
    return int(lesson[:2])


def told(lesson: str) -> str:
    """Its number, its subject, and the command that runs it."""
    return f"{number(lesson)}, {lesson[3:].replace('_', ' ')}: {command('lessons', 'run', number(lesson))}"
