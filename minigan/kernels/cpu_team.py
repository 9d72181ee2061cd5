"""A team of threads that is ready within a microsecond, for kernels of a few microseconds.

A GAN step on small networks is a chain of dozens of products and passes of 5 to 500 us each. Waking a sleeping thread costs 20
us or more, so a pool of sleepers helps the long ones only; threads that spin at a barrier are quick, but stall for
milliseconds as soon as anything else wants their core. A team does neither:

- Helpers spin for `PATIENCE` looks (about two milliseconds) after their last task, then go back to sleep.
- A job is a count of tasks and one word of memory, (tasks << 32) | next. Whoever wants work raises `next` by compare-and-swap.
  The caller takes tasks like everybody else, so a job is finished even if no helper ever comes, and nobody waits for a thread
  that the operating system has put aside before it took a task.

A task is a compiled function `f(parameters, index, thread)`; its parameters are integers: addresses, strides, bits of floats.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minigan.kernels import threads
from minigan.kernels.compiler import compile_task, njit
from minigan.kernels.registers import processor

Job = Callable[[], None]
# Spinning is for processors on which the products are the team's too. Where they are the BLAS's, whose threads want the same
# cores, helpers come for long jobs only and leave at once.
PATIENCE = 200_000 if processor().fused else 0
WORTH_HELP = 2 if processor().fused else 8  # tasks from which on helpers are called
# Words of the shared state, each on a cache line of its own.
JOB, DONE, STOP, FUNCTION, PARAMETERS, WORDS = 0, 8, 16, 24, 32, 40
_I64 = ir.IntType(64)


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


def _atomic_load(typing: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, args[0]), ordering="seq_cst", align=8)

    return types.int64(types.int64), codegen


def _atomic_store(typing: Any, address: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _pointer(builder, args[0]), ordering="seq_cst", align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _atomic_add(typing: Any, address: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, args[0]), args[1], ordering="seq_cst")

    return types.int64(types.int64, types.int64), codegen


def _compare_and_swap(typing: Any, address: Any, old: Any, new: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.cmpxchg(_pointer(builder, args[0]), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


def _pause(typing: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if platform.machine().lower() in ("x86_64", "amd64"):
            name, kind = "llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _call(typing: Any, function: Any, parameters: Any, index: Any, thread: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64] * 3)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


load: Any = intrinsic(_atomic_load)
store: Any = intrinsic(_atomic_store)
add: Any = intrinsic(_atomic_add)
swap: Any = intrinsic(_compare_and_swap)
pause: Any = intrinsic(_pause)
call: Any = intrinsic(_call)


@compile_task
def _take(state: int, thread: int) -> bool:
    """Take one task of the present job and do it; False when there is none."""
    job = load(state + 8 * JOB)
    index = job & 0xFFFFFFFF
    if index >= job >> 32 or not swap(state + 8 * JOB, job, job + 1):
        return index < job >> 32
    # The job cannot change before this task is reported done, so what is read from here on belongs to it.
    call(load(state + 8 * FUNCTION), load(state + 8 * PARAMETERS), index, thread)
    add(state + 8 * DONE, 1)
    return True


@njit
def _help(state: int, thread: int, patience: int) -> None:
    idle = 0
    while idle < patience and load(state + 8 * STOP) == 0:
        if _take(state, thread):
            idle = 0
        else:
            idle += 1
            pause()


@njit
def _lead(state: int, function: int, parameters: int, tasks: int) -> None:
    store(state + 8 * DONE, 0)
    store(state + 8 * FUNCTION, function)
    store(state + 8 * PARAMETERS, parameters)
    store(state + 8 * JOB, tasks << 32)
    while _take(state, 0):
        pass
    while load(state + 8 * DONE) < tasks:
        pause()


@njit
def _stop(state: int, flag: int) -> None:
    store(state + 8 * STOP, flag)


class Team:
    """The caller and `size - 1` helper threads."""

    def __init__(self, size: int) -> None:
        self.size, self.process = size, os.getpid()
        self._memory = np.zeros(WORDS + 8, np.int64)
        self._state = (self._memory.ctypes.data + 63) // 64 * 64
        self._pool = ThreadPoolExecutor(max(1, size - 1), thread_name_prefix="minigan")
        self._lock = Lock()
        self._helpers: list[Any] = [None] * (size - 1)
        _help(self._state, 1, 0)  # compiled here, not in a helper

    def job(self, function: int, parameters: np.ndarray, tasks: int) -> Job:
        """What does `function(parameters, i, thread)` for every i in range(tasks), each time it is called."""
        lock, helpers, state, address = self._lock, self._helpers, self._state, parameters.ctypes.data

        def run(parameters: np.ndarray = parameters) -> None:  # keeps the parameters alive
            with lock:  # one job at a time, whichever thread of the program brings it
                if tasks >= WORTH_HELP:
                    for i, helper in enumerate(helpers):
                        if helper is None or helper.done():
                            helpers[i] = self._pool.submit(_help, state, i + 1, PATIENCE)
                _lead(state, function, address, tasks)

        return run

    def run(self, function: int, parameters: np.ndarray, tasks: int) -> None:
        """Do a job once."""
        self.job(function, parameters, tasks)()

    def rest(self) -> None:
        """Send the helpers to sleep now, for other threads to have their cores."""
        if any(helper is not None and not helper.done() for helper in self._helpers):
            _stop(self._state, 1)
            wait([helper for helper in self._helpers if helper is not None])
            _stop(self._state, 0)


_team: Team | None = None


def _rest() -> None:
    if _team is not None and _team.process == os.getpid():
        _team.rest()


threads.before_split.append(_rest)


def team() -> Team:
    """The process's team, of `threads.THREADS` threads; made anew after a fork."""
    global _team
    if _team is None or _team.process != os.getpid() or _team.size != threads.THREADS:
        _team = Team(threads.THREADS)
    return _team
