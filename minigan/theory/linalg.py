"""Inverse and log-determinant of covariance matrices, with derivatives of every order."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, primitive
from minigan.backend import Array, array_module


def _transposed(a: Tensor) -> Tensor:
    return ops.swapaxes(a, -1, -2)


def _spd_samples(draw: Any) -> Any:
    """Matrices that are safely invertible, by a dominant diagonal."""
    shape = draw.shape()[:1]
    n = draw.integer(1, 3)
    return (draw.array((*shape, n, n), -0.3, 0.3) + 2.0 * np.eye(n),), {}


@primitive((lambda g, y, _a: -(_transposed(y) @ g @ _transposed(y)),), samples=_spd_samples)
def inverse(a: Array) -> Array:
    """A^-1 of matrices (..., n, n);  dA = -A^-T g A^-T."""
    return array_module(a).linalg.inv(a)


@primitive(
    (lambda g, _y, a: ops.expand_dims(ops.expand_dims(g, -1), -1) * _transposed(inverse(a)),), samples=_spd_samples
)
def log_determinant(a: Array) -> Array:
    """log |det A| of matrices (..., n, n);  dA = g A^-T."""
    return array_module(a).linalg.slogdet(a)[1]


def positive_definite(a: Tensor) -> Tensor:
    """Which of the symmetric matrices (..., n, n) are positive definite: booleans (...)."""
    values = array_module(a.data).linalg.eigvalsh(a.data)
    return Tensor(values[..., 0] > 0)
