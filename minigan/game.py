"""A GAN is a game: players, each with a loss over its own parameters, and a rule that says in which order they move."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from minigan import ops
from minigan.autodiff import GraphError, Tensor, cotangents, effect
from minigan.backend import Array, array_module, to_device
from minigan.batch import arrays_of, tensors_of
from minigan.checks import number, whole
from minigan.counters import Counter, told
from minigan.nn.module import UNNAMED
from minigan.optim import Optimizer, Snapshot
from minigan.random import Source, ticking
from minigan.replayed import Replayed
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
        self.name, self.updates, self.loss, self.optimizer = name, updates, loss, optimizer
        for what, function in (("loss", loss), *((f"lazy term {term.name!r}", term.term) for term in lazy)):
            _check_arguments(f"player {name!r}: its {what}", function)
        self.lazy, self.after = tuple(lazy), tuple(after)
        self.reported: dict[str, Tensor] = {}
        self._asked: tuple[tuple[Loss, ...], bool] = ((), False)  # whether they read the batch
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
        functions = (self.loss, *[lazy.term for lazy in self.lazy])
        if self._asked[0] != functions:
            self._asked = functions, any(map(_takes_argument, functions))
        return self._asked[1]

    def gradients(self, batch: Any, others: Sequence[Player]) -> tuple[Tensor, list[Tensor]]:
        """(loss, gradient of it for each parameter), with the other players' parameters frozen.

        The gradients are those of the loss with the lazy terms that are due; they are for reading only.

        Raises:
            GraphError: the loss reaches none of the parameters.
            TypeError, ValueError: the loss returns something else, or is a function of a batch that was not given.
        """
        with frozen([t for other in others for t in other.parameters]):
            loss, totals = self._totals(batch)
            return loss, self._differentiate(totals)

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
        result = function() if batch is None or not _takes_argument(function) else function(batch)
        reported: Mapping[str, Tensor] = {}
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
            result, reported = result
        for name, value in {what: result, **reported}.items():
            if not isinstance(value, Tensor) or value.size != 1:
                got = f"a tensor {value.shape}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(
                    f"{who} returned {got} for {name!r}, expected a tensor with one element: loss, or loss, {{name: t}}"
                )
        return _own(result), {str(name): _own(value).detach() for name, value in reported.items()}

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
        return [_zeros(t) if g is None else g for g, t in zip(found, named.values(), strict=True)]

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


def _takes_argument(function: Callable[..., Any], *, needed: bool = False) -> bool:
    """Whether a function can be called with one argument; or, `needed`, cannot be called without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables of C code have none
        return True
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


def _zeros(t: Tensor) -> Tensor:
    return Tensor(array_module(t._data).zeros_like(t._data))


def _own(value: Tensor) -> Tensor:
    """The tensor, or a copy where it may be a parameter or look into one, which the player is about to change."""
    made = value.node is not None and value.node.op is not None and value._data.base is None
    return value if made else ops.cast(value, dtype=value.dtype)


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


Rule = Callable[[Sequence[Player], Sequence[Any]], dict[str, Tensor]]


def _others(players: Sequence[Player], player: Player) -> list[Player]:
    own = {id(t) for t in player.parameters}
    return [p for p in players if p is not player and not own & {id(t) for t in p.parameters}]


