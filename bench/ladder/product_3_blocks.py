"""Blocks: a part of B that fits the cache serves all rows before the next part comes.

B is cut into blocks of DEPTH rows and WIDTH columns, 64 kB each, which stay in the second-level cache while the rows
of A pass by:

    C[i, J] += A[i, K] B[K, J]       for each block (K, J), for all i.

What is left: the rows of a block lie 768 floats apart, each on lines and pages of its own. Where that distance is a
power of two they even compete for the same few places of the cache.

Next: copy the block first (`product_4_packing.py`).
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit

DEPTH, WIDTH = 128, 128


@njit
def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0
    for first_k in range(0, a.shape[1], DEPTH):
        for first_j in range(0, out.shape[1], WIDTH):
            last_k, last_j = min(first_k + DEPTH, a.shape[1]), min(first_j + WIDTH, out.shape[1])
            for i in range(out.shape[0]):
                row = out[i, first_j:last_j]
                for k in range(first_k, last_k):
                    factor, line = a[i, k], b[k, first_j:last_j]
                    for j in range(row.size):
                        row[j] += factor * line[j]


if __name__ == "__main__":
    run_alone(__file__)
