"""Information and relaxations: closed forms, zeros, batches, errors, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import minigan as mg
from minigan import ops
from minigan.lessons.strategies import arrays, tables
from minigan.theory import information, relaxation

rng = np.random.default_rng(11)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def rows(shape: tuple[int, ...], low: float = -8, high: float = 8) -> st.SearchStrategy[np.ndarray]:
    return arrays(shape, low, high).map(lambda logits: special.softmax(logits, axis=-1))


def joints() -> st.SearchStrategy[np.ndarray]:
    return SHAPES.flatmap(lambda shape: arrays(shape, -8, 8)).map(lambda logits: special.softmax(logits))


@given(joint=joints())
def test_information_agrees_with_scipy_entropies(joint: np.ndarray) -> None:
    def h(p):
        return float(stats.entropy(p.ravel()))

    x, y = joint.sum(1), joint.sum(0)
    assert information.mutual_information(joint) == pytest.approx(h(x) + h(y) - h(joint), abs=1e-12)
    assert information.conditional_entropy(joint) == pytest.approx(h(joint) - h(x), abs=1e-12)
    assert information.mutual_information(joint.T) == pytest.approx(information.mutual_information(joint), abs=1e-13)


def test_information_of_extremes() -> None:
    assert information.mutual_information(np.eye(4) / 4) == pytest.approx(np.log(4), abs=1e-15)
    assert information.conditional_entropy(np.eye(4) / 4) == 0
    assert information.mutual_information(np.outer([0.3, 0.7, 0.0], [0.2, 0.8])) == pytest.approx(0, abs=1e-16)
    assert information.mutual_information(np.diag([1 - 1e-200, 1e-200])) == pytest.approx(200 * np.log(10) * 1e-200)
    assert information.mutual_information([[1.0]]) == 0


def test_information_comes_in_batches() -> None:
    joint = rng.dirichlet(np.ones(12), size=5).reshape(5, 3, 4)
    each = information.mutual_information(joint)
    assert each.shape == (5,)
    assert each[3] == pytest.approx(information.mutual_information(joint[3]), abs=1e-15)
    prior, likelihood, q = (
        rng.dirichlet(np.ones(3), 2),
        rng.dirichlet(np.ones(4), (2, 3)),
        rng.dirichlet(np.ones(3), (2, 4)),
    )
    np.testing.assert_allclose(
        information.elbo(prior, likelihood, q)[1], information.elbo(prior[1], likelihood[1], q[1]), atol=1e-15
    )


def test_infogan_bound_with_zeros() -> None:
    joint = np.eye(2) / 2
    assert information.infogan_bound(joint, np.eye(2)) == pytest.approx(np.log(2))
    assert information.infogan_bound(joint, 1 - np.eye(2)) == -np.inf
    assert information.infogan_bound(joint, np.full((2, 2), 0.5)) == pytest.approx(0, abs=1e-15)


def test_elbo_of_a_mixture_by_hand() -> None:
    prior, likelihood = np.array([0.25, 0.75]), np.array([[0.8, 0.2, 0.0], [0.4, 0.6, 0.0]])
    q = np.array([[0.5, 0.5], [1.0, 0.0], [0.3, 0.7]])
    evidence = [0.5, 0.5, 0.0]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(information.log_evidence(prior, likelihood), np.log(evidence), atol=1e-15)
    np.testing.assert_allclose(information.posterior(prior, likelihood), [[0.4, 0.6], [0.1, 0.9], prior], atol=1e-15)
    by_hand = 0.5 * np.log(0.2 / 0.5) + 0.5 * np.log(0.3 / 0.5)
    np.testing.assert_allclose(information.elbo(prior, likelihood, q), [by_hand, np.log(0.05), -np.inf], atol=1e-15)
    gaps = [np.log(0.5) - by_hand, np.log(10), stats.entropy(q[2], prior)]
    np.testing.assert_allclose(information.elbo_gap(prior, likelihood, q), gaps, atol=1e-15)


def test_elbo_where_q_asks_for_what_the_model_excludes() -> None:
    likelihood = np.array([[1.0, 0.0], [0.5, 0.5]])
    q = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert information.elbo([0.5, 0.5], likelihood, q)[1] == -np.inf
    assert information.elbo_gap([0.5, 0.5], likelihood, q)[1] == np.inf


def test_infonce_bound_by_enumeration() -> None:
    joint, scores = rng.dirichlet(np.ones(6)).reshape(2, 3), rng.normal(size=(2, 3))
    lone, total = joint.sum(0), 0.0
    for x, y, z, w in np.ndindex(2, 3, 3, 3):
        spread = np.exp(scores[x, [y, z, w]])
        total += joint[x, y] * lone[z] * lone[w] * np.log(spread[0] / spread.mean())
    assert information.infonce_bound(joint, scores, samples=3) == pytest.approx(total, abs=1e-14)
    assert information.infonce_bound(joint, scores, samples=1) == pytest.approx(0, abs=1e-15)
    best = [information.infonce_bound(joint, np.log(joint / lone), samples=k) for k in (2, 4, 8)]
    assert best[0] < best[1] < best[2] < information.mutual_information(joint)
    mg.gradcheck(lambda s: information.infonce_bound(joint, s, samples=3), scores)


def test_inception_score_of_extremes() -> None:
    assert information.inception_score(np.eye(10)) == pytest.approx(10, rel=1e-14)
    assert information.inception_score(np.repeat(rng.dirichlet(np.ones(10), 1), 7, axis=0)) == pytest.approx(
        1, abs=1e-14
    )
    assert information.inception_score(np.eye(10)[:4]) == pytest.approx(4, rel=1e-14)
    assert information.inception_score(np.stack([np.eye(3), np.full((3, 3), 1 / 3)])).shape == (2,)


def test_derivatives() -> None:
    soft = ops.softmax

    def measures(logits: Any) -> Any:
        joint = ops.reshape(soft(ops.reshape(logits, (2, 12))), (2, 3, 4))
        return information.mutual_information(joint), information.conditional_entropy(joint)

    def bounds(a: Any, b: Any, c: Any) -> Any:
        tables = soft(a), soft(b), soft(c)
        return information.elbo(*tables), information.elbo_gap(*tables), information.log_evidence(*tables[:2])

    mg.gradcheck(measures, rng.normal(size=(2, 3, 4)))
    mg.gradcheck(bounds, (rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=(4, 3))))
    mg.gradcheck(lambda a: information.inception_score(soft(a)), rng.normal(size=(3, 4)))
    joint = rng.dirichlet(np.ones(6)).reshape(2, 3)
    mg.gradcheck(lambda a: information.infogan_bound(joint, soft(a)), rng.normal(size=(2, 3)))


def test_float32_stays_float32() -> None:
    joint = mg.tensor(np.full((2, 2), 0.25, np.float32))
    assert information.mutual_information(joint).dtype == np.float32


@given(pq=tables(1, max_size=6), shift=st.floats(-3, 3))
def test_gumbel_choice_is_one_hot_and_ignores_shifts(pq: Any, shift: float) -> None:
    logits = np.log(pq[0])
    noise = relaxation.gumbel(np.linspace(0.1, 0.9, len(logits)))
    choice = relaxation.gumbel_max(logits, noise)
    assert choice.sum() == 1 and choice[np.argmax(logits + noise)] == 1
    soft = relaxation.gumbel_softmax(logits, noise, temperature=0.7)
    np.testing.assert_allclose(relaxation.gumbel_softmax(logits + shift, noise, temperature=0.7), soft, atol=1e-13)
    assert soft.sum() == pytest.approx(1) and np.argmax(soft) == np.argmax(logits + noise)


def test_gumbel_noise_has_its_distribution_function_and_derivatives() -> None:
    g = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(relaxation.gumbel(stats.gumbel_r.cdf(g)), g, atol=1e-14)
    assert (relaxation.gumbel_max([2.0, 2.0, 1.0], [0.0, 0.0, 1.0]) == [1, 0, 0]).all()  # of equal ones the first
    mg.gradcheck(
        lambda a, b: relaxation.gumbel_softmax(a, b, temperature=0.5),
        (rng.normal(size=(3, 4)), rng.normal(size=(3, 4))),
    )


BAD: list[tuple[Any, str]] = [
    (lambda: information.mutual_information([0.5, 0.5]), r"joint: got shape \(2,\)"),
    (lambda: information.mutual_information(np.eye(2)), "sum 2"),
    (lambda: information.conditional_entropy([[-0.5, 1.5]]), "probability -0.5"),
    (lambda: information.infogan_bound(np.eye(2) / 2, np.ones((2, 1))), "expected equal ones"),
    (lambda: information.infogan_bound(np.eye(2) / 2, np.ones((2, 2))), "q: got probabilities"),
    (lambda: information.infonce_bound(np.eye(2) / 2, np.ones((2, 3)), samples=2), "expected equal ones"),
    (lambda: information.infonce_bound(np.eye(2) / 2, np.ones((2, 2)), samples=40), "samples: got 40"),
    (lambda: information.elbo([1.0], np.full((2, 2), 0.5), np.full((2, 2), 0.5)), "prior, likelihood: got shapes"),
    (lambda: information.elbo([0.5, 0.5], np.full((2, 4), 0.25), np.full((2, 4), 0.25)), "a row for each x"),
    (lambda: information.inception_score([0.5, 0.5]), r"expected a table for each sample"),
    (lambda: relaxation.gumbel_softmax([1.0], [0.0], temperature=0.0), "temperature: got 0.0"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_mutual_information_lets_pass_what_its_check_lets_pass() -> None:
    joint = np.full((2, 2), 0.25) * (1 + 8e-7)
    assert information.mutual_information(joint) == pytest.approx(0, abs=1e-12)
