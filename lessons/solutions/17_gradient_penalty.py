"""Solutions of lesson 17, and the misconceptions that its graders refute."""

import numpy as np


def best_slope(theta, strength, target):
    return target + theta / (2 * strength)


def wrong_best_slope(theta, strength, target):
    return target  # a penalty is a price, not a constraint


def linear_penalty_gradient(w):
    length = np.linalg.norm(w)
    return 2 * (length - 1) * w / length


def wrong_linear_penalty_gradient(w):
    return 2 * (w - 1)  # the norm is not a coordinate


def square_critic_r1_gradient(w, x):
    return 18 * w**3 * np.mean(x**4)


def wrong_square_critic_r1_gradient(w, x):
    return 9 * w**4 * np.mean(x**4)  # the square of the slope, not its gradient in w
