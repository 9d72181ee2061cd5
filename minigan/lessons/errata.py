"""The articles that the lessons answer: their sections, their errata, and which check refutes which erratum.

`lessons/articles.toml` says which lesson covers which section, `lessons/errata.toml` what is wrong and what is right. Which
check refutes an erratum is not written there: it is what the checks that ran say of themselves (`check(..., errata="S0.7")`).
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.lessons.catalog import LessonError
from minigan.lessons.checks import Check

KINDS = {
    "check": "refuted by a check",
    "wording": "wording only",
    "later": "for a later lesson",
}


@dataclass(frozen=True)
class Erratum:
    """Something wrong in an article.

    Attributes:
        id: "S0.7": the article and a number, or "shared.1".
        where: the sections.
        claim: what is said there, in short.
        right: what is right.
        kind: "check" where a number refutes it, "wording" where none can, "later" where its topic has no lesson yet.
        reason: for "wording" and "later", why.
    """

    id: str
    where: str
    claim: str
    right: str
    kind: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"erratum {self.id}: got kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        if (self.kind == "check") == bool(self.reason):
            raise ValueError(f"erratum {self.id}: a reason is for the kinds wording and later, and they need one")


@dataclass(frozen=True)
class Section:
    """A section of an article: its number, its title in our words, the lessons that cover it, or the topic they belong to."""

    number: str
    title: str
    lessons: tuple[int, ...] = ()
    later: str = ""


@dataclass(frozen=True)
class Article:
    """An article: its short name, its title translated and in its own language, and its sections."""

    id: str
    title: str
    original: str
    sections: tuple[Section, ...]


def errata(folder: Path) -> list[Erratum]:
    """The errata of `errata.toml`, none where there is no such file."""
    found = [_made(Erratum, entry, "errata.toml") for entry in _read(folder / "errata.toml").get("erratum", [])]
    twice = [id for id, count in Counter(each.id for each in found).items() if count > 1]
    if twice:
        raise LessonError(f"errata.toml has {', '.join(twice)} twice")
    return found


def articles(folder: Path) -> list[Article]:
    """The articles of `articles.toml`, none where there is no such file."""
    found = []
    for entry in _read(folder / "articles.toml").get("article", []):
        sections = tuple(_section(row, str(entry.get("id"))) for row in entry.pop("sections", []))
        found.append(_made(Article, entry | {"sections": sections}, "articles.toml"))
    return found


def refuted(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """The checks that refute each erratum."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        for id in check.errata:
            found.setdefault(id, []).append(check)
    return found


def _section(row: list[Any], article: str) -> Section:
    """[number, title, lesson, ...] or [number, title, "later: topic"]."""
    number, title, *rest = row
    if rest and all(isinstance(lesson, int) for lesson in rest):
        return Section(number, title, tuple(rest))
    if len(rest) == 1 and isinstance(rest[0], str) and rest[0].startswith("later: "):
        return Section(number, title, later=rest[0].removeprefix("later: "))
    raise LessonError(f"articles.toml, {article} {number}: got {rest!r}, expected lessons or one 'later: topic'")


def _made(kind: type[Any], entry: dict[str, Any], file: str) -> Any:
    try:
        return kind(**entry)
    except (TypeError, ValueError) as error:
        raise LessonError(f"{file}, {entry.get('id', entry)}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LessonError(f"{path}: {error}") from error
