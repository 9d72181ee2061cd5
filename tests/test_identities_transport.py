"""Identities 31 to 39: optimal transport and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from identity import identity
from scipy import optimize

import minigan as mg
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences, transport
from minigan.theory.arrays import xlogy


@st.composite
def weighted(draw: Any, max_size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Numbers on a line with a probability table."""
    (p,) = draw(tables(1, min_size=1, max_size=max_size, zeros=True))
    return draw(arrays(len(p), -5, 5)), p


@st.composite
def problems(draw: Any, max_size: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a, b, cost), costs in [0, 1]."""
    (a,), (b,) = (draw(tables(1, min_size=1, max_size=max_size, zeros=True)) for _ in range(2))
    return a, b, draw(arrays((len(a), len(b)), 0, 1))


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(x[:, None] - y)


def entropy(p: np.ndarray) -> float:
    return -float(xlogy(mg.tensor(p), mg.tensor(p)).sum())


# -- on the line -----------------------------------------------------------------------------------------------------
@given(left=weighted(), right=weighted())
@identity(31, "W1 = int |F - G| = int |F^-1 - G^-1| = min { <P, |x - y|> : P 1 = a, P^T 1 = b }", atol=1e-9)
def test_identity_31_four_faces_of_w1(see, left, right):
    (x, a), (y, b) = left, right
    area = transport.wasserstein_1d_cdf(x, y, weights_x=a, weights_y=b)
    see.equal(transport.wasserstein_1d(x, y, weights_x=a, weights_y=b), area)
    see.equal(transport.discrete_transport(a, b, distances(x, y)).cost, area)
    sums = np.vstack([np.kron(np.eye(len(a)), np.ones(len(b))), np.kron(np.ones(len(a)), np.eye(len(b)))])
    # By default the program may leave out masses below 1e-7
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    goal, masses = distances(x, y).ravel(), np.concatenate([a, b])
    program = optimize.linprog(goal, A_eq=sums, b_eq=masses, method="highs", options=options)
    see.equal(program.fun, area)


@given(left=weighted(), right=weighted())
@identity(31, "W1: quantile form = distribution form, to rounding", atol=1e-12)
def test_identity_31_quantiles_and_distribution_functions(see, left, right):
    (x, a), (y, b) = left, right
    see.equal(
        transport.wasserstein_1d(x, y, weights_x=a, weights_y=b),
        transport.wasserstein_1d_cdf(x, y, weights_x=a, weights_y=b),
    )


@given(xy=st.integers(1, 9).flatmap(lambda n: arrays((2, n), -5, 5)), p=st.sampled_from([1.0, 1.5, 2.0, 3.0]))
@identity(32, "W_p^p = mean |x_(i) - y_(i)|^p = the best assignment, equal n", atol=1e-12, rtol=1e-12)
def test_identity_32_sorting_is_the_best_assignment(see, xy, p):
    x, y = xy
    cost = distances(x, y) ** p
    rows, columns = optimize.linear_sum_assignment(cost)
    see.equal(np.mean(np.abs(np.sort(x) - np.sort(y)) ** p), cost[rows, columns].mean())
    see.equal(transport.wasserstein_1d(x, y, p=p) ** p, cost[rows, columns].mean())


@given(pq=tables(2, max_size=16, zeros=True), data=st.data())
@identity(33, "max { E_p f - E_q f : |f(x) - f(y)| <= |x - y| } = W1, attained by f' = sign(G - F)", atol=1e-12)
def test_identity_33_kantorovich_and_rubinstein(see, pq, data):
    p, q = pq
    support = data.draw(arrays(len(p), -5, 5))
    critic = transport.kantorovich_critic(p, q, support)
    w1 = transport.wasserstein_tables(p, q, support)
    see.below(distances(critic, critic), distances(support, support))  # it is 1-Lipschitz
    see.equal(critic @ (p - q), w1)  # it attains W1
    order = np.argsort(support)
    slopes, gaps = np.diff(critic[order]), np.diff(support[order])
    lag = np.cumsum(q[order] - p[order])[:-1]
    apart = np.abs(lag) > 1e-12  # where F = G but for rounding the sign of the difference is no fact: any slope is best
    see.equal(np.where(apart, slopes, 0.0), np.where(apart, np.sign(lag) * gaps, 0.0))
    other = data.draw(arrays(len(p), -20, 20))  # no other 1-Lipschitz function is better: make any function so
    lipschitz = (other[None, :] + distances(support, support)).min(axis=1)
    see.below(distances(lipschitz, lipschitz), distances(support, support))
    see.below(lipschitz @ (p - q), w1)


@given(pq=tables(2, max_size=12), data=st.data())
@identity(34, "f*(x) - f*(y) = |x - y| wherever an optimal plan moves mass from x to y", atol=1e-11)
def test_identity_34_the_critic_is_steepest_along_the_plan(see, pq, data):
    p, q = pq
    support = data.draw(arrays(len(p), -5, 5))
    critic = transport.kantorovich_critic(p, q, support)
    plan = transport.discrete_transport(p, q, distances(support, support)).plan
    moved = plan > 1e-13  # rounding of the masses; a flow below it may be none
    see.equal((critic[:, None] - critic)[moved], distances(support, support)[moved])


@given(points=arrays((2, 5, 2), -3, 3))
@identity(
    34, "In the plane, |grad f*| = 1 on transport segments; f* from the potentials is 1-Lipschitz everywhere", atol=1e-9
)
def test_identity_34_gradient_one_on_segments_in_the_plane(see, points):
    x, y = points
    equal = np.full(5, 0.2)
    cost = np.linalg.norm(x[:, None] - y, axis=-1)
    plan, value, (_, v) = transport.discrete_transport(equal, equal, cost)

    def critic(z):
        return (np.linalg.norm(z[..., None, :] - y, axis=-1) - v).min(axis=-1)  # the c-transform of v

    see.equal(critic(x).mean() - critic(y).mean(), value)
    for i, j in zip(*np.nonzero(plan > 1e-12), strict=True):
        t = np.linspace(0.0, 1.0, 5)[:, None]
        see.equal(critic((1 - t) * x[i] + t * y[j]), critic(y[j]) + (1 - t[:, 0]) * cost[i, j])
    away = np.stack([x.mean(axis=0), y.mean(axis=0), np.zeros(2)])
    see.below(distances(critic(away), critic(away)), np.linalg.norm(away[:, None] - away, axis=-1))


@given(shift=floats(1.0, 3.0))
@identity(34, "Off the segments the gradient of f* may be less than 1: flat where F = G", atol=1e-12)
def test_identity_34_gradient_is_less_than_one_elsewhere(see, shift):
    support = np.array([0.0, shift, 2 * shift, 3 * shift])  # two pairs that trade among themselves: F = G between them
    critic = transport.kantorovich_critic([0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5], support)
    see.equal(np.abs(np.diff(critic)), [shift, 0.0, shift])


@given(pq=tables(2, max_size=16, zeros=True), shift=floats(-4, 4), data=st.data())
@identity(35, "|E_p x - E_q x| <= W1 <= diameter TV; W1(P, P + c) = |c|", atol=1e-12)
def test_identity_35_bounds_of_w1_and_shifts(see, pq, shift, data):
    p, q = pq
    support = data.draw(arrays(len(p), -5, 5))
    w1 = transport.wasserstein_tables(p, q, support)
    see.below(np.abs(support @ (p - q)), w1)
    see.below(w1, np.ptp(support) * np.abs(p - q).sum() / 2)
    see.equal(transport.wasserstein_1d(support, support + shift, weights_x=p, weights_y=p), np.abs(shift))


@given(theta=floats(-3, 3).filter(lambda t: abs(t) > 1e-3), y=st.integers(1, 8).flatmap(lambda n: arrays(n, 0, 1)))
@identity(
    36, "Lines {0} x [0,1] and {theta} x [0,1]: W1 = |theta|, the plan moving each point straight across", atol=1e-12
)
def test_identity_36_parallel_lines_transport(see, theta, y):
    x, z = np.stack([0 * y, y], -1), np.stack([0 * y + theta, y], -1)
    equal = np.full(len(y), 1 / len(y))
    cost = np.linalg.norm(x[:, None] - z, axis=-1)
    see.equal(transport.discrete_transport(equal, equal, cost).cost, np.abs(theta))
    moved = mg.tensor(np.array(theta), requires_grad=True)  # and dW1/dtheta = sign(theta): it can be followed downhill
    w1 = transport.wasserstein_1d(0 * y, mg.tensor(0 * y) + moved)
    see.equal(mg.grad(w1, moved), np.sign(theta))


@given(theta=floats(-3, 3).filter(lambda t: abs(t) > 1e-3), p=tables(1, max_size=8))
@identity(36, "Lines {0} x [0,1] and {theta} x [0,1], theta != 0: JSD = log 2, KL = inf, whatever theta is", atol=1e-12)
def test_identity_36_parallel_lines_divergences(see, theta, p):
    heights = np.linspace(0.0, 1.0, len(p[0]))
    places = [(x, y) for x in (0.0, theta) for y in heights]  # the outcomes: all points of both lines
    on_left = np.array([p[0][k % len(p[0])] * (x == 0.0) for k, (x, _) in enumerate(places)])
    on_right = np.array([p[0][k % len(p[0])] * (x == theta) for k, (x, _) in enumerate(places)])
    see.equal(divergences.jsd(on_left, on_right), np.log(2))
    see.equal(divergences.kl(on_left, on_right), np.inf)
    see.equal(divergences.total_variation(on_left, on_right), 1.0)
    cost = np.linalg.norm(np.array(places)[:, None] - np.array(places), axis=-1)
    see.equal(transport.discrete_transport(on_left, on_right, cost).cost, np.abs(theta))


@given(problem=problems())
@identity(37, "0 <= <P_eps, C> - W <= eps min(H(a), H(b)), monotone in eps", atol=1e-9)
def test_identity_37_price_of_the_entropy_term(see, problem):
    a, b, cost = problem
    exact = below = transport.discrete_transport(a, b, cost).cost
    for epsilon in (0.003, 0.03, 0.3, 3.0):
        value = transport.sinkhorn(a, b, cost, epsilon=epsilon).cost
        see.below(exact, value)
        see.below(value - exact, epsilon * min(entropy(a), entropy(b)))
        see.below(below, value)
        below = value


@given(
    left=st.integers(1, 12).flatmap(lambda n: arrays(n, -5, 5)),
    right=st.integers(1, 12).flatmap(lambda n: arrays(n, -5, 5)),
)
@identity(38, "On the line 2 E|X-Y| - E|X-X'| - E|Y-Y'| = 2 int (F - G)^2", atol=1e-12)
def test_identity_38_energy_distance_on_the_line(see, left, right):
    places = np.sort(np.concatenate([left, right]))
    f, g = ((sample <= places[:-1, None]).mean(axis=1) for sample in (left, right))
    see.equal(transport.energy_distance(left, right), 2 * (np.diff(places) * (f - g) ** 2).sum())


# -- maximum mean discrepancy ----------------------------------------------------------------------------------------
KERNELS = ["gaussian", "polynomial", "energy"]


@given(p=tables(1, min_size=2, max_size=3), data=st.data(), kernel=st.sampled_from(KERNELS))
@identity(
    39,
    "E MMD2_unbiased = MMD2, so 0 at p = q: the mean over all samples of sizes 2 and 2, weighted",
    atol=1e-12,
    rtol=1e-12,
)
def test_identity_39_unbiased_mmd_averages_to_the_truth(see, p, data, kernel):
    (p,) = p
    support = data.draw(arrays(len(p), -1, 1))
    q = data.draw(st.sampled_from([p, p[::-1].copy()]))
    mean = 0.0
    for places in np.ndindex(*(len(p),) * 4):  # every sample there is: exact expectation, no chance
        i, j = list(places[:2]), list(places[2:])
        mean += p[i].prod() * q[j].prod() * transport.mmd_squared(support[i], support[j], kernel=kernel)
    k = {
        "gaussian": np.exp(-(distances(support, support) ** 2) / 2),
        "polynomial": (np.outer(support, support) + 1) ** 3,
        "energy": -distances(support, support),
    }[kernel]
    see.equal(mean, (p - q) @ k @ (p - q))


@given(x=arrays((3, 2), -2, 2), kernel=st.sampled_from(KERNELS))
@identity(39, "MMD2_unbiased may be negative: at equal samples it is, while the biased one is 0", atol=1e-12)
def test_identity_39_unbiased_mmd_may_be_negative(see, x, kernel):
    see.equal(transport.mmd_squared(x, x, kernel=kernel, unbiased=False), 0.0)
    see.below(transport.mmd_squared(x, x, kernel=kernel), 0.0)
    spread = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    see.true(transport.mmd_squared(spread, spread, kernel=kernel) < -0.01)
