"""The MLP GAN with few units, for devices that are emulated."""

from __future__ import annotations

import math

from minigan import nn
from minigan.gans.mlp import MLP


class NarrowMLP(MLP):
    """Its layers and its options, 16 units wide."""

    def networks(self) -> dict[str, nn.Module]:
        """See the class."""
        pixels = math.prod(self.shape)
        generator = [*self._hidden(self.config.latent, 16), nn.Dense(16, pixels, activation="tanh")]
        discriminator = [nn.Flatten(), nn.Dense(pixels, 16, activation="leaky_relu"), nn.Dense(16, 1)]
        return {
            "generator": nn.Sequential(*generator, nn.Reshape(*self.shape)),
            "discriminator": nn.Sequential(*discriminator),
        }
