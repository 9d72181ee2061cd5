"""The index relation of a convolution: which input position meets which output position under which tap of the kernel.

Along each spatial axis, `big` positions i and `small` positions o belong together under tap k when

    i = o * stride + k * dilation - low,      0 <= i < big,  0 <= o < small,  0 <= k < kernel.

That one relation serves all three maps: `conv` sums over (i, k) for each o, `conv_transpose` over (o, k) for each i, and
`conv_weight` over (i, o) for each k. What lies outside [0, big) is zero and takes no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.checks import is_whole

Ints = tuple[int, ...]
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]


class Geometry(NamedTuple):
    """The index relation, one entry an axis (1 to 3 axes). `low` is the padding before the first element; the padding after
    the last follows from the sizes, and may be negative where the stride does not reach the end."""

    kernel: Ints
    stride: Ints
    dilation: Ints
    low: Ints
    big: Ints
    small: Ints

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def taps(self) -> int:
        """Elements of the kernel."""
        return math.prod(self.kernel)

    def lifted(self) -> Geometry:
        """The same with three axes: those that are missing come first, with one position and one tap."""
        n = 3 - self.ndim
        fill = (1, 1, 1, 0, 1, 1)
        return Geometry(*((value,) * n + part for value, part in zip(fill, self, strict=True)))

    def span(self, axis: int, k: int) -> range:
        """The small positions o that tap k pairs with a position inside [0, big), in order."""
        s, shift = self.stride[axis], k * self.dilation[axis] - self.low[axis]
        first = max(0, -(shift // s))  # the least o with o s + shift >= 0
        last = min(self.small[axis], (self.big[axis] - 1 - shift) // s + 1)
        return range(first, max(first, last))

    def position(self, axis: int, o: int, k: int) -> int:
        """The big position i of (o, k); may lie outside [0, big)."""
        return o * self.stride[axis] + k * self.dilation[axis] - self.low[axis]

    def pairs(self) -> int:
        """How many (i, o, k) belong together: the multiplications that are not by padding, a pair of channels each."""
        return math.prod(sum(len(self.span(a, k)) for k in range(self.kernel[a])) for a in range(self.ndim))


def per_axis(name: str, value: Any, ndim: int, least: int = 1) -> Ints:
    """An integer for all axes, or one an axis."""
    values = (
        (value,) * ndim if is_whole(value) else tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    )
    if len(values) != ndim or any(not is_whole(v) or v < least for v in values):
        raise ValueError(f"{name}: got {value!r}, expected an integer >= {least} or {ndim} of them")
    return tuple(int(v) for v in values)


def sizes(name: str, value: Any) -> int | Ints:
    """An integer for all axes of an input that is not known yet, or one for each of up to three axes."""
    if is_whole(value):
        return per_axis(name, value, 1)[0]
    axes = len(value) if isinstance(value, (tuple, list, np.ndarray)) else 0
    if not 1 <= axes <= 3:
        raise ValueError(f"{name}: got {value!r}, expected an integer >= 1, or one for each of 1 to 3 axes")
    return per_axis(name, value, axes)


def _reach(kernel: int, dilation: int) -> int:
    """Positions from a kernel's first tap to its last."""
    return (kernel - 1) * dilation + 1


def pads(padding: Any, ndim: int) -> list[tuple[int, int]]:
    """Padding given as numbers: one for all, one an axis, or a pair an axis."""
    if is_whole(padding):
        return [(p, p) for p in per_axis("padding", padding, ndim, 0)]
    kinds = (tuple, list, np.ndarray)
    given = list(padding) if isinstance(padding, kinds) else []
    pairs = [(p, p) if is_whole(p) else tuple(p) if isinstance(p, kinds) else () for p in given]
    if len(pairs) != ndim or not all(len(p) == 2 and all(is_whole(q) and q >= 0 for q in p) for p in pairs):
        raise ValueError(
            f"padding: got {padding!r}, expected 'same', 'valid', an integer >= 0, {ndim} of them, "
            f"or {ndim} pairs (before, after)"
        )
    return [(int(p[0]), int(p[1])) for p in pairs]


def _check(name: str, kernel: Ints, sizes: Ints, which: str) -> None:
    if len(kernel) != len(sizes) or not 1 <= len(kernel) <= 3 or min(*kernel, *sizes) < 1:
        raise ValueError(
            f"{name}: got kernel {kernel} and {which} sizes {sizes}, expected 1 to 3 axes of at least 1 each"
        )


def of_conv(kernel: Ints, stride: Any, padding: Any, dilation: Any, big: Ints, name: str = "conv") -> Geometry:
    """The geometry of a convolution over an input of sizes `big`.

    "same" gives ceil(big / stride) outputs, with the padding that this takes divided evenly, the odd one after; "valid" none.
    """
    _check(name, kernel, big, "input")
    n = len(kernel)
    s, d = per_axis("stride", stride, n), per_axis("dilation", dilation, n)
    reach = [_reach(kernel[a], d[a]) for a in range(n)]
    if isinstance(padding, str) and padding == "same":
        small = tuple(-(-big[a] // s[a]) for a in range(n))
        low = tuple(max(0, (small[a] - 1) * s[a] + reach[a] - big[a]) // 2 for a in range(n))
        return Geometry(kernel, s, d, low, big, small)
    widths = pads(0 if isinstance(padding, str) and padding == "valid" else padding, n)
    small = tuple((big[a] + sum(widths[a]) - reach[a]) // s[a] + 1 for a in range(n))
    if min(small) < 1:
        raise ValueError(
            f"{name}: a kernel of {kernel} with dilation {d} does not fit into an input of {big} with padding {padding!r}; "
            "use padding='same' or more padding"
        )
    return Geometry(kernel, s, d, tuple(p[0] for p in widths), big, small)


def of_transpose(
    kernel: Ints,
    stride: Any,
    padding: Any,
    dilation: Any,
    small: Ints,
    output_size: Any = None,
    name: str = "conv_transpose",
) -> Geometry:
    """The geometry whose convolution maps `output_size` to `small`: the one that a transposed convolution is the adjoint of.

    Without `output_size`: small * stride for "same", else the least size that fits.
    """
    _check(name, kernel, small, "input")
    n = len(kernel)
    s, d = per_axis("stride", stride, n), per_axis("dilation", dilation, n)
    if output_size is None:
        if isinstance(padding, str) and padding == "same":
            big = tuple(small[a] * s[a] for a in range(n))
        else:
            widths = pads(0 if isinstance(padding, str) and padding == "valid" else padding, n)
            big = tuple((small[a] - 1) * s[a] + _reach(kernel[a], d[a]) - sum(widths[a]) for a in range(n))
            if min(big) < 1:
                raise ValueError(
                    f"{name}: padding {padding!r} leaves an output of {big}, expected at least 1; use less padding"
                )
    else:
        big = per_axis("output_size", output_size, n)
    geometry = of_conv(kernel, stride, padding, dilation, big, name)
    if geometry.small != tuple(small):
        raise ValueError(
            f"{name}: output_size {big} is not one: a convolution with kernel {kernel}, stride {s}, padding {padding!r} and "
            f"dilation {d} maps it to {geometry.small}, not to {tuple(small)}"
        )
    return geometry
