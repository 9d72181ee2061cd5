"""The Markdown of a lesson as HTML: formulas with their numbers and their checks, links to sources, headings with anchors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from minigan.lessons import mathml
from minigan.lessons.catalog import LessonError
from minigan.lessons.checks import SHOWN, Check, exactly
from minigan.lessons.languages import ENGLISH, Language

TAG = re.compile(r"\\tag\{([^{}]*)\}")
NUMBER = re.compile(r"\((\d+\.\d+[a-z]?)\)")
ARTICLE = re.compile(r"((?:\b[Aa]rticles?|文章) )(S[0-4])\b")
LESSON = re.compile(r"\b[Ll]essons? (\d+)\b|第 (\d+) 课")
ASIDE = re.compile(r"\*\*((?:Aside: |旁注\uff1a).+?)[.。]?\*\*")
OPENS = re.compile("[\uff08\u201c]+$")  # punctuation of Chinese text
CLOSES = re.compile("^[\uff0c\u3002\uff1b\uff1a\uff1f\uff01\u3001\uff09\u201d]+")
JOINER = "&#8288;"  # U+2060: no break here
SHOWN_AT_MOST = 4  # verdicts beside a formula
SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", "=": "=", ">": ">"}


@dataclass
class Text:
    """Renders the Markdown of one page.

    Attributes:
        link: the address that a link of the text means, or None where it has none.
        equations: for each numbered formula that exists, its address from here.
        lessons: for each lesson, its address from here.
        articles: the address from here of the page that lists the articles, if one does.
        checks: the checks of this page; those of a formula are shown beside it.
        headings: (level, id, text as HTML) of the headings so far.
        place: what to name in an error.
        language: that of the page.
        root: the way from the page to the top of the site: "" or "../".
        said: a text that stands in the code, in the language of the page.
        anchors: the ids of the headings, in their order, which are the same in each language; made of their words if empty.
    """

    link: Callable[[str], str | None] = lambda href: href
    equations: dict[str, str] = field(default_factory=dict)
    lessons: dict[int, str] = field(default_factory=dict)
    articles: str = ""
    checks: Sequence[Check] = ()
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    place: str = ""
    language: Language = ENGLISH
    root: str = ""
    said: Callable[[str], str] = lambda english: english
    anchors: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable(
            ["table", "strikethrough"]
        )
        self._parser.use(dollarmath_plugin, allow_labels=False, double_inline=True)
        rules = self._parser.renderer.rules  # type: ignore[attr-defined]
        rules |= {
            "math_inline": self._inline, "math_inline_double": self._block, "math_block": self._block, "text": self._words,
            "link_open": self._link_open, "link_close": self._link_close, "heading_open": self._heading,
            "table_open": lambda *_: '<div class="scroll"><table>\n', "table_close": lambda *_: "</table></div>\n",
            "blockquote_open": self._quote_open, "blockquote_close": self._quote_close,
        }  # fmt: skip
        self._links: list[bool] = []
        self._asides: list[bool] = []

    def html(self, markdown: str) -> str:
        """A text as HTML."""
        return str(self._parser.render(markdown))

    def inline(self, markdown: str) -> str:
        """A line of text as HTML, without a paragraph around it."""
        return str(self._parser.renderInline(markdown))

    def _math(self, latex: str, display: bool) -> str:
        try:
            return mathml.convert(latex, display=display)
        except ValueError as error:
            raise LessonError(f"{self.place}: {error}") from error

    def _inline(self, tokens: Any, at: int, *_: Any) -> str:
        parts = self._math(tokens[at].content, False).split("<wbr>")
        before, after = OPENS.search(_text(tokens, at - 1)), CLOSES.search(_text(tokens, at + 1))
        parts[0] = f'<span class="glued">{before[0]}{parts[0]}</span>' if before else parts[0]
        parts[-1] = f'<span class="glued">{parts[-1]}{after[0]}</span>' if after else parts[-1]
        return "<wbr>".join(parts)

    def _block(self, tokens: Any, at: int, *_: Any) -> str:
        latex = tokens[at].content
        tags = TAG.findall(latex)
        formula = f'<div class="scroll" tabindex="0">{self._math(TAG.sub("", latex), True)}</div>'
        if not tags:
            return f'<div class="equation">{formula}</div>\n'
        word = self.language("Formula")
        numbers = "".join(f'<a class="number" href="#eq-{t}" aria-label="{word} {t}">({t})</a>' for t in tags)
        anchors = "".join(f'<span id="eq-{tag}"></span>' for tag in tags[1:])
        verdicts = "".join(self.verdict(*group) for tag in tags for group in groups(of(tag, self.checks)))
        beside = f'<div class="verdicts">{verdicts}</div>' if verdicts else ""
        return f'<div class="equation" id="eq-{tags[0]}">{anchors}{formula}{numbers}</div>{beside}\n'

    def _words(self, tokens: Any, at: int, *_: Any) -> str:
        text = escape(tokens[at].content, quote=False)
        if not self._links:
            text = self._linked(text)
        return _glued(text, tokens, at)

    def _linked(self, text: str) -> str:
        if self.articles:
            text = ARTICLE.sub(rf'\1<a href="{self.articles}#\2">\2</a>', text)
        text = NUMBER.sub(self._to_equation, text)
        return LESSON.sub(self._to_lesson, text)

    def _to_equation(self, match: re.Match[str]) -> str:
        url = self.equations.get(match[1])
        return f'<a href="{url}">{match[0]}</a>' if url else match[0]

    def _to_lesson(self, match: re.Match[str]) -> str:
        url = self.lessons.get(int(match[1] or match[2]))
        return f'<a href="{url}">{match[0]}</a>' if url else match[0]

    def _link_open(self, tokens: Any, at: int, *_: Any) -> str:
        url = self.link(tokens[at].attrGet("href") or "")
        self._links.append(url is not None)
        if url is None:
            return ""
        abroad = (
            self.language is not ENGLISH and url.startswith("../") and not url.startswith("../source/")
        )  # code has none
        return f'<a href="{escape(url)}"{" hreflang=en" if abroad else ""}>'

    def _link_close(self, *_: Any) -> str:
        return "</a>" if self._links.pop() else ""

    def _quote_open(self, tokens: Any, at: int, *_: Any) -> str:
        """A quotation; one that begins with bold words, "Aside: ...", is folded, and shows those words."""
        first = tokens[at + 2] if at + 2 < len(tokens) and tokens[at + 1].type == "paragraph_open" else None
        title = ASIDE.match(first.content) if first is not None else None
        self._asides.append(title is not None)
        if first is None or title is None:
            return "<blockquote>\n"
        bold = next(i for i, child in enumerate(first.children) if child.type == "strong_close")
        del first.children[: bold + 1]
        return f'<details class="aside"><summary>{self.inline(title[1])}</summary>\n'

    def _quote_close(self, *_: Any) -> str:
        return "</details>\n" if self._asides.pop() else "</blockquote>\n"

    def _heading(self, tokens: Any, at: int, *_: Any) -> str:
        level, inside = int(tokens[at].tag[1]), tokens[at + 1]
        plain = "".join(t.content for t in inside.children or [])
        unique = self.anchors[len(self.headings)] if self.anchors else self._anchor(plain)
        self.headings.append((level, unique, self.inline(inside.content)))
        return f'<h{level} id="{unique}">'

    def _anchor(self, words: str) -> str:
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "section"
        taken = {id for _, id, _ in self.headings}
        return next(n for n in (name, *(f"{name}-{i}" for i in range(2, 1000))) if n not in taken)

    def verdict(self, *checks: Check) -> str:
        """That checks hold: their number, which leads to where they stand, and as a hint the one closest to its tolerance."""
        first, last = checks[0], checks[-1]
        worst = max(checks, key=lambda check: check.ratio if check.relation != "!=" else -1.0)
        number = first.id if first.id == last.id else self.language("{first} to {last}", first=first.id, last=last.id)
        told = escape(f"{self.said(worst.statement)}: {error(worst, self.language)}")
        return f'<a class="verdict" href="#check-{first.id}" title="{told}">✓ {number}</a>'


def _glued(text: str, tokens: Any, at: int) -> str:
    """Text that no line break parts from a formula beside it, unless a space does: browsers would part $x$ from its comma.

    Chinese punctuation, from which a joiner does not keep them, is left to the formula.
    """
    if at and tokens[at - 1].type == "math_inline":
        text = CLOSES.sub("", text)
        text = JOINER + text if text[:1].strip() else text
    if at + 1 < len(tokens) and tokens[at + 1].type == "math_inline":
        text = OPENS.sub("", text)
        text = text + JOINER if text[-1:].strip() else text
    return text


def _text(tokens: Any, at: int) -> str:
    """The text of a token, "" if it is none or is not there."""
    return str(tokens[at].content) if 0 <= at < len(tokens) and tokens[at].type == "text" else ""


def of(tag: str, checks: Sequence[Check]) -> list[Check]:
    """The checks of a formula: those with its number, and its parts (5.3a, 5.3b)."""
    return [check for check in checks if re.fullmatch(re.escape(tag) + "[a-z]?", check.id)]


def groups(checks: Sequence[Check]) -> list[list[Check]]:
    """The checks of a formula as its verdicts show them: those of one number together, and all together if they are many."""
    by_id: dict[str, list[Check]] = {}
    for check in checks:
        by_id.setdefault(check.id, []).append(check)
    return [list(checks)] if len(by_id) > SHOWN_AT_MOST else list(by_id.values())


def error(check: Check, language: Language = ENGLISH) -> str:
    """The error observed against the tolerance: "error 2e-16 ≤ 1e-12"."""
    if check.relation in ("<=", ">=") and not check.error:
        margin = abs(check.right - check.left)
        sides = f"{number(check.left)} {SIGNS[check.relation]} {number(check.right)}"
        return f"{sides}{language(', ')}{language('margin')} {number(margin)}"
    word = language("differ by") if check.relation == "!=" else language("error")
    return f"{word} {number(check.error)} {SIGNS[SHOWN[check.relation]]} {tolerance(check)}"


def tolerance(check: Check) -> str:
    """The tolerance of a check."""
    parts = [exactly(check.atol)] if check.atol or not check.rtol else []
    return " + ".join([*parts, *([f"{exactly(check.rtol)} |right|"] if check.rtol else [])])


def number(value: float) -> str:
    """A small number in few characters: 0, 2e-16, 0.013, ∞."""
    if value == float("inf"):
        return "∞"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.2g}"
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-").replace("e+0", "e")
