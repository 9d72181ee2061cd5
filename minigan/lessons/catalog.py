"""Where the lessons are, and what is in them: a small reader of py:percent files, without any dependency."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

import minigan
from minigan.data import DataError
from minigan.run.errors import UsageError, command

FILE = re.compile(r"(\d\d)_\w+\.py")
MARKER = re.compile(r"# %%\s*(\[markdown\]|\[md\])?\s*$")
FORMATTER = re.compile(r"[ \t]+# fmt: skip$", re.MULTILINE)
TITLE = re.compile(r"#\s+(\d+)\.\s+(.+)")
PREDICT = re.compile(r"predict|先猜", re.IGNORECASE)  # in the languages of the lessons
LABEL = re.compile(r"\*\*.+?\*\*\s*")  # "**Predict first.** ..."
NEXT = re.compile(r"#|\*\*|>")  # what ends the question: a heading, a label, an aside
EXTRA = {
    "hypothesis", "scipy", "nbclient", "nbformat", "ipykernel", "jupyter_client", "jinja2", "pygments", "markdown_it",
    "mdit_py_plugins", "math_core",
}  # fmt: skip


class LessonError(DataError):
    """A lesson cannot be read, fails a check, or raises."""


@dataclass(frozen=True)
class Cell:
    """A cell of a lesson: "markdown" or "code", its text, and the line of the file that the text begins on."""

    kind: str
    text: str
    line: int

    @property
    def shown(self) -> str:
        """The text for a reader, without notes to the formatter."""
        return FORMATTER.sub("", self.text) if self.kind == "code" else self.text


@dataclass(frozen=True)
class Lesson:
    """A lesson: `lessons/NN_name.py`."""

    path: Path

    @property
    def stem(self) -> str:
        """The file's name without ending: "05_jsd_and_friends"."""
        return self.path.stem

    @property
    def number(self) -> int:
        """The number, which its formulas carry before the dot."""
        return int(self.stem[:2])

    @property
    def solutions(self) -> Path:
        """The file with the solutions of the exercises: beside the lesson, or for a reader's copy those that were shipped."""
        beside = self.path.parent / "solutions" / self.path.name
        return beside if beside.is_file() or not shipped() else shipped()[0] / "solutions" / self.path.name

    @cached_property
    def source(self) -> str:
        """The text of the file."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LessonError(f"{self.path} cannot be read: {error}") from error

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells, in their order."""
        return list(cells(self.source))

    @cached_property
    def title(self) -> str:
        """The title, without its number."""
        match = TITLE.match(self._paragraphs[0]) if self._paragraphs else None
        if match is None:
            raise LessonError(f'{self.path}: the first cell must begin with the title, "# # {self.number}. Title"')
        return match[2].strip()

    @cached_property
    def about(self) -> str:
        """The first paragraph: what the lesson is about."""
        return next((p for p in self._paragraphs[1:] if not p.startswith("#")), "")

    @cached_property
    def question(self) -> str:
        """The question that the reader should answer before reading on, as Markdown, whole: from what says "predict" to the next
        heading, label or numbered formula, or to the first code."""
        for i, block in enumerate(self._blocks):
            label = block if block.startswith("#") else (LABEL.match(block) or [""])[0]
            if PREDICT.search(label):
                rest = takewhile(lambda block: not NEXT.match(block) and "\\tag{" not in block, self._blocks[i + 1 :])
                return "\n\n".join(filter(None, [block.removeprefix(label).strip(), *rest]))
        return ""

    @property
    def _paragraphs(self) -> list[str]:
        """The paragraphs of :attr:`_blocks`, each as one line."""
        return [" ".join(block.split()) for block in self._blocks]

    @cached_property
    def _blocks(self) -> list[str]:
        """The paragraphs, lists and formulas of Markdown before the first line of code."""
        text: list[str] = []
        for cell in self.cells:
            if cell.kind == "code" and text:
                break
            if cell.kind == "markdown":
                text.append(cell.text)
        return [block.strip() for block in re.split(r"\n\s*\n", "\n\n".join(text)) if block.strip()]


def cells(source: str) -> Iterator[Cell]:
    """The cells of a py:percent text. Markdown loses its comment signs; blank lines around a cell are dropped."""
    kind, begin, lines = "code", 1, []
    for number, line in enumerate([*source.splitlines(), "# %%"], 1):
        match = MARKER.match(line)
        if match is None:
            lines.append(line)
            continue
        yield from _cell(kind, lines, begin)
        kind, begin, lines = "markdown" if match[1] else "code", number + 1, []


def _cell(kind: str, lines: list[str], begin: int) -> Iterator[Cell]:
    kept = [i for i, line in enumerate(lines) if line.strip(" #" if kind == "markdown" else None)]
    if kept:
        text = lines[kept[0] : kept[-1] + 1]
        if kind == "markdown":
            text = [re.sub(r"^# ?", "", line) for line in text]
        yield Cell(kind, "\n".join(text), begin + kept[0])


