"""Proximal policy optimisation (Schulman, Wolski, Dhariwal, Radford, Klimov 2017, arXiv 1707.06347), for choices of actions.

A policy acts for a while. With q the ratio of an action's probability now and when it was made, A its advantage,

    policy  minimises  -E min(q A, clip(q, 1 - eps, 1 + eps) A) - entropy H       (ibid., eq. 7, 9)
    V       minimises  E (V(s) - (A + V_then(s)))^2

in several updates on the same steps: where q has left [1 - eps, 1 + eps] to the good, there is nothing more to gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigan import losses, ops
from minigan.autodiff import Tensor
from minigan.gans.acting import Carts, Steps
from minigan.gans.options import Config, option

Numbers = Callable[[np.ndarray], np.ndarray]


class Says(NamedTuple):
    """What is asked while a policy acts: its logits (M, K) and values (M, 1) of states (M, 4), and what pairs of a state and an
    action are paid (M,)."""

    logits: Numbers
    value: Numbers
    paid: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class PPOConfig(Config):
    """The options of a policy that acts."""

    carts: int = option(8, "carts that act at once (Schulman 2017, arXiv 1707.06347, algorithm 1: actors)", low=1)
    acts: int = option(128, "steps that each cart acts before the players move (ibid.: T)", low=2)
    updates: int = option(10, "updates of policy and V on these (ibid.: epochs)", low=1)
    gamma: float = option(0.99, "discount (Schulman 2015, arXiv 1506.02438)", low=0.0, high=1.0)
    lam: float = option(0.95, "lambda of the advantages (ibid., eq. 16)", low=0.0, high=1.0)
    clip: float = option(0.2, "eps (Schulman 2017, arXiv 1707.06347, eq. 7)", low=0.0, high=1.0)
    entropy: float = option(1e-3, "weight of the policy's entropy (ibid., eq. 9)", low=0.0)


def advantages(
    steps: Steps, reward: np.ndarray, v: np.ndarray, v_after: np.ndarray, gamma: float, lam: float
) -> np.ndarray:
    """Generalised advantages (Schulman et al. 2015, arXiv 1506.02438, eq. 16), all arrays (T, N):

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t),    A_t = delta_t + gamma lam A_{t+1}.

    Behind a failure there is no value; an episode that is only cut off, after 500 steps, keeps V(s_{t+1}) and ends the sum.
    """
    delta = reward + gamma * np.where(steps.failed, 0.0, v_after) - v
    found, later = np.empty_like(delta), np.zeros(delta.shape[1])
    for t in range(len(delta) - 1, -1, -1):
        found[t] = later = delta[t] + gamma * lam * np.where(steps.ended[t], 0.0, later)
    return found


def acted(world: Carts, config: Any, number: int, says: Says) -> dict[str, np.ndarray]:
    """Steps of all carts in a row, as a batch: states s (M, 4), actions a (M,), the log-probability `old` of each, its advantage
    `gain` (mean 0, variance 1), what V should say, `target` (M, 1), and `reward` (M,). number: of the draws."""
    draw = np.random.default_rng([config.seed % 2**63, number])

    def chosen(state: np.ndarray) -> np.ndarray:
        scores = says.logits(state)
        return (scores + draw.gumbel(size=scores.shape)).argmax(axis=1)

    steps = world.act(chosen, config.acts)
    s, after, a = steps.state.reshape(-1, 4), steps.after.reshape(-1, 4), steps.action.reshape(-1)
    asked = says.value(s), says.value(after), says.paid(s.astype(np.float32), a)
    v, v_after, reward = (found.reshape(steps.action.shape).astype(np.float64) for found in asked)
    gain, scores = advantages(steps, reward, v, v_after, config.gamma, config.lam), says.logits(s)
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    found = {
        "s": s, "old": np.take_along_axis(log_p, a[:, None], axis=1)[:, 0], "reward": reward.reshape(-1),
        "gain": ((gain - gain.mean()) / (gain.std() + 1e-8)).reshape(-1), "target": (gain + v).reshape(-1, 1),
    }  # fmt: skip
    return {"a": a, **{name: part.astype(np.float32) for name, part in found.items()}}


def policy_loss(logits: Tensor, b: Any, *, eps: float, entropy: float) -> tuple[Tensor, dict[str, Tensor]]:
    """-E min(q A, clip(q) A) - entropy H; H is reported."""
    log_p = ops.log_softmax(logits)
    q = ops.exp(ops.log_prob(logits, b.a) - b.old)
    kept = ops.minimum(q * b.gain, ops.clip(q, 1 - eps, 1 + eps) * b.gain)
    unsure = -ops.mean(ops.sum(ops.exp(log_p) * log_p, axis=1))
    return -ops.mean(kept) - entropy * unsure, {"entropy": unsure}


def value_loss(values: Tensor, b: Any) -> Tensor:
    """E (V(s) - target)^2."""
    return losses.mse(values, b.target)
