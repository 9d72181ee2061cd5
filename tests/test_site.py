"""The site of the lessons: pages that are whole, links that lead somewhere, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
import sample_lessons

from minigan import gans
from minigan.lessons import notebooks, reference, site, text
from minigan.lessons import pages as pages_of
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.checks import Check
from minigan.run.errors import UsageError

VAE_PICTURES = "Samples; and real images beside what the mean of their code is decoded to."
VOID = {"meta", "link", "img", "br", "hr", "wbr", "input"}


class Page(HTMLParser):
    """The elements of a page, its ids and addresses; raises where tags do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"{path}: {self.open} left open"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        elif "href" in values or "src" in values:
            self.loads.append(values.get("href") or values["src"])
        if tag == "img":
            self.images.append(values)
        assert not any(name.startswith("on") for name in values), "a script in an attribute"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder of the site, folder of the lessons, what the build said)."""
    root = tmp_path_factory.mktemp("site")
    lessons = sample_lessons.write(root)
    sample_lessons.write_gallery(lessons)
    sample_lessons.translate(lessons)
    (lessons / "joining.md").write_text(
        "# Joining\n\nAs [a half](01_halves.py) and [itself](joining.md) say.\n", "utf-8"
    )
    said = site.build(given=str(lessons), fast=True, out=str(root / "site"))
    return root / "site", lessons, said


@pytest.fixture(scope="module")
def pages(built):
    return {path.relative_to(built[0]).as_posix(): Page(path) for path in built[0].rglob("*.html")}


def text_of(built, name):
    return (built[0] / name).read_text(encoding="utf-8")


def test_the_files(built, pages):
    names = {path.relative_to(built[0]).as_posix() for path in built[0].rglob("*") if path.is_file()}
    assert names >= {
        "index.html", "search.html", "search.js", "search-index.js",
        "identities.html", "gallery.html", "01_halves.html", "02_thirds.html", "style.css", "gallery/vae.png",
        "notebooks/01_halves.ipynb", "joining.html", "errata.html",
        "figures/01_halves-half.png", "source/minigan/ops/elementwise.py.html", "source/lessons/01_halves.py.html",
        "source/lessons/solutions/01_halves.py.html", "source/tests/test_identities_x.py.html",
    }  # fmt: skip
    assert set(json.loads(text_of(built, site.LISTED))) == names - {site.LISTED}
    totals = "2 lessons, 3 numbered formulas, 7 checks, 1 figures, 2 errata refuted by a check, 1 errata of wording"
    assert built[2].endswith(f"index.html: {totals}, 2 identities")


def test_a_text_beside_the_lessons_has_a_page_that_every_page_leads_to(built, pages):
    assert [
        url
        for url in pages["joining.html"].links
        if "#" not in url and not url.startswith(("index", "gal", "glo", "id", "api"))
    ] == [
        "01_halves.html",
        "joining.html",
        "joining.html",  # of the footer
    ]
    assert "../../../joining.html" in pages["source/minigan/ops/elementwise.py.html"].links
    assert "<h1>Joining</h1>" in text_of(built, "joining.html")


def test_nothing_is_loaded_from_elsewhere_and_only_two_pages_have_scripts(pages):
    of = {"play.html": 1, "search.html": 2, "zh/search.html": 2}
    for name, page in pages.items():
        assert page.tags.count("script") == of.get(name, 0) and "iframe" not in page.tags
        assert not any(re.match(r"[a-z]+:|//", url) for url in page.loads if url != "data:,")
    style = (Path(site.__file__).parent / "templates" / "style.css").read_text()
    assert re.findall(r"url\(([^)]*)\)", style) == ['"fonts/stix-two-math.woff2"']


def test_the_font_of_the_mathematics_comes_along_with_its_licence(built):
    assert (built[0] / "fonts" / "stix-two-math.woff2").read_bytes()[:4] == b"wOF2"
    assert "SIL OPEN FONT LICENSE" in (built[0] / "fonts" / "OFL.txt").read_text()


def test_every_link_and_anchor_leads_somewhere(built, pages):
    count = 0
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), name
        for url in page.links + page.loads:
            if re.match(r"https?:|data:", url):
                continue
            path, fragment = urldefrag(url)
            target = (built[0] / name).parent / unquote(path) if path else built[0] / name
            assert target.is_file(), f"{name}: {url}"
            count += 1
            if fragment:
                key = target.resolve().relative_to(built[0].resolve()).as_posix()
                assert fragment in pages[key].ids, f"{name}: {url}"
    assert count > 50


def test_a_page_has_one_title_and_headings_in_order(pages):
    for name, page in pages.items():
        assert page.tags.count("h1") == 1 and page.tags.count("main") == 1, name
        levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h\d", tag)]
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert page.links[0] == "#main"


def test_formulas_are_mathml_with_number_and_check(built, pages):
    html = text_of(built, "01_halves.html")
    assert pages["01_halves.html"].tags.count("math") >= 5
    assert {"eq-1.1", "check-1.1", "check-1.1a", "check-1.1b"} <= set(pages["01_halves.html"].ids)
    assert "\\frac" not in html and "\\tag" not in html and "$" not in html.replace("$$", "")
    assert html.count('class="verdict"') == 2  # 1.1 with its four parts, beside the formula, and 1.2
    assert ">✓ 1.1 to 1.1d</a>" in html
    assert '<a href="#eq-1.1">(1.1)</a>' in html and '<a href="02_thirds.html#eq-2.1">(2.1)</a>' in html
    assert '<a href="02_thirds.html">lesson 2</a>' in html and "&lt;b&gt;no HTML" in html


def test_asides_are_folded_and_their_formulas_keep_number_and_check(built, pages):
    html = text_of(built, "01_halves.html")
    aside = re.search(r'<details class="aside"><summary>(.*?)</summary>(.*?)</details>', html, re.DOTALL)
    assert aside and aside[1] == "Aside: what is not a half" and "Aside" not in aside[2] and "**" not in aside[2]
    assert 'id="eq-1.2"' in aside[2] and 'href="#check-1.2"' in aside[2] and "&gt;" not in aside[2]
    assert html.count('<details class="aside">') == 1 and "<blockquote>\n<p>A plain quotation" in html


def test_checks_stand_on_their_lines_and_link_to_tests_and_errata(built):
    html, source = text_of(built, "01_halves.html"), sample_lessons.FIRST.splitlines()
    line = next(i for i, text in enumerate(source, 1) if text.startswith('check("1.1",'))
    assert f'<a class="place" href="source/lessons/01_halves.py.html#L{line}">line {line}</a>' in html
    loop = next(i for i, text in enumerate(source, 1) if text.startswith('    check(f"1.1{name}"'))
    assert html.count(f"#L{loop}") == 2
    assert (
        '<a class="place" href="source/tests/test_identities_x.py.html#L3">identity 50</a>' in html
    )  # with its decorator
    assert '<a class="erratum" href="errata.html#S0.7">refutes S0.7</a>' in html


def test_output_is_shown_as_text(built):
    html = text_of(built, "01_halves.html")
    assert "the first [0.   0.25] &lt;&amp;&gt;" in html
    assert "exercise 1.E1, double: still open" in html and "Grade(" not in html


def test_figures_have_size_and_description(built, pages):
    (image,) = pages["01_halves.html"].images
    assert image["alt"] == "A straight line with slope one half." and image["width"] == "640"
    assert int(image["height"]) == 340


def test_code_that_only_draws_is_folded_away(built):
    html = text_of(built, "01_halves.html")
    assert html.count('<details class="drawing">') == 1
    assert (
        html.index("figures/01_halves-half.png")
        < html.index('<details class="drawing">')
        < html.index("Exercises</h2>")
    )


def test_sources_cite_back(built):
    html = text_of(built, "source/minigan/ops/elementwise.py.html")
    assert '<a href="../../../01_halves.html">Halves</a>' in html and "<code>multiply</code>" in html


def test_the_gallery_names_every_model_and_says_what_its_numbers_are_of(built, pages):
    page, html = pages["gallery.html"], text_of(built, "gallery.html")
    assert {f"model-{name}" for name in gans.MODELS} <= set(page.ids)
    assert 'href="gallery.html"' in text_of(built, "01_halves.html") and 'href="gallery.html"' in text_of(
        built, "index.html"
    )
    shown = {name: re.search(rf'id="model-{name}">(.*?)</article>', html, re.DOTALL)[1] for name in gans.MODELS}
    assert [image["alt"] for image in page.images] == ["VAE, its picture “reconstructions”. " + VAE_PICTURES]
    assert (
        page.images[0]["width"] == "8"
        and page.images[0]["height"] == "6"
        and page.images[0]["src"] == "gallery/vae.png"
    )
    assert "10 steps in 2 s of CPU time" in shown["vae"] and "earlier version" not in shown["vae"]
    assert "KL by" in shown["vae"] and ">met</td>" in shown["vae"]
    assert "Of an earlier version" in shown["aae"] and "met, then" in shown["aae"] and "not finite" in shown["aae"]
    assert "failed: minigan train: exit code 3" in shown["toy"] and "Not yet run" in shown["cgan"]
    assert "minigan train vae" in shown["vae"] and "--&gt; 400 --&gt;" in shown["vae"]
    assert "lesson 22, which is not part of this build" in shown["vae"] and "no lesson explains it yet" in shown["vat"]
    assert 'href="source/minigan/gans/vae.py.html#L' in shown["vae"]


def test_lessons_come_first_and_a_page_of_its_own_accounts_for_articles_and_errata(built):
    index, html = text_of(built, "index.html"), text_of(built, "errata.html")
    assert "A name is no number." not in index and 'href="errata.html#errata"' in index
    assert 'href="01_halves.html#check-1.1"' in html and "A name is no number." in html
    assert "later: quarters" in html and 'title="Halves">1</a>, 7' in html
    assert index.index('id="lessons"') < index.index('id="held"')


def test_the_index_asks_each_question_whole(built):
    index = text_of(built, "index.html")
    asked = re.search(r'<div class="question">(.*?)</div>', index, re.DOTALL)[1]
    assert asked.startswith("<p><strong>Predict first.</strong> Is <math") and asked.count("<li>") == 2
    assert '<a href="01_halves.html#eq-1.1">(1.1)</a>' in asked and asked.rstrip().endswith("<p>Then read on.</p>")


def test_every_lesson_leads_back_on_and_to_all_at_its_top(built):
    first, second = (
        re.search(r"</header>\s*<nav class=\"turn\".*?</nav>", text_of(built, f"{name}.html"), re.DOTALL)[0]
        for name in ("01_halves", "02_thirds")
    )
    assert 'rel="next" href="02_thirds.html"' in first and 'rel="prev"' not in first
    assert 'rel="prev" href="01_halves.html"' in second and 'rel="next"' not in second
    assert first.count('href="index.html#lessons"') == second.count('href="index.html#lessons"') == 1


def test_a_check_stands_once_on_its_page(built):
    """The error observed and the tolerance stand below the code; what is beside the formula only leads there."""
    html = text_of(built, "01_halves.html")
    for statement in ("x/2 + x/2 = x", "&lt;= max(x, 1)", "a third is less", "long code runs too"):
        shown = re.sub(r'title="[^"]*"|<div class="code">.*?</div>', "", html, flags=re.DOTALL)
        assert shown.count(statement) == 1, statement
    assert html.count('<ul class="checks">') == 2


def test_long_code_is_folded_and_what_it_printed_is_not(built):
    html = text_of(built, "01_halves.html")
    folded = re.search(r'<details class="long"><summary>(.*?)</summary>(.*?)</details>(.*?)</div>', html, re.DOTALL)
    assert folded[1] == "Code, 36 lines: <code>is_long</code>" and 'id="check-1.1d"' in folded[3]
    assert html.count('<details class="long">') == 1


def test_a_check_whose_line_is_nowhere_on_the_page_is_refused(tmp_path):
    lesson = Lesson(sample_lessons.write(tmp_path) / "02_thirds.py")
    silent = Check("2.1", "3 = 3", "=", 0.0, 0.0, 0.0, 0.0, 1, (), None, "02_thirds.py", 12)
    with pytest.raises(LessonError, match=r"line 12: check 2\.1 held, but its line"):
        pages_of.page(lesson, notebooks.Executed(notebooks.notebook(lesson), [silent], 0.0), text.Text())


def test_the_reference_has_every_public_name_and_leads_to_it(built, pages):
    index = pages["api/index.html"].links
    for module in reference.modules():
        page = pages[f"api/{module.name}.html"]
        assert {each.name for entry in module.entries for each in (entry, *entry.members)} <= set(page.ids)
        assert {f"{module.name}.html#{entry.name}" for entry in module.entries} <= set(index)
    assert pages["api/minigan.theory.optimal.html"].tags.count("math") > 30
    html = text_of(built, "api/minigan.ops.html")
    assert 'href="../source/minigan/ops/elementwise.py.html#L' in html  # which a lesson cites
    assert "minigan/ops/conv.py, line " in html  # which none does
    assert 'href="../api/index.html"' in text_of(built, "api/minigan.ops.html") and 'href="api/index.html"' in text_of(
        built, "index.html"
    )


def test_the_index_of_the_search_has_the_sections_of_all_kinds_of_pages(built, pages):
    code = text_of(built, "search-index.js")
    rows = json.loads(code.removeprefix("const sections = ").removesuffix(";\n"))
    found = {row["url"]: row for row in rows}
    assert "<" not in code and len(found) == len(rows) > 500
    for row in rows:
        path, fragment = urldefrag(row["url"])
        assert not fragment or fragment in pages[path].ids, row["url"]
    halves = found["01_halves.html#two-halves"]
    assert halves["title"] == "Two halves" and halves["page"] == "Halves" and "they make" not in halves["text"]
    assert "of them make the whole, by multiply" in halves["text"] and "check(" not in halves["text"]
    assert "A name is no number." in found["errata.html#S0.8"]["text"]
    assert "Adam" in found["api/minigan.optim.html#Adam"]["title"]
    assert not any(url.startswith("source/") for url in found)


def test_terms_and_symbols_lead_to_where_they_are_explained(built, pages):
    html = text_of(built, "glossary.html")
    assert '<dt id="half">half</dt>' in html and "lesson 7</span>" in html  # which this build has not
    assert {"01_halves.html#two-halves", "api/minigan.ops.html#multiply", "notation.html"} <= set(
        pages["glossary.html"].links
    )
    assert pages["notation.html"].tags.count("msup") == 2  # in the list, and in the contents
    assert "glossary.html" in pages["01_halves.html"].links and '"glossary.html#half"' in text_of(
        built, "search-index.js"
    )


def kept(html):
    """What is the same in each language: formulas, code, pictures, anchors of headings, the numbers of checks."""
    return [
        re.findall(pattern, html, re.DOTALL)
        for pattern in (
            r"<math.*?</math>", r'<div class="code">.*?</div>', r'<img src="[./]*(.*?)"', r'<h[23] id="(.*?)"',
            r'id="(?:eq|check)-.*?"', r"([\d.e-]+) ≤ ([\d.e-]*\d)",
        )
    ]  # fmt: skip


def test_a_lesson_in_chinese_has_the_formulas_code_and_pictures_of_the_english_one(built, pages):
    english, chinese = text_of(built, "01_halves.html"), text_of(built, "zh/01_halves.html")
    body = re.compile(r'<div class="prose">.*</main>', re.DOTALL)
    for here, there in zip(kept(body.search(english)[0]), kept(body.search(chinese)[0]), strict=True):
        assert here and sorted(here) == sorted(there)
    assert pages["zh/01_halves.html"].images[0]["alt"] == "斜率为二分之一的直线。"
    for said in (
        "一半不是三分之一", "旁注：什么不是一半", "练习 1.E1，double：尚未作答", '<p class="task">返回 2 x。</p>', "如何评分",
        "代码，36 行：", "反驳 S0.7", "第 2 课", 'lang="zh-Hans"',
    ):  # fmt: skip
        assert said in chinese, said
    book = nbformat.read(built[0] / "zh" / "notebooks" / "01_halves.ipynb", as_version=4)
    assert book.cells[0].source.startswith("# 1. 一半") and "import numpy" in book.cells[1].source


def test_each_page_leads_to_its_other_language_and_what_is_in_english_says_so(built, pages):
    for name in ("index.html", "01_halves.html", "glossary.html", "notation.html", "search.html"):
        assert f'hreflang="zh-Hans" href="zh/{name}"' in text_of(built, name), name
        assert f'hreflang="en" href="../{name}"' in text_of(built, f"zh/{name}"), name
    assert "hreflang" not in text_of(built, "02_thirds.html")  # which has no translation
    assert '另见<a href="../02_thirds.html" hreflang=en>第二课</a>' in text_of(built, "zh/01_halves.html")
    assert '<a href="../02_thirds.html" hreflang="en">2. 三分之一</a>' in text_of(built, "zh/index.html")


def test_the_search_and_the_glossary_of_a_language_are_of_its_pages(built, pages):
    rows = json.loads(text_of(built, "zh/search-index.js").removeprefix("const sections = ").removesuffix(";\n"))
    assert {row["url"] for row in rows} >= {"01_halves.html#two-halves", "glossary.html#half", "index.html"}
    assert not any("zh/" in row["url"] for row in rows) and '"zh/' not in text_of(built, "search-index.js")
    html = text_of(built, "zh/glossary.html")
    assert (
        '<dt id="half">一半 (half)</dt>' in html and '<a href="01_halves.html#two-halves">第 1 课，两个一半</a>' in html
    )


def test_the_notebook_is_valid_and_has_outputs(built):
    book = nbformat.read(built[0] / "notebooks" / "01_halves.ipynb", as_version=4)
    nbformat.validate(book)
    kinds = [output.output_type for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert "display_data" in kinds and "stream" in kinds


def test_a_second_build_replaces_the_first_and_only_that(built, tmp_path):
    lessons, out = built[1], tmp_path / "site"
    site.build(["1"], given=str(lessons), fast=True, out=str(out))
    (out / "mine.txt").write_text("mine")
    site.build(["2"], given=str(lessons), fast=True, out=str(out))
    assert (out / "02_thirds.html").is_file() and (out / "mine.txt").is_file()
    assert not (out / "01_halves.html").exists()
    assert "a lesson that is not part of this build" in (out / "errata.html").read_text()


def test_a_folder_with_other_things_is_refused(tmp_path):
    lessons = sample_lessons.write(tmp_path)
    with pytest.raises(UsageError, match="holds something else"):
        site.build(given=str(lessons), out=str(tmp_path))
    with pytest.raises(UsageError, match="is a file"):
        site.build(given=str(lessons), out=str(lessons / "01_halves.py"))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / site.LISTED).write_text("{")
    with pytest.raises(UsageError, match="is broken"):
        site.build(given=str(lessons), out=str(broken))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x / 2 + x / 2, x,", "x / 2 + x / 3, x,", r"1\.1.*does not hold"),
        ("ax.plot", "ax.plod", "AttributeError"),
        (r"\frac{x}{2}", r"\fraction{x}{2}", r'Unknown command "\\fraction"'),
        ("elementwise.py#multiply", "elementwise.py#multiplied", "no 'multiplied'"),
        ('errata="S0.7"', 'errata="S0.77"', "errata.toml has no S0.77"),
        ("# # 1. Halves", "# Halves", "title"),
    ],
)
def test_a_lesson_that_is_wrong_gives_no_site(tmp_path, old, new, message):
    lessons = sample_lessons.write(tmp_path)
    path = lessons / "01_halves.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(LessonError, match=f"(?s){message}"):
        site.build(["1"], given=str(lessons), fast=True, out=str(tmp_path / "site"))
    assert not (tmp_path / "site").exists()


def test_a_link_to_a_missing_file_is_text_and_is_told_and_so_is_a_catalogue_that_is_not_whole(tmp_path, capsys):
    lessons = sample_lessons.write(tmp_path)
    path = lessons / "02_thirds.py"
    path.write_text(path.read_text().replace("What a third is.", "See [this](../tests/none.py#f)."))
    (lessons / "zh").mkdir()
    (lessons / "zh" / "02_thirds.md").write_text("", encoding="utf-8")
    site.build(["2"], given=str(lessons), fast=True, out=str(tmp_path / "site"))
    told = capsys.readouterr().err
    assert "../tests/none.py#f does not exist" in told
    assert "See this." in (tmp_path / "site" / "02_thirds.html").read_text()
    assert (
        "lesson 2 is left out" in told and "'See [this](../tests/none.py#f).'" in told
    )  # in Chinese, for want of its text
    assert not (tmp_path / "site" / "zh").exists()
