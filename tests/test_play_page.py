"""The site's page without a server: its JavaScript makes the engine's numbers, and it trains."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

import minigan as mg
from minigan import losses, nn, optim
from minigan.autodiff import Tensor
from minigan.data import mode_statistics
from minigan.lessons import frame
from minigan.lessons.sources import Sources
from minigan.theory import dynamics
from minigan.theory.dirac import DiracGAN

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page, alone, as the site has it."""
    folder = tmp_path_factory.mktemp("play")
    made = frame.Site([], Sources(folder), frame.templates())
    made.templates.globals |= dict.fromkeys(
        ("articles_exist", "errata_exist", "identities_exist", "glossary_exists"), False
    )
    made.render("play.html", "play.html")
    for name, text in made.files.items():
        (folder / name).write_text(text)
    for name in ("style.css", "play.css", "play.js"):
        (folder / name).write_text(resources.files("minigan.lessons").joinpath("templates", name).read_text())
    return (folder / "play.html").as_uri()


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    trouble = []
    page.on("console", lambda message: "fonts/" in message.location["url"] or trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or trouble.append(asked.url))
    page.goto(address)
    yield page
    assert trouble == []
    page.close()


@pytest.mark.parametrize("loss", ["non_saturating", "minimax", "wasserstein"])
@pytest.mark.parametrize("rule", ["simultaneous", "alternating"])
def test_the_dirac_gan_is_the_theorys(page, loss, rule):
    game = DiracGAN(loss=loss, regularizer="r1", gamma=0.3)
    said = {"loss": loss, "gamma": 0.3, "rule": rule, "step": 0.1}
    path = page.evaluate(
        """s => { const path = [[1, 0.5]];
            for (let i = 0; i < 20; i++) path.push(GAN.diracStep(path.at(-1), s));
            return path; }""",
        said,
    )
    assert np.allclose(path, game.path(getattr(dynamics, rule), 1.0, 0.5, steps=20, step=0.1), atol=1e-12)
    assert np.allclose(page.evaluate("s => GAN.diracField(0.4, -1.5, s)", said), game.field(0.4, -1.5), atol=1e-12)
    found = page.evaluate("s => GAN.diracEigenvalues(s)", said)
    key = lambda v: (v.imag, v.real)  # noqa: E731
    assert np.allclose(sorted((complex(*v) for v in found), key=key), sorted(game.eigenvalues(), key=key), atol=1e-12)


def test_a_step_on_the_ring_is_the_engines(page):
    """Three steps of both players with Adam, in float64: losses and all weights."""
    random, source = np.random.default_rng(0), mg.random.Source(seed=0)
    G = nn.Sequential(nn.Dense(2, 6, activation="relu"), nn.Dense(6, 5, activation="relu"), nn.Dense(5, 2))
    D = nn.Sequential(nn.Dense(2, 6, activation="leaky_relu"), nn.Dense(6, 5, activation="leaky_relu"), nn.Dense(5, 1))
    for name, network in (("G", G), ("D", D)):
        network.initialize(source, name).astype(np.float64)

    def layers(network):
        return [{"weight": each.weight.numpy().tolist(), "bias": each.bias.numpy().tolist()} for each in network.layers]

    began = {"G": {"layers": layers(G), "slope": 0}, "D": {"layers": layers(D), "slope": 0.2}}
    batches = random.standard_normal((3, 3, 8, 2))
    adam = {"lr": 0.01, "beta1": 0.5, "beta2": 0.99}
    now = {}
    pair = losses.non_saturating
    game = mg.Game(
        [
            mg.Player(
                "D", lambda: pair.discriminator(D(Tensor(now["x"])), D(G(Tensor(now["d"])))), optim.Adam(D, **adam)
            ),
            mg.Player("G", lambda: pair.generator(D(G(Tensor(now["g"])))), optim.Adam(G, **adam)),
        ]
    )
    own = []
    for x, d, g in batches:
        now.update(x=x, d=d, g=g)
        own.append([value.item() for value in game.step().values()])
    said, ended = page.evaluate(
        """([game, batches, options]) => [
            batches.map(([x, d, g]) => GAN.step(game, x, d, g, options)), [game.G.layers, game.D.layers]]""",
        [began, batches.tolist(), adam],
    )
    assert np.allclose(said, own, atol=1e-12)
    for theirs, ours in zip(ended, (layers(G), layers(D)), strict=True):
        for a, b in zip(theirs, ours, strict=True):
            assert np.allclose(a["weight"], b["weight"], atol=1e-10) and np.allclose(a["bias"], b["bias"], atol=1e-10)


def test_modes_are_counted_as_the_engine_counts(page):
    ring = mg.data.load("ring8", n=200)
    points = np.concatenate([ring.x[ring.y < 5], np.random.default_rng(0).standard_normal((100, 2))]).astype(np.float64)
    assert np.allclose(page.evaluate("GAN.modes"), ring.modes, atol=1e-12)
    known = mode_statistics(points, ring.modes, ring.sigma)
    assert page.evaluate("p => GAN.covered(p, 0.02)", points.tolist()) == [known["modes"], known["good"]]


def test_chance_is_normal_and_repeats(page):
    drawn = np.array(page.evaluate("[...Array(4000)].map((r => () => r.normal())(GAN.random(1)))"))
    assert abs(drawn.mean()) < 0.06 and abs(drawn.std() - 1) < 0.04
    assert drawn[:3].tolist() == page.evaluate("[...Array(3)].map((r => () => r.normal())(GAN.random(1)))")


def test_the_controls(page):
    page.click("#dirac-one")
    assert page.inner_text("#dirac-said").startswith("step 1:")
    page.focus("#dirac-gamma")
    page.keyboard.press("End")
    assert "rest point -0.134, -1.866" in page.inner_text("#dirac-said")
    page.click("#ring-play")
    page.wait_for_function("Number(document.querySelector('#ring-said').textContent.match(/step (\\d+)/)[1]) > 20")
    page.click("#ring-play")
    assert "L_D" in page.inner_text("#ring-said")
    page.click("#ring-again")
    assert page.inner_text("#ring-said").startswith("step 0:")
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
