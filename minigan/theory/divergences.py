"""Entropies and divergences of probability tables, and f-divergences by their generators.

A table holds probabilities along its last axis; leading axes are a batch, and broadcast. Zeros get the right limit: 0
log 0 is 0, and a divergence that needs p << q (q = 0 only where p = 0) is inf where that fails. No function returns
NaN. Everything is in nats.

What is added up is in `terms`: q f(p/q), written so that no digits are lost. :func:`f_divergence` and the table `GENERATORS`
of its f are in `generators`, and have their names here too. The same divergences of other things: of Gaussians in closed form
in `gaussians`, of densities on the line in `densities`, from samples in `estimators`.

A table's sum is 1 only to rounding (1e-6 is let pass), and derivatives leave the tables: there, formulas that agree on tables
differ. KL is then sum (p log(p/q) - p + q), with the derivatives of sum p log(p/q); each other docstring's last formula holds.
"""

from __future__ import annotations

import math
from typing import Any

from minigan import ops
from minigan.autodiff import Tensor
from minigan.theory import terms
from minigan.theory.arrays import on_arrays, same_outcomes, table, xlogy
from minigan.theory.generators import (
    GENERATORS,
    Generator,
    f_divergence,
    generator,
    optimal_t,
    variational_bound,
    variational_bound_of_outputs,
    wright_omega,
)

__all__ = [
    "GENERATORS",
    "Generator",
    "alpha_divergence",
    "binary_entropy",
    "cross_entropy",
    "entropy",
    "f_divergence",
    "generator",
    "hellinger_squared",
    "jeffreys",
    "jsd",
    "kl",
    "le_cam",
    "neyman_chi_squared",
    "optimal_t",
    "pearson_chi_squared",
    "renyi",
    "reverse_kl",
    "total_variation",
    "variational_bound",
    "variational_bound_of_outputs",
    "wright_omega",
]


def _total(values: Tensor) -> Tensor:
    return ops.sum(values, axis=-1)


# -- entropies -------------------------------------------------------------------------------------------------------
@on_arrays("p")
def entropy(p: Any) -> Any:
    """H(p) = -sum p log p, in [0, log n] (Shannon 1948).

    Args:
        p: probabilities, (..., n).

    Returns:
        (...), a float for one table.

    Raises:
        ValueError: p is no table of probabilities.
    """
    return 0.0 - _total(xlogy(table("p", p), p))  # and not -total: a sure outcome has entropy 0.0, not -0.0


@on_arrays("t")
def binary_entropy(t: Any) -> Any:
    """h(t) = -t log t - (1-t) log(1-t), in [0, log 2], elementwise for t in [0, 1]: the entropy of a coin.

    Raises:
        ValueError: a value outside [0, 1].
    """
    if not bool(((t._data >= 0) & (t._data <= 1)).all()):
        raise ValueError(f"binary_entropy: got {float(t._data.min())!r} to {float(t._data.max())!r}, expected [0, 1]")
    certain = ops.equal(t, 1.0)
    return -xlogy(t, t) - (1.0 - t) * ops.log1p(-ops.where(certain, 0.0, t))


@on_arrays("p", "q")
def cross_entropy(p: Any, q: Any) -> Any:
    """H(p, q) = -sum p log q = H(p) + KL(p || q); inf where q = 0 < p. Shapes (..., n), broadcasting, to (...).

    Raises:
        ValueError: p or q is no table of probabilities, or their shapes do not fit.
    """
    p, q = same_outcomes(p, q)
    return -_total(xlogy(p, q))


# -- divergences -----------------------------------------------------------------------------------------------------
@on_arrays("p", "q")
def kl(p: Any, q: Any) -> Any:
    """KL(p || q) = sum p log(p/q) >= 0, 0 iff p = q, inf unless p << q (Kullback, Leibler 1951).

    Computed as sum (p log(p/q) - p + q), the same for tables (sum p = sum q), with terms that are never negative. Its
    derivatives are those of sum p log(p/q): log(p/q) + 1 in p and -p/q in q.

    Args:
        p, q: probabilities, (..., n), broadcasting.

    Returns:
        (...), a float for one pair.

    Raises:
        ValueError: p or q is no table of probabilities, or their shapes do not fit.
    """
    p, q = same_outcomes(p, q)
    return _total(terms.kl_terms(p, q))


@on_arrays("p", "q")
def reverse_kl(p: Any, q: Any) -> Any:
    """KL(q || p) = sum q log(q/p): :func:`kl` with its arguments swapped."""
    p, q = same_outcomes(p, q)  # so that errors name them as they were given
    return kl(q, p)


@on_arrays("p", "q")
def jeffreys(p: Any, q: Any) -> Any:
    """J(p, q) = KL(p || q) + KL(q || p) = sum (p - q) log(p/q), symmetric; inf unless p << q << p (Jeffreys 1946)."""
    p, q = same_outcomes(p, q)
    return _total(terms.jeffreys_terms(p, q))


