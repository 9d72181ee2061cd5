"""What can be written with a tensor: its operators, and operations as methods.

The rule for methods: **every operation of `minigan.ops` that needs no second tensor is one** (unary operations, reductions,
shapes), and so is what an operator stands for. They are declared here, for editors and type checkers; `minigan.ops` fills the
declarations with its own functions, so that `t.sum` *is* `ops.sum`, docstring and all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.graph import Tensor, TensorLike
    from minigan.random import Source

Axis = int | tuple[int, ...] | None
Sizes = int | tuple[int, ...]

OPERATIONS: dict[str, Callable[..., Any]] = {}  # of `minigan.ops`, by name


def _numeric(value: Any) -> bool:
    """Whether a value can be compared elementwise; None, a string or some object is simply no tensor."""
    return hasattr(value, "dtype") or isinstance(value, (bool, int, float, list, tuple))


class Methods:
    """The operators and methods of a tensor."""

    __slots__ = ()

    # -- operators ---------------------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Tensor:
        return self.add(other)

    def __radd__(self, other: Any) -> Tensor:
        return OPERATIONS["add"](other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self.subtract(other)

    def __rsub__(self, other: Any) -> Tensor:
        return OPERATIONS["subtract"](other, self)

    def __mul__(self, other: Any) -> Tensor:
        return self.multiply(other)

    def __rmul__(self, other: Any) -> Tensor:
        return OPERATIONS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self.divide(other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return OPERATIONS["divide"](other, self)

    def __pow__(self, other: Any) -> Tensor:
        return self.power(other)

    def __rpow__(self, other: Any) -> Tensor:
        return OPERATIONS["power"](other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return self.matmul(other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return OPERATIONS["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return self.negative()

    def __pos__(self) -> Tensor:
        return self.identity()

    def __abs__(self) -> Tensor:
        return self.abs()

    def __getitem__(self, index: Any) -> Tensor:
        return self.getitem(index)

    def __lt__(self, other: Any) -> Tensor:
        return self.less(other)

    def __le__(self, other: Any) -> Tensor:
        return self.less_equal(other)

    def __gt__(self, other: Any) -> Tensor:
        return self.greater(other)

    def __ge__(self, other: Any) -> Tensor:
        return self.greater_equal(other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]  # elementwise, as NumPy's
        """a == b elementwise. Whether two names stand for one tensor is `a is b`."""
        return self.equal(other) if _numeric(other) else NotImplemented

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        """a != b elementwise."""
        return self.not_equal(other) if _numeric(other) else NotImplemented

    __hash__ = object.__hash__  # by identity: a tensor is a place for numbers, which change

    def __and__(self, other: Any) -> Tensor:
        return self.logical_and(other)

    def __rand__(self, other: Any) -> Tensor:
        return OPERATIONS["logical_and"](other, self)

    def __or__(self, other: Any) -> Tensor:
        return self.logical_or(other)

    def __ror__(self, other: Any) -> Tensor:
        return OPERATIONS["logical_or"](other, self)

    def __xor__(self, other: Any) -> Tensor:
        return self.logical_xor(other)

    def __rxor__(self, other: Any) -> Tensor:
        return OPERATIONS["logical_xor"](other, self)

    def __invert__(self) -> Tensor:
        return self.logical_not()

    # -- methods: what NAMES lists, declared for editors and type checkers ----------------------------------------------
    if TYPE_CHECKING:

        def assign(self, value: TensorLike) -> None: ...
        def backward(self, grad_output: TensorLike | None = None, *, create_graph: bool = False) -> None: ...

        # what operators stand for
        def add(self, b: TensorLike) -> Tensor: ...
        def subtract(self, b: TensorLike) -> Tensor: ...
        def multiply(self, b: TensorLike) -> Tensor: ...
        def divide(self, b: TensorLike) -> Tensor: ...
        def power(self, b: TensorLike) -> Tensor: ...
        def pow(self, b: TensorLike) -> Tensor: ...
        def matmul(self, b: TensorLike) -> Tensor: ...
        def less(self, b: TensorLike) -> Tensor: ...
        def less_equal(self, b: TensorLike) -> Tensor: ...
        def greater(self, b: TensorLike) -> Tensor: ...
        def greater_equal(self, b: TensorLike) -> Tensor: ...
        def equal(self, b: TensorLike) -> Tensor: ...
        def not_equal(self, b: TensorLike) -> Tensor: ...
        def logical_and(self, b: TensorLike) -> Tensor: ...
        def logical_or(self, b: TensorLike) -> Tensor: ...
        def logical_xor(self, b: TensorLike) -> Tensor: ...
        def getitem(self, index: Any) -> Tensor: ...
        def maximum(self, b: TensorLike) -> Tensor: ...
        def minimum(self, b: TensorLike) -> Tensor: ...

        # elementwise
        def abs(self) -> Tensor: ...
        def activation(self, *, kind: str, slope: float = 0.2) -> Tensor: ...
        def cast(self, *, dtype: Any) -> Tensor: ...
        def clip(self, low: TensorLike | None = None, high: TensorLike | None = None) -> Tensor: ...
        def contiguous(self) -> Tensor: ...
        def cos(self) -> Tensor: ...
        def dropout(self, *, rate: float, random: Source, stream: str = "dropout") -> Tensor: ...
        def elu(self, *, alpha: float = 1.0) -> Tensor: ...
        def erf(self) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def expm1(self) -> Tensor: ...
        def gelu(self, *, approximate: str = "none") -> Tensor: ...
        def identity(self) -> Tensor: ...
        def leaky_relu(self, *, slope: float = 0.2) -> Tensor: ...
        def log(self) -> Tensor: ...
        def log1p(self) -> Tensor: ...
        def logical_not(self) -> Tensor: ...
        def negative(self) -> Tensor: ...
        def relu(self) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def sign(self) -> Tensor: ...
        def silu(self) -> Tensor: ...
        def sin(self) -> Tensor: ...
        def softplus(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def square(self) -> Tensor: ...
        def stop_gradient(self) -> Tensor: ...
        def tanh(self) -> Tensor: ...

        # reductions
        def all(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def any(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def cumsum(self, axis: int = -1) -> Tensor: ...
        def log_softmax(self, axis: Axis = -1) -> Tensor: ...
        def logsumexp(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def mean_softplus(self, *, sign: float = 1.0) -> Tensor: ...
        def min(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def norm(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def softmax(self, axis: Axis = -1) -> Tensor: ...
        def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Axis = None, *, keepdims: bool = False, ddof: int = 0) -> Tensor: ...

        # shapes and orders
        def argsort(self, *, axis: int = -1) -> Tensor: ...
        def broadcast_to(self, shape: Sequence[int]) -> Tensor: ...
        def expand_dims(self, axis: int) -> Tensor: ...
        def flatten(self, start: int = 0) -> Tensor: ...
        def flip(self, axis: Axis = None) -> Tensor: ...
        def pad(self, widths: Any, *, value: float = 0.0) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def sort(self, axis: int = -1) -> Tensor: ...
        def split(self, parts: int, axis: int = 0) -> list[Tensor]: ...
        def squeeze(self, axis: Axis = None) -> Tensor: ...
        def sum_to(self, shape: Sequence[int]) -> Tensor: ...
        def swapaxes(self, a: int, b: int) -> Tensor: ...
        def take(self, indices: TensorLike, axis: int = 0) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...

        # images and matrices
        def avg_pool(self, *, window: Sizes, stride: Sizes | None = None) -> Tensor: ...
        def global_avg_pool(self) -> Tensor: ...
        def global_max_pool(self) -> Tensor: ...
        def max_pool(self, *, window: Sizes, stride: Sizes | None = None) -> Tensor: ...
        def pixel_shuffle(self, scale: Sizes) -> Tensor: ...
        def pixel_unshuffle(self, scale: Sizes) -> Tensor: ...
        def sqrtm(self) -> Tensor: ...
        def upsample(self, *, scale: Sizes, mode: str = "nearest") -> Tensor: ...


NAMES = (
    *(
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "pow",
        "matmul",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
    ),
    *("equal", "not_equal", "logical_and", "logical_or", "logical_xor", "getitem", "maximum", "minimum"),
    *(
        "abs",
        "activation",
        "cast",
        "clip",
        "contiguous",
        "cos",
        "dropout",
        "elu",
        "erf",
        "exp",
        "expm1",
        "gelu",
        "identity",
    ),
    *(
        "leaky_relu",
        "log",
        "log1p",
        "logical_not",
        "negative",
        "relu",
        "sigmoid",
        "sign",
        "silu",
        "sin",
        "softplus",
        "sqrt",
    ),
    *("square", "stop_gradient", "tanh"),
    *(
        "all",
        "any",
        "cumsum",
        "log_softmax",
        "logsumexp",
        "max",
        "mean",
        "mean_softplus",
        "min",
        "norm",
        "softmax",
        "sum",
        "var",
    ),
    *(
        "argsort",
        "broadcast_to",
        "expand_dims",
        "flatten",
        "flip",
        "pad",
        "reshape",
        "sort",
        "split",
        "squeeze",
        "sum_to",
    ),
    *("swapaxes", "take", "transpose"),
    *(
        "avg_pool",
        "global_avg_pool",
        "global_max_pool",
        "max_pool",
        "pixel_shuffle",
        "pixel_unshuffle",
        "sqrtm",
        "upsample",
    ),
)


def fill(operations: Mapping[str, Callable[..., Any]]) -> None:
    """Make the functions of `minigan.ops` what NAMES lists as methods, and known to operators and to NumPy's functions."""
    OPERATIONS.update(operations)
    for name in NAMES:
        setattr(Methods, name, operations[name])
