"""Why `toy` and `mlp` have the defaults that they have: each beside others that differ from them in one thing.

    python bench/defaults.py --folder RUNS [--models toy mlp] [--seeds 0 1 2] [--out FILE.md]

toy, on ring8: the share of 2,000 samples within .1 of a mode (its radius is 2, its sigma .02), how many of the eight modes
have at least 2 % of them, and the smallest and the largest share of a mode (even: 12.5 %). mlp, on glyphs: what minigan's
judge, trained on 8,500 of them, says of 1,000 samples (see `bench/quality.py`): how many digits are there, mean confidence,
and score, 10 at most.

Numbers stay in RUNS: what is there already is not computed again, so that a long study may be done in pieces.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from quality import scores
from step_time import cpu_model, publish

from minigan import data, nn
from minigan.gans.mlp import MLP
from minigan.gans.toy import Toy, perceptron
from minigan.metrics.judge import Judge, Recipe, split

WITHIN, LEAST_SHARE = 0.1, 0.02
STEPS, SAMPLES = {"toy": 2000, "mlp": 1000}, {"toy": 2000, "mlp": 1000}  # as the README has them


class LeakyToy(Toy):
    """The toy GAN with leaky ReLU in G, too."""

    def networks(self) -> dict[str, nn.Module]:
        return super().networks() | {"generator": perceptron(self.config.latent, self.config.width, 2, "leaky_relu")}


class DeepToy(Toy):
    """The toy GAN with a third hidden layer in D."""

    def networks(self) -> dict[str, nn.Module]:
        width = self.config.width
        layers = [nn.Dense(i, width, activation="leaky_relu") for i in (2, width, width)]
        return super().networks() | {"discriminator": nn.Sequential(*layers, nn.Dense(width, 1))}


CANDIDATES: dict[str, list[tuple[str, type, dict[str, Any]]]] = {
    "toy": [
        ("**the defaults**", Toy, {}),
        ("the defaults, 5,000 steps", Toy, {"steps": 5000}),
        ("before: leaky ReLU in G, lr 2e-4, beta2 .999, no R1", LeakyToy, {"lr": 2e-4, "beta2": 0.999, "r1": 0.0}),
        ("the same, lr 1e-3", LeakyToy, {"lr": 1e-3, "beta2": 0.999, "r1": 0.0}),
        ("leaky ReLU in G", LeakyToy, {}),
        ("lr 1e-3", Toy, {"lr": 1e-3}),
        ("lr 3e-3", Toy, {"lr": 3e-3}),
        ("beta1 0", Toy, {"beta1": 0.0}),
        ("beta2 .999", Toy, {"beta2": 0.999}),
        ("no R1", Toy, {"r1": 0.0}),
        ("R1 1.0", Toy, {"r1": 1.0}),
        ("R1 in every step", Toy, {"penalty_every": 1}),
        ("no averaging", Toy, {"ema": 0.0}),
        ("ema .99", Toy, {"ema": 0.99}),
        ("width 64", Toy, {"width": 64}),
        ("three hidden layers in D", DeepToy, {}),
        ("batch 128", Toy, {"batch_size": 128}),
        ("least squares", Toy, {"loss": "least_squares"}),
        ("hinge", Toy, {"loss": "hinge"}),
    ],
    "mlp": [
        ("**the defaults**", MLP, {}),
        ("the defaults, 500 steps", MLP, {"steps": 500}),
        ("before: lr 2e-4, beta1 .5, no R1, no batch norm", MLP, {"lr": 2e-4, "beta1": 0.5, "r1": 0.0, "norm": "none"}),
        ("no batch norm in G", MLP, {"norm": "none"}),
        ("no batch norm in G, 500 steps", MLP, {"norm": "none", "steps": 500}),
        ("beta1 .5", MLP, {"beta1": 0.5}),
        ("no R1", MLP, {"r1": 0.0}),
        ("R1 5.0", MLP, {"r1": 5.0}),
        ("beta2 .99", MLP, {"beta2": 0.99}),
        ("ema .999", MLP, {"ema": 0.999}),
        ("lr 5e-4", MLP, {"lr": 5e-4}),
        ("lr 2e-3", MLP, {"lr": 2e-3}),
    ],
}
HEADS = {"toy": "within .1 (%), modes, shares (%)", "mlp": "digits, confidence, score"}


def judged_points(samples: np.ndarray, modes: np.ndarray) -> str:
    """Within .1 of a mode, the number of modes, the shares."""
    distances = np.linalg.norm(samples[:, None] - modes, axis=2)
    near = distances.argmin(axis=1)[distances.min(axis=1) < WITHIN]
    shares = np.bincount(near, minlength=len(modes)) / len(samples)
    bounds = f"{100 * shares.min():.0f}-{100 * shares.max():.0f}"
    return f"{100 * len(near) / len(samples):.0f}, {(shares >= LEAST_SHARE).sum()}, {bounds}"


def judge_of_digits(folder: Path) -> Callable[[np.ndarray], str]:
    """Digits present, confidence, score; the judge is trained once."""
    digits, file = data.load("glyphs"), folder / "judge.npz"
    assert digits.y is not None
    train, held_out = split(len(digits), held_out=1500)
    if not file.exists():
        Judge.trained(digits.x[train], digits.y[train], Recipe(steps=150)).save(file)
    judge, histogram = Judge.load(file), np.bincount(digits.y, minlength=10) / len(digits)
    print(
        f"the judge is right on {judge.accuracy(digits.x[held_out], digits.y[held_out]):.2%} of 1,500 held-out digits"
    )

    def judged(samples: np.ndarray) -> str:
        found = scores(judge, samples, histogram)
        return f"{found.classes}, {found.confidence:.2f}, {found.score:.1f}"

    return judged


def train(model_class: type, config: Any, samples: int) -> np.ndarray:
    """Samples after one run, from the averaged weights."""
    examples = data.load(config.data, seed=config.seed)
    model = model_class(config, examples.x.shape[1:])
    loader = data.Loader(examples, batch_size=config.batch_size, seed=config.seed)
    for step in range(config.steps):
        model.game.step(loader.batch(step))
    return model.sample(samples, seed=config.seed + 1000)


def study(name: str, args: argparse.Namespace) -> list[str]:
    """All candidates of a model; Markdown."""
    modes, file = data.load("ring8", n=8).modes, args.folder / "runs.json"
    judged = judge_of_digits(args.folder) if name == "mlp" else lambda samples: judged_points(samples, modes)
    lines = [f"`{name}`, {STEPS[name]} steps where nothing else is said: {HEADS[name]}", ""]
    lines += ["| | " + " | ".join(f"seed {seed}" for seed in args.seeds) + " |", "|---" * (len(args.seeds) + 1) + "|"]
    for label, model_class, options in CANDIDATES[name]:
        cells = []
        for seed in args.seeds:
            config = model_class.Config(**{"steps": STEPS[name], **options, "seed": seed})
            key = json.dumps([model_class.__name__, asdict(config)])
            known = json.loads(file.read_text()) if file.exists() else {}
            if key not in known:
                known[key] = judged(train(model_class, config, SAMPLES[name]))
                file.write_text(json.dumps(known, indent=1))
                print(name, label, seed, known[key], flush=True)
            cells.append(known[key])
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    """Read the command line, print the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where numbers and the judge are kept")
    parser.add_argument("--models", nargs="+", default=["toy", "mlp"], choices=list(CANDIDATES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{datetime.date.today()}, {cpu_model()}; `bench/defaults.py`", ""]
    for name in args.models:
        lines += study(name, args)
    text = "\n".join(lines)
    publish(text, args.out)


if __name__ == "__main__":
    main()
