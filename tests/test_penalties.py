"""Gradient penalties: closed forms, derivatives of second order, training through them."""

import numpy as np
import pytest
from devices import each_device, placed
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, ops, optim, penalties
from minigan.lessons.strategies import arrays, floats

rng = np.random.default_rng(5)
X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))


def tanh_critic(w, v):
    """D(x) = tanh(x W) v: (N, 1) scores, smooth."""
    return lambda x: ops.tanh(x @ w) @ v


W, V = rng.standard_normal((3, 4)), rng.standard_normal((4, 1))
PENALTIES = {
    "gradient_norm": lambda critic: ops.mean(penalties.gradient_norm(critic, X)),
    "gradient_penalty": lambda critic: penalties.gradient_penalty(critic, X, Y, uniform=np.linspace(0, 0.9, 6)),
    "one_sided": lambda critic: penalties.gradient_penalty(critic, X, Y, uniform=0.3, target=0.01, one_sided=True),
    "dragan": lambda critic: penalties.dragan(critic, X, noise=0.1 * Y),
    "r1": lambda critic: penalties.r1(critic, X, gamma=0.7),
    "r2": lambda critic: penalties.r2(critic, Y, gamma=0.7),
    "zero_centered": lambda critic: penalties.zero_centered(critic, X, Y, uniform=np.linspace(0, 0.9, 6), gamma=0.7),
}


