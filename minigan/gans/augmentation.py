"""Augmentation of what a discriminator sees, and the share of it that is led by how sure the discriminator is.

DiffAugment (Zhao et al. 2020, arXiv 2006.10738): D judges T(x) and T(G(z)), never the images themselves, and G's gradient passes
through T; without labels, and with p = 1. ADA (Karras et al. 2020, arXiv 2006.06676, section 3): each part of T is applied with
a probability p < 1, so that it does not leak into the fakes, and p follows overfitting. With

    r = E sign D(x),  1 where D is sure of every real and 0 where it cannot tell,

p rises while r is above its target (.6 there) and falls while it is below, in steps that would lead from 0 to 1 in `ada_images`
examples (500,000 there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan import augment, backend, ops
from minigan.autodiff import Tensor, effect
from minigan.backend import Array, array_module, to_numpy
from minigan.gans.protocol import Unsuitable
from minigan.random import Source
from minigan.staged import of_arrays


class Augmentation:
    """T with its probability p; state of a run.

    Args:
        config: with `augment`, `ada`, `ada_images` and `batch_size`.
        shape: of an example.
        random: where T's numbers come from.
        device: "cpu" or "gpu".

    Raises:
        Unsuitable: examples that are no images.
    """

    def __init__(self, config: Any, shape: tuple[int, ...], random: Source, device: str) -> None:
        if len(shape) != 3:
            raise Unsuitable(
                f"augment: is for images (height, width, channels), got examples of shape {shape}; use augment=none"
            )
        self.policy, self.random = tuple(config.augment.split(",")), random
        self.target, self.step = config.ada, config.batch_size / config.ada_images
        start = np.zeros((), np.float32) if config.ada else np.ones((), np.float32)
        self.p = Tensor(backend.to_device(start, device))
        self._sign = Tensor(backend.to_device(np.zeros((), np.float32), device))

    def __call__(self, x: Tensor) -> Tensor:
        """T(x), with numbers of its own for each example."""
        return augment.diff_augment(x, self.random, policy=self.policy, p=self.p if self.target else 1.0)

    def note(self, real_logits: Tensor) -> None:
        """Keep r of these logits for :meth:`lead`."""
        effect(_copy, self._sign, ops.mean(ops.sign(real_logits.detach())))

    def lead(self) -> None:
        """p up or down by one step, behind D's update."""
        effect(self._lead, self.p, self._sign)

    lead.recorded = True  # type: ignore[attr-defined]  # all it does is one effect: see `minigan.player.run_hook`

    def _lead(self, p: Array, sign: Array) -> None:
        xp = array_module(p)
        p[...] = xp.clip(p + self.step * xp.sign(sign - self.target), 0, 1)

    def state(self) -> dict[str, np.ndarray]:
        """p."""
        return {"p": to_numpy(self.p.data).copy()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: other names or shapes.
        """
        if state.keys() != {"p"} or state["p"].shape != ():
            raise ValueError(f"load_state: got {sorted(state)}, expected p, a number")
        self.p.assign(backend.to_device(state["p"].astype(np.float32), self.p.device))


@of_arrays
def _copy(out: Array, value: Array) -> None:
    out[...] = value
