"""Every kind of state that a run can have: optimizers and rules by choice, batch norm, spectral norm, an average, a pool."""

from dataclasses import dataclass

from minigan import Player, data, losses, nn, optim
from minigan.gans import Config, Model, option

OPTIMIZERS = {
    "sgd": lambda net: optim.SGD(net, lr=0.01), "momentum": lambda net: optim.SGD(net, lr=0.01, momentum=0.9),
    "rmsprop": lambda net: optim.RMSProp(net, lr=0.001), "adam": lambda net: optim.Adam(net, lr=0.001, clip_norm=1.0),
    "adamw": lambda net: optim.AdamW(net, lr=optim.cosine(0.001, steps=50)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AnythingConfig(Config):
    data: str = option("ring8", "a set of points")
    optimizer: str = option("adam", "of both players", choices=tuple(OPTIMIZERS))
    width: int = option(8, "hidden units", low=1)
    ema: float = option(0.9, "decay of the average; 0 for none", low=0.0, high=0.999)
    pool: int = option(32, "earlier fakes that the discriminator sees; 0 for none", low=0)
    updates: int = option(1, "discriminator updates a step (alternating)", low=1)


class Anything(Model):
    Config = AnythingConfig
    needs = "points"
    best = "max spread"

    def networks(self):
        width = self.config.width
        generator = nn.Sequential(
            nn.Dense(2, width, bias=False), nn.BatchNorm(width, activation="relu"), nn.Dense(width, 2)
        )
        discriminator = nn.spectral(nn.Sequential(nn.Dense(2, width, activation="leaky_relu"), nn.Dense(width, 1)))
        return {"generator": generator, "discriminator": discriminator}

    def extra_state(self):
        return {"pool": data.Pool(self.config.pool, seed=self.config.seed)}

    def average(self):
        return optim.EMA(self.generator, decay=self.config.ema) if self.config.ema else None

    def players(self):
        make = OPTIMIZERS[self.config.optimizer]
        updates = self.config.updates if self.rule == "alternating" else 1
        return [
            Player("D", self.critic, make(self.discriminator), updates=updates),
            Player(
                "G", lambda x: losses.hinge.generator(self.discriminator(self.generate(len(x)))), make(self.generator)
            ),
        ]

    def critic(self, x):
        fake = self.pool(self.generate(len(x)))
        loss = losses.hinge.discriminator(self.discriminator(x), self.discriminator(fake))
        return loss, {"fakes": fake.mean()}

    def generate(self, n):
        return self.generator(self.random.normal((n, 2), stream="z"))

    def pictures(self, real):
        return {}

    def metrics(self, real):
        return {"spread": float(self.sample(50).std())}


class Simultaneous(Anything):
    rule = "simultaneous"


class Extragradient(Anything):
    rule = "extragradient"
