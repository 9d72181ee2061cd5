"""Identities 56 to 63: latent variables, relaxations, and the metrics made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from identity import identity
from scipy import special, stats

import minigan as mg
from minigan import ops
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import information, relaxation, transport


@st.composite
def conditionals(draw: Any, rows: int, columns: int) -> np.ndarray:
    """(rows, columns), a probability table in each row."""
    return special.softmax(draw(arrays((rows, columns), -6, 6)), axis=-1)


@st.composite
def joints(draw: Any, largest: int = 6) -> np.ndarray:
    n, m = draw(st.integers(2, largest)), draw(st.integers(2, largest))
    return special.softmax(draw(arrays((n, m), -6, 6)))


# -- information -----------------------------------------------------------------------------------------------------
@given(joint=joints(), data=st.data())
@identity(56, "I(x; c) = E log q(c|x) + H(c) + E_x KL(p(c|x) || q(c|x)), so the InfoGAN bound is below I", atol=1e-12)
def test_identity_56_infogan_bound_and_its_gap(see, joint, data):
    q = data.draw(conditionals(*joint.shape))
    x = joint.sum(axis=1)
    gap = sum(w * stats.entropy(row, other) for w, row, other in zip(x, joint / x[:, None], q, strict=True))
    bound, true = information.infogan_bound(joint, q), information.mutual_information(joint)
    see.equal(bound + gap, true)
    see.below(bound, true)
    see.equal(information.infogan_bound(joint, joint / x[:, None]), true)


@given(sizes=st.tuples(st.integers(2, 6), st.integers(2, 6)), data=st.data())
@identity(57, "log p(x) = ELBO(x) + KL(q(z|x) || p(z|x)), for every x", atol=1e-12)
def test_identity_57_elbo_and_its_gap(see, sizes, data):
    latent, visible = sizes
    (prior,) = data.draw(tables(1, min_size=latent, max_size=latent))
    likelihood, q = data.draw(conditionals(latent, visible)), data.draw(conditionals(visible, latent))
    lower, gap = information.elbo(prior, likelihood, q), information.elbo_gap(prior, likelihood, q)
    evidence = np.log(prior @ likelihood)
    see.equal(lower + gap, evidence)
    see.below(lower, evidence)
    see.equal(information.elbo(prior, likelihood, information.posterior(prior, likelihood)), evidence)


@given(joint=joints(4), samples=st.integers(1, 4), data=st.data())
@identity(58, "InfoNCE with K samples <= min(log K, I(X; Y)), for every critic", atol=1e-12)
def test_identity_58_infonce_is_below_log_k(see, joint, samples, data):
    scores = data.draw(arrays(joint.shape, -20, 20))
    bound = information.infonce_bound(joint, scores, samples=samples)
    see.below(bound, np.log(samples))
    see.below(bound, information.mutual_information(joint))
    best = information.infonce_bound(joint, np.log(joint / joint.sum(axis=0)), samples=samples)
    see.below(best, np.log(samples))
    see.below(best, information.mutual_information(joint))


# -- two estimators of one gradient ----------------------------------------------------------------------------------
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()  # an average over standard normal noise, exact for polynomials up to degree 159


def log_normal(x: Any, mean: Any, deviation: Any) -> Any:
    return -0.5 * ops.square((x - mean) / deviation) - ops.log(deviation) - 0.5 * np.log(2 * np.pi).item()


def both_estimators(f: Any, mean: float, deviation: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """d/d(mean, deviation) of E f(x), x ~ N(mean, deviation^2): noise reparameterised; density differentiated."""
    m, s = (mg.tensor(np.array(v), requires_grad=True) for v in (mean, deviation))
    through_samples = ops.sum(f(m + s * NODES) * WEIGHTS)
    fixed = mean + deviation * NODES
    through_density = ops.sum(f(mg.tensor(fixed)) * WEIGHTS * log_normal(mg.tensor(fixed), m, s))
    return [g.data for g in mg.grad(through_samples, (m, s))], [g.data for g in mg.grad(through_density, (m, s))]


@given(mean=floats(-2, 2), deviation=floats(0.2, 1.5), k=floats(0.1, 2.0), c=floats(-1, 1))
@identity(59, "Reparameterised = score-function = analytic gradient of E f(x), x ~ N(m, s^2) (Gauss-Hermite, f = sin kx + c x^3)",
          atol=1e-10)  # fmt: skip
def test_identity_59_three_gradients_agree(see, mean, deviation, k, c):
    noise, score = both_estimators(lambda x: ops.sin(k * x) + c * x * x * x, mean, deviation)
    damped = np.exp(-((k * deviation) ** 2) / 2)  # E sin kx = damped sin km,  E x^3 = m^3 + 3 m s^2
    analytic = [
        k * damped * np.cos(k * mean) + c * (3 * mean**2 + 3 * deviation**2),
        -(k**2) * deviation * damped * np.sin(k * mean) + 6 * c * mean * deviation,
    ]
    see.equal(noise, analytic)
    see.equal(score, analytic)


@identity(
    59,
    "The score estimator is not always the noisier: f = sin, m = .7, s = 1.3 has variances .198 against .395",
    atol=1e-3,
)
def test_identity_59_variances_for_the_sine(see):
    mean, deviation = 0.7, 1.3
    x = mean + deviation * NODES

    def variance(values):
        return WEIGHTS @ values**2 - (WEIGHTS @ values) ** 2

    see.equal(variance(np.sin(x) * NODES / deviation), 0.198)
    see.equal(variance(np.cos(x)), 0.395)


# -- choices that can be differentiated ------------------------------------------------------------------------------
@given(logits=st.integers(2, 6).flatmap(lambda k: arrays(k, -4, 4)))
@identity(60, "P(argmax_k (l_k + G_k) = i) = softmax(l)_i: an integral over the winner's noise", atol=1e-10)
def test_identity_60_gumbel_max_is_softmax(see, logits):
    g = np.linspace(
        -6.0, 40.0, 4001
    )  # the density is analytic and vanishes at both ends: the trapezium rule is exact to rounding

    def below(t):
        return np.exp(-np.exp(-t))

    middle = g[np.abs(g) < 5]
    see.equal(relaxation.gumbel(below(middle)), middle)  # below is the distribution function of the noise
    density = np.exp(-g - np.exp(-g))
    others = [
        np.prod([below(g + logits[i] - other) for other in np.delete(logits, i)], axis=0) for i in range(len(logits))
    ]
    see.equal([(density * other).sum() * (g[1] - g[0]) for other in others], special.softmax(logits))


@settings(max_examples=5)
@given(pq=tables(1, max_size=5, bound=2.0), seed=st.integers(0, 2**20))
@identity(60, "The frequencies of 20,000 Gumbel-max draws are those of the table, to 5 standard deviations", atol=0.0)
def test_identity_60_frequencies_of_draws(see, pq, seed):
    (p,) = pq
    noise = relaxation.gumbel(mg.random.uniform((20_000, len(p)), seed=seed, dtype=np.float64).numpy())
    counted = relaxation.gumbel_max(np.log(p), noise).mean(axis=0)
    see.below(np.abs(counted - p), 5 * np.sqrt(p * (1 - p) / 20_000))


@given(logits=st.integers(2, 6).flatmap(lambda k: arrays((2, k), -4, 4)))
@identity(60, "softmax((l + G)/tau) tends to one-hot as tau -> 0, to 1/K as tau -> inf", atol=1e-12)
def test_identity_60_limits_of_the_temperature(see, logits):
    scores = np.sort(logits.sum(axis=0))
    k, lead, spread = len(scores), scores[-1] - scores[-2], scores[-1] - scores[0]
    choice = relaxation.gumbel_max(*logits)
    see.equal(choice.sum(), 1.0)
    for temperature in (1.0, 0.1, 0.01):  # the losers share at most (k - 1) e^(-lead / temperature)
        soft = relaxation.gumbel_softmax(*logits, temperature=temperature)
        see.below(np.abs(soft - choice).max(), (k - 1) * np.exp(-lead / temperature) + (lead == 0))
    for temperature in (10.0, 1e3, 1e6):  # no two shares differ by a larger factor than e^(spread / temperature)
        soft = relaxation.gumbel_softmax(*logits, temperature=temperature)
        see.below(np.abs(soft - 1 / k), np.expm1(spread / temperature) / k)


# -- metrics ---------------------------------------------------------------------------------------------------------
@st.composite
def gaussians(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(m1, S1, m2, S2, Q), covariances with eigenvalues of at least 0.1 (below, the roots of rounding errors, 1e-8, would
    show in the eigenvalues of S1 S2), Q orthogonal."""
    d = draw(st.integers(1, 6))
    m1, m2 = draw(arrays((2, d), -3, 3))
    s1, s2 = (x @ x.T / d + 0.1 * np.eye(d) for x in draw(arrays((2, d, d), -2, 2)))
    q, _ = np.linalg.qr(draw(arrays((d, d), -1, 1)) + 3 * np.eye(d))
    return m1, s1, m2, s2, q


