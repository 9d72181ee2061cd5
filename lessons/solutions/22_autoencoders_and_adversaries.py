"""Solutions of lesson 22, and the misconceptions that its graders refute."""

import math

import numpy as np


def divergence(m, s, n, t):
    shifted, ratio = (m - n) / t, s / t
    return (shifted**2 + ratio**2 - 1 - 2 * math.log(ratio)) / 2


def wrong_divergence(m, s, n, t):
    shifted, ratio = (m - n) / s, t / s
    return (shifted**2 + ratio**2 - 1 - 2 * math.log(ratio)) / 2  # the other direction


def noise_for(variances, nats):
    logs = np.sort(np.log(variances))[::-1]
    for k in range(1, len(logs) + 1):
        level = logs[:k].mean() - 2 * nats / k
        if k == len(logs) or level >= logs[k]:
            return math.exp(level)


def wrong_noise_for(variances, nats):
    return math.exp(
        np.log(variances).mean() - 2 * nats / len(variances)
    )  # as if all codes were used


def other_noise_for(variances, nats):
    low, high = 1e-12, float(variances.max())
    for _ in range(200):  # more noise lets less through
        middle = math.sqrt(low * high)
        passed = np.maximum(np.log(variances / middle), 0).sum() / 2
        low, high = (middle, high) if passed > nats else (low, middle)
    return middle


def telling(share):
    first = min(1.0, 2 * share)
    second = 2 * share - first
    return [[first, 1 - first], [second, 1 - second]]


def wrong_telling(share):
    return [[share, 1 - share], [share, 1 - share]]  # the prior for both: nothing is told


def other_wrong_telling(share):
    return [[1, 0], [0, 1]]  # tells all, but the codes do not have the prior's law


def encoder_for(G):
    return G.T / G.sum(axis=0)[:, None]


def wrong_encoder_for(G):
    return np.eye(len(G))[G.argmax(axis=0)]  # the likeliest code, always: a function


def other_wrong_encoder_for(G):
    return G.T / G.T.sum()  # the joint law is not the conditional one
