"""`minigan lessons build`: the lessons as a static site, which needs nothing from elsewhere, and scripts only for its search and
for `play.html`.

index.html              the syllabus
errata.html             the sections of the articles, and the errata
05_jsd_and_friends.html a lesson; beside it notebooks/, figures/
play.html               two GANs that train in the page, in plain JavaScript
gallery.html            the models of the zoo: a picture, networks and losses, checks; beside it gallery/
api/index.html          the public names of minigan; api/minigan.ops.html those of a module
glossary.html           the terms of the lessons, and notation.html, their symbols, if there is a glossary.toml
identities.html         the identities that hold by property test, if their table has been written
contributing.html, ...  the other texts beside the lessons, lessons/*.md
search.html             the search, with search.js and the index that it reads, search-index.js
fonts/                  that of the mathematics, so that brackets grow everywhere
source/...              every file that a lesson cites, with an anchor for each line
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from markupsafe import Markup

from minigan.lessons import (
    catalog,
    docstrings,
    errata,
    gallery,
    glossary,
    notebooks,
    pages,
    reference,
    search,
    sources,
    text,
)
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.checks import Check
from minigan.lessons.pages import Page
from minigan.lessons.sources import Sources
from minigan.run.errors import UsageError
from minigan.run.progress import duration, note
from minigan.version import __version__

LISTED = ".minigan-site.json"  # the files of a site, so that the next build can replace them and touch nothing else
IDENTITIES = "bench/results/identities-*.md"
TEST = re.compile(r"test_identity_(\d+)_")
FONTS = ("stix-two-math.woff2", "OFL.txt")  # of the mathematics: a subset of STIX Two Math, and its licence
SHORT_WAY = (0, 7, 8, 10, 12, 13)  # lessons that lead from the first picture to what is used in practice
KERNELS = 2  # lessons that run at a time


@dataclass
class Site:
    """A site that is being made: what its pages share, its files by name, and the links that lead nowhere."""

    lessons: list[Lesson]
    sources: Sources
    templates: jinja2.Environment
    files: dict[str, str | bytes] = field(default_factory=dict)
    problems: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)  # titles of the pages beside the lessons, by address

    def render(self, name: str, template: str, /, **values: Any) -> None:
        """Write a page from a template; addresses in it are relative, so that the site works from any folder."""
        root = "../" * name.count("/")
        self.files[name] = self.templates.get_template(template).render(root=root, **values)

    def linker(self, page: str, title: str, folder: str = "lessons") -> Any:
        """What resolves the links of a text in a file of `folder`, shown on `page`."""

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


@dataclass(frozen=True)
class Opening:
    """How a lesson is announced in the index, as HTML: what it is about, and the question that it begins with, or ""."""

    about: str
    question: str


def build(only: Sequence[str] = (), *, given: str | None = None, fast: bool = False, out: str = "site") -> str:
    """Execute the lessons and write the site.

    Args:
        only: numbers or names of lessons; all if empty.
        given: the folder of the lessons, or None for the usual places.
        fast: take the small sizes.
        out: the folder of the site; one that holds anything else is refused.

    Returns:
        What to print: where it is, and its totals.

    Raises:
        UsageError: for an unknown lesson, or a folder that is no site.
        LessonError: where a lesson does not hold, or a formula or a link of it does not resolve.
    """
    found = catalog.find(given)
    lessons = catalog.pick(found, only) if only else found
    folder = lessons[0].path.parent
    ledger, syllabus = errata.errata(folder), errata.articles(folder)
    before = _files_before(Path(out))
    site = Site(lessons, Sources(folder), _templates())
    others = _texts(folder)
    site.texts = {f"{path.stem}.html": _title(path) for path in others}
    site.templates.globals |= {
        "identities_exist": bool(_tables(folder)), "texts": site.texts,
        "articles_exist": bool(syllabus), "errata_exist": bool(ledger), "glossary_exists": bool(glossary.read(folder)[0]),
    }  # fmt: skip
    listed = "errata.html" if syllabus else ""
    written = _lessons(site, fast, listed)
    numbers = {page.lesson.number: page for page in written}
    short = [numbers[number] for number in SHORT_WAY] if numbers.keys() >= set(SHORT_WAY) else []
    _lesson_pages(site, written, short)
    checks = [check for page in written for check in page.checks]
    _known(checks, ledger)
    identities = _identities(site)
    totals = _totals(written, checks, ledger, identities)
    site.render(
        "index.html", "index.html", pages=written, openings=_openings(site, listed), totals=totals, articles=syllabus,
        errata=ledger, identities=bool(identities), short=short,
    )  # fmt: skip
    if syllabus or ledger:
        site.render(
            "errata.html", "errata.html", articles=syllabus, errata=ledger, refuted=errata.refuted(checks), numbers=numbers,
            whole=not only, of_check=_by_check(written),
        )  # fmt: skip
    _gallery(site)
    names = _reference(site)
    _glossary(site, numbers, names)
    for path in others:
        _text(site, path, f"{path.stem}.html", _title(path), "lessons", "Beside the lessons")
    _source_pages(site)
    site.render("play.html", "play.html")
    site.render("search.html", "search.html")
    site.files |= {"search-index.js": search.script(site.files)}
    site.files |= {name: _asset(name) for name in ("style.css", "play.js", "play.css", "search.js")}
    site.files |= {f"fonts/{name}": _data("fonts", name).read_bytes() for name in FONTS}
    _publish(Path(out), site.files, before)
    for problem in sorted(site.problems):
        note(f"note: {problem}")
    return f"{Path(out, 'index.html')}: " + ", ".join(f"{count} {what}" for what, count in totals.items() if count)


def _lessons(site: Site, fast: bool, articles: str) -> list[Page]:
    """Execute the lessons, a few at a time, and make their pages."""

    def run(lesson: Lesson) -> notebooks.Executed:
        executed = notebooks.execute(lesson, fast=fast)
        note(f"lesson {lesson.number}: {len(executed.checks)} checks hold, {duration(executed.seconds)}")
        return executed

    for lesson in site.lessons:  # what is wrong in the text shall not wait for the numbers
        writer = text.Text(place=str(lesson.path))
        for cell in lesson.cells:
            if cell.kind == "markdown":
                writer.html(cell.text)
    note(f"executing {len(site.lessons)} lessons ...")
    with ThreadPoolExecutor(KERNELS) as pool:
        futures = [pool.submit(run, lesson) for lesson in site.lessons]
        try:
            executed = [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
    return [_page(site, lesson, each, articles) for lesson, each in zip(site.lessons, executed, strict=True)]


def _page(site: Site, lesson: Lesson, executed: notebooks.Executed, articles: str) -> Page:
    url, tests = f"{lesson.stem}.html", _identity_tests(site)
    link = site.linker(url, lesson.title)
    writer = _writer(site, url, lesson, articles)
    writer.checks = executed.checks
    held = {check.identity for check in executed.checks}
    identities = {n: link("../{}#{}".format(*tests[n])) for n in sorted(tests.keys() & held)}
    return pages.page(lesson, executed, writer, source=_source(site, lesson), identities=identities)


def _writer(site: Site, url: str, lesson: Lesson, articles: str) -> text.Text:
    """What writes the text of a lesson on a page of the site, its own or another."""
    return text.Text(
        link=site.linker(url, lesson.title),
        equations={
            tag: f"{'' if url == f'{each.stem}.html' else f'{each.stem}.html'}#eq-{tag}"
            for each in site.lessons for tag in text.TAG.findall(each.source)
        },
        lessons={each.number: f"{each.stem}.html" for each in site.lessons if each is not lesson},
        articles=articles,
        place=str(lesson.path),
    )  # fmt: skip


def _source(site: Site, lesson: Lesson) -> str:
    """The address of the page of a lesson's file."""
    return str(site.sources.cite(f"lessons/{lesson.path.name}", "", f"{lesson.stem}.html", lesson.title))


