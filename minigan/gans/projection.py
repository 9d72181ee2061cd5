"""The GAN with a projection discriminator (Miyato, Koyama 2018, arXiv 1802.05637): the class enters D as an inner product.

    z (64) --> G --> image             y (10) --> V: a vector a class --+
               ^                                                        <., .> --+
    y (10): maps before       x (28 x 28) --> trunk phi --+-------------+        + --> logit
            each layer                                    +--> psi: a number ----+

The logit of an optimal D of the pair (x, y) is log p(x, y) / q(x, y) = log p(y | x) / q(y | x) + log p(x) / q(x). Where both
posteriors are softmax models over one feature phi(x), the first term is <V_y, phi(x)> up to a function of x: (ibid., eq. 4)

    f(x, y) = <V_y, phi(x)> + psi(phi(x)).

The losses are the hinge's (ibid., eq. 8, 9; Lim, Ye 2017, arXiv 1705.02894), and all weights of D but V spectrally normalised:

    D minimises  E max(0, 1 - f(x, y)) + E max(0, 1 + f(G(z, y), y))          G minimises  -E f(G(z, y), y)

At the optimum f = sign(p - q), and D's loss is 2 - 2 TV(p, q) <= 2, with equality where q = p.

What goes wrong: nothing seems to happen for some hundred steps, until phi separates classes; a collapsed class shows in the
diversity only. The paper makes five updates of D a step; one is enough for digits. In the paper G is told the class by the gains
and offsets of its batch norms, and V is normalised, too: with Adam's steps a gain of 1 takes thousands of them to change by much,
and |V| = 1 lets classes count for little, so that after 1,200 steps G draws digits of any class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops
from minigan.autodiff import Tensor
from minigan.gans.conditional import ClassConditional, ConditionalConfig
from minigan.gans.images import Down, Up
from minigan.gans.options import again


@dataclass(frozen=True, kw_only=True)
class ProjectionConfig(ConditionalConfig):
    """The options of the projection GAN."""

    lr: float = again(ConditionalConfig, "lr", 1e-3)


class Projection(ClassConditional):
    """Class vectors in D, class maps in G."""

    Config = ProjectionConfig
    summary = "GAN with a projection discriminator (Miyato, Koyama 2018)"
    least_accuracy = 0.96
    trunk: nn.Module
    vectors: nn.Module
    psi: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, classes = self.config, self.classes
        trunk = nn.spectral(Down(self.shape, config.features, dropout=config.dropout, norm=False))
        return {
            "generator": Up(config.latent, self.shape, config.features, maps=classes),
            "trunk": trunk,
            "vectors": nn.Dense(classes, trunk.outputs, bias=False),
            "psi": nn.spectral(nn.Dense(trunk.outputs, 1)),
        }

    def scores(self, x: Tensor, y: Tensor) -> Tensor:
        """f(x, y) (N, 1)."""
        phi = self.trunk(x)
        return ops.sum(self.vectors(y) * phi, axis=1, keepdims=True) + self.psi(phi)

    def discriminator_loss(self, b: Any) -> Tensor:
        """E max(0, 1 - f(x, y)) + E max(0, 1 + f(G(z, y), y))."""
        n, both = len(b), ops.concatenate([b.x, self.generate(len(b), b.y)])  # one step of power iteration for both
        scores = self.scores(both, ops.concatenate([b.y, b.y]))
        return losses.hinge.discriminator(scores[:n], scores[n:])

    def generator_loss(self, b: Any) -> Tensor:
        """-E f(G(z, y), y)."""
        return losses.hinge.generator(self.scores(self.generate(len(b), b.y), b.y))

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The mean score of real images with their label and with the next one: the difference is what the projection adds."""
        with self.evaluating():
            right, wrong = self.with_labels_right_and_wrong(self.scores, real)
            return {"score_right_label": right.mean().item(), "score_wrong_label": wrong.mean().item()}
