"""Whether a run still goes somewhere: NaN and Inf end it; losses without bound, players that stand still, and samples that all
look alike are told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigan import backend, nn
from minigan.backend import array_module, to_numpy
from minigan.finite import NotFiniteError
from minigan.game import Game
from minigan.gans.options import LOSS_BOUND, SPREAD_BOUND
from minigan.gans.protocol import Histogram, Picture
from minigan.run.course import FEWEST, spread
from minigan.run.rundir import RunDir, write_durably, write_json


def not_finite(numbers: Mapping[str, float], modules: Mapping[str, nn.Module]) -> str:
    """What is NaN or Inf, the losses before the networks; empty when nothing is."""
    bad = [f"the {name} loss" for name, value in numbers.items() if not math.isfinite(value)]
    return bad[0] if bad else next(_tensors_not_finite(modules), "")


def _tensors_not_finite(modules: Mapping[str, nn.Module]) -> Any:
    for name, module in modules.items():
        for path, tensor in module.tensors().items():
            xp = array_module(tensor.data)
            # A sum is quick to look at; where large finite numbers overflow it, each number is looked at.
            if not bool(xp.isfinite(tensor.data.sum())) and not bool(xp.isfinite(tensor.data).all()):
                yield f"{name}/{path}"


class Watcher:
    """Notices a divergence that makes no NaN. Each finding is a sentence; it stands as long as it is true.

    * A loss whose mean over the steps between two lines of `metrics.jsonl` is beyond +- `loss_bound`.
    * A player that made updates between two such lines, and whose parameters are the same to the bit (lr = 0, or too small for
      float32).
    * Samples whose spread is below `spread_bound` times that of the data: collapse. The spread of n examples is the mean over
      pixels or coordinates of their standard deviation. The pictures before training do not count, and one alone neither.

    Args:
        config: of the model, for the two bounds (`minigan.gans.options.Config`), whose 0 asks for silence.
        real: examples of the data, by name.
    """

    def __init__(self, config: Any, real: Mapping[str, np.ndarray]) -> None:
        self.loss_bound = float(getattr(config, "loss_bound", LOSS_BOUND))
        self.spread_bound = float(getattr(config, "spread_bound", SPREAD_BOUND))
        self._spreads = {x.shape[1:]: spread(x) for x in real.values() if len(x) >= FEWEST and x.dtype.kind == "f"}
        self._stood: dict[str, tuple[int, list[float]]] = {}
        self._low: dict[str, int] = {}
        self.found: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What is found to be wrong now."""
        return list(self.found.values())

    def _tell(self, key: str, text: str) -> list[str]:
        """Note a finding, or with an empty text that it is none any more; returns what is new."""
        new = [text] if text and key not in self.found else []
        if text:
            self.found[key] = text
        else:
            self.found.pop(key, None)
        return new

    def see_numbers(self, step: int, losses: Mapping[str, float], game: Game) -> list[str]:
        """The mean losses since the last call, and the players; returns new findings."""
        new = []
        for player in game.players:
            name, value = player.name, losses.get(player.name, 0.0)
            wild = (
                f"step {step}: the loss of {name} is {value:.3g}, beyond +-{self.loss_bound:g} (--set loss_bound=...)"
            )
            new += self._tell(f"loss {name}", wild if 0 < self.loss_bound < abs(value) else "")
            made, sums = player.optimizer.steps, [_sum(t.data) for t in player.parameters]
            before, were = self._stood.get(name, (made, []))
            still = f"step {step}: {name} has not moved in {made - before} updates: is its learning rate 0?"
            if made > before or not were:
                new += self._tell(f"still {name}", still if sums == were else "")
                self._stood[name] = made, sums
        return new

    def see_pictures(self, step: int, made: Mapping[str, Picture | Histogram]) -> list[str]:
        """What was drawn at a step; returns new findings. Histograms are no examples."""
        new = []
        for name, picture in made.items():
            if isinstance(picture, Histogram):
                continue
            real, x = self._spreads.get(picture.examples.shape[1:], 0.0), picture.examples
            if not step or not real or len(x) < FEWEST:
                continue
            ratio = spread(x) / real
            self._low[name] = self._low.get(name, 0) + 1 if ratio < self.spread_bound else 0
            text = (
                f"step {step}: the {name} vary {ratio:.2g} times as much as the data, less than {self.spread_bound:g} "
                "(--set spread_bound=...): has the generator collapsed?"
            )
            new += self._tell(f"spread {name}", text if self._low[name] > 1 else "")
        return new


def _sum(array: Any) -> float:
    return float(array.sum(dtype=np.float64))


def keep(folder: RunDir, error: NotFiniteError, batches: Sequence[Any], about: Mapping[str, Any]) -> None:
    """Write what reproduces a NaN or Inf into RUN/diverged: `batch.npz`, the batches of the step, and `about.json`.

    The arrays of `batch.npz` are called "0", or "0.x", "0.y" where a batch is a mapping: the number is the update's.
    """
    place = folder.path / "diverged"
    place.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {}
    for k, batch in enumerate(batches):
        parts = {f"{k}.{name}": part for name, part in batch.items()} if isinstance(batch, Mapping) else {str(k): batch}
        arrays |= {name: to_numpy(part) for name, part in parts.items() if _is_array(part)}
    write_durably(place / "batch.npz", lambda file: np.savez(file, **arrays))
    found = {
        "player": error.player,
        "parameters": list(error.parameters),
        "cause": error.cause,
        "loss": repr(error.loss),
    }
    write_json(place / "about.json", json.loads(json.dumps({"step": error.step, **found, **about})))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or backend.is_gpu_array(value)