def _openings(site: Site, articles: str) -> dict[str, Opening]:
    """How each lesson is announced in the index, by its stem."""
    found = {}
    for lesson in site.lessons:
        writer = _writer(site, "index.html", lesson, articles)
        question = writer.html(f"**Predict first.** {lesson.question}") if lesson.question else ""
        found[lesson.stem] = Opening(writer.inline(lesson.about), question)
    return found


def _lesson_pages(site: Site, written: list[Page], short: list[Page]) -> None:
    for i, page in enumerate(written):
        lesson, source = page.lesson, _source(site, page.lesson)
        solutions = None
        if lesson.solutions.is_file():
            solutions = site.sources.cite(f"lessons/solutions/{lesson.path.name}", "", page.url, lesson.title)
        for figure in page.figures:
            site.files[f"figures/{figure.name}"] = figure.data
        site.files[f"notebooks/{lesson.stem}.ipynb"] = nbformat.writes(page.notebook)
        site.render(
            page.url, "lesson.html", lesson=lesson, it=page, source=source, solutions=solutions, contents=_contents(page),
            before=written[i - 1] if i else None, after=written[i + 1] if i + 1 < len(written) else None, short=short,
        )  # fmt: skip


def _contents(page: Page) -> list[tuple[int, str, str]]:
    """The headings of a page for its contents: two levels, without links inside."""
    return [(level, id, re.sub(r"</?a\b[^>]*>", "", html)) for level, id, html in page.headings if level in (2, 3)]


