"""How much memory every metric takes, and how long: 50,000 samples and as many real examples, a process for each metric.

    python bench/metric_memory.py [--n 50000] [--only "Frechet distance" ...] [--keep results.json] [--out table.md]

What is measured is what `minigan evaluate` calls: the numbers of a :class:`minigan.metrics.Comparison` with 28 x 28 images, 128
features and 10 class probabilities of the judge's kind, labels, and a mixture's points; metrics of pairs are called with the
images. "Resident" is the most that the whole process held (`ru_maxrss`): interpreter, NumPy, Numba, the two sets, and what the
metric adds, which stands beside it. The images are noise: no metric takes another time or memory for better ones, and a
classifier is trained for as many steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from step_time import machine, publish

from minigan.metrics import METRICS, Comparison, Side
from minigan.metrics.judge import Judge, Recipe, Record

BOUND = 2**30
PAIRS: dict[str, Any] = {
    "PSNR": lambda f, c: f(c.real.images, c.fake.images, data_range=2),
    "SSIM": lambda f, c: f(c.real.images, c.fake.images, data_range=2),
    "MS-SSIM": lambda f, c: f(c.real.images, c.fake.images, data_range=2, scales=2),
    "AUROC": lambda f, c: f(c.real.features[:, 0], c.real.labels % 2),
    "class spread": lambda f, c: f(c.real.features, c.real.labels),
    "gradient energy": lambda f, c: f(c.real.images),
    "nearest neighbour accuracy": lambda f, c: f(c.real.points, c.real.labels, queries=1000),
    "matching accuracy": lambda f, c: f(c.real.labels, c.fake.labels, categories=10),
    "variance explained by a code": lambda f, c: f(c.real.features[:, 0], c.real.features[:, 1], c.real.labels),
}
JUDGE = "the judge, once for all"
MEASURED = [JUDGE, *(name for name, metric in METRICS.items() if metric.measure or name in PAIRS)]
POINTS = ("mode coverage",)  # of points in the plane, and not of images


def comparison(n: int, points: bool) -> Comparison:
    """Noise: n real and n generated examples, of which the real ones are the training data, too, and 1,000 held out."""
    rng = np.random.default_rng(0)
    judge = Judge()
    judge.record = Record(
        data="noise",
        checksum="",
        recipe=asdict(Recipe()),
        seed=0,
        trained_on=n,
        held_out=0,
        accuracy=0.0,
        accuracy_seen=0.0,
    )

    def side(count: int) -> Side:
        labels = rng.integers(0, 10, count)
        if points:
            return Side(rng.standard_normal((count, 2)), labels=labels)
        images = rng.random((count, 28, 28, 1), dtype=np.float32)
        images *= 2
        images -= 1
        features = rng.standard_normal((count, 128), dtype=np.float32)
        found = Side(images, judge=lambda: judge, features=features, labels=labels)
        found.__dict__["log_probabilities"] = judge.log_probabilities_of(
            features
        )  # the network's own row is "the judge"
        return found

    real = side(n)
    mixture = (rng.standard_normal((8, 2)), 0.1)
    return Comparison(real, side(n), training=real, held_out=side(1000), mixture=mixture)


def peak() -> int:
    """The most bytes that were resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one(name: str, n: int) -> dict[str, float]:
    """Measure here: bytes before and after, seconds of the clock and of the processors."""
    given = comparison(n, name in POINTS)
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    if name == JUDGE:
        given.fake.judge.log_probabilities(given.fake.images)
    elif name in PAIRS:
        PAIRS[name](METRICS[name].function, given)
    else:
        METRICS[name].values(given)
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    return {"before": before, "peak": peak(), "seconds": seconds, "cpu": busy}


def in_a_process(name: str, n: int) -> dict[str, float]:
    """:func:`one` in a fresh process."""
    command = [sys.executable, __file__, "--n", str(n), "--only", name, "--here"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, dict[str, float]]) -> list[str]:
    """Markdown rows."""
    lines = [
        "| metric | resident, MiB | of these the metric's own | seconds | processor seconds |",
        "|---|---|---|---|---|",
    ]
    for name in MEASURED:
        if name in results:
            row = results[name]
            mib = [row["peak"] / 2**20, (row["peak"] - row["before"]) / 2**20]
            over = " **above 1 GB**" if row["peak"] > BOUND else ""
            lines.append(f"| {name} | {mib[0]:.0f}{over} | {mib[1]:.0f} | {row['seconds']:.1f} | {row['cpu']:.1f} |")
    return lines


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED, metavar="METRIC")
    parser.add_argument("--here", action="store_true", help="measure one metric in this process, and print JSON")
    parser.add_argument("--keep", type=Path, help="a JSON file of results to add to")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    args = parser.parse_args()
    if args.here:
        print(json.dumps(one(args.only[0], args.n)))
        return
    results = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    for name in args.only:
        results[name] = in_a_process(name, args.n)
        print(name, {key: round(value, 1) for key, value in results[name].items()}, file=sys.stderr, flush=True)
        if args.keep:
            args.keep.write_text(json.dumps(results))
    head = (
        f"Every metric on {args.n:,} samples and as many real examples, 28 x 28 images, 128 features "
        "(`python bench/metric_memory.py`)."
    )
    publish("\n".join([machine(), "", head, "", *table(results), ""]), args.out)


if __name__ == "__main__":
    main()
