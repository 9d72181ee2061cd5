"""`grade`: an exercise is right when its answer holds a property on every example that Hypothesis can find.

A wrong answer is shown with the smallest counterexample found. Needs `hypothesis` (`pip install "minigan[lessons]"`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

EXAMPLES = 100


@dataclass(frozen=True)
class Grade:
    """The result of an exercise: its id, "right", "wrong" or "open", and for a wrong answer the counterexample."""

    id: str
    name: str
    state: str
    counterexample: str = ""

    def _ipython_display_(self) -> None:
        """A notebook shows nothing: `grade` has printed it."""


_answers: list[tuple[ModuleType, str, Callable[[Grade], None]]] = []
_listeners: list[Callable[[Grade], None]] = []


@contextmanager
def collected() -> Iterator[list[Grade]]:
    """The grades that are given inside the block, in their order."""
    grades: list[Grade] = []
    _listeners.append(grades.append)
    try:
        yield grades
    finally:
        _listeners.remove(grades.append)


@contextmanager
def answers_from(module: ModuleType, prefix: str = "") -> Iterator[list[Grade]]:
    """Grade the functions `prefix + name` of a module in place of the lesson's own; gives the list of grades.

    The tests use it: a lesson's solutions must pass, its wrong answers (prefix "wrong_") must not.
    """
    grades: list[Grade] = []
    _answers.append((module, prefix, grades.append))
    try:
        yield grades
    finally:
        _answers.pop()


def grade(id: str, answer: Callable[..., Any], property: Callable[..., None], **strategies: Any) -> Grade:
    """Try `property(answer, **example)` on examples drawn from the strategies; print and return what came out.

    An answer that raises NotImplementedError is open: nothing is wrong yet. A property that fails makes it wrong; Hypothesis
    then shrinks the example, and the smallest one is printed. Nothing is raised, so the lesson goes on.

    Args:
        id: "lesson.E1", "lesson.E2", ...
        answer: the reader's function.
        property: a function of the answer and an example, which asserts what a right answer fulfils.
        strategies: a Hypothesis strategy for each argument of the property after the answer, by name.
    """
    for module, prefix, tell in _answers:
        replaced = getattr(module, prefix + answer.__name__, None)
        if replaced is None:
            raise LookupError(f"exercise {id}: {module.__name__} has no function {prefix + answer.__name__}")
        result = _grade(id, replaced, property, strategies)
        tell(result)
    if not _answers:
        result = _grade(id, answer, property, strategies)
    for listener in _listeners:
        listener(result)
    print(_message(result))
    return result


def _grade(id: str, answer: Callable[..., Any], property: Callable[..., None], strategies: dict[str, Any]) -> Grade:
    from hypothesis import HealthCheck, Phase, given, settings

    name = answer.__name__
    falsifying: list[str] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(**strategies)
    def attempt(**example: Any) -> None:
        try:
            property(answer, **example)
        except NotImplementedError:
            raise
        except Exception as error:
            shown = ", ".join(f"{key} = {value!r}" for key, value in example.items())
            falsifying[:] = [f"{shown}\n  {type(error).__name__}: {error}"]
            raise

    try:
        attempt()
    except NotImplementedError:
        return Grade(id, name, "open")
    except Exception:
        if not falsifying:
            raise  # the grader itself is broken, not the answer
        return Grade(id, name, "wrong", falsifying[0])
    return Grade(id, name, "right")


def _message(result: Grade) -> str:
    if result.state == "wrong":
        return f"exercise {result.id}, {result.name}: wrong. Smallest counterexample found:\n  {result.counterexample}"
    return f"exercise {result.id}, {result.name}: {'right' if result.state == 'right' else 'still open'}"
