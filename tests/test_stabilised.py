"""Stabilised training: every loss and regulariser that a user can choose, alone and together, and the models made of them."""

import dataclasses
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

import minigan as mg
from minigan import gans, losses, nn, ops
from minigan.cli import main
from minigan.gans import pairs
from minigan.gans.choices import ORDERS, GANConfig
from minigan.gans.dcgan import DCGAN
from minigan.gans.gan import joined
from minigan.gans.nets import Either
from minigan.gans.options import for_images
from minigan.gans.protocol import Unsuitable
from minigan.gans.toy import Toy
from minigan.rules import RULES
from minigan.theory import divergences, optimal

rng = np.random.default_rng(13)
POINTS = rng.standard_normal((8, 2)).astype(np.float32)
IMAGES = rng.uniform(-1, 1, (8, 8, 8, 1)).astype(np.float32)
PAPERS = ["lsgan", "wgan", "wgan_gp", "sngan", "r3gan", "dragan", "pacgan", "unrolled"]

# -- each loss: the best discriminator of a finite world, found by descent, against what its docstring says -----------
P, Q = np.array([4, 2, 1, 1]) / 8, np.array([1, 2, 2, 3]) / 8
REAL, FAKE = np.repeat(np.arange(4), (8 * P).astype(int)), np.repeat(np.arange(4), (8 * Q).astype(int))
LOGIT = np.log(P / Q)
STATED = {  # the best outputs up to a constant where only differences count, and the loss there
    "minimax": (LOGIT, np.log(4) - 2 * divergences.jsd(P, Q)),
    "non_saturating": (LOGIT, np.log(4) - 2 * divergences.jsd(P, Q)),
    "least_squares": (P / (P + Q), optimal.least_squares().value(P, Q)),
    "least_squares_pearson": ((P - Q) / (P + Q), optimal.least_squares(a=-1, b=1, c=0).value(P, Q)),
    "relativistic": (LOGIT - LOGIT.mean(), optimal.relativistic.value(P, Q)),
    "kl": (1 + LOGIT, -divergences.kl(P, Q)),
    "reverse_kl": (LOGIT, -divergences.kl(Q, P)),
    "js": (LOGIT, -divergences.jsd(P, Q)),
    "chi_squared": (2 * (P / Q - 1), -divergences.f_divergence(P, Q, "pearson")),
    "hellinger": (0.5 * LOGIT, -divergences.f_divergence(P, Q, "hellinger")),
}


def best(pair):
    """The outputs that minimise the discriminator's loss on all pairs of the world's 8 reals and 8 fakes, and the loss."""
    real, fake = np.repeat(REAL, 8), np.tile(FAKE, 8)

    def loss(v):
        leaf = mg.tensor(v, requires_grad=True)
        value = pair.discriminator(ops.take(leaf, real, 0), ops.take(leaf, fake, 0))
        return value.item(), mg.grad(value, leaf).data

    found = minimize(loss, np.zeros(4), jac=True, options={"gtol": 1e-9})
    return found.x, found.fun


@pytest.mark.parametrize("name", STATED)
def test_the_best_discriminator_and_its_loss_are_those_stated(name):
    outputs, value = STATED[name]
    found, least = best(pairs.LOSSES[name])
    found = found - found.mean() if name == "relativistic" else found
    assert least == pytest.approx(value, abs=1e-7)
    np.testing.assert_allclose(found, outputs, atol=2e-3)


def test_the_best_scores_of_the_hinge_are_found_outcome_by_outcome():
    """It has kinks, where descent stops; with one outcome's score at a time there are the candidates of a grid."""
    grid = np.linspace(-3, 3, 121)
    costs = P[:, None] * np.maximum(0, 1 - grid) + Q[:, None] * np.maximum(0, 1 + grid)
    np.testing.assert_allclose(grid[costs.argmin(1)][P != Q], np.sign(P - Q)[P != Q], atol=1e-12)
    scores = mg.tensor(grid[costs.argmin(1)])
    least = losses.hinge.discriminator(ops.take(scores, REAL, 0), ops.take(scores, FAKE, 0)).item()
    assert least == pytest.approx(costs.min(1).sum()) == pytest.approx(2 - 2 * divergences.total_variation(P, Q))


