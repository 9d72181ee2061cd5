"""Discrepancies between two samples that need no optimisation: sums over pairs of points.

    D(P, Q) = E k(X, X') - 2 E k(X, Y) + E k(Y, Y')

is the squared maximum mean discrepancy of a kernel k; with k(x, y) = -|x - y| it is the energy distance. (X, X' ~ P and
Y, Y' ~ Q are independent.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module
from minigan.theory.arrays import on_arrays

Kernel = Callable[[Tensor, Tensor], Any]


def finite(name: str, x: Tensor) -> Tensor:
    """`x`; ValueError where it holds a number that is NaN or infinite."""
    if not bool(array_module(x._data).isfinite(x._data).all()):
        raise ValueError(f"{name}: got a number that is NaN or infinite, expected finite ones")
    return x


def _points(what: str, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two samples as (n, d) and (m, d); (n,) and (m,) are points on the line."""
    if x.ndim == 1 and y.ndim == 1:
        x, y = ops.reshape(x, (-1, 1)), ops.reshape(y, (-1, 1))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not (x.size and y.size):
        raise ValueError(f"{what}: got shapes {x.shape} and {y.shape}, expected (n, d) and (m, d), or (n,) and (m,)")
    return finite("x", x), finite("y", y)


def _differences(x: Tensor, y: Tensor) -> Tensor:
    return x[:, None, :] - y[None, :, :]


def negative_distance(x: Tensor, y: Tensor) -> Tensor:
    """-|x_i - y_j|, (n, m): the kernel of the energy distance (conditionally positive definite). Derivative 0 at x_i = y_j."""
    return -ops.norm(_differences(x, y), -1)


def gaussian_kernel(bandwidth: float = 1.0) -> Kernel:
    """k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)); bandwidth > 0 and finite, in the units of x."""
    if not 0 < bandwidth < math.inf:
        raise ValueError(f"bandwidth: got {bandwidth!r}, expected a positive, finite number")
    scale = 1.0 / float(bandwidth)
    return lambda x, y: ops.exp(-0.5 * ops.sum(ops.square(scale * _differences(x, y)), -1))


def mixture_kernel(kernels: Sequence[Kernel], weights: Sequence[float] | None = None) -> Kernel:
    """k = sum_i w_i k_i, w_i >= 0; equal weights with sum 1 where not given. Several bandwidths together see several scales
    (Li, Swersky, Zemel 2015, arXiv 1502.02761)."""
    weights = [1.0 / max(1, len(kernels))] * len(kernels) if weights is None else [float(w) for w in weights]
    if not len(kernels) or len(weights) != len(kernels) or min(weights) < 0:
        raise ValueError(f"mixture_kernel: got {len(kernels)} kernels and weights {weights}, expected as many, >= 0")
    parts = list(zip(weights, kernels, strict=True))

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        total = parts[0][0] * parts[0][1](x, y)
        for w, k in parts[1:]:
            total = total + w * k(x, y)
        return total

    return kernel


def polynomial_kernel(degree: int = 3, *, scale: float | None = None, offset: float = 1.0) -> Kernel:
    """k(x, y) = (scale <x, y> + offset)^degree, scale = 1/d where not given: with degree 3 the kernel of the KID (Binkowski,
    Sutherland, Arbel, Gretton 2018, arXiv 1801.01401). It compares moments up to `degree` only."""
    if not 1 <= degree < math.inf or degree != int(degree):
        raise ValueError(f"degree: got {degree!r}, expected a whole number >= 1")

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        factor = 1.0 / x.shape[1] if scale is None else float(scale)
        base = factor * ops.matmul(x, ops.transpose(y)) + float(offset)
        power = base
        for _ in range(int(degree) - 1):
            power = power * base
        return power

    return kernel


KERNELS: dict[str, Callable[[], Kernel]] = {
    "gaussian": gaussian_kernel,
    "polynomial": polynomial_kernel,
    "energy": lambda: negative_distance,
}


@on_arrays("x", "y")
def mmd_squared(x: Any, y: Any, *, kernel: str | Kernel = "gaussian", unbiased: bool = True) -> Any:
    """The squared maximum mean discrepancy of two samples,

        biased:    mean_ij k(x_i, x_j) - 2 mean_ij k(x_i, y_j) + mean_ij k(y_i, y_j)          >= 0
        unbiased:  the first and last mean over i != j only; its expectation is the true value, so it is 0 on average where
                   P = Q, and often negative there.

    Args:
        x, y: (n, d) and (m, d), or (n,) and (m,).
        kernel: "gaussian" (bandwidth 1), "polynomial" (degree 3), "energy", or a function of two sample tensors that gives
            the (n, m) table of k, such as `gaussian_kernel(bandwidth)` returns.
        unbiased: which of the two; the unbiased one needs n, m >= 2.

    Raises:
        ValueError: shapes that do not fit, a number that is not finite, an unknown kernel or one that gives another shape,
            too few points.

    Source: Gretton, Borgwardt, Rasch, Scholkopf, Smola 2012 (JMLR 13), eq. 5 (biased, squared) and eq. 3 (unbiased).
    """
    x, y = _points("mmd_squared", x, y)
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            raise ValueError(f"kernel: got {kernel!r}, expected one of {sorted(KERNELS)} or a function")
        kernel = KERNELS[kernel]()
    if unbiased and min(x.shape[0], y.shape[0]) < 2:
        raise ValueError(
            f"mmd_squared: got {x.shape[0]} and {y.shape[0]} points, expected at least 2 for unbiased=True"
        )
    return _within(kernel, x, unbiased) - 2.0 * ops.mean(_values(kernel, x, y)) + _within(kernel, y, unbiased)


def _values(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    values = ops.as_tensor(kernel(x, y))
    if values.shape != (x.shape[0], y.shape[0]):
        raise ValueError(
            f"kernel: got values of shape {values.shape} for {x.shape[0]} and {y.shape[0]} points, expected the (n, m) table"
        )
    return values


def _within(kernel: Kernel, x: Tensor, unbiased: bool) -> Tensor:
    """The mean of k over the pairs of a sample, without the diagonal where unbiased."""
    values = _values(kernel, x, x)
    if not unbiased:
        return ops.mean(values)
    n = x.shape[0]
    between = ops.reshape(ops.flatten(values)[1:], (n - 1, n + 1))  # each row ends with an element of the diagonal
    return ops.mean(between[:, :-1])


@on_arrays("x", "y")
def energy_distance(x: Any, y: Any, *, unbiased: bool = False) -> Any:
    """The energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of two samples, without a root: it is a squared metric.

    On the line it is 2 int (F - G)^2 (scipy.stats.energy_distance gives its square root).

    Args:
        x, y: (n, d) and (m, d), or (n,) and (m,).
        unbiased: leave out the pairs i = i, as :func:`mmd_squared` does. Otherwise the result is >= 0.

    Raises:
        ValueError: shapes that do not fit, a number that is not finite, one point where unbiased.

    Source: Szekely, Rizzo 2013 (J. Stat. Plan. Inference 143), eq. 1.
    """
    return mmd_squared(*_points("energy_distance", x, y), kernel=negative_distance, unbiased=unbiased)