@given(laws=gaussians())
@identity(61, "tr (S1^1/2 S2 S1^1/2)^1/2 = tr (S1 S2)^1/2; FID symmetric and orthogonally invariant", atol=1e-10)
def test_identity_61_frechet_distance(see, laws):
    m1, s1, m2, s2, q = laws
    value = transport.frechet_distance(m1, s1, m2, s2)
    roots = np.sqrt(np.linalg.eigvals(s1 @ s2).real)  # similar to S1^1/2 S2 S1^1/2: the same eigenvalues, all positive
    see.equal(value, ((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * roots.sum())
    see.equal(value, transport.frechet_distance(m2, s2, m1, s1))
    see.equal(value, transport.frechet_distance(q @ m1, q @ s1 @ q.T, q @ m2, q @ s2 @ q.T))


@given(factors=st.tuples(st.integers(2, 8), st.integers(1, 3)).flatmap(lambda size: arrays((2, *size), -2, 2)))
@identity(
    61, "FID of singular covariances S = A A^T: tr S1 + tr S2 - 2 |A^T B|_*, the sum of singular values", atol=1e-10
)
def test_identity_61_of_fewer_samples_than_features(see, factors):
    a, b = np.round(
        factors
    )  # whole numbers: an eigenvalue is 0 or far from it, and no root of a rounding error is asked for
    d = len(a)
    zero, s1, s2 = np.zeros(d), a @ a.T, b @ b.T
    scale = np.trace(s1) + np.trace(s2) + 1.0  # rounding is relative to the traces
    value = transport.frechet_distance(zero, s1, zero, s2)
    nuclear = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    see.equal(value / scale, (np.trace(s1) + np.trace(s2) - 2 * nuclear) / scale)
    see.equal(value / scale, transport.frechet_distance(zero, s2, zero, s1) / scale)
    q, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, d)))
    see.equal(value / scale, transport.frechet_distance(zero, q @ s1 @ q.T, zero, q @ s2 @ q.T) / scale)


