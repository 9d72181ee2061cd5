"""Single-precision matrix products for the shapes of small networks: C = A B, bias and activation in registers.

The BLAS is tuned for large squares. In a network with batch 64 the product reads a weight matrix of megabytes once and uses each
number 64 times: reading it in time is half the work. Here (after Goto, van de Geijn 2008, "Anatomy of high-performance matrix
multiplication"):

- C is cut into panels of WIDTH columns, and these into blocks of rows where there are few; a block is a task of the team.
- The panel of B is packed into a scratch array (`gemm_packing.py`). While the block is computed, the next panel is already being
  fetched.
- Each tile of C is one run of the microkernel (`gemm_microkernel.py`).
- A is read where it lies, by rows or by columns: it is small, or its panel is in cache.
- Rows that do not fill a tile are covered by a tile that overlaps the one above: the same numbers twice. Columns that do not
  fill a panel are computed in a tile aside and copied, since the panel to their left is another thread's.

This file plans a product and cuts it into tasks. Other dtypes and layouts, small and very deep products are not for it: see
:func:`suits`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import address_of, compile_task, filled, floats_at, later, record, record_at, words_at
from minigan.kernels.cpu.gemm_microkernel import AVAILABLE, LANES, NOTHING, TALL, WIDTH, grid_microkernel
from minigan.kernels.cpu.gemm_packing import pack
from minigan.kernels.cpu.registers import LINE
from minigan.kernels.cpu.team import Job, team
from minigan.kernels.cpu.workspace import whole_lines

TASKS = 4  # tasks a thread, at least
DEEPEST = 2048  # a packed panel of 2048 x 32 floats is 256 KB: it stays in a core's second-level cache
STRIP, SHALLOW = -(-64 // TALL) * TALL, 512  # rows of a packed strip of A, and how deep a product may be to pack one
RUN = LINE  # floats that hold the one run of a product, three integers
# A thread's floats: a panel of B, a tile of C, a run, a strip of A; whole cache lines.
SCRATCH = whole_lines((DEEPEST + TALL) * WIDTH + RUN + STRIP * SHALLOW)
PANEL_LINES = -(-WIDTH // LINE)  # cache lines of a row of B in a panel
LINE_BITS = (PANEL_LINES - 1).bit_length()


@compile_task
def _copy_columns(tile: int, skip: int, c: int, c_row: int) -> None:
    """The last columns of a tile, without the first `skip`, into C at address `c`."""
    for r in range(TALL):
        source = floats_at(tile + 4 * (WIDTH * r + skip), WIDTH - skip)
        target = floats_at(c + r * c_row, WIDTH - skip)
        for n in range(WIDTH - skip):
            target[n] = source[n]


_PRODUCT = record(
    "a a_row a_column b b_row b_column c c_row m depth n bias row_blocks panels scratch thread_bytes "
    "threads bias_column bias_row masks",
    "slope",
)


@compile_task
def _tiles(
    p: Any, a: int, a_row: int, a_column: int, a_tile: int, first: int, rows: int, column: int, panel: int, slope: float,
    ahead: int,
) -> None:  # fmt: skip
    """All tiles of one panel of C (packed at `panel`) and `rows` rows of it from `first` on, whose A begins at the address `a`;
    within a tile the rows of A are `a_row` bytes apart, and its first row lies `a_tile` bytes a row from `a`. The panel that is
    `ahead` columns of panels further on is asked for meanwhile; 0: none."""
    b, b_row, b_column, c_row, depth, n, panels = p.b, p.b_row, p.b_column, p.c_row, p.depth, p.n, p.panels
    bias_column, bias_row, masks = p.bias_column, p.bias_row, p.masks
    c, bias = p.c + first * c_row, p.bias + first * bias_row
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
    p = record_at(parameters, _PRODUCT)
    a, a_row, a_column, m, row_blocks = p.a, p.a_row, p.a_column, p.m, p.row_blocks
    slope = np.float32(p.slope)
    panel = p.scratch + thread * p.thread_bytes
    block, column = index % row_blocks, index // row_blocks
    first, last = m * block // row_blocks // TALL * TALL, m * (block + 1) // row_blocks // TALL * TALL
    if block == row_blocks - 1:
        last = m
    pack(p.b, p.b_row, p.b_column, p.depth, min(column * WIDTH, p.n - WIDTH), panel)
    ahead = p.threads if block == row_blocks - 1 else 0  # the panel that this thread is likely to take next
    _tiles(p, a + first * a_row, a_row, a_column, a_row, first, last - first, column, panel, slope, ahead)


def _strip(parameters: int, index: int, thread: int) -> None:
    """A strip of STRIP rows of C, all panels, where A is a transposed view (a weight gradient x^T d).

    Numbers that lie together in A belong to neighbouring rows of C, and the next k is a whole row of x away. So the strip of A is
    packed first, tile by tile as (depth, TALL): what a tile reads lies together and stays in the first-level cache beside its
    panel of B. The strip is then used for every panel of B, which is small.
    """
    p = record_at(parameters, _PRODUCT)
    a_column, m, depth, panels = p.a_column, p.m, p.depth, p.panels
    slope = np.float32(p.slope)
    panel = p.scratch + thread * p.thread_bytes
    strip = panel + 4 * (WIDTH * (DEEPEST + TALL) + RUN)
    first = min(index * STRIP, m - STRIP)
    for k in range(depth):
        source = floats_at(p.a + 4 * first + k * a_column, STRIP)
        for part in range(STRIP // TALL):
            target = floats_at(strip + 4 * TALL * (part * depth + k), TALL)
            for i in range(TALL):
                target[i] = source[part * TALL + i]
    for column in range(panels):
        pack(p.b, p.b_row, p.b_column, depth, min(column * WIDTH, p.n - WIDTH), panel)
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
    """Whether :func:`plan` computes this product."""
    if not AVAILABLE or out.ndim != 2 or out.dtype != np.float32 or a.dtype != np.float32 or b.dtype != np.float32:
        return False
    (m, depth), n = a.shape, b.shape[1]
    if m < TALL or n < WIDTH or depth > DEEPEST or m * n * depth < 200_000:
        return False
    if depth < LANES and b.strides[1] != 4:  # columns of B are turned in tiles of LANES
        return False
    return out.strides[1] == 4 and 4 in b.strides and min(*a.strides, *b.strides, out.strides[0]) > 0


def plan(a: Array, b: Array, out: Array, bias: Array | None = None, slope: float = 1.0, *, masks: bool = False) -> Job:
    """out = f(a b + bias), f the leaky ReLU with `slope` (1: the identity; only with a bias), as a job that can be run again and
    again while the arrays stay where they are. Ask :func:`suits` first.

    bias: a row of as many numbers as `out` has columns, or a matrix of its shape with columns side by side, which is not `out`.
    masks: `bias` is y, a matrix, and out = f'(y) a b, f the leaky ReLU: what a layer's derivative goes through next.
    """
    step = (0, 0) if bias is None else (0, 4) if bias.ndim == 1 else bias.strides
    (m, depth), n = a.shape, b.shape[1]
    size = threads.THREADS
    panels = -(-n // WIDTH)
    # Enough tasks to share evenly, and no more: each has to pack its panel of B.
    row_blocks = max(1, min(m // (4 * TALL), -(-TASKS * size // panels))) if size > 1 else 1
    p = filled(
        _PRODUCT, a=a, a_row=a.strides[0], a_column=a.strides[1], b=b, b_row=b.strides[0], b_column=b.strides[1],
        c=out, c_row=out.strides[0], m=m, depth=depth, n=n, bias=NOTHING if bias is None else bias,
        row_blocks=row_blocks, panels=panels, scratch=_scratch_address(size), thread_bytes=4 * SCRATCH, threads=size,
        bias_column=step[1], bias_row=step[0], masks=masks, slope=slope,
    )  # fmt: skip
    if a.strides[0] == 4 and depth <= SHALLOW and m >= 2 * STRIP:
        return team().job(_strip_task(), p, -(-m // STRIP))
    return team().job(_block_task(), p, row_blocks * panels)
