"""Arguments to try each kernel with: one function a kernel, of a size in two numbers that are rarely round.

    @sample(kernels.ema)
    def _(s): yield Case(...)

A case holds the arguments on the CPU, in order, and says which of them the kernel fills (they arrive full of NaN) and which it
changes. `test_kernels.py` goes through them, and fails for a kernel that has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigan.activation import FUSED, Activation
from minigan.kernels import reference as kernels
from minigan.kernels.geometry import of_conv
from minigan.kernels.kernel import Kernel

SIZES = [(1, 1), (1, 7), (7, 1), (3, 5), (33, 31), (257, 3), (5, 2049), (130, 129), (1025, 64)]
EPS = 0.1  # so that one row, whose deviations are zero, does not divide rounding errors by sqrt(1e-5)


class Case(NamedTuple):
    """Arguments of a kernel; by name those that it fills and those that it changes; by how much its dtype's rounding may grow."""

    args: tuple[Any, ...]
    fills: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    scale: float = 1.0


class Size:
    """A size, and random arrays for it, always the same."""

    def __init__(self, rows: int, channels: int, dtype: str) -> None:
        self.rows, self.channels, self.dtype = rows, channels, np.dtype(dtype)
        self.random = np.random.default_rng([rows, channels])

    def normal(self, *shape: int) -> np.ndarray:
        """Normal numbers."""
        return self.random.standard_normal(shape).astype(self.dtype)

    def empty(self, *shape: int) -> np.ndarray:
        """An array to be filled."""
        return np.full(shape, np.nan, self.dtype)

    def matrix(self) -> np.ndarray:
        """Normal numbers, (rows, channels)."""
        return self.normal(self.rows, self.channels)

    def result(self) -> np.ndarray:
        """A matrix to be filled."""
        return self.empty(self.rows, self.channels)

    def vector(self) -> np.ndarray:
        """Normal numbers, (channels,)."""
        return self.normal(self.channels)


SAMPLES: dict[str, Callable[[Size], Iterator[Case]]] = {}


def sample(kernel: Kernel[..., Any]) -> Callable[[Callable[[Size], Iterator[Case]]], None]:
    """Register what gives a kernel's cases."""

    def register(cases: Callable[[Size], Iterator[Case]]) -> None:
        assert kernel.name not in SAMPLES, kernel
        SAMPLES[kernel.name] = cases

    return register


def activations() -> list[Activation]:
    """Every one that kernels apply."""
    return [Activation(kind, 0.2 if kind == "leaky_relu" else 0.0) for kind in FUSED]


# -- activations and losses ------------------------------------------------------------------------------------------
@sample(kernels.bias_activation)
def _(s: Size) -> Iterator[Case]:
    for f in activations():
        for bias in (None, s.vector()):
            yield Case((s.matrix(), bias, f, s.result()), ("out",))


@sample(kernels.activation_backward)
def _(s: Size) -> Iterator[Case]:
    for f in activations():
        yield Case((s.matrix(), kernels.activated(s.matrix(), None, f).astype(s.dtype), f, s.result()), ("out",))


@sample(kernels.bce_with_logits)
def _(s: Size) -> Iterator[Case]:
    target = s.random.uniform(size=(s.rows, s.channels)).astype(s.dtype)
    yield Case((20 * s.matrix(), target, s.result()), ("out",))


@sample(kernels.mean_softplus)
def _(s: Size) -> Iterator[Case]:
    for sign in (1.0, -1.0):
        yield Case((20 * s.matrix(), sign, s.empty()), ("out",))


@sample(kernels.mean_softplus_backward)
def _(s: Size) -> Iterator[Case]:
    yield Case((s.normal(), 20 * s.matrix(), -1.0, s.result()), ("out",))


# -- products --------------------------------------------------------------------------------------------------------
def _factors(s: Size) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """a (rows, depth) and b (depth, channels), each as it is or a transposed view."""
    for depth, (left, right) in zip(
        (1, 3, 47, 5, 3), (*itertools.product((False, True), repeat=2), (False, False)), strict=True
    ):
        a = s.normal(depth, s.rows).T if left else s.normal(s.rows, depth)
        yield a, s.normal(s.channels, depth).T if right else s.normal(depth, s.channels)


