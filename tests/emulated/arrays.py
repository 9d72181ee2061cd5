"""`ndarray` of the stand-in: values in emulated device memory, computed by NumPy, and the manners of CuPy's.

No conversion to NumPy but by `get`, no operation together with a NumPy array; a reduction is an array without axes, never a
number; methods take what CuPy's take. While a stream captures, what would wait for the device or copy from the host raises, and
everything else is noted, to run again when the graph is launched (:mod:`emulated.capturing`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from emulated import capturing, memory
from emulated.signatures import HOST_READS, JOINED, JOINED_AT_ONCE, METHODS, PRODUCTS, SOLVERS, SORTS, signature

NUMBERS = (bool, int, float, complex, np.generic)


class Pointer:
    """What `ndarray.data` is."""

    def __init__(self, array: np.ndarray) -> None:
        self.ptr, self.mem = array.ctypes.data, memory.allocation_of(array)


class ndarray:
    """An array on the emulated device; made by :func:`wrapped`."""

    __slots__ = ("__weakref__", "_values", "base")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: np.ndarray, base: ndarray | None = None) -> None:
        self._values, self.base = values, base

    # -- what it is
    shape = property(lambda self: self._values.shape)
    dtype = property(lambda self: self._values.dtype)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    nbytes = property(lambda self: self._values.nbytes)
    itemsize = property(lambda self: self._values.itemsize)
    strides = property(lambda self: self._values.strides)
    flags = property(lambda self: self._values.flags)
    data = property(lambda self: Pointer(self._values))
    T = property(lambda self: wrapped(self._values.T, self))
    real = property(lambda self: wrapped(self._values.real, self))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        own = self._values.__array_interface__
        return {key: own[key] for key in ("shape", "typestr", "data", "strides")} | {"version": 3}

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self.get())

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # -- to the host, and only where that is said
    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        capturing.refuse("a copy to the host")
        if out is None:
            return self._values.copy(order)
        out[...] = self._values
        return out

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __index__(self) -> int:
        return operator.index(self.get())

    # -- from the host
    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        capturing.refuse("a copy from the host")
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"set: got {type(arr).__name__}, expected a NumPy array of {self.dtype} {self.shape}")
        self._values[...] = arr

    def fill(self, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.shape:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        capturing.run("fill", np.ndarray.fill, self._values, plain(value))

    # -- elements
    def __getitem__(self, index: Any) -> Any:
        index = _index(index)
        if any(
            isinstance(part, ndarray) and part.dtype == bool
            for part in (index if isinstance(index, tuple) else [index])
        ):
            capturing.refuse("a mask as an index, whose number of elements is read by the host,")
        return computed("getitem", lambda a, i: a[i], self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.shape:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        place, source = plain(_index(index)), plain(value)
        capturing.run("copy", np.ndarray.__setitem__, self._values, place, source)

    # -- protocols
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        if "out" in options:
            (options["out"],) = options["out"]
        return applied(ufunc, *inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        import cupy

        own = getattr(cupy.linalg if "linalg" in function.__module__ else cupy, function.__name__, None)
        return NotImplemented if own is None else own(*args, **kwargs)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    def __reduce__(self) -> Any:
        import cupy

        return cupy.array, (self.get(),)


# -- between the stand-in's arrays and NumPy's ---------------------------------------------------------------------------
def plain(value: Any) -> Any:
    """The NumPy values of arrays in `value`; NumPy arrays themselves are refused, as CuPy does.

    Raises:
        TypeError: a NumPy array.
    """
    if isinstance(value, ndarray):
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def wrapped(result: Any, owner: ndarray | None = None) -> Any:
    """Results as arrays of the stand-in: a view stays a view of `owner`, anything else goes to memory of its own."""
    if isinstance(result, (list, tuple)):
        return type(result)(*map(wrapped, result)) if hasattr(result, "_fields") else type(result)(map(wrapped, result))
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    if isinstance(result, np.ndarray) and memory.allocation_of(result) is not None:
        return ndarray(result, owner if owner is None or owner.base is None else owner.base)
    own = memory.empty(np.shape(result), result.dtype)
    if (
        isinstance(result, np.ndarray)
        and result.ndim > 1
        and result.flags.f_contiguous
        and not result.flags.c_contiguous
    ):
        own = memory.empty(result.shape[::-1], result.dtype).T
    own[...] = result
    return ndarray(own)


def computed(name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """`function` of the NumPy values; of the array given as `out` where there is one."""
    if name in HOST_READS:
        capturing.refuse(f"{name}: its size is read by the host")
    for names, library in ((SORTS, "Thrust"), (PRODUCTS, "cuBLAS"), (SOLVERS, "cuSOLVER")):
        if name in names:
            capturing.refuse(f"{name}, which is {library},")
    if name in JOINED and len(args[0]) > JOINED_AT_ONCE:
        capturing.refuse(f"{name} of {len(args[0])} arrays, whose addresses are copied from the host,")
    values = [plain(a) for a in args]
    named = {key: plain(value) for key, value in options.items()}
    out = options.get("out")
    if out is not None:
        capturing.run(name, function, *values, **named)
        return out
    first = next((a for a in args if isinstance(a, ndarray)), None)
    with np.errstate(all="ignore"):  # a GPU does not warn
        result = wrapped(function(*values, **named), first)
    if isinstance(result, ndarray) and (first is None or not np.may_share_memory(result._values, first._values)):
        capturing.note(name, _refill, function, result._values, *values, **named)
    return result


def _refill(function: Callable[..., Any], target: np.ndarray, *values: Any, **named: Any) -> None:
    with np.errstate(all="ignore"):
        target[...] = function(*values, **named)


def applied(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """A universal function as CuPy's: arrays of the device and numbers, `out` one of the former."""
    for value in inputs:
        if isinstance(value, (ndarray, NUMBERS)):
            continue
        if getattr(value, "__array_ufunc__", 0) is None:
            return NotImplemented
        raise TypeError(f"Unsupported type {type(value)}")
    for value in inputs[ufunc.nin :]:
        options["out"] = value
    unknown = options.keys() - {"out", "dtype", "casting"}
    if unknown:
        raise TypeError(f"{ufunc.__name__}: Wrong arguments {unknown}")
    out = options.get("out")
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"Output arguments type must be cupy.ndarray, got {type(out)}")
    return computed(ufunc.__name__, ufunc, *inputs[: ufunc.nin], **{k: v for k, v in options.items() if v is not None})


