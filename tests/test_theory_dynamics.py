"""Games in motion: fields, Jacobians, rules and the smallest GAN, against closed forms, SciPy and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import minigan as mg
from minigan import ops, optim
from minigan.lessons.strategies import arrays, floats
from minigan.theory import dynamics
from minigan.theory.dirac import DiracGAN

RULES = {
    "simultaneous": (dynamics.simultaneous, {}),
    "alternating": (dynamics.alternating, {}),
    "three moves": (dynamics.alternating, {"order": (1, 1, 0)}),
    "extragradient": (dynamics.extragradient, {}),
    "optimistic": (dynamics.optimistic, {}),
    "implicit": (dynamics.implicit, {}),
    "consensus": (dynamics.consensus, {"gamma": 0.4}),
    "runge_kutta": (dynamics.runge_kutta, {}),
}
rules = pytest.mark.parametrize("name", RULES)
LSGAN_ROTATING = mg.losses.least_squares(a=-1.0, b=1.0, c=1.0)


def curved_game():
    """Three players of 2, 1 and 1 coordinates, with no symmetry and the rest point 0."""
    return [
        lambda x, y, z: (
            ops.sum(ops.sin(x) * ops.as_tensor(np.array([1.0, -0.5]))) * y + 0.3 * ops.sum(x * x) + z * x[0] * x[1]
        ),
        lambda x, y, z: ops.square(y) * ops.exp(0.1 * z) + y * ops.sum(ops.tanh(x)) - y * z,
        lambda x, y, z: 0.7 * z * z + ops.cos(y) * z * x[1],
    ]


def flat(players):
    return np.concatenate([np.reshape(p, -1) for p in players])


def numeric_jacobian(function, x, h=1e-5):
    columns = [(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))]
    return np.stack(columns, axis=1)


# -- the field and its Jacobian --------------------------------------------------------------------------------------
@given(arrays(4, -1.5, 1.5))
def test_field_and_jacobian_against_differences_of_the_losses(point):
    losses = curved_game()
    split = lambda x: (x[:2], x[2], x[3])  # noqa: E731
    value = lambda k, x: losses[k](*[mg.tensor(np.asarray(p)) for p in split(x)]).item()  # noqa: E731
    owner, h = [0, 0, 1, 2], 1e-5
    want = [
        -(value(k, point + h * e) - value(k, point - h * e)) / (2 * h) for k, e in zip(owner, np.eye(4), strict=True)
    ]
    found = dynamics.vector_field(losses, split(point))
    np.testing.assert_allclose(flat(found), want, atol=1e-8)
    assert found[0].shape == (2,) and isinstance(found[1], float)
    field = lambda x: flat(dynamics.vector_field(losses, split(x)))  # noqa: E731
    np.testing.assert_allclose(dynamics.game_jacobian(losses, split(point)), numeric_jacobian(field, point), atol=1e-7)


def test_one_player_descends_and_its_jacobian_is_minus_the_hessian():
    f = lambda x: ops.sum(ops.exp(x) * x[0]) + x[1] ** 4  # noqa: E731
    x = np.array([0.3, -0.8])
    np.testing.assert_allclose(dynamics.vector_field([f], (x,))[0], -mg.grad(f(t := leaf(x)), t).data, atol=1e-14)
    j = dynamics.game_jacobian([f], (x,))
    np.testing.assert_allclose(j, -mg.hessian(f, x).data, atol=1e-14)
    np.testing.assert_allclose(dynamics.decompose(j)[1], 0, atol=1e-15)


def leaf(x):
    return mg.tensor(x, requires_grad=True)


def test_bilinear_games():
    a = np.array([[2.0, 0.5, 0.0], [-1.0, 0.3, 0.7]])
    x, y = np.array([0.4, -1.0]), np.array([1.0, 2.0, -0.5])
    dx, dy = dynamics.vector_field(dynamics.bilinear_game(a), (x, y))
    np.testing.assert_allclose(dx, -a @ y, atol=1e-15)
    np.testing.assert_allclose(dy, a.T @ x, atol=1e-15)
    j = dynamics.game_jacobian(dynamics.bilinear_game(a), (x, y))
    singular = np.linalg.svd(a, compute_uv=False)
    want = np.array([*(1j * singular), 0.0, *(-1j * singular[::-1])])
    np.testing.assert_allclose(dynamics.eigenvalues(j), want, atol=1e-12)
    symmetric, antisymmetric = dynamics.decompose(j)
    np.testing.assert_allclose(symmetric, 0, atol=1e-15)
    np.testing.assert_allclose(antisymmetric, j, atol=1e-15)
    assert dynamics.vector_field(dynamics.bilinear_game(), (1.0, 0.5)) == (-0.5, 1.0)


def test_tensors_in_tensors_out_differentiable():
    losses = curved_game()
    x, y, z = np.array([0.2, -0.4]), np.array(0.3), np.array(-0.6)
    field = lambda *p: dynamics.vector_field(losses, p)  # noqa: E731
    assert mg.gradcheck(field, (x, y, z), order=2)
    assert mg.gradcheck(lambda *p: dynamics.game_jacobian(losses, p), (x, y, z), order=1)
    for name in ("simultaneous", "alternating", "extragradient", "optimistic", "consensus", "runge_kutta"):
        rule, options = RULES[name]
        assert mg.gradcheck(lambda *p, r=rule, o=options: r(losses, p, step=0.2, **o), (x, y, z), order=1), name


def test_players_computed_from_each_other_are_still_held_fixed():
    x = leaf(np.array(0.7))
    y = x * x
    losses = dynamics.bilinear_game()
    assert [v.item() for v in dynamics.vector_field(losses, (x, y))] == pytest.approx([-0.49, 0.7])
    np.testing.assert_allclose(dynamics.game_jacobian(losses, (x, y)).data, [[0, -1], [1, 0]])
    assert dynamics.rate_of_change(lambda a, b: a * b, losses, (x, y)).item() == pytest.approx(0.49 - 0.49**2)


@given(floats(-2, 2), floats(-2, 2))
def test_rates_of_change(x, y):
    game = dynamics.bilinear_game()
    assert dynamics.rate_of_change(lambda x, y: x * x + y * y, game, (x, y)) == pytest.approx(0, abs=1e-13)
    assert dynamics.rate_of_change(lambda x, y: x * x, game, (x, y)) == pytest.approx(-2 * x * y, abs=1e-13)
    rate = lambda x, y: dynamics.rate_of_change(lambda a, b: a * b * b, game, (x, y))  # noqa: E731
    assert mg.gradcheck(rate, (np.array(x), np.array(y)), order=1)


# -- rules -----------------------------------------------------------------------------------------------------------
@rules
@settings(max_examples=10)  # of a map that is rational in one number
@given(step=floats(0.01, 0.5))
def test_the_matrix_of_a_rule_is_the_derivative_of_its_map(name, step):
    """At the rest point 0 of a curved game, finite differences of the map itself; optimistic on pairs of points."""
    rule, options = RULES[name]
    losses, sizes = curved_game(), [2, 1, 1]
    split = lambda x: (x[:2], x[2], x[3])  # noqa: E731
    jacobian = dynamics.game_jacobian(losses, split(np.zeros(4)))
    found = dynamics.linear_map(rule, jacobian, step=step, sizes=sizes, **options)
    if name == "optimistic":
        one = lambda s: np.concatenate([flat(rule(losses, split(s[:4]), split(s[4:]), step=step)), s[:4]])  # noqa: E731
        np.testing.assert_allclose(found, numeric_jacobian(one, np.zeros(8)), atol=1e-8)
    else:
        one = lambda x: flat(rule(losses, split(x), step=step, **options))  # noqa: E731
        np.testing.assert_allclose(found, numeric_jacobian(one, np.zeros(4)), atol=1e-8)


@rules
def test_a_step_size_for_each_player(name):
    rule, options = RULES[name]
    losses, steps = curved_game(), (0.1, 0.3, 0.05)
    split = lambda x: (x[:2], x[2], x[3])  # noqa: E731
    jacobian = dynamics.game_jacobian(losses, split(np.zeros(4)))
    found = dynamics.linear_map(rule, jacobian, step=steps, sizes=[2, 1, 1], **options)[:4, :4]
    one = lambda x: flat(  # noqa: E731
        rule(losses, split(x), *([split(np.zeros(4))] if name == "optimistic" else []), step=steps, **options)
    )
    np.testing.assert_allclose(found, numeric_jacobian(one, np.zeros(4)), atol=1e-8)


@rules
def test_paths_leave_or_approach_at_the_spectral_radius(name):
    rule, options = RULES[name]
    a = np.array([[1.0, 0.4], [0.0, 0.6]])
    game = dynamics.bilinear_game(a)
    jacobian = dynamics.game_jacobian(game, (np.zeros(2), np.zeros(2)))
    radius = dynamics.spectral_radius(dynamics.linear_map(rule, jacobian, step=0.3, sizes=[2, 2], **options))
    path = dynamics.iterate(rule, game, (np.array([1.0, 0.2]), np.array([-0.3, 0.7])), steps=600, step=0.3, **options)
    size = np.linalg.norm(path, axis=1)
    assert path.shape == (601, 4)
    assert (size[600] / size[100]) ** (1 / 500) == pytest.approx(radius, abs=2e-3)


@given(arrays(2, -2, 2), floats(0.05, 1.5))
def test_implicit_solves_its_equation(point, step):
    losses = [lambda x, y: x * y + 0.25 * x**4, lambda x, y: -x * y + ops.softplus(y)]
    x, y = dynamics.implicit(losses, tuple(point), step=step)
    vx, vy = dynamics.vector_field(losses, (x, y))
    np.testing.assert_allclose([x, y], point + step * np.array([vx, vy]), atol=1e-12)


def test_runge_kutta_follows_the_flow():
    losses = DiracGAN(loss="non_saturating", regularizer="r1", gamma=0.3).losses
    path = dynamics.iterate(dynamics.runge_kutta, losses, (1.0, 0.5), steps=100, step=0.1)
    solved = solve_ivp(
        lambda _, x: dynamics.vector_field(losses, tuple(x)), (0, 10), [1.0, 0.5], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(path[-1], solved.y[:, -1], atol=1e-6)


def test_optimistic_starts_as_simultaneous_and_remembers():
    game = dynamics.bilinear_game()
    path = dynamics.iterate(dynamics.optimistic, game, (1.0, 0.0), steps=2, step=0.1)
    np.testing.assert_allclose(path[1], [1.0, 0.1])
    np.testing.assert_allclose(path[2], path[1] + 0.2 * np.array([-0.1, 1.0]) - 0.1 * np.array([0.0, 1.0]))


def test_float32_stays_float32():
    x = (np.array([1.0], np.float32), np.array([0.5], np.float32))
    moved = dynamics.extragradient(dynamics.bilinear_game(), x, step=0.1)
    assert all(p.dtype == np.float32 for p in moved)


def test_what_does_not_fit_is_refused():
    game = dynamics.bilinear_game()
    with pytest.raises(ValueError, match="2 losses and 1 players"):
        dynamics.vector_field(game, (1.0,))
    with pytest.raises(ValueError, match="one array"):
        dynamics.vector_field(game, np.zeros(2))
    with pytest.raises(ValueError, match="loss 0 has shape"):
        dynamics.vector_field([lambda x, y: x, lambda x, y: ops.sum(y)], (np.zeros(2), np.zeros(2)))
    with pytest.raises(ValueError, match="step: got"):
        dynamics.simultaneous(game, (1.0, 0.0), step=(0.1,))
    with pytest.raises(ValueError, match="step: got -1"):
        dynamics.simultaneous(game, (1.0, 0.0), step=-1)
    with pytest.raises(ValueError, match="order: got"):
        dynamics.alternating(game, (1.0, 0.0), step=0.1, order=(0, 2))
    with pytest.raises(ValueError, match="square"):
        dynamics.eigenvalues(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="steps"):
        dynamics.iterate(dynamics.simultaneous, game, (1.0, 0.0), steps=-1, step=0.1)
    with pytest.raises(ValueError, match="Newton steps"):
        dynamics.implicit([lambda x: -ops.exp(x)], (1.0,), step=5.0)
    with pytest.raises(ValueError, match="require derivatives"):
        dynamics.implicit(game, (leaf(np.array(1.0)), 0.0), step=0.1)
    with pytest.raises(ValueError, match="expected one of"):
        dynamics.linear_map(lambda: None, np.eye(2), step=0.1)
    with pytest.raises(ValueError, match="sizes"):
        dynamics.linear_map(dynamics.simultaneous, np.eye(2), step=0.1, sizes=[3])


# -- the Dirac-GAN ---------------------------------------------------------------------------------------------------
SLOPES = {  # (dL_G/d theta, dL_D/d psi) by hand, s = psi theta
    "minimax": lambda s: (-1 / (1 + np.exp(-s)), 1 / (1 + np.exp(-s))),
    "non_saturating": lambda s: (-1 / (1 + np.exp(s)), 1 / (1 + np.exp(-s))),
    "relativistic": lambda s: (-1 / (1 + np.exp(s)), 1 / (1 + np.exp(-s))),
    "relativistic_average": lambda s: (-2 / (1 + np.exp(s)), 2 / (1 + np.exp(-s))),
    "wasserstein": lambda s: (-1.0, 1.0),
    "hinge": lambda s: (-1.0, 1.0 * (s > -1)),
    "least_squares": lambda s: (s - 1, s),
    "least_squares_pearson": lambda s: (s, s + 1),
}


@pytest.mark.parametrize("loss", mg.losses.PAIRS)
@given(point=arrays(2, -1.4, 1.4))
def test_fields_of_all_losses_by_hand(loss, point):
    theta, psi = point
    if abs(theta * psi + 1) < 1e-6:
        return  # the hinge's kink
    slope_g, slope_d = SLOPES[loss](theta * psi)
    found = DiracGAN(loss=loss).field(theta, psi)
    np.testing.assert_allclose(found, [-slope_g * psi, -slope_d * theta], atol=1e-12)


@given(arrays(2, -2, 2), floats(0.1, 3))
def test_regularisers_by_hand(point, strength):
    theta, psi = point
    plain = np.array(DiracGAN().field(theta, psi))
    added = {
        "r1": strength * psi,
        "r2": strength * psi,
        "r1_r2": 2 * strength * psi,
        "gradient_penalty": 2 * strength * (abs(psi) - 0.5) * np.sign(psi),
    }
    for name, slope in added.items():
        found = DiracGAN(regularizer=name, gamma=strength, target=0.5).field(theta, psi)
        np.testing.assert_allclose(found, plain - [0, slope], atol=1e-11)
    j = DiracGAN().jacobian(theta, psi)
    found = DiracGAN(regularizer="consensus", gamma=strength).field(theta, psi)
    np.testing.assert_allclose(found, plain - strength * j.T @ plain, atol=1e-11)


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "relativistic"])
def test_instance_noise_against_a_grid(loss):
    """E over two independent normal noises, by a sum over a fine grid."""
    theta, psi, sigma = 0.6, -0.35, 0.8
    x = np.linspace(-9, 9, 721)
    weight = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    real, fake = psi * sigma * x[:, None], psi * (theta + sigma * x[None, :])
    values = {
        "non_saturating": np.logaddexp(0, -real) + np.logaddexp(0, fake),
        "hinge": np.maximum(0, 1 - real) + np.maximum(0, 1 + fake),
        "relativistic": np.logaddexp(0, fake - real),
    }
    want = weight @ values[loss] @ weight
    gan = DiracGAN(loss=loss, regularizer="instance_noise", sigma=sigma, nodes=40 if loss != "relativistic" else 14)
    found = gan.losses[1](mg.tensor(np.array(theta)), mg.tensor(np.array(psi))).item()
    assert found == pytest.approx(want, abs=2e-3 if loss == "hinge" else 1e-9)  # quadrature meets the hinge's kinks


def test_means_over_noise_are_not_taken_pair_by_pair():
    with pytest.raises(ValueError, match="take 'relativistic'"):
        DiracGAN(loss="relativistic_average", regularizer="instance_noise")


def test_clipping_stays_inside_and_circles():
    gan = DiracGAN(loss="wasserstein", clip=1.0)
    path = gan.path(dynamics.simultaneous, 0.7, 0.0, steps=400, step=0.05)
    assert np.abs(path[:, 1]).max() == 1.0
    assert np.ptp(path[-200:, 0]) > 1.0 and np.abs(path[200:, 0]).max() < 2.0


def test_a_pair_of_ones_own():
    np.testing.assert_allclose(DiracGAN(loss=LSGAN_ROTATING).eigenvalues(), [1j, -1j], atol=1e-12)


@pytest.mark.parametrize("rule", ["simultaneous", "alternating"])
@pytest.mark.parametrize("regularizer", ["none", "r1"])
def test_the_engine_plays_the_same_game(rule, regularizer):
    """`minigan.Game` with plain descent against the rules of the theory, number by number."""
    gan = DiracGAN(regularizer=regularizer, gamma=0.4)
    theta, psi = leaf(np.array([[1.0]])), leaf(np.array([[0.5]]))
    critic = lambda x: x @ psi  # noqa: E731

    def loss_d(x):
        value = mg.losses.non_saturating.discriminator(critic(x), critic(theta))
        return value + mg.penalties.r1(critic, x, gamma=0.4) if regularizer == "r1" else value

    players = [
        mg.Player("D", loss_d, optim.SGD([psi], lr=0.2)),
        mg.Player("G", lambda x: mg.losses.non_saturating.generator(critic(theta)), optim.SGD([theta], lr=0.2)),
    ]
    game, found = mg.Game(players, rule=rule, replay=True), []
    for _ in range(30):
        game.step(np.zeros((1, 1)))
        found.append([theta.item(), psi.item()])
    options = {"order": (1, 0)} if rule == "alternating" else {}
    path = gan.path(getattr(dynamics, rule), 1.0, 0.5, steps=30, step=0.2, **options)
    np.testing.assert_allclose(found, path[1:], atol=1e-12)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="loss 'x'"):
        DiracGAN(loss="x")
    with pytest.raises(ValueError, match="regularizer 'x'"):
        DiracGAN(regularizer="x")
    with pytest.raises(ValueError, match="gamma -1"):
        DiracGAN(gamma=-1)
    with pytest.raises(ValueError, match="nodes"):
        DiracGAN(nodes=0)


@given(st.sampled_from(["r1", "r2"]), floats(0, 2))
def test_jacobian_is_the_same_for_r1_and_r2_at_the_rest_point(name, gamma):
    want = np.array([[0, 0.5], [-0.5, -gamma]])
    np.testing.assert_allclose(DiracGAN(regularizer=name, gamma=gamma).jacobian(), want, atol=1e-12)


def test_steps_may_be_single_numbers_in_arrays_and_must_be_whole_numbers():
    game = dynamics.bilinear_game()
    assert dynamics.simultaneous(game, (1.0, 2.0), step=np.array(0.1)) == dynamics.simultaneous(
        game, (1.0, 2.0), step=0.1
    )
    with pytest.raises(ValueError, match="expected a whole number"):
        dynamics.iterate(dynamics.simultaneous, game, (1.0, 2.0), steps=2.0, step=0.1)
    with pytest.raises(ValueError, match="singular I - h J"):
        dynamics.implicit([lambda x: -0.5 * ops.sum(x * x)], (1.0,), step=1.0)
