"""Maps with an inverse and a density: affine couplings (RealNVP: Dinh, Sohl-Dickstein, Bengio 2016, arXiv 1605.08803), and pixels
as numbers without bounds.

A coupling leaves the coordinates of a mask m as they are, and moves and scales the others by what these say (ibid., eq. 9):

    z = m x + (1 - m) (x e^s + t),     x = m z + (1 - m) (z - t) e^-s,     s, t = networks of m x = m z

Its Jacobian is triangular, so that log |det dz/dx| = sum of s over the others (ibid., eq. 6). With masks in turn and z ~ N(0, I)

    log p(x) = log N(f(x); 0, I) + log |det df/dx|                                                (ibid., eq. 2)

Pixels of 256 levels k get uniform noise, v = k + u, so that densities of v bound the probability of levels (ibid., section 4.1):
log P(k) >= E_u log p(v). The flow's x is the logit of a + (1 - 2 a) v / 256, a = .05.
"""

from __future__ import annotations

import math

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor

LEVELS, MARGIN, STRONGEST = 256, 0.05, 2.0  # of pixels; a; the largest |s| of one coupling


class Coupling(nn.Module):
    """x (N, d) to z (N, d); it begins near the identity.

    Args:
        mask: m (d,), 0 and 1. width: hidden units.
    """

    def __init__(self, mask: np.ndarray, width: int) -> None:
        size = len(mask)
        self.mask = Tensor(mask.astype(np.float32))
        self.network = nn.Sequential(
            nn.Dense(size, width, activation="relu"),
            nn.Dense(width, width, activation="relu"),
            nn.Dense(width, 2 * size, init="normal"),
        )

    def _scale_and_shift(self, held: Tensor) -> tuple[Tensor, Tensor]:
        s, t = ops.split(self.network(held), 2, axis=1)
        moved = 1.0 - self.mask
        return moved * (STRONGEST * ops.tanh(s / STRONGEST)), moved * t

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """z, and log |det dz/dx| of each example (N,)."""
        s, t = self._scale_and_shift(self.mask * x)
        return x * ops.exp(s) + t, ops.sum(s, axis=1)

    def inverse(self, z: Tensor) -> Tensor:
        """x."""
        s, t = self._scale_and_shift(self.mask * z)
        return (z - t) * ops.exp(-s)


class Flow(nn.Module):
    """Couplings one behind the other, with the squares of a checkerboard held in turn; G, from codes z (N, d) to examples.

    Args:
        shape: of an example, (d,) for points or (H, W, C) for images. layers: how many. width: hidden units of each.
    """

    def __init__(self, shape: tuple[int, ...], layers: int, width: int) -> None:
        board = (np.indices(shape).sum(axis=0) % 2).reshape(-1)
        self.shape, self.images = shape, len(shape) == 3
        self.layers = [Coupling((board + i) % 2, width) for i in range(layers)]

    def forward(self, z: Tensor) -> Tensor:
        """Examples G(z), (N, *shape)."""
        y = self.inverse(z)
        if not self.images:
            return y
        x = pixels(y, self.shape)
        return x if self.training else ops.clip(x, -1, 1)  # a clipped pixel has no gradient: G would rest there

    def code(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """f(x), and log p(x) in nats (N,). noise: u of x's shape, for images."""
        if not self.images:
            return self.unbounded_code(x)
        y, log_det = dequantised(x, noise)
        z, log_p = self.unbounded_code(y)
        return z, log_p + log_det

    def inverse(self, z: Tensor) -> Tensor:
        """From codes to the couplings' numbers without bounds, both (N, d)."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def unbounded_code(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of that, and the log-density of y (N,)."""
        log_dets = []
        for layer in self.layers:
            y, log_det = layer(y)
            log_dets.append(log_det)
        return y, sum(log_dets) - 0.5 * (ops.sum(ops.square(y), axis=1) + y.shape[1] * math.log(2 * math.pi))


def dequantised(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, *shape) in [-1, 1] and u of that shape to numbers without bounds (N, d), and log |det| by v of each (N,)."""
    v = ops.clip(ops.round((x + 1.0) * (0.5 * (LEVELS - 1))), 0, LEVELS - 1) + noise
    p = ops.flatten(MARGIN + (1 - 2 * MARGIN) / LEVELS * v, 1)
    log_p, log_rest = ops.log(p), ops.log(1.0 - p)
    constant = p.shape[1] * math.log((1 - 2 * MARGIN) / LEVELS)
    return log_p - log_rest, constant - ops.sum(log_p + log_rest, axis=1)


def pixels(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse, without the noise: images (N, *shape), in [-1, 1] or at most .12 outside, where p is in the margin."""
    v = (ops.sigmoid(y) - MARGIN) * (LEVELS / (1 - 2 * MARGIN))
    return ops.reshape((v - 0.5) * (2 / (LEVELS - 1)) - 1.0, (len(y), *shape))
