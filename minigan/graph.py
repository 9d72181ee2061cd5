"""What a graph is made of: tensors, and the nodes that made them."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigan import backend
from minigan.backend import Array
from minigan.checks import numbers
from minigan.interop import NumPy
from minigan.methods import OPERATIONS, Methods
from minigan.primitive import Primitive
from minigan.switches import Origin, origin, state

_clock = itertools.count()


class GraphError(RuntimeError):
    """A derivative was asked for that the graph cannot give."""


class Version:
    """How often an array was changed in place; shared by all tensors that look at the same memory."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Node:
    """One operation of a graph: `y = op(*inputs, **params)`.

    `parents[i]` is the node of input i, or None for a constant; `saved` holds the inputs the vjp reads (others as
    :class:`Unsaved`), the output's array if it is read, and the version of each. A node never refers to its own output
    tensor, so a graph has no reference cycles and dies with its last tensor. A leaf has `op = None`.
    """

    __slots__ = (
        "__weakref__",
        "device",
        "dtype",
        "hooks",
        "op",
        "order",
        "origin",
        "owner",
        "params",
        "parents",
        "saved",
        "shape",
    )

    def __init__(self, op: Primitive | None, data: Array, origin: Origin) -> None:
        self.op = op
        self.parents: tuple[Node | None, ...] = ()
        self.saved: tuple[Any, ...] = ()
        self.params: dict[str, Any] = {}
        self.origin = origin
        self.shape: tuple[int, ...] = data.shape
        self.dtype: np.dtype = data.dtype
        self.device = backend.device_of(data)
        self.order = next(_clock)  # parents are always older: sorting by it is a topological order
        self.hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.owner: weakref.ref[Tensor] | None = None

    @property
    def name(self) -> str:
        """What the caller asked for: the function of `minigan.ops` whose result this is, an operation otherwise, or "leaf"."""
        return "leaf" if self.op is None else self.origin.asked or self.op.name

    def __repr__(self) -> str:
        return f"Node({self.op.name if self.op else 'leaf'}, shape={self.shape}, {self.origin})"


