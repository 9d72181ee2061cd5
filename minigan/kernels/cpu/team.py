"""A team of threads that is ready within a microsecond, for kernels of a few microseconds, and gone where it does not pay.

A GAN step on small networks is a chain of dozens of products and passes of 5 to 500 us each. Waking a sleeping thread costs 20
us or more, so a pool of sleepers helps the long ones only; threads that spin at a barrier are quick, but stall for
milliseconds as soon as anything else wants their core. A team does neither:

- Helpers spin for `PATIENCE` looks (about two milliseconds) after their last task, then go back to sleep.
- A job is a count of tasks and one word of memory, (tasks << 32) | next. Whoever wants work raises `next` by compare-and-swap.
  The caller takes tasks like everybody else, so a job is finished even if no helper ever comes, and nobody waits for a thread
  that the operating system has put aside before it took a task.

**Whether help pays** depends on the minute: two virtual processors may share one core, and then a handover costs as much as a
short job; or another program wants the core. Nothing but the clock tells, so each job keeps two mean times in its ledger, with
help and alone. It runs the way that was quicker lately, and tries the other one now and then, more and more rarely while that
keeps losing. A helper that sleeps cannot show what it is worth to a short job, so now and then, for `WINDOW` seconds, all jobs
call it.

**A core that is taken.** A helper that spins sees it in the clock: between two looks more time has gone than a look can take. And
the caller sees it when it waits for a task that a helper took and was put aside with; it gives its own core away meanwhile. Both
enter how long it lasted. An interruption now and then is the price of a machine that others use too; but when more than a quarter
of the time is lost (`SHARE`; `BURST` seconds of it are free), somebody else works there, and the team calls no helpers for a
while: `QUIET` seconds, and twice as long each time that it finds the core taken again.

Which thread does a task never changes the result.

A task is a compiled function `f(parameters, index, thread)`; its parameters are integers: addresses, strides, bits of floats.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from threading import RLock
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from minigan.backend import Array
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import address_of, compile_task, njit, words_at
from minigan.kernels.cpu.registers import processor
from minigan.kernels.kernel import Job

# Spinning is for processors on which the products are the team's too. Where they are the BLAS's, whose threads want the same
# cores, helpers come for long jobs only and leave at once.
PATIENCE = 200_000 if processor().fused else 0
WORTH_HELP = 2 if processor().fused else 8  # tasks from which on helpers are called
# Words of the shared state, each two cache lines from the next (processors fetch lines in pairs, and some have longer ones): the
# job; ticks lost to others on a core; how many helpers look for tasks; and, the caller's only, ticks: how many of the lost it has
# seen, when it looked last, what was lost beyond a share of the time, since when helpers are called and what was lost by then,
# until when they are not and how long that lasts, until when all jobs call them, when that begins next and how long between.
JOB, DONE, STOP, FUNCTION, PARAMETERS, LOST, AWAKE, OWN = 0, 16, 32, 48, 64, 80, 96, 112
SEEN, LOOKED, DEBT, SINCE, LOST_BEFORE, QUIET_END, QUIET_TICKS, WINDOW_END, NEXT_WINDOW, WINDOW_GAP = range(
    OWN, OWN + 10
)
WORDS = OWN + 16
# Words of a job's ledger: mean ticks with help and alone, runs until the next try of the other way, runs between tries, runs so
# far, and whether the next run does without helpers.
HELPED, ALONE, NEXT_TRY, BETWEEN, RUNS, WITHOUT, LEDGER = 0, 1, 2, 3, 4, 5, 6
FIRST_RUNS = 4  # runs with help, then as many alone, before a job decides
SHORTEST, LONGEST = 16, 1024  # runs between tries
GAIN = 31 / 32  # help must take less than this part of the time alone
SLOW = 200e-6  # seconds that a look never takes unless the core was taken
SHARE, BURST = 4, 8e-3  # one part in SHARE of the time may be lost, and so many seconds more
QUIET, QUIETEST = 8e-3, 1.0  # seconds without helpers after that, at first and at most
# Seconds in which all jobs call helpers, and between such times, at first and at most.
WINDOW, GAP, GAPS = 8e-3, 50e-3, 2.0
_I64, _I32 = ir.IntType(64), ir.IntType(32)
_MACHINE = platform.machine().lower()
_INTEL = _MACHINE in ("x86_64", "amd64")
_ARM = _MACHINE in ("aarch64", "arm64")
if _ARM:
    binding.initialize_native_asmparser()  # for the one instruction that reads the counter


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


def _declared(builder: Any, name: str, kind: Any) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _pause(typing: Any) -> Any:
    """Tell the processor that this is a spin: it saves power and lets a thread that shares the core go first."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _INTEL:
            builder.call(_declared(builder, "llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])), [])
        elif _ARM:  # a barrier takes some 10 ns; "yield" does nothing on most
            kind = ir.FunctionType(ir.VoidType(), [_I32])
            builder.call(_declared(builder, "llvm.aarch64.isb", kind), [_I32(15)])
        return context.get_dummy_value()

    return types.void(), codegen


def _ticks(typing: Any) -> Any:
    """A counter of steady ticks (some 10 ns or less each); 0 where none can be read from a program."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _INTEL:
            return builder.call(_declared(builder, "llvm.readcyclecounter", ir.FunctionType(_I64, [])), [])
        if _ARM:
            return builder.asm(ir.FunctionType(_I64, []), "mrs $0, cntvct_el0", "=r", [], True)
        return _I64(0)

    return types.int64(), codegen


def _call(typing: Any, function: Any, parameters: Any, index: Any, thread: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64] * 3)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), list(args[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


def _give_way(typing: Any, function: Any) -> Any:
    """Let the system run another thread on this core: call sched_yield at an address, where there is one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with builder.if_then(builder.icmp_signed("!=", args[0], _I64(0))):
            builder.call(builder.inttoptr(args[0], ir.FunctionType(_I32, []).as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


load: Any = intrinsic(_atomic_load)
store: Any = intrinsic(_atomic_store)
add: Any = intrinsic(_atomic_add)
swap: Any = intrinsic(_compare_and_swap)
pause: Any = intrinsic(_pause)
ticks: Any = intrinsic(_ticks)
call: Any = intrinsic(_call)
give_way: Any = intrinsic(_give_way)


def _yield_address() -> int:
    """The address of sched_yield, or 0 on systems without it."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):
        return 0


_YIELD = _yield_address()


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


@compile_task
def _look_for_tasks(state: int, thread: int, patience: int, slow: int) -> None:
    """Take tasks until `patience` looks in a row found none, or a look took `slow` ticks: somebody else had this core."""
    idle, last = 0, ticks()
    while idle < patience and load(state + 8 * STOP) == 0:
        if _take(state, thread):
            idle, last = 0, ticks()
            continue
        idle += 1
        pause()
        now = ticks()
        if now - last > slow:
            add(state + 8 * LOST, now - last)
            return
        last = now


@njit
def _help(state: int, thread: int, patience: int, slow: int) -> None:
    add(state + 8 * AWAKE, 1)
    _look_for_tasks(state, thread, patience, slow)
    add(state + 8 * AWAKE, -1)


@compile_task
def _together(state: int, function: int, parameters: int, tasks: int, slow: int, yields: int) -> None:
    """Do a job with whoever helps."""
    begin = ticks()
    store(state + 8 * DONE, 0)
    store(state + 8 * FUNCTION, function)
    store(state + 8 * PARAMETERS, parameters)
    store(state + 8 * JOB, tasks << 32)
    while _take(state, 0):
        pass
    waiting = ticks()
    late = waiting + max(slow, (waiting - begin) // 2)
    while load(state + 8 * DONE) < tasks:
        pause()
        if ticks() > late:  # who took the last task is not running
            while load(state + 8 * DONE) < tasks:
                give_way(yields)
            add(state + 8 * LOST, ticks() - waiting)
            return


@compile_task
def _note(book: Array, helped: bool, took: int) -> None:
    """Enter what a run took into a job's ledger. What the first run of a kind took is forgotten at the second: it paid for cold
    caches. An interrupted run counts as two usual ones at most."""
    which = HELPED if helped else ALONE
    before = book[HELPED] < GAIN * book[ALONE]
    if book[RUNS] < 2 * FIRST_RUNS:
        fresh = book[RUNS] % FIRST_RUNS <= 1
        book[which] = took if fresh else (book[which] + took) // 2
        book[NEXT_TRY] = book[BETWEEN] = SHORTEST
    else:
        book[which] += (min(took, 2 * book[which]) - book[which]) // 4
        book[NEXT_TRY] -= 1
        if book[NEXT_TRY] < 0:  # that was a try of the other way
            changed = (book[HELPED] < GAIN * book[ALONE]) != before
            book[BETWEEN] = SHORTEST if changed else min(2 * book[BETWEEN], LONGEST)
            book[NEXT_TRY] = book[BETWEEN]
    book[RUNS] += 1


@compile_task
def _wants_help(book: Array) -> bool:
    """Whether the job's next run calls helpers: FIRST_RUNS times yes, as often no, then what was quicker, at times the other."""
    if book[RUNS] < 2 * FIRST_RUNS:
        return book[RUNS] < FIRST_RUNS
    better = book[HELPED] < GAIN * book[ALONE]
    return better if book[NEXT_TRY] > 0 else not better


@compile_task
def _look_round(own: Array, lost: int, now: int, second: int) -> bool:
    """Whether helpers may be called at all; keeps the team's times."""
    fresh, passed = lost - own[SEEN - OWN], now - own[LOOKED - OWN]
    own[SEEN - OWN], own[LOOKED - OWN] = lost, now
    own[DEBT - OWN] = max(own[DEBT - OWN] + fresh - passed // SHARE, np.int64(0))
    if own[DEBT - OWN] > np.int64(BURST * second):
        again = SHARE * (lost - own[LOST_BEFORE - OWN]) > now - own[SINCE - OWN]  # all the time, not just now
        length = max(2 * own[QUIET_TICKS - OWN] if again else np.int64(0), np.int64(QUIET * second))
        own[QUIET_TICKS - OWN] = min(length, np.int64(QUIETEST * second))
        own[QUIET_END - OWN] = own[SINCE - OWN] = now + own[QUIET_TICKS - OWN]
        own[DEBT - OWN], own[LOST_BEFORE - OWN] = np.int64(0), lost
    if now > own[NEXT_WINDOW - OWN]:
        own[WINDOW_END - OWN] = now + np.int64(WINDOW * second)
        own[WINDOW_GAP - OWN] = min(2 * own[WINDOW_GAP - OWN] + np.int64(GAP * second), np.int64(GAPS * second))
        own[NEXT_WINDOW - OWN] = own[WINDOW_END - OWN] + own[WINDOW_GAP - OWN]
    return now > own[QUIET_END - OWN]


@njit
def _run(
    state: int, ledger: int, function: int, parameters: int, tasks: int, helped: bool, second: int, yields: int
) -> int:
    """Do a job, `helped` or alone, and enter the time. Returns 1 if its next run should call helpers, plus 2 if none should now.

    `second` is a second in ticks; 0 without a clock: then helpers are always called.
    """
    begin = ticks()
    if helped:
        _together(state, function, parameters, tasks, np.int64(SLOW * second) if second else np.int64(1) << 60, yields)
    else:
        for index in range(tasks):
            call(function, parameters, index, 0)
    if second == 0:
        return 1
    now, book, own = ticks(), words_at(ledger, LEDGER), words_at(state + 8 * OWN, WORDS - OWN)
    _note(book, helped, now - begin)
    may = _look_round(own, load(state + 8 * LOST), now, second)
    book[WITHOUT] = 0 if now < own[WINDOW_END - OWN] or _wants_help(book) else 1
    return (1 - book[WITHOUT]) + (0 if may else 2)


@njit
def _stop(state: int, flag: int) -> None:
    store(state + 8 * STOP, flag)


@njit
def _ticks_now() -> int:
    return ticks()


@cache
def ticks_a_second() -> int:
    """How fast the counter of :func:`ticks` runs; 0 where there is none."""
    _ticks_now()  # compiled
    begin, first = time.perf_counter(), _ticks_now()
    while (passed := time.perf_counter() - begin) < 2e-3:
        pass
    return int((_ticks_now() - first) / passed)


class Ledger:
    """What the runs of a job took, and whether its next one calls helpers."""

    def __init__(self) -> None:
        self.book, self.wants = np.zeros(LEDGER, np.int64), 1
        self.address = address_of(self.book)


class Team:
    """The caller and `size - 1` helper threads."""

    def __init__(self, size: int) -> None:
        self.size, self.process = size, os.getpid()
        self._memory = np.zeros(WORDS + 16, np.int64)
        self._state = -(-address_of(self._memory) // 128) * 128
        self._awake = self._memory[(self._state - address_of(self._memory)) // 8 + AWAKE :][:1]
        self._pool = ThreadPoolExecutor(max(1, size - 1), thread_name_prefix="minigan")
        self._lock = RLock()
        self._helpers: list[Any] = [None] * (size - 1)
        self._quiet = False
        self._ledgers: dict[tuple[int, int], Ledger] = {}
        self._second = ticks_a_second()
        self._slow = int(SLOW * self._second) or 1 << 60
        _help(self._state, 1, 0, self._slow)  # compiled here, not in a helper

    def job(self, function: int, parameters: np.ndarray, tasks: int) -> Job:
        """What does `function(parameters, i, thread)` for every i in range(tasks), each time it is called.

        The first time, it goes by the ledger of all jobs of that function and as many tasks that ran only once, as eager calls
        do; from the second time on, by one of its own.
        """
        address, ledger, runs = address_of(parameters), self._first(function, tasks), 0

        def run(_kept: np.ndarray = parameters) -> None:
            nonlocal ledger, runs
            runs += 1
            if runs == 2:
                ledger = Ledger()
            self._do(ledger, function, address, tasks)

        return run

    def run(self, function: int, parameters: np.ndarray, tasks: int) -> None:
        """Do a job once."""
        self._do(self._first(function, tasks), function, address_of(parameters), tasks)

    def _first(self, function: int, tasks: int) -> Ledger:
        """The ledger of jobs that run once."""
        found = self._ledgers.get((function, tasks))
        if found is None:
            found = self._ledgers[function, tasks] = Ledger()
        return found

    def _do(self, ledger: Ledger, function: int, parameters: int, tasks: int) -> None:
        with self._lock:  # one job at a time, whichever thread of the program brings it
            helped = tasks >= WORTH_HELP and self.size > 1 and ledger.wants == 1 and not self._quiet
            if helped:
                self._call()
            answer = _run(self._state, ledger.address, function, parameters, tasks, helped, self._second, _YIELD)
            ledger.wants, self._quiet = answer & 1, answer > 1

    def _call(self) -> None:
        """Wake the helpers that sleep."""
        if self._awake[0] == self.size - 1:  # a future takes longer to ask
            return
        for i, helper in enumerate(self._helpers):
            if helper is None or helper.done():
                self._helpers[i] = self._pool.submit(self._look, i + 1)

    def _look(self, thread: int) -> None:
        """What a helper does. A method, so that the team, and the memory that helpers look at, stays until the last has left."""
        _help(self._state, thread, PATIENCE, self._slow)

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


def keeping(job: Job, *arrays: Array) -> Job:
    """The job, which keeps alive the arrays that it knows by address."""

    def run(_arrays: tuple[Array, ...] = arrays) -> None:
        job()

    return run


def in_turn(*jobs: Job) -> Job:
    """The jobs one after the other, as one."""

    def run() -> None:
        for job in jobs:
            job()

    return run
