"""Convolution on the GPU: the host side of `cuda/conv.cu`.

Same names, arguments and results as `reference.py`. Here arguments are checked, a tile is chosen and the depth of the
product is divided among blocks; the mathematics is at the head of `conv.cu`. Nothing waits for the GPU. The choice depends
on shapes and on :func:`minigan.backend.matmul_precision` alone, so that a result repeats to the bit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import cupy
import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.geometry import Geometry
from minigan.kernels.gpu.launch import THREADS, blocks, check, kind_code, launch, use_tf32

TILE_ROWS = 128
NARROW, PLAIN, WIDE = 8, 64, 128  # columns of a tile; TF32 has PLAIN and WIDE
SLICE_BYTES = 64  # of the depth, that a block loads at once
MULTIPROCESSORS = (
    132  # of the GPU that the division of work is made for, an H100: elsewhere it is as right, not as even
)
SLAB_COST = {"plain": 0.4, "tf32": 1.3}  # of a slab, see `_splits`
LEAST_SLICES = 8  # a part of the depth shorter than this costs more than it saves
MAX_SPLITS = 128
LIMIT = 2**31 - 2**16  # positions are 32-bit numbers in the kernel, with room for the tile past the end

KERNELS = {  # (map, columns of a tile) -> the kernel in plain arithmetic
    ("conv", NARROW): "conv_tile<{T}, FORWARD, 8>",
    ("conv", PLAIN): "conv_tile<{T}, FORWARD, 64>",
    ("conv_transpose", NARROW): "conv_tile<{T}, TRANSPOSE, 8>",
    ("conv_transpose", PLAIN): "conv_tile<{T}, TRANSPOSE, 64>",
    ("conv_weight", NARROW): "conv_tile<{T}, WEIGHT, 8>",
    ("conv_weight", PLAIN): "conv_tile<{T}, WEIGHT, 64>",
}
TF32_KERNELS = {  # the same on tensor cores
    ("conv", PLAIN): "conv_tile_tf32<FORWARD, 64>",
    ("conv", WIDE): "conv_tile_tf32<FORWARD, 128>",
    ("conv_transpose", PLAIN): "conv_tile_tf32<TRANSPOSE, 64>",
    ("conv_transpose", WIDE): "conv_tile_tf32<TRANSPOSE, 128>",
    ("conv_weight", PLAIN): "conv_tile_tf32<WEIGHT, 64>",
    ("conv_weight", WIDE): "conv_tile_tf32<WEIGHT, 128>",
}

# -- arithmetic on shapes ------------------------------------------------------------------------------------


class Phase(NamedTuple):
    """What the outputs `first`, `first` + stride, ... of a transposed convolution share along one axis: output q of them
    meets small position q + base - j step under tap `first_tap` + j `tap_stride`, 0 <= j < taps."""

    first: int
    outputs: int
    first_tap: int
    tap_stride: int
    taps: int
    base: int
    step: int


def phase_table(geometry: Geometry, axis: int) -> tuple[Phase, ...]:
    """The phases of one axis, min(stride, big) of them: the arithmetic of `phase_axis` in conv.cu."""
    s, d, low = geometry.stride[axis], geometry.dilation[axis], geometry.low[axis]
    g = math.gcd(s, d)
    table = []
    for first in range(min(s, geometry.big[axis])):
        k0 = next((k for k in range(s // g) if (first + low - k * d) % s == 0), s // g)
        fits = k0 < s // g and k0 < geometry.kernel[axis]
        taps = -(-(geometry.kernel[axis] - k0) // (s // g)) if fits else 0
        outputs = -(-(geometry.big[axis] - first) // s)
        table.append(Phase(first, outputs, k0, s // g, taps, (first + low - k0 * d) // s, d // g))
    return tuple(table)


class Plan(NamedTuple):
    """One launch: the kernel, its grid and block, into how many parts the depth is cut, and tiles of rows a phase."""

    kernel: str
    grid: int
    block: int
    splits: int
    row_tiles: int


def resident_blocks(name: str, width: int, dtype: str) -> int:
    """How many blocks a multiprocessor holds at once: the second number of `__launch_bounds__` in conv.cu."""
    if width == NARROW:
        return 4
    return 2 if width == WIDE or dtype == "float64" or name == "conv_weight" else 3


def _splits(tiles: int, slices: int, depth: int, resident: int, slab_cost: float) -> int:
    """Into how many parts the depth is best cut.

    The unit of time is what a multiprocessor full of blocks takes for the whole depth of one tile. The busiest multiprocessor
    has b = ceil(tiles splits / MULTIPROCESSORS) blocks of 1/splits of the depth each. It works at full rate from `resident`
    blocks on, and fewer take as long as that many: max(b, resident) / splits in all. A slab is written and read again,
    8 bytes a number (float32), by the whole GPU at its memory's rate B; a tile's number is 2 depth operations, by one
    multiprocessor at R / MULTIPROCESSORS. So `splits` slabs cost splits tiles slab_cost / depth with

        slab_cost = 8 R / (2 B MULTIPROCESSORS),

    0.4 for R = 40 TFLOP/s and B = 3 TB/s, 1.3 for tensor cores at 130 TFLOP/s: estimates, and only the balance hangs on them.
    """

    def time(splits: int) -> float:
        busiest = -(-tiles * splits // MULTIPROCESSORS)
        return max(busiest, resident) / splits + (splits * tiles * slab_cost / max(depth, 1) if splits > 1 else 0.0)

    most = max(1, min(slices // LEAST_SLICES, MAX_SPLITS, -(-2 * resident * MULTIPROCESSORS // tiles)))
    return min(range(1, most + 1), key=time)


def _sizes(name: str, geometry: Geometry, batch: int, channels: tuple[int, int]) -> tuple[int, int, int, int]:
    """(phases, rows, columns, depth) of the product; rows and depth of the largest phase."""
    inputs, outputs = channels
    if name == "conv":
        return 1, batch * math.prod(geometry.small), outputs, geometry.taps * inputs
    if name == "conv_weight":
        return 1, geometry.taps * inputs, outputs, batch * math.prod(geometry.small)
    tables = [phase_table(geometry, axis) for axis in range(geometry.ndim)]
    rows = batch * math.prod(max(phase.outputs for phase in table) for table in tables)
    taps = math.prod(max(phase.taps for phase in table) for table in tables)
    return math.prod(len(table) for table in tables), rows, inputs, taps * outputs


@lru_cache(maxsize=1024)
def launch_plan(
    name: str, geometry: Geometry, batch: int, channels: tuple[int, int], dtype: str, tf32: bool = False
) -> Plan:
    """How the map `name` ("conv", "conv_transpose" or "conv_weight") is launched.

    Args:
        name: the map.
        geometry: its index relation.
        batch: images, N.
        channels: (in, out), the last two axes of the weights.
        dtype: "float32" or "float64".
        tf32: take the tensor cores; tiles of at most 8 columns stay in plain arithmetic.

    Raises:
        ValueError: for arrays with 2^31 positions or more.
    """
    _check_range(name, geometry, batch, channels)
    phases, rows, columns, depth = _sizes(name, geometry, batch, channels)
    tf32 = tf32 and dtype == "float32" and columns > NARROW
    width = NARROW if columns <= NARROW else WIDE if tf32 and columns > PLAIN else PLAIN
    row_tiles = max(1, -(-rows // TILE_ROWS))
    tiles = phases * row_tiles * max(1, -(-columns // width))
    slices = -(-depth // (SLICE_BYTES // np.dtype(dtype).itemsize))
    resident = resident_blocks(name, width, dtype)
    slab_cost = SLAB_COST["tf32" if tf32 else "plain"] * np.dtype(dtype).itemsize / 4
    splits = _splits(tiles, slices, depth, resident, slab_cost)
    kernel = (TF32_KERNELS if tf32 else KERNELS)[name, width]
    return Plan(kernel, tiles * splits, 2 * width if tf32 else 128, splits, row_tiles)


def _check_range(name: str, geometry: Geometry, batch: int, channels: tuple[int, int]) -> None:
    spans = (
        max(geometry.small[a] * geometry.stride[a], geometry.kernel[a] * geometry.dilation[a])
        + geometry.low[a]
        + geometry.big[a]
        for a in range(geometry.ndim)
    )
    places = batch * max(math.prod(geometry.big), math.prod(geometry.small))
    largest = max(places, geometry.taps * max(channels), *spans)
    if largest >= LIMIT:
        raise ValueError(
            f"{name}: {largest} positions in one product, expected fewer than {LIMIT}; use smaller batches"
        )


@lru_cache(maxsize=4096)
def problem(
    geometry: Geometry,
    batch: int,
    channels: tuple[int, int],
    vectors: tuple[bool, bool, bool],
    plan: Plan,
    kind: int,
) -> np.ndarray:
    """The `Problem` of conv.cu, of shape (1,): one structure of int32 numbers, which CuPy passes by value. `vectors` says
    whether A, B and C lie in runs of four."""
    extra = 3 - geometry.ndim
    fill = (1, 1, 1, 0, 1, 1)  # kernel, stride, dilation, low, big, small of an axis that is not there
    axes = [(f,) * extra + tuple(values) for f, values in zip(fill, geometry, strict=True)]
    numbers = [n for axis in axes for n in axis]
    numbers += [batch, *channels, *map(int, vectors), plan.splits, plan.row_tiles, kind]
    packed = np.array(numbers, dtype=np.int32).view([("numbers", np.int32, (len(numbers),))])
    packed.flags.writeable = False  # the same one goes to every launch
    return packed


# -- the three maps ------------------------------------------------------------------------------------------


def _in_fours(array: Array, channels: int) -> bool:
    """Whether runs of four along the last axis are aligned for 16-byte access."""
    return channels % 4 == 0 and int(array.data.ptr) % 16 == 0


def _check_arrays(
    name: str, geometry: Geometry, x: Array, w: Array, y: Array, bias: Array | None, labels: tuple[str, str, str]
) -> tuple[int, tuple[int, int]]:
    """(batch, (in, out)) of x (N, *big, in), w (*kernel, in, out), y (N, *small, out), called `labels` in messages.

    Raises:
        TypeError, ValueError: as :func:`minigan.kernels.gpu.launch.check`.
    """
    check(name, None, **dict(zip(labels, (x, w, y), strict=True)))
    if w.ndim != geometry.ndim + 2 or x.ndim != geometry.ndim + 2:
        shapes = f"{labels[0]} {x.shape}, {labels[1]} {w.shape}"
        raise ValueError(f"{name}: got {shapes}, expected {geometry.ndim} spatial axes and 2 more, as in {geometry}")
    batch, inputs, outputs = int(x.shape[0]), int(w.shape[-2]), int(w.shape[-1])
    check(name, (batch, *geometry.big, inputs), **{labels[0]: x})
    check(name, (*geometry.kernel, inputs, outputs), **{labels[1]: w})
    check(name, (batch, *geometry.small, outputs), **{labels[2]: y})
    if bias is not None:
        check(name, None, **{labels[0]: x, "bias": bias})
        check(name, (inputs if name == "conv_transpose" else outputs,), bias=bias)
    return batch, (inputs, outputs)


def _run(
    name: str,
    geometry: Geometry,
    batch: int,
    channels: tuple[int, int],
    a: Array,
    b: Array,
    bias: Array | None,
    kind: int,
    slope: float,
    out: Array,
) -> None:
    """Queue the product, and the sum of its slabs where the depth is divided."""
    if not out.size:
        return
    plan = launch_plan(name, geometry, batch, channels, out.dtype.name, use_tf32(out.dtype))
    target = out if plan.splits == 1 else cupy.empty((plan.splits, *out.shape), out.dtype)
    vector_a = _in_fours(a, int(a.shape[-1]))
    vector_b = _in_fours(b, channels[1])
    if name == "conv_transpose":  # both run along the same depth
        vector_a = vector_b = vector_a and vector_b
    columns = int(out.shape[-1])
    vectors = (vector_a, vector_b, _in_fours(target, columns))
    packed = problem(geometry, batch, channels, vectors, plan, kind)
    launch(plan.kernel, out.dtype, plan.grid, plan.block, a, b, bias, packed, slope, target)
    if plan.splits > 1:
        args = (target, plan.splits, bias, out.size, columns, kind, slope, out)
        launch("conv_sum<{T}>", out.dtype, blocks(out.size), THREADS, *args)


@reference.conv.on("gpu")
def conv(x: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.conv`: x (N, *big, in), w (*kernel, in, out), out (N, *small, out).

    Raises:
        TypeError, ValueError: for arrays elsewhere, of other dtypes, shapes or memory order; an activation that is not fused.
    """
    code = kind_code(f)
    batch, channels = _check_arrays("conv", geometry, x, w, out, bias, ("x", "w", "out"))
    _run("conv", geometry, batch, channels, x, w, bias, code, f.slope, out)


@reference.conv_transpose.on("gpu")
def conv_transpose(g: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.conv_transpose`: g (N, *small, out), w (*kernel, in, out), out (N, *big, in).

    Raises:
        TypeError, ValueError: as :func:`conv`.
    """
    code = kind_code(f)
    batch, channels = _check_arrays("conv_transpose", geometry, out, w, g, bias, ("out", "w", "g"))
    _run("conv_transpose", geometry, batch, channels, g, w, bias, code, f.slope, out)


@reference.conv_weight.on("gpu")
def conv_weight(x: Array, g: Array, geometry: Geometry, out: Array) -> None:
    """See :func:`minigan.kernels.reference.conv_weight`: x (N, *big, in), g (N, *small, out), out (*kernel, in, out).

    Raises:
        TypeError, ValueError: as :func:`conv`.
    """
    batch, channels = _check_arrays("conv_weight", geometry, x, out, g, None, ("x", "out", "g"))
    _run("conv_weight", geometry, batch, channels, x, g, None, 0, 0.0, out)
