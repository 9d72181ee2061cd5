"""What the two-player GANs share: configuration, the two losses, sampling and state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from minigan import backend, losses, nn, ops, optim, random
from minigan.autodiff import Tensor
from minigan.game import Game, Player
from minigan.switches import no_grad


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of a configuration: its default, a line of help, and limits (`low`, `high`, `choices`) checked at the start."""
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Everything that decides a run; written to `config.json`, and the source of `--help`."""

    data: str = option("glyphs", "data set by name, or a path to a .npy or .npz file")
    steps: int = option(5000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(64, "examples a step", low=1)
    seed: int = option(0, "seed of all random numbers")
    latent: int = option(100, "length of the noise vector z ~ N(0, 1)", low=1)
    loss: str = option("non_saturating", "pair of losses", choices=tuple(losses.PAIRS))
    lr: float = option(2e-4, "Adam's learning rate", low=0.0)
    beta1: float = option(0.5, "Adam's beta1", low=0.0, high=0.999)
    ema: float = option(
        0.0, "decay of the averaged generator that samples are drawn from; 0 for none", low=0.0, high=0.99999
    )

    def __post_init__(self) -> None:
        for name, f in self.__dataclass_fields__.items():
            value, limits = getattr(self, name), f.metadata
            if "low" in limits and value < limits["low"]:
                raise ValueError(f"{name}: got {value}, expected at least {limits['low']}")
            if "high" in limits and value > limits["high"]:
                raise ValueError(f"{name}: got {value}, expected at most {limits['high']}")
            if "choices" in limits and value not in limits["choices"]:
                raise ValueError(f"{name}: got {value!r}, expected one of {limits['choices']}")


class GAN:
    """A generator and a discriminator that play Goodfellow's game. A model's file defines `networks`.

    Args:
        config: an instance of the model's `Config`.
        shape: of one example: (H, W, C) or (features,).
        device: "cpu" or "gpu".

    Attributes:
        generator, discriminator: the networks; the discriminator returns logits (N, 1).
        game: the :class:`minigan.game.Game` whose `step(batch)` trains both.
    """

    Config: ClassVar[type[GANConfig]] = GANConfig
    summary: ClassVar[str] = ""  # one line for `minigan models`
    kind: ClassVar[str] = "images"  # what it models: "images" or "points"

    def __init__(self, config: GANConfig, shape: tuple[int, ...], *, device: str = "cpu", replay: bool = True) -> None:
        self.config, self.shape, self.device = config, tuple(shape), device
        self.random = random.Source(config.seed, device=device)
        self.generator, self.discriminator = self.networks(config, self.shape)
        for name, network in self.modules.items():
            network.to(device).initialize(self.random, name)
        self.average = optim.EMA(self.generator, decay=config.ema) if config.ema else None
        self.pair = losses.PAIRS[config.loss]
        self.game = Game(
            self.players(), random=self.random, replay=replay, after=[self.average.update] if self.average else []
        )

    def networks(self, config: Any, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        """(generator, discriminator) for examples of `shape`."""
        raise TypeError(f"{type(self).__name__} defines no networks(config, shape)")

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All networks by name."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def players(self) -> list[Player]:
        """Discriminator first, then generator, each with its own Adam (Radford et al. 2015 chose beta1 = .5)."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    def fake(self, n: int, stream: str) -> Tensor:
        """n examples G(z) with fresh noise."""
        return self.generator(self.random.normal((n, self.config.latent), stream=stream))

    def discriminator_loss(self, real: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))).

        Reals and fakes go through D as one batch: without batch norm in D nothing else changes, and one matrix product of
        twice the rows is faster than two.
        """
        n = len(real)
        logits = self.discriminator(ops.concatenate([real, self.fake(n, "noise for the discriminator")]))
        return self.pair.discriminator(logits[:n], logits[n:])

    def generator_loss(self, real: Tensor) -> Tensor:
        """The generator's half of the pair, on fresh noise; `real` only tells how many."""
        return self.pair.generator(self.discriminator(self.fake(len(real), "noise for the generator")))

    # -- for the trainer ---------------------------------------------------------------------------------------------
    def sample(self, n: int, *, seed: int | None = None, batch_size: int = 500) -> np.ndarray:
        """n examples, a pure function of the weights and `seed` (default: the run's): (n, *shape) float32.

        Uses the averaged weights where there are any, and running statistics in batch norm.
        """
        source = random.Source(self.config.seed if seed is None else seed, device=self.device)
        z = source.normal((n, self.config.latent), stream="samples")
        mode = self.generator.training
        if self.average:
            with self.average.applied():
                return self._generate(z, batch_size, mode)
        return self._generate(z, batch_size, mode)

    def _generate(self, z: Tensor, batch_size: int, mode: bool) -> np.ndarray:
        self.generator.eval()
        with no_grad():
            parts = [self.generator(z[i : i + batch_size]) for i in range(0, len(z), batch_size)]
            whole = ops.concatenate(parts) if parts else Tensor(np.empty((0, *self.shape), np.float32))
        self.generator.train(mode)
        return backend.to_numpy(ops.reshape(whole, (len(z), *self.shape)).data).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Everything a resumed run needs: weights, averages, optimizers, the step. A flat dict of arrays."""
        state = {f"{name}/{k}": v for name, module in self.modules.items() for k, v in module.state().items()}
        state |= {f"game/{k}": v for k, v in self.game.state().items()}
        return state | ({f"average/{k}": v for k, v in self.average.state().items()} if self.average else {})

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: names or shapes that do not belong to this model and configuration.
        """

        def part(name: str) -> dict[str, np.ndarray]:
            head = f"{name}/"
            return {k[len(head) :]: v for k, v in state.items() if k.startswith(head)}

        for name, module in self.modules.items():
            module.load_state(part(name))
        if self.average:
            self.average.load_state(part("average"))
        self.game.load_state(part("game"))
