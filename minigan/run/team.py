"""A run on several ranks: what they agree on before the first step, during it, and how they end.

Rank 0 writes and prints; the others compute. Every rank reads the data and the checkpoint itself, so these must lie where all of
them find them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigan.finite import NotFiniteError
from minigan.gans.protocol import Trainable
from minigan.ranks.communicators import Alone, Communicator
from minigan.ranks.nccl import NCCL
from minigan.ranks.start import Watch, connect, told
from minigan.ranks.world import World
from minigan.run import environment, progress
from minigan.run.errors import DIVERGED, Diverged, UsageError, outcome

CHECK_EVERY = 100  # steps: whether all ranks hold the same numbers
PATIENCE = 1.0  # seconds in which rank 0 tells of a fault that all ranks have


class Team:
    """The ranks of a run.

    Args:
        communicator: what joins them; by default one process.

    Attributes:
        rank, size, root: which of how many this is, and whether it writes.
        world: for a game's `ranks`; None where one rank computes as ever.
    """

    def __init__(self, communicator: Communicator | None = None) -> None:
        self._with: Communicator = communicator or Alone()
        self.rank, self.size, self.root = self._with.rank, self._with.size, self._with.rank == 0
        self.world: World | None = None

    def add_up(self, reduce: str, device: str) -> None:
        """Say how the ranks add up, as the option has it: "fast", "ordered" or "ordered:SHARDS"; "" for "fast". On GPUs they do
        so by NCCL.

        Raises:
            UsageError: another word, or fewer shards than ranks.
        """
        word, colon, shards = (reduce or "fast").partition(":")
        try:
            if colon and not (word == "ordered" and shards.isdigit()):
                raise ValueError(f"reduce: got {reduce!r}, expected fast, ordered or ordered:SHARDS")
            with_gpus = self.size > 1 and device == "gpu"
            world = World(
                NCCL(self._with) if with_gpus else self._with, reduce=word, shards=int(shards) if shards else None
            )
        except ValueError as error:
            raise UsageError(f"--{error}") from error
        self.world = world if self.size > 1 or word == "ordered" else None

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Refuse the run where a rank has another fact than rank 0.

        Raises:
            UsageError: naming the ranks, the facts, and both values.
        """
        own = {name: repr(value) for name, value in {**_versions(), **facts}.items()}
        everybody = self._with.exchange((socket.gethostname(), own))
        first = everybody[0][1]
        for rank, (host, theirs) in enumerate(everybody):
            if differ := [name for name in sorted({*first, *theirs}) if first.get(name) != theirs.get(name)]:
                name = differ[0]
                more = f" (and {', '.join(differ[1:])})" if differ[1:] else ""
                raise UsageError(
                    f"rank {rank} of {self.size} on {host} has another {name} than rank 0{more}: {theirs.get(name)}, there "
                    f"{first.get(name)}; start all ranks with the same words, files and installation"
                )

    def signal(self, number: int) -> int:
        """The number of a signal that any rank has received; 0 for none."""
        if self.size == 1:
            return number
        return int(self._with.gather(np.array([number]), [1] * self.size).max())

    def check(self, model: Trainable, step: int) -> None:
        """Every hundred steps: whether all ranks hold the same numbers.

        Raises:
            RuntimeError: one does not: its processor or its libraries compute something else.
        """
        if self.size == 1 or step % CHECK_EVERY:
            return
        found = self._with.exchange(checksum(model.state()))
        for rank, value in enumerate(found):
            if value != found[0]:
                raise RuntimeError(
                    f"rank {rank} of {self.size} holds other numbers than rank 0 at step {step}: it computes something else; are "
                    "all processors of one kind? (minigan doctor, on each machine)"
                )

    def end(self) -> None:
        """Wait for all."""
        self._with.exchange(None)


def checksum(state: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of a model's state."""
    total = 0
    for name in sorted(state):
        total = zlib.crc32(np.ascontiguousarray(state[name]).tobytes(), total)
    return total


def _versions() -> dict[str, Any]:
    found = {f"version of {name}": version for name, version in environment.versions().items()}
    return {
        **found, "BLAS": environment.blas(), "choice of kernels": str(environment.registers.processor()),
        "MINIGAN_KERNELS": os.environ.get("MINIGAN_KERNELS"),
    }  # fmt: skip


@contextlib.contextmanager
def joined() -> Iterator[Team]:
    """The ranks that were started together, or one alone. When the block ends, all have come so far; where it fails on one, the
    message names it, and all end."""
    communicator = connect()
    if communicator is None:
        yield Team()
        return
    if communicator.rank:
        progress.silence()
    watch = Watch(communicator)
    progress.note(f"{communicator.size} ranks ({'; '.join(watch.processes)})")
    try:
        team = Team(communicator)
        yield team
        team.end()
        watch.stop()
    except (NotFiniteError, Diverged) as error:  # on every rank in the same step; rank 0 has written it down
        communicator.exchange(None)
        watch.stop()
        if communicator.rank:
            raise SystemExit(DIVERGED) from error
        raise
    except BaseException as error:
        _fail(communicator, watch, error)


def _fail(communicator: Communicator, watch: Watch, error: BaseException) -> None:
    """Tell of it and end all ranks: the others wait for this one somewhere, and would for ever."""
    if communicator.rank:
        time.sleep(PATIENCE)
    watch.stop()
    code, message = outcome(error) if not isinstance(error, KeyboardInterrupt) else (130, "stopped")
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(f"minigan: {told(communicator.rank, communicator.size)}: {message}", file=sys.stderr, flush=True)
    communicator.abort(code)
    raise error
