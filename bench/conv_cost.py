"""The constants of the convolutions' cost model (`minigan/kernels/cpu/conv_cost.py`), for the width in use.

    python bench/conv_cost.py            # MINIGAN_LANES=8 python bench/conv_cost.py for a narrower one

Prints the row of `RATES`: what the register tile, one product a tap, the intermediate arrays and the beginning of a run cost
here. Run it on an idle machine.
"""

from __future__ import annotations

import numpy as np
from tiles import best

from minigan import ops
from minigan.activation import LINEAR
from minigan.kernels import geometry
from minigan.kernels import reference as kernels
from minigan.kernels.cpu import conv_cost, conv_patches, gemm, threads
from minigan.kernels.cpu.registers import processor


def single(*shape: int) -> np.ndarray:
    """Random numbers in single precision."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def product_rate() -> float:
    """Operations a second and thread of the tile, its panel in the second-level cache."""
    rows, depth, columns = 24 * processor().tile.rows, 1024, 16 * processor().tile.width
    a, b, out = single(rows, depth), single(depth, columns), np.empty((rows, columns), np.float32)
    return 2 * out.size * depth / best(gemm.plan(a, b, out)) / threads.THREADS


def map_seconds(algorithm: str, images: int, ins: int, outs: int, geo: geometry.Geometry) -> float:
    """Seconds of a convolution by one algorithm."""
    x, w = single(images, *geo.big, ins), single(*geo.kernel, ins, outs)
    out = np.empty((images, *geo.small, outs), np.float32)
    with ops.conv_algorithm(algorithm):
        job = kernels.conv.plan(x, w, None, geo, LINEAR, out)
        assert job is not None
        return best(job, 7)


def direct_rate() -> float:
    """Operations a second and thread of one product a tap."""
    geo = geometry.of_conv((5, 5), 2, "same", 1, (14, 14))
    return 2 * 64 * geo.pairs() * 64 * 128 / map_seconds("direct", 64, 64, 128, geo) / threads.THREADS


def bandwidth() -> float:
    """Bytes a second through an intermediate array, all threads: patches written once and read once."""
    geo = geometry.of_conv((5, 5), 1, "same", 1, (28, 28))
    x = single(64, 28, 28, 16)
    patches = np.empty((64 * 28 * 28, 1, 25 * 16), np.float32)
    gather = conv_patches.plan_patches(x, geo, patches)
    return 2 * patches.nbytes / (best(gather, 5) + best(lambda: patches.sum(), 5) / threads.THREADS)


def run_seconds(rate: float) -> float:
    """Seconds that a run costs beyond its multiplications: one channel, so that a run is one row of taps."""
    geo, tile = geometry.of_conv((5, 5), 1, "same", 1, (28, 28)), processor().tile
    images, columns = 8 * tile.rows, tile.width
    runs = images // tile.rows * 28 * 28 * 5
    operations = 2 * images * geo.pairs() * columns
    return max(0.0, map_seconds("tiles", images, 1, columns, geo) * threads.THREADS - operations / rate) / runs


def main() -> None:
    """Measure and print."""
    rate = product_rate()
    rates = conv_cost.Rates(rate, direct_rate(), bandwidth(), run_seconds(rate))
    print(f"{processor()}, {threads.THREADS} threads: {rates}")
    numbers = ", ".join(f"{value:.2g}" for value in rates)
    print(f"    {processor().tile.lanes}: Rates({numbers}),")


if __name__ == "__main__":
    main()
