"""Functions that are recorded once and replayed: the same numbers, less time.

**The rule.** *In a recorded step every number that changes is a tensor, and all Python that must run again is an effect.*

    step = mg.replayed(lambda x: train(x), random=source)
    for k in range(1000):
        loss = step(loader.batch(k))

The first two calls for each form of the arguments (names, shapes, dtypes) run as they are written, under observation; if both
did the same, later calls repeat the recorded array operations. `minigan.Game(replay=True)` does this to a whole step. Where the
rule is broken, nothing is frozen in silence:

| in the step | what happens |
|---|---|
| random numbers of a `mg.random.Source`, dropout | drawn anew by each replay, as an unrecorded step would |
| optimizers, averages, running statistics, `t.assign(...)` | repeated; `optimizer.lr`, `beta1`, `ema.decay` are read anew |
| `mg.scheduled(f)` | refilled with f(step) |
| `mg.effect(function, out, x)` | `function` is called on the arrays by each replay: image pools, NumPy code |
| hooks of a game or a player (`before`, `after`) | called at every step |
| reading values: `.data`, `.item()`, `float`, `bool`, a mask as an index | RecordingError at the first call, with the line |
| `game.steps`, `optimizer.lr`, `source.step`, `source.advance()` | the same |
| numbers or arrays that differ between the two runs, a changed list or attribute | RecordingError, with the line or the name |
| random numbers of NumPy or Python, an iterator, the time, files, threads | RecordingError, with the line or the name |
| a NumPy array that operations read, written in place | read anew; RecordingError if Python reads it, too: `w.mean()` |
| a Python value that an effect changes in the midst of a step, and the step reads outside of effects | RecordingError |
| `net.eval()`, `clip_norm`, a variable, an attribute, a NumPy array: changed between steps | recorded anew; a warning if often |
| `net.astype(...)`, `.to(...)`, another batch size, other kernels | recorded anew |

Variables and attributes are those that the code which ran in the step can read (see `minigan/reach.py`). What remains out of
sight is Python that gives the same twice and something else later without any of them having changed, such as the state of a
library written in C. `check=True` (`Game(replay="check")`) finds that in the two steps after a recording.

On a GPU replays launch captured CUDA graphs, from the second on; see `minigan/captured.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, ClassVar

import numpy as np

from minigan import backend, captured, checking
from minigan.arena import Arena
from minigan.autodiff import Tensor
from minigan.backend import Array
from minigan.batch import arrays_of, tensors_of
from minigan.checks import flag, whole
from minigan.guards import Guards
from minigan.kernels import kernel
from minigan.random import Clock, Source
from minigan.refusals import RecordingError, changed_by_effect, frozen
from minigan.replay import Recording
from minigan.switches import state
from minigan.tracing import Outline, difference

CHECKS = 2  # replays after a recording that are compared, where that is wanted
_RENEWALS = 4  # recordings made anew for one form before a warning


class _Entry:
    """One form of arguments under one set of Python values: its input arrays, and how far the recording is."""

    def __init__(self, form: Any, arguments: list[Any]) -> None:
        self.form = form
        self.guards: Guards | None = None  # after the first run, when it is known which code runs
        self.inputs: list[Array] = []
        self.arguments = [_owned(a, self.inputs) for a in arguments]
        self._own_ids = set(map(id, self.inputs))
        self.suspect = ""  # an array that was written to, and that Python in the step may read beside recorded calls
        self.to_check = 0  # replays
        self.outline: Outline | None = None
        self.returned: list[Any] = []  # the plain values among what the first run returned
        self.recording: Recording | None = None
        self._ran: dict[CodeType, Any] | None = {}

    def watch(self, outline: Outline, roots: Iterable[Any]) -> None:
        """After a run: watch from now on what its code can read."""
        ran, known = outline.watch.ran, self._ran
        self._ran = None if ran is None or known is None else known | ran
        if self.guards is None or self._ran is None or len(self._ran) != len(known or ()):
            self.guards = Guards(roots, self._ran)
        self.guards.follow(outline.read())
        outline.forget_read()

    def check_values(self) -> None:
        """In a replay, after an effect behind which there are calls that depend on Python values."""
        if self.guards is not None and (changed := self.guards.changed_values()):
            raise changed_by_effect(changed)

    def fill(self, arrays: list[Array]) -> None:
        own_ids = self._own_ids
        for i, (own, new) in enumerate(zip(self.inputs, arrays, strict=True)):
            if own is not new and id(backend.owner_of(new)) in own_ids:  # of another input, which is about to be filled
                arrays[i] = new.copy()
        for own, new in zip(self.inputs, arrays, strict=True):
            if own is not new:
                own[...] = new


class Replayed:
    """See :func:`replayed`."""

    watched: ClassVar[tuple[str, ...]] = ("random",)

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        random: Source | None = None,
        max_recordings: int = 8,
        check: bool = False,
        graphs: bool | None = None,
        roots: Callable[[], Iterable[Any]] | None = None,
        names: Callable[[], dict[int, str]] = dict,
    ) -> None:
        if not callable(function):
            raise TypeError(f"replayed: got {function!r}, expected a function")
        self.function, self.random, self._names = function, random, names
        self.max_recordings = whole("replayed", "max_recordings", max_recordings, low=1)
        self.steps = 0
        self._roots = roots or (lambda: (function,))
        self._arena = Arena()  # of all recordings, since they never run at the same time
        self._entries: list[_Entry] = []  # the one used last comes first
        self._renewals = 0
        self.check, self.graphs = check, graphs

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "random" and not (value is None or isinstance(value, Source)):
            raise TypeError(f"random: got {value!r}, expected a mg.random.Source, or None where no numbers are drawn")
        object.__setattr__(self, name, value)

    @property
    def graphs(self) -> bool:
        """Whether replays on a GPU launch captured CUDA graphs."""
        return self._graphs

    @graphs.setter
    def graphs(self, graphs: bool | None) -> None:
        self._graphs = captured.wanted() if graphs is None else flag("replayed", "graphs", graphs)

    def captured(self) -> list[str]:
        """What of each recording is captured, and which calls are not, and why; of those that are no graphs, nothing."""
        return [str(e.recording.graphs) for e in self._entries if e.recording is not None and e.recording.graphs]

    @property
    def check(self) -> bool:
        """Whether the two calls after each recording are compared with eager ones."""
        return self._check

    @check.setter
    def check(self, check: bool) -> None:
        self._check = flag("replayed", "check", check)
        for entry in self._entries:
            entry.to_check = CHECKS * check

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns: the tensors in it are new ones, outside every graph."""
        if state.reading is not None:  # inside a recorded step this is a part of that step
            return self.function(*arguments)
        return self.call(tuple(_checked(a) for a in arguments))

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """The same with arguments that are known to be arrays, plain values, and lists, tuples and dicts of them."""
        if state.reading is not None:
            return self.function(*map(tensors_of, arguments))
        before, state.clock = state.clock, Clock(self.steps)
        try:
            if self.random is not None:
                self.random.advance()
            result = self._run(arguments)
        finally:
            state.clock = before
        self.steps += 1
        return result

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        made = sum(entry.recording is not None for entry in self._entries)
        return f"Replayed({name}, {made} of {self.max_recordings} recordings, steps={self.steps})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Replayed:
        raise TypeError("replayed: a recording belongs to its arrays and cannot be copied; make a new one")

    def _run(self, arguments: tuple[Any, ...]) -> Any:
        if state.hooks or state.anomaly:  # somebody wants to see every operation
            return _plain(self.function(*map(tensors_of, arguments)))
        arrays: list[Array] = []
        settings = (*kernel.settings(), backend.precision(), state.enabled)
        form = (settings, *(_form(a, arrays) for a in arguments))
        entry = self._find(form, list(arguments))
        entry.fill(arrays)
        try:
            if entry.recording is None:
                return self._observed(entry)
            if not entry.to_check and entry.guards is not None and (refilled := entry.guards.refilled()):
                entry.to_check, entry.suspect = 1, refilled
            if not entry.to_check:
                return _copied(entry.recording.replay(graphs=self._graphs))
            entry.to_check -= 1
            run = lambda: self.function(*map(tensors_of, entry.arguments))  # noqa: E731
            return _copied(checking.replay(entry.recording, run, self._names, entry.suspect))
        except BaseException:
            self._entries.remove(entry)
            raise

    def _find(self, form: Any, arguments: list[Any]) -> _Entry:
        changed = None
        for i, entry in enumerate(self._entries):
            if entry.form == form:
                changed = entry.guards.changed() if entry.guards is not None else None
                if changed is None:
                    if i:
                        self._entries.insert(0, self._entries.pop(i))
                    return entry
        if changed is not None:
            self._renewals += 1
            if self._renewals == _RENEWALS:
                warnings.warn(
                    f"replayed: recorded anew {_RENEWALS} times because {changed} changed. The numbers are right, but no time is "
                    "won; a number that changes with the step belongs into mg.scheduled(f)",
                    RuntimeWarning,
                    stacklevel=5,
                )
        entry = _Entry(form, arguments)
        self._entries.insert(0, entry)
        del self._entries[self.max_recordings :]
        return entry

    def _observed(self, entry: _Entry) -> Any:
        """The first run of an entry, or the second, which is recorded."""
        first, outline = entry.outline, Outline(entry.guards)
        call = lambda: _plain(self.function(*map(tensors_of, entry.arguments)))  # noqa: E731
        self._arena.release()
        with outline.taken():
            recording = Recording(call, arena=self._arena) if first is not None else None
            result = call() if recording is None else recording.result
        returned: list[Any] = []
        _mapped(result, lambda t: t, returned)
        entry.watch(outline, self._roots())
        if first is None:
            entry.outline, entry.returned = outline, returned
        else:
            if where := _parts_ways(entry, first, outline, returned):
                raise frozen(where)
            assert recording is not None
            recording.after_effects(entry.check_values)
            entry.outline, entry.recording, entry.to_check = None, recording, CHECKS * self.check
        return _copied(result)

    def buffers(self) -> list[Any] | None:
        """The arrays that the last call read its arguments from, structured as they are; None before there was one."""
        return self._entries[0].arguments if self._entries else None


