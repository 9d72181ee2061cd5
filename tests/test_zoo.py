"""The zoo: for every model, losses against their formulas, gradients, replay, resume, conditions, pictures and checks.

A new model is one line of ZOO, with options that make it small, and a test of its losses against the paper's formula.
"""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan import data, gans, ops
from minigan.autodiff import Tensor, grad
from minigan.batch import tensors_of
from minigan.gans import needs
from minigan.gans.checks import Check, RealData
from minigan.gans.directions import top_eigenvectors
from minigan.gans.labelled import Labelled
from minigan.gans.latents import Posterior, off_prior
from minigan.metrics import codes
from minigan.metrics.class_spread import class_spread
from minigan.metrics.nearest_neighbour import nearest_neighbour_accuracy, principal
from minigan.metrics.sharpness import gradient_energy
from minigan.run import plots
from minigan.run.feed import Feed
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
}
ASKED = {
    "cgan": {"label": 3},
    "acgan": {"label": 3},
    "projection": {"label": 3},
    "infogan": {"category": 3, "first": 0.5},
}
SILENT = ("vat",)  # make no examples
HELD = {
    "vat": {"weight": 0.0}
}  # direction and target of LDS count as constants in its derivative, so it is tested apart
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


def supply_of(model: Any, images: data.Dataset) -> needs.Supply:
    groups: dict[str, np.ndarray] = {}
    facts = needs.Facts()
    for name, kind in needs.entries(model.needs).items():
        groups[name] = (
            images.x if kind == "images" else np.eye(10, dtype=np.float32)[images.y] if kind == "one-hot" else images.y
        )
        (facts.shapes if kind == "images" else facts.classes)[name] = images.x.shape[1:] if kind == "images" else 10
    return needs.Supply(facts, {"x": images}, {"x": groups}, isinstance(model.needs, str))


def made(name: str, images: data.Dataset, **options: Any) -> tuple[Any, Feed]:
    model = gans.get(name)
    config = model.Config(batch_size=BATCH, steps=30, **{**ZOO[name], **options.pop("config", {})})
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
            if t.ndim > 1:  # away from the kinks that lie at 0, where weights of .02 leave most activations
                t.assign(10 * t.data)
    entries = batch if isinstance(batch, dict) else {"x": batch}
    given = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in entries.items()}
    whole = tensors_of(given if isinstance(batch, dict) else given["x"])
    players = model.game.players
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
        _, slopes = player.gradients(whole, [p for p in players if p is not player])
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
        drawn = plots.painter_of(picture.examples, None).picture(picture.examples, "", picture.columns)
        assert drawn.dtype == np.uint8 and np.isfinite(picture.examples).all() and np.abs(picture.examples).max() <= 1
    assert all(np.isfinite(v) for v in numbers.values())
    assert all(isinstance(c, Check) and np.isfinite(c.value) for c in checks)
    if name in SILENT:
        with pytest.raises(NotImplementedError):
            model.sample(2)
        return
    samples = model.sample(5, seed=3, **ASKED.get(name, {}))
    assert samples.shape == (5, SIZE, SIZE, 1) and np.abs(samples).max() <= 1 and samples.std() > 0
    assert np.array_equal(samples, model.sample(5, seed=3, **ASKED.get(name, {})))
    for condition in ASKED.get(name, {}):
        assert not np.array_equal(samples, model.sample(5, seed=3, **{**ASKED[name], condition: 0}))


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


def test_acgan(images: data.Dataset) -> None:
    model, feed = made("acgan", images, replay=False)
    (batch,) = feed(0)
    b = fixed(model, batch)
    fake, y = model.generate(BATCH, b.y), batch["y"]
    heads = [(model.source(h).numpy(), model.classifier(h).numpy()) for h in map(model.trunk, (b.x, fake))]
    (s_real, c_real), (s_fake, c_fake) = heads
    l_s = -softplus(-s_real).mean() - softplus(s_fake).mean()
    l_c = (y * log_softmax(c_real)).sum(1).mean() + (y * log_softmax(c_fake)).sum(1).mean()
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
    assert np.linalg.svd(table, compute_uv=False)[0] == pytest.approx(1, rel=0.2)


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


# -- VAT: the direction ----------------------------------------------------------------------------------------------
def double(model: Any) -> Any:
    model.random.dtype = np.dtype(np.float64)
    model.classifier.astype(np.float64)
    return model


def test_vat_terms(images: data.Dataset) -> None:
    model, feed = made("vat", images, replay=False, config={"weight": 0.4, "entropy": 0.3})
    (batch,) = feed(0)
    model.classifier.eval()  # a batch of its own then has the same logits
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