def test_total_variation_is_approached_but_not_reached():
    """The best output is infinite where p != q: tanh v = sign(p - q)."""
    least = best(pairs.LOSSES["tv"])[1]
    assert -divergences.total_variation(P, Q) <= least < -0.99 * divergences.total_variation(P, Q)


def test_a_relativistic_average_solves_its_equation_and_is_a_divergence():
    found, least = best(losses.relativistic_average)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    of_reals, of_fakes = P @ found, Q @ found
    a, b = Q @ sigmoid(found - of_reals), P @ sigmoid(of_fakes - found)
    np.testing.assert_allclose(P * (sigmoid(of_fakes - found) + a), Q * (sigmoid(found - of_reals) + b), atol=1e-6)
    assert (np.diff(found[np.argsort(P / Q)]) > 0).all() and least < np.log(4) - 0.05


@pytest.mark.parametrize(("a", "b"), [(0.9, 0.0), (0.8, 0.1)])
def test_soft_labels_move_the_best_discriminator(a, b):
    game, pair = optimal.smoothed(real_label=a, fake_label=b), losses.smoothed(real_label=a, fake_label=b)
    found, least = best(pair)
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), (a * P + b * Q) / (P + Q), atol=1e-5)
    assert least == pytest.approx(game.value(P, Q), abs=1e-9)
    real, fake = rng.standard_normal((5, 1)), rng.standard_normal((5, 1))
    wanted = losses.bce_with_logits(mg.tensor(real), a) + losses.bce_with_logits(mg.tensor(fake), b)
    assert pair.discriminator(mg.tensor(real), mg.tensor(fake)).item() == pytest.approx(wanted.item())
    assert mg.gradcheck(pair.discriminator, (real, fake), order=2)
    for wrong in ({"real_label": 0.2, "fake_label": 0.5}, {"real_label": 1.2}, {"fake_label": -0.1}):
        with pytest.raises(ValueError, match="label"):
            losses.smoothed(**wrong)
    with pytest.raises(ValueError, match="not logistic"):
        losses.smoothed(losses.hinge)


@pytest.mark.parametrize("name", pairs.LOSSES)
def test_the_equilibrium_of_the_plots_is_the_best_constant_on_equal_samples(name):
    config = Toy.Config(loss=name, r1=1.0)
    pair, told = pairs.pair_of(config), pairs.equilibrium_of(config)
    scores = np.linspace(-1.5, 1.5, 301)
    values = [pair.discriminator(mg.tensor(np.array([s])), mg.tensor(np.array([s]))).item() for s in scores]
    middle = scores[np.isclose(values, min(values), atol=1e-9)].mean()
    assert min(values) == pytest.approx(told["discriminator"][1], abs=1e-9)
    if "generator" in told:
        at = mg.tensor(np.array([middle]))
        assert pair.generator(at, at).item() == pytest.approx(told["generator"][1], abs=1e-9)


@pytest.mark.parametrize(
    "options", [{"label_real": 0.9}, {"label_real": 0.8, "label_fake": 0.1, "loss": "minimax"},
                {"loss": "least_squares", "a": -1.0, "b": 2.0, "c": 0.5}],
)  # fmt: skip
def test_the_equilibrium_follows_labels(options):
    config = Toy.Config(**options)
    pair, told = pairs.pair_of(config), pairs.equilibrium_of(config)
    score = lambda s: (mg.tensor(np.array([s])),) * 2  # noqa: E731
    found = minimize(lambda s: pair.discriminator(*score(float(s[0]))).item(), [0.1], tol=1e-12)
    assert found.fun == pytest.approx(told["discriminator"][1], abs=1e-8)
    assert pair.generator(*score(found.x[0])).item() == pytest.approx(told["generator"][1], abs=1e-5)


@pytest.mark.parametrize("name", pairs.F_GANS)
def test_derivatives_of_f_gans_of_order_one_and_two(name):
    pair, real, fake = pairs.LOSSES[name], np.array([[0.3], [-0.7], [1.9]]), np.array([[-0.4], [0.2], [-1.4]])
    assert mg.gradcheck(pair.discriminator, (real, fake), order=2)
    assert mg.gradcheck(pair.generator, fake, order=2)


