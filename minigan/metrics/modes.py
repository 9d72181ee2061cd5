"""How a toy generator covers a mixture whose modes are known."""

from __future__ import annotations

from minigan.data import mode_statistics
from minigan.metrics.comparison import Comparison
from minigan.metrics.registry import register


def _measured(c: Comparison) -> dict[str, float]:
    modes, sigma = c.mixture
    found = mode_statistics(c.fake.points, modes, sigma)
    return {"modes": found["modes"], "good samples": found["good"], "reverse KL": found["reverse_kl"]}


# The function, with formula, source and what real samples give, stands with the mixtures. Bias of the reverse KL, as of every
# plug-in estimate of a table: upwards by (modes - 1)/2n.
register(
    mode_statistics,
    name="mode coverage",
    better={"modes": "higher", "good samples": "higher", "reverse KL": "lower"},
    measure=_measured,
    bias=lambda c: {"reverse KL": (len(c.mixture[0]) - 1) / (2 * len(c.fake))},
    live=True,
)
