"""LSTM and GRU: cells, and layers of them over whole sequences."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, tensor
from minigan.backend import array_module
from minigan.checks import number, whole
from minigan.nn import init as initializers
from minigan.nn.init import Initializer
from minigan.nn.module import Module
from minigan.random import Source


class LSTMState(NamedTuple):
    """Hidden state h and cell c, (N, H) each."""

    h: Tensor
    c: Tensor


class _Cell(Module):
    """W (in, gates H), U (H, gates H) and a bias (gates H,): what LSTM and GRU have in common."""

    gates: ClassVar[int]

    def __init__(self, inputs: int, units: int, *, init: str | Initializer = "xavier") -> None:
        name = type(self).__name__
        self.inputs = whole(name, "inputs", inputs, low=1)
        self.units = whole(name, "units", units, low=1)
        self.init = initializers.get(init)
        wide = self.gates * units
        self.weight = initializers.leaf((inputs, wide), f"{name}({inputs}, {units})")
        self.recurrent = initializers.leaf((units, wide), f"{name}({inputs}, {units})")
        self.bias = tensor(np.zeros(wide, np.float32), requires_grad=True)

    def reset(self, random: Source, stream: str) -> None:
        """W and U from the initialiser, a gate at a time, so that their variance does not depend on how many there are; b = 0."""
        for name in ("weight", "recurrent"):
            t: Tensor = getattr(self, name)
            shape = (t.shape[0], self.units)
            parts = [initializers.drawn(self.init, random, f"{stream}.{name}.{k}", shape) for k in range(self.gates)]
            t.assign(array_module(parts[0]).concatenate(parts, axis=1))
        self.bias.assign(0.0)

    def start(self, n: int) -> Any:
        """The state before the first step of n sequences: zeros."""
        raise NotImplementedError

    def over(self, x: TensorLike, state: Any = None, mask: TensorLike | None = None) -> tuple[Tensor, Any]:
        """All steps of x (N, L, in): h (N, L, H) and the last state."""
        raise NotImplementedError

    def forward(self, x: TensorLike, state: Any = None) -> tuple[Tensor, Any]:  # type: ignore[override]
        """One step: x (N, in) and a state to h (N, H) and the next state. A cell for :func:`minigan.ops.scan`."""
        x = ops.as_tensor(x)
        if x.ndim != 2:
            raise ValueError(f"{type(self).__name__}: got x {x.shape}, expected (N, {self.inputs}), one step")
        h, state = self.over(ops.expand_dims(x, 1), state)
        return h[:, 0], state

    def _entering(self, x: TensorLike) -> Tensor:
        """x W + b for all steps."""
        x = ops.as_tensor(x)
        if x.ndim != 3 or x.shape[2] != self.inputs:
            raise ValueError(f"{type(self).__name__}: got x {x.shape}, expected (N, L, {self.inputs})")
        return ops.dense(x, self.weight, self.bias)

    def _zeros(self, n: int) -> Tensor:
        return Tensor(array_module(self.bias._data).zeros((n, self.units), self.bias.dtype))


class LSTMCell(_Cell):
    """A cell of :func:`minigan.ops.lstm` with its weights; gates in the order i, f, g, o.

    Args:
        inputs, units: numbers of features of x and h.
        forget_bias: what the bias of the forget gate starts at, the others at 0: s(1) = .73 of a cell lives on to the next step
            (Gers, Schmidhuber, Cummins 2000; Jozefowicz, Zaremba, Sutskever 2015, ICML, section 4).
        init: initialiser of W and U, by name or function. Default: xavier, for each gate.
    """

    gates: ClassVar[int] = 4

    def __init__(
        self, inputs: int, units: int, *, forget_bias: float = 1.0, init: str | Initializer = "xavier"
    ) -> None:
        super().__init__(inputs, units, init=init)
        self.forget_bias = number("LSTMCell", "forget_bias", forget_bias)
        self.reset(Source(0), f"LSTMCell {inputs} {units}")

    def reset(self, random: Source, stream: str) -> None:
        """W and U from the initialiser, b = 0 but for the forget gate."""
        super().reset(random, stream)
        bias = np.zeros(4 * self.units, np.float32)
        bias[self.units : 2 * self.units] = self.forget_bias
        self.bias.assign(bias)

    def start(self, n: int) -> LSTMState:
        """h = c = 0."""
        return LSTMState(self._zeros(n), self._zeros(n))

    def over(
        self, x: TensorLike, state: tuple[Tensor, Tensor] | None = None, mask: TensorLike | None = None
    ) -> tuple[Tensor, LSTMState]:
        """All steps of x (N, L, in): h (N, L, H) and the last state."""
        xw = self._entering(x)
        h0, c0 = self.start(xw.shape[0]) if state is None else state
        h, c = ops.lstm(xw, h0, c0, self.recurrent, mask)
        return h, LSTMState(h[:, -1], c)


class GRUCell(_Cell):
    """A cell of :func:`minigan.ops.gru` with its weights; parts in the order r, z, n. Beside the bias of the inputs it has
    `recurrent_bias` (H,), the one that the reset gate scales.

    Args:
        inputs, units: numbers of features of x and h.
        init: initialiser of W and U, by name or function. Default: xavier, for each part.
    """

    gates: ClassVar[int] = 3

    def __init__(self, inputs: int, units: int, *, init: str | Initializer = "xavier") -> None:
        super().__init__(inputs, units, init=init)
        self.recurrent_bias = tensor(np.zeros(units, np.float32), requires_grad=True)
        self.reset(Source(0), f"GRUCell {inputs} {units}")

    def reset(self, random: Source, stream: str) -> None:
        """W and U from the initialiser, the biases 0."""
        super().reset(random, stream)
        self.recurrent_bias.assign(0.0)

    def start(self, n: int) -> Tensor:
        """h = 0."""
        return self._zeros(n)

    def over(
        self, x: TensorLike, state: TensorLike | None = None, mask: TensorLike | None = None
    ) -> tuple[Tensor, Tensor]:
        """All steps of x (N, L, in): h (N, L, H) and the last state."""
        xw = self._entering(x)
        h0 = self.start(xw.shape[0]) if state is None else ops.as_tensor(state)
        h = ops.gru(xw, h0, self.recurrent, self.recurrent_bias, mask)
        return h, h[:, -1]


class _Layers(Module):
    """Cells one above the other: each reads the hidden states of the one below."""

    cell: ClassVar[type[_Cell]]

    def __init__(self, inputs: int, units: int, *, layers: int = 1, **options: Any) -> None:
        layers = whole(type(self).__name__, "layers", layers, low=1)
        self.cells = [self.cell(inputs if k == 0 else units, units, **options) for k in range(layers)]

    def start(self, n: int) -> list[Any]:
        """The state before the first step of n sequences, one a layer: zeros."""
        return [cell.start(n) for cell in self.cells]

    def forward(  # type: ignore[override]
        self, x: TensorLike, state: list[Any] | None = None, mask: TensorLike | None = None
    ) -> tuple[Tensor, list[Any]]:
        """x (N, L, in) to the hidden states of the last layer (N, L, H) and the last state of each.

        state: the first one of each layer, as returned; None: zeros. mask: booleans (N, L), False for steps that leave the
            state as it is (`ops.sequence_mask(lengths, L)`); None: all count.

        Raises:
            TypeError, ValueError: shapes that do not fit, a state for another number of layers.
        """
        if state is not None and len(state) != len(self.cells):
            name = type(self).__name__
            raise ValueError(f"{name}: got a state of {len(state)} layers, expected {len(self.cells)}, one a layer")
        y, last = ops.as_tensor(x), []
        for k, cell in enumerate(self.cells):
            y, ended = cell.over(y, None if state is None else state[k], mask)
            last.append(ended)
        return y, last


class LSTM(_Layers):
    """Layers of :class:`LSTMCell` over sequences: `y, state = lstm(x)`. Weights in order: a layer's W, U and b are
    `cells.k.weight`, `cells.k.recurrent` and `cells.k.bias`.

    Args:
        inputs, units: numbers of features of x and of each layer.
        layers: how many.
        forget_bias, init: as of :class:`LSTMCell`.
    """

    cell: ClassVar[type[_Cell]] = LSTMCell


class GRU(_Layers):
    """Layers of :class:`GRUCell` over sequences: `y, state = gru(x)`.

    Args:
        inputs, units: numbers of features of x and of each layer.
        layers: how many.
        init: as of :class:`GRUCell`.
    """

    cell: ClassVar[type[_Cell]] = GRUCell
