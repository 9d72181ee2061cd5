"""Register tiles: TALL x WIDTH sums stay in registers while k runs from end to end.

For each k the microkernel loads one row of the packed panel (two vectors), spreads TALL numbers of A, and does 2 TALL
multiplications with vectors: 12 for 8 loads with AVX2, and no store before the end. It is written in LLVM's
intermediate language (see `minigan/kernels/cpu/gemm_microkernel.py`), since no compiler promises to keep an array in registers.

A tile that would stick out is moved back inside: some numbers are then computed twice, which is simpler than a second
kernel.

What is left: one processor works, the others look on.

Next: threads (`product_6_threads.py`).
"""

from __future__ import annotations

import numpy as np
from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit
from minigan.kernels.cpu.gemm_microkernel import TALL, WIDTH, microkernel

NO_BIAS = np.zeros(WIDTH, np.float32)


@njit
def rows(start: int, stop: int, a: Array, b: Array, no_bias: Array, out: Array) -> None:
    """Rows start ... stop of the product, at least TALL of them."""
    depth, n = b.shape
    panel, run = np.empty((depth, WIDTH), np.float32), np.empty(3, np.int64)
    for column in range(0, n, WIDTH):
        j = min(column, n - WIDTH)
        for k in range(depth):
            for c in range(WIDTH):
                panel[k, c] = b[k, j + c]
        for row in range(start, stop, TALL):
            i = min(row, stop - TALL)
            run[0], run[1], run[2] = a[i].ctypes.data, panel.ctypes.data, depth
            microkernel(
                run.ctypes.data, 1, 4 * depth, 4, 4 * WIDTH, out[i, j:].ctypes.data, 4 * n, no_bias.ctypes.data,
                panel.ctypes.data, 0, np.float32(1),
            )  # fmt: skip


def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b, of at least TALL rows and WIDTH columns."""
    rows(0, len(a), a, b, NO_BIAS, out)


if __name__ == "__main__":
    run_alone(__file__)
