"""Docstrings as HTML: paragraphs with their formulas set, what is indented as it stands, and sections (Args, Returns, Raises)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from inspect import cleandoc

from minigan.lessons import formulas, mathml
from minigan.lessons.catalog import LessonError

SECTION = re.compile(r"(Args|Returns|Raises|Attributes|Yields|Example|Examples|Note):[ \t]*$")
ITEM = re.compile(r"(?P<name>\*{0,2}[A-Za-z_][\w.*, `]*?(?: \([^)]*\))?): +(?P<rest>.*)", re.DOTALL)
MARKED = re.compile(r":(?:func|class|meth|attr|mod|data):`~?([^`]+)`|`([^`]+)`|arXiv[ \n](\d{4}\.\d{4,5})")


@dataclass
class Docstrings:
    """Renders the docstrings of a page.

    Attributes:
        link: the address of the public name that a `name` in backticks means, or None where it means none.
        place: what to name in an error.
    """

    link: Callable[[str], str | None] = lambda name: None
    place: str = ""

    def html(self, docstring: str) -> str:
        """A docstring as HTML.

        Raises:
            LessonError: a formula that is broken.
        """
        return "\n".join(self._blocks(cleandoc(docstring).splitlines()))

    def inline(self, text: str) -> str:
        """A paragraph as HTML: names in backticks, papers as links, formulas set."""
        parts, at = list[str](), 0
        kept = list[str]()
        for match in MARKED.finditer(text):  # a name is no part of a formula: a sign stands for it while they are found
            parts += [text[at : match.start()], f"\x00{len(kept)}\x01"]
            kept.append(self._marked(match))
            at = match.end()
        said = "".join([*parts, text[at:]])
        try:
            found = "".join(self._piece(piece) for piece in formulas.pieces(said))
        except (formulas.FormulaError, ValueError) as error:
            raise LessonError(f"{self.place}: {error}") from error
        return re.sub("\x00(\\d+)\x01", lambda match: kept[int(match[1])], found)

    def _piece(self, piece: formulas.Piece) -> str:
        return mathml.convert(piece.latex) if piece.latex else escape(piece.text, quote=False)

    def _marked(self, match: re.Match[str]) -> str:
        if match[3]:
            return f'<a href="https://arxiv.org/abs/{match[3]}">arXiv {match[3]}</a>'
        name = (match[1] or match[2]).strip()
        url, code = self.link(name), f"<code>{escape(name, quote=False)}</code>"
        return f'<a href="{url}">{code}</a>' if url else code

    def _blocks(self, lines: list[str]) -> list[str]:
        """Paragraphs, lists, sections and what is indented, in their order."""
        found = list[str]()
        while lines:
            if not lines[0].strip():
                lines = lines[1:]
            elif section := SECTION.match(lines[0]):
                inside, lines = _indented(lines[1:])
                found.append(self._section(section[1], inside))
            elif lines[0].startswith("    "):
                inside, lines = _indented(lines)
                code = escape("\n".join(inside).rstrip(), quote=False)
                found.append(f'<pre class="kept" tabindex="0">{code}</pre>')
            elif lines[0].startswith("- "):
                items, lines = _items(lines)
                found.append("<ul>" + "".join(f"<li>{self.inline(item)}</li>" for item in items) + "</ul>")
            else:
                end = next((i for i, line in enumerate(lines) if i and _breaks(line)), len(lines))
                found.append(f"<p>{self.inline(' '.join(line.strip() for line in lines[:end]))}</p>")
                lines = lines[end:]
        return found

    def _section(self, title: str, lines: list[str]) -> str:
        if title.startswith("Example"):
            return f'<pre class="kept" tabindex="0">{escape(chr(10).join(lines).rstrip(), quote=False)}</pre>'
        items = [(name, self.inline(said)) for name, said in _named(lines)]
        names = [f"<dt><code>{escape(name)}</code></dt>" if name else "" for name, _ in items]
        rows = "".join(f"{name}<dd>{said}</dd>" for name, (_, said) in zip(names, items, strict=True))
        return f'<p class="section">{title}</p><dl class="arguments">{rows}</dl>'


def _breaks(line: str) -> bool:
    return not line.strip() or line.startswith(("    ", "- ")) or bool(SECTION.match(line))


def _indented(lines: list[str]) -> tuple[list[str], list[str]]:
    """(the lines at the front that are indented or empty, without their indent; the rest)."""
    end = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("    ")), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).splitlines(), lines[end:]


def _items(lines: list[str]) -> tuple[list[str], list[str]]:
    """(the items of a list, each as one line; the lines after it)."""
    items = list[str]()
    while lines and lines[0].startswith("- "):
        end = next((i for i, line in enumerate(lines) if i and not line.startswith("  ")), len(lines))
        items.append(" ".join(line.strip() for line in lines[:end])[2:])
        lines = lines[end:]
    return items, lines


def _named(lines: list[str]) -> list[tuple[str, str]]:
    """(name, what is said of it) for each entry of a section; text without a name has "". An entry goes on where indented."""
    entries = list[str]()
    for line in filter(str.strip, lines):
        if line[0].isspace() and entries:
            entries[-1] += " " + line.strip()
        else:
            entries.append(line)
    whole = " ".join(entries)
    matches = [ITEM.fullmatch(entry) for entry in entries]
    if not entries or matches[0] is None:
        return [("", whole)] if whole else []
    found = list[tuple[str, str]]()
    for entry, match in zip(entries, matches, strict=True):
        if match:
            found.append((match["name"], match["rest"]))
        else:
            found[-1] = found[-1][0], f"{found[-1][1]} {entry}"
    return found
