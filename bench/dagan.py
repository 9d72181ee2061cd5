"""Does a DAGAN help a classifier that has few labels? Real images against real and synthetic ones, and synthetic ones alone.

    python bench/dagan.py --folder RUNS [--labels 10 20 50] [--seeds 0 1 2 3 4] [--seconds 200] [--out FILE.md]

For each number of labels a class and each seed: the DAGAN of `minigan/gans/dagan.py` is trained on these labelled training
digits of MNIST and on no others. Of each it makes `--each` further images. Then the classifier of `minigan/metrics/judge.py` is
trained with equal steps on

    real               the labelled digits
    real, shifted      the same, moved at random by up to 2 pixels: the usual augmentation, without a network
    real + synthetic   half of each batch labelled digits, half augmentations of them
    synthetic          augmentations alone

and tested on the same 4,000 test digits, drawn evenly from all. The table has the mean accuracy with a 95 % confidence interval
over seeds (Student's t), and the same of the difference to `real`, seed by seed, for which seeds need not be alike.

A part is written when it is done, and what is done is not done again: `--seconds` ends a piece after about so long."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from step_time import cpu_model, publish

from minigan import data
from minigan.data import Dataset
from minigan.gans.dagan import DAGAN, DAGANConfig
from minigan.gans.needs import Facts
from minigan.metrics.judge import Judge, Recipe

ARMS = ("real", "real, shifted", "real + synthetic", "synthetic")
TESTED, BATCH = 4000, 64
STUDENT = {
    2: 12.706,
    3: 4.303,
    4: 3.182,
    5: 2.776,
    6: 2.571,
    7: 2.447,
    8: 2.365,
    9: 2.306,
    10: 2.262,
}  # t of 95 %, by n


def few(found: Dataset, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many examples of each class, drawn at random."""
    assert found.y is not None
    order = np.random.default_rng(seed).permutation(len(found))
    chosen = np.concatenate([order[found.y[order] == k][:labels] for k in range(int(found.y.max()) + 1)])
    return np.asarray(found.x[np.sort(chosen)]), found.y[np.sort(chosen)]


def trained(x: np.ndarray, y: np.ndarray, labels: int, steps: int, seed: int) -> DAGAN:
    """A DAGAN of these images and no others."""
    config = DAGANConfig(steps=steps, labels=labels, seed=seed)
    model = DAGAN(config, Facts({"x": x.shape[1:]}, {"y": int(y.max()) + 1}))
    for step in range(steps):
        model.labelled.collect(x, y)
        model.game.step(model.feed({"x": x[: config.batch_size], "y": y[: config.batch_size]}, step))
    return model


def accuracies(
    x: np.ndarray, y: np.ndarray, made: np.ndarray, of: np.ndarray, test: Dataset, recipe: Recipe
) -> dict[str, float]:
    """Of the classifier on each of ARMS. made (N, ...): augmentations; of (N,): their sources' labels."""
    assert test.y is not None
    times = max(1, len(made) // len(x))  # so that both halves of a batch are equally likely
    both = np.concatenate([np.repeat(x, times, axis=0), made]), np.concatenate([np.repeat(y, times), of])
    rows = np.random.default_rng(0).permutation(len(test))[:TESTED]
    still = Recipe(steps=recipe.steps, seed=recipe.seed, shift=0)
    arms = {"real": (x, y, still), "real, shifted": (x, y, recipe), "real + synthetic": (*both, still)}
    return {
        arm: Judge.trained(*given).accuracy(np.asarray(test.x[rows]), test.y[rows])
        for arm, given in {**arms, "synthetic": (made, of, still)}.items()
    }


def with_interval(values: Sequence[float]) -> str:
    """Mean and the half width of its 95 % confidence interval, in per cent."""
    n = len(values)
    if n not in STUDENT:
        return f"{100 * np.mean(values):.2f}"
    return f"{100 * np.mean(values):.2f} +- {100 * STUDENT[n] * np.std(values, ddof=1) / math.sqrt(n):.2f}"


def main() -> None:
    """Go on with the study, and write the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where what is done is kept")
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 20, 50], help="labelled images of each class")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--steps", type=int, default=1000, help="of the DAGAN")
    parser.add_argument("--classifier-steps", type=int, default=300, help="of each classifier")
    parser.add_argument("--each", type=int, default=20, help="augmentations of each labelled image")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new so long after the start")
    parser.add_argument("--out", type=Path, help="write the table there, too")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    until, rows = time.monotonic() + args.seconds, []
    train, test = data.load("mnist"), data.load("mnist", split="test")
    for seed, labels in ((s, n) for s in args.seeds for n in args.labels):
        file = args.folder / f"labels{labels}-steps{args.steps}-{args.classifier_steps}-each{args.each}-seed{seed}.json"
        if not file.exists() and time.monotonic() < until:
            began = time.process_time()
            x, y = few(train, labels, seed)
            model = trained(x, y, labels, args.steps, seed)
            made = model.augmented(x, args.each, seed)
            recipe = Recipe(steps=args.classifier_steps, seed=seed)
            found = accuracies(x, y, made, np.repeat(y, args.each), test, recipe)
            told = {"labels": labels, "seed": seed, "accuracy": found, "seconds": time.process_time() - began}
            file.write_text(json.dumps(told | {"numbers": dict(model.metrics({"x": x}))}))
            print(json.dumps(told), file=sys.stderr)
        rows += [json.loads(file.read_text())] if file.exists() else []
    publish(table(rows, args), args.out)


def table(rows: list[dict], args: argparse.Namespace) -> str:
    """The report."""
    lines = [
        f"# Augmentation by a DAGAN\n\n{datetime.date.today()}, {cpu_model()}. MNIST; the DAGAN: {args.steps} steps on the "
        f"labelled digits alone, {args.each} images of each; classifiers: {args.classifier_steps} steps of {BATCH}. Accuracy in "
        "per cent on 4,000 test digits, mean and 95 % confidence interval over seeds; made by `python bench/dagan.py`.\n",
        f"| labels a class | seeds | {' | '.join(ARMS)} | real + synthetic, more than real | CPU s a seed |",
        "|---" * (len(ARMS) + 4) + "|",
    ]
    for labels in args.labels:
        of = [row for row in rows if row["labels"] == labels]
        if not of:
            lines.append(f"| {labels} | 0 " + "| not run " * (len(ARMS) + 2) + "|")
            continue
        gain = with_interval([row["accuracy"]["real + synthetic"] - row["accuracy"]["real"] for row in of])
        cells = [with_interval([row["accuracy"][arm] for row in of]) for arm in ARMS]
        spent = np.mean([row["seconds"] for row in of])
        lines.append(f"| {labels} | {len(of)} | {' | '.join(cells)} | {gain} | {spent:.0f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
