"""What models share, done once: networks made and initialised, averages, the game, sampling, evaluation mode, state.

A model's file says which networks there are, who plays with which loss, and how an example is made; see "Write your own GAN"
(lessons/write_your_own_gan.md) for one from nothing to pictures. It knows of no files, devices or progress.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from minigan import backend, nn, optim, random
from minigan.autodiff import Tensor
from minigan.game import Game, Phase
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Category, Condition, Examples, bound
from minigan.gans.needs import Facts, Needs, kind_in_time
from minigan.gans.options import Config
from minigan.gans.protocol import Histogram, ModelError, Picture, can_be_drawn, fits
from minigan.player import Player
from minigan.rules import Rule
from minigan.schedules import Schedule
from minigan.switches import no_grad

HEADS = ("average", "extra", "game")  # of names in a state, beside the networks' own
IMAGES, POINTS, MOST_COLUMNS = 64, 1000, 16  # how many samples a picture shows


@runtime_checkable
class Stateful(Protocol):
    """What can be saved and restored: a pool of earlier fakes, a running estimate."""

    def state(self) -> dict[str, np.ndarray]:
        """Everything it needs, as a flat dict of arrays."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned."""


class Model(ABC):
    """Networks, the game that trains them, and how they make examples.

    A subclass writes :meth:`networks` and :meth:`players`; :meth:`generate` where it makes examples; and what else differs
    from the defaults here. Every network and every part of the extra state is an attribute under its own name.

    Args:
        config: an instance of the model's `Config`.
        data: the facts of the data, or for a model of one data set the shape of an example.
        device: "cpu" or "gpu".
        replay: record a step once and replay it, or "check" (see :class:`minigan.Game`).

    Attributes:
        config, device: as given. facts: of the data. random: the run's random numbers.
        modules: the networks by name. averages: of their weights, or None. extra: the extra state by name.
        game: whose `step` trains them.

    Raises:
        ModelError: a method that returns something else than it should.
    """

    Config: ClassVar[type[Any]] = Config
    summary: ClassVar[str] = ""  # one line for `minigan models`
    family: ClassVar[str] = "own"  # under which of `minigan.gans.protocol.FAMILIES` it stands there
    lesson: ClassVar[str] = ""  # the file in `lessons/`, without its ending, that explains it; "" where none does
    needs: ClassVar[Needs] = "images"  # see minigan.gans.needs
    conditions: ClassVar[Mapping[str, Any]] = {}  # what `generate` takes beside n, see minigan.gans.conditions
    best: str | None = "min sliced W1"  # "min NAME" or "max NAME": by which number a run is judged, see `protocol.py`
    rule: ClassVar[str | Rule] = "alternating"  # in which order the players move
    chunk: ClassVar[int] = 500  # samples made at once

    def __init__(self, config: Any, data: Facts | tuple[int, ...], *, device: str = "cpu", replay: bool = True) -> None:
        self.config, self.facts, self.device = config, Facts.of(data), device
        self.random = random.Source(config.seed, device=device)
        self.modules: dict[str, nn.Module] = self._parts("networks", nn.Module)
        self.prepare()
        for name, network in self.modules.items():
            network.to(device).initialize(self.random, name)
        self.extra: dict[str, Stateful] = self._parts("extra_state", Stateful)
        self.averages = self._averages()
        self._bound: dict[str, Condition] = bound(self.conditions, self.needs, self.facts)
        self.game = Game(
            self._players(), rule=self.order(), random=self.random, replay=replay, before=self.before_step(),
            after=[*([self.averages.update] if self.averages else []), *self.after_step()],
        )  # fmt: skip

    # -- what a model's file says ------------------------------------------------------------------------------------
    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """The networks by name, for `self.config`, `self.shape` and `self.classes`."""

    @abstractmethod
    def players(self) -> Sequence[Player] | Sequence[Phase]:
        """Who minimises which loss by which optimizer, in the order in which they move; or phases, each with its players."""

    def prepare(self) -> None:  # noqa: B027 (most models change nothing)
        """What to change in the networks before their weights are drawn, such as `nn.spectral(self.discriminator)`."""

    def order(self) -> str | Rule:
        """In which order the players move: `rule` of the class."""
        return type(self).rule

    def falling(self, lr: float) -> Schedule:
        """A learning rate that begins at `lr` and falls in a straight line to 0 at the last of the run's steps."""
        return optim.linear(lr, steps=max(1, self.config.steps))

    def generate(self, n: int, **conditions: Tensor) -> Tensor:
        """n examples, from noise of `self.random`; each condition has n rows."""
        raise NotImplementedError(f"{type(self).__name__} makes no examples: it defines no generate(self, n)")

    @classmethod
    def makes_examples(cls) -> bool:
        """Whether there is a `generate`."""
        return cls.generate is not Model.generate

    def average(self) -> optim.EMA | None:
        """The average of those networks that generate with averaged weights: `optim.EMA(self.generator, decay=0.99)`."""
        return None

    def extra_state(self) -> dict[str, Stateful]:
        """What a run has to keep beside networks, averages and optimizers, by name."""
        return {}

    def before_step(self) -> Sequence[Callable[[], Any]]:
        """What to call before each step (see `before` of :class:`minigan.Game`)."""
        return ()

    def after_step(self) -> Sequence[Callable[[], Any]]:
        """What to call after each step, behind the average's update (see `after` of :class:`minigan.Game`)."""
        return ()

    @classmethod
    def trains_on(cls, config: Any, data: Mapping[str, Any]) -> np.ndarray | None:
        """Which rows of a data set the model is trained on, (k,) whole numbers; None, the default, for all.

        The others are never in a batch, and samples are compared with these alone: for what is to be judged on examples that were
        held out. A function of its arguments only, so that a run that goes on, or is evaluated, finds the same rows.

        Args:
            config: of the run. data: the set's examples (an array, or `data.Pixels`) and labels, by the names in `needs`.
        """
        return None

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples, as far as they can be drawn: every class in turn, and translations of the examples in `real`."""
        if not self.makes_examples():
            return {}
        given: dict[str, Any] = {
            name: real[c.of][:IMAGES] for name, c in self.conditions.items() if isinstance(c, Examples)
        }
        classes = [c.classes for c in self._bound.values() if isinstance(c, Category) and c.classes <= MOST_COLUMNS]
        columns = classes[0] if classes and not given else None
        count = POINTS if self.facts.shapes and len(self.shape) == 1 else IMAGES
        count = min(map(len, given.values())) if given else math.ceil(count / (columns or 1)) * (columns or 1)
        samples, kind = self.sample(count, **given), kind_in_time(self.needs)
        if fits(samples, kind):
            return {"samples": Picture(samples, kind=kind)}
        return {"samples": Picture(samples, columns)} if can_be_drawn(samples) else {}

    def feed(self, batch: Any, number: int) -> Any:
        """What the game's step gets for the batch of that number (0, 1, 2, ... over the whole run; None without data).

        The place for what is done in plain NumPy, outside of what is recorded: to change a batch, or to make one. A resumed run
        repeats the unbroken one where the result depends on `batch`, `number` and the extra state alone.
        """
        return batch

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """None beside the losses and what they report."""
        return {}

    def checks(self, real: RealData) -> Sequence[Check]:
        """None."""
        return []

    def equilibrium(self) -> Mapping[str, tuple[str, float]]:
        """Unknown."""
        return {}

    # -- what a model's file reads -----------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """Of an example of the data, the first set where there are several."""
        if not self.facts.shapes:
            raise ModelError(f"{self._name}: shape: there is none, needs = {self.needs!r}")
        return next(iter(self.facts.shapes.values()))

    @property
    def classes(self) -> int:
        """How many classes the labels of the data have."""
        if len(self.facts.classes) != 1:
            raise ModelError(f"{self._name}: classes: expected one entry of labels, needs = {self.needs!r}")
        return next(iter(self.facts.classes.values()))

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array, such as examples given to `pictures`, as a tensor where the networks are."""
        return Tensor(backend.to_device(np.asarray(array), self.device))

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside the block the networks have their averaged weights and are in evaluation mode, and build no graph."""
        inside = [module for network in self.modules.values() for _, module in network.modules()]
        modes = [module.training for module in inside]
        with self.averages.applied() if self.averages else contextlib.nullcontext():
            try:
                for network in self.modules.values():
                    network.eval()
                with no_grad():
                    yield
            finally:
                for module, mode in zip(inside, modes, strict=True):
                    module.training = mode

    # -- what the trainer calls --------------------------------------------------------------------------------------
    def sample(self, n: int, *, seed: int | None = None, **conditions: Any) -> np.ndarray:
        """n examples, a pure function of the weights, `seed` (default: the run's) and what is asked for: (n, ...)
        float32, or int64 of tokens.

        Made `chunk` at a time, in evaluation mode and with averaged weights; the first examples do not depend on n.

        Raises:
            ValueError: an unknown condition, or a value that is out of its range.
            NotImplementedError: the model makes no examples.
        """
        asked = self._asked(conditions)
        seed = self.config.seed if seed is None else seed
        parts = []
        with self.evaluating(), self.random.apart(seed, "samples"):
            for start in range(0, max(n, 1), self.chunk):
                self.random.advance(start // self.chunk)
                parts.append(self._made(start, min(self.chunk, n - start), asked))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _made(self, start: int, count: int, asked: Mapping[str, np.ndarray]) -> np.ndarray:
        given = {}
        for name, condition in self._bound.items():
            if name in asked:
                rows = asked[name][np.arange(start, start + count) % len(asked[name])]
            else:
                rows = condition.default(start, count, self.random, f"condition {name}")
            given[name] = Tensor(backend.to_device(condition.tensor_rows(rows), self.device))
        made = self.generate(count, **given)
        if not isinstance(made, Tensor) or made.ndim < 2 or len(made) != count:
            what = f"a tensor {made.shape}" if isinstance(made, Tensor) else f"{type(made).__name__}"
            raise ModelError(f"{self._name}.generate({count}) returned {what}, expected a tensor ({count}, ...)")
        return backend.to_numpy(made.data).astype(np.int64 if kind_in_time(self.needs) == "tokens" else np.float32)

    def _asked(self, conditions: Mapping[str, Any]) -> dict[str, np.ndarray]:
        found = {}
        for name, value in conditions.items():
            if name not in self._bound:
                raise ValueError(f"unknown condition {name!r}; known: {', '.join(self._bound) or 'none'}")
            try:
                found[name] = self._bound[name].check(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return found

    def parse_condition(self, name: str, text: str) -> Any:
        """A condition's value from the command line. Raises ValueError, as :meth:`sample` does."""
        if name not in self._bound:
            close = difflib.get_close_matches(name, self._bound, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"unknown condition {name!r}{hint} Known: {', '.join(self._bound) or 'none'}")
        try:
            value = self._bound[name].parse(text)
            self._bound[name].check(value)
            return value
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _stateful(self) -> dict[str, Stateful]:
        """Everything with a state of its own, by the head of its names in :meth:`state`."""
        averages = {"average": self.averages} if self.averages else {}
        extra = {f"extra/{name}": part for name, part in self.extra.items()}
        return {**self.modules, **averages, **extra, "game": self.game}

    def state(self) -> dict[str, np.ndarray]:
        """Everything a resumed run needs: weights, averages, extra state, optimizers, the step. A flat dict of arrays."""
        return {f"{head}/{k}": v for head, part in self._stateful().items() for k, v in part.state().items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned.

        Raises:
            ValueError: names or shapes that do not belong to this model and configuration.
        """
        parts = self._stateful()
        if strange := [name for name in state if not name.startswith(tuple(f"{head}/" for head in parts))]:
            raise ValueError(f"load_state: the model has no {strange[0]!r} ({len(strange)} such names)")
        for head, part in parts.items():
            own = f"{head}/"
            part.load_state({k[len(own) :]: v for k, v in state.items() if k.startswith(own)})

    # -- checks ------------------------------------------------------------------------------------------------------
    @property
    def _name(self) -> str:
        return type(self).__name__

    def _parts(self, method: str, kind: type) -> dict[str, Any]:
        """What `networks` or `extra_state` makes, checked, and kept as attributes."""
        made = getattr(self, method)()
        good = isinstance(made, dict) and all(isinstance(part, kind) for part in made.values())
        if not good or (method == "networks" and not made):
            raise ModelError(f"{self._name}.{method}() returned {made!r}, expected a dict of names to {kind.__name__}s")
        for name, part in made.items():
            if not isinstance(name, str) or not name.isidentifier() or name in HEADS or hasattr(self, name):
                raise ModelError(
                    f"{self._name}.{method}(): got the name {name!r}, expected an identifier that is no attribute yet"
                )
            setattr(self, name, part)
        return made

    def _averages(self) -> optim.EMA | None:
        made = self.average()
        if made is not None and not isinstance(made, optim.EMA):
            raise ModelError(
                f"{self._name}.average() returned {made!r:.60}, expected optim.EMA(network, decay=...), or None"
            )
        return made

    def _players(self) -> Sequence[Player] | Sequence[Phase]:
        made = self.players()
        if not isinstance(made, (list, tuple)) or not made or not all(isinstance(p, (Player, Phase)) for p in made):
            raise ModelError(f"{self._name}.players() returned {made!r}, expected a list of Players, or of Phases")
        return made
