"""Solutions of lesson 25, and the misconceptions that its graders refute."""

import numpy as np


def one_draw(p, f, k, b):
    return (f[k] - b) * (np.eye(len(p))[k] - p)


def wrong_one_draw(p, f, k, b):
    return (
        f[k] * (np.eye(len(p))[k] - p) - b * np.eye(len(p))[k]
    )  # the baseline on a part of the score


def best_baseline(p, f):
    square = ((np.eye(len(p)) - p) ** 2).sum(axis=1)
    return p @ (f * square) / (p @ square)


def wrong_best_baseline(p, f):
    return p @ f  # the mean: good, and not the best


def straight_through_limit(logit, low, high):
    s = 1 / (1 + np.exp(-logit))
    return s * (1 - s) * (low + high) / 2


def wrong_straight_through_limit(logit, low, high):
    s = 1 / (1 + np.exp(-logit))
    return s * (1 - s) * (s * high + (1 - s) * low)  # each slope as often as its outcome


def words_worth(values):
    return np.diff(values)


def wrong_words_worth(values):
    return values[1:] - values[0]  # what is expected, not by how much it changed
