"""Answers to the exercises of lesson 7, and the wrong ones that the graders must refute."""

import numpy as np


def best_discriminator(p, q, prior):
    return prior * p / (prior * p + (1 - prior) * q)


def wrong_best_discriminator(p, q, prior):
    """Forgets that the share of reals matters."""
    return p / (p + q)


def best_score(p, q):
    def half(a, b):
        some = a > 0
        return (a[some] * np.log(a[some] / (a + b)[some])).sum()

    return half(p, q) + half(q, p)


def wrong_best_score(p, q):
    """Takes the JSD once: the two KL terms are its halves."""
    m = (p + q) / 2
    seen_p, seen_q = p > 0, q > 0
    to_p = (p[seen_p] * np.log(p[seen_p] / m[seen_p])).sum()
    to_q = (q[seen_q] * np.log(q[seen_q] / m[seen_q])).sum()
    return (to_p + to_q) / 2 - np.log(4)


def density_ratio(d, prior, real_label):
    return d * (1 - prior) / (prior * (real_label - d))


def wrong_density_ratio(d, prior, real_label):
    """The odds of D: right for equal shares and hard labels only."""
    return d / (1 - d)


def least_squares_scores(p, q, fake_label, real_label):
    total = p + q
    some = total > 0
    share = np.where(some, p / np.where(some, total, 1), 0.5)
    return fake_label + (real_label - fake_label) * share


def wrong_least_squares_scores(p, q, fake_label, real_label):
    """Weighs each label by the other law."""
    return least_squares_scores(q, p, fake_label, real_label)


def best_accuracy(p, q, prior):
    return np.maximum(prior * p, (1 - prior) * q).sum()


def wrong_best_accuracy(p, q, prior):
    """Right for equal shares only."""
    return (1 + np.abs(p - q).sum() / 2) / 2
