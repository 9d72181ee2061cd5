"""The most memory that a process which trains has resident: minigan and PyTorch, and what is between.

    python bench/step_memory.py [--only dcgan-64 lstm ...] [--first-start] [--keep results.json] [--out table.md]

Each number is `ru_maxrss` of a fresh process that takes a few full training steps (the peers of `step_time.py`: the interpreter,
the libraries, the data set, the compiler where it ran, and the step), in MiB. minigan is measured eager and recorded, with its
kernels compiled before; `--first-start` adds a recorded run with an empty cache, in which LLVM compiles them. PyTorch runs
eagerly, as its documentation says (DCGAN: channels_last). `--keep` adds to what earlier calls measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from step_time import machine, publish, run

STEPS = ["--seconds", "0.05", "--repeats", "1"]  # and as many as warm up
WARM = {"minigan_step": "3", "torch_eager": "2"}  # two are recorded, the third is the first replay
ENTRIES: dict[str, tuple[str, list[str]]] = {
    "toy": ("toy, batch 256", ["--work", "toy"]),
    "mlp": ("MLP, batch 64", ["--work", "mlp"]),
    "dcgan-64": ("DCGAN-28, batch 64", ["--work", "dcgan"]),
    "dcgan-256": ("DCGAN-28, batch 256", ["--work", "dcgan", "--batch", "256"]),
    "dcgan-512": ("DCGAN-28, batch 512", ["--work", "dcgan", "--batch", "512"]),
    "dcgan64-64": ("DCGAN, 64 pixels, batch 64", ["--work", "dcgan", "--size", "64"]),
    "lstm": ("LSTM, 40 steps, batch 256", []),
}
COLUMNS = {"eager": "minigan, eager", "recorded": "minigan, recorded", "first": "first start", "torch": "PyTorch"}


def measured(entry: str, column: str) -> float | None:
    """The peak of one process."""
    options, torch = ENTRIES[entry][1], column == "torch"
    if entry == "lstm":
        knobs = ["library=torch" if torch else "library=minigan", f"replay={'no' if column == 'eager' else 'yes'}"]
        found = run("lstm", sys.executable, ["--variant", *knobs])
    else:
        peer = "torch_eager" if torch else "minigan_step"
        knobs = {"eager": ["replay=no"], "torch": ["layout=channels_last"] if "dcgan" in entry else []}.get(column, [])
        variant = ["--variant", *knobs] if knobs else []
        found = run(peer, sys.executable, [*options, *STEPS, "--warmup", WARM[peer], *variant])
    return None if found is None else found["peak_mib"]


def with_empty_cache(entry: str) -> float | None:
    """The peak of a recorded run that compiles its kernels."""
    before = os.environ.get("MINIGAN_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINIGAN_CACHE"] = folder
        try:
            return measured(entry, "recorded")
        finally:
            os.environ.pop("MINIGAN_CACHE")
            if before is not None:
                os.environ["MINIGAN_CACHE"] = before


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown rows."""
    lines = [
        f"| | {' | '.join(COLUMNS.values())} | recorded / PyTorch | recorded / eager |",
        "|---|" + "---|" * (len(COLUMNS) + 2),
    ]
    for entry, (title, _) in ENTRIES.items():
        if entry in results:
            row = results[entry]
            cells = [f"{row[c]:.0f}" if row.get(c) else "-" for c in COLUMNS]
            for other in ("torch", "eager"):
                both = row.get("recorded") and row.get(other)
                cells.append(f"{row['recorded'] / row[other]:.2f}" if both else "-")
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ENTRIES, default=list(ENTRIES), metavar="ENTRY")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=["eager", "recorded", "torch"])
    parser.add_argument(
        "--first-start", action="store_true", help="also with an empty cache of kernels (a minute each)"
    )
    parser.add_argument("--keep", type=Path, help="a JSON file of results to add to")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    args = parser.parse_args()
    results = json.loads(args.keep.read_text()) if args.keep and args.keep.exists() else {}
    for entry in args.only:
        row = results.setdefault(entry, {})
        row.update({column: measured(entry, column) for column in args.columns if column != "first"})
        if args.first_start or "first" in args.columns:
            row["first"] = with_empty_cache(entry)
        if args.keep:
            args.keep.write_text(json.dumps(results))
    text = "\n".join([
        machine(),
        "",
        "Most resident memory of a process that trains, MiB (`python bench/step_memory.py --first-start`). Kernels are compiled "
        "before, except in the column of the first start, where LLVM's memory counts, too.",
        "",
        *table(results),
        "",
    ])  # fmt: skip
    publish(text, args.out)


if __name__ == "__main__":
    main()
