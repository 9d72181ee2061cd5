"""The pictures: what each pair drew last, and the critic's estimate beside the distance that it estimates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from trials import Run

from minigan import data as sets


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """One picture of samples for each data set of points (losses down, regularisers across, the first seed), and one of the
    estimates; returns the files."""
    done = [run for run in runs if run.done and run.result().get("drawings")]
    files = []
    for data in dict.fromkeys(run.data for run in done):
        own = [run for run in done if run.data == data]
        files += [_samples(data, own, folder)] + ([_estimates(data, own, folder)] if data != "mnist" else [])
    return [file for file in files if file is not None]


def _samples(data: str, runs: Sequence[Run], folder: Path) -> Path:
    losses, regularisers = (list(dict.fromkeys(getattr(run, of) for run in runs)) for of in ("loss", "regulariser"))
    size = (1.5 * len(regularisers) + 0.5, 1.5 * len(losses) + 0.5)
    figure, axes = plt.subplots(len(losses), len(regularisers), figsize=size, squeeze=False)
    real = sets.load(data, n=500, seed=10_000).x if data != "mnist" else None
    for row, loss in enumerate(losses):
        for column, regulariser in enumerate(regularisers):
            own = [run for run in runs if (run.loss, run.regulariser) == (loss, regulariser)]
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[])
            axis.set_title(regulariser if row == 0 else "", fontsize=8)
            axis.set_ylabel(loss if column == 0 else "", fontsize=8)
            if own:
                _panel(axis, np.load(own[0].samples), real)
            elif row and column:  # the first row and column carry the names
                axis.set_visible(False)
    return _saved(figure, folder / f"samples-{data}.png")


def _panel(axis: plt.Axes, samples: np.ndarray, real: np.ndarray | None) -> None:
    if real is None:
        tiles = samples[:16].reshape(4, 4, *samples.shape[1:3]).transpose(0, 2, 1, 3)
        axis.imshow(tiles.reshape(4 * samples.shape[1], -1), cmap="gray", vmin=-1, vmax=1)
        return
    axis.scatter(*real.T, s=2, color="0.8", linewidths=0)
    axis.scatter(*samples.T, s=1, color="tab:blue", linewidths=0)
    reach = 1.2 * float(np.abs(real).max())
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")


def _estimates(data: str, runs: Sequence[Run], folder: Path) -> Path | None:
    """-L_D of Wasserstein critics over the steps, and W1 between samples and examples."""
    own = {run.regulariser: run for run in reversed(runs) if run.loss == "wasserstein"}
    if not own:
        return None
    figure, axes = plt.subplots(1, len(own), figsize=(2.4 * len(own), 2.2), squeeze=False)
    for axis, (regulariser, run) in zip(axes[0], own.items(), strict=True):
        drawings = run.result()["drawings"]
        steps = [d["step"] for d in drawings]
        axis.plot(steps, [d["w1"] for d in drawings], color="0.4", label="W1")
        axis.plot(steps, [d["estimate"] for d in drawings], color="tab:orange", label="critic")
        axis.set_title(regulariser, fontsize=8)
        axis.tick_params(labelsize=6)
    axes[0, 0].legend(fontsize=7)
    return _saved(figure, folder / f"estimates-{data}.png")


def _saved(figure: plt.Figure, file: Path) -> Path:
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
