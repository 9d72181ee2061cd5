"""A lesson that has been executed, as the parts of a page: its text, code, outputs, figures and checks."""

from __future__ import annotations

import ast
import base64
import re
import struct
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from minigan.lessons import text
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.checks import Check
from minigan.lessons.languages import Language
from minigan.lessons.notebooks import Executed
from minigan.lessons.text import Text

CHECK = re.compile(r"\[([\w.]+)\] .*")
DRAWS, HOLDS = re.compile(r"^\s*show\(", re.MULTILINE), re.compile(r"\b(check|grade)\(|^def ", re.MULTILINE)
GRADES, OPEN = re.compile(r"^grade\(", re.MULTILINE), re.compile(r"^ +raise NotImplementedError$", re.MULTILINE)
HINT = re.compile(r"^ +# Hint: .*\n(?: +# .*\n)*", re.MULTILINE)
LONG = 30  # lines of code that are shown without a click
EXERCISE = re.compile(r"exercise ([\w.]+), (\w+): (right|wrong\. Smallest counterexample found:|still open)")


@dataclass(frozen=True)
class Figure:
    """A figure: its file's name, its bytes, and the address that the page has for it."""

    name: str
    data: bytes


@dataclass
class Page:
    """What the template of a lesson shows, and the files that belong to it."""

    lesson: Lesson
    body: str
    headings: list[tuple[int, str, str]]
    checks: list[Check]
    formulas: list[str]
    figures: list[Figure]
    seconds: float
    notebook: Any

    @property
    def url(self) -> str:
        """The page's address, from the top of the site."""
        return f"{self.lesson.stem}.html"


