"""The mathematics of GANs as pure functions, on arrays or tensors.

Given arrays (or lists), a function returns arrays or numbers; given a tensor, it returns tensors that can be differentiated,
to every order. It computes in float64, unless all arrays given are float32: Python numbers and lists take the dtype of the
arrays beside them. Logarithms are natural: entropies and divergences are in nats.

On tables: `divergences`, with `generators` for f-divergences, `information`, and `optimal` for GANs on discrete worlds. On the
line: `densities`. In closed form: `gaussians`. From samples: `estimators`. Distances of transport: `transport`. Games in motion:
`dynamics`, `dirac`. Also `lipschitz` constants and the `relaxation` of choices.
"""

from minigan.theory import (
    densities,
    dirac,
    divergences,
    dynamics,
    estimators,
    gaussians,
    generators,
    information,
    lipschitz,
    optimal,
    relaxation,
    transport,
)

__all__ = [
    "densities",
    "dirac",
    "divergences",
    "dynamics",
    "estimators",
    "gaussians",
    "generators",
    "information",
    "lipschitz",
    "optimal",
    "relaxation",
    "transport",
]