@on_arrays("p", "q")
def jsd(p: Any, q: Any, *, prior: float = 0.5) -> Any:
    """Jensen-Shannon divergence pi KL(p || m) + (1-pi) KL(q || m), m = pi p + (1-pi) q (Lin 1991).

    It is the mutual information of x ~ m and the label that says which of the two x came from, so 0 <= JSD <= h(pi)
    (log 2 at pi = 1/2), the upper end iff p and q are disjoint. Always finite. Its square root is a metric for pi = 1/2
    (Endres, Schindelin 2003).

    Args:
        p, q: probabilities, (..., n), broadcasting.
        prior: pi, the weight of p, in (0, 1).

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or the prior is outside (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"jsd: got prior {prior!r}, expected a number in (0, 1), the weight of p")
    p, q = same_outcomes(p, q)
    return _total(terms.jsd_terms(p, q, prior))


@on_arrays("p", "q")
def total_variation(p: Any, q: Any) -> Any:
    """TV(p, q) = sum |p - q| / 2 = max_A (p(A) - q(A)) = 1 - sum min(p, q), in [0, 1]; derivative sign(p - q)/2, 0 at ties."""
    p, q = same_outcomes(p, q)
    return _total(terms.total_variation_terms(p, q))


@on_arrays("p", "q")
def hellinger_squared(p: Any, q: Any) -> Any:
    """H^2(p, q) = 1 - sum sqrt(p q) = sum (sqrt p - sqrt q)^2 / 2, in [0, 1] (the convention with the 1/2)."""
    p, q = same_outcomes(p, q)
    return _total(terms.hellinger_terms(p, q))


@on_arrays("p", "q")
def pearson_chi_squared(p: Any, q: Any) -> Any:
    """chi^2(p || q) = sum (p - q)^2 / q = sum p^2/q - 1; inf unless p << q (Pearson 1900)."""
    p, q = same_outcomes(p, q)
    return _total(terms.pearson_terms(p, q))


@on_arrays("p", "q")
def neyman_chi_squared(p: Any, q: Any) -> Any:
    """chi^2(q || p) = sum (p - q)^2 / p: :func:`pearson_chi_squared` with its arguments swapped; inf unless q << p."""
    p, q = same_outcomes(p, q)
    return _total(terms.pearson_terms(q, p))


@on_arrays("p", "q")
def le_cam(p: Any, q: Any) -> Any:
    """LC(p, q) = sum (p - q)^2 / (2 (p + q)), in [0, 1], symmetric; half the triangular discrimination (Le Cam 1986)."""
    p, q = same_outcomes(p, q)
    return _total(terms.le_cam_terms(p, q))


# -- the two families with a parameter -------------------------------------------------------------------------------
@on_arrays("p", "q")
def alpha_divergence(p: Any, q: Any, *, alpha: float) -> Any:
    """D_a(p || q) = (sum p^a q^(1-a) - 1) / (a (a - 1)), a any real number (Cressie, Read 1984, whose lambda is a - 1).

    That is sum (p^a q^(1-a) - a p - (1-a) q) / (a (a - 1)), whose terms are never negative.

    The limits are KL(p || q) at a = 1 and KL(q || p) at a = 0; a = 2 is chi^2(p || q) / 2, a = 1/2 is 4 H^2, a = -1 is
    chi^2(q || p) / 2. Amari's parameter is 2a - 1 (or 1 - 2a). D_a(p || q) = D_(1-a)(q || p). Inf where a >= 1 and not
    p << q, or a <= 0 and not q << p.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        alpha: a.

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or alpha is not finite.
    """
    if not math.isfinite(alpha):
        raise ValueError(f"alpha_divergence: got alpha {alpha!r}, expected a finite number")
    p, q = same_outcomes(p, q)
    return _total(terms.alpha_terms(p, q, alpha, 1.0 - alpha))


@on_arrays("p", "q")
def renyi(p: Any, q: Any, *, alpha: float) -> Any:
    """R_a(p || q) = log(sum p^a q^(1-a)) / (a - 1), a >= 0 (Renyi 1961; van Erven, Harremoes 2014, arXiv 1206.2459).

    The limits are -log q(p > 0) at a = 0, KL(p || q) at a = 1, log max p/q at a = inf. Not decreasing in a. For a < 1
    it is inf iff p and q are disjoint; for a >= 1 iff not p << q.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        alpha: a.

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or alpha is negative or NaN.
    """
    if not alpha >= 0:
        raise ValueError(f"renyi: got alpha {alpha!r}, expected a number >= 0")
    p, q = same_outcomes(p, q)
    if alpha == 1:
        return kl(p, q)
    some, both = ops.greater(p, 0.0), ops.greater(ops.minimum(p, q), 0.0)
    safe_p, safe_q = ops.where(both, p, 1.0), ops.where(both, q, 1.0)
    if alpha == math.inf:
        log_u = ops.where(both, terms.log_ratio(safe_p, safe_q), ops.where(some, math.inf, -math.inf + 0.0 * p))
        return ops.max(log_u, axis=-1)
    infinite = (some.data & ~both.data).any(axis=-1) if alpha > 1 else (~both.data).all(axis=-1)
    logs = ops.where(both, ops.log(safe_p) + (alpha - 1.0) * terms.log_ratio(safe_p, safe_q), -math.inf)
    logs = ops.where(Tensor(infinite[..., None]), 0.0, logs)
    # Close to p = q the sum is 1 + small, and small is known to more digits than the sum
    if alpha == 0:
        small = -_total(ops.where(some, 0.0, q))
    else:
        small = alpha * (alpha - 1.0) * _total(terms.alpha_terms(p, q, alpha, 1.0 - alpha))
    near = ops.less(ops.abs(small), 0.5)
    log_sum = ops.where(near, ops.log1p(ops.where(near, small, 0.0)), ops.logsumexp(logs, axis=-1))
    return ops.where(Tensor(infinite), math.inf, log_sum / (alpha - 1.0))
