"""Whether a game still has numbers: NaN and Inf in losses and gradients, seen in the step that makes them.

Looking costs next to nothing: the optimizers' kernels add up 0 * g while a gradient g is in registers anyway, which is 0, or NaN
where a number of it is NaN or Inf (`minigan.kernels.cpu.optimizers`). What is looked at after a step is one number a parameter.
Where no such kernel runs (on a GPU, in an optimizer of one's own), the parameters themselves, which keep a NaN, are looked at in
every `EVERY`-th step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from minigan.autodiff import Tensor
from minigan.backend import is_gpu_array
from minigan.player import Player

EVERY = 25  # steps from one look to the next where looking costs something


class NotFiniteError(ArithmeticError):
    """A loss or a gradient is NaN or Inf. The parameters have been moved by it: go back to an earlier `game.state()`.

    Attributes:
        player: the first player in the step whose numbers are not finite.
        parameters: the names of its parameters whose gradients are not; empty where only the loss is not.
        loss: the player's loss.
        step: steps done, with this one.
    """

    def __init__(self, player: str, parameters: Sequence[str], loss: float | None, step: int, clipped: bool) -> None:
        self.player, self.parameters, self.loss, self.step = player, tuple(parameters), loss, step
        self.cause = _cause(self.parameters, loss, clipped)
        super().__init__(
            f"step {step}: player {player!r}: {self.cause}. Its parameters have been moved by that: load an earlier state(). "
            "Gentler settings help (a smaller lr, clip_norm, another loss); in `with mg.anomaly():` a step names the operation "
            "that makes the first such number; Game(finite=False) goes on regardless"
        )


def _cause(parameters: Sequence[str], loss: float | None, clipped: bool) -> str:
    said = [] if loss is None or math.isfinite(loss) else [f"its loss is {loss}"]
    if parameters:
        more = f" (and of {len(parameters) - 1} more parameters)" if len(parameters) > 1 else ""
        said.append(f"the gradient of {parameters[0]!r}{more} is NaN or Inf")
        if clipped:
            said.append("clip_norm spreads one such number over all gradients")
    return ", ".join(said)


def look(players: Sequence[Player], losses: Mapping[str, Tensor], step: int) -> None:
    """After a step: NotFiniteError for the first of the players whose loss or gradients were not finite."""
    thorough, found = step % EVERY == 0, []
    for player in players:
        bad = player.optimizer.not_finite(thorough=thorough)
        value = losses[player.name]._data if player.name in losses else None
        loss = None if value is None or (is_gpu_array(value) and not (bad or thorough)) else float(value.item())
        if bad or not (loss is None or math.isfinite(loss)):
            clipped = player.optimizer.clip_norm is not None
            found.append(NotFiniteError(player.name, bad, loss, step, clipped))
    if found:
        raise found[0]
