"""Optimal transport between Gaussian laws for the cost |x - y|^2: in closed form, by square roots of covariances.

Means have shape (..., d) and covariances (..., d, d); leading axes are a batch that broadcasts. A covariance may also be a
single number, that variance in every direction, or (d,), a variance for each direction; a mean that is a single number is
one in one dimension. float32 is computed in float64 and rounded at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import Array, array_module
from minigan.theory.arrays import on_arrays
from minigan.theory.linalg import positive_root, rounding_of_zero, trace, transposed

LAWS = ("mean1", "cov1", "mean2", "cov2")


def _gaussian(number: int, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """(mean (..., d), covariance (..., d, d)), checked; a single variance v stands for v I."""
    mean = ops.reshape(mean, (1,)) if not mean.ndim else mean
    d = mean.shape[-1]
    if not covariance.ndim:
        covariance = covariance * Tensor(array_module(covariance.data).eye(d, dtype=covariance.dtype))
    names = f"mean{number}, cov{number}"
    if covariance.shape[-2:] != (d, d) or not d:
        raise ValueError(f"{names}: got shapes {mean.shape} and {covariance.shape}, expected (..., d) and (..., d, d)")
    s = to_numpy(covariance.data)
    if not (np.isfinite(s).all() and np.isfinite(to_numpy(mean.data)).all()):
        raise ValueError(f"{names}: got a number that is NaN or infinite, expected finite ones")
    rounding = 1e-6 * float(np.abs(s).max(initial=0.0))
    if np.abs(s - s.swapaxes(-1, -2)).max(initial=0.0) > rounding:
        raise ValueError(f"cov{number}: got a matrix that is not symmetric, expected a covariance")
    smallest = float(np.linalg.eigvalsh(0.5 * (s + s.swapaxes(-1, -2))).min(initial=0.0))
    if smallest < -rounding:
        raise ValueError(f"cov{number}: got the eigenvalue {smallest!r}, expected a covariance: none below 0")
    return mean, covariance


def _laws(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (m1, s1), (m2, s2) = _gaussian(1, mean1, cov1), _gaussian(2, mean2, cov2)
    if m1.shape[-1] != m2.shape[-1]:
        raise ValueError(f"mean1, mean2: got shapes {m1.shape} and {m2.shape}, expected one dimension d")
    return m1, s1, m2, s2


def _between(root: Tensor, covariance: Tensor) -> Tensor:
    """(S1^1/2 S2 S1^1/2)^1/2."""
    return ops.sqrtm(ops.matmul(ops.matmul(root, covariance), root))


@on_arrays("mean1", "cov1", "mean2", "cov2")
def frechet_distance(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """The squared Frechet (Wasserstein-2) distance of two Gaussian laws, of which the FID is an instance:

        |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2.

    The last trace is the sum of the singular values of S1^1/2 S2^1/2, and is computed so: it is symmetric, and no root of a
    rounding error enters. Eigenvalues of S1 and S2 that rounding cannot tell from 0 (up to 4 sqrt(d) 2^-52 times the largest)
    count as 0.

    Args:
        mean1, mean2: (..., d), or a number for d = 1.
        cov1, cov2: (..., d, d), symmetric and positive semidefinite; they may be singular. A number v stands for v I.

    Returns:
        (...), >= 0, in squared units: no root is taken. It is differentiable at covariances that are not singular; in the
        directions in which they are, the derivative of the last term (infinite there) is taken as 0.

    Raises:
        ValueError: shapes that do not fit, or a matrix that is not a covariance.

    Source: Dowson, Landau 1982, eq. 4; Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter 2017 (arXiv 1706.08500), eq. 6.
    """
    kind = mean1.dtype
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    cross = _trace(_between(ops.sqrtm(s1), s2))
    value = ops.sum(ops.square(m1 - m2), -1) + _trace(s1) + _trace(s2) - 2.0 * cross
    return value + ops.stop_gradient(ops.maximum(value, 0.0) - value)  # rounding may leave -1e-16


def _trace(matrix: Tensor) -> Tensor:
    return ops.sum(matrix * Tensor(array_module(matrix.data).eye(matrix.shape[-1], dtype=matrix.dtype)), (-2, -1))


class AffineMap(NamedTuple):
    """x -> matrix x + shift, for points in the rows of an (n, d) array or tensor, or one point (d,); one map at a time."""

    matrix: Any
    shift: Any

    def __call__(self, x: Any) -> Any:
        if isinstance(self.matrix, Tensor) or isinstance(x, Tensor):
            return ops.matmul(x, ops.swapaxes(self.matrix, -1, -2)) + self.shift
        return np.asarray(x) @ self.matrix.swapaxes(-1, -2) + self.shift


@on_arrays("matrix", "shift", "x")
def _apply(matrix: Any, shift: Any, x: Any) -> Any:
    d = matrix.shape[-1]
    if matrix.shape == (1, 1):
        return x * matrix[0, 0] + shift[0]
    if not x.ndim or x.shape[-1] != d or (matrix.ndim > 2 and x.ndim < 2):
        expected = f"({d},) or (N, {d})" if matrix.ndim == 2 else f"(..., N, {d})"
        raise ValueError(f"AffineMap: got points of shape {x.shape}, expected {expected}")
    return x @ transposed(matrix) + (shift if shift.ndim == 1 else ops.expand_dims(shift, -2))


@on_arrays(*LAWS)
def gaussian_monge_map(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """The optimal map of N(m1, S1) onto N(m2, S2) for the cost |x - y|^2:

        T(x) = m2 + A (x - m1),    A = S1^-1/2 (S1^1/2 S2 S1^1/2)^1/2 S1^-1/2.

    A is symmetric and positive semidefinite, so T is the gradient of a convex function (Brenier), and A S1 A = S2.

    Where S1 is singular, the same A in its other form is S2^1/2 ((S2^1/2 S1 S2^1/2)^1/2)^+ S2^1/2, with the pseudo-inverse.
    It exists if no direction of the range of S2 is one in which S1 vanishes; on the support of the first law it is the map.

    Args:
        mean1, mean2: (..., d), or a number for d = 1.
        cov1, cov2: (..., d, d), covariances; cov1 not singular. A number v stands for v I.

    Returns:
        AffineMap(matrix=A, shift=m2 - A m1), to be called on points.

    Raises:
        ValueError: shapes that do not fit, a matrix that is not a covariance, a singular cov1 that no such A takes to cov2.

    Source: Peyre, Cuturi 2019 (arXiv 1803.00567), remark 2.31, eq. 2.40.
    """
    kind = mean1.dtype
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    values = np.linalg.eigvalsh(to_numpy(s1.data))
    if bool((values[..., 0] <= values.shape[-1] * np.finfo(values.dtype).eps * values[..., -1]).any()):
        raise ValueError(
            f"cov1: got eigenvalues from {values.min():.3g} to {values.max():.3g}, expected none (nearly) 0"
        )
    root = ops.sqrtm(s1)
    between = _between(root, s2)
    root = ops.broadcast_to(root, between.shape)
    matrix = ops.solve(root, ops.swapaxes(ops.solve(root, between), -1, -2))
    matrix = 0.5 * (matrix + ops.swapaxes(matrix, -1, -2))
    moved = ops.squeeze(ops.matmul(matrix, ops.expand_dims(m1, -1)), -1)
    return AffineMap(matrix, m2 - moved)
