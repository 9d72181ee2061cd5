"""Solutions of lesson 0, and the misconceptions that its graders refute."""

import math

import numpy as np


def best_guess(reals, fakes):
    return reals / (reals + fakes)


def wrong_best_guess(reals, fakes):
    return min(max(float(reals > fakes), 1e-6), 1 - 1e-6)  # the likelier answer, and sure of it


def other_wrong_best_guess(reals, fakes):
    return fakes / (reals + fakes)  # how fake it is


def what_d_pays(sure):
    return -2 * math.log(sure)


def wrong_what_d_pays(sure):
    return -math.log(sure) - math.log(1 - sure)  # as if the fake were judged by the same number


def count_modes(points, middles, reach):
    distances = np.linalg.norm(points[:, None] - middles, axis=2)
    return int((distances <= reach).any(axis=0).sum())


def wrong_count_modes(points, middles, reach):
    distances = np.linalg.norm(points[:, None] - middles, axis=2)
    return int((distances <= reach).any(axis=1).sum())  # counts points, not middles
