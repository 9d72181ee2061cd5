"""What the pages of the site share: templates, files by name, languages, and what the links of a text lead to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from minigan.lessons import sources, text
from minigan.lessons.catalog import Lesson
from minigan.lessons.glossary import Term
from minigan.lessons.languages import ENGLISH, Language
from minigan.lessons.sources import Sources
from minigan.version import __version__


@dataclass
class Site:
    """A site that is being made: what its pages share, its files by name, and the links that lead nowhere.

    Attributes:
        lessons: those that it shows, in English.
        sources: the files that have been cited.
        templates: of the pages.
        files: what has been made, by name.
        problems: what is amiss and stops nothing, each to be told.
        texts: titles of the pages beside the lessons, by address.
        terms, symbols: of the glossary.
        translated: for each language but English, the pages that it has, by their English names.
    """

    lessons: list[Lesson]
    sources: Sources
    templates: jinja2.Environment
    files: dict[str, str | bytes] = field(default_factory=dict)
    problems: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)
    symbols: list[Term] = field(default_factory=list)
    translated: Mapping[Language, set[str]] = field(default_factory=dict)

    def render(self, name: str, template: str, /, language: Language = ENGLISH, **values: Any) -> None:
        """Write a page from a template; addresses in it are relative, so that the site works from any folder.

        A template gets `root`, the way to the top of the site; `home`, that to the pages of its language; `near`, which finds a
        page in its language or else in English; `say`, which says English words in it; `abroad`, the attribute of links to what
        is only in English; and `others`, the same page in other languages, as (language, address).
        """
        page, root = name.removeprefix(language.folder), "../" * name.count("/")
        home = "../" * page.count("/")

        def near(wanted: str) -> str:
            return (home if wanted in self.translated.get(language, (wanted,)) else root) + wanted

        others = [
            (each, root + each.folder + page)
            for each in (ENGLISH, *self.translated)
            if each is not language and page in self.translated.get(each, (page,))
        ]
        self.files[name] = self.templates.get_template(template).render(
            root=root, home=home, near=near, say=language, others=others, abroad=_abroad(language), **values
        )

    def linker(self, page: str, title: str, folder: str = "lessons") -> Callable[[str], str | None]:
        """What resolves the links of a text in a file of `folder`, shown on `page`: to an address from the top of the site."""

        def link(href: str) -> str | None:
            if re.match(r"[a-z]+:|#", href):
                return href
            name, symbol = sources.target(href, folder)
            stem = Path(name).stem
            if name == f"lessons/{stem}.py" and not symbol and any(lesson.stem == stem for lesson in self.lessons):
                return f"{stem}.html"
            if name == f"lessons/{stem}.md" and f"{stem}.html" in self.texts:
                return f"{stem}.html"
            found = self.sources.cite(name, symbol, page, title)
            if found is None:
                self.problems.add(f"{page}: {href} does not exist")
            return found

        return link


def _abroad(language: Language) -> Markup:
    """The attribute of a link from a page in a language to one that is only in English."""
    return Markup("" if language is ENGLISH else f' hreflang="{ENGLISH.code}"')


def data(*names: str) -> Any:
    """A file of this package."""
    return resources.files("minigan.lessons").joinpath(*names)


def asset(name: str) -> str:
    """A template, a style or a script."""
    return str(data("templates", name).read_text(encoding="utf-8"))


def templates() -> jinja2.Environment:
    """The templates of the pages, with the filters that they use."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    writer = text.Text()
    environment.filters |= {
        "error": text.error,
        "number": text.number,
        "tolerance": text.tolerance,
        "safe_html": Markup,
    }
    environment.filters["markdown"] = lambda words: Markup(writer.inline(words))
    environment.filters["relation"] = lambda check: text.SIGNS[check.relation]
    environment.globals |= {"version": __version__, "texts": {}}
    return environment
