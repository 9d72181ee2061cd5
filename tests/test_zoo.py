"""The zoo: for every model, losses against their formulas, gradients, replay, resume, conditions, pictures and checks.

A new model is one line of ZOO, with options that make it small, and a test of its losses against the paper's formula.
"""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan import data, gans, nn, ops
from minigan.autodiff import Tensor, grad, tensor
from minigan.batch import tensors_of
from minigan.gans import anomaly, flows, needs
from minigan.gans.checks import Check, RealData
from minigan.gans.directions import top_eigenvectors
from minigan.gans.flows import Flow
from minigan.gans.labelled import Labelled
from minigan.gans.latents import Posterior, off_prior
from minigan.gans.protocol import Histogram
from minigan.metrics import codes
from minigan.metrics.class_spread import class_spread
from minigan.metrics.nearest_neighbour import nearest_neighbour_accuracy
from minigan.metrics.principal import principal, principal_residual
from minigan.metrics.sharpness import gradient_energy
from minigan.random import Source
from minigan.run import plots
from minigan.run.feed import Feed
from minigan.run.timed_pictures import painter_in_time
from minigan.switches import no_grad

ZOO: dict[str, dict[str, Any]] = {
    "cgan": {"latent": 4, "features": 2},
    "acgan": {"latent": 4, "features": 2},
    "projection": {"latent": 4, "features": 2},
    "infogan": {"latent": 4, "features": 2},
    "vae": {"latent": 3, "width": 8},
    "vaegan": {"latent": 3, "features": 2},
    "aae": {"latent": 3, "width": 8},
    "bigan": {"latent": 3, "width": 8},
    "vat": {"width": 16, "labels": 2},
    "density": {},
    "flowgan": {"layers": 4, "width": 8},
    "dagan": {"features": 2, "latent": 3, "labels": 3},
    "ssgan": {"width": 16, "labels": 2, "latent": 4},
    "ssaae": {"width": 8, "labels": 2, "latent": 3},
    "ganomaly": {"latent": 4, "features": 2},
    "fanogan": {"latent": 4, "features": 2, "gan_steps": 15},
    "pix2pix": {"features": 2},
    "cyclegan": {"features": 2, "blocks": 1, "pool": 12},
    "discogan": {"features": 2},
    "cogan": {"features": 2, "latent": 4},
    "pixelda": {"features": 2, "latent": 3},
    "bicyclegan": {"features": 2, "latent": 3},
    "style": {"judging": 10},
    "srgan": {"features": 4, "blocks": 1},
    "denoise": {"features": 2, "blocks": 1},
    "inpaint": {"features": 2, "blocks": 1},
    "lapgan": {"features": 2, "latent": 3, "width": 16, "octaves": 1},
    "stylegan": {"features": 2, "latent": 3, "width": 4},
    "stackgan": {"features": 2, "latent": 3, "code": 2, "blocks": 1},
    "vgan": {"features": 2, "latent": 3},
    "mocogan": {"features": 2, "content": 2, "motion": 3},
    "interpolate": {"features": 2, "blocks": 1},
    "wavegan": {"features": 2, "latent": 3, "d_steps": 1},
    "cwavegan": {"features": 2, "latent": 3, "d_steps": 1},
    "segan": {"features": 2},
    "seqgan": {"width": 4, "likelihood_steps": 4, "judge_steps": 4, "rollouts": 2, "judge_updates": 1},
    "gumbelgan": {"width": 4, "likelihood_steps": 6},
    "gail": {"width": 4, "carts": 2, "acts": 10, "updates": 2},
}
SOURCE = np.tanh(np.random.default_rng(3).normal(size=(1, 8, 8, 1))).astype(np.float32)
SOUND = data.load("tones", n=2).x[1:]
FILM = data.load("moving_shapes", n=2).x[1:]
ASKED = {
    "cgan": {"label": 3},
    "acgan": {"label": 3},
    "projection": {"label": 3},
    "infogan": {"category": 3, "first": 0.5},
    "dagan": {"source": SOURCE},
    "ssaae": {"label": 3},
    **{key: {"source": SOURCE} for key in ("pix2pix", "cyclegan", "discogan", "pixelda", "bicyclegan")},
    **{name: {"source": SOURCE} for name in ("srgan", "denoise", "inpaint")},
    "stylegan": {"truncation": 0.5, "noise": 0.5},
    "stackgan": {"label": 3},
    "interpolate": {"source": FILM, "slow": 1.0},
    "cwavegan": {"label": 3},
    "segan": {"source": SOUND},
}
JOINED = ("cogan",)  # whose samples are pairs, side by side
SILENT = ("vat", "ganomaly")  # make no examples
HELD = {
    "vat": {"weight": 0.0},  # direction and target of LDS count as constants in its derivative, so it is tested apart
    "density": {"divergence": "js"},  # e^l of weights ten times as large is no number
    "flowgan": {"r1": 0.0},  # what a lazy term adds to a gradient is no part of the loss that is told
    "dagan": {"gp": 0.0},
    "cyclegan": {"pool": 0},  # what a pool returns depends on what it was given before
    "stylegan": {"r1": 0.0},
    "wavegan": {"gp": 0.0, "clip": 0.5},
    "cwavegan": {"gp": 0.0},
    "gail": {"updates": 1},
    "gumbelgan": {"relaxed": True},  # straight through has another derivative than its value, which is the purpose
    "fanogan": {"gp": 0.0, "clip": 0.5},  # penalties are no part of a player's loss; see test_penalties
}
SIZE, BATCH = 8, 20
STEP = 1e-8  # in float64: kinks of ReLUs within it are few, and rounding is about 1e-8 of a loss


class Sure:
    """Stands for the judge: it reads the class and two features off the first pixels."""

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)[:, :2]

    def log_probabilities(self, x: np.ndarray) -> np.ndarray:
        return np.log(np.eye(10)[(np.abs(x[:, 0, 0, 0]) * 1e4).astype(int) % 10] + 1e-9)


@pytest.fixture(scope="module")
def images() -> data.Dataset:
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(200, SIZE, SIZE, 1))).astype(np.float32)
    return data.Dataset("noise", x, np.arange(200) % 10, "images", {})


def data_of(model: Any, images: data.Dataset) -> data.Dataset:
    """The images, or for a model of points those that it is for."""
    kinds = needs.entries(model.needs).values()
    return images if "images" in kinds else data.load(model.Config().data, n=200)


