"""Packing: a block of B is copied to one stretch of memory, in the order that it is read in, and read four rows at a time.

The copy costs one pass over B. A block of 128 x 128 is 64 kB that lie together: no two of its rows compete for one place of
the cache, and what the processor fetches ahead is right. With four rows at a time, C is read and written for four numbers of
A instead of for each:

    C[i, J] += A[i, k] B[k, J] + A[i, k+1] B[k+1, J] + A[i, k+2] B[k+2, J] + A[i, k+3] B[k+3, J].

What is left: per vector of results, four multiplications, but four loads of B, one of C, and a store. A processor
that starts two multiplications and two or three loads a cycle waits for its loads. The sums belong into registers.

Next: hold a tile of C in registers while k runs through all of a panel (`product_5_tiles.py`).
"""

from __future__ import annotations

import numpy as np
from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit

DEPTH, WIDTH = 128, 128


@njit
def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    (m, depth), n = a.shape, b.shape[1]
    for i in range(m):
        for j in range(n):
            out[i, j] = 0
    packed, factors = np.zeros((DEPTH, WIDTH), np.float32), np.zeros(DEPTH, np.float32)
    for first_k in range(0, depth, DEPTH):
        for first_j in range(0, n, WIDTH):
            rows, columns = min(DEPTH, depth - first_k), min(WIDTH, n - first_j)
            packed[:] = 0
            for k in range(rows):
                for j in range(columns):
                    packed[k, j] = b[first_k + k, first_j + j]
            for i in range(m):
                row = out[i, first_j : first_j + columns]
                factors[rows:] = 0
                for k in range(rows):
                    factors[k] = a[i, first_k + k]
                for k in range(0, rows, 4):
                    c0, c1, c2, c3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
                    b0, b1, b2, b3 = packed[k], packed[k + 1], packed[k + 2], packed[k + 3]
                    for j in range(columns):
                        row[j] += (c0 * b0[j] + c1 * b1[j]) + (c2 * b2[j] + c3 * b3[j])


if __name__ == "__main__":
    run_alone(__file__)
