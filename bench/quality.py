"""What a DCGAN trained here draws, judged: minigan and, beside it, a PyTorch twin of the same recipe.

    python bench/quality.py --folder RUNS [--seeds 0 1 2] [--steps 2000] [--torch-python /path/python] [--out FILE.md]

Each seed trains `dcgan` (net=s4 features=64) on the MNIST digits at hand (batch 64) and draws samples every `--every` steps,
with batch norm's running statistics and no averaging of weights. One judge, minigan's own classifier
(minigan/metrics/judge.py), scores all:

- classes: how many of the ten make up at least 0.5 % of the samples, each counted as its likeliest class;
- class KL: KL(samples' class histogram || the digits' own histogram), nats; 0 is best;
- confidence: mean of the largest class probability;
- score: exp(mean over samples of KL(p(y|x) || p(y))), the inception score with the judge for Inception: 10 at most.

Real digits that the judge was not trained on are scored likewise. `best` is the drawing with the highest score. Weights and
samples stay in RUNS: what is there already is not computed again.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from step_time import cpu_model, publish

from minigan import data
from minigan.gans import get
from minigan.metrics.judge import Judge, split

HERE = Path(__file__).parent
HELD_OUT = 1500
LEAST_ACCURACY = 0.984
PRESENT = 0.005  # a class is there from this share of the samples on


@dataclass(frozen=True)
class Scores:
    """What the judge says of a set of images."""

    classes: int
    class_kl: float
    confidence: float
    score: float

    def cells(self) -> str:
        """The four numbers as cells of a table."""
        return f"{self.classes} | {self.class_kl:.3f} | {self.confidence:.3f} | {self.score:.2f}"


def kl(q: np.ndarray, p: np.ndarray) -> float:
    """sum q log(q/p), nats, 0 log 0 = 0."""
    there = q > 0
    return float((q[there] * np.log(q[there] / p[there])).sum())


def scores(judge: Judge, images: np.ndarray, histogram: np.ndarray) -> Scores:
    """Judge images; `histogram` is the data's share of each class."""
    log_p = judge.log_probabilities(images)
    p = np.exp(log_p)
    mean = np.maximum(p.mean(axis=0), 1e-300)
    shares = np.bincount(p.argmax(axis=1), minlength=len(histogram)) / len(images)
    return Scores(
        classes=int((shares >= PRESENT).sum()),
        class_kl=kl(shares, histogram),
        confidence=float(p.max(axis=1).mean()),
        score=float(np.exp((p * (log_p - np.log(mean))).sum(axis=1).mean())),
    )


def the_judge(digits: data.Dataset, file: Path) -> tuple[Judge, np.ndarray, float]:
    """(judge, indices of the digits it has not seen, its accuracy on them); trained once, then kept in `file`."""
    assert digits.y is not None
    train, held_out = split(len(digits), held_out=HELD_OUT)
    if file.exists():
        judge = Judge.load(file)
    else:
        print("training the judge", file=sys.stderr)
        judge = Judge.trained(digits.x[train], digits.y[train])
        judge.save(file)
    accuracy = judge.accuracy(digits.x[held_out], digits.y[held_out])
    if accuracy < LEAST_ACCURACY:
        sys.exit(
            f"the judge is right on {accuracy:.2%} of the held-out digits, expected {LEAST_ACCURACY:.1%}: no study"
        )
    return judge, held_out, accuracy


def drawings(folder: Path, args: argparse.Namespace) -> list[tuple[int, Path]]:
    """(step, file) of each drawing that a run leaves."""
    steps = [*range(args.every, args.steps, args.every), args.steps]
    return [(step, folder / f"samples-{step}.npy") for step in steps]


