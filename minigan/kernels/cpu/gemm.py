"""Single-precision matrix products for the shapes of small networks: C = A B, bias and activation in registers.

The BLAS is tuned for large squares. In a network with batch 64 the product reads a weight matrix of megabytes once and uses each
number 64 times: reading it in time is half the work. Here (after Goto, van de Geijn 2008, "Anatomy of high-performance matrix
multiplication"):

- C is cut into panels of WIDTH columns, and these into blocks of rows where there are few; a block is a task of the team.
- The panel of B is packed into a contiguous scratch array (K, WIDTH), transposed LANES x LANES in registers where B is a
  transposed view. While the block is computed, the next panel is already being fetched.
- The microkernel keeps TALL x WIDTH sums in vector registers, as many as the processor has room for (`registers.py`): with 16
  lanes, 8 x 32 sums are 16 registers. For each k it loads two vectors of B, spreads eight numbers of A, and does 16 fused
  multiply-adds: 256 multiplications for 40 loaded numbers.
- A is read where it lies, by rows or by columns: it is small, or its panel is in cache.
- Rows that do not fill a tile are covered by a tile that overlaps the one above: the same numbers twice. Columns that do not
  fill a panel are computed in a tile aside and copied, since the panel to their left is another thread's.

It exists in LLVM's intermediate language, since Numba does not promise to keep a tile in registers. `matmul` falls back to NumPy
for other dtypes, layouts, small or very deep products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import address_of, compile_task, floats_at, later, words_at
from minigan.kernels.cpu.registers import LINE, processor
from minigan.kernels.cpu.team import Job, team
from minigan.kernels.cpu.workspace import whole_lines

AVAILABLE = processor().fused
LANES, TALL, VECTORS = processor().tile
WIDTH = processor().tile.width
ALIGNED = 4 * LANES  # bytes to which every row of a packed panel is aligned
TASKS = 4  # tasks a thread, at least
DEEPEST = 2048  # a packed panel of 2048 x 32 floats is 256 KB: it stays in a core's second-level cache
STRIP, SHALLOW = -(-64 // TALL) * TALL, 512  # rows of a packed strip of A, and how deep a product may be to pack one
ROUNDS, GRID_ROUNDS = 4, 2  # rounds of the microkernel's loop that are written out, and that share a question to a grid
RUN = LINE  # floats that hold the one run of a product, three integers
# A thread's floats: a panel of B, a tile of C, a run, a strip of A; whole cache lines.
SCRATCH = whole_lines((DEEPEST + TALL) * WIDTH + RUN + STRIP * SHALLOW)
PANEL_LINES = -(-WIDTH // LINE)  # cache lines of a row of B in a panel
LINE_BITS = (PANEL_LINES - 1).bit_length()

_FLOAT, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def load_vector(builder: Any, address: Any, offset: int, align: int = 4) -> Any:
    """Load LANES floats from an address and an offset in bytes."""
    pointer = builder.inttoptr(builder.add(address, _I64(offset)), _VECTOR.as_pointer())
    return builder.load(pointer, align=align)


def store_vector(builder: Any, value: Any, address: Any, align: int = 4) -> None:
    """Store LANES floats at an address."""
    builder.store(value, builder.inttoptr(address, _VECTOR.as_pointer()), align=align)


def _shuffle(builder: Any, a: Any, b: Any, mask: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, LANES), mask))


def _broadcast(builder: Any, number: Any) -> Any:
    """A float in every lane."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    return _shuffle(builder, builder.insert_element(empty, number, _I32(0)), empty, [0] * LANES)


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
                _shuffle(builder, rows[i], rows[i + bit], low)
                if not i & bit
                else _shuffle(builder, rows[i - bit], rows[i], high)
                for i in range(LANES)
            ]
            bit *= 2
        for i in range(LANES):
            store_vector(builder, rows[i], builder.add(target, _I64(4 * WIDTH * i)), ALIGNED)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


microkernel: Any = intrinsic(_microkernel)
grid_microkernel: Any = intrinsic(_grid_microkernel)
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


@compile_task
def leak(v: float, slope: float) -> float:
    """slope * v, and 0 for slope 0 also where v is infinite: relu(-Inf) = 0."""
    return slope * v if slope != 0 else slope