@cache
def generated(model: Any) -> needs.Supply:
    """The model's own data: sequences (short ones), sounds, films, what an expert does."""
    options = {"n": 200, **({"length": 6} if model.needs == "tokens" else {})}
    return needs.find(model.needs, model.Config().data, seed=0, options=options)


def supply_of(model: Any, images: data.Dataset) -> needs.Supply:
    if needs.kind_in_time(model.needs) or model.family == "control":
        return generated(model)
    found = data_of(model, images)
    assert found.y is not None
    forms = {"labels": found.y, "one-hot": np.eye(10, dtype=np.float32)[found.y]}
    sets: dict[str, data.Dataset] = {}
    groups: dict[str, dict[str, Any]] = {}
    facts = needs.Facts()
    for name, kind in needs.entries(model.needs).items():
        if kind in forms:
            facts.classes[name], array = 10, forms[kind]
        else:  # a second set: the same, inverted
            sets[name] = dataclasses.replace(found, x=-found.x if sets else found.x)
            facts.shapes[name], array = found.x.shape[1:], sets[name].x
            if found.rate:
                facts.rates[name] = found.rate
        beside = kind in forms or kind == needs.PAIRED
        (next(reversed(groups.values())) if beside else groups.setdefault(name, {}))[name] = array
    return needs.Supply(facts, sets, groups, isinstance(model.needs, str))


def made(name: str, images: data.Dataset, **options: Any) -> tuple[Any, Feed]:
    model = gans.get(name)
    config = model.Config(**{"batch_size": BATCH, "steps": 30, **ZOO[name], **options.pop("config", {})})
    supply = supply_of(model, images)
    built = model(config, supply.facts, **options)
    return built, Feed(supply, built, "cpu")


def run(model: Any, feed: Feed, first: int, last: int) -> dict[str, float]:
    for step in range(first, last):
        given = model.game.step(batches=feed(step))
    return {k: v.item() for k, v in {**given, **model.game.metrics}.items()}


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    assert a.keys() == b.keys()
    return all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


# -- every model -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ZOO)
def test_thirty_steps_train_alike_replayed_eager_and_resumed(name: str, images: data.Dataset) -> None:
    eager, feed = made(name, images, replay=False)
    first = {k: v.copy() for k, v in eager.state().items()}
    told = run(eager, feed, 0, 30)
    replayed, feed = made(name, images)
    run(replayed, feed, 0, 12)
    kept = replayed.state()
    run(replayed, feed, 12, 30)
    assert equal(eager.state(), replayed.state())
    resumed, feed = made(name, images)
    resumed.load_state(kept)
    run(resumed, feed, 12, 30)
    assert equal(eager.state(), resumed.state())
    assert all(np.isfinite(v) for v in told.values())
    for part, network in eager.modules.items():
        for k, t in network.parameters().items():
            if t.ndim > 1:  # a bias may rest: the hinge's is 0 on average while all scores are within the margins
                assert not np.array_equal(first[f"{part}/{k}"], t.data), f"{part}: {k} never moves"


@pytest.mark.parametrize("name", ZOO)
def test_gradients_are_those_of_the_losses(name: str, images: data.Dataset) -> None:
    model, feed = made(name, images, replay=False, config=HELD.get(name, {}))
    (batch,) = feed(0)
    model.random.dtype = np.dtype(np.float64)
    for network in model.modules.values():
        network.astype(np.float64)
        for t in network.parameters().values():
            if t.ndim > 1 and name != "flowgan":  # away from kinks at 0, where weights of .02 leave most activations
                t.assign(10 * t.data)
    entries = batch if isinstance(batch, dict) else {"x": batch}
    given = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in entries.items()}
    whole = tensors_of(given if isinstance(batch, dict) else given["x"])
    players = [player for phase in model.game.phases for player in phase.players]
    if name == "projection":  # the derivative of a spectral norm is exact where power iteration has arrived
        with no_grad():
            for _ in range(60):
                model.scores(whole.x, whole.y)
        for part in ("trunk", "vectors", "psi"):
            model.modules[part].eval()
    frozen = {id(t): t.data.copy() for net in model.modules.values() for _, t in net.tensors().items()}

    def restored() -> None:
        for net in model.modules.values():
            for t in net.tensors().values():
                t.assign(frozen[id(t)])
        model.random.advance(7)

    rng = np.random.default_rng(1)
    for player in players:
        restored()
        own = {id(t) for t in player.parameters}
        _, slopes = player.gradients(whole, [p for p in players if not own & {id(t) for t in p.parameters}])
        directions = [rng.normal(size=t.shape) for t in player.parameters]
        analytic = sum((g.data * u).sum() for g, u in zip(slopes, directions, strict=True))
        values = []
        for h in (STEP, -STEP):
            restored()
            for t, u in zip(player.parameters, directions, strict=True):
                t.assign(t.data + h * u)
            found = player.loss(whole)
            values.append((found[0] if isinstance(found, tuple) else found).item())
        numeric = (values[0] - values[1]) / (2 * STEP)
        assert numeric == pytest.approx(analytic, rel=1e-3, abs=1e-6), player.name
        assert analytic != 0


@pytest.mark.parametrize("name", ZOO)
def test_samples_pictures_numbers_and_checks(name: str, images: data.Dataset) -> None:
    model, feed = made(name, images)
    run(model, feed, 0, 2)
    real = RealData(supply_of(type(model), images), judge_of=lambda _: Sure())
    before = model.state()
    pictures, numbers = model.pictures(real), model.metrics(real)
    checks = list(model.checks(real))
    assert equal(before, model.state())  # looking leaves no trace
    assert pictures and checks and len({c.name for c in checks}) == len(checks)
    for picture in pictures.values():
        if isinstance(picture, Histogram):
            assert plots.HistogramPainter().picture(picture, "").dtype == np.uint8
            assert all(len(v) and v.min() >= 0 and v.max() <= 1 for v in picture.groups.values())
            continue
        in_time = picture.kind and painter_in_time(picture.kind, model.facts)
        artist = in_time or plots.painter_of(picture.examples, None)
        drawn = artist.picture(picture.examples, "", picture.columns)
        assert drawn.dtype == np.uint8 and np.isfinite(picture.examples).all()
        assert picture.examples.ndim == 2 or np.abs(picture.examples).max() <= 1
    assert all(np.isfinite(v) for v in numbers.values())
    assert all(isinstance(c, Check) and np.isfinite(c.value) for c in checks)
    if name in SILENT:
        with pytest.raises(NotImplementedError):
            model.sample(2)
        return
    samples = model.sample(5, seed=3, **ASKED.get(name, {}))
    height, *rest = model.shape
    shape = (height, 2 * rest[0], *rest[1:]) if name in JOINED else model.shape
    assert samples.shape == (5, *shape) and samples.std() > 0
    assert samples.ndim == 2 or np.abs(samples).max() <= 1
    assert np.array_equal(samples, model.sample(5, seed=3, **ASKED.get(name, {})))
    for condition in ASKED.get(name, {}):
        assert not np.array_equal(
            samples, model.sample(5, seed=3, **{**ASKED[name], condition: 0 * np.array(ASKED[name][condition])})
        )


