"""Solutions of lesson 9, and the misconceptions that its graders refute."""

import math

import numpy as np


def he_std(inputs, slope):
    return math.sqrt(2 / ((1 + slope**2) * inputs))


def wrong_he_std(inputs, slope):
    return math.sqrt(
        1 / inputs
    )  # right for a linear layer, but the rectifier halves the mean square


def alternate(psi, theta, d_gradient, g_gradient, step):
    psi = psi - step * d_gradient(psi, theta)
    return psi, theta - step * g_gradient(psi, theta)


def wrong_alternate(psi, theta, d_gradient, g_gradient, step):
    return psi - step * d_gradient(psi, theta), theta - step * g_gradient(
        psi, theta
    )  # G follows the stale D


def push_on_fake(logit, slope):
    return slope / (1 + math.exp(logit))


def wrong_push_on_fake(logit, slope):
    return 1 + math.exp(-logit)  # 1/D(x): the derivative in D, without the chain rule to x


def shares_of_modes(samples, modes):
    nearest = ((samples[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=len(modes)) / len(samples)


def wrong_shares_of_modes(samples, modes):
    nearest = ((samples[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1)
    return np.unique(nearest, return_counts=True)[1] / len(
        samples
    )  # forgets the modes that no sample hit


def other_alternate(psi, theta, d_gradient, g_gradient, step):
    place = np.array([psi, theta])
    for player, gradient in enumerate((d_gradient, g_gradient)):
        place[player] -= step * gradient(*place)
    return place


def other_wrong_alternate(psi, theta, d_gradient, g_gradient, step):
    theta = theta - step * g_gradient(psi, theta)  # G moves first
    return psi - step * d_gradient(psi, theta), theta
