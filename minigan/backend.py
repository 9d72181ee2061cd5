"""Which array library an array lives in, which device that is, and the dtype policy.

One rule holds everywhere: **the device is where the array lives**. Code asks :func:`array_module` for the module of
the arrays it was handed (NumPy or CuPy) and computes there; nothing is moved behind the reader's back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # a numpy.ndarray or a cupy.ndarray: both speak the same protocol


class Group(tuple[Array, ...]):
    """Arrays that stay where they are and go into kernels together (all parameters of a player, say).

    `cache` and `plan` are for the kernel's use: what it worked out from their addresses.
    """

    cache: Any = None
    plan: Any = None

    def __reduce__(self) -> Any:
        """A copy has arrays, and addresses, of its own."""
        return Group, (tuple(self),)


class Notes:
    """What an optimizer's kernel notes of the gradients it reads.

    Attributes:
        bad: (arrays,), becomes NaN where an array holds a NaN or Inf, and stays as it is otherwise.
        squares: sums of squares of all gradients' parts; None before the first update.
        plan: for the kernel's use, as a :class:`Group`'s.
    """

    def __init__(self, count: int, dtype: Any) -> None:
        self.bad: Array = np.zeros(count, dtype)
        self.squares: Array | None = None
        self.plan: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy has arrays, and addresses, of its own."""
        return vars(self) | {"plan": None}

    def __repr__(self) -> str:
        return f"Notes({len(self.bad)} arrays, squares={self.squares})"


FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
DEFAULT_DTYPE = np.dtype(np.float32)
DEVICES = ("cpu", "gpu")
_DEALT = "minigan.ranks.layout"  # where the classes of what is dealt to ranks are; a user's may answer to any name

PRECISIONS = ("highest", "high")
INSTALL = "pip install 'minigan[gpu]' (for a driver of CUDA 12; for CUDA 13: pip install 'cupy-cuda13x[ctk]')"

_precision = "highest"
_captures = False  # a CUDA graph is being captured
_gpu_problem: str | None = None  # why there is no GPU; "" once one is known to work


class DeviceError(RuntimeError):
    """A device was asked for that this machine or environment does not have."""


class CaptureError(RuntimeError):
    """Something that a CUDA graph cannot hold."""


def is_gpu_array(array: Array) -> bool:
    """True when `array` is a CuPy array, or one that is dealt to ranks (`minigan.ranks`) and lies on their GPUs."""
    kind = type(array)
    if kind is np.ndarray:
        return False
    return kind.__module__.partition(".")[0] == "cupy" or (kind.__module__ == _DEALT and array.on_gpu)


def array_module(*arrays: Array) -> ModuleType:
    """NumPy or CuPy, by where the first GPU array among `arrays` lives."""
    for array in arrays:
        if type(array) is not np.ndarray and is_gpu_array(array):  # asked for every operation: the usual answer first
            import cupy

            return cupy
    return np


def device_of(array: Array) -> str:
    """`"cpu"` or `"gpu"`."""
    return "gpu" if is_gpu_array(array) else "cpu"


def gpu_problem() -> str:
    """Why no GPU can be used here, as one sentence; the empty string when one works.

    CuPy imports without a driver and only fails at the first allocation, so the test is a real one: a driver must be present,
    and a kernel that CuPy compiles and a matrix product (cuBLAS, a library of its own) must give the right numbers.
    """
    global _gpu_problem
    if _gpu_problem is None:
        _gpu_problem = _find_gpu_problem()
    return _gpu_problem


def _find_gpu_problem() -> str:
    # What CuPy raises where a driver, a compiler or a library is missing or of another version has no common base but
    # Exception (its CompileException derives from that); each is a reason, not a bug here, and the text tells which.
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not installed ({error}); install it with: {INSTALL}"
    except Exception as error:
        return f"CuPy cannot be imported ({type(error).__name__}: {error}); reinstall it with: {INSTALL}"
    try:
        if not cupy.is_available():
            return "CuPy is installed but finds no CUDA driver or device"
        ones = cupy.ones((4, 4), dtype=np.float32)
        found = int((cupy.arange(5) * 2).sum()), int((ones @ ones)[0, 0])
    except Exception as error:
        return f"a GPU is present but a first kernel failed ({type(error).__name__}: {error}); install CuPy with: {INSTALL}"
    return "" if found == (20, 4) else f"a GPU is present but its first kernels returned {found}, not (20, 4)"


