"""How much memory a training step takes, known before it is tried at the size that was asked for.

Two steps on a few examples, d and 2d, run on a model of their own, and every array that they make is noted: its shape, the
layer it belongs to, which operation makes it and after which one it is gone. Each length of a shape is a + c B in the batch
size B, and two steps give a and c. So the sizes of all arrays are known for every B, and with their lifetimes the most bytes
that live at once,

    need(B) = max over operations t of  sum of size_i(B) over the arrays i with born_i <= t <= died_i,

which no growth of one part beside another can make wrong (a line through the two measured peaks would be: among few examples
the weights' gradients are what is large). Convolutions work in scratch memory of about twice their largest array, which is
added. Left out are the weights and what the optimizers keep, which are there by then; a suggested batch size leaves a margin.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from minigan import nn, room
from minigan.backend import owner_of
from minigan.effects import raw, tensors_in
from minigan.finite import NotFiniteError
from minigan.gans.needs import Supply
from minigan.replay import is_free, name_of
from minigan.room import NoRoomError
from minigan.run.errors import is_out_of_memory, shown
from minigan.run.feed import Feed
from minigan.run.references import Reference
from minigan.switches import Event, hook

FEW = 4  # examples of the first step, where the batch size is a multiple of it: networks may compare those of a batch
TRIES = 4  # numbers of examples that are tried, where a model takes only some
SCRATCH = 2  # times the largest array of a convolution
MARGIN, RESERVE = 1.25, 96 << 20  # a batch size that is said to fit leaves a quarter, and room for pictures


class Noted(NamedTuple):
    """An array that a step made.

    layer: "generator/layers.2". op: what made it. shape, itemsize: its own. born, died: the first and the last operation
    during which it is there.
    """

    layer: str
    op: str
    shape: tuple[int, ...]
    itemsize: int
    born: int
    died: int


class _Listener:
    """Notes the arrays that operations make while they run. modules: whose parameters name the layers."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._names = {
            id(t.version): f"{head}/{path}".rpartition(".")[0] or head
            for head, module in modules.items()
            for path, t in module.tensors().items()
        }
        self._living: dict[int, tuple[int, Any, str]] = {}  # by their owner's identity: which, the reference, the layer
        self._made: list[tuple[str, str, tuple[int, ...], int, int]] = []
        self._died: dict[int, int] = {}
        self._time = 0

    def __call__(self, event: Event) -> None:
        if event.kind == "cotangent":
            return
        self._time += 1
        effect = event.kind == "effect"
        if "fresh" not in event.params if effect else is_free(event):
            return
        inputs = list(tensors_in(event.inputs[1:] if effect else event.inputs))
        made = tensors_in(event.inputs[:1]) if effect else [event.output]
        name, layer = name_of(event.op) if effect else event.op.name, self._layer(inputs)
        for t in made:
            self._note(owner_of(raw(t)), name, layer)

    def _layer(self, inputs: Sequence[Any]) -> str:
        """That of a parameter among the inputs, else of the last input that has one."""
        for t in reversed(inputs):
            if id(t.version) in self._names:
                return self._names[id(t.version)]
        known = (self._living.get(id(owner_of(raw(t)))) for t in reversed(inputs))
        return next((found[2] for found in known if found is not None), "")

    def _note(self, owner: Any, name: str, layer: str) -> None:
        if id(owner) in self._living:  # a view
            return
        number, key = len(self._made), id(owner)
        self._made.append((layer, name, tuple(owner.shape), owner.itemsize, self._time))

        def gone(_: Any) -> None:
            self._died[number] = self._time
            self._living.pop(key, None)

        self._living[key] = number, weakref.ref(owner, gone), layer

    def noted(self) -> list[Noted]:
        """All arrays, those that are still there as if they died now."""
        return [Noted(*made, died=self._died.get(i, self._time)) for i, made in enumerate(self._made)]


