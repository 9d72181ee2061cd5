"""Run a recorded step eagerly too, from the same state, and compare bit by bit: `mg.Game(replay="check")`.

The eager run comes first, under a :class:`_Tape` that keeps a digest of whatever each operation and each effect wrote. Then all
arrays and counters go back to where they were, and the recorded calls run one by one, each compared with the tape. A user's own
effects and hooks may have a state that cannot be brought back, so they run in the eager pass only; the second pass gets what they
wrote from the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minigan.autodiff import Tensor
from minigan.backend import Array, digest
from minigan.effects import tensors_in
from minigan.reach import users_code
from minigan.refusals import RecordingError, line
from minigan.replay import Recording, is_free, name_of
from minigan.switches import Event, state

Names = Callable[[], dict[int, str]]


def replay(recording: Recording, run: Callable[[], Any], names: Names, suspect: str = "") -> Any:
    """The result of a replay, after the comparison with `run()`, the same step eagerly.

    Args:
        recording: of the step.
        run: the step.
        names: of tensors, by identity: "player 'D', parameter 'layers.0.weight'".
        suspect: an array whose change may be the reason.

    Raises:
        RecordingError: a bit differs. The message names the first parameter, the first operation and its line.
    """
    outer = list(recording.outer.values())
    tape = _Tape(outer)
    back = [*(_place(t) for t in outer), *(owner.mark() for owner in recording.owners.values())]
    counts = [t.version.count for t in outer]
    with tape.running():
        run()
    # What the eager run did not write is either only read, or was made inside when the step was recorded.
    wanted = {id(t): digest(t._data) for t, n in zip(outer, counts, strict=True) if t.version.count != n}
    for restore in back:
        restore()
    first = _replay(recording, tape)
    known = names()
    changed = [
        known.get(id(t), f"a tensor {t.shape}") for t in outer if id(t) in wanted and digest(t._data) != wanted[id(t)]
    ]
    if first or changed:
        what = f"; the first tensor that comes out otherwise is {changed[0]}" if changed else ""
        why = (
            f"The array {suspect!r} was changed in place; operations read it anew, but Python in the step (NumPy, float, an "
            "index) reads it, too. Make what Python computes of it an operation of minigan.ops"
            if suspect
            else "Some Python in the step gives something else now than when it was recorded: the time, a file, a generator, the "
            "global of a module. Take numbers that change from mg.scheduled(f)"
        )
        raise RecordingError(
            f"check: a replay is not what the step does: {first or 'the operations are the same'}{what}. {why}, put Python into "
            "mg.effect(function, out, x), or give up the speed: replay=False"
        )
    return recording.result


def _place(t: Tensor) -> Callable[[], None]:
    array, kept = t._data, t._data.copy()

    def restore() -> None:
        array[...] = kept

    return restore


class _Tape:
    """What an eager run wrote, in the order of a recording's calls: (name, line, digests, copies for a user's effects)."""

    def __init__(self, outer: list[Tensor]) -> None:
        self.rows: list[tuple[str, str, list[bytes], list[tuple[Array, Array]] | None]] = []
        self._outer, self._counts = outer, [t.version.count for t in outer]

    @contextmanager
    def running(self) -> Iterator[None]:
        hooks, reading = state.hooks, state.reading
        state.hooks, state.reading = (*hooks, self._note), self._before
        try:
            yield
        finally:
            state.hooks, state.reading = hooks, reading

    def _before(self, what: Any) -> None:
        if not isinstance(what, (Tensor, str)):  # an effect begins
            self._counts = [t.version.count for t in self._outer]

    def _note(self, event: Event) -> None:
        if event.kind == "apply" and not is_free(event):
            self.rows.append((event.op.name, line(), [digest(event.output._data)], None))
        elif event.kind == "effect":
            written = list(tensors_in(event.inputs[:1]))
            copies = None
            if users_code(event.op) is not None:  # whatever it wrote, also through what it closes over
                others = [t for t, n in zip(self._outer, self._counts, strict=True) if t.version.count != n]
                copies = [(t._data, t._data.copy()) for t in {id(t): t for t in (*written, *others)}.values()]
            self.rows.append((name_of(event.op), line(), [digest(t._data) for t in written], copies))


def _replay(recording: Recording, tape: _Tape) -> str | None:
    """Run the recorded calls; the first that does not write what the tape says, in words."""
    first = None
    for i, (call, (name, made)) in enumerate(zip(recording.calls, recording.made, strict=True)):
        row = tape.rows[i] if i < len(tape.rows) else None
        if made is None:
            continue
        if row is not None and row[0] == name and row[3] is not None:
            for target, (_, kept) in zip(made, row[3], strict=False):
                target[...] = kept
            for target, kept in row[3][len(made) :]:
                target[...] = kept
            continue
        call()
        if first is None and (row is None or row[0] != name):
            now = "ends" if row is None else f"does {row[0]} ({row[1]})"
            first = f"the recording does {name}, where the step {now}"
        elif first is None and row is not None and [digest(array) for array in made] != row[2]:
            first = f"{row[1]}: {name} is the first operation that gives another result"
    if first is None and len(tape.rows) > len(recording.calls):
        row = tape.rows[len(recording.calls)]
        first = f"{row[1]}: the step does {row[0]}, which was not recorded"
    return first