def _parts_ways(entry: _Entry, first: Outline, second: Outline, returned: list[Any]) -> str | None:
    """What a replay would freeze, after two runs of a step, in words."""
    if second.watch.asked:
        return f"{second.watch.asked}, and gets something else in the next run of the step"
    if where := difference(first, second):
        return where
    if repr(entry.returned) != repr(returned):
        return f"the function returns the plain values {entry.returned}, and in the next run {returned}"
    if second.watch.drawn:
        return "random numbers of NumPy's or Python's are drawn in the step, and other ones in the next run of the step"
    if entry.guards is not None and (names := entry.guards.iterators):
        return (
            f"{names[0]!r} is an iterator, and what Python takes from it is another thing in the next run of the step"
        )
    return None


def replayed(
    function: Callable[..., Any],
    *,
    random: Source | None = None,
    max_recordings: int = 8,
    check: bool = False,
    graphs: bool | None = None,
) -> Replayed:
    """`function` with its array operations recorded at the second call and replayed from the third on: see the module.

    Args:
        function: of arrays, tensors, and mappings, lists and tuples of them, which it gets as tensors (mappings as
            :class:`minigan.batch.Batch`), and of plain values (numbers, strings, None), each of which has recordings of its own.
            It returns a tensor, or lists, tuples and dicts of tensors and plain values.
        random: the source that goes to its next step at each call; None where the function draws no numbers, or from sources
            that somebody else advances.
        max_recordings: at most this many are kept; the one not used for the longest time goes first. Each holds its arrays.
        check: also run the two calls after each recording eagerly, from the same state, and compare bit by bit.
        graphs: on a GPU, let replays launch captured CUDA graphs (see :mod:`minigan.captured`). None for yes, unless the
            environment says MINIGAN_GRAPHS=0.

    Returns:
        A callable with the same arguments. Its results are new tensors, outside every graph.

    Raises:
        RecordingError: when called, where the function breaks the rule.
    """
    return Replayed(function, random=random, max_recordings=max_recordings, check=check, graphs=graphs)


