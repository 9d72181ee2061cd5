"""The kernels of `reference.py` for the GPU, as the CUDA of `cuda/*.cu`, for CuPy arrays.

Same names, arguments and results as `reference.py`. Here arguments are checked, launch shapes chosen and
scratch memory taken; the mathematics is in the `.cu` files, compiled by NVRTC when first used (CuPy keeps
the result).

Every function only queues work on the current stream: nothing waits for the GPU, nothing is copied back. Grid
and block sizes depend on shapes alone, never on the GPU found, so a sum in `cuda/*.cu` has the same order on
every GPU. Products (cuBLAS) and sums that CuPy takes (`column_sum`, `ops.sum` and what is made of it) repeat
on one GPU, and may be ordered otherwise on another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from minigan.activation import Activation
from minigan.backend import Array, Notes, is_gpu_array
from minigan.kernels.gpu_conv import conv, conv_transpose, conv_weight
from minigan.kernels.gpu_gemm import matmul
from minigan.kernels.gpu_group_norm import group_norm, group_norm_backward
from minigan.kernels.gpu_launch import MAX_BLOCKS, THREADS, blocks, check, kind_code, launch
from minigan.kernels.reference import (
    column_sum,
    goes_on,
    interpolate,
    interpolate_adjoint,
    keep_level,
    note_gradients,
    plan_activation_backward,
    plan_add,
    plan_batch_norm,
    plan_batch_norm_backward,
    plan_column_sum,
    plan_conv,
    plan_conv_transpose,
    plan_conv_weight,
    plan_dense,
    plan_group_norm,
    plan_group_norm_backward,
    plan_matmul,
    plan_matmul_add,
    plan_matmul_backward,
    plan_multiply,
    sum_over,
    unbiased,
    wide_mask,
    window_max,
    window_place,
    window_spread,
    window_sum,
)

__all__ = [  # what `dispatch` looks for here; plain array code is fused enough for the small ones
    "activation_backward",
    "adam",
    "batch_norm",
    "batch_norm_backward",
    "bce_with_logits",
    "bias_activation",
    "column_sum",
    "conv",
    "conv_transpose",
    "conv_weight",
    "dense",
    "ema",
    "follow_statistics",
    "goes_on",
    "group_norm",
    "group_norm_backward",
    "index_add",
    "interpolate",
    "interpolate_adjoint",
    "layer_norm",
    "layer_norm_backward",
    "mask",
    "matmul",
    "mean_softplus",
    "mean_softplus_backward",
    "normal",
    "philox",
    "plan_activation_backward",
    "plan_add",
    "plan_batch_norm",
    "plan_batch_norm_backward",
    "plan_column_sum",
    "plan_conv",
    "plan_conv_transpose",
    "plan_conv_weight",
    "plan_dense",
    "plan_group_norm",
    "plan_group_norm_backward",
    "plan_matmul",
    "plan_matmul_add",
    "plan_matmul_backward",
    "plan_multiply",
    "rmsprop",
    "sgd",
    "sum_over",
    "window_max",
    "window_place",
    "window_spread",
    "window_sum",
]

MAX_SLABS = 256  # parts that a sum over rows is cut into, at most
CHUNK = 1024  # elements of one array that one block of an optimizer updates: four a thread
SHARE = 2048  # elements of a loss that one block adds up

# -- checks --------------------------------------------------------------------------------------------------


def _check_matrix(kernel: str, x: Array) -> tuple[int, int]:
    if x.ndim != 2:
        raise ValueError(f"{kernel}: x has shape {x.shape}, expected (rows, channels)")
    return int(x.shape[0]), int(x.shape[1])


def _check_batch(kernel: str, x: Array) -> tuple[int, int]:
    rows, channels = _check_matrix(kernel, x)
    if rows == 0:
        raise ValueError(f"{kernel}: x has shape {x.shape}, expected at least one row: no rows have no mean")
    return rows, channels


# -- activations and the logistic loss -----------------------------------------------------------------------


def bias_activation(z: Array, bias: Array | None, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bias_activation`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for one that is not fused.
    """
    code = kind_code(f)
    check("bias_activation", z.shape, z=z, out=out)
    channels = int(z.shape[-1]) if z.ndim else 1
    if bias is not None:
        check("bias_activation", None, z=z, bias=bias)
        check("bias_activation", (channels,), bias=bias)
    if z.size:
        args = (z, bias, z.size, channels, code, f.slope, out)
        launch("bias_activation<{T}>", z.dtype, blocks(z.size), THREADS, *args)


