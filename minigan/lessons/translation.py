"""A lesson in another language: its text from a catalogue beside it, `lessons/zh/NN_name.md`; code and formulas from the lesson.

A catalogue is Markdown that reads like the lesson. Before each paragraph a comment has the key of the English one, which is made
of the English words: when they change, the key is another, and the paragraph is missing until it has been translated again.

    <!-- 5d0a7c1e -->
    判别器每次只看一个样本，……

Formulas of their own are the lesson's, unless they have words (`\\text{...}`). What stands in the code, but is for the reader,
has entries too: statements of checks, descriptions of figures, tasks and hints of exercises. `problems` says what is missing.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from minigan.lessons import formulas
from minigan.lessons.catalog import Cell, Lesson, LessonError
from minigan.lessons.languages import Language
from minigan.lessons.pages import exercise, hint, task

ENTRY = re.compile(r"^<!-- ([0-9a-f]{8}) -->\n", re.MULTILINE)
BLOCK = re.compile(r"(?:^.*\S.*(?:\n|\Z))+", re.MULTILINE)  # lines up to a blank one
WIDE = r"[\u2014\u2018-\u201d\u2026\u3000-\u303f\u3400-\u9fff\uff00-\uffef]"  # a character of Chinese text
BROKEN = re.compile(rf"(?<={WIDE})\n(?={WIDE})")  # a line's end between two of them, where a browser would set a space
MATH = re.compile(r"\$\$?(.+?)\$\$?", re.DOTALL)
CODE = re.compile(r"`[^`]+`")
LINK = re.compile(r"\]\(([^)]+)\)")
TEXT = re.compile(r"(?<![_^]\{)(?<!\w,)\\text\{([^{}]*)\}")  # of a formula; one that is an index is a name, and no text
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
SIGNS = {word.lower() for word in formulas.KNOWN | formulas.NAMED | formulas.GREEK | formulas.INDICES}  # no words
SHORT = {"as", "at", "be", "by", "in", "is", "it", "no", "of", "on", "or", "to"}  # words, where "bp" or "dl" are none


@dataclass(frozen=True)
class Part:
    """A text of a lesson that another language says in its own words.

    Attributes:
        text: the English text; of an f-string, with {name} for its values.
        line: where it begins.
        needed: whether it has words; a formula without any need not be said again.
        pattern: what matches the text of an f-string, a group for each value, or None.
    """

    text: str
    line: int
    needed: bool = True
    pattern: re.Pattern[str] | None = None

    @property
    def key(self) -> str:
        """What stands for the text in a catalogue."""
        return key(self.text)


def key(english: str) -> str:
    """Eight digits that stand for an English text, however its lines are broken."""
    return hashlib.sha256(" ".join(english.split()).encode()).hexdigest()[:8]


def path(lesson: Lesson, language: Language) -> Path:
    """The catalogue of a lesson."""
    return lesson.path.parent / language.folder / f"{lesson.stem}.md"


def read(path: Path) -> dict[str, str]:
    """The entries of a catalogue, by key.

    Raises:
        LessonError: it cannot be read, begins without a key, or has a key twice.
    """
    try:
        before, *rest = ENTRY.split(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LessonError(f"{path} cannot be read: {error}") from error
    keys, texts = rest[::2], rest[1::2]
    if before.strip():
        raise LessonError(
            f"{path}: got {before.strip()[:40]!r} first, expected the key of a paragraph, <!-- 1a2b3c4d -->"
        )
    if twice := {each for each in keys if keys.count(each) > 1}:
        raise LessonError(f"{path} has {', '.join(sorted(twice))} twice")
    return {each: BROKEN.sub("", text.strip()) for each, text in zip(keys, texts, strict=True)}


def parts(lesson: Lesson) -> Iterator[Part]:
    """The texts of a lesson, in their order."""
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for match in BLOCK.finditer(cell.text):
                text = match[0].strip()
                formula = text.startswith("$$") and text.endswith("$$")
                worded = any(re.search("[A-Za-z]{2}", words) for words in TEXT.findall(text))
                yield Part(text, cell.line + cell.text.count("\n", 0, match.start()), not formula or worded)
        else:
            yield from _of_code(cell)


def _of_code(cell: Cell) -> Iterator[Part]:
    """The strings of a piece of code that the page shows as text."""
    tree = ast.parse(cell.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "check" and len(node.args) > 1:
                yield _string(node.args[1], cell)
            if node.func.id == "show":
                yield from (_string(keyword.value, cell) for keyword in node.keywords if keyword.arg == "alt")
    asked, grader = exercise(cell.text)
    if grader:
        yield Part(task(asked), cell.line)
        if help := hint(asked)[1]:
            yield Part(help, cell.line)


def _string(node: ast.expr, cell: Cell) -> Part:
    pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
    line = cell.line + node.lineno - 1
    text, bare, pattern = "", "", ""  # bare: without values
    for piece in pieces:
        if isinstance(piece, ast.Constant):
            said = str(piece.value)
            text, bare, pattern = text + said, bare + said, pattern + re.escape(said)
        elif isinstance(piece, ast.FormattedValue):
            text, pattern = text + f"{{{ast.unparse(piece.value)}}}", pattern + "(.+?)"
        else:
            raise LessonError(
                f"line {line}: {ast.unparse(node)} is no text that can be translated; write it as one string"
            )
    words = {word for word in re.findall(r"\b[a-z]+\b", bare) if len(word) > 2 or word in SHORT}
    return Part(text, line, bool(words - SIGNS), re.compile(pattern) if len(pieces) > 1 else None)


@dataclass(frozen=True)
class Translated(Lesson):
    """A lesson whose text is said in another language.

    Attributes:
        entries: its catalogue, as :func:`read` gives it.
    """

    entries: Mapping[str, str]

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells: Markdown paragraph by paragraph from the catalogue, code as it is."""
        return [self._cell(cell) if cell.kind == "markdown" else cell for cell in Lesson(self.path).cells]

    def _cell(self, cell: Cell) -> Cell:
        return replace(cell, text="\n\n".join(self.said(match[0].strip()) for match in BLOCK.finditer(cell.text)))

    def said(self, english: str) -> str:
        """A text of the lesson in the language of the catalogue; as it is where that has no entry."""
        if (found := self.entries.get(key(english))) is not None:
            return found
        for part, pattern in self._patterns:
            if (match := pattern.fullmatch(english)) and part.key in self.entries:
                return self._filled(part, match)
        return english

    @cached_property
    def _patterns(self) -> list[tuple[Part, re.Pattern[str]]]:
        return [(part, part.pattern) for part in parts(Lesson(self.path)) if part.pattern is not None]

    def _filled(self, part: Part, match: re.Match[str]) -> str:
        said = self.entries[part.key]
        for name, value in zip(re.findall(r"\{[^{}]*\}", part.text), match.groups(), strict=True):
            said = said.replace(name, value)
        return said


