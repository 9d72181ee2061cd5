"""`Module`: a network is an object whose attributes are parameters, buffers and other modules."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from minigan import backend
from minigan.activation import Activation
from minigan.autodiff import Tensor
from minigan.backend import Array, to_numpy
from minigan.checks import flag, restorable, whole
from minigan.nn.hidden import hidden
from minigan.random import Source
from minigan.switches import Event, hook, no_grad, state

# Tensors of networks that were initialised by an integer, without a name; by identity, since `==` compares values.
UNNAMED: WeakValueDictionary[int, Tensor] = WeakValueDictionary()


class Tensors(dict[str, Tensor]):
    """Tensors by name. Joining two (`a | b`) never drops one: where a name stands for different tensors, it raises."""

    def __or__(self, other: Any) -> Any:
        for name in self.keys() & other.keys():
            if self[name] is not other[name]:
                raise ValueError(
                    f"parameters: the name {name!r} is in both, for different tensors, and one would be dropped; give an "
                    'optimizer the networks themselves, with names: Adam({"G": G, "Q": Q})'
                )
        return Tensors({**self, **other})

    def __ror__(self, other: Any) -> Any:
        return Tensors(other) | self

    def __ior__(self, other: Any) -> Any:
        return self | other

    def update(self, *others: Any, **named: Any) -> None:
        """Join others to these, as `|` does: none is dropped."""
        for name, t in dict(*others, **named).items():
            self[name] = t

    def __setitem__(self, name: str, t: Tensor) -> None:
        if name in self and self[name] is not t:
            self | {name: t}
        super().__setitem__(name, t)

    def copy(self) -> Tensors:
        """Another dict of the same tensors."""
        return Tensors(self)


Hiding = list[
    tuple[str, Any, Any]
]  # paths of attributes, their values, and modules and tensors that these hold out of sight


def inside(name: str, value: Any, hiding: Hiding | None = None) -> Iterator[tuple[str, Any]]:
    """The modules and tensors of an attribute, also in lists, tuples and dicts, nested as they may be, with their paths.

    hiding: to which is added what objects and functions hold, see `minigan.nn.hidden`.

    Raises:
        TypeError: something that would be lost there: see :class:`Module`.
    """
    if isinstance(value, Module):
        yield name, value
    elif isinstance(value, Tensor):
        if value.node is not None and value.node.op is not None:
            raise TypeError(
                f"{name}: got a tensor inside a graph ({value.node}), expected a leaf: mg.tensor(..., requires_grad=True) "
                "for a parameter, t.detach() for a buffer"
            )
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from inside(f"{name}.{i}", part, hiding)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from inside(f"{name}.{key}", part, hiding)
    elif isinstance(value, np.ndarray) or backend.is_gpu_array(value):
        raise TypeError(
            f"{name}: got an array of shape {value.shape}, which is neither a parameter nor a buffer; make it a tensor: "
            "mg.tensor(array) for a buffer, with requires_grad=True for a parameter"
        )
    elif isinstance(value, Iterator):
        raise _lost(name, value)
    elif hiding is not None and not isinstance(value, _PLAIN):
        parts = [part for _, part in hidden(value, (Module, Tensor))]
        if isinstance(value, (FunctionType, MethodType)):  # a function may compute with constants
            parts = [part for part in parts if isinstance(part, Module) or _learned(part)]
        hiding += [(name, value, part) for part in parts]


_PLAIN = (bool, int, float, str, bytes, type(None))


def _lost(name: str, value: Any) -> TypeError:
    return TypeError(
        f"{name}: got a {type(value).__name__}, in which modules and tensors would not be found; use a list, a tuple or a dict, "
        "or make it a Module"
    )


def _parts_of(value: Any) -> Iterator[Any]:
    """The modules and tensors in lists, tuples and dicts."""
    if isinstance(value, (Module, Tensor)):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _parts_of(part)


class Module:
    """Base of all layers and networks.

    Attributes, also in lists, tuples and dicts, are what a network is made of: a tensor that takes gradients is a parameter,
    one that does not is a buffer (running statistics), modules are children, numbers and strings are settings. Names are paths:
    `layers.0.weight`. A tensor that is reachable in several ways is one, under the first of its names. An array, a tensor inside
    a graph, and modules in a set, a generator, an object or a function (its closure, its defaults) would be lost, so that
    assigning them raises a TypeError, unless they are attributes too; so does the body of a class with modules. Subclasses write
    `forward`, and `reset(random, stream)` where they have something to initialise.
    """

    training: bool = True
    _watch: ClassVar[_Watch | None] = None  # set while `summary` looks on

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, (Module, bool, int, float, str)):
            hiding: Hiding = []
            own = [part for _, part in inside(f"{type(self).__name__}.{name}", value, hiding)]
            self._refuse(hiding, own)
        object.__setattr__(self, name, value)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if name == "__slots__" and value:
                raise TypeError(
                    f"{cls.__name__}: has __slots__ {value!r}, in which modules and tensors would not be found"
                )
            if not name.startswith("__") and next(_parts_of(value), None) is not None:
                raise TypeError(
                    f"{cls.__name__}.{name}: got a {type(value).__name__} in the body of the class, where all its networks "
                    "would share it and no optimizer find it; make it in __init__: self." + name
                )

    def _refuse(self, hiding: Hiding, own: Iterable[Any] = ()) -> None:
        """TypeError for what is hidden and not found in the open, too."""
        if not hiding:
            return
        known, stack = set[int](), [self, *own]
        while stack:
            part = stack.pop()
            if id(part) not in known:
                known.add(id(part))
                if isinstance(part, Module):
                    stack += [found for value in vars(part).values() for _, found in inside("", value)]
        for name, value, part in hiding:
            if id(part) not in known:
                raise _lost(name, value)

    def forward(self, x: Any) -> Tensor:
        """The network's function; subclasses define it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, x)")

    def __call__(self, *args: Any, **options: Any) -> Any:
        watch = Module._watch
        before = watch.flops if watch else 0
        y = self.forward(*args, **options)
        if watch and not list(self.children()):
            watch.rows.append((self, _shapes(y), watch.flops - before))
        return y

    def reset(self, random: Source, stream: str) -> None:
        """Draw this module's own parameters anew (children do so themselves)."""

    # -- what is inside ----------------------------------------------------------------------------------------------
    def _parts(self) -> Iterator[tuple[str, Any]]:
        hiding: Hiding = []
        for name, value in vars(self).items():
            yield from inside(name, value, hiding)
        self._refuse(hiding)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct child modules with their names."""
        yield from ((name, part) for name, part in self._parts() if isinstance(part, Module))

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with their paths, in order of definition."""
        yield from self._modules(prefix, set())

    def _modules(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        seen.add(id(self))
        yield prefix, self
        for name, child in self.children():
            if id(child) not in seen:
                yield from child._modules(_join(prefix, name), seen)

    def tensors(self) -> Tensors:
        """All parameters and buffers, each once, by path.

        Raises:
            ValueError: two tensors with one path.
        """
        found, seen = Tensors(), set()
        for path, module in self.modules():
            for name, part in module._parts():
                if isinstance(part, Tensor) and id(part) not in seen:
                    seen.add(id(part))
                    if _join(path, name) in found:
                        raise ValueError(f"{type(self).__name__}: two tensors have the path {_join(path, name)!r}")
                    found[_join(path, name)] = part
        return found

    def parameters(self) -> Tensors:
        """Learned tensors by path: those that take gradients."""
        return Tensors({name: t for name, t in self.tensors().items() if _learned(t)})

    def buffers(self) -> Tensors:
        """State that is not learned (running statistics), by path."""
        return Tensors({name: t for name, t in self.tensors().items() if not _learned(t)})

    # -- state -------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers as a flat dict of NumPy arrays."""
        return {name: to_numpy(t.data).copy() for name, t in self.tensors().items()}

    def load_state(self, state: dict[str, Array]) -> None:
        """Fill parameters and buffers in place from a dict such as `state()` returns.

        Raises:
            ValueError: missing or unknown names, or other shapes; nothing is changed then.
        """
        own = self.tensors()
        if missing := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {missing[:6]} ({len(missing)} in all)")
        for name, t in own.items():
            restorable(name, state[name], t.shape)
        for name, t in own.items():
            t.assign(backend.to_device(state[name].astype(t.dtype), t.device))

    def initialize(self, random: Source | int, stream: str = "") -> Module:
        """Draw all parameters anew, on the device where they are: each is a pure function of the seed, `stream` and its own path.
        Returns the module.

        Networks that share a Source need different names. With an integer and no name, the network's structure (layers and
        shapes) takes the name's place: networks that differ in it get different numbers, two of one structure the same, so that
        a :class:`minigan.Game` refuses to train both.
        """
        source = random if isinstance(random, Source) else Source(whole("initialize", "random", random, low=-(2**63)))
        if source is not random and not stream:
            stream = self._structure()
            UNNAMED.update({id(t): t for t in self.tensors().values()})
        for path, module in self.modules():
            with source.on(next((t.device for t in module.tensors().values()), source.device)):
                module.reset(source, f"{stream}/{path}")
        return self

    def _structure(self) -> str:
        parts = [(path, type(module).__name__) for path, module in self.modules()]
        shapes = [(path, t.shape) for path, t in self.tensors().items()]
        return hashlib.blake2b(repr((parts, shapes)).encode(), digest_size=8).hexdigest()

    def astype(self, dtype: Any) -> Module:
        """Convert parameters and buffers, the same tensors, to float32 or float64 (integers stay). Returns the module."""
        dtype = backend.as_float_dtype(dtype)
        return self._change(lambda array: array.astype(dtype) if backend.is_float(array.dtype) else array)

    def to(self, device: str) -> Module:
        """Move parameters and buffers, the same tensors, to "cpu" or "gpu". Returns the module."""
        return self._change(lambda array: backend.to_device(array, device))

    def _change(self, change: Callable[[Array], Array]) -> Module:
        for t in self.tensors().values():
            array, before = change(t.data), t.data
            t._data = array
            t.version.count += array is not before
            if t.node is not None:
                t.node.dtype, t.node.device = array.dtype, backend.device_of(array)
            t.grad = None if t.grad is None else Tensor(change(t.grad.data))
        return self

    def train(self, mode: bool = True) -> Module:
        """Batch statistics, dropout: on (True) or off (False), here and below. Returns the module."""
        mode = flag("train", "mode", mode)
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """`train(False)`."""
        return self.train(False)

    # -- text and a table for people ---------------------------------------------------------------------------------
    def __repr__(self) -> str:
        return _text(self, set())

    def summary(self, *input_shapes: Sequence[int]) -> str:
        """A table of layers for inputs of these shapes (with their batch axis): output shapes, parameters, bytes, FLOPs.

        FLOPs count a multiplication and an addition as two, for one forward pass in evaluation mode; a convolution's as if no
        position were padding: 2 (elements of a kernel) (inputs) (outputs) (positions), as is usual.
        """
        if len(input_shapes) == 1 and all(isinstance(shape, (tuple, list)) for shape in input_shapes[0]):
            input_shapes = tuple(input_shapes[0])  # type: ignore[arg-type]  # several, as one tuple
        first = next(iter(self.parameters().values()), None)
        dtype, device = (first.dtype, first.device) if first is not None else (backend.DEFAULT_DTYPE, "cpu")
        mode, watch = self.training, _Watch()
        Module._watch = watch
        try:
            with no_grad(), hook(watch.count):
                self.eval()(*(Tensor(backend.module_for(device).zeros(tuple(s), dtype)) for s in input_shapes))
        finally:
            Module._watch = None
            self.train(mode)
        return watch.table({id(module): path for path, module in self.modules()}, self.parameters())


def _flops(event: Event) -> int:
    first, result = event.inputs[0], event.output
    if event.op.name in ("dense", "matmul", "matmul_nt", "matmul_tn"):
        return 2 * int(first.shape[-2 if event.op.name == "matmul_tn" else -1]) * int(result.size)
    if event.op.name in ("conv", "conv_transpose"):  # each element of the smaller side meets a whole kernel
        kernel, small = event.inputs[1].shape, result if event.op.name == "conv" else first
        return 2 * math.prod(kernel) * math.prod(small.shape[:-1])
    return int(result.size)


def _shapes(y: Any) -> str:
    """The shape of a result, or those of the tensors in it."""
    if isinstance(y, Mapping):
        return "{" + ", ".join(f"{name}: {_shapes(part)}" for name, part in y.items()) + "}"
    if isinstance(y, (tuple, list)):
        return ", ".join(map(_shapes, y))
    return str(tuple(y.shape)) if hasattr(y, "shape") else type(y).__name__


def _text(module: Module, seen: set[int]) -> str:
    """`Dense(activation=..., weight=(2, 64))`: settings that are not the constructor's defaults, shapes of tensors, and children
    one a line, indented. A module met again is named without its contents."""
    kind = type(module).__name__
    if id(module) in seen:
        return f"{kind}(shown above)"
    seen.add(id(module))
    children = list(module.children())
    head = ", ".join([*_settings(module), *(f"{n}={t.shape}" for n, t in module._parts() if isinstance(t, Tensor))])
    if not children:
        return f"{kind}({head})"
    lines = [f"{name}: {_text(child, seen)}".replace("\n", "\n  ") for name, child in children]
    return "\n  ".join([f"{kind}({head}", *lines]) + "\n)"


def _settings(module: Module) -> Iterator[str]:
    try:
        taken = inspect.signature(type(module)).parameters
    except (TypeError, ValueError):  # a class whose constructor says nothing
        taken = {}  # type: ignore[assignment]
    values: dict[str, Any] = {}
    for name, value in vars(module).items():
        values |= value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else {name: value}
    for name, value in values.items():
        default = taken[name].default if name in taken else None
        if name.startswith("_") or name == "training" or isinstance(value, (Tensor, Module)) or value is default:
            continue
        if isinstance(value, Activation):
            if value.kind != "linear":
                yield f"{name}={value.kind!r}" + (f", slope={value.slope}" if value.kind == "leaky_relu" else "")
        elif _is_plain(value) and not (type(value) is type(default) and value == default):
            yield f"{name}={value!r}"


def _is_plain(value: Any) -> bool:
    """A setting that can be shown: a number, a string, or a few of them."""
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= 8 and all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str, np.generic))


