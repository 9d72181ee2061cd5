"""How far apart two sets of images are as textures: by what small filters answer and how answers go together."""

from __future__ import annotations

import numpy as np

from minigan import ops
from minigan.data.base import stream
from minigan.metrics.inputs import blocks, numbers
from minigan.metrics.registry import register
from minigan.switches import no_grad

FILTERS, WINDOW = 64, 5


def gram(images: np.ndarray) -> np.ndarray:
    """G = mean over images and places of f f^T, f = (1, the pixel, max(0, h_1), ..., max(0, h_64)): (1 + C + 64) squared.

    h_k are the answers of filters of 5 x 5 x C pixels, drawn once from N(0, 1), without their mean and of norm 1; the first row
    of G holds means, which Gatys et al. leave out.
    """
    channels = images.shape[-1]
    filters = stream(0, f"texture of {channels}").standard_normal((WINDOW, WINDOW, channels, FILTERS))
    filters -= filters.mean(axis=(0, 1, 2))
    filters /= np.sqrt(np.square(filters).sum(axis=(0, 1, 2)))
    total, edge = 0.0, WINDOW // 2
    for (part,) in blocks(images):
        with no_grad():
            answers = ops.relu(ops.conv(part, filters, padding="valid")).numpy()
        pixels = part[:, edge:-edge, edge:-edge]
        f = np.concatenate([np.ones((*pixels.shape[:3], 1)), pixels, answers], axis=-1).reshape(
            -1, 1 + channels + FILTERS
        )
        total = total + f.T @ f / (pixels.shape[1] * pixels.shape[2])
    return np.asarray(total) / len(images)


def texture_distance(x: np.ndarray, y: np.ndarray) -> float:
    """|G_x - G_y|, the Frobenius norm of the difference of the Gram matrices of two sets of images (N, H, W, C) in [-1, 1].

    It does not see what is shown, only brightness, colours and structures up to 5 pixels and how they go together: 0 for two sets
    of one texture, however its patches are cut. Only a ratio of two distances to one set means something.

    Bias: up, by the spread of Gram matrices over the square root of the number of images: compare sets of equal size.

    Raises:
        ValueError: other shapes, NaN or Inf, another number of channels, sides below 5.

    Source: Gatys, Ecker, Bethge 2015 (arXiv 1505.07376), eq. 1; filters at random for learned ones: Ustyuzhaninov, Brendel,
    Gatys, Bethge 2016 (arXiv 1606.00021).
    """
    a, b = (numbers("texture_distance", name, each) for name, each in (("x", x), ("y", y)))
    if a.ndim != 4 or b.ndim != 4 or a.shape[-1] != b.shape[-1] or min(*a.shape[1:3], *b.shape[1:3]) < WINDOW:
        raise ValueError(
            f"texture_distance: got shapes {a.shape} and {b.shape}, expected (N, H, W, C), one C, sides of at least {WINDOW}"
        )
    return float(np.linalg.norm(gram(a) - gram(b)))


register(texture_distance, better="lower")
