"""Seven loops, as the definition has them.

    y[n, i, j, b] = sum over k, m, c of x[n, i + k - p, j + m - p, c] w[k, m, c, b],     x = 0 outside

For each output the loop runs over the taps and, innermost, over the input channels: two neighbours in w are B floats
apart. It is the naive product again (`product_1_naive.py`), with questions at the edges beside it.

Next: the output channels innermost (`convolution_2_order.py`).
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
                for b in range(w.shape[3]):
                    total = x.dtype.type(0)
                    for k in range(max(0, low - i), min(taps, height + low - i)):
                        for m in range(max(0, low - j), min(taps, width + low - j)):
                            for c in range(channels):
                                total += x[n, i + k - low, j + m - low, c] * w[k, m, c, b]
                    out[n, i, j, b] = total


if __name__ == "__main__":
    run_alone(__file__)
