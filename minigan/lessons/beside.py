"""The pages beside the lessons, in English alone: gallery, reference, identities, other texts, and the sources that are cited."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from minigan.lessons import docstrings, gallery, pages, reference, sources, text
from minigan.lessons.frame import Site

IDENTITIES = "bench/results/identities-*.md"
TEST = re.compile(r"test_identity_(\d+)_")


def models(site: Site) -> None:
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


def public_names(site: Site) -> dict[str, str]:
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
    every = [
        (entry.name, module.name, urls[f"{module.name}.{entry.name}"]) for module in modules for entry in module.entries
    ]
    every.sort(key=lambda row: (row[0].lower(), row[1]))
    site.render("api/index.html", "api_index.html", modules=modules, about=about, names=every)
    return {name: f"api/{url}" for name, url in urls.items()}


def _namer(module: reference.Module, urls: dict[str, str]) -> Callable[[str], str | None]:
    """What finds the public name that `name` means in a docstring of a module: one of its own, or with more of its path said."""
    around = [module.name, module.name.rpartition(".")[0], reference.ROOT]

    def link(name: str) -> str | None:
        bare = name.removesuffix("()")
        places = [*(f"{place}.{bare}" for place in around if place), bare]
        return next((urls[place] for place in places if place in urls), None)

    return link


def identity_tests(site: Site) -> dict[int, tuple[str, str]]:
    """For each identity, the file and the name of its first property test."""
    folder = site.sources.lessons.parent / "tests"
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("test_identities_*.py")):
        for name in sources.names(path):
            if match := TEST.match(name):
                found.setdefault(int(match[1]), (f"tests/{path.name}", name))
    return found


def identities(site: Site) -> int:
    """Write the page of the identities from the newest table of them; returns how many it has, 0 where there is none."""
    tables = identity_tables(site.sources.lessons)
    if not tables:
        return 0
    source = text_page(
        site, tables[-1], "identities.html", "The identities", "bench/results", "Property tests", wide=True
    )
    return len(set(re.findall(r"^\| *(\d+) *\|", source, re.MULTILINE)))


def texts(lessons: Path) -> list[Path]:
    """The texts beside the lessons that are no lessons."""
    return sorted(lessons.glob("*.md"))


def title_of(path: Path) -> str:
    """The heading of a text."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def text_page(site: Site, path: Path, url: str, title: str, folder: str, eyebrow: str, *, wide: bool = False) -> str:
    """Write the page of a Markdown file in `folder`, without its first heading; returns the file's text."""
    source = path.read_text(encoding="utf-8")
    writer = text.Text(link=site.linker(url, title, folder), place=str(path))
    body = Markup(writer.html(re.sub(r"\A# .*\n", "", source)))
    site.render(url, "text.html", title=title, body=body, eyebrow=eyebrow, wide=wide)
    return source


def identity_tables(lessons: Path) -> list[Path]:
    """The tables of the identities that have been written, the newest last."""
    return sorted(lessons.parent.glob(IDENTITIES))


def source_pages(site: Site) -> None:
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
