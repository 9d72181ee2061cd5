"""Several positions as one: a convolution with few output channels is one with many, of fewer positions.

A tile of the microkernel has WIDTH columns. With 8 output channels half of 16 columns stand empty, with one fifteen of them.
But m neighbouring positions of the last axis with b channels each lie in memory as one position with m b channels. Position
o = m j + r is column block r of position j, and with i = o s + k d - p

    y[m j + r] = sum over k of x[(m j + r) s + k d - p] w[k] = sum over k' of x[j (m s) + k' - p] w'[k'][r],
    w'[k'][r] = w[k] where k' = r s + k d, else 0,      k' < K' = (m - 1) s + (K - 1) d + 1:

a convolution of stride m s with a kernel that is m - 1 strides longer, into the same memory. For m positions it multiplies K' m b
columns, zeros among them, where one position at a time takes K m WIDTH: it pays as long as K' b < K WIDTH. What a position reads
beyond its own taps meets zeros there, so that an Inf or NaN in x also reaches m - 1 neighbours (as in Winograd's form).

The weight gradient goes back the same way: that of w', of which each w[k] sums the m blocks that it was copied to. The
transposed map has two such forms. With all strides 1 it is a convolution with the kernel turned round, w~[k] = w[K - 1 - k]^T
and p~ = (K - 1) d - p. And where m is the last axis's stride, the m phases of its outputs i = m j + r are the blocks of one
transposed convolution of stride 1 there: i = o m + k d - p pairs j and o with

    o = j + e,  e = (r + p - k d) / m where that is whole,      k' = max e - e,   p' = max e.

Nothing here computes: a wide map is a plain one of another geometry, by whatever algorithm is the quickest for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigan.backend import Array
from minigan.kernels.geometry import Geometry

Job = Callable[[], None]


class Wide(NamedTuple):
    """A map with m positions as one: which of the three maps it is then, and on which geometry.

    turned: a transposed map as a convolution. phases: of a transposed map that stays one, (new tap, block, old tap) of the last
    axis; else the old tap k of block r is the new tap r step + k dilation.
    """

    which: str
    geometry: Geometry
    m: int
    turned: bool = False
    phases: tuple[tuple[int, int, int], ...] = ()
    step: int = 1
    dilation: int = 1

    def channels(self, which: str, ins: int, outs: int) -> tuple[int, int]:
        """(ins, outs) of the wide map, from those of the map `which` that it computes."""
        if self.turned:
            return outs, self.m * ins
        return (self.m * ins, outs) if which == "conv_transpose" else (ins, self.m * outs)


def _last(values: tuple[int, ...], value: int) -> tuple[int, ...]:
    return (*values[:-1], value)


def _conv(geometry: Geometry, m: int) -> Geometry:
    stride, reach = geometry.stride[-1], (geometry.kernel[-1] - 1) * geometry.dilation[-1]
    return geometry._replace(
        kernel=_last(geometry.kernel, (m - 1) * stride + reach + 1),
        stride=_last(geometry.stride, m * stride),
        dilation=_last(geometry.dilation, 1),
        small=_last(geometry.small, geometry.small[-1] // m),
    )


def _turned(geometry: Geometry) -> Geometry:
    """The transposed map's geometry as a convolution's, for strides of 1."""
    low = tuple((k - 1) * d - p for k, d, p in zip(geometry.kernel, geometry.dilation, geometry.low, strict=True))
    return geometry._replace(low=low, big=geometry.small, small=geometry.big)


def widened(which: str, geometry: Geometry, m: int) -> Wide | None:
    """The map with m > 1 positions as one; None where there is no such form."""
    transposed = which == "conv_transpose"
    length = (geometry.big if transposed else geometry.small)[-1]
    kernel, stride, dilation, low = (part[-1] for part in geometry[:4])
    if m < 2 or length % m:
        return None
    if not transposed:
        return Wide(which, _conv(geometry, m), m, step=stride, dilation=dilation)
    if max(geometry.stride) == 1:
        turned = _turned(geometry)
        possible = min(turned.low) >= 0
        return Wide("conv", _conv(turned, m), m, turned=True, dilation=dilation) if possible else None
    if m != stride:
        return None
    shifts = [(r + low - k * dilation, r, k) for r in range(m) for k in range(kernel)]
    pairs = [(e // m, r, k) for e, r, k in shifts if e % m == 0]
    most, least = max(pairs)[0], min(pairs)[0]
    fresh = geometry._replace(
        kernel=_last(geometry.kernel, most - least + 1), stride=_last(geometry.stride, 1),
        dilation=_last(geometry.dilation, 1), low=_last(geometry.low, most), big=_last(geometry.big, length // m),
    )  # fmt: skip
    return Wide(which, fresh, m, phases=tuple((most - e, r, k) for e, r, k in pairs))


def _places(wide: Wide, weights: Array, taps: int) -> Array:
    """Where the old weights (..., taps, in, out) lie in the new ones, for each block: a view (..., m, taps, in, out)."""
    *_, tap, row, one = weights.strides
    columns = weights.shape[-1] // wide.m
    return np.lib.stride_tricks.as_strided(
        weights,
        (*weights.shape[:-3], wide.m, taps, weights.shape[-2], columns),
        (*weights.strides[:-3], wide.step * tap + columns * one, wide.dilation * tap, row, one),
    )


def _copies(wide: Wide, weights: Array, w: Array, columns: int) -> list[tuple[Array, Array]]:
    """What has to be copied where, to spread the old weights."""
    if wide.phases:
        blocks = ((new, slice(r * columns, (r + 1) * columns), old) for new, r, old in wide.phases)
        return [(weights[..., new, block, :], w[..., old, :, :]) for new, block, old in blocks]
    if wide.turned:
        w = w[(slice(None, None, -1),) * (w.ndim - 2)].swapaxes(-1, -2)
    return [(_places(wide, weights, w.shape[-3]), np.expand_dims(w, -4))]


def plan_data(wide: Wide, source: Array, w: Array, bias: Array | None, out: Array, inner: Callable[..., Job]) -> Job:
    """conv or conv_transpose as a job: the weights are spread, then `inner(which, source, w, bias, geometry, out)` does it."""
    columns = out.shape[-1]
    channels = (
        (wide.m * columns, source.shape[-1]) if wide.which == "conv_transpose" else (source.shape[-1], wide.m * columns)
    )
    weights = np.zeros((*wide.geometry.kernel, *channels), w.dtype)
    offsets = None if bias is None else np.empty(wide.m * columns, bias.dtype)
    copies = _copies(wide, weights, w, columns)
    job = inner(wide.which, source, weights, offsets, wide.geometry, out.reshape(_merged(out, wide.m)))

    def run() -> None:
        for target, part in copies:
            target[...] = part
        if offsets is not None and bias is not None:
            offsets.reshape(wide.m, columns)[...] = bias
        job()

    return run


def plan_weight(wide: Wide, x: Array, g: Array, out: Array, inner: Callable[..., Job]) -> Job:
    """conv_weight as a job: `inner(x, g, geometry, out)`, then the sum of each tap's blocks."""
    weights = np.empty((*wide.geometry.kernel, x.shape[-1], wide.m * g.shape[-1]), out.dtype)
    job = inner(x, g.reshape(_merged(g, wide.m)), wide.geometry, weights)
    blocks = _places(wide, weights, out.shape[-3])

    def run() -> None:
        job()
        np.add.reduce(blocks, axis=-4, out=out)

    return run


def _merged(a: Array, m: int) -> tuple[int, ...]:
    """The shape of `a` with m positions of its last spatial axis as one."""
    return (*a.shape[:-2], a.shape[-2] // m, m * a.shape[-1])


def counts(which: str, geometry: Geometry, columns: int, width: int) -> list[int]:
    """Numbers m of positions that fill a tile of `width` columns better than one does, with `columns` channels each."""
    length = (geometry.big if which == "conv_transpose" else geometry.small)[-1]
    most = max(1, 2 * width // columns)
    return [m for m in range(2, min(most, length) + 1) if length % m == 0] if columns % width else []


def weights_size(wide: Wide, ins: int, outs: int) -> int:
    """Elements of the wide weights."""
    return math.prod(wide.geometry.kernel) * ins * outs
