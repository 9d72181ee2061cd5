"""Gradients through choices: the score function's estimator, with a baseline.

A loss of something that was *chosen*, a ~ p_theta, has no derivative through a. But (Williams 1992, "Simple statistical
gradient-following algorithms for connectionist reinforcement learning", Machine Learning 8; REINFORCE)

    d/dtheta E[R(a)] = E[R(a) d log p_theta(a) / dtheta] = E[(R(a) - b) d log p_theta(a) / dtheta]

for every b that does not depend on a, since E[d log p / dtheta] = d/dtheta 1 = 0. It asks nothing of R, not even that it is
continuous, and pays with variance, which a good baseline b lowers. Choices are drawn by `random.Source.categorical`, their
log-probabilities are `ops.log_prob`; a recorded step draws anew in every replay, the numbers of its own step. Where R is
differentiable, `ops.gumbel_softmax` and `ops.straight_through` are the other way: less variance, and a bias.
"""

from __future__ import annotations

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, as_tensor


def reinforce(
    log_probs: TensorLike, rewards: TensorLike, *, baseline: TensorLike = 0.0, mask: TensorLike | None = None
) -> Tensor:
    """-(1/N) sum (R - b) log p: its gradient is, in the mean, that of -E[R], where N is the number of rows.

    Args:
        log_probs: (N, ...), of the choices that were made, differentiable.
        rewards: of the same shape, or one that broadcasts to it: what followed a choice (of a sequence, the sum of all that
            came
            behind it). A constant: what would flow into it is another gradient.
        baseline: b, broadcast likewise, made without the choice that it is subtracted from: :func:`leave_one_out`, a running
            mean of earlier steps, a network of the state. A constant.
        mask: booleans of the shape of `log_probs`: which choices count (not those behind a sequence's end).

    Raises:
        ValueError: shapes that do not broadcast to that of `log_probs`.
    """
    log_probs = as_tensor(log_probs)
    rewards, baseline = _like(log_probs, rewards), _like(log_probs, baseline)
    terms = ops.stop_gradient(rewards - baseline) * log_probs
    if terms.shape != log_probs.shape or not log_probs.ndim:
        raise ValueError(
            f"reinforce: got log_probs {log_probs.shape}, rewards {rewards.shape} and baseline {baseline.shape}, expected "
            "log_probs (N, ...) and rewards and a baseline that broadcast to its shape"
        )
    if mask is not None:
        mask = as_tensor(mask)
        if mask.shape != log_probs.shape:
            raise ValueError(f"reinforce: got a mask {mask.shape}, expected {log_probs.shape}")
        terms = ops.where(mask, terms, 0.0)
    return -ops.sum(terms) / log_probs.shape[0]


def _like(t: Tensor, value: TensorLike) -> Tensor:
    """A tensor; of numbers without a dtype one of t's."""
    given = as_tensor(value, like=t)
    return given if hasattr(value, "dtype") else ops.cast(given, dtype=t.dtype)


def leave_one_out(rewards: TensorLike) -> Tensor:
    """b_i = the mean of the other rows' rewards: (N, ...) to (N, ...). It is independent of row i, so that the estimator stays
    unbiased, and needs no memory (Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!").

    Raises:
        ValueError: fewer than two rows, for which there are no others.
    """
    rewards = as_tensor(rewards)
    if not rewards.ndim or rewards.shape[0] < 2:
        raise ValueError(f"leave_one_out: got rewards {rewards.shape}, expected (N, ...) with N >= 2")
    return (ops.sum(rewards, 0, keepdims=True) - rewards) / (rewards.shape[0] - 1)
