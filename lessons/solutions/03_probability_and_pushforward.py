"""Solutions of lesson 3, and the misconceptions that its graders refute."""

import math

import numpy as np


def push_table(p, g, size):
    return np.bincount(g, weights=p, minlength=size)


def wrong_push_table(p, g, size):
    q = np.zeros(size)
    q[g] = p  # of outcomes that lead to the same one, the last overwrites the others: none is added
    return q


def affine_log_density(x, shift, factor):
    z = (x - shift) / factor
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - math.log(abs(factor))


def wrong_affine_log_density(x, shift, factor):
    z = (x - shift) / factor
    return -0.5 * z**2 - 0.5 * math.log(
        2 * math.pi
    )  # the density at G^-1(x), without the stretching of G


def sample_ramp(u):
    return np.sqrt(u)


def wrong_sample_ramp(u):
    return u**2  # F in place of its inverse


def samples_needed(std, error):
    return math.ceil((std / error) ** 2)


def wrong_samples_needed(std, error):
    return max(1, math.ceil(std / error))  # as if the error fell like 1/n


def gradient_of_fourth_moment(mu, sigma, z):
    x = mu + sigma * z
    return np.mean(4 * x**3), np.mean(4 * x**3 * z)


def wrong_gradient_of_fourth_moment(mu, sigma, z):
    x = mu + sigma * z
    return np.mean(4 * x**3), np.mean(4 * x**3)  # forgets that d x / d sigma is z
