"""What ranks say to each other: four things, by MPI, by NCCL for what lies on GPUs, or to nobody."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from minigan import backend
from minigan.backend import Array


class Communicator(Protocol):
    """All ranks call the same methods in the same order."""

    rank: int
    size: int
    on_stream: bool  # whether sums and transfers are work on a GPU's stream, which a captured CUDA graph can hold

    def sum(self, array: Array) -> None:
        """The sum over all ranks, in place; bit by bit the same on each."""

    def gather(self, array: Array, counts: Sequence[int]) -> Array:
        """The 1-D arrays of all ranks end to end; counts: how long each is."""

    def exchange(self, value: Any) -> list[Any]:
        """A Python value of each rank, in their order."""

    def abort(self, code: int) -> None:
        """End all ranks at once."""


class Alone:
    """One rank."""

    rank, size, on_stream = 0, 1, True

    def sum(self, array: Array) -> None:
        """Nothing to add."""

    def gather(self, array: Array, counts: Sequence[int]) -> Array:
        """Its own."""
        return array

    def exchange(self, value: Any) -> list[Any]:
        """Its own."""
        return [value]

    def abort(self, code: int) -> None:
        """End the process."""
        sys.exit(code)


class MPI:
    """The ranks of an MPI job, through mpi4py. What lies on a GPU goes over the host; :class:`minigan.ranks.nccl.NCCL` does not.

    comm: of mpi4py; by default all ranks. MPI's sums are those of its library: recursive doubling, rings or trees, which give
    every rank the same bits, and another number of ranks other ones.
    """

    on_stream = False

    def __init__(self, comm: Any = None) -> None:
        if comm is None:
            from mpi4py import MPI as mpi  # noqa: N811 - starts MPI

            comm = mpi.COMM_WORLD
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()

    def sum(self, array: Array) -> None:
        """MPI_Allreduce in place."""
        from mpi4py import MPI as mpi  # noqa: N811

        host = np.ascontiguousarray(backend.to_numpy(array))
        self.comm.Allreduce(mpi.IN_PLACE, host)
        if host is not array:
            array[...] = backend.to_device(host, backend.device_of(array))

    def gather(self, array: Array, counts: Sequence[int]) -> Array:
        """MPI_Allgatherv, of bytes."""
        host = np.ascontiguousarray(backend.to_numpy(array))
        out = np.empty(sum(counts), host.dtype)
        lengths = [count * host.itemsize for count in counts]
        self.comm.Allgatherv(host.view(np.uint8), [out.view(np.uint8), lengths])
        return backend.to_device(out, backend.device_of(array))

    def exchange(self, value: Any) -> list[Any]:
        """MPI_Allgather of pickles."""
        return list(self.comm.allgather(value))

    def abort(self, code: int) -> None:
        """MPI_Abort."""
        self.comm.Abort(code)
