"""GAN losses as pairs, on logits.

A logit is l = log D / (1 - D), so -log D = softplus(-l) and -log(1 - D) = softplus(l): no probability is ever formed, and
every value and derivative is finite for |l| up to 1e30. Both losses of a pair are minimised, each by its own player.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minigan import ops
from minigan.autodiff import Tensor


class Pair(NamedTuple):
    """What each player minimises: `discriminator(real_logits, fake_logits)` and `generator(fake_logits)`."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) = E softplus(-l_real) + E softplus(l_fake)  (Goodfellow et al. 2014, arXiv
    1406.2661, eq. 1, negated). At D = 1/2 it is log 4."""
    return ops.mean_softplus(real_logits, sign=-1) + ops.mean_softplus(fake_logits)


def saturating(fake_logits: Tensor) -> Tensor:
    """E log(1 - D(G(z))) = -E softplus(l_fake): the generator's half of the zero-sum game (ibid., eq. 1). Its derivative in a
    logit is -D, which vanishes where fakes are rejected with confidence."""
    return -ops.mean_softplus(fake_logits)


def heuristic(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)) = E softplus(-l_fake): the non-saturating loss (ibid., section 3). Its derivative in a logit is D - 1,
    largest where fakes are rejected. At D = 1/2 it is log 2."""
    return ops.mean_softplus(fake_logits, sign=-1)


minimax = Pair(cross_entropy, saturating)
non_saturating = Pair(cross_entropy, heuristic)

PAIRS = {"minimax": minimax, "non_saturating": non_saturating}


def bce_with_logits(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross entropy between labels in [0, 1] and sigmoid(logits); targets broadcast to the logits."""
    logits = ops.as_tensor(logits)
    return ops.bce_with_logits(logits, ops.broadcast_to(ops.cast(target, dtype=logits.dtype), logits.shape)).mean()