def dense(x: Array, w: Array, bias: Array | None, f: Activation, out: Array | None) -> Array:
    """See :func:`minigan.kernels.reference.dense`: cuBLAS, then bias and activation in one pass."""
    out = matmul(x, w, out)
    bias_activation(out, bias, f, out)
    return out


def activation_backward(g: Array, y: Array, f: Activation, out: Array) -> None:
    """See :func:`minigan.kernels.reference.activation_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for one that is not fused.
    """
    code = kind_code(f)
    check("activation_backward", g.shape, g=g, y=y, out=out)
    if g.size:
        args = (g, y, g.size, code, f.slope, out)
        launch("activation_backward<{T}>", g.dtype, blocks(g.size), THREADS, *args)


def bce_with_logits(logits: Array, target: Array, out: Array) -> None:
    """See :func:`minigan.kernels.reference.bce_with_logits`; `target` broadcasts to the shape of `logits`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError when `target` does not broadcast.
    """
    if is_gpu_array(target) and target.shape != logits.shape:
        target = cupy.ascontiguousarray(cupy.broadcast_to(target, logits.shape))
    check("bce_with_logits", logits.shape, logits=logits, target=target, out=out)
    if logits.size:
        args = (logits, target, logits.size, out)
        launch("bce_with_logits<{T}>", logits.dtype, blocks(logits.size), THREADS, *args)


