"""Which GAN draws the best digits in the time of a default run: models beside each other at equal CPU seconds of training.

    MINIGAN_THREADS=1 python bench/digits.py --folder RUNS [--data mnist] [--seconds 200] [--models dcgan sngan ...]
                                             [--seeds 0 1 2] [--minutes 60] [--out FILE.md]

Each run has a model's own defaults for images and the options named in `CANDIDATES`. Seconds are those of the processor in
training steps alone: with one thread the work itself, whoever else uses the machine; 200 of them are about the two minutes of a
default `minigan train` on two idle cores. Where a model's rates fall in a line over its steps, that line ends where the seconds
do, by the pace of fifty steps; where they do not fall, a run ends with its seconds.

One judge (`bench/quality.py`) scores 2,500 samples four times in a run:

- classes, class KL, confidence, score: as there;
- legible: the share of samples that the judge is at least 90 % sure of, .98 of real digits;
- cFD: the Frechet distance of the judge's features from 1,500 real digits, with that of two halves of these beside it.

A run is a file in RUNS, written when it is done: what is there is not computed again, so that a study may be done in pieces
(`--minutes` ends it between two runs).
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image
from quality import scores, the_judge
from step_time import cpu_model, publish

from minigan import data, gans
from minigan.data.images import make_grid
from minigan.gans.options import for_images
from minigan.metrics.frechet import frechet_distance

SAMPLES, LOOKS, SURE = 2500, 4, 0.9
WARM, PACED = 10, 50  # steps before, and while, the pace is taken
COLUMNS = ("classes", "class_kl", "confidence", "legible", "score", "cfd")


@dataclass(frozen=True)
class Candidate:
    """A row of the table."""

    model: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of files and rows."""
        return " ".join([self.model, *(f"{key}={value}" for key, value in self.options.items())])


SMALL = {"net": "ig", "features": 32}
CANDIDATES = [
    Candidate("dcgan", {"net": "s4", "features": 64}),
    Candidate("dcgan", {"net": "ig", "features": 64}),
    Candidate("dcgan", SMALL),
    Candidate("dcgan", {**SMALL, "features": 16}),
    Candidate("dcgan", {**SMALL, "r1": 1.0}),
    Candidate("lsgan", SMALL),
    Candidate("wgan", SMALL),
    Candidate("wgan_gp", SMALL),
    Candidate("wgan_gp", {**SMALL, "d_steps": 5, "lr": 1e-4}),
    Candidate("sngan", SMALL),
    Candidate("dragan", SMALL),
    Candidate("pacgan", SMALL),
    Candidate("r3gan", {**SMALL, "norm": "none", "lr": 5e-4}),
    Candidate("r3gan", {**SMALL, "lr": 5e-4}),
    Candidate("r3gan", {**SMALL, "lr": 1e-3}),
    Candidate("r3gan", {**SMALL, "lr": 2e-3}),
]


class Scored:
    """A judge of digits, and what real ones get."""

    def __init__(self, name: str, folder: Path) -> None:
        digits = data.load(name)
        assert digits.y is not None
        self.judge, held_out, self.accuracy = the_judge(digits, folder / f"judge-{name}.npz")
        self.histogram = np.bincount(digits.y, minlength=10) / len(digits)
        order = np.random.default_rng(0).permutation(held_out)  # MNIST's halves differ: shuffled before it is halved
        self.features = self.judge.features(digits.x[order])
        self.real = self(digits.x[order]) | {"cfd": frechet_distance(*np.array_split(self.features, 2))}

    def __call__(self, samples: np.ndarray) -> dict[str, float]:
        """The columns of the table."""
        found = scores(self.judge, samples, self.histogram)
        sure = np.exp(self.judge.log_probabilities(samples)).max(axis=1) >= SURE
        cfd = frechet_distance(self.features, self.judge.features(samples))
        return {**vars(found), "legible": float(sure.mean()), "cfd": float(cfd)}


def train(
    candidate: Candidate, seed: int, args: argparse.Namespace, judged: Callable[..., dict[str, float]]
) -> dict[str, Any]:
    """One run: what the judge says at each look."""
    make = gans.get(candidate.model)
    config = for_images(make.Config, **{"data": args.data, "seed": seed, **candidate.options})
    examples = data.load(args.data, seed=seed)
    model, spent = steps_of(make, config, examples)
    spent(WARM)
    config = replace(config, steps=max(WARM, int(args.seconds * PACED / spent(PACED))))
    model, spent = steps_of(make, config, examples)
    falls = getattr(config, "decay", False)
    looks, seconds, step = [], 0.0, 0
    for look in range(1, LOOKS + 1):
        while seconds < args.seconds * look / LOOKS and not (falls and step >= config.steps):
            seconds, step = seconds + spent(1), step + 1
        samples = model.sample(SAMPLES, seed=seed + 1000)
        looks.append({"step": step, "seconds": seconds, **judged(samples)})
    picture = args.folder / f"{candidate.name.replace(' ', '-')}-{args.data}-seed{seed}.png"
    image.imsave(picture, make_grid(samples[:64], columns=8).squeeze(), cmap="gray")
    return {"looks": looks}


