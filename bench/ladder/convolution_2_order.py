"""The output channels innermost: weights and results are read as they lie.

    y[n, i, j, :] += x[n, i + k - p, j + m - p, c] w[k, m, c, :]

Channels come last in x, w and y, so the innermost loop runs along two rows of memory and becomes vectors. What makes
the matrix product quick is missing here as it was in `product_2_order.py`: all weights (200 kB) go by for every
position, and every multiplication of a vector costs two loads and a store.

Next: make a matrix product of it (`convolution_3_patches.py`).
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit


@njit
def compute(x: Array, w: Array, out: Array) -> None:
    """out = conv(x, w)."""
    images, height, width, channels = x.shape
    taps, low = w.shape[0], (w.shape[0] - 1) // 2
    for n in range(images):
        for i in range(height):
            for j in range(width):
                row = out[n, i, j]
                for b in range(row.size):
                    row[b] = 0
                for k in range(max(0, low - i), min(taps, height + low - i)):
                    for m in range(max(0, low - j), min(taps, width + low - j)):
                        for c in range(channels):
                            factor, line = x[n, i + k - low, j + m - low, c], w[k, m, c]
                            for b in range(row.size):
                                row[b] += factor * line[b]


if __name__ == "__main__":
    run_alone(__file__)
