"""Interpolation along an axis on the CPU, shared out among the team."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import Array
from minigan.kernels import reference
from minigan.kernels.cpu.compiler import array_at, compile_task, filled, record, record_at, task
from minigan.kernels.cpu.team import team

SPAN = 16_384  # elements of the longer array that a task should have, at least


@compile_task
def _between(here: Array, there: Array, weight: float, out: Array) -> None:
    for k in range(out.size):
        out[k] = here[k] + weight * (there[k] - here[k])


@compile_task
def _share(g: Array, weight: float, out: Array) -> None:
    for k in range(g.size):
        out[k] += weight * g[k]


@compile_task
def _neighbour(o: int, scale: int, n: int) -> tuple[int, int, float]:
    """For point o of the longer array: the element i it lies in, i's neighbour on its side, and the neighbour's weight."""
    i = o // scale
    t = (o - i * scale + 0.5) / scale - 0.5
    return i, min(max(i + 1 if t > 0 else i - 1, 0), n - 1), abs(t)


_LINES = record("short long lines span n length scale")


@cache
def _interpolate_task(dtype: Any, adjoint: bool) -> int:
    """Parameters: addresses of the shorter and the longer array, lines, span of a task, n, length of a row, scale."""
    like = np.empty(0, dtype)
    size, kind = like.itemsize, like.dtype.type

    @task
    def run(parameters: int, index: int, thread: int) -> None:
        p = record_at(parameters, _LINES)
        n, length, scale = p.n, p.length, p.scale
        row = size * length
        for line in range(index * p.span, min(p.lines, (index + 1) * p.span)):
            short, long = p.short + row * n * line, p.long + row * n * scale * line
            if adjoint:
                whole = array_at(short, n * length, like)
                for k in range(whole.size):
                    whole[k] = 0
            for o in range(n * scale):
                i, j, weight = _neighbour(o, scale, n)
                here, there = array_at(short + row * i, length, like), array_at(short + row * j, length, like)
                far = array_at(long + row * o, length, like)
                if adjoint:
                    _share(far, kind(1 - weight), here)
                    _share(far, kind(weight), there)
                else:
                    _between(here, there, kind(weight), far)

    return run


def _run(short: Array, long: Array, scale: int, adjoint: bool) -> None:
    lines, n, length = short.shape
    span = max(1, SPAN // (n * scale * length))
    p = filled(_LINES, short=short, long=long, lines=lines, span=span, n=n, length=length, scale=scale)
    team().run(_interpolate_task(short.dtype, adjoint), p, -(-lines // span))


@reference.interpolate.on("cpu")
def interpolate(x: Array, scale: int, out: Array) -> None:
    """See :func:`minigan.kernels.reference.interpolate`."""
    if out.size and x.flags.c_contiguous and out.flags.c_contiguous:
        _run(x, out, scale, False)
    else:
        reference.interpolate.reference(x, scale, out)


@reference.interpolate_adjoint.on("cpu")
def interpolate_adjoint(g: Array, scale: int, out: Array) -> None:
    """See :func:`minigan.kernels.reference.interpolate_adjoint`."""
    if g.size and g.flags.c_contiguous and out.flags.c_contiguous:
        _run(out, g, scale, True)
    else:
        reference.interpolate_adjoint.reference(g, scale, out)
