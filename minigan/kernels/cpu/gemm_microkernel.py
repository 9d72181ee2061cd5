"""The microkernel of matrix products: a tile of C in vector registers, with what is done to it on its way out.

It keeps TALL x WIDTH sums in vector registers, as many as the processor has room for (`registers.py`): with 16 lanes, 8 x 32 sums
are 16 registers. For each k it loads two vectors of B, spreads eight numbers of A, and does 16 fused multiply-adds: 256
multiplications for 40 loaded numbers. Bias and activation come last, in the registers.

It exists in LLVM's intermediate language, since Numba does not promise to keep a tile in registers. Products (`gemm.py`) and
convolutions (`conv_tiles.py` and others) are made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigan.kernels.cpu.compiler import compile_task
from minigan.kernels.cpu.registers import processor

AVAILABLE = processor().fused
LANES, TALL, VECTORS = processor().tile
WIDTH = processor().tile.width
ROUNDS, GRID_ROUNDS = 4, 2  # rounds of the microkernel's loop that are written out, and that share a question to a grid
NOTHING = np.zeros(WIDTH, np.float32)  # the bias of a product without one

_FLOAT, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def load_vector(builder: Any, address: Any, offset: int, align: int = 4) -> Any:
    """Load LANES floats from an address and an offset in bytes."""
    pointer = builder.inttoptr(builder.add(address, _I64(offset)), _VECTOR.as_pointer())
    return builder.load(pointer, align=align)


def store_vector(builder: Any, value: Any, address: Any, align: int = 4) -> None:
    """Store LANES floats at an address."""
    builder.store(value, builder.inttoptr(address, _VECTOR.as_pointer()), align=align)


def shuffled(builder: Any, a: Any, b: Any, mask: list[int]) -> Any:
    """The lanes of two vectors that `mask` numbers, a's first."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, LANES), mask))


