"""f-divergences where floats are hard: zeros, raw outputs, ratios beyond 1e16; and generators made from f alone."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import minigan as mg
from minigan import losses, ops
from minigan.autodiff import Tensor
from minigan.lessons.strategies import floats, tables
from minigan.theory import divergences as d
from minigan.theory import generators, optimal
from minigan.theory.dirac import DiracGAN

LOG2 = math.log(2.0)
NAMES = sorted(d.GENERATORS)
each = pytest.mark.parametrize("name", NAMES)
PLAIN: dict[str, Any] = {  # as one would write them, with no care for the ends
    "kl": lambda u: u * ops.log(u),
    "reverse_kl": lambda u: -ops.log(u),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (u - 1) ** 2 / u,
    "hellinger": lambda u: 0.5 * (ops.sqrt(u) - 1) ** 2,
    "jensen_shannon": lambda u: 0.5 * (u * ops.log(u) - (u + 1) * ops.log((u + 1) / 2)),
    "total_variation": lambda u: 0.5 * ops.abs(u - 1),
    "jeffreys": lambda u: (u - 1) * ops.log(u),
    "le_cam": lambda u: 0.5 * (u - 1) ** 2 / (u + 1),
}
plain = pytest.mark.parametrize("name", sorted(PLAIN))
ZEROS = [[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]


# -- zeros -----------------------------------------------------------------------------------------------------------
@each
@pytest.mark.parametrize(("p", "q"), list(itertools.product(ZEROS, ZEROS)))
def test_gradients_at_zeros_are_numbers(name: str, p: Any, q: Any) -> None:
    """Those of the named generator, and of one from its plain f: finite, or infinite, never NaN."""
    for f in (name, PLAIN.get(name, name)):
        a, b = (mg.tensor(np.array(t), requires_grad=True) for t in (p, q))
        with np.errstate(all="ignore"):
            for gradient in mg.grad(d.f_divergence(a, b, f), [a, b]):
                assert not np.isnan(gradient.data).any()


@each
@pytest.mark.parametrize("p", ZEROS)
def test_gradients_in_the_logits_of_q_where_p_has_zeros(name: str, p: Any) -> None:
    """D_f is finite and smooth in a q > 0, whatever the zeros of p; no warning either."""
    if d.GENERATORS[name].at_zero == math.inf and 0 in p:
        return
    logits = np.array([0.1, 0.4, -0.3])
    for f in (name, PLAIN.get(name, name)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mg.gradcheck(lambda v, f=f: d.f_divergence(p, ops.softmax(v, -1), f), logits, order=2)


def test_the_hellinger_gradient_that_was_nan() -> None:
    x = mg.tensor(np.array([0.1, 0.4, -0.3]), requires_grad=True)
    gradient = mg.grad(d.f_divergence([0.5, 0.5, 0.0], ops.softmax(x, -1), "hellinger"), x)
    np.testing.assert_allclose(gradient.data, [-0.058, -0.040, 0.098], atol=1e-3)


@each
def test_f_at_infinity_is_its_limit(name: str) -> None:
    g = d.GENERATORS[name]
    assert g.f(math.inf) == (-math.inf if name in ("reverse_kl", "gan") else math.inf)
    assert g.derivative(math.inf) == g.slope_at_infinity


# -- digits ----------------------------------------------------------------------------------------------------------
def test_neighbours_keep_the_digits_of_the_functions() -> None:
    p, q = [0.25, 0.75], [0.25 + 2e-9, 0.75 - 2e-9]
    for name, function in {"kl": d.kl, "jensen_shannon": d.jsd, "hellinger": d.hellinger_squared}.items():
        assert 0 < d.f_divergence(p, q, name) == function(p, q)
    assert d.f_divergence([1e-300, 1], [1, 1e-300], "pearson") == pytest.approx(1e300, rel=1e-12)


def test_a_copy_with_another_f_has_its_own_terms() -> None:
    doubled = dataclasses.replace(d.GENERATORS["kl"], f=lambda u: 2 * d.GENERATORS["kl"].f(u))
    assert d.f_divergence([0.2, 0.8], [0.5, 0.5], doubled) == pytest.approx(2 * d.kl([0.2, 0.8], [0.5, 0.5]))


@each
@given(v=floats(-15, 15))
def test_conjugates_of_outputs_are_those_of_their_activations(name: str, v: float) -> None:
    g = d.GENERATORS[name]
    assert g.conjugate_of_activation(v) == pytest.approx(g.conjugate(g.activation(v)), rel=1e-8, abs=1e-8)


def test_raw_outputs_stay_finite_where_t_reaches_the_end_of_the_domain() -> None:
    g = d.GENERATORS["jensen_shannon"]
    assert g.conjugate(g.activation(40.0)) == math.inf
    assert g.conjugate_of_activation(40.0) == pytest.approx(0.5 * (40 - LOG2), rel=1e-15)
    p, q = np.array([1 - 1e-20, 1e-20]), np.array([1e-20, 1 - 1e-20])
    v = optimal.optimal_logit(p, q)
    assert d.variational_bound(d.optimal_t(p, q, g), p, q, g) == -math.inf
    for name in ("jensen_shannon", "gan"):
        bound = d.variational_bound_of_outputs(v, p, q, name)
        assert bound == pytest.approx(d.f_divergence(p, q, name), rel=1e-14, abs=1e-14)


@each
@settings(max_examples=25)  # for each of the generators
@given(pq=tables(2, zeros=True), v=floats(-3, 3))
def test_both_bounds_agree(name: str, pq: Any, v: float) -> None:
    g = d.GENERATORS[name]
    outputs = v + np.arange(len(pq[0])) / 8
    below = d.variational_bound_of_outputs(outputs, *pq, name)
    assert below == pytest.approx(d.variational_bound(g.activation(outputs), *pq, name), rel=1e-9, abs=1e-9)
    assert below <= d.f_divergence(*pq, name) + 1e-9


# -- an f-GAN's pair -------------------------------------------------------------------------------------------------
def test_the_pair_of_gan_is_minimax() -> None:
    real, fake = (mg.tensor(t) for t in np.random.default_rng(0).standard_normal((2, 5)))
    pair = generators.f_gan_pair("gan")
    assert pair.discriminator(real, fake).item() == pytest.approx(losses.minimax.discriminator(real, fake).item())
    assert pair.generator(fake, real).item() == pytest.approx(losses.minimax.generator(fake).item())


@each
def test_a_dirac_gan_with_an_f_gan_rotates_around_its_rest_point(name: str) -> None:
    """Mescheder et al. 2018, lemma 2.3: eigenvalues +- i f'(0) with f as there; here |d/dv g_f| at the rest output is it."""
    g = d.GENERATORS[name]
    at = mg.tensor(np.array(0.0), requires_grad=True)
    rest = g.derivative(1.0) if name != "total_variation" else 0.0
    if g.activation(0.0) != pytest.approx(rest, abs=1e-12):
        return  # psi = 0 is no equilibrium: the output there is not the best one for p = q
    slope = mg.grad(g.activation(at), at).item()
    found = DiracGAN(loss=generators.f_gan_pair(name)).eigenvalues()
    np.testing.assert_allclose(found.real, 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(found.imag), abs(slope), rtol=1e-12)