class Footprint:
    """What a step needs, as a function of the batch size.

    Args:
        few, twice: the arrays of a step on `d` examples, and on 2 d, in the order in which they were made.
        batch: bytes of an example in all the batches of a step.

    Raises:
        ValueError: the two steps did not make the same arrays.
    """

    def __init__(self, few: Sequence[Noted], twice: Sequence[Noted], d: int, *, batch: float = 0.0) -> None:
        same = [(a.op, len(a.shape), a.itemsize) for a in few] == [(b.op, len(b.shape), b.itemsize) for b in twice]
        if not same:
            raise ValueError(f"footprint: steps on {d} and {2 * d} examples make {len(few)} and {len(twice)} arrays")
        self.d, self.arrays, self._batch = d, list(twice), batch
        axes = max((len(a.shape) for a in few), default=0)
        first, second = (np.array([[*a.shape, *[1] * (axes - len(a.shape))] for a in s], float) for s in (few, twice))
        self._slope = (second - first).reshape(len(few), axes) / d
        self._start = first.reshape(len(few), axes) - self._slope * d
        self._convolved = np.array([a.op.startswith("conv") for a in few], bool)
        self._itemsize = np.array([a.itemsize for a in few], float)
        self._born, self._died = (np.array([getattr(a, name) for a in twice], int) for name in ("born", "died"))

    def sizes(self, batch_size: int) -> np.ndarray:
        """The bytes of each array."""
        lengths: np.ndarray = self._start + self._slope * batch_size
        return self._itemsize * lengths.prod(axis=1)

    def need(self, batch_size: int) -> int:
        """The most bytes that a step has at once, beside weights and moments. The batches are there twice: as they were
        gathered, and as the step reads them."""
        sizes = self.sizes(batch_size)
        scratch = SCRATCH * sizes[self._convolved].max(initial=0.0)
        change = np.zeros(int(self._died.max(initial=0)) + 2)
        np.add.at(change, self._born, sizes)
        np.add.at(change, self._died + 1, -sizes)
        return int(change.cumsum().max() + scratch + 2 * self._batch * batch_size)

    def largest(self, batch_size: int) -> str:
        """The largest array, in words."""
        sizes = self.sizes(batch_size)
        i = int(sizes.argmax())
        shape = tuple(round(n) for n in self._start[i] + self._slope[i] * batch_size)[: len(self.arrays[i].shape)]
        where = f" of {self.arrays[i].layer}" if self.arrays[i].layer else ""
        return f"{room.size(sizes[i])}{where}: {self.arrays[i].op} {shape}"

    def fits(self, batch_size: int, free: float) -> bool:
        """Whether a step fits with a margin."""
        return MARGIN * self.need(batch_size) + RESERVE <= free

    def fitting(self, free: float, below: int) -> int:
        """A batch size below `below` whose step fits with a margin, a round number and a multiple of d; 0 where there is none."""
        low, high = 0, max(0, (below - 1) // self.d)  # in units of d; `low` fits
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits(middle * self.d, free) else (low, middle - 1)
        most = low * self.d
        unit = 10 ** max(0, len(str(most)) - 2)
        return most // unit * unit // self.d * self.d


class Estimate:
    """Whether the steps of a run fit into memory, and what to say where they do not.

    Args:
        name: of the model. batch_size, device: of the run. option: what changes the batch size, as text.
        footprint: None where it is unknown, because the model takes no other batch size.
    """

    def __init__(
        self, name: str, batch_size: int, device: str, footprint: Footprint | None, *, option: str = "--batch-size "
    ) -> None:
        self.name, self.batch_size, self.device, self.option = name, batch_size, device, option
        self.footprint, self.free = footprint, room.available(device)

    def check(self) -> None:
        """NoRoomError where a step does not fit beside what is there now, the model's weights among it."""
        self.free = room.available(self.device)
        if self.footprint is None or self.free is None:
            return
        if self.footprint.need(self.batch_size) > self.free:
            raise NoRoomError(f"{self._step()}; {self._way_out()}")

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Say to an end of memory inside the block what a step needs, and what would fit."""
        try:
            yield
        except Exception as error:
            if isinstance(error, NoRoomError) or not is_out_of_memory(error):
                raise
            raise NoRoomError(f"{shown(error)}: {self._step()}; {self._way_out()}") from error

    def _step(self) -> str:
        """What a step needs."""
        said = f"a step of {self.name} at a batch size of {self.batch_size}"
        if self.footprint is None:
            return f"{said} does not fit"
        said += f" needs {room.size(self.footprint.need(self.batch_size))} beside the weights"
        said += "" if self.free is None else f", and {room.size(self.free)} were free"
        return f"{said}; its largest array is {self.footprint.largest(self.batch_size)}"

    def _way_out(self) -> str:
        smaller = f"use a smaller batch size ({self.option}N) or model"
        if self.footprint is None or self.free is None:
            return smaller
        if self.footprint.fits(self.batch_size, self.free):
            return f"something else has taken the memory: make room for it, or {smaller}"
        fits = self.footprint.fitting(self.free, self.batch_size)
        return f"{self.option}{fits} fits" if fits else "no batch size fits: make the model smaller"


# -- two steps -------------------------------------------------------------------------------------------------------
def estimate(
    reference: Reference, config: Any, supply: Supply, device: str, *, option: str = "--batch-size "
) -> Estimate:
    """Try steps on a few examples, on models that are made for it and thrown away.

    Raises:
        NoRoomError: not even they fit. Whatever the model's own code raises while it is made.
    """
    found = None
    for d in _few(config.batch_size):
        try:
            steps = [_step(reference, replace(config, batch_size=n), supply, device) for n in (d, 2 * d)]
            found = Footprint(steps[0][0], steps[1][0], d, batch=steps[1][1] / (2 * d))
            break
        except Exception as error:
            if isinstance(error, NoRoomError):
                raise
            if is_out_of_memory(error):
                said = f"{shown(error)}; make the model smaller"
                raise NoRoomError(f"{reference.name}, at a batch size of {2 * d} already: {said}") from error
            continue  # the model does not take so few, or steps of different sizes differ; what is wrong else, the run will tell
    return Estimate(reference.name, config.batch_size, device, found, option=option)


def _few(batch_size: int) -> list[int]:
    """Numbers of examples to try: divisors of the batch size, of which a model may want some (`pack`)."""
    divisors = [d for d in range(FEW, min(64, batch_size // 2) + 1) if batch_size % d == 0]
    return [*divisors, 12, 1][:TRIES] if batch_size >= 2 * FEW else [batch_size // 2] if batch_size > 1 else []


def _step(reference: Reference, config: Any, supply: Supply, device: str) -> tuple[list[Noted], int]:
    """The arrays of the first step, and the bytes of its batches."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), room.training(), reference.blamed():
        warnings.simplefilter("ignore")  # the run's own first step warns
        model = reference.model(config, supply.facts, device=device)
        batches = Feed(supply, model, device)(0)
        listener = _Listener(model.modules)
        with hook(listener), suppress(NotFiniteError):  # the arrays are as large with NaN in them
            model.game.step(batches=batches) if batches else model.game.step()
        return listener.noted(), sum(_nbytes(batch) for batch in batches)


def _nbytes(batch: Any) -> int:
    parts = batch.values() if isinstance(batch, Mapping) else [batch]
    return sum(getattr(part, "nbytes", 0) for part in parts)