@pytest.mark.parametrize("name", ZOO)
def test_a_file_beside_its_paper(name: str) -> None:
    model = gans.get(name)
    module = __import__(model.__module__, fromlist=["x"])
    lines = Path(module.__file__).read_text().splitlines()
    assert len(lines) <= 150
    assert "arXiv" in module.__doc__ and "-->" in module.__doc__ and "goes wrong" in module.__doc__
    assert model.summary
    told = {f.name: f.metadata.get("help", "") for f in dataclasses.fields(model.Config)}
    assert all(told.values()) and typing.get_type_hints(model.Config).keys() >= told.keys()


def test_dropout_in_d_is_replayed_and_leaves_evaluation_alone(images: data.Dataset) -> None:
    ends = []
    for replay in (False, True):
        model, feed = made("cgan", images, replay=replay, config={"dropout": 0.5})
        run(model, feed, 0, 5)
        ends.append(model.state())
    assert equal(*ends)
    x, y = images.x[:4], np.eye(10, dtype=np.float32)[:4]
    assert (model.logits(x, y).numpy() != model.logits(x, y).numpy()).any()
    with model.evaluating():
        assert np.array_equal(model.logits(x, y).numpy(), model.logits(x, y).numpy())


# -- each loss against its formula -----------------------------------------------------------------------------------
def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def fixed(model: Any, batch: Any) -> Any:
    """The batch as the losses get it, and a fresh step: what is drawn now is drawn again after the next call."""
    model.random.advance(5)
    return tensors_of(batch)


def values(found: Any) -> float:
    return (found[0] if isinstance(found, tuple) else found).item()


def test_cgan(images: data.Dataset) -> None:
    model, feed = made("cgan", images, replay=False)
    (batch,) = feed(0)
    b = fixed(model, batch)
    fake = model.generate(BATCH, b.y)
    l_real, l_fake = model.logits(b.x, b.y).numpy(), model.logits(fake, b.y).numpy()
    b = fixed(model, batch)
    assert values(model.discriminator_loss(b)) == pytest.approx(
        softplus(-l_real).mean() + softplus(l_fake).mean(), rel=1e-5
    )
    b = fixed(model, batch)
    assert values(model.generator_loss(b)) == pytest.approx(softplus(-l_fake).mean(), rel=1e-5)
    other = model.logits(b.x, np.roll(batch["y"], 1, axis=1)).numpy()
    assert (other != l_real).all()  # D looks at y


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


@pytest.mark.parametrize("fakes", [0.0, 1.0])
def test_acgan(images: data.Dataset, fakes: float) -> None:
    model, feed = made("acgan", images, replay=False, config={"fakes": fakes})
    (batch,) = feed(0)
    b = fixed(model, batch)
    fake, y = model.generate(BATCH, b.y), batch["y"]
    heads = [(model.source(h).numpy(), model.classifier(h).numpy()) for h in map(model.trunk, (b.x, fake))]
    (s_real, c_real), (s_fake, c_fake) = heads
    l_s = -softplus(-s_real).mean() - softplus(s_fake).mean()
    l_c = (y * log_softmax(c_real)).sum(1).mean() + fakes * (y * log_softmax(c_fake)).sum(1).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(-l_s - l_c, rel=1e-5)
    wanted = softplus(-s_fake).mean() - (y * log_softmax(c_fake)).sum(1).mean()
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)


def test_projection(images: data.Dataset) -> None:
    model, feed = made("projection", images, replay=False)
    (batch,) = feed(0)
    for network in ("trunk", "vectors", "psi"):  # power iteration moves only in training
        getattr(model, network).eval()
    b = fixed(model, batch)
    fake = model.generate(BATCH, b.y)
    phi, phi_fake = model.trunk(b.x).numpy(), model.trunk(fake).numpy()
    table = model.vectors(np.eye(10, dtype=np.float32)).numpy()
    classes = batch["y"].argmax(axis=1)
    f_real = (table[classes] * phi).sum(1) + model.psi(phi).numpy()[:, 0]
    f_fake = (table[classes] * phi_fake).sum(1) + model.psi(phi_fake).numpy()[:, 0]
    wanted = np.maximum(0, 1 - f_real).mean() + np.maximum(0, 1 + f_fake).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(-f_fake.mean(), rel=1e-4, abs=1e-7)
    assert np.linalg.svd(model.psi.weight.numpy(), compute_uv=False)[0] == pytest.approx(1, rel=0.2)


def test_infogan(images: data.Dataset) -> None:
    model, feed = made("infogan", images, replay=False, config={"information": 0.7})
    (batch,) = feed(0)
    fixed(model, batch)
    given = model.drawn(BATCH)
    assert (given[0].numpy().sum(1) == 1).all() and np.abs(given[1].numpy()).max() <= 1
    h_fake = model.trunk(model.generate(BATCH, *given))
    h_real = model.trunk(Tensor(batch))
    answer = model.Q(h_fake).numpy().astype(np.float64)
    log_q = (given[0].numpy() * log_softmax(answer[:, :10])).sum(1)
    squares = sum((answer[:, 10 + i] - given[1 + i].numpy()[:, 0]) ** 2 for i in (0, 1))
    unread = (-log_q + 0.5 * squares).mean()
    l_real, l_fake = model.head(h_real).numpy(), model.head(h_fake).numpy()
    found = model.discriminator_loss(fixed(model, batch))
    assert values(found) == pytest.approx(softplus(-l_real).mean() + softplus(l_fake).mean() + 0.7 * unread, rel=1e-5)
    loss, said = model.generator_loss(fixed(model, batch))
    assert loss.item() == pytest.approx(softplus(-l_fake).mean() + 0.7 * unread, rel=1e-5)
    assert said["information"].item() == pytest.approx(np.log(10) + log_q.mean(), abs=1e-6)


