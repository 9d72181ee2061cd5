"""Threads: each takes some of the rows, and packs for itself.

The kernel is that of `product_5_tiles.py`, and it holds no interpreter lock, so that Python's threads do. A helper
that sleeps takes 20 us to wake, which is nothing beside these 10 ms.

What is left: every thread packs all of B. Where the product is small, as nearly all are in a network, packing and
waking are what takes the time; and while a panel is packed, the multipliers stand still.

Next: today's kernel (`product_7_today.py`).
"""

from __future__ import annotations

from measuring import run_alone
from product_5_tiles import NO_BIAS, rows

from minigan.backend import Array
from minigan.kernels.cpu.threads import split


def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b, of at least TALL rows a thread, and WIDTH columns."""
    split(rows, len(a), a.size * b.shape[1], a, b, NO_BIAS, out)


if __name__ == "__main__":
    run_alone(__file__)
