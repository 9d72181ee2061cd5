"""InfoGAN (Chen et al. 2016, arXiv 1606.03657): D and Q share a trunk; G and Q maximise the bound on I(c; G(z, c)).

D minimises -E log D(x) - E log(1 - D(G(z, c))),    G and Q minimise -E log D(G(z, c)) - E log Q(c | G(z, c))
"""

from dataclasses import dataclass

import numpy as np

from minigan import Player, losses, nn, ops, optim, tensor
from minigan.gans import Category, Config, Model, Number, option


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(Config):
    data: str = option("ring8", "a set of points")
    codes: int = option(4, "categories", low=2)
    width: int = option(16, "hidden units", low=1)


class InfoGAN(Model):
    Config = InfoGANConfig
    needs = "points"

    @property
    def conditions(self):
        return {"code": Category(self.config.codes, one_hot=True), "slant": Number(-1.0, 1.0)}

    def networks(self):
        (features,), width = self.shape, self.config.width
        trunk = nn.Dense(features, width, activation="leaky_relu")
        return {
            "G": nn.Sequential(nn.Dense(3 + self.config.codes, width, activation="relu"), nn.Dense(width, features)),
            "D": nn.Sequential(trunk, nn.Dense(width, 1)),
            "Q": nn.Sequential(trunk, nn.Dense(width, self.config.codes + 1)),
        }

    def players(self):
        heads = {"G": self.G, "Q": self.Q[1]}
        return [Player("D", self.d_loss, optim.Adam(self.D)), Player("GQ", self.gq_loss, optim.Adam(heads))]

    def generate(self, n, code, slant):
        return self.G(ops.concatenate([self.random.normal((n, 2), stream="z"), code, slant], axis=1))

    def codes(self, n):
        """A category as a row of the unit matrix, and a number in [-1, 1]."""
        k = self.config.codes
        u = self.random.uniform((n, 1), stream="category")
        edges = tensor(np.arange(k, dtype=np.float32) / k)
        code = ops.cast(ops.greater_equal(u, edges), dtype="float32")
        code = code - ops.concatenate([code[:, 1:], code[:, :1] * 0.0], axis=1)
        return code, 2.0 * self.random.uniform((n, 1), stream="number") - 1.0

    def d_loss(self, x):
        fake = self.generate(len(x), *self.codes(len(x)))
        return losses.non_saturating.discriminator(self.D(x), self.D(fake))

    def gq_loss(self, x):
        code, slant = self.codes(len(x))
        fake = self.generate(len(x), code, slant)
        guess = self.Q(fake)
        k = self.config.codes
        cross = -ops.mean(ops.sum(code * ops.log_softmax(guess[:, :k]), axis=1))
        number = ops.mean(ops.square(guess[:, k:] - slant))
        return losses.non_saturating.generator(self.D(fake)) + cross + number, {"information": np.log(k) - cross}
