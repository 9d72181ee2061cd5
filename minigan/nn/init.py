"""Initialisers: functions `(random, stream, shape) -> array` of shape (*kernel, in, out)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import pages, room
from minigan.autodiff import Tensor
from minigan.backend import Array, to_device, to_numpy
from minigan.checks import number
from minigan.random import Source

Initializer = Callable[[Source, str, tuple[int, ...]], Array]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan in, fan out) of a weight (*kernel, in, out): how many inputs an output sums, and outputs an input feeds."""
    if len(shape) < 2:
        raise ValueError(f"init: got weight shape {shape}, expected at least (in, out)")
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def leaf(shape: tuple[int, ...], owner: str) -> Tensor:
    """Zeros of a shape as a place for weights, where weights lie well (see `minigan.pages`). owner: the layer, for messages.

    Raises:
        NoRoomError: they, and the random numbers that they start as, do not fit into memory.
    """
    room.check_weight(owner, shape)
    weights = Tensor(pages.zeros(shape))
    weights.requires_grad = True
    return weights


def normal(std: float = 0.02) -> Initializer:
    """N(0, std^2); std .02 as in DCGAN (Radford et al. 2015, arXiv 1511.06434, section 4)."""
    number("normal", "std", std, low=0)
    return lambda random, stream, shape: random.normal(shape, stream=stream).data * random.dtype.type(std)


def _uniform(random: Source, stream: str, shape: tuple[int, ...], bound: float) -> Array:
    return (2 * random.uniform(shape, stream=stream).data - 1) * random.dtype.type(bound)


def xavier(gain: float = 1.0) -> Initializer:
    """U(-a, a), a = gain sqrt(6 / (fan in + fan out)): keeps variances forward and backward (Glorot, Bengio 2010, eq. 16)."""
    number("xavier", "gain", gain, low=0)
    return lambda random, stream, shape: _uniform(random, stream, shape, gain * math.sqrt(6 / max(1, sum(fans(shape)))))


def he(slope: float = 0.0) -> Initializer:
    """N(0, 2 / ((1 + slope^2) fan in)), for (leaky) ReLU with `slope` below 0 (He et al. 2015, arXiv 1502.01852, eq. 15)."""
    number("he", "slope", slope)
    return lambda random, stream, shape: (
        random.normal(shape, stream=stream).data
        * random.dtype.type(math.sqrt(2 / ((1 + slope * slope) * max(1, fans(shape)[0]))))
    )


def uniform_fan_in() -> Initializer:
    """U(-a, a), a = 1/sqrt(fan in) (LeCun et al. 1998 up to a factor; what PyTorch's Linear draws)."""
    return lambda random, stream, shape: _uniform(random, stream, shape, 1 / math.sqrt(max(1, fans(shape)[0])))


def orthogonal(gain: float = 1.0) -> Initializer:
    """gain Q, Q with orthonormal columns (or rows) from the QR decomposition of a Gaussian matrix, the signs of R's diagonal
    fixed so that Q is uniform (Saxe et al. 2013, arXiv 1312.6120; Mezzadri 2007)."""
    number("orthogonal", "gain", gain, low=0)

    def draw(random: Source, stream: str, shape: tuple[int, ...]) -> Any:
        fans(shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(to_numpy(random.normal(tall, stream=stream).data).astype(np.float64))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        matrix = (q if rows >= columns else q.T) * gain
        return to_device(np.ascontiguousarray(matrix.reshape(shape), dtype=random.dtype), random.device)

    return draw


BY_NAME: dict[str, Callable[[], Initializer]] = {
    "normal": normal,
    "xavier": xavier,
    "he": he,
    "uniform_fan_in": uniform_fan_in,
    "orthogonal": orthogonal,
}


def get(name: str | Initializer) -> Initializer:
    """An initialiser by name, or the function itself."""
    if callable(name):
        return name
    if name not in BY_NAME:
        raise ValueError(f"init: got {name!r}, expected one of {tuple(BY_NAME)} or a function (random, stream, shape)")
    return BY_NAME[name]()


def drawn(init: Initializer, random: Source, stream: str, shape: tuple[int, ...]) -> Array:
    """What an initialiser draws, on the device of `random`: a function may make NumPy's arrays, wherever the weight is."""
    array = init(random, stream, shape)
    return to_device(array.data if isinstance(array, Tensor) else array, random.device)
