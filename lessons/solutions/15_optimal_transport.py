"""Solutions of lesson 15, and the misconceptions that its graders refute."""

import numpy as np


def bounded_critic(p, q):
    return np.where(p > q, 1.0, 0.0)


def wrong_bounded_critic(p, q):
    return p / (p + q)  # the best discriminator of the logistic game


def extended(x, values, t):
    return np.min(values + np.abs(t - x))


def other_extended(x, values, t):
    return np.max(values - np.abs(t - x))  # the smallest one in place of the largest


def wrong_extended(x, values, t):
    return values[np.argmin(np.abs(t - x))]  # the nearest value jumps


def cheapest_order(x, y):
    return np.argsort(y)[np.argsort(np.argsort(x))]


def wrong_cheapest_order(x, y):
    return np.argsort(np.argsort(x))  # forgets that y must be sorted too


def coin_gradient(batch, theta):
    return 2 * (theta - np.mean(batch))


def wrong_coin_gradient(batch, theta):
    return np.sign(theta - np.mean(batch))  # the Wasserstein distance's: biased