def problems(lesson: Lesson, entries: Mapping[str, str], catalogue: Path) -> list[str]:
    """What is wrong with a catalogue: texts of the lesson that it lacks, entries of no text, and what is not the same in both."""
    found, known = [], set()
    for part in parts(lesson):
        known.add(part.key)
        if part.key in entries:
            found += [f"{catalogue}, {part.key}: {told}" for told in differences(part.text, entries[part.key])]
        elif part.needed:
            words = " ".join(part.text.split())
            found.append(
                f"{catalogue} lacks <!-- {part.key} -->, {lesson.path.name}, line {part.line}: {words[:100]!r}"
            )
    return [*found, *(f"{catalogue}, {each}: no text of the lesson has this key" for each in entries.keys() - known)]


def differences(english: str, said: str) -> list[str]:
    """What a translation has changed and may not: formulas, code, addresses, numbers; words of the English text may be code."""
    here, there = _kept(said), _kept(english)
    plain = english.replace("`", "")
    here["code"] -= {each for each in here["code"] if each.strip("`") in plain} - there["code"]
    return [
        f"{kind}: got {sorted(here[kind] - there[kind])}, expected {sorted(there[kind] - here[kind])}"
        for kind in here
        if here[kind] != there[kind]
    ]


def _kept(text: str) -> dict[str, set[str]]:
    code, rest = set(CODE.findall(text)), TEXT.sub("", CODE.sub(" ", text))
    math, addresses = {"".join(each.split()) for each in MATH.findall(rest)}, set(LINK.findall(rest))
    numbers = set(NUMBER.findall(LINK.sub("]", MATH.sub(" ", TEXT.sub("", text)))))
    return {"formulas": math, "code": code, "addresses": addresses, "numbers": numbers}
