"""Image to image: each model's losses against the paper's formulas, networks, and what is measured of translations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_zoo import BATCH, fixed, images, log_softmax, made, softplus, values  # noqa: F401 (a fixture)

import minigan as mg
from minigan import data, optim
from minigan.autodiff import Tensor
from minigan.gans import domains
from minigan.gans.latents import Posterior
from minigan.gans.protocol import Unsuitable
from minigan.gans.translators import PatchGAN, ResNet, UNet, halvings, receptive_field
from minigan.metrics.texture import texture_distance
from minigan.switches import no_grad

joined = lambda *parts: np.concatenate([np.asarray(getattr(p, "data", p)) for p in parts], axis=-1)  # noqa: E731


def test_pix2pix(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("pix2pix", images, replay=False, config={"l1": 7.0, "adversarial": 0.5, "dropout": 0.0})
    (batch,) = feed(0)
    b = fixed(model, batch)
    fake = model.generator(b.a)
    l_real, l_fake = (model.discriminator(joined(batch["a"], y)).numpy() for y in (batch["b"], fake.numpy()))
    assert l_real.shape == (BATCH, 2, 2, 1)
    wanted = 0.5 * (softplus(-l_real).mean() + softplus(l_fake).mean())
    assert values(model.discriminator_loss(b)) == pytest.approx(wanted, rel=1e-5)
    apart = np.abs(fake.numpy() - batch["b"]).mean()
    assert values(model.generator_loss(b)) == pytest.approx(0.5 * softplus(-l_fake).mean() + 7 * apart, rel=1e-5)
    beside = model.modules["l1_generator"](b.a).numpy()
    assert values(model.l1_loss(b)) == pytest.approx(np.abs(beside - batch["b"]).mean(), rel=1e-5)


def test_cyclegan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("cyclegan", images, replay=False, config={"cycle": 3.0, "identity": 0.2, "pool": 0})
    (batch,) = feed(0)
    x = fixed(model, batch)
    a, b, there, back = batch["a"], batch["b"], model.G(x.a), model.F(x.b)
    l1 = lambda p, q: np.abs(p.numpy() - q).mean()  # noqa: E731
    cycle = l1(model.F(there), a) + l1(model.G(back), b)
    identity = l1(model.G(x.b), b) + l1(model.F(x.a), a)
    game = ((model.D_b(there).numpy() - 1) ** 2).mean() + ((model.D_a(back).numpy() - 1) ** 2).mean()
    loss, said = model.generator_loss(x)
    assert loss.item() == pytest.approx(game + 3 * cycle + 0.6 * identity, rel=1e-5)
    assert said["cycle_loss"].item() == pytest.approx(cycle, rel=1e-5)
    wanted = sum(
        0.5 * ((d(real).numpy() - 1) ** 2).mean() + 0.5 * (d(fake).numpy() ** 2).mean()
        for d, real, fake in ((model.D_a, a, back), (model.D_b, b, there))
    )
    assert values(model.discriminator_loss(x)) == pytest.approx(wanted, rel=1e-5)


def test_a_rate_that_rests_before_it_falls() -> None:
    rate = optim.linear(2.0, steps=10, hold=6)
    assert [rate(t) for t in (0, 6, 8, 10, 12)] == [2, 2, 1, 0, 0]
    with pytest.raises(ValueError, match="hold 10 of 10 steps"):
        optim.linear(2.0, steps=10, hold=10)


def test_discogan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("discogan", images, replay=False, config={"weight": 2.0})
    (batch,) = feed(0)
    x = fixed(model, batch)
    there, back = model.G(x.a), model.F(x.b)
    again = ((model.F(there).numpy() - batch["a"]) ** 2).mean() + ((model.G(back).numpy() - batch["b"]) ** 2).mean()
    game = softplus(-model.D_b(there).numpy()).mean() + softplus(-model.D_a(back).numpy()).mean()
    assert values(model.generator_loss(x)) == pytest.approx(game + 2 * again, rel=1e-5)
    wanted = sum(
        softplus(-d(real).numpy()).mean() + softplus(d(fake).numpy()).mean()
        for d, real, fake in ((model.D_a, batch["a"], back), (model.D_b, batch["b"], there))
    )
    assert values(model.discriminator_loss(x)) == pytest.approx(wanted, rel=1e-5)


def test_cogan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("cogan", images, replay=False)
    (batch,) = feed(0)
    x = fixed(model, batch)
    fakes = model.pairs(BATCH)
    logits = lambda y, name: model.head(model.seen(y, name)).numpy()  # noqa: E731
    pairs = [(logits(batch[n], n), logits(f, n)) for n, f in zip("ab", fakes, strict=True)]
    game = sum(softplus(-real).mean() + softplus(fake).mean() for real, fake in pairs)
    told = log_softmax(model.reader(model.seen(x.a, "a")).numpy())
    wrong = -told[np.arange(BATCH), batch["y"]].mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(game + wrong, rel=1e-5)
    wanted = sum(softplus(-fake).mean() for _, fake in pairs)
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    own = {id(t) for net in ("g_a", "g_b") for t in model.modules[net].parameters().values()}
    assert len(own) == 4  # one stage each is private: weight and bias


def test_pixelda(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("pixelda", images, replay=False, config={"task": 0.3, "dropout": 0.0})
    (batch,) = feed(0)
    x, y = fixed(model, batch), batch["y"]
    fake = model.generate(BATCH, x.a)
    l_real, l_fake = model.discriminator(x.b).numpy(), model.discriminator(fake).numpy()
    cross = lambda of, name="classifier": -log_softmax(model.modules[name](of).numpy())[np.arange(BATCH), y].mean()  # noqa: E731
    wanted = softplus(-l_real).mean() + softplus(l_fake).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    task = cross(fake) + cross(x.a)
    assert values(model.task_loss(fixed(model, batch))) == pytest.approx(task, rel=1e-5)
    wanted = softplus(-l_fake).mean() + 0.3 * task
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    assert values(model.alone_loss(x)) == pytest.approx(cross(x.a, "alone"), rel=1e-5)


def test_bicyclegan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("bicyclegan", images, replay=False, config={"l1": 3.0, "kl": 0.1, "code": 0.7})
    (batch,) = feed(0)
    x = fixed(model, batch)
    again, q = model.coded(x)
    z = model.random.normal(q.mean.shape, stream="z")
    wide = model.generator(x.a, z)
    code = np.abs(Posterior.of(model.encoder(wide)).mean.numpy() - z.numpy()).mean()
    game = ((model.D_v(again).numpy() - 1) ** 2).mean() + ((model.D_r(wide).numpy() - 1) ** 2).mean()
    mean, log_var = q.mean.numpy(), q.log_var.numpy()
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(1).mean()
    wanted = game + 3 * np.abs(again.numpy() - batch["b"]).mean() + 0.1 * kl + 0.7 * code
    assert values(model.generator_encoder_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    wanted = sum(
        0.5 * ((d(x.b).numpy() - 1) ** 2).mean() + 0.5 * (d(fake).numpy() ** 2).mean()
        for d, fake in ((model.D_v, again), (model.D_r, wide))
    )
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)


def test_the_encoder_does_not_hear_of_the_codes_error(images: data.Dataset) -> None:  # noqa: F811
    """By section 3.4 of the paper; all else that reaches it is off here but the game, which a constant D silences."""
    model, feed = made("bicyclegan", images, replay=False, config={"l1": 0.0, "kl": 0.0, "code": 5.0})
    for name in ("D_v", "D_r"):
        for t in model.modules[name].parameters().values():
            t.assign(0 * t.data)
    loss, _ = model.generator_encoder_loss(fixed(model, feed(0)[0]))
    of_e = mg.grad(loss, list(model.encoder.parameters().values()))
    of_g = mg.grad(
        model.generator_encoder_loss(fixed(model, feed(0)[0]))[0], list(model.generator.parameters().values())
    )
    assert max(np.abs(g.data).max() for g in of_e) == 0 < max(np.abs(g.data).max() for g in of_g)


def test_style(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("style", images, replay=False, config={"weight": 3.0, "smooth": 0.2, "judging": 2})
    (batch,) = feed(0)
    (later,), (kept,) = feed(1), feed(2)
    assert not np.array_equal(later["a"], batch["a"]) and all(np.array_equal(kept[n], batch[n]) for n in "ab")
    x = fixed(model, batch)
    a, b = batch["a"], batch["b"]
    start = np.tanh(np.arctanh(0.98 * a) + model.canvas.change.numpy())
    assert np.allclose(model.sample(BATCH + 3), np.concatenate([start, start[:3]]), atol=1e-5)  # and begins again
    features = lambda y: [f.numpy().astype(np.float64) for f in model.seen(Tensor(y))]  # noqa: E731
    assert [f.shape for f in features(a)] == [(BATCH, 8, 8, 32), (BATCH, 4, 4, 64)]
    share = lambda p, q: (np.square(p - q).reshape(BATCH, -1).sum(1) / np.square(q).reshape(BATCH, -1).sum(1)).mean()  # noqa: E731
    grams = lambda y: [np.einsum("nhwi,nhwj->nij", f, f) / (f.shape[1] * f.shape[2]) for f in features(y)]  # noqa: E731
    content = share(features(start)[1], features(a)[1])
    style = np.mean([share(g, w) for g, w in zip(grams(start), grams(b), strict=True)])
    rough = sum(np.abs(np.diff(start, axis=axis)).mean() for axis in (1, 2))
    assert values(model.image_loss(x)) == pytest.approx(content + 3 * style + 0.2 * rough, rel=1e-4)
    told = [log_softmax(model.judge(y).numpy())[:, label] for label, y in enumerate((a, b))]
    assert values(model.judge_loss(x)) == pytest.approx(-sum(t.mean() for t in told), rel=1e-5)
    assert model.metrics({})["loss"] == pytest.approx(content + 3 * style, rel=1e-4)


# -- networks --------------------------------------------------------------------------------------------------------
def test_a_patch_is_as_large_as_its_receptive_field() -> None:
    assert receptive_field([(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]) == 70
    net = PatchGAN(1, 3, norm=None).astype(np.float64).initialize(1, "D")
    x = mg.tensor(np.random.default_rng(0).normal(size=(1, 48, 48, 1)), requires_grad=True)
    felt = np.abs(mg.grad(net(x)[0, 6, 6, 0], x).data[0, :, :, 0]) > 0
    assert {int(felt.any(axis).sum()) for axis in (0, 1)} == {receptive_field(PatchGAN.convolutions)} == {22}


@pytest.mark.parametrize("side", [6, 8, 28, 64, 128])
def test_networks_keep_the_size_of_images(side: int) -> None:
    x = Tensor(np.zeros((2, side, side, 3), np.float32))
    with no_grad():
        assert UNet(x.shape[1:], 1, 2, inputs=2)(x, Tensor(np.ones((2, 2), np.float32))).shape == (2, side, side, 1)
        assert ResNet(x.shape[1:], 1, 2, 1)(x).shape == (2, side, side, 1)
    assert side >> halvings((side, side, 3)) in (3, 4, 7)


def test_what_does_not_fit_is_refused(images: data.Dataset) -> None:  # noqa: F811
    with pytest.raises(Unsuitable, match=r"got images of shape \(7, 8, 1\), expected even height and width"):
        UNet((7, 8, 1), 1, 2)
    model: Any = mg.gans.get("cyclegan")
    with pytest.raises(Unsuitable, match="expected one height and one width"):
        model(model.Config(features=2), mg.gans.base.Facts({"a": (8, 8, 1), "b": (12, 12, 1)}))


def test_a_texture_is_told_by_its_filters_and_not_by_its_places() -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, (40, 16, 16, 1)).astype(np.float32)
    lines = np.broadcast_to(np.sign(np.sin(np.arange(16) * 1.6))[None, :, None, None], noise.shape).astype(np.float32)
    here, there = noise[:20], noise[20:]
    assert texture_distance(here, here) == 0
    assert texture_distance(here, there) < 0.05 * texture_distance(here, lines)
    assert texture_distance(lines, np.roll(lines, 3, axis=1)) < 0.2 * texture_distance(
        lines, lines.transpose(0, 2, 1, 3)
    )
    assert texture_distance(noise[:7], noise[7:]) == pytest.approx(texture_distance(noise[7:], noise[:7]))
    with pytest.raises(ValueError, match="sides of at least 5"):
        texture_distance(noise[:, :4], noise)


# -- what is measured ------------------------------------------------------------------------------------------------
def test_modes_and_correlation_of_known_translations() -> None:
    flat = lambda *levels: np.stack([np.full((4, 4, 1), v) for v in levels])  # noqa: E731
    assert domains.modes_each(np.stack([flat(0, 0.05, 1, 1.02), flat(0, 0, 0, 0)]), 0.2) == 1.5
    z = np.random.default_rng(0).normal(size=(50, 2))
    assert domains.correlation(z, 3 * z + 1) == pytest.approx(1) and domains.correlation(z, 0 * z) == 0
    assert domains.correlation(z, np.stack([z[:, 0], -z[:, 1]], axis=1)) == pytest.approx(0, abs=1e-12)


def test_rows_of_grey_and_colour() -> None:
    grey, colour = np.zeros((3, 4, 4, 1)), np.ones((3, 4, 4, 3))
    picture = domains.rows(grey, colour)
    assert picture.columns == 3 and picture.examples.shape == (6, 4, 4, 3)
    assert domains.fitted_to(colour, 1).shape[-1] == 1 and domains.fitted_to(grey, 3).shape[-1] == 3