def _places() -> tuple[Path, Path]:
    return Path(minigan.__file__).parent.parent / "lessons", Path(sys.prefix, "share", "minigan", "lessons")


def shipped() -> list[Path]:
    """The folders that came with the package and hold lessons."""
    return [place for place in _places() if any(FILE.fullmatch(path.name) for path in place.glob("*.py"))]


def folder(given: str | None = None) -> Path:
    """The folder of the lessons: the one given, the one beside the package in a checkout, or the installed one."""
    if given is not None:
        if not Path(given).is_dir():
            raise UsageError(f"--dir {given}: there is no such folder")
        return Path(given)
    for place in shipped():
        return place
    raise UsageError(
        f"found no lessons in {' or '.join(map(str, _places()))}; a wheel and a checkout of minigan have them, "
        "or name their folder with --dir"
    )


def find(given: str | None = None) -> list[Lesson]:
    """All lessons of :func:`folder`, in their order."""
    place = folder(given)
    found = [Lesson(path) for path in sorted(place.glob("*.py")) if FILE.fullmatch(path.name)]
    if not found:
        raise UsageError(f"found no lessons in {place}: they are files named NN_name.py")
    return found


def in_front(given: str | None = None) -> list[Lesson]:
    """The lessons that a reader works on: those in ./lessons, and of the others the ones of :func:`find`."""
    if given is not None:
        return find(given)
    own = {path.name: Lesson(path) for path in Path("lessons").glob("*.py") if FILE.fullmatch(path.name)}
    try:
        shipped = {lesson.path.name: lesson for lesson in find()}
    except UsageError:
        if not own:
            raise
        shipped = {}
    return [lesson for _, lesson in sorted({**shipped, **own}.items())]


def chosen(wanted: Sequence[str], given: str | None = None) -> list[Lesson]:
    """The lessons with these numbers, names or paths, those :func:`in_front` of the reader first."""
    paths = [text for text in wanted if text.endswith(".py") and Path(text).is_file()]
    for text in paths:
        if not FILE.fullmatch(Path(text).name):
            raise UsageError(f"{text} is no lesson: they are files named NN_name.py")
    rest = [text for text in wanted if text not in paths]
    return [*map(Lesson, map(Path, paths)), *(pick(in_front(given), rest) if rest else [])]


def start(wanted: Sequence[str], given: str | None = None) -> str:
    """Copy lessons to ./lessons, for the reader to work on; returns what to print.

    Raises:
        UsageError: for an unknown lesson, or where a copy stands already.
    """
    if not wanted:
        raise UsageError("say which lesson to start: a number, a name, or all")
    lines = []
    for lesson in pick(find(given), wanted):
        copy = Path("lessons", lesson.path.name)
        if copy.exists():
            raise UsageError(f"{copy} exists already; go on with it, or move it away to start anew")
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(lesson.source, encoding="utf-8")
        lines.append(f"{copy}: edit it, then {command('lessons', 'run', lesson.number)}")
    return "\n".join(lines)


def pick(lessons: Sequence[Lesson], wanted: Sequence[str]) -> list[Lesson]:
    """The lessons with these numbers, or names, in their order; "all" stands for all."""
    if list(wanted) == ["all"]:
        return list(lessons)
    return sorted({_one(lessons, text) for text in wanted}, key=lambda lesson: lesson.path.name)


def _one(lessons: Sequence[Lesson], text: str) -> Lesson:
    names = {name: lesson for lesson in lessons for name in (str(lesson.number), lesson.stem, lesson.stem[3:])}
    name = text.removesuffix(".py")
    name = name.lstrip("0") or name if name.isdigit() else name
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise UsageError(f"there is no lesson {text}{hint} Lessons: {', '.join(str(lesson.number) for lesson in lessons)}")


def listing(given: str | None = None) -> str:
    """The lessons as a table: number, title, what it is about."""
    lessons = find(given)
    width = max(len(lesson.title) for lesson in lessons)
    rows = [f"{lesson.number:>2}  {lesson.title:<{width}}  {_sentence(lesson.about)}".rstrip() for lesson in lessons]
    return "\n".join([*rows, "", f"run one: {command('lessons', 'run', lessons[0].number)}", f"files: {folder(given)}"])


def _sentence(text: str) -> str:
    """The first sentence, without Markdown's signs."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[*`$]", "", re.split(r"(?<=[.!?])\s+(?=[A-Z])", plain)[0])


@contextmanager
def extra() -> Iterator[None]:
    """Turn a missing package of the extra `lessons` into a message that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise UsageError(
            f'{error.name} is not installed, which the lessons need: pip install "minigan[lessons]"'
        ) from error
