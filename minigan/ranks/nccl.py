"""NCCL through CuPy: sums and transfers between GPUs, on their own memory and in the order of the step's other work.

MPI is what starts the ranks, tells the id of the one communicator of the run, and carries Python values. Everything that lies on
a GPU goes from there to there on the current stream: nothing waits for the host, and a CUDA graph can hold it, so a captured
step has its communication inside (see `minigan.captured`). Written for `cupy.cuda.nccl` of CuPy 13 and 14, and tested against a
stand-in; it has not been run on several GPUs yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import backend, launched
from minigan.backend import Array
from minigan.launched import LaunchError
from minigan.ranks.communicators import Communicator

INSTALL = "pip install nvidia-nccl-cu12"
_TYPES = {"float32": "NCCL_FLOAT32", "float64": "NCCL_FLOAT64", "int64": "NCCL_INT64", "int32": "NCCL_INT32"}


class NCCL:
    """Ranks with a GPU each.

    Args:
        ranks: the same ranks by MPI.
        nccl: the module `cupy.cuda.nccl`, or what stands in for it in a test.

    Raises:
        LaunchError: CuPy has no NCCL, or a machine has more ranks than GPUs.
    """

    on_stream = True

    def __init__(self, ranks: Communicator, nccl: Any = None) -> None:
        self._ranks, self.rank, self.size = ranks, ranks.rank, ranks.size
        if nccl is None:
            nccl = _module()
            _choose_gpu()
        self._nccl = nccl
        identity = ranks.exchange(nccl.get_unique_id() if ranks.rank == 0 else None)[0]
        self._comm = nccl.NcclCommunicator(self.size, identity, self.rank)

    def sum(self, array: Array) -> None:
        """ncclAllReduce in place; of what lies on the host, MPI's."""
        if not backend.is_gpu_array(array):
            self._ranks.sum(array)
            return
        flat, kind = _contiguous(array), self._kind(array)
        self._comm.allReduce(flat.data.ptr, flat.data.ptr, flat.size, kind, self._nccl.NCCL_SUM, _stream())
        if flat is not array:
            array[...] = flat

    def gather(self, array: Array, counts: Sequence[int]) -> Array:
        """ncclAllGather, of pieces as long as the longest; of what lies on the host, MPI's."""
        if not backend.is_gpu_array(array):
            return self._ranks.gather(array, counts)
        xp, longest = backend.array_module(array), max(counts)
        size = longest * array.dtype.itemsize
        own, out = xp.zeros(size, np.uint8), xp.empty(size * self.size, np.uint8)
        own[: array.nbytes] = _contiguous(array).view(np.uint8)
        self._comm.allGather(own.data.ptr, out.data.ptr, size, self._nccl.NCCL_UINT8, _stream())
        pieces = out.reshape(self.size, size)
        return xp.concatenate([pieces[r, : n * array.dtype.itemsize] for r, n in enumerate(counts)]).view(array.dtype)

    def exchange(self, value: Any) -> list[Any]:
        """By MPI."""
        return self._ranks.exchange(value)

    def abort(self, code: int) -> None:
        """By MPI: NCCL's kernels of the other ranks would wait for ever."""
        self._ranks.abort(code)

    def _kind(self, array: Array) -> Any:
        name = _TYPES.get(array.dtype.name)
        if name is None:
            raise TypeError(f"NCCL: got {array.dtype}, expected one of {', '.join(_TYPES)}")
        return getattr(self._nccl, name)


def _contiguous(array: Array) -> Array:
    return backend.array_module(array).ascontiguousarray(array)


def _stream() -> int:
    import cupy

    return int(cupy.cuda.get_current_stream().ptr)


def _module() -> Any:
    try:
        from cupy.cuda import nccl

        nccl.get_version()
    except (ImportError, AttributeError, RuntimeError) as error:
        raise LaunchError(f"CuPy finds no NCCL ({error}), by which GPUs of several ranks add up: {INSTALL}") from error
    return nccl


def _choose_gpu() -> None:
    """The GPU of this rank: the one with its number among the ranks of this machine."""
    import cupy

    count, mine = cupy.cuda.runtime.getDeviceCount(), launched.rank_here()
    if mine >= count:
        raise LaunchError(
            f"this is rank {mine} of its machine, counted from 0, which has {count} GPU(s): start at most one rank a GPU"
        )
    cupy.cuda.Device(mine).use()
