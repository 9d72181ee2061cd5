"""Acting: how carts with poles (`minigan.data.cartpole`) feed a game. A policy is a function of states (N, 4) to actions (N,)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from minigan.data import cartpole
from minigan.data.base import stream

Policy = Callable[[np.ndarray], np.ndarray]


def surest(logits: Callable[[np.ndarray], np.ndarray]) -> Policy:
    """The action of the largest logit."""
    return lambda state: logits(state).argmax(axis=1)


def by_chance(seed: int) -> Policy:
    """Left or right, whatever the state."""
    coin = np.random.default_rng(seed)
    return lambda state: coin.integers(2, size=len(state))


class Steps(NamedTuple):
    """What `count` steps of N carts were: arrays (count, N, ...).

    state, after (count, N, 4): before and after an action; action (count, N); failed: whether that ended the episode for good;
    ended: whether an episode ended at all, by failure or after 500 steps.
    """

    state: np.ndarray
    action: np.ndarray
    after: np.ndarray
    failed: np.ndarray
    ended: np.ndarray


class Carts:
    """N carts that go on from where they are, each begun anew where its episode ends.

    Args:
        n: how many. seed: of where episodes begin: the k-th of a cart begins in a place of its own, so that carts with their
            `state()` restored go on as they would have.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.seed, self.episode, self.age = seed, np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.places = np.concatenate([self._begun(i) for i in range(n)])

    def _begun(self, i: int) -> np.ndarray:
        return cartpole.begun(1, stream(self.seed, f"cart {i}/{self.episode[i]}"))

    def act(self, policy: Policy, count: int) -> Steps:
        """So many steps of all carts."""
        made = []
        for _ in range(count):
            action = policy(self.places)
            after = cartpole.moved(self.places, action)
            failed, self.age = cartpole.failed(after), self.age + 1
            ended = failed | (self.age >= cartpole.LIMIT)
            made.append((self.places, action, after, failed, ended))
            self.places = after.copy()
            for i in map(int, np.flatnonzero(ended)):
                self.episode[i], self.age[i] = self.episode[i] + 1, 0
                self.places[i] = self._begun(i)[0]
        return Steps(*(np.stack(part) for part in zip(*made, strict=True)))

    def state(self) -> dict[str, np.ndarray]:
        """Where all are."""
        return {"places": self.places.copy(), "episode": self.episode.copy(), "age": self.age.copy()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned. Raises ValueError: other names, or another number of carts."""
        own = self.state()
        if own.keys() != state.keys() or any(own[k].shape != np.shape(state[k]) for k in own):
            raise ValueError(f"load_state: got {sorted(state)}, expected {sorted(own)} of {len(self.age)} carts")
        self.places, self.episode, self.age = (np.array(state[k]) for k in ("places", "episode", "age"))


def films(policy: Policy, begin: np.ndarray, *, every: int) -> tuple[np.ndarray, np.ndarray]:
    """(states (n, T, 4) at each so many steps of episodes that begin in `begin` (n, 4), how many steps each lasts, at most 500).
    A pole that fell stays as it lay."""
    state, standing, lasted, seen = begin, np.ones(len(begin), bool), np.zeros(len(begin)), []
    for t in range(cartpole.LIMIT):
        if t % every == 0:
            seen.append(state)
        if standing.any():
            state = np.where(standing[:, None], cartpole.moved(state, policy(state)), state)
            lasted += standing
            standing &= ~cartpole.failed(state)
    return np.stack(seen, axis=1), lasted


def up(policy: Policy, n: int, seed: int) -> float:
    """For how many steps a pole is up on average of n episodes, the return of CartPole-v1: at most 500."""
    return float(films(policy, cartpole.begun(n, stream(seed, "episodes")), every=cartpole.LIMIT)[1].mean())


def shown(policies: Iterable[Policy], seed: int, *, every: int) -> np.ndarray:
    """A film of an episode of each policy, all from one start: pictures (policies, T, 32, 64, 1) of each so many steps."""
    begin = cartpole.begun(1, stream(seed, "film"))
    return np.stack([cartpole.drawn(films(policy, begin, every=every)[0][0]) for policy in policies])
