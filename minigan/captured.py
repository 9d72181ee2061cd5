"""A recorded step on a GPU as captured CUDA graphs: one launch in place of a hundred.

Python takes longer to queue a small kernel than the GPU takes to run it. A CUDA graph holds kernels with their arguments and is
queued whole, so a replay costs one launch. What was Python when the graph was captured is frozen in it; so what changes from step
to step comes from memory that the host writes before each launch:

- learning rates, counts of updates, counters of random streams: the numbers of each :class:`minigan.staged.Staged` effect, all in
  one copy;
- the batch and scheduled numbers, which a replay writes into arrays of their own anyway.

Some calls stay outside: Python of yours (hooks, `mg.effect`), arrays of the host, and what CUDA or CuPy do not let into a capture
(cuBLAS, sorting, whatever waits for the device). A step is then several graphs with those calls between them, in their order, and
:attr:`Graphs.apart` names each with the reason. Nothing is left out, and nothing is frozen in silence: the first launch of a
graph after the step in which it was captured is compared, bit by bit, with the calls that it stands for, on that step's numbers.

A graph uses addresses. Its arrays are those of the recording, which keeps them; what its calls need for themselves comes from a
pool of memory that lives as long as the graph, and from which nobody else gets any.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array
from minigan.refusals import RecordingError
from minigan.staged import Staged

VARIABLE = "MINIGAN_GRAPHS"
ALIGNMENT = 8  # bytes, of numbers in a graph's memory


def wanted() -> bool:
    """Whether recorded steps on a GPU become graphs where nobody says otherwise: unless MINIGAN_GRAPHS=0.

    Raises:
        ValueError: another value than 0 or 1.
    """
    text = os.environ.get(VARIABLE, "1")
    if text not in ("0", "1"):
        raise ValueError(
            f"{VARIABLE}: got {text!r}, expected 0 (replay the calls one by one) or 1 (capture CUDA graphs)"
        )
    return text == "1"


class Call(NamedTuple):
    """One call of a recorded step.

    Attributes:
        name: of the operation or the effect.
        run: what a replay calls.
        made: the arrays that it writes, as far as its first argument tells.
        staged: the effect in its two parts, and its arrays; None for all else.
        effect: whether it changes arrays that were there before.
        apart: why it cannot go into a graph; "" where it may be tried.
    """

    name: str
    run: Callable[[], Any]
    made: Sequence[Array]
    staged: tuple[Staged, Sequence[Any]] | None = None
    effect: bool = False
    apart: str = ""

    def on_device(self) -> bool:
        """Whether it writes arrays of a GPU."""
        return any(map(backend.is_gpu_array, self.made))


class Numbers:
    """What changes from step to step of some effects: taken on the host, and all of it sent to the device in one copy."""

    def __init__(self, effects: Sequence[Staged], first: Sequence[Any]) -> None:
        import cupy

        self._effects = effects
        arrays = [_array(value) for value in first]
        ends = np.cumsum([0, *(-(-a.nbytes // ALIGNMENT) * ALIGNMENT for a in arrays)])
        self._host = np.zeros(int(ends[-1]), np.uint8)
        self._device = cupy.empty(self._host.size, np.uint8)
        self._places = [self._host[at : at + a.nbytes].view(a.dtype) for at, a in zip(ends, arrays, strict=False)]
        self.on_device: list[Any] = [
            None if value is None else self._device[at : at + a.nbytes].view(a.dtype)
            for at, a, value in zip(ends, arrays, first, strict=False)
        ]
        self._write(first)

    def take(self) -> None:
        """Those of the present step; their Python runs."""
        self._write([effect.numbers() for effect in self._effects])

    def _write(self, values: Sequence[Any]) -> None:
        for place, value in zip(self._places, values, strict=True):
            place[...] = _array(value)
        if self._host.size:
            import cupy

            self._device.set(self._host, stream=cupy.cuda.get_current_stream())


def _array(value: Any) -> np.ndarray:
    """The numbers of an effect as an array: words, where they are no floats."""
    if value is None:
        return np.empty(0, np.uint8)
    return value if isinstance(value, np.ndarray) else np.array(value, np.uint32)


class Graph:
    """Calls as one CUDA graph, with the memory that it uses.

    Attributes:
        failed: where the capture ended before its time: the number of the call (None for the end) and why.
    """

    def __init__(self, calls: Sequence[Call], taken: Sequence[Any]) -> None:
        import cupy

        self._calls = calls
        self._numbers = Numbers([c.staged[0] for c in calls if c.staged is not None], taken)
        self._pool = cupy.cuda.MemoryPool()
        self._checked = False
        self.failed: tuple[int | None, str] | None = None
        self._captured = self._capture()
        from minigan.kernels.gpu.optimizers import tables

        self._tables = (
            tables()
        )  # of addresses, which kernels read; nobody else may keep them as long as the graph lives

    def __len__(self) -> int:
        return len(self._calls)

    def _capture(self) -> Any:
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)  # the default stream cannot capture
        with stream, cupy.cuda.using_allocator(self._pool.malloc), backend.capturing():
            stream.begin_capture()
            try:
                for i, work in enumerate(self._works()):
                    try:
                        work()
                    except (
                        Exception
                    ) as error:  # whatever it is, the call runs outside of graphs, and says so again there
                        self.failed = i, _reason(error)
                        break
            except BaseException:
                with contextlib.suppress(Exception):
                    stream.end_capture()
                raise
            try:
                return stream.end_capture()
            except Exception as error:
                self.failed = self.failed or (None, _reason(error))
                return None

    def _works(self) -> list[Callable[[], Any]]:
        """The calls, with their numbers where the device holds them."""
        numbers = iter(self._numbers.on_device)
        return [c.run if c.staged is None else _worked(c.staged, next(numbers)) for c in self._calls]

    def launch(self) -> None:
        """Queue it, for the numbers that were taken."""
        self._captured.launch()

    def replay(self, marks: Callable[[], list[Callable[[], None]]]) -> None:
        """Take the step's numbers, and queue it; at the first time, compare it with its calls. `marks()` gives functions that
        bring optimizers and counters back to where they are.

        Raises:
            RecordingError: the graph leaves something else than the calls.
        """
        self._numbers.take()
        if self._checked:
            self.launch()
            return
        written = {id(a): a for c in self._calls if c.effect for a in c.made}.values()
        back = [(a, a.copy()) for a in written]
        restore = marks()
        for work in self._works():
            work()
        wanted = [[backend.digest(a) for a in c.made] for c in self._calls]
        for array, kept in back:
            array[...] = kept
        for function in restore:
            function()
        self.launch()
        for call, digests in zip(self._calls, wanted, strict=True):
            if [backend.digest(a) for a in call.made] != digests:
                raise RecordingError(
                    f"graphs: a CUDA graph does not leave what its calls do; the first that differs is {call.name}. This is a "
                    f"fault of minigan or of CuPy, please report it; Game(graphs=False) or {VARIABLE}=0 goes on without graphs"
                )
        self._checked = True


def _worked(staged: tuple[Staged, Sequence[Any]], numbers: Any) -> Callable[[], Any]:
    effect, arrays = staged
    return lambda: effect.work(numbers, *arrays)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class Graphs:
    """The calls of a recorded step as graphs, and what stays between them.

    Attributes:
        parts: graphs, and calls that stay outside, in order; empty before the first run.
        apart: why a call stays outside, by its name.
    """

    def __init__(self, calls: Sequence[Call], owners: Callable[[], Sequence[Any]]) -> None:
        self._calls, self._owners = calls, owners
        self.parts: list[Graph | Call] = []
        self.apart: dict[str, str] = {}

    def __str__(self) -> str:
        graphs = [len(part) for part in self.parts if isinstance(part, Graph)]
        calls = len(self.parts) - len(graphs)
        outside = "".join(f"; outside of graphs: {name} ({why})" for name, why in self.apart.items())
        return f"{len(graphs)} CUDA graph(s) of {sum(graphs)} calls, and {calls} call(s) outside{outside}"

    def run(self) -> None:
        """Do the step. The first time captures: nothing runs while it is captured, so that each graph is launched after it.

        Every call must have run before on these arrays, so that kernels are compiled and tables lie on the device.
        """
        if not self.parts:
            self._capture()
            return
        for part in self.parts:
            if isinstance(part, Graph):
                part.replay(self._marks)
            else:
                part.run()

    def _marks(self) -> list[Callable[[], None]]:
        return [owner.mark() for owner in self._owners()]

    def _capture(self) -> None:
        calls, i = self._calls, 0
        while i < len(calls):
            if calls[i].apart:
                self._outside(calls[i], calls[i].run)
                i += 1
                continue
            end = next((k for k in range(i, len(calls)) if calls[k].apart), len(calls))
            self._capture_all(calls[i:end])
            i = end

    def _capture_all(self, calls: Sequence[Call]) -> None:
        """As few graphs as may be, of calls that are tried: one that fails goes outside, and the next graph begins behind it."""
        taken = {i: c.staged[0].numbers() for i, c in enumerate(calls) if c.staged is not None}
        begin, end = 0, len(calls)
        while begin < end:
            graph = Graph(calls[begin:end], [taken[i] for i in range(begin, end) if i in taken])
            if graph.failed is None:
                graph.launch()
                self.parts.append(graph)
                begin, end = end, len(calls)
                continue
            place, why = graph.failed
            del graph  # and with it its memory
            if place:  # what came before is a graph; the next round meets the call that failed at its beginning
                end = begin + place
                continue
            for i in range(begin, end if place is None else begin + 1):
                call = calls[i]._replace(apart=why)
                warnings.warn(
                    f"graphs: {call.name} stays outside of the CUDA graphs of a recorded step, which costs time: {why}",
                    RuntimeWarning,
                    stacklevel=2,
                )
                staged = calls[i].staged
                self._outside(call, call.run if staged is None else _worked(staged, taken[i]))
            begin, end = end if place is None else begin + 1, len(calls)

    def _outside(self, call: Call, run: Callable[[], Any]) -> None:
        self.apart.setdefault(call.name, call.apart)
        run()
        self.parts.append(call)
