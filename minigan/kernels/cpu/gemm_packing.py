"""Packing for matrix products: a panel of WIDTH columns of B as one contiguous array (K, WIDTH), turned in registers where B is a
transposed view, so that the microkernel reads memory in order and from few pages."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minigan.kernels.cpu.compiler import compile_task
from minigan.kernels.cpu.gemm_microkernel import LANES, VECTORS, WIDTH, load_vector, shuffled, store_vector

ALIGNED = 4 * LANES  # bytes to which every row of a packed panel is aligned
_I64 = ir.IntType(64)


def _copy_row(typing: Any, source: Any, target: Any) -> Any:
    """WIDTH floats from one address to another (aligned) one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for j in range(VECTORS):
            value = load_vector(builder, args[0], 4 * LANES * j)
            store_vector(builder, value, builder.add(args[1], _I64(4 * LANES * j)), ALIGNED)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _transpose_tile(typing: Any, source: Any, stride: Any, target: Any) -> Any:
    """A LANES x LANES tile, rows `stride` bytes apart, to its transpose with rows 4 WIDTH bytes apart.

    Four rounds; round r exchanges the bit r of the row number with the bit r of the column number: rows i and i + 2^r are
    interleaved in runs of 2^r lanes.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, stride, target = args
        rows = []
        for _ in range(LANES):
            rows.append(load_vector(builder, source, 0))
            source = builder.add(source, stride)
        bit = 1
        while bit < LANES:
            low = [lane if not lane & bit else lane - bit + LANES for lane in range(LANES)]
            high = [lane + bit if not lane & bit else lane + LANES for lane in range(LANES)]
            rows = [
                shuffled(builder, rows[i], rows[i + bit], low)
                if not i & bit
                else shuffled(builder, rows[i - bit], rows[i], high)
                for i in range(LANES)
            ]
            bit *= 2
        for i in range(LANES):
            store_vector(builder, rows[i], builder.add(target, _I64(4 * WIDTH * i)), ALIGNED)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


copy_row: Any = intrinsic(_copy_row)
transpose_tile: Any = intrinsic(_transpose_tile)


@compile_task
def pack(b: int, b_row: int, b_column: int, depth: int, j: int, panel: int) -> None:
    """The panel B[:, j : j + WIDTH] as (depth, WIDTH) floats at address `panel`."""
    if b_column == 4:
        for k in range(depth):
            copy_row(b + k * b_row + 4 * j, panel + 4 * WIDTH * k)
        return
    whole = depth // LANES * LANES
    for half in range(VECTORS):
        column = b + (j + LANES * half) * b_column
        for k in range(0, whole, LANES):
            transpose_tile(column + 4 * k, b_column, panel + 4 * (WIDTH * k + LANES * half))
        if whole < depth:  # the last tile overlaps the one before it
            k = depth - LANES
            transpose_tile(column + 4 * k, b_column, panel + 4 * (WIDTH * k + LANES * half))
