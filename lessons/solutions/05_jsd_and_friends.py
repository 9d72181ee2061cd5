"""Solutions of lesson 5; `wrong_...` are the usual misconceptions, which the properties must refute."""

import math

import numpy as np


def _entropy(p):
    some = p > 0
    return -np.sum(p[some] * np.log(p[some]))


def safe_jsd(p, q):
    return _entropy((p + q) / 2) - _entropy(p) / 2 - _entropy(q) / 2


def wrong_safe_jsd(p, q):
    """The formula as it stands: 0 log 0 is NaN in floating point."""
    m = (p + q) / 2
    with np.errstate(all="ignore"):
        return 0.5 * np.sum(p * np.log(p / m)) + 0.5 * np.sum(q * np.log(q / m))


def best_accuracy(p, q, prior):
    return np.sum(np.maximum(prior * p, (1 - prior) * q))


def wrong_best_accuracy(p, q, prior):
    """Right for a fair coin only."""
    return 0.5 + 0.25 * np.abs(p - q).sum()


def samples_to_tell(p, q, overlap):
    return math.ceil(math.log(overlap) / math.log(np.sum(np.sqrt(p * q))) - 1e-12)


def wrong_samples_to_tell(p, q, overlap):
    """As if total variation multiplied like the Hellinger overlap: (1 - TV)^n."""
    return math.ceil(math.log(overlap) / math.log(np.minimum(p, q).sum()))


def jsd_of_many(laws, weights):
    return _entropy(weights @ laws) - sum(
        w * _entropy(law) for w, law in zip(weights, laws, strict=True)
    )


def wrong_jsd_of_many(laws, weights):
    """The mean of the pairwise divergences."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    return float(np.mean([safe_jsd(laws[i], laws[j]) for i, j in pairs]))


def jsd_slope(p, logits):
    q = np.exp(logits - logits.max())
    q /= q.sum()
    score = 0.5 * np.log(2 * q / (p + q))
    return q * (score - q @ score)


def wrong_jsd_slope(p, logits):
    """The derivative in q, which forgets that the softmax keeps the sum at 1."""
    q = np.exp(logits - logits.max())
    q /= q.sum()
    return 0.5 * np.log(2 * q / (p + q))
