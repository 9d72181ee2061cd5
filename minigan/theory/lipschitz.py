"""Lipschitz constants of layers: how far a network can stretch the distance between two inputs.

For a linear map x -> A x and Euclidean lengths, the best constant is its largest singular value,

    |A x - A y| <= sigma_max(A) |x - y|,

and the constant of a composition is at most the product of the constants. A convolution is a linear map too, but its matrix A
is not its weight: the weight M, (taps * in, out), is met by patches, and a position of the input lies in several patches. So

    sigma_max(A) <= sqrt(overlap) sigma_max(M),     but not sigma_max(A) <= sigma_max(M),

where `overlap` counts the patches that one position can lie in: all taps at stride 1.

The functions here read singular values from a decomposition. They are exact, and take arrays: for a differentiable value use
`ops.power_iteration`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import to_numpy
from minigan.kernels.geometry import Padding, per_axis


def _array(name: str, w: Any, least: int, most: int) -> np.ndarray:
    """A weight as a float64 array with `least` to `most` axes."""
    if isinstance(w, Tensor) and w.requires_grad:
        raise ValueError(
            f"{name}: got a tensor inside a graph, expected an array: a decomposition has no derivative here; "
            "use ops.power_iteration, or pass w.detach()"
        )
    array = np.asarray(to_numpy(w.data if isinstance(w, Tensor) else w), dtype=np.float64)
    if not least <= array.ndim <= most or not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"{name}: got a weight of shape {array.shape}, expected {least} to {most} axes of finite numbers"
        )
    return array


def _sigma(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix, ord=2))


def dense_lipschitz(w: Any) -> float:
    """sigma_max(W): the Lipschitz constant of x -> x W + b in Euclidean length, by singular value decomposition.

    Args:
        w: (in, out).

    Raises:
        ValueError: another shape, a number that is not finite, or a tensor inside a graph.
    """
    return _sigma(_array("dense_lipschitz", w, 2, 2))


def reshaped_norm(w: Any) -> float:
    """sigma_max of a weight (*kernel, in, out) read as the matrix (taps * in, out): what spectral normalisation divides by.

    The constant of a dense layer; of a convolution neither the constant nor a bound for it (see :func:`conv_norm_bound`).

    Raises:
        ValueError: fewer than two axes, a number that is not finite, or a tensor inside a graph.
    """
    array = _array("reshaped_norm", w, 2, 5)
    return _sigma(array.reshape(-1, array.shape[-1]))


def conv_norm_bound(w: Any, *, stride: Any = 1, dilation: Any = 1) -> float:
    """sqrt(overlap) sigma_max(M) >= the Lipschitz constant of `ops.conv(x, w)`, for every size and padding of x.

    Proof: the output at o is M^T (patch at o), so |y|^2 <= sigma_max(M)^2 sum over o of |patch at o|^2, and each position of
    x lies in at most `overlap` patches. Along an axis with k taps, stride s and dilation d, these are the taps with the same
    remainder: ceil(k gcd(s, d) / s) of them; at stride 1 all k, so the factor is sqrt(kh kw) (Tsuzuku, Sato, Sugiyama 2018,
    arXiv 1802.04034; equality is neared by constant kernels on large inputs).

    Args:
        w: (*kernel, in, out), one to three spatial axes.
        stride, dilation: as of `ops.conv`.

    Raises:
        ValueError: other shapes, a number that is not finite, or a tensor inside a graph.
    """
    kernel = _array("conv_norm_bound", w, 3, 5).shape[:-2]
    strides, dilations = per_axis("stride", stride, len(kernel)), per_axis("dilation", dilation, len(kernel))
    overlap = math.prod(-(-k * math.gcd(s, d) // s) for k, s, d in zip(kernel, strides, dilations, strict=True))
    return math.sqrt(overlap) * reshaped_norm(w)


def conv_matrix(w: Any, sizes: Any, *, stride: Any = 1, padding: Padding = "same", dilation: Any = 1) -> np.ndarray:
    """The matrix A of x -> `ops.conv(x, w)` for an input of the given sizes: flat output = A flat input.

    Column i is what the convolution makes of the i-th unit image, so A has (outputs * out) x (positions * in) elements: for
    small inputs.

    Args:
        w: (*kernel, in, out).
        sizes: of the input's spatial axes, an integer or one an axis.
        stride, padding, dilation: as of `ops.conv`.

    Raises:
        ValueError: shapes that do not fit together, or a tensor inside a graph.
    """
    array = _array("conv_matrix", w, 3, 5)
    sizes = per_axis("sizes", sizes, array.ndim - 2)
    inputs = math.prod(sizes) * array.shape[-2]
    units = np.eye(inputs).reshape(inputs, *sizes, array.shape[-2])
    images = ops.conv(units, array, stride=stride, padding=padding, dilation=dilation).data
    return images.reshape(inputs, -1).T


def conv_lipschitz(w: Any, sizes: Any, *, stride: Any = 1, padding: Padding = "same", dilation: Any = 1) -> float:
    """sigma_max of :func:`conv_matrix`: the exact Lipschitz constant of a convolution of a small input.

    Raises:
        ValueError: as :func:`conv_matrix`.
    """
    return _sigma(conv_matrix(w, sizes, stride=stride, padding=padding, dilation=dilation))


def network_bound(weights: Sequence[Any]) -> float:
    """The product of the layers' constants: an upper bound of the Lipschitz constant of a network whose activations are
    1-Lipschitz (ReLU, leaky ReLU with slope at most 1, tanh, sigmoid, softplus).

    sigma_max(W) for a dense weight (in, out), :func:`conv_norm_bound` at stride 1 for a convolution's (*kernel, in, out), which
    also covers larger strides and transposed convolutions. Seldom tight: the layers' worst directions need not meet
    (Szegedy et al. 2013, arXiv 1312.6199, section 4.3).

    Raises:
        ValueError: no weights, other shapes, or a tensor inside a graph.
    """
    weights = list(weights)
    if not weights:
        raise ValueError("network_bound: got no weights, expected at least one")
    return math.prod(dense_lipschitz(w) if np.ndim(w) == 2 else conv_norm_bound(w) for w in weights)
