"""LSTM and GRU over whole sequences on the GPU: the host's side of `cuda/recurrent.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from minigan.backend import Array, is_gpu_array
from minigan.kernels import reference
from minigan.kernels.gpu.launch import MAX_BLOCKS, THREADS, check, launch

WARP = 32


def _check(kernel: str, mask: Array, **arrays: tuple[Array, tuple[int, ...]]) -> None:
    """Pass if all arrays, each given with its shape, are of one dtype, and the mask is one."""
    check(kernel, None, **{name: array for name, (array, _) in arrays.items()})
    for name, (array, shape) in arrays.items():
        check(kernel, shape, **{name: array})
    if not is_gpu_array(mask) or mask.dtype != np.bool_ or not mask.flags.c_contiguous:
        raise TypeError(f"{kernel}: mask is a {type(mask).__name__}, expected a C-contiguous CuPy array of bool")
    expected = arrays["hs"][1][:2]
    if mask.shape != expected:
        raise ValueError(f"{kernel}: mask has shape {mask.shape}, expected {expected}")


def _sizes(kernel: str, hs: Array) -> tuple[int, int, int]:
    """(rows, steps, units) of states, or of their cotangents."""
    if hs.ndim != 3 or not hs.size:
        raise ValueError(f"{kernel}: states have shape {hs.shape}, expected (rows, steps, units), none of them 0")
    rows, steps, units = (int(n) for n in hs.shape)
    return rows, steps, units


def _launch(name: str, dtype: Any, rows: int, units: int, *args: Any) -> None:
    """A block for each row, a thread for each unit, as far as they go."""
    launch(name, dtype, min(rows, MAX_BLOCKS), min(-(-units // WARP) * WARP, THREADS), *args)


@reference.lstm.on("gpu")
def lstm(
    xw: Array, h0: Array, c0: Array, u: Array, mask: Array, hs: Array, last: Array, kept: Array | None = None
) -> None:
    """See :func:`minigan.kernels.reference.lstm`.

    Raises:
        TypeError, ValueError: as :func:`check`; for states without elements, and a mask that is none.
    """
    rows, steps, units = sizes = _sizes("lstm", hs)
    state, spare = (rows, units), {} if kept is None else {"kept": (kept, (rows, steps, 5, units))}
    given = {"h0": (h0, state), "c0": (c0, state), "last": (last, state), "u": (u, (units, 4 * units)), **spare}
    _check("lstm", mask, xw=(xw, (rows, steps, 4 * units)), hs=(hs, sizes), **given)
    _launch("lstm_scan<{T}>", xw.dtype, rows, units, xw, h0, c0, u, mask, *sizes, hs, last, kept)


@reference.lstm_backward.on("gpu")
def lstm_backward(
    g: Array,
    g_last: Array,
    c0: Array,
    u: Array,
    mask: Array,
    kept: Array,
    dz: Array,
    dh0: Array,
    dc0: Array,
) -> None:
    """See :func:`minigan.kernels.reference.lstm_backward`; errors as :func:`lstm`."""
    rows, steps, units = sizes = _sizes("lstm_backward", g)
    state, given = (rows, units), {"kept": (kept, (rows, steps, 5, units)), "u": (u, (units, 4 * units))}
    states = {"g_last": (g_last, state), "c0": (c0, state), "dh0": (dh0, state), "dc0": (dc0, state)}
    _check("lstm_backward", mask, hs=(g, sizes), dz=(dz, (rows, steps, 4 * units)), **given, **states)
    args = (g, g_last, c0, cupy.ascontiguousarray(u.T), mask, kept, *sizes, dz, dh0, dc0)
    _launch("lstm_scan_backward<{T}>", g.dtype, rows, units, *args)


@reference.gru.on("gpu")
def gru(xw: Array, h0: Array, u: Array, bias: Array, mask: Array, hs: Array, kept: Array | None = None) -> None:
    """See :func:`minigan.kernels.reference.gru`; errors as :func:`lstm`."""
    rows, steps, units = sizes = _sizes("gru", hs)
    spare = {} if kept is None else {"kept": (kept, (rows, steps, 4, units))}
    given = {"h0": (h0, (rows, units)), "u": (u, (units, 3 * units)), "bias": (bias, (units,)), **spare}
    _check("gru", mask, xw=(xw, (rows, steps, 3 * units)), hs=(hs, sizes), **given)
    _launch("gru_scan<{T}>", xw.dtype, rows, units, xw, h0, u, bias, mask, *sizes, hs, kept)


@reference.gru_backward.on("gpu")
def gru_backward(
    g: Array, h0: Array, hs: Array, u: Array, mask: Array, kept: Array, dz: Array, dm: Array, dh0: Array
) -> None:
    """See :func:`minigan.kernels.reference.gru_backward`; errors as :func:`lstm`."""
    rows, steps, units = sizes = _sizes("gru_backward", g)
    state, given = (rows, units), {"kept": (kept, (rows, steps, 4, units)), "u": (u, (units, 3 * units))}
    alike = {"g": (g, sizes), "hs": (hs, sizes), "dm": (dm, sizes), "h0": (h0, state), "dh0": (dh0, state)}
    _check("gru_backward", mask, dz=(dz, (rows, steps, 3 * units)), **alike, **given)
    args = (g, h0, hs, cupy.ascontiguousarray(u.T), mask, kept, *sizes, dz, dm, dh0)
    _launch("gru_scan_backward<{T}>", g.dtype, rows, units, *args)
