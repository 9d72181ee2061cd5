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

from minigan.lessons.checks import gap_and_limit


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
        self._record(left, right, "=")

    def below(self, left: Any, right: Any) -> None:
        """left <= right + atol + rtol |right| everywhere."""
        self._record(left, right, "<=")

    def true(self, condition: Any) -> None:
        """A statement without numbers."""
        self.equal(np.asarray(condition, dtype=np.float64), 1.0)

    def _record(self, left: Any, right: Any, relation: str) -> None:
        a, b, gap, limit = gap_and_limit(left, right, relation, atol=self.atol, rtol=self.rtol)
        assert gap.size, f"identity {self.number}: nothing to compare"
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
