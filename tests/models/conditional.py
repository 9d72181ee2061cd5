"""A conditional GAN (Mirza, Osindero 2014, arXiv 1411.1784): both players are told the class."""

from dataclasses import dataclass

from minigan import Player, losses, nn, ops, optim
from minigan.gans import Config, Label, Model, option


@dataclass(frozen=True, kw_only=True)
class ConditionalConfig(Config):
    data: str = option("ring8", "a labelled set of points")
    width: int = option(16, "hidden units", low=1)


def perceptron(inputs, width, outputs):
    return nn.Sequential(nn.Dense(inputs, width, activation="leaky_relu"), nn.Dense(width, outputs))


class Conditional(Model):
    Config = ConditionalConfig
    summary = "conditional GAN of points"
    needs = {"x": "points", "y": "one-hot"}  # noqa: RUF012
    conditions = {"label": Label("y")}  # noqa: RUF012

    def networks(self):
        (features,), width = self.shape, self.config.width
        return {"G": perceptron(2 + self.classes, width, features), "D": perceptron(features + self.classes, width, 1)}

    def players(self):
        return [Player("D", self.d_loss, optim.Adam(self.D)), Player("G", self.g_loss, optim.Adam(self.G))]

    def generate(self, n, label):
        return self.G(ops.concatenate([self.random.normal((n, 2), stream="z"), label], axis=1))

    def logits(self, x, y):
        return self.D(ops.concatenate([x, y], axis=1))

    def d_loss(self, b):
        fake = self.logits(self.generate(len(b), b.y), b.y)
        return losses.non_saturating.discriminator(self.logits(b.x, b.y), fake)

    def g_loss(self, b):
        return losses.non_saturating.generator(self.logits(self.generate(len(b), b.y), b.y))
