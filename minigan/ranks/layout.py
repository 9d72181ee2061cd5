"""Arrays of which a rank holds a part: their shape, and where the parts lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.graph import Tensor

if TYPE_CHECKING:
    from minigan.ranks.world import World


def bounds(units: int, shard: int, shards: int) -> tuple[int, int]:
    """The units first, ..., last - 1 of a shard: as even as may be, in order."""
    return units * shard // shards, units * (shard + 1) // shards


class Cut(NamedTuple):
    """How one axis is dealt out: run by run, and of each run a piece to every shard.

    A batch of B rows is one run. Two batches joined along the axis, as for a discriminator that sees reals and fakes at once,
    are two runs, and a shard has its rows of each. (B, T, C) seen as (B T, C) is a run of B units that are T places long.

    Attributes:
        axis: which one.
        runs: (units, places a unit) of each.
    """

    axis: int
    runs: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Of the axis."""
        return sum(units * places for units, places in self.runs)

    def spans(self, shard: int, shards: int) -> list[tuple[int, int]]:
        """Of each run the places [first, last) of a shard, along the axis."""
        found, start = [], 0
        for units, places in self.runs:
            first, last = bounds(units, shard, shards)
            found.append((start + first * places, start + last * places))
            start += units * places
        return found

    def local(self, shard: int, shards: int) -> int:
        """How many places a shard has."""
        return sum(last - first for first, last in self.spans(shard, shards))

    def at(self, axis: int) -> Cut:
        """The same along another axis."""
        return Cut(axis, self.runs)


class _Flags(NamedTuple):
    writeable: bool = False
    c_contiguous: bool = False


class Spread:
    """An array of which this rank holds parts, one for each of its shards. It has what the engine asks of an array: a shape, a
    dtype, a device. Its elements are to be had from :meth:`whole` alone.

    Attributes:
        shape, dtype: of the whole.
        blocks: the parts, as tensors outside every graph.
        world: who dealt it.
    """

    base = None
    flags = _Flags()

    def __init__(self, world: World, shape: Sequence[int], blocks: Sequence[Tensor]) -> None:
        self.world, self.shape, self.blocks = world, tuple(shape), list(blocks)
        self._whole: Tensor | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of the elements."""
        return self.blocks[0].dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements of the whole."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def on_gpu(self) -> bool:
        """Whether the parts lie on a GPU."""
        return backend.is_gpu_array(self.blocks[0]._data)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape}, {self.dtype}, {len(self.blocks)} of {self.world.shards} shards)"

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{self} is dealt to several ranks and is no array; use operations of minigan.ops, or t.data")

    def tensor(self) -> Tensor:
        """The whole as a plain tensor; brought together at the first call."""
        if self._whole is None:
            self._whole = self.assembled()
        return self._whole

    def whole(self) -> Any:
        """The whole as an array."""
        return self.tensor()._data

    def assembled(self) -> Tensor:
        """The whole, brought together now."""
        raise NotImplementedError

    def changed(self) -> None:
        """The parts were written to."""
        self._whole = None


class Rows(Spread):
    """The places along one axis, dealt out by `cut`."""

    def __init__(self, world: World, cut: Cut, blocks: Sequence[Tensor]) -> None:
        shape = list(blocks[0].shape)
        shape[cut.axis] = cut.length
        super().__init__(world, shape, blocks)
        self.cut = cut

    def assembled(self) -> Tensor:
        """Every rank's rows."""
        return self.world.together(self)


class Partial(Spread):
    """An array of the full shape for each shard; their sum is meant."""

    def __init__(self, world: World, blocks: Sequence[Tensor]) -> None:
        super().__init__(world, blocks[0].shape, blocks)

    def assembled(self) -> Tensor:
        """The sum over all shards."""
        return self.world.summed([self])[0]


def whole_of(t: Tensor) -> Tensor:
    """A plain tensor of the same value, outside every graph."""
    return t._data.tensor() if isinstance(t._data, Spread) else t
