"""Split a kernel over threads without a thread pool that spins.

Why not Numba's own `parallel=True`: its OpenMP pool keeps its idle thread spinning on the core that the BLAS wants next,
and its workqueue pool costs 20 us a call. A GAN step alternates between matrix products and small kernels, so both lose
more than they win. Here the caller computes the first part itself and sleeping helper threads compute the others; kernels
release the interpreter lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from minigan import launched

_pool: ThreadPoolExecutor | None = None
before_split: list[Callable[[], None]] = []  # called before threads are woken: a team stops spinning
_owner = 0  # the process the pool belongs to: threads do not survive a fork


def usable() -> int:
    """Processors that this process may run on; of a machine, a container or a batch system may allow some only."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Threads a kernel may use: MINIGAN_THREADS, else the :func:`usable` processors, shared with the other ranks of an MPI job on
    this machine where nobody has given each its own."""
    wish = os.environ.get("MINIGAN_THREADS", "")
    if wish:
        if not wish.isdigit() or int(wish) < 1:
            raise ValueError(f"MINIGAN_THREADS: got {wish!r}, expected a positive integer")
        return int(wish)
    own = usable()
    return max(1, own // launched.count_here()) if own == (os.cpu_count() or 1) else own


THREADS = thread_count()


def split(kernel: Callable[..., Any], length: int, elements: int, *args: Any, threshold: int = 200_000) -> None:
    """Run `kernel(start, stop, *args)` over `range(length)`, in parts when there are `threshold` elements or more.

    Handing a part to a sleeping thread costs about 20 us, the time of some 100,000 elements of a cheap kernel.
    """
    parts = min(THREADS, length, max(1, 2 * elements // threshold))
    if parts < 2:
        kernel(0, length, *args)
        return
    for function in before_split:
        function()
    global _pool, _owner
    if _pool is None or _owner != os.getpid():
        _pool, _owner = ThreadPoolExecutor(max(1, THREADS - 1), thread_name_prefix="minigan"), os.getpid()
    cuts = [length * part // parts for part in range(parts + 1)]
    waiting = [_pool.submit(kernel, cuts[i], cuts[i + 1], *args) for i in range(1, parts)]
    kernel(cuts[0], cuts[1], *args)
    for part in waiting:
        part.result()
