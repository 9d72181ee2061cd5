"""Trainings that fail in a way that is known, and sound ones: words of `minigan train`, and what `minigan diagnose` is to find.

They are recipes, no stored runs, so that what is diagnosed is what the trainer of today leaves behind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Recipe(NamedTuple):
    """words: of `minigan train`, before --seed and --out. found: verdicts, one of which is to come. held_out: unseen examples."""

    words: str
    found: tuple[str, ...]
    held_out: str = ""


FEW, UNSEEN = "few.npy", "unseen.npy"  # files that `make_files` makes
FAILING = {
    "divergence": Recipe("toy --steps 60 --set lr=10", ("divergence",)),
    "too early": Recipe("toy --steps 20", ("too early to tell",)),
    "vanishing": Recipe(
        "toy --steps 150 --batch-size 64 --set loss=minimax r1=0 d_steps=10 d_lr=1e-2 lr=1e-4 width=64",
        ("vanishing gradient of the generator",),
    ),
    "collapse": Recipe("toy --steps 500 --batch-size 128 --set r1=0 lr=1e-2 beta1=0.9", ("collapse of modes",)),
    "oscillation": Recipe(
        "toy --steps 400 --batch-size 128 --set r1=0 lr=3e-3 beta1=0.9 ema=0 rule=simultaneous", ("oscillation",)
    ),
    "few data": Recipe(
        f"toy --data {FEW} --steps 800 --batch-size 16 --set r1=0 d_steps=5",
        ("overfitting of the discriminator", "memorising"),
        UNSEEN,
    ),
}
SOUND = {"sound": Recipe("toy --steps 700", ("healthy",))}


def make_files() -> None:
    """16 points of a normal law, and 1,000 others."""
    rng = np.random.default_rng(0)
    for name, count in ((FEW, 16), (UNSEEN, 1000)):
        np.save(name, rng.standard_normal((count, 2)).astype(np.float32))
