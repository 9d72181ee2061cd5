"""One GAN of points that is being trained: steps of one player or of both, snapshots to go back to, settings that change.

Everything is the engine's: the model is a `minigan.gans.gan.GAN`, a step its game's. A step of one player alone is a step of a
game that has that player only, at the same place in the data and with the same noise as the whole step would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigan import Game, data
from minigan.lab.laws import law_of
from minigan.lab.model import DRAWN, NEW_NETWORKS, LabConfig, LabGAN, configured

PLAYERS = ("discriminator", "generator")
MOST_SNAPSHOTS, MOST_ROWS = 60, 1200
FIRST_EVERY = 25  # steps from one snapshot to the next, in the beginning


class Snapshot(NamedTuple):
    """All that a run needs to go on from here."""

    state: dict[str, np.ndarray]
    batches: int
    updates: dict[str, int]
    rows: int


class Experiment:
    """A model, its data, and what happened.

    Args:
        settings: what differs from the defaults (see `model.schema`).
        drawn: the points of the law "drawn".

    Attributes:
        settings, config, law: what it is. model: with its game.
        losses: the last of each player, by name; of those that have moved.
        updates: how many each player has made. batches: how many steps have read the data, of whichever player.
        rows: (batches, loss of D, loss of G) now and then; None for a loss that there was not yet.

    Raises:
        ValueError: a setting that is none, out of its limits, or does not go with another.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, drawn: Any = ()) -> None:
        self.settings, self.config = _differing(configured(settings or {}))
        self.law = law_of(self.config.data, drawn)
        self._begin(LabGAN(self.config, (2,)))

    def _begin(self, model: LabGAN) -> None:
        self.batches, self.updates = 0, dict.fromkeys(PLAYERS, 0)
        self.losses: dict[str, float] = {}
        self.rows: list[tuple[int, float | None, float | None]] = []
        self.every, self.snapshots = FIRST_EVERY, dict[int, Snapshot]()
        self._adopt(model)
        self._keep()

    def _adopt(self, model: LabGAN) -> None:
        self.model = model
        self._loader = data.Loader(self.law.dataset, batch_size=self.config.batch_size, seed=self.config.seed)
        players = {player.name: player for player in model.game.players}
        self._alone = {name: Game([players[name]], random=model.random, after=model.game.after) for name in PLAYERS}

    # -- steps -------------------------------------------------------------------------------------------------------
    def step(self, player: str = "") -> None:
        """One step of the game, or of one player alone.

        Raises:
            ValueError: there is no such player. NotFiniteError: a loss or a gradient is NaN or Inf.
        """
        if player and player not in PLAYERS:
            raise ValueError(f"player: got {player!r}, expected {' or '.join(PLAYERS)}")
        whole = self.model.game
        game = self._alone[player] if player else whole
        count = game.updates()
        game.steps = self.batches  # lazy terms and scheduled numbers follow the lab's own count
        found = game.step(batches=[self._loader.batch(self.batches * count + k) for k in range(count)])
        self.batches += 1
        whole.steps = self.batches
        self.losses |= {name: value.item() for name, value in found.items()}
        for name in found:
            self.updates[name] += self.config.d_steps if name == "discriminator" else 1
        if self.batches % self.every == 0:
            self._keep()

    def note(self) -> None:
        """Another row of the losses; of two rows one is forgotten where there are too many."""
        if not self.losses or (self.rows and self.rows[-1][0] == self.batches):
            return
        d, g = (self.losses.get(name) for name in PLAYERS)
        self.rows.append((self.batches, d, g))
        if len(self.rows) > MOST_ROWS:
            self.rows = self.rows[: MOST_ROWS // 2 : 2] + self.rows[MOST_ROWS // 2 :]

    def batch(self) -> np.ndarray:
        """The batch that the next step will read first."""
        return self._loader.batch(self.batches * self.model.game.updates())

    # -- back --------------------------------------------------------------------------------------------------------
    def _keep(self) -> None:
        self.snapshots[self.batches] = Snapshot(self.model.state(), self.batches, dict(self.updates), len(self.rows))
        if len(self.snapshots) > MOST_SNAPSHOTS:
            self.every *= 2
            self.snapshots = {step: s for step, s in self.snapshots.items() if step % self.every == 0}

    def rewind(self, step: int) -> None:
        """Back to the last snapshot that is not behind `step`. From there everything happens as it did, number by number."""
        at = max(each for each in self.snapshots if each <= max(step, 0))
        found = self.snapshots[at]
        self.model.load_state(found.state)
        self.batches, self.updates = found.batches, dict(found.updates)
        self.rows = [row for row in self.rows if row[0] <= at]
        self.losses = {}
        if self.rows:
            self.losses = {n: v for n, v in zip(PLAYERS, self.rows[-1][1:], strict=True) if v is not None}
        self.snapshots = {each: s for each, s in self.snapshots.items() if each <= at}

    # -- settings ----------------------------------------------------------------------------------------------------
    def change(self, settings: Mapping[str, Any], drawn: Any = None) -> list[str]:
        """Other settings from here on; those that are not named stay. Returns what has to begin anew for it, in words.

        Networks keep their weights, and optimizers their moments, wherever they fit.

        Raises:
            ValueError: as the class; nothing is changed then.
        """
        differing, config = _differing(configured({**self.settings, **settings}))
        points = self.law.drawn if drawn is None else drawn
        law = self.law
        if config.data != self.config.data or (drawn is not None and config.data == DRAWN):
            law = law_of(config.data, points)
        model = LabGAN(config, (2,))
        anew = law is not self.law or any(getattr(config, name) != getattr(self.config, name) for name in NEW_NETWORKS)
        notes: list[str] = []
        if not anew:
            state, notes = carried(self.model.state(), model.state(), self.config.optimizer == config.optimizer)
            model.load_state(state)
        self.settings, self.config, self.law = differing, config, law
        if anew:
            self._begin(model)
            return ["both networks"]
        self.snapshots = {}  # those of other settings fit no more
        self._adopt(model)
        self._keep()
        return notes

    def restart(self) -> None:
        """From the initial weights again."""
        self._begin(LabGAN(self.config, (2,)))


def _differing(config: LabConfig) -> tuple[dict[str, Any], LabConfig]:
    plain = LabConfig()
    return {k: v for k, v in vars(config).items() if v != getattr(plain, k)}, config


def carried(old: Mapping[str, Any], own: Mapping[str, Any], same_optimizer: bool) -> tuple[dict[str, Any], list[str]]:
    """The state of a model whose settings have changed: `own`, that of the new model, with all of `old` that fits.

    A network is taken as a whole or not at all; buffers that it did not have yet (a singular vector) stay as they begin. An
    average that is new begins at the network's weights. Returns the state, and which networks begin anew.
    """
    state, notes, kept = dict(own), [], set()
    for name in PLAYERS:
        wanted = {k: v.shape for k, v in own.items() if k.startswith(f"{name}/") and ".changes." not in k}
        if all(k in old and old[k].shape == shape for k, shape in wanted.items()):
            kept.add(name)
            state |= {k: old[k] for k in own if k.startswith(f"{name}/") and k in old and old[k].shape == own[k].shape}
        else:
            notes.append(f"the {name}")
    of = {"average": "generator", **{f"extra/{name}_history": name for name in PLAYERS}}
    for head, network in of.items():
        had = f"{head}/steps" in old and network in kept
        for key in (k for k in own if k.startswith(f"{head}/")):
            source = key if had else f"{network}/{key.removeprefix(f'{head}/')}"
            if source in (old if had else state):
                state[key] = (old if had else state)[source]
    for name in kept if same_optimizer else ():
        ours = {k for k in own if k.startswith(f"game/{name}/")}
        if ours == {k for k in old if k.startswith(f"game/{name}/")}:
            state |= {k: old[k] for k in ours}
    return state | {k: old[k] for k in ("game/step", "game/random")}, notes
