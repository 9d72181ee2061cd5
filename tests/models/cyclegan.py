"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593) on points: four networks, two unpaired sets, and a pool of earlier fakes."""

from dataclasses import dataclass

import numpy as np

from minigan import Player, effect, losses, nn, ops, optim, tensor
from minigan.data.base import stream
from minigan.gans import Config, Examples, Model, Picture, option


@dataclass(frozen=True, kw_only=True)
class CycleConfig(Config):
    data: str = option("a=ring8,b=moons", "two sets of points")
    width: int = option(16, "hidden units", low=1)
    pool: int = option(32, "earlier fakes that are kept", low=1)


class Pool:
    """With probability 1/2 each fake is exchanged for an earlier one (Shrivastava et al. 2016, arXiv 1612.07828)."""

    def __init__(self, size, features, seed):
        self.kept, self.seed, self.draws = np.zeros((size, features), np.float32), seed, np.array(0)

    def exchange(self, out, fake):
        draw = stream(self.seed, f"pool/{self.draws}")
        self.draws += 1
        places = draw.integers(len(self.kept), size=len(fake))
        swap = draw.random(len(fake)) < 0.5
        out[...] = np.where(swap[:, None], self.kept[places], fake)
        self.kept[places[swap]] = fake[swap]

    def state(self):
        return {"kept": self.kept.copy(), "draws": self.draws.copy()}

    def load_state(self, state):
        self.kept[...], self.draws[...] = state["kept"], state["draws"]


def perceptron(inputs, width, outputs):
    return nn.Sequential(nn.Dense(inputs, width, activation="leaky_relu"), nn.Dense(width, outputs))


class CycleGAN(Model):
    Config = CycleConfig
    needs = {"a": "points", "b": "points"}  # noqa: RUF012
    conditions = {"a": Examples("a")}  # noqa: RUF012

    def networks(self):
        d, width = 2, self.config.width
        return {
            "AB": perceptron(d, width, d), "BA": perceptron(d, width, d),
            "DA": perceptron(d, width, 1), "DB": perceptron(d, width, 1),
        }  # fmt: skip

    def extra_state(self):
        return {"pool_a": Pool(self.config.pool, 2, 1), "pool_b": Pool(self.config.pool, 2, 2)}

    def players(self):
        return [
            Player("D", self.d_loss, optim.Adam({"DA": self.DA, "DB": self.DB}, lr=1e-3, beta1=0.5)),
            Player("G", self.g_loss, optim.Adam({"AB": self.AB, "BA": self.BA}, lr=1e-3, beta1=0.5)),
        ]

    def generate(self, n, a):
        return self.AB(a)

    def pictures(self, real):
        there = self.sample(len(real["a"]), a=real["a"])
        with self.evaluating():
            back = self.BA(tensor(there)).numpy()
        return {"samples": Picture(there), "cycle": Picture(back)}

    def pooled(self, pool, fake):
        out = tensor(np.zeros(fake.shape, np.float32))
        effect(pool.exchange, out, fake)
        return out

    def d_loss(self, b):
        pair = losses.least_squares()
        fake_a, fake_b = self.pooled(self.pool_a, self.BA(b.b)), self.pooled(self.pool_b, self.AB(b.a))
        return pair.discriminator(self.DA(b.a), self.DA(fake_a)) + pair.discriminator(self.DB(b.b), self.DB(fake_b))

    def g_loss(self, b):
        pair = losses.least_squares()
        fake_b, fake_a = self.AB(b.a), self.BA(b.b)
        cycle = ops.mean(ops.abs(self.BA(fake_b) - b.a)) + ops.mean(ops.abs(self.AB(fake_a) - b.b))
        return pair.generator(self.DB(fake_b)) + pair.generator(self.DA(fake_a)) + 10.0 * cycle, {"cycle": cycle}
