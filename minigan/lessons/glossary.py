"""The terms and the symbols of the lessons, each with a line and the section that explains it: `lessons/glossary.toml`."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.lessons.catalog import LessonError

FILE = "glossary.toml"
SEE = re.compile(r"(\d+): (.+)")


@dataclass(frozen=True)
class Term:
    """A term, or a symbol, whose name is LaTeX.

    Attributes:
        name: "Jensen-Shannon divergence", or "D^*".
        line: what it is, in Markdown.
        lesson, section: where it is explained: the lesson's number, and the heading there without its number.
        api: the public name that computes it, "minigan.theory.divergences.jsd", or "".
    """

    name: str
    line: str
    lesson: int
    section: str
    api: str = ""


def read(folder: Path) -> tuple[list[Term], list[Term]]:
    """(terms in alphabetical order, symbols in the file's order) of the file beside the lessons; none where there is no file.

    Raises:
        LessonError: the file cannot be read, lacks something, or has a name twice.
    """
    path = folder / FILE
    if not path.is_file():
        return [], []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LessonError(f"{path}: {error}") from error
    terms, symbols = ([_made(entry) for entry in entries.get(kind, [])] for kind in ("term", "symbol"))
    twice = [name for name, count in Counter(each.name for each in (*terms, *symbols)).items() if count > 1]
    if twice:
        raise LessonError(f"{FILE} has {', '.join(twice)} twice")
    return sorted(terms, key=lambda term: term.name.lower()), symbols


def _made(entry: dict[str, Any]) -> Term:
    match = SEE.fullmatch(str(entry.get("see", "")))
    if match is None or not entry.get("name") or not entry.get("line") or entry.keys() - {"name", "line", "see", "api"}:
        raise LessonError(f"{FILE}: got {entry!r}, expected name, line, see = 'lesson: heading' and perhaps api")
    return Term(entry["name"], entry["line"], int(match[1]), match[2], entry.get("api", ""))


def anchor(term: Term, headings: list[tuple[int, str, str]]) -> str:
    """The anchor of the term's section among the headings of its page.

    Raises:
        LessonError: there is no such heading.
    """
    for _, id, html in headings:
        if re.sub(r"<[^>]+>|^\d+\. ", "", html) == re.sub(r"[*`]", "", term.section).replace("&", "&amp;"):
            return id
    raise LessonError(f"{FILE}, {term.name}: lesson {term.lesson} has no heading {term.section!r}")
