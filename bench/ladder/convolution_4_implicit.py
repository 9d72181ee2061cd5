"""No matrix of patches: the microkernel is told where the parts of a window lie.

Channels come last, so the taps of one row of the kernel meet one stretch of memory, K C floats long; a window is K
such runs, and the windows of neighbouring positions begin C floats apart. The microkernel takes a list of runs, and
needs no more than that: TALL neighbouring positions are the rows of a tile. Only zeros are put around x; the weights
are packed once into panels.

What is left: the zeros of the padding are still multiplied; and a row of 14 positions takes three tiles of 6, so that
one product in five is made twice.

Next: images instead of positions in a tile (`convolution_5_images.py`).
"""

from __future__ import annotations

import numpy as np
from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit
from minigan.kernels.cpu.gemm_microkernel import TALL, WIDTH, microkernel
from minigan.kernels.cpu.threads import split

NO_BIAS = np.zeros(WIDTH, np.float32)


@njit
def lines(start: int, stop: int, padded: Array, panels: Array, no_bias: Array, out: Array) -> None:
    """Lines (n, i) of the output; panels (panel, K, K C, WIDTH)."""
    _, height, width, outs = out.shape
    channels, taps, depth = padded.shape[3], panels.shape[1], panels.shape[2]
    runs = np.empty((taps, 3), np.int64)
    for line in range(start, stop):
        n, i = line // height, line % height
        for panel in range(panels.shape[0]):
            b = min(panel * WIDTH, outs - WIDTH)
            for column in range(0, width, TALL):
                j = min(column, width - TALL)
                for k in range(taps):
                    runs[k, 0] = padded[n, i + k, j].ctypes.data
                    runs[k, 1], runs[k, 2] = panels[panel, k].ctypes.data, depth
                microkernel(
                    runs.ctypes.data, taps, 4 * channels, 4, 4 * WIDTH, out[n, i, j, b:].ctypes.data, 4 * outs,
                    no_bias.ctypes.data, panels.ctypes.data, 0, np.float32(1),
                )  # fmt: skip


def compute(x: Array, w: Array, out: Array) -> None:
    """out = conv(x, w), of at least TALL positions a row and WIDTH output channels."""
    taps, low, outs = w.shape[0], (w.shape[0] - 1) // 2, w.shape[3]
    padded = np.pad(x, ((0, 0), (low, taps - 1 - low), (low, taps - 1 - low), (0, 0)))
    starts = [min(b, outs - WIDTH) for b in range(0, outs, WIDTH)]
    panels = np.stack([w[..., b : b + WIDTH].reshape(taps, -1, WIDTH) for b in starts])
    split(lines, len(x) * x.shape[1], out.size * w.shape[2], padded, panels, NO_BIAS, out)


if __name__ == "__main__":
    run_alone(__file__)
