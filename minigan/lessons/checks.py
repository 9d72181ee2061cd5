"""`check`: a formula, computed two ways, with the error observed beside the tolerance."""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.autodiff import Tensor
from minigan.backend import to_numpy

FAST = "MINIGAN_FAST"  # any value but 0: lessons take the small sizes
LOG = "MINIGAN_CHECKS"  # a file that every check is appended to, one JSON object a line
RELATIONS = ("=", "<=", ">=", "!=")
SHOWN = {"=": "<=", "<=": "<=", ">=": "<=", "!=": ">"}  # how the error compares with the tolerance where a check holds


def exactly(value: float) -> str:
    """A tolerance as it is, with all digits that it was given: 0.12, 1e-12, 0."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.15g}"
    digits, _, exponent = f"{value:.14e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


class CheckError(AssertionError):
    """A formula does not hold to the tolerance it was given."""


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        id: "lesson.formula", for instance "5.3".
        statement: the formula, as text.
        relation: "=", "<=", ">=" or "!=".
        error: the largest |left - right|, or for an inequality the largest excess over it (0 where it holds everywhere).
        atol, rtol: the tolerance, atol + rtol |right|.
        ratio: the largest error / tolerance; at most 1 where a check holds, more than 1 for "!=".
        count: how many numbers were compared.
        errata: the errata that it refutes, for instance ("S0.7",).
        left, right: the two sides where they are closest to failing, or fail the most.
        identity: the number of the identity that a property test holds beside it, or None.
        file, line: where the check stands.
    """

    id: str
    statement: str
    relation: str
    error: float
    atol: float
    rtol: float
    ratio: float
    count: int
    errata: tuple[str, ...]
    identity: int | None
    file: str
    line: int
    left: float = math.nan
    right: float = math.nan

    def __str__(self) -> str:
        tolerance = " + ".join(
            [
                *([exactly(self.atol)] if self.atol or not self.rtol else []),
                *([f"{exactly(self.rtol)} |right|"] if self.rtol else []),
            ]
        )
        refuted = f"   refutes {', '.join(self.errata)}" if self.errata else ""
        found = f"error {self.error:.1e} {SHOWN[self.relation]} {tolerance}"
        if self.relation in ("<=", ">="):
            margin = self.right - self.left if self.relation == "<=" else self.left - self.right
            sides = f"{self.left:.6g} {self.relation} {self.right:.6g}, margin {margin:.2g}"
            found = sides if not self.error else f"{sides}; {found}"
        return f"[{self.id}] {self.statement}   {found}{refuted}"


_listeners: list[Callable[[Check], None]] = []
_seen: dict[str, tuple[str, int]] = {}


def sized(full: int, fast: int) -> int:
    """`full`, or `fast` where the environment variable MINIGAN_FAST is set: for sizes only, never for tolerances."""
    return fast if os.environ.get(FAST, "0") not in ("", "0") else full


@contextmanager
def collected() -> Iterator[list[Check]]:
    """The checks that are made inside the block, in their order; ids used before may be used again."""
    found: list[Check] = []
    before = dict(_seen)
    _seen.clear()
    _listeners.append(found.append)
    try:
        yield found
    finally:
        _listeners.remove(found.append)
        _seen.clear()
        _seen.update(before)


def check(
    id: str,
    statement: str,
    left: Any,
    right: Any = 0.0,
    *,
    atol: float,
    rtol: float = 0.0,
    relation: str = "=",
    errata: str | tuple[str, ...] = (),
    identity: int | None = None,
) -> None:
    """Hold a formula against numbers: print the error observed and the tolerance, and fail where it does not hold.

    - "=":  |left - right| <= atol + rtol |right| everywhere
    - "<=": left <= right + atol + rtol |right| everywhere; ">=" likewise
    - "!=": |left - right| > atol + rtol |right| somewhere, which refutes a claim that they are equal

    Args:
        id: "lesson.formula"; each formula of a lesson has its own.
        statement: the formula, as text.
        left, right: numbers, arrays, tensors or booleans, of shapes that broadcast; computed in two independent ways.
        atol, rtol: absolute and relative tolerance.
        relation: how left is claimed to relate to right.
        errata: the number or numbers of the articles' errata that this refutes ("S0.7").
        identity: the number of the identity whose property test holds the same formula on random inputs.

    Raises:
        CheckError: where the formula does not hold, or a number is NaN.
        ValueError: for an unknown relation, nothing to compare, or an id that another place of the lesson has used.
    """
    if relation not in RELATIONS:
        raise ValueError(f"check {id}: got relation {relation!r}, expected one of {RELATIONS}")
    frame = inspect.stack()[1]
    place = frame.filename, frame.lineno
    if _seen.setdefault(id, place) != place and place[0] == _seen[id][0]:
        raise ValueError(f"check {id}: line {_seen[id][1]} already has this id; every formula needs its own")
    a, b, gap, limit = gap_and_limit(left, right, relation, atol=atol, rtol=rtol)
    if a.size == 0:
        raise ValueError(f"check {id}: got shapes {np.shape(left)} and {np.shape(right)}, nothing to compare")
    error, ratio = _largest(gap, limit)
    holds = ratio > 1 if relation == "!=" else ratio <= 1
    result = Check(
        id, statement, relation, error, atol, rtol, ratio, a.size,
        (errata,) if isinstance(errata, str) else tuple(errata), identity, *place, *_tightest(a, b, relation),
    )  # fmt: skip
    if not holds:
        raise CheckError(f"{result}: this does not hold\nleft:  {a!r}\nright: {b!r}")
    print(result)
    for listener in _listeners:
        listener(result)
    if path := os.environ.get(LOG):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _numbers(value: Any) -> np.ndarray:
    array = to_numpy(value.data if isinstance(value, Tensor) else value)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def gap_and_limit(
    left: Any, right: Any, relation: str, *, atol: float, rtol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(left, right, gap, limit) as arrays of one shape: by how much a relation fails to be exact, and the tolerance.

    Equal infinities differ by 0; a NaN gives a gap of NaN, which is within no limit.
    """
    a, b = np.broadcast_arrays(_numbers(left), _numbers(right))
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, a - b)
    two_sided = relation in ("=", "!=")
    gap = np.abs(gap) if two_sided else np.maximum(gap if relation == "<=" else -gap, 0.0)
    return a, b, gap, atol + rtol * np.where(np.isfinite(b), np.abs(b), 0.0)


def _tightest(a: np.ndarray, b: np.ndarray, relation: str) -> tuple[float, float]:
    """The two sides at the place where the relation has the least margin; of complex numbers their real parts."""
    with np.errstate(invalid="ignore"):
        margin = {"<=": b - a, ">=": a - b}.get(relation, -np.abs(a - b)).real
    at = int(np.nanargmin(np.where(np.isnan(margin), np.inf, margin)))
    return float(a.flat[at].real), float(b.flat[at].real)


def _largest(gap: np.ndarray, limit: np.ndarray) -> tuple[float, float]:
    """(largest error, largest error / tolerance)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(gap == 0, 0.0, gap / limit)
    return float(gap.max()), float(ratio.max())