def mean_softplus(x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError for an x without elements.
    """
    check("mean_softplus", None, x=x, out=out)
    check("mean_softplus", (), out=out)
    if not x.size:
        raise ValueError(f"mean_softplus: x has shape {x.shape}, expected at least one element: none have no mean")
    parts = min(MAX_SLABS, -(-x.size // SHARE))
    partial = cupy.empty(parts, np.float64) if parts > 1 else None
    launch("mean_softplus<{T}>", x.dtype, parts, THREADS, x, x.size, float(sign), partial, out)
    if parts > 1:
        launch("mean_softplus_finish<{T}>", x.dtype, 1, THREADS, partial, parts, x.size, out)


def mean_softplus_backward(g: Array, x: Array, sign: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mean_softplus_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`.
    """
    x = x.reshape(out.shape)  # ascontiguousarray makes (1,) of ()
    check("mean_softplus_backward", None, x=x, out=out)
    check("mean_softplus_backward", None, x=x, g=g)
    check("mean_softplus_backward", (), g=g)
    if x.size:
        launch("mean_softplus_backward<{T}>", x.dtype, blocks(x.size), THREADS, g, x, x.size, float(sign), out)


# -- normalisation -------------------------------------------------------------------------------------------


def _column_launch(rows: int, channels: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(column groups, slabs) and (width, height) for a sum over rows: see the head of normalize.cu."""
    width = min(32, 1 << (channels - 1).bit_length())
    height = THREADS // width
    return (-(-channels // width), min(MAX_SLABS, -(-rows // (8 * height)))), (width, height)


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float, f: Activation, out: Array, statistics: Array) -> None:
    """See :func:`minigan.kernels.reference.batch_norm`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels) with a row, or for one that is not fused.
    """
    code = kind_code(f)
    check("batch_norm", x.shape, x=x, out=out)
    rows, channels = _check_batch("batch_norm", x)
    check("batch_norm", None, x=x, gamma=gamma, beta=beta)
    check("batch_norm", (channels,), gamma=gamma, beta=beta)
    check("batch_norm", None, x=x, statistics=statistics)
    check("batch_norm", (2, channels), statistics=statistics)
    if channels:
        scale = cupy.empty(channels, x.dtype)
        (groups, slabs), block = _column_launch(rows, channels)
        partial = cupy.empty((slabs, 2, channels), np.float64)
        args: tuple[Any, ...] = (x, rows, channels, partial)
        launch("batch_norm_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, x, rows, channels, gamma, float(eps), statistics, scale)
        launch("batch_norm_statistics<{T}>", x.dtype, groups, block, *args)
        args = (x, statistics, scale, beta, x.size, channels, code, f.slope, out)  # the mean comes first
        launch("batch_norm_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)


def follow_statistics(mean: Array, var: Array, statistics: Array, momentum: float, rows: int) -> None:
    """See :func:`minigan.kernels.reference.follow_statistics`.

    Raises:
        TypeError, ValueError: as :func:`check`.
    """
    check("follow_statistics", mean.shape, mean=mean, var=var)
    check("follow_statistics", None, mean=mean, statistics=statistics)
    check("follow_statistics", (2, *mean.shape), statistics=statistics)
    if mean.size:
        args = (statistics, mean.size, float(momentum), unbiased(rows), mean, var)
        launch("follow_statistics<{T}>", mean.dtype, blocks(mean.size), THREADS, *args)


def batch_norm_backward(
    g: Array,
    x: Array,
    y: Array,
    gamma: Array,
    eps: float,
    f: Activation,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """See :func:`minigan.kernels.reference.batch_norm_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels) with a row, or for one that is not fused.
    """
    code = kind_code(f)
    y = g if f.kind == "linear" else y
    check("batch_norm_backward", x.shape, x=x, g=g, y=y, dx=dx)
    rows, channels = _check_batch("batch_norm_backward", x)
    check("batch_norm_backward", None, x=x, gamma=gamma)
    check("batch_norm_backward", (channels,), gamma=gamma, dgamma=dgamma, dbeta=dbeta)
    if channels:
        factor = cupy.empty((4, channels), x.dtype)
        (groups, slabs), block = _column_launch(rows, channels)
        partial = cupy.empty((slabs, 4, channels), np.float64)
        args: tuple[Any, ...] = (g, x, y, rows, channels, code, f.slope, partial)
        launch("batch_norm_backward_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, x, rows, channels, gamma, float(eps), factor, dgamma, dbeta)
        launch("batch_norm_backward_statistics<{T}>", x.dtype, groups, block, *args)
        args = (g, x, y, factor, x.size, channels, code, f.slope, dx)
        launch("batch_norm_backward_apply<{T}>", x.dtype, blocks(x.size), THREADS, *args)


def _row_launch(rows: int, n: int) -> tuple[int, int]:
    """One block a row, of as many threads as fit the row: a power of two from a warp to 512."""
    return min(rows, 2**20), min(512, max(32, 1 << (n - 1).bit_length()))


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.layer_norm`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels).
    """
    check("layer_norm", x.shape, x=x, out=out)
    rows, n = _check_matrix("layer_norm", x)
    check("layer_norm", None, x=x, gamma=gamma, beta=beta)
    check("layer_norm", (n,), gamma=gamma, beta=beta)
    if x.size:
        args = (x, gamma, beta, rows, n, float(eps), out)
        launch("layer_norm<{T}>", x.dtype, *_row_launch(rows, n), *args)


def layer_norm_backward(g: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """See :func:`minigan.kernels.reference.layer_norm_backward`.

    Raises:
        TypeError, ValueError: as :func:`check`; ValueError unless x is (rows, channels).
    """
    check("layer_norm_backward", x.shape, x=x, g=g)
    rows, n = _check_matrix("layer_norm_backward", x)
    check("layer_norm_backward", None, x=x, gamma=gamma)
    check("layer_norm_backward", (n,), gamma=gamma)
    dx = cupy.empty_like(x)
    dgamma, dbeta = cupy.zeros_like(gamma), cupy.zeros_like(gamma)  # what they stay if there are no rows
    if x.size:
        row_stats = cupy.empty((rows, 2), np.float64)
        args: tuple[Any, ...] = (g, x, gamma, rows, n, float(eps), dx, row_stats)
        launch("layer_norm_backward<{T}>", x.dtype, *_row_launch(rows, n), *args)
        (groups, slabs), block = _column_launch(rows, n)
        partial = cupy.empty((slabs, 2, n), np.float64)
        args = (g, x, row_stats, rows, n, partial)
        launch("layer_norm_backward_sums<{T}>", x.dtype, (groups, slabs), block, *args)
        args = (partial, slabs, n, dgamma, dbeta)
        launch("layer_norm_backward_finish<{T}>", x.dtype, groups, block, *args)
    return dx, dgamma, dbeta


# -- optimizers: all arrays of a player in one launch --------------------------------------------------------
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
    _tables[key] = cupy.asarray(np.array(rows, dtype=np.int64).reshape(-1, 1 + len(groups)))
    if len(_tables) > MAX_TABLES:
        _tables.popitem(last=False)
    return _tables[key]


def _multi(kernel: str, hyper: Array, length: int, *extra: int, **groups: Sequence[Array]) -> None:
    """Launch the optimizer `kernel` over all arrays; `hyper` is float64 `(length,)`.

    On the GPU it is read when the kernel runs, as a recorded step needs; from the CPU it is copied now.
    """
    if isinstance(hyper, np.ndarray) and not is_gpu_array(hyper):
        hyper = cupy.asarray(hyper)
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
        launch(f"{kernel}<{{T}}>", arrays[0][0].dtype, min(len(table), MAX_BLOCKS), THREADS, *args)


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


def rmsprop(
    params: Sequence[Array], grads: Sequence[Array], square: Sequence[Array], hyper: Array, notes: Notes | None = None
) -> None:
    """See :func:`minigan.kernels.reference.rmsprop`; arguments and errors as :func:`sgd`."""
    note_gradients(grads, notes)
    _multi("rmsprop", hyper, 3, params=params, grads=grads, square=square)


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


def ema(averages: Sequence[Array], params: Sequence[Array], hyper: Array) -> None:
    """See :func:`minigan.kernels.reference.ema`; arguments and errors as :func:`sgd`."""
    _multi("ema", hyper, 1, averages=averages, params=params)


# -- random numbers ------------------------------------------------------------------------------------------
# `counter` may in all three also be a uint32 array of shape (3,) on the GPU: it is read there when the kernel
# runs, so a recorded step draws new numbers at every replay.


def _word(kernel: str, value: Any) -> np.uint32:
    if not 0 <= int(value) < 2**32:
        raise ValueError(f"{kernel}: got the word {int(value)}, expected 0 <= word < 2^32")
    return np.uint32(int(value))


def _is_word_array(array: Any, shape: tuple[int, ...]) -> bool:
    contiguous = is_gpu_array(array) and array.flags.c_contiguous
    return contiguous and array.dtype == np.uint32 and array.shape == shape


def _stream(kernel: str, key: Any, counter: Any, out: Array, numbers_a_block: int) -> tuple[Any, ...]:
    """The first arguments of a kernel of philox.cu: five words, and the address of a counter on the GPU or None.

    Raises:
        TypeError: for another kind of CuPy `counter`.
        ValueError: for a word outside [0, 2^32), an `out` that is not 1-D, or more numbers than blocks give.
    """
    if out.ndim != 1:
        raise ValueError(f"{kernel}: out has shape {out.shape}, expected (n,)")
    if out.size > numbers_a_block * 2**32:  # the first word of a block's counter is its place
        raise ValueError(f"{kernel}: out has {out.size} numbers, expected at most {numbers_a_block} x 2^32")
    on_gpu = is_gpu_array(counter)
    if on_gpu and not _is_word_array(counter, (3,)):
        raise TypeError(f"{kernel}: counter is {counter.dtype} {counter.shape}, expected uint32 (3,)")
    words = [_word(kernel, w) for w in (*key, *((0, 0, 0) if on_gpu else counter))]
    return (*words, counter if on_gpu else None)


def philox(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.philox`.

    Raises:
        TypeError, ValueError: as :func:`_stream`; TypeError unless `out` is a contiguous uint32 CuPy array.
    """
    if not _is_word_array(out, (out.size,)):
        got = f"{type(out).__name__} {out.dtype} {out.shape}"
        raise TypeError(f"philox: out is {got}, expected a contiguous 1-D uint32 array on the GPU")
    args = (*_stream("philox", key, counter, out, 4), out.size, out)
    if out.size:
        launch("philox", out.dtype, blocks(-(-out.size // 4)), THREADS, *args)


def normal(key: Any, counter: Any, out: Array) -> None:
    """See :func:`minigan.kernels.reference.normal`: the same words, and numbers equal to rounding.

    Raises:
        TypeError, ValueError: as :func:`check` and :func:`_stream`; TypeError unless `out` is float32.
    """
    check("normal", None, out=out)
    if out.dtype != np.float32:
        raise TypeError(f"normal: out is {out.dtype}, expected float32")
    args = (*_stream("normal", key, counter, out, 4), out.size, out)
    if out.size:
        launch("normal", out.dtype, blocks(-(-out.size // 4)), THREADS, *args)


def mask(key: Any, counter: Any, keep: float, out: Array) -> None:
    """See :func:`minigan.kernels.reference.mask`: the same numbers to the bit.

    Raises:
        TypeError, ValueError: as :func:`check` and :func:`_stream`.
    """
    check("mask", None, out=out)
    bits, level = keep_level(keep)
    if bits == 32:
        wide_mask(philox, key, counter, keep, out)
        return
    args = (*_stream("mask", key, counter, out, 8), level, 2**bits / level, out.size, out)
    if out.size:
        launch("mask<{T}>", out.dtype, blocks(-(-out.size // 8)), THREADS, *args)


# -- scatter as gather ---------------------------------------------------------------------------------------
LONG_SEGMENT = 8  # from this mean length on, a warp shares a segment


def index_add(g: Array, flat_index: Array, size: int) -> Array:
    """out[j] = sum of g[k] over all k with flat_index[k] = j: as `numpy.add.at`, and repeatable to the bit.

    The indices are sorted (stably); each out[j] is then one sum over neighbours, in double, in a fixed order.

    Args:
        g: (n,) or any shape, float32 or float64.
        flat_index: int64 of the same shape, each in [0, size); one outside adds to nothing (finding it would
            make the CPU wait for the GPU).
        size: length of the result, a 1-D array of the dtype of `g`.

    Raises:
        TypeError, ValueError: as :func:`check`; TypeError unless `flat_index` is int64 on the GPU,
            ValueError unless it is contiguous and of the shape of `g`.
    """
    check("index_add", None, g=g)
    if not is_gpu_array(flat_index) or flat_index.dtype != np.int64:
        got = f"{type(flat_index).__name__} {getattr(flat_index, 'dtype', '')}"
        raise TypeError(f"index_add: flat_index is {got}, expected an int64 CuPy array")
    if flat_index.shape != g.shape or not flat_index.flags.c_contiguous:
        raise ValueError(f"index_add: flat_index is {flat_index.shape}, expected contiguous {g.shape}, as g")
    if not g.size or not size:
        return cupy.zeros(size, g.dtype)
    index = flat_index.ravel()
    order = cupy.argsort(index)  # CuPy's is stable, always
    start, out = cupy.empty(size + 1, np.int64), cupy.empty(size, g.dtype)
    launch("segment_starts", g.dtype, blocks(size + 1), THREADS, index, order, g.size, size, start)
    args = (g, order, start, size, out)
    if g.size >= LONG_SEGMENT * size:
        launch("segment_sum<{T}, 32>", g.dtype, blocks(32 * size), THREADS, *args)
    else:
        launch("segment_sum<{T}, 1>", g.dtype, blocks(size), THREADS, *args)
    return out
