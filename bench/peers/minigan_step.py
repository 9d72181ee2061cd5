"""minigan itself, as its README writes it: a model from the zoo, a loader, and `game.step` (recorded once, then replayed); a
critic's update with a gradient penalty as a game of one player; CycleGAN's step with a batch of each set.

Knobs: `replay=no` runs every step eagerly, building and walking the graph anew. On a GPU (`--device cuda`) the data set stays on
the device, as `minigan train --device gpu` keeps it; `precision=high` allows TF32, and `graphs=no` replays the calls of a step
one by one, without captured CUDA graphs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from protocol import (
    CRITIC_BETAS,
    CRITIC_RATE,
    CYCLE,
    LEAK,
    OPTIONAL,
    PRECISION,
    SEED,
    Work,
    keep_to,
    make_data,
    parse_args,
    report,
)

DCGAN_28 = {"net": "s4", "features": 64}  # the nets of `protocol.py`
KNOBS = {"replay": ("yes", "no"), "precision": PRECISION, "graphs": ("yes", "no")}
ARGS = parse_args(__doc__, KNOBS, devices=("cpu", "cuda"), more=OPTIONAL)
keep_to(ARGS.threads)
os.environ["MINIGAN_GRAPHS"] = "0" if ARGS.pick("graphs", "yes") == "no" else "1"
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(ARGS.threads)

import numba  # noqa: E402
import numpy as np  # noqa: E402

if ARGS.device == "cuda":
    import cupy

import minigan as mg  # noqa: E402
from minigan import losses, nn, ops, optim, penalties  # noqa: E402
from minigan.autodiff import Tensor  # noqa: E402
from minigan.gans import get  # noqa: E402
from minigan.gans.needs import Facts  # noqa: E402


def feed_of(loader: mg.data.Loader, data: np.ndarray, game: mg.Game) -> Callable[[int], Any]:
    """The batch of a step, gathered into the buffer that the replay reads."""
    shape = (loader.batch_size, *data.shape[1:])
    if ARGS.device == "cpu":
        return lambda step: loader.batch(step, out=game.buffer(shape))
    resident = cupy.asarray(data)
    return lambda step: cupy.take(resident, cupy.asarray(loader.indices(step)), axis=0, out=game.buffer(shape))


def two_of(data: np.ndarray, size: int) -> Callable[[int], Any]:
    """The batches of a step for two sets, each in an order of its own."""
    loaders = {name: mg.data.Loader(data, batch_size=size, seed=SEED, name=name) for name in "ab"}
    if ARGS.device == "cpu":
        return lambda step: {name: loader.batch(step) for name, loader in loaders.items()}
    resident = cupy.asarray(data)
    return lambda step: {
        name: cupy.take(resident, cupy.asarray(loader.indices(step)), axis=0) for name, loader in loaders.items()
    }


class GAN:
    """A model of the zoo."""

    def __init__(self, work: Work, shape: tuple[int, ...], device: str, replay: bool) -> None:
        name = work.name.removeprefix("r1_")
        model_class = get(name)
        # no peer averages, and its dense nets have no batch norm
        own = {"mlp": {"norm": "none"}, "dcgan": {**DCGAN_28, "dropout": work.drop}}.get(name, {})
        penalised = {} if name == "stylegan" else {"r1": work.r1, "penalty_every": work.every}
        plain = {"ema": 0.0, **penalised, **own}
        config = model_class.Config(batch_size=work.batch, seed=SEED, **plain)
        model = model_class(config, shape, device=device, replay=replay)
        makers = ("mapping", "synthesis") if work.name == "stylegan" else ("generator",)
        made = nn.Sequential(*(model.modules[name] for name in makers))  # only to be counted
        self.game, self.nets = model.game, (made, model.discriminator)

    def losses(self, made: Mapping[str, Tensor]) -> tuple[float, float]:
        """Of D and of G."""
        return made["discriminator"].item(), made["generator"].item()


class Critic:
    """G as it is, and a critic with a gradient penalty."""

    def __init__(self, work: Work, shape: tuple[int, ...], device: str, replay: bool) -> None:
        self.work, self.random = work, mg.random.Source(SEED, device=device)
        if work.size:
            model_class = get("dcgan")
            nets = model_class(model_class.Config(dropout=0.0, seed=SEED, **DCGAN_28), shape).modules
            self.nets = nets["generator"], nets["discriminator"]
        else:
            self.nets = perceptron(work.g_sizes), perceptron(work.d_sizes)
        for name, net in zip("GD", self.nets, strict=True):
            net.to(device).initialize(self.random, name)
        beta1, beta2 = CRITIC_BETAS
        adam = optim.Adam(self.nets[1], lr=CRITIC_RATE, beta1=beta1, beta2=beta2)
        self.game = mg.Game([mg.Player("D", self.loss, adam)], random=self.random, replay=replay)

    def loss(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's loss, and the penalty beside it."""
        g, d = self.nets
        with mg.no_grad():
            fake = g(self.random.normal((len(real), self.work.latent), stream="z"))
        scores = d(ops.concatenate([real, fake]))
        penalty = penalties.gradient_penalty(d, real, fake, uniform=self.random)
        gap = losses.wasserstein.discriminator(scores[: len(real)], scores[len(real) :])
        return gap + self.work.penalty * penalty, {"penalty": penalty}

    def losses(self, made: Mapping[str, Tensor]) -> tuple[float, float]:
        """Of D, and the penalty."""
        return made["D"].item(), self.game.metrics["penalty"].item()


