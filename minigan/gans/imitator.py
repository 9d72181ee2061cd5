"""What models have in common that imitate one who balances a pole: demonstrations, films, and how long the pole is up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.autodiff import Tensor
from minigan.data import cartpole
from minigan.gans.acting import Policy, films, shown, up
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.options import option
from minigan.gans.ppo import PPOConfig
from minigan.gans.protocol import Histogram, Picture, Unsuitable

EPISODES, LIVE = 100, 20  # that checks look at; while training
FRAME, RATE = 5, 20.0  # of films: steps a picture, pictures a second


@dataclass(frozen=True, kw_only=True)
class ImitatorConfig(PPOConfig):
    """The options of demonstrations, beside those of acting."""

    data: str = option("cartpole_expert", "states and actions of an expert")
    demonstrations: int = option(1, "episodes of the expert, of 25 examples each (Ho 2016, arXiv 1606.03476)", low=1)


class Imitator(Model):
    """A model whose `policies` balance a pole, or not."""

    family = "control"
    lesson = "25_gradients_through_choices_and_time"
    needs = {"x": "points", "y": "labels"}  # noqa: RUF012
    best = "max policy_return"

    @abstractmethod
    def policies(self, seed: int) -> dict[str, Policy]:
        """By name: "policy", what was learned by the game, "clone" by cloning, and "chance"."""

    def prepare(self) -> None:
        """Raises Unsuitable: other data."""
        if self.shape != (4,) or self.classes != 2 or self.facts.units:
            raise Unsuitable(f"data: got {self.config.data!r}, expected states (4) and two actions: cartpole_expert")

    @classmethod
    def trains_on(cls, config: Any, data: Mapping[str, Any]) -> np.ndarray:
        """The first demonstrations."""
        return np.arange(min(len(data["y"]), config.demonstrations * cartpole.EPISODE))

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n states, each of a time of its own in an episode of the policy."""
        begin = cartpole.BEGIN * (2 * self.random.uniform((n, 4), stream="begin").numpy() - 1)
        when = self.random.integers((n,), high=cartpole.LIMIT, stream="when").numpy()
        seen = films(self.policies(0)["policy"], begin, every=1)[0]
        return self.tensor(seen[np.arange(n), when].astype(np.float32))

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """For how many steps of 500 a pole is up."""
        policies, seed = self.policies(self.config.seed), self.config.seed
        return {f"{name}_return": up(policies[name], LIVE, seed) for name in ("policy", "clone")}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """The states that the policy visits; and a film of an episode by chance, by the clone, by the policy, from one start."""
        film = shown(self.policies(self.config.seed).values(), self.config.seed, every=FRAME)
        return {**super().pictures(real), "film": Picture(film, kind="video", rate=RATE)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """How long poles are up, of the time they are by the expert."""
        expert = up(cartpole.expert, EPISODES, real.seed)
        share = {name: up(p, EPISODES, real.seed) / expert for name, p in self.policies(real.seed).items()}
        return [
            Check("return, of the expert's", share["policy"], ">= 0.95"),
            Check("return of the clone, of the expert's", share["clone"], "< 0.95", "else no game is needed"),
            Check("return of chance, of the expert's", share["chance"], "< 0.2"),
        ]
