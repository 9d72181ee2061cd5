"""Batches for a game: as many a step as its most active player makes updates, put straight into the memory that is read."""

from __future__ import annotations

from typing import Any

from minigan import backend, data
from minigan.backend import Array, array_module
from minigan.gans.protocol import Trainable


class Feed:
    """The batches of each step, a pure function of the step.

    Args:
        source: what `data.Loader` takes, or None for a game without data.
        model: whose `feed` sees each batch before its game does.
        device: on a GPU the whole data set is kept there.
    """

    def __init__(self, source: Any, model: Trainable, device: str) -> None:
        config = model.config
        self.model, self.updates = model, max(player.updates for player in model.game.players)
        self.loader = None if source is None else data.Loader(source, batch_size=config.batch_size, seed=config.seed)
        self.resident: Array | None = (
            backend.to_device(self.loader.x, device) if device == "gpu" and self.loader else None
        )

    def __call__(self, step: int) -> list[Any]:
        """What the updates of a step read."""
        numbers = range(step * self.updates, (step + 1) * self.updates)
        return [self.model.feed(self._drawn(number), number) for number in numbers]

    def _drawn(self, number: int) -> Any:
        if self.loader is None:
            return None
        buffer = self.model.game.buffer((self.loader.batch_size, *self.loader.x.shape[1:]))
        if self.resident is None:
            return self.loader.batch(number, out=buffer)
        xp = array_module(self.resident)
        return xp.take(self.resident, xp.asarray(self.loader.indices(number)), axis=0, out=buffer)
