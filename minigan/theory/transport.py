"""Optimal transport and its relatives: one place to find them, each file one idea.

The order of a Wasserstein distance is called `order` everywhere, inf included; where no table is called so, `p` will do too.

- on the line (`transport_line`): `wasserstein_1d` by quantiles, `wasserstein_1d_cdf` by distribution functions,
  `wasserstein_tables` for probability tables on given numbers, `kantorovich_critic`, `sliced_wasserstein`
- finite laws (`transport_discrete`): `discrete_transport` (plan, cost, potentials), `kantorovich_potentials`
- with an entropy term (`transport_entropic`): `sinkhorn`
- Gaussian laws (`transport_gaussian`): `frechet_distance`, `gaussian_monge_map`
- without optimisation (`discrepancies`): `energy_distance`, `mmd_squared` and its kernels
"""

from minigan.theory.discrepancies import (
    energy_distance,
    gaussian_kernel,
    mixture_kernel,
    mmd_squared,
    negative_distance,
    polynomial_kernel,
)
from minigan.theory.transport_discrete import Transport, discrete_transport, kantorovich_potentials
from minigan.theory.transport_entropic import sinkhorn
from minigan.theory.transport_gaussian import AffineMap, frechet_distance, gaussian_monge_map
from minigan.theory.transport_line import (
    kantorovich_critic,
    sliced_wasserstein,
    wasserstein_1d,
    wasserstein_1d_cdf,
    wasserstein_tables,
)

__all__ = [
    "AffineMap",
    "Transport",
    "discrete_transport",
    "energy_distance",
    "frechet_distance",
    "gaussian_kernel",
    "gaussian_monge_map",
    "kantorovich_critic",
    "kantorovich_potentials",
    "mixture_kernel",
    "mmd_squared",
    "negative_distance",
    "polynomial_kernel",
    "sinkhorn",
    "sliced_wasserstein",
    "wasserstein_1d",
    "wasserstein_1d_cdf",
    "wasserstein_tables",
]