# -- every loss with every regulariser -------------------------------------------------------------------------------
REGULARISERS = {
    **{name: {name: 0.5} for name in ("r1", "r2", "zero_gp", "gp", "lp", "dragan")},
    **{name: {name: 0.5} for name in ("consensus", "clip", "orthogonal", "historical")},
    "spectral": {"spectral": "reshaped"}, "operator": {"spectral": "operator"}, "weight_norm": {"weight_norm": True},
    "noise": {"noise": 0.1, "noise_steps": 3}, "pack": {"pack": 2}, "minibatch": {"minibatch": 3},
    "minibatch_std": {"minibatch_std": True}, "pool": {"pool": 5}, "feature_matching": {"feature_matching": True},
    "unroll": {"unroll": 2}, "optimistic": {"optimizer": "optimistic_adam"}, "sgd": {"optimizer": "sgd"},
    "rmsprop": {"optimizer": "rmsprop"}, "extragradient": {"rule": "extragradient"},
    "simultaneous": {"rule": "simultaneous"}, "d_steps": {"d_steps": 2}, "two rates": {"d_lr": 1e-2, "decay": True},
    "smooth": {"label_real": 0.9}, "ema": {"ema": 0.9},
}  # fmt: skip


def steps(model, x, count):
    """The last losses, and all numbers of the state."""
    for _ in range(count):
        values = model.game.step(x)
    return {k: v.item() for k, v in values.items()}, model.state()


def small(make, **options):
    """A small model without replay, of points."""
    settings = {"width": 4, "batch_size": 8, "penalty_every": 1, "r1": 0.0, **options}
    known = {f.name for f in dataclasses.fields(make.Config)}
    return make(make.Config(**{k: v for k, v in settings.items() if k in known}), (2,), replay=False)


@pytest.mark.parametrize("loss", pairs.LOSSES)
def test_every_loss_with_every_regulariser(loss):
    for name, options in REGULARISERS.items():
        if name == "smooth" and loss not in pairs.SMOOTH:
            continue
        free = loss == "wasserstein" and not any(key in pairs.CONSTRAINTS for key in options)
        model = small(Toy, loss=loss, **options, **({"lp": 1.0} if free else {}))
        before = {k: v.copy() for k, v in model.state().items()}
        values, after = steps(model, POINTS, 2)
        assert all(np.isfinite(v) for v in values.values()), name
        for player in ("generator", "discriminator"):
            assert any((after[k] != before[k]).any() for k in after if k.startswith(f"{player}/")), (name, player)


TOGETHER = {
    "penalties": (
        "r1",
        "r2",
        "zero_gp",
        "gp",
        "lp",
        "dragan",
        "orthogonal",
        "historical",
        "d_steps",
        "two rates",
        "ema",
    ),
    "what D sees": ("noise", "pack", "minibatch", "minibatch_std", "pool", "smooth", "clip", "rmsprop"),
    "field": ("spectral", "optimistic", "extragradient", "consensus"),
    "ahead": ("operator", "unroll", "sgd"),
    "features": ("weight_norm", "feature_matching", "simultaneous"),
}


def test_each_regulariser_is_replayed():
    assert sorted(itertools.chain(*TOGETHER.values())) == sorted(REGULARISERS)


@pytest.mark.parametrize("name", TOGETHER)
def test_replayed_steps_equal_eager_ones_and_a_resumed_run_an_unbroken_one(name):
    """Bit by bit: five recorded steps; and two, saved, loaded into a new model, and three more."""
    settings = {"width": 4, "batch_size": 8, "penalty_every": 2, "steps": 9, "seed": 3, "r1": 0.0}
    for part in TOGETHER[name]:
        settings |= REGULARISERS[part]
    make = lambda replay: Toy(Toy.Config(**settings), (2,), replay=replay)  # noqa: E731
    eager, recorded, broken = make(False), make(True), make(True)
    x = [np.random.default_rng(k).standard_normal((8, 2)).astype(np.float32) for k in range(5)]
    for batch in x:
        eager.game.step(batch)
        recorded.game.step(batch)
    for batch in x[:2]:
        broken.game.step(batch)
    resumed = make(True)
    resumed.load_state(broken.state())
    for batch in x[2:]:
        resumed.game.step(batch)
    wanted = eager.state()
    for other in (recorded.state(), resumed.state()):
        assert wanted.keys() == other.keys()
        assert all(np.array_equal(wanted[k], other[k]) for k in wanted), [
            k for k in wanted if (wanted[k] != other[k]).any()
        ]


