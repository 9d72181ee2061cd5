"""Whether a regulariser holds what it is there to hold, as numbers with targets for `minigan evaluate`.

clip       the largest |weight| of D over the bound c: at most 1
spectral   the largest singular value of each of D's layers, by decomposition and not by the iteration: within 5 % of 1
gp         the mean norm of D's gradient between fakes and reals: near 1 (a critic that has settled is a little above)
lp         the share of these gradients that is above 1.1: small
"""

from __future__ import annotations

import numpy as np

from minigan import nn, ops, penalties
from minigan.autodiff import Tensor
from minigan.backend import to_numpy
from minigan.gans.checks import Check
from minigan.gans.regularizers import Players
from minigan.ops.spectral import as_matrix
from minigan.switches import no_grad

EXAMPLES = 500


def checks_of(model: Players, real: np.ndarray) -> list[Check]:
    """Those of the regularisers that are on. The model is in evaluation mode."""
    config, d = model.config, model.discriminator
    found = []
    if config.clip:
        largest = max(float(np.abs(to_numpy(t.data)).max()) for t in d.parameters().values())
        found.append(Check("largest |weight| of D / clip", largest / config.clip, "<= 1.000001"))
    if config.spectral == "reshaped":
        found += [Check(f"singular value, {name}", value, "0.95 to 1.05") for name, value in singular_values(d).items()]
    if config.gp or config.lp:
        slopes = slopes_between(model, real)
        if config.gp:
            found.append(Check("mean |grad D| between fakes and reals", float(slopes.mean()), "0.8 to 1.2"))
        else:
            found.append(Check("share of |grad D| above 1.1", float((slopes > 1.1).mean()), "<= 0.1"))
    return found


def singular_values(network: nn.Module) -> dict[str, float]:
    """The largest singular value of each layer's weight, as the layer computes with it, by decomposition."""
    with no_grad():
        return {
            path: float(np.linalg.norm(to_numpy(as_matrix(module.weight).data), 2))
            for path, module in network.modules()
            if isinstance(module, (nn.Dense, nn.Conv))
        }


def slopes_between(model: Players, real: np.ndarray) -> np.ndarray:
    """|grad D| at a random point of each segment from a fake to a real."""
    count = min(len(real), EXAMPLES) // model.config.pack * model.config.pack
    x, y = model.seen(Tensor(real[:count])), model.seen(model.fake(count, "z"))
    u = ops.as_tensor(np.random.default_rng(0).random(len(x)), like=x)
    return to_numpy(penalties.gradient_norm(model.discriminator, penalties.between(x, y, u)).data)