# -- structured arguments and results --------------------------------------------------------------------------------
_PLAIN = (int, float, bool, str, bytes, type(None))


def _checked(value: Any) -> Any:
    """An argument with arrays for tensors; lists, tuples and mappings of them."""
    if isinstance(value, _PLAIN):
        return value
    return (
        type(value)(map(_checked, value))
        if isinstance(value, (list, tuple))
        else arrays_of(value, "replayed: argument")
    )


def _form(value: Any, arrays: list[Array]) -> Any:
    """What distinguishes one recording from another: names, shapes, dtypes, plain values. Collects the arrays."""
    kind = type(value)
    if kind is np.ndarray:
        arrays.append(value)
        return value.shape, value.dtype
    if kind is dict:
        return tuple([(name, _form(part, arrays)) for name, part in value.items()])
    if kind is list or kind is tuple:
        return (kind, *[_form(part, arrays) for part in value])
    if isinstance(value, _PLAIN):
        return kind, value
    arrays.append(value)
    return "gpu", value.shape, value.dtype


def _owned(value: Any, inputs: list[Array]) -> Any:
    """The same structure over arrays of its own."""
    if isinstance(value, dict):
        return {name: _owned(part, inputs) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_owned(part, inputs) for part in value])
    if isinstance(value, _PLAIN):
        return value
    inputs.append(backend.array_module(value).array(value))
    return inputs[-1]


def _mapped(value: Any, of_tensor: Callable[[Tensor], Tensor], plain: list[Any] | None = None) -> Any:
    """The same structure over other tensors; what is no tensor is put into `plain`."""
    if isinstance(value, Tensor):
        return of_tensor(value)
    if isinstance(value, dict):
        return {name: _mapped(part, of_tensor, plain) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)([_mapped(part, of_tensor, plain) for part in value])
    if isinstance(value, (*_PLAIN, np.generic)):
        if plain is not None:
            plain.append(value)
        return value
    raise RecordingError(
        f"replayed: the function returned {type(value).__name__}, expected tensors, plain values, or lists, tuples and dicts of "
        "these"
    )


def _plain(result: Any) -> Any:
    """A result outside every graph."""
    return _mapped(result, Tensor.detach)


def _copied(result: Any) -> Any:
    """A result in arrays of its own, which the next replay does not fill."""
    kind = type(result)
    if kind is Tensor:
        return Tensor(result._data.copy())
    if kind is dict:
        return {name: _copied(part) for name, part in result.items()}
    return kind([_copied(part) for part in result]) if kind is list or kind is tuple else result