def test_vae(images: data.Dataset) -> None:
    model, feed = made("vae", images, replay=False)
    (x,) = feed(0)
    fixed(model, x)
    e = model.noise(BATCH).numpy()
    mean, log_var = np.split(model.encoder(x).numpy().astype(np.float64), 2, axis=1)
    logits = model.decoder((mean + np.exp(log_var / 2) * e).astype(np.float32)).numpy().astype(np.float64)
    t, p = (x + 1) / 2, 1 / (1 + np.exp(-logits))
    cross = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / BATCH
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(1).mean()
    loss, said = model.loss(fixed(model, x))
    assert loss.item() == pytest.approx(cross + kl, rel=1e-5) and said["kl"].item() == pytest.approx(kl, rel=1e-5)


def test_vaegan(images: data.Dataset) -> None:
    model, feed = made("vaegan", images, replay=False, config={"gamma": 0.3})
    (batch,) = feed(0)
    x = fixed(model, batch)
    again, q = model.again(x)
    fake = model.generate(BATCH)
    l_x, l_again, l_fake = (model.head(model.trunk(i)).numpy() for i in (x, again, fake))
    f, g = (model.trunk.convolved(i).numpy() for i in (x, again))
    like = 0.5 * ((f - g) ** 2).sum((1, 2, 3)).mean()
    assert values(model.encoder_loss(fixed(model, batch))) == pytest.approx(q.kl().item() + like, rel=1e-5)
    wanted = 0.3 * like + softplus(-l_again).mean() + softplus(-l_fake).mean()
    assert values(model.decoder_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    wanted = softplus(-l_x).mean() + softplus(l_again).mean() + softplus(l_fake).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    plain, _ = made("vaegan", images, replay=False, config={"likelihood": "pixels"})
    again, q = plain.again(fixed(plain, batch))
    like = 0.5 * ((batch - again.numpy()) ** 2).sum((1, 2, 3)).mean()
    assert values(plain.encoder_loss(fixed(plain, batch))) == pytest.approx(q.kl().item() + like, rel=1e-5)
    assert values(plain.decoder_loss(fixed(plain, batch))) == pytest.approx(like, rel=1e-5)


def test_aae(images: data.Dataset) -> None:
    model, feed = made("aae", images, replay=False, config={"weight": 0.2})
    (batch,) = feed(0)
    x = fixed(model, batch)
    z = model.encoder(x)
    l_prior, l_code = model.discriminator(model.prior(BATCH)).numpy(), model.discriminator(z).numpy()
    error = np.abs(model.decoder(z).numpy() - batch).mean()
    wanted = softplus(-l_prior).mean() + softplus(l_code).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    wanted = 0.8 * error + 0.2 * softplus(-l_code).mean()
    assert values(model.autoencoder_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)


def test_bigan(images: data.Dataset) -> None:
    model, feed = made("bigan", images, replay=False)
    (batch,) = feed(0)
    x = fixed(model, batch)
    z = model.prior(BATCH)
    assert z.numpy().min() >= -1 and z.numpy().max() <= 1
    pairs = [(x, model.encoder(x)), (model.generator(z), z)]
    l_e, l_g = (model.discriminator(ops.concatenate([ops.flatten(a, 1), c], axis=1)).numpy() for a, c in pairs)
    wanted = softplus(-l_e).mean() + softplus(l_g).mean()
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    wanted = softplus(l_e).mean() + softplus(-l_g).mean()
    assert values(model.generator_encoder_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)


def test_density(images: data.Dataset) -> None:
    for divergence in ("js", "kl", "reverse_kl"):
        model, feed = made("density", images, replay=False, config={"divergence": divergence})
        (x,) = feed(0)
        b = fixed(model, x)
        l_p, l_q = (model.discriminator(part).numpy() for part in (model.blurred(b), model.generate(BATCH)))
        wanted = softplus(-l_p).mean() + softplus(l_q).mean()
        assert values(model.discriminator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-5)
        wanted = {"js": -softplus(l_q).mean(), "kl": -np.exp(l_q).mean(), "reverse_kl": -l_q.mean()}[divergence]
        assert values(model.generator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-5)


def test_what_density_compares_with_is_exact(images: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gans.get("density")
    config = model.Config(data="gauss2d", noise=0.6, generator_lr=0.0)
    built = model(config, (2,))
    assert [p.name for p in built.game.players] == ["discriminator"]  # q rests, at N(0, I)
    x = np.random.default_rng(0).normal(size=(4, 2))
    off = ((x - [1, -0.5]) ** 2).sum(1)  # sigma .8 and noise .6 make 1
    assert built.exact(x) == pytest.approx(((x**2).sum(1) - off) / 2)
    built.generator.weight.assign(np.array([[2.0, 1.0], [0.0, 1.0]], np.float32))  # x = z A + b
    built.generator.bias.assign(np.array([1.0, 0.0], np.float32))
    points = built.sample(20000)
    assert np.cov(points.T) == pytest.approx(built.q()[1], abs=0.2) and points.mean(0) == pytest.approx(
        built.q()[0], abs=0.1
    )
    d = x - [1, 0]
    inverse = np.linalg.inv(np.array([[4.0, 2.0], [2.0, 2.0]]))
    log_q = -0.5 * np.einsum("ni,ij,nj->n", d, inverse, d) - np.log(2 * np.pi) - 0.5 * np.log(4)
    assert built.exact(x) == pytest.approx(-off / 2 - np.log(2 * np.pi) - log_q)
    forward, judge = nn.Sequential.forward, built.discriminator  # a discriminator that is right, for once
    right = lambda net, t: Tensor(built.exact(t.numpy())[:, None]) if net is judge else forward(net, t)  # noqa: E731
    monkeypatch.setattr(nn.Sequential, "forward", right)
    found = built.checks(RealData(needs.find("points", "gauss2d", seed=0)))
    assert len(found) == 4 and all(check.met for check in found) and found[0].value == 1 and found[1].value == 1
    with pytest.raises(gans.Unsuitable, match="known density"):
        model(model.Config(data="gauss1d"), (1,))


def test_flowgan(images: data.Dataset) -> None:
    model, feed = made("flowgan", images, replay=False, config={"adversarial": 0.3, "likelihood": 0.7})
    (x,) = feed(0)
    b = fixed(model, x)
    l_real, l_fake = model.discriminator(x).numpy(), model.discriminator(model.generate(BATCH)).numpy()
    wanted = softplus(-l_real).mean() + softplus(l_fake).mean()
    assert values(model.discriminator_loss(fixed(model, x))) == pytest.approx(wanted, rel=1e-5)
    log_p = model.code(b)[1].numpy().mean()
    loss, said = model.generator_loss(fixed(model, x))
    assert loss.item() == pytest.approx(0.3 * softplus(-l_fake).mean() - 0.7 * log_p / 2, rel=1e-5)
    assert said["log_likelihood"].item() == pytest.approx(log_p, rel=1e-5)
    alone, _ = made("flowgan", images, replay=False, config={"adversarial": 0.0})
    assert [p.name for p in alone.game.players] == ["generator"]


def strong_flow(shape: tuple[int, ...], layers: int = 4) -> Flow:
    """In float64, with scales and shifts of size 1."""
    flow = Flow(shape, layers, 8).initialize(Source(1), "flow").astype(np.float64)
    for layer in flow.layers:
        layer.network.layers[2].weight.assign(30 * layer.network.layers[2].weight.data)
    return flow


@pytest.mark.parametrize("shape", [(2,), (5,), (2, 3, 1)])
def test_log_determinant_of_a_flow_is_that_of_its_jacobian(shape: tuple[int, ...]) -> None:
    flow, d = strong_flow(shape), int(np.prod(shape))
    y = np.random.default_rng(0).normal(size=(3, d))
    z, log_p = (t.numpy() for t in flow.unbounded_code(Tensor(y)))
    assert flow.inverse(Tensor(z)).numpy() == pytest.approx(y, abs=1e-10) and np.abs(z - y).max() > 0.1
    for i in range(3):
        ends = [flow.unbounded_code(Tensor(y[i] + h * np.eye(d)))[0].numpy() for h in (1e-6, -1e-6)]
        _, log_det = np.linalg.slogdet((ends[0] - ends[1]).T / 2e-6)
        normal = -0.5 * (z[i] ** 2).sum() - d / 2 * np.log(2 * np.pi)
        assert log_p[i] == pytest.approx(normal + log_det, abs=1e-6) and abs(log_det) > 1e-3


def test_density_of_a_flow_integrates_to_one() -> None:
    axis = np.linspace(-12, 12, 400)
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert np.exp(strong_flow((2,)).code(Tensor(x), Tensor(x))[1].numpy()).sum() * (
        axis[1] - axis[0]
    ) ** 2 == pytest.approx(1, abs=0.01)


def test_pixels_go_to_the_flow_and_back() -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (4, 4, 4, 1))
    x = 2 / 255 * levels - 1
    y, log_det = flows.dequantised(Tensor(x), Tensor(np.full(x.shape, 0.5)))
    assert flows.pixels(y, x.shape[1:]).numpy() == pytest.approx(x, abs=1e-5)
    ends = [flows.dequantised(Tensor(x), Tensor(np.full(x.shape, 0.5 + h)))[0].numpy() for h in (1e-3, -1e-3)]
    assert log_det.numpy() == pytest.approx(np.log((ends[0] - ends[1]) / 2e-3).sum(1), abs=1e-2)


def test_pixels_beyond_the_range_still_move_while_a_flow_learns() -> None:
    flow, z = Flow((2, 2, 1), 2, 4), tensor(np.full((3, 4), 3.5, np.float32), requires_grad=True)
    x = flow(z)
    assert (x.numpy() > 1.0).all() and (x.numpy() < 1.13).all()
    (slope,) = grad(ops.sum(x), [z])
    assert (slope.numpy() > 0.01).all()
    assert (flow.eval()(z).numpy() == 1.0).all()


def test_flowgan_of_images(images: data.Dataset) -> None:
    model = gans.get("flowgan")
    supply = needs.Supply(needs.Facts({"x": images.x.shape[1:]}), {"x": images}, {"x": {"x": images.x}}, True)
    ends = []
    for replay in (False, True):
        built = model(
            model.Config(layers=2, width=8, features=2, batch_size=BATCH, steps=9), supply.facts, replay=replay
        )
        run(built, Feed(supply, built, "cpu"), 0, 6)
        ends.append(built.state())
    assert equal(*ends)
    found = {check.name: check for check in built.checks(RealData(supply))}
    assert found["largest |x - G(f(x))|"].met and 4 < found["bits a pixel"].value < 12
    between = built.pictures({"x": images.x})["between"]
    assert (
        np.abs(between.examples[0] - images.x[0]).max() < 0.02
    )  # the ends are the images, up to the noise on their levels
    assert np.abs(between.examples[7] - images.x[1]).max() < 0.02


def test_dagan(images: data.Dataset) -> None:
    model, feed = made("dagan", images, replay=False)
    (batch,) = feed(0)
    x, other = batch["x"], batch["other"]
    label = {images.x[i].tobytes(): images.y[i] for i in range(200)}
    assert all(label[a.tobytes()] == label[b.tobytes()] and (a != b).any() for a, b in zip(x, other, strict=True))
    b = fixed(model, batch)
    fake = model.generate(BATCH, b.x)
    score = lambda second: model.critic(ops.concatenate([b.x, second], axis=-1)).numpy()  # noqa: E731
    wanted = score(fake).mean() - score(b.other).mean()
    assert values(model.critic_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-4, abs=1e-7)
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(-score(fake).mean(), rel=1e-4, abs=1e-7)


def test_dagans_penalty_and_its_derivative(images: data.Dataset) -> None:
    model, feed = made("dagan", images, replay=False)
    (batch,) = feed(0)
    model.random.dtype = np.dtype(np.float64)
    for network in model.modules.values():
        network.astype(np.float64)
    for t in model.critic.parameters().values():
        t.assign(5 * t.data)
    given = {k: v.astype(np.float64) for k, v in batch.items()}
    fake = model.generate(BATCH, fixed(model, given).x)
    u = model.random.uniform((BATCH,), stream="gradient penalty").numpy().reshape(-1, 1, 1, 1)
    both = [np.concatenate([given["x"], second], axis=-1) for second in (given["other"], fake.numpy())]
    at = tensor(u * both[0] + (1 - u) * both[1], requires_grad=True)
    norms = np.linalg.norm(grad(ops.sum(model.critic(at)), [at])[0].numpy().reshape(BATCH, -1), axis=1)
    assert values(model.penalty(fixed(model, given))) == pytest.approx(10 * ((norms - 1) ** 2).mean())
    weights = [t for t in model.critic.parameters().values() if t.ndim > 1]
    slopes = grad(model.penalty(fixed(model, given)), weights)
    directions = [np.random.default_rng(i).normal(size=t.shape) for i, t in enumerate(weights)]
    found = []
    for h in (STEP, -STEP):
        for t, d in zip(weights, directions, strict=True):
            t.assign(t.data + h * d)
        found.append(values(model.penalty(fixed(model, given))))
        for t, d in zip(weights, directions, strict=True):
            t.assign(t.data - h * d)
    wanted = sum((s.numpy() * d).sum() for s, d in zip(slopes, directions, strict=True))
    assert (found[0] - found[1]) / (2 * STEP) == pytest.approx(wanted, rel=1e-4)


def test_ssgan(images: data.Dataset) -> None:
    model, feed = made("ssgan", images, replay=False, config={"weight": 0.6})
    (batch,) = feed(0)
    model.body.eval()  # no noise: a batch of its own then has the same logits
    model.alone.eval()
    b = fixed(model, batch)
    fake = model.generate(BATCH)
    l_few, l_x, l_fake = (model.logits(x).numpy().astype(np.float64) for x in (b.labelled, b.x, fake))
    real_share, fake_share = (np.exp(v).sum(1) / (np.exp(v).sum(1) + 1) for v in (l_x, l_fake))  # D(x) = Z / (Z + 1)
    joined = np.concatenate([l_fake, np.zeros((BATCH, 1))], axis=1)  # the class K + 1, whose logit is 0
    assert 1 - fake_share == pytest.approx(np.exp(log_softmax(joined))[:, -1], rel=1e-6)
    supervised = -log_softmax(l_few)[np.arange(20), batch["label"]].mean()
    wanted = supervised - 0.6 * (np.log(real_share).mean() + np.log(1 - fake_share).mean())
    assert values(model.discriminator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    f, g = model.body(b.x).numpy(), model.body(fake).numpy()
    wanted = ((f.mean(0) - g.mean(0)) ** 2).sum()
    assert values(model.generator_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-4)
    own = log_softmax(model.alone(b.labelled).numpy())[np.arange(20), batch["label"]]
    assert values(model.alone_loss(b)) == pytest.approx(-own.mean(), rel=1e-5)


def test_ssaae(images: data.Dataset) -> None:
    model, feed = made("ssaae", images, replay=False)
    (batch,) = feed(0)
    b = fixed(model, batch)
    h = model.encoder(b.x).numpy()
    y, z = np.exp(log_softmax(h[:, :10])), h[:, 10:]
    again = model.decoder(np.concatenate([y, z], axis=1).astype(np.float32)).numpy()
    assert values(model.reconstruction_loss(b)) == pytest.approx(((again - batch["x"]) ** 2).mean(), rel=1e-4)
    drawn = [t.numpy() for t in model.prior(BATCH)]
    assert (drawn[0].sum(1) == 1).all() and drawn[1].shape == (BATCH, 3)
    pairs = [(model.D_y, drawn[0], y), (model.D_z, drawn[1], z)]
    logits = [(d(prior).numpy(), d(code.astype(np.float32)).numpy()) for d, prior, code in pairs]
    wanted = sum(softplus(-l_prior).mean() + softplus(l_code).mean() for l_prior, l_code in logits)
    assert values(model.discriminators_loss(fixed(model, batch))) == pytest.approx(wanted, rel=1e-5)
    wanted = sum(softplus(-l_code).mean() for _, l_code in logits)
    assert values(model.regularization_loss(b)) == pytest.approx(wanted, rel=1e-5)
    own = log_softmax(model.encoder(b.labelled).numpy()[:, :10])[np.arange(20), batch["label"]]
    assert values(model.labels_loss(b)) == pytest.approx(-own.mean(), rel=1e-5)


def test_ganomaly(images: data.Dataset) -> None:
    model, feed = made("ganomaly", images, replay=False, config={"w_adv": 2.0, "w_con": 7.0, "w_enc": 3.0})
    (batch,) = feed(0)
    x = Tensor(batch)
    z = model.encoder(x)
    made_of = model.decoder(z)
    z, twice = z.numpy(), model.again(made_of).numpy()
    f, g, l_x, l_made = (
        t.numpy() for t in (model.trunk(x), model.trunk(made_of), *(model.head(model.trunk(i)) for i in (x, made_of)))
    )
    wanted = softplus(-l_x).mean() + softplus(l_made).mean()
    assert values(model.discriminator_loss(x)) == pytest.approx(wanted, rel=1e-5)
    wanted = 2 * ((f - g) ** 2).mean() + 7 * np.abs(batch - made_of.numpy()).mean() + 3 * ((z - twice) ** 2).mean()
    assert values(model.generator_loss(x)) == pytest.approx(wanted, rel=1e-5)
    with model.evaluating():
        z = model.encoder(x)
        wanted = np.abs(z.numpy() - model.again(model.decoder(z)).numpy()).mean(1)
    assert model.scores(batch) == pytest.approx(wanted, rel=1e-5)


def test_fanogan(images: data.Dataset) -> None:
    model, feed = made("fanogan", images, replay=False, config={"kappa": 0.4})
    (batch,) = feed(0)
    x = Tensor(batch)
    again = model.generator(model.encoder(x)).numpy()
    f, g, l_x = batch, again, model.discriminator(x).numpy()
    *below, last = model.discriminator.layers
    for layer in below:
        f, g = layer(f), layer(g)
    f, g = f.numpy(), g.numpy()
    assert np.array_equal(last(f).numpy(), l_x)
    image, of_features = ((batch - again) ** 2).mean((1, 2, 3)), ((f - g) ** 2).mean(1)
    wanted = (image + 0.4 * of_features).mean()
    assert values(model.encoder_loss(x)) == pytest.approx(wanted, rel=1e-5)
    with model.evaluating():
        assert values(ops.mean(model.score(x))) == pytest.approx(model.encoder_loss(x)[0].item(), rel=1e-5)
    with pytest.raises(gans.Unsuitable, match="leaves none to the encoder"):
        made("fanogan", images, config={"gan_steps": 30})


def test_fanogans_encoder_leaves_generator_and_critic_as_they_are(images: data.Dataset) -> None:
    model, feed = made("fanogan", images)
    run(model, feed, 0, 15)
    before = {k: v.copy() for k, v in model.state().items()}
    run(model, feed, 15, 20)
    after = model.state()
    frozen = [k for k in after if k.startswith(("generator/", "discriminator/"))]  # weights and running statistics
    assert frozen and all(np.array_equal(before[k], after[k]) for k in frozen)
    assert any(not np.array_equal(before[k], after[k]) for k in after if k.startswith("encoder/"))


# -- anomalies: who is trained on ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ganomaly", "fanogan"])
def test_a_detector_never_trains_on_what_it_is_judged_by(name: str, images: data.Dataset) -> None:
    model, feed = made(name, images, config={"held_out": 4})
    seen = {x.tobytes() for number in range(30) for batch in feed(number) for x in batch}
    x, strange = model.unseen({"x": images.x, "y": images.y})
    judged = {image.tobytes() for image in x}
    assert not seen & judged
    assert seen | judged == {image.tobytes() for image in images.x}  # nothing is lost
    assert strange.sum() == 20 and {image.tobytes() for image in images.x[images.y == 4]} <= judged
    kept = anomaly.kept(images.x)
    order = np.random.default_rng(0).permutation(200)
    assert np.array_equal(anomaly.kept(images.x[order]), kept[order])  # by content, in any order
    assert 0.1 < kept.mean() < 0.3
    stored = np.rint(127.5 * (images.x + 1)).astype(np.uint8)
    assert np.array_equal(anomaly.kept(data.Pixels(stored)), kept)  # and however it is stored
    with pytest.raises(gans.Unsuitable, match="expected a class of the data, 0 to 9"):
        made(name, images, config={"held_out": 10})


def test_the_residual_of_principal_directions() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 5)) + 3
    assert principal_residual(plane, plane, 2) == pytest.approx(np.zeros(200), abs=1e-9)
    off = plane + rng.normal(size=plane.shape)
    centred = off - plane.mean(axis=0)
    basis = np.linalg.svd(plane - plane.mean(axis=0), full_matrices=False)[2][:2]
    wanted = ((centred - centred @ basis.T @ basis) ** 2).sum(1)
    assert principal_residual(plane, off, 2) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="expected examples of one shape"):
        principal_residual(plane, off[:, :3], 2)


