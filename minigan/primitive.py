"""One row of the table of operations: a forward function, its derivative, and samples to test both with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import Array


class Unsaved(NamedTuple):
    """Stands for an input that a vjp declared it does not read; only its shape and dtype are known."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


class Primitive:
    """One row of the table: an operation, its derivative, and samples to test both.

    Attributes:
        forward: `forward(*arrays, out=None, **params) -> array`. `out`, where it is in the signature, is a buffer of the
            right shape that a replay wants filled instead of a new array.
        vjps: one function an input, `f(g, y, *inputs, **params) -> Tensor`, the cotangent of that input; or one
            function for all, `f(needs, g, y, *inputs, **params) -> tuple`, where work is shared. A parameter whose name
            begins with an underscore is not read, and is not kept in memory for the backward walk.
            Returning None says that this derivative is exactly zero. `vjps=None` makes the whole result a constant
            (comparisons, integers); a fused kernel whose derivative is unknown uses :func:`undifferentiable` instead.
        equals: of a fused operation, the plain composite it equals, `f(*tensors, **params)`; tested at orders 0, 1, 2.
        composite: the same, of a fused operation whose vjp is a kernel without a derivative of its own: when a graph of
            the backward walk is wanted, the engine differentiates the composite instead.
        samples: `samples(draw) -> (arrays, params)`, valid arguments to test it with.
        kinds: a letter an input, the last one also for those that follow. "f" (default): floats, which integers become.
            "n": numbers, which stay integers where all are. "c": compared as they are, so that no digit is lost; Python
            numbers take the dtype of floats beside them. "b": taken as it is.
        broadcasts: the inputs follow NumPy's broadcasting, so the engine sums cotangents back to their shapes.
        plan: of an operation whose kernel can be set up once for arrays that stay where they are:
            `plan(*arrays, out=..., **params)` returns a function that does it, or None. For replays.
        view: the result may share its input's memory.
    """

    def __init__(
        self,
        forward: Callable[..., Array],
        vjps: Any,
        *,
        name: str,
        samples: Callable[..., Any] | None,
        equals: Callable[..., Any] | None = None,
        composite: Callable[..., Any] | None = None,
        kinds: str = "f",
        broadcasts: bool = False,
        view: bool = False,
        plan: Callable[..., Callable[[], None] | None] | None = None,
    ) -> None:
        self.name, self.forward, self.vjps, self.samples = name, forward, vjps, samples
        self.equals, self.composite = equals or composite, composite
        self.kinds, self.broadcasts, self.view, self.plan = kinds, broadcasts, view, plan
        code = forward.__code__
        self.takes_out = "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.keeps: dict[int, bool] = {}
        self.joint = callable(vjps)
        for function in (vjps,) if self.joint else vjps or ():
            for slot, read in _reads(function, 2 if self.joint else 1).items():
                self.keeps[slot] = self.keeps.get(slot, False) or read

    def kind(self, i: int) -> str:
        """The letter of input i."""
        return self.kinds[i] if i < len(self.kinds) else self.kinds[-1]

    def keep(self, slot: int) -> bool:
        """Whether the backward walk reads slot: 0 the output, 1 + i input i. A composite reads all inputs."""
        return (slot > 0 and bool(self.composite)) or self.keeps.get(slot, self.keeps.get(-1, False))


def _reads(function: Callable[..., Any], skip: int) -> dict[int, bool]:
    """Which positional parameters after the first `skip` a vjp reads; slot -1 is `*inputs`."""
    code = function.__code__
    names = code.co_varnames
    reads = {i: not name.startswith("_") for i, name in enumerate(names[skip : code.co_argcount])}
    if code.co_flags & 0x04:  # has *args
        reads[-1] = not names[code.co_argcount + code.co_kwonlyargcount].startswith("_")
    return reads


def undifferentiable(reason: str) -> Callable[..., Any]:
    """A vjp that raises: for kernels that must never be differentiated again in silence."""

    def vjps(_needs: Any, _g: Any, _y: Any, *_inputs: Any, **_params: Any) -> Any:
        raise NotImplementedError(reason)

    return vjps


def signature_of(forward: Callable[..., Array]) -> inspect.Signature:
    """What the function on tensors takes: as `forward`, without the buffer; for `help` and editors."""
    taken = inspect.signature(forward).parameters.values()
    inputs = [p.replace(annotation="TensorLike") if p.annotation == "Array" else p for p in taken if p.name != "out"]
    return inspect.Signature(inputs, return_annotation="Tensor")
