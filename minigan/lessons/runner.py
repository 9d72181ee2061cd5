"""`minigan lessons run`: a lesson as a script in this process, and a summary of its checks and exercises."""

from __future__ import annotations

import importlib.util
import os
import runpy
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minigan.lessons import catalog, checks, figures, grading
from minigan.lessons.catalog import Lesson, LessonError
from minigan.run.errors import UsageError

STATES = ("open", "right", "wrong")


@dataclass(frozen=True)
class Report:
    """What running a lesson showed."""

    lesson: Lesson
    checks: list[checks.Check]
    grades: list[grading.Grade]
    seconds: float

    def __str__(self) -> str:
        count = Counter(grade.state for grade in self.grades)
        return (
            f"lesson {self.lesson.number}, {self.lesson.title}: "
            f"{len(self.checks)} checks passed, {self._worst()}; "
            f"exercises: {', '.join(f'{count[state]} {state}' for state in STATES)}; {self.seconds:.1f} s ({self.lesson.path})"
        )

    def _worst(self) -> str:
        """The largest error, as a share of its tolerance; a check that two sides differ has no part in it."""
        close = [check for check in self.checks if check.relation != "!="]
        if not close:
            return "none with a tolerance to keep"
        worst = max(close, key=lambda check: check.ratio)
        return f"largest error / tolerance {worst.ratio:.2g} (at {worst.id})"


def run(wanted: Sequence[str], *, given: str | None, fast: bool, solutions: bool, out: str | None) -> str:
    """Run lessons and return a line on each.

    Args:
        wanted: numbers, names or paths, or "all". Those in ./lessons come before the ones that were installed.
        given: the folder of the lessons, or None for the usual places.
        fast: take the small sizes.
        solutions: grade the solutions that come with the lessons in place of the reader's answers.
        out: the folder for figures (runs/lessons).

    Raises:
        UsageError: for an unknown lesson or a missing extra.
        LessonError: where a check does not hold, a lesson raises, or a solution that comes with it is wrong.
    """
    if not wanted:
        lessons = catalog.in_front(given)
        raise UsageError(f"say which: a number from {lessons[0].number} to {lessons[-1].number}, a path, or all")
    chosen = catalog.chosen(wanted, given)
    for lesson in chosen:
        print(f"running {lesson.path}")
    with surroundings(fast=fast, figures_to=out):
        reports = [execute(lesson, solutions=solutions) for lesson in chosen]
    return "\n" + "\n".join(map(str, reports))


def execute(lesson: Lesson, *, solutions: bool = False) -> Report:
    """Run one lesson, which prints its checks as it goes."""
    start = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(catalog.extra())
        grades = stack.enter_context(grading.collected())
        if solutions:
            stack.enter_context(grading.answers_from(solutions_of(lesson)))
        found = stack.enter_context(checks.collected())
        _script(lesson)
    if solutions and (wrong := [grade for grade in grades if grade.state != "right"]):
        raise LessonError(
            "\n".join(f"the solution of {grade.id} is {grade.state}: {grade.counterexample}" for grade in wrong)
        )
    return Report(lesson, found, grades, time.perf_counter() - start)


def _script(lesson: Lesson) -> None:
    try:
        runpy.run_path(str(lesson.path), run_name="__main__")
    except checks.CheckError as error:
        raise LessonError(f"lesson {lesson.number}, line {_line(error, lesson)}: {error}") from error
    except (ModuleNotFoundError, MemoryError, BrokenPipeError):  # the command line knows what to make of these
        raise
    except (Exception, SystemExit) as error:
        place = f"{lesson.path}, line {_line(error, lesson)}"
        raise LessonError(f"{place}: {type(error).__name__}: {error}") from error


def _line(error: BaseException, lesson: Lesson) -> int | str:
    """The line of the lesson that an error came from."""
    if isinstance(error, SyntaxError):
        return error.lineno or "?"
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(lesson.path) and f.lineno), "?")


def solutions_of(lesson: Lesson) -> ModuleType:
    """The module with the solutions of a lesson's exercises."""
    if not lesson.solutions.is_file():
        raise LessonError(f"lesson {lesson.number} has no solutions: {lesson.solutions} does not exist")
    spec = importlib.util.spec_from_file_location(f"solutions_{lesson.stem}", lesson.solutions)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise LessonError(f"{lesson.solutions}: {type(error).__name__}: {error}") from error
    return module


@contextmanager
def surroundings(*, fast: bool, figures_to: str | None) -> Iterator[None]:
    """The environment that a lesson runs in: its sizes, where its figures go, and no window for them."""
    wanted = {"MPLBACKEND": os.environ.get("MPLBACKEND", "Agg")}
    if fast:
        wanted[checks.FAST] = "1"
    if figures_to is not None:
        if Path(figures_to).exists() and not Path(figures_to).is_dir():
            raise UsageError(f"--out {figures_to} is a file; figures need a folder")
        wanted[figures.FOLDER] = figures_to
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
