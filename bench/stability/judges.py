"""What a set of samples is worth: of points by the known density's modes and optimal transport, of digits by a classifier."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from digits import Scored
from scipy.optimize import linear_sum_assignment

from minigan import data

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
    scored = Scored("mnist", folder)

    def judged(samples: np.ndarray) -> dict[str, float]:
        found = scored(samples)
        return {
            "modes": found["classes"], "reverse_kl": found["class_kl"], "good": found["confidence"], "w1": found["cfd"],
            "w1_floor": scored.real["cfd"],
        }  # fmt: skip

    return judged
