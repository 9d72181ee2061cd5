"""Every model of `minigan.gans`, small enough to be trained in a moment, by its own options: a new one needs no line here."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from minigan import gans
from minigan.gans.needs import SETS, entries

# Of the options with these names.
SMALL = {"width": 8, "features": 2, "latent": 3, "labels": 2, "unroll": 1, "acts": 16, "rollouts": 2}
GENERATED = ("points", "tokens", "audio", "video")  # kinds of which a model is trained on its own default
SIDE, COUNT, BATCH = 8, 60, 12


def small(model: Any) -> dict[str, Any]:
    """Options that make a model small."""
    defaults = {f.name: f.default for f in fields(model.Config)}
    return {name: value for name, value in SMALL.items() if defaults.get(name)}  # 0 is for what is not asked for


def write_images(path: Path, seed: int = 0) -> None:
    """A file of grey images with ten labels, as Keras has them."""
    x = np.random.default_rng(seed).integers(0, 256, (COUNT, SIDE, SIDE, 1), dtype=np.uint8)
    np.savez(path, x_train=x, y_train=np.arange(COUNT) % 10)


def words(name: str, folder: Path) -> list[str]:
    """The command line that trains a model, but for its steps and its folder."""
    model = gans.get(name)
    sets = {key: kind for key, kind in entries(model.needs).items() if kind in SETS}
    sources = {}
    for seed, (key, kind) in enumerate(sets.items()):
        sources[key] = model.Config().data if kind in GENERATED else str(folder / f"images{seed}.npz")
        if kind not in GENERATED:
            write_images(Path(sources[key]), seed)
    data = (
        ",".join(f"{key}={source}" for key, source in sources.items())
        if len(sources) > 1
        else next(iter(sources.values()))
    )
    settings = [f"{key}={value}" for key, value in small(model).items()]
    return ["train", name, "--data", data, "--batch-size", str(BATCH), *(["--set", *settings] if settings else [])]
