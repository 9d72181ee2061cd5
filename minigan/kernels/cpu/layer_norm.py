"""Layer normalisation on the CPU, forward and backward."""

from __future__ import annotations

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import compile_task, njit
from minigan.kernels.cpu.threads import split


@compile_task
def _row_moments(x: Array, i: int, eps: float) -> tuple[float, float]:
    """Mean and 1 / sqrt(var + eps) of a row."""
    n = x.shape[1]
    mean = 0.0
    for j in range(n):
        mean += x[i, j]
    mean /= n
    var = 0.0
    for j in range(n):
        var += (x[i, j] - mean) ** 2
    return mean, 1.0 / np.sqrt(var / n + eps)


@njit
def _layer_norm(start: int, stop: int, x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    n = x.shape[1]
    for i in range(start, stop):
        mean, inverse = _row_moments(x, i, eps)
        for j in range(n):
            out[i, j] = gamma[j] * ((x[i, j] - mean) * inverse) + beta[j]


@njit
def _layer_norm_backward(
    start: int, stop: int, g: Array, x: Array, gamma: Array, eps: float, dx: Array, sums: Array
) -> None:
    n = x.shape[1]
    for i in range(start, stop):
        mean, inverse = _row_moments(x, i, eps)
        mean_u = mean_uh = 0.0
        for j in range(n):
            h = (x[i, j] - mean) * inverse
            mean_u += gamma[j] * g[i, j]
            mean_uh += gamma[j] * g[i, j] * h
            sums[0, j] += g[i, j] * h
            sums[1, j] += g[i, j]
        mean_u, mean_uh = mean_u / n, mean_uh / n
        for j in range(n):
            h = (x[i, j] - mean) * inverse
            dx[i, j] = (gamma[j] * g[i, j] - mean_u - h * mean_uh) * inverse


@reference.layer_norm.on("cpu")
def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """Rows shared out among threads."""
    split(_layer_norm, len(x), x.size, x, gamma, beta, eps, out)


@reference.layer_norm_backward.on("cpu")
def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float, dx: Array, dgamma: Array, dbeta: Array) -> None:
    """Row by row, the sums over rows in double."""
    sums = np.zeros((2, x.shape[1]))
    _layer_norm_backward(0, len(x), g, x, gamma, eps, dx, sums)
    dgamma[...], dbeta[...] = sums
