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
zh/...                  the same in Chinese, as far as there are catalogues: index, lessons, glossary, notation, search
fonts/                  that of the mathematics, so that brackets grow everywhere
source/...              every file that a lesson cites, with an anchor for each line
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minigan.lessons import beside, catalog, editions, errata, glossary, notebooks
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.checks import Check
from minigan.lessons.editions import Edition
from minigan.lessons.frame import Site, asset, data, templates
from minigan.lessons.languages import ENGLISH, OTHERS
from minigan.lessons.pages import Page
from minigan.lessons.sources import Sources
from minigan.run.errors import UsageError
from minigan.run.progress import duration, note

LISTED = ".minigan-site.json"  # the files of a site, so that the next build can replace them and touch nothing else
FONTS = ("stix-two-math.woff2", "OFL.txt")  # of the mathematics: a subset of STIX Two Math, and its licence
KERNELS = 2  # lessons that run at a time


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
    every = catalog.find(given)
    lessons = catalog.pick(every, only) if only else every
    folder = lessons[0].path.parent
    ledger, syllabus = errata.errata(folder), errata.articles(folder)
    before = _files_before(Path(out))
    site = Site(lessons, Sources(folder), templates())
    site.terms, site.symbols = glossary.read(folder)
    others = beside.texts(folder)
    site.texts = {f"{path.stem}.html": beside.title_of(path) for path in others}
    site.templates.globals |= {
        "identities_exist": bool(beside.identity_tables(folder)), "texts": site.texts,
        "articles_exist": bool(syllabus), "errata_exist": bool(ledger), "glossary_exists": bool(site.terms),
    }  # fmt: skip
    english = Edition(site, ENGLISH, lessons, articles=bool(syllabus))
    found = [editions.found(site, language, articles=bool(syllabus)) for language in OTHERS]
    site.translated = {each.language: editions.names(each) for each in found if each.lessons}
    english.read()  # what is wrong in the text shall not wait for the numbers
    executed = _executed(lessons, fast)
    english.write(executed, {})
    written = english.written
    numbers = {page.lesson.number: page for page in written}
    checks = [check for page in written for check in page.checks]
    _known(checks, ledger)
    identities = beside.identities(site)
    totals = _totals(written, checks, ledger, identities)
    if syllabus or ledger:
        site.render(
            "errata.html", "errata.html", articles=syllabus, errata=ledger, refuted=errata.refuted(checks), numbers=numbers,
            whole=not only, of_check=_by_check(written),
        )  # fmt: skip
    beside.models(site)
    names = beside.public_names(site)
    for path in others:
        beside.text_page(site, path, f"{path.stem}.html", beside.title_of(path), "lessons", "Beside the lessons")
    site.render("play.html", "play.html")
    for edition in (english, *(each for each in found if each.lessons)):
        if edition is not english:
            edition.write(executed, {page.lesson.stem: page for page in written})
        edition.index(totals, articles=syllabus, errata=ledger, identities=bool(identities))
        edition.glossary(numbers, names)
        edition.search()
    beside.source_pages(site)
    site.files |= {name: asset(name) for name in ("style.css", "play.js", "play.css", "search.js")}
    site.files |= {f"fonts/{name}": data("fonts", name).read_bytes() for name in FONTS}
    _publish(Path(out), site.files, before)
    for problem in sorted(site.problems):
        note(f"note: {problem}")
    return f"{Path(out, 'index.html')}: " + ", ".join(f"{count} {what}" for what, count in totals.items() if count)


def _executed(lessons: Sequence[Lesson], fast: bool) -> dict[str, notebooks.Executed]:
    """Execute the lessons, a few at a time; by stem."""

    def run(lesson: Lesson) -> notebooks.Executed:
        executed = notebooks.execute(lesson, fast=fast)
        note(f"lesson {lesson.number}: {len(executed.checks)} checks hold, {duration(executed.seconds)}")
        return executed

    note(f"executing {len(lessons)} lessons ...")
    with ThreadPoolExecutor(KERNELS) as pool:
        futures = [pool.submit(run, lesson) for lesson in lessons]
        try:
            return {lesson.stem: future.result() for lesson, future in zip(lessons, futures, strict=True)}
        finally:
            for future in futures:
                future.cancel()


def _known(checks: list[Check], ledger: list[errata.Erratum]) -> None:
    """Each erratum that a check names must be in the ledger, if there is one."""
    ids = {each.id for each in ledger}
    for check in checks:
        if ids and (unknown := set(check.errata) - ids):
            raise LessonError(f"{check.file}, line {check.line}: errata.toml has no {', '.join(sorted(unknown))}")


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
