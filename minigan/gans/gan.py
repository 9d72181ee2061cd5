"""The two-player GAN (Goodfellow et al. 2014, arXiv 1406.2661): a generator and a discriminator, a pair of losses and penalties.

A model's file defines the two networks. What the players minimise are values, chosen by the configuration or given by a class:

    class Mine(Toy):
        pair = losses.least_squares(a=-1, b=1, c=0)
        penalties = {"r1": lambda model, real: penalties.r1(model.discriminator, real, gamma=1.0)}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from minigan import data, losses, nn, ops, optim, penalties, schedules
from minigan.autodiff import Tensor
from minigan.derivatives import vjp
from minigan.gans import regularizers
from minigan.gans.augmentation import Augmentation
from minigan.gans.base import Model, Stateful
from minigan.gans.checks import Check, RealData
from minigan.gans.choices import GANConfig
from minigan.gans.held import checks_of
from minigan.gans.needs import ONLY
from minigan.gans.pairs import equilibrium_of, pair_of
from minigan.player import Lazy, Player
from minigan.rules import Rule
from minigan.scheduled import scheduled
from minigan.switches import state

OTHER = {"discriminator": "generator", "generator": "discriminator"}
FOR_D, FOR_G = "noise for the discriminator", "noise for the generator"


class GAN(Model):
    """A generator and a discriminator.

    `networks` returns a `generator`, from z (N, latent) to examples of `shape`, and a `discriminator`, from inputs of
    `seen_shape` to logits (N, 1).
    """

    Config = GANConfig
    generator: nn.Module
    discriminator: nn.Module
    augmentation: Augmentation  # where `augment` is asked for
    fakes_seen: data.Pool  # where `pool` is asked for

    # -- values: the pair of losses, the penalties -------------------------------------------------------------------
    @property
    def pair(self) -> losses.Pair:
        """The two losses."""
        return pair_of(self.config)

    @property
    def penalties(self) -> Mapping[str, regularizers.Penalty]:
        """What the discriminator's loss has beside the pair, by name: those whose strength in the configuration is not 0."""
        return {name: p for name, p in regularizers.PENALTIES.items() if getattr(self.config, name)}

    # -- the players -------------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Spectral norm, weight norm and minibatch layers, as far as they are asked for; the noise that D sees."""
        regularizers.change(self.discriminator, self)
        self.separate = regularizers.compares(self.discriminator)
        std, steps = self.config.noise, self.config.noise_steps
        annealed = lambda t: std * max(0.0, 1 - t / steps)  # noqa: E731
        self.noise: float | Tensor = scheduled(annealed, device=self.device) if steps else std

    def players(self) -> list[Player]:
        """Discriminator first, then generator, each with an optimizer of its own."""
        config = self.config
        clip = [optim.weight_clipping(self.discriminator, config.clip)] if config.clip else []
        lead = [self.augmentation.lead] if config.ada else []
        of_d = [Lazy(name, partial(p, self), every=config.penalty_every) for name, p in self.penalties.items()]
        d, g = self.optimizer(self.discriminator, config.d_lr or config.lr), self.optimizer(self.generator, config.lr)
        return [
            Player(
                "discriminator", self.discriminator_loss, d, updates=config.d_steps,
                lazy=[*of_d, *self._both("discriminator")], after=[*clip, *lead],
            ),
            Player("generator", self.generator_loss, g, lazy=[*self._of_g(), *self._both("generator")]),
        ]  # fmt: skip

    def optimizer(self, network: nn.Module, lr: float) -> optim.Optimizer:
        """Of the kind, with the rate and the momenta that the configuration says."""
        config = self.config
        rate = schedules.linear(lr, steps=max(1, config.steps * self._updates(network))) if config.decay else lr
        if config.optimizer == "rmsprop":
            return optim.RMSProp(network, lr=rate, rho=config.beta2)
        if config.optimizer == "sgd":
            return optim.SGD(network, lr=rate, momentum=config.beta1)
        make = optim.Adam if config.optimizer == "adam" else optim.OptimisticAdam
        return make(network, lr=rate, beta1=config.beta1, beta2=config.beta2)

    def _updates(self, network: nn.Module) -> int:
        return self.config.d_steps if network is self.discriminator else 1

    def order(self) -> str | Rule:
        """The rule that is asked for."""
        return self.config.rule

    # -- examples ----------------------------------------------------------------------------------------------------
    def fake(self, n: int, stream: str) -> Tensor:
        """n examples G(z) with fresh noise."""
        return self.generator(self.random.normal((n, self.config.latent), stream=stream))

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n examples G(z)."""
        return self.fake(n, "z")

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Of what the discriminator judges: an example, or `pack` of them, one behind the other along the last axis."""
        return (*self.shape[:-1], self.config.pack * self.shape[-1])

    def seen(self, x: Tensor) -> Tensor:
        """Examples as the discriminator sees them: augmented, with noise, `pack` of them joined."""
        x = self.augmentation(x) if self.config.augment != "none" else x
        if self.config.noise:
            x = x + self.noise * self.random.normal(x.shape, stream="noise on what D sees")
        return joined(x, self.config.pack)

    # -- the losses --------------------------------------------------------------------------------------------------
    def discriminator_loss(self, real: Tensor) -> Tensor:
        """The discriminator's half of the pair, on reals and on fakes from fresh noise, or earlier ones from the pool."""
        fake = self.fake(len(real), FOR_D)
        fake = self.fakes_seen(fake) if self.config.pool else fake
        real_logits, fake_logits = self.logits(self.seen(real), self.seen(fake))
        if self.config.ada:
            self.augmentation.note(real_logits)
        return self.pair.discriminator(real_logits, fake_logits)

    def logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D of both.

        They go through D as one batch, unless it compares the examples of a batch: one matrix product of twice the rows is
        faster than two.
        """
        if self.separate:
            return self.discriminator(real), self.discriminator(fake)
        both = self.discriminator(ops.concatenate([real, fake]))
        return both[: len(real)], both[len(real) :]

    def generator_loss(self, real: Tensor) -> Tensor:
        """The generator's half of the pair, on fresh noise, or feature matching; the reals are read where these need them."""
        return self.generator_loss_at(real, self.fake(len(real), FOR_G))

    def generator_loss_at(self, real: Tensor, fake: Tensor) -> Tensor:
        """The same on given fakes, as many as reals."""
        fake = self.seen(fake)
        if self.config.feature_matching:
            of = partial(regularizers.features, self.discriminator)
            return losses.feature_matching(of(self.seen(real)), of(fake))
        read = self.config.unroll or self.pair.relativistic
        return self.against(self.seen(real) if read else real, fake)

    def against(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's half against the discriminator as it is, or as it will be after `unroll` steps."""
        with nn.substituted(self.discriminator, self.unrolled(real, fake) if self.config.unroll else {}):
            real_logits = self.discriminator(real) if self.pair.relativistic else None
            return self.pair.generator(self.discriminator(fake), real_logits)

    def unrolled(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's parameters after `unroll` steps of descent, theta <- theta - lr grad L_D(theta), as functions of
        the fakes and so of G (Metz et al. 2016, arXiv 1611.02163, section 2). D itself stays where it is.
        """
        theta = {name: t.detach() for name, t in self.discriminator.parameters().items()}

        def loss(*values: Tensor) -> Tensor:
            with nn.substituted(self.discriminator, dict(zip(theta, values, strict=True))):
                return self.pair.discriminator(*self.logits(real, fake))

        for _ in range(self.config.unroll):
            slopes = vjp(loss, tuple(theta.values()), 1.0, create_graph=state.enabled)[1]
            theta = {n: t - self.config.unroll_lr * g for (n, t), g in zip(theta.items(), slopes, strict=True)}
        return theta

    # -- what both players, or G alone, minimise beside ----------------------------------------------------------------
    def _both(self, player: str) -> list[Lazy]:
        terms: list[tuple[str, Callable[..., Tensor], int]] = []
        if self.config.historical:
            name = f"{player}_history"
            terms.append((name, lambda: self.config.historical * getattr(self, name).distance(), 1))
        if self.config.consensus:
            terms.append((f"{player}_consensus", partial(self.consensus, player), self.config.penalty_every))
        return [Lazy(name, term, every=every) for name, term, every in terms]

    def _of_g(self) -> list[Lazy]:
        if not self.config.orthogonal:
            return []
        weights = [t for t in self.generator.parameters().values() if t.ndim >= 2]
        term = lambda: penalties.orthogonality(weights, beta=self.config.orthogonal)  # noqa: E731
        return [Lazy("orthogonal", term, every=1)]

    def consensus(self, player: str, real: Tensor) -> Tensor:
        """gamma/2 |v|^2 with the gradients of both players, on noise of its own, as a loss of `player`."""
        other = OTHER[player]
        held = nn.leaves(self.modules[other])
        with nn.substituted(self.modules[other], held):
            real_logits, fake_logits = self.logits(
                self.seen(real), self.seen(self.fake(len(real), "noise for the consensus"))
            )
            own = [self.pair.discriminator(real_logits, fake_logits), self.pair.generator(fake_logits, real_logits)]
        parameters = {player: self.modules[player].parameters(), other: held}
        order = [list(parameters[name].values()) for name in ("discriminator", "generator")]
        return penalties.consensus(own, order, gamma=self.config.consensus)

    # -- what a run keeps --------------------------------------------------------------------------------------------
    def average(self) -> optim.EMA | None:
        """Of the generator, with decay `ema`."""
        return optim.EMA(self.generator, decay=self.config.ema) if self.config.ema else None

    def extra_state(self) -> dict[str, Stateful]:
        """The pool of fakes, the share of augmented examples, the means of past weights: what is asked for."""
        config = self.config
        found: dict[str, Stateful] = {}
        if config.augment != "none":
            found["augmentation"] = Augmentation(config, self.shape, self.random, self.device)
        if config.pool:
            found["fakes_seen"] = data.Pool(config.pool, seed=config.seed)
        if config.historical:
            found |= {f"{name}_history": optim.History(network) for name, network in self.modules.items()}
        return found

    def after_step(self) -> Sequence[Callable[[], Any]]:
        """The means of past weights follow."""
        return [part.update for part in self.extra.values() if isinstance(part, optim.History)]

    def checks(self, real: RealData) -> Sequence[Check]:
        """Whether each regulariser holds what it should, see `held.py`."""
        with self.evaluating(), self.random.apart(real.seed, "checks"):
            return checks_of(self, real[ONLY])

    def equilibrium(self) -> Mapping[str, tuple[str, float]]:
        """That of the pair, for each player whose loss is the pair's own half as it stands here."""
        own, plain, config = type(self), GAN, self.config
        if own.players is not plain.players or own.pair is not plain.pair or own.logits is not plain.logits:
            return {}
        changed = {"discriminator": own.discriminator_loss is not plain.discriminator_loss}
        changed["generator"] = own.generator_loss is not plain.generator_loss or config.feature_matching
        return {name: value for name, value in equilibrium_of(config).items() if not changed[name]}


def joined(x: Tensor, count: int) -> Tensor:
    """(N, ..., C) to (N / count, ..., count C): `count` examples one behind the other along the last axis (PacGAN: Lin, Khetan,
    Fanti, Oh 2017, arXiv 1712.04086, section 2).

    Raises:
        ValueError: N is no multiple of count.
    """
    if count == 1:
        return x
    if len(x) % count:
        raise ValueError(f"joined: got {len(x)} examples, expected a multiple of {count}")
    rows = ops.reshape(x, (len(x) // count, count, *x.shape[1:]))
    last = rows.ndim - 1
    order = (0, *range(2, last), 1, last)
    return ops.reshape(ops.transpose(rows, order), (len(rows), *x.shape[1:-1], count * x.shape[-1]))
