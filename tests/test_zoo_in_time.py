"""Models of films and sounds: losses by their formulas, and what is measured by what it is defined by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_zoo import BATCH, fixed, images, made, softplus, values  # noqa: F401

from minigan import data, gans, nn
from minigan.autodiff import Tensor, grad, tensor
from minigan.gans import enhancing, films, needs, sounds

RNG = np.random.default_rng(0)
FILMS = data.load("moving_shapes", n=400)
TONES = data.load("tones", n=600)


# -- films -----------------------------------------------------------------------------------------------------------
def test_vgan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("vgan", images, replay=False, config={"mask": 0.7})
    (x,) = feed(0)
    fixed(model, x)
    f, m, b = (part.numpy() for part in model.parts(BATCH))
    assert f.shape == x.shape and m.shape == (*x.shape[:-1], 1) and b.shape == (BATCH, 1, *x.shape[2:])
    assert abs(m.mean() - 1 / (1 + np.e**3)) < 0.01, "begins nearly closed"
    film = m * f + (1 - m) * b
    real, fake = (model.discriminator(each).numpy() for each in (x, film))
    b = fixed(model, x)
    wanted = softplus(-real).mean() + softplus(fake).mean()
    assert values(model.discriminator_loss(b)) == pytest.approx(wanted, rel=1e-5)
    b = fixed(model, x)
    assert values(model.generator_loss(b)) == pytest.approx(softplus(-fake).mean() + 0.7 * m.mean(), rel=1e-5)


def test_the_ground_of_a_vgan_rests_where_the_mask_is_closed(images: data.Dataset) -> None:  # noqa: F811
    model, _ = made("vgan", images, config={"closed": 30.0})
    x = model.sample(3)
    assert films.change(x) < 1e-6 < x.std()
    check = model.shown(2, 0)
    assert [each.shape for each in check] == [(2, *model.shape)] * 4


def test_mocogan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("mocogan", images, replay=False)
    (x,) = feed(0)
    rows = np.arange(BATCH)

    def drawn() -> tuple[np.ndarray, ...]:
        fixed(model, x)
        fake = model.generate(BATCH)
        return x, fake.numpy(), model.one_of(Tensor(x)).numpy(), model.one_of(fake).numpy()

    def of_g() -> tuple[np.ndarray, np.ndarray]:
        fixed(model, x)
        fake = model.generate(BATCH)
        return fake.numpy(), model.one_of(fake).numpy()

    real, fake, still, still_fake = drawn()
    assert still.shape == (BATCH, *x.shape[2:]) and all((x[i] == still[i]).all((1, 2, 3)).any() for i in rows)
    pictures, movies = model.of_pictures, model.of_films
    scores = [d(v).numpy() for d, v in ((pictures, still), (pictures, still_fake), (movies, real), (movies, fake))]
    wanted = sum(softplus(-r).mean() + softplus(f).mean() for r, f in (scores[:2], scores[2:]))
    assert values(model.discriminator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-5)
    fake, still_fake = of_g()
    wanted = softplus(-pictures(still_fake).numpy()).mean() + softplus(-movies(fake).numpy()).mean()
    assert values(model.generator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-5)


def test_a_content_is_the_same_in_all_pictures_and_a_motion_is_not(images: data.Dataset) -> None:  # noqa: F811
    model, _ = made("mocogan", images)
    rest = np.zeros((3, 8, model.config.motion), np.float32)
    with model.evaluating():
        still = model.filmed(model.contents(3), Tensor(rest)).numpy()
        path = model.motions(3).numpy()
    assert films.change(still) < 1e-6 and np.abs(np.diff(path, axis=1)).min() > 0
    crossed = model.crossed(np.array([0, 1, 0]), np.array([0, 0, 0]), 5)
    np.testing.assert_array_equal(crossed[0], crossed[2])
    assert (crossed[0] != crossed[1]).any()


def test_real_films_meet_the_checks_of_films_and_others_do_not() -> None:
    real, half = FILMS.x[:200], FILMS.x[200:]
    assert all(check.met for check in films.moving_checks(half, real))
    resting, mixed = np.repeat(half[:, :1], 8, axis=1), half[:, RNG.permutation(8)]
    noisy = half + 0.2 * RNG.normal(size=(200, 8, 1, 1, 1))
    missed = [
        {check.name.split(",")[0] for check in films.moving_checks(x, real) if not check.met}
        for x in (resting, mixed, noisy, np.zeros_like(half))
    ]
    line, ground = "centre off a straight line", "change of the ground"
    assert missed[0] == {"speed"} and line in missed[1] and missed[2] == {ground}
    assert {"films with a shape in every picture", line, ground} <= missed[3]


def test_interpolate(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("interpolate", images, replay=False, config={"l1": 3.0, "adversarial": 0.5})
    (x,) = feed(0)
    b = fixed(model, x)
    a, true, c = (each.numpy() for each in model.triples(b))
    assert a.shape == (BATCH * 6, *x.shape[2:])
    for start in range(3):  # film by film
        np.testing.assert_array_equal((a, true, c)[start][6:12], x[1, start : start + 6])
    fake = model.between(Tensor(a), Tensor(c)).numpy()
    logits = [model.discriminator(np.concatenate([a, b, c], axis=-1)).numpy() for b in (true, fake)]
    wanted = softplus(-logits[0]).mean() + softplus(logits[1]).mean()
    assert values(model.discriminator_loss(b)) == pytest.approx(wanted, rel=1e-5)
    wanted = 3 * np.abs(fake - true).mean() + 0.5 * softplus(-logits[1]).mean()
    assert values(model.generator_loss(b)) == pytest.approx(wanted, rel=1e-5)
    model.generator.load_state({name: 0 * v for name, v in model.generator.state().items()})
    np.testing.assert_allclose(model.between(a, c).numpy(), 0.98 * (a + c) / 2, atol=1e-5)  # without h it is the blend


def test_films_are_refilled_and_slowed() -> None:
    x = Tensor(np.arange(7.0).reshape(1, 7, 1, 1, 1) ** 2)
    blend = lambda a, c: (a + c) / 2  # noqa: E731
    assert films.refilled(x, blend).numpy().ravel().tolist() == [0, 2, 4, 10, 16, 26, 36]
    assert films.refilled(x[:, :6], blend).numpy().ravel().tolist() == [0, 2, 4, 10, 16, 25]
    assert films.slowed(x, blend).numpy().ravel().tolist() == [0, 0.5, 1, 2.5, 4, 6.5, 9]


@pytest.mark.parametrize("name", ["vgan", "mocogan"])
def test_films_that_cannot_be_quartered_are_refused_with_the_way_out(name: str) -> None:
    model = gans.get(name)
    for shape in ((6, 16, 16, 1), (8, 18, 16, 1)):
        with pytest.raises(gans.Unsuitable, match="--length 8 --size 16"):
            model(model.Config(), shape)


# -- sounds ----------------------------------------------------------------------------------------------------------
def test_pitches_are_heard_and_lengths_that_do_not_divide_are_refused() -> None:
    labels, real, half = np.asarray(TONES.y), TONES.x[:300], TONES.x[300:]
    pitches = sounds.pitches_of(TONES.x)
    assert sounds.total_variation(real, half, pitches) < 0.15 and len(pitches) == 8
    one = half[np.flatnonzero(labels[300:] == 3)]
    np.testing.assert_allclose(sounds.total_variation(real, one, pitches), 1 - (labels[:300] == 3).mean())
    np.testing.assert_array_equal(sounds.heard(real, pitches), labels[:300])
    silent = np.zeros((5, 1024, 1), np.float32)
    assert sounds.total_variation(real, silent, pitches) == 1 and len(sounds.pitches_of(silent)) == 1
    model = gans.get("wavegan")
    built = model(model.Config(features=2, batch_size=8), needs.Facts({"x": (1024, 2)}, rates={"x": 100.0}))
    assert built.sample(3).shape == (3, 1024, 2) and sounds.lengths(1024) == [1024, 256, 64, 16]
    assert sum(isinstance(m, nn.PhaseShuffle) for _, m in built.discriminator.modules()) == 2
    for length in (1000, 16, 1026):
        with pytest.raises(gans.Unsuitable, match="--length 1024"):
            model(model.Config(features=2), needs.Facts({"x": (length, 1)}))


@pytest.mark.parametrize("name", ["wavegan", "cwavegan"])
def test_wavegans_lose_as_wgan_gp(name: str, images: data.Dataset) -> None:  # noqa: F811
    """The critic's loss is the difference of means, the generator's minus one of them, the penalty 10 (|slope| - 1)^2."""
    model, feed = made(name, images, replay=False)
    batch = feed(0)[0]
    model.discriminator.eval()  # no phase moves
    told: tuple[Any, ...] = (batch["y"],) if name == "cwavegan" else ()
    x = batch["x"] if told else batch

    def score(v: Any) -> np.ndarray:
        return (model.score(*told, Tensor(np.asarray(v))) if told else model.discriminator(v)).numpy()

    b = fixed(model, batch)
    fake = (model.generate(BATCH, b.y) if told else model.fake(BATCH, "noise for the discriminator")).numpy()
    d = values(model.discriminator_loss(fixed(model, batch)))
    np.testing.assert_allclose(d, score(fake).mean() - score(x).mean(), rtol=1e-4, atol=1e-6)
    b = fixed(model, batch)
    fake = (model.generate(BATCH, b.y) if told else model.fake(BATCH, "noise for the generator")).numpy()
    np.testing.assert_allclose(
        values(model.generator_loss(fixed(model, batch))), -score(fake).mean(), rtol=1e-4, atol=1e-6
    )
    assert model.config.gp == 10
    lazy = next(p for phase in model.game.phases for p in phase.players if p.name == "discriminator").lazy
    assert [term.name for term in lazy] == ["gp"]


def test_the_penalty_of_cwavegan_holds_the_class(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("cwavegan", images, replay=False)
    model.discriminator.eval()
    b = fixed(model, feed(0)[0])
    fake = model.generate(BATCH, b.y).numpy()
    u = model.random.uniform((BATCH,), stream="gradient penalty").numpy()[:, None, None]
    x = tensor(u * b.x.numpy() + (1 - u) * fake, requires_grad=True)
    slopes = grad(model.score(b.y, x).sum(), x).numpy().reshape(BATCH, -1)
    wanted = 10 * np.square(np.linalg.norm(slopes, axis=1) - 1).mean()
    assert values(model.penalty(fixed(model, feed(0)[0]))) == pytest.approx(wanted, rel=1e-4)


def test_segan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("segan", images, replay=False, config={"l1": 3.0, "adversarial": 0.5})
    (x,) = feed(0)
    b = fixed(model, x)
    y, std = model.noisy(b)
    noise = (y.numpy() - x) / std.numpy()
    ratios = 10 * np.log10(np.square(x).mean(axis=(1, 2)) / np.square(std.numpy()[:, 0, 0]))
    assert noise.std() == pytest.approx(1, abs=0.03) and set(np.round(ratios, 3)) == {0, 5, 10, 15}
    fake = model.enhanced(y).numpy()
    scores = [model.discriminator(np.concatenate([each, y.numpy()], axis=-1)).numpy() for each in (x, fake)]
    wanted = 0.5 * np.square(scores[0] - 1).mean() + 0.5 * np.square(scores[1]).mean()
    assert values(model.discriminator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-4)
    wanted = 3 * np.abs(fake - x).mean() + 0.25 * np.square(scores[1] - 1).mean()
    assert values(model.generator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-4)


def test_a_wiener_filter_keeps_what_is_loud_and_its_gain_is_that_of_its_formula() -> None:
    x, std = TONES.x[:40], np.full(40, 0.2)
    y = x + 0.2 * RNG.normal(size=x.shape)
    gained = (enhancing.signal_to_noise(enhancing.wiener(y, std), x) - enhancing.signal_to_noise(y, x)).mean()
    assert gained > 5
    np.testing.assert_allclose(enhancing.wiener(y, 0 * std), y, atol=1e-9)  # without noise it is the identity
    assert np.abs(enhancing.wiener(y[:, :700], 1e3 * std)).max() == 0 and len(enhancing.wiener(y, std)[0]) == 1024
    noise = enhancing.wiener(0.2 * RNG.normal(size=x.shape), std)
    assert noise.std() < 0.2 * 0.5
    half = enhancing.signal_to_noise(0.5 * x, x)
    np.testing.assert_allclose(half, 10 * np.log10(4), rtol=1e-6)
    assert enhancing.signal_to_noise(x, x).max() == pytest.approx(100)
