"""WGAN (Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1): five critic updates a step, each on its own batch, each clipped."""

from dataclasses import dataclass

import numpy as np

from minigan import Player, losses, optim
from minigan.gans import Config, Model, option
from minigan.nn import Dense, Sequential


@dataclass(frozen=True, kw_only=True)
class WGANConfig(Config):
    data: str = option("ring8", "a set of points")
    clip: float = option(0.01, "limit of the critic's weights", low=0.0)
    critic_updates: int = option(5, "critic updates a step", low=1)


class WGAN(Model):
    Config = WGANConfig
    needs = "points"

    def networks(self):
        return {
            "generator": Sequential(Dense(2, 16, activation="relu"), Dense(16, 2)),
            "critic": Sequential(Dense(2, 16, activation="relu"), Dense(16, 1)),
        }

    def players(self):
        clip = optim.weight_clipping(self.critic, self.config.clip)
        return [
            Player(
                "critic", self.critic_loss, optim.RMSProp(self.critic, lr=1e-3),
                updates=self.config.critic_updates, after=[clip],
            ),
            Player("generator", self.generator_loss, optim.RMSProp(self.generator, lr=1e-3)),
        ]  # fmt: skip

    def generate(self, n):
        return self.generator(self.random.normal((n, 2), stream="z"))

    def critic_loss(self, x):
        loss = losses.wasserstein.discriminator(self.critic(x), self.critic(self.generate(len(x))))
        return loss, {"distance": -loss}

    def generator_loss(self, x):
        return losses.wasserstein.generator(self.critic(self.generate(len(x))))

    def metrics(self, real):
        return {"largest_weight": max(float(np.abs(t.numpy()).max()) for t in self.critic.parameters().values())}
