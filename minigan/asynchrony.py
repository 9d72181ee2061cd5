"""Training that does not wait: players who see each other late, and ranks that average now and then.

Synchronous ranks compute one step of one game (see `minigan.ranks`). Two ways to wait less change the game itself, and these are
here to see what they do to it. On the Dirac-GAN the first can be solved: lesson 12, section 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minigan.autodiff import Tensor, assign, effect
from minigan.backend import Array, to_device
from minigan.checks import whole
from minigan.game import Game
from minigan.player import Player
from minigan.ranks.communicators import Alone, Communicator


class Stale:
    """A rule with bounded staleness: every player sees the others as they were `delay` steps ago, and all move at once.

        x_k <- x_k - h grad_k L_k(x_k(t), x_others(t - delay))

    With delay 0 it is "simultaneous". Before there were as many steps, the others are seen as they were at the beginning.

        game = mg.Game(players, rule=asynchrony.Stale(players, delay=2))

    Args:
        players: those of the game.
        delay: in steps, >= 0.

    Raises:
        TypeError, ValueError: no players, or a delay that is no whole number >= 0; when it is called, other players, or one
            with several updates a step.
    """

    def __init__(self, players: Sequence[Player], *, delay: int) -> None:
        self.delay = whole("Stale", "delay", delay, low=0)
        self._named = {f"{p.name}/{name}": t for p in players for name, t in p.optimizer.parameters.items()}
        if not self._named:
            raise ValueError("Stale: got no players")
        self._past = {
            name: [Tensor(t._data.copy()) for _ in range(self.delay)] for name, t in self._named.items()
        }  # 1, 2, ... steps ago
        self._now = {name: Tensor(t._data.copy()) for name, t in self._named.items()}

    def __call__(self, players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
        """One step of the game."""
        known = set(map(id, self._named.values()))
        for player in players:
            if player.updates != 1 or not {id(t) for t in player.parameters} <= known:
                raise ValueError(f"Stale: got player {player.name!r} with other parameters, or several updates a step")
        results = []
        for player in players:
            with self._seen_late(player):
                results.append(player.gradients(batches[0], [p for p in players if p is not player]))
        self._remember()
        for player, (_, grads) in zip(players, results, strict=True):
            player.move(grads)
        return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}

    @contextmanager
    def _seen_late(self, player: Player) -> Iterator[None]:
        """Inside the block the parameters of the others are those of `delay` steps ago."""
        own = {id(t) for t in player.parameters}
        others = [name for name, t in self._named.items() if id(t) not in own] if self.delay else []
        for name in others:
            assign(self._now[name], self._named[name])
            assign(self._named[name], self._past[name][-1])
        try:
            yield
        finally:  # whatever a loss raises, no player stays in the past
            for name in others:
                assign(self._named[name], self._now[name])

    def _remember(self) -> None:
        for name, past in self._past.items():
            for older, newer in zip(past[::-1], past[-2::-1], strict=False):
                assign(older, newer)
            if past:
                assign(past[0], self._named[name])

    def state(self) -> dict[str, np.ndarray]:
        """What was seen, as a flat dict of arrays: for a model's `extra_state`."""
        return {f"{k + 1}/{name}": t.numpy().copy() for name, past in self._past.items() for k, t in enumerate(past)}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned. Raises ValueError for other names; nothing is changed then."""
        own = {f"{k + 1}/{name}": t for name, past in self._past.items() for k, t in enumerate(past)}
        if wrong := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]}; is the delay another one?")
        for name, t in own.items():
            assign(t, to_device(state[name], t.device))


class Averaging:
    """Local steps: games that go on by themselves, and every `every` steps take the mean of all their parameters (local SGD:
    Stich 2018, arXiv 1805.09767, algorithm 1).

        averaging = asynchrony.Averaging(games, every=10)
        for t in range(1000):
            for game, own in zip(games, rows(t)):
                game.step(own)
            averaging.update()

    Games in one process, or with a communicator of `minigan.ranks` one or several on each rank; the mean is over all. With
    every=1 and plain gradient descent it is one game on all rows, since the mean of x - h g_i is x - h (mean of g_i); with
    momenta, which stay with each game, or more steps between, it is not.

    Args:
        games: of one structure, with optimizers of their own.
        every: steps from mean to mean, >= 1.
        communicator: joins them with the games of other ranks, as many on each.

    Raises:
        TypeError, ValueError: games whose parameters differ in names or shapes, or `every` < 1.
    """

    def __init__(self, games: Sequence[Game], *, every: int, communicator: Communicator | None = None) -> None:
        self.every = whole("Averaging", "every", every, low=1)
        self.steps, self._with = 0, communicator or Alone()
        self._groups: list[list[Tensor]] = []
        forms = [_parameters(game) for game in games]
        if not forms or any(
            {n: t.shape for n, t in f.items()} != {n: t.shape for n, t in forms[0].items()} for f in forms
        ):
            raise ValueError("Averaging: got games whose parameters differ in names or shapes, expected copies of one")
        for name in forms[0]:
            self._groups.append([form[name] for form in forms])

    def update(self) -> None:
        """After each step of all games."""
        self.steps += 1
        if self.steps % self.every == 0:
            for group in self._groups:
                effect(partial(_take_mean, self._with), group)


def _parameters(game: Game) -> dict[str, Tensor]:
    return {f"{p}/{n}": t for p, optimizer in game.optimizers().items() for n, t in optimizer.parameters.items()}


def _take_mean(communicator: Communicator, arrays: Sequence[Array]) -> None:
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    communicator.sum(total)
    total /= len(arrays) * communicator.size
    for array in arrays:
        array[...] = total
