"""What a product does on its way out: of two recorded calls one kernel, where the second reads nothing but the first.

    y = a b,  y + c        Where a weight is used twice, as by a gradient penalty, its gradient is a sum of products.
    y = a b,  f'(z) y      The chain rule through a dense layer behind a (leaky) ReLU, whose f' is read off its result.

Done afterwards, the product is written, read again and written again; done while it is in registers, only c, or f(z), is read.
The bits are the same: the sum over k ends in a single-precision register either way.

That is so for a product whose result no other call reads, and which nobody holds when the step has ended. It is then made where
the second call stood, since c may be computed in between; so a and b have to live as long, and no effect may lie between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.activation import Activation
from minigan.arena import Place
from minigan.backend import Array
from minigan.kernels import reference as kernels

PRODUCTS = {
    "matmul": (False, False),
    "matmul_nt": (False, True),
    "matmul_tn": (True, False),
}  # which factors are turned


class Ending:
    """A product with what follows it, as an operation of recorded calls. It stands where the second call was and has its name.

    Attributes:
        product: the number of the call that it takes over.
        beside: c of a b + c, or the y of f'(z) a b.
    """

    takes_out, view = True, False

    def __init__(self, second: str, turns: tuple[bool, bool], product: int, beside: Any) -> None:
        self.name, self.turns, self.product, self.beside = second, turns, product, beside

    def forward(self, a: Array, b: Array, c: Array, *, out: Array, f: Activation | None = None) -> Array:
        """Into `out`, which is none of them."""
        left, right = _factors(self.turns, a, b)
        if f is None:
            kernels.matmul_add(left, right, c, out)
        else:
            kernels.matmul_backward(left, right, c, f, out)
        return out

    def plan(self, a: Array, b: Array, c: Array, *, out: Array, f: Activation | None = None) -> Any:
        """The same for arrays that stay where they are."""
        left, right = _factors(self.turns, a, b)
        if f is None:
            return kernels.matmul_add.plan(left, right, c, out)
        return kernels.matmul_backward.plan(left, right, c, f, out)


def _factors(turns: tuple[bool, bool], *factors: Array) -> list[Array]:
    """As `matmul` takes them."""
    return [v.swapaxes(-1, -2) if turn else v for v, turn in zip(factors, turns, strict=True)]


def nothing() -> None:
    """What is left of a product that is made with what follows it."""


def endings(noted: Sequence[Any]) -> dict[int, Ending]:
    """By their numbers the calls that can be made together with a product.

    Args:
        noted: the calls of a recording; see `minigan.replay`.
    """
    made: dict[int, int] = {}  # the storage of a product's result, to the number of the product
    found: dict[int, Ending] = {}
    for i, call in enumerate(noted):
        if call.kind == "effect":
            made = {}
            continue
        name, inputs = call.function.name, call.inputs
        ways = [inputs, inputs[::-1]] if name == "add" else [inputs] if _is_slope(call) else []
        products = [(made[id(y.storage)], c) for y, c in ways if _ends_in(y, c, call.out, i, noted, made)]
        if products:
            j, c = max(products, key=lambda way: way[0])  # the later product keeps its factors for a shorter time
            found[i] = Ending(name, PRODUCTS[noted[j].function.name], j, c)
        for place in inputs:  # read by something else than what may follow
            if isinstance(place, Place):
                made.pop(id(place.storage), None)
        if name in PRODUCTS and _has_kernel(PRODUCTS[name], inputs[0], inputs[1], call.out):
            made[id(call.out.storage)] = i
    return found


def _is_slope(call: Any) -> bool:
    """Whether a call multiplies by the derivative of a piecewise linear activation."""
    return call.function.name == "activation_backward" and call.params["f"].below is not None


def _ends_in(y: Any, c: Any, out: Any, i: int, noted: Sequence[Any], made: dict[int, int]) -> bool:
    """Whether y is a product that only call number i reads, that nobody holds, and that lies as c and the result do."""
    if not isinstance(y, Place) or id(y.storage) not in made or (isinstance(c, Place) and y.storage is c.storage):
        return False
    alone = y.storage.last == i and y.storage.kept is None and y.storage.owner() is None
    return alone and _layout(y) == _layout(c) == _layout(out) and y == noted[made[id(y.storage)]].out


def _layout(value: Any) -> tuple[Any, ...]:
    dtype = value.dtype if isinstance(value, Place) else value.dtype.str
    return value.shape, value.strides, dtype


def _has_kernel(turns: tuple[bool, bool], a: Any, b: Any, out: Any) -> bool:
    """Whether a product of such arrays can go on: its plan asks for their shapes and strides, not for what they hold."""
    if not isinstance(out, Place):
        return False
    a, b, like = (_like(v) if isinstance(v, Place) else v for v in (a, b, out))
    left, right = _factors(turns, a, b)
    return kernels.matmul_add.plan(left, right, like, like) is not None


def _like(place: Place) -> np.ndarray:
    """An array of its shape and strides, of one number."""
    return np.lib.stride_tricks.as_strided(np.empty(1, place.dtype), place.shape, place.strides)


__all__ = ["Ending", "endings", "nothing"]
