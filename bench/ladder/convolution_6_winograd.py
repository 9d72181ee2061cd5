"""Winograd along one axis: four outputs of five taps from eight products instead of twenty.

y = A [(G w) * (B x)] for a filter of one dimension (`minigan/kernels/cpu/winograd.py` derives the matrices). x is
transformed once for all output channels and w once for all positions, and the products of the eight points are matrix
products by the same microkernel. Along both axes there would be still fewer, but then transforms outweigh what is
saved at these sizes, and rounding grows.

GFLOP/s count the multiplications of the definition here too, so that the ladder compares times: more than the
processor can do is possible. This is the algorithm "winograd" of today; which one runs for a layer a cost model
decides, `minigan.ops.conv_plan`.
"""

from __future__ import annotations

from measuring import run_alone

from minigan import ops
from minigan.activation import LINEAR
from minigan.backend import Array
from minigan.kernels import geometry
from minigan.kernels import reference as kernels


def compute(x: Array, w: Array, out: Array) -> None:
    """out = conv(x, w)."""
    geo = geometry.of_conv(w.shape[:2], 1, "same", 1, x.shape[1:3])
    with ops.conv_algorithm("winograd"):
        kernels.conv(x, w, None, geo, LINEAR, out)


if __name__ == "__main__":
    run_alone(__file__)