def _index(index: Any) -> Any:
    """Lists and NumPy arrays among indices are copied to the device, as CuPy does."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    if isinstance(index, (list, np.ndarray)):
        capturing.refuse("an index from the host")
        own = np.asarray(index)
        return wrapped(own.astype(np.int32) if isinstance(index, list) and not own.size else own)
    return index


# -- methods and operators -----------------------------------------------------------------------------------------------
def _method(name: str) -> Callable[..., Any]:
    taken = signature(METHODS[name])

    def call(self: ndarray, *args: Any, **options: Any) -> Any:
        taken.bind(*args, **options)
        if name == "take":
            options["mode"] = "wrap"  # CuPy's rule for indices out of range
        return computed(name, getattr(np.ndarray, name), self, *args, **options)

    call.__name__ = name
    return call


def _binary(ufunc: np.ufunc, turned: bool = False, inside: bool = False) -> Callable[..., Any]:
    def call(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray) and getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented
        if inside:
            return applied(ufunc, self, other, out=self)
        return applied(ufunc, *((other, self) if turned else (self, other)))

    return call


BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift, "matmul": np.matmul,
}  # fmt: skip
COMPARED = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}

for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
for _name, _ufunc in BINARY.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc))
    setattr(ndarray, f"__r{_name}__", _binary(_ufunc, turned=True))
    setattr(ndarray, f"__i{_name}__", _binary(_ufunc, inside=True))
for _name, _ufunc in COMPARED.items():
    setattr(ndarray, f"__{_name}__", _binary(_ufunc))
for _name, _ufunc in UNARY.items():
    setattr(ndarray, f"__{_name}__", lambda self, _ufunc=_ufunc: applied(_ufunc, self))
ndarray.__module__ = "cupy"
