"""Optimal transport: against SciPy's linear programs and closed forms, degenerate cases, errors, derivatives."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, linalg, optimize, stats

import minigan as mg
from minigan import ops
from minigan.lessons.strategies import arrays, tables
from minigan.theory import network_simplex, relaxation, transport

rng = np.random.default_rng(7)


def points(min_size: int = 1, max_size: int = 9) -> st.SearchStrategy[np.ndarray]:
    return st.integers(min_size, max_size).flatmap(lambda n: arrays(n, -5, 5))


EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}  # the least that HiGHS takes


def linear_program(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> float:
    """min <P, C> by HiGHS: the oracle."""
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    found = optimize.linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b]), method="highs", options=EXACT)
    assert found.status == 0
    return float(found.fun)


# -- on the line -----------------------------------------------------------------------------------------------------
@given(x=points(), y=points(), data=st.data())
def test_line_agrees_with_scipy_with_and_without_weights(x: Any, y: Any, data: Any) -> None:
    a, b = (data.draw(arrays(len(v), 0.0, 3.0)) + np.eye(len(v))[0] for v in (x, y))
    assert transport.wasserstein_1d(x, y) == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-12)
    expected = stats.wasserstein_distance(x, y, a, b)
    for function in (transport.wasserstein_1d, transport.wasserstein_1d_cdf):
        assert function(x, y, weights_x=a, weights_y=b) == pytest.approx(expected, abs=1e-12)


@given(p=st.sampled_from([1.0, 1.5, 2.0, 4.0]), data=st.data())
def test_tables_of_every_order_agree_with_the_linear_program(p: float, data: Any) -> None:
    a, b = data.draw(tables(2, max_size=7, zeros=True))
    support = data.draw(arrays(len(a), -3, 3))
    program = linear_program(a, b, np.abs(support[:, None] - support) ** p)
    assert transport.wasserstein_tables(a, b, support, order=p) ** p == pytest.approx(program, abs=1e-9)


def test_line_of_shifts_scales_and_repeats() -> None:
    x = rng.normal(size=11)
    for p in (1, 2, 3.5):
        assert transport.wasserstein_1d(x, x + 2.5, p=p) == pytest.approx(2.5, rel=1e-14)
        assert transport.wasserstein_1d(x, np.repeat(x, 3), p=p) == 0
        assert transport.wasserstein_1d(1e200 * x, -1e200 * x, p=p) == pytest.approx(
            1e200 * transport.wasserstein_1d(x, -x, p=p), rel=1e-13
        )
    assert transport.wasserstein_1d([0.0], [3.0], p=2) == 3.0
    assert transport.wasserstein_1d([[1.0], [2.0]], [2.0, 1.0]) == 0.0


def test_order_two_of_quantiles_is_the_integral() -> None:
    x, y = np.sort(rng.normal(size=4)), np.sort(rng.normal(size=6))
    t = (np.arange(120_000) + 0.5) / 120_000  # 12 divides 120,000: the midpoint rule is exact for these steps
    gaps = x[np.ceil(4 * t).astype(int) - 1] - y[np.ceil(6 * t).astype(int) - 1]
    assert transport.wasserstein_1d(x, y, p=2) == pytest.approx(np.sqrt(np.mean(gaps**2)), abs=1e-12)


@given(left=points(), right=points(), data=st.data())
def test_order_infinity_is_the_longest_way_and_the_limit(left: Any, right: Any, data: Any) -> None:
    # whole numbers a, b: the distribution functions are multiples of 1/A and 1/B, so a piece of the plan is one of 1/(A B)
    a, b = (np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(v), max_size=len(v)))) for v in (left, right))
    least = 1.0 / float(a.sum() * b.sum())
    longest = transport.wasserstein_1d(left, right, order=np.inf, weights_x=a, weights_y=b)
    cost = np.abs(left[:, None] - right)
    blocked = np.nextafter(longest, -1) * 0.999999 - 1e-12  # no plan stays strictly below, and one needs no more
    assert linear_program(a / a.sum(), b / b.sum(), (cost > longest + 1e-12) * 1.0) <= 1e-9
    if blocked > 0:
        assert linear_program(a / a.sum(), b / b.sum(), (cost > blocked) * 1.0) >= 0.999 * least
    below = transport.wasserstein_1d(left, right, order=50, weights_x=a, weights_y=b)
    assert below <= longest * (1 + 1e-12) and longest <= below * least ** (-1 / 50) + 1e-12  # W_50^50 >= least W_inf^50


def test_order_infinity_of_equal_sizes_tables_and_slices() -> None:
    x, y = rng.normal(size=(2, 30))
    assert transport.wasserstein_1d(x, y, order=np.inf) == np.abs(np.sort(x) - np.sort(y)).max()
    assert transport.wasserstein_1d(x, np.repeat(x, 3), order=np.inf) == 0  # no piece of rounding's mass is left
    p, q = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), np.array([0.0, 0.5, 0.5])
    np.testing.assert_allclose(transport.wasserstein_tables(p, q, [0.0, 1.0, 5.0], order=np.inf), [4.0, 1.0])
    u = rng.normal(size=(4, 2))
    z, w = rng.normal(size=(2, 9, 2))
    lines = [transport.wasserstein_1d(z @ v, w @ v, order=np.inf) for v in u / np.linalg.norm(u, axis=1, keepdims=True)]
    assert transport.sliced_wasserstein(z, w, order=np.inf, directions=u) == pytest.approx(max(lines))


def test_small_masses_that_are_true_are_kept() -> None:
    x, a = np.r_[np.arange(9.0), 1e5], [1 - 1e-15, *[0.0] * 8, 1e-15]
    for order in (1, 2, 3):
        assert transport.wasserstein_1d(x, [0.0], order=order, weights_x=a) == pytest.approx(1e-15 ** (1 / order) * 1e5)
        assert transport.wasserstein_1d([0.0], x, order=order, weights_y=a) == pytest.approx(1e-15 ** (1 / order) * 1e5)
    assert transport.wasserstein_1d([0.0, 1e6], [0.0], order=2, weights_x=[1.0, 1e-15]) == pytest.approx(10**-1.5)


def test_equal_laws_in_other_pieces_are_at_distance_zero() -> None:
    draw = np.random.default_rng(11)
    for _ in range(30):
        n, k = draw.integers(2, 40), draw.integers(2, 6)
        x, a = draw.normal(size=n), draw.random(n)
        shares = draw.integers(1, 9, (n, k)) * 1.0
        parts = (a[:, None] * shares / shares.sum(1, keepdims=True)).ravel()
        order = draw.permutation(n * k)
        for p in (2, 4, np.inf):
            assert transport.wasserstein_1d(x, np.repeat(x, k)[order], p=p, weights_x=a, weights_y=parts[order]) == 0


def test_order_has_one_name_everywhere_and_p_is_another() -> None:
    x, y = rng.normal(size=(2, 5, 2))
    for order in (1, 2, 3.5):
        for f, u, v in ((transport.wasserstein_1d, x[:, 0], y[:, 0]), (transport.sliced_wasserstein, x, y)):
            assert f(u, v, order=order) == f(u, v, p=order)


def test_critic_is_flat_where_sums_differ_by_rounding_only() -> None:
    critic = transport.kantorovich_critic([0, 0.4, 0.1, 0.5], [0.4, 0.1, 0, 0.5], [0.0, 1.0, 2.0, 3.0])
    assert critic.tolist() == [0.0, 1.0, 2.0, 2.0]
    p = np.array([0.1, 0.2, 0.3, 0.4])
    for order in itertools.permutations(range(4)):
        q = p[list(order)]
        exact = np.sign(np.round(10 * np.cumsum(q - p)[:-1]))
        assert np.diff(transport.kantorovich_critic(p, q, np.arange(4.0))).tolist() == exact.tolist()


def test_line_is_fast_enough_for_large_samples() -> None:
    x, y = rng.normal(size=100_000), rng.normal(size=99_991) + 1
    assert transport.wasserstein_1d(x, y, order=2) == pytest.approx(1.0, abs=0.05)


def test_tables_come_in_batches() -> None:
    p, q = rng.dirichlet(np.ones(5), size=(2, 3)), rng.dirichlet(np.ones(5), size=(2, 3))
    support = rng.normal(size=5)
    for order in (1, 2, np.inf):
        one = transport.wasserstein_tables(p, q[0, 0], support, order=order)
        assert one[1, 2] == pytest.approx(transport.wasserstein_tables(p[1, 2], q[0, 0], support, order=order))
        assert transport.wasserstein_tables(p[:, :0], q[0, 0], support, order=order).shape == (2, 0)
        each = transport.wasserstein_tables(p, q, support, order=order)
        assert each.shape == (2, 3)
        assert each[1, 2] == pytest.approx(transport.wasserstein_tables(p[1, 2], q[1, 2], support, order=order))
    f = transport.kantorovich_critic(p, q, support)
    np.testing.assert_allclose((f * (p - q)).sum(-1), transport.wasserstein_tables(p, q, support), atol=1e-14)
    assert (np.abs(f[..., :, None] - f[..., None, :]) <= np.abs(support[:, None] - support) + 1e-14).all()


@pytest.mark.parametrize("p", [1, 2, 1.5, np.inf])
def test_line_has_derivatives_of_two_orders(p: float) -> None:
    x, y, a, b = rng.normal(size=4), rng.normal(size=3), rng.random(4) + 0.1, rng.random(3) + 0.1
    mg.gradcheck(lambda x, y, a, b: transport.wasserstein_1d(x, y, p=p, weights_x=a, weights_y=b), (x, y, a, b))
    mg.gradcheck(lambda x, y: transport.wasserstein_1d(x, y[:4], p=p), (x, rng.normal(size=5)))

    def table(u, v, s):
        return transport.wasserstein_tables(ops.softmax(u), ops.softmax(v), s, order=p)

    mg.gradcheck(table, (rng.normal(size=(2, 4)), rng.normal(size=(2, 4)), rng.normal(size=4)))


def test_cdf_form_and_slices_have_derivatives() -> None:
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    mg.gradcheck(lambda x, y, a: transport.wasserstein_1d_cdf(x, y, weights_x=a), (x[:, 0], y[:, 0], rng.random(5)))
    mg.gradcheck(lambda x, y: transport.sliced_wasserstein(x, y, directions=3), (x, y))
    mg.gradcheck(lambda x, y: transport.sliced_wasserstein(x, y, p=1, directions=3), (x, x + y[:1]))


def test_derivative_at_equal_samples_is_zero_not_nan() -> None:
    x = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    assert (mg.grad(transport.wasserstein_1d(x, np.array([2.0, 1.0]), p=2), x).data == 0).all()


def test_slices() -> None:
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 1
    u = rng.normal(size=(6, 3))
    lines = [transport.wasserstein_1d(x @ v, y @ v, p=2) ** 2 for v in u / np.linalg.norm(u, axis=1, keepdims=True)]
    assert transport.sliced_wasserstein(x, y, directions=u) == pytest.approx(np.sqrt(np.mean(lines)), rel=1e-13)
    assert transport.sliced_wasserstein(x, y, directions=3 * u) == pytest.approx(np.sqrt(np.mean(lines)), rel=1e-13)
    assert transport.sliced_wasserstein(x[:, :1], y[:30, :1], p=3, directions=2) == pytest.approx(
        transport.wasserstein_1d(x[:, 0], y[:30, 0], p=3), rel=1e-13
    )
    assert transport.sliced_wasserstein(x, y, seed=3) == transport.sliced_wasserstein(x, y, seed=3)
    assert transport.sliced_wasserstein(x, y, seed=3) != transport.sliced_wasserstein(x, y, seed=4)
    # A shift by c: the mean of <u, c>^2 over the sphere is |c|^2 / d.
    far = transport.sliced_wasserstein(x, x + np.array([3.0, 0, 0]), directions=20_000)
    assert far == pytest.approx(np.sqrt(3.0), abs=0.03)


# -- finite laws -----------------------------------------------------------------------------------------------------
def assert_optimal(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> None:
    plan, value, (u, v) = transport.discrete_transport(a, b, cost)
    scale = max(1.0, float(np.abs(cost).max()))
    assert (plan >= 0).all() and (plan > 0).sum() <= len(a) + len(b) - 1
    np.testing.assert_allclose(plan.sum(1), a, atol=1e-14)
    np.testing.assert_allclose(plan.sum(0), b, atol=1e-14)
    assert (u[:, None] + v <= cost + 1e-13 * scale).all()  # dual feasible
    np.testing.assert_allclose((u[:, None] + v)[plan > 1e-14], cost[plan > 1e-14], atol=1e-13 * scale)
    assert value == pytest.approx(a @ u + b @ v, abs=1e-12 * scale)  # no duality gap: optimal, with no oracle needed
    assert value == pytest.approx(linear_program(a, b, cost), abs=1e-9 * scale)


@given(data=st.data(), zeros=st.booleans(), ties=st.booleans())
def test_discrete_transport_is_optimal(data: Any, zeros: bool, ties: bool) -> None:
    (a,), (b,) = (data.draw(tables(1, min_size=1, max_size=9, zeros=zeros)) for _ in range(2))
    cost = data.draw(arrays((len(a), len(b)), -4, 4))
    assert_optimal(a, b, np.round(cost) if ties else cost)


@pytest.mark.parametrize("n, m", [(1, 1), (1, 5), (5, 1), (6, 6), (8, 4)])
def test_discrete_transport_of_degenerate_problems(n: int, m: int) -> None:
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)  # every partial sum of an assignment problem is a tie
    for cost in (np.zeros((n, m)), np.ones((n, m)), np.abs(np.arange(n)[:, None] - np.arange(m)) * 1.0):
        assert_optimal(a, b, cost)
    assert_optimal(np.eye(n)[-1], np.eye(m)[0], rng.normal(size=(n, m)))  # all mass in one place
    assert_optimal(np.eye(n)[0], b, rng.normal(size=(n, m)))


def test_discrete_transport_of_masses_of_very_different_sizes() -> None:
    a = np.array([1e-30, 1e-18, 1e-9, 1.0])
    b = np.array([0.5, 1e-25, 0.5, 1e-12])
    assert_optimal(a / a.sum(), b / b.sum(), rng.normal(size=(4, 4)) * 1e6)


def test_discrete_transport_solves_assignments_of_a_hundred() -> None:
    cost = ((rng.normal(size=(100, 1, 2)) - rng.normal(size=(1, 100, 2))) ** 2).sum(-1)
    i, j = optimize.linear_sum_assignment(cost)
    equal = np.full(100, 0.01)
    assert transport.discrete_transport(equal, equal, cost).cost == pytest.approx(cost[i, j].mean(), rel=1e-12)
    u, v = transport.kantorovich_potentials(equal, equal, cost)
    assert u.mean() + v.mean() == pytest.approx(cost[i, j].mean(), rel=1e-12)


HUGE = [1e12, 1e14, 1e16, 1e30, 1e300, np.inf]


@pytest.mark.parametrize("huge", HUGE)
def test_costs_out_of_scale_do_not_hide_the_others(huge: float) -> None:
    a = np.full(3, 1 / 3)
    found = transport.discrete_transport(a, a, [[4.0, 3.0, 2.0], [1.0, 1.0, 0.0], [huge, 0.0, 0.0]])
    assert found.cost == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(found.plan, [[0, 0, 1 / 3], [1 / 3, 0, 0], [0, 1 / 3, 0]], atol=1e-15)


@given(data=st.data(), huge=st.sampled_from(HUGE), n=st.integers(2, 5), ties=st.booleans())
def test_forbidden_ways_are_taken_only_where_nothing_else_is_left(data: Any, huge: float, n: int, ties: bool) -> None:
    """Against all permutations, in exact numbers: a plan between equal masses is a mean of them (Birkhoff)."""
    cost = data.draw(arrays((n, n), -4, 4))
    cost = np.round(cost) if ties else cost
    cost[data.draw(hnp.arrays(np.bool_, (n, n)))] = huge
    closed = min(sum(cost[i, j] == huge for i, j in enumerate(order)) for order in itertools.permutations(range(n)))
    sums = [
        sum(Fraction(float(cost[i, j])) for i, j in enumerate(order) if cost[i, j] != huge)
        for order in itertools.permutations(range(n))
        if sum(cost[i, j] == huge for i, j in enumerate(order)) == closed
    ]
    equal = np.full(n, 1 / n)
    if closed and huge == np.inf:
        with pytest.raises(ValueError, match="no plan"):
            transport.discrete_transport(equal, equal, cost)
        return
    plan, value, _ = transport.discrete_transport(equal, equal, cost)
    if not closed:  # masses of 1/n are rounded, and what is left of one may lie on a huge cost
        rounded = n * 2.0**-53 * huge if np.isfinite(huge) else 0.0
        assert value == pytest.approx(float(min(sums)) / n, abs=1e-13 + rounded)
    assert plan[cost == huge].sum() == pytest.approx(closed / n, abs=1e-14)
    assert (plan * np.where(cost == huge, 0.0, cost)).sum() == pytest.approx(float(min(sums)) / n, abs=1e-13)


@pytest.mark.parametrize("huge", HUGE[:-1])
def test_more_forbidden_costs_than_others(huge: float) -> None:
    """One huge cost cannot be avoided; the others are still told apart: 2 - 1 + huge, not 0 + huge + huge."""
    equal, cost = np.full(3, 1 / 3), np.array([[0.0, huge, -1.0], [2.0, huge, huge], [huge, huge, 0.0]])
    plan = transport.discrete_transport(equal, equal, cost).plan
    best = min(
        itertools.permutations(range(3)),
        key=lambda order: sum(Fraction(float(cost[i, j])) for i, j in enumerate(order)),
    )
    np.testing.assert_allclose(plan, np.eye(3)[list(best)] / 3, atol=1e-15)


def test_potentials_beside_forbidden_ways_are_feasible_and_tight() -> None:
    draw = np.random.default_rng(3)
    for _ in range(20):
        n = 12
        cost = draw.normal(size=(n, n))
        closed = draw.random((n, n)) < 0.7
        cost[closed & ~np.eye(n, dtype=bool)] = np.inf
        a = draw.dirichlet(np.ones(n))
        plan, value, (u, v) = transport.discrete_transport(a, a, cost)
        assert (u[:, None] + v <= cost + 1e-11).all() and np.isfinite(u).all() and np.isfinite(v).all()
        assert value == pytest.approx(a @ u + a @ v, abs=1e-11)
        assert not plan[np.isinf(cost)].any()


def test_a_large_problem_is_solved_exactly_and_compiled_code_does_what_python_does() -> None:
    cost = ((rng.normal(size=(300, 1, 2)) - rng.normal(size=(1, 300, 2))) ** 2).sum(-1)
    equal = np.full(300, 1 / 300)
    i, j = optimize.linear_sum_assignment(cost)
    start = time.perf_counter()
    assert transport.discrete_transport(equal, equal, cost).cost == pytest.approx(cost[i, j].mean(), rel=1e-12)
    assert time.perf_counter() - start < 20  # a second or two where the kernel has to be compiled first
    a, b = rng.dirichlet(np.ones(30), 2)
    small = cost[:30, :30]
    trees = []
    for cells in (0, 900):  # compiled, and not
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network_simplex, "SMALL", cells)
            tree = network_simplex.Tree(a, b, small)
            tree.optimise()
            trees.append(tree.tree)
    np.testing.assert_array_equal(*trees)


def test_discrete_transport_has_derivatives_of_every_order() -> None:
    def solve(u: Any, v: Any, cost: Any) -> Any:
        plan, value, potentials = transport.discrete_transport(ops.softmax(u), ops.softmax(v), cost)
        return plan, value, *potentials

    mg.gradcheck(solve, (rng.normal(size=4), rng.normal(size=3), rng.normal(size=(4, 3))), order=3)


def test_derivative_of_the_cost_is_plan_and_potentials() -> None:
    a, b, cost = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(5)), rng.random((4, 5))
    inputs = [mg.tensor(t, requires_grad=True) for t in (a, b, cost)]
    plan, value, (u, v) = transport.discrete_transport(*inputs)
    da, db, dc = (g.data for g in mg.grad(value, inputs))
    np.testing.assert_allclose(dc, plan.data, atol=1e-15)
    np.testing.assert_allclose(da - da[0], u.data - u.data[0], atol=1e-14)
    np.testing.assert_allclose(db - db[0], v.data - v.data[0], atol=1e-14)


# -- entropic --------------------------------------------------------------------------------------------------------
@given(data=st.data(), zeros=st.booleans(), epsilon=st.sampled_from([1e-3, 1e-2, 0.1, 1.0, 100.0]))
def test_sinkhorn_satisfies_its_equations(data: Any, zeros: bool, epsilon: float) -> None:
    (a,), (b,) = (data.draw(tables(1, min_size=1, max_size=12, zeros=zeros)) for _ in range(2))
    cost = data.draw(arrays((len(a), len(b)), 0, 1))
    plan, value, (f, g) = transport.sinkhorn(a, b, cost, epsilon=epsilon)
    assert np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum() <= 1.1e-10
    assert value == pytest.approx((plan * cost).sum(), abs=1e-13)
    alive = np.outer(a, b) > 0
    exponent = np.log(np.outer(a, b)[alive]) + ((f[:, None] + g - cost) / epsilon)[alive]
    np.testing.assert_allclose(plan[alive], np.exp(exponent), rtol=1e-9, atol=1e-300)  # digits end at 2^-1074
    assert a @ f == pytest.approx(b @ g, abs=1e-10)
    entropic = value + epsilon * (plan[plan > 0] * np.log(plan[plan > 0] / np.outer(a, b)[plan > 0])).sum()
    assert a @ f + b @ g == pytest.approx(entropic, abs=1e-8)


@given(data=st.data(), levels=st.sampled_from([(0.0, 1.0), (0.0, 0.64, 0.62, 1.0), (0.0, 1.0, 1e-5)]))
def test_sinkhorn_converges_where_masses_differ_and_costs_tie(data: Any, levels: tuple[float, ...]) -> None:
    a, b = data.draw(tables(2, max_size=8))
    cost = data.draw(hnp.arrays(np.float64, (len(a), len(b)), elements=st.sampled_from(levels)))
    plan = transport.sinkhorn(a, b, cost, epsilon=0.002).plan
    np.testing.assert_allclose(plan.sum(1), a, atol=1e-10)
    np.testing.assert_allclose(plan.sum(0), b, atol=1e-10)


def test_sinkhorn_of_two_points_by_hand() -> None:
    # Symmetric: P = [[s, 1/2 - s], [1/2 - s, s]] with s / (1/2 - s) = e^(1 / epsilon).
    plan, value, _ = transport.sinkhorn([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], epsilon=0.3)
    odds = np.exp(1 / 0.3)
    assert plan[0, 0] == pytest.approx(0.5 * odds / (1 + odds), rel=1e-10)
    assert value == pytest.approx(1 / (1 + odds), rel=1e-9)


def test_sinkhorn_tends_to_independence_and_to_transport() -> None:
    a, b, cost = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5)), rng.random((6, 5))
    np.testing.assert_allclose(transport.sinkhorn(a, b, cost, epsilon=1e5).plan, np.outer(a, b), atol=1e-6)
    exact = transport.discrete_transport(a, b, cost).cost
    assert exact - 1e-10 <= transport.sinkhorn(a, b, cost, epsilon=1e-3).cost <= exact + 1e-3 * np.log(5)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-4, 1e-3, 1e-2, 1.0, 1e4])
@pytest.mark.parametrize("n, m", [(3, 3), (12, 12), (60, 45)])
def test_sinkhorn_converges_at_every_epsilon(n: int, m: int, epsilon: float) -> None:
    draw = np.random.default_rng([n, m])
    places = draw.normal(size=(n, 2)), draw.normal(size=(m, 2))
    costs = [
        draw.random((n, m)),
        10 * draw.normal(size=(n, m)),
        draw.integers(0, 3, (n, m)) * 1.0,
        ((places[0][:, None] - places[1]) ** 2).sum(-1),
        1000 + draw.random((n, m)),
    ]
    some = [draw.dirichlet(np.ones(k)) * (draw.random(k) < 0.7) + 1e-9 * np.eye(k)[0] for k in (n, m)]
    masses = [
        (draw.dirichlet(np.ones(n)), draw.dirichlet(np.ones(m))),
        (np.full(n, 1 / n), np.full(m, 1 / m)),
        (some[0] / some[0].sum(), some[1] / some[1].sum()),
        (draw.dirichlet(np.full(n, 0.05)), draw.dirichlet(np.full(m, 0.05))),
    ]
    for cost in costs:
        spread = float(np.ptp(cost))
        for a, b in masses:
            plan, value, (f, g) = transport.sinkhorn(a, b, cost, epsilon=epsilon * spread)
            assert np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum() <= 1e-10
            assert np.isfinite(f).all() and np.isfinite(g).all()
            exact = transport.discrete_transport(a, b, cost).cost
            assert -1e-10 * spread <= value - exact <= epsilon * spread * np.log(max(n, m)) + 1e-10 * spread


@pytest.mark.parametrize("seed", [20, 29, 39])
def test_sinkhorn_of_plans_that_are_nearly_trees(seed: int) -> None:
    draw = np.random.default_rng(seed)
    a, b = draw.dirichlet(np.ones(12), 2)
    cost = draw.random((12, 12))
    value = transport.sinkhorn(a, b, cost, epsilon=1e-3).cost
    assert 0 <= value - transport.discrete_transport(a, b, cost).cost <= 1e-3 * np.log(12)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-10])
def test_sinkhorn_of_large_costs_keeps_its_marginals(epsilon: float) -> None:
    a, b, cost = np.array([0.3, 0.7]), np.array([0.6, 0.4]), np.array([[1000.0, 1001.3], [1000.7, 1000.2]])
    plan, value, _ = transport.sinkhorn(a, b, cost, epsilon=epsilon)
    assert np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum() <= 1e-10
    assert value == pytest.approx(transport.discrete_transport(a, b, cost).cost, abs=1e-9)


def test_sinkhorn_differentiates_plans_in_parts_that_nothing_joins() -> None:
    cost = mg.tensor(1.0 - np.eye(3), requires_grad=True)
    equal = np.full(3, 1 / 3)
    result = transport.sinkhorn(equal, equal, cost, epsilon=1e-4)
    np.testing.assert_allclose(result.plan.data, np.eye(3) / 3, atol=1e-15)
    np.testing.assert_allclose(mg.grad(result.cost, cost).data, np.eye(3) / 3, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.02, 30.0])
def test_sinkhorn_has_derivatives_at_small_and_large_epsilon(epsilon: float) -> None:
    draw = np.random.default_rng(3)
    a, b, cost = draw.dirichlet(np.ones(4)), draw.dirichlet(np.ones(3)), draw.random((4, 3))
    mg.gradcheck(lambda c: transport.sinkhorn(a, b, c, epsilon=epsilon, tolerance=1e-13).plan, cost)


def test_sinkhorn_has_derivatives() -> None:
    def solve(u: Any, v: Any, cost: Any) -> Any:
        plan, value, (f, g) = transport.sinkhorn(ops.softmax(u), ops.softmax(v), cost, epsilon=0.3, tolerance=1e-13)
        return plan, value, f, g

    mg.gradcheck(solve, (rng.normal(size=4), rng.normal(size=3), rng.normal(size=(4, 3))), order=3)


def test_sinkhorn_keeps_float32() -> None:
    a = np.array([0.25, 0.75], np.float32)
    plan, value, _ = transport.sinkhorn(
        mg.tensor(a), mg.tensor(a[::-1].copy()), mg.tensor(np.eye(2, dtype=np.float32)), epsilon=0.1
    )
    assert plan.dtype == np.float32 and value.dtype == np.float32
    np.testing.assert_allclose(plan.data.sum(1), a, rtol=1e-6)


def test_sinkhorn_says_so_where_it_does_not_converge() -> None:
    with pytest.raises(ArithmeticError, match=r"after 2 iterations.*off by.*larger epsilon"):
        transport.sinkhorn([0.3, 0.7], [0.5, 0.5], np.eye(2), epsilon=0.01, max_iterations=2)


# -- Gaussian laws ---------------------------------------------------------------------------------------------------
def covariance(d: int) -> np.ndarray:
    x = rng.normal(size=(d, d + 2))
    return x @ x.T


def test_frechet_distance_of_commuting_and_general_covariances() -> None:
    assert transport.frechet_distance(0.0, 1.0, 3.0, 4.0) == pytest.approx(9 + 1)
    s, t = np.diag([1.0, 4.0, 0.0]), np.diag([9.0, 0.0, 0.0])
    assert transport.frechet_distance(np.zeros(3), s, np.zeros(3), t) == pytest.approx(4 + 4, abs=1e-13)
    m, n, s, t = rng.normal(size=4), rng.normal(size=4), covariance(4), covariance(4)
    expected = ((m - n) ** 2).sum() + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real)
    assert transport.frechet_distance(m, s, n, t) == pytest.approx(expected, rel=1e-11)
    assert 0 <= transport.frechet_distance(m, s, m, s) < 1e-12


def test_gaussian_transport_comes_in_batches() -> None:
    m, s, t = rng.normal(size=(3, 2)), np.stack([covariance(2) for _ in range(3)]), covariance(2)
    each = transport.frechet_distance(m, s, np.zeros(2), t)
    maps = transport.gaussian_monge_map(m, s, np.zeros(2), t)
    for i in range(3):
        assert each[i] == pytest.approx(transport.frechet_distance(m[i], s[i], np.zeros(2), t), rel=1e-12)
        one = transport.gaussian_monge_map(m[i], s[i], np.zeros(2), t)
        np.testing.assert_allclose(maps.matrix[i], one.matrix, atol=1e-12)
        np.testing.assert_allclose(maps.shift[i], one.shift, atol=1e-12)
    assert transport.frechet_distance(np.zeros(3), 4.0, np.ones(3), 1.0) == pytest.approx(3 + 3)


def test_frechet_distance_is_the_cost_of_the_monge_map() -> None:
    m, n, s, t = rng.normal(size=3), rng.normal(size=3), covariance(3), covariance(3)
    map_ = transport.gaussian_monge_map(m, s, n, t)
    np.testing.assert_allclose(map_.matrix @ s @ map_.matrix, t, atol=1e-11)
    np.testing.assert_allclose(map_.matrix, map_.matrix.T)
    assert np.linalg.eigvalsh(map_.matrix).min() > 0
    np.testing.assert_allclose(map_(m), n, atol=1e-12)
    away = np.eye(3) - map_.matrix  # E |x - T x|^2 for x ~ N(m, s)
    cost = np.trace(away @ s @ away) + ((m - n) ** 2).sum()
    assert transport.frechet_distance(m, s, n, t) == pytest.approx(cost, rel=1e-11)


def test_monge_map_moves_points_as_sorted_samples_do() -> None:
    x = rng.normal(size=(500, 1)) * 2 + 1
    moved = transport.gaussian_monge_map(1.0, 4.0, -3.0, 0.25)(x)
    np.testing.assert_allclose(moved, -3 + (x - 1) / 4, atol=1e-12)
    assert isinstance(transport.gaussian_monge_map(1.0, 4.0, -3.0, 0.25)(mg.tensor(x)), mg.Tensor)


@pytest.mark.parametrize("d, rank", [(2, 1), (8, 3), (64, 20), (128, 15)])
def test_frechet_distance_of_fewer_samples_than_features(d: int, rank: int) -> None:
    a, b = np.random.default_rng([d, rank]).normal(size=(2, d, rank))
    s, t, zero = a @ a.T / rank, b @ b.T / rank, np.zeros(d)
    scale = np.trace(s) + np.trace(t)
    exact = scale - 2 * np.linalg.svd(a.T @ b / rank, compute_uv=False).sum()
    value = transport.frechet_distance(zero, s, zero, t)
    assert value == pytest.approx(exact, abs=1e-12 * scale)
    assert transport.frechet_distance(zero, t, zero, s) == pytest.approx(value, abs=1e-12 * scale)
    turn = np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]
    turned = transport.frechet_distance(zero, turn @ s @ turn.T, zero, turn @ t @ turn.T)
    assert turned == pytest.approx(value, abs=1e-10 * scale)
    assert transport.frechet_distance(zero, s, zero, s) == pytest.approx(0, abs=1e-12 * scale)


def test_frechet_distance_is_differentiated_where_covariances_keep_their_range() -> None:
    draw = np.random.default_rng(4)
    a, b = draw.normal(size=(2, 5, 2))  # rank 2 of 5: the functions below move the laws, never their rank
    mg.gradcheck(
        lambda c, m: transport.frechet_distance(m, a @ c @ c.T @ a.T, np.zeros(5), b @ b.T), (np.eye(2), a[:, 0])
    )
    gradient = mg.grad(
        transport.frechet_distance(a[:, 0], s := mg.tensor(a @ a.T, requires_grad=True), b[:, 0], b @ b.T), s
    )
    assert np.isfinite(gradient.data).all() and np.abs(gradient.data).max() < 100


def test_gaussian_transport_comes_in_batches_and_by_variances() -> None:
    m, n = rng.normal(size=(2, 4, 3))
    s, t = (np.stack([covariance(3) for _ in range(4)]) for _ in range(2))
    each = transport.frechet_distance(m, s, n, t)
    assert each.shape == (4,)
    for k in range(4):
        assert each[k] == pytest.approx(transport.frechet_distance(m[k], s[k], n[k], t[k]), rel=1e-12)
    single, diagonal = (transport.frechet_distance(m, c, n, t) for c in (2.0, [2.0, 2.0, 2.0]))
    np.testing.assert_allclose(single, transport.frechet_distance(m, 2 * np.eye(3), n, t))
    np.testing.assert_allclose(diagonal, single)
    x = rng.normal(size=(4, 6, 3))
    maps = transport.gaussian_monge_map(m, s, n, t)
    np.testing.assert_allclose(maps(x)[2], transport.gaussian_monge_map(m[2], s[2], n[2], t[2])(x[2]))


def test_affine_map_takes_numbers_points_and_tables_of_points() -> None:
    line = transport.gaussian_monge_map(0.0, 1.0, 3.0, 4.0)  # x -> 3 + 2 x
    assert line(2.0) == 7.0 and isinstance(line(2.0), float)
    np.testing.assert_allclose(line([1.0, 2.0, 3.0]), [5.0, 7.0, 9.0])
    np.testing.assert_allclose(line(np.array([[1.0], [2.0]])), [[5.0], [7.0]])
    plane = transport.gaussian_monge_map([0.0, 0.0], [1.0, 4.0], [1.0, 1.0], 4.0)
    np.testing.assert_allclose(plane([1.0, 2.0]), [3.0, 3.0])
    np.testing.assert_allclose(plane([[1.0, 2.0], [0.0, 0.0]]), [[3.0, 3.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match=r"points of shape \(3,\), expected \(2,\) or \(N, 2\)"):
        plane([1.0, 2.0, 3.0])


def test_monge_map_of_singular_covariances() -> None:
    a, b = np.random.default_rng(9).normal(size=(2, 5, 3))
    s, t = a @ a.T, b[:, :2] @ b[:, :2].T  # ranks 3 and 2 of 5, ranges that differ
    map_ = transport.gaussian_monge_map(np.zeros(5), s, np.ones(5), t)
    np.testing.assert_allclose(map_.matrix @ s @ map_.matrix, t, atol=1e-11)
    assert np.linalg.eigvalsh(map_.matrix).min() > -1e-12
    away = np.eye(5) - map_.matrix
    cost = np.trace(away @ s @ away) + 5
    assert transport.frechet_distance(np.zeros(5), s, np.ones(5), t) == pytest.approx(cost, rel=1e-11)
    mg.gradcheck(
        lambda c: transport.gaussian_monge_map(np.zeros(5), s, np.ones(5), b[:, :2] @ c @ c.T @ b[:, :2].T).matrix,
        np.eye(2),
    )


def test_gaussian_transport_keeps_float32() -> None:
    cov = np.diag([1.0, 4.0]).astype(np.float32)
    mean = np.zeros(2, np.float32)
    assert (
        transport.frechet_distance(mg.tensor(mean), mg.tensor(cov), mg.tensor(mean), mg.tensor(cov)).dtype == np.float32
    )


def test_gaussian_transport_has_derivatives() -> None:
    m, n, a, b = (
        rng.normal(size=3),
        rng.normal(size=3),
        np.eye(3) + 0.3 * rng.normal(size=(3, 3)),
        rng.normal(size=(3, 3)),
    )
    mg.gradcheck(lambda m, a, n, b: transport.frechet_distance(m, a @ a.T, n, b @ b.T), (m, a, n, b))
    mg.gradcheck(lambda m, a, n, b: tuple(transport.gaussian_monge_map(m, a @ a.T, n, b @ b.T)), (m, a, n, b))


# -- discrepancies ---------------------------------------------------------------------------------------------------
def test_energy_distance_agrees_with_scipy() -> None:
    x, y = rng.normal(size=9), rng.normal(size=6) + 0.5
    assert transport.energy_distance(x, y) == pytest.approx(stats.energy_distance(x, y) ** 2, abs=1e-14)
    z, w = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))

    def pair(s, t):
        return np.linalg.norm(s[:, None] - t, axis=-1)

    off = [pair(s, s).sum() / (len(s) * (len(s) - 1)) for s in (z, w)]
    assert transport.energy_distance(z, w, unbiased=True) == pytest.approx(2 * pair(z, w).mean() - sum(off), abs=1e-14)


def test_mmd_of_explicit_features() -> None:
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
    linear = transport.polynomial_kernel(1, scale=1.0, offset=0.0)
    biased = transport.mmd_squared(x, y, kernel=linear, unbiased=False)
    assert biased == pytest.approx(((x.mean(0) - y.mean(0)) ** 2).sum(), abs=1e-14)
    unbiased = biased - sum(np.var(s, axis=0, ddof=1).sum() / len(s) for s in (x, y))
    assert transport.mmd_squared(x, y, kernel=linear) == pytest.approx(unbiased, abs=1e-14)

    def cube(s, t):
        return (s @ t.T / 2 + 1) ** 3

    assert transport.mmd_squared(x, y, kernel="polynomial", unbiased=False) == pytest.approx(
        cube(x, x).mean() - 2 * cube(x, y).mean() + cube(y, y).mean(), rel=1e-12
    )


def test_mmd_of_gaussians_tends_to_its_closed_form() -> None:
    # k(x, y) = exp(-|x - y|^2 / 2) under N(0, 1) and N(c, 1): E k = exp(-shift^2 / 6) / sqrt 3.
    c = 1.0

    def density(z, shift):
        return stats.norm.pdf(z, shift, np.sqrt(2))

    def expect(shift):
        return integrate.quad(lambda z: np.exp(-z * z / 2) * density(z, shift), -30, 30)[0]

    true = 2 * (expect(0) - expect(c))
    assert true == pytest.approx(2 * (1 - np.exp(-c * c / 6)) / np.sqrt(3), rel=1e-9)
    many = [transport.mmd_squared(rng.normal(size=200), rng.normal(size=200) + c) for _ in range(20)]
    assert np.mean(many) == pytest.approx(true, abs=4 * np.std(many) / np.sqrt(20))


def test_mixture_kernel_is_the_mean_of_its_parts() -> None:
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
    parts = [transport.gaussian_kernel(s) for s in (0.5, 2.0)]

    def value(k):
        return transport.mmd_squared(x, y, kernel=k)

    assert value(transport.mixture_kernel(parts)) == pytest.approx(np.mean([value(k) for k in parts]), abs=1e-14)
    assert value(transport.mixture_kernel(parts, [1, 0])) == pytest.approx(value(parts[0]), abs=1e-14)


@pytest.mark.parametrize("kernel", ["gaussian", "polynomial", "energy"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_has_derivatives(kernel: str, unbiased: bool) -> None:
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    mg.gradcheck(lambda x, y: transport.mmd_squared(x, y, kernel=kernel, unbiased=unbiased), (x, y))


# -- errors ----------------------------------------------------------------------------------------------------------
HALF = np.array([0.5, 0.5])
BAD: list[tuple[Any, str]] = [
    (lambda: transport.wasserstein_1d([], [1.0]), r"x: got shape \(0,\)"),
    (lambda: transport.wasserstein_1d(np.ones((2, 2)), [1.0]), r"x: got shape \(2, 2\)"),
    (lambda: transport.wasserstein_1d([np.nan], [1.0]), "NaN"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], p=0.5), "p: got 0.5"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], order=np.nan), "order: got nan"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], order="two"), "order: got 'two'"),
    (lambda: transport.wasserstein_tables(HALF, HALF, [0.0, 1.0], order=0), "order: got 0"),
    (lambda: transport.wasserstein_tables(np.full((2, 2), 0.5), np.full((3, 2), 0.5), [0.0, 1.0]), "broadcast"),
    (lambda: transport.sliced_wasserstein([[np.nan]], [[1.0]]), "x: got a number that is NaN"),
    (lambda: transport.sliced_wasserstein(HALF[:, None], HALF[:, None], directions=2.5), "expected how many"),
    (lambda: transport.energy_distance([1.0], [np.inf]), "y: got a number that is NaN or infinite"),
    (lambda: transport.mmd_squared([np.nan, 1.0], HALF), "x: got a number that is NaN"),
    (lambda: transport.mmd_squared(HALF, HALF, kernel=lambda x, y: 1.0), r"kernel: got values of shape \(\)"),
    (lambda: transport.gaussian_kernel(np.inf), "bandwidth: got inf"),
    (lambda: transport.polynomial_kernel(np.inf), "degree: got inf"),
    (lambda: relaxation.gumbel([0.5, 1.5]), r"outside \[0, 1\]"),
    (lambda: relaxation.gumbel_max([0.0, 1.0], [0.0]), "logits, noise: got shapes"),
    (lambda: relaxation.gumbel_softmax([0.0, np.nan], HALF, temperature=1.0), "without NaN"),
    (lambda: relaxation.gumbel_softmax(HALF, HALF, temperature=0.0), "temperature: got 0.0"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], weights_x=[-1.0]), "weights_x"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], weights_y=[0.0]), "weights_y"),
    (lambda: transport.wasserstein_1d([1.0], [1.0], weights_y=[1.0, 1.0]), r"weights_y: got shape \(2,\)"),
    (lambda: transport.wasserstein_tables(HALF, HALF, [1.0]), "support: got 1"),
    (lambda: transport.wasserstein_tables([0.5, 0.6], HALF, [0.0, 1.0]), "sum 1.1"),
    (lambda: transport.sliced_wasserstein(np.ones((2, 2)), np.ones((2, 3))), r"\(n, d\) and \(m, d\)"),
    (lambda: transport.sliced_wasserstein(HALF[:, None], HALF[:, None], directions=0), "at least 1"),
    (lambda: transport.sliced_wasserstein(HALF[:, None], HALF[:, None], directions=[[0.0]]), "length 0"),
    (lambda: transport.discrete_transport(HALF, HALF, np.ones((2, 3))), r"cost: got shape \(2, 3\)"),
    (lambda: transport.discrete_transport(HALF, HALF, np.full((2, 2), np.inf)), "a mass of 1 at least"),
    (lambda: transport.discrete_transport(HALF, HALF, np.full((2, 2), np.nan)), "NaN or -inf"),
    (lambda: transport.sinkhorn(HALF, HALF, [[1.0, np.inf], [1.0, 1.0]], epsilon=1.0), "expected finite costs"),
    (lambda: transport.discrete_transport([0.5, 0.4], HALF, np.ones((2, 2))), "a: got probabilities"),
    (lambda: transport.sinkhorn(HALF, HALF, np.ones((2, 2)), epsilon=0), "epsilon 0"),
    (lambda: transport.sinkhorn(HALF, HALF, np.ones((2, 2)), epsilon=np.inf), "epsilon inf"),
    (lambda: transport.sinkhorn(HALF, HALF, np.ones((2, 2)), epsilon=np.nan), "epsilon nan"),
    (lambda: transport.energy_distance(np.ones((2, 2)), np.ones(2)), "energy_distance: got shapes"),
    (lambda: transport.mmd_squared([1.0], [1.0, 2.0]), "at least 2"),
    (lambda: transport.mmd_squared(HALF, HALF, kernel="cubic"), "kernel: got 'cubic'"),
    (lambda: transport.gaussian_kernel(0.0), "bandwidth: got 0.0"),
    (lambda: transport.polynomial_kernel(0), "degree: got 0"),
    (lambda: transport.mixture_kernel([]), "got 0 kernels"),
    (lambda: transport.frechet_distance([0.0], np.eye(2), [0.0], np.eye(1)), "mean1, cov1: got shapes"),
    (lambda: transport.frechet_distance([0.0], np.eye(1), [0.0, 0.0], np.eye(2)), "mean1, mean2"),
    (lambda: transport.frechet_distance(HALF, [[1.0, 2.0], [0.0, 1.0]], HALF, np.eye(2)), "not symmetric"),
    (lambda: transport.frechet_distance(HALF, [[1.0, 2.0], [2.0, 1.0]], HALF, np.eye(2)), "eigenvalue -1"),
    (lambda: transport.gaussian_monge_map(HALF, np.diag([1.0, 0.0]), HALF, np.eye(2)), "cov1: got a singular"),
    (lambda: transport.frechet_distance(np.ones((2, 2)), 1.0, np.ones((3, 2)), 1.0), "leading axes"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
