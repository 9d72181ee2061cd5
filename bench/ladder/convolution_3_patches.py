"""Patches and a product (im2col): every window of x becomes a row of a matrix.

    patches[(n, i, j), (k, m, c)] = x[n, i + k - p, j + m - p, c]       y = patches W,  W = w as (K K C, B)

All that the first ladder has won is won at once, with one line of code for the product. The price is the matrix: 25
copies of x for a 5x5 kernel, written to memory and read again. Here that is 10 MB for an x of .4 MB. And the zeros of
the padding are multiplied like anything else: 15 % of the products at 14 x 14.

Next: read the windows where they lie (`convolution_4_implicit.py`).
"""

from __future__ import annotations

import numpy as np
from measuring import run_alone

from minigan.backend import Array
from minigan.kernels import reference as kernels


def compute(x: Array, w: Array, out: Array) -> None:
    """out = conv(x, w)."""
    taps, low = w.shape[0], (w.shape[0] - 1) // 2
    padded = np.pad(x, ((0, 0), (low, taps - 1 - low), (low, taps - 1 - low), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), (1, 2))  # (N, H, W, C, K, K), a view
    patches = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(out.size // out.shape[-1], -1)
    kernels.matmul(patches, w.reshape(-1, w.shape[-1]), out.reshape(-1, out.shape[-1]))


if __name__ == "__main__":
    run_alone(__file__)
