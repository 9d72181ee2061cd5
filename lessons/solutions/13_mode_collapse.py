"""Solutions of lesson 13, and the misconceptions that its graders refute."""

import math

import numpy as np


def _kl(p, w):
    return np.log(np.exp(w).sum()) - p @ w + p @ np.log(p)


def conserved(w, f, p, rho, kappa):
    return _kl(p, w) + rho / (2 * kappa) * np.sum(f**2)


def wrong_conserved(w, f, p, rho, kappa):
    return _kl(p, w) + np.sum(f**2) / 2  # right for speeds 1 only


def other_conserved(w, f, p, rho, kappa):
    return 2 * kappa * _kl(p, w) + rho * np.sum(f**2)  # any multiple is conserved too


def other_wrong_conserved(w, f, p, rho, kappa):
    return (
        np.sum((w - np.log(p)) ** 2) / rho + np.sum(f**2) / kappa
    )  # the linear picture, far from rest


def best_friction(modes, kappa):
    return 2 * math.sqrt(kappa / modes)


def wrong_best_friction(modes, kappa):
    return 2 * math.sqrt(kappa * modes)  # more modes do not need more


def pack_size(share_lost, accuracy):
    return max(1, math.ceil(math.log(2 - 2 * accuracy) / math.log(1 - share_lost) - 1e-9))


def wrong_pack_size(share_lost, accuracy):
    return max(1, math.ceil((2 * accuracy - 1) / share_lost))  # as if the total variation added up


def support(samples, pairs):
    return samples * (samples - 1) / (2 * pairs)


def wrong_support(samples, pairs):
    return samples**2 / pairs  # counts each pair twice, and each sample with itself
