"""Entropies, divergences and generators of tables: against SciPy and closed forms, at zeros and at the ends of the floats."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy import optimize, special
from scipy.special import entr, rel_entr

import minigan as mg
from minigan import ops
from minigan.autodiff import Tensor
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences as d

LOG2 = math.log(2.0)
NAMES = sorted(d.GENERATORS)
SAME: dict[str, Any] = {  # generator -> the function of its own
    "kl": d.kl,
    "reverse_kl": d.reverse_kl,
    "pearson": d.pearson_chi_squared,
    "neyman": d.neyman_chi_squared,
    "hellinger": d.hellinger_squared,
    "jensen_shannon": d.jsd,
    "total_variation": d.total_variation,
    "jeffreys": d.jeffreys,
    "le_cam": d.le_cam,
}
FUNCTIONS = [d.cross_entropy, *SAME.values()]
FINITE = [d.jsd, d.total_variation, d.hellinger_squared, d.le_cam]
ALPHAS = (-2.0, -0.5, 0.0, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
each_generator = pytest.mark.parametrize("name", NAMES)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def two(shape: tuple[int, ...] = (5,), seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return softmax(scale * rng.standard_normal(shape)), softmax(scale * rng.standard_normal(shape))


# -- values ----------------------------------------------------------------------------------------------------------
@given(pq=tables(2, zeros=True))
def test_values_against_scipy(pq: Any) -> None:
    p, q = pq
    m = (p + q) / 2
    close = dict(rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(d.entropy(p), entr(p).sum(), **close)
    np.testing.assert_allclose(d.kl(p, q), rel_entr(p, q).sum(), **close)
    np.testing.assert_allclose(d.reverse_kl(p, q), rel_entr(q, p).sum(), **close)
    np.testing.assert_allclose(d.cross_entropy(p, q), entr(p).sum() + rel_entr(p, q).sum(), **close)
    np.testing.assert_allclose(d.jsd(p, q), (rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2, **close)


@given(pq=tables(2), prior=floats(0.01, 0.99))
def test_jsd_with_a_prior(pq: Any, prior: float) -> None:
    p, q = pq
    m = prior * p + (1 - prior) * q
    expected = prior * rel_entr(p, m).sum() + (1 - prior) * rel_entr(q, m).sum()
    np.testing.assert_allclose(d.jsd(p, q, prior=prior), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(d.jsd(p, q, prior=prior), d.jsd(q, p, prior=1 - prior), rtol=1e-12, atol=1e-15)


def test_jsd_with_a_prior_is_at_most_the_entropy_of_the_label() -> None:
    assert d.jsd([1, 0], [0, 1], prior=0.2) == pytest.approx(d.binary_entropy(0.2), abs=1e-15)


def test_worked_example() -> None:
    p, q = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    assert d.kl(p, q) == pytest.approx(LOG2 / 4, abs=1e-15)
    assert d.jeffreys(p, q) == pytest.approx(LOG2 / 2, abs=1e-15)
    assert d.total_variation(p, q) == 0.25
    assert d.hellinger_squared(p, q) == pytest.approx(1 - (2 * math.sqrt(0.125) + 0.25), abs=1e-15)
    assert d.pearson_chi_squared(p, q) == pytest.approx(0.0625 / 0.25 + 0.0625 / 0.5)
    assert d.neyman_chi_squared(p, q) == pytest.approx(0.0625 / 0.5 + 0.0625 / 0.25)
    assert d.le_cam(p, q) == pytest.approx(0.5 * 2 * 0.0625 / 0.75)
    assert d.entropy(p) == pytest.approx(1.5 * LOG2)


@given(t=floats(0.0, 1.0))
def test_binary_entropy(t: float) -> None:
    np.testing.assert_allclose(d.binary_entropy(t), entr(t) + entr(1 - t), atol=1e-15)


def test_binary_entropy_keeps_its_digits_near_0() -> None:
    assert d.binary_entropy(1e-20) == pytest.approx(1e-20 * (math.log(1e20) + 1), rel=1e-12, abs=0)


@pytest.mark.parametrize("alpha", ALPHAS)
@given(pq=tables(2, bound=4.0))
def test_alpha_divergence_and_renyi(alpha: float, pq: Any) -> None:
    p, q = pq
    if alpha in (0.0, 1.0):
        expected = rel_entr(p, q).sum() if alpha else rel_entr(q, p).sum()
        np.testing.assert_allclose(d.alpha_divergence(p, q, alpha=alpha), expected, rtol=1e-11, atol=1e-13)
        return
    power = (p**alpha * q ** (1 - alpha)).sum()
    np.testing.assert_allclose(
        d.alpha_divergence(p, q, alpha=alpha), (power - 1) / (alpha * (alpha - 1)), rtol=1e-11, atol=1e-13
    )
    if alpha > 0:
        np.testing.assert_allclose(d.renyi(p, q, alpha=alpha), np.log(power) / (alpha - 1), rtol=1e-11, atol=1e-13)


@given(pq=tables(2))
def test_members_of_the_alpha_family(pq: Any) -> None:
    members = {
        2.0: d.pearson_chi_squared(*pq) / 2,
        -1.0: d.neyman_chi_squared(*pq) / 2,
        0.5: 4 * d.hellinger_squared(*pq),
    }
    for alpha, expected in members.items():
        np.testing.assert_allclose(d.alpha_divergence(*pq, alpha=alpha), expected, rtol=1e-11, atol=1e-13)


@given(pq=tables(2, zeros=True))
def test_renyi_does_not_decrease_with_its_order(pq: Any) -> None:
    values = [d.renyi(*pq, alpha=a) for a in (0.0, 0.25, 0.5, 0.75, 0.999999, 1.0, 1.000001, 2.0, 10.0, math.inf)]
    assert not np.isnan(values).any()
    for low, high in itertools.pairwise(values):
        assert low <= high + 1e-9


@pytest.mark.parametrize("step", [1e-4, 1e-8, 1e-12])
def test_both_families_are_continuous_at_their_limits(step: float) -> None:
    p, q = two()
    for family, limits in ((d.renyi, (1.0,)), (d.alpha_divergence, (0.0, 1.0))):
        for alpha in limits:
            for near in (alpha - step, alpha + step):
                if near >= 0 or family is d.alpha_divergence:
                    np.testing.assert_allclose(
                        family(p, q, alpha=near), family(p, q, alpha=alpha), rtol=20 * step + 1e-11
                    )


# -- zeros -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "disjoint"),
    [(d.kl, math.inf), (d.reverse_kl, math.inf), (d.jeffreys, math.inf), (d.jsd, LOG2), (d.total_variation, 1.0),
     (d.hellinger_squared, 1.0), (d.pearson_chi_squared, math.inf), (d.neyman_chi_squared, math.inf), (d.le_cam, 1.0),
     (d.cross_entropy, math.inf)],
    ids=lambda v: getattr(v, "__name__", ""),
)  # fmt: skip
def test_disjoint_supports(function: Any, disjoint: float) -> None:
    assert function([0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]) == pytest.approx(disjoint, abs=1e-15)


def test_absolute_continuity_decides_what_is_finite() -> None:
    wide, narrow = [0.25, 0.25, 0.5], [0.5, 0.5, 0.0]
    assert d.kl(narrow, wide) == pytest.approx(LOG2)
    assert d.kl(wide, narrow) == math.inf
    assert d.reverse_kl(wide, narrow) == pytest.approx(LOG2)
    assert d.pearson_chi_squared(narrow, wide) == pytest.approx(1.0) and d.pearson_chi_squared(wide, narrow) == math.inf
    assert d.neyman_chi_squared(wide, narrow) == pytest.approx(1.0)
    assert d.renyi(narrow, wide, alpha=0) == pytest.approx(LOG2) and d.renyi(wide, narrow, alpha=0) == 0
    assert d.renyi(wide, narrow, alpha=0.5) == pytest.approx(LOG2)  # -2 log sum sqrt(pq)
    assert d.renyi(wide, narrow, alpha=2) == d.renyi(wide, narrow, alpha=math.inf) == math.inf
    assert d.renyi(narrow, wide, alpha=math.inf) == pytest.approx(LOG2)


@given(pq=tables(2, zeros=True))
def test_never_nan(pq: Any) -> None:
    for function in FUNCTIONS:
        assert not math.isnan(function(*pq)), function
    for alpha in ALPHAS:
        assert not math.isnan(d.alpha_divergence(*pq, alpha=alpha))
    for name in NAMES:
        assert not math.isnan(d.f_divergence(*pq, name))
        t = d.optimal_t(*pq, name)
        assert not np.isnan(t).any() and not math.isnan(d.variational_bound(t, *pq, name))


@given(pq=tables(2, zeros=True))
def test_gradients_are_never_nan(pq: Any) -> None:
    for function in FUNCTIONS:
        p, q = (mg.tensor(t, requires_grad=True) for t in pq)
        with np.errstate(all="ignore"):
            for gradient in mg.grad(function(p, q), [p, q]):
                assert not np.isnan(gradient.data).any(), function


# -- digits ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", [2.0**-10, 2.0**-20, 2.0**-30, 2.0**-40, 2.0**-50])
def test_neighbours_keep_their_digits(step: float) -> None:
    """At q = p (1 + x), |x| = step exactly: x^2/2 - x^3/6 ... summed by hand to third order, sum p x = 0."""
    p, x = np.array([0.25, 0.25, 0.5]), np.array([1.0, 1.0, -1.0]) * step
    q = p * (1 + x)
    second, third = (p * x**2).sum(), (p * x**3).sum()
    expected = {d.kl: (second / 2, -1 / 3), d.jsd: (second / 8, -1 / 16), d.hellinger_squared: (second / 8, -1 / 16)}
    for function, (value, cubic) in expected.items():
        assert function(p, q) == pytest.approx(value + cubic * third, rel=max(1e-13, step**2), abs=0), function
    assert d.pearson_chi_squared(p, q) == pytest.approx((p * x**2 / (1 + x)).sum(), rel=1e-13, abs=0)
    assert d.alpha_divergence(p, q, alpha=0.7) == pytest.approx(
        second / 2, rel=5e-3 if step > 1e-6 else 1e-3 + 1e-16 / step
    )


@pytest.mark.parametrize("smallest", [5e-324, 1e-310, 1e-300])
def test_subnormal_probabilities(smallest: float) -> None:
    p, q = np.array([smallest, 1.0]), np.array([0.0, 1.0])
    assert 0 <= d.jsd(p, q) < 1e-290  # the mean of 5e-324 and 0 rounds to 0: naively inf
    assert d.jsd(p, q) == d.jsd(q, p)
    assert d.kl(q, p) == pytest.approx(smallest, abs=1e-300)
    assert d.kl([1.0, 0.0], [smallest, 1.0]) == pytest.approx(-math.log(smallest), rel=1e-12)
    assert np.isfinite([d.hellinger_squared(p, q), d.le_cam(p, q), d.total_variation(p, q)]).all()


def test_jsd_of_many_outcomes_never_exceeds_log_2() -> None:
    rng = np.random.default_rng(0)
    p, q = softmax(40 * rng.standard_normal((2, 50, 10_000)))
    assert (d.jsd(p, q) <= LOG2 * (1 + 1e-14)).all() and (d.jsd(p, q) >= 0).all()


# -- arrays, batches, dtypes, errors ---------------------------------------------------------------------------------
@each_function
def test_batches_broadcast(function: Any) -> None:
    p, q = two((3, 4, 6))[0], two((4, 6), seed=1)[1]
    values = function(p, q)
    assert values.shape == (3, 4) and values.dtype == np.float64
    for i in range(3):
        for j in range(4):
            assert values[i, j] == pytest.approx(function(p[i, j], q[j]), rel=1e-13)


@each_function
def test_lists_give_floats_and_tensors_give_tensors(function: Any) -> None:
    p, q = [0.25, 0.75], [0.5, 0.5]
    assert type(function(p, q)) is float
    assert isinstance(function(mg.tensor(np.array(p)), q), Tensor)


@each_function
def test_float32(function: Any) -> None:
    p, q = two()
    p32, q32 = p.astype(np.float32), q.astype(np.float32)
    assert function(p32, q32) == pytest.approx(function(p, q), rel=2e-5)
    assert function(Tensor(p32), q32).dtype == np.float32
    assert function(p32, list(q)) == pytest.approx(function(p, q), rel=2e-6)


@each_function
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], "p: got probabilities with sum 1.1"),
        ([0.5, 0.5], [1.5, -0.5], "q: got a probability -0.5"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], "got 2 outcomes in p and 3 in q"),
        ([[1, 0], [0, 1]], [[1, 0]] * 3, "expected leading axes that broadcast"),
        (1.0, 1.0, "expected probabilities along the last axis"),
        ([math.nan, 1.0], [0.5, 0.5], "p: got"),
    ],
)
def test_bad_tables(function: Any, p: Any, q: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        function(p, q)


def test_bad_parameters() -> None:
    p, q = two()
    for prior in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="prior"):
            d.jsd(p, q, prior=prior)
    for alpha in (-1.0, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            d.renyi(p, q, alpha=alpha)
    for alpha in (math.inf, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            d.alpha_divergence(p, q, alpha=alpha)
    with pytest.raises(ValueError, match="a Generator or one of kl, reverse_kl"):
        d.f_divergence(p, q, "wasserstein")
    with pytest.raises(ValueError, match="binary_entropy: got"):
        d.binary_entropy([0.5, 1.5])
    with pytest.raises(ValueError, match="expected p/q >= 0"):
        d.GENERATORS["kl"].f(-1.0)


# -- derivatives -----------------------------------------------------------------------------------------------------
def on_logits(function: Any, **options: Any) -> Any:
    return lambda a, b: function(ops.softmax(a, -1), ops.softmax(b, -1), **options)


LOGITS = tuple(np.random.default_rng(3).standard_normal((2, 2, 4)))
CLOSE = (LOGITS[0], LOGITS[0] + 0.01 * LOGITS[1])


@each_function
@pytest.mark.parametrize("logits", [LOGITS, CLOSE], ids=["apart", "close"])
def test_gradients_of_both_orders(function: Any, logits: Any) -> None:
    if function is d.total_variation and logits is CLOSE:
        return  # its kinks are near
    mg.gradcheck(on_logits(function), logits, order=2)


@each_generator
def test_gradients_of_f_divergences(name: str) -> None:
    mg.gradcheck(on_logits(d.f_divergence, f=name), LOGITS, order=2)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 1.7])
def test_gradients_of_the_families(alpha: float) -> None:
    mg.gradcheck(on_logits(d.renyi, alpha=alpha), LOGITS)
    mg.gradcheck(on_logits(d.alpha_divergence, alpha=alpha), LOGITS)
    mg.gradcheck(on_logits(d.jsd, prior=0.3), LOGITS)


def test_gradients_off_the_simplex_are_those_of_the_formula() -> None:
    p, q = (mg.tensor(t, requires_grad=True) for t in two())
    a, b = p.data, q.data
    dp, dq = mg.grad(d.kl(p, q), [p, q])
    np.testing.assert_allclose(dp.data, np.log(a / b) + 1, rtol=1e-12)
    np.testing.assert_allclose(dq.data, -a / b, rtol=1e-12)
    dp, dq = mg.grad(d.jsd(p, q), [p, q])
    np.testing.assert_allclose(dp.data, np.log(2 * a / (a + b)) / 2, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(dq.data, np.log(2 * b / (a + b)) / 2, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mg.grad(d.entropy(p), p).data, -np.log(a) - 1, rtol=1e-12)


def test_gradient_at_equality_is_0_in_the_logits() -> None:
    a = mg.tensor(LOGITS[0], requires_grad=True)
    for function in FUNCTIONS[1:]:
        gradient = mg.grad(ops.sum(function(ops.softmax(a, -1), softmax(LOGITS[0]))), a)
        np.testing.assert_allclose(gradient.data, 0, atol=1e-15)


# -- generators ------------------------------------------------------------------------------------------------------
@given(x=arrays((5,), -700.0, 1e6))
def test_wright_omega(x: np.ndarray) -> None:
    np.testing.assert_allclose(d.wright_omega(x).data, special.wrightomega(x), rtol=5e-15)


def test_wright_omega_at_its_ends_and_its_derivatives() -> None:
    assert list(d.wright_omega(np.array([-math.inf, math.inf, 1.0])).data) == [0.0, math.inf, 1.0]
    mg.gradcheck(d.wright_omega, np.array([-5.0, 0.0, 0.9, 1.1, 30.0]), order=3)


def grid(name: str) -> np.ndarray:
    """Points of dom f* where the supremum is at some u > 0."""
    g = d.GENERATORS[name]
    return g.derivative(np.array([0.02, 0.3, 0.9, 1.0, 1.1, 4.0, 50.0]))


@each_generator
@given(pq=tables(2, zeros=True))
def test_f_divergences_are_the_named_functions(name: str, pq: Any) -> None:
    expected = 2 * d.jsd(*pq) - 2 * LOG2 if name == "gan" else SAME[name](*pq)
    np.testing.assert_allclose(d.f_divergence(*pq, name), expected, rtol=1e-12, atol=1e-13)


@each_generator
def test_generators_are_convex_and_their_ends_are_right(name: str) -> None:
    g = d.GENERATORS[name]
    u = np.array([1e-3, 0.1, 0.5, 1.0, 1.5, 3.0, 100.0])
    assert (np.diff(np.diff(g.f(u)) / np.diff(u)) >= -1e-12).all()
    assert g.f(0.0) == pytest.approx(g.at_zero, abs=1e-15)
    assert g.f(1.0) == pytest.approx(-2 * LOG2 if name == "gan" else 0.0, abs=1e-15)
    growth = g.f(1e200) / 1e200
    assert growth > 400 if g.slope_at_infinity == math.inf else growth == pytest.approx(g.slope_at_infinity, abs=1e-12)
    assert np.isfinite(g.f(1e150)) and not math.isnan(g.f(1e300))
    assert g.f(math.inf) == (math.inf if g.slope_at_infinity > 0 else -math.inf)
    ends = [-math.inf, -1e300, -800.0, 0.0, 800.0, 1e300, math.inf]
    assert not np.isnan([g.conjugate(t) for t in ends]).any() and not np.isnan([g.activation(t) for t in ends]).any()


@each_generator
def test_derivatives_are_those_of_autodiff(name: str) -> None:
    g = d.GENERATORS[name]
    u = mg.tensor(np.array([0.05, 0.4, 0.95, 1.2, 7.0]), requires_grad=True)
    slope = mg.grad(ops.sum(g.f(u)), u, create_graph=True)
    np.testing.assert_allclose(slope.data, g.derivative(u.data), rtol=1e-11, atol=1e-13)
    one = mg.tensor(np.array(1.0), requires_grad=True)
    if g.curvature < math.inf:
        second = mg.grad(mg.grad(g.f(one), one, create_graph=True), one)
        assert second.item() == pytest.approx(g.curvature, rel=1e-12)


@each_generator
def test_conjugates_are_suprema(name: str) -> None:
    """f*(t) = sup over u >= 0 of u t - f(u), found by a bounded search over log u."""
    g = d.GENERATORS[name]
    below = [] if g.derivative(0.0) == -math.inf else [g.derivative(0.0) - 0.7]
    for t in [*grid(name), *below]:
        found = optimize.minimize_scalar(
            lambda s, t=t: float(g.f(math.exp(s))) - math.exp(s) * t,
            bounds=(-40, 8),
            method="bounded",
            options={"xatol": 1e-9},
        )
        best = max(-found.fun, -g.at_zero)
        assert g.conjugate(t) == pytest.approx(best, rel=1e-7, abs=1e-7), t


@each_generator
def test_beyond_its_domain_a_conjugate_is_infinite(name: str) -> None:
    g = d.GENERATORS[name]
    if g.domain[1] < math.inf:
        assert g.conjugate(g.domain[1] + 1e-9) == math.inf
        assert np.isfinite(g.conjugate(g.domain[1] - 1e-3))


@each_generator
@given(u=floats(0.0, 50.0), v=floats(-6.0, 6.0))
def test_fenchel_young(name: str, u: float, v: float) -> None:
    """u t <= f(u) + f*(t), with equality at t = f'(u)."""
    g = d.GENERATORS[name]
    t = g.activation(v)
    assert u * t <= g.f(u) + g.conjugate(t) + 1e-9 * (1 + abs(u * t))
    if u > 1e-3:
        t = g.derivative(u)
        assert g.f(u) + g.conjugate(t) == pytest.approx(u * t, rel=1e-9, abs=1e-9)


