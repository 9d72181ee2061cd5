"""Three loops, as the definition has them.

    C[i, j] = sum over k of A[i, k] B[k, j]

The innermost loop runs down a column of B: two neighbours in it are a whole row apart in memory, so that each
multiplication waits for a cache line of 64 bytes of which it uses four. Nor is there a vector to be had: a register
of 8 floats is filled from one stretch of memory.

Next: the same multiplications in another order, in which neighbours are neighbours (`product_2_order.py`).
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit


@njit
def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = a.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


if __name__ == "__main__":
    run_alone(__file__)
