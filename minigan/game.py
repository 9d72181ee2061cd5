"""A GAN is a game: players, each with a loss over its own parameters, and a rule that says in which order they move."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minigan import finite as numbers
from minigan.autodiff import Tensor
from minigan.backend import Array, to_device
from minigan.batch import arrays_of, tensors_of
from minigan.checks import flag, whole
from minigan.counters import Counter, told
from minigan.nn.module import UNNAMED
from minigan.optim import Optimizer
from minigan.player import Hook, Player, hooks, run_hook
from minigan.random import Source, ticking
from minigan.replayed import Replayed
from minigan.rules import Rule, rule_of
from minigan.switches import state

if TYPE_CHECKING:  # of several ranks, which one does without
    from minigan.ranks import World


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
        if not isinstance(players, (list, tuple)) or not all(isinstance(player, Player) for player in players):
            raise TypeError(f"{name}: got players {players!r}, expected a list of mg.Player")
        names = [player.name for player in players]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{name}: got players {names}, expected one or more with different names")
        self.name, self.players, self.rule = name, list(players), None if rule is None else rule_of(rule)
        self.steps = None if steps is None else whole(f"phase {name!r}", "steps", steps, low=1)

    def __repr__(self) -> str:
        rule = "" if self.rule is None else f", rule={getattr(self.rule, '__name__', self.rule)}"
        return "\n  ".join([f"Phase({self.name!r}, steps={self.steps}{rule}", *map(repr, self.players)]) + "\n)"


class Game:
    """Players, a rule and the run's random numbers.

    Args:
        players: in the order in which they move; or phases, one after the other, each with its players.
        rule: "alternating", "simultaneous" or "extragradient", or a function such as :func:`alternating`.
        random: the source whose step advances with the game; None where losses draw no numbers.
        replay: record the step for each form of the batch and replay it from the third on (see :mod:`minigan.replayed`): the same
            numbers, less time, or a RecordingError that says why not. "check": run the two steps after each recording eagerly
            too, and compare bit by bit.
        graphs: on a GPU, launch recorded steps as captured CUDA graphs, from the fifth on (see :mod:`minigan.captured`):
            the same numbers, less time. What cannot be captured runs between them, and `captured` names it. None for yes, unless
            the environment says MINIGAN_GRAPHS=0.
        before: functions to call before each step; never recorded.
        after: functions to call after each step, such as `ema.update`. They are called at every step, recorded or not, and may
            be plain Python.
        finite: raise a NotFiniteError in the step in which a loss or a gradient becomes NaN or Inf (see :mod:`minigan.finite`).
        max_recordings: of different batch shapes, phases and lazy terms, at most this many are kept.

    Attributes:
        steps: how many were done.
        metrics: what losses reported last, by name: tensors with one element.
        ranks: the ranks that each step is dealt out to (see :mod:`minigan.ranks`); to be assigned. None for one.

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
        graphs: bool | None = None,
        before: Sequence[Hook] = (),
        after: Sequence[Hook] = (),
        finite: bool = True,
        max_recordings: int = 8,
    ) -> None:
        phases = [p for p in players if isinstance(p, Phase)] if isinstance(players, (list, tuple)) else []
        if phases and len(phases) != len(players):
            raise TypeError("game: got players and phases, expected all of one kind")
        self.phases = phases or [Phase("game", players)]  # type: ignore[arg-type]
        if endless := [phase.name for phase in self.phases[:-1] if phase.steps is None]:
            raise ValueError(f"game: phase {endless[0]!r} has no steps, but another phase follows it")
        self.rule: Any = rule
        self.before, self.after = hooks("game", "before", before), hooks("game", "after", after)
        self.steps, self.finite = 0, flag("game", "finite", finite)
        self.metrics: dict[str, Tensor] = {}
        self.ranks: World | None = None
        self._recorded = Replayed(
            self._move,
            random=random,
            max_recordings=max_recordings,
            graphs=graphs,
            roots=self._roots,
            names=self._names,
        )
        self.replay = replay
        _look_for_twins(self.optimizers())

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, rule_of(value) if name == "rule" else value)

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

    @property
    def graphs(self) -> bool:
        """Whether recorded steps on a GPU are launched as CUDA graphs; to be assigned."""
        return self._recorded.graphs

    @graphs.setter
    def graphs(self, graphs: bool | None) -> None:
        self._recorded.graphs = graphs

    @property
    def captured(self) -> list[str]:
        """Of each recording that is launched as CUDA graphs: how many calls they hold, and which stay outside, and why."""
        return self._recorded.captured()

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
            NotFiniteError: a loss or a gradient is NaN or Inf.
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
        if self.finite:
            numbers.look(self.phases[index].players, losses, self.steps)
        return losses

    def _given(self, batch: Any, batches: Sequence[Any] | None) -> list[Any]:
        if batch is not None and batches is not None:
            raise TypeError("step: got a batch and batches, expected one of the two")
        no_data = isinstance(batches, list) and batches and all(b is None for b in batches)  # as of a feed without data
        if batch is None and (batches is None or no_data):
            return [None]
        if not any([player.reads_batch() for player in self.players]):
            raise TypeError("step: got a batch, but no player's loss is a function of one")
        if batches is None:
            return [self._at_home(arrays_of(batch))]
        if not isinstance(batches, (list, tuple)):
            raise TypeError(f"step: got batches of type {type(batches).__name__}, expected a list of batches")
        most = max(self.updates(), getattr(self.phase.rule or self.rule, "batches", 1))
        if len(batches) not in (1, most):
            wanted = "1" if most == 1 else f"1 or {most}, one for each update"
            raise ValueError(f"step: got {len(batches)} batches, expected {wanted}")
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
        if self.ranks is not None and state.spread is None:
            with self.ranks.dealing(batches) as dealt:
                return self._move(dealt, index, due)
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
        counts = {name: whole("load_state", name, state[name], low=0) for name in ("step", "random") if name in own}
        for name, optimizer in optimizers.items():
            optimizer.load_state({key: state[f"{name}/{key}"] for key in optimizer.state()})
        self.steps = counts["step"]
        if self.random is not None:
            self.random.advance(counts["random"])


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
