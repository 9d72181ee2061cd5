"""Does `minigan diagnose` find what runs were made to fail of, and nothing in sound ones?

    python bench/diagnose.py --folder RUNS [--bases ring8 grid25 mlp dcgan] [--kinds sound ...] [--seeds 0 1 2] [--cure]
                             [--out FILE.md]

Each kind is a training of a base (a toy on ring8 or grid25, the MLP and the DCGAN on glyphs) that differs from a sound one in a
few settings; `made to show` is what it is to be diagnosed as. Rows are kinds, columns what was found: a run counts in each column
of its verdict. With `--cure` the command lines that are advised for it are tried, one after the other, until a run no longer
shows it, and a second table counts by which of them. Runs stay in RUNS: what is there already is not trained again, so that the
study may be done in pieces.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import shlex
from pathlib import Path
from typing import Any, NamedTuple

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
ORDERS = ("1st", "2nd", "3rd")
UNCURED = (HEALTHY, "too early to tell")  # nothing to cure; only more steps
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


def verdict(words: list[str], name: str) -> dict[str, Any]:
    """What is found in a run, which is trained where it is not there yet; words: of `minigan train`, without --out."""
    if not (Path(name) / "verdict.json").exists():
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            if not Path(name).exists():
                at = words.index("--set") if "--set" in words else len(words)
                code = main(["train", *words[:at], "--out", name, *words[at:]])
                if code not in (0, 3):
                    raise RuntimeError(f"{name}: exit code {code}: {told.getvalue()}")
            few = (other for file, other in HELD_OUT.items() if any(word.endswith(file) for word in words))
            (Path(name) / "verdict.json").write_text(diagnose(name, as_json=True, held_out=next(few, None)))
    found: dict[str, Any] = json.loads((Path(name) / "verdict.json").read_text())
    return found


def seeded(words: list[str], seed: int) -> list[str]:
    """The same words with a seed, before the settings."""
    at = words.index("--set") if "--set" in words else len(words)
    return [*words[:at], "--seed", str(seed), *words[at:]]


def cure(found: dict[str, Any], symptom: str, name: str) -> str:
    """By which of the advised command lines the symptom goes: "1st: healthy" where nothing else comes in its place."""
    advice = next(finding["advice"] for finding in found["findings"] if finding["symptom"] == symptom)
    for order, one in zip(ORDERS, advice, strict=False):
        words = shlex.split(one["command"])
        after = verdict(words[2:], f"{name}-cure{order}")["verdict"]  # behind `minigan train` or `minigan resume`
        print(f"{name}, {one['command']}: {', '.join(after)}", flush=True)
        if symptom not in after:
            return f"{order}: " + ("healthy" if after == [HEALTHY] else "else")
    return "by none"


def cures(cured: dict[tuple[str, str], list[str]]) -> list[str]:
    """Which advice helped, a line for each kind."""
    columns = [*(f"{order}: {how}" for order in ORDERS for how in ("healthy", "else")), "by none"]
    lines = ["Gone by the first, second or third advice, and then healthy, or with something else:", ""]
    lines += [f"| base | made so | runs | {' | '.join(columns)} |", "|---" * (len(columns) + 3) + "|"]
    for (base, kind), how in cured.items():
        lines.append(f"| {base} | {kind} | {len(how)} | {' | '.join(str(how.count(c) or '') for c in columns)} |")
    return [*lines, ""]


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
    parser.add_argument("--cure", action="store_true", help="try what is advised, too")
    parser.add_argument("--out", help="a file for the tables, of what is in the folder")
    args = parser.parse_args()
    out = Path(args.out).resolve() if args.out else None
    os.makedirs(args.folder, exist_ok=True)
    os.chdir(args.folder)
    make_files()
    found: dict[tuple[str, str], list[list[str]]] = {}
    cured: dict[tuple[str, str], list[str]] = {}
    for base in args.bases:
        for kind in args.kinds:
            words = words_of(base, kind)
            for seed in args.seeds if words else []:
                name = f"{base}-{kind.replace(' ', '_').replace(',', '')}-{seed}"
                run = verdict(seeded(words or [], seed), name)
                print(f"{name}: {', '.join(run['verdict'])}", flush=True)
                found.setdefault((base, kind), []).append(run["verdict"])
                shown = KINDS[kind].shown
                if args.cure and shown in run["verdict"] and shown not in UNCURED:
                    cured.setdefault((base, kind), []).append(cure(run, shown, name))
    publish(markdown(found) + "\n".join(cures(cured) if cured else []), out)


if __name__ == "__main__":
    study()
