"""Optimizers: one fused kernel call updates all parameters of a player.

Hyper-parameters are keyword-only; `lr` is a number or a schedule, a function of the update's number t = 0, 1, 2, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigan import backend, ops, pages
from minigan.autodiff import Tensor, effect
from minigan.backend import Array, Group, to_numpy
from minigan.kernels import dispatch
from minigan.nn.module import Module
from minigan.switches import no_grad

Schedule = Callable[[int], float]
Parameters = Module | Mapping[str, Tensor] | Sequence[Tensor]


def named(parameters: Parameters) -> dict[str, Tensor]:
    """Parameters as a dict, from a module, a dict or a list."""
    if isinstance(parameters, Module):
        return parameters.parameters()
    if isinstance(parameters, Mapping):
        return dict(parameters)
    return {str(i): t for i, t in enumerate(parameters)}


# -- schedules -------------------------------------------------------------------------------------------------------
def constant(lr: float) -> Schedule:
    """lr at every update."""
    return lambda t: lr


def linear(lr: float, *, steps: int, final: float = 0.0) -> Schedule:
    """A straight line from lr at t = 0 to `final` at t = steps, and `final` after."""
    return lambda t: lr + (final - lr) * min(t / steps, 1.0)


def cosine(lr: float, *, steps: int, final: float = 0.0) -> Schedule:
    """final + (lr - final) (1 + cos(pi t / steps)) / 2, and `final` after `steps` (Loshchilov, Hutter 2016, arXiv
    1608.03983, eq. 5)."""
    return lambda t: final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1.0))) / 2


def step_decay(lr: float, *, every: int, factor: float = 0.1) -> Schedule:
    """lr factor^floor(t / every)."""
    return lambda t: lr * factor ** (t // every)


def warm_up(schedule: Schedule | float, *, steps: int) -> Schedule:
    """The schedule times min((t + 1) / steps, 1)."""
    inner = schedule if callable(schedule) else constant(schedule)
    return lambda t: inner(t) * min((t + 1) / steps, 1.0)


# -- clipping --------------------------------------------------------------------------------------------------------
def clip_by_value(grads: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Each element clipped to [-limit, limit]."""
    return [ops.clip(g, -limit, limit) for g in grads]


def clip_by_norm(grads: Sequence[Tensor], limit: float) -> list[Tensor]:
    """All gradients times min(1, limit / |g|), |g| the norm of them all together (Pascanu et al. 2012, arXiv 1211.5063)."""
    total = ops.norm(ops.stack([ops.norm(g) for g in grads]))
    factor = limit / ops.maximum(total, limit)
    return [g * factor for g in grads]


