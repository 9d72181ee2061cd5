"""Queueing a CUDA kernel on CuPy arrays: compiling it when first used, the checks before, the shape of the launch.

A launch only queues work on the current stream: nothing waits for the GPU, nothing is copied back. Grid and block sizes depend on
shapes alone, never on the GPU found, so a sum in `cuda/*.cu` has the same order on every GPU. Stacks of products (cuBLAS) and the
sums that CuPy takes (over axes that are no neighbours) repeat on one GPU, and may be ordered otherwise on another.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cupy
import numpy as np

from minigan.activation import FUSED, Activation
from minigan.backend import Array, is_gpu_array, precision
from minigan.kernels.gpu import compiler as gpu_compile

THREADS = 256  # a block; normalize.cu is written for this number
MAX_BLOCKS = 4096  # loops stride over what is left: 4096 x 256 threads fill any GPU several times
MAX_SLABS = 256  # parts that a sum over rows is cut into, at most
TF32_CAPABILITY = 80  # sm_80, Ampere

# -- loading and launching -----------------------------------------------------------------------------------


@cache
def _module(file: str, names: tuple[str, ...]) -> Any:
    return cupy.RawModule(
        code=gpu_compile.sources()[file], options=gpu_compile.OPTIONS, name_expressions=names
    )  # compiles at the first get_function


@cache
def _function(name: str) -> Any:
    file = next(file for file in gpu_compile.KERNELS if name in gpu_compile.kernel_names(file))
    alone = file in gpu_compile.ONE_BY_ONE
    return _module(file, (name,) if alone else gpu_compile.kernel_names(file)).get_function(name)


def _argument(value: Any) -> Any:
    """As kernels declare it: whole numbers are `long long`, real ones `double`, None is the null pointer. A NumPy structure goes
    by value."""
    if value is None:
        return np.uint64(0)
    if isinstance(value, int):
        return np.int64(value)
    return np.float64(value) if isinstance(value, float) else value


Size = int | tuple[int, int]


def launch(name: str, dtype: Any, grid: Size, block: Size, *args: Any) -> None:
    """Queue the kernel `name` of `gpu_compile.KERNELS`, with `dtype` for its {T}, on `grid` blocks of `block` threads."""
    function = _function(name.replace("{T}", gpu_compile.TYPES.get(np.dtype(dtype).name, "")))
    shape = [(size,) if isinstance(size, int) else size for size in (grid, block)]
    function(*shape, tuple(_argument(a) for a in args))


def blocks(threads: int) -> int:
    """How many blocks give `threads` threads, or enough of them."""
    return min(-(-threads // THREADS), MAX_BLOCKS)


@cache
def _has_tf32(device: int) -> bool:
    return int(cupy.cuda.Device(device).compute_capability) >= TF32_CAPABILITY


def use_tf32(dtype: Any) -> bool:
    """Whether factors of this dtype go through tensor cores: float32, asked for, and there on the current GPU."""
    return precision() == "high" and dtype == np.float32 and _has_tf32(cupy.cuda.runtime.getDevice())


# -- checks --------------------------------------------------------------------------------------------------


def check(kernel: str, shape: tuple[int, ...] | None, **arrays: Array) -> None:
    """Pass if all `arrays` are on the GPU, C-contiguous, of one floating dtype and (unless None) of `shape`.

    Raises:
        TypeError: for an array elsewhere, or of another dtype.
        ValueError: for an array in another memory order or of another shape.
    """
    first = next(iter(arrays.values()))
    for name, array in arrays.items():
        if not is_gpu_array(array):
            raise TypeError(f"{kernel}: {name} is a {type(array).__name__}, expected a CuPy array")
        if array.dtype.name not in gpu_compile.TYPES or array.dtype != first.dtype:
            expected = first.dtype if first.dtype.name in gpu_compile.TYPES else "float32 or float64"
            raise TypeError(f"{kernel}: {name} is {array.dtype}, expected {expected}")
        if shape is not None and array.shape != shape:
            raise ValueError(f"{kernel}: {name} has shape {array.shape}, expected {shape}")
        if not array.flags.c_contiguous:
            problem = f"{name}, of shape {array.shape}, is not C-contiguous; use ascontiguousarray"
            raise ValueError(f"{kernel}: {problem}")


def kind_code(f: Activation) -> int:
    """The number of an activation in the `.cu` files.

    Raises:
        ValueError: for one that kernels do not apply.
    """
    if not f.fused:
        raise ValueError(f"kernels: got the activation {f}, expected a fused one: {FUSED}")
    return FUSED.index(f.kind)
