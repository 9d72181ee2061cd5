"""A player of a game: who minimises which loss over which parameters, and when."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from minigan import ops
from minigan.autodiff import GraphError, Tensor, cotangents, effect, zeros_for
from minigan.checks import number, whole
from minigan.optim import Optimizer
from minigan.switches import state

Loss = Callable[..., Any]
Hook = Callable[[], Any]


class Lazy:
    """A term of a loss that is computed in every k-th step only, k times as strong then (Karras et al. 2019, arXiv
    1912.04958, section 3.1: lazy regularisation): R1 costs more than the rest of a step, and changes slowly.

    Args:
        name: under which its value is reported, without the factor.
        term: a function of the batch, to a tensor with one element.
        every: k. In steps 0, k, 2k, ... of the game the player minimises loss + scale * term.
        scale: the factor; `every` by default.

    Raises:
        TypeError, ValueError: numbers out of range.
    """

    watched: ClassVar[tuple[str, ...]] = ("name", "term", "every", "scale")

    def __init__(self, name: str, term: Loss, *, every: int, scale: float | None = None) -> None:
        self.name, self.term = name, term
        self.every = whole(f"lazy term {name!r}", "every", every, low=1)
        self.scale = number(f"lazy term {name!r}", "scale", every if scale is None else scale, low=0)

    def __repr__(self) -> str:
        return f"Lazy({self.name!r}, every={self.every}, scale={self.scale:g})"

    def due(self, step: int) -> bool:
        """Whether it counts in this step."""
        return step % self.every == 0


class Player:
    """Who minimises which loss over which parameters.

    Args:
        name: for messages and metrics.
        loss: a function of the batch (or of nothing, where it needs no data) that returns a tensor with one element, or that
            and a dict of tensors with one element to report: `loss, {"kl": kl}`. The batch is a tensor, or for a mapping an
            object whose entries are tensors: `b.x`, `b["y"]`. The other players' networks and the noise reach it through what
            it closes over.
        optimizer: holds the player's parameters and moves them.
        updates: how often the player moves in one step of the game (a WGAN critic: 5).
        lazy: terms that are added in every k-th step.
        after: functions to call after each update of this player, such as `optim.weight_clipping(D, 0.01)`. They are called at
            every step, recorded or not, and may be plain Python.

    Attributes:
        reported: what the last loss reported, by name.
    """

    watched: ClassVar[tuple[str, ...]] = ("name", "loss", "optimizer", "updates", "lazy")
    bound: ClassVar[tuple[str, ...]] = ("after",)

    def __init__(
        self,
        name: str,
        loss: Loss,
        optimizer: Optimizer,
        *,
        updates: int = 1,
        lazy: Sequence[Lazy] = (),
        after: Sequence[Hook] = (),
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"player {name!r}: got an optimizer of type {type(optimizer).__name__}, expected one of minigan.optim, such as "
                "optim.Adam(network)"
            )
        self.name, self.updates, self.loss, self.optimizer = name, updates, loss, optimizer
        if wrong := [term for term in _listed(f"player {name!r}", "lazy", lazy) if not isinstance(term, Lazy)]:
            raise TypeError(f"player {name!r}: got the lazy term {wrong[0]!r}, expected mg.Lazy(name, term, every=k)")
        for what, function in (("loss", loss), *((f"lazy term {term.name!r}", term.term) for term in lazy)):
            _check_arguments(f"player {name!r}: its {what}", function)
        self.lazy, self.after = tuple(lazy), hooks(f"player {name!r}", "after", after)
        self.reported: dict[str, Tensor] = {}
        self._asked: dict[int, tuple[Loss, bool]] = {}  # by identity: a function, and whether it reads the batch
        self._unreached: set[str] = set()  # parameters that the loss does not reach, as was told

    def __repr__(self) -> str:
        more = f", updates={self.updates}" if self.updates != 1 else ""
        more += f", lazy={list(self.lazy)}" if self.lazy else ""
        return f"Player({self.name!r}, {self.optimizer!r}{more})"

    @property
    def parameters(self) -> list[Tensor]:
        """What this player may change."""
        return list(self.optimizer.parameters.values())

    def reads_batch(self) -> bool:
        """Whether the loss, or a lazy term, is a function of the batch."""
        return any(map(self._reads, (self.loss, *[lazy.term for lazy in self.lazy])))

    def _reads(self, function: Loss) -> bool:
        """Whether a function takes the batch; looked up once."""
        if id(function) not in self._asked:
            self._asked[id(function)] = function, _takes_argument(function)
        return self._asked[id(function)][1]

    def gradients(self, batch: Any, others: Sequence[Player]) -> tuple[Tensor, list[Tensor]]:
        """(loss, gradient of it for each parameter), with the other players' parameters frozen.

        The gradients are those of the loss with the lazy terms that are due; they are for reading only.

        Raises:
            GraphError: the loss reaches none of the parameters.
            TypeError, ValueError: the loss returns something else, or is a function of a batch that was not given.
        """
        with frozen([t for other in others for t in other.parameters]):
            loss, totals = self._totals(batch)
            grads = self._differentiate(totals)
            return (loss, grads) if state.spread is None else self._agreed(loss, grads)

    def _agreed(self, loss: Tensor, grads: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """On several ranks: all that is a sum over them, added up at once."""
        whole = state.spread.wholes([loss, *self.reported.values(), *grads])
        self.reported = dict(zip(self.reported, whole[1:], strict=False))
        return whole[0], whole[1 + len(self.reported) :]

    def _totals(self, batch: Any) -> tuple[Tensor, list[Tensor]]:
        """The loss outside its graph, and in a list what is to be differentiated, whose graph nobody else holds."""
        loss, self.reported = self._evaluate(self.loss, batch, "loss")
        total = Tensor(loss._data, loss.node, loss.version)
        step = state.clock.step if state.clock is not None else 0
        for lazy in self.lazy:
            if lazy.due(step):
                value, more = self._evaluate(lazy.term, batch, f"lazy term {lazy.name!r}")
                total = total + value * lazy.scale
                self._report({lazy.name: value, **more})
        return loss.detach(), [total]

    def _evaluate(self, function: Loss, batch: Any, what: str) -> tuple[Tensor, dict[str, Tensor]]:
        who = f"player {self.name!r}: its {what}"
        if batch is None and _takes_argument(function, needed=True):
            raise TypeError(f"{who} is a function of the batch, but none was given: step(batch)")
        result = function() if batch is None or not self._reads(function) else function(batch)
        reported: Mapping[str, Tensor] = {}
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
            result, reported = result
        for name, value in ((what, result), *reported.items()):
            if not isinstance(value, Tensor) or value.size != 1:
                got = f"a tensor {value.shape}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(
                    f"{who} returned {got} for {name!r}, expected a tensor with one element: loss, or loss, {{name: t}}"
                )
        own = {str(name): _own(value).detach() for name, value in reported.items()}
        if len(own) != len(reported):
            raise ValueError(f"{who} reports {list(reported)}, of which two read the same; give one another name")
        return _own(result), own

    def _report(self, values: Mapping[str, Tensor]) -> None:
        if twice := sorted(values.keys() & self.reported.keys()):
            raise ValueError(f"player {self.name!r}: reports {twice[0]!r} twice; give one another name")
        self.reported |= {name: value.detach() for name, value in values.items()}

    def _differentiate(self, totals: list[Tensor]) -> list[Tensor]:
        """The gradient for each parameter; zero for those that the loss does not reach, which are named once.

        `totals` is emptied, so that its graph is freed while it is walked.
        """
        named = self.optimizer.parameters
        if cold := [name for name, t in named.items() if t.node is None]:
            raise GraphError(
                f"player {self.name!r}: its parameter {cold[0]!r} takes no gradient any more (requires_grad=False). To hold a "
                "parameter fast, make an optimizer without it, or one with options={name: {'lr': 0.0}}"
            )
        found = [None] * len(named) if totals[0].node is None else cotangents(totals, list(named.values()))
        never = [name for name, g in zip(named, found, strict=True) if g is None]
        if never and (len(never) == len(named) or not self._unreached.issuperset(never)):
            self._tell_unreached(never)
        return [zeros_for(t) if g is None else g for g, t in zip(found, named.values(), strict=True)]

    def _tell_unreached(self, never: list[str]) -> None:
        some = ", ".join(never[:6]) + (f", ... ({len(never)} in all)" if len(never) > 6 else "")
        if len(never) == len(self.optimizer.parameters):
            raise GraphError(
                f"player {self.name!r}: its loss reaches none of its parameters ({some}). Does it use another network, cut the "
                "graph (detach, stop_gradient, no_grad), or do the parameters belong to another player, too?"
            )
        self._unreached.update(never)
        warnings.warn(f"player {self.name!r}: its loss does not reach the parameters {some}", UserWarning, stacklevel=2)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "updates":
            value = whole(f"player {self.name!r}", "updates", value, low=1)
        object.__setattr__(self, name, value)

    def move(self, grads: Sequence[Tensor]) -> None:
        """One update: the optimizer's step, then the functions of `after`."""
        self.optimizer.step(grads)
        for function in self.after:
            run_hook(function)


