"""Which tensors an optimizer, an average or a clipping works on: from networks, tensors, and mappings and sequences of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minigan.autodiff import Tensor
from minigan.backend import is_float
from minigan.nn.module import Module, Tensors

Parameters = Module | Tensor | Mapping[str, Any] | Iterable[Any]


def named(given: Parameters, *, owner: str, constants: bool = False) -> Tensors:
    """Tensors by name: `{"G": G, "Q": Q}` gives "G.layers.0.weight" and so on, a sequence "0", "1", ...

    A tensor that several networks share (a trunk under D and Q) is one, under its first name.

    Args:
        given: a module, a tensor, or mappings and sequences of these, nested.
        owner: for messages.
        constants: take tensors without gradient, and the modules' buffers, too.

    Raises:
        TypeError: something else.
        ValueError: no tensor; a mapping inside itself; the same tensor, or the same module, given twice; one that takes no
            gradient; two of one name.
    """
    found = _Found(owner, constants)
    try:
        found.add("", given)
    except RecursionError:
        raise ValueError(f"{owner}: got a mapping or sequence that holds itself") from None
    if not found.tensors:
        raise ValueError(f"{owner}: got no parameters")
    return found.tensors


class _Found:
    def __init__(self, owner: str, constants: bool) -> None:
        self.owner, self.constants = owner, constants
        self.tensors = Tensors()
        self.names: dict[int, str] = {}  # of modules and tensors, by identity
        self.alone: set[int] = set()  # tensors that were given by themselves

    def add(self, path: str, value: Any) -> None:
        if isinstance(value, Module):
            self._once(path, value)
            for name, t in (value.tensors() if self.constants else value.parameters()).items():
                if id(t) in self.alone:  # a tensor that networks share is one, but this was given by itself
                    self._once(f"{path}.{name}" if path else name, t)
                if id(t) not in self.names:
                    self._put(f"{path}.{name}" if path else name, t)
        elif isinstance(value, Tensor):
            path = path or "parameter"
            self._once(path, value)
            self._check(path, value)
            self._put(path, value)
            self.alone.add(id(value))
        elif isinstance(value, Mapping):
            for name, part in value.items():
                self.add(f"{path}.{name}" if path else str(name), part)
        elif isinstance(value, (set, frozenset)):
            raise TypeError(
                f"{self.owner}: got {path or 'parameters'} of type {type(value).__name__}, whose order is another one in another "
                "run, and with it the tensors' names; give a list, or a mapping with names"
            )
        elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and not hasattr(value, "dtype"):
            for i, part in enumerate(value):
                self.add(f"{path}.{i}" if path else str(i), part)
        else:
            raise TypeError(
                f"{self.owner}: got {path or 'parameters'} of type {type(value).__name__}, expected a module, a tensor, or a "
                "mapping or sequence of these"
            )

    def _once(self, path: str, value: Any) -> None:
        if id(value) in self.names:
            first = self.names[id(value)] or "the first"
            raise ValueError(f"{self.owner}: {path!r} is the same {type(value).__name__} as {first!r}; give it once")
        if isinstance(value, Module):
            self.names[id(value)] = path

    def _check(self, path: str, t: Tensor) -> None:
        if t.node is not None and t.node.op is not None:
            raise ValueError(f"{self.owner}: {path!r} is a result inside a graph ({t.node}), expected a leaf tensor")
        if self.constants or t.requires_grad:
            return
        if not is_float(t.dtype):
            raise ValueError(f"{self.owner}: {path!r} holds {t.dtype}, expected float32 or float64")
        raise ValueError(f"{self.owner}: {path!r} takes no gradient; make it with mg.tensor(..., requires_grad=True)")

    def _put(self, path: str, t: Tensor) -> None:
        if path in self.tensors:
            raise ValueError(f"{self.owner}: two tensors have the name {path!r}; give their owners different names")
        self.names[id(t)] = path
        self.tensors[path] = t
