"""Recorded steps with any optimizer, also one of a user's own: with schedules, dropout and averages the bits of eager steps.

What the engine counts in such objects (updates, steps, state arrays) changes at every step, and no code of the step can read it
unseen: it is no reason to refuse a recording, by whatever means the step's code finds attributes of other objects.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import each_device

import minigan as mg
from minigan import nn, ops, optim
from minigan.random import Source


class Own(optim.Optimizer):
    """Momentum, by a method that nothing is known of."""

    slots = ("velocity",)

    def update(self, params: Any, grads: Any, slots: Any, lr: float, option: Callable[[str], Any]) -> None:
        for p, g, v in zip(params, grads, *slots, strict=True):
            v[...] = 0.5 * v + g
            p -= p.dtype.type(lr * (1 + self.steps % 2)) * v


class OwnRate(optim.Adam):
    """Adam at half the rate."""

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        return super().hyper(lr / 2, option)


class OwnAverage(optim.EMA):
    pass


class OwnSource(Source):
    pass


OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "momentum": lambda net, lr: optim.SGD(net, lr=lr, momentum=0.9),
    "rmsprop": lambda net, lr: optim.RMSProp(net, lr=lr),
    "adam": lambda net, lr: optim.Adam(net, lr=lr),
    "adamw": lambda net, lr: optim.AdamW(net, lr=lr),
    "optimistic": lambda net, lr: optim.OptimisticAdam(net, lr=lr),
    "own": lambda net, lr: Own(net, lr=lr),
    "own, in two parts": lambda net, lr: Own(net, lr=lr, options={"layers.0": {"lr": 0.05}}),
    "own rate": lambda net, lr: OwnRate(net, lr=lr),
}
# Of (schedule, dropout, average) each pair of choices, and all together.
SETTINGS = [(False, False, False), (False, True, True), (True, False, True), (True, True, False), (True, True, True)]
CONFIG = types.SimpleNamespace(beta=2.0, steps=8)
READS: dict[str, Callable[[], float]] = {
    "a name": lambda: CONFIG.beta,
    "a name that counters have": lambda: CONFIG.steps / 4,
    "a name that is computed": lambda: getattr(CONFIG, "be" + "ta"),
}


def game_of(
    make: Callable[..., optim.Optimizer],
    *,
    replay: bool,
    schedule: bool = True,
    dropout: bool = True,
    average: bool = True,
    device: str = "cpu",
    read: Callable[[], float] = READS["a name"],
    own: bool = False,
) -> mg.Game:
    random = (OwnSource if own else Source)(4, device=device)
    layers = [nn.Dense(3, 4, activation="tanh"), *([nn.Dropout(0.5)] if dropout else []), nn.Dense(4, 1)]
    net = nn.Sequential(*layers).initialize(random).to(device)
    kept = (OwnAverage if own else optim.EMA)(net, decay=0.9)
    optimizer = make(net, optim.linear(0.1, steps=9) if schedule else 0.1)
    loss = lambda x: ops.square(net(x) - random.uniform((len(x), 1), stream="y")).mean() * read()  # noqa: E731
    return mg.Game([mg.Player("p", loss, optimizer)], random=random, after=[kept.update] * average, replay=replay)


def same(games: list[mg.Game], steps: int = 6) -> None:
    """Both have the same losses, and the recorded one was recorded once."""
    draw = np.random.default_rng(0)
    for _ in range(steps):
        x = draw.standard_normal((4, 3)).astype(np.float32)
        a, b = (game.step(x)["p"].item() for game in games)
        assert a == b
    recorded: Any = games[1]._recorded
    assert len(recorded._entries) == 1 and recorded._entries[0].recording is not None and recorded._renewals == 0


@each_device
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_recorded_step_is_the_eager_one(optimizer: str, device: str) -> None:
    for schedule, dropout, average in SETTINGS if device == "cpu" else SETTINGS[-1:]:  # the emulated GPU takes its time
        options = {"schedule": schedule, "dropout": dropout, "average": average, "device": device}
        same([game_of(OPTIMIZERS[optimizer], replay=replay, **options) for replay in (False, True)])


@pytest.mark.parametrize("name", READS)
def test_counters_of_ones_own_classes_are_no_values_of_the_step(name: str) -> None:
    for optimizer, own in itertools.product(("adam", "own", "own, in two parts", "own rate"), (False, True)):
        games = [game_of(OPTIMIZERS[optimizer], replay=r, read=READS[name], own=own) for r in (False, True)]
        same(games)


BY_THE_WHOLE: dict[str, Callable[[Any], Any]] = {
    "vars": lambda optimizer: vars(optimizer)["steps"],
    "__dict__": lambda optimizer: optimizer.__dict__["steps"],
    "getattr": lambda optimizer: getattr(optimizer, "__dict__")["steps"],  # noqa: B009
}


@pytest.mark.parametrize("name", BY_THE_WHOLE)
def test_a_counter_that_is_read_past_its_refusal_is_seen_to_change(name: str) -> None:
    box: list[Any] = []
    read = lambda: 1.0 if not box or BY_THE_WHOLE[name](box[0]) < 4 else 2.0  # noqa: E731
    game = game_of(OPTIMIZERS["own"], replay=True, read=read)
    box.append(game.players[0].optimizer)
    with pytest.raises(mg.RecordingError, match="'steps'"):
        same([game, game], 5)


def test_state_that_a_step_names_is_still_watched() -> None:
    """The arrays that an optimizer's effect changes, read by Python in the step."""
    box: list[Any] = []
    read = lambda: 1.0 + float(box[0].slot_arrays["velocity"][0].sum())  # noqa: E731
    game = game_of(OPTIMIZERS["own"], replay=True, read=read)
    box.append(game.players[0].optimizer)
    with pytest.raises(mg.RecordingError):
        same([game, game], 4)
