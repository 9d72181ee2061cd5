"""What all of `theory` is written with: functions of arrays or tensors, and x log y with its limit at 0."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import is_float, is_gpu_array

F = TypeVar("F", bound=Callable[..., Any])


def tensor_of(value: Any) -> Tensor:
    """A tensor as it is; anything else as a float64 tensor (a float32 or GPU array keeps its dtype and place)."""
    if isinstance(value, Tensor):
        return value
    array = value if is_gpu_array(value) else np.asarray(value)
    return Tensor(array if array.ndim and is_float(array.dtype) else array.astype(np.float64))


def on_arrays(*names: str) -> Callable[[F], F]:
    """Let a function that is written with `ops` take arrays as well as tensors.

    The arguments called `names` reach the function as tensors. Where none of them was a tensor, its result (a tensor, or a
    tuple of them) is returned as arrays; a single number as a Python float.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            given = [bound.arguments[name] for name in names if bound.arguments.get(name) is not None]
            for name in names:
                if bound.arguments.get(name) is not None:
                    bound.arguments[name] = tensor_of(bound.arguments[name])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                result = function(*bound.args, **bound.kwargs)
            return result if any(isinstance(v, Tensor) for v in given) else plain(result)

        return wrapped  # type: ignore[return-value]

    return decorate


def plain(value: Any) -> Any:
    """Tensors as arrays, and a single number as a float."""
    if isinstance(value, tuple):
        parts = [plain(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if not isinstance(value, Tensor):
        return value
    return value.item() if value.ndim == 0 else value.data


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """x log y, with 0 log 0 = 0; the derivatives are log y in x and x / y in y, both taken as 0 where x = y = 0."""
    empty = ops.equal(ops.abs(x) + ops.abs(y), 0.0)
    return x * ops.log(ops.where(empty, 1.0, y))


def table(name: str, p: Tensor) -> Tensor:
    """`p`, checked to be probabilities along the last axis: not negative, each row with sum 1 to 1e-6.

    Raises:
        ValueError: with what was received.
    """
    data = p.data
    if data.ndim == 0 or data.shape[-1] == 0:
        raise ValueError(f"{name}: got shape {p.shape}, expected probabilities along the last axis")
    total = data.sum(axis=-1)
    if not bool((data >= 0).all()):
        raise ValueError(f"{name}: got a probability {float(data.min())!r}, expected numbers that are not negative")
    if not bool((abs(total - 1) <= 1e-6).all()):
        worst = float(total.reshape(-1)[abs(total - 1).reshape(-1).argmax()])
        raise ValueError(f"{name}: got probabilities with sum {worst!r}, expected 1; divide by the sum first")
    return p