def alternating(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """One player after the other, each against the others' newest parameters; `updates` moves each."""
    losses = {}
    for player in players:
        for k in range(player.updates):
            loss, grads = player.gradients(batches[k % len(batches)], _others(players, player))
            player.move(grads)
        losses[player.name] = loss
    return losses


def simultaneous(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """All gradients at the same point, then all moves: the vector field of the game, one step along it."""
    _check_single_updates("simultaneous", players)
    results = [player.gradients(batches[0], _others(players, player)) for player in players]
    for player, (_, grads) in zip(players, results, strict=True):
        player.move(grads)
    return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}


def extragradient(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """All players look ahead by one simultaneous step, take their gradients there, go back, and step by those (Korpelevich
    1976; Gidel et al. 2018, arXiv 1802.10551, algorithm 2).

    Going back restores the optimizers' state too: the look-ahead is the step that the optimizer would take, and leaves no other
    trace (running statistics of batch norm see both passes). It reads the first batch, the step itself the second one where
    there is one. `Player.after` follows the step, not the look-ahead. Returns the losses of where one stood.
    """
    _check_single_updates("extragradient", players)
    standing = [Snapshot(player.optimizer) for player in players]
    results = [player.gradients(batches[0], _others(players, player)) for player in players]
    reported = [player.reported for player in players]
    for player, (_, grads) in zip(players, results, strict=True):
        player.optimizer.step(grads)
    batch = batches[1 % len(batches)]
    ahead = [player.gradients(batch, _others(players, player))[1] for player in players]
    for player, place, grads, values in zip(players, standing, ahead, reported, strict=True):
        place.restore()
        player.move(grads)
        player.reported = values
    return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}


def _check_single_updates(rule: str, players: Sequence[Player]) -> None:
    if any(player.updates != 1 for player in players):
        raise ValueError(f"{rule}: got a player with several updates a step; use the alternating rule")


extragradient.batches = 2  # type: ignore[attr-defined]  # it can read a second one

RULES: dict[str, Rule] = {"alternating": alternating, "simultaneous": simultaneous, "extragradient": extragradient}


class Phase:
    """A part of the training with players, or a rule, of its own: content first, then the game.

    Args:
        name: for messages.
        players: who moves. Players of several phases may share an optimizer, and with it one state and one count of updates.
        steps: how many steps of the game it lasts; None, for the last phase, to the end.
        rule: as of :class:`Game`; None for that of the game.

    Raises:
        TypeError, ValueError: steps < 1, no players, two of one name, or an unknown rule.
    """

    watched: ClassVar[tuple[str, ...]] = ("players", "rule")

    def __init__(
        self, name: str, players: Sequence[Player], *, steps: int | None = None, rule: str | Rule | None = None
    ) -> None:
        names = [player.name for player in players]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{name}: got players {names}, expected one or more with different names")
        self.name, self.players, self.rule = name, list(players), None if rule is None else _rule(rule)
        self.steps = None if steps is None else whole(f"phase {name!r}", "steps", steps, low=1)

    def __repr__(self) -> str:
        rule = "" if self.rule is None else f", rule={getattr(self.rule, '__name__', self.rule)}"
        return "\n  ".join([f"Phase({self.name!r}, steps={self.steps}{rule}", *map(repr, self.players)]) + "\n)"


def _rule(rule: str | Rule) -> Rule:
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(f"game: got rule {rule!r}, expected one of {tuple(RULES)}")
        return RULES[rule]
    return rule


class Game:
    """Players, a rule and the run's random numbers.

    Args:
        players: in the order in which they move; or phases, one after the other, each with its players.
        rule: "alternating", "simultaneous" or "extragradient", or a function such as :func:`alternating`.
        random: the source whose step advances with the game; None where losses draw no numbers.
        replay: record the step for each form of the batch and replay it from the third on (see :mod:`minigan.replayed`): the same
            numbers, less time, or a RecordingError that says why not. "check": run the two steps after each recording eagerly
            too, and compare bit by bit.
        before: functions to call before each step; never recorded.
        after: functions to call after each step, such as `ema.update`. They are called at every step, recorded or not, and may
            be plain Python.
        max_recordings: of different batch shapes, phases and lazy terms, at most this many are kept.

    Attributes:
        steps: how many were done.
        metrics: what losses reported last, by name: tensors with one element.

    Raises:
        TypeError, ValueError: no players, two of one name, an unknown rule, a phase without end before the last, two networks of
            one structure that were initialised by the same integer without a name.
    """

    watched: ClassVar[tuple[str, ...]] = ("phases", "rule", "_recorded")
    bound: ClassVar[tuple[str, ...]] = ("after",)
    steps = Counter("the number of a game's steps")

    def __init__(
        self,
        players: Sequence[Player] | Sequence[Phase],
        *,
        rule: str | Rule = "alternating",
        random: Source | None = None,
        replay: bool | str = False,
        before: Sequence[Hook] = (),
        after: Sequence[Hook] = (),
        max_recordings: int = 8,
    ) -> None:
        phases = [p for p in players if isinstance(p, Phase)]
        if phases and len(phases) != len(players):
            raise TypeError("game: got players and phases, expected all of one kind")
        self.phases = phases or [Phase("game", players)]  # type: ignore[arg-type]
        if endless := [phase.name for phase in self.phases[:-1] if phase.steps is None]:
            raise ValueError(f"game: phase {endless[0]!r} has no steps, but another phase follows it")
        self.rule: Any = rule
        self.before, self.after = tuple(before), tuple(after)
        self.steps = 0
        self.metrics: dict[str, Tensor] = {}
        self._recorded = Replayed(
            self._move, random=random, max_recordings=max_recordings, roots=self._roots, names=self._names
        )
        self.replay = replay
        _look_for_twins(self.optimizers())

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _rule(value) if name == "rule" else value)

    @property
    def random(self) -> Source | None:
        """The source whose step advances with the game."""
        return self._recorded.random

    @random.setter
    def random(self, source: Source | None) -> None:
        self._recorded.random = source

    @property
    def replay(self) -> bool | str:
        """Whether steps are recorded: True, False or "check"."""
        return self._replay

    @replay.setter
    def replay(self, replay: bool | str) -> None:
        if replay not in (True, False, "check"):
            raise ValueError(f"game: got replay {replay!r}, expected True, False or 'check'")
        self._replay = replay
        self._recorded.check = replay == "check"

    def __deepcopy__(self, memo: dict[int, Any]) -> Game:
        raise TypeError(
            "game: cannot be copied, since its losses go on to use the networks they were written with; build another game and "
            "give it this one's state(): other.load_state(game.state())"
        )

    def __copy__(self) -> Game:
        return self.__deepcopy__({})

    def __repr__(self) -> str:
        parts: list[Any] = self.phases if len(self.phases) > 1 else self.players
        lines = [repr(part).replace("\n", "\n  ") for part in parts]
        rule = getattr(self.rule, "__name__", self.rule)
        return "\n  ".join([f"Game(rule={rule}, replay={self.replay!r}, steps={self.steps}", *lines]) + "\n)"

    @property
    def phase(self) -> Phase:
        """The present one. The last goes on when its steps are done."""
        return self.phases[self._phase_index()]

    @property
    def players(self) -> list[Player]:
        """Those of the present phase."""
        return self.phase.players

    def _phase_index(self) -> int:
        left = vars(self)["steps"]  # a step may ask for its phase: each has recordings of its own
        for i, phase in enumerate(self.phases):
            if phase.steps is None or left < phase.steps:
                return i
            left -= phase.steps
        return len(self.phases) - 1

    def optimizers(self) -> dict[str, Optimizer]:
        """All optimizers, each once, under the name of the first player that has it (with its phase's where that is taken)."""
        found: dict[str, Optimizer] = {}
        for phase in self.phases:
            for player in phase.players:
                if not any(player.optimizer is other for other in found.values()):
                    found[player.name if player.name not in found else f"{phase.name}.{player.name}"] = player.optimizer
        return found

    def updates(self) -> int:
        """How many batches a step of the present phase can read: the largest `updates` of its players."""
        return max(player.updates for player in self.players)

    def step(self, batch: Any = None, *, batches: Sequence[Any] | None = None) -> dict[str, Tensor]:
        """One step: every player moves. Returns each player's last loss, as tensors of their own.

        Args:
            batch: an array, or a mapping of names to arrays (labels, pairs, several data sets), passed whole to every loss;
                nothing where no loss reads data.
            batches: instead, one batch for each update: update k of a player reads the k-th. As many as the largest `updates`,
                or one. (Extragradient can read two: for the look-ahead, and for the step.)

        Raises:
            TypeError: a list or tuple as a batch; a batch where no loss reads one, or none where one does.
            ValueError: another number of batches.
        """
        told("a game makes a step inside a recorded step of another")
        for function in self.before:
            function()
        given = self._given(batch, batches)
        index = self._phase_index()
        due = tuple([lazy.due(self.steps) for player in self.phases[index].players for lazy in player.lazy])
        if self.replay:
            self._recorded.steps = self.steps
            losses, self.metrics = self._recorded.call((given, index, due))
        else:
            with ticking(self.steps):
                if self.random is not None:
                    self.random.advance()
                losses, self.metrics = self._move(tensors_of(given), index, due)
        self.steps += 1
        return losses

    def _given(self, batch: Any, batches: Sequence[Any] | None) -> list[Any]:
        if batch is not None and batches is not None:
            raise TypeError("step: got a batch and batches, expected one of the two")
        if batch is None and batches is None:
            return [None]
        if not any([player.reads_batch() for player in self.players]):
            raise TypeError("step: got a batch, but no player's loss is a function of one")
        if batches is None:
            return [self._at_home(arrays_of(batch))]
        if not isinstance(batches, (list, tuple)):
            raise TypeError(f"step: got batches of type {type(batches).__name__}, expected a list of batches")
        most = max(self.updates(), getattr(self.phase.rule or self.rule, "batches", 1))
        if len(batches) not in (1, most):
            raise ValueError(f"step: got {len(batches)} batches, expected 1 or {most}, one for each update")
        return [self._at_home(arrays_of(b, f"batches[{i}]")) for i, b in enumerate(batches)]

    def _at_home(self, arrays: Any) -> Any:
        """The arrays of a batch, or of a mapping in it, on the players' device."""
        if isinstance(arrays, dict):
            return {name: self._at_home(entry) for name, entry in arrays.items()}
        return to_device(arrays, next(iter(self.players[0].optimizer.parameters.values())).device)

    def _roots(self) -> list[Any]:
        """What a recorded step can read Python values of."""
        hooks = [*self.after, *(hook for phase in self.phases for player in phase.players for hook in player.after)]
        return [self, *(hook for hook in hooks if getattr(hook, "recorded", False))]

    def _names(self) -> dict[int, str]:
        """The tensors that players train, for messages."""
        return {
            id(t): f"player {player!r}, parameter {name!r}"
            for player, optimizer in self.optimizers().items()
            for name, t in optimizer.parameters.items()
        }

    def _move(
        self, batches: list[Any], index: int, due: tuple[bool, ...]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        phase = self.phases[index]
        losses = (phase.rule or self.rule)(phase.players, batches)
        metrics: dict[str, Tensor] = {}
        for player in phase.players:
            for name, value in player.reported.items():
                if name in metrics or name in losses:
                    raise ValueError(
                        f"game: player {player.name!r} reports {name!r}, which is taken; give it another name"
                    )
                metrics[name] = value
        for function in self.after:
            run_hook(function)
        return {name: loss.detach() for name, loss in losses.items()}, metrics

    def buffers(self) -> list[Any] | None:
        """The arrays (or dicts of arrays) that the last recorded step read its batches from, to gather batches straight into;
        None before there was one."""
        found = self._recorded.buffers()
        return None if found is None else found[0]

    def buffer(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array | None:
        """The first of `buffers()`, where it is an array of that shape and dtype; else None."""
        found = (self.buffers() or [None])[0]
        fits = (
            found is not None
            and not isinstance(found, dict)
            and (found.shape, found.dtype) == (tuple(shape), np.dtype(dtype))
        )
        return found if fits else None

    def state(self) -> dict[str, np.ndarray]:
        """The optimizers' state, the number of steps (and with it the phase and all scheduled numbers), and the random source's
        step, as a flat dict of arrays."""
        parts = [(f"{n}/{k}", v) for n, optimizer in self.optimizers().items() for k, v in optimizer.state().items()]
        state = dict(parts)
        if len(state) < len(parts):
            raise ValueError(
                f"state: names of players and of their state coincide: {sorted(self.optimizers())}; rename one"
            )
        state["step"] = np.array(self.steps)
        return state if self.random is None else {**state, "random": np.array(self.random.step)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: names or shapes that do not belong to this game.
        """
        optimizers, own = self.optimizers(), self.state()  # whose names tell "D" and "D/x" apart
        if wrong := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"load_state: names that are on one side only: {wrong[:6]} ({len(wrong)} in all)")
        for name, optimizer in optimizers.items():
            optimizer.load_state({key: state[f"{name}/{key}"] for key in optimizer.state()})
        self.steps = int(state["step"])
        if self.random is not None:
            self.random.advance(int(state["random"]))


def _look_for_twins(optimizers: Mapping[str, Optimizer]) -> None:
    """Two networks that start from the same random weights: refused where one integer made them, else a warning."""
    found: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
    for player, optimizer in optimizers.items():
        for name, t in optimizer.parameters.items():
            start = t._data.reshape(-1)[:4].tolist()
            if len(set(start)) < 3:  # a bias, or too short to tell
                continue
            name = f"{player}: {name}"
            other, twin = found.setdefault((t.shape, *start), (name, t))
            if twin is not t and bool((twin._data == t._data).all()):
                text = f"game: {other!r} and {name!r} start with the same numbers"
                if id(t) in UNNAMED and id(twin) in UNNAMED:
                    raise ValueError(
                        f"{text}: both networks were initialised by one integer. Name them: net.initialize(0, 'G'), or take "
                        "another integer for one of them"
                    )
                warnings.warn(
                    f"{text}. If that is not meant, give their networks different names", UserWarning, stacklevel=3
                )
                return