def _takes_argument(function: Callable[..., Any], *, needed: bool = False, unknown: bool = True) -> bool:
    """Whether a function can be called with one argument; or, `needed`, cannot be called without; `unknown` where it does not say
    (some callables of C code)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return unknown
    places = [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    return any(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in places) if needed else bool(places)


def _check_arguments(who: str, function: Callable[..., Any]) -> None:
    if not callable(function):
        raise TypeError(f"{who} is {type(function).__name__}, expected a function of the batch")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables of C code have none
        return
    asked = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(asked) > 1 or any(p.kind is p.KEYWORD_ONLY for p in asked):
        names = ", ".join(p.name for p in asked)
        raise TypeError(
            f"{who} takes the arguments ({names}), expected one, the batch, or none: of a mapping that is an object with the "
            "entries b.x, b.y, ..."
        )


def _own(value: Tensor) -> Tensor:
    """The tensor, or a copy where it may be a parameter or look into one, which the player is about to change."""
    made = value.node is not None and value.node.op is not None and value._data.base is None
    return value if made else ops.cast(value, dtype=value.dtype)


def _listed(owner: str, name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{owner}: got {name} of type {type(value).__name__}, expected a list")
    return value


def hooks(owner: str, name: str, functions: Any) -> tuple[Hook, ...]:
    """Functions without arguments, in a list, as a tuple.

    Raises:
        TypeError: no list, something that is no function, or a function that needs arguments.
    """
    for function in _listed(owner, name, functions):
        if not callable(function):
            raise TypeError(f"{owner}: got {function!r} in {name}, expected functions without arguments")
        if _takes_argument(function, needed=True, unknown=False):
            raise TypeError(f"{owner}: {function!r} in {name} takes an argument, expected functions without arguments")
    return tuple(functions)


def run_hook(function: Hook) -> None:
    """Call a hook now and at each replay. One marked `recorded` only does engine effects, which are recorded themselves."""
    if getattr(function, "recorded", False):
        function()
    else:
        effect(function)


@contextmanager
def frozen(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Take leaf tensors out of every graph for a while: what they make is constant, and no gradient is computed for them."""
    nodes, before = [t.node for t in tensors], state.frozen
    state.frozen = before | set(map(id, tensors))  # they are parameters still, not buffers
    for t in tensors:
        t.node = None
    try:
        yield
    finally:
        state.frozen = before
        for t, node in zip(tensors, nodes, strict=True):
            t.node = node
