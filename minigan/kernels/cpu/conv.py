"""Convolution on the CPU: asks the cost model which algorithm to take, and plans it.

The algorithms: `conv_tiles.py` (in place, valid region and phases), `conv_weight_tiles.py` (its weight
gradient), `conv_strips.py` (both for few input channels), `conv_narrow.py` (the gradient for these and few outputs),
`conv_patches.py` (im2col and its adjoint), `conv_winograd.py`; one of these on several positions as one (`conv_wide.py`); and the
reference itself, one product a tap, for double precision, for processors without a fused multiply-add and for whatever else does
not fit.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from minigan.activation import Activation
from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu import (
    conv_cost,
    conv_narrow,
    conv_patches,
    conv_strips,
    conv_tiles,
    conv_weight_tiles,
    conv_wide,
    conv_winograd,
)
from minigan.kernels.cpu.activation import bias_activation
from minigan.kernels.cpu.conv_cost import Choice, Problem
from minigan.kernels.cpu.registers import processor
from minigan.kernels.cpu.team import Job
from minigan.kernels.cpu.workspace import LOCK
from minigan.kernels.geometry import Geometry

DATA_MAPS = {
    "tiles": conv_tiles.plan,
    "columns": conv_patches.plan_columns,
    "winograd": conv_winograd.plan,
}
WEIGHT_MAPS = {
    "tiles": conv_weight_tiles.plan,
    "narrow": conv_narrow.plan,
    "strips": conv_strips.plan_weight,
    "winograd": conv_winograd.plan_weight,
}


@lru_cache(maxsize=1024)
def _choose(problem: Problem, _forced: str) -> Choice:
    return conv_cost.choose(problem)


def problem(which: str, images: int, ins: int, outs: int, geometry: Geometry, dtype: np.dtype) -> Problem:
    """A map on this machine."""
    single, machine = np.dtype(dtype) == np.float32, processor()
    return Problem(which, images, ins, outs, geometry, single, machine.tile if machine.fused else None)


def choice(which: str, images: int, ins: int, outs: int, geometry: Geometry, dtype: np.dtype) -> Choice:
    """What the cost model (or :func:`conv_cost.algorithm`) takes for a map of these sizes."""
    return _choose(problem(which, images, ins, outs, geometry, dtype), conv_cost.forced())


def _flat(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _data_map(
    which: str, source: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array
) -> Job:
    """conv or conv_transpose as a job."""
    algorithm = choice(which, len(source), w.shape[-2], w.shape[-1], geometry, source.dtype).algorithm
    if algorithm == "direct":
        return partial(getattr(reference, which).reference, source, w, bias, geometry, f, out)
    below = f.below
    fused = 1.0 if below is None else below
    if algorithm == "wide":
        form, _, inner = _wide(problem(which, len(source), w.shape[-2], w.shape[-1], geometry, source.dtype))
        by = partial(_by_tiles, inner.algorithm, fused)
        job = conv_wide.plan_data(form, source, w, bias, out, by)
    else:
        job = _by_tiles(algorithm, fused, which, source, w, bias, geometry, out)
    if below is not None:
        return _alone((source, w, bias, out), job)
    return _alone((source, w, bias, out), job, partial(bias_activation, _flat(out), None, f, _flat(out)))


def _by_tiles(
    algorithm: str,
    slope: float,
    which: str,
    source: Array,
    w: Array,
    bias: Array | None,
    geometry: Geometry,
    out: Array,
) -> Job:
    """conv or conv_transpose by one of the algorithms with register tiles, and leaky ReLU."""
    if algorithm == "patches":
        return conv_patches.plan_conv(source, w, bias, geometry, slope, out)
    if algorithm == "strips":
        return conv_strips.plan(source, w, bias, geometry, slope, out)
    return DATA_MAPS[algorithm](source, w, bias, geometry, slope, out, which == "conv_transpose")


@lru_cache(maxsize=1024)
def _wide(problem: Problem) -> conv_cost.Widened:
    found = conv_cost.wide(problem)
    assert found is not None, "chosen, so it exists"
    return found


def _alone(arrays: tuple[Array | None, ...], *jobs: Job) -> Job:
    """The jobs in turn, by one thread of the program at a time: they share the workspace. They know `arrays` by address."""

    def run(_kept: tuple[Array | None, ...] = arrays) -> None:
        with LOCK:
            for job in jobs:
                job()

    return run


@reference.conv.planned_on("cpu")
def conv(x: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> Job:
    """By the algorithm that the cost model takes."""
    with LOCK:
        return _data_map("conv", x, w, bias, geometry, f, out)


@reference.conv_transpose.planned_on("cpu")
def conv_transpose(g: Array, w: Array, bias: Array | None, geometry: Geometry, f: Activation, out: Array) -> Job:
    """By the algorithm that the cost model takes."""
    with LOCK:
        return _data_map("conv_transpose", g, w, bias, geometry, f, out)


@reference.conv_weight.planned_on("cpu")
def conv_weight(x: Array, g: Array, geometry: Geometry, out: Array) -> Job:
    """By the algorithm that the cost model takes."""
    algorithm = choice("conv_weight", len(x), x.shape[-1], g.shape[-1], geometry, x.dtype).algorithm
    if algorithm == "direct":
        return partial(reference.conv_weight.reference, x, g, geometry, out)
    with LOCK:
        if algorithm == "wide":
            form, _, inner = _wide(problem("conv_weight", len(x), x.shape[-1], g.shape[-1], geometry, x.dtype))
            job = conv_wide.plan_weight(form, x, g, out, WEIGHT_MAPS[inner.algorithm])
        else:
            job = WEIGHT_MAPS[algorithm](x, g, geometry, out)
        return _alone((x, g, out), job)