# -- VAT: the direction ----------------------------------------------------------------------------------------------
def double(model: Any) -> Any:
    model.random.dtype = np.dtype(np.float64)
    model.classifier.astype(np.float64)
    return model


def test_vat_terms(images: data.Dataset) -> None:
    model, feed = made("vat", images, replay=False, config={"weight": 0.4, "entropy": 0.3})
    (batch,) = feed(0)
    b = fixed(model, batch)
    log_p = log_softmax(model.classifier(b.x).numpy().astype(np.float64))
    r = model.config.eps * model.direction(b.x, model.classifier(b.x))
    assert np.sqrt((r.numpy() ** 2).sum((1, 2, 3))) == pytest.approx(np.full(BATCH, 2.0), rel=1e-4)
    log_q = log_softmax(model.classifier(b.x + r).numpy().astype(np.float64))
    own = log_softmax(model.classifier(b.labelled).numpy().astype(np.float64))[np.arange(20), batch["label"]]
    p = np.exp(log_p)
    parts = {
        "supervised": -own.mean(),
        "smoothness": (p * (log_p - log_q)).sum(1).mean(),
        "unsure": -(p * log_p).sum(1).mean(),
        "balance": -(p.mean(0) * np.log(p.mean(0))).sum(),
    }
    loss, said = model.loss(fixed(model, batch))
    for name, value in parts.items():
        assert said[name].item() == pytest.approx(value, rel=2e-3, abs=1e-6), name
    wanted = parts["supervised"] + 0.4 * parts["smoothness"] + 0.3 * (parts["unsure"] - parts["balance"])
    assert loss.item() == pytest.approx(wanted, rel=1e-3)


