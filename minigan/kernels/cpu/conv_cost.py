"""Which algorithm computes a convolution: a cost model small enough to print and to argue with.

    time = operations / (rate * TEAM) + bytes / bandwidth + rounds * latency / TEAM

with constants for each width of vector registers (`registers.py`), measured once on two-core servers: 8 and 4 lanes by
`bench/conv_cost.py`, 16 lanes before there was that script. They need not be right, only in proportion: the model ranks
algorithms for one shape, it does not predict milliseconds on your machine. Operations count what a kernel really multiplies,
with channels rounded up to its tile; bytes count intermediate arrays (written once, read once), not the operands.

How many threads there are does not enter: algorithms round differently, and one seed gives the same numbers on any number of
threads. `TEAM` is the number that the constants were measured with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from minigan.kernels.cpu.conv_wide import Wide, counts, weights_size, widened
from minigan.kernels.cpu.registers import Tile
from minigan.kernels.cpu.strips import POSITIONS, fits
from minigan.kernels.cpu.winograd import LARGEST
from minigan.kernels.geometry import Geometry

MAPS = ("conv", "conv_transpose", "conv_weight")
COLOURS = 4  # channels at most of what the weight gradient gathers in strips
ALGORITHMS = ("direct", "tiles", "patches", "columns", "narrow", "strips", "winograd", "wide")


class Rates(NamedTuple):
    """The constants of the model for one width."""

    product: float  # operations a second and thread of the register tile, from the second-level cache
    direct: float  # the same of one product a tap with its copies
    bandwidth: float  # bytes a second through intermediate arrays, all threads
    round: float  # seconds to begin a run of a tile

    def __str__(self) -> str:
        return (
            f"{self.product / 1e9:.3g} GFLOP/s a thread (direct {self.direct / 1e9:.3g}), {self.bandwidth / 1e9:.3g} GB/s, "
            f"{self.round * 1e9:.3g} ns a run"
        )


RATES = {  # by lanes
    16: Rates(150e9, 25e9, 8e9, 10e-9),
    8: Rates(91e9, 14e9, 9.6e9, 20e-9),
    4: Rates(46e9, 14e9, 9.5e9, 11e-9),
}
TEAM = 2  # threads of the machines where RATES were measured
WINOGRAD_OUTPUTS = 4  # outputs of a block; with five taps it reads eight inputs

_forced = "auto"


class Choice(NamedTuple):
    """One way to compute a map, and what it costs."""

    algorithm: str
    operations: int
    bytes: int
    milliseconds: float
    why: str

    def __str__(self) -> str:
        return (
            f"{self.algorithm:9s} {self.operations / 1e9:9.3f} GFLOP {self.bytes / 1e6:9.2f} MB {self.milliseconds:9.3f} ms"
            f"  {self.why}"
        )


class Problem(NamedTuple):
    """A map on given sizes. `ins` and `outs` are the channels of x (big) and of g (small)."""

    which: str
    images: int
    ins: int
    outs: int
    geometry: Geometry
    single: bool  # float32
    tile: Tile | None  # of the machine; None where our products do not run

    @property
    def rates(self) -> Rates:
        """The constants that the model counts with."""
        return RATES[self.tile.lanes if self.tile else 8]

    @property
    def source(self) -> tuple[int, int]:
        """(positions, channels) of what is read."""
        geo = self.geometry
        return (math.prod(geo.small), self.outs) if self.which == "conv_transpose" else (math.prod(geo.big), self.ins)

    @property
    def target(self) -> tuple[int, int]:
        """(positions, channels) of what is made by the two data maps."""
        geo = self.geometry
        return (math.prod(geo.big), self.ins) if self.which == "conv_transpose" else (math.prod(geo.small), self.outs)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _choice(problem: Problem, algorithm: str, operations: float, traffic: float, rounds: float, why: str) -> Choice:
    rates = problem.rates
    rate = (rates.direct if algorithm == "direct" else rates.product) * TEAM
    seconds = operations / rate + traffic / rates.bandwidth + rounds * rates.round / TEAM
    return Choice(algorithm, int(operations), int(traffic), 1e3 * seconds, why)


def _direct(q: Problem) -> Choice:
    pairs = q.geometry.pairs()
    size = 4 if q.single else 8
    return _choice(
        q, "direct", 2 * q.images * pairs * q.ins * q.outs, 2 * size * q.images * pairs * (q.ins + q.outs), 0,
        "one product a tap over its valid region; any dtype, any machine",
    )  # fmt: skip


def _tiles(q: Problem, tile: Tile) -> Choice | None:
    pairs, geo = q.geometry.pairs(), q.geometry
    if q.which == "conv_weight":
        a, b = _up(q.ins, tile.rows), _up(q.outs, tile.width)
        packed = 8 * q.images * (math.prod(geo.big) * a + math.prod(geo.small) * b)
        rounds = geo.taps * a // tile.rows * b // tile.width * math.prod(geo.small[:-1])
        return _choice(
            q, "tiles", 2 * q.images * pairs * a * b, packed, rounds, "both operands packed, every tap from cache"
        )
    (_, depth), (positions, columns) = q.source, q.target
    images, b = _up(q.images, tile.rows), _up(columns, tile.width)
    rounds = images // tile.rows * b // tile.width * positions * math.prod(geo.kernel[:-1])
    return _choice(
        q, "tiles", 2 * images * pairs * depth * b, 8 * geo.taps * depth * b, rounds,
        "valid region and phases in place: images are the rows of a tile",
    )  # fmt: skip


def _patches(q: Problem, tile: Tile) -> Choice | None:
    rows, depth = q.images * math.prod(q.geometry.small), q.geometry.taps * q.ins
    if q.which != "conv" or rows < tile.rows:
        return None
    gathered, b = rows * q.geometry.taps / 10, _up(q.outs, tile.width)  # a tenth of a round for each tap of a patch
    return _choice(
        q, "patches", 2 * _up(rows, tile.rows) * depth * b, 20 * rows * depth + 8 * depth * b, gathered,
        "im2col: few images, so positions fill the tiles",
    )  # fmt: skip


def _narrow(q: Problem, tile: Tile) -> Choice | None:
    geo = q.geometry
    if q.which != "conv_weight" or geo.dilation[-1] != 1 or q.outs % tile.width:
        return None
    last = geo.ndim - 1
    others = math.prod(sum(len(geo.span(a, k)) for k in range(geo.kernel[a])) for a in range(last))
    tiles = -(-geo.kernel[-1] * q.ins // tile.rows) * q.outs // tile.width
    operations = 2 * q.images * others * geo.small[-1] * tiles * tile.rows * tile.width
    copied = 8 * q.images * math.prod(geo.big) * q.ins
    return _choice(
        q,
        "narrow",
        operations,
        copied,
        q.images * others * tiles,
        "few input channels: taps of the last axis fill the tiles",
    )


def _strips(q: Problem, tile: Tile) -> Choice | None:
    geo, (depth, positions) = q.geometry, (q.geometry.taps * q.ins, q.images * math.prod(q.geometry.small))
    weight = q.which == "conv_weight"
    if q.which == "conv_transpose" or not fits(geo, q.images, q.ins, tile):
        return None
    # For weights of 8 channels `narrow` was measured to be faster (.188 for .222 ms: 3 x 3, stride 2, 16 images of 28 x 28).
    if weight and (q.outs % tile.width or q.ins > COLOURS):
        return None
    # Of each tap of the other axes a row is copied, and then a stretch of it a position; ten registers in the time of a round.
    row, stretch = (-(-n * q.ins // tile.lanes) for n in (geo.big[-1], geo.kernel[-1]))
    copied = geo.taps // geo.kernel[-1] * (positions // geo.small[-1] * row + positions * stretch) / 10
    panels = -(-q.outs // tile.width)
    rows, run, adding = (depth, positions, POSITIONS) if weight else (positions, depth, depth)
    rounds = -(-rows // tile.rows) * panels * run / adding
    return _choice(
        q, "strips", 2 * _up(rows, tile.rows) * run * panels * tile.width, 0, rounds + copied,
        "few input channels: the patches of a strip of positions, in cache",
    )  # fmt: skip


def _columns(q: Problem, tile: Tile) -> Choice | None:
    if q.which == "conv_weight":
        return None
    (positions, depth), (_, columns) = q.source, q.target
    rows, width = q.images * positions, q.geometry.taps * columns
    if rows < tile.rows:
        return None
    adds = q.images * q.geometry.pairs() * columns
    turned = 64 * q.geometry.taps * depth * columns if q.which == "conv" else 0  # weights, one number after the other
    traffic = 8 * rows * width + 8 * adds + turned
    return _choice(
        q, "columns", 2 * _up(rows, tile.rows) * depth * _up(width, tile.width), traffic, rows // tile.rows,
        "few output channels: one product with all taps, then their sum",
    )  # fmt: skip


def _winograd(q: Problem, tile: Tile) -> Choice | None:
    geo = q.geometry
    if not winograd_possible(geo):
        return None
    last, points = geo.ndim - 1, WINOGRAD_OUTPUTS + geo.kernel[-1] - 1
    others = math.prod(sum(len(geo.span(a, k)) for k in range(geo.kernel[a])) for a in range(last))
    if q.which == "conv_weight":
        a, b, blocks = _up(q.ins, tile.rows), _up(q.outs, tile.width), -(-geo.small[last] // WINOGRAD_OUTPUTS)
        made = q.images * blocks * points * (math.prod(geo.big[:-1]) * a + math.prod(geo.small[:-1]) * b)
        sums = points * math.prod(geo.kernel[:-1]) * q.ins * q.outs
        return _choice(
            q, "winograd", 2 * q.images * others * blocks * points * a * b, 8 * (made + sums), 0,
            "along the last axis: fewer multiplications, both operands transformed while packed",
        )  # fmt: skip
    if q.images < tile.rows:
        return None
    transposed = q.which == "conv_transpose"
    (_, depth), (positions, columns) = q.source, q.target
    inputs, outputs = (geo.small, geo.big) if transposed else (geo.big, geo.small)
    images, b, blocks = _up(q.images, tile.rows), _up(columns, tile.width), -(-outputs[last] // WINOGRAD_OUTPUTS)
    made = q.images * math.prod(inputs[:-1]) * blocks * points * depth
    weights = (geo.taps + points * geo.taps // geo.kernel[-1]) * depth * b
    rounds = b // tile.width * (3 * images * positions + images // tile.rows * others * blocks * points)
    return _choice(
        q, "winograd", 2 * images * others * blocks * points * depth * b, 8 * (made + weights), rounds,
        "along the last axis: fewer multiplications, inputs and weights transformed",
    )  # fmt: skip


def winograd_possible(geometry: Geometry) -> bool:
    """Whether the last axis has stride and dilation 1 and a kernel that the points of `winograd.py` suffice for."""
    taps = geometry.kernel[-1]
    return geometry.stride[-1] == geometry.dilation[-1] == 1 and 1 < taps <= LARGEST - WINOGRAD_OUTPUTS + 1


def by_tiles(problem: Problem) -> list[Choice]:
    """The algorithms that compute it by register tiles as it stands, the quickest by the model first."""
    if not problem.single or not problem.tile or not problem.images:
        return []
    found = [way(problem, problem.tile) for way in (_tiles, _patches, _columns, _narrow, _strips, _winograd)]
    return sorted((c for c in found if c is not None), key=lambda c: c.milliseconds)


class Widened(NamedTuple):
    """A map with several positions as one, as a problem of its own, and what computes that."""

    wide: Wide
    problem: Problem
    inner: Choice

    def choice(self, of: Problem) -> Choice:
        """As a way to compute the problem that it was made of: the inner one, and its weights written and read."""
        weights = 8 * weights_size(self.wide, self.problem.ins, self.problem.outs)
        milliseconds = self.inner.milliseconds + 1e3 * weights / of.rates.bandwidth
        why = f"few output channels: {self.wide.m} positions as one, by {self.inner.algorithm}"
        return Choice("wide", self.inner.operations, self.inner.bytes + weights, milliseconds, why)


def wide(problem: Problem) -> Widened | None:
    """The best number of positions to take as one, if there is any."""
    found: list[Widened] = []
    columns = problem.ins if problem.which == "conv_transpose" else problem.outs
    if problem.single and problem.tile and problem.images and columns:
        for m in counts(problem.which, problem.geometry, columns, problem.tile.width):
            form = widened(problem.which, problem.geometry, m)
            if form is not None:
                ins, outs = form.channels(problem.which, problem.ins, problem.outs)
                other = problem._replace(which=form.which, ins=ins, outs=outs, geometry=form.geometry)
                found += [Widened(form, other, inner) for inner in by_tiles(other)[:1]]
    return min(found, key=lambda w: w.choice(problem).milliseconds, default=None)


def choices(problem: Problem) -> list[Choice]:
    """The algorithms that can do it, the quickest by the model first."""
    merged = wide(problem)
    possible = [_direct(problem), *by_tiles(problem), *([merged.choice(problem)] if merged else [])]
    return sorted(possible, key=lambda c: c.milliseconds)


def choose(problem: Problem) -> Choice:
    """The quickest, or the one that :func:`algorithm` asks for where it is possible, else the direct one."""
    possible = choices(problem)
    if _forced == "auto":
        return possible[0]
    return next((c for name in (_forced, "direct") for c in possible if c.algorithm == name), possible[0])


def forced() -> str:
    """The algorithm that :func:`algorithm` asks for, or "auto"."""
    return _forced


@contextmanager
def algorithm(name: str) -> Iterator[None]:
    """Within the block every convolution on the CPU is computed by this algorithm, where it can be, else by "direct".

    Args:
        name: one of `ALGORITHMS`, or "auto" for the cost model's choice.
    """
    global _forced
    if name not in (*ALGORITHMS, "auto"):
        raise ValueError(f"conv_algorithm: got {name!r}, expected 'auto' or one of {ALGORITHMS}")
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before
