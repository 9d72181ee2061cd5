"""Estimators from samples: what they converge to, and that they err as their docstrings say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial, special

import minigan as mg
from minigan.lessons.strategies import arrays
from minigan.theory import divergences, gaussians
from minigan.theory import estimators as e

LOG2 = math.log(2.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def near(values: Any, expected: float, *, deviations: float = 4.0, slack: float = 0.0) -> None:
    """The mean of independent values is within `deviations` standard errors of `expected`, plus `slack`."""
    values = np.asarray(values)
    error = values.std(ddof=1) / math.sqrt(values.size)
    assert abs(values.mean() - expected) <= deviations * error + slack, (values.mean(), expected, error)


# -- histograms ------------------------------------------------------------------------------------------------------
P, Q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.3, 0.3, 0.2, 0.2])


def draws(p: np.ndarray, n: int, seed: int) -> np.ndarray:
    return np.repeat(np.arange(p.size, dtype=float), rng(seed).multinomial(n, p))


def test_histograms_are_shares() -> None:
    p, q = e.histograms([0.0, 0.1, 0.9], [0.2, 1.0], bins=2)
    np.testing.assert_allclose([p, q], [[2 / 3, 1 / 3], [1 / 2, 1 / 2]])
    p, q = e.histograms([0.0, 0.1], [0.2, 1.0], bins=2, pseudocount=0.5)
    np.testing.assert_allclose([p, q], [[2.5 / 3, 0.5 / 3], [1.5 / 3, 1.5 / 3]])
    p, _ = e.histograms(rng().random((50, 2)), rng(1).random((60, 2)), bins=3)
    assert p.shape == (9,) and p.sum() == pytest.approx(1)


def test_histogram_estimates_are_those_of_the_tables() -> None:
    x, y = draws(P, 400, 0), draws(Q, 300, 1)
    tables = [np.bincount(s.astype(int), minlength=4) / s.size for s in (x, y)]
    assert e.histogram_kl(x, y, bins=4) == pytest.approx(divergences.kl(*tables), rel=1e-14)
    assert e.histogram_jsd(x, y, bins=4) == pytest.approx(divergences.jsd(*tables), rel=1e-14)


def test_a_bin_without_y_makes_kl_infinite_and_a_pseudocount_mends_it() -> None:
    x, y = [0.1, 0.5, 0.9], [0.1, 0.2, 0.95]
    assert e.histogram_kl(x, y, bins=3) == math.inf
    assert 0 < e.histogram_kl(x, y, bins=3, pseudocount=0.5) < 1
    assert e.histogram_jsd(x, y, bins=3) <= LOG2


@pytest.mark.parametrize("pair", [(P, P), (P, Q)], ids=["equal", "different"])
def test_the_bias_of_histogram_kl_has_its_formula(pair: Any) -> None:
    p, q = pair
    n, m = 2000, 1000
    values = [e.histogram_kl(draws(p, n, 2 * s), draws(q, m, 2 * s + 1), bins=4) for s in range(1500)]
    bias = (4 - 1) / (2 * n) + (p * (1 - q) / q).sum() / (2 * m)
    near(values, divergences.kl(p, q) + bias, slack=0.02 * bias)
    if p is q:
        assert bias == pytest.approx(3 / 2 * (1 / n + 1 / m))


@pytest.mark.parametrize("pair", [(P, P), (P, Q)], ids=["equal", "different"])
def test_the_bias_of_histogram_jsd_has_its_formula(pair: Any) -> None:
    p, q = pair
    n, m = 1000, (p + q) / 2
    values = [e.histogram_jsd(draws(p, n, 2 * s), draws(q, n, 2 * s + 1), bins=4) for s in range(1500)]
    bias = 3 / (2 * n) - ((p * (1 - p) + q * (1 - q)) / m).sum() / (8 * n)
    near(values, divergences.jsd(p, q) + bias, slack=0.02 * bias)
    if p is q:
        assert bias == pytest.approx(3 / (4 * n))


def test_too_many_bins_make_equal_laws_look_disjoint() -> None:
    x, y = rng(0).standard_normal((2, 100))
    assert e.histogram_jsd(x, y, bins=5) < 0.05
    assert e.histogram_jsd(x, y, bins=100_000) > 0.99 * LOG2


def test_binning_loses() -> None:
    """With many samples what is left is the loss by binning, which data processing makes negative."""
    x, y = rng(0).standard_normal(200_000), rng(1).standard_normal(200_000) + 1.0
    assert 0.3 < e.histogram_kl(x, y, bins=8, pseudocount=0.5) < 0.5


# -- nearest neighbours ----------------------------------------------------------------------------------------------
def test_constants() -> None:
    assert [e.digamma(n) for n in (1, 2, 7, 300)] == pytest.approx(
        [special.digamma(n) for n in (1, 2, 7, 300)], rel=1e-14
    )
    assert [e.log_ball(d) for d in (1, 2, 3)] == pytest.approx([LOG2, math.log(math.pi), math.log(4 / 3 * math.pi)])


def test_neighbours_by_hand() -> None:
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.5, 10.0])
    assert e.knn_entropy(x, k=1) == pytest.approx(e.digamma(3) - e.digamma(1) + LOG2 + math.log(1 * 1 * 2) / 3)
    assert e.knn_kl(x, y, k=1) == pytest.approx(
        (math.log(0.5 / 1) + math.log(0.5 / 1) + math.log(2.5 / 2)) / 3 + math.log(2 / 2)
    )


@pytest.mark.parametrize("k", [1, 3])
def test_entropy_of_the_circle_is_unbiased(k: int) -> None:
    """Uniform on a circle of length 1, by distances along it: x in [0, 1) with its copies beside it has no ends."""
    values = []
    for seed in range(400):
        x = np.sort(rng(seed).random(20))
        distance = np.abs(x[:, None] - x[None, :])
        distance = np.sort(np.minimum(distance, 1 - distance), axis=1)[:, k]
        values.append(e.digamma(20) - e.digamma(k) + e.log_ball(1) + np.log(distance).mean())
    near(values, 0.0)


def mean_bias(draw: Any, truth: float, n: int, repeats: int = 100) -> tuple[float, float]:
    """(mean of the estimate - truth, its standard error)."""
    values = [e.knn_entropy(draw(rng(s), (n, 2)), k=3) - truth for s in range(repeats)]
    return float(np.mean(values)), float(np.std(values) / math.sqrt(repeats))


def test_entropy_of_gaussians_is_too_low_and_of_a_square_too_high() -> None:
    for draw, truth, sign in (
        (lambda r, shape: r.standard_normal(shape), gaussians.entropy(np.eye(2)), -1),
        (lambda r, shape: r.random(shape), 0.0, 1),
    ):
        few, error = mean_bias(draw, truth, 50, repeats=500)
        many, error_of_many = mean_bias(draw, truth, 300)
        assert sign * few > 4 * error
        assert abs(many) < 0.6 * abs(few) + 2 * error_of_many


def test_kl_of_gaussians() -> None:
    near(
        [e.knn_kl(rng(s).standard_normal(1000), rng(s + 999).standard_normal(1000) + 1) for s in range(40)],
        0.5,
        slack=0.02,
    )
    near(
        [e.knn_kl(rng(s).standard_normal((500, 2)), rng(s + 999).standard_normal((400, 2))) for s in range(60)],
        0.0,
        slack=0.01,
    )


def test_kl_of_far_laws_is_too_low() -> None:
    far = e.knn_kl(rng(0).standard_normal(500), rng(1).standard_normal(500) + 20)
    assert 0 < far < 15 < gaussians.kl(0.0, 1.0, 20.0, 1.0)


def test_blocks_give_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng(0).standard_normal((30, 2)), rng(1).standard_normal((20, 2))
    whole = e.knn_kl(x, y), e.knn_entropy(x)
    monkeypatch.setattr(e, "BLOCK", 100)
    assert (e.knn_kl(x, y), e.knn_entropy(x)) == pytest.approx(whole, rel=1e-14)


def test_neighbour_estimates_are_differentiable() -> None:
    x, y = rng(0).standard_normal((8, 2)), rng(1).standard_normal((9, 2))
    mg.gradcheck(lambda a, b: e.knn_kl(a, b), (x, y))
    mg.gradcheck(e.knn_entropy, x)
    moved = mg.tensor(x, requires_grad=True)
    gradient = mg.grad(e.knn_entropy(moved), moved)
    np.testing.assert_allclose(gradient.data.sum(axis=0), 0, atol=1e-12)  # a shift of all changes no entropy
    assert (gradient.data * x).sum() == pytest.approx(2)  # a scale by 1 + s adds d s


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: e.knn_entropy([0.0, 0.0, 1.0], k=1), "equal samples"),
        (lambda: e.knn_entropy([0.0, 1.0], k=2), "got k = 2"),
        (lambda: e.knn_kl(np.zeros((3, 2)), np.zeros((3, 1))), "2 and 1 coordinates"),
        (lambda: e.histogram_kl([], [1.0], bins=2), "got samples of shape"),
        (lambda: e.histogram_kl([math.inf], [1.0], bins=2), "not finite"),
        (lambda: e.histogram_kl([0.0], [1.0], bins=0), "0 bins"),
        (lambda: e.histogram_kl([0.0], [1.0], bins=2, pseudocount=-1), "pseudocount -1"),
        (lambda: e.infonce([1.0, 2.0]), "expected"),
        (lambda: e.donsker_varadhan([], [1.0]), "at least one value"),
        (lambda: e.nwj([1.0], [1.0], weights_p=[0.5]), "expected probabilities"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -- bounds ----------------------------------------------------------------------------------------------------------
@given(t_p=arrays((3,), -20, 20), t_q=arrays((4,), -20, 20))
def test_bounds_are_their_formulas(t_p: np.ndarray, t_q: np.ndarray) -> None:
    assert e.donsker_varadhan(t_p, t_q) == pytest.approx(t_p.mean() - np.log(np.exp(t_q).mean()), abs=1e-12)
    assert e.nwj(t_p, t_q) == pytest.approx(t_p.mean() - np.exp(t_q - 1).mean(), rel=1e-12, abs=1e-12)
    assert e.nwj(t_p, t_q) <= e.donsker_varadhan(t_p, t_q) + 1e-12
    assert e.donsker_varadhan(t_p, t_q) <= t_p.max() - t_q.max() + math.log(4) + 1e-12  # whatever the critic


def test_bounds_survive_large_values() -> None:
    assert e.donsker_varadhan([800.0, 800.0], [800.0, 800.0]) == 0
    assert e.nwj([0.0], [800.0]) == -math.inf
    assert e.donsker_varadhan([0.0], [-math.inf, 0.0]) == pytest.approx(LOG2)


def gaussian_critic(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """log(p/q) = x - 1/2 on samples of p = N(1, 1) and q = N(0, 1): KL = 1/2."""
    random = rng(seed)
    return random.standard_normal(n) + 0.5, random.standard_normal(n) - 0.5


def test_donsker_varadhan_is_too_high_by_its_formula() -> None:
    n = 100
    values = [e.donsker_varadhan(*gaussian_critic(n, s)) for s in range(4000)]
    bias = (math.e - 1) / (2 * n)  # Var(e^T) / (2 n E[e^T]^2), T = log(p/q): chi^2 = e - 1
    near(values, 0.5 + bias, slack=0.15 * bias)
    assert np.mean(values) > 0.5


def test_nwj_is_unbiased_with_the_stated_variance() -> None:
    n = 100
    values = []
    for s in range(4000):
        t_p, t_q = gaussian_critic(n, s)
        values.append(e.nwj(t_p + 1, t_q + 1))
    near(values, 0.5)
    assert np.var(values) == pytest.approx((1 + math.e - 1) / n, rel=0.15)


def test_infonce_is_too_low_and_below_log_k() -> None:
    """Correlated Gaussians with I = -log(1 - rho^2)/2 = 1.66 and the best score, log p(y|x)/p(y)."""
    rho, k = 0.98, 8
    truth = -0.5 * math.log(1 - rho**2)
    values = []
    for s in range(300):
        x, noise = rng(s).standard_normal((2, k))
        y = rho * x + math.sqrt(1 - rho**2) * noise
        values.append(e.infonce(-((y[None, :] - rho * x[:, None]) ** 2) / (2 * (1 - rho**2)) + y[None, :] ** 2 / 2))
    assert max(values) <= math.log(k) + 1e-12
    assert np.mean(values) + 4 * np.std(values) / math.sqrt(300) < truth
    assert np.mean(values) > 0.7 * truth


def test_infonce_by_hand_in_batches() -> None:
    scores = np.stack([np.eye(3) * 1e3, np.zeros((3, 3))])
    np.testing.assert_allclose(e.infonce(scores), [math.log(3), 0.0], atol=1e-15)


def test_bounds_are_differentiable() -> None:
    t_p, t_q = rng(0).standard_normal((2, 5))
    for bound in (e.donsker_varadhan, e.nwj):
        mg.gradcheck(bound, (t_p, t_q))
    mg.gradcheck(e.infonce, rng(1).standard_normal((2, 3, 3)))


# -- neighbours on the line, ends of the floats, what is refused -----------------------------------------------------
@given(n=st.integers(2, 40), m=st.integers(1, 40), seed=st.integers(0, 99))
def test_neighbours_on_the_line_are_those_of_a_tree(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 1)), rng.standard_normal((m, 1))
    for k in {1, min(n - 1, m), (1 + min(n - 1, m)) // 2}:
        own = spatial.cKDTree(x).query(x, k=[k + 1])[0][:, 0]
        other = spatial.cKDTree(y).query(x, k=[k])[0][:, 0]
        chosen = e._neighbours(x, y, k, skip_self=False)
        np.testing.assert_array_equal(np.abs(x - y[chosen])[:, 0], other)
        chosen = e._neighbours(x, x, k, skip_self=True)
        np.testing.assert_array_equal(np.abs(x - x[chosen])[:, 0], own)
        assert (chosen != np.arange(n)).all()


def test_many_samples_on_the_line_are_quick() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(200_000), rng.standard_normal(200_000) + 1.0
    assert e.knn_kl(x, y) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("scale", [1e-200, 1e-170, 1e160, 1e200])
@pytest.mark.parametrize("d", [1, 3])
def test_entropy_shifts_by_the_logarithm_of_the_scale(scale: float, d: int) -> None:
    x = np.random.default_rng(1).standard_normal((50, d))
    shift = d * math.log(scale)
    assert e.knn_entropy(scale * x) - shift == pytest.approx(e.knn_entropy(x), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: e.histogram_kl([0.0, 1.0], [0.0, 1.0], bins=20.5), "got 20.5 bins"),
        (lambda: e.histograms(np.zeros((3, 30)), np.ones((3, 30)), bins=np.int64(8)), "expected 1 to"),
        (lambda: e.knn_entropy([0.0, 1.0, 3.0], k=1.5), "k = 1.5"),
        (lambda: e.donsker_varadhan([1.0, 2.0], [1.0, 2.0], weights_p=[0.5, 0.6]), "with sum 1.1"),
        (lambda: e.donsker_varadhan([1.0, 2.0], [1.0, 2.0], weights_p=[1.0]), "the values' shape"),
        (lambda: e.nwj([1.0, math.inf], [1.0, 2.0]), "NaN or inf"),
        (lambda: e.infonce([[math.inf, 0.0], [0.0, 1.0]]), "NaN or inf"),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
