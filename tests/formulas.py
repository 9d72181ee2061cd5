"""What each operation should compute, written a second time with NumPy and SciPy: f(*arrays, **params) -> array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

Formula = Callable[..., Any]


def activation(x: Any, f: Any) -> Any:
    return {
        "linear": lambda: x,
        "relu": lambda: x * (x > 0),
        "leaky_relu": lambda: np.maximum(x, 0) + f.slope * np.minimum(x, 0),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: special.expit(x),
    }[f.kind]()


def activation_backward(g: Any, y: Any, f: Any) -> Any:
    slopes = {
        "linear": lambda: 1.0,
        "relu": lambda: (y > 0) * 1.0,
        "leaky_relu": lambda: np.where(y > 0, 1.0, f.slope),
        "tanh": lambda: 1 - y**2,
        "sigmoid": lambda: y - y**2,
    }
    return g * slopes[f.kind]()


def bce_with_logits(logits: Any, target: Any) -> Any:
    return -target * special.log_expit(logits) - (1 - target) * special.log_expit(-logits)


def dense(x: Any, w: Any, *b: Any, f: Any) -> Any:
    return activation(np.einsum("ij,jk->ik", x, w) + (b[0] if b else 0.0), f)


def meetings(geometry: Any) -> list[np.ndarray]:
    """For each axis the 0/1 array M[i, o, k] of positions that meet under a tap: i = o s + k d - p."""
    arrays = []
    for k, s, d, p, big, small in zip(*geometry, strict=True):
        i, o, t = np.ogrid[:big, :small, :k]
        arrays.append((i == o * s + t * d - p) * 1.0)
    return arrays


def trilinear(geometry: Any, wanted: str, **arrays: Any) -> Any:
    """The form sum x[n, i, a] w[k, a, b] g[n, o, b] M[i, o, k] without one of its arguments, as one einsum."""
    axes = range(geometry.ndim)
    index = {"x": "n" + "ijl"[: len(axes)] + "a", "g": "n" + "opq"[: len(axes)] + "b", "w": "stu"[: len(axes)] + "ab"}
    parts = [index[name] for name in arrays] + ["ijl"[a] + "opq"[a] + "stu"[a] for a in axes]
    return np.einsum(",".join(parts) + "->" + index[wanted], *arrays.values(), *meetings(geometry), optimize=True)


def conv(x: Any, w: Any, *b: Any, geometry: Any, f: Any) -> Any:
    return activation(trilinear(geometry, "g", x=x, w=w) + (b[0] if b else 0.0), f)


def conv_transpose(g: Any, w: Any, *b: Any, geometry: Any, f: Any) -> Any:
    return activation(trilinear(geometry, "x", g=g, w=w) + (b[0] if b else 0.0), f)


def conv_weight(x: Any, g: Any, geometry: Any) -> Any:
    return trilinear(geometry, "w", x=x, g=g)


def group_norm(x: Any, gain: Any, offset: Any, groups: int, eps: float, f: Any) -> Any:
    """Group by group, element by element."""
    y, size = np.empty_like(x), x.shape[2] // groups
    for n, group in np.ndindex(len(x), groups):
        channels = slice(group * size, (group + 1) * size)
        part, row = x[n, :, channels], n % len(gain)
        h = (part - part.mean()) / np.sqrt(part.var() + eps)
        y[n, :, channels] = gain[row, channels] * h + offset[row, channels]
    return activation(y, f)


def normalize(x: Any, gamma: Any, beta: Any, eps: float, axis: int) -> Any:
    return gamma * (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps) + beta


def concatenate(*xs: Any, axis: int) -> Any:
    return np.moveaxis(np.array([row for x in xs for row in np.moveaxis(x, axis, 0)]).reshape(
        (sum(x.shape[axis] for x in xs), *np.delete(xs[0].shape, axis))), 0, axis)  # fmt: skip


def index_of(template: Any, arrays: Any) -> tuple[Any, ...]:
    return tuple(arrays[part.number] if hasattr(part, "number") else part for part in template)


def getitem(x: Any, *index: Any, template: Any) -> Any:
    return x[index_of(template, index)]


def index_add(*arrays: Any, templates: Any, shape: Any) -> Any:
    """The adjoint by its definition: y = sum over elements of g_k times the unit array of the place that x[index]_k shows."""
    y, rest = np.zeros(int(np.prod(shape)), arrays[0].dtype), list(arrays[len(templates) :])
    for g, template in zip(arrays, templates, strict=False):
        index = [rest.pop(0) for part in template if hasattr(part, "number")]
        places = np.arange(y.size).reshape(shape)[index_of(template, index)]
        for place, value in zip(np.ravel(places), np.ravel(g), strict=True):
            y[place] += value
    return y.reshape(shape)


def sum_to(x: Any, shape: Any) -> Any:
    """Each element of x goes to the element of y that broadcasting shows in its place."""
    size = int(np.prod(shape))
    places = np.broadcast_to(np.arange(size).reshape(shape), x.shape)
    return np.bincount(places.ravel(), weights=x.ravel(), minlength=size)[:size].reshape(shape).astype(x.dtype)


def gather(x: Any, index: Any, axis: int) -> Any:
    y = np.empty(index.shape, x.dtype)
    for place in np.ndindex(*index.shape):
        y[place] = x[(*place[:axis], index[place], *place[axis + 1 :])]
    return y


def gather_add(g: Any, index: Any, axis: int, shape: Any) -> Any:
    y = np.zeros(shape, g.dtype)
    for place in np.ndindex(*index.shape):
        y[(*place[:axis], index[place], *place[axis + 1 :])] += g[place]
    return y


def window_matrix(shape: Any, window: Any, stride: Any) -> np.ndarray:
    """M[o, k, i] = 1 where tap k of window o is position i, positions, taps and windows numbered in C order."""
    counts = [(n - w) // s + 1 for n, w, s in zip(shape[1:-1], window, stride, strict=True)]
    matrix = np.zeros((*counts, *window, *shape[1:-1]))
    for o in np.ndindex(*counts):
        for k in np.ndindex(*window):
            matrix[(*o, *k, *(np.multiply(o, stride) + k))] = 1
    return matrix.reshape(int(np.prod(counts)), int(np.prod(window)), int(np.prod(shape[1:-1])))


def windows(x: Any, window: Any, stride: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """x[n, o, k, c] and the shape of a result with one number a window."""
    m = window_matrix(x.shape, window, stride)
    counts = [(n - w) // s + 1 for n, w, s in zip(x.shape[1:-1], window, stride, strict=True)]
    return np.einsum("oki,nic->nokc", m, x.reshape(len(x), -1, x.shape[-1])), (len(x), *counts, x.shape[-1])


def window_spread(g: Any, window: Any, stride: Any, factor: float, shape: Any) -> Any:
    m = window_matrix(shape, window, stride)
    return factor * np.einsum("oki,noc->nic", m, g.reshape(len(g), -1, g.shape[-1])).reshape(shape)


def window_select(x: Any, winner: Any, window: Any, stride: Any) -> Any:
    parts, shape = windows(x, window, stride)
    chosen = winner.reshape(shape[0], -1, 1, shape[-1])
    return np.take_along_axis(parts, chosen, 2).reshape(shape)


def window_place(g: Any, winner: Any, window: Any, stride: Any, shape: Any) -> Any:
    m = window_matrix(shape, window, stride)
    flat = (len(g), -1, g.shape[-1])
    chosen = winner.reshape(flat)[:, :, None] == np.arange(m.shape[1])[:, None]
    return np.einsum("oki,noc,nokc->nic", m, g.reshape(flat), chosen).reshape(shape)


def interpolation(n: int, scale: int) -> np.ndarray:
    """The matrix of linear interpolation between the centres of n pixels, at those of n * scale."""
    at = (np.arange(n * scale) + 0.5) / scale - 0.5
    return np.array([np.interp(at, np.arange(n), unit) for unit in np.eye(n)]).T


def along(matrix: Any, x: Any, axis: int) -> Any:
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)


FORMULAS: dict[str, Formula] = {
    # elementwise
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda x: 0 - x,
    "power": lambda a, b: np.exp(b * np.log(a)),
    "square": lambda x: x**2,
    "sqrt": lambda x: x**0.5,
    "exp": lambda x: 2.0 ** (x * np.log2(np.e)),
    "expm1": lambda x: 2 * np.sinh(x / 2) * np.exp(x / 2),
    "log": lambda x: np.log2(x) * np.log(2),
    "log1p": lambda x: np.log(1 + x),
    "sin": lambda x: np.imag(np.exp(1j * x)),
    "cos": lambda x: np.real(np.exp(1j * x)),
    "erf": special.erf,
    "erfc": special.erfc,
    "floor": lambda x: x - np.mod(x, 1),
    "ceil": lambda x: x + np.mod(-x, 1),
    "round": lambda x: np.trunc(x + np.copysign(0.5, x)),
    "abs": lambda x: np.sqrt(x * x),
    "sign": lambda x: x / np.abs(x),
    "maximum": lambda a, b: (a + b + np.abs(a - b)) / 2,
    "minimum": lambda a, b: (a + b - np.abs(a - b)) / 2,
    "where": lambda c, a, b: c * a + (1 - c) * b,
    "activation": activation,
    "activation_backward": activation_backward,
    "softplus": lambda x: np.logaddexp(0, x),
    "bce_with_logits": bce_with_logits,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "cast": lambda x, dtype: x.astype(dtype),
    "identity": lambda x: x,
    "stop_gradient": lambda x: x,
    "contiguous": lambda x: x,
    "mean_softplus": lambda x, sign: np.mean(-special.log_expit(-sign * x)),
    "mean_softplus_backward": lambda g, x, sign: g * sign * special.expit(sign * x) / x.size,
    # linear and normalisation
    "matmul": lambda a, b: np.einsum("...ij,...jk->...ik", a, b),
    "matmul_nt": lambda a, b: np.einsum("...ij,...kj->...ik", a, b),
    "matmul_tn": lambda a, b: np.einsum("...ji,...jk->...ik", a, b),
    "conv": conv,
    "conv_transpose": conv_transpose,
    "conv_weight": conv_weight,
    "dense": dense,
    "batch_norm": lambda x, gamma, beta, eps, f: activation(normalize(x, gamma, beta, eps, 0), f),
    "layer_norm": lambda x, gamma, beta, eps: normalize(x, gamma, beta, eps, 1),
    "group_norm": group_norm,
    # logic
    "logical_and": lambda a, b: (a * 1) * (b * 1) > 0,
    "logical_or": lambda a, b: (a * 1) + (b * 1) > 0,
    "logical_xor": lambda a, b: (a * 1) + (b * 1) == 1,
    "logical_not": lambda x: x * 1 == 0,
    "all": lambda x, axis: np.multiply.reduce(x * 1, axis=axis) == 1,
    "any": lambda x, axis: np.add.reduce(x * 1, axis=axis) > 0,
    # reductions
    "sum": lambda x, axis: np.add.reduce(x, axis=axis, keepdims=True),
    "max": lambda x, axis: -np.minimum.reduce(-x, axis=axis, keepdims=True),
    "min": lambda x, axis: -np.maximum.reduce(-x, axis=axis, keepdims=True),
    "logsumexp": lambda x, axis: np.logaddexp.reduce(x, axis=axis, keepdims=True),
    "softmax": lambda x, axis: special.softmax(x, axis=axis),
    "log_softmax": lambda x, axis: special.log_softmax(x, axis=axis),
    "cumsum": lambda x, axis: np.add.accumulate(x, axis=axis),
    "norm": lambda x, axis: np.sqrt(np.add.reduce(x * x, axis=axis, keepdims=True)),
    # shapes and indices
    "reshape": lambda x, shape: np.array(list(x.flat)).reshape(shape),
    "transpose": lambda x, axes: np.einsum(x, list(range(x.ndim)), list(axes)),
    "broadcast_to": lambda x, shape: x * np.ones(shape),
    "sum_to": sum_to,
    "concatenate": concatenate,
    "pad": lambda x, widths, value: np.pad(x, widths, constant_values=value) if x.ndim else x,
    "getitem": getitem,
    "index_add": index_add,
    "argsort": lambda x, axis: np.moveaxis(
        (np.moveaxis(x, axis, -1)[..., None] > np.moveaxis(x, axis, -1)[..., None, :]).sum(-1).argsort(-1), -1, axis
    ),
    "permute": lambda x, order, axis, check: gather(x, order, axis),
    "gather": gather,
    "gather_add": gather_add,
    "argmax": lambda x, axis: (-x).argsort(axis).take(0, axis),
    "argmin": lambda x, axis: x.argsort(axis).take(0, axis),
    "one_hot": lambda indices, classes, dtype: np.eye(classes, dtype=dtype)[indices],
    "straight_through": lambda hard, soft: hard,
    # positions
    "window_sum": lambda x, window, stride, factor: (
        factor * windows(x, window, stride)[0].sum(2).reshape(windows(x, window, stride)[1])
    ),
    "window_spread": window_spread,
    "window_winner": lambda x, window, stride: (
        windows(x, window, stride)[0].argmax(2).reshape(windows(x, window, stride)[1])
    ),
    "window_select": window_select,
    "window_place": window_place,
    "max_pool": lambda x, window, stride: windows(x, window, stride)[0].max(2).reshape(windows(x, window, stride)[1]),
    "interpolate": lambda x, axis, scale: along(interpolation(x.shape[axis], scale), x, axis),
    "interpolate_adjoint": lambda g, axis, scale: along(interpolation(g.shape[axis] // scale, scale).T, g, axis),
}
