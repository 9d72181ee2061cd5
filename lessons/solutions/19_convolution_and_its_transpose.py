"""Solutions of lesson 19, and the misconceptions that its graders refute."""

import math

import numpy as np


def outputs(n, k, s, p):
    return (n + 2 * p - k) // s + 1


def wrong_outputs(n, k, s, p):
    return math.ceil(n / s)  # that of "same" padding only


def difference_transposed(g):
    return np.concatenate([[0.0], g]) - np.concatenate([g, [0.0]])


def wrong_difference_transposed(g):
    return np.concatenate([[0.0], np.cumsum(g)])  # the inverse, a running sum, is not the transpose


def smallest_even_kernel(least, s):
    return s * math.ceil(least / s)


def wrong_smallest_even_kernel(least, s):
    return least if least % 2 else least + 1  # odd kernels have a middle; that is another matter


def flattened(w, s):
    phases = w.reshape(-1, s)
    sums = phases.sum(axis=0)
    return (phases + (sums.mean() - sums) / len(phases)).ravel()


def wrong_flattened(w, s):
    return np.full(len(w), w.mean())  # keeps constants, and throws the kernel away
