"""The best discriminators of discrete worlds: against brute force and closed forms, at zeros, in batches, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from scipy.stats import wasserstein_distance

import minigan as mg
from minigan import losses, ops
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences, optimal

P = np.array([0.5, 0.2, 0.2, 0.1])
Q = np.array([0.1, 0.3, 0.4, 0.2])
ONLY_P, BOTH, ONLY_Q, NEITHER = range(4)
WITH_ZEROS = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.25, 0.75, 0.0])

SMOOTH = [  # games without kinks in the outputs, whose optimum is a stationary point
    optimal.minimax,
    optimal.non_saturating,
    optimal.smoothed(),
    optimal.smoothed(real_label=0.8, fake_label=0.3),
    optimal.weighted(prior=0.2),
    optimal.least_squares(),
    optimal.least_squares(a=-1.0, b=1.0, c=0.0),
    optimal.relativistic,
    optimal.f_gan("kl"),
    optimal.f_gan("gan"),
    optimal.f_gan("pearson"),
]
POSITIONS = np.array([0.3, -1.0, 2.0, 0.5])
KINKED = [optimal.hinge, optimal.bounded_critic(), optimal.wasserstein(POSITIONS)]
LOGISTIC = [g for g in SMOOTH if g.name in ("minimax", "non_saturating", "smoothed", "weighted", "relativistic")]


def named(games):
    return pytest.mark.parametrize("game", games, ids=lambda g: g.name)


# -- D* ----------------------------------------------------------------------------------------------------------------
def test_the_optimum_by_hand():
    np.testing.assert_allclose(optimal.optimal_discriminator(P, Q), [5 / 6, 2 / 5, 1 / 3, 1 / 3], rtol=1e-15)
    np.testing.assert_array_equal(optimal.optimal_logit(P, Q), np.log(P) - np.log(Q))


def test_outside_the_supports():
    logit = optimal.optimal_logit(*WITH_ZEROS)
    np.testing.assert_array_equal(logit, [math.inf, math.log(2), -math.inf, 0.0])
    np.testing.assert_allclose(optimal.optimal_discriminator(*WITH_ZEROS), [1, 2 / 3, 0, 0.5], rtol=1e-15)
    smoothed = optimal.optimal_discriminator(*WITH_ZEROS, real_label=0.9, fake_label=0.1)
    np.testing.assert_allclose(smoothed, [0.9, (0.45 + 0.025) / 0.75, 0.1, 0.5], rtol=1e-14)
    assert optimal.optimal_logit(*WITH_ZEROS, real_label=0.9)[ONLY_P] == pytest.approx(math.log(9))


@given(tables(2), floats(0.01, 0.99), floats(0.5, 1.0), floats(0.0, 0.4))
def test_the_logit_is_that_of_the_probability(pq, prior, real_label, fake_label):
    options = {"prior": prior, "real_label": real_label, "fake_label": fake_label}
    d = 1 / (1 + np.exp(-optimal.optimal_logit(*pq, **options)))
    np.testing.assert_allclose(optimal.optimal_discriminator(*pq, **options), d, rtol=1e-9)


@given(tables(2, min_size=2, max_size=5), floats(0.1, 0.9), floats(0.5, 1.0), floats(0.0, 0.4))
def test_no_neighbour_is_better(pq, prior, real_label, fake_label):
    """The definition: D* minimises pi E_p BCE(D, a) + (1-pi) E_q BCE(D, b), which is convex in the logit."""
    p, q = pq
    logit = optimal.optimal_logit(p, q, prior=prior, real_label=real_label, fake_label=fake_label)

    def loss(logit):
        bce = lambda label: np.logaddexp(0, logit) - label * logit  # noqa: E731
        return prior * p * bce(real_label) + (1 - prior) * q * bce(fake_label)

    for step in (-0.1, 0.1):
        assert (loss(logit) <= loss(logit + step)).all()


def test_batches_lists_and_dtypes():
    batch = optimal.optimal_discriminator(np.stack([P, Q]), Q)
    np.testing.assert_array_equal(batch, np.stack([optimal.optimal_discriminator(P, Q), np.full(4, 0.5)]))
    assert optimal.optimal_discriminator([1, 0], [0, 1]).dtype == np.float64
    assert isinstance(optimal.value([0.5, 0.5], [1, 0], [0, 1]), float)
    single = mg.tensor(P.astype(np.float32))
    assert optimal.optimal_logit(single, mg.tensor(Q.astype(np.float32))).dtype == np.float32
    assert optimal.optimal_logit(single, Q).dtype == np.float64
    for game in (*SMOOTH, *KINKED):
        outputs = mg.tensor(game.optimum(P, Q).astype(np.float32), requires_grad=True)
        assert game.discriminator(outputs, single, mg.tensor(Q.astype(np.float32))).dtype == np.float32
        assert mg.grad(game.discriminator(outputs, P, Q), outputs).dtype == np.float32
        assert game.discriminator(outputs, single, Q).item() == pytest.approx(game.value(P, Q), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"prior": 0.0}, "prior"), ({"prior": 1.0}, "prior"), ({"real_label": 1.1}, "labels"), ({"fake_label": -0.1}, "labels"),
     ({"real_label": 0.3, "fake_label": 0.5}, "labels"), ({"prior": math.nan}, "prior")],
)  # fmt: skip
def test_options_outside_their_range(options, said):
    for function in (optimal.optimal_logit, optimal.optimal_discriminator):
        with pytest.raises(ValueError, match=said):
            function(P, Q, **options)


def test_bad_tables_and_outputs():
    with pytest.raises(ValueError, match="p: got probabilities with sum"):
        optimal.optimal_logit(2 * P, Q)
    with pytest.raises(ValueError, match="q: got a probability"):
        optimal.value(P, P, [1.5, -0.5, 0, 0])
    with pytest.raises(ValueError, match="use value_of_logits"):
        optimal.value([2.0, 0, 0, 0], P, Q)
    with pytest.raises(ValueError, match="one for each outcome"):
        optimal.minimax.discriminator([0.0, 1.0], P, Q)
    with pytest.raises(ValueError, match="outcomes"):
        optimal.optimal_logit(P, [0.5, 0.5])
    for make in (
        lambda: optimal.smoothed(real_label=0.0),
        lambda: optimal.weighted(prior=1.0),
        lambda: optimal.least_squares(a=1.0, b=1.0),
        lambda: optimal.bounded_critic(low=1.0, high=1.0),
        lambda: optimal.wasserstein([[0.0, 1.0]]),
        lambda: optimal.wasserstein([0.0, math.nan]),
        lambda: optimal.f_gan("Kl"),
        lambda: optimal.wasserstein([0.0, 1.0]).value(P, Q),
    ):
        with pytest.raises(ValueError, match="got"):
            make()


# -- V and the regret -----------------------------------------------------------------------------------------------
@given(tables(2, min_size=6, max_size=6, zeros=True), arrays(6, -20, 20))
def test_value_and_regret_by_their_definitions(pq, logit):
    p, q = pq
    d = 1 / (1 + np.exp(-logit))
    want = sum(p * np.log(d)) + sum(q * np.log1p(-d))
    assert optimal.value(d, p, q) == pytest.approx(want, rel=1e-9)
    assert optimal.value_of_logits(logit, p, q) == pytest.approx(want, rel=1e-7)
    regret = 2 * divergences.jsd(p, q) - math.log(4) - optimal.value_of_logits(logit, p, q)
    assert optimal.regret_of_logits(logit, p, q) == pytest.approx(regret, abs=1e-12)


def test_certain_discriminators():
    """Certain and right costs nothing; certain and wrong costs everything; certain where nothing happens does not matter."""
    p, q = WITH_ZEROS
    right = np.array([1.0, 0.5, 0.0, 1.0])
    assert optimal.value(right, p, q) == pytest.approx(0.75 * math.log(0.5))
    assert optimal.value_of_logits([math.inf, 0.0, -math.inf, math.inf], p, q) == pytest.approx(0.75 * math.log(0.5))
    lost = 0.75 * (2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3))  # 1/2 in place of 2/3, where p + q = 3/4
    assert optimal.regret(right, p, q) == pytest.approx(lost)
    assert optimal.regret_of_logits([math.inf, 0.0, -math.inf, 7.0], p, q) == pytest.approx(lost)
    for wrong, logit in (([0.0, 0.5, 0, 0], [-math.inf, 0, 0, 0]), ([1, 0.5, 1.0, 0], [0, 0, math.inf, 0])):
        assert optimal.value(wrong, p, q) == optimal.value_of_logits(logit, p, q) == -math.inf
        assert optimal.regret(wrong, p, q) == optimal.regret_of_logits(logit, p, q) == math.inf
    best = optimal.optimal_discriminator(p, q)
    assert optimal.regret(best, p, q) == pytest.approx(0, abs=1e-15)
    assert optimal.regret_of_logits(optimal.optimal_logit(p, q), p, q) == pytest.approx(0, abs=1e-15)


def test_extreme_logits_stay_finite():
    assert optimal.value_of_logits(np.full(4, 1e300), P, Q) == pytest.approx(-1e300)
    assert np.isfinite(optimal.regret_of_logits(np.full(4, -1e300), P, Q))


# -- the games ---------------------------------------------------------------------------------------------------------
@named(SMOOTH + KINKED)
def test_the_value_is_the_loss_at_the_optimum(game):
    best = game.optimum(P, Q)
    assert game.discriminator(best, P, Q) == pytest.approx(game.value(P, Q), abs=1e-14)
    batch = game.value(np.stack([P, Q]), np.stack([Q, Q]))
    np.testing.assert_allclose(batch, [game.value(P, Q), game.value(Q, Q)], atol=1e-15)
    assert game.generator(game.optimum(batch_p := np.stack([P, Q]), Q), batch_p, Q).shape == (2,)


@named([g for g in SMOOTH if g.name not in ("f_gan(gan)", "f_gan(kl)")])
def test_a_minimiser_finds_nothing_better(game):
    found = minimize(lambda logit: game.discriminator(logit, P, Q), np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    assert found.fun == pytest.approx(game.value(P, Q), abs=1e-9)
    shift = found.x[0] - game.optimum(P, Q)[0] if game.name == "relativistic" else 0.0
    np.testing.assert_allclose(found.x - shift, game.optimum(P, Q), atol=1e-4)


@given(tables(2, min_size=4, max_size=4, zeros=True))
@named([g for g in SMOOTH + KINKED if not g.name.startswith("f_gan")])
def test_zeros_cost_nothing(game, pq):
    p, q = pq
    assert game.discriminator(game.optimum(p, q), p, q) == pytest.approx(game.value(p, q), abs=1e-12)


@named(LOGISTIC)
def test_disjoint_supports(game):
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    loss = game.discriminator(game.optimum(p, q), p, q)
    assert loss == pytest.approx(game.value(p, q), abs=1e-14)
    if game.name in ("minimax", "non_saturating", "weighted"):
        assert loss == 0  # one bit is enough to know everything


@named(SMOOTH)
def test_gradients_of_the_losses_at_both_orders(game):
    outputs = game.optimum(P, Q) + np.array([-0.1, -0.2, -0.05, -0.15])  # inside the domain of every conjugate
    theta = np.array([0.3, -0.4, 0.1, 0.8])
    for loss in (game.discriminator, game.generator):
        assert mg.gradcheck(lambda t, logit, loss=loss: loss(t, P, ops.softmax(logit)), (outputs, theta), order=2)
    assert mg.gradcheck(lambda logit: game.value(P, ops.softmax(logit)), theta, order=2)
    assert mg.gradcheck(lambda logit: game.optimum(P, ops.softmax(logit)), theta, order=2)


@named(KINKED)
def test_gradients_of_games_with_kinks(game):
    theta = np.array([0.3, -0.4, 0.1, 0.8])
    assert mg.gradcheck(lambda logit: game.value(P, ops.softmax(logit)), theta, order=2)
    assert mg.gradcheck(lambda t: game.discriminator(t, P, Q), [0.3, -0.4, 1.2, -2.0], order=1)


TRAINED = [
    (optimal.minimax, losses.minimax),
    (optimal.non_saturating, losses.non_saturating),
    (optimal.hinge, losses.hinge),
    (optimal.least_squares(a=-1.0, b=2.0, c=0.5), losses.least_squares(a=-1.0, b=2.0, c=0.5)),
    (optimal.bounded_critic(), losses.wasserstein),
    (optimal.wasserstein(POSITIONS), losses.wasserstein),
    (optimal.relativistic, losses.relativistic),
]


@pytest.mark.parametrize(("game", "pair"), TRAINED, ids=[game.name for game, _ in TRAINED])
def test_losses_are_those_of_the_training_code(game, pair):
    """On the batch of all pairs of 10 reals and 10 fakes, in which each outcome appears as often as its probability says."""
    outputs = np.array([0.3, -1.2, 2.0, 0.5])
    reals, fakes = (np.repeat(outputs, np.round(10 * law).astype(int)) for law in (P, Q))
    real, fake = mg.tensor(np.repeat(reals, 10)), mg.tensor(np.tile(fakes, 10))
    assert game.discriminator(outputs, P, Q) == pytest.approx(pair.discriminator(real, fake).item(), rel=1e-12)
    assert game.generator(outputs, P, Q) == pytest.approx(pair.generator(fake, real).item(), rel=1e-12)


def test_the_table_of_games():
    assert set(optimal.GAMES) == {
        "minimax", "non_saturating", "smoothed", "least_squares", "hinge", "bounded_critic", "relativistic"
    }  # fmt: skip
    equal = {
        "minimax": math.log(4),
        "least_squares": 1 / 4,
        "hinge": 2,
        "bounded_critic": 0,
        "relativistic": math.log(2),
    }
    for name, value in equal.items():
        assert optimal.GAMES[name].value(P, P) == pytest.approx(value, abs=1e-15)


@given(tables(2, min_size=5, max_size=5, zeros=True), arrays(5, -3, 3))
def test_the_lipschitz_critic_reaches_w1(pq, x):
    p, q = pq
    game = optimal.wasserstein(x)
    critic = game.optimum(p, q)
    distance = wasserstein_distance(x, x, p, q)
    assert -game.value(p, q) == pytest.approx(distance, abs=1e-12)
    assert p @ critic - q @ critic == pytest.approx(distance, abs=1e-12)
    assert (abs(np.subtract.outer(critic, critic)) <= abs(np.subtract.outer(x, x)) + 1e-12).all()


def test_the_lipschitz_critic_against_a_linear_program():
    """sup of E_p f - E_q f over all f with |f_i - f_j| <= |x_i - x_j|."""
    rows = [np.eye(4)[i] - np.eye(4)[j] for i in range(4) for j in range(4) if i != j]
    limits = [abs(POSITIONS[i] - POSITIONS[j]) for i in range(4) for j in range(4) if i != j]
    found = linprog(Q - P, A_ub=rows, b_ub=limits, bounds=[(-10, 10)] * 4)
    assert found.fun == pytest.approx(optimal.wasserstein(POSITIONS).value(P, Q), abs=1e-9)


@given(st.sampled_from(sorted(divergences.GENERATORS)), tables(2, min_size=3, max_size=6))
def test_f_gans_reach_their_divergence(name, pq):
    game = optimal.f_gan(name)
    left, right = game.discriminator(game.optimum(*pq), *pq), -divergences.f_divergence(*pq, name)
    assert left == pytest.approx(right, rel=1e-9, abs=1e-12)
    assert optimal.f_gan(divergences.GENERATORS[name]).name == game.name


# -- what the generator follows -----------------------------------------------------------------------------------------
THETA = np.array([0.2, -0.5, 0.9, 0.0])


def difference(f, theta, step=1e-5):
    """Central differences of a function of an array."""
    units = np.eye(theta.size) * step
    return np.array([(f(theta + u) - f(theta - u)) / (2 * step) for u in units])


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


@named([optimal.minimax, optimal.non_saturating, optimal.hinge, optimal.least_squares(), optimal.relativistic])
@pytest.mark.parametrize("frozen", [True, False])
def test_the_generators_gradient_by_differences(game, frozen):
    held = game.optimum(P, softmax(THETA))

    def loss(theta):
        q = softmax(theta)
        return game.generator(held if frozen else game.optimum(P, q), P, q)

    got = optimal.generator_gradient(game, P, ops.softmax, THETA, frozen=frozen)
    np.testing.assert_allclose(got, difference(loss, THETA), atol=1e-9)


def test_the_generators_gradient_in_a_graph():
    """The field that training follows on the minimax loss, D new at each theta, is the gradient field of 2 JSD: its Jacobian is
    the Hessian of 2 JSD, and so symmetric. That of the hinge loss's is the one of a frozen table: D* moves in jumps."""

    def field(game, theta):
        return optimal.generator_gradient(game, mg.tensor(P), ops.softmax, theta)

    jacobian = mg.jacobian(lambda theta: field(optimal.minimax, theta), THETA).data
    hessian = mg.hessian(lambda theta: 2 * divergences.jsd(P, ops.softmax(theta)), THETA).data
    np.testing.assert_allclose(jacobian, hessian, atol=1e-14)
    frozen = mg.tensor(optimal.hinge.optimum(P, softmax(THETA)))
    hinge = mg.hessian(lambda theta: -(ops.softmax(theta) * frozen).sum(), THETA).data
    np.testing.assert_allclose(mg.jacobian(lambda theta: field(optimal.hinge, theta), THETA).data, hinge, atol=1e-14)


