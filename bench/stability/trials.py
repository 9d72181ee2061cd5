"""One run: a loss, a regulariser, a data set, a seed; trained, measured as it goes, and kept as one file."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from judges import SAMPLES, Judge

from minigan import data, gans
from minigan.finite import NotFiniteError

LOSSES = (
    "minimax", "non_saturating", "least_squares", "hinge", "wasserstein", "relativistic", "relativistic_average",
    "kl", "reverse_kl", "js", "chi_squared", "hellinger", "tv",
)  # fmt: skip
REGULARISERS: dict[str, dict[str, Any]] = {
    "none": {},
    "r1": {"r1": 0.1, "penalty_every": 4},
    "r1_each_step": {"r1": 0.1},
    "r1_r2": {"r1": 0.1, "r2": 0.1},
    "zero_gp": {"zero_gp": 0.1},
    "gp": {"gp": 0.1},
    "lp": {"lp": 0.1},
    "dragan": {"dragan": 0.1},
    "clip": {"clip": 0.1},
    "spectral": {"spectral": "reshaped"},
    "pack2": {"pack": 2},
    "minibatch_std": {"minibatch_std": True},
    "unrolled": {"unroll": 3},
    "optimistic": {"optimizer": "optimistic_adam"},
    "extragradient": {"rule": "extragradient"},
}
ALONE = ("none", "r1")  # what every loss is tried with
CROSSED = {  # and what these are tried with besides: not the whole product, most of which says the same again
    "non_saturating": tuple(REGULARISERS),
    "wasserstein": ("gp", "lp", "clip", "spectral"),
    "hinge": ("gp", "spectral"),
    "relativistic": ("r1_r2",),
}
FOR_DIGITS = {"gp": 10.0, "lp": 10.0, "dragan": 10.0, "r1": 1.0, "r2": 1.0, "zero_gp": 1.0, "clip": 0.01}
DRAWINGS = 10
MODES = {"ring8": 8, "grid25": 25, "mnist": 10}


@dataclass(frozen=True)
class Run:
    """Where a run is kept, and what is known of it."""

    folder: Path
    data: str
    loss: str
    regulariser: str
    seed: int
    wanted_steps: int | None = None
    width: int | None = None

    @property
    def steps(self) -> int:
        """How long it is."""
        return self.wanted_steps or (2000 if self.data == "mnist" else 5000)

    @property
    def name(self) -> str:
        """For files and messages."""
        size = f"-width{self.width}" if self.width else ""
        return f"{self.data}-{self.loss}-{self.regulariser}-{self.steps}{size}-seed{self.seed}"

    @property
    def file(self) -> Path:
        """All that was measured."""
        return self.folder / f"{self.name}.json"

    @property
    def samples(self) -> Path:
        """Samples of the last drawing."""
        return self.folder / f"{self.name}.npy"

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.file.exists()

    def result(self) -> dict[str, Any]:
        """Measured numbers; or why the pair does not go together."""
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def refuse(self, why: str) -> None:
        """The pair does not go together."""
        self.file.write_text(json.dumps({"unsuitable": why}))

    def line(self) -> str:
        """The last drawing, in a line."""
        found = self.result()
        if not found.get("drawings"):
            return str(found)
        last = {key: round(value, 3) for key, value in found["drawings"][-1].items()}
        return f"{last} {found['seconds']:.0f} s" + (" diverged" if found["diverged"] else "")


def chosen(loss: str, regulariser: str) -> bool:
    """Whether the study has the pair. A Wasserstein critic without any bound has no optimum, so it is left out."""
    if (loss, regulariser) == ("wasserstein", "none"):
        return False
    return regulariser in ALONE or regulariser in CROSSED.get(loss, ())


def configured(run: Run) -> tuple[type, Any]:
    """The model's class and configuration."""
    digits = run.data == "mnist"
    own = REGULARISERS[run.regulariser]
    own = {key: FOR_DIGITS.get(key, value) for key, value in own.items()} if digits else own
    make = gans.get("dcgan" if digits else "toy")
    common = {"loss": run.loss, "data": run.data, "seed": run.seed, "steps": run.steps, "r1": 0.0, "penalty_every": 1}
    points = {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99, "decay": True, "ema": 0.995, "batch_size": 256}
    wider = {"width": run.width} if run.width else {}
    return make, make.Config(**(common | ({} if digits else points | wider) | own))


def train(run: Run, judge: Judge) -> None:
    """Train, draw and measure ten times, keep the result. A loss that is no longer finite ends the run."""
    make, config = configured(run)
    examples = data.load(run.data, seed=run.seed)
    model = make(config, examples.x.shape[1:])
    loader = data.Loader(examples, batch_size=config.batch_size, seed=run.seed)
    drawings: list[dict[str, float]] = []
    seconds, diverged, count = 0.0, False, model.game.updates()
    due = {round(run.steps * (k + 1) / DRAWINGS) for k in range(DRAWINGS)}
    began = time.perf_counter()
    samples = np.zeros((0, *examples.x.shape[1:]), np.float32)
    for step in range(run.steps):
        try:
            values = model.game.step(batches=[loader.batch(step * count + k) for k in range(count)])
        except NotFiniteError:
            diverged = True
            break
        if step + 1 not in due:
            continue
        seconds += time.perf_counter() - began
        samples = model.sample(SAMPLES, seed=run.seed + 1000)
        diverged = not (np.isfinite(samples).all() and all(math.isfinite(v.item()) for v in values.values()))
        if diverged:
            break
        numbers = judge(samples) | estimate(run, values["discriminator"].item())
        drawings.append({"step": step + 1, "seconds": seconds, **numbers})
        began = time.perf_counter()
    np.save(run.samples, samples[: 64 if run.data == "mnist" else 1000])
    run.file.write_text(json.dumps({"drawings": drawings, "seconds": seconds, "diverged": diverged}))


def estimate(run: Run, loss: float) -> dict[str, float]:
    """What the discriminator's loss, negated, says of a divergence: of W1 (times the slope that it is held to) or of 2 JSD."""
    if run.loss == "wasserstein":
        return {"estimate": -loss}
    return {"estimate": math.log(4) - loss} if run.loss in ("minimax", "non_saturating") else {}


def reached(run: Run, drawing: dict[str, float]) -> bool:
    """Whether all modes are there, evenly enough, and samples good enough."""
    if run.data not in MODES:
        return drawing["w1"] < 1.5 * drawing["w1_floor"]
    least = 0.75 if run.data == "mnist" else 0.5
    return drawing["modes"] == MODES[run.data] and drawing["reverse_kl"] < 0.05 and drawing["good"] >= least


__all__ = ["LOSSES", "MODES", "REGULARISERS", "Run", "chosen", "reached", "train"]