@each_generator
def test_activations_reach_the_range_of_the_derivative_and_no_more(name: str) -> None:
    g = d.GENERATORS[name]
    v = np.linspace(-30, 30, 601)
    t = g.activation(v)
    assert (np.isfinite(g.conjugate(t))).all() and (t <= g.domain[1]).all()
    steps = np.diff(t)
    assert (steps >= 0).all() or (steps <= 0).all()
    if name in (
        "kl",
        "jeffreys",
        "pearson",
    ):  # every real number is a value f* can take; pearson's is flat below f'(0) = -2
        np.testing.assert_array_equal(t, v)
        return
    low, high = g.derivative(0.0), g.slope_at_infinity
    assert t.min() >= low and t.max() <= high
    assert t.max() == pytest.approx(high, abs=1e-6)
    assert t.min() == pytest.approx(low, abs=1e-6) if low > -math.inf else t.min() < -10


@each_generator
def test_generators_take_tensors(name: str) -> None:
    g = d.GENERATORS[name]
    u, v = np.array([0.3, 0.8, 1.7]), np.array([-1.0, 0.2, 1.5])
    for function, at in ((g.f, u), (g.derivative, u), (g.conjugate, grid(name)[:4]), (g.activation, v)):
        if name == "total_variation" and function in (g.derivative, g.conjugate):
            continue  # a step, and a kink at -1/2
        mg.gradcheck(function, at, order=2)