@each_device
@given(arrays(4, -3, 3), floats(0, 2), floats(0.1, 5))
def test_a_linear_critic_has_closed_forms(device, w, target, gamma):
    weight = mg.tensor(w.reshape(4, 1), requires_grad=True, device=device)
    critic = lambda x: x @ weight  # noqa: E731
    x, y = placed([np.ones((5, 4)), np.zeros((5, 4))], device)
    size = np.linalg.norm(w)
    np.testing.assert_allclose(penalties.gradient_norm(critic, x).numpy(), np.full(5, size), atol=1e-12)
    penalty = penalties.gradient_penalty(critic, x, y, uniform=0.25, target=target)
    assert penalty.item() == pytest.approx((size - target) ** 2, abs=1e-12)
    one_sided = penalties.gradient_penalty(critic, x, y, uniform=0.25, target=target, one_sided=True)
    assert one_sided.item() == pytest.approx(max(0.0, size - target) ** 2, abs=1e-12)
    if size > 1e-6:
        want = 2 * (size - target) * w / size
        np.testing.assert_allclose(mg.grad(penalty, weight).numpy()[:, 0], want, atol=1e-9)
    r1 = penalties.r1(critic, x, gamma=gamma)
    assert r1.item() == pytest.approx(gamma / 2 * size**2, abs=1e-12)
    np.testing.assert_allclose(mg.grad(r1, weight).numpy()[:, 0], gamma * w, atol=1e-10)
    between = penalties.zero_centered(critic, x, y, uniform=0.25, gamma=gamma)
    assert between.item() == pytest.approx(gamma / 2 * size**2, abs=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_derivatives_in_the_weights_against_finite_differences(name):
    assert mg.gradcheck(lambda w, v: PENALTIES[name](tanh_critic(w, v)), (W, V), order=2)


def test_input_gradients_against_the_jacobian_of_each_score():
    critic = tanh_critic(mg.tensor(W), mg.tensor(V))
    found = penalties.input_gradient(critic, X).data
    slope = 1 - np.tanh(X @ W) ** 2
    np.testing.assert_allclose(found, (slope * V[:, 0]) @ W.T, atol=1e-12)
    np.testing.assert_allclose(penalties.gradient_norm(critic, X).data, np.linalg.norm(found, axis=1), atol=1e-12)


def test_derivatives_in_the_points_where_they_are_in_a_graph():
    """A generator can be reached through R2: its fakes are tensors of a graph."""
    critic = tanh_critic(mg.tensor(W), mg.tensor(V))
    assert mg.gradcheck(lambda y: penalties.r2(critic, y, gamma=1.3), Y, order=1)


def test_images_and_convolutions():
    images = rng.standard_normal((2, 5, 5, 2))
    weight = rng.standard_normal((3, 3, 2, 3)) * 0.3

    def penalty(w):
        critic = lambda x: ops.sum(ops.tanh(ops.conv(x, w)), axis=(1, 2, 3))  # noqa: E731
        return penalties.gradient_penalty(critic, images, images[::-1].copy(), uniform=np.array([0.2, 0.7]))

    assert mg.gradcheck(penalty, weight, order=1)


def test_numbers_come_from_a_source_and_lie_between_the_pairs():
    seen = []
    critic = lambda x: (seen.append(x.data.copy()), ops.sum(ops.square(x), axis=1))[1]  # noqa: E731
    source = mg.random.Source(3, dtype=np.float64)
    source.advance()
    penalties.gradient_penalty(critic, np.ones((500, 2)), np.zeros((500, 2)), uniform=source)
    (points,) = seen
    assert (points[:, 0] == points[:, 1]).all() and points.min() >= 0 and points.max() < 1
    assert abs(points[:, 0].mean() - 0.5) < 4 / np.sqrt(12 * 500)
    again = mg.random.Source(3, dtype=np.float64)
    again.advance()
    assert (again.uniform((500,), stream="gradient penalty").data == points[:, 0]).all()


def test_values_under_no_grad_and_float32():
    w, v = mg.tensor(W.astype(np.float32), requires_grad=True), mg.tensor(V.astype(np.float32))
    with mg.no_grad():
        value = penalties.r1(tanh_critic(w, v), X.astype(np.float32), gamma=2.0)
    assert value.node is None and value.dtype == np.float32
    assert value.item() == pytest.approx(penalties.r1(tanh_critic(mg.tensor(W), mg.tensor(V)), X, gamma=2.0).item())


@pytest.mark.parametrize("replay", [False, True])
def test_wgan_gp_trains_a_critic_towards_slope_one(replay):
    """Data at 1 and fakes at 0 on the line: W1 = 1, and the best critic has slope 1 between them. (A start with a negative slope
    ends at -.95: s - 10 (|s| - 1)^2 has a maximum there, too.)"""
    random = mg.random.Source(1)
    critic = nn.Sequential(nn.Dense(1, 16, activation="tanh"), nn.Dense(16, 1)).initialize(random, "D")

    def loss(x):
        y = x * 0.0
        return mg.losses.wasserstein.discriminator(critic(x), critic(y)) + 10.0 * penalties.gradient_penalty(
            critic, x, y, uniform=random
        )

    game = mg.Game([mg.Player("D", loss, optim.Adam(critic, lr=0.02, beta1=0.5))], random=random, replay=replay)
    for _ in range(300):
        game.step(np.ones((64, 1), np.float32))
    estimate = critic(np.ones((1, 1), np.float32)).item() - critic(np.zeros((1, 1), np.float32)).item()
    assert estimate == pytest.approx(1.05, abs=0.03)  # slope s maximises s - 10 (s - 1)^2: s = 1 + 1/20


def test_a_replayed_step_with_r1_r2_and_a_penalty_is_the_eager_one_bit_for_bit():
    """The recording holds the graph of the inner gradient and its derivative."""

    def build(replay):
        random = mg.random.Source(1)
        critic = nn.Sequential(nn.Dense(2, 8, activation="leaky_relu"), nn.Dense(8, 1)).initialize(random, "D")

        def loss(x):
            y = random.normal(x.shape, stream="fakes")
            penalty = penalties.r1(critic, x, gamma=1.0) + penalties.r2(critic, y, gamma=1.0)
            penalty = penalty + penalties.gradient_penalty(critic, x, y, uniform=random)
            return mg.losses.relativistic.discriminator(critic(x), critic(y)) + penalty

        return mg.Game([mg.Player("D", loss, optim.Adam(critic, lr=0.01))], random=random, replay=replay), critic

    (eager, left), (recorded, right) = build(False), build(True)
    for _ in range(4):
        x = rng.standard_normal((6, 2)).astype(np.float32)
        assert eager.step(x)["D"].item() == recorded.step(x)["D"].item()
    assert all((v == right.state()[k]).all() for k, v in left.state().items())


def test_what_does_not_fit_is_refused():
    critic = tanh_critic(mg.tensor(W), mg.tensor(V))
    with pytest.raises(ValueError, match="one shape"):
        penalties.gradient_penalty(critic, X, Y[:3], uniform=0.5)
    with pytest.raises(ValueError, match="uniform numbers"):
        penalties.gradient_penalty(critic, X, Y, uniform=np.zeros(3))
    with pytest.raises(ValueError, match="noise"):
        penalties.dragan(critic, X, noise=np.zeros(3))
    with pytest.raises(ValueError, match="one score an input"):
        penalties.r1(lambda x: ops.sum(x), X, gamma=1.0)


@given(st.integers(1, 3))
def test_a_flat_critic_costs_nothing_and_has_no_nan(n):
    weight = mg.tensor(np.zeros((n, 1)), requires_grad=True)
    critic = lambda x: x @ weight  # noqa: E731
    penalty = penalties.gradient_penalty(critic, np.ones((2, n)), np.zeros((2, n)), uniform=0.5)
    assert penalty.item() == 1.0 and (mg.grad(penalty, weight).data == 0).all()
    assert penalties.r1(critic, np.ones((2, n)), gamma=1.0).item() == 0.0
    flat = penalties.zero_centered(critic, np.ones((2, n)), np.zeros((2, n)), uniform=0.5, gamma=1.0)
    assert flat.item() == 0.0 and (mg.grad(flat, weight).data == 0).all()


def test_what_a_penalty_refuses():
    x = np.ones((3, 2), np.float32)
    with pytest.raises(ValueError, match="got gamma -1"):
        mg.penalties.r1(lambda v: ops.sum(v, axis=1), x, gamma=-1)
    for empty in (np.ones((0, 2), np.float32), np.float32(1)):
        with pytest.raises(ValueError, match="N at least 1"):
            mg.penalties.r1(lambda v: v, empty, gamma=1.0)


def test_zero_centred_penalties_at_the_ends_of_the_segments_are_r1_and_r2():
    critic = tanh_critic(mg.tensor(W), mg.tensor(V))
    at = lambda u: penalties.zero_centered(critic, X, Y, uniform=u, gamma=0.7).item()  # noqa: E731
    assert at(1.0) == pytest.approx(penalties.r1(critic, X, gamma=0.7).item())
    assert at(0.0) == pytest.approx(penalties.r2(critic, Y, gamma=0.7).item())


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 2, 3, 4)])
def test_orthogonality_is_that_of_the_formula(shape):
    w = rng.standard_normal(shape)
    m = w.reshape(-1, shape[-1])
    gram = m.T @ m if len(m) >= m.shape[1] else m @ m.T
    apart = gram * (1 - np.eye(len(gram)))
    assert penalties.orthogonality([mg.tensor(w)], beta=0.3).item() == pytest.approx(0.3 * (apart**2).sum())
    unit = penalties.orthogonality([mg.tensor(w)], beta=0.3, diagonal=True).item()
    assert unit == pytest.approx(0.3 * ((gram - np.eye(len(gram))) ** 2).sum())
    assert mg.gradcheck(lambda w: penalties.orthogonality([w], beta=0.3), w, order=2)
    q = np.linalg.qr(rng.standard_normal((6, 4)))[0]
    assert penalties.orthogonality([mg.tensor(2 * q)], beta=1.0).item() == pytest.approx(0, abs=1e-20)
    with pytest.raises(ValueError, match="0 weights"):
        penalties.orthogonality([mg.tensor(np.ones(3))], beta=1.0)