class Tensor(Methods, NumPy):
    """An array with a place in a graph. `node` is None exactly when no derivative flows through it.

    Operators, comparisons, slicing and methods run the operations of `minigan.ops` (see `methods.py`); NumPy's functions do where
    they mean the same (see `interop.py`).
    """

    __slots__ = ("__weakref__", "_data", "grad", "node", "version")

    def __init__(self, data: Array, node: Node | None = None, version: Version | None = None) -> None:
        self._data = data
        self.node = node
        self.version = version or Version()
        self.grad: Tensor | None = None

    # -- the array ---------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Array:
        """The array. Assigning to it (also `t.data += 1`) fills it, and counts as a change in place."""
        if state.reading is not None:
            state.reading(self)
        return self._data if state.spread is None else state.spread.array(self)

    @data.setter
    def data(self, array: Array) -> None:
        if not hasattr(array, "dtype") or array.shape != self._data.shape or array.dtype != self._data.dtype:
            got = f"shape {array.shape} {array.dtype}" if hasattr(array, "dtype") else type(array).__name__
            raise ValueError(
                f"data: got {got}, expected {self._data.shape} {self._data.dtype}; "
                "make a new tensor with mg.tensor(...)"
            )
        if array is self._data:
            self.version.count += 1
        else:
            self.assign(array)

    shape = property(lambda self: self._data.shape, doc="Lengths of the axes.")
    dtype = property(lambda self: self._data.dtype, doc="float32 or float64 (bool or integer for masks and indices).")
    ndim = property(lambda self: self._data.ndim, doc="Number of axes.")
    size = property(lambda self: self._data.size, doc="Number of elements.")
    device = property(lambda self: backend.device_of(self._data), doc='"cpu" or "gpu": where the array lives.')

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array (the same memory on the CPU)."""
        return backend.to_numpy(self.data)

    def item(self) -> float:
        """The value of a tensor with one element, as a Python number."""
        if self._data.size != 1:
            raise ValueError(f"item: got shape {self.shape}, expected one element")
        return self.data.item()

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """All axes in reverse order."""
        return self.transpose()

    # -- the graph ---------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """True when derivatives flow through this tensor."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self.node is not None and self.node.op is not None:
            raise GraphError("requires_grad: can be set on leaf tensors only; use .detach() to leave the graph")
        if not flag:
            self.node = None
        elif self.node is None:
            if not backend.is_float(self.dtype):
                raise TypeError(f"requires_grad: got dtype {self.dtype}, expected float32 or float64")
            self.node = Node(None, self._data, origin())
            self.node.owner = weakref.ref(self)

    def detach(self) -> Tensor:
        """The same array, outside the graph."""
        return Tensor(self._data, None, self.version)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(cotangent)` when the backward walk has finished this tensor's cotangent; a tensor it returns takes
        the cotangent's place. Returns a function that removes the hook."""
        if self.node is None:
            raise GraphError("register_hook: this tensor is outside every graph, so no cotangent will reach it")
        hooks = self.node.hooks = self.node.hooks or []
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor cannot be changed by item assignment (the graph would not see it); "
            "use mg.ops.where(mask, value, x), mg.ops.concatenate, or t.assign(array) on a leaf"
        )

    def __repr__(self) -> str:
        source = "" if self.node is None else f", op={self.node.name}"
        if state.reading is not None:
            return f"tensor(shape={self.shape}, dtype={self.dtype}{source})"
        return f"tensor({np.array2string(self.numpy(), separator=', ', prefix='tensor(')}, dtype={self.dtype}{source})"

    def _copy(self, data: Array, version: Version | None) -> Tensor:
        if self.node is not None and self.node.op is not None:
            raise GraphError(f"copy: got a tensor inside a graph ({self.node}), expected a leaf; copy t.detach()")
        new = type(self).__new__(type(self))
        Tensor.__init__(new, data, None, version)
        new.requires_grad = self.requires_grad
        return new

    def __copy__(self) -> Tensor:
        return self._copy(self._data, self.version)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        new = memo[id(self)] = self._copy(self.data.copy(), None)
        new.grad = None if self.grad is None else Tensor(self.grad.data.copy())
        return new

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self._data)))

    def __contains__(self, value: Any) -> bool:
        """Whether some element equals `value`, as NumPy has it."""
        equal = self == value
        return isinstance(equal, Tensor) and bool(equal.any())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"bool: got a tensor of shape {self.shape}, and the truth of {self._data.size} elements is ambiguous; use "
                "t.all() or t.any(). Comparisons are elementwise: whether two names stand for one tensor is `a is b`, whether a "
                "list holds it any(x is t for x in values)"
            )
        return bool(self.data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(f"index: got a tensor {self.shape} {self.dtype}, expected one integer without axes")
        return int(self.data.item())

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self._data.size != 1:
            raise TypeError(
                f"format: got {spec!r} for a tensor of shape {self.shape}, expected one element; format t.item(), or "
                "np.array2string(t, precision=3)"
            )
        return format(self.item(), spec)

    def __getattr__(self, name: str) -> Any:
        how = f"; it is no method, since it needs more tensors: mg.ops.{name}(...)" if name in OPERATIONS else ""
        raise AttributeError(f"Tensor has no attribute or method {name!r}{how or '; operations live in minigan.ops'}")


TensorLike = (
    Tensor | np.ndarray | float | Sequence[Any]
)  # what becomes a tensor where one is expected (and CuPy's arrays)


def tensor(value: TensorLike, *, dtype: Any = None, requires_grad: bool = False, device: str | None = None) -> Tensor:
    """A new leaf tensor with a copy of `value`.

    Python numbers and lists of them become float32; arrays keep their dtype (float32, float64, integer or bool).
    `requires_grad=True` makes it a place to take derivatives at.

    Raises:
        TypeError: for a dtype without meaning here (float16, complex, object), or what are no numbers.
    """
    if isinstance(value, Tensor):
        value = value.data
    known = hasattr(value, "dtype") and not isinstance(value, np.generic)
    if not known:
        value, dtype = numbers("tensor", value), dtype or backend.DEFAULT_DTYPE
    xp = backend.module_for(device) if device else backend.array_module(value)
    if device == "cpu":
        value = backend.to_numpy(value) if known else value
    data = xp.array(value, dtype=dtype, order="C")
    if data.dtype.kind not in "biu" and not backend.is_float(data.dtype):
        raise TypeError(f"tensor: got dtype {data.dtype}, expected float32, float64, integer or bool")
    result = Tensor(data)
    if requires_grad:
        result.requires_grad = True
    return result


def as_tensor(value: TensorLike, *, like: Tensor | None = None) -> Tensor:
    """`value` if it is a tensor, else a constant tensor of it; an array is not copied. A number, or a list of them, has no
    device: it comes to life on that of `like`."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) or backend.is_gpu_array(value):
        return Tensor(value)
    return tensor(value, device=None if like is None else like.device)
