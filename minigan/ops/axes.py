"""Axes: the one place that says which axis a number means.

Negative numbers count from the end; NumPy's integers are integers, booleans and floats are not. An axis that is not there, or
that is named twice, is an error: taken modulo the number of axes, it would be another one in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigan.checks import whole
from minigan.methods import Axis as Axis


def axis_of(owner: str, axis: Any, ndim: int) -> int:
    """One axis as a number in [0, ndim).

    Raises:
        TypeError: not an integer.
        ValueError: no axis of an array with `ndim` axes.
    """
    number = whole(owner, "axis", axis)
    if not -ndim <= number < ndim:
        limits = f"an integer in [{-ndim}, {ndim - 1}]" if ndim else "none: there is no axis"
        raise ValueError(f"{owner}: got axis {axis} for an array with {ndim} axes, expected {limits}")
    return number % ndim


def axes_of(owner: str, axis: Any, ndim: int, *, ordered: bool = False) -> tuple[int, ...]:
    """Axes as numbers in [0, ndim): all for None, else one, or those of a tuple or list; sorted, unless `ordered` asks for
    the order given.

    Raises:
        TypeError: not integers.
        ValueError: an axis that is not there, or that is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list, range)) else (axis,)
    axes = tuple(axis_of(owner, a, ndim) for a in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{owner}: got axis {axis}, which names an axis twice")
    return axes if ordered else tuple(sorted(axes))


def lengths_of(owner: str, name: str, lengths: Iterable[Any]) -> tuple[int, ...]:
    """A shape as Python's integers.

    Raises:
        TypeError: a length that is no integer.
    """
    return tuple(whole(owner, name, n) for n in lengths)
