"""A few percent: milliseconds a GAN step of processes that stay and take turns, block by block, as ratios to the first.

    python bench/in_turns.py --work toy [--rounds 40] [--seconds 0.1] [--batch N] [--threads 2] [--out FILE.md]
        minigan_step@../before minigan_step torch_eager:layout=channels_last

A row is PEER[:KNOB=VALUE,...][@CHECKOUT]: a file of bench/peers with its variant and, for minigan, the folder whose `minigan` is
imported. `step_time.py` starts each peer anew and gives it seconds of its own; where two differ by less than a machine's speed
changes in seconds, that says nothing. Here each round gives each row a block of a tenth of a second: the ratio is the median over
rounds of the ratio within a round, beside its quartiles, since what slows the machine for longer than a round slows both. Where
other programs run, take short blocks and many rounds: the fastest tenth of the blocks are those that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from step_time import HERE, environment, machine, publish


class Turn:
    """A process of a peer, ready: each line it reads it answers."""

    def __init__(self, row: str, args: argparse.Namespace) -> None:
        named, _, checkout = row.partition("@")
        peer, _, variant = named.partition(":")
        command = [args.python or sys.executable, str(HERE / "peers" / f"{peer}.py"), "--work", args.work, "--asked"]
        command += ["--threads", str(args.threads), "--seconds", str(args.seconds), "--repeats", "1"]
        if args.batch:
            command += ["--batch", str(args.batch)]
        if args.size:
            command += ["--size", str(args.size)]
        if variant:
            command += ["--variant", *variant.split(",")]
        known = environment() | ({"PYTHONPATH": str(Path(checkout).resolve())} if checkout else {})
        self.process = subprocess.Popen(command, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready: dict[str, Any] = self._line()

    def _line(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line and not line.startswith(("{", *"0123456789")):
            line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args}: ended; see the message above")
        return json.loads(line)

    def block(self, seconds: float) -> float:
        """Milliseconds a step of a block of so many seconds."""
        given: IO[str] | None = self.process.stdin
        assert given is not None
        given.write(f"{seconds}\n")
        given.flush()
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def table(rows: list[str], blocks: dict[str, list[float]]) -> list[str]:
    """Markdown: each row's milliseconds, and its time over the first row's."""
    lines = ["| | ms a step (median) | fastest tenth | this / first: rounds, median | quartiles | fastest tenths |"]
    lines.append("|---|---|---|---|---|---|")
    tenths = {row: statistics.quantiles(blocks[row], n=10)[0] for row in rows}
    for row in rows:
        ratios = [a / b for a, b in zip(blocks[row], blocks[rows[0]], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        name, _, checkout = row.partition("@")
        told = f"{name} ({Path(checkout).name})" if checkout else name
        lines.append(
            f"| {told} | {statistics.median(blocks[row]):.3f} | {tenths[row]:.3f} | {middle:.3f} "
            f"| {low:.3f} to {high:.3f} | {tenths[row] / tenths[rows[0]]:.3f} |"
        )
    return [*lines, ""]


def main() -> None:
    """Start all, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", metavar="PEER[:KNOB=VALUE,...][@CHECKOUT]")
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=0, help="instead of the work's own batch size")
    parser.add_argument("--size", type=int, default=0, help="instead of a convolutional work's own image side")
    parser.add_argument("--python", default="", help="an interpreter that has the peers")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    args = parser.parse_args()
    turns = {row: Turn(row, args) for row in args.rows}
    blocks: dict[str, list[float]] = {row: [] for row in turns}
    for number in range(args.rounds):
        for row in args.rows if number % 2 else reversed(args.rows):
            blocks[row].append(turns[row].block(args.seconds))
    for turn in turns.values():
        turn.close()
    named = " ".join(row.partition("@")[0] + ("@..." if "@" in row else "") for row in args.rows)
    batch = f", batch {args.batch}" if args.batch else ""
    head = [
        machine(),
        "",
        f"`python bench/in_turns.py --work {args.work} {named}`: {args.rounds} rounds, {args.threads} threads{batch}",
        "",
    ]
    publish("\n".join([*head, *table(args.rows, blocks)]), args.out)


if __name__ == "__main__":
    main()
