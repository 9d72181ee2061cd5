"""Solutions of lesson 18, and the misconceptions that its graders refute."""

import math

import numpy as np


def spectral_gradient(W, G):
    u, s, v = np.linalg.svd(W, full_matrices=False)
    return (G - np.sum(G * W) / s[0] * np.outer(u[:, 0], v[0])) / s[0]


def wrong_spectral_gradient(W, G):
    return G / np.linalg.norm(W, 2)  # σ is no constant


def steps_needed(ratio, error):
    k = 1
    while 1 - math.sqrt((1 + ratio ** (4 * k)) / (1 + ratio ** (4 * k - 2))) > error:
        k += 1
    return k


def wrong_steps_needed(ratio, error):
    return math.ceil(math.log(error) / math.log(ratio))  # the rate is a fourth power


def circular_norm(taps, n):
    return np.abs(np.fft.fft(taps, n)).max()


def wrong_circular_norm(taps, n):
    return np.linalg.norm(taps)  # of the kernel as a matrix, not of the convolution


def steeper_v():
    bent = np.array([[1.0, -1.0], [-1.0, 1.0]]) / 2  # the lines x/√8 and −x/√8
    second = np.column_stack([np.ones(2) / math.sqrt(2), *bent.T])
    third = np.array([[1 / 2], [1 / math.sqrt(32)], [1 / math.sqrt(32)]])
    weights = np.array([[1.0, -1.0]]) / math.sqrt(2), second, third / np.linalg.norm(third)
    return [(w, np.zeros(w.shape[1])) for w in weights]


def wrong_steeper_v():
    shapes = np.array([[1.0, -1.0]]) / math.sqrt(2), np.eye(2), np.ones((2, 1)) / math.sqrt(2)
    return [(w, np.zeros(w.shape[1])) for w in shapes]  # a V, of slope one half
