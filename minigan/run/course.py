"""The course of a run's samples: where they lie among the data, each time they are drawn. `minigan diagnose` reads it.

All samples of a run are drawn from the same noise, so that from one line to the next nothing changes but the generator. With
k fixed unit directions u_j (the axes, where an example has at most k coordinates), and s the data's spread, the root of the
mean variance of a coordinate:

    spread     the mean over coordinates of the samples' standard deviation, over that of the data
    centre     (<mean of samples, u_j> - <mean of data, u_j>) / s, for each j
    distance   the mean over j of W_1 between the projections on u_j, over s
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.base import stream
from minigan.run import lines
from minigan.run.progress import note

NAME = "course.jsonl"
DIRECTIONS = 8
LEVELS = (np.arange(64) + 0.5) / 64  # quantiles that stand for a law on the line
FEWEST = 8  # samples that a spread is taken of


def spread(x: np.ndarray) -> float:
    """The mean over coordinates of the standard deviation over examples."""
    return float(np.asarray(x, np.float32).std(axis=0, dtype=np.float64).mean())


class Course:
    """Writes a line for each drawing; see the module. A folder that cannot be written is a note, and ends it.

    Args:
        folder: of the run. real: examples of the data, by name. step: at which it begins; later lines are cut.
    """

    def __init__(self, folder: Path, real: Mapping[str, np.ndarray], *, step: int = 0) -> None:
        self.file, self._on = folder / NAME, True
        self._real = [Projected(x) for x in real.values() if len(x) >= FEWEST and x.dtype.kind == "f"]
        self._or_note(lambda: lines.cut(self.file, step))

    def move(self, folder: Path) -> None:
        """The run's folder has another name from now on."""
        self.file = folder / NAME

    def take(self, step: int, samples: np.ndarray | None) -> None:
        """A line on samples, where there are real examples of their shape."""
        real = next((each for each in self._real if samples is not None and samples.shape[1:] == each.shape), None)
        if self._on and real is not None and samples is not None and len(samples) >= FEWEST:
            row = {"step": step, **real.compared(samples)}
            self._or_note(lambda: lines.append(self.file, row))

    def _or_note(self, write: Any) -> None:
        try:
            write()
        except OSError as error:
            note(f"note: {self.file} cannot be written ({error}); there are no more lines in it")
            self._on = False


class Projected:
    """Real examples, and what samples are compared with."""

    def __init__(self, x: np.ndarray) -> None:
        self.shape = x.shape[1:]
        flat = _flat(x)
        count = flat.shape[1]
        axes = np.eye(count) if count <= DIRECTIONS else stream(0, "course").standard_normal((DIRECTIONS, count))
        self._directions = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        self._spread, self._scale = spread(x), math.sqrt(flat.var(axis=0).mean())
        self._mean = flat.mean(axis=0) @ self._directions.T
        self._quantiles = np.quantile(flat @ self._directions.T, LEVELS, axis=0)

    def compared(self, samples: np.ndarray) -> dict[str, Any]:
        """`spread`, `distance` and `centre` of samples; None for each where a sample is NaN or Inf, or all data are one."""
        flat = _flat(samples)
        if not (np.isfinite(flat).all() and self._scale):
            return {"spread": None, "distance": None, "centre": None}
        lines_of = flat @ self._directions.T
        gaps = np.abs(np.quantile(lines_of, LEVELS, axis=0) - self._quantiles)
        return {
            "spread": spread(samples) / self._spread,
            "distance": float(gaps.mean()) / self._scale,
            "centre": [float(c) for c in (lines_of.mean(axis=0) - self._mean) / self._scale],
        }


def _flat(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.float64).reshape(len(x), -1)
