"""The site of the lessons in a browser: nothing fails to load, formulas and figures have a size, no page scrolls sideways."""

from __future__ import annotations

import io

import numpy as np
import pytest
import sample_lessons
from PIL import Image

from minigan.lessons import site

pytestmark = pytest.mark.browser
OVERFLOW = """() => [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.right > innerWidth + 1 && !e.closest('.scroll, pre, .listing, .skip');
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    lessons = sample_lessons.write(root)
    sample_lessons.write_gallery(lessons)
    sample_lessons.translate(lessons)
    site.build(given=str(lessons), fast=True, out=str(root / "site"))
    return root / "site"


@pytest.fixture(params=[400, 1400], ids=["400px", "1400px"])
def page(request, browser):
    """A page of one width; its `trouble` lists messages on the console and requests that failed or left the disk."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.trouble = []
    page.on("console", lambda message: page.trouble.append(message.text))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("requestfailed", lambda asked: page.trouble.append(asked.url))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or page.trouble.append(asked.url))
    yield page
    page.close()


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "errata.html",
        "search.html?q=half",
        "01_halves.html",
        "02_thirds.html",
        "identities.html",
        "gallery.html",
        "glossary.html",
        "notation.html",
        "zh/index.html",
        "zh/01_halves.html",
        "zh/glossary.html",
        "zh/search.html?q=%E4%B8%80%E5%8D%8A",
        "api/index.html",
        "api/minigan.theory.optimal.html",
        "source/minigan/ops/elementwise.py.html",
    ],
)
def test_pages_load_and_fit(built, page, name):
    page.goto(built.as_uri() + "/" + name)
    assert page.trouble == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(OVERFLOW) == []
    shown = "[...document.querySelectorAll('math')].filter(e => e.checkVisibility())"
    sizes = page.evaluate(shown + ".map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])")
    assert all(width > 3 and height > 3 for width, height in sizes)
    assert bool(sizes) == name.removeprefix("zh/").startswith(("index", "errata", "gl", "no", "0", "api/"))
    assert page.locator("main").bounding_box()["width"] > min(0.85 * page.viewport_size["width"], 800)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_contents_show_in_one_place(built, page):
    page.goto((built / "01_halves.html").as_uri())
    wide = page.viewport_size["width"] > 1000
    assert page.locator("nav.contents").is_visible() == wide
    assert page.locator("details.contents-narrow").is_visible() != wide


def test_a_fraction_is_stacked_and_its_number_beside_it(built, page):
    page.goto((built / "02_thirds.html").as_uri())
    over, under = page.evaluate(
        "[...document.querySelector('.equation mfrac').children].map(e => e.getBoundingClientRect().top)"
    )
    assert over + 5 < under
    number, formula = (page.locator(f"#eq-2\\.1 {part}").bounding_box() for part in (".number", "math"))
    assert number["x"] > formula["x"] + formula["width"] - 1


def test_the_keyboard_reaches_the_text(built, page):
    page.goto((built / "01_halves.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_dark_and_light_differ(built, page):
    page.goto((built / "01_halves.html").as_uri())
    colours = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours[scheme] = page.evaluate(
            "['body', 'figure'].map(name => getComputedStyle(document.querySelector(name)).backgroundColor)"
        )
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] == colours["dark"][1] == "rgb(255, 255, 255)"  # figures are drawn on white


EDGES = """() => [...document.querySelectorAll('.equation .scroll, .output, .code pre')].map((e, i) => (e.id ||= 'edge-' + i, {
    id: e.id, more: e.scrollWidth > e.clientWidth + 1, visible: e.checkVisibility()}))"""


def darkness(page, id):
    """How much darker the left and the right edge of an element are than its ground, 0 to 255, whatever is written there."""
    picture = Image.open(io.BytesIO(page.locator(f"[id='{id}']").screenshot())).convert("L")
    pixels = np.asarray(picture, dtype=float)
    ground = np.median(pixels)
    return tuple(float(np.median(ground - pixels[:, at])) for at in (3, -4))


def test_what_scrolls_sideways_shows_it_at_the_side_where_there_is_more(built, page):
    page.goto((built / "02_thirds.html").as_uri())
    boxes = [box for box in page.evaluate(EDGES) if box["visible"]]
    wide = [box["id"] for box in boxes if box["more"]]
    assert (len(wide) == 2) == (page.viewport_size["width"] == 400)  # a long formula and its code
    for id in [box["id"] for box in boxes if not box["more"]]:
        assert max(darkness(page, id)) < 3, id
    for id in wide:
        left, right = darkness(page, id)
        assert left < 3 and right > 12, id
        page.evaluate("id => document.getElementById(id).scrollLeft = 1e6", id)
        left, right = darkness(page, id)
        assert left > 12 and right < 3, id


def test_the_search_finds_without_a_server_and_by_the_keyboard(built, page):
    fonts = "document.fonts.ready.then(() => true)"  # a page that is left before its font has come ends that request
    page.goto((built / "01_halves.html").as_uri())
    page.evaluate(fonts)
    page.locator(".top input").fill("adam")
    page.keyboard.press("Enter")  # a form of plain HTML leads to the page
    page.wait_for_url("**/search.html?q=adam")
    results = page.locator(".results a")
    assert results.first.inner_text() == "Adam" and "sections found" in page.locator("#found").inner_text()
    assert page.evaluate("document.activeElement.id") == "query"
    page.locator("#query").fill("multiply WHOLE")  # both words, in any case: a text of the first lesson
    assert results.all_inner_texts() == ["Two halves"] and page.locator("mark").inner_text() == "multiply"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Two halves"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.press("Enter")
    page.wait_for_url("**/01_halves.html#two-halves")
    page.evaluate(fonts)
    page.goto((built / "search.html").as_uri() + "?q=<b>nothing</b>")
    assert results.count() == 0 and page.locator("#found").inner_text() == "0 sections found"
    page.evaluate(fonts)
    page.goto((built / "zh" / "search.html").as_uri() + "?q=整体")
    assert results.all_inner_texts() == ["两个一半"] and page.locator("#found").inner_text() == "找到 1 节"
    assert page.trouble == [] and page.evaluate("document.documentElement.scrollWidth <= innerWidth")