@dataclass
class Ledger:
    """The checks of a page, each of which stands on it once, below the code that makes it.

    Attributes:
        waiting: those that have not been shown yet.
        writer: of the page's text.
        source: the address of the lesson's source, whose lines have anchors.
        identities: for each identity, the address of the test that holds it.
        shown: the ids that have been given an anchor.
    """

    waiting: list[Check]
    writer: Text
    source: str = ""
    identities: dict[int, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    def take(self, line: str) -> str:
        """The check that printed a line, as an item of a list; "" where none did."""
        check = next((each for each in self.waiting if str(each) == line), None) if CHECK.fullmatch(line) else None
        if check is None:
            return ""
        self.waiting.remove(check)
        return self._item(check)

    def _item(self, check: Check) -> str:
        number = check.id.rstrip("abcdefghijklmnopqrstuvwxyz")
        anchor = "" if check.id in self.shown else f' id="check-{check.id}"'
        self.shown.add(check.id)
        say, root = self.writer.language, self.writer.root
        refutes = "".join(
            f' <a class="erratum" href="{root}errata.html#{id}">{say("refutes {id}", id=id)}</a>' for id in check.errata
        )
        many = say(" ({count} numbers)", count=f"{check.count:,}") if check.count > 1 else ""
        place = f'<a class="place" href="{self.source}#L{check.line}">{say("line {line}", line=check.line)}</a>'
        if check.identity:
            url, name = self.identities.get(check.identity), say("identity {number}", number=check.identity)
            there = f'<a class="place" href="{url}">{name}</a>' if url else f'<span class="place">{name}</span>'
            place += say(", ") + there
        statement = f'<span class="statement">{escape(self.writer.said(check.statement))}</span>{refutes}'
        found = f'<span class="error">{escape(text.error(check, say))}{many}</span>'
        return f'<li{anchor}><a href="#eq-{number}">{check.id}</a> {statement} {found} {place}</li>'


def page(
    lesson: Lesson, executed: Executed, writer: Text, *, source: str = "", identities: dict[int, str] | None = None
) -> Page:
    """The page of a lesson. The first heading, its title, is left to the template.

    Raises:
        LessonError: where a check left no line among the outputs, and so would stand nowhere.
    """
    cells = executed.notebook.cells
    ledger, parts = Ledger(list(executed.checks), writer, source, identities or {}), list[str]()
    figures: list[Figure] = []
    for cell, own in zip(cells, lesson.cells, strict=True):
        if cell.cell_type == "markdown":
            parts.append(f'<div class="prose">{writer.html(_untitled(own.text))}</div>')
        else:
            shown = [_output(output, lesson, ledger, figures) for output in cell.outputs]
            parts.append(_cell(cell.source, "".join(shown), writer))
    if ledger.waiting:
        lost = ledger.waiting[0]
        raise LessonError(
            f"{lesson.path}, line {lost.line}: check {lost.id} held, but its line is not among what the cell printed; "
            "print nothing else on that line, and leave the output to the page"
        )
    formulas = [tag for cell in cells if cell.cell_type == "markdown" for tag in text.TAG.findall(cell.source)]
    return Page(
        lesson, "\n".join(parts), writer.headings, executed.checks, formulas, figures, executed.seconds, executed.notebook,
    )  # fmt: skip


def python(code: str) -> str:
    """Python, coloured."""
    return str(highlight(code, PythonLexer(), HtmlFormatter(cssclass="code", wrapcode=True)))


def listing(code: str, name: str) -> str:
    """A file, coloured, each line with its number and an anchor #L12."""
    try:
        lexer = get_lexer_for_filename(name)
    except ClassNotFound:
        lexer = TextLexer()
    lines = highlight(code, lexer, HtmlFormatter(nowrap=True)).splitlines()
    rows = (f'<span class="line" id="L{i}"><a href="#L{i}">{i}</a>{line}\n</span>' for i, line in enumerate(lines, 1))
    return f'<div class="code listing" tabindex="0"><pre><code>{"".join(rows)}</code></pre></div>'


def _cell(code: str, shown: str, writer: Text) -> str:
    """Code and what it printed; code that only draws is folded away below its figure, and long code where it stands."""
    say = writer.language
    asked, grader = exercise(code)
    if grader:
        english = task(asked)  # which stands in the code; in another language before it
        told = f'<p class="task">{writer.inline(said)}</p>' if (said := writer.said(english)) != english else ""
        asked, help = hint(asked)
        folded = _folded("grader", say("Hint"), f"<p>{escape(writer.said(help))}</p>") if help else ""
        folded += _folded("grader", say("How it is graded"), python(grader))
        return f'<div class="cell">{told}{python(asked)}{folded}{shown}</div>'
    if DRAWS.search(code) and not HOLDS.search(code):
        return f'<div class="cell">{shown}{_folded("drawing", say("Code of the figure"), python(code))}</div>'
    lines = len(code.splitlines())
    if lines > LONG:
        return f'<div class="cell">{_folded("long", _told(code, lines, say), python(code))}{shown}</div>'
    return f'<div class="cell">{python(code)}{shown}</div>'


def _folded(kind: str, summary: str, html: str) -> str:
    return f'<details class="{kind}"><summary>{summary}</summary>{html}</details>'


def _told(code: str, lines: int, say: Language) -> str:
    """What a folded cell holds: how many lines, and which functions and classes."""
    names = [n.name for n in ast.parse(code).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    told = say("Code, {lines} lines", lines=lines)
    return told + (f"{say(': ')}{', '.join(f'<code>{name}</code>' for name in names)}" if names else "")


def exercise(code: str) -> tuple[str, str]:
    """The code of an exercise up to its open answer, and its grader, which would tell too much; ("", "") for other code."""
    if not GRADES.search(code):
        return "", ""
    asked = OPEN.search(code)
    return (code[: asked.end()], code[asked.end() :].strip("\n")) if asked else ("", "")


def hint(asked: str) -> tuple[str, str]:
    """An exercise without the comment that begins with "Hint:", and what that comment says after it ("" without one)."""
    found = HINT.search(asked)
    if not found:
        return asked, ""
    said = " ".join(line.strip().removeprefix("# ") for line in found.group().splitlines())
    return asked[: found.start()] + asked[found.end() :], said.removeprefix("Hint: ")


def task(asked: str) -> str:
    """What an exercise asks for: the docstring of its function, which is the last one before the open answer."""
    function = next(node for node in reversed(ast.parse(asked).body) if isinstance(node, ast.FunctionDef))
    return ast.get_docstring(function) or ""


def _untitled(markdown: str) -> str:
    return re.sub(r"\A# .*\n?", "", markdown)


def _output(output: Any, lesson: Lesson, ledger: Ledger, figures: list[Figure]) -> str:
    if output.output_type == "stream":
        return _printed(output.text, ledger)
    data = output.get("data", {})
    if "image/png" in data:
        return _figure(data["image/png"], output.metadata.get("image/png", {}), lesson, figures, ledger.writer)
    return _pre(data.get("text/plain", ""), ledger.writer.language)


def _printed(printed: str, ledger: Ledger) -> str:
    """Lines of output; those of checks as a list that links to the formulas."""
    parts, lines = list[str](), list[str]()
    kind = ""

    def end() -> None:
        if lines:
            said = _pre("\n".join(lines), ledger.writer.language)
            parts.append(f'<ul class="checks">{"".join(lines)}</ul>' if kind == "check" else said)
            lines.clear()

    for line in printed.rstrip("\n").split("\n"):
        found = ledger.take(line)
        now = "check" if found else "text"
        if now != kind:
            end()
            kind = now
        lines.append(found or line)
    end()
    return "".join(parts)


def _pre(printed: str, say: Language) -> str:
    if not printed.strip():
        return ""
    graded = EXERCISE.match(printed)
    if graded:
        id, name, state = graded.groups()
        printed = say("exercise {id}, {name}: {state}", id=id, name=name, state=say(state)) + printed[graded.end() :]
    return f'<pre class="output{" exercise" if graded else ""}" tabindex="0">{escape(printed)}</pre>'


def _figure(encoded: str, metadata: Any, lesson: Lesson, figures: list[Figure], writer: Text) -> str:
    data = base64.b64decode(encoded)
    name = f"{lesson.stem}-{metadata.get('name', f'figure-{len(figures) + 1}')}.png"
    figures.append(Figure(name, data))
    width, height = struct.unpack(">II", data[16:24])  # of the PNG header
    shown = int(metadata.get("width", width))
    size = f'width="{shown}" height="{round(height * shown / width)}"'
    url = f"{writer.root}figures/{name}"
    image = f'<img src="{url}" {size} alt="{escape(writer.said(metadata.get("alt", "")))}">'
    return f'<figure><a href="{url}">{image}</a></figure>'
