"""The memory of recordings: which arrays of a recorded step may share it, and where each of them lies.

While a step is recorded no array that it makes is kept, only a :class:`Place`: in which allocation (a :class:`Storage`) it lay,
at which offset, with which shape and strides. An allocation that is gone when the step has ended can be seen by nobody, so a
replay may put its arrays anywhere: in a block that they share, packed by when they are used (`lifetimes.py`). Whatever is not
known to be so stays where it is: arrays that were there before, those that Python made, those that somebody still holds (what
the step returns, for one) or that a user's effect gets to see, and those on a GPU.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan import pages
from minigan.backend import Array, Group, owner_of
from minigan.lifetimes import pack


class Storage:
    """One allocation that the step made: whose it is, its size, which calls use it first and last; and the owner itself, where
    it has to stay."""

    __slots__ = ("first", "kept", "last", "owner", "size")

    def __init__(self, owner: np.ndarray, call: int) -> None:
        self.owner, self.size, self.kept = weakref.ref(owner), owner.nbytes, None
        self.first = self.last = call


class Place(NamedTuple):
    """An array by where it lies."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    writeable: bool

    def within(self, memory: np.ndarray, start: int) -> np.ndarray:
        """The array, its storage now `start` bytes into other memory."""
        array: np.ndarray = np.ndarray(self.shape, self.dtype, memory, start + self.offset, self.strides)
        array.flags.writeable = self.writeable
        return array


def bytes_of(owner: np.ndarray) -> np.ndarray:
    """The memory of an array that owns it, whatever the order of its axes."""
    by_stride = sorted(range(owner.ndim), key=lambda axis: -owner.strides[axis])
    return owner.transpose(by_stride).reshape(-1).view(np.uint8)


class Places:
    """The allocations of one run of a step. Calls are told in their order, each with the number it has."""

    def __init__(self) -> None:
        self._storages: list[Storage] = []
        self._living: dict[int, Storage] = {}  # by the identity of their owner, which another array may have later

    def of(self, value: Any, call: int, *, fresh: bool = False, stays: bool = False) -> Any:
        """What stands for a value in a call: a place for an array, or the value itself where its memory is not the step's own; of
        lists and tuples, groups of these. `fresh`: the call makes it, and fills it. `stays`: it may be looked at later,
        outside of the calls that are told."""
        if isinstance(value, (list, tuple)):
            return Group(self.of(part, call, fresh=fresh, stays=stays) for part in value)
        if type(value) is not np.ndarray:
            return value
        owner = owner_of(value)
        storage = self._living.get(id(owner))
        if storage is None or storage.owner() is not owner:
            if not fresh or type(owner) is not np.ndarray or not owner.flags.owndata or owner.dtype.hasobject:
                return value
            storage = self._living[id(owner)] = Storage(owner, call)
            self._storages.append(storage)
        storage.last = call
        if stays:
            storage.kept = owner
        offset = value.ctypes.data - owner.ctypes.data
        return Place(storage, offset, value.shape, value.strides, value.dtype.str, value.flags.writeable)

    def ended(self) -> None:
        """The run is over; no more calls come."""
        self._living = {}

    def drop(self, storage: Storage) -> None:
        """No call uses it."""
        self._storages.remove(storage)

    def laid_out(self, arena: Arena, user: Any) -> Callable[[Any], Any]:
        """A function that gives the arrays again, for what :meth:`of` returned: in the arena, where nobody holds them."""
        held = {id(s): owner for s in self._storages if (owner := s.owner()) is not None}
        shared = [s for s in self._storages if id(s) not in held]
        offsets, length = pack([s.size for s in shared], [s.first for s in shared], [s.last for s in shared])
        block = arena.block(user, length)
        starts = {id(s): (block, int(offset)) for s, offset in zip(shared, offsets, strict=True)}
        starts |= {key: (bytes_of(owner), 0) for key, owner in held.items()}
        made: dict[Place, Array] = {}  # kernels may ask whether two arrays are the same object

        def array(value: Any) -> Any:
            if isinstance(value, Group):
                return Group(map(array, value))
            if not isinstance(value, Place):
                return value
            if value not in made:
                made[value] = value.within(*starts[id(value.storage)])
            return made[value]

        return array


class Arena:
    """The block in which recordings keep what a replay needs between its first call and its last. Recordings that never run at
    the same time (for other shapes, or phases) use one in turn."""

    def __init__(self) -> None:
        self._block = np.empty(0, np.uint8)
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def nbytes(self) -> int:
        """Its length."""
        return self._block.nbytes

    def release(self) -> None:
        """Give the block back until somebody asks for one again: its users plan anew then. For a step that is about to be taken
        without it, and needs as much memory of its own."""
        for user in self._users:
            user.forget()
        if self._block.nbytes:
            self._block = np.empty(0, np.uint8)
            gc.collect()  # plans hold themselves in cycles, and with them the block

    def block(self, user: Any, length: int) -> np.ndarray:
        """At least `length` bytes for a user with a method `forget()`. Where there are not as many a new block replaces the old
        one, which the other users are told to forget."""
        pages.trim()
        if self._block.nbytes < length:
            self.release()  # the old one goes before the new one comes
            self._block = pages.block(length)
        self._users.add(user)
        return self._block
