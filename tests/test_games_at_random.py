"""Games drawn at random, stepped eagerly, replayed, and replayed under check: the same bits, also after a resume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.kernels.cpu import threads
from minigan.random import Source
from minigan.rules import RULES

WIDTH, LATENT, CLASSES = 6, 3, 3

NORMS = {
    "none": lambda: [],
    "batch": lambda: [nn.BatchNorm(WIDTH, activation="leaky_relu")],
    "layer": lambda: [nn.LayerNorm(WIDTH), nn.LeakyReLU(0.2)],
    "group": lambda: [nn.GroupNorm(2, WIDTH), nn.Tanh()],
    "dropout": lambda: [nn.Dropout(0.4)],
    "conv": lambda: [
        nn.Reshape(2, 3, 1),
        nn.Conv(1, 2, 3, activation="leaky_relu"),
        nn.Flatten(),
        nn.Dense(2 * WIDTH, WIDTH),
    ],
    "conv transpose": lambda: [
        nn.Reshape(3, 2),
        nn.ConvTranspose(2, 3, 4, stride=2, axes=1),
        nn.BatchNorm(3, activation="relu"),
        nn.Flatten(),
        nn.Dense(18, WIDTH),
    ],
}
OPTIMIZERS = {
    "sgd": lambda p, lr, **o: optim.SGD(p, lr=lr, momentum=0.6, nesterov=True, **o),
    "rmsprop": lambda p, lr, **o: optim.RMSProp(p, lr=lr, **o),
    "adam": lambda p, lr, **o: optim.Adam(p, lr=lr, beta1=0.5, **o),
    "adamw": lambda p, lr, **o: optim.AdamW(p, lr=lr, **o),
}
SCHEDULES = {
    "number": lambda: 0.02,
    "linear": lambda: optim.linear(0.05, steps=6),
    "cosine": lambda: optim.warm_up(optim.cosine(0.05, steps=9), steps=3),
    "decay": lambda: optim.step_decay(0.05, every=2),
}
PENALTIES = ("none", "r1", "gp", "lazy r1", "dragan")

games = st.fixed_dictionaries(
    {
        "norms": st.tuples(st.sampled_from(sorted(NORMS)), st.sampled_from(["none", "layer", "dropout", "conv"])),
        "loss": st.sampled_from(["non_saturating", "minimax", "hinge", "least_squares", "relativistic", "wasserstein"]),
        "penalty": st.sampled_from(PENALTIES),
        "optimizers": st.tuples(*[st.sampled_from(sorted(OPTIMIZERS))] * 2),
        "schedule": st.sampled_from(sorted(SCHEDULES)),
        "clip": st.sampled_from(
            [{}, {"clip_norm": 0.5}, {"clip_value": 0.01}, {"options": {"layers.0": {"lr": 1e-3}}}]
        ),
        "rule": st.sampled_from(sorted(RULES)),
        "updates": st.integers(1, 3),
        "ema": st.booleans(),
        "labels": st.booleans(),
        "unpaired": st.booleans(),
        "beta": st.booleans(),
        "trunk": st.booleans(),
        "clipping": st.booleans(),
        "source": st.sampled_from(["game", "other", "integer"]),
        "phases": st.booleans(),
    }
)
plans = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.sampled_from([4, 4, 4, 5]),
            "between": st.sampled_from(["", "", "", "sample", "eval", "lr", "load"]),
        }
    ),
    min_size=4,
    max_size=9,
)


class Model:
    """A conditional or plain GAN on two features, perhaps with a second data set and a third player."""

    def __init__(self, options, replay):
        self.options = o = options
        self.source = Source(3)
        layer = Source(5) if o["source"] == "other" else self.source
        label = CLASSES if o["labels"] else 0
        self.g = nn.Sequential(nn.Dense(LATENT + label, WIDTH), *NORMS[o["norms"][0]](), nn.Dense(WIDTH, 2))
        trunk = [nn.Dense(2 + label, WIDTH, activation="leaky_relu"), *NORMS[o["norms"][1]]()]
        self.d, self.q = nn.Sequential(*trunk, nn.Dense(WIDTH, 1)), nn.Sequential(*trunk, nn.Dense(WIDTH, LATENT))
        for name in "gdq":
            net = getattr(self, name)
            if o["source"] == "integer":
                net.initialize(4)
            else:
                net.initialize(layer, name)
        self.pair = getattr(losses, o["loss"])
        self.pair = self.pair() if callable(self.pair) else self.pair
        self.beta = mg.scheduled(lambda t: 1.0 / (1 + t)) if o["beta"] else 1.0
        make = [OPTIMIZERS[name] for name in o["optimizers"]]
        lr = SCHEDULES[o["schedule"]]
        adversary = {"D": self.d, "Q": self.q} if o["trunk"] else self.d
        extra = o["clip"] if not (o["trunk"] and "options" in o["clip"]) else {}
        updates = o["updates"] if o["rule"] == "alternating" else 1
        after = [optim.weight_clipping(self.d, 0.5), lambda: self.log.append(1)] if o["clipping"] else []
        self.log = []
        lazy = [mg.Lazy("r1", lambda b: penalties.r1(self.critic(b), b.x, gamma=1.0), every=2)]
        players = [
            mg.Player(
                "D",
                self.discriminator_loss,
                make[0](adversary, lr(), **extra),
                updates=updates,
                lazy=lazy if o["penalty"] == "lazy r1" else (),
                after=after,
            ),
            mg.Player("G", self.generator_loss, make[1](self.g, lr(), **extra)),
        ]
        self.ema = optim.EMA(self.g, decay=0.7) if o["ema"] else None
        content = mg.Player("G", lambda b: ((self.fake(b, "c") - b.x) ** 2).mean(), players[1].optimizer)
        parts = [mg.Phase("content", [content], steps=2), mg.Phase("game", players)] if o["phases"] else players
        self.game = mg.Game(
            parts,
            rule=o["rule"],
            random=self.source,
            replay=replay,
            after=[self.ema.update] if self.ema else [],
        )

    def condition(self, x, b):
        if not self.options["labels"]:
            return x
        return ops.concatenate([x, ops.embedding(np.eye(CLASSES, dtype=np.float32), b.y)], axis=1)

    def critic(self, b):
        return lambda x: self.d(self.condition(x, b))

    def fake(self, b, stream):
        return self.g(self.condition(self.source.normal((len(b.x), LATENT), stream=stream), b))

    def discriminator_loss(self, b):
        fake, critic = self.fake(b, "d"), self.critic(b)
        value = self.pair.discriminator(critic(b.x), critic(fake))
        kind = self.options["penalty"]
        if kind == "r1":
            value = value + self.beta * penalties.r1(critic, b.x, gamma=0.5)
        elif kind == "gp":
            value = value + penalties.gradient_penalty(critic, b.x, fake, uniform=self.source)
        elif kind == "dragan":
            value = value + penalties.dragan(critic, b.x, noise=0.1 * self.source.normal(b.x.shape, stream="dragan"))
        if self.options["trunk"]:
            value = value + (self.q(self.condition(fake, b)) ** 2).mean()
        return value, {"score": critic(b.x).mean()}

    def generator_loss(self, b):
        critic = self.critic(b)
        value = self.pair.generator(critic(self.fake(b, "g")), critic(b.x)) * self.beta
        return value + ((self.fake(b, "u") - b.second) ** 2).mean() if self.options["unpaired"] else value

    def batch(self, n, k):
        r = np.random.default_rng(k)
        b = {"x": r.standard_normal((n, 2)).astype(np.float32)}
        if self.options["labels"]:
            b["y"] = r.integers(0, CLASSES, n)
        if self.options["unpaired"]:
            b["second"] = r.standard_normal((n, 2)).astype(np.float32)
        return b

    def step(self, n, k):
        count = self.game.updates()
        batches = [self.batch(n, 100 * k + j) for j in range(count)]
        values = self.game.step(batches=batches) | self.game.metrics
        return {name: t.data.tobytes() for name, t in values.items()}

    def between(self, what):
        """What happens between steps; returns bits to compare."""
        if what == "lr":
            self.game.players[-1].optimizer.lr = 0.03
        elif what in ("sample", "eval"):
            self.g.train(what == "sample")
            z = self.source.normal((5, LATENT + CLASSES * self.options["labels"]), stream="g")
            with mg.no_grad():
                y = self.g(z)
                if self.ema:
                    with self.ema.applied():
                        y = y + self.g(z)
            self.g.train(what == "sample" or len(self.log) % 2 == 0)
            return y.data.tobytes()
        return b""

    def state(self):
        parts = {"g": self.g, "d": self.d, "q": self.q, "game": self.game} | ({"ema": self.ema} if self.ema else {})
        return {f"{name}/{k}": v for name, part in parts.items() for k, v in part.state().items()}

    def load(self, state):
        parts = {"g": self.g, "d": self.d, "q": self.q, "game": self.game} | ({"ema": self.ema} if self.ema else {})
        for name, part in parts.items():
            part.load_state({k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f"{name}/")})


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@given(options=games, plan=plans, count=st.sampled_from([1, 2]), check=st.booleans())
@settings(deadline=None)
def test_a_replayed_game_is_the_eager_one_to_the_bit(options, plan, count, check):
    before, threads.THREADS = threads.THREADS, count
    try:
        sides = [Model(options, False), Model(options, "check" if check else True)]
        # The last two plans come again, so that whatever was recorded is replayed, too; what is loaded is recorded anew.
        again = [step | {"between": step["between"].replace("load", "")} for step in plan[-2:]]
        for k, step in enumerate([*plan, *again, *again, *again]):
            eager, replayed = (model.step(step["n"], k) for model in sides)
            assert eager == replayed, f"step {k}"
            if step["between"] == "load":  # a resumed run goes on as the unbroken one
                fresh = Model(options, sides[1].game.replay)
                fresh.load(sides[1].state())
                fresh.game.players[-1].optimizer.schedule = sides[1].game.players[-1].optimizer.schedule
                fresh.g.train(sides[1].g.training)
                fresh.log = list(sides[1].log)
                sides[1] = fresh
            seen = [model.between(step["between"]) for model in sides]
            assert seen[0] == seen[1], f"after step {k}"
        a, b = (model.state() for model in sides)
        assert a.keys() == b.keys()
        for name, value in a.items():
            assert value.tobytes() == b[name].tobytes(), name
    finally:
        threads.THREADS = before
