"""Solutions of lesson 23, and the misconceptions that its graders refute."""

import math

import numpy as np


def maps_left(weights):
    return math.prod(math.factorial(weights.count(w)) for w in set(weights))


def wrong_maps_left(weights):
    return 1  # as if a cycle fixed the map


def best_under_l1(values, weights):
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return values[order][np.argmax(share >= 0.5)]


def wrong_best_under_l1(values, weights):
    return np.sum(weights * values) / weights.sum()  # the mean is L2's


def patch_at(layers, place):
    first, last = place, place
    for kernel, stride in reversed(layers):
        first, last = first * stride, last * stride + kernel - 1
    return first, last


def wrong_patch_at(layers, place):
    return place, place + sum(
        kernel - 1 for kernel, _ in layers
    )  # strides widen what lies behind them


def hide(image, number):
    bits = (number >> np.arange(len(image))) & 1
    return (image & 254) | bits.astype(np.uint8)


def wrong_hide(image, number):
    made = image.copy()
    made[0] = number % 256  # everybody sees that
    return made
