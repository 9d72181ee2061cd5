"""What a set of samples is worth: of points by the known density's modes and optimal transport, of digits by a classifier."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from quality import scores, the_judge
from scipy.optimize import linear_sum_assignment

from minigan import data
from minigan.theory.transport_gaussian import frechet_distance

SAMPLES, TRANSPORTED = 2500, 500
Judge = Callable[[np.ndarray], dict[str, float]]


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """W1 of two sets of as many points: the mean length of the best assignment."""
    cost = np.linalg.norm(x[:, None] - y[None], axis=2)
    return float(cost[linear_sum_assignment(cost)].mean())


def judge_of(name: str, folder: Path) -> Judge:
    """What measures samples of a data set."""
    return _of_digits(folder) if name == "mnist" else _of_points(name)


@functools.cache
def _of_points(name: str) -> Judge:
    known = data.load(name, n=2 * TRANSPORTED, seed=10_000)  # a seed that no run trains on
    half, other = known.x[:TRANSPORTED].astype(np.float64), known.x[TRANSPORTED:].astype(np.float64)
    floor = wasserstein(half, other)

    def judged(samples: np.ndarray) -> dict[str, float]:
        found: dict[str, float] = {"w1": wasserstein(samples[:TRANSPORTED].astype(np.float64), half), "w1_floor": floor}
        if known.modes is None:
            return found
        assert known.sigma is not None
        return data.mode_statistics(samples, known.modes, known.sigma) | found

    return judged


@functools.cache
def _of_digits(folder: Path) -> Judge:
    digits = data.load("mnist")
    assert digits.y is not None
    judge, held_out, _ = the_judge(digits, folder / "judge.npz")
    histogram = np.bincount(digits.y, minlength=10) / len(digits)
    order = np.random.default_rng(0).permutation(len(held_out))  # MNIST's halves differ: shuffled before it is halved
    parts = [judge.features(digits.x[held_out[part]]).astype(np.float64) for part in np.array_split(order, 2)]
    whole = _moments(np.concatenate(parts))
    floor = float(frechet_distance(*_moments(parts[0]), *_moments(parts[1])))

    def judged(samples: np.ndarray) -> dict[str, float]:
        found = scores(judge, samples, histogram)
        cfd = float(frechet_distance(*_moments(judge.features(samples).astype(np.float64)), *whole))
        return {
            "modes": found.classes, "reverse_kl": found.class_kl, "good": found.confidence, "w1": cfd, "w1_floor": floor
        }  # fmt: skip

    return judged


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(axis=0), np.cov(features, rowvar=False)
