"""What theory's functions take: lists, numbers, arrays of both float dtypes, tensors; and what they give back."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minigan as mg
from minigan import ops, theory
from minigan.autodiff import Tensor
from minigan.theory import (
    arrays,
    densities,
    divergences,
    dynamics,
    estimators,
    gaussians,
    information,
    optimal,
    transport,
)

F32, F64 = np.float32, np.float64
P, Q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
EYE = np.eye(2)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((1.0, [2, 3]), F64),
        ((np.ones(2, F32), 1.0, [0.5, 0.5]), F32),
        ((np.ones(2, F32), np.ones(2)), F64),
        ((np.ones(2, F32), np.array(3.0), np.arange(2)), F32),
        ((Tensor(np.ones(2, F32)), np.ones(2)), F64),
        ((Tensor(np.array(1.0)), np.ones(2, F32)), F64),
    ],
)
def test_arrays_decide_the_dtype_and_numbers_and_lists_take_it(values: Any, dtype: Any) -> None:
    assert {t.dtype for t in arrays.in_one_dtype(*values)} == {np.dtype(dtype)}


@pytest.mark.parametrize("bad", [None, "text", 1j, [None, 1.0]])
def test_what_is_no_number_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="expected real numbers"):
        divergences.kl(bad, Q)


def mixed(function: Any, *args: Any) -> Any:
    """The arguments in turn float32 and float64."""
    return function(*(np.asarray(a, F64 if i % 2 else F32) for i, a in enumerate(args)))


MIXTURES: dict[str, tuple[Any, ...]] = {
    "kl": (divergences.kl, P, Q),
    "cross_entropy": (divergences.cross_entropy, P, Q),
    "variational_bound": (lambda t, p, q: divergences.variational_bound(t, p, q, "kl"), [0.5, 1.5], P, Q),
    "gaussians.kl": (gaussians.kl, [0.0, 1.0], EYE, [1.0, 1.0], 2 * EYE),
    "log_density": (gaussians.log_density, [[0.5, 1.0]], [0.0, 0.0], EYE),
    "wasserstein_1d": (transport.wasserstein_1d, [0.0, 1.0], [1.0, 3.0]),
    "kantorovich_critic": (transport.kantorovich_critic, P, Q, [0.0, 1.0]),
    "frechet_distance": (transport.frechet_distance, [0.0, 1.0], EYE, [1.0, 1.0], 2 * EYE),
    "mmd_squared": (transport.mmd_squared, [[0.0], [1.0], [2.5]], [[1.0], [3.0], [0.5]]),
    "sliced": (transport.sliced_wasserstein, [[0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [3.0, 0.5]]),
    "knn_kl": (lambda x, y: estimators.knn_kl(x, y, k=1), [0.0, 1.0, 2.5], [1.5, 3.0, 0.5]),
    "donsker_varadhan": (estimators.donsker_varadhan, [0.5, 1.0], [0.25, 2.0]),
    "elbo": (information.elbo, P, [Q, P], [Q, Q]),
    "infogan_bound": (information.infogan_bound, [P / 2, Q / 2], [Q, P]),
    "bilinear_game": (
        lambda a, x, y: dynamics.vector_field(dynamics.bilinear_game(a), (x, y))[0], EYE, [1.0, 2.0], [0.5, 0.5]
    ),
    "game_jacobian": (lambda x, y: dynamics.game_jacobian(dynamics.bilinear_game(), (x, y)), [1.0, 2.0], [0.5, 0.5]),
    "regret": (optimal.regret, [0.25, 0.5], P, Q),
    "minimax": (optimal.minimax.discriminator, [0.25, 0.5], P, Q),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_float32_beside_float64_computes_in_float64(name: str) -> None:
    function, *args = MIXTURES[name]
    np.testing.assert_allclose(mixed(function, *args), function(*map(np.asarray, args)), rtol=1e-6, atol=1e-6)


def test_python_numbers_leave_float32_alone() -> None:
    x = Tensor(np.zeros(3, F32))
    assert gaussians.log_density(x, 0.0, 1.0).dtype == F32
    assert divergences.kl(Tensor(P.astype(F32)), [0.5, 0.5]).dtype == F32
    assert transport.kantorovich_critic(P.astype(F32), Q.astype(F32), [0, 1]).dtype == F32
    critic = mg.tensor(np.zeros(2, F32), requires_grad=True)
    assert mg.grad(divergences.variational_bound(critic, P, Q, "kl"), critic).dtype == F32


def test_densities_of_both_dtypes() -> None:
    p, q = (lambda x, m=m: gaussians.log_density(x, Tensor(np.array(m, F32)), 1.0) for m in (0.0, 1.0))
    value = densities.kl_1d(p, lambda x: gaussians.log_density(x, 1.0, 1.0), low=-20, high=20)
    assert value.item() == pytest.approx(0.5, rel=1e-6)
    assert densities.kl_1d(p, q, low=-20, high=20).item() == pytest.approx(0.5, rel=1e-6)


def test_the_generator_gradient_without_a_graph() -> None:
    """Arrays in, arrays out, also where no graph is recorded."""
    args = (optimal.minimax, [0.2, 0.8], lambda t: ops.softmax(t, -1), [0.1, 0.2])
    for frozen in (True, False):
        expected = optimal.generator_gradient(*args, frozen=frozen)
        with mg.no_grad():
            assert np.array_equal(optimal.generator_gradient(*args, frozen=frozen), expected)
            theta = mg.tensor(np.array([0.1, 0.2]), requires_grad=True)
            inside = optimal.generator_gradient(*args[:3], theta, frozen=frozen)
        assert isinstance(inside, Tensor) and not inside.requires_grad
        np.testing.assert_array_equal(inside.data, expected)
    thetas = np.array([0.1, 0.2], F32)
    assert optimal.generator_gradient(*args[:3], thetas).dtype == F32


def test_theory_shows_its_modules_and_minigan_does_not_load_it() -> None:
    for name in theory.__all__:
        assert getattr(theory, name).__name__ == f"minigan.theory.{name}"
    found = "import sys, minigan, minigan.cli; print([m for m in sys.modules if m.startswith('minigan.theory')])"
    assert subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True).stdout == "[]\n"
