"""Solutions of lesson 20, and the misconceptions that its graders refute."""

import math

import numpy as np


def normalised(x, axes, eps):
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=axes, keepdims=True) + eps)


def wrong_normalised(x, axes, eps):
    return (x - x.mean()) / np.sqrt(x.var() + eps)  # one mean for all


def backward(x, g):
    hat = (x - x.mean()) / x.std()
    return (g - g.mean() - hat * np.mean(g * hat)) / x.std()


def wrong_backward(x, g):
    return g / x.std()  # mean and deviation held still


def folded(W, b, mean, var, gamma, beta, eps):
    scale = gamma / np.sqrt(var + eps)
    return W * scale, (b - mean) * scale + beta


def wrong_folded(W, b, mean, var, gamma, beta, eps):
    scale = gamma / np.sqrt(var + eps)
    return W * scale, b - mean * scale + beta  # the layer's own bias is scaled, too


def updates_needed(momentum, share):
    return math.ceil(math.log(share) / math.log(1 - momentum) - 1e-12)


def wrong_updates_needed(momentum, share):
    return math.ceil(1 / momentum)  # after the memory of 1/ρ batches a share of 1/e is left
