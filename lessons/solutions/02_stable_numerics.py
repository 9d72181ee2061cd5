"""Answers to the exercises of lesson 2, and the wrong ones that come to mind first."""

import numpy as np
from scipy import special

import minigan as mg
from minigan import ops


def log_sigmoid(x):
    """-softplus(-x)."""
    return np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))


def wrong_log_sigmoid(x):
    """As written: inf below -709, and no digits above 37."""
    return np.log(1 / (1 + np.exp(-x)))


def log_mean_exp(x):
    top = x.max()
    return top + np.log(np.exp(x - top).mean())


def wrong_log_mean_exp(x):
    """Overflows, and underflows to log 0."""
    return np.log(np.exp(x).mean())


def log_one_plus(y):
    w = 1 + y
    return y if w == 1 else y * np.log(w) / (w - 1)


def wrong_log_one_plus(y):
    """Forming 1 + y throws away the digits of y."""
    return np.log(1 + y)


def variance(x):
    return ((x - x.mean()) ** 2).mean()


def wrong_variance(x):
    """One pass: two numbers of the size of the mean's square are subtracted."""
    return (x**2).mean() - x.mean() ** 2


def log_optimal_discriminator(log_p, log_q):
    """-softplus of minus the logit log p - log q."""
    gap = log_q - log_p
    return -(np.maximum(gap, 0) + np.log1p(np.exp(-abs(gap))))


def wrong_log_optimal_discriminator(log_p, log_q):
    """Leaves the logarithms: 0/0 where both densities underflow."""
    p, q = np.exp(log_p), np.exp(log_q)
    return np.log(p / (p + q))


def other_log_sigmoid(x):
    return -ops.softplus(-mg.tensor(x))


def other_wrong_log_sigmoid(x):
    """Stable, but without its digits above 37: 1 + e^-x is 1 there."""
    return np.minimum(x, 0) - np.log(1 + np.exp(-abs(x)))


def other_log_mean_exp(x):
    return special.logsumexp(mg.tensor(x).data) - np.log(len(x))


def other_wrong_log_mean_exp(x):
    """The sum, not the mean."""
    return special.logsumexp(x)


def other_log_optimal_discriminator(log_p, log_q):
    return -np.logaddexp(0, log_q - log_p)


def other_wrong_log_optimal_discriminator(log_p, log_q):
    """Safe from underflow, but two large numbers are subtracted."""
    return log_p - np.logaddexp(log_p, log_q)