# -- from f alone ----------------------------------------------------------------------------------------------------
@plain
@settings(max_examples=25)  # for each of the generators
@given(pq=tables(2, zeros=True))
def test_a_plain_function_gives_the_divergence(name: str, pq: Any) -> None:
    np.testing.assert_allclose(d.f_divergence(*pq, PLAIN[name]), d.f_divergence(*pq, name), rtol=1e-10, atol=1e-12)


@plain
def test_what_is_found_from_a_plain_function(name: str) -> None:
    made, known = d.Generator.from_function(PLAIN[name]), d.GENERATORS[name]
    assert made.at_zero == pytest.approx(known.at_zero, abs=1e-12)
    assert made.slope_at_infinity == pytest.approx(known.slope_at_infinity, abs=1e-12)
    assert made.curvature == pytest.approx(known.curvature, rel=1e-12)
    u = np.array([0.01, 0.3, 0.99, 1.5, 40.0])
    np.testing.assert_allclose(made.f(u), known.f(u), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(made.derivative(u), known.derivative(u), rtol=1e-11, atol=1e-13)
    t = known.derivative(u)
    inside = t < known.slope_at_infinity
    np.testing.assert_allclose(made.conjugate(t)[inside], known.conjugate(t)[inside], rtol=1e-9, atol=1e-12)
    assert made.conjugate(-math.inf) == -known.at_zero
    if known.slope_at_infinity < math.inf:
        assert made.conjugate(known.slope_at_infinity + 0.1) == math.inf
        assert (made.activation(np.array([-50.0, 0.0, 20.0])) < known.slope_at_infinity).all()


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "hellinger", "jensen_shannon", "jeffreys", "le_cam"])
def test_conjugates_found_by_search_have_derivatives(name: str) -> None:
    made = d.Generator.from_function(PLAIN[name])
    t = made.derivative(np.array([0.4, 1.0, 2.5]))
    mg.gradcheck(made.conjugate, t, order=3)
    u = mg.tensor(t, requires_grad=True)
    np.testing.assert_allclose(mg.grad(ops.sum(made.conjugate(u)), u).data, [0.4, 1.0, 2.5], rtol=1e-9)
    mg.gradcheck(made.f, np.array([0.4, 1.0, 2.5]), order=2)


