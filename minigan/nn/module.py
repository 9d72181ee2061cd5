"""`Module`: a network is an object whose attributes are parameters, buffers and other modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor
from minigan.backend import Array, to_numpy
from minigan.random import Source
from minigan.switches import Event, hook, no_grad


class Module:
    """Base of all layers and networks.

    A tensor attribute is a parameter, or a buffer (running statistics) if the class names it in `buffer_names`; modules and
    lists of modules are children. Names are attribute paths: `layers.0.weight`. Subclasses write `forward`, and
    `reset(random, stream)` where they have something to initialise.
    """

    training: bool = True
    buffer_names: ClassVar[tuple[str, ...]] = ()  # tensor attributes that are state but not learned
    _watch: ClassVar[_Watch | None] = None  # set while `summary` looks on

    def forward(self, x: Any) -> Tensor:
        """The network's function; subclasses define it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, x)")

    def __call__(self, *args: Any, **options: Any) -> Any:
        watch = Module._watch
        before = watch.flops if watch else 0
        y = self.forward(*args, **options)
        if watch and not list(self.children()):
            watch.rows.append((self, tuple(y.shape), watch.flops - before))
        return y

    def reset(self, random: Source, stream: str) -> None:
        """Draw this module's own parameters anew (children do so themselves)."""

    # -- what is inside ----------------------------------------------------------------------------------------------
    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct child modules with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, Module))

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their paths, in order of definition."""
        yield prefix, self
        for name, child in self.children():
            yield from child.modules(f"{prefix}.{name}" if prefix else name)

    def _tensors(self, parameters: bool) -> dict[str, Tensor]:
        found = {}
        for path, module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and (name not in module.buffer_names) == parameters:
                    found[f"{path}.{name}" if path else name] = value
        return found

    def parameters(self) -> dict[str, Tensor]:
        """Learned tensors by path."""
        return self._tensors(True)

    def buffers(self) -> dict[str, Tensor]:
        """State that is not learned (running statistics), by path."""
        return self._tensors(False)

    # -- state -------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers as a flat dict of NumPy arrays."""
        return {name: to_numpy(t.data).copy() for name, t in {**self.parameters(), **self.buffers()}.items()}

    def load_state(self, state: dict[str, Array]) -> None:
        """Fill parameters and buffers in place from a dict such as `state()` returns.

        Raises:
            ValueError: missing or unknown names, or other shapes; nothing is changed then.
        """
        own = {**self.parameters(), **self.buffers()}
        if missing := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {missing[:6]} ({len(missing)} in all)")
        for name, t in own.items():
            if tuple(state[name].shape) != t.shape:
                raise ValueError(f"load_state: {name} has shape {tuple(state[name].shape)}, expected {t.shape}")
        for name, t in own.items():
            t.assign(backend.to_device(state[name].astype(t.dtype), t.device))

    def initialize(self, random: Source | int, stream: str = "") -> Module:
        """Draw all parameters anew: each is a pure function of the seed and its own path. Returns the module."""
        random = Source(random) if isinstance(random, int) else random
        for path, module in self.modules():
            module.reset(random, f"{stream}/{path}")
        return self

    def astype(self, dtype: Any) -> Module:
        """Convert parameters and buffers to float32 or float64. Returns the module."""
        dtype = backend.as_float_dtype(dtype)
        return self._replace(lambda array: array.astype(dtype))

    def to(self, device: str) -> Module:
        """Move parameters and buffers to "cpu" or "gpu". Returns the module."""
        return self._replace(lambda array: backend.to_device(array, device))

    def _replace(self, change: Any) -> Module:
        for _, module in self.modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor):
                    new = Tensor(change(value.data))
                    new.requires_grad = value.requires_grad
                    setattr(module, name, new)
        return self

    def train(self, mode: bool = True) -> Module:
        """Batch statistics, dropout: on (True) or off (False), here and below. Returns the module."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """`train(False)`."""
        return self.train(False)

    # -- a table for people ------------------------------------------------------------------------------------------
    def summary(self, input_shape: tuple[int, ...]) -> str:
        """A table of layers for an input of `input_shape` (with its batch axis): output shape, parameters, bytes, FLOPs.

        FLOPs count a multiplication and an addition as two, for one forward pass in evaluation mode.
        """
        first = next(iter(self.parameters().values()), None)
        dtype, device = (first.dtype, first.device) if first is not None else (backend.DEFAULT_DTYPE, "cpu")
        mode, watch = self.training, _Watch()
        Module._watch = watch
        try:
            with no_grad(), hook(watch.count):
                self.eval()(Tensor(backend.module_for(device).zeros(input_shape, dtype)))
        finally:
            Module._watch = None
            self.train(mode)
        paths = {id(module): path for path, module in self.modules()}
        return watch.table(paths, self.parameters())


class _Watch:
    """What `summary` collects while a network runs once."""

    def __init__(self) -> None:
        self.flops = 0
        self.rows: list[tuple[Module, tuple[int, ...], int]] = []

    def count(self, event: Event) -> None:
        if event.kind != "apply" or event.op.view:
            return
        inner = 2 * int(event.inputs[0].shape[-1]) if event.op.name in ("dense", "matmul") else 1
        self.flops += inner * int(event.output.size)

    def table(self, paths: dict[int, str], everything: dict[str, Tensor]) -> str:
        lines = [("layer", "kind", "output", "parameters", "bytes", "FLOPs")]
        for module, shape, flops in self.rows:
            own = module.parameters().values()
            count, size = sum(t.size for t in own), sum(t.data.nbytes for t in own)
            kind = type(module).__name__
            lines.append((paths.get(id(module), ""), kind, str(shape), f"{count:,}", f"{size:,}", f"{flops:,}"))
        count, size = sum(t.size for t in everything.values()), sum(t.data.nbytes for t in everything.values())
        lines.append(("total", "", "", f"{count:,}", f"{size:,}", f"{self.flops:,}"))
        widths = [max(len(line[i]) for line in lines) for i in range(6)]
        return "\n".join(
            "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in lines
        )