@each_generator
def test_bounds_are_differentiable_in_the_critic(name: str) -> None:
    p, q = two((2, 4))
    g = d.GENERATORS[name]
    mg.gradcheck(
        lambda v: d.variational_bound(g.activation(v), p, q, name), np.random.default_rng(1).standard_normal((2, 4))
    )


@each_generator
@pytest.mark.parametrize(
    ("p", "q"),
    [([0.5, 0.5, 0.0], [0.2, 0.3, 0.5]), ([0.2, 0.3, 0.5], [0.5, 0.5, 0.0]), ([1, 0], [0, 1]), ([0.5, 0.5, 0], [0.5, 0.5, 0])],
)  # fmt: skip
def test_the_bound_is_tight_at_zeros_too(name: str, p: Any, q: Any) -> None:
    bound = d.variational_bound(d.optimal_t(p, q, name), p, q, name)
    assert bound == pytest.approx(d.f_divergence(p, q, name), abs=1e-15)


def test_a_critic_outside_the_domain_gives_no_bound() -> None:
    assert d.variational_bound([0.1, -0.1], [0.5, 0.5], [0.5, 0.5], "gan") == -math.inf
    assert d.variational_bound([0.1, -0.1], [0.5, 0.5], [0.0, 1.0], "gan") > -math.inf  # q never shows the first
    assert d.variational_bound([-math.inf, 0.0], [0.5, 0.5], [0.5, 0.5], "reverse_kl") == -math.inf
    values = d.variational_bound([[0.1, -0.1], [-0.2, -0.1]], [0.5, 0.5], [0.5, 0.5], "gan")
    assert values[0] == -math.inf and np.isfinite(values[1])


def test_a_generator_of_your_own() -> None:
    """f(u) = u log u as anybody would write it, with no care for u = 0."""
    naive = d.Generator(
        "naive", lambda u: u * ops.log(u), lambda u: 1 + ops.log(u), lambda t: ops.exp(t - 1), lambda v: v,
        (-math.inf, math.inf), 0.0, math.inf, 1.0,
    )  # fmt: skip
    assert d.f_divergence([0.5, 0.5, 0.0], [0.2, 0.3, 0.5], naive) == pytest.approx(
        d.kl([0.5, 0.5, 0.0], [0.2, 0.3, 0.5])
    )
