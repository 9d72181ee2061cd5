"""Batches for a game: as many a step as its most active player makes updates, put straight into the memory that is read."""

from __future__ import annotations

from typing import Any

from minigan import backend, data
from minigan.backend import Array, array_module
from minigan.gans.needs import ONLY, Supply
from minigan.gans.protocol import Trainable


class Feed:
    """The batches of each step, a pure function of the step.

    Of several data sets each is visited in an order of its own; of each, the examples that the model trains on.

    Args:
        supply: the data.
        model: whose `feed` sees each batch before its game does.
        device: on a GPU all data is kept there.
    """

    def __init__(self, supply: Supply, model: Trainable, device: str) -> None:
        size, seed, several = model.config.batch_size, model.config.seed, len(supply.groups) > 1
        self.model, self.bare, self._parts, self._size = model, supply.bare, supply.parts, size
        self.rows = {name: model.trains_on(model.config, arrays) for name, arrays in supply.groups.items()}
        self.loaders = [
            data.Loader(arrays, batch_size=size, seed=seed, rows=self.rows[name], name=name if several else "")
            for name, arrays in supply.groups.items()
        ]
        self.resident: dict[str, Any] | None = None
        if device == "gpu":
            self.resident = {name: _moved(array, device) for name, array in supply.parts.items()}
        self._names = [list(arrays) for arrays in supply.groups.values()]

    def __call__(self, step: int) -> list[Any]:
        """What the updates of a step read; nothing where no loss reads data."""
        game = self.model.game
        if not any(player.reads_batch() for player in game.players):
            return []
        count = game.updates()
        buffers = game.buffers() or []
        outs = buffers if len(buffers) == count else [None] * count
        return [self.model.feed(self._drawn(step * count + k, out), step * count + k) for k, out in enumerate(outs)]

    def _drawn(self, number: int, out: Any) -> Any:
        """Batch `number`, in the arrays of `out` where there are some; None without data."""
        if not self.loaders:
            return None
        own = {ONLY: out} if self.bare else out if isinstance(out, dict) else {}
        batch: dict[str, Array] = {}
        for loader, names in zip(self.loaders, self._names, strict=True):
            batch |= self._rows(loader, number, {name: self._fitting(name, own.get(name)) for name in names})
        return batch[ONLY] if self.bare else batch

    def _fitting(self, name: str, out: Any) -> Any:
        """The array that a game reads, unless it is for something else: the model's `feed` may have changed the batch."""
        own = self._parts[name]
        fits = getattr(out, "shape", None) == (self._size, *own.shape[1:]) and out.dtype == own.dtype
        return out if fits else None

    def _rows(self, loader: data.Loader, number: int, out: dict[str, Any]) -> dict[str, Array]:
        if self.resident is None:
            return loader.batch(number, out=out)
        places = backend.to_device(loader.indices(number), "gpu")
        xp = array_module(places)
        return {name: _taken(xp, self.resident[name], places, array) for name, array in out.items()}


def _moved(array: Any, device: str) -> Any:
    """Examples on a device: bytes stay bytes there."""
    return array.to(device) if isinstance(array, data.Pixels) else backend.to_device(array, device)


def _taken(xp: Any, array: Any, places: Array, out: Any) -> Array:
    return array.take(places, out=out) if isinstance(array, data.Pixels) else xp.take(array, places, axis=0, out=out)
