"""How a DCGAN step grows with the batch, the image and the threads: milliseconds an image and peak memory, beside PyTorch.

    python bench/scaling.py [--torch-python /path/python] [--threads 1 2] [--seconds 2] [--out FILE.md]

The nets are the bench's `dcgan` for images (s, s, 1), one stage more for each doubling beyond 32 pixels; each cell is
a fresh process of bench/peers/minigan_step.py or of
bench/peers/torch_eager.py with layout=channels_last. Time an image is the time of a step over the batch size (a step
handles that many reals, and twice as many noise vectors). Memory is the process's peak, its libraries and data included.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from step_time import cpu_model, publish, run

BATCHES = (1, 2, 8, 64, 256, 512)  # at 28 pixels; PyTorch refuses batch norm of a single row
SIZES = ((32, 64), (64, 64), (128, 16))  # (pixels, batch)
LEAST_STEPS = 2  # before the clock counts


def cells(batches: list[int], sizes: bool) -> Iterator[tuple[int, int]]:
    """(pixels, batch) of each row."""
    yield from ((28, batch) for batch in batches)
    if sizes:
        yield from SIZES


def options(size: int, batch: int, threads: int, seconds: float) -> list[str]:
    """The command line of a peer's process."""
    given = {"size": size, "batch": batch, "threads": threads, "seconds": seconds, "repeats": 3, "warmup": LEAST_STEPS}
    return ["--work", "dcgan", *(word for name, value in given.items() for word in (f"--{name}", str(value)))]


def figures(found: dict[str, Any] | None, batch: int) -> tuple[str, str]:
    """(milliseconds an image, MiB) as text."""
    if found is None:
        return "fails", "-"
    return f"{found['ms_median'] / batch:.3f}", f"{found['peak_mib']:.0f}"


def row(size: int, batch: int, threads: int, ours: dict[str, Any] | None, theirs: dict[str, Any] | None) -> str:
    """One line of the table; a ratio only where both ran the same nets."""
    ratios = ["-", "-"]
    if ours and theirs:
        alike = ours["weights"] == theirs["weights"]
        ratios = [f"{ours[k] / theirs[k]:.2f}" if alike else "other nets" for k in ("ms_median", "peak_mib")]
    (our_ms, our_mib), (their_ms, their_mib) = figures(ours, batch), figures(theirs, batch)
    words = [str(size), str(batch), str(threads), our_ms, their_ms, ratios[0], our_mib, their_mib, ratios[1]]
    return f"| {' | '.join(words)} |"


def main() -> None:
    """Measure cell by cell; the table goes to the output, progress to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", default="", help="an interpreter with PyTorch; without it, minigan alone")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="*", default=list(BATCHES), help="at 28 pixels")
    parser.add_argument("--no-sizes", action="store_true", help="28 pixels only")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed seconds a cell")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        f"{datetime.date.today()}, {cpu_model()}; DCGAN step, float32, minigan against PyTorch eager, channels_last",
        "",
        "| pixels | batch | threads | minigan, ms an image | PyTorch | ratio | minigan, peak MiB | PyTorch | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for threads in args.threads:
        for size, batch in cells(args.batches, not args.no_sizes):
            chosen = options(size, batch, threads, args.seconds)
            ours = run("minigan_step", sys.executable, chosen)
            variant = ["--variant", "layout=channels_last"]
            theirs = run("torch_eager", args.torch_python, [*chosen, *variant]) if args.torch_python else None
            lines.append(row(size, batch, threads, ours, theirs))
            print(lines[-1], file=sys.stderr)
    text = "\n".join([*lines, ""])
    publish(text, args.out)


if __name__ == "__main__":
    main()