# -- optimizers ------------------------------------------------------------------------------------------------------
class Optimizer:
    """Base: parameters, a learning rate, clipping, and state arrays that look like the parameters.

    Args:
        parameters: a module, a dict of tensors or a list of them.
        lr: learning rate, a positive number or a schedule.
        clip_norm, clip_value: limits for the gradients, by joint norm and by element; None for no limit.

    Raises:
        ValueError: a negative hyper-parameter, no parameters, or one that takes no gradient.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float | Schedule,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.parameters = named(parameters)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__}: got no parameters")
        if not callable(lr) and lr < 0:
            raise ValueError(f"{type(self).__name__}: got lr {lr}, expected a number >= 0")
        self.schedule = lr if callable(lr) else constant(lr)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.steps = 0
        self.slot_arrays = {
            slot: Group(pages.zeros_like(t.data) for t in self.parameters.values()) for slot in self.slots
        }

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.schedule(self.steps)

    def step(self, grads: Sequence[Tensor] | Mapping[str, Tensor]) -> None:
        """Update every parameter by its gradient (a list in the parameters' order, or a dict by name)."""
        if isinstance(grads, Mapping):
            grads = [grads[name] for name in self.parameters]
        for g, (name, t) in zip(grads, self.parameters.items(), strict=True):
            if g.shape != t.shape or g.dtype != t.dtype:
                raise ValueError(f"{name}: got a gradient {g.shape} {g.dtype}, expected {t.shape} {t.dtype}")
        with no_grad():
            if self.clip_value is not None:
                grads = clip_by_value(grads, self.clip_value)
            if self.clip_norm is not None:
                grads = clip_by_norm(grads, self.clip_norm)
            effect(self._advance, list(self.parameters.values()), [ops.contiguous(g) for g in grads])

    def _advance(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        lr = self.lr
        self.steps += 1
        self.update(params, grads, [self.slot_arrays[slot] for slot in self.slots], lr)

    def update(self, params: Any, grads: Any, slots: Any, lr: float) -> None:
        """Call the kernel; subclasses define it."""
        raise TypeError(f"{type(self).__name__} defines no update rule")

    def state(self) -> dict[str, np.ndarray]:
        """The number of updates and all state arrays, as a flat dict of copies."""
        arrays = {
            f"{slot}.{name}": to_numpy(array).copy()
            for slot in self.slots
            for name, array in zip(self.parameters, self.slot_arrays[slot], strict=True)
        }
        return {"steps": np.array(self.steps), **arrays}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned, in place."""
        own = {f"{s}.{n}": a for s in self.slots for n, a in zip(self.parameters, self.slot_arrays[s], strict=True)}
        if wrong := sorted((own.keys() | {"steps"}) ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]} ({len(wrong)} in all)")
        for name, array in own.items():
            if state[name].shape != array.shape:
                raise ValueError(f"load_state: {name} has shape {state[name].shape}, expected {array.shape}")
        for name, array in own.items():
            array[...] = backend.to_device(state[name].astype(array.dtype), backend.device_of(array))
        self.steps = int(state["steps"])


class Snapshot:
    """An optimizer's parameters and state as they are now, to go back to: what a look-ahead needs.

    Taking and restoring are in-place writes that a recorded step repeats.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.steps = optimizer, optimizer.steps
        self.copies = [Tensor(t.data.copy()) for t in optimizer.parameters.values()]
        self.slots = {slot: [a.copy() for a in arrays] for slot, arrays in optimizer.slot_arrays.items()}
        effect(self._take, self.copies, list(optimizer.parameters.values()))

    def restore(self) -> None:
        """Bring parameters, state arrays and the number of updates back."""
        effect(self._bring_back, list(self.optimizer.parameters.values()), self.copies)

    def _take(self, copies: Sequence[Array], params: Sequence[Array]) -> None:
        _copy(copies, params)
        for slot, arrays in self.slots.items():
            _copy(arrays, self.optimizer.slot_arrays[slot])
        self.steps = self.optimizer.steps

    def _bring_back(self, params: Sequence[Array], copies: Sequence[Array]) -> None:
        _copy(params, copies)
        for slot, arrays in self.slots.items():
            _copy(self.optimizer.slot_arrays[slot], arrays)
        self.optimizer.steps = self.steps


def _copy(targets: Sequence[Array], sources: Sequence[Array]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target[...] = source


def _check_unit(owner: object, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{type(owner).__name__}: got {name} {value}, expected 0 <= {name} < 1")


class SGD(Optimizer):
    """v <- momentum v + g + weight_decay p;  p <- p - lr v.

    With `nesterov`, p <- p - lr (g + weight_decay p + momentum v) (Sutskever et al. 2013). `momentum=0` is plain descent.
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        _check_unit(self, momentum=momentum)
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        super().__init__(parameters, lr=lr, **options)

    def update(self, params: Any, grads: Any, slots: Any, lr: float) -> None:
        """See the class."""
        hyper = np.array([lr, self.momentum, self.weight_decay])
        dispatch.kernels_for(params[0]).sgd(params, grads, *slots, hyper, self.nesterov)


class RMSProp(Optimizer):
    """s <- rho s + (1 - rho) g^2;  p <- p - lr g / (sqrt(s) + eps)  (Tieleman, Hinton 2012, lecture 6.5)."""

    slots = ("square",)

    def __init__(
        self, parameters: Parameters, *, lr: float | Schedule, rho: float = 0.99, eps: float = 1e-8, **options: Any
    ) -> None:
        _check_unit(self, rho=rho)
        self.rho, self.eps = rho, eps
        super().__init__(parameters, lr=lr, **options)

    def update(self, params: Any, grads: Any, slots: Any, lr: float) -> None:
        """See the class."""
        dispatch.kernels_for(params[0]).rmsprop(params, grads, *slots, np.array([lr, self.rho, self.eps]))


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2017, arXiv 1711.05101, algorithm 2), t = 1, 2, ...:

    m <- b1 m + (1 - b1) g,          v <- b2 v + (1 - b2) g^2
    p <- p - lr [ m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps) + weight_decay p ]
    """

    slots = ("m", "v")

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        **options: Any,
    ) -> None:
        _check_unit(self, beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        super().__init__(parameters, lr=lr, **options)

    def update(self, params: Any, grads: Any, slots: Any, lr: float) -> None:
        """See the class."""
        hyper = np.array([lr, self.beta1, self.beta2, self.eps, self.weight_decay, self.steps])
        dispatch.kernels_for(params[0]).adam(params, grads, *slots, hyper)


class Adam(AdamW):
    """Adam (Kingma, Ba 2014, arXiv 1412.6980, algorithm 1): :class:`AdamW` without decay. GANs use beta1 = .5 or 0."""

    def __init__(self, parameters: Parameters, *, lr: float | Schedule = 1e-3, **options: Any) -> None:
        super().__init__(parameters, lr=lr, weight_decay=0.0, **options)


class EMA:
    """Exponential moving average of a network's weights: a <- decay a + (1 - decay) p after each update; buffers (running
    statistics) are averaged too. Starts as a copy of the network.

    With `warm_up`, decay_t = min(decay, (1 + t)/(10 + t)), so that early averages forget the initial weights.
    """

    def __init__(self, module: Module, *, decay: float = 0.999, warm_up: bool = True) -> None:
        _check_unit(self, decay=decay)
        self.module, self.decay, self.warm_up, self.steps = module, decay, warm_up, 0
        self.averages = {name: Tensor(t.data.copy()) for name, t in self._tensors().items()}

    def _tensors(self) -> dict[str, Tensor]:
        return {**self.module.parameters(), **self.module.buffers()}

    def update(self) -> None:
        """Take the network's present weights into the average."""
        effect(self._advance, list(self.averages.values()), list(self._tensors().values()))

    def _advance(self, averages: Sequence[Array], tensors: Sequence[Array]) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warm_up else self.decay
        self.steps += 1
        dispatch.kernels_for(averages[0]).ema(averages, tensors, np.array([decay]))

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the averages and the number of updates."""
        return {"steps": np.array(self.steps), **{n: to_numpy(t.data).copy() for n, t in self.averages.items()}}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned."""
        if wrong := sorted((self.averages.keys() | {"steps"}) ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]}")
        for name, t in self.averages.items():
            t.assign(backend.to_device(state[name].astype(t.dtype), t.device))
        self.steps = int(state["steps"])

    def applied(self) -> _Applied:
        """Context manager: the network runs with the averaged weights inside the block."""
        return _Applied(self)


class _Applied:
    """Swap averages in, and the trained weights back out."""

    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()

    def _swap(self) -> None:
        for name, t in self.ema._tensors().items():
            present = t.data.copy()
            t.assign(self.ema.averages[name])
            self.ema.averages[name].assign(present)
