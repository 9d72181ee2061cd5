"""What a training step of a recurrent layer takes, in time and memory: minigan's LSTM and GRU beside PyTorch's, in one run.

    python bench/recurrent.py [--rounds 3] [--seconds 2] [--only lstm] [--out table.md]

Each round starts a process for each library in turn (`peers/lstm.py`): inputs (32, 40, 64), 128 units, a dense layer on all
outputs, Adam; recorded here, eager there. Of the rounds' medians the least counts
for the time, the largest `ru_maxrss` for the memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from step_time import machine, publish, run

BATCH = 32


def measured(net: str, rounds: int, seconds: float) -> dict[str, tuple[float, float]]:
    """Milliseconds and MiB of each library."""
    found: dict[str, list[tuple[float, float]]] = {"minigan": [], "torch": []}
    for _ in range(rounds):
        for library, values in found.items():
            options = ["--batch", str(BATCH), "--seconds", str(seconds)]
            result = run("lstm", sys.executable, [*options, "--variant", f"library={library}", f"net={net}"])
            if result is None:
                raise SystemExit(f"recurrent: {library} did not run")
            values.append((statistics.median(result["ms"]), result["peak_mib"]))
    return {library: (min(ms for ms, _ in v), max(mib for _, mib in v)) for library, v in found.items()}


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", choices=("lstm", "gru"), default=["lstm", "gru"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        "| layer | minigan, ms a step | PyTorch, ms a step | ratio | minigan, MiB | PyTorch, MiB | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for net in args.only:
        got = measured(net, args.rounds, args.seconds)
        (ms, mib), (torch_ms, torch_mib) = got["minigan"], got["torch"]
        lines.append(
            f"| {net.upper()} | {ms:.2f} | {torch_ms:.2f} | {ms / torch_ms:.2f} | {mib:.0f} | {torch_mib:.0f} | "
            f"{mib / torch_mib:.2f} |"
        )
    head = f"# A step of a recurrent layer\n\n{machine()}; (32, 40, 64) to 128 units, {args.rounds} rounds.\n"
    publish("\n".join([head, *lines, ""]), args.out)


if __name__ == "__main__":
    main()
