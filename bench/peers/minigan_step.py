"""minigan itself, as its README writes it: a model from the zoo, a loader, and `game.step` (recorded once, then replayed).

Knobs: `replay=no` runs every step eagerly, building and walking the graph anew.
"""

from __future__ import annotations

import os
from typing import Any

from protocol import SEED, make_data, parse_args, report

ARGS = parse_args(__doc__, {"replay": ("yes", "no")})
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: ARGS.threads])
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(ARGS.threads)

import numba  # noqa: E402
import numpy as np  # noqa: E402

import minigan as mg  # noqa: E402
from minigan.gans import get  # noqa: E402


def main() -> None:
    """Time `game.step` with a shuffled batch gathered into the buffer that the replay reads."""
    work = ARGS.work
    model_class = get(work.name)
    data = make_data(work)
    config = model_class.Config(batch_size=work.batch, seed=SEED, ema=0.0)  # no peer averages weights
    model = model_class(config, data.shape[1:], replay=ARGS.pick("replay", "yes") == "yes")
    loader = mg.data.Loader(data, batch_size=work.batch, seed=SEED)
    shape, count = (work.batch, *data.shape[1:]), 0

    def step() -> dict[str, Any]:
        nonlocal count
        losses = model.game.step(loader.batch(count, out=model.game.buffer(shape)))
        count += 1
        return losses

    def wait(losses: dict[str, Any]) -> tuple[float, float]:
        return losses["discriminator"].item(), losses["generator"].item()

    def weights(net: mg.nn.Module) -> int:
        return sum(t.size for t in net.parameters().values())

    versions = {"minigan": mg.__version__, "numpy": np.__version__, "numba": numba.__version__}
    counts = (weights(model.generator), weights(model.discriminator))
    report("minigan", ARGS, versions, step, wait, weights=counts)


if __name__ == "__main__":
    main()