def _learned(t: Tensor) -> bool:
    return t.requires_grad or id(t) in state.frozen


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class _Watch:
    """What `summary` collects while a network runs once."""

    def __init__(self) -> None:
        self.flops = 0
        self.rows: list[tuple[Module, str, int]] = []

    def count(self, event: Event) -> None:
        if event.kind != "apply" or event.op.view:
            return
        self.flops += _flops(event)

    def table(self, paths: dict[int, str], everything: dict[str, Tensor]) -> str:
        lines = [("layer", "kind", "output", "parameters", "bytes", "FLOPs")]
        seen: set[int] = set()  # a tied weight counts where it is met first
        for module, shape, flops in self.rows:
            own = [t for t in module.parameters().values() if id(t) not in seen]
            seen.update(map(id, own))
            count, size = sum(t.size for t in own), sum(t.data.nbytes for t in own)
            kind = type(module).__name__
            lines.append((paths.get(id(module), ""), kind, shape, f"{count:,}", f"{size:,}", f"{flops:,}"))
        count, size = sum(t.size for t in everything.values()), sum(t.data.nbytes for t in everything.values())
        lines.append(("total", "", "", f"{count:,}", f"{size:,}", f"{self.flops:,}"))
        widths = [max(len(line[i]) for line in lines) for i in range(6)]
        return "\n".join(
            "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in lines
        )
