"""NCCL's part in a step of several ranks, against a stand-in: which calls it gets, on which memory, and what comes back."""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigan import launched
from minigan.backend import module_for, to_numpy
from minigan.launched import LaunchError
from minigan.ranks import Alone, World
from minigan.ranks.nccl import NCCL

SIZE = 3
pytestmark = pytest.mark.gpu


class Threads:
    """Ranks that are threads of one process."""

    def __init__(self) -> None:
        self.barrier, self.values = threading.Barrier(SIZE, timeout=30), [None] * SIZE

    def exchange(self, rank: int, value: Any) -> list[Any]:
        self.values[rank] = value
        self.barrier.wait()
        found = list(self.values)
        self.barrier.wait()
        return found


class Rank(Alone):
    def __init__(self, rank: int, threads: Threads) -> None:
        self.rank, self.size, self.threads = rank, SIZE, threads

    def exchange(self, value: Any) -> list[Any]:
        return self.threads.exchange(self.rank, value)


def memory(pointer: int, count: int, dtype: Any) -> np.ndarray:
    dtype = np.dtype(dtype)
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(pointer), dtype)


def standing_in(threads: Threads, calls: list[Any]) -> Any:
    """What of `cupy.cuda.nccl` is used, for the emulated GPU, whose memory is the host's."""

    class NcclCommunicator:
        def __init__(self, count: int, identity: str, rank: int) -> None:
            assert (count, identity) == (SIZE, "of rank 0")
            self.rank = rank

        def allReduce(self, source: int, target: int, count: int, kind: str, op: str, stream: int) -> None:
            calls.append(("allReduce", self.rank, count, kind, op))
            parts = threads.exchange(self.rank, memory(source, count, kind).copy())
            memory(target, count, kind)[...] = sum(parts[1:], parts[0])

        def allGather(self, source: int, target: int, count: int, kind: str, stream: int) -> None:
            calls.append(("allGather", self.rank, count, kind))
            parts = threads.exchange(self.rank, memory(source, count, kind).copy())
            memory(target, count * SIZE, kind)[...] = np.concatenate(parts)

    asked: list[int] = []

    def get_unique_id() -> str:
        asked.append(1)
        assert len(asked) == 1, "one communicator a run"
        return "of rank 0"

    kinds = {"NCCL_FLOAT32": "float32", "NCCL_FLOAT64": "float64", "NCCL_INT64": "int64", "NCCL_UINT8": "uint8"}
    return SimpleNamespace(NcclCommunicator=NcclCommunicator, get_unique_id=get_unique_id, NCCL_SUM="sum", **kinds)


def on_all(work: Any) -> tuple[list[Any], list[Any]]:
    """What `work(communicator)` returns on every rank, and the calls that NCCL got."""
    threads, calls, found = Threads(), [], [None] * SIZE
    nccl = standing_in(threads, calls)

    def run(rank: int) -> None:
        found[rank] = work(NCCL(Rank(rank, threads), nccl))

    started = [threading.Thread(target=run, args=(rank,)) for rank in range(SIZE)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    return found, calls


@pytest.fixture(autouse=True)
def _memory_of_the_host() -> None:
    if "emulated" not in module_for("gpu").__version__:
        pytest.skip("the stand-in reads the memory of the emulated GPU")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_sums_stay_on_the_device(dtype):
    cupy = module_for("gpu")

    def work(ranks: NCCL) -> Any:
        array = cupy.arange(6).astype(dtype).reshape(2, 3) * (ranks.rank + 1)
        turned = array.T  # not contiguous
        ranks.sum(array)
        ranks.sum(turned)
        return to_numpy(array)

    found, calls = on_all(work)
    wanted = np.arange(6).reshape(2, 3).astype(dtype) * 6 * 3
    assert all((f == wanted).all() and f.dtype == dtype for f in found)
    assert sorted(calls) == sorted(("allReduce", rank, 6, dtype, "sum") for rank in range(SIZE) for _ in range(2))


def test_pieces_of_unequal_lengths_are_brought_together():
    cupy, counts = module_for("gpu"), [2, 0, 3]

    def work(ranks: NCCL) -> Any:
        own = cupy.arange(counts[ranks.rank]).astype("float32") + 10 * ranks.rank
        return to_numpy(ranks.gather(own, counts))

    found, calls = on_all(work)
    assert all((f == [0, 1, 20, 21, 22]).all() and f.dtype == np.float32 for f in found)
    assert {call[2:] for call in calls} == {(12, "uint8")}


def test_what_lies_on_the_host_goes_by_mpi_and_other_numbers_are_refused():
    array = np.ones(3)
    _, calls = on_all(lambda ranks: ranks.sum(array))
    assert not calls and (array == 1).all()  # the stand-in's MPI adds nothing
    with pytest.raises(TypeError, match="NCCL: got int8"):
        NCCL._kind(SimpleNamespace(_nccl=None), np.ones(1, np.int8))  # type: ignore[arg-type]


def test_what_is_on_the_stream_may_go_into_a_graph():
    assert hasattr(World(Alone())._work(print).func, "of_arrays")  # type: ignore[attr-defined]
    host = Rank(0, Threads())
    host.on_stream = False  # type: ignore[misc]
    assert not hasattr(World(host)._work(print).func, "of_arrays")  # type: ignore[attr-defined]


def test_more_ranks_than_gpus_are_refused(monkeypatch):
    from minigan.ranks import nccl

    monkeypatch.setenv(launched.RANKS_HERE[0], "64")
    with pytest.raises(LaunchError, match="start at most one rank a GPU"):
        nccl._choose_gpu()
