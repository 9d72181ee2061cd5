"""Integrals of densities on the line and closed forms of Gaussians: each is the other's oracle, and SciPy both's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy import integrate, stats

import minigan as mg
from minigan import ops
from minigan.lessons.strategies import floats
from minigan.theory import densities as one_d
from minigan.theory import divergences as d
from minigan.theory import gaussians as g

LOG2 = math.log(2.0)
LINE = dict(low=-40.0, high=40.0)
each_generator = pytest.mark.parametrize("name", sorted(d.GENERATORS))


def normal(mean: float = 0.0, deviation: float = 1.0) -> Any:
    return stats.norm(mean, deviation).logpdf


# -- quadrature ------------------------------------------------------------------------------------------------------
def test_quadrature_is_exact_for_polynomials() -> None:
    x, w = one_d.quadrature(-1.0, 3.0, panels=1, nodes=5)
    for k in range(10):
        assert (w * x**k).sum() == pytest.approx((3 ** (k + 1) - (-1) ** (k + 1)) / (k + 1), rel=1e-13)
    assert abs((w * x**10).sum() - (3**11 + 1) / 11) > 1e-3


def test_breaks_become_ends_of_panels() -> None:
    x, w = one_d.quadrature(0.0, 1.0, panels=1, nodes=2, breaks=(0.3, 5.0))
    assert x.size == 4 and (w * np.abs(x - 0.3)).sum() == pytest.approx((0.09 + 0.49) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(low=0, high=math.inf), "finite ends"),
        (dict(low=1, high=1), "low < high"),
        (dict(low=0, high=1, panels=0), "0 panels"),
    ],
)
def test_bad_intervals(bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_d.kl_1d(normal(), normal(), **bad)


def test_bad_densities() -> None:
    with pytest.raises(ValueError, match="got NaN for 3200 points"):
        one_d.mass_1d(lambda x: x * math.nan, **LINE)
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        one_d.mass_1d(lambda x: 0.0, **LINE)
    with pytest.raises(ValueError, match="prior"):
        one_d.jsd_1d(normal(), normal(), prior=1.0, **LINE)


# -- densities -------------------------------------------------------------------------------------------------------
@given(mean=floats(-5, 5), deviation=floats(0.3, 3))
def test_against_closed_forms_of_gaussians(mean: float, deviation: float) -> None:
    p, q = normal(), normal(mean, deviation)
    pair = (0.0, 1.0, mean, deviation**2)
    close = dict(rel=1e-11, abs=1e-13)
    assert one_d.mass_1d(q, **LINE) == pytest.approx(1, **close)
    assert one_d.entropy_1d(q, **LINE) == pytest.approx(g.entropy(deviation**2), **close)
    assert one_d.cross_entropy_1d(p, q, **LINE) == pytest.approx(g.entropy(1.0) + g.kl(*pair), **close)
    assert one_d.kl_1d(p, q, **LINE) == pytest.approx(g.kl(*pair), **close)
    assert one_d.divergence_1d(q, p, "reverse_kl", **LINE) == pytest.approx(g.kl(*pair), **close)
    assert one_d.divergence_1d(p, q, "jeffreys", **LINE) == pytest.approx(g.jeffreys(*pair), **close)
    assert one_d.hellinger_squared_1d(p, q, **LINE) == pytest.approx(g.hellinger_squared(*pair), **close)
    if 2 * deviation**2 > 1.1:
        assert one_d.divergence_1d(p, q, "pearson", **LINE) == pytest.approx(g.chi_squared(*pair), **close)


@pytest.mark.parametrize(("distance", "value"), [(1, 0.1114215), (2, 0.3368308), (4, 0.6327202), (8, 0.6930536)])
def test_jsd_of_unit_gaussians(distance: float, value: float) -> None:
    p, q = stats.norm(0, 1).pdf, stats.norm(distance, 1).pdf

    def term(x: float) -> float:
        m = (p(x) + q(x)) / 2
        return (p(x) * math.log(p(x) / m) + q(x) * math.log(q(x) / m)) / 2

    jsd = one_d.jsd_1d(normal(), normal(distance), **LINE)
    assert jsd == pytest.approx(value, abs=1e-7)
    assert jsd == pytest.approx(
        integrate.quad(term, -12, 20, points=[0, distance], epsabs=1e-13, limit=200)[0], abs=1e-11
    )


@pytest.mark.parametrize("distance", [0.5, 3.0, 12.0, 40.0])
def test_total_variation_cuts_at_the_crossings(distance: float) -> None:
    expected = 2 * stats.norm.cdf(distance / 2) - 1
    value = one_d.total_variation_1d(normal(), normal(distance), low=-40, high=80)
    assert value == pytest.approx(expected, abs=1e-13)


def test_tails_keep_ratios_that_floats_cannot_hold() -> None:
    p, q = normal(), normal(60)
    interval = dict(low=-40.0, high=100.0)
    assert one_d.kl_1d(p, q, **interval) == pytest.approx(1800, rel=1e-12)
    assert one_d.jsd_1d(p, q, **interval) == pytest.approx(LOG2, abs=1e-13)
    for name in d.GENERATORS:
        assert not math.isnan(one_d.divergence_1d(p, q, name, **interval)), name


@pytest.mark.parametrize("shift", [1e-3, 1e-6])
def test_neighbours_keep_their_digits(shift: float) -> None:
    assert one_d.kl_1d(normal(), normal(shift), **LINE) == pytest.approx(shift**2 / 2, rel=1e-8, abs=0)
    assert one_d.jsd_1d(normal(), normal(shift), **LINE) == pytest.approx(shift**2 / 8, rel=1e-6, abs=0)


@each_generator
def test_uniform_densities_are_tables(name: str) -> None:
    p, q = stats.uniform(0, 2).logpdf, stats.uniform(1, 3).logpdf
    value = one_d.divergence_1d(p, q, name, low=-1, high=5, breaks=(0, 1, 2, 4))
    assert value == pytest.approx(d.f_divergence([1 / 2, 1 / 2, 0], [0, 1 / 3, 2 / 3], name), abs=1e-13)


@given(prior=floats(0.02, 0.98))
def test_jsd_with_a_prior(prior: float) -> None:
    p, q = normal(), normal(1.5, 0.7)

    def m(x: Any) -> Any:
        return np.logaddexp(math.log(prior) + p(x), math.log(1 - prior) + q(x))

    expected = prior * one_d.kl_1d(p, m, **LINE) + (1 - prior) * one_d.kl_1d(q, m, **LINE)
    assert one_d.jsd_1d(p, q, prior=prior, **LINE) == pytest.approx(expected, abs=1e-13)


@each_generator
def test_a_generator_object_and_its_name_agree(name: str) -> None:
    by_name = one_d.divergence_1d(normal(), normal(0.5, 1.2), name, **LINE)
    assert one_d.divergence_1d(normal(), normal(0.5, 1.2), d.GENERATORS[name], **LINE) == pytest.approx(
        by_name, abs=1e-12
    )


def test_parameters_of_densities_can_be_differentiated() -> None:
    def jsd(mean: Any, variance: Any) -> Any:
        return one_d.jsd_1d(normal(), lambda x: g.log_density(x, mean, variance), panels=60, **LINE)

    mg.gradcheck(jsd, (np.array(0.7), np.array(1.3)))
    mean = mg.tensor(np.array(0.7), requires_grad=True)
    kl = one_d.kl_1d(normal(), lambda x: g.log_density(x, mean, 2.0), panels=60, **LINE)
    assert mg.grad(kl, mean).item() == pytest.approx(0.35, rel=1e-11)


# -- gaussians -------------------------------------------------------------------------------------------------------
def moments(seed: int, batch: tuple[int, ...] = (), dim: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((*batch, dim, dim))
    return rng.standard_normal((*batch, dim)), a @ a.swapaxes(-1, -2) / dim + 0.5 * np.eye(dim)


def test_density_and_entropy_against_scipy() -> None:
    mean, cov = moments(0)
    law = stats.multivariate_normal(mean, cov)
    x = np.random.default_rng(1).standard_normal((2, 5, 3))
    np.testing.assert_allclose(g.log_density(x, mean, cov), law.logpdf(x), rtol=1e-12)
    assert g.entropy(cov) == pytest.approx(law.entropy(), rel=1e-13)
    np.testing.assert_allclose(g.log_density(x, 0.5, 4.0), stats.norm(0.5, 2).logpdf(x), rtol=1e-12)
    assert g.entropy(1e-3) < 0


def test_divergences_against_sampling_free_expectations() -> None:
    """E_p of a quadratic form is exact by the moments; the rest is checked along the line, for product Gaussians."""
    m1, s1, m2, s2 = np.array([0.0, 1.0]), np.diag([1.0, 0.5]), np.array([0.7, 0.2]), np.diag([1.5, 0.8])
    axes = [(m1[i], s1[i, i], m2[i], s2[i, i]) for i in range(2)]
    assert g.kl(m1, s1, m2, s2) == pytest.approx(sum(g.kl(*a) for a in axes), rel=1e-13)
    assert g.jeffreys(m1, s1, m2, s2) == pytest.approx(sum(g.jeffreys(*a) for a in axes), rel=1e-13)
    assert 1 - g.hellinger_squared(m1, s1, m2, s2) == pytest.approx(
        math.prod(1 - g.hellinger_squared(*a) for a in axes)
    )
    assert 1 + g.chi_squared(m1, s1, m2, s2) == pytest.approx(math.prod(1 + g.chi_squared(*a) for a in axes))
    assert g.renyi(m1, s1, m2, s2, alpha=0.3) == pytest.approx(sum(g.renyi(*a, alpha=0.3) for a in axes))


@given(shift=floats(-2, 2), angle=floats(0, 3))
def test_divergences_are_invariant_under_affine_maps(shift: float, angle: float) -> None:
    (m1, s1), (m2, s2) = moments(2), moments(3)
    a = np.eye(3) + angle * np.outer([1.0, -1, 0.5], [0.3, 0.2, 1.0])
    moved = (a @ m1 + shift, a @ s1 @ a.T, a @ m2 + shift, a @ s2 @ a.T)
    for function in (g.kl, g.jeffreys, g.hellinger_squared):
        assert function(*moved) == pytest.approx(function(m1, s1, m2, s2), rel=1e-9)
    assert g.renyi(*moved, alpha=0.4) == pytest.approx(g.renyi(m1, s1, m2, s2, alpha=0.4), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.999, 0.9999999, 1.0, 1.0000001, 1.4])
def test_renyi_along_the_line(alpha: float) -> None:
    mean, variance = 0.8, 1.3
    x, w = one_d.quadrature(-40, 40)
    p, q = normal()(x), normal(mean, math.sqrt(variance))(x)
    if abs(alpha - 1) < 1e-3:
        expected = g.kl(0.0, 1.0, mean, variance)
    else:
        expected = math.log((w * np.exp(alpha * p + (1 - alpha) * q)).sum()) / (alpha - 1)
    assert g.renyi(0.0, 1.0, mean, variance, alpha=alpha) == pytest.approx(
        expected, abs=2 * abs(alpha - 1) if abs(alpha - 1) < 2e-3 else 1e-12
    )


def test_renyi_limits_and_infinities() -> None:
    (m1, s1), (m2, s2) = moments(4), moments(5)
    assert g.renyi(m1, s1, m2, s2, alpha=0) == pytest.approx(0, abs=1e-14)
    assert g.renyi(m1, s1, m2, s2, alpha=1) == pytest.approx(g.kl(m1, s1, m2, s2), rel=1e-13)
    assert g.renyi(m1, s1, m2, s2, alpha=0.5) == pytest.approx(-2 * math.log(1 - g.hellinger_squared(m1, s1, m2, s2)))
    assert g.chi_squared(0.0, 4.0, 0.0, 1.0) == math.inf and g.chi_squared(0.0, 2.0, 0.0, 1.0) == math.inf
    assert g.chi_squared(0.0, 1.0, 1.0, 1.0) == pytest.approx(math.e - 1)


def test_batches_broadcast() -> None:
    (m1, s1), (m2, s2) = moments(6, (4,)), moments(7)
    for function in (g.kl, g.jeffreys, g.hellinger_squared, g.chi_squared):
        values = function(m1, s1, m2, s2)
        assert values.shape == (4,)
        for i in range(4):
            assert values[i] == pytest.approx(function(m1[i], s1[i], m2, s2), rel=1e-12)
    assert g.kl(m1, 1.0, m2, 2.0).shape == (4,)
    assert type(g.kl(0.0, 1.0, 1.0, 1.0)) is float


def square(a: Any) -> Any:
    return a @ ops.swapaxes(a, -1, -2) + np.eye(2)


def test_gradients_of_both_orders() -> None:
    rng = np.random.default_rng(8)
    factors = 0.4 * rng.standard_normal((2, 2, 2))
    means = rng.standard_normal((2, 2))
    for function in (
        g.kl,
        g.hellinger_squared,
        lambda *v: g.renyi(*v, alpha=0.6),
        lambda *v: g.renyi(*v, alpha=1.0001),
    ):
        mg.gradcheck(
            lambda m, a, n, b, f=function: f(m, square(a), n, square(b)), (means[0], factors[0], means[1], factors[1])
        )
    mg.gradcheck(lambda x, m, a: g.log_density(x, m, square(a)), (rng.standard_normal((3, 2)), means[0], factors[0]))
    mg.gradcheck(lambda a: g.entropy(square(a)), factors[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 1.0], [[1.0, 0.0]], [0.0, 1.0], 1.0), r"cov1: got shape \(1, 2\)"),
        (([0.0, 1.0], [[1.0, 0.5], [0.1, 1.0]], [0.0, 1.0], 1.0), "off its transpose"),
        (([0.0, 1.0], [[1.0, 2.0], [2.0, 1.0]], [0.0, 1.0], 1.0), "not positive definite"),
        ((0.0, 1.0, 0.0, -1.0), "cov2: got a matrix that is not positive definite"),
        (([0.0, 1.0], 1.0, [0.0, 1.0, 2.0], 1.0), "expected one dimension"),
    ],
)
def test_bad_moments(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        g.kl(*arguments)


# -- narrow peaks, jumps, singularities ------------------------------------------------------------------------------
NEAR_ZERO = dict(low=-12.0, high=12.0)


@pytest.mark.parametrize("deviation", [1e-3, 1e-5, 1e-8])
def test_narrow_peaks_are_found(deviation: float) -> None:
    wide, narrow = normal(), normal(0.0, deviation)
    expected = g.kl(0.0, deviation**2, 0.0, 1.0)
    assert one_d.kl_1d(narrow, wide, **NEAR_ZERO) == pytest.approx(expected, rel=1e-11)
    assert one_d.hellinger_squared_1d(wide, narrow, **NEAR_ZERO) == pytest.approx(
        g.hellinger_squared(0.0, 1.0, 0.0, deviation**2), rel=1e-11
    )
    if deviation > 1e-8:  # floats near 5 are too far apart for that
        apart = one_d.jsd_1d(wide, normal(5.01, deviation), **NEAR_ZERO)
        assert LOG2 - 2e-4 * deviation < apart <= LOG2 + 1e-14


def test_jsd_of_a_narrow_peak_against_quadrature_around_it() -> None:
    p, q = normal(), normal(0.0, 1e-3)
    places = sorted(s * m for s in (-1, 1) for m in (1e-3, 4e-3, 6e-3, 1e-2, 4e-2, 1))
    x, w = one_d.quadrature(-12, 12, panels=2000, nodes=40, breaks=places)
    m = np.logaddexp(p(x), q(x)) - LOG2
    expected = 0.5 * (w * (np.exp(p(x)) * (p(x) - m) + np.where(q(x) > -700, np.exp(q(x)) * (q(x) - m), 0.0))).sum()
    assert one_d.jsd_1d(p, q, **NEAR_ZERO) == pytest.approx(expected, rel=1e-11)
    assert expected == pytest.approx(0.68457, abs=1e-5)


def test_jumps_and_singularities_without_breaks() -> None:
    step = stats.uniform(0.123, 1.0).logpdf
    expected = 0.5 * math.log(2 * math.pi) + (1.123**3 - 0.123**3) / 6
    assert one_d.kl_1d(step, normal(), **NEAR_ZERO) == pytest.approx(expected, rel=1e-11)
    log_root = stats.beta(1.5, 1.0)  # 3/2 sqrt(x)
    assert one_d.entropy_1d(log_root.logpdf, low=0, high=1) == pytest.approx(log_root.entropy(), rel=1e-11)


def test_what_cannot_be_resolved_is_told() -> None:
    arcsine = stats.beta(0.5, 0.5)
    with pytest.warns(RuntimeWarning, match="cannot be halved further"):
        assert one_d.entropy_1d(arcsine.logpdf, low=0, high=1) == pytest.approx(arcsine.entropy(), abs=1e-5)

    def mixture(x: Any) -> Any:
        return np.logaddexp(normal()(x), normal(5.003, 1e-6)(x)) - LOG2

    with pytest.warns(RuntimeWarning, match="masses 0.5 in the interval"):
        one_d.mass_1d(mixture, **NEAR_ZERO)
    assert one_d.mass_1d(mixture, breaks=(5.003,), **NEAR_ZERO) == pytest.approx(1, abs=1e-12)
    with pytest.warns(RuntimeWarning, match="too short"):
        one_d.kl_1d(normal(), normal(1.0), low=-1, high=1)
    with pytest.raises(ValueError, match="tolerance"):
        one_d.kl_1d(normal(), normal(), tolerance=0.0, **LINE)


# -- the families, and more of the Gaussians -------------------------------------------------------------------------
@pytest.mark.parametrize("alpha", [-0.5, 0.0, 1e-9, 0.3, 0.5, 1.0, 1.7, 2.5])
def test_alpha_divergences_of_gaussians(alpha: float) -> None:
    pair, p, q = (0.0, 1.0, 0.3, 1.21), normal(), normal(0.3, 1.1)
    value = g.alpha_divergence(*pair, alpha=alpha)
    assert one_d.alpha_divergence_1d(p, q, alpha=alpha, **LINE) == pytest.approx(value, rel=1e-11)
    if alpha > 0:
        expected = g.renyi(*pair, alpha=alpha)
        assert one_d.renyi_1d(p, q, alpha=alpha, **LINE) == pytest.approx(expected, rel=1e-11 + 1e-16 / alpha)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 3.0])
def test_renyi_far_apart(alpha: float) -> None:
    value = one_d.renyi_1d(normal(), normal(30), alpha=alpha, low=-120, high=120)
    assert value == pytest.approx(450 * alpha, rel=1e-12)
    uniforms = (stats.uniform(0, 1).logpdf, stats.uniform(2, 1).logpdf)
    assert one_d.renyi_1d(*uniforms, alpha=alpha, low=-1, high=4) == math.inf


def test_alpha_families_have_derivatives_and_bounds() -> None:
    mg.gradcheck(
        lambda m: one_d.renyi_1d(normal(), lambda x: g.log_density(x, m, 1.3), alpha=0.6, panels=60, **LINE),
        np.array(0.7),
    )
    for alpha in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="alpha"):
            one_d.renyi_1d(normal(), normal(), alpha=alpha, **LINE)
    with pytest.raises(ValueError, match="alpha"):
        one_d.alpha_divergence_1d(normal(), normal(), alpha=math.nan, **LINE)


def test_more_divergences_of_gaussians() -> None:
    (m1, s1), (m2, s2) = moments(4), moments(5)
    pair = (m1, s1, m2, s2)
    assert g.reverse_kl(*pair) == pytest.approx(g.kl(m2, s2, m1, s1), rel=1e-13)
    assert g.cross_entropy(*pair) == pytest.approx(g.entropy(s1) + g.kl(*pair), rel=1e-12)
    assert g.neyman_chi_squared(0.0, 1.0, 0.5, 1.5) == pytest.approx(g.chi_squared(0.5, 1.5, 0.0, 1.0), rel=1e-13)
    assert g.alpha_divergence(*pair, alpha=0.5) == pytest.approx(4 * g.hellinger_squared(*pair), rel=1e-12)
    assert g.alpha_divergence(0.0, 1.0, 0.5, 1.5, alpha=2) == pytest.approx(g.chi_squared(0.0, 1.0, 0.5, 1.5) / 2)
    assert g.alpha_divergence(*pair, alpha=1) == g.kl(*pair)
    assert g.alpha_divergence(*pair, alpha=0) == g.kl(m2, s2, m1, s1)
    with pytest.raises(ValueError, match="alpha"):
        g.alpha_divergence(*pair, alpha=math.inf)
    mg.gradcheck(lambda m, a: g.cross_entropy(m, square(a), m2[:2], np.eye(2)), (m1[:2], np.eye(2) + 0.1))


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-9])
def test_neighbouring_gaussians_keep_their_digits(step: float) -> None:
    """With B = step times a diagonal: tr B - log det(1 + B) = sum (x - log(1 + x)), x^2/2 - x^3/3 + ..."""
    x = step * np.array([1.0, -2.0, 0.5])
    ones, near = np.eye(3), np.diag(1 + x)
    x = np.diag(near) - 1  # what the float holds
    series = (x**2 / 2 - x**3 / 3 + x**4 / 4 - x**5 / 5 + x**6 / 6).sum()
    assert g.kl(np.zeros(3), near, np.zeros(3), ones) == pytest.approx(series / 2, rel=1e-12, abs=0)
    expected = -math.expm1(0.25 * np.log1p(-((x / (2 + x)) ** 2)).sum())
    assert g.hellinger_squared(np.zeros(3), near, np.zeros(3), ones) == pytest.approx(expected, rel=1e-12, abs=0)


def test_kl_is_continuous_where_its_series_ends() -> None:
    inside, outside = (g.kl(0.0, 1 + x, 0.0, 1.0) - 0.5 * (x - math.log1p(x)) for x in (0.00999999, 0.01000001))
    assert abs(inside) < 1e-16 and abs(outside) < 1e-16
