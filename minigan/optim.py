"""Optimizers: one fused kernel call updates all parameters of a player.

Hyper-parameters are keyword-only; `lr` is a number or a schedule, a function of the update's number t = 0, 1, 2, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from minigan import backend, ops, pages
from minigan.autodiff import Tensor, effect
from minigan.average import EMA, History
from minigan.backend import Array, Group, Notes, to_numpy
from minigan.checks import flag, number, restorable, whole
from minigan.counters import Counter, told
from minigan.kernels import reference as kernels
from minigan.parameters import Parameters, named
from minigan.schedules import Schedule, constant, cosine, linear, step_decay, warm_up
from minigan.staged import Staged, of_arrays
from minigan.switches import no_grad


# -- clipping --------------------------------------------------------------------------------------------------------
def clip_by_value(grads: Any, limit: float) -> Any:
    """Each element clipped to [-limit, limit]. `grads`: a tensor, or mappings and sequences of these; so is the result.

    Raises:
        TypeError, ValueError: a limit that is no finite number > 0.
    """
    number("clip_by_value", "limit", limit, above=0)
    return _mapped(grads, lambda g: ops.clip(g, -limit, limit))


def clip_by_norm(grads: Any, limit: float) -> Any:
    """All gradients times min(1, limit / |g|), |g| the norm of them all together (Pascanu et al. 2012, arXiv 1211.5063).

    `grads`: a tensor, or mappings and sequences of these; so is the result.

    Raises:
        TypeError, ValueError: a limit that is no finite number > 0.
    """
    number("clip_by_norm", "limit", limit, above=0)
    norms: list[Tensor] = []
    _mapped(grads, lambda g: norms.append(ops.norm(g)))
    if not norms:
        return grads
    total = ops.norm(ops.stack(norms))
    factor = limit / ops.maximum(total, limit)
    return _mapped(grads, lambda g: g * factor)


def _mapped(value: Any, f: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _mapped(part, f) for name, part in value.items()}
    return [_mapped(part, f) for part in value] if isinstance(value, (list, tuple)) else f(value)


def weight_clipping(parameters: Parameters, limit: float) -> Callable[[], None]:
    """A function that clips all parameters to [-limit, limit]: `Player(..., after=[optim.weight_clipping(D, 0.01)])` is the
    critic of the first WGAN (Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1, line 7).

    Raises:
        TypeError, ValueError: no parameters, or a limit that is no finite number > 0.
    """
    number("weight_clipping", "limit", limit, above=0)
    tensors = list(named(parameters, owner="weight_clipping").values())

    def clip() -> None:
        effect(partial(_clip, limit), tensors)

    clip.recorded = True  # type: ignore[attr-defined]  # all it does is one effect: see `minigan.player.run_hook`
    return clip


@of_arrays
def _clip(limit: float, arrays: Sequence[Array]) -> None:
    for array in arrays:
        backend.array_module(array).clip(array, -limit, limit, out=array)


# -- optimizers ------------------------------------------------------------------------------------------------------
def _check_apart(owner: str, tensors: Mapping[str, Tensor]) -> None:
    """ValueError for two tensors that share memory: each update of one would move the other."""
    met: dict[int, list[tuple[str, Array]]] = {}
    for name, t in tensors.items():
        same = met.setdefault(id(backend.owner_of(t._data)), [])
        for other, array in same:
            if backend.array_module(array).may_share_memory(array, t._data):
                raise ValueError(
                    f"{owner}: {name!r} shares its memory with {other!r}, so that an update of one moves the other; give one of "
                    "them, or copy: mg.tensor(t, requires_grad=True)"
                )
        same.append((name, t._data))


class _Part:
    """Parameters with the same hyper-parameters, which one kernel call updates."""

    def __init__(
        self, tensors: Mapping[str, Tensor], slots: Mapping[str, list[Array]], options: Mapping[str, Any]
    ) -> None:
        self.tensors, self.names, self.options = list(tensors.values()), list(tensors), options
        self.slots = [Group(arrays) for arrays in slots.values()]
        arrays = [t._data for t in self.tensors]
        self.notes = None if backend.is_gpu_array(arrays[0]) else Notes(len(arrays), arrays[0].dtype)
        self.noted = False  # whether the kernel that runs is given `notes`

    def not_finite(self, *, thorough: bool) -> list[str]:
        """See :meth:`Optimizer.not_finite`."""
        if self.noted and self.notes is not None:
            if self.notes.bad.sum() == 0:
                return []
            found = np.isnan(self.notes.bad)
            self.notes.bad[...] = 0
        else:
            found = [thorough and not bool(backend.array_module(t._data).isfinite(t._data).all()) for t in self.tensors]
        return [name for name, wrong in zip(self.names, found, strict=True) if wrong]


class Optimizer:
    """Base: parameters, a learning rate, clipping, and state arrays that look like the parameters.

    Args:
        parameters: a module, a tensor, or mappings and sequences of these: see :func:`minigan.parameters.named`.
        lr: learning rate, a number >= 0 or a schedule. `optimizer.lr = x` changes it, also for a recorded step.
        clip_norm, clip_value: limits > 0 for the gradients, by joint norm and by element; None for no limit.
        options: other hyper-parameters for the parameters whose name begins with a prefix: {"mapping": {"lr": 1e-5}}. The
            longest prefix counts.

    Raises:
        TypeError, ValueError: a hyper-parameter out of its range, no parameters, one that is given twice or takes no gradient,
            a prefix that no name has.
    """

    watched: ClassVar[tuple[str, ...]] = ("parameters", "clip_norm", "clip_value")  # updates read the rest anew
    slots: ClassVar[tuple[str, ...]] = ()
    ranges: ClassVar[dict[str, dict[str, float]]] = {}  # hyper-parameters that are numbers, beside lr
    # What runs at each replay, and what that changes; see `minigan.reach`.
    in_effects: ClassVar[tuple[str, ...]] = ("update", "hyper", "move", "_moving", "_parts", "slot_arrays")
    steps = Counter("the number of an optimizer's updates")

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float | Schedule,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.parameters = named(parameters, owner=type(self).__name__)
        _check_apart(type(self).__name__, self.parameters)
        for t in self.parameters.values():  # kernels walk along memory
            if not t._data.flags.c_contiguous:
                t._data = t._data.copy(order="C")
        self.lr = lr
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.steps = 0
        if not isinstance(options or {}, Mapping) or not all(isinstance(v, Mapping) for v in (options or {}).values()):
            raise TypeError(f'{type(self).__name__}: got options {options!r}, expected {{"prefix": {{"lr": 1e-5}}}}')
        self.options = {prefix: dict(values) for prefix, values in (options or {}).items()}
        self._of = self._checked_options()
        self._set_slots({s: [pages.zeros_like(a) for a in self._present()] for s in self.slots}, self._present())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.ranges:
            number(type(self).__name__, name, value, **self.ranges[name])
        elif name in ("clip_norm", "clip_value") and value is not None:
            number(type(self).__name__, name, value, above=0)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        hyper = ", ".join(f"{name}={getattr(self, name):g}" for name in ("lr", *self.ranges))
        limits = "".join(
            f", {n}={getattr(self, n):g}" for n in ("clip_norm", "clip_value") if getattr(self, n) is not None
        )
        own = f", options={self.options}" if self.options else ""
        what = f"{len(self.parameters)} parameters of {sum(t.size for t in self.parameters.values()):,} numbers"
        return f"{type(self).__name__}({what}, {hyper}{limits}{own}, steps={self.steps})"

    @property
    def lr(self) -> float:
        """The learning rate of the next update. Assign a number or a schedule to change it."""
        told("Python reads an optimizer's lr in a recorded step")
        return self.schedule(self.steps)

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self.schedule = lr if callable(lr) else constant(number(type(self).__name__, "lr", lr, low=0))

    def _checked_options(self) -> list[str]:
        """The prefix that counts for each parameter."""
        name, known = type(self).__name__, ("lr", *self.ranges)
        for prefix, values in self.options.items():
            if not any(_begins(p, prefix) for p in self.parameters):
                raise ValueError(
                    f"{name}: options for {prefix!r}, but the parameters are {list(self.parameters)[:6]} ..."
                )
            for key, value in values.items():
                if key not in known:
                    raise ValueError(f"{name}: options[{prefix!r}] has {key!r}, expected some of {known}")
                if key != "lr" or not callable(value):
                    number(name, f"options[{prefix!r}][{key!r}]", value, **self.ranges.get(key, {"low": 0}))
        fitting = [[prefix for prefix in self.options if _begins(p, prefix)] for p in self.parameters]
        return [max(prefixes, key=len, default="") for prefixes in fitting]

    def _present(self) -> list[Array]:
        return [t._data for t in self.parameters.values()]

    def _set_slots(self, arrays: dict[str, list[Array]], like: list[Array]) -> None:
        """Take these state arrays, for parameters that live in the arrays `like`."""
        self.slot_arrays, self._like = arrays, like
        named = list(self.parameters.items())
        self._parts = []
        for prefix in dict.fromkeys(self._of):
            places = [i for i, of in enumerate(self._of) if of == prefix]
            slots = {slot: [own[i] for i in places] for slot, own in arrays.items()}
            self._parts.append(_Part(dict([named[i] for i in places]), slots, self.options.get(prefix, {})))

    def _follow(self) -> None:
        """Take the state to where the parameters have gone, in device and dtype."""
        present = self._present()
        if any(a is not b for a, b in zip(present, self._like, strict=True)):
            moved = {
                slot: [
                    backend.to_device(a.astype(p.dtype), backend.device_of(p))
                    for a, p in zip(arrays, present, strict=True)
                ]
                for slot, arrays in self.slot_arrays.items()
            }
            self._set_slots(moved, present)

    def step(self, grads: Sequence[Tensor] | Mapping[str, Tensor]) -> None:
        """Update every parameter by its gradient (a list in the parameters' order, or a dict by name)."""
        grads = self._in_order(grads)
        for g, (name, t) in zip(grads, self.parameters.items(), strict=True):
            if g.shape != t.shape or g.dtype != t.dtype:
                raise ValueError(f"{name}: got a gradient {g.shape} {g.dtype}, expected {t.shape} {t.dtype}")
        self._follow()
        with no_grad():
            if self.clip_value is not None:
                grads = clip_by_value(list(grads), self.clip_value)
            if self.clip_norm is not None:
                grads = clip_by_norm(list(grads), self.clip_norm)
            by_tensor = {id(t): ops.contiguous(g) for t, g in zip(self.parameters.values(), grads, strict=True)}
            for part in self._parts:
                effect(self._advancing(part), part.tensors, [by_tensor[id(t)] for t in part.tensors])

    def _in_order(self, grads: Any) -> list[Tensor]:
        """The gradients in the order of the parameters, one each. Raises TypeError, ValueError for anything else."""
        name = type(self).__name__
        if isinstance(grads, Mapping):
            if wrong := sorted(map(str, grads.keys() ^ self.parameters.keys())):
                raise ValueError(
                    f"{name}: gradients and parameters differ in the names {wrong[:6]} ({len(wrong)} in all)"
                )
            grads = [grads[name] for name in self.parameters]
        grads = list(grads)
        if len(grads) != len(self.parameters):
            raise ValueError(f"{name}: got {len(grads)} gradients for {len(self.parameters)} parameters")
        for g, parameter in zip(grads, self.parameters, strict=True):
            if not hasattr(g, "dtype"):
                raise TypeError(f"{name}: got {g!r} as the gradient of {parameter!r}, expected a tensor")
        return grads

    def _advancing(self, part: _Part) -> Callable[..., None]:
        """The update of some parameters, as an effect; in two parts unless `update` was written anew, whose Python is unknown."""
        if type(self).update is not Optimizer.update:
            return partial(self._advance, part)
        return Staged(partial(self._next_hyper, part), partial(self._move, part))

    def _advance(self, part: _Part, params: Sequence[Array], grads: Sequence[Array]) -> None:
        self._moving = part
        self.update(params, grads, part.slots, *self._settings(part))
        self.steps += part is self._parts[-1]

    def _next_hyper(self, part: _Part) -> np.ndarray:
        found = self.hyper(*self._settings(part))
        self.steps += part is self._parts[-1]
        return found

    def _move(self, part: _Part, hyper: Array, params: Sequence[Array], grads: Sequence[Array]) -> None:
        self._moving = part
        self.move(params, grads, part.slots, hyper)

    def _settings(self, part: _Part) -> tuple[float, Callable[[str], Any]]:
        """The learning rate of this update, and what gives the other hyper-parameters by their names."""
        schedule = part.options.get("lr", self.schedule)
        lr = schedule(self.steps) if callable(schedule) else schedule
        if not (isinstance(lr, (int, float, np.integer, np.floating)) and 0 <= lr < math.inf):
            raise ValueError(
                f"{type(self).__name__}: the schedule gives lr {lr!r} at update {self.steps}, expected a number >= 0"
            )
        option = (
            partial(getattr, self) if not part.options else lambda name: part.options.get(name, getattr(self, name))
        )
        return float(lr), option

    def update(self, params: Any, grads: Any, slots: Any, lr: float, option: Callable[[str], Any]) -> None:
        """Update number `self.steps`, with the hyper-parameters `option(name)`. A subclass defines this, or :meth:`hyper` and
        :meth:`move`, which a captured CUDA graph can hold."""
        self.move(params, grads, slots, self.hyper(lr, option))

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        """All numbers that update number `self.steps` depends on, in float64: Python that runs at every update."""
        raise TypeError(f"{type(self).__name__} defines no update rule")

    def move(self, params: Any, grads: Any, slots: Any, hyper: Array) -> None:
        """Call the kernel: work on the arrays, and on nothing else. `hyper` may live on the parameters' device."""
        raise TypeError(f"{type(self).__name__} defines no update rule")

    def notes(self) -> Notes | None:
        """For `update`: where its kernel is to note what the gradients are like (see `minigan.kernels.reference`)."""
        self._moving.noted = True
        return self._moving.notes

    def gradient_norm(self) -> float | None:
        """The Euclidean norm of all gradients of the last update; None where the update's kernel does not note it (on a GPU, and
        in an optimizer of one's own), and before the first."""
        noted = [part.notes.squares for part in self._parts if part.notes is not None]
        if len(noted) < len(self._parts) or any(squares is None for squares in noted):
            return None
        return math.sqrt(sum(float(squares.sum(dtype=np.float64)) for squares in noted if squares is not None))

    def not_finite(self, *, thorough: bool = True) -> list[str]:
        """The names of the parameters that had a gradient with a NaN or Inf since this was last asked.

        Where the update's kernel does not note that, those that are NaN or Inf themselves; looked for if `thorough`.
        """
        return [name for part in self._parts for name in part.not_finite(thorough=thorough)]

    def mark(self) -> Callable[[], None]:
        """A function that brings the state, though not the parameters, back to what it is now."""
        steps, kept = self.steps, {name: array.copy() for name, array in self._slots_by_name().items()}

        def restore() -> None:
            self.steps = steps
            for name, array in self._slots_by_name().items():
                array[...] = kept[name]

        return restore

    def state(self) -> dict[str, np.ndarray]:
        """The number of updates and all state arrays, as a flat dict of copies."""
        return {
            "steps": np.array(self.steps),
            **{name: to_numpy(a).copy() for name, a in self._slots_by_name().items()},
        }

    def _slots_by_name(self) -> dict[str, Array]:
        return {f"{s}.{n}": a for s in self.slots for n, a in zip(self.parameters, self.slot_arrays[s], strict=True)}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `state()` returned, in place.

        Raises:
            ValueError: other names or shapes; nothing is changed then.
        """
        self._follow()
        own = self._slots_by_name()
        if wrong := sorted((own.keys() | {"steps"}) ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]} ({len(wrong)} in all)")
        for name, array in own.items():
            restorable(name, state[name], array.shape)
        steps = whole("load_state", "steps", state["steps"], low=0)
        for name, array in own.items():
            array[...] = backend.to_device(state[name].astype(array.dtype), backend.device_of(array))
        self.not_finite()  # what was noted belongs to what was there before
        self.steps = steps


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


class Snapshot:
    """An optimizer's parameters and state as they are now, to go back to: what a look-ahead needs.

    Taking and restoring are in-place writes that a recorded step repeats.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.steps = optimizer, 0
        self.copies = [Tensor(t._data.copy()) for t in optimizer.parameters.values()]
        self.slots = {slot: [a.copy() for a in arrays] for slot, arrays in optimizer.slot_arrays.items()}
        effect(Staged(self._note_steps, self._take), self.copies, list(optimizer.parameters.values()))

    def __eq__(self, other: object) -> bool:
        """Snapshots of one optimizer do the same, whenever they were made."""
        return isinstance(other, Snapshot) and other.optimizer is self.optimizer

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Snapshot({self.optimizer!r})"

    def restore(self) -> None:
        """Bring parameters, state arrays and the number of updates back."""
        effect(Staged(self._restore_steps, self._bring_back), list(self.optimizer.parameters.values()), self.copies)

    def _note_steps(self) -> None:
        self.steps = self.optimizer.steps

    def _restore_steps(self) -> None:
        self.optimizer.steps = self.steps

    def _take(self, _: None, copies: Sequence[Array], params: Sequence[Array]) -> None:
        _copy(copies, params)
        for slot, arrays in self.slots.items():
            _copy(arrays, self.optimizer.slot_arrays[slot])

    def _bring_back(self, _: None, params: Sequence[Array], copies: Sequence[Array]) -> None:
        _copy(params, copies)
        for slot, arrays in self.slots.items():
            _copy(self.optimizer.slot_arrays[slot], arrays)


def _copy(targets: Sequence[Array], sources: Sequence[Array]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target[...] = source


class SGD(Optimizer):
    """v <- momentum v + g + weight_decay p;  p <- p - lr v.

    With `nesterov`, p <- p - lr (g + weight_decay p + momentum v) (Sutskever et al. 2013). `momentum=0` is plain descent.
    """

    watched: ClassVar[tuple[str, ...]] = (*Optimizer.watched, "nesterov")
    slots = ("velocity",)
    ranges: ClassVar[dict[str, dict[str, float]]] = {"momentum": {"low": 0, "below": 1}, "weight_decay": {"low": 0}}

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
        self.momentum, self.weight_decay = momentum, weight_decay
        self.nesterov = flag("SGD", "nesterov", nesterov)
        super().__init__(parameters, lr=lr, **options)

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        """(lr, momentum, weight_decay)."""
        return np.array([lr, option("momentum"), option("weight_decay")])

    def move(self, params: Any, grads: Any, slots: Any, hyper: Array) -> None:
        """See the class."""
        (velocity,) = slots
        kernels.sgd(params, grads, velocity, hyper, self.nesterov, self.notes())


class RMSProp(Optimizer):
    """s <- rho s + (1 - rho) g^2;  p <- p - lr g / (sqrt(s) + eps)  (Tieleman, Hinton 2012, lecture 6.5)."""

    slots = ("square",)
    ranges: ClassVar[dict[str, dict[str, float]]] = {"rho": {"low": 0, "below": 1}, "eps": {"low": 0}}

    def __init__(
        self, parameters: Parameters, *, lr: float | Schedule, rho: float = 0.99, eps: float = 1e-8, **options: Any
    ) -> None:
        self.rho, self.eps = rho, eps
        super().__init__(parameters, lr=lr, **options)

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        """(lr, rho, eps)."""
        return np.array([lr, option("rho"), option("eps")])

    def move(self, params: Any, grads: Any, slots: Any, hyper: Array) -> None:
        """See the class."""
        (square,) = slots
        kernels.rmsprop(params, grads, square, hyper, self.notes())


class AdamW(Optimizer):
    """Adam with decoupled weight decay, t = 1, 2, ...:

    m <- b1 m + (1 - b1) g,          v <- b2 v + (1 - b2) g^2
    p <- p - lr [ m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps) + weight_decay p ]

    In Loshchilov, Hutter 2017 (arXiv 1711.05101), algorithm 2, p <- p - eta_t (alpha m^ / (sqrt(v^) + eps) + lambda p): there a
    schedule eta_t scales both terms, and alpha the first only. This is theirs with lr = eta_t alpha and
    weight_decay = lambda / alpha.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    ranges: ClassVar[dict[str, dict[str, float]]] = {
        "beta1": {"low": 0, "below": 1},
        "beta2": {"low": 0, "below": 1},
        "eps": {"low": 0},
        "weight_decay": {"low": 0},
    }

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
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        super().__init__(parameters, lr=lr, **options)

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        """(lr, beta1, beta2, eps, weight_decay, t)."""
        return np.array([lr, *map(option, ("beta1", "beta2", "eps", "weight_decay")), self.steps + 1])

    def move(self, params: Any, grads: Any, slots: Any, hyper: Array) -> None:
        """See the class."""
        m, v = slots
        kernels.adam(params, grads, m, v, hyper, self.notes())


class Adam(AdamW):
    """Adam (Kingma, Ba 2014, arXiv 1412.6980, algorithm 1): :class:`AdamW` without decay. GANs use beta1 = .5 or 0."""

    def __init__(self, parameters: Parameters, *, lr: float | Schedule = 1e-3, **options: Any) -> None:
        super().__init__(parameters, lr=lr, weight_decay=0.0, **options)


class OptimisticAdam(Adam):
    """Adam that expects its last step once more, t = 1, 2, ...:

    p <- p - 2 u_t + u_(t-1),      u_t = lr m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps) with m, v of :class:`Adam`

    (Daskalakis et al. 2017, arXiv 1711.00141, algorithm 1). With u_0 = u_1 the first step is Adam's. Gradient descent circles
    outwards in a game whose field only rotates; with this memory of one step it comes in (ibid., theorem 1), for one gradient
    a step, where the extragradient rule takes two. Take beta1 = 0: momentum looks back, and undoes it.
    """

    slots = ("m", "v", "previous")

    def hyper(self, lr: float, option: Callable[[str], Any]) -> np.ndarray:
        """Adam's, and whether there was an update before."""
        return np.array([*super().hyper(lr, option), self.steps > 0])

    def move(self, params: Any, grads: Any, slots: Any, hyper: Array) -> None:
        """See the class."""
        *moments, previous = slots
        before = [p.copy() for p in params]
        super().move(params, grads, moments, hyper[:-1])
        xp = backend.array_module(*params)
        there = xp.asarray(hyper[-1])
        for p, old, last in zip(params, before, previous, strict=True):
            step = p - old
            p += xp.where(there, step - last, 0)
            last[...] = step


__all__ = [
    "EMA",
    "SGD",
    "Adam",
    "AdamW",
    "History",
    "OptimisticAdam",
    "Optimizer",
    "RMSProp",
    "Schedule",
    "Snapshot",
    "clip_by_norm",
    "clip_by_value",
    "constant",
    "cosine",
    "linear",
    "step_decay",
    "warm_up",
    "weight_clipping",
]