@compile_task
def _copy_columns(tile: int, skip: int, c: int, c_row: int) -> None:
    """The last columns of a tile, without the first `skip`, into C at address `c`."""
    for r in range(TALL):
        source = floats_at(tile + 4 * (WIDTH * r + skip), WIDTH - skip)
        target = floats_at(c + r * c_row, WIDTH - skip)
        for n in range(WIDTH - skip):
            target[n] = source[n]


@compile_task
def _tiles(
    p: Array, a: int, a_row: int, a_column: int, a_tile: int, first: int, rows: int, column: int, panel: int, slope: float,
    ahead: int,
) -> None:  # fmt: skip
    """All tiles of one panel of C (packed at `panel`) and `rows` rows of it from `first` on, whose A begins at the address `a`;
    within a tile the rows of A are `a_row` bytes apart, and its first row lies `a_tile` bytes a row from `a`. The panel that is
    `ahead` columns of panels further on is asked for meanwhile; 0: none."""
    b, b_row, b_column, c_row, depth, n, panels = p[3], p[4], p[5], p[7], p[9], p[10], p[14]
    bias_column, bias_row, masks = p[18], p[19], p[20]
    c, bias = p[6] + first * c_row, p[11] + first * bias_row
    runs = panel + 4 * WIDTH * (DEEPEST + TALL)
    run = words_at(runs, 3)
    run[1], run[2] = panel, depth
    start = column * WIDTH  # the panel's own columns; the tile of a narrow last panel begins to the left of them
    j = min(start, n - WIDTH)
    tile = panel + 4 * WIDTH * DEEPEST
    parts = (rows + TALL - 1) // TALL
    following = b + min((column + ahead) * WIDTH, n - WIDTH) * b_column
    asks = ahead > 0 and column + ahead < panels
    for part in range(parts):
        i = min(part * TALL, rows - TALL)
        soon, pace, bits, near, far = panel, 0, 0, 0, 0
        if asks and b_column == 4:  # the lines of each row of B
            pace, bits, near, far = (PANEL_LINES << 16) // parts, LINE_BITS, 4 * LINE, b_row
            soon = following + depth * part // parts * b_row
        elif asks:  # a few columns of B, which lie in memory as rows
            bits = 2 if parts <= 8 else 1 if parts <= 16 else 0
            soon = following + min(WIDTH * part // parts, WIDTH - (1 << bits)) * b_column
            pace, near, far = (1 << bits << 16) // LINE, b_column, 4 * LINE
        run[0], shift = a + i * a_tile, bias + i * bias_row + j * bias_column
        apart = j != start  # the columns to the left belong to another task, which may have finished them
        to, to_row = (tile, 4 * WIDTH) if apart else (c + i * c_row + 4 * j, c_row)
        grid_microkernel(
            runs, 1, a_row, a_column, 4 * WIDTH, to, to_row, shift, bias_row, masks, soon, pace, bits, near, far, slope
        )
        if apart:
            _copy_columns(tile, start - j, c + i * c_row + 4 * start, c_row)


def _block(parameters: int, index: int, thread: int) -> None:
    """One block of rows of one panel of C; see `plan` for the parameters."""
    p = words_at(parameters, 21)
    a, a_row, a_column, m, row_blocks = p[0], p[1], p[2], p[8], p[13]
    slope = floats_at(parameters + 8 * 12, 1)[0]
    panel = p[15] + thread * p[16]
    block, column = index % row_blocks, index // row_blocks
    first, last = m * block // row_blocks // TALL * TALL, m * (block + 1) // row_blocks // TALL * TALL
    if block == row_blocks - 1:
        last = m
    pack(p[3], p[4], p[5], p[9], min(column * WIDTH, p[10] - WIDTH), panel)
    ahead = p[17] if block == row_blocks - 1 else 0  # the panel that this thread is likely to take next
    _tiles(p, a + first * a_row, a_row, a_column, a_row, first, last - first, column, panel, slope, ahead)


def _strip(parameters: int, index: int, thread: int) -> None:
    """A strip of STRIP rows of C, all panels, where A is a transposed view (a weight gradient x^T d).

    Numbers that lie together in A belong to neighbouring rows of C, and the next k is a whole row of x away. So the strip of A is
    packed first, tile by tile as (depth, TALL): what a tile reads lies together and stays in the first-level cache beside its
    panel of B. The strip is then used for every panel of B, which is small.
    """
    p = words_at(parameters, 21)
    a_column, m, depth, panels = p[2], p[8], p[9], p[14]
    slope = floats_at(parameters + 8 * 12, 1)[0]
    panel = p[15] + thread * p[16]
    strip = panel + 4 * (WIDTH * (DEEPEST + TALL) + RUN)
    first = min(index * STRIP, m - STRIP)
    for k in range(depth):
        source = floats_at(p[0] + 4 * first + k * a_column, STRIP)
        for part in range(STRIP // TALL):
            target = floats_at(strip + 4 * TALL * (part * depth + k), TALL)
            for i in range(TALL):
                target[i] = source[part * TALL + i]
    for column in range(panels):
        pack(p[3], p[4], p[5], depth, min(column * WIDTH, p[10] - WIDTH), panel)
        _tiles(p, strip, 4, 4 * TALL, 4 * depth, first, STRIP, column, panel, slope, 1)


_block_task = later(_block)


_strip_task = later(_strip)


_scratch: dict[int, tuple[Array, int]] = {}


def _scratch_address(team_size: int) -> int:
    if team_size not in _scratch:
        memory = np.empty(team_size * SCRATCH + LINE, np.float32)
        _scratch[team_size] = memory, -(-address_of(memory) // (4 * LINE)) * 4 * LINE
    return _scratch[team_size][1]


def suits(a: Array, b: Array, out: Array) -> bool:
    """Whether :func:`matmul` computes this product itself."""
    if not AVAILABLE or out.ndim != 2 or out.dtype != np.float32 or a.dtype != np.float32 or b.dtype != np.float32:
        return False
    (m, depth), n = a.shape, b.shape[1]
    if m < TALL or n < WIDTH or depth > DEEPEST or m * n * depth < 200_000:
        return False
    if depth < LANES and b.strides[1] != 4:  # columns of B are turned in tiles of LANES
        return False
    return out.strides[1] == 4 and 4 in b.strides and min(*a.strides, *b.strides, out.strides[0]) > 0


_nothing = np.zeros(WIDTH, np.float32)


def plan(a: Array, b: Array, out: Array, bias: Array | None = None, slope: float = 1.0, *, masks: bool = False) -> Job:
    """The product as a job that can be run again and again while the arrays stay where they are; see :func:`matmul`.

    masks: `bias` is y, a matrix, and out = f'(y) a b, f the leaky ReLU: what a layer's derivative goes through next.
    """
    step = (0, 0) if bias is None else (0, 4) if bias.ndim == 1 else bias.strides
    (m, depth), n = a.shape, b.shape[1]
    size = threads.THREADS
    panels = -(-n // WIDTH)
    # Enough tasks to share evenly, and no more: each has to pack its panel of B.
    row_blocks = max(1, min(m // (4 * TALL), -(-TASKS * size // panels))) if size > 1 else 1
    p = np.empty(21, np.int64)
    p[:12] = (
        address_of(a), *a.strides, address_of(b), *b.strides, address_of(out), out.strides[0],
        m, depth, n, address_of(_nothing if bias is None else bias),
    )  # fmt: skip
    p[12:13].view(np.float32)[0] = slope
    p[13:] = row_blocks, panels, _scratch_address(size), 4 * SCRATCH, size, step[1], step[0], masks
    if a.strides[0] == 4 and depth <= SHALLOW and m >= 2 * STRIP:
        return team().job(_strip_task(), p, -(-m // STRIP))
    return team().job(_block_task(), p, row_blocks * panels)


def matmul(a: Array, b: Array, out: Array, bias: Array | None = None, slope: float = 1.0) -> None:
    """out = f(a b + bias), f the leaky ReLU with `slope` (1: the identity; only with a bias). Ask :func:`suits` first.

    bias: a row of as many numbers as `out` has columns, or a matrix of its shape with columns side by side, which is not `out`.
    """
    plan(a, b, out, bias, slope)()
