"""The conditional GAN (Mirza, Osindero 2014, arXiv 1411.1784): generator and discriminator are both told the class.

    z (64) --+                       x (28 x 28) --+
             +--> G --> image                      +--> D --> logit of "a real image of class y"
    y (10) --+   y joined as maps    y (10) -------+   y joined as maps to what each layer of the trunk reads

The game is Goodfellow's for each class (ibid., eq. 2):

    min_G max_D  E log D(x | y) + E log(1 - D(G(z | y) | y))

with y drawn as in the data, and the non-saturating loss for G. At the optimum D(x | y) = p(x | y) / (p(x | y) + q(x | y)), and
the value is 2 E_y JSD(p(. | y), q(. | y)) - log 4: every class is matched by itself.

What goes wrong: where G outruns D, as it does a D without batch norm, classes stay mixed (see `images.py`); D can tell a fake
by its quality alone and not look at y, so for some hundred steps G does not either; a class may shrink to one picture, which no
class accuracy shows; and one step's weights favour some classes, so they are averaged. Batch norm must sample by its running
statistics: by those of a batch of one class, that class is normalised away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan import losses, nn, ops
from minigan.autodiff import Tensor
from minigan.gans.conditional import ClassConditional
from minigan.gans.images import Down, Up


class CGAN(ClassConditional):
    """Both players get y as maps."""

    summary = "conditional GAN (Mirza, Osindero 2014)"
    trunk: nn.Module
    head: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, classes = self.config, self.classes
        trunk = Down(self.shape, config.features, maps=classes, dropout=config.dropout)
        return {
            "generator": Up(config.latent, self.shape, config.features, maps=classes),
            "trunk": trunk,
            "head": nn.Dense(trunk.outputs, 1, init="normal"),
        }

    def logits(self, x: Tensor, y: Tensor) -> Tensor:
        """log D / (1 - D) of the pairs (x, y)."""
        return self.head(self.trunk(x, y))

    def discriminator_loss(self, b: Any) -> Tensor:
        """-E log D(x | y) - E log(1 - D(G(z | y) | y))."""
        fakes = self.generate(len(b), b.y)
        return losses.non_saturating.discriminator(self.logits(b.x, b.y), self.logits(fakes, b.y))

    def generator_loss(self, b: Any) -> Tensor:
        """-E log D(G(z | y) | y)."""
        return losses.non_saturating.generator(self.logits(self.generate(len(b), b.y), b.y))

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """What D thinks of real images with their label and with the next one: the difference says how much it looks at y."""
        with self.evaluating():
            right, wrong = self.with_labels_right_and_wrong(self.logits, real)
            return {
                "D_right_label": ops.sigmoid(right).mean().item(),
                "D_wrong_label": ops.sigmoid(wrong).mean().item(),
            }
