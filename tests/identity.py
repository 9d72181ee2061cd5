"""`identity`: a property test of a numbered identity, which remembers the largest error it saw.

    @given(pq=tables(2))
    @identity(7, "Pinsker: TV <= sqrt(KL / 2)", atol=1e-12)
    def test_identity_07_pinsker(see, pq):
        p, q = pq
        see.below(divergences.total_variation(p, q), np.sqrt(divergences.kl(p, q) / 2))

`see.equal(left, right)` and `see.below(left, right)` (left <= right) compare, to `atol + rtol |right|`, and record. One number
may have several tests. `bench/identities.py` prints the table of all.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.autodiff import Tensor


@dataclass
class Seen:
    """What the examples of one test showed so far: how many, and the largest error."""

    number: int
    statement: str
    atol: float
    rtol: float = 0.0
    corrected: str = ""  # how the statement differs from the list's, where that was wrong
    examples: int = 0
    comparisons: int = 0
    error: float = 0.0
    name: str = field(default="", compare=False)

    def equal(self, left: Any, right: Any) -> None:
        """|left - right| <= atol + rtol |right| everywhere."""
        a, b = _both(left, right)
        with np.errstate(invalid="ignore"):
            self._record(np.abs(np.where(a == b, 0.0, a - b)), a, b)

    def below(self, left: Any, right: Any) -> None:
        """left <= right + atol + rtol |right| everywhere."""
        a, b = _both(left, right)
        with np.errstate(invalid="ignore"):
            self._record(np.maximum(np.where(a == b, 0.0, a - b), 0.0), a, b)

    def true(self, condition: Any) -> None:
        """A statement without numbers."""
        self.equal(np.asarray(condition, dtype=np.float64), 1.0)

    def _record(self, gap: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        assert gap.size, f"identity {self.number}: nothing to compare"
        limit = self.atol + self.rtol * np.where(np.isfinite(b), np.abs(b), 0.0)
        self.comparisons += gap.size
        worst = float(gap.max())
        assert (gap <= limit).all(), (
            f"identity {self.number} fails by {worst:.3g} (atol {self.atol:g}): {a!r} and {b!r}"
        )
        self.error = max(self.error, worst)


SEEN: dict[str, Seen] = {}


def identity(number: int, statement: str, *, atol: float, rtol: float = 0.0, corrected: str = "") -> Callable[..., Any]:
    """Register a test as holding identity `number`; its first argument is what it compares with (see the module)."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        seen = Seen(number, statement, atol, rtol, corrected, name=test.__name__)
        assert test.__name__.startswith(f"test_identity_{number:02d}_"), f"{test.__name__}: name it by its number"
        assert test.__name__ not in SEEN, f"{test.__name__} exists twice"
        SEEN[test.__name__] = seen

        @functools.wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:
            seen.examples += 1
            test(seen, *args, **kwargs)

        parameters = list(inspect.signature(test).parameters.values())[1:]
        counted.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return counted

    return decorate


def _both(left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
    values = [np.asarray(v.data if isinstance(v, Tensor) else v) for v in (left, right)]
    kind = np.complex128 if any(np.iscomplexobj(v) for v in values) else np.float64
    a, b = np.broadcast_arrays(*(v.astype(kind) for v in values))
    return a, b
