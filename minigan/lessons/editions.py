"""The site in one language: the pages of the lessons that it has, their index, the glossary and the search.

The English edition has every lesson; another has those with a catalogue (`translation`), and leads to English pages for the rest.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import nbformat

from minigan.lessons import beside, glossary, pages, search, text, translation
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.frame import Site
from minigan.lessons.glossary import Term
from minigan.lessons.languages import ENGLISH, OTHERS, Language
from minigan.lessons.notebooks import Executed
from minigan.lessons.pages import Page
from minigan.lessons.translation import Translated

SHORT_WAY = (0, 7, 8, 10, 12, 13)  # lessons that lead from the first picture to what is used in practice
EVERY = ("index.html", "search.html")  # pages that each edition has
INDEX, GLOSSARY = "index.md", "glossary.md"  # catalogues of titles, and of terms


@dataclass(frozen=True)
class Opening:
    """How a lesson is announced in the index, as HTML: what it is about, and the question that it begins with, or ""."""

    about: str
    question: str


@dataclass
class Edition:
    """The pages of the site that are in one language.

    Attributes:
        site: the whole.
        language: of these pages.
        lessons: those that it has, in its language.
        titles, terms: for an English title, or a text of the glossary, its key's text in the language; empty for English.
        articles: whether there is a page that lists the articles.
        written: the pages of the lessons, once they have been made.
    """

    site: Site
    language: Language
    lessons: Sequence[Lesson]
    titles: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    articles: bool = False
    written: list[Page] = field(default_factory=list)

    def at(self, url: str) -> str:
        """An address from the top of the site, from a page of this edition: that of its own page, where it has one."""
        own = self.site.translated.get(self.language, set())
        return (
            url
            if self.language is ENGLISH or re.match(r"[a-z]+:|#", url) or url.partition("#")[0] in own
            else f"../{url}"
        )

    def read(self) -> None:
        """Set the text of the lessons, for nothing but its faults.

        Raises:
            LessonError: where a formula or a link does not resolve.
        """
        for lesson in self.lessons:
            writer = self._writer(f"{lesson.stem}.html", lesson)
            for cell in lesson.cells:
                if cell.kind == "markdown":
                    writer.html(cell.text)

    def write(self, executed: Mapping[str, Executed], english: Mapping[str, Page]) -> None:
        """Make the pages of the lessons.

        Args:
            executed: the lessons, by stem; a run serves every language.
            english: their pages in English, by stem, whose anchors those of other languages have; none of these if it is them.
        """
        for lesson in self.lessons:
            self.written.append(self._page(lesson, executed[lesson.stem], english.get(lesson.stem)))
        for i, page in enumerate(self.written):
            self._lesson(
                page, self.written[i - 1] if i else None, self.written[i + 1] if i + 1 < len(self.written) else None
            )

    def _page(self, lesson: Lesson, executed: Executed, english: Page | None) -> Page:
        url, tests = f"{lesson.stem}.html", beside.identity_tests(self.site)
        writer = self._writer(url, lesson)
        writer.checks = executed.checks
        writer.anchors = [id for _, id, _ in english.headings] if english else ()
        held = {check.identity for check in executed.checks}
        identities = {n: writer.link("../{}#{}".format(*tests[n])) for n in sorted(tests.keys() & held)}
        found = {n: link for n, link in identities.items() if link}
        made = pages.page(lesson, executed, writer, source=self.at(self._source(lesson)), identities=found)
        return replace(made, notebook=_said(made.notebook, lesson)) if self.language is not ENGLISH else made

    def _writer(self, url: str, lesson: Lesson) -> text.Text:
        """What writes the text of a lesson on a page of the edition, its own or another."""
        link = self.site.linker(url, self._english(lesson).title)

        def here(href: str) -> str | None:
            found = link(href)
            return None if found is None else self.at(found)

        return text.Text(
            link=here,
            equations={
                tag: f"#eq-{tag}" if url == f"{each.stem}.html" else self.at(f"{each.stem}.html#eq-{tag}")
                for each in self.site.lessons for tag in text.TAG.findall(each.source)
            },
            lessons={each.number: self.at(f"{each.stem}.html") for each in self.site.lessons if each.stem != lesson.stem},
            articles=self.at("errata.html") if self.articles else "",
            place=str(lesson.path), language=self.language, root="" if self.language is ENGLISH else "../",
            said=lesson.said if isinstance(lesson, Translated) else str,
        )  # fmt: skip

    def _english(self, lesson: Lesson) -> Lesson:
        return next(each for each in self.site.lessons if each.stem == lesson.stem)

    def _source(self, lesson: Lesson) -> str:
        """The address of the page of a lesson's file, from the top of the site."""
        title = self._english(lesson).title
        return str(self.site.sources.cite(f"lessons/{lesson.path.name}", "", f"{lesson.stem}.html", title))

    def _lesson(self, page: Page, before: Page | None, after: Page | None) -> None:
        lesson, solutions = page.lesson, None
        if lesson.solutions.is_file():
            title = self._english(lesson).title
            solutions = self.site.sources.cite(f"lessons/solutions/{lesson.path.name}", "", page.url, title)
        for figure in page.figures:
            self.site.files[f"figures/{figure.name}"] = figure.data
        self.site.files[f"{self.language.folder}notebooks/{lesson.stem}.ipynb"] = nbformat.writes(page.notebook)
        self._render(
            page.url, "lesson.html", lesson=lesson, it=page, source=self.at(self._source(lesson)),
            solutions=solutions and self.at(solutions), contents=_contents(page), before=before, after=after, short=self.short,
        )  # fmt: skip

    @property
    def short(self) -> list[Page]:
        """The pages of the short way, as far as the edition has them; none where the site lacks one of its lessons."""
        if {lesson.number for lesson in self.site.lessons} < set(SHORT_WAY):
            return []
        return [page for page in self.written if page.lesson.number in SHORT_WAY]

    def index(self, totals: Mapping[str, int], **known: Any) -> None:
        """Write the index: the lessons that the edition has, and what leads to the rest."""
        own = {lesson.stem for lesson in self.lessons}
        rest = [
            (lesson.number, self.titles.get(translation.key(lesson.title), lesson.title), self.at(f"{lesson.stem}.html"))
            for lesson in self.site.lessons if lesson.stem not in own
        ]  # fmt: skip
        self._render(
            "index.html", "index.html", pages=self.written, rest=rest, openings=self._openings(), totals=totals,
            short=self.short, **known,
        )  # fmt: skip

    def _openings(self) -> dict[str, Opening]:
        """How each lesson is announced in the index, by its stem."""
        found = {}
        for lesson in self.lessons:
            writer = self._writer("index.html", lesson)
            asked = f"**{self.language('Predict first.')}** {lesson.question}"
            found[lesson.stem] = Opening(writer.inline(lesson.about), writer.html(asked) if lesson.question else "")
        return found

    def glossary(self, english: Mapping[int, Page], names: Mapping[str, str]) -> None:
        """The pages of the terms and of the symbols, where the file beside the lessons has some.

        Args:
            english: the English pages of the lessons, by number, whose headings the terms name.
            names: the addresses of the public names.
        """
        site, say = self.site, self.language
        writer = text.Text(place=glossary.FILE)
        for url, title, other, entries, kind in (
            ("glossary.html", "Glossary", ("notation.html", "Notation"), site.terms, "term"),
            ("notation.html", "Notation", ("glossary.html", "Glossary"), site.symbols, "symbol"),
        ):
            rows = [self._row(i, term, kind, writer, english, names) for i, term in enumerate(entries)]
            if rows:
                both = f'<a href="{other[0]}">{say(other[1])}</a>' if site.terms and site.symbols else ""
                self._render(url, "glossary.html", title=say(title), rows=rows, other=both)

    def _row(
        self, i: int, term: Term, kind: str, writer: text.Text, english: Mapping[int, Page], names: Mapping[str, str]
    ) -> dict[str, Any]:
        if term.api and term.api not in names:
            raise LessonError(f"{glossary.FILE}, {term.name}: minigan has no public name {term.api}")
        name = f"${term.name}$" if kind == "symbol" else term.name
        if kind == "term" and (own := self._term(term.name)) != term.name:
            name = f"{own} ({term.name})"
        page, section, see = english.get(term.lesson), writer.inline(term.section), ""
        if page:
            anchor = glossary.anchor(term, page.headings)
            see = self.at(f"{page.url}#{anchor}")
            own_page = next((each for each in self.written if each.url == page.url), page)
            section = next(re.sub(r"^\d+\. ", "", html) for _, id, html in own_page.headings if id == anchor)
        return {
            "id": f"{kind}-{i}" if kind == "symbol" else re.sub(r"[^a-z0-9]+", "-", term.name.lower()).strip("-"),
            "name": writer.inline(name), "line": writer.inline(self._term(term.line)), "section": section, "term": term,
            "api": self.at(names[term.api]) if term.api else "", "see": see,
        }  # fmt: skip

    def _term(self, english: str) -> str:
        return self.terms.get(translation.key(english), english)

    def search(self) -> None:
        """Write the page of the search and its index, which is of the pages of this edition."""
        self._render("search.html", "search.html")
        self.site.files[f"{self.language.folder}search-index.js"] = search.script(self._pages())

    def _pages(self) -> dict[str, str | bytes]:
        """The files of the edition, by their names in its folder."""
        others = tuple(each.folder for each in OTHERS)
        start = self.language.folder or others
        own = {
            name: file for name, file in self.site.files.items() if name.startswith(start) == bool(self.language.folder)
        }
        return {name.removeprefix(self.language.folder): file for name, file in own.items()}

    def _render(self, name: str, template: str, /, **values: Any) -> None:
        self.site.render(self.language.folder + name, template, self.language, **values)


