"""What `minigan evaluate` says of the zoo's models: several seeds each, one table, mean and range.

    MINIGAN_DATA=DIR python bench/evaluate.py --folder RUNS [--model dcgan] [--data mnist] [--seeds 0 1 2] [--steps 1000]
        [--set key=value ...] [--out FILE.md]

Each seed is a run as `minigan train` makes it, in RUNS. It may be interrupted as often as one likes (Ctrl-C): runs go on from
their last checkpoint, and what was evaluated is not evaluated again. The judge is the one that `minigan evaluate` takes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from step_time import cpu_model, publish

from minigan.run import evaluation, settings, trainer
from minigan.run.rundir import RunDir


def trained(args: argparse.Namespace, seed: int) -> Path:
    """The folder of one seed's run, trained to its last step; the program ends where it was interrupted."""
    folder = args.folder / f"{args.model}-{args.data}-seed{seed}"
    if RunDir(folder).read_state() == "done":
        return folder
    if folder.exists():
        result = trainer.resume(str(folder))
    else:
        texts = {"data": args.data, "steps": str(args.steps), "seed": str(seed), **settings.pairs(args.set)}
        result = trainer.train(args.model, texts, out=str(folder))
    if result.code:
        sys.exit(result.text)
    return folder


def evaluated(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The stored evaluation of a run, made now where there is none."""
    file = folder / "evaluation.json"
    if not file.exists():
        evaluation.evaluate(str(folder), n=args.samples)
    return json.loads(file.read_text())


def study(args: argparse.Namespace) -> list[str]:
    """Train, evaluate; Markdown."""
    found = [evaluated(trained(args, seed), args) for seed in args.seeds]
    judge = found[0]["judge"]
    hashes = {each["judge"]["sha256"] for each in found if each["judge"]}
    if len(hashes) > 1:
        sys.exit(f"the runs were judged by {len(hashes)} judges: delete their evaluation.json")
    lines = [
        f"{datetime.date.today()}, {cpu_model()}: `minigan train {args.model} --data {args.data} --steps {args.steps}"
        f"{''.join(f' --set {each}' for each in args.set)}`, seeds {', '.join(map(str, args.seeds))}; "
        f"`minigan evaluate`, {found[0]['n']} samples each.",
    ]
    if judge:
        record = judge["record"]
        lines.append(
            f"Judge {judge['sha256'][:12]}: {record['recipe']['steps']} steps on {record['trained_on']} examples, right on "
            f"{record['accuracy']:.2%} of {record['held_out']} others ({record['accuracy_seen']:.2%} of as many that it saw)."
        )
    heads = [f"seed {seed}" for seed in args.seeds]
    lines += ["", row("metric", "better", *heads, "mean", "floor", "real", "bias"), "|---" * (len(heads) + 6) + "|"]
    for number, metric in enumerate(found[0]["metrics"]):
        values = [each["metrics"][number]["values"]["last"] for each in found]
        mean = None if None in values else float(np.mean(values))
        real = None if metric["floor"] is not None else metric["real"]
        cells = [*values, mean, metric["floor"], real, metric["bias"]]
        lines.append(row(metric["name"], metric["better"] or "-", *map(shown, cells)))
    checks = found[0]["checks"]["last"]
    if checks:
        lines += [
            "",
            row("the model's own checks", "target", *heads, "where the target comes from"),
            "|---" * (len(heads) + 3) + "|",
        ]
    for number, check in enumerate(checks):
        each = [run["checks"]["last"][number] for run in found]
        marks = [f"{shown(c['value'])} {'met' if c['met'] else '**not met**'}" for c in each]
        lines.append(row(check["name"], check["target"], *marks, check["source"] or "-"))
    return [*lines, ""]


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def shown(value: float | None) -> str:
    """Four digits, or a dash."""
    return "-" if value is None else f"{value:.4g}"


def main() -> None:
    """Read the command line, print the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs go")
    parser.add_argument("--model", default="dcgan")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--samples", type=int, help="by default as many as minigan evaluate takes")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="key=value", help="other settings")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    publish("\n".join(study(args)), args.out)


if __name__ == "__main__":
    main()