class Cycle:
    """CycleGAN, two maps and two discriminators, without its pool."""

    def __init__(self, work: Work, shape: tuple[int, ...], device: str, replay: bool) -> None:
        model_class = get("cyclegan")
        config = model_class.Config(batch_size=work.batch, seed=SEED, ema=0.0, pool=0, **CYCLE)
        model = model_class(config, Facts({"a": shape, "b": shape}), device=device, replay=replay)
        self.game, self.nets = model.game, (nn.Sequential(model.G, model.F), nn.Sequential(model.D_a, model.D_b))

    def losses(self, made: Mapping[str, Tensor]) -> tuple[float, float]:
        """Of the discriminators and of the generators."""
        return made["discriminators"].item(), made["generators"].item()


def perceptron(sizes: tuple[int, ...]) -> nn.Module:
    """Dense layers, leaky ReLU between them."""
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    hidden = [nn.Dense(a, b, activation="leaky_relu", slope=LEAK) for a, b in pairs[:-1]]
    return nn.Sequential(*hidden, nn.Dense(*pairs[-1]))


def main() -> None:
    """Time `game.step` with a shuffled batch gathered into the buffer that the replay reads."""
    work, on_gpu = ARGS.work, ARGS.device == "cuda"
    data = make_data(work)
    mg.backend.matmul_precision(ARGS.pick("precision", "highest"))
    trained = (Cycle if work.cycle else Critic if work.penalty else GAN)(
        work, data.shape[1:], "gpu" if on_gpu else "cpu", ARGS.pick("replay", "yes") == "yes"
    )
    loader = mg.data.Loader(data, batch_size=work.batch, seed=SEED)
    feed, count = (two_of(data, work.batch) if work.cycle else feed_of(loader, data, trained.game)), 0

    def step() -> Mapping[str, Tensor]:
        nonlocal count
        made = trained.game.step(feed(count))
        count += 1
        return made

    def wait(made: Mapping[str, Tensor]) -> tuple[float, float]:
        if on_gpu:
            cupy.cuda.Device().synchronize()
        return trained.losses(made)

    def weights(net: nn.Module) -> int:
        return sum(t.size for t in net.parameters().values())

    versions = {"minigan": mg.__version__, "numpy": np.__version__, "numba": numba.__version__}
    if on_gpu:
        versions["cupy"] = cupy.__version__
    report("minigan", ARGS, versions, step, wait, weights=(weights(trained.nets[0]), weights(trained.nets[1])))


if __name__ == "__main__":
    main()
