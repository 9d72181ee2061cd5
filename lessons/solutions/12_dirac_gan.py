"""Solutions of lesson 12, and the misconceptions that its graders refute."""

import math

import numpy as np


def _sigma(t):
    return 1 / (1 + np.exp(-t))


def regularised_field(theta, psi, gamma):
    s = theta * psi
    return _sigma(-s) * psi, -_sigma(s) * theta - gamma * psi


def wrong_regularised_field(theta, psi, gamma):
    s = theta * psi
    return _sigma(s) * psi, -_sigma(s) * theta - gamma * psi  # the minimax generator


def best_gamma(slope):
    return 2 * slope


def wrong_best_gamma(slope):
    return 10 * slope  # more regularisation is not more stability


def r1_by_hand(weight, slope, x, gamma):
    gradient = weight * slope * (1 - np.tanh(slope * x) ** 2)
    return gamma / 2 * np.mean(gradient**2)


def wrong_r1_by_hand(weight, slope, x, gamma):
    gradient = weight * slope * (1 - np.tanh(slope * x) ** 2)
    return gamma / 2 * np.mean(gradient) ** 2  # the square of the mean, not the mean of the squares


def alternating_limit(slope, gamma):
    # det 1 - h gamma, trace 2 - h gamma - (slope h)^2; stable while |trace| < 1 + det: (slope h)^2 + 2 gamma h < 4.
    return (math.sqrt(gamma**2 + 4 * slope**2) - gamma) / slope**2


def wrong_alternating_limit(slope, gamma):
    return gamma / slope**2  # the limit of simultaneous steps
