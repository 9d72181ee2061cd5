"""Inverse, log-determinant, root and trace of covariance matrices (..., n, n), with derivatives of every order."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, primitive
from minigan.backend import Array, array_module


def transposed(a: Tensor) -> Tensor:
    """With the last two axes swapped."""
    return ops.swapaxes(a, -1, -2)


def trace(a: Tensor) -> Tensor:
    """The sums of the diagonals, (...)."""
    return ops.sum(a * Tensor(array_module(a._data).eye(a.shape[-1], dtype=a.dtype)), axis=(-1, -2))


def _spd_samples(draw: Any) -> Any:
    """Matrices that are safely invertible, by a dominant diagonal."""
    shape = draw.shape()[:1]
    n = draw.integer(1, 3)
    return (draw.array((*shape, n, n), -0.3, 0.3) + 2.0 * np.eye(n),), {}


def inverse(a: Tensor) -> Tensor:
    """A^-1 of matrices (..., n, n)."""
    xp = array_module(a._data)
    return ops.solve(a, Tensor(xp.broadcast_to(xp.eye(a.shape[-1], dtype=a.dtype), a.shape)))


@primitive(
    (lambda g, _y, a: ops.expand_dims(ops.expand_dims(g, -1), -1) * transposed(inverse(a)),), samples=_spd_samples
)
def log_determinant(a: Array) -> Array:
    """log |det A| of matrices (..., n, n);  dA = g A^-T."""
    return array_module(a).linalg.slogdet(a)[1]


def positive_definite(a: Tensor) -> Tensor:
    """Which of the symmetric matrices (..., n, n) are positive definite: booleans (...)."""
    values = array_module(a._data).linalg.eigvalsh(a.data)
    return Tensor(values[..., 0] > 0)


def rounding_of_zero(values: Array) -> Array:
    """(..., 1): how large an eigenvalue of a covariance may be in floats where it is 0 in truth, given all (..., n) in order.

    Rounding a matrix moves its eigenvalues by up to about its norm times 2^-52, a few times that where it is a sum of many.
    """
    return 4.0 * values.shape[-1] ** 0.5 * np.finfo(values.dtype).eps * values[..., -1:].clip(0)


def _root_cotangent(g: Tensor, y: Tensor, _a: Tensor) -> Tensor:
    half = ops.lyapunov(y, g)
    return 0.5 * (half + transposed(half))


@primitive((_root_cotangent,), samples=_spd_samples, name="positive_root")
def _positive_root(a: Array) -> Array:
    xp = array_module(a)
    values, v = xp.linalg.eigh(0.5 * (a + a.swapaxes(-1, -2)))
    root = xp.sqrt(xp.where(values > rounding_of_zero(values), values, 0))
    return (v * root[..., None, :]) @ v.swapaxes(-1, -2)


def positive_root(a: Tensor) -> Tensor:
    """The root of a covariance, as `ops.sqrtm`, but with eigenvalues that may be mere rounding taken as 0.

    The root of a rounding error of 1e-16 is 1e-8: kept, it would spoil a trace, and derivatives by its inverse.
    """
    return _positive_root(a)
