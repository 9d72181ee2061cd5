"""Blocks: some rows of B that fit the cache serve all rows of A before the next ones come.

B is cut into blocks K of DEPTH rows, 150 kB each, which stay in the second-level cache while the rows of A pass by:

    C[i, :] += A[i, K] B[K, :]       for each block K, for all i.

B now comes from memory once instead of 768 times, and C goes by once a block. With a large third-level cache that is little gain;
with B beyond every cache it would be nearly all.

What is left: every multiplication of a vector still costs two loads and a store, since the row of C is read and written for every
number of A. And B's columns are wanted in narrow strips soon, whose rows lie far apart.

Next: copy a strip first, and take several rows of it at a time (`product_4_packing.py`).
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit

DEPTH = 48


@njit
def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0
    for first in range(0, a.shape[1], DEPTH):
        for i in range(out.shape[0]):
            row = out[i]
            for k in range(first, min(first + DEPTH, a.shape[1])):
                factor, line = a[i, k], b[k]
                for j in range(row.size):
                    row[j] += factor * line[j]


if __name__ == "__main__":
    run_alone(__file__)