def _gallery(site: Site) -> None:
    """The page of the models, and their pictures."""
    families, title = gallery.shown(site.sources.lessons), "Gallery"
    every = [model for _, _, models in families for model in models]
    for model in every:
        if model.picture:
            site.files[f"gallery/{model.picture.name}"] = model.picture.data
    site.render(
        "gallery.html", "gallery.html", families=families,
        sources={m.name: site.sources.cite(m.source, m.symbol, "gallery.html", title) for m in every},
        stems={lesson.stem: lesson.title for lesson in site.lessons},
    )  # fmt: skip


def _glossary(site: Site, numbers: dict[int, Page], names: dict[str, str]) -> None:
    """The pages of the terms and of the symbols, where the file beside the lessons has some."""
    terms, symbols = glossary.read(site.sources.lessons)
    writer = text.Text(place=glossary.FILE)
    for url, title, other, entries, kind in (
        ("glossary.html", "Glossary", ("notation.html", "Notation"), terms, "term"),
        ("notation.html", "Notation", ("glossary.html", "Glossary"), symbols, "symbol"),
    ):
        rows = []
        for i, term in enumerate(entries):
            if term.api and term.api not in names:
                raise LessonError(f"{glossary.FILE}, {term.name}: minigan has no public name {term.api}")
            page = numbers.get(term.lesson)
            rows.append({
                "id": f"{kind}-{i}" if kind == "symbol" else re.sub(r"[^a-z0-9]+", "-", term.name.lower()).strip("-"),
                "name": writer.inline(f"${term.name}$" if kind == "symbol" else term.name), "line": writer.inline(term.line),
                "section": writer.inline(term.section), "term": term, "api": names.get(term.api, ""),
                "see": f"{page.url}#{glossary.anchor(term, page.headings)}" if page else "",
            })  # fmt: skip
        if rows:
            both = terms and symbols
            site.render(
                url, "glossary.html", title=title, rows=rows, other='<a href="{}">{}</a>'.format(*other) if both else ""
            )


def _reference(site: Site) -> dict[str, str]:
    """The pages of the public names: one for each module, and their index; returns the address of each name."""
    modules = reference.modules()
    urls = {module.name: f"{module.name}.html" for module in modules} | {
        f"{module.name}.{each.name}": f"{module.name}.html#{each.name}"
        for module in modules for entry in module.entries for each in (entry, *entry.members)
    }  # fmt: skip
    about = {}
    for module in modules:
        writer = docstrings.Docstrings(link=_namer(module, urls), place=module.file)
        said = {module.name: writer.html(module.docstring)}
        about[module.name] = writer.inline(module.docstring.partition("\n\n")[0])
        for entry in module.entries:
            for each in (entry, *entry.members):
                writer.place = f"{each.file}, line {each.line}, {each.name}"
                said[each.name] = writer.html(each.docstring)
        site.render(
            f"api/{module.name}.html", "api_module.html", module=module, said=said, cited=site.sources.cited,
            inside=[each.name for each in modules if each.name.rpartition(".")[0] == module.name],
        )  # fmt: skip
    names = [
        (entry.name, module.name, urls[f"{module.name}.{entry.name}"]) for module in modules for entry in module.entries
    ]
    names.sort(key=lambda row: (row[0].lower(), row[1]))
    site.render("api/index.html", "api_index.html", modules=modules, about=about, names=names)
    return {name: f"api/{url}" for name, url in urls.items()}


def _namer(module: reference.Module, urls: dict[str, str]) -> Callable[[str], str | None]:
    """What finds the public name that `name` means in a docstring of a module: one of its own, or with more of its path said."""
    around = [module.name, module.name.rpartition(".")[0], reference.ROOT]

    def link(name: str) -> str | None:
        bare = name.removesuffix("()")
        places = [*(f"{place}.{bare}" for place in around if place), bare]
        return next((urls[place] for place in places if place in urls), None)

    return link