def train_minigan(digits: data.Dataset, seed: int, folder: Path, args: argparse.Namespace) -> None:
    """One run of the zoo's `dcgan`."""
    model_class = get("dcgan")
    config = model_class.Config(batch_size=args.batch_size, steps=args.steps, seed=seed, ema=0.0, net="s4", features=64)
    model = model_class(config, digits.x.shape[1:])
    loader = data.Loader(digits, batch_size=args.batch_size, seed=seed)
    files = dict(drawings(folder, args))
    for step in range(args.steps):
        buffer = model.game.buffer((args.batch_size, *digits.x.shape[1:]))
        model.game.step(loader.batch(step, out=buffer))
        if step + 1 in files:
            np.save(files[step + 1], model.sample(args.samples, seed=seed + 1000))


def train_torch(digits: data.Dataset, seed: int, folder: Path, args: argparse.Namespace) -> None:
    """One run of the twin, in PyTorch's own process."""
    images = folder.parent / "digits.npy"
    np.save(images, digits.x)
    given = {
        "data": images, "folder": folder, "seed": seed, "steps": args.steps, "every": args.every,
        "samples": args.samples, "batch-size": args.batch_size, "threads": args.threads,
    }  # fmt: skip
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    subprocess.run([args.torch_python, str(HERE / "peers" / "torch_quality.py"), *words], check=True)


def runs(digits: data.Dataset, args: argparse.Namespace) -> Iterator[tuple[str, int, list[tuple[int, Path]]]]:
    """(who, seed, drawings) of every run, trained now where it was not before."""
    trainers = {"minigan": train_minigan} | ({"PyTorch": train_torch} if args.torch_python else {})
    for seed in args.seeds:
        for who, train in trainers.items():
            folder = args.folder / f"{who.lower()}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            files = drawings(folder, args)
            if not all(file.exists() for _, file in files):
                start = time.perf_counter()
                train(digits, seed, folder, args)
                print(f"{who}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
            yield who, seed, files


def study(args: argparse.Namespace) -> list[str]:
    """Train, judge; Markdown."""
    args.folder.mkdir(parents=True, exist_ok=True)
    digits = data.load("mnist")
    assert digits.y is not None
    judge, held_out, accuracy = the_judge(digits, args.folder / "judge.npz")
    histogram = np.bincount(digits.y, minlength=10) / len(digits)
    lines = [
        f"{datetime.date.today()}, {cpu_model()}; DCGAN-28, {args.steps} steps of {args.batch_size} of {len(digits)} digits, "
        f"{args.samples} samples each; the judge is right on {accuracy:.2%} of {HELD_OUT} held-out digits",
        "",
        "| | seed | drawing | classes | class KL | confidence | score |",
        "|---|---|---|---|---|---|---|",
        f"| real, held out | - | - | {scores(judge, digits.x[held_out], histogram).cells()} |",
    ]
    table: dict[tuple[str, str], list[Scores]] = {}
    for who, seed, files in runs(digits, args):
        found = {step: scores(judge, np.load(file), histogram) for step, file in files}
        best = max(found, key=lambda step: found[step].score)
        for name, step in {"best": best, "last": files[-1][0]}.items():
            table.setdefault((who, name), []).append(found[step])
            lines.append(f"| {who} | {seed} | {name}, step {step} | {found[step].cells()} |")
    lines += [
        "",
        "| mean (least to greatest) over seeds | classes | class KL | confidence | score |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {who}, {name} | {' | '.join(bands(found))} |" for (who, name), found in table.items()]
    return [*lines, ""]


def bands(found: list[Scores]) -> list[str]:
    """Mean and range of each number over seeds."""
    columns = {name: [asdict(s)[name] for s in found] for name in asdict(found[0])}
    return [f"{np.mean(v):.3f} ({min(v):.3g} to {max(v):.3g})" for v in columns.values()]


def main() -> None:
    """Read the command line, print the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where weights and samples go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=500, help="steps from one drawing to the next")
    parser.add_argument("--samples", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch's; minigan's are MINIGAN_THREADS")
    parser.add_argument("--torch-python", default="", help="an interpreter with PyTorch, for the twin")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    text = "\n".join(study(args))
    publish(text, args.out)


if __name__ == "__main__":
    main()
