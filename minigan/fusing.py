"""Sums that a product makes on its way out: of two recorded calls, y = a b and y + c, one kernel.

Where a weight is used twice, as by a gradient penalty, its gradient is a sum of products. Added afterwards, each product is
written, read again and written again; added while it is in registers, c is read once. The bits are the same: the sum over k ends
in a single-precision register either way, and c is added to that.

That is so for a product whose result nothing but the sum reads, and which nobody holds when the step has ended. The product is
then made where the sum stood, since c may be computed in between; so a and b have to live as long, and no effect may lie between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.arena import Place
from minigan.backend import Array
from minigan.kernels import dispatch

PRODUCTS = {
    "matmul": (False, False),
    "matmul_nt": (False, True),
    "matmul_tn": (True, False),
}  # which factors are turned


class ProductPlusArray:
    """The operation a b + c of recorded calls; it stands where the sum was and has its name."""

    name, takes_out, view = "add", True, False

    def __init__(self, product: str) -> None:
        self.turns = PRODUCTS[product]

    def forward(self, a: Array, b: Array, c: Array, *, out: Array) -> Array:
        """a b + c into `out`, which is none of them."""
        dispatch.kernels_for(out).matmul(*self.factors(a, b), out)
        out += c
        return out

    def plan(self, a: Array, b: Array, c: Array, *, out: Array) -> Any:
        """See `minigan.kernels.reference.plan_matmul_add`."""
        return dispatch.kernels_for(out).plan_matmul_add(*self.factors(a, b), c, out)

    def factors(self, *factors: Array) -> list[Array]:
        """As `matmul` takes them."""
        return [v.swapaxes(-1, -2) if turn else v for v, turn in zip(factors, self.turns, strict=True)]


def nothing() -> None:
    """What is left of a product that is made with its sum."""


def sums_of_products(noted: Sequence[Any]) -> dict[int, tuple[int, Place]]:
    """For the number of each sum that can be made by a product: the product's number, and the other term.

    Args:
        noted: the calls of a recording; see `minigan.replay`.
    """
    made: dict[int, int] = {}  # the storage of a product's result, to the number of the product
    found: dict[int, tuple[int, Place]] = {}
    for i, call in enumerate(noted):
        if call.kind == "effect":
            made = {}
            continue
        if call.function.name == "add":
            ways = [
                (made[id(y.storage)], c)
                for y, c in (call.inputs, call.inputs[::-1])
                if _ends_in(y, c, call.out, i, noted, made)
            ]
            if ways:
                found[i] = max(ways, key=lambda way: way[0])  # the later product keeps its factors for a shorter time
        for place in call.inputs:  # read by something else than the sum
            if isinstance(place, Place):
                made.pop(id(place.storage), None)
        if call.function.name in PRODUCTS:
            a, b = call.inputs
            if _can_add(call.function.name, a, b, call.out):
                made[id(call.out.storage)] = i
    return found


def _ends_in(y: Any, c: Any, out: Any, i: int, noted: Sequence[Any], made: dict[int, int]) -> bool:
    """Whether y is a product that only call number i, y + c, reads, that nobody holds, and that is like c and the sum."""
    if (
        not all(isinstance(place, Place) for place in (y, c, out))
        or id(y.storage) not in made
        or y.storage is c.storage
    ):
        return False
    alone = y.storage.last == i and y.storage.kept is None and y.storage.owner() is None
    like = y[2:5] == c[2:5] == out[2:5]  # shape, strides, dtype
    return alone and like and y == noted[made[id(y.storage)]].out


def _can_add(product: str, a: Any, b: Any, out: Any) -> bool:
    """Whether the product of such arrays is one of those that add: a question of shapes and strides, not of where they lie."""
    if not isinstance(out, Place):
        return False
    a, b, like = (_like(v) if isinstance(v, Place) else v for v in (a, b, out))
    return bool(dispatch.kernels_for(a).adds(*ProductPlusArray(product).factors(a, b), like))


def _like(place: Place) -> np.ndarray:
    """An array of its shape and strides, of one number."""
    return np.lib.stride_tricks.as_strided(np.empty(1, place.dtype), place.shape, place.strides)


__all__ = ["ProductPlusArray", "nothing", "sums_of_products"]
