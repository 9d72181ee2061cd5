"""GAIL (Ho, Ermon 2016, arXiv 1606.03476): to imitate what an expert does, D says which states and actions are like the expert's.

    state (4) --> policy --> action --> cart and pole --> next state ...          state --> V
    state, action of the expert, or of the policy --> D --> logit l of "the expert's"
    state of the expert --> clone --> the expert's action                          (beside it: cloning, no game)

The expert left a few (state, action), and says nothing more; the cart's laws are not known, only tried. The game is that of a GAN
over visits rho of states and actions (ibid., eq. 16, with D for their 1 - D), and its reward says how like the expert's they are:

    D       minimises  -E_expert log D - E_policy log(1 - D)
    policy  maximises  E sum over t of gamma^t r_t + entropy H(policy),    r = -log(1 - D(s, a))

At the optimum rho is the expert's. What the environment does has no derivative, so this is a policy gradient, here PPO
(`ppo.py`), with carts that go on acting from step to step (`acting.py`). Cloning needs no steps at all, but is right only where
the expert was: a small mistake leads to where it was never told what to do, and errors add up (Ross, Bagnell 2010). The game sees
where the policy goes.

What goes wrong: r > 0 whatever D says, so each step that the pole is up pays, and here that is the task itself (Kostrikov et al.
2018, arXiv 1809.02925). `reward=logit`, r = l, pays less than nothing to a policy that D can tell from the expert. And D learns a
few states by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans import ppo
from minigan.gans.acting import Carts, Policy, by_chance, surest
from minigan.gans.imitator import Imitator, ImitatorConfig
from minigan.gans.options import option
from minigan.gans.toy import perceptron
from minigan.player import Player
from minigan.switches import no_grad

UNITS = np.array([1.0, 1.0, 0.1, 0.5], np.float32)  # of what networks read
REWARDS = {"positive": "-log(1 - D), as in the paper", "logit": "log D - log(1 - D) (Fu 2017, arXiv 1710.11248)"}


@dataclass(frozen=True, kw_only=True)
class GAILConfig(ImitatorConfig):
    """GAIL's options."""

    steps: int = option(200, "steps of the game, each of all players' updates", low=0)
    batch_size: int = option(25, "examples of the expert a step", low=1)
    width: int = option(32, "units of the two hidden layers of each network (ibid., section 6: 100)", low=1)
    reward: str = option("positive", "what D's verdict pays", choices=REWARDS)
    lr: float = option(2e-3, "Adam's rate of policy, V and clone (Kingma 2014, arXiv 1412.6980)", low=0.0)
    judge_lr: float = option(3e-4, "Adam's rate of D (Kingma 2014, arXiv 1412.6980)", low=0.0)


class GAIL(Imitator):
    """D, the policy with its values, and a clone."""

    Config = GAILConfig
    summary = "an expert imitated by what D cannot tell from it; a pole balanced (Ho, Ermon 2016)"
    world: Carts
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        inputs = {"policy": (4, 2), "value": (4, 1), "discriminator": (6, 1), "clone": (4, 2)}
        return {name: perceptron(i, self.config.width, o, "tanh") for name, (i, o) in inputs.items()}

    def extra_state(self) -> dict[str, Any]:
        """Where the carts are."""
        return {"world": Carts(self.config.carts, self.config.seed)}

    def players(self) -> list[Player]:
        """Each with its own network."""
        config, adam = self.config, lambda name, lr: optim.Adam(self.modules[name], lr=lr)
        return [
            Player("clone", self.clone_loss, adam("clone", config.lr), updates=config.updates),
            Player("discriminator", self.discriminator_loss, adam("discriminator", config.judge_lr)),
            Player(
                "value",
                lambda b: ppo.value_loss(self.of("value", b.s), b),
                adam("value", config.lr),
                updates=config.updates,
            ),
            Player("policy", self.policy_loss, adam("policy", config.lr), updates=config.updates),
        ]

    def of(self, name: str, state: Tensor) -> Tensor:
        """What a network says of states (N, 4)."""
        return self.modules[name](state / ops.cast(UNITS, dtype=state.dtype))

    def verdict(self, state: Tensor, action: Tensor) -> Tensor:
        """D's logit (N, 1)."""
        pair = [state / ops.cast(UNITS, dtype=state.dtype), ops.one_hot(action, 2, dtype=state.dtype)]
        return self.discriminator(ops.concatenate(pair, axis=1))

    def feed(self, batch: Any, number: int) -> Any:
        """Before the first update of a step the policy acts; all updates see what came of it."""
        if number % self.config.updates == 0:
            says = ppo.Says(partial(self.told, "policy"), partial(self.told, "value"), self.paid)
            self.seen = ppo.acted(self.world, self.config, number, says)
        return {**batch, **self.seen}

    def told(self, name: str, state: np.ndarray) -> np.ndarray:
        """What a network says of states."""
        with no_grad():
            return self.of(name, self.tensor(state.astype(np.float32))).numpy()

    def paid(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """r for states and actions (N,)."""
        with no_grad():
            logit = self.verdict(self.tensor(state), self.tensor(action)).numpy()[:, 0]
        return np.logaddexp(0, logit) if self.config.reward == "positive" else logit

    def policies(self, seed: int) -> dict[str, Policy]:
        """Chance, the clone and the policy, which take the likelier action."""
        chosen = {name: surest(partial(self.told, name)) for name in ("clone", "policy")}
        return {"chance": by_chance(seed), **chosen}

    def clone_loss(self, b: Any) -> Tensor:
        """-E_expert log p(a | s): cloning."""
        return losses.cross_entropy(self.of("clone", b.x), b.y)

    def discriminator_loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-E_expert log D - E_policy log(1 - D); what it paid is reported."""
        loss = losses.non_saturating.discriminator(self.verdict(b.x, b.y), self.verdict(b.s, b.a))
        return loss, {"reward": ops.mean(b.reward)}

    def policy_loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The policy's."""
        return ppo.policy_loss(self.of("policy", b.s), b, eps=self.config.clip, entropy=self.config.entropy)
