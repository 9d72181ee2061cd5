"""A pool of generated examples: the discriminator sees a history of fakes, not only the newest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor, effect
from minigan.backend import Array, to_numpy
from minigan.checks import number, whole
from minigan.ops import as_tensor
from minigan.random import uniform


class Pool:
    """The last fakes, mixed with earlier ones (Shrivastava et al. 2016, arXiv 1612.07828, section 2.3; CycleGAN's image pool:
    Zhu et al. 2017, arXiv 1703.10593, section 4).

        pool = mg.data.Pool(50, seed=0)
        loss = losses.least_squares().discriminator(D(x), D(pool(G(z))))

    Each example given is put into the pool and returned, while the pool is not full. Then, with probability `rate`, it takes the
    place of a random one, which is returned instead; otherwise it is returned itself and forgotten. The result is a constant:
    no gradient goes back to who made the examples. In a recorded step the exchange is an effect, so that each replay makes it.

    What is drawn is a pure function of the seed and of how many calls were made, both on the CPU and on the GPU.

    Args:
        size: how many examples are kept; 0 returns what is given.
        seed: any integer. Two pools in one run need different seeds.
        rate: probability of the exchange, in [0, 1].

    Raises:
        TypeError, ValueError: a size below 0 or a rate out of range; when called, examples of another shape or dtype.
    """

    def __init__(self, size: int, *, seed: int, rate: float = 0.5) -> None:
        self.size = whole("Pool", "size", size, low=0)
        self.seed = whole("Pool", "seed", seed, low=-(2**63))
        self.rate = number("Pool", "rate", rate, low=0, high=1)
        self.examples: Array | None = None  # (size, ...) once there was a first example
        self.count = self.calls = 0

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        kept = "" if self.examples is None else f", {self.examples.shape[1:]} {self.examples.dtype}"
        return f"Pool({self.count} of {self.size}{kept}, rate={self.rate:g}, seed={self.seed}, {self.calls} calls)"

    def __call__(self, x: Any) -> Tensor:
        """Examples (N, ...) for the newest ones x (N, ...), as a constant tensor."""
        x = as_tensor(x).detach()
        if not x.ndim:
            raise ValueError("Pool: got a tensor without axes, expected examples (N, ...)")
        out = Tensor(backend.array_module(x._data).empty(x.shape, x.dtype))
        effect(self._exchange, out, x)
        return out

    def _exchange(self, out: Array, x: Array) -> None:
        xp = backend.array_module(x)
        if self.examples is None:
            self.examples = xp.zeros((self.size, *x.shape[1:]), x.dtype)
        if self.examples.shape[1:] != x.shape[1:] or self.examples.dtype != x.dtype:
            raise ValueError(
                f"Pool: got examples {x.shape[1:]} {x.dtype}, expected {self.examples.shape[1:]} {self.examples.dtype} as in "
                "the pool; use a pool for each kind"
            )
        self.examples = backend.to_device(self.examples, backend.device_of(x))
        chance = uniform((len(x), 2), seed=self.seed, stream="pool", step=self.calls, dtype=np.float64).data
        self.calls += 1
        for i, (u, place) in enumerate(chance.tolist()):
            out[i] = x[i]
            if self.count < self.size:
                self.examples[self.count] = x[i]
                self.count += 1
            elif u < self.rate and self.size:
                j = int(place * self.size)
                out[i] = self.examples[j]
                self.examples[j] = x[i]

    def mark(self) -> Callable[[], None]:
        """A function that brings the pool back to what it is now."""
        kept, counts = None if self.examples is None else self.examples.copy(), (self.count, self.calls)

        def restore() -> None:
            self.examples = None if kept is None else kept.copy()
            self.count, self.calls = counts

        return restore

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the examples kept, (count, ...), and the number of calls; no "examples" before there was a first."""
        state = {"calls": np.array(self.calls)}
        if self.examples is not None:
            state["examples"] = to_numpy(self.examples[: self.count]).copy()
        return state

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned. The examples go to the device of those given next.

        Raises:
            ValueError: other names, or more examples than this pool keeps; nothing is changed then.
        """
        if wrong := sorted({"calls"} - state.keys() | state.keys() - {"calls", "examples"}):
            raise ValueError(f"load_state: names that are on one side only: {wrong}")
        examples = to_numpy(state["examples"]) if "examples" in state else None
        if examples is not None and (not examples.ndim or len(examples) > self.size):
            raise ValueError(f"load_state: examples have shape {examples.shape}, expected at most ({self.size}, ...)")
        self.examples, self.count, self.calls = None, 0, int(state["calls"])
        if examples is not None:
            self.examples = np.zeros((self.size, *examples.shape[1:]), examples.dtype)
            self.examples[: len(examples)] = examples
            self.count = len(examples)