def test_an_image_that_does_not_move_is_told_as_before_by_vat_while_it_learns(images: data.Dataset) -> None:
    """p(. | x) and p(. | x + r) by batches of the same images: else batch norm alone sets them apart."""
    model, feed = made("vat", images, replay=False, config={"eps": 0.0})
    (batch,) = feed(0)
    assert model.classifier.training
    assert model.loss(fixed(model, batch))[1]["smoothness"].item() == pytest.approx(0, abs=1e-6)


def test_vats_exact_power_step_is_that_of_the_hessian_and_the_finite_one_tends_to_it(images: data.Dataset) -> None:
    found = {}
    for power, xi in (("exact", 0.1), ("finite", 1e-1), ("finite", 1e-4)):
        model = double(made("vat", images, replay=False, config={"power": power, "xi": xi})[0])
        model.classifier.eval()
        x = Tensor(images.x[:4].astype(np.float64))
        model.random.advance(3)
        logits = model.classifier(x)
        found[power, xi] = model.direction(x, logits).numpy().reshape(4, -1)
    top = top_eigenvectors(model.classifier, x)
    model.random.advance(3)
    d = model.random.normal(x.shape, stream="direction").numpy().reshape(4, -1)
    for i in range(4):  # H = J^T (diag p - p p^T) J, J by central differences
        steps = 1e-5 * np.eye(64).reshape(64, SIZE, SIZE, 1)
        j = (model.classifier(x.numpy()[i] + steps).numpy() - model.classifier(x.numpy()[i] - steps).numpy()) / 2e-5
        p = np.exp(log_softmax(logits.numpy()))[i]
        wanted = j @ (np.diag(p) - np.outer(p, p)) @ j.T @ d[i]
        assert wanted / np.linalg.norm(wanted) == pytest.approx(found["exact", 0.1][i], abs=1e-6)
        values, vectors = np.linalg.eigh(j @ (np.diag(p) - np.outer(p, p)) @ j.T)
        assert abs(vectors[:, -1] @ top[i]) == pytest.approx(1, abs=1e-6) and values[-1] > 1.01 * values[-2]
    far, near = (np.abs(found["finite", xi] - found["exact", 0.1]).max() for xi in (1e-1, 1e-4))
    assert near < 1e-3 and near < 0.1 * far


