"""Which strips of positions `conv_strips.py` takes of a convolution, and whether it can.

Sizes only, which the cost model asks for: it does not wait for Numba.
"""

from __future__ import annotations

from minigan.kernels.cpu.registers import Tile
from minigan.kernels.geometry import Geometry

POSITIONS = 64  # of a strip, by and large
LARGEST = 64 * 1024  # floats of a strip's patches


def strip_lines(geometry: Geometry, images: int, tile: Tile) -> int:
    """Lines of positions (all of the last axis) that a strip takes; 0 where strips do not suit: a dilated last axis, fewer
    positions than a tile has rows, or patches of a line that are too many."""
    three = geometry.lifted()
    lines, length = images * three.small[0] * three.small[1], three.small[2]
    taken = min(lines, max(POSITIONS // length, -(-tile.rows // length)))
    if three.dilation[2] != 1 or three.low[2] < 0 or taken * length < tile.rows:
        return 0
    return taken


def pitch(geometry: Geometry, channels: int, tile: Tile) -> int:
    """Floats from the patch of a position to that of the next: the last tap's copy is of whole registers."""
    last = geometry.kernel[-1] * channels
    return geometry.taps * channels - last + -(-last // tile.lanes) * tile.lanes


def fits(geometry: Geometry, images: int, channels: int, tile: Tile) -> bool:
    """Whether a strip's patches have room in a thread's scratch memory."""
    floats = strip_lines(geometry, images, tile) * geometry.small[-1] * pitch(geometry, channels, tile)
    return 0 < floats <= LARGEST
