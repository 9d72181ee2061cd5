"""Where formulas of `theory` meet their edges: corners that move, ratios near 1, wrong shapes, rules in disguise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigan as mg
from minigan import ops
from minigan.autodiff import Tensor
from minigan.lessons.strategies import floats
from minigan.theory import densities, dirac, divergences, dynamics, estimators, gaussians, generators, terms

LINE = {"low": -30.0, "high": 30.0}


def three(f: Callable[[Tensor], Tensor], at: float) -> tuple[float, float, float]:
    """(f, f', f'') at a number."""
    x = mg.tensor(np.array(at), requires_grad=True)
    value = f(x)
    slope = mg.grad(value, x, create_graph=True)
    return value.item(), slope.item(), mg.grad(slope, x).item()


def normal(mean: Any, deviation: float = 1.0) -> Callable[[Any], Any]:
    constant = math.log(deviation) + 0.5 * math.log(2 * math.pi)
    return lambda x: -0.5 * ops.square((x - mean) / deviation) - constant


def laplace(mean: Any) -> Callable[[Any], Any]:
    return lambda x: -ops.abs(x - mean) - math.log(2.0)


def uniform(end: Tensor) -> Callable[[Any], Any]:
    def log_density(x: Any) -> Tensor:
        at = np.asarray(x.data if isinstance(x, Tensor) else x)
        return ops.where(Tensor(at < end.item()), -ops.log(end) + 0.0 * x, -math.inf)

    return log_density


# -- second derivatives of integrals with corners --------------------------------------------------------------------
@example(m=0.6)  # the laws cross at .3, where a panel ends but for rounding
@given(m=floats(0.05, 4.0))
def test_total_variation_has_the_derivatives_of_its_closed_form(m: float) -> None:
    """TV(N(0,1), N(m,1)) = 2 Phi(m/2) - 1, its slope phi(m/2), its bend -m/4 phi(m/2)."""
    phi = math.exp(-m * m / 8) / math.sqrt(2 * math.pi)
    expected = math.erf(m / math.sqrt(8)), phi, -m / 4 * phi
    own = lambda u: 0.5 * ops.abs(u - 1.0)  # noqa: E731
    for f in ("total_variation", own):
        found = three(lambda t, f=f: densities.divergence_1d(normal(0.0), normal(t), f, **LINE), m)
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_total_variation_with_two_moving_crossings_and_its_third_derivative() -> None:
    def tv(deviation: Tensor) -> Tensor:
        log_q = lambda x: -0.5 * ops.square(x / deviation) - ops.log(deviation) - 0.5 * math.log(2 * math.pi)  # noqa: E731
        return densities.total_variation_1d(normal(0.0), log_q, **LINE)

    mg.gradcheck(tv, np.array(1.7), order=2)
    x = mg.tensor(np.array(1.7), requires_grad=True)
    second = mg.grad(mg.grad(tv(x), x, create_graph=True), x, create_graph=True)
    third = mg.grad(second, x).item()
    around = [three(tv, 1.7 + h)[2] for h in (1e-4, -1e-4)]
    assert third == pytest.approx((around[0] - around[1]) / 2e-4, rel=1e-5)


def test_a_kink_that_moves_is_named_or_refused() -> None:
    """KL between Laplace laws is m + e^-m - 1."""
    m = 1.3
    with pytest.raises(ValueError, match=r"kink at x = .*1\.3.*second derivative.*breaks="):
        three(lambda t: densities.kl_1d(laplace(0.0), laplace(t), **LINE), m)
    x = mg.tensor(np.array(m), requires_grad=True)
    slope = mg.grad(densities.kl_1d(laplace(0.0), laplace(x), **LINE), x).item()  # a kink does not spoil the first
    assert slope == pytest.approx(1 - math.exp(-m), abs=1e-6)
    found = three(lambda t: densities.kl_1d(laplace(0.0), laplace(t), low=-40, high=40, breaks=[0.0, t]), m)
    np.testing.assert_allclose(found, [m + math.exp(-m) - 1, 1 - math.exp(-m), math.exp(-m)], atol=1e-10)


def test_a_support_that_moves_is_named_or_refused() -> None:
    """The entropy of a uniform law on [0, t] is log t."""
    t = 1.7
    expected = [math.log(t), 1 / t, -1 / t**2]
    x = mg.tensor(np.array(t), requires_grad=True)
    refused = densities.entropy_1d(uniform(x), low=0, high=5)
    assert refused.item() == pytest.approx(expected[0])
    with pytest.raises(ValueError, match=r"jumps at x = 1\.7"):
        mg.grad(refused, x)
    for grid in ({"high": 5.0, "breaks": True}, {"high": True}):

        def entropy(t: Tensor, grid: dict[str, Any] = grid) -> Tensor:
            ends = {name: ([t] if name == "breaks" else t) if value is True else value for name, value in grid.items()}
            return densities.entropy_1d(uniform(t), low=0.0, **ends)

        np.testing.assert_allclose(three(entropy, t), expected, atol=1e-12)


def test_a_kink_of_ones_own_generator_elsewhere_than_at_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kink at x = -0\.193147"):
        three(lambda t: densities.divergence_1d(normal(0.0), normal(t), lambda u: ops.relu(u - 2.0), **LINE), 1.0)


def test_densities_that_do_not_follow_a_tensor_of_points_are_refused() -> None:
    t = mg.tensor(np.array(1.0), requires_grad=True)
    frozen = lambda x: -0.5 * ops.square(np.asarray(x.data if isinstance(x, Tensor) else x) - t)  # noqa: E731
    with pytest.raises(ValueError, match="by autodiff and"):
        densities.mass_1d(frozen, breaks=[t], **LINE)


@pytest.mark.parametrize("name", ["kl", "pearson", "jensen_shannon", "hellinger", "reverse_kl", "le_cam"])
def test_smooth_densities_keep_their_second_derivatives(name: str) -> None:
    mg.gradcheck(lambda t: densities.divergence_1d(normal(0.0), normal(t), name, **LINE), np.array(0.8), order=2)


def test_a_fixed_end_with_a_singularity_is_no_corner() -> None:
    """Gamma(k, 1) at k = 1/2: the density is x^-1/2 at 0, and KL in a rate r is k (r - 1 - log r)."""
    k = 0.5

    def gamma(rate: Any) -> Callable[[Any], Any]:
        return lambda x: k * ops.log(rate) + (k - 1) * ops.log(x) - rate * x - math.lgamma(k)

    unit = Tensor(np.array(1.0))
    found = three(lambda r: densities.kl_1d(gamma(unit), gamma(r), low=0.0, high=60.0, tolerance=1e-9), 1.4)
    np.testing.assert_allclose(found, [k * (0.4 - math.log(1.4)), k * (1 - 1 / 1.4), k / 1.4**2], atol=1e-7)


# -- scales far apart ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("centre", [0.0, 1 / 3])
@pytest.mark.parametrize("deviation", [1e-7, 1e-6, 1e-3, 30.0])
def test_renyi_of_very_different_scales(centre: float, deviation: float) -> None:
    for alpha in (0.3, 0.5, 0.9):
        exact = gaussians.renyi(0.0, 1.0, centre, deviation**2, alpha=alpha)
        for pair, a in (
            ((normal(0.0), normal(centre, deviation)), alpha),
            ((normal(centre, deviation), normal(0.0)), 1 - alpha),
        ):
            found = float(densities.renyi_1d(*pair, alpha=a, low=-900, high=900)) * (
                1 if a == alpha else a**-1 * (1 - a)
            )
            assert found == pytest.approx(exact, rel=1e-8)


def test_an_integral_that_diverges_at_the_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="diverges"):
        densities.renyi_1d(normal(0.0), normal(0.0, 0.1), alpha=2.0, low=-40, high=40)
    with pytest.raises(ValueError, match="diverges"):
        densities.divergence_1d(normal(0.0), normal(0.0, 0.65), "pearson", low=-10, high=10)


