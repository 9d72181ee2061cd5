"""A GAN is a game: players, each with a loss over its own parameters, and a rule that says in which order they move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, grad
from minigan.backend import Array, array_module, to_device
from minigan.optim import Optimizer, Snapshot
from minigan.random import Source
from minigan.replay import Recording

Loss = Callable[[Tensor], Tensor]


class Player:
    """Who minimises which loss over which parameters.

    Args:
        name: for messages and metrics.
        loss: a function of the batch that returns a tensor with one element; the other players' networks and the noise
            reach it through what it closes over.
        optimizer: holds the player's parameters and moves them.
        updates: how often the player moves in one step of the game (a WGAN critic: 5).
    """

    def __init__(self, name: str, loss: Loss, optimizer: Optimizer, *, updates: int = 1) -> None:
        if updates < 1:
            raise ValueError(f"player {name!r}: got {updates} updates a step, expected at least 1")
        self.name, self.loss, self.optimizer, self.updates = name, loss, optimizer, updates

    @property
    def parameters(self) -> list[Tensor]:
        """What this player may change."""
        return list(self.optimizer.parameters.values())

    def gradients(self, batch: Tensor, others: Sequence[Player]) -> tuple[Tensor, list[Tensor]]:
        """(loss, gradient of it for each parameter), with the other players' parameters frozen."""
        with frozen([t for other in others for t in other.parameters]):
            loss = self.loss(batch)
            return loss, grad(loss, self.parameters)


@contextmanager
def frozen(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Take leaf tensors out of every graph for a while: what they make is constant, and no gradient is computed for them."""
    nodes = [t.node for t in tensors]
    for t in tensors:
        t.node = None
    try:
        yield
    finally:
        for t, node in zip(tensors, nodes, strict=True):
            t.node = node


Rule = Callable[[Sequence[Player], Sequence[Tensor]], dict[str, Tensor]]


def _others(players: Sequence[Player], player: Player) -> list[Player]:
    own = {id(t) for t in player.parameters}
    return [p for p in players if p is not player and not own & {id(t) for t in p.parameters}]


def alternating(players: Sequence[Player], batches: Sequence[Tensor]) -> dict[str, Tensor]:
    """One player after the other, each against the others' newest parameters; `updates` moves each."""
    losses = {}
    for player in players:
        for k in range(player.updates):
            loss, grads = player.gradients(batches[k % len(batches)], _others(players, player))
            player.optimizer.step(grads)
        losses[player.name] = loss
    return losses


def simultaneous(players: Sequence[Player], batches: Sequence[Tensor]) -> dict[str, Tensor]:
    """All gradients at the same point, then all moves: the vector field of the game, one step along it."""
    _check_single_updates("simultaneous", players)
    results = [player.gradients(batches[0], _others(players, player)) for player in players]
    for player, (_, grads) in zip(players, results, strict=True):
        player.optimizer.step(grads)
    return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}


def extragradient(players: Sequence[Player], batches: Sequence[Tensor]) -> dict[str, Tensor]:
    """All players look ahead by one simultaneous step, take their gradients there, go back, and step by those (Korpelevich
    1976; Gidel et al. 2018, arXiv 1802.10551, algorithm 2).

    Going back restores the optimizers' state too: the look-ahead is the step that the optimizer would take, and leaves no other
    trace (running statistics of batch norm see both passes). It reads the first batch, the step itself the second one where
    there is one. Returns the losses of where one stood.
    """
    _check_single_updates("extragradient", players)
    standing = [Snapshot(player.optimizer) for player in players]
    losses = simultaneous(players, batches[:1])
    batch = batches[1 % len(batches)]
    ahead = [player.gradients(batch, _others(players, player))[1] for player in players]
    for player, place, grads in zip(players, standing, ahead, strict=True):
        place.restore()
        player.optimizer.step(grads)
    return losses


def _check_single_updates(rule: str, players: Sequence[Player]) -> None:
    if any(player.updates != 1 for player in players):
        raise ValueError(f"{rule}: got a player with several updates a step; use the alternating rule")


RULES: dict[str, Rule] = {"alternating": alternating, "simultaneous": simultaneous, "extragradient": extragradient}


class Game:
    """Players, a rule and the run's random numbers.

    Args:
        players: in the order in which they move.
        rule: "alternating", "simultaneous" or "extragradient", or a function such as :func:`alternating`.
        random: the source whose step advances with the game; None where losses draw no numbers.
        replay: record the first step for each batch shape and replay it afterwards (see `minigan.replay`): the same numbers,
            less time. Losses must then not depend on Python values that change from step to step.
        after: functions to call after each step, inside what is recorded (for instance `ema.update`).
    """

    def __init__(
        self,
        players: Sequence[Player],
        *,
        rule: str | Rule = "alternating",
        random: Source | None = None,
        replay: bool = False,
        after: Sequence[Callable[[], None]] = (),
    ) -> None:
        names = [player.name for player in players]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"game: got players {names}, expected one or more with different names")
        if isinstance(rule, str) and rule not in RULES:
            raise ValueError(f"game: got rule {rule!r}, expected one of {tuple(RULES)}")
        self.players, self.random, self.replay, self.after = list(players), random, replay, tuple(after)
        self.rule: Rule = RULES[rule] if isinstance(rule, str) else rule
        self._recordings: dict[Any, tuple[list[Tensor], Recording]] = {}

    def step(self, batch: Any) -> dict[str, Tensor]:
        """One step: every player moves. Returns each player's last loss, as tensors that the next step may refill.

        `batch` is an array, or a list of arrays: update k of a player reads the k-th. It goes to the device of the players.
        """
        batches = list(batch) if isinstance(batch, (list, tuple)) else [batch]
        device = next(iter(self.players[0].optimizer.parameters.values())).device
        arrays = [to_device(b.data if isinstance(b, Tensor) else b, device) for b in batches]
        if self.random is not None:
            self.random.advance()
        if not self.replay:
            return self._move([Tensor(a) for a in arrays])
        key = tuple((a.shape, a.dtype) for a in arrays)
        if key not in self._recordings:
            inputs = [Tensor(array_module(a).array(a)) for a in arrays]
            self._recordings[key] = inputs, Recording(self._move, inputs)
            return self._recordings[key][1].result
        inputs, recording = self._recordings[key]
        for own, new in zip(inputs, arrays, strict=True):
            if own.data is not new:
                own.data[...] = new
        return recording.replay()

    def _move(self, inputs: list[Tensor]) -> dict[str, Tensor]:
        losses = self.rule(self.players, inputs)
        for function in self.after:
            function()
        return losses

    def buffer(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array | None:
        """The array that a replay reads its batch from, to gather a batch straight into; None before the first step."""
        found = self._recordings.get((((shape), np.dtype(dtype)),))
        return found[0][0].data if found else None

    def state(self) -> dict[str, np.ndarray]:
        """The optimizers' state and the random source's step, as a flat dict of arrays."""
        state = {f"{p.name}/{k}": v for p in self.players for k, v in p.optimizer.state().items()}
        return {**state, "step": np.array(self.random.step if self.random else 0)}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned."""
        for player in self.players:
            head = f"{player.name}/"
            player.optimizer.load_state({k[len(head) :]: v for k, v in state.items() if k.startswith(head)})
        if self.random is not None:
            self.random.advance(int(state["step"]))
