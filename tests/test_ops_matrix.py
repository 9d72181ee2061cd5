"""Matrix equations against SciPy, at singular matrices, and their errors; derivatives are drawn by test_registry."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

import minigan as mg
from minigan import ops

rng = np.random.default_rng(3)


def positive(n: int, rank: int | None = None) -> np.ndarray:
    x = rng.normal(size=(n, rank or n + 2))
    return x @ x.T


def test_values_agree_with_scipy() -> None:
    a, b = positive(4), rng.normal(size=(4, 4))
    np.testing.assert_allclose(ops.solve(a, b[:, :2]).data, linalg.solve(a, b[:, :2]), rtol=1e-10)
    np.testing.assert_allclose(ops.sqrtm(a).data, linalg.sqrtm(a), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ops.lyapunov(a, b).data, linalg.solve_continuous_lyapunov(a, b), rtol=1e-9, atol=1e-10)


def test_batches_are_solved_one_by_one() -> None:
    a, b = np.stack([positive(3) for _ in range(4)]).reshape(2, 2, 3, 3), rng.normal(size=(2, 2, 3, 3))
    for op, rest in ((ops.solve, (b,)), (ops.lyapunov, (b,)), (ops.sqrtm, ())):
        whole, part = op(a, *rest).data, op(a[1, 0], *(r[1, 0] for r in rest)).data
        np.testing.assert_allclose(whole[1, 0], part, atol=1e-12)


def test_square_root_of_a_singular_matrix_and_its_derivative_are_finite() -> None:
    a = np.diag([4.0, 0.0])
    x = mg.tensor(a, requires_grad=True)
    root = ops.sqrtm(x)
    np.testing.assert_allclose(root.data, np.diag([2.0, 0.0]), atol=1e-12)
    assert np.isfinite(mg.grad(ops.sum(root), x).data).all()
    assert np.isfinite(ops.sqrtm(positive(5, rank=2)).data).all()


def test_only_the_symmetric_part_is_read() -> None:
    a, skew = positive(3), np.triu(rng.normal(size=(3, 3)), 1)
    np.testing.assert_allclose(ops.sqrtm(a + skew - skew.T).data, ops.sqrtm(a).data, atol=1e-12)


def test_permute_has_its_derivative_along_the_last_axis_without_naming_it() -> None:
    x, order = rng.normal(size=(2, 3)), np.array([[2, 0, 1], [1, 2, 0]])
    mg.gradcheck(lambda x: ops.permute(x, order), x)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.solve(np.ones((2, 3)), np.ones((2, 1))), r"solve: got shape \(2, 3\)"),
        (lambda: ops.solve(np.eye(2), np.ones((3, 1))), r"solve: got shapes \(2, 2\) and \(3, 1\)"),
        (lambda: ops.lyapunov(np.eye(2), np.ones((2, 1))), "lyapunov: got shapes"),
        (lambda: ops.sqrtm(np.ones(3)), r"sqrtm: got shape \(3,\)"),
    ],
)
def test_bad_shapes_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