def test_vats_smoothness_pulls_the_moved_answer_to_the_one_that_stays(images: data.Dataset) -> None:
    model = double(made("vat", images, replay=False)[0])
    model.classifier.eval()
    x, logits = Tensor(images.x[:4].astype(np.float64)), Tensor(np.random.default_rng(0).normal(size=(4, 10)))
    r = 0.5 * model.direction(x, logits)
    weight = next(t for t in model.classifier.parameters().values() if t.ndim == 2)
    slope = grad(model.divergence(x, logits, r), [weight])[0].numpy()
    u, kept, found = np.random.default_rng(1).normal(size=weight.shape), weight.data.copy(), []
    for h in (1e-7, -1e-7):
        weight.assign(kept + h * u)
        found.append(model.divergence(x, logits, r).item())
    assert (found[0] - found[1]) / 2e-7 == pytest.approx((slope * u).sum(), rel=1e-4)


def test_labelled_examples_are_the_first_of_each_class(images: data.Dataset) -> None:
    kept = Labelled((SIZE, SIZE, 1), classes=10, each=3)
    with pytest.raises(ValueError, match="no examples yet"):
        kept.batch()
    with pytest.raises(ValueError, match="no class with two"):
        kept.pairs(1, np.random.default_rng(0))
    kept.collect(images.x[:5], images.y[:5])
    assert sorted(set(kept.batch()["label"])) == [0, 1, 2, 3, 4] and len(kept.batch()["label"]) == 30
    for start in range(5, 200, 5):
        kept.collect(images.x[start : start + 5], images.y[start : start + 5])
    batch = kept.batch()
    assert np.array_equal(batch["label"], np.repeat(np.arange(10), 3))
    assert np.array_equal(batch["labelled"][3 * 4 + 1], images.x[14])  # the second 4
    other = Labelled((SIZE, SIZE, 1), classes=10, each=3)
    other.load_state(kept.state())
    assert np.array_equal(other.batch()["labelled"], batch["labelled"])
    with pytest.raises(ValueError, match="other sizes"):
        Labelled((SIZE, SIZE, 1), classes=10, each=4).load_state(kept.state())


