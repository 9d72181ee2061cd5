"""Does `minigan diagnose` find what runs were made to fail of, and nothing in sound ones?

    python bench/diagnose.py --folder RUNS [--bases ring8 grid25 mlp dcgan] [--kinds sound ...] [--seeds 0 1 2] [--out FILE.md]

Each kind is a training of a base (a toy on ring8 or grid25, the MLP and the DCGAN on glyphs) that differs from a sound one in a
few settings; `made to show` is what it is to be diagnosed as. Rows are kinds, columns what was found: a run counts in each column
of its verdict. Runs stay in RUNS: what is there already is not trained again, so that the study may be done in pieces.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from step_time import machine, publish

from minigan import data
from minigan.cli import main
from minigan.run.diagnosis import HEALTHY, diagnose
from minigan.run.symptoms import SYMPTOMS

BASES = {
    "ring8": "toy --data ring8 --steps 2000",
    "grid25": "toy --data grid25 --steps 4000",
    "mlp": "mlp --data glyphs --steps 1000",
    "dcgan": "dcgan --data glyphs --steps 700",
}


class Kind(NamedTuple):
    """shown: what it is made to show. points, images: words that come behind those of a base; None where it is not trained."""

    shown: str
    points: str | None
    images: str | None


KINDS = {
    "sound": Kind(HEALTHY, "", ""),
    "20 steps": Kind("too early to tell", "--steps 20", "--steps 20"),
    "lr 10": Kind("divergence", "--steps 200 --set lr=10", "--steps 100 --set lr=10"),
    "minimax, D far ahead": Kind(
        "vanishing gradient of the generator",
        "--steps 300 --set loss=minimax r1=0 d_steps=10 d_lr=1e-2 lr=1e-4",
        "--steps 150 --set loss=minimax r1=0 d_steps=5 d_lr=1e-3",
    ),
    "G ten times as fast, no R1": Kind(
        "collapse of modes",
        "--steps 1000 --set r1=0 lr=1e-2 beta1=0.9 d_lr=1e-3",
        "--steps 300 --set r1=0 lr=2e-3 beta1=0.9 d_lr=2e-4",
    ),
    "both at once, momentum, no R1": Kind(
        "oscillation", "--steps 800 --set r1=0 lr=3e-3 beta1=0.9 ema=0 rule=simultaneous", None
    ),
    "16 examples (32 images), no R1": Kind(
        "overfitting of the discriminator",
        "--data few-points.npy --steps 1500 --batch-size 16 --set r1=0",
        "--data few-images.npy --steps 500 --batch-size 16 --set r1=0",
    ),
}
HELD_OUT = {"few-points.npy": "unseen-points.npy", "few-images.npy": "unseen-images.npy"}


def make_files() -> None:
    """Few examples to train on, and others of the same law: a normal law in the plane, glyphs."""
    rng, glyphs = np.random.default_rng(0), data.load("glyphs", n=1032)
    for name, examples in {
        "few-points.npy": rng.standard_normal((16, 2)), "unseen-points.npy": rng.standard_normal((1000, 2)),
        "few-images.npy": glyphs.x[:32], "unseen-images.npy": glyphs.x[32:],
    }.items():  # fmt: skip
        if not Path(name).exists():
            np.save(name, np.asarray(examples, np.float32))


def words_of(base: str, kind: str) -> list[str] | None:
    """What `minigan train` is told; None where there is no such kind of that base."""
    more = KINDS[kind].points if base in ("ring8", "grid25") else KINDS[kind].images
    if more is None or (base == "grid25" and "few" in more):  # the same few points as for ring8
        return None
    before, _, after = more.partition("--set ")
    given = dict(zip(BASES[base].split()[1::2], BASES[base].split()[2::2], strict=True))
    given |= dict(zip(before.split()[::2], before.split()[1::2], strict=True))
    return [
        BASES[base].split()[0],
        *(w for pair in given.items() for w in pair),
        *(["--set", *after.split()] if after else []),
    ]


def verdict(words: list[str], name: str, seed: int) -> list[str]:
    """What is found in a run, which is trained where it is not there yet."""
    if not (Path(name) / "verdict.json").exists():
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            if not Path(name).exists():
                at = words.index("--set") if "--set" in words else len(words)
                code = main(["train", *words[:at], "--seed", str(seed), "--out", name, *words[at:]])
                if code not in (0, 3):
                    raise RuntimeError(f"{name}: exit code {code}: {told.getvalue()}")
            beside = next((other for few, other in HELD_OUT.items() if few in words), None)
            (Path(name) / "verdict.json").write_text(diagnose(name, as_json=True, held_out=beside))
    return json.loads((Path(name) / "verdict.json").read_text())["verdict"]


def markdown(found: dict[tuple[str, str], list[list[str]]]) -> str:
    """One table for each base."""
    lines = [f"{machine()}; `bench/diagnose.py`", ""]
    columns = [HEALTHY, *SYMPTOMS]
    for base in dict.fromkeys(base for base, _ in found):
        own = {kind: runs for (of, kind), runs in found.items() if of == base}
        lines += [f"`{BASES[base]}`", "", f"| made so | made to show | runs | {' | '.join(columns)} |"]
        lines.append("|---" * (len(columns) + 3) + "|")
        for kind, runs in own.items():
            counts = collections.Counter(name for run in runs for name in run)
            cells = [
                (f"**{counts[c]}**" if c == KINDS[kind].shown else f"{counts[c]}") if counts[c] else "" for c in columns
            ]
            lines.append(f"| {kind} | {KINDS[kind].shown} | {len(runs)} | {' | '.join(cells)} |")
        right = sum(KINDS[kind].shown in run for kind, runs in own.items() for run in runs)
        lines += ["", f"Shown what they were made to show: {right} of {sum(map(len, own.values()))} runs.", ""]
    return "\n".join(lines)


def study() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", required=True)
    parser.add_argument("--bases", nargs="+", choices=BASES, default=list(BASES))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", help="a file for the tables, of what is in the folder")
    args = parser.parse_args()
    out = Path(args.out).resolve() if args.out else None
    os.makedirs(args.folder, exist_ok=True)
    os.chdir(args.folder)
    make_files()
    found: dict[tuple[str, str], list[list[str]]] = {}
    for base in args.bases:
        for kind in args.kinds:
            words = words_of(base, kind)
            for seed in args.seeds if words else []:
                name = f"{base}-{kind.replace(' ', '_').replace(',', '')}-{seed}"
                run = verdict(words or [], name, seed)
                print(f"{name}: {', '.join(run)}", flush=True)
                found.setdefault((base, kind), []).append(run)
    publish(markdown(found), out)


if __name__ == "__main__":
    study()
