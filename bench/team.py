"""Whether the team of threads pays, in any minute: steps of ten processes with one thread and with two, in turns; two processes
at the same time; more threads than cores.

    python bench/team.py [--work toy] [--processes 10] [--seconds 1] [--out FILE]

A process tends to stay in the mode it begins in, and a shared machine changes within minutes, so one process says little.
Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from step_time import cores, environment, machine, publish

STEP = Path(__file__).parent / "peers" / "minigan_step.py"


def start(work: str, threads: int, seconds: float) -> subprocess.Popen[str]:
    """One process that times steps."""
    command = [sys.executable, str(STEP), "--work", work, "--threads", str(threads), "--seconds", str(seconds)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> float:
    """Its milliseconds a step."""
    out, _ = process.communicate()
    return float(json.loads(out.splitlines()[-1])["ms_median"])


def shown(times: list[float]) -> str:
    """Some times, and their median."""
    return f"{' '.join(f'{ms:.3g}' for ms in times)} (median {statistics.median(times):.3g})"


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="toy")
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    def one(threads: int) -> float:
        return result(start(args.work, threads, args.seconds))

    one(2)  # compiled
    pairs = [(one(1), one(2)) for _ in range(args.processes)]
    together = []
    for _ in range(3):
        both = [start(args.work, 2, args.seconds) for _ in range(2)]
        together += [result(process) for process in both]
    many = {threads: one(threads) for threads in (4, 8)}
    worst = max(two / alone for alone, two in pairs)
    text = "\n".join([
        machine(), "",
        f"Milliseconds a step of `{args.work}`, one process after the other:", "",
        f"- one thread: {shown([alone for alone, _ in pairs])}",
        f"- two threads, in turns with these: {shown([two for _, two in pairs])}",
        f"- two threads / one thread: worst {worst:.2f}, best {min(two / alone for alone, two in pairs):.2f}",
        f"- two processes at the same time, two threads each: {shown(together)}",
        *(f"- {threads} threads on {cores()} cores: {ms:.3g}" for threads, ms in many.items()), "",
    ])  # fmt: skip
    publish(text, args.out)


if __name__ == "__main__":
    main()
