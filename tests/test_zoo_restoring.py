"""Models that restore, enlarge and style: losses by their formulas, damages and pyramids by what they are defined by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from test_zoo import BATCH, fixed, images, made, softplus, values  # noqa: F401

from minigan import data, gans, ops
from minigan.autodiff import Tensor, grad, tensor
from minigan.gans import damage, pyramid
from minigan.gans.checks import RealData
from minigan.gans.denoise import tolerance
from minigan.gans.needs import Facts, Supply
from minigan.gans.restoring import quality, similarity
from minigan.gans.stylenets import octaves
from minigan.metrics.psnr import psnr
from minigan.random import Source

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("content", ["pixels", "features"])
def test_srgan(images: data.Dataset, content: str) -> None:  # noqa: F811
    model, feed = made("srgan", images, replay=False, config={"content": content, "adversarial": 0.3, "scale": 2})
    (batch,) = feed(0)
    b = fixed(model, batch)
    y = batch.reshape(BATCH, 4, 2, 4, 2, 1).mean((2, 4))
    assert np.allclose(model.damaged(b).numpy(), y, atol=1e-6)
    again, mine = model.resnet(y).numpy(), model.generator(y)
    assert again.shape == batch.shape and values(model.resnet_loss(b)) == pytest.approx(
        ((again - batch) ** 2).mean(), rel=1e-5
    )
    real, fake = (model.discriminator(x).numpy() for x in (batch, mine))
    assert real.shape == (BATCH, 2, 2, 1)
    wanted = softplus(-real).mean() + softplus(fake).mean()
    assert values(model.discriminator_loss(b)) == pytest.approx(wanted, rel=1e-5)
    phi = (lambda x: x) if content == "pixels" else (lambda x: model.discriminator.features(x).numpy())
    error = np.square(phi(batch) - phi(mine.numpy())).mean()
    assert values(model.generator_loss(b)) == pytest.approx(error + 0.3 * softplus(-fake).mean(), rel=1e-4)


def test_an_enlarger_that_adds_nothing_is_the_bilinear_interpolation(images: data.Dataset) -> None:  # noqa: F811
    model, _ = made("srgan", images, config={"scale": 4})
    model.resnet.tail.weight.assign(0.0)
    y = RNG.uniform(-1, 1, (2, 2, 2, 1)).astype(np.float32)
    assert np.allclose(model.resnet(y).numpy(), 0.98 * data.resize(y, 8, filter="bilinear"), atol=1e-5)


def test_denoise(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("denoise", images, replay=False, config={"adversarial": 0.3, "sigma": 0.1})
    (batch,) = feed(0)
    b = fixed(model, batch)
    noise = model.damaged(b).numpy() - batch
    assert noise.std() == pytest.approx(0.2, rel=0.1)
    made_of = model.generator(batch + noise)
    fake, wanted = model.discriminator(made_of).numpy(), np.square(made_of.numpy() - batch).mean()
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(
        wanted + 0.3 * softplus(-fake).mean(), rel=1e-4
    )


def test_the_quality_of_noise_is_its_formula_and_does_not_depend_on_the_images(images: data.Dataset) -> None:  # noqa: F811
    for sigma in (0.05, 0.25, 1.0):
        model, _ = made("denoise", images, config={"sigma": sigma})
        low, high = map(float, tolerance(images.x.size).split(" to "))
        for x in (images.x, np.zeros_like(images.x)):
            assert low < model.noisy_quality(x, 3) + 20 * np.log10(sigma) < high


def test_blur_is_scipys_inside() -> None:
    x = RNG.normal(size=(2, 20, 18, 3))
    wanted = gaussian_filter(x, (0, 1.3, 1.3, 0), mode="constant", truncate=3)
    assert np.allclose(damage.blurred(Tensor(x), 1.3).numpy(), wanted, atol=1e-3)
    assert np.allclose(damage.blurred(Tensor(np.ones((1, 20, 20, 2))), 1.0).numpy()[:, 5:15, 5:15], 1)


def test_inpaint(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("inpaint", images, replay=False, config={"adversarial": 0.25})
    (batch,) = feed(0)
    b = fixed(model, batch)
    inside = np.zeros((8, 8), bool)
    inside[2:6, 2:6] = True
    y = model.damaged(b)
    assert np.array_equal(y.numpy()[..., 1] > 0, np.broadcast_to(inside, (BATCH, 8, 8)))
    hidden, made_of = y.numpy()[..., :1], model.restored(y, model.generator).numpy()
    assert (hidden[:, inside] == 0).all() and (hidden[:, ~inside] == batch[:, ~inside]).all()
    assert (made_of[:, ~inside] == batch[:, ~inside]).all() and (made_of[:, inside] != batch[:, inside]).all()
    error = np.abs(made_of - batch)[:, inside].mean()
    wanted = 0.75 * error + 0.25 * softplus(-model.discriminator(made_of).numpy()).mean()
    assert values(model.generator_loss(b)) == pytest.approx(wanted, rel=1e-4)


def test_the_nearest_seen_pixel_fills_a_hole() -> None:
    x = np.arange(36.0).reshape(1, 6, 6, 1)
    inside = np.zeros((6, 6), bool)
    inside[1:4, 2:5] = True
    filled = damage.nearest(x, inside)[0, :, :, 0]
    assert (filled[~inside] == x[0, :, :, 0][~inside]).all()
    assert filled[1, 2] == 2 and filled[2, 2] == 13 and filled[2, 4] == 17 and filled[3, 3] == 27


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_pyramid_is_put_together_again(levels: int) -> None:
    x = np.tanh(RNG.normal(size=(3, 16, 24, 2))).astype(np.float32)
    small, details = pyramid.taken_apart(Tensor(x), levels)
    assert small.shape == (3, 16 >> levels, 24 >> levels, 2) and len(details) == levels
    assert np.allclose(small.numpy(), pyramid.down(Tensor(x), levels).numpy(), atol=1e-6)
    assert np.abs(pyramid.put_together(small, details).numpy() - x).max() < 1e-6
    flat = pyramid.taken_apart(Tensor(np.full((1, 8, 8, 1), 0.5)), 1)[1][0].numpy()
    assert np.allclose(flat, 0)  # an image without detail has none


def test_lapgan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("lapgan", images, replay=False)
    (batch,) = feed(0)
    for network in model.modules.values():
        network.eval()  # without dropout
    b = fixed(model, batch)
    low = pyramid.up(pyramid.down(b, 1)).numpy()
    plane = model.random.normal((BATCH, 8, 8, 1), stream="plane 0").numpy()
    fake = low + model.g0(low, plane).numpy()
    real, made_of = (model.d0(np.concatenate([x, low], axis=-1)).numpy() for x in (batch, fake))
    b = fixed(model, batch)
    assert values(model.discriminator_loss(0, b)) == pytest.approx(
        softplus(-real).mean() + softplus(made_of).mean(), rel=1e-5
    )
    b = fixed(model, batch)
    assert values(model.generator_loss(0, b)) == pytest.approx(softplus(-made_of).mean(), rel=1e-5)
    b = fixed(model, batch)
    coarse = model.coarse(BATCH).numpy()
    logit = model.d1(coarse).numpy()
    assert values(model.generator_loss(1, fixed(model, batch))) == pytest.approx(softplus(-logit).mean(), rel=1e-5)
    assert coarse.shape == (BATCH, 4, 4, 1)


def test_stackgan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("stackgan", images, replay=False, config={"kl": 0.3})
    (batch,) = feed(0)
    b = fixed(model, batch)
    small, large, laws = model.stages(b.y)
    assert small.shape == (BATCH, 4, 4, 1) and large.shape == (BATCH, 8, 8, 1)
    half = batch["x"].reshape(BATCH, 4, 2, 4, 2, 1).mean((2, 4))
    judged = {1: (half, small.numpy()), 2: (batch["x"], large.numpy())}
    for s, both in judged.items():
        real, fake = (model.modules[f"d{s}"](x, b.y).numpy() for x in both)
        wanted = softplus(-real).mean() + softplus(fake).mean()
        assert values(model.discriminator_loss(s, fixed(model, batch))) == pytest.approx(wanted, rel=1e-4)
        mean, log_var = laws[s].mean.numpy(), laws[s].log_var.numpy()
        kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(1).mean()
        wanted = softplus(-fake).mean() + 0.3 * kl
        assert values(model.generator_loss(s, fixed(model, batch))) == pytest.approx(wanted, rel=1e-4)


def test_stylegan(images: data.Dataset) -> None:  # noqa: F811
    model, feed = made("stylegan", images, replay=False, config={"r1": 3.0})
    (batch,) = feed(0)
    b = fixed(model, batch)
    fake = model.mixed(BATCH)
    real, made_of = (model.discriminator(x).numpy() for x in (batch, fake.numpy()))
    wanted = softplus(-real).mean() + softplus(made_of).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(softplus(-made_of).mean(), rel=1e-5)
    x = tensor(batch, requires_grad=True)
    slope = grad(ops.sum(model.discriminator(x)), [x])[0].numpy()
    assert values(model.r1(b)) == pytest.approx(1.5 * np.square(slope).sum() / BATCH, rel=1e-5)


def test_a_share_of_the_images_has_two_styles_with_one_change(images: data.Dataset) -> None:  # noqa: F811
    seen = []
    model, _ = made("stylegan", images, replay=False, config={"mixing": 0.5})
    model.random.advance(1)
    first, second = model.w(200).numpy(), model.w(200, "another z").numpy()
    model.synthesis.forward = lambda styles, share=None: seen.extend(styles) or Tensor(np.zeros((200, 8, 8, 1)))
    model.random.advance(1)
    model.mixed(200)
    of_first = np.stack([(w.numpy() == first).all(1) for w in seen])
    of_second = np.stack([(w.numpy() == second).all(1) for w in seen])
    assert (of_first ^ of_second).all() and of_first[0].all()
    assert (of_first[:-1] >= of_first[1:]).all()  # once changed it stays so
    assert 0.3 < of_second.any(0).mean() < 0.7


def test_stylegans_parts(images: data.Dataset) -> None:  # noqa: F811
    model, _ = made("stylegan", images, config={"slower": 0.01, "lr": 0.002, "ema": 0.0})
    (generator,) = (p for p in model.game.players if p.name == "generator")
    assert generator.optimizer.options == {"mapping": {"lr": pytest.approx(2e-5)}}
    one = model.sample(3, seed=1, truncation=0.0, noise=0.0)
    assert np.allclose(one, one[:1], atol=1e-6)  # only the mean of w is left
    with model.evaluating():
        w = model.w(4)
        a, b = (model.crossed(w, w, range(0), seed) for seed in (0, 0))
        assert np.array_equal(a, b)
    for layer in model.synthesis.styled:
        layer.noise.gamma.assign(0.5)
    assert not np.allclose(*(model.sample(3, seed=1, truncation=0.0, noise=k) for k in (0.0, 1.0)), atol=1e-3)
    assert [octaves((n, n, 1)) for n in (8, 28, 32, 64, 100, 128)] == [1, 2, 3, 4, 2, 5]
    for shape in ((7, 8, 1), (6, 6, 1)):
        with pytest.raises(gans.Unsuitable, match="even sides"):
            octaves(shape)


def test_quality_is_psnr_of_the_mean_error() -> None:
    x, y = (RNG.uniform(-1, 1, (5, 9, 9, 1)) for _ in range(2))
    assert quality(x[:1], y[:1]) == pytest.approx(psnr(x[:1], y[:1], data_range=2.0)[0])
    assert quality(x, y) <= psnr(x, y, data_range=2.0).mean()  # Jensen
    assert similarity(x, x) == pytest.approx(1)


@pytest.mark.parametrize("name", ["srgan", "denoise", "inpaint", "lapgan", "stackgan"])
def test_sizes_that_do_not_fit_are_told(name: str) -> None:
    model = gans.get(name)
    with pytest.raises(gans.Unsuitable, match="multiples of 4; resize"):
        model(model.Config(), Facts({"x": (30, 30, 3)}, {"y": 2} if name == "stackgan" else {}))


def test_numbers_have_a_usual_value() -> None:
    usual = gans.Number(0.0, 2.0, usual=1.5)
    assert (usual.default(0, 4, Source(0), "x") == 1.5).all() and usual.parse("0.5") == [0.5]
    assert len(np.unique(gans.Number(0.0, 2.0).default(0, 4, Source(0), "x"))) == 4
    with pytest.raises(ValueError, match=r"usual value 3, expected a number from 0 to 2"):
        gans.Number(0.0, 2.0, usual=3)


@pytest.mark.parametrize("name", ["srgan", "denoise", "inpaint", "lapgan", "stylegan"])
def test_pictures_and_samples_in_colour(name: str) -> None:
    x = np.tanh(RNG.normal(size=(40, 12, 16, 3))).astype(np.float32)
    found = data.Dataset("colours", x, None, "images", {})
    model = _coloured(name, x)
    real = RealData(_supply(found), judge_of=None)
    assert all(picture.examples.shape[1:] == (12, 16, 3) for picture in model.pictures(real).values())
    assert all(np.isfinite(check.value) for check in model.checks(real))


def _coloured(name: str, x: np.ndarray) -> Any:
    model = gans.get(name)
    options = {"features": 2, "blocks": 1, "latent": 3, "width": 4, "octaves": 1}
    known = {f for f in options if hasattr(model.Config(), f)}
    return model(model.Config(**{f: options[f] for f in known}), x.shape[1:])


def _supply(found: data.Dataset) -> Supply:
    return Supply(Facts({"x": found.x.shape[1:]}), {"x": found}, {"x": {"x": found.x}}, True)