def test_regret_is_0_at_the_optimum_and_keeps_its_digits_beside_it():
    for seed in range(20):
        p, q = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
        best = optimal.optimal_discriminator(p, q)
        assert optimal.regret(best, p, q) == 0
        for step in (1e-2, 1e-5, 1e-9):
            found = optimal.regret_of_logits(optimal.optimal_logit(p, q) + step, p, q)
            expected = ((p + q) * best * (1 - best)).sum() * step**2 / 2
            assert found > 0 and abs(found / expected - 1) < step + 1e-15 / step
    assert optimal.regret_of_logits([3.0, -800.0], [1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.log1p(np.exp(-3)))
    far = optimal.regret_of_logits([-1000.0, 1000.0], [0.5, 0.5], [0.5, 0.5])
    assert far == pytest.approx(1000 - 2 * np.log(2), rel=1e-14)
    p, q = np.array([0.3, 0.7]), np.array([0.6, 0.4])
    near = optimal.optimal_logit(p, q) + np.array([0.3, -0.2])
    mg.gradcheck(lambda v: optimal.regret_of_logits(v, p, q), near, order=2)
    mg.gradcheck(lambda v: optimal.regret(ops.sigmoid(v), p, q), near, order=2)


def test_regrets_of_a_batch_of_outputs():
    p, q = np.array([0.3, 0.7, 0.0]), np.array([0.6, 0.0, 0.4])
    logits = np.array([[0.1, 3.0, -2.0], [np.log(0.5), np.inf, -np.inf], [-5.0, 1e3, -1e3]])
    rows = [optimal.regret_of_logits(row, p, q) for row in logits]
    np.testing.assert_allclose(optimal.regret_of_logits(logits, p, q), rows, rtol=1e-13, atol=1e-16)
    d = 1 / (1 + np.exp(-logits[:1]))
    np.testing.assert_allclose(optimal.regret(d, p, q), rows[:1], rtol=1e-12)
    assert rows[1] == pytest.approx(0, abs=1e-16)


def test_many_discriminators_of_one_world_at_a_time():
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    logits = np.random.default_rng(3).normal(size=(4, 3))
    d = 1 / (1 + np.exp(-logits))
    rows = [optimal.regret_of_logits(row, p, q) for row in logits]
    np.testing.assert_allclose(optimal.regret_of_logits(logits, p, q), rows, rtol=1e-13)
    np.testing.assert_allclose(optimal.regret(d, p, q), rows, rtol=1e-12)
    np.testing.assert_allclose(optimal.value_of_logits(logits, p, q), optimal.value(d, p, q), rtol=1e-13)
    np.testing.assert_allclose(optimal.value(p / (p + q), p, q) - optimal.value(d, p, q), rows, rtol=1e-11)
