"""Optimizer updates on the GPU, all arrays of a player in one launch: the host's side of `cuda/optimizer.cu`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from minigan.backend import Array, Notes, is_gpu_array, to_device
from minigan.kernels import reference
from minigan.kernels.gpu.launch import THREADS, blocks, check, launch
from minigan.kernels.reference import note_gradients

CHUNK = 1024  # elements of one array that one block updates: four a thread

# The table of optimizer.cu is kept: copying one to the GPU costs more than a small player's update. It is a
# function of its key (addresses and sizes) and holds nothing else, so a kept one is right even where an array
# died and another took its place. A step must run once before it is recorded (a recording cannot copy from
# the host), and whoever records holds on to `tables()` for as long as the recording lives.
_tables: OrderedDict[Any, Array] = OrderedDict()
MAX_TABLES = 256  # about 160 kB each for a player of four million numbers


def tables() -> list[Array]:
    """The tables kept at present, which a recorded step reads at every replay."""
    return list(_tables.values())


def _check_groups(kernel: str, groups: dict[str, Sequence[Array]]) -> None:
    names = list(groups)
    counts = [len(arrays) for arrays in groups.values()]
    if len(set(counts)) > 1:
        raise ValueError(f"{kernel}: got {counts} arrays in {names}, expected equally many")
    first = groups[names[0]]
    for i, array in enumerate(first):
        check(kernel, None, **{f"{names[0]}[0]": first[0], f"{names[0]}[{i}]": array})  # one dtype a player
        check(kernel, array.shape, **{f"{name}[{i}]": groups[name][i] for name in names})


def _table(groups: Sequence[Sequence[Array]]) -> Array:
    """(pieces, 1 + groups) int64 on the GPU. A row: a piece's length, and its address in each group."""
    width = groups[0][0].itemsize
    spans = [(int(row[0].size), *(int(a.data.ptr) for a in row)) for row in zip(*groups, strict=True)]
    key = (cupy.cuda.runtime.getDevice(), width, *spans)
    if key in _tables:
        _tables.move_to_end(key)
        return _tables[key]
    rows = [
        (min(CHUNK, size - begin), *(address + begin * width for address in addresses))
        for size, *addresses in spans
        for begin in range(0, size, CHUNK)
    ]
    _tables[key] = to_device(np.array(rows, dtype=np.int64).reshape(-1, 1 + len(groups)), "gpu")
    if len(_tables) > MAX_TABLES:
        _tables.popitem(last=False)
    return _tables[key]


def _multi(kernel: str, hyper: Array, length: int, *extra: int, **groups: Sequence[Array]) -> None:
    """Launch the optimizer `kernel` over all arrays; `hyper` is float64 `(length,)`.

    On the GPU it is read when the kernel runs, as a recorded step needs; from the CPU it is copied now.
    """
    if isinstance(hyper, np.ndarray) and not is_gpu_array(hyper):
        hyper = to_device(hyper, "gpu")
    check(kernel, (length,), hyper=hyper)
    if hyper.dtype != np.float64:
        raise TypeError(f"{kernel}: hyper is {hyper.dtype}, expected float64")
    _check_groups(kernel, groups)
    arrays = list(groups.values())
    if not arrays[0]:
        return
    table = _table(arrays)
    if len(table):
        args = (table, len(table), hyper, *extra)
        launch(f"{kernel}<{{T}}>", arrays[0][0].dtype, blocks(THREADS * len(table)), THREADS, *args)


@reference.sgd.on("gpu")
def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    velocity: Sequence[Array],
    hyper: Array,
    nesterov: bool,
    notes: Notes | None = None,
) -> None:
    """See :func:`minigan.kernels.reference.sgd`; `hyper` is on the GPU or the CPU.

    Raises:
        TypeError, ValueError: as :func:`check`, and for arrays that do not match.
    """
    note_gradients(grads, notes)
    _multi("sgd", hyper, 3, int(nesterov), params=params, grads=grads, velocity=velocity)


@reference.rmsprop.on("gpu")
def rmsprop(
    params: Sequence[Array], grads: Sequence[Array], square: Sequence[Array], hyper: Array, notes: Notes | None = None
) -> None:
    """See :func:`minigan.kernels.reference.rmsprop`; arguments and errors as :func:`sgd`."""
    note_gradients(grads, notes)
    _multi("rmsprop", hyper, 3, params=params, grads=grads, square=square)


@reference.adam.on("gpu")
def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    hyper: Array,
    notes: Notes | None = None,
) -> None:
    """See :func:`minigan.kernels.reference.adam`; arguments and errors as :func:`sgd`."""
    note_gradients(grads, notes)
    _multi("adam", hyper, 6, params=params, grads=grads, m=m, v=v)


@reference.ema.on("gpu")
def ema(averages: Sequence[Array], params: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.ema`; arguments and errors as :func:`sgd`."""
    _multi("ema", hyper, 1, averages=averages, params=params)