# -- ratios near 1 ---------------------------------------------------------------------------------------------------
def exact_alpha(p: np.ndarray, q: np.ndarray, alpha: int) -> Fraction:
    """sum (p^a q^(1-a) - a p - (1-a) q) / (a (a-1)) of the floats themselves, for a whole a."""
    pairs = [(Fraction(float(x)), Fraction(float(y))) for x, y in zip(p, q, strict=True)]
    return sum(x**alpha * y ** (1 - alpha) - alpha * x - (1 - alpha) * y for x, y in pairs) / (alpha * (alpha - 1))


@given(k=st.integers(0, 52), alpha=st.sampled_from([2, 3, 7, -1, -4, 40]), seed=st.integers(0, 99))
def test_alpha_and_renyi_keep_their_digits_near_p_equal_q(k: int, alpha: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    q = draw.dirichlet(np.ones(5))
    p = q * (1 + 2.0**-k * draw.uniform(-1, 1, 5) / 50)
    p[-1] += 1 - p.sum()
    exact = exact_alpha(p, q, alpha)
    if not exact:
        return
    assert divergences.alpha_divergence(p, q, alpha=alpha) == pytest.approx(float(exact), rel=1e-12)
    if alpha > 0:
        expected = math.log1p(float(alpha * (alpha - 1) * exact)) / (alpha - 1)
        assert divergences.renyi(p, q, alpha=alpha) == pytest.approx(expected, rel=1e-12)


@given(gap=floats(-40, 0), alpha=st.sampled_from([1e-9, 0.01, 0.5, 0.999999, 1.0, 2.0, 9.0]))
def test_families_near_p_equal_q_tend_to_their_quadratic_form(gap: float, alpha: float) -> None:
    """D_a = (e^2/2 - (1 + b) e^3/6 + ...) for one outcome, and on Gaussians R_a = a d^2/2 exactly, for equal variances."""
    e = math.exp(gap)
    series = sum(
        (-1) ** k * e**k / math.factorial(k) * sum((1 - alpha) ** i for i in range(k - 1)) for k in range(2, 30)
    )
    if e < 1e-2:
        near, close = terms.alpha_excess(Tensor(np.array(e)), 1 - alpha)
        assert near.item() == (e * max(1, abs(1 - alpha)) < terms.NEAR) and (
            not near.item() or close.item() == pytest.approx(series, rel=1e-14)
        )
    assert gaussians.renyi(0.0, 1.0, e, 1.0, alpha=alpha) == pytest.approx(alpha * e * e / 2, rel=1e-13)


@given(k=st.integers(1, 50), alpha=st.sampled_from([2, 3, 9]))
def test_gaussians_of_nearly_equal_variances_keep_their_digits(k: int, alpha: int) -> None:
    """R_a = (a log v - log(1 + (v - 1) a)... in rationals of e = v1/v2 - 1, by the series of its logarithms."""
    e = Fraction(1, 2**k)
    b = 1 - alpha
    if abs(float(b * e)) >= 0.9:
        return
    order = range(2, 400 if k < 4 else 60)
    gap = sum(float((-1) ** (i + 1) * (1 - Fraction(b) ** (i - 1)) * e**i / i) for i in order)
    assert gaussians.renyi(0.0, 1.0 + float(e), 0.0, 1.0, alpha=alpha) == pytest.approx(
        -gap / 2, rel=1e-9 if k < 4 else 1e-12
    )


# -- generators ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", generators.GENERATORS)
def test_activations_increase_and_scores_rank_outcomes_as_log_p_over_q_does(name: str) -> None:
    g = generators.GENERATORS[name]
    v = np.linspace(-9, 9, 181)
    t = g.activation(v)
    assert (np.diff(t) >= 0).all() and t[-1] > t[0]
    if name == "total_variation":
        return  # its T takes two values only
    u = np.geomspace(0.2, 5.0, 30)
    best = np.interp(g.derivative(u), t, v)
    assert np.corrcoef(best, np.log(u))[0, 1] > 0.7


@pytest.mark.parametrize("name", [n for n in generators.GENERATORS if n not in ("reverse_kl", "gan", "kl", "jeffreys")])
@pytest.mark.parametrize("t", [1e-3, -1e-3, 1e-9, -1e-9, 1e-15, -1e-15])
def test_conjugates_keep_their_digits_near_p_equal_q(name: str, t: float) -> None:
    """f*(t) = t + t^2/(2 f''(1)) + O(t^3), as f(1) = f'(1) = 0."""
    g = generators.GENERATORS[name]
    expected = t + (t * t / (2 * g.curvature) if g.curvature < math.inf else 0.0)
    assert g.conjugate(t) == pytest.approx(expected, rel=10 * t * t + 1e-15)
    if g.activation(0.0) == 0:
        x = 4 * t
        assert g.conjugate_of_activation(x) == pytest.approx(g.conjugate(g.activation(x)), rel=1e-14)


@pytest.mark.parametrize("bound", [generators.variational_bound, generators.variational_bound_of_outputs])
@pytest.mark.parametrize("shape", [(3, 1), (1,), (2,), (2, 4), ()])
def test_bounds_refuse_another_number_of_outcomes(bound: Any, shape: tuple[int, ...]) -> None:
    p = np.array([0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match="one for each outcome"):
        bound(np.zeros(shape), p, p, "pearson")
    with pytest.raises(ValueError, match="leading axes"):
        bound(np.zeros((2, 3)), np.stack([p, p, p]), p, "pearson")
    assert bound(np.zeros((4, 1, 3)), np.stack([p, p]), p, "pearson").shape == (4, 2)


# -- games -----------------------------------------------------------------------------------------------------------
def test_a_rule_in_disguise_walks_the_same_path() -> None:
    losses, start = dynamics.bilinear_game(), (1.0, 0.5)
    expected = dynamics.iterate(dynamics.optimistic, losses, start, steps=30, step=0.2)
    assert np.linalg.norm(expected[-1]) < np.linalg.norm(expected[0])

    def own(losses: Any, players: Any, previous: Any = None, **options: Any) -> Any:
        return dynamics.optimistic(losses, players, previous, **options)

    wrapped = functools.wraps(dynamics.optimistic)(lambda *args, **options: dynamics.optimistic(*args, **options))
    for rule in (functools.partial(dynamics.optimistic, step=0.2), functools.partial(own, step=0.2)):
        np.testing.assert_array_equal(dynamics.iterate(rule, losses, start, steps=30), expected)
    for rule in (own, wrapped):
        np.testing.assert_array_equal(dynamics.iterate(rule, losses, start, steps=30, step=0.2), expected)
    for forgetful in (
        lambda losses, players: dynamics.optimistic(losses, players, step=0.2),
        lambda losses, players, **options: dynamics.optimistic(losses, players, step=0.2, **options),
    ):
        with pytest.raises(ValueError, match="previous=None"):
            dynamics.iterate(forgetful, losses, start, steps=3)
    assert dynamics.optimistic(losses, start, step=0.2) == pytest.approx(
        tuple(expected[1])
    )  # on its own it is a first step


@pytest.mark.parametrize("loss, slope", [("minimax", 0.5), ("wasserstein", 1.0), ("non_saturating", 0.5)])
@given(gamma=floats(0.01, 3.0))
def test_dirac_gan_with_a_penalty_of_target_zero(loss: str, slope: float, gamma: float) -> None:
    """J = [[0, -s], [s, -2 gamma]], so the eigenvalues are -gamma +- sqrt(gamma^2 - s^2)."""
    gan = dirac.DiracGAN(loss=loss, regularizer="gradient_penalty", gamma=gamma, target=0.0)
    np.testing.assert_allclose(np.abs(gan.jacobian()), [[0, slope], [slope, 2 * gamma]], atol=1e-12)
    root = np.emath.sqrt(gamma**2 - slope**2)
    np.testing.assert_allclose(gan.eigenvalues(), [-gamma + root, -gamma - root], atol=1e-7)


def test_dirac_gan_says_where_there_is_no_jacobian() -> None:
    gan = dirac.DiracGAN(regularizer="gradient_penalty", target=1.0)
    with pytest.raises(ValueError, match=r"psi = 0 .* jumps"):
        gan.eigenvalues()
    assert np.isfinite(gan.jacobian(0.0, 1.0)).all()
    with pytest.raises(ValueError, match="target -1"):
        dirac.DiracGAN(regularizer="gradient_penalty", target=-1.0)


# -- neighbours ------------------------------------------------------------------------------------------------------
@given(n=st.integers(5, 60), d=st.integers(2, 5), k=st.integers(1, 4), seed=st.integers(0, 99), ties=st.booleans())
def test_neighbours_by_tree_and_by_brute_force_are_as_far_away(n: int, d: int, k: int, seed: int, ties: bool) -> None:
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(2, n, d))
    if ties:
        x, y = np.round(x), np.round(y)
    for other, own in ((x, True), (y, False)):
        ways = []
        for tree in (estimators._k_d_tree, None):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(estimators, "_k_d_tree", tree)
                found = estimators._neighbours(x, other, k, skip_self=own)
            assert not own or (found != np.arange(n)).all()
            ways.append(np.linalg.norm(x - other[found], axis=1))
        np.testing.assert_allclose(*ways, rtol=1e-14)