def module_for(device: str) -> ModuleType:
    """The array module of a device name.

    Raises:
        ValueError: for a name that is not in `DEVICES`.
        DeviceError: for `"gpu"` where none works; the message says why.
    """
    if device == "cpu":
        return np
    if device != "gpu":
        raise ValueError(f"device: got {device!r}, expected one of {DEVICES}")
    if problem := gpu_problem():
        raise DeviceError(f"device 'gpu': {problem}; use --device cpu")
    import cupy

    return cupy


def to_numpy(array: Array) -> np.ndarray:
    """The same values as a NumPy array (a copy only when they are on a GPU).

    Raises:
        CaptureError: from a GPU, inside :func:`capturing`.
    """
    if not is_gpu_array(array):
        return np.asarray(array)
    if _captures:
        raise CaptureError("the host reads what the device computes")
    return array.get()


def to_device(array: Array, device: str) -> Array:
    """The same values on `device` (a copy only when they are elsewhere).

    Raises:
        CaptureError: from one to the other, inside :func:`capturing`.
    """
    xp = module_for(device)
    if xp is np or is_gpu_array(array):
        return to_numpy(array) if xp is np else array
    if _captures:  # CUDA would let it in, from memory of the host that holds something else when the graph is launched
        raise CaptureError("numbers are copied from the host")
    return xp.asarray(array)


@contextmanager
def capturing() -> Iterator[None]:
    """Inside the block a CUDA graph is captured: nothing is copied between host and device."""
    global _captures
    before, _captures = _captures, True
    try:
        yield
    finally:
        _captures = before


def digest(array: Array) -> bytes:
    """Dtype, shape and a hash of the bytes of an array."""
    array = np.ascontiguousarray(to_numpy(array))
    head = f"{array.dtype.str}{array.shape}".encode()
    return head + (
        array.tobytes() if array.nbytes <= 64 else hashlib.blake2b(array.reshape(-1).view(np.uint8)).digest()
    )


def is_float(dtype: Any) -> bool:
    """True for the two dtypes that carry derivatives."""
    return dtype in FLOATS


def as_float_dtype(dtype: Any) -> np.dtype:
    """`dtype` as float32 or float64; anything else raises TypeError."""
    dtype = DEFAULT_DTYPE if dtype is None else np.dtype(dtype)
    if dtype not in FLOATS:
        raise TypeError(f"dtype: got {dtype}, expected float32 or float64")
    return dtype


class _Precision:
    """The setting that :func:`matmul_precision` made; as a context manager it puts the former one back."""

    def __init__(self, before: str) -> None:
        self._before = before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        global _precision
        _precision = self._before


def matmul_precision(name: str) -> _Precision:
    """How float32 factors of matrix products and convolutions may be rounded on a GPU; float64 and the CPU never round.

    "highest" (the default) keeps all 24 bits. "high" allows TF32, 11 bits, with sums in float32: relative errors near 5e-4
    of the largest result, several times faster on tensor cores. A call sets it for good; `with matmul_precision("high"):`
    for a block. One setting for all threads.

    Raises:
        ValueError: for another name.
    """
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"matmul_precision: got {name!r}, expected one of {PRECISIONS}")
    before, _precision = _precision, name
    return _Precision(before)


def precision() -> str:
    """The name last given to :func:`matmul_precision`."""
    return _precision


def owner_of(array: Any) -> Any:
    """The array whose memory a view looks at, at the end of the chain of views."""
    while getattr(array, "base", None) is not None and hasattr(array.base, "dtype"):
        array = array.base
    return array
