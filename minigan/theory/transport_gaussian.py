"""Optimal transport between Gaussian laws for the cost |x - y|^2: in closed form, by square roots of covariances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module, to_numpy
from minigan.theory.arrays import on_arrays


def _gaussian(number: int, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """(mean (d,), covariance (d, d)), checked; numbers are laws on the line."""
    mean = ops.reshape(mean, (1,)) if not mean.ndim else mean
    covariance = ops.reshape(covariance, (1, 1)) if not covariance.ndim else covariance
    names = f"mean{number}, cov{number}"
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise ValueError(f"{names}: got shapes {mean.shape} and {covariance.shape}, expected (d,) and (d, d)")
    s = to_numpy(covariance.data)
    if not (np.isfinite(s).all() and np.isfinite(to_numpy(mean.data)).all()):
        raise ValueError(f"{names}: got a number that is NaN or infinite, expected finite ones")
    scale = float(np.abs(s).max(initial=0.0))
    rounding = 100 * s.shape[0] * float(np.finfo(s.dtype).eps) * scale
    if np.abs(s - s.T).max(initial=0.0) > max(rounding, 1e-6 * scale):
        raise ValueError(f"cov{number}: got a matrix that is not symmetric, expected a covariance")
    smallest = float(np.linalg.eigvalsh(0.5 * (s + s.T)).min(initial=0.0))
    if smallest < -max(rounding, 1e-6 * scale):
        raise ValueError(f"cov{number}: got the eigenvalue {smallest!r}, expected a covariance: none below 0")
    return mean, covariance


def _laws(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (m1, s1), (m2, s2) = _gaussian(1, mean1, cov1), _gaussian(2, mean2, cov2)
    if m1.shape != m2.shape:
        raise ValueError(f"mean1, mean2: got shapes {m1.shape} and {m2.shape}, expected equal ones")
    return m1, s1, m2, s2


@on_arrays("mean1", "cov1", "mean2", "cov2")
def frechet_distance(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """The squared Frechet (Wasserstein-2) distance of two Gaussian laws, of which the FID is an instance:

        |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2.

    Args:
        mean1, mean2: (d,).
        cov1, cov2: (d, d), symmetric and positive semidefinite; they may be singular.

    Returns:
        A number >= 0, in squared units: no root is taken. It is differentiable at covariances that are not singular; in the
        directions in which they are, the derivative of the last term (infinite there) is taken as 0.

    Raises:
        ValueError: shapes that do not fit, or a matrix that is not a covariance.

    Source: Dowson, Landau 1982, eq. 4; Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter 2017 (arXiv 1706.08500), eq. 6.
    """
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    root = ops.sqrtm(s1)
    cross = _trace(ops.sqrtm(ops.matmul(ops.matmul(root, s2), root)))
    value = ops.sum(ops.square(m1 - m2)) + _trace(s1) + _trace(s2) - 2.0 * cross
    return value + ops.stop_gradient(ops.maximum(value, 0.0) - value)  # rounding may leave -1e-16


def _trace(matrix: Tensor) -> Tensor:
    return ops.sum(matrix * Tensor(array_module(matrix.data).eye(matrix.shape[0], dtype=matrix.dtype)))


class AffineMap(NamedTuple):
    """x -> matrix x + shift, for points in the rows of an (n, d) array or tensor, or one point (d,)."""

    matrix: Any
    shift: Any

    def __call__(self, x: Any) -> Any:
        if isinstance(self.matrix, Tensor) or isinstance(x, Tensor):
            return ops.matmul(x, ops.transpose(self.matrix)) + self.shift
        return np.asarray(x) @ self.matrix.T + self.shift


@on_arrays("mean1", "cov1", "mean2", "cov2")
def gaussian_monge_map(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """The optimal map of N(m1, S1) onto N(m2, S2) for the cost |x - y|^2:

        T(x) = m2 + A (x - m1),    A = S1^-1/2 (S1^1/2 S2 S1^1/2)^1/2 S1^-1/2.

    A is symmetric and positive, so T is the gradient of a convex function (Brenier), and A S1 A = S2.

    Args:
        mean1, mean2: (d,).
        cov1, cov2: (d, d), covariances; cov1 not singular.

    Returns:
        AffineMap(matrix=A, shift=m2 - A m1), to be called on points (n, d).

    Raises:
        ValueError: shapes that do not fit, a matrix that is not a covariance, a singular cov1.

    Source: Peyre, Cuturi 2019 (arXiv 1803.00567), remark 2.31, eq. 2.40.
    """
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    values = np.linalg.eigvalsh(to_numpy(s1.data))
    if values[0] <= len(values) * np.finfo(values.dtype).eps * values[-1]:
        raise ValueError(f"cov1: got eigenvalues from {values[0]:.3g} to {values[-1]:.3g}, expected none (nearly) 0")
    root = ops.sqrtm(s1)
    half = ops.solve(root, ops.sqrtm(ops.matmul(ops.matmul(root, s2), root)))
    matrix = ops.solve(root, ops.transpose(half))
    matrix = 0.5 * (matrix + ops.transpose(matrix))
    return AffineMap(matrix, m2 - ops.matmul(matrix, m1))
