"""Who deals arrays to shards, runs operations on them, and brings together what somebody needs whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from minigan.autodiff import Tensor, apply, effect, fill, run, zeros_for
from minigan.backend import Array, array_module
from minigan.batch import Batch
from minigan.checks import whole as whole_number
from minigan.effects import overwrite, targets, tensors_in
from minigan.primitive import Primitive
from minigan.ranks.communicators import Communicator
from minigan.ranks.layout import Cut, Partial, Rows, Spread, bounds, whole_of
from minigan.ranks.rules import rule_of
from minigan.staged import of_arrays
from minigan.switches import no_grad, state

REDUCTIONS = {
    "fast": "as the MPI library adds: equal to one rank to rounding",
    "ordered": "in the order of rows: equal to the bit for every number of ranks",
}
SHARDS = 8  # of "ordered", by default


class World:
    """The ranks of a run, and the shards that a batch is dealt to.

    Args:
        communicator: who brings arrays of ranks together.
        reduce: "fast" or "ordered", see the package.
        shards: for "ordered": into how many parts a batch is cut, at least as many as there are ranks. Equal numbers need equal
            shards. For "fast" it is the number of ranks, unless said otherwise.

    Attributes:
        shards: how many there are in all. own: the numbers of those of this rank.
        gathered: how often operations read arrays whole that were dealt out, by name: what is not split.
        calls, bytes: of reductions and transfers, and how much this rank gave to them.

    Raises:
        ValueError: an unknown way, or fewer shards than ranks.
    """

    def __init__(self, communicator: Communicator, *, reduce: str = "fast", shards: int | None = None) -> None:
        if reduce not in REDUCTIONS:
            raise ValueError(f"reduce: got {reduce!r}, expected one of {', '.join(REDUCTIONS)}")
        size = communicator.size
        self.communicator, self.reduce = communicator, reduce
        usual = size if reduce == "fast" else max(SHARDS, size)
        self.shards = usual if shards is None else whole_number("World", "shards", shards, low=1)
        if self.shards < size:
            raise ValueError(f"shards: got {self.shards} for {size} ranks, expected at least one a rank")
        self.own = range(*bounds(self.shards, communicator.rank, size))
        self.gathered: dict[str, int] = {}
        self.calls = self.bytes = 0
        self._rows: frozenset[int] = frozenset()  # lengths of batches that are dealt out in the present step

    def __repr__(self) -> str:
        rank = self.communicator.rank
        return (
            f"World(rank {rank} of {self.communicator.size}, {self.reduce}, shards {list(self.own)} of {self.shards})"
        )

    # -- a step ------------------------------------------------------------------------------------------------------
    @contextmanager
    def dealing(self, batches: Sequence[Any]) -> Iterator[list[Any]]:
        """Inside the block operations run on shards; gives the batches of a step, dealt out: each entry with as many rows as the
        batch has (its first entry's), if these are at least as many as the shards."""
        before, rows = state.spread, self._rows
        state.spread = self
        try:
            self._rows = frozenset(filter(self._fits, map(_length, batches)))
            with no_grad():
                dealt = [self._dealt(batch) for batch in batches]
            yield dealt
        finally:
            state.spread, self._rows = before, rows

    def _fits(self, rows: int) -> bool:
        return rows >= self.shards

    def _dealt(self, batch: Any) -> Any:
        if isinstance(batch, Batch):
            return Batch({name: self._dealt(entry) for name, entry in batch.items()})
        return self.rows_of(batch) if isinstance(batch, Tensor) else batch

    def rows_of(self, t: Tensor) -> Tensor:
        """A plain tensor dealt out along its first axis, where that is a batch's; else as it is."""
        if isinstance(t._data, Spread) or not t.ndim or len(t) not in self._rows:
            return t
        cut = Cut(0, ((len(t), 1),))
        return self.made(Rows(self, cut, self.parts(t, cut)))

    # -- pieces ------------------------------------------------------------------------------------------------------
    def made(self, array: Spread) -> Tensor:
        """A tensor of it. It shares the version of its first part, so that whoever watches arrays knows it as the step's own."""
        return Tensor(array, None, array.blocks[0].version)

    def parts(self, t: Tensor, cut: Cut) -> list[Tensor]:
        """What the shards of this rank have of a plain tensor."""
        lead, found = (slice(None),) * cut.axis, []
        for shard in self.own:
            pieces = [run("getitem", t, template=(*lead, slice(a, b))) for a, b in cut.spans(shard, self.shards)]
            found.append(pieces[0] if len(pieces) == 1 else run("concatenate", *pieces, axis=cut.axis))
        return found

    def lengths(self, cut: Cut) -> list[int]:
        """How many places each shard of this rank has."""
        return [cut.local(shard, self.shards) for shard in self.own]

    # -- operations --------------------------------------------------------------------------------------------------
    def apply(self, op: Primitive, inputs: Sequence[Tensor], params: dict[str, Any]) -> Tensor | None:
        """An operation on tensors of which some are dealt out; None where none is. Called by :func:`minigan.autodiff.apply`,
        which makes the node of a result that has none."""
        if not any([isinstance(t._data, Spread) for t in inputs]):
            return None
        rule = rule_of(op)
        if rule is None or (made := rule(self, op, inputs, params)) is None:
            if any([isinstance(t._data, Rows) for t in inputs]):
                self.gathered[op.name] = self.gathered.get(op.name, 0) + 1
            with no_grad():
                made = apply(op, tuple(whole_of(t) for t in inputs), params)
        return made

    # -- bringing together -------------------------------------------------------------------------------------------
    def together(self, array: Rows) -> Tensor:
        """All rows of an array, on every rank."""
        with no_grad():
            blocks = [run("contiguous", b) for b in array.blocks]
        out = Tensor(array_module(blocks[0]._data).empty(array.shape, array.dtype))
        fill(self._work(partial(self._bring, array.cut)), out, blocks)
        return out

    def _work(self, function: Callable[..., None]) -> Callable[..., None]:
        """An effect that a captured CUDA graph can hold, where the communicator can be in one."""
        return partial(_on_stream if self.communicator.on_stream else _by_host, function)

    def _bring(self, cut: Cut, out: Array, blocks: Sequence[Array]) -> None:
        xp, line = array_module(out), out.size // max(1, out.shape[cut.axis])
        sizes = [cut.local(shard, self.shards) * line for shard in range(self.shards)]
        flat = self._gather(xp.concatenate([b.reshape(-1) for b in blocks]), sizes)
        start, lead = 0, (slice(None),) * cut.axis
        for shard, size in enumerate(sizes):
            shape = list(out.shape)
            shape[cut.axis] = cut.local(shard, self.shards)
            block, place = flat[start : start + size].reshape(shape), 0
            for first, last in cut.spans(shard, self.shards):
                out[(*lead, slice(first, last))] = block[(*lead, slice(place, place + last - first))]
                place += last - first
            start += size

    def _gather(self, flat: Array, sizes: Sequence[int]) -> Array:
        """The pieces of all shards end to end. sizes: of each shard."""
        size = self.communicator.size
        if size == 1:
            return flat
        self.calls, self.bytes = self.calls + 1, self.bytes + flat.nbytes
        counts = [sum(sizes[slice(*bounds(self.shards, rank, size))]) for rank in range(size)]
        return self.communicator.gather(flat, counts)

    def summed(self, arrays: Sequence[Partial]) -> list[Tensor]:
        """The sums over all shards, as plain tensors: one reduction a dtype, in one flat array."""
        found: list[Tensor | None] = [None] * len(arrays)
        for dtype in dict.fromkeys(array.dtype for array in arrays):
            places = [i for i, array in enumerate(arrays) if array.dtype == dtype]
            for i, t in zip(places, self._summed([arrays[i] for i in places]), strict=True):
                found[i] = t
        return found  # type: ignore[return-value]

    def _summed(self, arrays: Sequence[Partial]) -> list[Tensor]:
        with no_grad():
            flats = []
            for shard in range(len(self.own)):
                pieces = [run("reshape", run("contiguous", a.blocks[shard]), shape=(-1,)) for a in arrays]
                flats.append(pieces[0] if len(pieces) == 1 else run("concatenate", *pieces, axis=0))
            total = Tensor(array_module(flats[0]._data).empty(flats[0].shape, flats[0].dtype))
            fill(self._work(self._add_up), total, flats)
            found, start = [], 0
            for array in arrays:
                piece = run("getitem", total, template=(slice(start, start + array.size),))
                found.append(run("reshape", piece, shape=array.shape))
                start += array.size
        return found

    def _add_up(self, out: Array, flats: Sequence[Array]) -> None:
        if self.reduce == "ordered":
            xp = array_module(out)
            own = flats[0] if len(flats) == 1 else xp.concatenate(flats)
            parts = self._gather(own, [out.size] * self.shards).reshape(self.shards, -1)
        else:
            parts = flats
        out[...] = parts[0]
        for part in parts[1:]:
            out += part
        if self.reduce == "fast" and self.communicator.size > 1:
            self.calls, self.bytes = self.calls + 1, self.bytes + out.nbytes
            self.communicator.sum(out)

    def wholes(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tensors, outside every graph and plain: all that is to be added up in one reduction."""
        waiting = {id(t._data): t._data for t in tensors if isinstance(t._data, Partial) and t._data._whole is None}
        for array, total in zip(waiting.values(), self.summed(list(waiting.values())), strict=True):
            array._whole = total
        return [whole_of(t) for t in tensors]

    # -- effects -----------------------------------------------------------------------------------------------------
    def write(self, function: Callable[..., Any], args: tuple[Any, ...], params: dict[str, Any]) -> bool:
        """Run an effect of which an argument is dealt out, and say whether there was one. Called by `minigan.effects`: the
        function gets whole arrays, and what it writes goes back to the shards; one that is `rowwise` works on parts."""
        spread = any([isinstance(t._data, Spread) for t in tensors_in(args)])
        if not spread:
            return False
        if getattr(function, "rowwise", False) and self._write_parts(function, args):
            return True
        whole = self.plain(args)
        (fill if "fresh" in params else effect)(function, *whole)
        for target, written in zip(targets(args), targets(whole), strict=True):
            if isinstance(target._data, Spread):
                self.write_back(target, written)
        return True

    def _write_parts(self, function: Callable[..., Any], args: Sequence[Tensor]) -> bool:
        """Run an effect on tensors that are dealt out alike, part by part; False where they are not."""
        arrays = [t._data for t in args]
        alike = {(type(a), a.shape, getattr(a, "cut", None)) for a in arrays if isinstance(a, Spread)}
        if len(alike) != 1 or not all(isinstance(a, Spread) for a in arrays):
            return False
        for parts in zip(*(a.blocks for a in arrays), strict=True):
            effect(function, *parts)
        arrays[0].changed()
        return True

    def array(self, t: Tensor) -> Array:
        """What Python reads of a tensor."""
        return t._data.whole() if isinstance(t._data, Spread) else t._data

    def drawn(self, t: Tensor) -> Tensor:
        """Random numbers that were drawn for all rows: what this rank has of them."""
        return self.rows_of(t)

    def plain(self, values: Any) -> Any:
        """Arguments of an effect with whole arrays in place of those that are dealt out."""
        if isinstance(values, (list, tuple)):
            return type(values)([self.plain(v) for v in values])
        return whole_of(values) if isinstance(values, Tensor) else values

    def write_back(self, target: Tensor, written: Tensor) -> None:
        """Give the shards of this rank what an effect has written into the whole."""
        array = target._data
        assert isinstance(array, Spread)
        if isinstance(array, Rows):
            with no_grad():
                values = self.parts(written, array.cut)
        else:  # the first of all shards has it all
            values = [written if shard == 0 else zeros_for(written) for shard in self.own]
        for block, value in zip(array.blocks, values, strict=True):
            effect(overwrite, block, value)
        array.changed()


@of_arrays
def _on_stream(function: Callable[..., None], *arrays: Any) -> None:
    function(*arrays)


def _by_host(function: Callable[..., None], *arrays: Any) -> None:
    function(*arrays)


def _length(batch: Any) -> int:
    first = next(iter(batch.values()), None) if isinstance(batch, Batch) else batch
    if isinstance(first, Batch):
        return _length(first)
    return len(first) if isinstance(first, Tensor) and first.ndim else 0


__all__ = ["REDUCTIONS", "SHARDS", "World"]
