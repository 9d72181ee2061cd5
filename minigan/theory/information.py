"""Information: what one variable tells about another, and the bounds that latent-variable models climb.

Tables only, in nats. A joint law p(x, y) is a table (..., n, m) with x along the rows and y along the last axis; a conditional
law q(y | x) has the same shape, with each row a table. All functions follow the definitions in Cover, Thomas 2006 (Elements of
Information Theory), chapter 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.theory import divergences
from minigan.theory.arrays import on_arrays, table, xlogy
from minigan.theory.terms import kl_terms


def _joint(name: str, joint: Tensor) -> Tensor:
    """(..., n, m), checked to be probabilities over the last two axes."""
    if joint.ndim < 2:
        raise ValueError(f"{name}: got shape {joint.shape}, expected a joint law (..., n, m)")
    table(name, ops.flatten(joint, joint.ndim - 2))
    return joint


def _over(a: Tensor, b: Tensor) -> Tensor:
    """a / b, where b = 0 implies a = 0, which gives 0."""
    return a / ops.where(ops.equal(b, 0.0), 1.0, b)


def _total(x: Tensor) -> Tensor:
    return ops.sum(x, (-2, -1))


@on_arrays("joint")
def mutual_information(joint: Any) -> Any:
    """I(X; Y) = sum p(x, y) log( p(x, y) / (p(x) p(y)) ) >= 0, and 0 exactly where X and Y are independent.

    Args:
        joint: (..., n, m), with sum 1 over the last two axes; zeros are allowed.

    Returns:
        (...), in nats.
    """
    joint = _joint("joint", joint)
    product = ops.sum(joint, -1, keepdims=True) * ops.sum(joint, -2, keepdims=True)
    product = ops.where(ops.equal(product, 0.0), joint, product)  # where it underflows, the term is below 1e-150
    return _total(kl_terms(joint, product))  # no check: the product of a sum that is off by 1e-6 is off by 2e-6


@on_arrays("joint")
def conditional_entropy(joint: Any) -> Any:
    """H(Y | X) = -sum p(x, y) log p(y | x): what is left unknown of the last axis once the row is known.

    Args:
        joint: (..., n, m), x along the rows, y along the last axis.

    Returns:
        (...), in nats, in [0, log m]. For H(X | Y) swap the last two axes.
    """
    joint = _joint("joint", joint)
    return -_total(xlogy(joint, _over(joint, ops.sum(joint, -1, keepdims=True))))


@on_arrays("joint", "q")
def infogan_bound(joint: Any, q: Any) -> Any:
    """E log q(c | x) + H(c) <= I(x; c), with equality exactly where q(c | x) is the true p(c | x). The gap is
    E_x KL(p(c | x) || q(c | x)).

    Args:
        joint: (..., n, m), p(x, c) with the code c along the last axis.
        q: (..., n, m), the recogniser q(c | x), a table in each row.

    Returns:
        (...), in nats; -inf where q excludes what happens.

    Raises:
        ValueError: not probabilities, or shapes that differ.

    Source: Barber, Agakov 2003; Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016 (arXiv 1606.03657), eqs. 4 and 5.
    """
    joint, q = _joint("joint", joint), table("q", q)
    if joint.shape[-2:] != q.shape[-2:]:
        raise ValueError(f"infogan_bound: got shapes {joint.shape} and {q.shape}, expected equal ones (..., n, m)")
    code = ops.sum(joint, -2)
    return _total(xlogy(joint, q)) - ops.sum(xlogy(code, code), -1)


MOST = 2**24  # numbers in the table that infonce_bound adds up


@on_arrays("joint", "scores")
def infonce_bound(joint: Any, scores: Any, *, samples: int) -> Any:
    """The InfoNCE bound on I(X; Y), its expectation added up over all that can be drawn:

        E log( e^s(x, y_1) / ( (1/K) sum_k e^s(x, y_k) ) ) <= min( I(X; Y), log K ),

    (x, y_1) from the joint law and y_2, ..., y_K from p(y) alone. It is tight in K only: with s = log p(y | x) it tends to
    I(X; Y) as K grows, and where I > log K no critic reaches it.

    Args:
        joint: (n, m), p(x, y). scores: (n, m) finite numbers, the critic s(x, y).
        samples: K >= 1, small: the table has n m^K K entries.

    Returns:
        A number, in nats.

    Raises:
        ValueError: not probabilities, shapes that differ, K < 1, or a table that is too large.

    Source: van den Oord, Li, Vinyals 2018 (arXiv 1807.03748), eq. 4; Poole, Ozair, van den Oord, Alemi, Tucker 2019 (arXiv
    1905.06922), eq. 10.
    """
    joint = _joint("joint", joint)
    if joint.ndim != 2 or scores.shape != joint.shape:
        raise ValueError(f"infonce_bound: got shapes {joint.shape} and {scores.shape}, expected equal ones (n, m)")
    n, m = joint.shape
    if samples < 1 or samples != int(samples) or n * m**samples * samples > MOST:
        raise ValueError(f"samples: got {samples!r} for tables {joint.shape}, expected K >= 1 with n m^K K <= {MOST}")
    lone, together, weight = ops.sum(joint, -2), [], joint
    for k in range(samples):  # axis 1 + k of the table is y_(k + 1)
        shape = [n] + [m if i == k else 1 for i in range(samples)]
        together.append(ops.broadcast_to(ops.reshape(scores, shape), (n,) + (m,) * samples))
        weight = weight if k == 0 else ops.expand_dims(weight, -1) * lone
    return ops.sum(weight * (together[0] + float(np.log(samples)) - ops.logsumexp(ops.stack(together), 0)))


# -- discrete latent-variable models ---------------------------------------------------------------------------------
def _model(prior: Tensor, likelihood: Tensor) -> Tensor:
    """p(z, x), (..., k, n)."""
    prior, likelihood = table("prior", prior), table("likelihood", likelihood)
    if likelihood.ndim < 2 or likelihood.shape[-2] != prior.shape[-1]:
        raise ValueError(
            f"prior, likelihood: got shapes {prior.shape} and {likelihood.shape}, expected p(z) (..., k) and p(x | z) (..., k, n)"
        )
    return ops.expand_dims(prior, -1) * likelihood


def _recogniser(joint: Tensor, q: Tensor) -> Tensor:
    if table("q", q).shape[-2:] != (joint.shape[-1], joint.shape[-2]):
        raise ValueError(
            f"q: got shape {q.shape}, expected q(z | x) (..., {joint.shape[-1]}, {joint.shape[-2]}): a row for each x"
        )
    return q


def _posterior(prior: Tensor, joint: Tensor) -> Tensor:
    by_outcome = ops.swapaxes(joint, -1, -2)
    evidence = ops.sum(by_outcome, -1, keepdims=True)
    exact = _over(by_outcome, evidence)
    return ops.where(ops.equal(evidence, 0.0), ops.expand_dims(prior, -2), exact)


@on_arrays("prior", "likelihood")
def log_evidence(prior: Any, likelihood: Any) -> Any:
    """log p(x) = log sum_z p(z) p(x | z), for every x.

    Args:
        prior: (..., k), p(z).
        likelihood: (..., k, n), p(x | z), a table in each row.

    Returns:
        (..., n), in nats; -inf where x is impossible.
    """
    return ops.log(ops.sum(_model(prior, likelihood), -2))


@on_arrays("prior", "likelihood")
def posterior(prior: Any, likelihood: Any) -> Any:
    """p(z | x) = p(z) p(x | z) / p(x), by Bayes. For an x that is impossible it is not defined; the prior stands there.

    Args:
        prior: (..., k), p(z).
        likelihood: (..., k, n), p(x | z).

    Returns:
        (..., n, k): a row for each x.
    """
    return _posterior(prior, _model(prior, likelihood))


@on_arrays("prior", "likelihood", "q")
def elbo(prior: Any, likelihood: Any, q: Any) -> Any:
    """The evidence lower bound E_q [log p(x, z) - log q(z | x)] <= log p(x), for every x.

    Args:
        prior: (..., k), p(z).
        likelihood: (..., k, n), p(x | z), a table in each row.
        q: (..., n, k), q(z | x), a table in each row.

    Returns:
        (..., n), in nats; -inf where q puts mass on a z that cannot give x.

    Raises:
        ValueError: not probabilities, or shapes that do not fit.

    Source: Jordan, Ghahramani, Jaakkola, Saul 1999; Kingma, Welling 2013 (arXiv 1312.6114), eq. 2.
    """
    joint = _model(prior, likelihood)
    return ops.sum(xlogy(_recogniser(joint, q), ops.swapaxes(joint, -1, -2)), -1) + divergences.entropy(q)


@on_arrays("prior", "likelihood", "q")
def elbo_gap(prior: Any, likelihood: Any, q: Any) -> Any:
    """log p(x) - ELBO(x) = KL(q(z | x) || p(z | x)) >= 0, for every x, by the right-hand side.

    Args, errors: as of :func:`elbo`. For an x that is impossible the prior stands for the posterior.

    Returns:
        (..., n), in nats.
    """
    joint = _model(prior, likelihood)
    return divergences.kl(_recogniser(joint, q), _posterior(prior, joint))


@on_arrays("class_probabilities")
def inception_score(class_probabilities: Any) -> Any:
    """IS = exp( mean_i KL(p(y | x_i) || p(y)) ) = exp I(x; y), p(y) the mean of the rows: between 1 and the number of classes.

    It is 1 where all rows are equal, and K where each row is sure of its class and all classes are equally frequent. On few
    samples it is biased: p(y) is estimated from the same rows.

    Args:
        class_probabilities: (..., n, K), a table for each of n samples.

    Returns:
        (...), a pure number.

    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen 2016 (arXiv 1606.03498), section 4.
    """
    rows = table("class_probabilities", class_probabilities)
    if rows.ndim < 2:
        raise ValueError(f"class_probabilities: got shape {rows.shape}, expected a table for each sample, (n, K)")
    return ops.exp(ops.mean(divergences.kl(rows, ops.mean(rows, -2, keepdims=True)), -1))
