"""A lesson that has been executed, as the parts of a page: its text, code, outputs, figures and checks."""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass
from html import escape
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from minigan.lessons import text
from minigan.lessons.catalog import Lesson
from minigan.lessons.checks import Check
from minigan.lessons.notebooks import Executed
from minigan.lessons.text import Text

CHECK = re.compile(r"\[([\w.]+)\] .*")
DRAWS, HOLDS = re.compile(r"^\s*show\(", re.MULTILINE), re.compile(r"\b(check|grade)\(|^def ", re.MULTILINE)
GRADES, OPEN = re.compile(r"^grade\(", re.MULTILINE), re.compile(r"^ +raise NotImplementedError$", re.MULTILINE)
HINT = re.compile(r"^ +# Hint: .*\n(?: +# .*\n)*", re.MULTILINE)
EXERCISE = re.compile(r"exercise [\w.]+, \w+: (right|wrong|still open)")


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
    question: str
    about: str
    seconds: float
    notebook: Any

    @property
    def url(self) -> str:
        """The page's address, from the top of the site."""
        return f"{self.lesson.stem}.html"


def page(lesson: Lesson, executed: Executed, writer: Text) -> Page:
    """The page of a lesson. The first heading, its title, is left to the template."""
    cells = executed.notebook.cells
    waiting, parts = list(executed.checks), list[str]()
    figures: list[Figure] = []
    for cell in cells:
        if cell.cell_type == "markdown":
            parts.append(f'<div class="prose">{writer.html(_untitled(cell.source))}</div>')
        else:
            shown = [_output(output, lesson, waiting, figures) for output in cell.outputs]
            parts.append(_cell(cell.source, "".join(shown)))
    formulas = [tag for cell in cells if cell.cell_type == "markdown" for tag in text.TAG.findall(cell.source)]
    return Page(
        lesson, "\n".join(parts), writer.headings, executed.checks, formulas, figures,
        writer.inline(lesson.question), writer.inline(lesson.about), executed.seconds, executed.notebook,
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


def _cell(code: str, shown: str) -> str:
    """Code and what it printed; code that only draws is folded away below its figure."""
    asked, grader = exercise(code)
    if grader:
        asked, help = hint(asked)
        folded = f'<details class="grader"><summary>Hint</summary><p>{escape(help)}</p></details>' if help else ""
        folded += f'<details class="grader"><summary>How it is graded</summary>{python(grader)}</details>'
        return f'<div class="cell">{python(asked)}{folded}{shown}</div>'
    if DRAWS.search(code) and not HOLDS.search(code):
        folded = f'<details class="drawing"><summary>Code of the figure</summary>{python(code)}</details>'
        return f'<div class="cell">{shown}{folded}</div>'
    return f'<div class="cell">{python(code)}{shown}</div>'


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


def _untitled(markdown: str) -> str:
    return re.sub(r"\A# .*\n?", "", markdown)


def _output(output: Any, lesson: Lesson, waiting: list[Check], figures: list[Figure]) -> str:
    if output.output_type == "stream":
        return _printed(output.text, waiting)
    data = output.get("data", {})
    if "image/png" in data:
        return _figure(data["image/png"], output.metadata.get("image/png", {}), lesson, figures)
    return _pre(data.get("text/plain", ""))


def _printed(printed: str, waiting: list[Check]) -> str:
    """Lines of output; those of checks as a list that links to the formulas."""
    parts, lines = list[str](), list[str]()
    kind = ""

    def end() -> None:
        if lines:
            parts.append(f'<ul class="checks">{"".join(lines)}</ul>' if kind == "check" else _pre("\n".join(lines)))
            lines.clear()

    for line in printed.rstrip("\n").split("\n"):
        match = CHECK.fullmatch(line)
        found = next((c for c in waiting if match and str(c) == line), None)
        now = "check" if found else "text"
        if now != kind:
            end()
            kind = now
        lines.append(_checked(found) if found else line)
        if found:
            waiting.remove(found)
    end()
    return "".join(parts)


def _checked(check: Check) -> str:
    number = check.id.rstrip("abcdefghijklmnopqrstuvwxyz")
    refutes = "".join(f' <a class="erratum" href="errata.html#{id}">refutes {id}</a>' for id in check.errata)
    return (
        f'<li><a href="#eq-{number}">{check.id}</a> <span class="statement">{escape(check.statement)}</span>{refutes} '
        f'<a class="error" href="#check-{check.id}">{escape(text.error(check))}</a></li>'
    )


def _pre(printed: str) -> str:
    if not printed.strip():
        return ""
    kind = " exercise" if EXERCISE.match(printed) else ""
    return f'<pre class="output{kind}" tabindex="0">{escape(printed)}</pre>'


def _figure(encoded: str, metadata: Any, lesson: Lesson, figures: list[Figure]) -> str:
    data = base64.b64decode(encoded)
    name = f"{lesson.stem}-{metadata.get('name', f'figure-{len(figures) + 1}')}.png"
    figures.append(Figure(name, data))
    width, height = struct.unpack(">II", data[16:24])  # of the PNG header
    shown = int(metadata.get("width", width))
    size = f'width="{shown}" height="{round(height * shown / width)}"'
    image = f'<img src="figures/{name}" {size} alt="{escape(metadata.get("alt", ""))}">'
    return f'<figure><a href="figures/{name}">{image}</a></figure>'
