"""The Frechet distance of features: how far apart two sets are as Gaussians. With the judge's features it is the cFD."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.inputs import blocks, rows, two_sets, whole
from minigan.metrics.registry import register
from minigan.theory.transport_gaussian import frechet_distance as of_gaussians


def moments(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d), divided by N - 1, in float64. ValueError for fewer than 2 rows, NaN, another rank."""
    x = rows("moments", "features", features)
    mean, products = np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1]))
    for (part,) in blocks(x):
        mean += part.sum(axis=0) / len(x)
    for (part,) in blocks(x):
        part -= mean
        products += part.T @ part
    return mean, products / (len(x) - 1)


def frechet_distance(real: Any, fake: Any) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2) of the means m and covariances S of two sets of features.

    With Inception's features it is the FID; with any others it is not, and compares with no published one. In float64; the last
    trace is a sum of singular values, so that nothing becomes complex (see `minigan.theory.transport_gaussian`).

    Args:
        real, fake: (N, d) and (M, d). With N or M at most d the covariances are singular, which is allowed and biased.

    Bias: upwards. Two sets of one law are not at distance 0 but at about :func:`equal_laws`, d^2/2n and more where features
    have variance 1; with few samples it hides differences, and it falls as 1/n (Binkowski et al. 2018, arXiv 1801.01401,
    section 4; Chong, Forsyth 2020, arXiv 1911.07023). So compare equal n, and with the floor, real against real. It sees means
    and covariances only.

    Raises:
        ValueError: other shapes, NaN or Inf, fewer than 2 rows.

    Source: Dowson, Landau 1982; Heusel et al. 2017 (arXiv 1706.08500), eq. 6.
    """
    x, y = two_sets("frechet_distance", real, fake)
    return float(of_gaussians(*moments(x), *moments(y)))


def equal_laws(features: Any, n: int, m: int) -> float:
    """What the distance of n and m samples of one law is on average, to first order in 1/n and 1/m:

        (1/n + 1/m) ( sum_i l_i + 1/2 sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j) ),

    l the eigenvalues of the law's covariance, estimated from `features`; exact to that order for Gaussians. The first sum is that
    of the means, the second that of the covariances (the Bures distance of S and S + E is 1/2 sum_ij E_ij^2 / (l_i + l_j) + ...,
    and the variance of a covariance's entries, l_i l_j (1 + [i = j]) / n). For unit variances and n = m it is d^2/2n + 5d/2n.
    """
    whole("equal_laws", "n", n, low=2), whole("equal_laws", "m", m, low=2)
    values = np.linalg.eigvalsh(moments(features)[1]).clip(0)
    sums = values[:, None] + values
    products = values[:, None] * values * (1 + np.eye(len(values)))
    pairs = np.divide(products, sums, out=np.zeros_like(sums), where=sums > 0).sum()
    return float((1 / n + 1 / m) * (values.sum() + pairs / 2))


register(
    frechet_distance,
    name="Frechet distance",
    judged="cFD",
    better="lower",
    measure=lambda c: frechet_distance(c.real.features, c.fake.features),
    bias=lambda c: equal_laws(c.real.features, len(c.real), len(c.fake)),
)
