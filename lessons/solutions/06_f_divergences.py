"""Answers to the exercises of lesson 6, and the wrong ones that the graders must refute."""

import numpy as np


def conjugate_of_hellinger(t):
    # f' = 1 - 1/sqrt(u) = t, so sqrt(u) = 1/(1 - t), and u t - f(u) = t/(1 - t)
    return t / (1 - t)


def wrong_conjugate_of_hellinger(t):
    """That of half this f, which the lesson's table holds."""
    return t / (1 - 2 * np.minimum(t, 0.45))


def swapped(f):
    return lambda u: u * f(1 / u)


def wrong_swapped(f):
    """Swaps the ratio but not the law that weighs it."""
    return lambda u: f(1 / u)


def reverse_kl_critic(p, q):
    return -q / p


def wrong_reverse_kl_critic(p, q):
    """The ratio where its inverse belongs."""
    return -p / q


def limited_critic(p, q, low, high):
    return (high - low) * np.abs(p - q).sum() / 2


def wrong_limited_critic(p, q, low, high):
    """Right for limits at distance 1 only."""
    return np.abs(p - q).sum() / 2


def best_level(scores, q):
    return 1 - np.log((q * np.exp(scores)).sum())


def wrong_best_level(scores, q):
    """Makes E_q e^(T + c) equal to 1, not E_q e^(T + c - 1)."""
    return -np.log((q * np.exp(scores)).sum())
