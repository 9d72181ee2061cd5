"""Solutions of lesson 16, and the misconceptions that its graders refute."""

import itertools
import math

import numpy as np
from scipy.stats import norm


def steepest(widths, c):
    return math.prod(c * math.sqrt(n * m) for n, m in itertools.pairwise(widths))


def wrong_steepest(widths, c):
    return c ** (len(widths) - 1)  # a bound on each weight is none on the layer's norm


def best_linear(difference, c):
    return c * np.sign(difference)


def wrong_best_linear(difference, c):
    return (
        c * difference / (np.linalg.norm(difference) + 1e-300)
    )  # the best of a ball, not of a box


def mean_ramp(mean, deviation, t):
    a = (mean - t) / deviation
    return deviation * norm.pdf(a) + (mean - t) * norm.cdf(a)


def wrong_mean_ramp(mean, deviation, t):
    return max(0.0, mean - t)  # the ramp of the mean, not the mean of the ramp


def level_clip(width):
    return math.sqrt(2 / width)


def wrong_level_clip(width):
    return 1 / math.sqrt(width)  # forgets that ReLU drops half of the squares
