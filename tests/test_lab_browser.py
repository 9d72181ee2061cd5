"""The lab's page in a browser: each control does what it says, numbers are the engine's, nothing leaves the machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.browser
OVERFLOW = """() => [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !e.closest('pre, .skip');
}).map(e => e.outerHTML.slice(0, 80))"""
WAIT = 60_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from minigan.cli import main

    folder = tmp_path_factory.mktemp("lab") / "run"
    assert main(["train", "toy", "--steps", "12", "--batch-size", "32", "--set", "width=8", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def address(run):
    """Of a lab that shows a run, with the other scenes beside it."""
    lab = subprocess.Popen(
        [sys.executable, "-m", "minigan", "lab", str(run), "--no-browser"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    yield re.search(r"http\S+", lab.stdout.readline())[0]
    lab.send_signal(signal.SIGINT)
    assert lab.wait(timeout=30) == 130


@pytest.fixture
def page(browser, address):
    """A page of the lab, whose `trouble` lists messages on the console, and requests that failed or went elsewhere."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.trouble = []
    page.on("console", lambda message: page.trouble.append(message.text))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith((address, "data:")) or page.trouble.append(asked.url))
    page.goto(address)
    page.wait_for_selector("#scenes button", timeout=WAIT)
    yield page
    assert page.trouble == []
    page.close()


def until(page, expression):
    """Wait for it to hold. (Playwright's own way evaluates a string inside the page, which the page's policy forbids.)"""
    for _ in range(WAIT // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def scene(page, name, ready):
    page.click(f"[data-scene={name}]")
    page.wait_for_selector(ready, timeout=WAIT)


def points(page):
    scene(page, "points", ".points .facts dd")
    if "Pause" in page.inner_text("#play"):
        page.click("#play")
    page.click("#restart")
    at(page, 0)


def at(page, step):
    until(page, f"document.querySelector('#plane-A')?.closest('.run').dataset.step === '{step}'")


def series(page, canvas):
    """The lines of a chart, as it has drawn them: {name: [[step, value], ...]}."""
    return {s["name"]: s["points"] for s in page.evaluate(f"document.querySelector('{canvas}').series")}


def test_steps_losses_and_charts_are_the_engines(page):
    from minigan.lab.experiment import Experiment

    points(page)
    own, said = Experiment(), []
    for k in range(3):
        page.click("#step-both")
        at(page, k + 1)
        own.step()
        said.append((k + 1, own.losses["discriminator"], own.losses["generator"]))
    until(page, "document.querySelector('#losses-A').series[0].points.length === 3")
    drawn = series(page, "#losses-A")
    assert drawn["L_D"] == [[k, d] for k, d, _ in said] and drawn["L_G"] == [[k, g] for k, _, g in said]
    page.click("#step-d")
    at(page, 4)
    page.click("#step-g")
    at(page, 5)
    own.step("discriminator")
    own.step("generator")
    until(page, "document.querySelector('#losses-A').series[0].points.length === 5")
    assert series(page, "#losses-A")["L_G"][-1][1] == own.losses["generator"]


def test_true_numbers_are_the_engines(page):
    from minigan.lab import measures
    from minigan.lab.experiment import Experiment

    points(page)
    page.click("#step-both")
    at(page, 1)
    until(page, "document.querySelector('#distances-A').series[0].points.some(p => p[0] === 1)")
    own = Experiment()
    own.step()
    known = measures.measured(own)
    facts = "[...document.querySelectorAll('.facts div')].map(e => [e.children[0].textContent, e.children[1].dataset.value])"
    shown = {name: float(value) for name, value in page.evaluate(facts) if value}
    assert (
        shown["JSD(p, q)"] == known["jsd"]
        and shown["W1(p, q)"] == known["w1"]
        and shown["regret of D"] == known["regret"]
    )
    assert shown["modes"] == known["modes"]["modes"]
    values = page.evaluate(
        "[...document.querySelectorAll('.formula td[data-value]')].map(e => Number(e.dataset.value))"
    )
    assert [t["value"] for t in known["terms"] if t["player"] == "discriminator"] == values[:3]
    assert float(page.get_attribute(".charts [data-value]", "data-value")) <= 1


def test_play_pause_speed_rewind_and_keys(page):
    points(page)
    page.keyboard.press("s")
    at(page, 1)
    page.select_option("#speed", "0")
    page.click("#play")
    until(page, "Number(document.querySelector('.run').dataset.step) > 60")
    page.click("#play")
    until(page, "document.querySelector('#play').textContent.includes('Play')")
    page.focus("#rewind")
    page.keyboard.press("Home")
    at(page, 0)
    page.keyboard.press("g")
    until(page, "Number(document.querySelector('.run').dataset.step) === 1")
    page.select_option("#speed", "10")
    until(page, "location.hash.includes('rate')")
    page.select_option("#speed", "0")


def test_live_edits_wrong_ones_and_the_permalink(page, browser, address):
    points(page)
    page.click("#step-both")
    page.fill("#set-a", "0.5")
    page.press("#set-a", "Tab")
    page.wait_for_selector("#problem:not([hidden])", timeout=WAIT)
    assert (
        "expected them with loss=least_squares only" in page.inner_text("#problem")
        and page.input_value("#set-a") == "0"
    )
    page.select_option("#set-loss", "hinge")
    page.wait_for_selector("#problem", state="hidden", timeout=WAIT)
    until(page, "location.hash.includes('hinge')")
    link = page.url
    page.select_option("#set-loss", "non_saturating")
    until(page, "!location.hash.includes('hinge')")
    other = browser.new_page()  # a second tab, which follows the link; the first one sees it
    other.goto(link)
    until(page, "document.querySelector('#set-loss').value === 'hinge'")
    other.close()
    page.select_option("#set-loss", "non_saturating")
    until(page, "!location.hash")


def test_two_side_by_side_and_points_of_ones_own(page):
    points(page)
    page.click("#split")
    page.wait_for_selector("#plane-B", timeout=WAIT)
    page.select_option("#editing", "B")
    page.click(".drawing summary")
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 120, steps=8)
    page.mouse.up()
    page.click("#use-drawing")
    until(page, "document.querySelector('#set-data').value === 'drawn'")
    page.click("#step-both")
    at(page, 1)
    for choice in ("best", "slopes", "none", "map"):
        page.check(f"input[value={choice}]")
    page.check("input[value=best]")
    page.select_option("#set-loss", "relativistic_average")  # which has no D* that a formula gives
    until(page, "[...document.querySelectorAll('.legend')].some(e => e.textContent.includes('no D*: a score'))")
    page.select_option("#set-loss", "non_saturating")
    page.check("input[value=map]")
    page.check("input[name=grid]")
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate(OVERFLOW) == []
    page.set_viewport_size({"width": 1400, "height": 900})
    page.click("#split")
    page.wait_for_selector("#plane-B", state="detached", timeout=WAIT)


