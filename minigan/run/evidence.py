"""What a run shows of its health, gathered once: its files, and what is measured on its newest checkpoint.

Each part that a run has not, or whose model does not allow it, raises :class:`Unmeasured` with the reason when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from minigan import data
from minigan.backend import to_numpy
from minigan.data import DataError
from minigan.gans.conditions import Examples
from minigan.gans.needs import Facts, Supply, names_of_sets
from minigan.gans.options import reading
from minigan.run import building, course, field, lines, sampling
from minigan.run.errors import UsageError, shown
from minigan.run.references import Reference
from minigan.run.rundir import RunDir

SAMPLES = 1000  # samples, and examples of each kind, that are looked at
TRAINING = 10_000  # training examples among which neighbours are looked for
LOGISTIC = (
    "minimax",
    "non_saturating",
    "relativistic",
    "relativistic_average",
)  # losses that are logarithms of probabilities


class Unmeasured(Exception):  # noqa: N818 - it says what a number is
    """A number that this run does not have; the message says why."""


class Evidence:
    """What the symptoms of `minigan.run.symptoms` look at.

    Args:
        folder: of the run. reference, config: its model and settings. facts: of the data it was trained on.
        model: as its newest checkpoint has it; None where there is no checkpoint.
        supply: the run's data, or the reason why there is none.
        beside: reads held-out examples that the user named, in the model's units; None where none were.

    Attributes:
        status: what status.json says. rows: the lines of metrics.jsonl. course: those of course.jsonl.
    """

    def __init__(
        self,
        folder: RunDir,
        reference: Reference,
        config: Any,
        facts: Facts,
        *,
        model: Any = None,
        supply: Supply | str = "",
        beside: Callable[[], np.ndarray] | None = None,
    ) -> None:
        self.reference, self.config, self.facts = reference, config, facts
        self._model, self._supply, self._beside = model, supply, beside
        self.status = folder.read_status()
        self.rows = folder.read_metrics()
        self.course = lines.read(folder.path / course.NAME)
        self._folder = folder

    # -- the run -----------------------------------------------------------------------------------------------------
    @property
    def model(self) -> Any:
        """The model of the newest checkpoint."""
        if self._model is None:
            raise Unmeasured("there is no checkpoint")
        return self._model

    @property
    def reached(self) -> int:
        """The step that status.json tells of; a checkpoint's, where it tells of none."""
        told = self.status.get("step")
        return told if isinstance(told, int) else self.step

    @property
    def step(self) -> int:
        """Of the newest checkpoint; 0 where there is none."""
        return self._model.game.steps if self._model is not None else 0

    @property
    def diverged(self) -> bool:
        """Whether a loss or a weight became NaN or Inf."""
        return self.status.get("state") == "diverged"

    @property
    def logistic(self) -> bool:
        """Whether the losses are logarithms of probabilities."""
        return getattr(self.config, "loss", "") in LOGISTIC

    def losses(self) -> dict[str, np.ndarray]:
        """Each player's mean losses, in the order of the lines; NaN where a line says null."""
        names = [player.name for phase in self.model.game.phases for player in phase.players]
        found = {name: [row[name] for row in self.rows if name in row] for name in names}
        return {
            name: np.array([math.nan if v is None else v for v in column]) for name, column in found.items() if column
        }

    def own_time(self) -> float:
        """Updates in which the quickest player could change its weights by as much as they are: of each optimizer the root mean
        square of its weights over its learning rate at the start, the smallest."""
        found = []
        for optimizer in self.model.game.optimizers().values():
            rate = optimizer.schedule(0)
            squares = [np.square(to_numpy(t.data)).mean() for t in optimizer.parameters.values() if t.ndim > 1]
            if squares:
                found.append(math.sqrt(float(np.mean(squares))) / rate if rate else math.inf)
        return min(found, default=0.0)

    def column(self, name: str) -> np.ndarray:
        """A number of course.jsonl at each drawing; (T, k) for `centre`."""
        found = [row[name] for row in self.course if row.get(name) is not None]
        if len(found) < 2:
            raise Unmeasured(f"{course.NAME} has {len(found)} of the lines that a run writes when it draws samples")
        return np.array(found, np.float64)

    # -- examples ----------------------------------------------------------------------------------------------------
    @cached_property
    def samples(self) -> np.ndarray:
        """(n, ...) samples of the model, finite, in its units."""
        found = self._drawn
        if not np.isfinite(found).all():
            raise Unmeasured("some samples are NaN or Inf")
        return found

    @cached_property
    def _drawn(self) -> np.ndarray:
        given: Mapping[str, Any] = {}
        if any(isinstance(c, Examples) for c in self.reference.model.conditions.values()):
            raise Unmeasured("the model translates examples, and has no samples of its own")
        try:
            return sampling.drawn(self.reference, self.model, SAMPLES, self.config.seed, given)
        except UsageError as error:
            raise Unmeasured(shown(error)) from error

    @property
    def _data(self) -> Supply:
        if isinstance(self._supply, str):
            raise Unmeasured(self._supply)
        return self._supply

    @cached_property
    def _name(self) -> str:
        """Of the data set that samples are like."""
        shape = self.samples.shape[1:]
        names = [name for name, x in self._data.parts.items() if x.shape[1:] == shape and x.dtype == np.float32]
        if len(names) != 1:
            raise Unmeasured("there is no data set that samples are to be like")
        return names[0]

    def _some(self, count: int) -> np.ndarray:
        x = self._data.parts[self._name]
        return np.asarray(x[building.spread(len(x), count)], np.float32)

    @cached_property
    def real(self) -> np.ndarray:
        """Training examples, in the model's units."""
        return self._some(SAMPLES)

    @cached_property
    def training(self) -> np.ndarray:
        """More of them, flattened: (N, d)."""
        return flat(self._some(TRAINING))

    @cached_property
    def modes(self) -> np.ndarray | None:
        """The modes of a mixture (K, d), where the data are one."""
        found = self._data.sets[self._name]
        return None if found.own else found.modes

    @cached_property
    def held_out(self) -> np.ndarray:
        """Real examples that the run was not trained on, in the model's units."""
        if self._beside is not None:
            return self._beside()[:SAMPLES]
        name = names_of_sets(self.config.data, self.reference.model.needs)[self._name]
        try:
            found = data.held_out(name, seed=self.config.seed, n=SAMPLES, **reading(self.config))
        except DataError as error:
            raise Unmeasured(f"there are no held-out examples: {error}") from error
        if found is None:
            raise Unmeasured(
                f"there are no examples of {name} that it was not trained on: give some by --held-out PATH"
            )
        return np.asarray(found.x[:], np.float32)

    # -- the discriminator -------------------------------------------------------------------------------------------
    def scores(self, x: np.ndarray) -> np.ndarray:
        """D(x), in evaluation mode."""
        return self._of_d(lambda: field.scores(self.model, np.ascontiguousarray(x, np.float32)))

    def slopes(self) -> np.ndarray:
        """(n,): for each sample the length of n dL/dx, L the generator's loss."""
        made = self._of_d(lambda: field.directions(self.model, self.samples, self.real))
        return np.linalg.norm(flat(made), axis=1)

    def _of_d(self, measure: Callable[[], np.ndarray]) -> np.ndarray:
        if field.critic_of(self.model) is None or not hasattr(self.model, "evaluating"):
            raise Unmeasured(f"the model has no network called {' or '.join(field.CRITICS)}")
        found, problem = np.empty(0), ""
        with self.reference.blamed():
            try:
                found = measure()
            except (TypeError, ValueError, AttributeError) as error:
                problem = shown(error)
        if problem:
            raise Unmeasured(f"its discriminator is no function of examples alone ({problem})")
        if not np.isfinite(found).all():
            raise Unmeasured("what its discriminator says is NaN or Inf")
        return found


def flat(x: np.ndarray) -> np.ndarray:
    """(N, d)."""
    return np.asarray(x).reshape(len(x), -1)