# -- what a setting does ---------------------------------------------------------------------------------------------
def test_clipped_weights_stay_in_their_box_after_every_update():
    model = small(Toy, loss="wasserstein", clip=0.01, d_steps=3, lr=0.1)
    steps(model, POINTS, 2)
    assert max(abs(v).max() for v in model.discriminator.state().values()) == np.float32(0.01)


@pytest.mark.parametrize("count", [2, 4])
def test_packs_are_examples_side_by_side(count):
    x = rng.standard_normal((8, 3, 2))
    y = joined(mg.tensor(x), count).data
    assert y.shape == (8 // count, 3, 2 * count)
    for i, j in itertools.product(range(8 // count), range(count)):
        np.testing.assert_array_equal(y[i, :, 2 * j : 2 * j + 2], x[i * count + j])
    with pytest.raises(ValueError, match="multiple"):
        joined(mg.tensor(x), 3)
    model = small(Toy, pack=count)
    assert next(iter(model.discriminator.parameters().values())).shape[0] == 2 * count


def test_an_unrolled_generator_follows_the_derivative_through_the_discriminators_steps():
    """A linear D and G on the line, K = 1, by hand: D answers with w + eta dV/dw, and G's slope has a second term."""
    model = Either(Either.Config(unroll=1, unroll_lr=0.5, loss="wasserstein", gp=1.0, width=1), (1,), replay=False)
    model.discriminator = nn.Dense(1, 1, bias=False)
    w, theta, x = 0.7, 0.3, 2.0
    model.discriminator.weight.assign(np.array([[w]]))
    fake = mg.tensor(np.array([[theta]], np.float32), requires_grad=True)
    loss = model.against(mg.tensor(np.array([[x]], np.float32)), fake)
    ahead = w + 0.5 * (x - theta)  # L_D = w theta - w x
    assert loss.item() == pytest.approx(-ahead * theta, rel=1e-6)
    assert mg.grad(loss, fake).item() == pytest.approx(-ahead + 0.5 * theta, rel=1e-6)  # d(-(w + (x - t)/2) t)/dt
    assert model.discriminator.weight.item() == pytest.approx(w)


@pytest.mark.parametrize("k", [1, 3])
def test_an_unrolled_loss_against_finite_differences(k):
    model = small(Either, unroll=k, loss="non_saturating")
    model.discriminator.astype(np.float64)
    real, fake = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    assert mg.gradcheck(lambda y: model.against(mg.tensor(real), y), fake, order=1)


def test_consensus_is_the_field_of_the_theory():
    """On the Dirac-GAN: gamma/2 |v|^2 added to both losses turns v into v - gamma J^T v."""
    theta, psi, gamma = 0.6, -0.8, 0.3
    t, p = mg.tensor(np.array(theta), requires_grad=True), mg.tensor(np.array(psi), requires_grad=True)
    real, fake = p * 0.0, p * t
    pair = losses.non_saturating
    own = [pair.generator(fake), pair.discriminator(real, fake)]
    penalty = mg.penalties.consensus(own, [[t], [p]], gamma=gamma)
    found = [
        -(g.item() + h.item())
        for g, h in zip([mg.grad(own[0], t), mg.grad(own[1], p)], mg.grad(penalty, [t, p]), strict=True)
    ]
    wanted = mg.theory.dirac.DiracGAN(regularizer="consensus", gamma=gamma).field(theta, psi)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    with pytest.raises(ValueError, match="one loss a player"):
        mg.penalties.consensus(own, [[t]], gamma=1.0)


@pytest.mark.parametrize("name", pairs.LOSSES)
def test_measured_eigenvalues_of_the_dirac_gan_are_those_of_the_theory(name):
    """The engine's own step (descent at rate h, simultaneous) near the rest point, by differences: (map - 1)/h has the
    eigenvalues of the field's Jacobian, for each regulariser."""
    pair, gamma, h, zero = pairs.LOSSES[name], 0.6, 0.05, np.zeros((1, 1))

    def moved(point, regularizer):
        t, p = (mg.tensor(np.array([[v]]), requires_grad=True) for v in point)

        def field(theta, psi):
            return [pair.generator(theta @ psi, zero @ psi), pair.discriminator(zero @ psi, theta @ psi)]

        def own(k):
            at = [t, p]
            loss = field(*at)[k]
            if regularizer == "consensus":
                at[1 - k] = at[1 - k].detach()
                at[1 - k].requires_grad = True
                return loss + mg.penalties.consensus(field(*at), [[at[0]], [at[1]]], gamma=gamma)
            if k and regularizer in ("r1", "r1_r2"):
                loss = loss + mg.penalties.r1(lambda x: x @ p, zero, gamma=gamma)
            if k and regularizer in ("r2", "r1_r2"):
                loss = loss + mg.penalties.r2(lambda x: x @ p, t, gamma=gamma)
            if k and regularizer == "gradient_penalty":
                between = mg.penalties.gradient_penalty(lambda x: x @ p, zero, t, uniform=0.5, target=0.0)
                loss = loss + gamma * between
            return loss

        players = [
            mg.Player(who, lambda k=k: own(k), mg.optim.SGD({who: x}, lr=h))
            for k, (who, x) in enumerate((("G", t), ("D", p)))
        ]
        mg.Game(players, rule="simultaneous").step()
        return np.array([t.item(), p.item()])

    for regularizer in ("none", "r1", "r2", "r1_r2", "gradient_penalty", "consensus"):
        columns = [(moved(e, regularizer) - moved(-e, regularizer)) / 2e-4 for e in 1e-4 * np.eye(2)]
        found = mg.theory.dynamics.eigenvalues((np.stack(columns, 1) - np.eye(2)) / h)
        gan = mg.theory.dirac.DiracGAN(loss=pair, regularizer=regularizer, gamma=gamma, target=0.0)
        np.testing.assert_allclose(found, gan.eigenvalues(), atol=1e-5, err_msg=regularizer)


def test_noise_falls_to_nothing_and_is_on_reals_and_fakes():
    model = small(Toy, noise=2.0, noise_steps=4)
    sizes = []
    original = model.seen
    model.seen = lambda x: (sizes.append(float((original(x) - x).data.std())), original(x))[1]
    for _ in range(5):
        model.game.step(POINTS)
    per_step = np.array(sizes).reshape(5, -1)
    assert per_step.shape[1] == 3 and (per_step[-1] == 0).all()
    assert per_step[0].min() > 1 and (per_step[0] > 1.2 * per_step[2]).all()


def test_augmentation_is_led_by_how_sure_the_discriminator_is():
    options = {"features": 2, "batch_size": 8, "augment": "color,translation", "ada": 0.5, "ada_images": 80, "lr": 0.0}
    model = DCGAN(DCGAN.Config(**options), (8, 8, 1))
    head = model.discriminator.layers[-1]
    for sign, shares in ((1.0, [0.1, 0.2, 0.3]), (-1.0, [0.2, 0.1, 0.0, 0.0])):
        head.bias.assign(np.array([sign * 1e3]))
        for share in shares:
            model.game.step(IMAGES)
            assert model.augmentation.p.item() == pytest.approx(share, abs=1e-6)
    other = DCGAN(DCGAN.Config(**options), (8, 8, 1))
    model.augmentation.p.assign(0.7)
    other.load_state(model.state())
    assert other.augmentation.p.item() == np.float32(0.7)


@pytest.mark.parametrize(("data", "batch", "beta1"), [("glyphs", 64, 0.5), ("ring8", 256, 0.0)])
def test_defaults_follow_the_data_and_what_is_set_stays(tmp_path, capsys, data, batch, beta1):
    words = ["--set", "lr=0.003", "features=2", "width=4", "--steps", "0", "--out", str(tmp_path / "run")]
    assert main(["train", "sngan", "--data", data, *words]) == 0
    found = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (found["batch_size"], found["beta1"], found["lr"], found["steps"]) == (batch, beta1, 0.003, 0)
    assert main(["train", "sngan", "--help"]) == 0
    assert "examples a step; 64 for images" in capsys.readouterr().out


@pytest.mark.parametrize("name", PAPERS)
def test_defaults_for_images_are_a_configuration_that_trains(name):
    config = for_images(gans.get(name).Config, features=2, batch_size=8)
    highest = 2e-3 if name == "r3gan" else 5e-4  # see bench/digits.py
    assert config.batch_size == 8 and config.latent == 100 and config.lr <= highest
    steps(gans.get(name)(config, (8, 8, 1)), IMAGES, 2)


def test_a_class_may_give_its_pair_and_its_penalties_as_values():
    class Mine(Toy):
        pair = losses.least_squares(a=-1.0, b=1.0, c=0.0)
        penalties = {"slope": lambda model, real: mg.penalties.r1(model.discriminator, real, gamma=1.0)}  # noqa: RUF012

    model = Mine(Mine.Config(width=4, batch_size=8, penalty_every=1), (2,))
    for _ in range(3):
        values = model.game.step(POINTS)
    assert "slope" in model.game.metrics and all(np.isfinite(v.item()) for v in values.values())
    assert model.equilibrium() == {}


def test_checks_see_whether_a_regulariser_holds():
    """A clipped critic, a normalised one, and one whose slope is given; and the same ones spoilt."""
    real = {"x": POINTS}

    class Given(dict):
        seed, sets = 0, {"x": SimpleNamespace(modes=None, sigma=None)}  # of no known law

    def met(model):
        return {check.name.split(",")[0]: check.met for check in model.checks(Given(real))}

    model = small(Toy, loss="wasserstein", clip=0.1)
    steps(model, POINTS, 1)
    assert met(model) == {"largest |weight| of D / clip": True}
    model.discriminator.layers[0].weight.assign(np.full((2, 4), 0.11))
    assert met(model) == {"largest |weight| of D / clip": False}
    model = small(Toy, spectral="reshaped")
    steps(model, POINTS, 20)
    assert met(model) == {"singular value": True} and len(model.checks(Given(real))) == 3
    layer = model.discriminator.layers[0]
    v = layer.changes[0].v.data
    across = np.array([v[1], -v[0], v[3], -v[2]])
    vars(layer)["weight"].assign(np.stack([v, 10 * across]))  # the iteration sees the first direction only, of length 1
    assert max(check.value for check in model.checks(Given(real))) == pytest.approx(10, rel=1e-4)
    assert [check.met for check in model.checks(Given(real))] == [False, True, True]
    model = small(Toy, gp=1.0)
    model.discriminator.layers[:] = [nn.Dense(2, 1)]
    for slope, holds in ((1.0, True), (0.5, False)):
        model.discriminator.layers[0].weight.assign(np.array([[slope], [0.0]]))
        assert met(model) == {"mean |grad D| between fakes and reals": holds}
    assert met(small(Toy)) == {}


# -- what does not go together ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ({"loss": "wasserstein", "r1": 0.0}, "gp=10"),
        ({"loss": "hinge", "label_real": 0.9}, "loss=minimax or loss=non_saturating"),
        ({"loss": "hinge", "a": -1.0}, "loss=least_squares"),
        ({"rule": "extragradient", "d_steps": 5}, "d_steps=1"),
        ({"pack": 3, "batch_size": 8}, "multiple"),
        ({"noise_steps": 5}, "noise=0.1"),
        ({"ada": 0.6}, "augment="),
        ({"weight_norm": True, "spectral": "reshaped"}, "keep one"),
        ({"weight_norm": True, "clip": 0.1}, "keep one"),
        ({"spectral": "operator", "clip": 0.1}, "keep one"),
        ({"unroll": 2, "feature_matching": True}, "keep one"),
        ({"unroll": 2, "consensus": 0.1}, "unroll=0"),
        ({"feature_matching": True, "consensus": 0.1}, "feature_matching=0"),
    ],
)
def test_what_does_not_go_together_says_the_way_out(options, way_out):
    with pytest.raises(Unsuitable, match=way_out):
        Toy.Config(**options)


class Normalised(Toy):
    def networks(self):
        layers = [nn.Dense(2, 4), nn.BatchNorm(4), nn.Dense(4, 1)]
        return super().networks() | {"discriminator": nn.Sequential(*layers)}


def test_batch_norm_in_the_discriminator():
    """No penalty, and batches of their own for reals and fakes."""
    with pytest.raises(Unsuitable, match="LayerNorm"):
        small(Normalised, r1=0.1)
    model = small(Normalised)
    real, fake = mg.tensor(POINTS), mg.tensor(3 * POINTS)
    alone = model.discriminator(real).data
    np.testing.assert_array_equal(model.logits(real, fake)[0].data, alone)
    assert (model.discriminator(ops.concatenate([real, fake])).data[:8] != alone).any()


class Other(Toy):
    class Score(nn.Module):
        def __init__(self):
            self.layer = nn.Dense(2, 1)

        def forward(self, x):
            return self.layer(x)

    def networks(self):
        return super().networks() | {"discriminator": self.Score()}


@pytest.mark.parametrize("name", ["feature_matching", "minibatch", "minibatch_std"])
def test_what_needs_a_last_layer_says_so_before_the_first_step(name):
    with pytest.raises(Unsuitable, match="Sequential with a Dense layer"):
        small(Other, **{name: 3 if name == "minibatch" else True})


def test_points_cannot_be_augmented():
    with pytest.raises(Unsuitable, match="augment=none"):
        small(Toy, augment="color")


def test_the_command_line_says_it_as_a_usage_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "toy", "--steps", "1", "--set", "loss=wasserstein", "r1=0"]) == 2
    assert "add gp=10" in capsys.readouterr().err


