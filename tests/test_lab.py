"""The lab's numbers are the engine's: settings, steps, snapshots, tables, formulas, the phase plane, a run's folder."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from minigan import data
from minigan.autodiff import Tensor
from minigan.data.toys import mixture
from minigan.gans.choices import GANConfig
from minigan.gans.needs import Facts
from minigan.gans.pairs import F_GANS, LOSSES, pair_of
from minigan.lab import formulas, latents, measures, truth
from minigan.lab.cells import SIDE, Square, spread_noise
from minigan.lab.dirac import RULES, Dirac
from minigan.lab.experiment import Experiment, carried
from minigan.lab.laws import law_of, transport
from minigan.lab.model import DATA, GROUPS, NOT_SHOWN, LabConfig, LabGAN, configured, schema
from minigan.lab.points import Points
from minigan.lab.worker import Worker, finite
from minigan.theory import divergences, optimal
from minigan.theory.dirac import DiracGAN
from minigan.theory.generators import f_divergence

SMALL = {"width": 8, "d_width": 8, "batch_size": 32}
CONSTRAINED = {"wasserstein": {"clip": 0.1}}


def small(**settings):
    return Experiment({**SMALL, **settings})


def weights(e, name):
    return {k: v for k, v in e.model.state().items() if k.startswith(f"{name}/")}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


# -- settings --------------------------------------------------------------------------------------------------------
def test_every_option_of_a_gan_is_on_the_page_or_has_a_reason():
    shown = [name for names in GROUPS.values() for name in names]
    assert len(shown) == len(set(shown)) and not set(shown) & NOT_SHOWN.keys()
    assert {f.name for f in dataclasses.fields(LabConfig)} == set(shown) | NOT_SHOWN.keys()
    assert {f.name for f in dataclasses.fields(GANConfig)} <= set(shown) | NOT_SHOWN.keys()
    assert set(next(each for each in schema() if each["name"] == "loss")["choices"]) == set(LOSSES)
    json.dumps(schema(), allow_nan=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lrr": 1.0}, "lrr: is no setting"), ({"lr": "1"}, "lr: got '1', expected a finite number"),
        ({"lr": float("inf")}, "finite"), ({"lr": True}, "finite"), ({"layers": 99}, "at most 6"), ({"layers": 2.0},
        "expected int"),
        ({"data": "/etc/passwd"}, "expected one of ring8"), ({"loss": "nosuch"}, "expected one of"),
        ({"loss": "wasserstein", "r1": 0.0}, "constraint"),
        ({"data": "drawn"}, "draw some first"), ({"pack": 3}, "multiple"),
    ],
)  # fmt: skip
def test_wrong_settings_change_nothing(settings, said):
    e = small()
    before, model = dict(e.settings), e.model
    with pytest.raises(ValueError, match=said):
        e.change(settings)
    assert e.settings == before and e.model is model
    e.step()


def test_a_permalink_holds_what_differs_only():
    assert small().settings == SMALL and Experiment({"lr": LabConfig().lr}).settings == {}
    assert configured({"lr": 1}).lr == 1.0


# -- steps -----------------------------------------------------------------------------------------------------------
def test_steps_are_those_of_the_engine():
    e, model = small(), LabGAN(LabConfig(**SMALL), (2,))
    loader = data.Loader(data.load("ring8", seed=0), batch_size=32, seed=0)
    for k in range(5):
        e.step()
        assert e.losses == {name: value.item() for name, value in model.game.step(loader.batch(k)).items()}
    assert same(e.model.state(), model.state()) and e.updates == {"discriminator": 5, "generator": 5}


@pytest.mark.parametrize(("player", "other"), [("discriminator", "generator"), ("generator", "discriminator")])
def test_one_player_alone(player, other):
    e = small(r1=0.1, d_steps=2)
    before = weights(e, other), weights(e, player)
    e.step(player)
    assert same(weights(e, other), before[0]) and not same(weights(e, player), before[1])
    assert list(e.losses) == [player] and e.updates[other] == 0
    with pytest.raises(ValueError, match="player"):
        e.step("nobody")


def test_going_back_and_on_repeats_every_number():
    e = small(ema=0.9)
    for k in range(60):
        e.step("" if k % 7 else "discriminator")
        e.note()
    end, rows = e.model.state(), list(e.rows)
    e.rewind(59)
    assert e.batches == 50 and e.rows == rows[:50] and max(e.snapshots) == 50
    for k in range(50, 60):
        e.step("" if k % 7 else "discriminator")
        e.note()
    assert same(e.model.state(), end) and e.rows == rows
    e.rewind(-3)
    assert e.batches == 0 and e.losses == {}


def test_rows_and_snapshots_do_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr("minigan.lab.experiment.MOST_SNAPSHOTS", 4)
    monkeypatch.setattr("minigan.lab.experiment.MOST_ROWS", 20)
    e = small()
    for _ in range(150):
        e.step()
        e.note()
    assert len(e.snapshots) <= 4 and e.every > 25 and 0 in e.snapshots and 10 <= len(e.rows) <= 20
    assert e.rows[-1][0] == 150 and sorted(e.rows) == e.rows


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.001}, {"loss": "hinge"}, {"loss": "js", "r1": 0.0}, {"optimizer": "sgd"}, {"d_steps": 3}, {"ema": 0.9},
        {"r2": 1.0},
        {"clip": 0.05}, {"spectral": "reshaped"}, {"historical": 0.1}, {"pool": 64}, {"noise": 0.1, "noise_steps": 20},
        {"gp": 1.0},
        {"lp": 1.0}, {"dragan": 1.0}, {"zero_gp": 1.0}, {"consensus": 0.1}, {"orthogonal": 0.1}, {"unroll": 2},
        {"feature_matching": True},
        {"rule": "extragradient"}, {"rule": "simultaneous"}, {"optimizer": "optimistic_adam"}, {"label_real": 0.9},
        {"batch_size": 16},
    ],
    ids=lambda c: next(iter(c)) + str(next(iter(c.values()))),
)  # fmt: skip
def test_a_change_keeps_the_weights_and_goes_on(change):
    e = small()
    e.step()
    before = weights(e, "generator")
    assert e.change(change) == [] and same(weights(e, "generator"), before) and e.batches == 1
    e.step()
    shown, known = measures.frame(e), measures.measured(e)
    assert np.isfinite(list(e.losses.values())).all() and shown["step"] == known["step"] == 2 and known["terms"]


def test_what_fits_no_more_begins_anew():
    e = small()
    e.step()
    before = weights(e, "generator")
    assert e.change({"minibatch": 4}) == ["the discriminator"] and same(weights(e, "generator"), before)
    assert "compares the examples" in measures.frame(e)["no_map"] and "regret" not in measures.measured(e)
    assert e.change({"width": 9}) == ["both networks"] and e.batches == 0 and len(e.rows) == 0


def test_a_new_average_begins_at_the_weights():
    old, own = LabGAN(LabConfig(**SMALL, seed=1), (2,)).state(), LabGAN(LabConfig(**SMALL, ema=0.9), (2,)).state()
    state, notes = carried(old, own, True)
    assert not notes and all(
        np.array_equal(state[k], old[k.replace("average", "generator")]) for k in own if k.startswith("average/l")
    )


# -- laws as tables --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DATA)
def test_a_law_has_its_exact_mass_in_every_cell(name):
    """Against the density, by the midpoints of 8 x 8 parts of some cells."""
    law = law_of(name)
    square, cells = law.square, law.square.cells
    assert abs(law.table.sum() - 1) < 1e-12 and law.table.min() >= 0
    chosen = np.argsort(law.table[:-1])[-3:]
    side, parts = square.size / cells, (np.arange(16) + 0.5) / 16
    for cell in chosen:
        corner = square.low + side * np.array([cell % cells, cell // cells])
        x = corner + side * np.stack(np.meshgrid(parts, parts), axis=-1).reshape(-1, 2)
        assert np.isclose(np.exp(law.dataset.log_density(x)).mean() * side**2, law.table[cell], rtol=2e-2)
    shares = square.table_of_points(law.dataset.x)
    assert np.abs(shares - law.table).sum() < 0.5  # 10,000 points


def test_points_fall_into_their_cells():
    square = Square(np.array([0.0, 0.0]), 2.0, 2)
    x = np.array([[0.1, 0.1], [1.9, 0.1], [0.1, 1.9], [1.0, 1.0], [5.0, 0.0], [np.nan, 1.0], [-0.1, 1.0], [0.2, 0.2]])
    assert square.table_of_points(x).tolist() == [2 / 8, 1 / 8, 1 / 8, 1 / 8, 3 / 8]
    assert square.centres().tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


@pytest.mark.parametrize(
    ("latent", "law"), [(1, "normal"), (2, "normal"), (2, "uniform"), (3, "normal"), (3, "uniform")]
)
def test_noise_is_spread_over_its_law(latent, law):
    z = spread_noise(latent, law)
    std = 1.0 if law == "normal" else 3**-0.5
    assert (
        z.shape == (SIDE**2, latent)
        and np.allclose(z.mean(axis=0), 0, atol=0.02)
        and np.allclose(z.std(axis=0), std, rtol=0.02)
    )


def test_drawn_points_are_a_law():
    law = law_of("drawn", [[0.0, 0.5], [-1, 1]])
    assert law.drawn == [[0.0, 0.5], [-1.0, 1.0]] and not law.counted and abs(law.table.sum() - 1) < 1e-12
    assert np.allclose(law.dataset.x.mean(axis=0), [-0.5, 0.75], atol=0.02)
    for wrong in ([], [[0, 2]], [[0]], "x", [[0, None]], [[0, 0]] * 3000, [[float("nan"), 0]]):
        with pytest.raises(ValueError, match="draw some first"):
            law_of("drawn", wrong)
    with pytest.raises(data.DataError, match="centres"):
        mixture(np.zeros((0, 2)), 0.1)


# -- what D could be at best -----------------------------------------------------------------------------------------
TABLES = np.random.default_rng(0).dirichlet(np.ones(12), 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_terms_sum_to_the_losses(loss):
    config = LabConfig(loss=loss, **CONSTRAINED.get(loss, {}))
    real, fake = np.random.default_rng(1).standard_normal((2, 40))
    of = {"discriminator": 0.0, "generator": 0.0}
    for term in formulas.terms(config, real, fake):
        of[term.player] += term.value
    pair = pair_of(config)
    assert np.isclose(of["discriminator"], pair.discriminator(Tensor(real), Tensor(fake)).item(), rtol=1e-12)
    assert np.isclose(of["generator"], pair.generator(Tensor(fake), Tensor(real)).item(), rtol=1e-12)


@pytest.mark.parametrize(
    "loss", [name for name in LOSSES if name not in ("wasserstein", "relativistic", "relativistic_average")]
)
def test_the_best_discriminator_has_no_regret_and_says_the_divergence(loss):
    config, (p, q) = LabConfig(loss=loss), TABLES
    outputs = truth.outputs_of(config, np.random.default_rng(2).standard_normal(12))
    found = truth.verdict(config, outputs, p, q)
    best = truth.verdict(config, found.best, p, q)
    assert found.loss > found.least and np.isclose(best.loss, found.least, atol=1e-9)
    names = {"js": "jensen_shannon"}
    expected = {
        "minimax": lambda: divergences.jsd(p, q), "non_saturating": lambda: divergences.jsd(p, q),
        "hinge": lambda: divergences.total_variation(p, q),
        **dict.fromkeys(("least_squares", "least_squares_pearson"), lambda: ((p - q) ** 2 / (p + q)).sum() / 2),
    }.get(loss) or (lambda: f_divergence(p, q, names.get(loss, F_GANS.get(loss))))  # fmt: skip
    assert np.isclose(truth.divergence_of(config).of(found.least), expected(), rtol=1e-9)


def test_the_best_critic_is_1_lipschitz_and_its_means_differ_by_w1():
    x, y = np.random.default_rng(0).standard_normal((2, 40, 2))
    y += (1.0, 2.0)
    w1, potential = transport(x, y)
    places = np.concatenate([x, y])
    best = truth.critic(places, y, potential)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert (np.abs(best[:, None] - best[None]) <= gaps + 1e-12).all()
    assert np.isclose(best[:40].mean() - best[40:].mean(), w1, rtol=1e-12)


def test_the_best_relativistic_score_is_the_least_of_its_game():
    p, q = TABLES
    game, best = optimal.relativistic, truth.log_ratio(p, q)
    assert np.isclose(game.discriminator(best + 3.0, p, q), game.value(p, q), rtol=1e-12)  # up to a constant


@pytest.mark.parametrize("loss", LOSSES)
def test_the_truth_of_every_loss(loss):
    e = small(loss=loss, **CONSTRAINED.get(loss, {}))
    for _ in range(3):
        e.step()
    known = json.loads(json.dumps(finite(measures.measured(e)), allow_nan=False))
    assert bool(known["no_best"]) == ("best" not in known)  # D* is shown, or why there is none
    assert 0 <= known["jsd"] <= np.log(2) and known["w1"] > known["w1_floor"] > 0 and known["modes"]["of"] == 8
    assert known["regret"] is None or known["regret"] >= 0
    if known["divergence"] and known["divergence"]["truth"] is not None:  # KL is infinite where cells are empty
        assert known["divergence"]["by_d"] <= known["divergence"]["truth"] + 1e-9
    total = sum(t["value"] for t in known["terms"] if t["player"] == "discriminator")
    assert np.isfinite(total) and {t["player"] for t in known["terms"]} == {"discriminator", "generator"}


def test_arrows_are_descent_of_the_generators_loss():
    e = small()
    e.step()
    x = measures.made(e, measures.noise(e, 4))
    found = measures.arrows(e, e.law.dataset.x, x)
    for i, k in np.ndindex(4, 2):
        ahead, behind = x.copy(), x.copy()
        ahead[i, k] += 1e-2
        behind[i, k] -= 1e-2
        rise = np.logaddexp(0, -measures.scores(e, ahead)[i]) - np.logaddexp(0, -measures.scores(e, behind)[i])
        assert np.isclose(found[i, k], -rise / 2e-2, rtol=0.05, atol=2e-3)
    slopes = measures.slopes(e, x)
    assert np.allclose(slopes, np.linalg.norm(found, axis=1) * (1 + np.exp(measures.scores(e, x))), rtol=1e-3)


@pytest.mark.parametrize(
    "settings", [{}, {"pack": 2}, {"latent": 1}, {"latent": 5, "law": "uniform"}, {"data": "gauss2d"}]
)
def test_a_frame_is_json_and_the_point_is_feasible(settings):
    e = small(**settings)
    e.step()
    shown = json.loads(json.dumps(measures.frame(e), allow_nan=False))
    assert shown["feasible"]["sum"] <= 1 and len(shown["fakes"]) == 2 * measures.SAMPLES
    assert len(shown["grid"]) == 2 * {1: measures.FINE, 2: measures.GRID**2}.get(e.config.latent, 0)
    assert shown["losses"] == e.losses and len(shown["arrows"]) == 2 * measures.ARROWS


# -- scenes ----------------------------------------------------------------------------------------------------------
def kinds(events):
    return [kind for kind, _ in events]


def test_two_runs_side_by_side_and_back_to_a_link():
    scene = Points()
    list(scene.do_set("A", SMALL))
    list(scene.do_split())
    list(scene.do_set("B", {"loss": "hinge"}))
    list(scene.do_step())
    shown = dict(scene.work())
    assert (
        shown["frame/A"]["step"] == shown["frame/B"]["step"] == 1
        and shown["frame/A"]["losses"] != shown["frame/B"]["losses"]
    )
    assert shown["truth/B"]["snapshots"] == [0]
    (_, state), *_ = scene.do_rate(5)
    runs = {name: {"settings": run["settings"]} for name, run in state["runs"].items()}
    other = Points()
    told = list(other.do_load(runs, rate=5))
    assert other.runs["B"].settings == {**SMALL, "loss": "hinge"} and other.rate == 5 and "history/B" in kinds(told)
    list(scene.do_join())
    assert list(scene.runs) == ["A"]
    for wrong in (
        {"do": "rate", "steps": -1}, {"do": "rate", "steps": "x"}, {"do": "rewind", "step": "x"}, {"do": "set", "run": "C",
        "settings": {}},
        {"do": "step", "player": "x"}, {"do": "load", "runs": {}}, {"do": "load", "runs": 1}, {"do": "step", "more": 1},
        {"do": "set"},
        {"do": "__init__"}, {"do": "nosuch"},
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
            list(scene.answer(wrong))


def test_slow_motion_keeps_its_pace_and_a_loss_that_is_no_number_stops(monkeypatch):
    scene = Points()
    list(scene.do_set("A", SMALL))
    list(scene.do_rate(1000))
    list(scene.do_play())
    while scene.runs["A"].batches < 3:
        list(scene.work())
    list(scene.do_set("A", {"optimizer": "sgd", "lr": 1e30, "loss": "least_squares"}))
    told = []
    while scene.playing:
        told += list(scene.work())
    assert any(kind == "problem" and "Stopped" in value["text"] for kind, value in told)


def test_the_phase_plane_is_the_theorys():
    scene = Dirac()
    list(scene.do_set({"regularizer": "r1", "gamma": 0.3, "rule": "simultaneous"}))
    list(scene.do_start(0.5, -0.25))
    for _ in range(4):
        list(scene.do_step())
    game = DiracGAN(loss="non_saturating", regularizer="r1", gamma=0.3)
    assert np.allclose(scene.path, game.path(RULES["simultaneous"], 0.5, -0.25, steps=4, step=0.1))
    told = dict(scene.hello())
    assert np.allclose([complex(*v) for v in told["path"]["eigenvalues"]], game.eigenvalues(*scene.path[-1]))
    assert np.allclose([complex(*v) for v in told["plane"]["rest"]], game.eigenvalues())
    i = 30
    assert np.allclose(told["plane"]["field"][i], game.field(*told["plane"]["points"][i]))
    with pytest.raises(ValueError, match="gamma"):
        list(scene.do_set({"gamma": -1}))
    assert scene.settings["gamma"] == 0.3


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_moves(rule):
    scene = Dirac()
    scene.settings["rule"] = rule
    scene._move(3)
    assert len(scene.path) == 4 and np.isfinite(scene.path).all()


def test_noise_and_class_become_an_image():
    from minigan.gans.cgan import CGAN

    model = CGAN(CGAN.Config(features=2, latent=4), Facts({"x": (8, 8, 1)}, {"y": 3}))
    about = latents.sliders(model)
    assert about["sliders"] == 4 and about["classes"] == 3 and not about["no_sliders"]
    z, label = latents.asked_for(model, [0.5, 0, 0, -1], 2)
    made = latents.as_bytes(latents.decoded(model, z, label))
    assert made["count"] == 1 and (made["height"], made["width"], made["channels"]) == (8, 8, 1)
    assert not np.array_equal(latents.decoded(model, z, 1), latents.decoded(model, z, 2))
    for wrong in (([0.5], 0), ([0.5, 0, 0, 9], 0), ([0.5, 0, 0, 0], 3), ("x", 0), ([0.0] * 4, "1")):
        with pytest.raises(ValueError, match="expected"):
            latents.asked_for(model, *wrong)
    assert "for images" in latents.no_sliders(small().model)


def test_a_worker_answers_every_command_with_events_of_json():
    import io

    out = io.StringIO()
    worker = Worker(None, out)
    for command in (
        {"do": "hello"}, {"do": "nosuch"}, {"do": "set", "run": "A", "settings": SMALL}, {"do": "step"}, {"do": "scene",
        "name": "x"},
        {"do": "scene", "name": "dirac"}, {"do": "hello"},
    ):  # fmt: skip
        worker.answer(command)
    worker.tell([("facts", {"nan": float("nan"), "list": [float("inf"), 1.5]})])
    told = [line.split(" ", 1) for line in out.getvalue().splitlines()]
    assert all(json.loads(text) is not None for _, text in told)
    assert json.loads(told[-1][1]) == {"nan": None, "list": [None, 1.5]} and worker.scene.name == "dirac"
    assert sum(kind == "problem" and bool(json.loads(text)["text"]) for kind, text in told) == 2
