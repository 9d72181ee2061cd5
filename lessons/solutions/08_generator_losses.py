"""Answers to the exercises of lesson 8, and the wrong ones that the graders must refute."""

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def pushes(logits):
    return _sigmoid(logits), _sigmoid(-logits)


def wrong_pushes(logits):
    """1 - D loses all digits where D is near 1."""
    return _sigmoid(logits), 1 - _sigmoid(logits)


def _softmax(theta):
    e = np.exp(theta - theta.max())
    return e / e.sum()


def frozen_gradient(theta, p):
    q = _softmax(theta)
    price = np.log1p(q / p)
    return q * (price - q @ price)


def wrong_frozen_gradient(theta, p):
    """Forgets that the probabilities must keep their sum: raising one lowers the others."""
    q = _softmax(theta)
    return q * np.log1p(q / p)


def best_reply(d):
    return np.eye(d.size)[d.argmax()]


def wrong_best_reply(d):
    """Gives each outcome its share of D, which spreads the mass."""
    return d / d.sum()


def price_of_forward_kl(logit):
    return -np.exp(logit)


def wrong_price_of_forward_kl(logit):
    """The price of the reverse KL."""
    return -logit


def softened_reverse_kl(p, q):
    if ((p == 0) & (q > 0)).any():
        return np.inf
    some = p > 0
    m = (p + q) / 2
    return 2 * (m[some] * np.log(m[some] / p[some])).sum()


def wrong_softened_reverse_kl(p, q):
    """Skips the outcomes without data, which are the ones that cost most."""
    some = (p > 0) & (q > 0)
    m = (p + q) / 2
    return 2 * (m[some] * np.log(m[some] / p[some])).sum()


def other_softened_reverse_kl(p, q):
    return rel_entr(q, p).sum() - 2 * jensenshannon(p, q) ** 2


def other_wrong_softened_reverse_kl(p, q):
    """Takes away one JSD only."""
    return rel_entr(q, p).sum() - jensenshannon(p, q) ** 2
