"""Batch and layer normalisation on the CPU, forward and backward."""

from __future__ import annotations

import numpy as np

from minigan.backend import Array
from minigan.kernels.compiler import compile_task, njit
from minigan.kernels.threads import split


@njit
def _column_moments(start: int, stop: int, x: Array, shift: Array, out: Array) -> None:
    """out[0] += sum over rows of (x - shift), out[1] += the same of its square, in float64."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            d = np.float64(x[i, j]) - shift[j]
            out[0, j] += d
            out[1, j] += d * d


@njit
def _affine(start: int, stop: int, x: Array, mean: Array, scale: Array, beta: Array, out: Array) -> None:
    """out = (x - mean) scale + beta: the difference first, which keeps the digits where the mean is large."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean[j]) * scale[j] + beta[j]


@njit
def _norm_sums(start: int, stop: int, g: Array, x: Array, mean: Array, inverse: Array, out: Array) -> None:
    """out[0] += sum over rows of g, out[1] += sum over rows of g h, h = (x - mean) inverse."""
    for i in range(start, stop):
        for j in range(x.shape[1]):
            d = np.float64(g[i, j])
            out[0, j] += d
            out[1, j] += d * (np.float64(x[i, j]) - mean[j]) * inverse[j]


@njit
def _norm_backward(
    start: int, stop: int, g: Array, x: Array, mean: Array, a: Array, b: Array, c: Array, out: Array
) -> None:
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = g[i, j] * a[j] + (x[i, j] - mean[j]) * b[j] + c[j]


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance over rows, in float64.

    Moments about the first row, not about zero: var = mean(d^2) - mean(d)^2 with d = x - x[0] loses nothing when the mean
    is large against the spread, and needs one pass.
    """
    sums = np.zeros((2, x.shape[1]))
    shift = x[0].astype(np.float64)
    _column_moments(0, len(x), x, shift, sums)
    mean = sums[0] / len(x)
    return mean + shift, np.maximum(sums[1] / len(x) - mean * mean, 0.0)


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> tuple[Array, Array]:
    """See :func:`minigan.kernels.reference.batch_norm`."""
    mean, var = _moments(x)
    scale = (gamma / np.sqrt(var + eps)).astype(x.dtype)
    split(_affine, len(x), x.size, x, mean.astype(x.dtype), scale, beta, out)
    return mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm_backward(g: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """See :func:`minigan.kernels.reference.batch_norm_backward`. Collected, with r = 1/s:

    dx = g (gamma r) - (x - mean) (gamma r^2 mean(g h)) - gamma r mean(g).
    """
    mean, var = _moments(x)
    inverse = 1.0 / np.sqrt(var + eps)
    sums = np.zeros((2, x.shape[1]))
    _norm_sums(0, len(x), g, x, mean, inverse, sums)
    a = gamma * inverse
    b = -a * inverse * sums[1] / len(x)
    c = -a * sums[0] / len(x)
    dx = np.empty_like(x)
    split(_norm_backward, len(x), x.size, g, x, *[v.astype(x.dtype) for v in (mean, a, b, c)], dx)
    return dx, sums[1].astype(x.dtype), sums[0].astype(x.dtype)


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


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.layer_norm`."""
    split(_layer_norm, len(x), x.size, x, gamma, beta, eps, out)


def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """See :func:`minigan.kernels.reference.layer_norm_backward`."""
    dx, sums = np.empty_like(x), np.zeros((2, x.shape[1]))
    _layer_norm_backward(0, len(x), g, x, gamma, eps, dx, sums)
    return dx, sums[0].astype(x.dtype), sums[1].astype(x.dtype)
