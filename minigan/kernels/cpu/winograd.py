"""The three matrices of Winograd's short convolution, exactly, from a polynomial identity.

**The problem.** m outputs of a filter of r taps, y_j = sum over k of g_k d_{j+k}, read n = m + r - 1 inputs and cost m r
multiplications. Winograd (1980, "Arithmetic complexity of computations"; for networks Lavin, Gray 2015, arXiv 1509.09308)
needs n.

**1. Products of polynomials.** Let g(t) = sum g_k t^k and u(t) = sum u_j t^j have r and m coefficients. Their product s = g u
has n, so it is known when its values at n points are: s(a) = g(a) u(a), one multiplication a point. One point may be
"infinity", which stands for the leading coefficient. With E_r the n x r matrix of the powers of the points (row of infinity:
0 ... 0 1), E_m and E_n likewise,

    s = E_n^-1 [(E_r g) * (E_m u)]          * is the product element by element.

**2. Transpose.** The filter is the transpose of the product: for every u,

    sum_j u_j y_j = sum over j, k of  u_j g_k d_{j+k} = d . s                    (the coefficient of t^(j+k) is u_j g_k)
                  = d . E_n^-1 [(E_r g) * (E_m u)]
                  = (E_m u) . [(E_r g) * (E_n^-T d)]                             (move the matrices to the other side)

and since this holds for every u,

    y = A^T [(G g) * (B^T d)],       A^T = E_m^T  (m x n),   G = E_r  (n x r),   B^T = E_n^-T  (n x n).

**3. A check by hand.** m = 2, r = 3, points 0, 1, -1, infinity: B^T d begins with d_0 - d_2, and
y_0 = g_0 (d_0 - d_2) + (g_0 + g_1 + g_2)(d_1 + d_2)/2 + (g_0 - g_1 + g_2)(d_2 - d_1)/2 = g_0 d_0 + g_1 d_1 + g_2 d_2.

**4. Why it pays.** With channels, g and d become matrices, and * the matrix products: n of them instead of m r. G acts once on
the weights and B^T once on the inputs, whatever the number of channels on the other side. The weight gradient is the same
filter with the roles changed: r outputs of a filter of m taps, so the same points serve, with E_r and E_m exchanged.

**5. What it costs.** Rounding grows with |A^T| |G| |B^T|, hence small points and their inverses: 0, +-1, +-2, +-1/2. Here the
identity is applied along one axis only, the others stay direct: that keeps the error near that of a plain sum, leaves out the
padding along the other axes, and lets each tile of products be turned into outputs while it is in cache. (Along two axes the
5x5 kernel of a DCGAN would need a further 45 % fewer multiplications, but almost three times as much memory would be written
and read again: by the bandwidth measured here that costs what it saves. It has not been built.)
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from minigan.backend import Array

POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2))
LARGEST = len(POINTS) + 1  # infinity is one more

Matrix = list[list[Fraction]]


def _powers(n: int, columns: int) -> Matrix:
    """E: the powers 0 ... columns - 1 of n - 1 points, and the row of infinity."""
    rows = [[point**j for j in range(columns)] for point in POINTS[: n - 1]]
    return [*rows, [Fraction(int(j == columns - 1)) for j in range(columns)]]


def _inverse(matrix: Matrix) -> Matrix:
    """Gauss and Jordan, exactly."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for column in range(n):
        pivot = next(i for i in range(column, n) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [v / rows[column][column] for v in rows[column]]
        for i in range(n):
            if i != column:
                rows[i] = [v - rows[i][column] * w for v, w in zip(rows[i], rows[column], strict=True)]
    return [row[n:] for row in rows]


@lru_cache(maxsize=64)
def matrices(outputs: int, taps: int) -> tuple[Array, Array, Array]:
    """(A^T, G, B^T) in float64: y = A^T [(G g) * (B^T d)] is the filter of `taps` taps g with `outputs` outputs.

    Raises:
        ValueError: outputs + taps - 1 beyond the points there are.
    """
    n = outputs + taps - 1
    if outputs < 1 or taps < 1 or n > LARGEST:
        raise ValueError(f"winograd: got {outputs} outputs and {taps} taps, expected outputs + taps - 1 <= {LARGEST}")
    a, g, b = _powers(n, outputs), _powers(n, taps), _inverse(_powers(n, n))

    def floats(matrix: Matrix) -> Array:
        return np.array([[float(v) for v in row] for row in matrix])

    return floats(a).T, floats(g), floats(b).T
