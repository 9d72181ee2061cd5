"""Averages of a network's weights over its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minigan import backend, ops
from minigan.autodiff import Tensor, effect
from minigan.backend import Array, is_float, to_numpy
from minigan.checks import flag, number, restorable, whole
from minigan.counters import Counter
from minigan.kernels import reference as kernels
from minigan.parameters import Parameters, named
from minigan.staged import Staged, of_arrays


class EMA:
    """Exponential moving average of a network's weights: a <- decay a + (1 - decay) p after each update; buffers (running
    statistics) are averaged too, integers copied. Starts as a copy of the network.

    With `warm_up`, decay_t = min(decay, (1 + t)/(10 + t)), so that early averages forget the initial weights.

    Args:
        parameters: a module, a tensor, or mappings and sequences of these.
        decay: 0 <= decay < 1.

    Raises:
        TypeError, ValueError: nothing to average, something given twice, or a decay out of range.
    """

    steps = Counter("the number of an average's updates")

    def __init__(self, parameters: Parameters, *, decay: float = 0.999, warm_up: bool = True) -> None:
        self.decay, self.steps = number("EMA", "decay", decay, low=0, below=1), 0
        self.warm_up = flag("EMA", "warm_up", warm_up)
        self.tensors = named(parameters, owner="EMA", constants=True)
        self.averages = {name: Tensor(t.data.copy()) for name, t in self.tensors.items()}
        self._applied = False

    def __repr__(self) -> str:
        size = sum(t.size for t in self.averages.values())
        settings = f"decay={self.decay:g}, warm_up={self.warm_up}, steps={self.steps}"
        return f"EMA({len(self.averages)} tensors of {size:,} numbers, {settings})"

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        """Averages and weights; an average goes where its weight has gone, in device and dtype."""
        for name, t in self.tensors.items():
            average = self.averages[name]
            if average.dtype != t.dtype or average.device != t.device:
                average._data = backend.to_device(average._data.astype(t.dtype), t.device)
        return list(self.averages.values()), list(self.tensors.values())

    def update(self) -> None:
        """Take the network's present weights into the average.

        Raises:
            RuntimeError: inside `applied()`, where the network holds the average itself.
        """
        if self._applied:
            raise RuntimeError("EMA: update() inside applied() would average the average; call it after the block")
        averages, tensors = self._pairs()
        effect(Staged(self._next_decay, self._average), averages, tensors)

    update.recorded = True  # type: ignore[attr-defined]  # all it does is one effect: see `minigan.player.run_hook`

    def _next_decay(self) -> np.ndarray:
        """That of this update, which is counted."""
        decay = self._present_decay()
        self.steps += 1
        return np.array([decay])

    def _average(self, hyper: Array, averages: Sequence[Array], tensors: Sequence[Array]) -> None:
        floats = all(is_float(a.dtype) for a in averages)
        for a, t in () if floats else zip(averages, tensors, strict=True):
            if not is_float(a.dtype):
                a[...] = t
        kept = averages if floats else [a for a in averages if is_float(a.dtype)]
        if kept:
            present = tensors if floats else [t for t in tensors if is_float(t.dtype)]
            kernels.ema(kept, present, hyper)

    def _present_decay(self) -> float:
        return min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warm_up else self.decay

    def mark(self) -> Callable[[], None]:
        """A function that brings the number of updates back to what it is now (the averages are tensors of their own)."""
        steps = self.steps

        def restore() -> None:
            self.steps = steps

        return restore

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the averages and the number of updates."""
        return {"steps": np.array(self.steps), **{n: to_numpy(t.data).copy() for n, t in self.averages.items()}}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: other names or shapes; nothing is changed then.
        """
        if wrong := sorted((self.averages.keys() | {"steps"}) ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]}")
        for name, t in self.averages.items():
            restorable(name, state[name], t.shape)
        steps = whole("load_state", "steps", state["steps"], low=0)
        for name, t in self.averages.items():
            t.assign(backend.to_device(state[name].astype(t.dtype), t.device))
        self.steps = steps

    def applied(self) -> _Applied:
        """Context manager: the network runs with the averaged weights inside the block."""
        return _Applied(self)


class History(EMA):
    """The plain mean of a network's parameters over all its updates so far, and the distance to it: historical averaging
    (Salimans et al. 2016, arXiv 1606.03498, section 3.3), |theta - 1/t sum_i theta_i|^2 in a player's loss.

    The mean is a constant in the derivative, 2 (theta - mean). It damps the circles of a game, as fictitious play does.

    Args:
        network: a module, a tensor, or mappings and sequences of these.

    Raises:
        TypeError, ValueError: nothing to average, or something given twice.
    """

    def __init__(self, network: Parameters) -> None:
        super().__init__(network, decay=0.0, warm_up=False)

    def _present_decay(self) -> float:
        return self.steps / (1 + self.steps)  # mean_(t+1) = t/(t+1) mean_t + theta/(t+1)

    def distance(self) -> Tensor:
        """|theta - mean|^2, over all that is learned."""
        averages, tensors = self._pairs()
        learned = [(t, a) for t, a in zip(tensors, averages, strict=True) if t.node is not None]
        if not learned:
            raise ValueError(
                "History: no parameter takes a gradient here; its distance belongs into its own player's loss"
            )
        return ops.sum(ops.stack([ops.sum(ops.square(t - a.detach())) for t, a in learned]))


class _Applied:
    """Swap averages in, and the trained weights back out."""

    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def __enter__(self) -> None:
        if self.ema._applied:
            raise RuntimeError(
                "EMA: applied() inside applied() would bring the trained weights back; leave the block first"
            )
        self._swap()
        self.ema._applied = True

    def __exit__(self, *_: object) -> None:
        self._swap()
        self.ema._applied = False

    def _swap(self) -> None:
        averages, tensors = self.ema._pairs()
        effect(_exchange, averages + tensors)


@of_arrays
def _exchange(arrays: Sequence[Array]) -> None:
    half = len(arrays) // 2
    for a, b in zip(arrays[:half], arrays[half:], strict=True):
        kept = a.copy()
        a[...] = b
        b[...] = kept