def _identity_tests(site: Site) -> dict[int, tuple[str, str]]:
    """For each identity, the file and the name of its first property test."""
    folder = site.sources.lessons.parent / "tests"
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("test_identities_*.py")):
        for name in sources.names(path):
            if match := TEST.match(name):
                found.setdefault(int(match[1]), (f"tests/{path.name}", name))
    return found


def _identities(site: Site) -> int:
    """Write the page of the identities from the newest table of them; returns how many it has, 0 where there is none."""
    tables = _tables(site.sources.lessons)
    if not tables:
        return 0
    source = _text(site, tables[-1], "identities.html", "The identities", "bench/results", "Property tests", wide=True)
    return len(set(re.findall(r"^\| *(\d+) *\|", source, re.MULTILINE)))


def _texts(lessons: Path) -> list[Path]:
    """The texts beside the lessons that are no lessons."""
    return sorted(lessons.glob("*.md"))


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _text(site: Site, path: Path, url: str, title: str, folder: str, eyebrow: str, *, wide: bool = False) -> str:
    """Write the page of a Markdown file in `folder`, without its first heading; returns the file's text."""
    source = path.read_text(encoding="utf-8")
    writer = text.Text(link=site.linker(url, title, folder), place=str(path))
    body = Markup(writer.html(re.sub(r"\A# .*\n", "", source)))
    site.render(url, "text.html", title=title, body=body, eyebrow=eyebrow, wide=wide)
    return source


def _known(checks: list[Check], ledger: list[errata.Erratum]) -> None:
    """Each erratum that a check names must be in the ledger, if there is one."""
    ids = {each.id for each in ledger}
    for check in checks:
        if ids and (unknown := set(check.errata) - ids):
            raise LessonError(f"{check.file}, line {check.line}: errata.toml has no {', '.join(sorted(unknown))}")


def _tables(lessons: Path) -> list[Path]:
    """The tables of the identities that have been written, the newest last."""
    return sorted(lessons.parent.glob(IDENTITIES))


def _by_check(written: Iterable[Page]) -> dict[str, str]:
    return {check.id: f"{page.url}#check-{check.id}" for page in written for check in page.checks}


def _totals(written: list[Page], checks: list[Check], ledger: list[errata.Erratum], identities: int) -> dict[str, int]:
    kinds, refuted = Counter(each.kind for each in ledger), errata.refuted(checks)
    return {
        "lessons": len(written),
        "numbered formulas": sum(len(page.formulas) for page in written),
        "checks": len(checks),
        "figures": sum(len(page.figures) for page in written),
        "errata refuted by a check": sum(each.id in refuted for each in ledger if each.kind == "check"),
        "errata of wording": kinds["wording"],
        "errata for a later lesson": kinds["later"],
        "identities": identities,
    }


def _source_pages(site: Site) -> None:
    """A page for every file that was cited, with the places that cite it."""
    for name in sorted(site.sources.cited):
        path = site.sources.path(name)
        assert path is not None
        code = path.read_text(encoding="utf-8")
        defined = sorted(sources.names(path).items(), key=lambda item: item[1])
        cited: dict[tuple[str, str], list[str]] = {}
        for citation in site.sources.cited[name]:
            cited.setdefault((citation.page, citation.title), []).append(citation.symbol)
        site.render(
            sources.address(name), "source.html", name=name, body=Markup(pages.listing(code, path.name)), cited=cited,
            defined=[(symbol, line) for symbol, line in defined if "." not in symbol and not symbol.startswith("_")],
        )  # fmt: skip


def _files_before(out: Path) -> list[str]:
    """The files of the site that is in a folder already; a folder that holds anything else is refused."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; the site needs a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return []
    listed = out / LISTED
    if not listed.is_file():
        raise UsageError(f"--out {out} holds something else; name an empty folder or a new one")
    try:
        names = [str(name) for name in json.loads(listed.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise UsageError(f"--out {out}: {LISTED} is broken; name another folder") from error
    return [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]


def _publish(out: Path, files: dict[str, str | bytes], before: list[str]) -> None:
    """Write the files of a site, and remove those of the last build that it no longer has."""
    for name in set(before) - files.keys():
        (out / name).unlink(missing_ok=True)
    files[LISTED] = json.dumps(sorted(files), indent=0)
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _data(*names: str) -> Any:
    """A file of this package."""
    return resources.files("minigan.lessons").joinpath(*names)


def _asset(name: str) -> str:
    return str(_data("templates", name).read_text(encoding="utf-8"))


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True,
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
