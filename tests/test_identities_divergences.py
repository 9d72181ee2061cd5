"""Identities 1 to 16: what entropies, divergences and their variational bounds obey, on random tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity import Seen, identity

import minigan as mg
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences as d
from minigan.theory import estimators

LOG2 = np.log(2.0)
each = pytest.mark.parametrize("name", sorted(d.GENERATORS))
smooth = pytest.mark.parametrize("name", sorted(set(d.GENERATORS) - {"total_variation"}))


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@st.composite
def joints(draw: Any, count: int = 2) -> tuple[np.ndarray, ...]:
    """Joint tables over x (rows) and y (columns)."""
    n, m = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    return tuple(softmax(draw(arrays(n * m, -8, 8))).reshape(n, m) for _ in range(count))


@st.composite
def channels(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(p, q, K), K column-stochastic: column j is the law of the output when the input is j."""
    p, q = draw(tables(2, max_size=12, zeros=True))
    m = draw(st.integers(1, 12))
    return p, q, softmax(draw(arrays((p.size, m), -8, 8))).T


@st.composite
def with_values(draw: Any, low: float = -5.0, high: float = 5.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(p, q, one number an outcome)."""
    p, q = draw(tables(2))
    return p, q, draw(arrays(p.size, low, high))


# -- Kullback-Leibler ------------------------------------------------------------------------------------------------
@given(pq=tables(2, zeros=True))
@identity(1, "KL(p || q) >= 0, and 0 iff p = q (zeros allowed)", atol=1e-12)
def test_identity_01_gibbs(see: Seen, pq: Any) -> None:
    p, q = pq
    see.below(0.0, d.kl(p, q))
    see.equal(d.kl(p, p), 0.0)
    see.true((d.kl(p, q) > 0) == bool((p != q).any()))


@given(pq=joints())
@identity(2, "KL(p_xy || q_xy) = KL(p_x || q_x) + sum_x p_x KL(p_y|x || q_y|x)", atol=1e-12)
def test_identity_02_chain_rule(see: Seen, pq: Any) -> None:
    p, q = pq
    px, qx = p.sum(axis=1), q.sum(axis=1)
    conditional = d.kl(p / px[:, None], q / qx[:, None])
    see.equal(d.kl(p.ravel(), q.ravel()), d.kl(px, qx) + (px * conditional).sum())


@given(pq=tables(2, max_size=8), rs=tables(2, max_size=8))
@identity(2, "KL(p x r || q x s) = KL(p || q) + KL(r || s)", atol=1e-12)
def test_identity_02_additive_on_products(see: Seen, pq: Any, rs: Any) -> None:
    (p, q), (r, s) = pq, rs
    see.equal(d.kl(np.outer(p, r).ravel(), np.outer(q, s).ravel()), d.kl(p, q) + d.kl(r, s))


# -- Jensen-Shannon --------------------------------------------------------------------------------------------------
@given(pq=tables(2, zeros=True))
@identity(3, "JSD symmetric, 0 <= JSD <= log 2, = log 2 iff disjoint (zeros allowed)", atol=1e-12)
def test_identity_03_jsd_is_bounded(see: Seen, pq: Any) -> None:
    p, q = pq
    value, overlap = d.jsd(p, q), np.minimum(p, q).sum()
    see.equal(value, d.jsd(q, p))
    see.below(0.0, value)
    see.below(value, LOG2)
    see.below(overlap * LOG2, LOG2 - value)  # so that any overlap keeps it away from log 2, by this much
    if overlap == 0:
        see.equal(value, LOG2)


@given(pr=tables(2, max_size=16), reverse=st.booleans())
@identity(3, "JSD = log 2 for disjoint p and q", atol=1e-12)
def test_identity_03_jsd_of_disjoint_tables(see: Seen, pr: Any, reverse: bool) -> None:
    p, r = pr
    p, q = np.concatenate([p, 0 * r]), np.concatenate([0 * p, r])
    see.equal(d.jsd(q, p) if reverse else d.jsd(p, q), LOG2)


@given(pq=tables(2, zeros=True))
@identity(4, "JSD = H(m) - H(p)/2 - H(q)/2 = I(X; Z), m = (p+q)/2", atol=1e-12)
def test_identity_04_jsd_is_mutual_information(see: Seen, pq: Any) -> None:
    p, q = pq
    m = (p + q) / 2
    joint = np.stack([p, q]) / 2  # of the label Z (rows) and x (columns): a fair coin, then a draw
    independent = np.outer([0.5, 0.5], m)
    see.equal(d.jsd(p, q), d.entropy(m) - d.entropy(p) / 2 - d.entropy(q) / 2)
    see.equal(d.jsd(p, q), d.kl(joint.ravel(), independent.ravel()))


@given(pqr=tables(3, zeros=True))
@identity(5, "sqrt JSD(p, r) <= sqrt JSD(p, q) + sqrt JSD(q, r)", atol=1e-12)
def test_identity_05_root_of_jsd_is_a_metric(see: Seen, pqr: Any) -> None:
    p, q, r = pqr
    see.below(np.sqrt(d.jsd(p, r)), np.sqrt(d.jsd(p, q)) + np.sqrt(d.jsd(q, r)))


@given(pqr=tables(3), scale=floats(1e-9, 1e-3))
@identity(5, "sqrt JSD(p, r) <= sqrt JSD(p, q) + sqrt JSD(q, r), for tables close to each other", atol=1e-12)
def test_identity_05_root_of_jsd_is_a_metric_nearby(see: Seen, pqr: Any, scale: float) -> None:
    p, q, r = pqr
    q, r = p + scale * (q - p), p + scale * (r - p)
    see.below(np.sqrt(d.jsd(p, r)), np.sqrt(d.jsd(p, q)) + np.sqrt(d.jsd(q, r)))


# -- total variation and the ladder of inequalities ------------------------------------------------------------------
@given(pq=tables(2, max_size=10, zeros=True))
@identity(6, "TV = |p - q|_1 / 2 = max_A (p - q)(A) = 1 - sum min(p, q)", atol=1e-12)
def test_identity_06_total_variation(see: Seen, pq: Any) -> None:
    p, q = pq
    events = (np.arange(2**p.size)[:, None] >> np.arange(p.size)) & 1
    see.equal(d.total_variation(p, q), np.abs(p - q).sum() / 2)
    see.equal(d.total_variation(p, q), (events @ (p - q)).max())
    see.equal(d.total_variation(p, q), 1 - np.minimum(p, q).sum())


@given(pq=tables(2, zeros=True))
@identity(7, "Pinsker: TV <= sqrt(KL/2); Bretagnolle-Huber: TV <= sqrt(1 - exp(-KL))", atol=1e-12)
def test_identity_07_pinsker_and_bretagnolle_huber(see: Seen, pq: Any) -> None:
    tv, kl = d.total_variation(*pq), d.kl(*pq)
    see.below(tv, np.sqrt(kl / 2))
    see.below(tv, np.sqrt(-np.expm1(-kl)))


@given(pq=tables(2, zeros=True))
@identity(8, "H2 = 1 - sum sqrt(pq) <= TV <= sqrt(H2 (2 - H2))", atol=1e-12)
def test_identity_08_hellinger(see: Seen, pq: Any) -> None:
    p, q = pq
    h2, tv = d.hellinger_squared(p, q), d.total_variation(p, q)
    see.equal(h2, 1 - np.sqrt(p * q).sum())
    see.below(h2, tv)
    see.below(tv, np.sqrt(h2 * (2 - h2)))


@given(pq=tables(2))
@identity(9, "-2 log(1 - H2) <= KL <= log(1 + chi2); they are the Renyi divergences of order 1/2, 1, 2", atol=1e-12)
def test_identity_09_renyi_ladder(see: Seen, pq: Any) -> None:
    h2, kl, chi2 = d.hellinger_squared(*pq), d.kl(*pq), d.pearson_chi_squared(*pq)
    see.below(-2 * np.log1p(-h2), kl)
    see.below(kl, np.log1p(chi2))
    see.equal(
        1 - h2, np.exp(-d.renyi(*pq, alpha=0.5) / 2)
    )  # not of the logarithms: 1 - H2 may be 3e-4, its log less exact
    see.equal(d.renyi(*pq, alpha=2), np.log1p(chi2))


@given(pq=tables(2, zeros=True))
@identity(10, "log 2 - h((1 - TV)/2) <= JSD <= TV log 2", atol=1e-12)
def test_identity_10_jsd_against_total_variation(see: Seen, pq: Any) -> None:
    tv, jsd = d.total_variation(*pq), d.jsd(*pq)
    see.below(LOG2 - d.binary_entropy((1 - min(tv, 1.0)) / 2), jsd)
    see.below(jsd, tv * LOG2)


# -- f-divergences ---------------------------------------------------------------------------------------------------
@each
@given(pqk=channels())
@identity(11, "D_f(Kp || Kq) <= D_f(p || q), K column-stochastic", atol=1e-12, rtol=1e-12)
def test_identity_11_data_processing(see: Seen, name: str, pqk: Any) -> None:
    p, q, k = pqk
    see.below(d.f_divergence(k @ p, k @ q, name), d.f_divergence(p, q, name))


@each
@given(four=tables(4, zeros=True), weight=floats(0.05, 0.95))
@identity(
    12,
    "D_f(w p + (1-w) p' || w q + (1-w) q') <= w D_f(p || q) + (1-w) D_f(p' || q')",
    atol=1e-12,
    rtol=1e-12,
)
def test_identity_12_joint_convexity(see: Seen, name: str, four: Any, weight: float) -> None:
    p, q, p2, q2 = four
    mixed = d.f_divergence(weight * p + (1 - weight) * p2, weight * q + (1 - weight) * q2, name)
    see.below(mixed, weight * d.f_divergence(p, q, name) + (1 - weight) * d.f_divergence(p2, q2, name))


def shifted(g: d.Generator, c: float) -> d.Generator:
    return dataclasses.replace(
        g, f=lambda u: g.f(u) + c * (u - 1), at_zero=g.at_zero - c, slope_at_infinity=g.slope_at_infinity + c
    )


def swapped(g: d.Generator) -> d.Generator:
    return dataclasses.replace(g, f=lambda u: u * g.f(1 / u), at_zero=g.slope_at_infinity, slope_at_infinity=g.at_zero)


@each
@given(pq=tables(2, zeros=True), c=floats(-5, 5))
@identity(13, "D_f is unchanged under f + c (u - 1)", atol=1e-12, rtol=1e-12)
def test_identity_13_linear_part(see: Seen, name: str, pq: Any, c: float) -> None:
    see.equal(d.f_divergence(*pq, shifted(d.GENERATORS[name], c)), d.f_divergence(*pq, name))


@each
@given(pq=tables(2, zeros=True))
@identity(13, "D_f(q || p) is D_f°(p || q) with f°(u) = u f(1/u)", atol=1e-12, rtol=1e-12)
def test_identity_13_swapped_arguments(see: Seen, name: str, pq: Any) -> None:
    p, q = pq
    see.equal(d.f_divergence(q, p, swapped(d.GENERATORS[name])), d.f_divergence(p, q, name))


def direction(p: np.ndarray, v: np.ndarray) -> np.ndarray:
    """h with sum 0 and |h| <= 10 p."""
    return p * (v - (p * v).sum())


@smooth
@given(pqv=with_values(), eps=floats(1e-6, 1e-3))
@identity(14, "D_f(p || p + eps h) = f''(1)/2 eps^2 sum h^2/p + O(eps^3), sum h = 0", atol=1e-12)
def test_identity_14_second_order(see: Seen, name: str, pqv: Any, eps: float) -> None:
    p, _, v = pqv
    h = direction(p, v)
    g = d.GENERATORS[name]
    value = d.f_divergence(p, p + eps * h, name) - g.f(1.0)
    # p phi(eps h/p) with phi(x) = (1+x) f(1/(1+x)); |phi'''| <= 6/0.99^4 for |x| <= 0.01, the chi^2 being worst: 1.1 after / 6
    see.below(abs(value - g.curvature / 2 * eps**2 * (h**2 / p).sum()), 1.1 * eps**3 * (np.abs(h) ** 3 / p**2).sum())


@smooth
@given(pqv=with_values())
@identity(
    14, "d^2/deps^2 D_f(p || p + eps h) = f''(1) sum h^2/p at eps = 0, sum h = 0, by autodiff", atol=1e-12, rtol=1e-12
)
def test_identity_14_fisher_information_by_autodiff(see: Seen, name: str, pqv: Any) -> None:
    p, _, v = pqv
    h = direction(p, v)
    eps = mg.tensor(np.zeros(()), requires_grad=True)
    slope = mg.grad(d.f_divergence(p, p + eps * h, name), eps, create_graph=True)
    see.equal(slope, 0.0)
    see.equal(mg.grad(slope, eps), d.GENERATORS[name].curvature * (h**2 / p).sum())


# -- bounds ----------------------------------------------------------------------------------------------------------
@each
@given(pqv=with_values())
@identity(15, "E_p T - E_q f*(T) <= D_f(p || q), T in dom f*", atol=1e-12, rtol=1e-12)
def test_identity_15_variational_bound(see: Seen, name: str, pqv: Any) -> None:
    p, q, v = pqv
    t = d.GENERATORS[name].activation(v)
    see.below(d.variational_bound(t, p, q, name), d.f_divergence(p, q, name))


@each
@given(pq=tables(2))
@identity(15, "E_p T - E_q f*(T) = D_f(p || q) at T = f'(p/q)", atol=1e-13, rtol=1e-13)
def test_identity_15_tight_at_the_derivative(see: Seen, name: str, pq: Any) -> None:
    p, q = pq
    see.equal(d.variational_bound(d.optimal_t(p, q, name), p, q, name), d.f_divergence(p, q, name))


def bounds(t: Any, p: Any, q: Any) -> tuple[float, float]:
    weights: dict[str, Any] = {"weights_p": p, "weights_q": q}
    return estimators.nwj(t, t, **weights), estimators.donsker_varadhan(t, t, **weights)


@given(pqt=with_values(-10, 10))
@identity(16, "NWJ <= Donsker-Varadhan <= KL for all T", atol=1e-12)
def test_identity_16_order_of_the_bounds(see: Seen, pqt: Any) -> None:
    p, q, t = pqt
    nwj, dv = bounds(t, p, q)
    see.below(nwj, dv)
    see.below(dv, d.kl(p, q))


@given(pq=tables(2), c=floats(-5, 5))
@identity(16, "Donsker-Varadhan = KL at T = log(p/q) + c, NWJ = KL at T = 1 + log(p/q)", atol=1e-12)
def test_identity_16_tight_at_the_log_ratio(see: Seen, pq: Any, c: float) -> None:
    p, q = pq
    see.equal(bounds(np.log(p / q) + c, p, q)[1], d.kl(p, q))
    see.equal(bounds(1 + np.log(p / q), p, q)[0], d.kl(p, q))


@given(pqt=with_values(-3, 3))
@identity(16, "the gradient of Donsker-Varadhan in T is p - softmax(T + log q): 0 only at the log-ratio", atol=1e-12)
def test_identity_16_gradient_of_donsker_varadhan(see: Seen, pqt: Any) -> None:
    p, q, t = pqt
    tensor = mg.tensor(t, requires_grad=True)
    gradient = mg.grad(estimators.donsker_varadhan(tensor, tensor, weights_p=p, weights_q=q), tensor)
    see.equal(gradient, p - softmax(t + np.log(q)))