@given(data=st.data(), n=st.integers(1, 12), k=st.integers(2, 10))
@identity(62, "1 <= IS <= K, and IS = exp I(x; y) of equally likely samples", atol=1e-12)
def test_identity_62_range_of_the_inception_score(see, data, n, k):
    rows = data.draw(conditionals(n, k))
    score = information.inception_score(rows)
    see.below(1.0, score)
    see.below(score, k)
    see.equal(np.log(score), information.mutual_information(rows / n))
    see.equal(information.inception_score(np.eye(k)), k)
    see.equal(information.inception_score(np.tile(rows[0], (n, 1))), 1.0)


@identity(
    63,
    "FID of n draws from N(0, I), d = 16, against N(0, I) itself: 2.9/.70/.15/.046 for n = 32/128/512/2048 (trend); to first "
    "order (d + d(d+1)/4) / n, and twice that between two samples",
    atol=0.0,
    rtol=0.15,  # three standard errors of the mean of 20 trials, and 8 % of higher orders at n = 32
    corrected="the figures are those of one sample against the exact law; between two samples the bias is twice as large",
)
def test_identity_63_bias_of_the_frechet_distance(see):
    d, trials = 16, range(20)
    exact = np.zeros(d), np.eye(d)
    before = np.inf
    for n, listed in ((32, 2.9), (128, 0.70), (512, 0.15), (2048, 0.046)):
        draws = [mg.random.normal((2, n, d), seed=t, stream=f"fid {n}", dtype=np.float64).numpy() for t in trials]
        moments = [[(x.mean(axis=0), np.cov(x.T)) for x in pair] for pair in draws]
        one = np.mean([transport.frechet_distance(*first, *exact) for first, _ in moments])
        two = np.mean([transport.frechet_distance(*first, *second) for first, second in moments])
        see.equal(one, listed)
        see.equal(one, (d + d * (d + 1) / 4) / n)  # |mean|^2 gives d/n; a quarter of |S - I|^2 gives d(d+1)/4n
        see.equal(two, 2 * one)
        see.below(3 * one, before)  # four times the draws, at most a third of the bias
        before = one
