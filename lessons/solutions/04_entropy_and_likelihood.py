"""Solutions of lesson 4; `wrong_...` are misconceptions, which the properties must refute."""

import math

import numpy as np

import minigan as mg
from minigan import ops


def cross_entropy_of_logits(p, logits):
    top = logits.max()
    return float(p @ (top + math.log(np.sum(np.exp(logits - top))) - logits))


def wrong_cross_entropy_of_logits(p, logits):
    """The softmax first, its logarithm afterwards: e^1000 overflows, small probabilities become 0."""
    with np.errstate(all="ignore"):
        e = np.exp(logits)
        return float(-np.sum(p * np.log(e / e.sum())))


def best_forecast(outcomes, n):
    return np.bincount(outcomes, minlength=n) / len(outcomes)


def wrong_best_forecast(outcomes, n):
    """All on the most frequent outcome: often right, and infinitely surprised by every other."""
    return np.eye(n)[np.bincount(outcomes, minlength=n).argmax()]


def fit_gaussian(x):
    mean = float(np.mean(x))
    return mean, float(np.mean((x - mean) ** 2))


def wrong_fit_gaussian(x):
    """N - 1 makes the variance unbiased, and less likely."""
    return float(np.mean(x)), float(np.var(x, ddof=1))


def forward_fit(weights, means, stds):
    mean = weights @ means
    return float(mean), math.sqrt(weights @ (stds**2 + (means - mean) ** 2))


def wrong_forward_fit(weights, means, stds):
    """The average of the variances, without the variance of the centres."""
    return float(weights @ means), math.sqrt(weights @ stds**2)


def kl_from_parts(px, qx, p_given, q_given):
    conditional = np.sum(p_given * np.log(p_given / q_given), axis=1)
    return float(np.sum(px * np.log(px / qx)) + px @ conditional)


def wrong_kl_from_parts(px, qx, p_given, q_given):
    """The conditional part averaged over the model's x, not the data's."""
    conditional = np.sum(p_given * np.log(p_given / q_given), axis=1)
    return float(np.sum(px * np.log(px / qx)) + qx @ conditional)


def other_cross_entropy_of_logits(p, logits):
    return -ops.sum(p * ops.log_softmax(mg.tensor(logits), axis=-1))


def other_wrong_cross_entropy_of_logits(p, logits):
    """Forgets to normalise."""
    return float(-p @ (logits - logits.max()))