@pytest.mark.parametrize("width", [400, 1400])
def test_every_scene_fits(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name, ready in (("run", "#diagnosis"), ("points", ".points .facts dd"), ("dirac", "#phase")):
        scene(page, name, ready)
        assert page.evaluate(OVERFLOW) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_the_phase_plane(page):
    scene(page, "dirac", "#phase")
    until(page, "document.querySelectorAll('.dirac .facts dd').length === 8")
    page.select_option("#dirac-regularizer", "r1")
    until(page, "document.querySelector('.dirac p:not(.quiet):not(.legend)').textContent.includes('comes in')")
    box = page.locator("#phase").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    until(page, "Math.abs(document.querySelectorAll('.dirac .facts dd')[1].textContent - 1) < 0.02")
    page.click("#step-both")
    until(page, "document.querySelectorAll('.dirac .facts dd')[0].textContent === '1'")


def test_a_run_is_shown_and_diagnosed(page):
    scene(page, "run", "#picture")
    until(page, "document.querySelector('#picture').naturalWidth > 0")
    assert "toy on ring8, done, step 12 of 12" in page.inner_text(".viewer")
    assert series(page, "#run-losses")["discriminator"]
    page.click("#diagnose")
    until(page, "document.querySelector('#diagnosis').textContent.includes('step 12 of 12')")


def test_a_killed_trainer_is_said_and_started_again(page):
    points(page)
    pid = page.evaluate("""() => new Promise(done => { const s = new EventSource('events');
        s.addEventListener('process', e => { s.close(); done(JSON.parse(e.data).pid); }); })""")
    os.kill(pid, signal.SIGKILL)
    page.wait_for_selector("#start", timeout=WAIT)
    assert "has ended (-9)" in page.inner_text("#process")
    page.click("#start")
    page.wait_for_selector("#start", state="detached", timeout=WAIT)
    page.wait_for_selector("#diagnosis, .facts dd", timeout=WAIT)


def test_dark_and_light_differ(page):
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert found["light"] != found["dark"]