# -- what the checks measure -----------------------------------------------------------------------------------------
def test_posterior_kl_by_its_definition() -> None:
    rng = np.random.default_rng(0)
    q = Posterior.of(Tensor(np.tile(rng.normal(size=(1, 6)), (20000, 1))))
    assert q.monte_carlo_kl(Tensor(rng.normal(size=(20000, 3)))).item() == pytest.approx(q.kl().item(), rel=0.03)


def test_codes_of_the_prior_are_near_it_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    prior, same, scaled = rng.normal(size=(500, 3)), rng.normal(size=(500, 3)), 2 * rng.normal(size=(500, 3))
    ring = same / np.linalg.norm(same, axis=1, keepdims=True) * np.sqrt(3)  # right mean, deviation and correlations
    assert max(off_prior(same, prior)) < 0.15 and min(off_prior(scaled, prior)) > 0.2
    assert off_prior(ring, prior)[0] < 0.15 and off_prior(ring, prior)[1] > 2 * off_prior(same, prior)[1]


def test_matching_finds_the_best_permutation() -> None:
    rng = np.random.default_rng(0)
    labels, names = rng.integers(0, 10, 500), rng.permutation(10)
    assert codes.matching_accuracy(names[labels], labels, categories=10) == 1
    wrong = np.where(np.arange(500) < 100, (names[labels] + 1) % 10, names[labels])
    assert codes.matching_accuracy(wrong, labels, categories=10) == pytest.approx(0.8)
    assert codes.matching_accuracy(np.zeros(500, int), labels, categories=10) == pytest.approx(
        np.bincount(labels).max() / 500
    )
    with pytest.raises(ValueError, match="outside of 0 to 3"):
        codes.matching_accuracy(names[labels], labels, categories=4)


def test_slant_and_width_of_known_strokes() -> None:
    y, x = np.indices((28, 28)) - 13.5
    upright, leaning, broad = (np.where(np.abs(x + s * y) < w, 1.0, -1.0) * 1.0 for s, w in ((0, 2), (0.5, 2), (0, 4)))
    strokes = np.stack([np.where(np.abs(y) < 9, s, -1.0) for s in (upright, leaning, broad)])[..., None].astype(
        np.float32
    )
    assert codes.slant(strokes) == pytest.approx([0, 0.5, 0], abs=0.02)
    w = codes.width(strokes)
    assert w[0] == pytest.approx(w[1], rel=0.1) and w[2] == pytest.approx(2 * w[0], rel=0.1)
    u, groups = np.linspace(-1, 1, 40), np.arange(40) % 2
    assert codes.explained(3 * u + 5 * groups, u, groups) == pytest.approx(1)
    assert codes.explained(np.random.default_rng(0).normal(size=40), u, groups) < 0.2
    assert codes.explained(1.0 * groups, u, groups) == 0
    both = np.random.default_rng(1).uniform(-1, 1, (40, 2))
    assert codes.explained(both @ [2.0, -3.0] + groups, both, groups) == pytest.approx(1)
    alone = [codes.explained(both @ [2.0, -3.0] + groups, both[:, i], groups) for i in (0, 1)]
    assert max(alone) < 0.9 and sum(alone) == pytest.approx(1, abs=0.2)  # of independent numbers the shares add up
    with pytest.raises(ValueError, match="expected"):
        codes.explained(1.0 * groups, both.T, groups)


def test_nearest_neighbours_and_principal_directions() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    clusters = 10 * np.eye(3)[labels] + rng.normal(size=(300, 3))
    assert nearest_neighbour_accuracy(clusters, labels, queries=100) == 1
    assert nearest_neighbour_accuracy(rng.normal(size=(300, 3)), labels, queries=100) < 0.6
    with pytest.raises(ValueError, match="at least one query"):
        nearest_neighbour_accuracy(clusters, labels, queries=300)
    assert principal(clusters, 3).var(axis=0).sum() == pytest.approx(clusters.var(axis=0).sum())
    assert (np.diff(principal(clusters, 3).var(axis=0)) <= 0).all()


def test_class_spread_is_the_mean_distance_within_classes() -> None:
    f, labels = np.array([[0.0, 0], [3, 4], [1, 1], [1, 2], [1, 3]]), np.array([0, 0, 1, 1, 1])
    assert class_spread(f, labels) == pytest.approx((5 + 4 / 3) / 2)
    with pytest.raises(ValueError, match="two of each class"):
        class_spread(f, np.array([0, 0, 1, 1, 2]))


def test_blur_takes_energy_away() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1))
    assert gradient_energy((x + np.roll(x, 1, axis=2)) / 2) < gradient_energy(x)
    step = np.zeros((1, 4, 4, 1))
    step[:, :, 2:] = 1
    assert gradient_energy(step) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="expected"):
        gradient_energy(x[0])
