"""The Dirac-GAN: the smallest GAN, on which every loss and regulariser can be solved with pen and paper.

Data: all at 0. Generator: all at theta. Discriminator: D(x) = psi x, a logit (Mescheder et al. 2018, arXiv 1801.04406,
definition 2.1). The players are (theta, psi), in this order, and the rest point wanted is (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import ops, penalties
from minigan.autodiff import Tensor
from minigan.losses import PAIRS, Pair, relativistic_average
from minigan.theory import dynamics
from minigan.theory.arrays import plain, tensor_of

REGULARIZERS = ("none", "r1", "r2", "r1_r2", "gradient_penalty", "instance_noise", "consensus")


@dataclass(frozen=True, kw_only=True)
class DiracGAN:
    """A loss and a regulariser on the smallest GAN.

    Args:
        loss: a name ("minimax", "non_saturating", "wasserstein", "hinge", "least_squares", "least_squares_pearson",
            "relativistic", "relativistic_average") or a :class:`minigan.losses.Pair`.
        regularizer: what is added.

            - "r1", "r2": gamma/2 psi^2, the squared slope of D at the data or at the fakes; "r1_r2": both
            - "gradient_penalty": gamma (|psi| - target)^2 (WGAN-GP), target >= 0; it has a kink at psi = 0 unless target is 0
            - "instance_noise": data N(0, sigma^2) and fakes N(theta, sigma^2) (Sonderby et al. 2016, arXiv 1610.04490)
            - "consensus": gamma/2 |v|^2 for both players (`dynamics.consensus_losses`)
        gamma, sigma, target: the strengths above.
        clip: WGAN's weight clipping: |psi| <= clip after every step; None for none. It is no loss: :meth:`path` applies it.
        nodes: of Gauss-Hermite quadrature for the noise.

    Raises:
        ValueError: an unknown name, a negative strength.

    Attributes:
        losses: (L_G, L_D), functions of (theta, psi): a game for every function of `minigan.theory.dynamics`.
    """

    loss: str | Pair = "non_saturating"
    regularizer: str = "none"
    gamma: float = 1.0
    sigma: float = 1.0
    target: float = 1.0
    clip: float | None = None
    nodes: int = 10

    def __post_init__(self) -> None:
        if isinstance(self.loss, str) and self.loss not in PAIRS:
            raise ValueError(f"DiracGAN: got loss {self.loss!r}, expected a Pair or one of {tuple(PAIRS)}")
        if self.regularizer not in REGULARIZERS:
            raise ValueError(f"DiracGAN: got regularizer {self.regularizer!r}, expected one of {REGULARIZERS}")
        for name in ("gamma", "sigma", "target", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"DiracGAN: got {name} {value}, expected a finite number >= 0")
        if self.regularizer == "instance_noise" and self.pair is relativistic_average:
            raise ValueError(
                "DiracGAN: got loss 'relativistic_average' with instance noise, whose means are over the noise too; take "
                "'relativistic'"
            )
        if self.nodes < 1:
            raise ValueError(f"DiracGAN: got {self.nodes} nodes, expected at least 1")

    @property
    def pair(self) -> Pair:
        """The two losses, as functions of logits."""
        return PAIRS[self.loss] if isinstance(self.loss, str) else self.loss

    @property
    def losses(self) -> list[dynamics.Loss]:
        """[L_G, L_D], functions of (theta, psi)."""
        own: list[dynamics.Loss] = [self._generator_loss, self._discriminator_loss]
        return dynamics.consensus_losses(own, gamma=self.gamma) if self.regularizer == "consensus" else own

    def field(self, theta: Any, psi: Any) -> Any:
        """(d theta/dt, d psi/dt) = (-dL_G/d theta, -dL_D/d psi)."""
        return dynamics.vector_field(self.losses, (theta, psi))

    def jacobian(self, theta: Any = 0.0, psi: Any = 0.0) -> Any:
        """The Jacobian of the field, (2, 2); at the rest point unless told otherwise.

        Raises:
            ValueError: at psi = 0 with a gradient penalty of target > 0, where the field jumps.
        """
        if self.regularizer == "gradient_penalty" and self.gamma and self.target and not np.all(plain(tensor_of(psi))):
            raise ValueError(
                f"DiracGAN: got psi = 0 with a gradient penalty of target {self.target}, where the field jumps and has no "
                "Jacobian; take the rest point of the penalty, psi = +-target, or target=0"
            )
        return dynamics.game_jacobian(self.losses, (theta, psi))

    def eigenvalues(self, theta: Any = 0.0, psi: Any = 0.0) -> np.ndarray:
        """The two eigenvalues of the Jacobian."""
        return dynamics.eigenvalues(self.jacobian(theta, psi))

    def path(
        self, rule: dynamics.Rule, theta: float, psi: float, *, steps: int, step: dynamics.Step, **options: Any
    ) -> np.ndarray:
        """The points (theta, psi) under a rule of `dynamics`, clipped after each step where `clip` is set: (steps + 1, 2)."""
        project = None if self.clip is None else self._clipped
        return dynamics.iterate(rule, self.losses, (theta, psi), steps=steps, step=step, project=project, **options)

    def _clipped(self, theta: Any, psi: Any) -> tuple[Any, Any]:
        return theta, ops.clip(psi, -self.clip, self.clip) if self.clip is not None else psi

    # -- the losses ------------------------------------------------------------------------------------------------------
    def _generator_loss(self, theta: Tensor, psi: Tensor) -> Tensor:
        return self._expected(lambda real, fake: self.pair.generator(fake, real), theta, psi)

    def _discriminator_loss(self, theta: Tensor, psi: Tensor) -> Tensor:
        return self._expected(self.pair.discriminator, theta, psi) + self._penalty(theta, psi)

    def _penalty(self, theta: Tensor, psi: Tensor) -> Tensor | float:
        def critic(x: Tensor) -> Tensor:
            return psi * x

        real, fake = Tensor(np.zeros((1, 1), theta.dtype)), ops.reshape(theta, (1, 1))
        if self.regularizer == "gradient_penalty":
            penalty = penalties.gradient_penalty(critic, real, fake, uniform=0.5, target=self.target)
            return self.gamma * penalty
        at_data = penalties.r1(critic, real, gamma=self.gamma) if self.regularizer in ("r1", "r1_r2") else 0.0
        at_fakes = penalties.r2(critic, fake, gamma=self.gamma) if self.regularizer in ("r2", "r1_r2") else 0.0
        return at_data + at_fakes

    def _expected(self, loss: Callable[[Tensor, Tensor], Tensor], theta: Tensor, psi: Tensor) -> Tensor:
        """E loss(D(x), D(y)) over a real x and a fake y."""
        if self.regularizer != "instance_noise":
            return loss(psi * 0.0, psi * theta)
        points, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        noise, chance = self.sigma * points, weights / math.sqrt(2 * math.pi)
        return ops.sum(ops.stack([p * loss(psi * x, psi * (theta + y)) for x, y, p in _draws(loss, noise, chance)]))


def _draws(loss: Any, noise: np.ndarray, chance: np.ndarray) -> list[tuple[float, float, float]]:
    """(noise of the real, noise of the fake, probability). A sum of a loss of the real and one of the fake needs each one's
    law only, so one noise serves both; a relativistic loss needs all pairs of independent noises."""

    def at(real: float, fake: float) -> float:
        return float(loss(ops.as_tensor(real), ops.as_tensor(fake)).item())

    if math.isclose(at(0.3, -0.7) + at(0.9, 0.4), at(0.3, 0.4) + at(0.9, -0.7), rel_tol=1e-5, abs_tol=1e-6):
        return [(x, x, p) for x, p in zip(noise.tolist(), chance.tolist(), strict=True)]
    both = zip(noise.tolist(), chance.tolist(), strict=True)
    return [(x, y, p * q) for x, p in list(both) for y, q in zip(noise.tolist(), chance.tolist(), strict=True)]