def test_a_plain_function_serves_everywhere() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    f = PLAIN["kl"]
    assert d.variational_bound(d.optimal_t(p, q, f), p, q, f) == pytest.approx(d.kl(p, q), rel=1e-10)
    assert optimal.f_gan(f).value(p, q) == pytest.approx(-d.kl(p, q), rel=1e-12)
    named = d.Generator.from_function(f, name="mine", at_zero=0.0, slope_at_infinity=math.inf)
    assert named.name == "mine"
    powers = d.Generator.from_function(lambda u: (u**1.5 - 1) / 0.75)  # f(0) = -4/3 like u^1.5, f'(inf) = inf
    assert powers.at_zero == pytest.approx(-4 / 3) and powers.slope_at_infinity == math.inf
    assert d.f_divergence(p, q, powers) == pytest.approx(d.alpha_divergence(p, q, alpha=1.5), rel=1e-12)
    slow = d.Generator.from_function(lambda u: -4 * (ops.sqrt(u) - 1))
    assert slow.slope_at_infinity == 0 and slow.at_zero == pytest.approx(4)


def test_functions_that_are_no_generators() -> None:
    with pytest.raises(ValueError, match="not convex"):
        d.f_divergence([1.0], [1.0], lambda u: -(u**2))
    with pytest.raises(ValueError, match=r"write it with operators and ops\.log"):
        d.f_divergence([0.5, 0.5], [0.2, 0.8], lambda u: u * math.log(u))
    with pytest.raises(ValueError, match="pass slope_at_infinity="):
        d.Generator.from_function(lambda u: ops.where(ops.less(u, 1e20), u, u * math.nan))
    with pytest.raises(ValueError, match="expected fields"):
        d.Generator.from_function(PLAIN["kl"], slope=1.0)


def test_a_generator_may_be_written_with_numpy() -> None:
    p, q = [0.5, 0.5], [0.2, 0.8]
    assert d.f_divergence(p, q, lambda u: u * np.log(u)) == pytest.approx(d.kl(p, q), rel=1e-12)


def test_tables_of_tensors_give_tensors() -> None:
    assert isinstance(d.f_divergence(Tensor(np.array([0.5, 0.5])), [0.2, 0.8], PLAIN["kl"]), Tensor)


# -- the families ----------------------------------------------------------------------------------------------------
def test_small_orders_and_large_ones_keep_their_digits() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.4, 0.4])
    a = 1e-9  # to first order in a: log sum_{p > 0} q + a (mean under q of log p/q there)
    alive = q[:2] / q[:2].sum()
    first = math.log(0.6) + a * (alive * np.log(p[:2] / q[:2])).sum()
    assert d.renyi(p, q, alpha=a) == pytest.approx(-first / (1 - a), rel=1e-14)
    total = (p[:2] ** a * q[:2] ** (1 - a)).sum()
    assert d.alpha_divergence(p, q, alpha=a) == pytest.approx((1 - total) / (a * (1 - a)), rel=1e-12)
    p, q = np.array([1 - 1e-290, 1e-290]), np.array([1.0, 1e-300])
    assert d.alpha_divergence(p, q, alpha=50) == pytest.approx(1e200 / (50 * 49), rel=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_infinite_renyi_has_no_nan_in_its_gradient(alpha: float) -> None:
    p, q = (mg.tensor(np.array(t), requires_grad=True) for t in ([1.0, 0.0], [0.0, 1.0]))
    value = d.renyi(p, q, alpha=alpha)
    assert value.item() == math.inf
    with np.errstate(all="ignore"):
        assert not any(np.isnan(g.data).any() for g in mg.grad(value, [p, q]))
