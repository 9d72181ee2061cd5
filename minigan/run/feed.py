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
        self.model, self.game = model, model.game
        self.loader = None if source is None else data.Loader(source, batch_size=config.batch_size, seed=config.seed)
        self.resident: Array | None = (
            backend.to_device(self.loader.x, device) if device == "gpu" and self.loader else None
        )

    def __call__(self, step: int) -> list[Any]:
        """What the updates of a step read; nothing where no loss reads data."""
        if not any(player.reads_batch() for player in self.game.players):
            return []
        count = self.game.updates()
        buffers = self.game.buffers() or []
        outs = buffers if len(buffers) == count else [None] * count
        return [self.model.feed(self._drawn(step * count + k, out), step * count + k) for k, out in enumerate(outs)]

    def _drawn(self, number: int, out: Any) -> Any:
        """Batch `number`, in the memory `out` where there is some."""
        if self.loader is None:
            return None
        if self.resident is None:
            return self.loader.batch(number, out=out)
        xp = array_module(self.resident)
        return xp.take(self.resident, xp.asarray(self.loader.indices(number)), axis=0, out=out)
