"""The loop over k outside the loop over j: rows are read as they lie.

Row i of C is a weighted sum of the rows of B:  C[i, :] += A[i, k] B[k, :].  The innermost loop now runs along two
rows, so a cache line is used whole, and the compiler turns eight multiplications into one instruction.

What is left: for every row of C all of B goes by. B has 768 x 768 floats, 2.4 MB; the first-level cache holds 32 kB
and the second 512 kB, so B comes from the third or from memory, once for each of the 768 rows. And C is read and
written for every number of A.

Next: let a part of B that fits the cache serve many rows before the next part comes (`product_3_blocks.py`).
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels.cpu.compiler import njit


@njit
def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    for i in range(out.shape[0]):
        row = out[i]
        for j in range(row.size):
            row[j] = 0
        for k in range(a.shape[1]):
            factor, line = a[i, k], b[k]
            for j in range(row.size):
                row[j] += factor * line[j]


if __name__ == "__main__":
    run_alone(__file__)