def found(site: Site, language: Language, *, articles: bool) -> Edition:
    """The edition of the site in another language: the lessons whose catalogues are whole; what the others lack is told.

    It has no lessons where none has a catalogue.
    """
    lessons = []
    for lesson in site.lessons:
        path = translation.path(lesson, language)
        if path.is_file():
            entries = translation.read(path)
            lacks = translation.problems(lesson, entries, path)
            site.problems |= {f"{language.name}: lesson {lesson.number} is left out: {problem}" for problem in lacks}
            lessons += [] if lacks else [Translated(lesson.path, entries)]
    folder = site.sources.lessons / language.folder
    titles, terms = (translation.read(folder / name) if (folder / name).is_file() else {} for name in (INDEX, GLOSSARY))
    return Edition(site, language, lessons, titles, terms, articles)


def names(edition: Edition) -> set[str]:
    """The pages that an edition in another language will have; none if it has no lesson."""
    site = edition.site
    kinds = [("glossary.html", site.terms), ("notation.html", site.symbols)] if edition.terms else []
    own = {f"{lesson.stem}.html" for lesson in edition.lessons}
    return own | set(EVERY) | {name for name, entries in kinds if entries} if own else set()


def _contents(page: Page) -> list[tuple[int, str, str]]:
    """The headings of a page for its contents: two levels, without links inside."""
    return [(level, id, re.sub(r"</?a\b[^>]*>", "", html)) for level, id, html in page.headings if level in (2, 3)]


def _said(notebook: Any, lesson: Lesson) -> Any:
    """A notebook with the text of a lesson in another language; code and outputs are the same."""
    book = copy.deepcopy(notebook)
    for cell, own in zip(book.cells, lesson.cells, strict=True):
        if cell.cell_type == "markdown":
            cell.source = own.text
    book.metadata.title = lesson.title
    return book
