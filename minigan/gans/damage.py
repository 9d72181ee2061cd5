"""What models that restore images are to undo: blur and holes; and the simplest way to fill a hole."""

from __future__ import annotations

import math

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor


def blurred(x: Tensor, std: float) -> Tensor:
    """Each channel convolved with a normalised Gaussian (Gauss along both axes), zeros (grey) beyond the edges."""
    n, height, width, channels = x.shape
    reach = math.ceil(3 * std)
    taps = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / std))
    taps /= taps.sum()
    maps = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (n * channels, height, width, 1))
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        maps = ops.conv(maps, ops.as_tensor(taps.reshape(shape), like=maps))
    return ops.transpose(ops.reshape(maps, (n, channels, height, width)), (0, 2, 3, 1))


def hole(shape: tuple[int, ...]) -> np.ndarray:
    """M (1, H, W, 1): 1 in the central half of both axes."""
    mask = np.zeros((1, *shape[:2], 1), np.float32)
    mask[:, shape[0] // 4 : shape[0] - shape[0] // 4, shape[1] // 4 : shape[1] - shape[1] // 4] = 1
    return mask


def nearest(x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) whose pixels `inside` (H, W) are those of the nearest seen ones, the first of several.

    The nearest seen pixel lies beside the hole: a step towards it would be nearer still, and so is in the hole.
    """
    beside = np.pad(inside, 1)
    beside = beside[:-2, 1:-1] | beside[2:, 1:-1] | beside[1:-1, :-2] | beside[1:-1, 2:]
    wanted, seen = np.argwhere(inside), np.argwhere(beside & ~inside)
    places = seen[np.square(wanted[:, None] - seen).sum(axis=-1).argmin(axis=1)]
    filled = x.copy()
    filled[:, wanted[:, 0], wanted[:, 1]] = x[:, places[:, 0], places[:, 1]]
    return filled
