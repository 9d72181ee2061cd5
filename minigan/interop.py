"""What NumPy's functions do with a tensor: `np.exp(t)`, `a + t`, `np.allclose(t, u)`, `np.asarray(t)`.

Derivatives are never lost in silence. In this order:

- A NumPy function that is an operation of `minigan.ops` under the same meaning (`np.exp`, `np.mean`, `a * t`) *is* that
  operation: it returns a tensor, in the graph.
- One whose result cannot carry a derivative (`np.allclose`, `np.isfinite`, `np.save`) works on the values, and so does any
  other where no tensor given is in a graph; it returns what NumPy returns.
- Any other raises a TypeError with the ways to say it.

`np.asarray(t)` gives the values, as `t.numpy()` does. In a recorded step reading values raises, as everywhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.methods import OPERATIONS

if TYPE_CHECKING:
    from minigan.graph import Tensor

_SAME = """add subtract multiply divide power matmul negative exp expm1 log log1p sqrt square sin cos tanh sign maximum minimum
less less_equal greater greater_equal equal not_equal logical_and logical_or logical_xor logical_not"""
_UFUNCS: dict[Any, str] = {getattr(np, name): name for name in _SAME.split()}
_UFUNCS |= {np.absolute: "abs", np.float_power: "power", np.positive: "identity"}
_UFUNCS |= {np.bitwise_and: "logical_and", np.bitwise_or: "logical_or", np.bitwise_xor: "logical_xor"}
_UFUNCS |= {np.invert: "logical_not"}

_SAME = """all any argsort broadcast_to clip concatenate cumsum expand_dims flip max mean min reshape sort split squeeze stack
sum swapaxes take transpose var where pad"""
_FUNCTIONS: dict[Any, str] = {getattr(np, name): name for name in _SAME.split()}
_FUNCTIONS |= {np.amax: "max", np.amin: "min"}

_SHAPES = (np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.result_type)
_VALUES = (
    *(np.allclose, np.isclose, np.array_equal, np.array_equiv, np.array_repr, np.array_str, np.array2string),
    *(np.save, np.savez, np.savez_compressed, np.savetxt, np.histogram, np.histogram2d, np.histogramdd, np.unique),
    *(np.argmax, np.argmin, np.count_nonzero, np.nonzero, np.flatnonzero, np.searchsorted, np.digitize, np.bincount),
    *(np.copyto, np.shares_memory, np.may_share_memory),
)


class Ufunc:
    """`__array_ufunc__`, for NumPy, which asks the class. An object answers None, for CuPy: a CuPy array beside a tensor then
    leaves the operator to the tensor, which it could not read."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return None if instance is not None else _ufunc


def _ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    name = _UFUNCS.get(ufunc)
    if "out" in options:
        how = f"y = mg.ops.{name}(...)" if name else "t.numpy()"
        raise TypeError(
            f"np.{ufunc.__name__}: cannot write the result of a tensor into an array (out=, or a += t on an array a); make a new "
            f"one, a = a + t, {how}, or take the values: t.numpy()"
        )
    if name is not None and method == "__call__" and not options:
        return OPERATIONS[name](*inputs)
    call = getattr(ufunc, method)
    truth = method == "__call__" and all(types.endswith("->?") for types in ufunc.types)
    return _by_values(f"np.{ufunc.__name__}", name, call, inputs, options, lossless=truth)


class NumPy:
    """The protocols by which NumPy asks a tensor."""

    __slots__ = ()
    __array_ufunc__ = Ufunc()

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The values, for `np.asarray(t)` and everything that takes arrays."""
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        if function in _SHAPES:
            return function(*_mapped(args, lambda t: t._data), **_mapped(options, lambda t: t._data))
        name = _FUNCTIONS.get(function)
        full = f"np.{function.__name__}"
        if name is None:
            return _by_values(full, name, function, args, options, lossless=function in _VALUES)
        operation = OPERATIONS[name]
        signature = inspect.signature(operation)
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            bare = inspect.Signature([p.replace(annotation=p.empty) for p in signature.parameters.values()])
            raise TypeError(f"{full} of a tensor is mg.ops.{name}{bare}: {error}") from None
        return operation(*args, **options)


def _by_values(
    full: str, name: str | None, function: Callable[..., Any], args: Any, options: Any, *, lossless: bool
) -> Any:
    """The NumPy function on the tensors' values; refused where a derivative would be lost."""

    def values(t: Tensor) -> Any:
        if t.node is not None and not lossless:
            ways = f"mg.ops.{name}" if name else "an operation of mg.ops"
            raise TypeError(
                f"{full}: got a tensor {t.shape} in a graph, and NumPy's result would have no derivative; use {ways}, or take "
                "the values: t.numpy()"
            )
        return t.data

    return function(*_mapped(args, values), **_mapped(options, values))


def _mapped(value: Any, values: Callable[[Tensor], Any]) -> Any:
    """The same arguments, also in lists, tuples and dicts, with arrays for tensors."""
    if isinstance(value, NumPy):
        return values(value)  # type: ignore[arg-type]
    if isinstance(value, dict):
        return {key: _mapped(part, values) for key, part in value.items()}
    return type(value)([_mapped(part, values) for part in value]) if type(value) in (list, tuple) else value
