"""Solutions of lesson 14, and the misconceptions that its graders refute."""

import math


def smoothed_logit(p, q, real_label, fake_label):
    real = real_label * p + fake_label * q
    return math.log(real / (p + q - real))


def wrong_smoothed_logit(p, q, real_label, fake_label):
    return math.log(real_label * p / (q * (1 - fake_label)))  # each label for its own law alone


def best_score(p, q, a, b):
    return (b * p + a * q) / (p + q)


def wrong_best_score(p, q, a, b):
    return (a * p + b * q) / (p + q)  # a is the label of the fakes


def curvature(u):
    return 1 / (u**2 * (1 + u))


def wrong_curvature(u):
    return 1 / (u * (1 + u))  # the minimax generator's: the JSD


def missing_friction(sigma):
    return 1 - sigma**2 / 2


def wrong_missing_friction(sigma):
    return 1.0  # as if the data were a point
