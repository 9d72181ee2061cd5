"""What all of `theory` is written with: functions of arrays or tensors, and x log y with its limit at 0."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import array_module, is_float, is_gpu_array

F = TypeVar("F", bound=Callable[..., Any])


def tensor_of(value: Any) -> Tensor:
    """A tensor as it is; anything else as a float64 tensor (a float32 or GPU array keeps its dtype and place)."""
    if isinstance(value, Tensor):
        return value
    array = value if is_gpu_array(value) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"theory: got {value!r}, expected real numbers: an array, a list or a tensor")
    return Tensor(array if array.ndim and is_float(array.dtype) else array.astype(np.float64))


def in_one_dtype(*values: Any) -> list[Tensor]:
    """The values as tensors of one dtype and on one device.

    Float tensors and arrays decide it: float64 if one of them is, else float32. Python numbers, lists and integers are weak:
    they take it, and are float64 among themselves. A single number in an array is weak too, in a tensor it is not.
    """
    deciding = [t for v in values for t in [tensor_of(v)] if _decides(v)]
    dtype = np.result_type(*(t.dtype for t in deciding)) if deciding else np.dtype(np.float64)
    xp = array_module(*(t._data for t in deciding))

    def converted(value: Any) -> Tensor:
        t = tensor_of(value)
        if not _decides(value) and xp is not np:
            t = Tensor(xp.asarray(t._data))
        return t if t.dtype == dtype else ops.cast(t, dtype=dtype)

    return [converted(v) for v in values]


def _decides(value: Any) -> bool:
    if isinstance(value, Tensor):
        return is_float(value.dtype)
    return (isinstance(value, np.ndarray) or is_gpu_array(value)) and value.ndim > 0 and is_float(value.dtype)


def on_arrays(*names: str) -> Callable[[F], F]:
    """Let a function that is written with `ops` take arrays as well as tensors.

    The arguments called `names` reach the function as tensors, :func:`in_one_dtype`. Where none of them was a tensor, its
    result (a tensor, or a tuple of them) is returned as arrays; a single number as a Python float.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            given = {name: bound.arguments[name] for name in names if _is_given(signature, bound, name)}
            bound.arguments.update(zip(given, in_one_dtype(*given.values()), strict=True))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                result = function(*bound.args, **bound.kwargs)
            return result if any(isinstance(v, Tensor) for v in given.values()) else plain(result)

        return wrapped  # type: ignore[return-value]

    return decorate


def _is_given(signature: inspect.Signature, bound: inspect.BoundArguments, name: str) -> bool:
    """Whether the argument was passed; None counts only where it is no default, and is refused there."""
    if name not in bound.arguments:
        return False
    return bound.arguments[name] is not None or signature.parameters[name].default is not None


def plain(value: Any) -> Any:
    """Tensors as arrays, and a single number as a float."""
    if isinstance(value, tuple):
        parts = [plain(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if not isinstance(value, Tensor):
        return value
    return value._data.item() if value.ndim == 0 else value._data


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """x log y, with 0 log 0 = 0; the derivatives are log y in x and x / y in y, both taken as 0 where x = y = 0."""
    empty = ops.equal(ops.abs(x) + ops.abs(y), 0.0)
    return x * ops.log(ops.where(empty, 1.0, y))


def table(name: str, p: Tensor) -> Tensor:
    """`p`, checked to be probabilities along the last axis: not negative, each row with sum 1 to 1e-6.

    Raises:
        ValueError: with what was received.
    """
    data = p._data  # only looked at
    if data.ndim == 0 or data.shape[-1] == 0:
        raise ValueError(f"{name}: got shape {p.shape}, expected probabilities along the last axis")
    total = data.sum(axis=-1)
    if not bool((data >= 0).all()):
        raise ValueError(f"{name}: got a probability {float(data.min())!r}, expected numbers that are not negative")
    if not bool((abs(total - 1) <= 1e-6).all()):
        worst = float(total.reshape(-1)[abs(total - 1).reshape(-1).argmax()])
        raise ValueError(f"{name}: got probabilities with sum {worst!r}, expected 1; divide by the sum first")
    return p


def same_outcomes(p: Tensor, q: Tensor, *outputs: Tensor) -> list[Tensor]:
    """Two tables over the same outcomes, and what else has one number for each of them, in one dtype.

    Raises:
        ValueError: p or q is no :func:`table`, the last axes differ, or the leading axes do not broadcast.
    """
    table("p", p), table("q", q)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"tables: got {p.shape[-1]} outcomes in p and {q.shape[-1]} in q, expected equally many")
    for given in outputs:
        if given.shape[-1:] != p.shape[-1:]:
            raise ValueError(
                f"tables: got outputs {given.shape} for p {p.shape}, expected one for each outcome, on the last axis"
            )
    shapes = [t.shape for t in (p, q, *outputs)]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"tables: got shapes {shapes}, expected leading axes that broadcast") from None
    return in_one_dtype(p, q, *outputs)
