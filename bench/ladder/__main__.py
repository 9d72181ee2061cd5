"""From the naive loop to today's kernel, step by step: GFLOP/s of each rung, all checked against one reference.

    python bench/ladder [--product | --convolution] [--out FILE]

Each rung is a file that says what it does and why there is a next one; `python bench/ladder/product_2_order.py` runs
it alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from measuring import KINDS, LARGE, climb, gflops, operands, rungs  # noqa: E402
from step_time import machine, publish  # noqa: E402

NAMES = {"product": "m, k, n", "convolution": "images, side, channels, kernel, output channels"}


class _NumPy:
    """NumPy's own product, beside the ladder."""

    @staticmethod
    def compute(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        """out = a b."""
        np.matmul(a, b, out=out)


def table(kind: str) -> list[str]:
    """Markdown rows, from the bottom up."""
    lines = [f"### {kind}: {NAMES[kind]} = {', '.join(map(str, LARGE[kind]))}", ""]
    lines += ["| rung | what it does | GFLOP/s | times the one before |", "|---|---|---|---|"]
    before = 0.0
    for name, title, rate in climb(kind, rungs(kind)):
        lines.append(f"| `{name}.py` | {title} | {rate:.2f} | {f'{rate / before:.1f}' if before else ''} |")
        before = rate
    if kind == "product":
        a, b, want, operations = operands(kind, LARGE[kind])
        rate = gflops(_NumPy, a, b, np.empty(want.shape, np.float32), operations)
        lines.append(f"| | (NumPy's BLAS, for comparison) | {rate:.2f} | |")
    return [*lines, ""]


def main() -> None:
    """Climb, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", action="append_const", dest="kinds", const=kind)
    parser.add_argument("--out", type=Path, help="also write the tables to this Markdown file")
    args = parser.parse_args()
    lines = [f"{machine()}. The quickest of some runs. One thread up to `product_5` and `convolution_2`.", ""]
    for kind in args.kinds or KINDS:
        lines += table(kind)
    publish("\n".join(lines), args.out)


if __name__ == "__main__":
    main()
