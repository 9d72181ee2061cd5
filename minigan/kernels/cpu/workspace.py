"""Scratch memory that all convolutions share: packed weights and the like live for one call only."""

from __future__ import annotations

import threading

import numpy as np

from minigan.backend import Array
from minigan.kernels.cpu.compiler import address_of
from minigan.kernels.cpu.registers import LINE

LOCK = threading.RLock()  # held by whoever uses the workspace, so that programs with threads of their own are safe


def whole_lines(floats: int) -> int:
    """So many floats, rounded up to cache lines."""
    return -(-floats // LINE) * LINE


class Workspace:
    """A block of scratch memory."""

    def __init__(self) -> None:
        self._memory = np.zeros(0, np.float32)

    def __call__(self, *sizes: int) -> list[Array]:
        """Arrays of `sizes` floats on cache lines of their own, all in the block, zero when first used.

        The next call hands out the same memory again; a block that is too small is replaced by a larger one, and lives on in
        the plans that were made with it.
        """
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + whole_lines(size))
        if self._memory.size < starts[-1] + LINE:
            self._memory = np.zeros(max(starts[-1] + LINE, self._memory.size * 5 // 4), np.float32)
        first = -(address_of(self._memory) // 4) % LINE
        return [self._memory[first + a : first + a + size] for a, size in zip(starts, sizes, strict=False)]


workspace = Workspace()  # what a kernel works in
matrices = Workspace()  # matrices of patches, which live while a kernel makes a product of them