def _broadcast(builder: Any, number: Any) -> Any:
    """A float in every lane."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    return shuffled(builder, builder.insert_element(empty, number, _I32(0)), empty, [0] * LANES)


def spread(builder: Any, address: Any) -> Any:
    """The float at an address in every lane."""
    return _broadcast(builder, builder.load(builder.inttoptr(address, _FLOAT.as_pointer())))


def _prefetch(builder: Any, address: Any, level: int) -> None:
    """Ask for the cache line at an address, into the cache of that level (1, 2) and those behind it, without waiting."""
    byte, name = ir.IntType(8).as_pointer(), "llvm.prefetch.p0"
    kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [builder.inttoptr(address, byte), _I32(0), _I32(4 - level), _I32(1)])


def _times(builder: Any, slope: Any) -> Callable[[Any], Any]:
    """v -> slope v on vectors, which is 0 for slope 0 also where v is infinite."""
    zero, slopes = ir.Constant(_VECTOR, [0.0] * LANES), _broadcast(builder, slope)
    flat = builder.fcmp_ordered("==", slope, _FLOAT(0.0))
    return lambda v: builder.select(flat, zero, builder.fmul(slopes, v))


def leaky_relu(builder: Any, slope: Any) -> Callable[[Any], Any]:
    """f on vectors: f(v) = v where v > 0, else slope v, which is 0 for slope 0 also where v is infinite; NaN stays NaN."""
    zero, times = ir.Constant(_VECTOR, [0.0] * LANES), _times(builder, slope)
    return lambda v: builder.select(builder.fcmp_ordered("<=", v, zero), times(v), v)


def fused_multiply_add(builder: Any) -> Any:
    """The function (a, b, c) -> a b + c on vectors, rounded once."""
    name = f"llvm.fma.v{LANES}f32"
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _tile_of(
    builder: Any, args: list[Any], asking: Callable[[Any, Any], Any], ahead: Any, every: int, matrix: Any = None
) -> None:
    """C[0:TALL, 0:WIDTH] = f(bias + sum over runs and k < depth of A[:, k] B[k, :]), f the leaky ReLU, all in registers.

    A product has one run; a convolution has one for each stretch of taps whose inputs lie together. Run r is three integers at
    runs + 24 r: where its A begins, where its B begins, its depth (at least 1).

    Addresses and strides in bytes: A[i, k] at a + i row + k step; B[k, j] at b + k b_step + 4 j; C[i, j] at c + i c_row + 4 j;
    bias[j] at bias + 4 j.
    f is that of :func:`leaky_relu`; slope 1: identity.

    matrix: None, or (bias_row, masks). There is a bias for each row then, bias[i, j] at bias + i bias_row + 4 j; and where
    `masks` is not 0 that is a layer's y, and C = the sum where y > 0, elsewhere the sum times the slope.

    Meanwhile cache lines that will be needed soon are asked for: once in `every` rounds of the loop `asking(builder, ahead)` asks
    for one and returns the next value of its counter `ahead`. ROUNDS rounds are written out, since a processor that starts two
    multiplications a cycle has few instructions left for counting; the variables are registers once LLVM has seen them.
    """
    runs, count, row, step, b_step, c, c_row, bias, slope = args
    fma, zero = fused_multiply_add(builder), ir.Constant(_VECTOR, [0.0] * LANES)
    rows = [builder.mul(row, _I64(i)) for i in range(TALL)]
    sums = [cgutils.alloca_once_value(builder, zero) for _ in range(TALL * VECTORS)]
    a, b = cgutils.alloca_once(builder, _I64), cgutils.alloca_once(builder, _I64)
    counter = cgutils.alloca_once_value(builder, ahead)

    def rounds(number: int) -> None:
        a_k, b_k = builder.load(a), builder.load(b)
        for k in range(number):
            if k % every == 0:
                builder.store(asking(builder, builder.load(counter)), counter)
            right = [load_vector(builder, b_k, 4 * LANES * j) for j in range(VECTORS)]
            for i in range(TALL):
                left = spread(builder, builder.add(a_k, rows[i]))
                for j in range(VECTORS):
                    place = sums[VECTORS * i + j]
                    builder.store(builder.call(fma, [left, right[j], builder.load(place)]), place)
            a_k, b_k = builder.add(a_k, step), builder.add(b_k, b_step)
        builder.store(a_k, a)
        builder.store(b_k, b)

    with cgutils.for_range(builder, count) as run:
        place = builder.add(runs, builder.mul(run.index, _I64(24)))
        fields = [builder.inttoptr(builder.add(place, _I64(8 * i)), _I64.as_pointer()) for i in range(3)]
        builder.store(builder.load(fields[0]), a)
        builder.store(builder.load(fields[1]), b)
        depth = builder.load(fields[2])
        with cgutils.for_range(builder, builder.lshr(depth, _I64(ROUNDS.bit_length() - 1))):
            rounds(ROUNDS)
        with cgutils.for_range(builder, builder.and_(depth, _I64(ROUNDS - 1))):
            rounds(1)
    leaky, times = leaky_relu(builder, slope), _times(builder, slope)

    def ending(of: Callable[[Any, Any], Any], row: Any) -> None:
        """Store of(sum, bias), the bias of the next row `row` bytes further on; None: it is the same."""
        to, at = c, bias
        for i in range(TALL):
            if i == 0 or row is not None:
                beside = [load_vector(builder, at, 4 * LANES * j) for j in range(VECTORS)]
            for j in range(VECTORS):
                v = of(builder.load(sums[VECTORS * i + j]), beside[j])
                store_vector(builder, v, builder.add(to, _I64(4 * LANES * j)))
            to, at = builder.add(to, c_row), at if row is None else builder.add(at, row)

    def shifted(v: Any, b: Any) -> Any:
        return leaky(builder.fadd(v, b))

    def masked(v: Any, y: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", y, zero), v, times(v))

    if matrix is None:
        ending(shifted, None)
        return
    with builder.if_else(builder.icmp_signed("==", matrix[1], _I64(0))) as (added, multiplied):
        with added:
            ending(shifted, matrix[0])
        with multiplied:
            ending(masked, matrix[0])


def _microkernel(
    typing: Any,
    runs: Any,
    count: Any,
    row: Any,
    step: Any,
    b_step: Any,
    c: Any,
    c_row: Any,
    bias: Any,
    soon: Any,
    pace: Any,
    slope: Any,
) -> Any:
    """The tile of :func:`_tile_of`; round k asks for the line at soon + k pace, k counted through all runs.

    Several rounds may ask for the same line, so it goes into the first-level cache, where asking again costs nothing.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        soon, pace = args[8:10]

        def asking(builder: Any, ahead: Any) -> Any:
            _prefetch(builder, ahead, 1)
            return builder.add(ahead, pace)

        _tile_of(builder, [*args[:8], args[10]], asking, soon, every=1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 10, types.float32), codegen


def _grid_microkernel(
    typing: Any,
    runs: Any,
    count: Any,
    row: Any,
    step: Any,
    b_step: Any,
    c: Any,
    c_row: Any,
    bias: Any,
    bias_row: Any,
    masks: Any,
    soon: Any,
    pace: Any,
    bits: Any,
    near: Any,
    far: Any,
    slope: Any,
) -> Any:
    """The tile of :func:`_tile_of`; round k, every other, asks for line l = k pace / 2^16 of a grid, at
    soon + (l mod 2^bits) near + (l / 2^bits) far."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        soon, pace, bits, near, far = args[10:15]

        def asking(builder: Any, ahead: Any) -> Any:
            line = builder.lshr(ahead, _I64(16))
            column = builder.and_(line, builder.sub(builder.shl(_I64(1), bits), _I64(1)))
            offset = builder.add(builder.mul(column, near), builder.mul(builder.lshr(line, bits), far))
            _prefetch(builder, builder.add(soon, offset), 2)
            return builder.add(ahead, builder.mul(pace, _I64(GRID_ROUNDS)))

        _tile_of(builder, [*args[:8], args[15]], asking, _I64(0), every=GRID_ROUNDS, matrix=args[8:10])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 15, types.float32), codegen


microkernel: Any = intrinsic(_microkernel)
grid_microkernel: Any = intrinsic(_grid_microkernel)


@compile_task
def leak(v: float, slope: float) -> float:
    """slope * v, and 0 for slope 0 also where v is infinite: relu(-Inf) = 0."""
    return slope * v if slope != 0 else slope
