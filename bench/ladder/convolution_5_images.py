"""Images in a tile: its rows are one position of TALL images, which share the taps that are inside.

A tile then lists the runs of its position only, and what lies in the padding is in no list: a 5x5 kernel on 7 x 7
positions has 29^2 pairs of tap and position instead of 35^2, 31 % less. The images of a batch lie a constant distance
apart, which is all that the microkernel asks of the rows of a tile. The same lists serve the transposed map, of any
stride, without scattering.

This is the algorithm "tiles" of today (`minigan/kernels/cpu/conv_tiles.py`), on the team of threads. What is left is
the number of multiplications itself.

Next: fewer of them (`convolution_6_winograd.py`).
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
    with ops.conv_algorithm("tiles"):
        kernels.conv(x, w, None, geo, LINEAR, out)


if __name__ == "__main__":
    run_alone(__file__)