def steps_of(make: Any, config: Any, examples: data.Dataset) -> tuple[Any, Callable[[int], float]]:
    """A new model, two steps old (they record), and a function: so many more steps, and the CPU seconds that they took."""
    model = make(config, examples.x.shape[1:])
    loader = data.Loader(examples, batch_size=config.batch_size, seed=config.seed)
    count, done = model.game.updates(), 0

    def spent(steps: int) -> float:
        nonlocal done
        began = time.process_time()
        for _ in range(steps):
            model.game.step(batches=[loader.batch(done * count + k) for k in range(count)])
            done += 1
        return time.process_time() - began

    spent(2)
    return model, spent


def runs(
    args: argparse.Namespace, judged: Callable[..., dict[str, float]]
) -> Iterator[tuple[Candidate, int, list[dict[str, float]]]]:
    """Every run that is done, trained now where there is time."""
    began = time.monotonic()
    for seed in args.seeds:
        for candidate in CANDIDATES:
            wanted = not args.models or candidate.model in args.models
            if not wanted or not set(args.only) <= set(candidate.name.split()[1:]):
                continue
            file = args.folder / f"{candidate.name.replace(' ', '-')}-{args.data}-{args.seconds:g}s-seed{seed}.json"
            if not file.exists():
                if time.monotonic() - began > 60 * args.minutes:
                    continue
                file.write_text(json.dumps(train(candidate, seed, args, judged)))
            looks = json.loads(file.read_text())["looks"]
            print(candidate.name, seed, {k: round(v, 3) for k, v in looks[-1].items()}, flush=True)
            yield candidate, seed, looks


def table(args: argparse.Namespace) -> list[str]:
    """Markdown: the mean over seeds of the last look (and the range), and the best cFD of all looks."""
    judged = Scored(args.data, args.folder)
    found: dict[str, list[list[dict[str, float]]]] = {}
    for candidate, _, looks in runs(args, judged):
        found.setdefault(candidate.name, []).append(looks)
    real = " | ".join(f"{judged.real[key]:.3g}" for key in COLUMNS)
    lines = [
        f"{datetime.date.today()}, {cpu_model()}; `bench/digits.py --data {args.data} --seconds {args.seconds:g}`; "
        f"the judge is right on {judged.accuracy:.2%} of the digits that it has not seen",
        "",
        "| model | seeds | classes | class KL | confidence | legible | score | cFD | best cFD | steps |",
        "|---|---|---|---|---|---|---|---|---|---|",
        f"| real | - | {real} | - | - |",
    ]
    order = sorted(found, key=lambda name: float(np.mean([looks[-1]["cfd"] for looks in found[name]])))
    for name in order:
        last = [looks[-1] for looks in found[name]]
        cells = [spread([look[key] for look in last]) for key in COLUMNS]
        best = min(look["cfd"] for looks in found[name] for look in looks)
        steps = spread([look["step"] for look in last])
        lines.append(f"| {name} | {len(last)} | {' | '.join(cells)} | {best:.3g} | {steps} |")
    return [*lines, ""]


def spread(values: list[float]) -> str:
    """The mean, and the range where it is one."""
    mean = f"{math.fsum(values) / len(values):.3g}"
    return mean if max(values) == min(values) else f"{mean} ({min(values):.3g} to {max(values):.3g})"


def main() -> None:
    """Read the command line, train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where numbers, pictures and the judge are kept")
    parser.add_argument("--data", default="mnist", choices=("mnist", "glyphs"))
    parser.add_argument("--models", nargs="*", help="only candidates of these models")
    parser.add_argument("--only", nargs="*", default=[], metavar="KEY=VALUE", help="only candidates with these options")
    parser.add_argument("--seconds", type=float, default=200.0, help="of the processor, a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after that time")
    parser.add_argument("--out", type=Path, help="the table, as Markdown")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    publish("\n".join(table(args)), args.out)


if __name__ == "__main__":
    main()
