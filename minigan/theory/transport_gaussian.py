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
    """(mean (..., d), covariance (..., d, d)), checked, in float64."""
    names = f"mean{number}, cov{number}"
    given = f"{names}: got shapes {mean.shape} and {covariance.shape}"
    mean, covariance = (ops.cast(t, dtype=np.dtype(np.float64)) for t in (mean, covariance))
    mean = ops.reshape(mean, (1,)) if not mean.ndim else mean
    d, xp = mean.shape[-1], array_module(mean._data)
    if covariance.shape in ((), (d,)):
        covariance = ops.expand_dims(covariance, -1) * Tensor(xp.eye(d))
    if not d or covariance.shape[-2:] != (d, d):
        raise ValueError(f"{given}, expected (..., d) and (..., d, d), or (d,) variances, or a single one")
    s = covariance.data
    if not bool(xp.isfinite(s).all() and xp.isfinite(mean.data).all()):
        raise ValueError(f"{names}: got a number that is NaN or infinite, expected finite ones")
    scale = abs(s).max(axis=(-1, -2))
    gap = abs(s - s.swapaxes(-1, -2)).max(axis=(-1, -2))
    if not bool((gap <= 1e-6 * scale).all()):
        raise ValueError(f"cov{number}: got a matrix that is not symmetric, expected a covariance")
    smallest = xp.linalg.eigvalsh(0.5 * (s + s.swapaxes(-1, -2)))[..., 0]
    if not bool((smallest >= -1e-6 * scale).all()):
        raise ValueError(
            f"cov{number}: got the eigenvalue {float(smallest.min())!r}, expected a covariance: none below 0"
        )
    return mean, covariance


def _laws(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (m1, s1), (m2, s2) = _gaussian(1, mean1, cov1), _gaussian(2, mean2, cov2)
    if m1.shape[-1] != m2.shape[-1]:
        raise ValueError(f"mean1, mean2: got shapes {mean1.shape} and {mean2.shape}, expected one dimension d")
    batches = [m1.shape[:-1], s1.shape[:-2], m2.shape[:-1], s2.shape[:-2]]
    try:
        np.broadcast_shapes(*batches)
    except ValueError:
        raise ValueError(
            f"mean1, cov1, mean2, cov2: got leading axes {batches}, expected ones that broadcast"
        ) from None
    return m1, s1, m2, s2


def _between(root: Tensor, s: Tensor) -> Tensor:
    """(R S R)^1/2."""
    return positive_root(root @ s @ root)


@on_arrays(*LAWS)
def frechet_distance(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> Any:
    """The squared Frechet (Wasserstein-2) distance of two Gaussian laws, of which the FID is an instance:

        |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2.

    The last trace is the sum of the singular values of S1^1/2 S2^1/2, and is computed so: it is symmetric, and no root of a
    rounding error enters. Eigenvalues of S1 and S2 that rounding cannot tell from 0 (up to 4 sqrt(d) 2^-52 times the largest)
    count as 0.

    Args:
        mean1, mean2: (..., d).
        cov1, cov2: (..., d, d), symmetric and positive semidefinite; they may be singular. Or (d,) variances, or a single one.

    Returns:
        (...), >= 0, in squared units: no root is taken. It is differentiable at covariances that are not singular; in the
        directions in which they are, the derivative of the last term (infinite there) is taken as 0.

    Raises:
        ValueError: shapes that do not fit, or a matrix that is not a covariance.

    Source: Dowson, Landau 1982, eq. 4; Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter 2017 (arXiv 1706.08500), eq. 6.
    """
    kind = mean1.dtype
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    root1, root2 = positive_root(s1), positive_root(s2)
    cross = trace(_between(root1, s2))
    exact = array_module(root1._data).linalg.svd(root1.data @ root2.data, compute_uv=False).sum(axis=-1)
    cross = cross + (Tensor(exact) - ops.stop_gradient(cross))
    value = ops.sum(ops.square(m1 - m2), -1) + trace(s1) + trace(s2) - 2.0 * cross
    value = value + ops.stop_gradient(ops.maximum(value, 0.0) - value)  # rounding may leave -1e-16
    return ops.cast(value, dtype=kind)


class AffineMap(NamedTuple):
    """x -> matrix x + shift.

    Points lie along the last axis: (d,) is one, (N, d) are many. In one dimension x may also be a number or any array of
    them, each a point. A batch of maps, matrix (..., d, d), takes points (..., N, d).
    """

    matrix: Any
    shift: Any

    def __call__(self, x: Any) -> Any:
        """The images, in the shape of x. ValueError: points of another dimension."""
        return _apply(self.matrix, self.shift, x)


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
        mean1, mean2: (..., d).
        cov1, cov2: (..., d, d) covariances, or (d,) variances, or a single one.

    Returns:
        AffineMap(matrix=A, shift=m2 - A m1), to be called on points.

    Raises:
        ValueError: shapes that do not fit, a matrix that is not a covariance, a singular cov1 that no such A takes to cov2.

    Source: Peyre, Cuturi 2019 (arXiv 1803.00567), remark 2.31, eq. 2.40.
    """
    kind = mean1.dtype
    m1, s1, m2, s2 = _laws(mean1, cov1, mean2, cov2)
    matrix = _matrix_of_full(s1, s2) if bool((_rank(s1.data) == s1.shape[-1]).all()) else _matrix_of_singular(s1, s2)
    matrix = 0.5 * (matrix + transposed(matrix))
    moved = ops.squeeze(matrix @ ops.expand_dims(m1, -1), -1)
    return AffineMap(ops.cast(matrix, dtype=kind), ops.cast(m2 - moved, dtype=kind))


def _matrix_of_full(s1: Tensor, s2: Tensor) -> Tensor:
    root = positive_root(s1)
    middle = _between(root, s2)
    root = ops.broadcast_to(root, middle.shape)
    return ops.solve(root, transposed(ops.solve(root, middle)))


def _matrix_of_singular(s1: Tensor, s2: Tensor) -> Tensor:
    """R (half^+) R with R = S2^1/2. Half and R have the same range; the projector on its complement makes half invertible
    without changing what half^+ does on the range."""
    root = positive_root(s2)
    half = _between(root, s1)
    if not bool((_rank(root.data @ s1.data @ root.data) == _rank(s2.data)).all()):
        raise ValueError(
            "cov1: got a singular matrix that vanishes in a direction of the range of cov2; there is no map; "
            "add a small multiple of the identity to cov1"
        )
    _, vectors, vanishing = _eigen(s2.data)
    null = (vectors * vanishing[..., None, :]) @ vectors.swapaxes(-1, -2)
    whole = half + Tensor(null)
    return root @ ops.solve(whole, ops.broadcast_to(root, whole.shape))


def _eigen(s: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues, eigenvectors, and which eigenvalues are 0 but for rounding."""
    values, vectors = array_module(s).linalg.eigh(0.5 * (s + s.swapaxes(-1, -2)))
    return values, vectors, values <= rounding_of_zero(values)


def _rank(s: Array) -> Array:
    return (~_eigen(s)[2]).sum(axis=-1)
