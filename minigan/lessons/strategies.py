"""Hypothesis strategies for the exercises and the property tests: probability tables, logits, sample sets.

Needs `hypothesis` (`pip install "minigan[lessons]"`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

LOGIT = 8.0  # the largest |logit| of a probability table: probabilities down to about e^-16


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats in [low, high], without subnormals, NaN and infinities."""
    return st.floats(low, high, allow_nan=False, allow_infinity=False, allow_subnormal=False)


def arrays(shape: Any, low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    """float64 arrays with elements in [low, high]; the shape may be a strategy."""
    return hnp.arrays(np.float64, shape, elements=floats(low, high))


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@st.composite
def tables(
    draw: Any, count: int = 2, *, min_size: int = 2, max_size: int = 32, zeros: bool = False, bound: float = LOGIT
) -> tuple[np.ndarray, ...]:
    """`count` probability tables over the same n outcomes, n in [min_size, max_size]: softmax of logits in [-bound, bound].

    With `zeros` some outcomes have probability exactly 0 (never all of a table).
    """
    n = draw(st.integers(min_size, max_size))
    made = []
    for _ in range(count):
        p = _softmax(draw(arrays(n, -bound, bound)))
        if zeros:
            kept = draw(hnp.arrays(np.bool_, n))
            kept[draw(st.integers(0, n - 1))] = True
            p = np.where(kept, p, 0.0)
            p = p / p.sum()
        made.append(p)
    return tuple(made)
