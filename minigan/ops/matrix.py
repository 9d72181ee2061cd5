"""Equations with matrices: solutions, and the square root of a positive matrix. Leading axes are a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.ops.linear import matmul
from minigan.ops.shape import swapaxes


def _transposed(x: Tensor) -> Tensor:
    return swapaxes(x, -1, -2)


def _symmetric(x: Tensor) -> Tensor:
    return 0.5 * (x + _transposed(x))


def _square(what: str, a: Tensor) -> Tensor:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{what}: got shape {a.shape}, expected square matrices (..., n, n)")
    return a


def _spd_samples(beside: bool) -> Any:
    def samples(draw: Any) -> Any:
        n = draw.integer(1, 3)
        batch = draw.choice(((), (2,)))
        x = draw.array((*batch, n, n))
        matrix = x @ np.swapaxes(x, -1, -2) / 4 + np.eye(n)
        return (matrix, draw.array((*batch, n, n))) if beside else (matrix,), {}

    return samples


def _solve_cotangents(needs: Any, g: Tensor, y: Tensor, a: Tensor, _b: Tensor) -> Any:
    db = solve(_transposed(a), g)
    return [-matmul(db, _transposed(y)) if needs[0] else None, db]


@primitive(_solve_cotangents, samples=_spd_samples(True), name="solve")
def _solve(a: Array, b: Array) -> Array:
    return array_module(a, b).linalg.solve(a, b)


def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """The solution y of a y = b;  db = a^-T g, da = -db y^T.

    Args:
        a: (..., n, n), not singular.
        b: (..., n, k), the same leading axes.

    Raises:
        ValueError: shapes that do not fit. numpy.linalg.LinAlgError: a singular matrix (on the CPU).
    """
    a, b = _square("solve", as_tensor(a)), as_tensor(b)
    if b.shape[:-1] != a.shape[:-1]:
        raise ValueError(f"solve: got shapes {a.shape} and {b.shape}, expected (..., n, n) and (..., n, k)")
    return _solve(a, b)


def _spectrum(a: Array) -> tuple[Array, Array]:
    """Eigenvalues, negative ones taken as 0, and eigenvectors of the symmetric part."""
    xp = array_module(a)
    values, vectors = xp.linalg.eigh(0.5 * (a + xp.swapaxes(a, -1, -2)))
    return xp.maximum(values, 0), vectors


def _lyapunov_cotangents(needs: Any, g: Tensor, y: Tensor, r: Tensor, _b: Tensor) -> Any:
    db = lyapunov(r, g)
    dr = _symmetric(matmul(db, _transposed(y)) + matmul(_transposed(y), db)) if needs[0] else None
    return [None if dr is None else -dr, db]


@primitive(_lyapunov_cotangents, samples=_spd_samples(True), name="lyapunov")
def _lyapunov(r: Array, b: Array) -> Array:
    xp = array_module(r, b)
    values, v = _spectrum(r)
    sums = values[..., :, None] + values[..., None, :]
    vt = xp.swapaxes(v, -1, -2)
    rounding = values.shape[-1] * np.finfo(values.dtype).eps * sums.max(axis=(-1, -2), keepdims=True)
    inverse = xp.where(sums > rounding, 1 / xp.where(sums > rounding, sums, 1), 0).astype(b.dtype)
    return v @ ((vt @ b @ v) * inverse) @ vt


def lyapunov(r: TensorLike, b: TensorLike) -> Tensor:
    """The solution y of r y + y r = b, for r symmetric and positive (semidefinite: the least one, zero where r is).

    With r = V diag(s) V^T it is V ((V^T b V)_ij / (s_i + s_j)) V^T; sums s_i + s_j of the size of rounding count as 0. The
    map b -> y is its own adjoint, so db = lyapunov(r, g) and dr = -(db y^T + y^T db), made symmetric.

    Args:
        r: (..., n, n); only its symmetric part is read.
        b: (..., n, n).
    """
    r, b = _square("lyapunov", as_tensor(r)), as_tensor(b)
    if b.shape != r.shape:
        raise ValueError(f"lyapunov: got shapes {r.shape} and {b.shape}, expected two equal ones (..., n, n)")
    return _lyapunov(r, b)


@primitive((lambda g, y, _a: _symmetric(lyapunov(y, g)),), samples=_spd_samples(False), name="sqrtm")
def _sqrtm(a: Array) -> Array:
    xp = array_module(a)
    values, v = _spectrum(a)
    return (v * xp.sqrt(values)[..., None, :]) @ xp.swapaxes(v, -1, -2)


def sqrtm(a: TensorLike) -> Tensor:
    """The symmetric square root of a symmetric, positive semidefinite matrix: V diag(sqrt(s)) V^T, with eigenvalues below 0
    (rounding) taken as 0.

    y y = a gives dy y + y dy = da, hence the derivative is `lyapunov(y, g)`; directions in which a vanishes get 0.

    Args:
        a: (..., n, n); only its symmetric part is read.
    """
    return _sqrtm(_square("sqrtm", as_tensor(a)))
