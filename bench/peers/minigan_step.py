"""minigan itself, as its README writes it: a model from the zoo, a loader, and `game.step` (recorded once, then replayed).

Knobs: `replay=no` runs every step eagerly, building and walking the graph anew. On a GPU (`--device cuda`) the data set stays on
the device, as `minigan train --device gpu` keeps it, and `precision=high` allows TF32.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from protocol import PRECISION, SEED, keep_to, make_data, parse_args, report

ARGS = parse_args(__doc__, {"replay": ("yes", "no"), "precision": PRECISION}, devices=("cpu", "cuda"))
keep_to(ARGS.threads)
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(ARGS.threads)

import numba  # noqa: E402
import numpy as np  # noqa: E402

if ARGS.device == "cuda":
    import cupy

import minigan as mg  # noqa: E402
from minigan.gans import get  # noqa: E402


def feed_of(loader: mg.data.Loader, data: np.ndarray, game: mg.Game) -> Callable[[int], Any]:
    """The batch of a step, gathered into the buffer that the replay reads."""
    shape = (loader.batch_size, *data.shape[1:])
    if ARGS.device == "cpu":
        return lambda step: loader.batch(step, out=game.buffer(shape))
    resident = cupy.asarray(data)
    return lambda step: cupy.take(resident, cupy.asarray(loader.indices(step)), axis=0, out=game.buffer(shape))


def main() -> None:
    """Time `game.step` with a shuffled batch gathered into the buffer that the replay reads."""
    work, on_gpu = ARGS.work, ARGS.device == "cuda"
    model_class = get(work.name)
    data = make_data(work)
    plain = {"ema": 0.0} | ({"r1": 0.0} if hasattr(model_class.Config, "r1") else {})  # no peer averages or penalises
    config = model_class.Config(batch_size=work.batch, seed=SEED, **plain)
    mg.backend.matmul_precision(ARGS.pick("precision", "highest"))
    options = {"device": "gpu" if on_gpu else "cpu", "replay": ARGS.pick("replay", "yes") == "yes"}
    model = model_class(config, data.shape[1:], **options)
    loader = mg.data.Loader(data, batch_size=work.batch, seed=SEED)
    feed, count = feed_of(loader, data, model.game), 0

    def step() -> dict[str, Any]:
        nonlocal count
        losses = model.game.step(feed(count))
        count += 1
        return losses

    def wait(losses: dict[str, Any]) -> tuple[float, float]:
        if on_gpu:
            cupy.cuda.Device().synchronize()
        return losses["discriminator"].item(), losses["generator"].item()

    def weights(net: mg.nn.Module) -> int:
        return sum(t.size for t in net.parameters().values())

    versions = {"minigan": mg.__version__, "numpy": np.__version__, "numba": numba.__version__}
    if on_gpu:
        versions["cupy"] = cupy.__version__
    counts = (weights(model.generator), weights(model.discriminator))
    report("minigan", ARGS, versions, step, wait, weights=counts)


if __name__ == "__main__":
    main()