def test_every_rule_is_explained():
    assert ORDERS.keys() == RULES.keys() and pairs.EXPLAINED.keys() == pairs.LOSSES.keys()


# -- the models ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("x", [POINTS, IMAGES], ids=["points", "images"])
def test_models_train_on_points_and_on_images(name, x):
    make = gans.get(name)
    options = {"batch_size": 8, "latent": 3, "width": 4, "features": 2}
    model = make(make.Config(**options), x.shape[1:])
    before = {k: v.copy() for k, v in model.generator.state().items()}
    values = steps(model, x, 30)[0]
    assert all(np.isfinite(v) for v in values.values())
    assert all((v != before[k]).any() for k, v in model.generator.parameters().items() for v in [v.data])
    assert model.sample(5).shape == (5, *x.shape[1:]) and len(model.pictures({})) == 1


@pytest.mark.parametrize("name", PAPERS)
def test_help_explains_every_choice_with_its_source(name, capsys):
    assert main(["train", name, "--help"]) == 0
    said = capsys.readouterr().out
    for choice, line in pairs.EXPLAINED.items():
        assert f"{choice}: {line}" in said
    for f in dataclasses.fields(gans.get(name).Config):
        assert f.name in said and f.metadata["help"] in said


def test_a_model_is_trained_from_the_command_line_on_both_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["--steps", "3", "--batch-size", "8"]
    assert main(["train", "wgan_gp", "--data", "grid25", *few, "--out", "a"]) == 0
    assert main(["train", "sngan", "--data", "glyphs", *few, "--out", "b", "--set", "features=2"]) == 0
    assert main(["resume", "a", "--steps", "5"]) == 0
    assert (tmp_path / "a" / "samples" / "final.png").is_file() and (tmp_path / "b" / "samples" / "final.png").is_file()


def test_options_of_the_base_are_off_by_default():
    config = GANConfig()
    on = [
        f.name
        for f in dataclasses.fields(config)
        if f.metadata["help"].endswith("; 0 for none") and getattr(config, f.name)
    ]
    assert not on
