"""What models with an encoder share: a Gaussian posterior, inputs beside their reconstructions, a code beside its prior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigan import losses, nn, ops
from minigan.autodiff import Tensor
from minigan.gans.protocol import Picture
from minigan.theory.transport import gaussian_kernel, mmd_squared


class Posterior(NamedTuple):
    """q(z | x) = N(mean, diag e^log_var), both (N, d) (Kingma, Welling 2013, arXiv 1312.6114, eq. 9)."""

    mean: Tensor
    log_var: Tensor

    @classmethod
    def of(cls, h: Tensor) -> Posterior:
        """From an encoder's output (N, 2 d): means, then log variances."""
        return cls(*ops.split(h, 2, axis=1))

    def draw(self, noise: Tensor) -> Tensor:
        """z = mean + std noise, noise ~ N(0, I): derivatives reach mean and std (ibid., section 2.4)."""
        return self.mean + ops.exp(0.5 * self.log_var) * noise

    def kl(self) -> Tensor:
        """KL(q || N(0, I)) in nats, the mean over examples (ibid., appendix B)."""
        return losses.gaussian_kl(self.mean, self.log_var)

    def monte_carlo_kl(self, noise: Tensor) -> Tensor:
        """The same by its definition: the mean of log q(z | x) - log p(z) at z = `draw(noise)`, one z an example."""
        z = self.draw(noise)
        return 0.5 * ops.mean(ops.sum(ops.square(z) - ops.square(noise) - self.log_var, axis=1))


def beside(x: np.ndarray, again: np.ndarray, *, pairs: int = 5) -> Picture:
    """Inputs and their reconstructions, `pairs` of them in a row, the input left of what was made of it."""
    return Picture(np.stack([x, again], axis=1).reshape(-1, *x.shape[1:]), 2 * pairs)


def normed(inputs: int, outputs: int, activation: str) -> list[nn.Module]:
    """Dense, batch norm, activation."""
    return [nn.Dense(inputs, outputs, bias=False), nn.BatchNorm(outputs, activation=activation)]


def reconstruction_ratio(x: np.ndarray, again: np.ndarray) -> float:
    """E |x - x~| / E |x - x'|, x' another one of the images: 0 is perfect, 1 as good as any image."""
    return float(np.abs(x - again).mean() / np.abs(x - x[::-1]).mean())


def off_prior(z: np.ndarray, prior: np.ndarray) -> tuple[float, float]:
    """How far codes z (n, d) are from samples of their prior (m, d): (largest |difference| of a mean, a standard deviation or a
    correlation; square root of the unbiased MMD^2, 0 where that is negative).

    The kernel is exp(-|a - b|^2 / 2 d): sqrt(d) is about the distance of a normal vector from its mean.
    """
    gap = max(
        np.abs(z.mean(axis=0) - prior.mean(axis=0)).max(),
        np.abs(z.std(axis=0) - prior.std(axis=0)).max(),
        np.abs(np.corrcoef(z.T) - np.corrcoef(prior.T)).max(),
    )
    mmd = mmd_squared(z.astype(np.float64), prior.astype(np.float64), kernel=gaussian_kernel(z.shape[1] ** 0.5))
    return float(gap), float(np.sqrt(max(float(mmd), 0.0)))