@sample(kernels.matmul)
def _(s: Size) -> Iterator[Case]:
    for a, b in _factors(s):
        yield Case((a, b, s.result()), ("out",))
    yield Case((s.normal(2, s.rows, 5), s.normal(1, 5, s.channels), s.empty(2, s.rows, s.channels)), ("out",))
    yield Case((s.normal(2, s.rows, 5), s.normal(5, s.channels), s.empty(2, s.rows, s.channels)), ("out",))
    yield Case((s.normal(s.rows, 5), s.normal(5, s.channels), s.empty(s.channels, s.rows).T), ("out",))
    yield Case((s.normal(s.rows, 10)[:, ::2], s.normal(5, 2 * s.channels)[:, ::2], s.result()), ("out",))


@sample(kernels.matmul_add)
def _(s: Size) -> Iterator[Case]:
    for a, b in _factors(s):
        yield Case((a, b, s.matrix(), s.result()), ("out",))


@sample(kernels.matmul_backward)
def _(s: Size) -> Iterator[Case]:
    for (a, b), f in zip(_factors(s), activations(), strict=False):
        yield Case((a, b, kernels.activated(s.matrix(), None, f).astype(s.dtype), f, s.result()), ("out",))


@sample(kernels.dense)
def _(s: Size) -> Iterator[Case]:
    for i, ((x, w), f) in enumerate(zip(itertools.cycle(_factors(s)), (*activations(), *activations()), strict=False)):
        yield Case((x, w, s.vector() if i % 3 else None, f, s.result()), ("out",))


def _two(s: Size) -> Iterator[Case]:
    yield Case((s.matrix(), s.matrix(), s.result()), ("out",))


sample(kernels.add)(_two)
sample(kernels.multiply)(_two)


# -- sums ------------------------------------------------------------------------------------------------------------
@sample(kernels.column_sum)
def _(s: Size) -> Iterator[Case]:
    yield Case((s.matrix(), s.empty(s.channels)), ("out",), scale=3)


@sample(kernels.sum_over)
def _(s: Size) -> Iterator[Case]:
    shape = (3, s.rows, s.channels)
    for axis in ((), (0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)):
        kept = [1 if i in axis else n for i, n in enumerate(shape)]
        yield Case((s.normal(*shape), axis, s.empty(*kept)), ("out",), scale=3)


@sample(kernels.add_rows)
def _(s: Size) -> Iterator[Case]:
    for count in (1, 2 + s.rows // 3, 5 * s.rows):
        for integers in (np.int64, np.int8):
            low, high = max(-count, -128), min(count, 128)
            rows = s.random.integers(low, high, s.rows).astype(integers)
            yield Case((s.matrix(), rows, s.normal(count, s.channels)), changes=("out",), scale=3)


@sample(kernels.index_add)
def _(s: Size) -> Iterator[Case]:
    for size in (1, 2 * s.channels, 5 * s.rows):
        index = s.random.integers(0, size, (s.rows, s.channels))
        yield Case((s.matrix(), index, s.empty(size)), ("out",), scale=3)


# -- convolution: of many shapes, all small --------------------------------------------------------------------------
GEOMETRIES = [
    of_conv((3,), 1, "same", 1, (11,)),
    of_conv((5,), 3, 2, 2, (14,)),
    of_conv((5, 5), 2, "same", 1, (7, 6)),
    of_conv((3, 3), 1, "valid", 1, (5, 8)),
    of_conv((4, 4), 2, 1, 1, (8, 8)),
    of_conv((2, 3, 1), (1, 2, 2), "same", 1, (3, 4, 3)),
]
FEW = {1: 1, 7: 7, 3: 3, 5: 5}  # channels of a convolution, by a side of the size


def _maps(s: Size) -> Iterator[tuple[Any, ...]]:
    images, ins, outs = min(s.rows, 9), FEW.get(s.rows, 17), FEW.get(s.channels, 33)
    for g in GEOMETRIES:
        x, w, y = s.normal(images, *g.big, ins), s.normal(*g.kernel, ins, outs), s.normal(images, *g.small, outs)
        yield g, x, w, y, s.normal(ins), s.normal(outs)


@sample(kernels.conv)
def _(s: Size) -> Iterator[Case]:
    for i, (g, x, w, y, _, bias) in enumerate(_maps(s)):
        f = activations()[i % len(FUSED)]
        yield Case((x, w, bias if i % 2 else None, g, f, np.full_like(y, np.nan)), ("out",), scale=3)


@sample(kernels.conv_transpose)
def _(s: Size) -> Iterator[Case]:
    for i, (g, x, w, y, bias, _) in enumerate(_maps(s)):
        f = activations()[i % len(FUSED)]
        yield Case((y, w, None if i % 2 else bias, g, f, np.full_like(x, np.nan)), ("out",), scale=3)


@sample(kernels.conv_weight)
def _(s: Size) -> Iterator[Case]:
    for g, x, w, y, _, _ in _maps(s):
        yield Case((x, y, g, np.full_like(w, np.nan)), ("out",), scale=3)


# -- normalisation ---------------------------------------------------------------------------------------------------
def _shifted(s: Size) -> np.ndarray:
    return 2 * s.matrix() + s.dtype.type(3)


@sample(kernels.batch_norm)
def _(s: Size) -> Iterator[Case]:
    for f in activations():
        args = _shifted(s), s.vector(), s.vector(), EPS, f, s.result(), s.empty(2, s.channels)
        yield Case(args, ("out", "statistics"))


@sample(kernels.batch_norm_backward)
def _(s: Size) -> Iterator[Case]:
    for f in activations():
        y = kernels.activated(s.matrix(), None, f).astype(s.dtype)
        results = s.result(), s.empty(s.channels), s.empty(s.channels)
        yield Case((s.matrix(), _shifted(s), y, s.vector(), EPS, f, *results), ("dx", "dgamma", "dbeta"), scale=3)


@sample(kernels.follow_statistics)
def _(s: Size) -> Iterator[Case]:
    args = s.vector(), s.vector(), s.normal(2, s.channels), 0.1, s.rows
    yield Case(args, changes=("mean", "var"))


@sample(kernels.layer_norm)
def _(s: Size) -> Iterator[Case]:
    yield Case((_shifted(s), s.vector(), s.vector(), EPS, s.result()), ("out",))


@sample(kernels.layer_norm_backward)
def _(s: Size) -> Iterator[Case]:
    results = s.result(), s.empty(s.channels), s.empty(s.channels)
    yield Case((s.matrix(), _shifted(s), s.vector(), EPS, *results), ("dx", "dgamma", "dbeta"), scale=3)


def _grouped(s: Size) -> Iterator[tuple[Activation, int, np.ndarray, np.ndarray, np.ndarray]]:
    """An activation, a number of groups, x, and gains and offsets: of all elements or of each."""
    elements, channels = 9 if s.rows < 9 else 3, s.channels
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    for i, f in enumerate(activations()):
        each = (elements if i % 2 else 1, channels)
        groups = (1, channels, divisors[len(divisors) // 2])[i % 3]
        x = 2 * s.normal(elements, s.rows, channels) + s.dtype.type(3)
        yield f, groups, x, s.normal(*each), s.normal(*each)


@sample(kernels.group_norm)
def _(s: Size) -> Iterator[Case]:
    for f, groups, x, gain, offset in _grouped(s):
        yield Case((x, gain, offset, groups, EPS, f, s.empty(*x.shape)), ("out",), scale=3)


@sample(kernels.group_norm_backward)
def _(s: Size) -> Iterator[Case]:
    for f, groups, x, gain, _ in _grouped(s):
        y = kernels.activated(s.normal(*x.shape), None, f).astype(s.dtype)
        results = s.empty(*x.shape), s.empty(len(x), 2, s.channels)
        yield Case((s.normal(*x.shape), x, y, gain, groups, EPS, f, *results), ("dx", "sums"), scale=3)


# -- windows: overlapping, apart, and side by side with and without a rest -----------------------------------------------
WINDOWS = [  # spatial, window, stride
    ((7,), (3,), (2,)),
    ((6, 4), (2, 2), (2, 2)),
    ((7, 5), (3, 2), (3, 2)),
    ((5, 6), (1, 2), (2, 3)),
    ((4, 3, 5), (2, 1, 3), (1, 2, 1)),
    ((9, 9), (9, 9), (1, 1)),
]


def _windows(s: Size) -> Iterator[tuple[kernels.Sizes, kernels.Sizes, kernels.Sizes, kernels.Sizes]]:
    """The shapes of x and of the windows' results, the window, the stride."""
    for spatial, window, stride in WINDOWS:
        shape = (min(s.rows, 3), *spatial, min(s.channels, 37))
        yield shape, kernels.pooled(shape, window, stride), window, stride


@sample(kernels.window_sum)
def _(s: Size) -> Iterator[Case]:
    for big, small, window, stride in _windows(s):
        for factor in (1.0, 0.3):
            yield Case((s.normal(*big), window, stride, factor, s.empty(*small)), ("out",), scale=3)


@sample(kernels.window_spread)
def _(s: Size) -> Iterator[Case]:
    for big, small, window, stride in _windows(s):
        for factor in (1.0, 0.3):
            yield Case((s.normal(*small), window, stride, factor, s.empty(*big)), ("out",), scale=3)


@sample(kernels.window_max)
def _(s: Size) -> Iterator[Case]:
    for big, small, window, stride in _windows(s):
        yield Case((s.normal(*big), window, stride, s.empty(*small)), ("out",))
        for integers in (np.uint8, np.int64):
            x = np.round(s.normal(*big))  # equals among them: the first wins
            args = x, window, stride, s.empty(*small), np.full(small, 99, integers)
            yield Case(args, ("out", "winner"))


@sample(kernels.window_place)
def _(s: Size) -> Iterator[Case]:
    for big, small, window, stride in _windows(s):
        for integers in (np.uint8, np.int64):
            winner = s.random.integers(0, int(np.prod(window)), small).astype(integers)
            yield Case((s.normal(*small), winner, window, stride, s.empty(*big)), ("out",), scale=3)


# -- interpolation ---------------------------------------------------------------------------------------------------
@sample(kernels.interpolate)
def _(s: Size) -> Iterator[Case]:
    for scale in (2, 3):
        n = min(s.rows, 9)
        yield Case((s.normal(3, n, s.channels), scale, s.empty(3, n * scale, s.channels)), ("out",))


@sample(kernels.interpolate_adjoint)
def _(s: Size) -> Iterator[Case]:
    for scale in (2, 3):
        n = min(s.rows, 9)
        yield Case((s.normal(3, n * scale, s.channels), scale, s.empty(3, n, s.channels)), ("out",))


# -- optimizers: a large array among small ones ----------------------------------------------------------------------
def _player(s: Size, groups: int) -> list[list[np.ndarray]]:
    shapes = [(1,), (s.rows, s.channels), (0,), (3, 5)]
    return [[abs(s.normal(*shape)) if group > 1 else s.normal(*shape) for shape in shapes] for group in range(groups)]


@sample(kernels.sgd)
def _(s: Size) -> Iterator[Case]:
    for nesterov in (False, True):
        args = *_player(s, 3), np.array([0.1, 0.9, 0.01]), nesterov
        yield Case(args, changes=("params", "velocity"))


@sample(kernels.rmsprop)
def _(s: Size) -> Iterator[Case]:
    yield Case((*_player(s, 3), np.array([0.01, 0.9, 1e-3])), changes=("params", "square"))


@sample(kernels.adam)
def _(s: Size) -> Iterator[Case]:
    for step in (1.0, 7.0):
        args = *_player(s, 4), np.array([0.001, 0.5, 0.999, 1e-8, 0.01, step])
        yield Case(args, changes=("params", "m", "v"))


@sample(kernels.ema)
def _(s: Size) -> Iterator[Case]:
    yield Case((*_player(s, 2), np.array([0.999])), changes=("averages",))


# -- random numbers --------------------------------------------------------------------------------------------------
KEY, COUNTER = (0xFFFFFFFF, 0x12345678), (1, 0xDEADBEEF, 0xFFFFFFFF)


@sample(kernels.philox)
def _(s: Size) -> Iterator[Case]:
    yield Case((KEY, COUNTER, np.full(s.rows * s.channels, 7, np.uint32)), ("out",))


@sample(kernels.normal)
def _(s: Size) -> Iterator[Case]:
    yield Case((KEY, COUNTER, np.full(s.rows * s.channels, np.nan, np.float32)), ("out",))


@sample(kernels.mask)
def _(s: Size) -> Iterator[Case]:
    for keep in (1e-9, 0.5, 0.7, 1.0):
        yield Case((KEY, COUNTER, keep, s.empty(s.rows * s.channels)), ("out",))


@sample(kernels.shuffle)
def _(s: Size) -> Iterator[Case]:
    yield Case((KEY, COUNTER, np.arange(min(s.rows * s.channels, 999))), changes=("out",))


# -- recurrent layers: what is kept of a step that does not count is nobody's --------------------------------------------
def _sequences(s: Size, gates: int) -> Iterator[tuple[bool, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Whether all steps count, inputs, a state, a matrix and a mask."""
    n, length, units = min(s.rows, 67), 3, min(s.channels, 33)
    for whole in (True, False):
        mask = np.ones((n, length), bool) if whole else s.random.uniform(size=(n, length)) < 0.7
        yield whole, s.normal(n, length, gates * units), s.normal(n, units), s.normal(units, gates * units) / 4, mask


@sample(kernels.lstm)
def _(s: Size) -> Iterator[Case]:
    for whole, xw, h0, u, mask in _sequences(s, 4):
        (n, units), length = h0.shape, mask.shape[1]
        args = xw, h0, s.normal(n, units), u, mask, s.empty(n, length, units), s.empty(n, units)
        yield Case(args, ("hs", "last"), scale=3)
        kept = s.empty(n, length, 5, units)
        yield Case((*args, kept), ("hs", "last", "kept") if whole else ("hs", "last"), scale=3)


@sample(kernels.lstm_backward)
def _(s: Size) -> Iterator[Case]:
    for _, xw, state, u, mask in _sequences(s, 4):
        (n, units), length = state.shape, mask.shape[1]
        given = s.normal(n, length, units), s.normal(n, units), state, u, mask, s.normal(n, length, 5, units) / 4
        yield Case(
            (*given, np.full_like(xw, np.nan), s.empty(n, units), s.empty(n, units)), ("dz", "dh0", "dc0"), scale=3
        )


@sample(kernels.gru)
def _(s: Size) -> Iterator[Case]:
    for whole, xw, h0, u, mask in _sequences(s, 3):
        (n, units), length = h0.shape, mask.shape[1]
        args = xw, h0, u, s.normal(units), mask, s.empty(n, length, units)
        yield Case(args, ("hs",), scale=3)
        yield Case((*args, s.empty(n, length, 4, units)), ("hs", "kept") if whole else ("hs",), scale=3)


@sample(kernels.gru_backward)
def _(s: Size) -> Iterator[Case]:
    for _, xw, h0, u, mask in _sequences(s, 3):
        (n, units), length = h0.shape, mask.shape[1]
        g, hs, kept = s.normal(n, length, units), s.normal(n, length, units), s.normal(n, length, 4, units) / 4
        results = np.full_like(xw, np.nan), s.empty(n, length, units), s.empty(n, units)
        yield Case((g, h0, hs, u, mask, kept, *results), ("dz", "dm", "dh0"), scale=3)
