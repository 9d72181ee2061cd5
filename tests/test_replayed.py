"""A recording cannot lie: a replayed step is the eager one to the bit, or it raises and names the line and the way out."""

import itertools
import pathlib
import random as python_random
import sqlite3
import sys
from functools import partial

import numpy as np
import pytest

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.kernels import kernel
from minigan.random import Source
from minigan.theory import relaxation

STEPS = 7


def here():
    return __file__


class Pair:
    """The same small model built twice, to be stepped eagerly and replayed."""

    def __init__(self, build, **options):
        self.sides = [build(replay=replay, **options) for replay in (False, True)]

    def run(self, steps=STEPS, batch=None, between=None):
        for k in range(steps):
            x = batch(k) if batch else np.random.default_rng(k).standard_normal((6, 3)).astype(np.float32)
            results = []
            for game, *rest in self.sides:
                losses_ = game.step(x)
                results.append({n: t.data.tobytes() for n, t in (losses_ | game.metrics).items()})
                if between:
                    between(k, game, *rest)
            assert results[0] == results[1], f"step {k}"
        eager, replayed = (self.state(side) for side in self.sides)
        assert eager.keys() == replayed.keys()
        for name, value in eager.items():
            assert value.tobytes() == replayed[name].tobytes(), name

    def state(self, side):
        game, *rest = side
        found = {f"game/{k}": v for k, v in game.state().items()}
        for i, part in enumerate(rest):
            if hasattr(part, "state"):
                found |= {f"{i}/{k}": v for k, v in part.state().items()}
        return found


def net(*middle, out=1, seed=Source):
    source = Source(0) if seed is Source else seed
    made = nn.Sequential(nn.Dense(3, 8, activation="tanh"), *middle, nn.Dense(8, out))
    return made if source is None else made.initialize(source, "net" if isinstance(source, Source) else "")


def single(loss, *, middle=(), optimizer=lambda net: optim.Adam(net, lr=0.05), seed=Source, random=None, **options):
    """A game of one player whose loss is `loss(net, x)`."""

    def build(replay):
        made = net(*[layer() for layer in middle], seed=seed)
        return mg.Game(
            [mg.Player("p", lambda x: loss(made, x), optimizer(made))], replay=replay, random=random, **options
        ), made

    return build


def square(made, x):
    return (made(x) ** 2).mean()


def refused(loss, words, steps=3, **options):
    """Recording raises within two steps, and names a line of this file; the eager game runs."""
    for replay in (False, True):
        made = net()
        game = mg.Game([mg.Player("p", lambda x: loss(made, x), optim.SGD(made, lr=0.01))], replay=replay, **options)  # noqa: B023
        x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
        if replay:
            with pytest.raises(mg.RecordingError, match=words) as caught:
                for _ in range(2):
                    game.step(x)
            assert "replay=False" in str(caught.value)
            return str(caught.value)
        for _ in range(steps):
            game.step(x)
    return ""


# -- random numbers: whoever draws them ------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [0, None, Source], ids=["integer", "none", "a source that nobody advances"])
def test_dropout_of_a_source_that_is_not_the_games(seed):
    for random in (False, True):
        pair = Pair(single(square, middle=[lambda: nn.Dropout(0.5)], seed=seed))
        if random:
            for game, _ in pair.sides:
                game.random = game._recorded.random = Source(5)
        pair.run()


def test_noise_of_another_source_and_of_a_copy():
    import copy

    def build(replay):
        made = net(nn.Dropout(0.3))
        twin = copy.deepcopy(made)
        noise = Source(3)
        loss = lambda x: ((made(x + noise.normal(x.shape, stream="n")) - twin(x)) ** 2).mean()  # noqa: E731
        return mg.Game([mg.Player("p", loss, optim.Adam(made, lr=0.1))], replay=replay), made

    Pair(build).run()


def test_a_source_that_the_user_advances():
    def build(replay):
        made, source = net(), Source(9)
        loss = lambda x: ((made(x) - source.uniform((6, 1), stream="u")) ** 2).mean()  # noqa: E731
        game = mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.1))], replay=replay, before=[source.advance])
        return game, made

    Pair(build).run()


def test_eager_draws_between_steps_go_on_where_the_replay_stopped():
    drawn = {}

    def build(replay):
        source = Source(1)
        made = net(nn.Dropout(0.5), seed=source)
        loss = lambda x: ((made(x) - source.normal((6, 1), stream="n")) ** 2).mean()  # noqa: E731
        return mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.1))], replay=replay, random=source), made, source

    def between(k, game, made, source):
        more = [source.normal((4,), stream="n").data.tobytes(), made(np.ones((2, 3), np.float32)).data.tobytes()]
        assert drawn.setdefault(k, more) == more

    Pair(build).run(between=between)
    assert len({d[0] for d in drawn.values()}) == STEPS


# -- reading values --------------------------------------------------------------------------------------------------
READS = {
    "data": lambda made, x: square(made, x) * float(made(x).data.mean()),
    "item": lambda made, x: square(made, x) * made(x).mean().item(),
    "float": lambda made, x: square(made, x) * float(made(x).mean()),
    "bool": lambda made, x: square(made, x) * (2.0 if made(x).mean() > 0 else 1.0),
    "numpy": lambda made, x: square(made, x) * np.linalg.norm(made(x).numpy()),
    "asarray": lambda made, x: square(made, x) * float(np.asarray(made(x)).reshape(-1)[0]),
    "array of floats": lambda made, x: square(made, x) * np.asarray(made(x), dtype=float).sum(),
    "one hot": lambda made, x: (made(x) * np.eye(2, dtype=np.float32)[(x.data[:, :1] > 0).astype(int)].sum()).mean(),
    "a mask": lambda made, x: square(made, x) + made(x)[made(x) > 0].sum(),
    "a mask of the batch": lambda made, x: made(x[x[:, 0] > 0]).mean(),
    "a parameter": lambda made, x: square(made, x) * float(abs(made[0].weight.data).max()),
    "a new tensor": lambda made, x: square(made, x) * mg.tensor(made(x).mean()),
    "max of Python": lambda made, x: max(square(made, x), made(x).mean()),
    "sorted": lambda made, x: sorted([square(made, x), made(x).mean()], key=float)[0],
    "text": lambda made, x: square(made, x) * float(f"{made(x).mean().item():.3f}"),
    "state": lambda made, x: square(made, x) * float(made.state()["layers.0.weight"].sum()),
    "deepcopy": lambda made, x: square(made, x) * __import__("copy").deepcopy(made(x).mean().detach()),
    "assign": lambda made, x: [square(made, x), setattr(made[0].bias, "data", made[0].bias.data * 0.9)][0],
    "contains": lambda made, x: square(made, x) * (1.0 if any(v > 0 for v in made(x).reshape(-1)) else 2.0),
}


@pytest.mark.parametrize("how", READS)
def test_reading_values_in_a_recorded_step_is_refused_with_the_line_and_the_way_out(how):
    text = refused(READS[how], "Python reads the values")
    assert f"{here()}:" in text or "copy.py" in text
    assert "mg.effect" in text and "mg.scheduled" in text


def test_representing_a_tensor_reads_nothing():
    Pair(single(lambda made, x: [square(made, x), repr(x), str(made(x))][0])).run()


def test_an_index_that_is_a_tensor_of_integers_or_a_mask_from_outside_is_followed():
    mask = np.array([True, False, True, True, False, True])

    def loss(made, x):
        return (made(x)[mask] ** 2).mean() + made(x)[ops.argsort(x[:, 0])][:3].sum() + ops.max(made(x))

    Pair(single(loss)).run()


# -- numbers and arrays from Python ----------------------------------------------------------------------------------
counter = itertools.count()
generator = np.random.default_rng(0)
pool: list = []
kept: dict = {}


class Noisy:
    def __init__(self):
        self.calls = 0

    def __call__(self, made, x):
        self.calls += 1
        return square(made, x) * (1.0 + 0.1 * self.calls)


def hidden_state(made, x):
    h = kept.get("h")
    kept["h"] = made(x).detach()
    return square(made, x) if h is None else ((made(x) - h) ** 2).mean()


CHANGING = {
    "a counter": lambda made, x: square(made, x) * float(next(counter)),
    "NumPy's random numbers": lambda made, x: (
        (made(x) - generator.standard_normal((6, 1)).astype(np.float32)) ** 2
    ).mean(),
    "NumPy's float64 random numbers": lambda made, x: (
        (made(x) - ops.cast(generator.standard_normal((6, 1)), dtype=np.float32)) ** 2
    ).mean(),
    "Python's random numbers": lambda made, x: square(made, x) * python_random.random(),
    "a growing list": lambda made, x: [square(made, x), pool.append(1)][0],
    "a list of fakes": lambda made, x: [square(made, x) * len(pool), pool.append(made(x))][0],
    "an operation more": lambda made, x: square(made, x) + (1.0 if next(counter) % 2 else ops.exp(x).mean()),
    "another order": lambda made, x: ops.tanh(square(made, x)) if next(counter) % 2 else ops.exp(square(made, x)),
    "another setting": lambda made, x: ops.leaky_relu(made(x), slope=0.1 + 0.1 * (next(counter) % 2)).mean(),
    "a state kept in a dict": hidden_state,
    "an attribute": Noisy(),
    "an effect of another number": lambda made, x: [
        square(made, x),
        mg.effect(partial(lambda k, out: out.__imul__(1 + k), next(counter)), made[0].bias),
    ][0],
    "a permutation": lambda made, x: (made(x)[generator.permutation(6)] * x[:, :1]).mean(),
    "gradients that add up": lambda made, x: [square(made, x), (made(x) ** 2).sum().backward()][0],
}


@pytest.mark.parametrize("how", CHANGING)
def test_what_python_computes_anew_is_refused(how):
    text = refused(CHANGING[how], "run of the step|is changed by Python|earlier step|other settings")
    assert "mg.effect" in text


def test_constants_from_python_are_no_harm():
    labels = np.eye(3, dtype=np.float64)[[0, 1, 2, 0, 1, 2]]

    def loss(made, x):
        target = np.linspace(0, 1, 6)[:, None]
        return ((made(x) - target) ** 2).mean() + 0.5 * ops.mean(labels * x) + mg.tensor(np.ones(3)).sum() * 0.0

    with pytest.raises(TypeError):  # float64 beside float32: the engine's own rule
        Pair(single(loss)).run()
    Pair(single(lambda made, x: ((made(x) - np.linspace(0, 1, 6, dtype=np.float32)[:, None]) ** 2).mean())).run()


def test_arrays_from_outside_that_are_refilled_in_place_are_read_anew():
    weights = {"float32": np.ones((6, 1), np.float32), "int": np.ones((6, 1), np.int64)}

    def loss(made, x):
        return (made(x) ** 2 * weights["float32"] * weights["int"]).mean()

    def between(k, game, made):
        for w in weights.values():
            w[...] = np.arange(6).reshape(6, 1) + k + 1

    for w in weights.values():
        w[...] = 1
    build = single(loss)
    sides = [build(replay) for replay in (False, True)]
    for k in range(STEPS):
        x = np.random.default_rng(k).standard_normal((6, 3)).astype(np.float32)
        a, b = (game.step(x)["p"].item() for game, _ in sides)
        assert a == b
        between(k, None, None)


# -- settings that are changed between steps -------------------------------------------------------------------------
def test_evaluation_mode_after_the_first_steps():
    build = single(square, middle=[lambda: nn.BatchNorm(8), lambda: nn.Dropout(0.5)])
    Pair(build).run(12, between=lambda k, game, made: made.train(k % 4 < 2))


@pytest.mark.parametrize(
    "change",
    {
        "clip_norm": lambda game, made: setattr(game.players[0].optimizer, "clip_norm", 1e-3),
        "clip_value": lambda game, made: setattr(game.players[0].optimizer, "clip_value", 1e-4),
        "lr": lambda game, made: setattr(game.players[0].optimizer, "lr", 0.5),
        "beta1": lambda game, made: setattr(game.players[0].optimizer, "beta1", 0.0),
        "updates": lambda game, made: setattr(game.players[0], "updates", 3),
        "momentum": lambda game, made: setattr(made[1], "momentum", 0.9),
        "rate": lambda game, made: setattr(made[2], "rate", 0.1),
        "slope": lambda game, made: setattr(made[3], "options", {"slope": 0.7}),
        "an option in place": lambda game, made: made[3].options.update(slope=0.6),
        "loss": lambda game, made: setattr(game.players[0], "loss", lambda x: made(x).mean()),
        "optimizer": lambda game, made: setattr(game.players[0], "optimizer", optim.SGD(made, lr=0.1)),
        "rule": lambda game, made: setattr(game, "rule", mg.rules.RULES["extragradient"]),
        "a layer": lambda game, made: made.layers.__setitem__(3, nn.Activation("tanh")),
        "one layer fewer": lambda game, made: made.layers.pop(3),
        "requires_grad": lambda game, made: setattr(made[1].gamma, "data", made[1].gamma.data * 3),
        "a frozen batch norm": lambda game, made: made[1].eval(),
        "a hook on a parameter": lambda game, made: made[0].weight.register_hook(lambda g: g * 0.1) and None,
        "an after-hook": lambda game, made: setattr(game, "after", (lambda: made[0].bias.assign(0.5),)),
        "assign": lambda game, made: made[0].weight.assign(0.25),
        "load_state": lambda game, made: made.load_state({k: v * 0.5 for k, v in made.state().items()}),
        "data": lambda game, made: setattr(made[0].weight, "data", np.full((3, 8), 0.1, np.float32)),
        "to": lambda game, made: made.to("cpu"),
    }.items(),
    ids=lambda item: item[0],
)
def test_settings_and_arrays_that_change_later_are_followed(change):
    layers = [lambda: nn.BatchNorm(8), lambda: nn.Dropout(0.5), lambda: nn.LeakyReLU(0.1)]

    def between(k, game, made):
        if k == 4:
            change[1](game, made)

    Pair(single(square, middle=layers)).run(10, between=between)


def test_a_network_converted_to_float64_goes_on_training():
    def between(k, game, made):
        if k == 3:
            made.astype("float64")

    build = single(lambda made, x: (made(ops.cast(x, dtype=made[0].weight.dtype)) ** 2).mean())
    Pair(build).run(9, between=between)


class Config:
    beta = 1.0


class Holder:
    """A model's author: the loss reads attributes, a config, and a module of another name."""

    scale = 1.0

    def __init__(self):
        self.net, self.weight, self.config, self.weights = net(), 1.0, Config(), [1.0, {"a": 2.0}]

    @property
    def doubled(self):
        return 2 * self.weight

    def helper(self, x):
        return self.net(x) * self.scale * self.weights[0] * self.weights[1]["a"]

    def loss(self, x):
        return (self.helper(x) ** 2).mean() * self.doubled * self.config.beta


GLOBAL = 1.0


def global_loss(made, x):
    return square(made, x) * GLOBAL


@pytest.mark.parametrize(
    "change",
    {
        "an attribute": lambda h: setattr(h, "weight", h.weight + 1.0),
        "an attribute of the class": lambda h: setattr(Holder, "scale", 1.5),
        "a config": lambda h: setattr(h.config, "beta", 3.0),
        "an attribute of the config's class": lambda h: setattr(Config, "beta", 5.0),
        "a list": lambda h: h.weights.__setitem__(0, 4.0),
        "a dict in a list": lambda h: h.weights[1].update(a=0.5),
        "a network": lambda h: setattr(h, "net", h.net),
    }.items(),
    ids=lambda item: item[0],
)
def test_python_values_that_a_loss_reads_are_followed(change, monkeypatch):
    monkeypatch.setattr(Holder, "scale", 1.0)
    monkeypatch.setattr(Config, "beta", 1.0)
    holders = []

    def build(replay):
        holder = Holder()
        holders.append(holder)
        return mg.Game([mg.Player("p", holder.loss, optim.SGD(holder.net, lr=0.01))], replay=replay), holder.net

    sides = [build(replay) for replay in (False, True)]
    for k in range(8):
        x = np.random.default_rng(k).standard_normal((6, 3)).astype(np.float32)
        a, b = (game.step(x)["p"].item() for game, _ in sides)
        assert a == b, k
        if k == 3:
            for holder in holders:
                change[1](holder)


def test_variables_of_closures_and_globals_are_followed(monkeypatch):
    weight = 1.0
    build = single(lambda made, x: square(made, x) * weight)
    sides = [build(replay) for replay in (False, True)]
    more = [single(global_loss)(replay) for replay in (False, True)]
    for k in range(8):
        x = np.random.default_rng(k).standard_normal((6, 3)).astype(np.float32)
        for pair in (sides, more):
            a, b = (game.step(x)["p"].item() for game, _ in pair)
            assert a == b, k
        if k == 4:
            weight = 7.0
            monkeypatch.setattr("test_replayed.GLOBAL" if __name__ == "test_replayed" else f"{__name__}.GLOBAL", 3.0)


def test_a_number_that_goes_on_changing_gives_a_warning_with_the_way_out_and_the_right_numbers():
    box = [1.0]
    build = single(lambda made, x: square(made, x) * box[0])
    game, _ = build(True)
    other, _ = build(False)
    x = np.ones((6, 3), np.float32)
    with pytest.warns(RuntimeWarning, match=r"because the list 'box' changed.*mg\.scheduled"):
        for k in range(8):
            box[0] = float(k)
            assert game.step(x)["p"].item() == other.step(x)["p"].item()


def test_recordings_are_bounded():
    game, _ = single(square, max_recordings=2)(True)
    for n in (2, 3, 4, 5, 4, 5, 2):
        game.step(np.ones((n, 3), np.float32))
    assert len(game._recorded._entries) == 2
    with pytest.raises(ValueError, match="max_recordings 0"):
        mg.replayed(square, max_recordings=0)


def test_other_kernels_and_precisions_are_other_recordings():
    build = single(square)
    sides = [build(replay) for replay in (False, True)]
    for k in range(8):
        with kernel.using("reference" if k % 4 > 1 else "fast"):
            a, b = (game.step(np.ones((6, 3), np.float32))["p"].item() for game, _ in sides)
        assert a == b


def test_somebody_who_watches_sees_every_operation_and_anomalies_are_found():
    game, made = single(lambda made, x: ops.log(made(x)).mean(), finite=False)(True)
    with np.errstate(invalid="ignore"):
        for _ in range(3):
            game.step(np.ones((6, 3), np.float32))
        seen = []
        with mg.hook(lambda event: seen.append(event.kind)):
            game.step(np.ones((6, 3), np.float32))
        assert seen.count("apply") > 4
        made[0].weight.assign(np.nan)
        with mg.anomaly(), pytest.raises(FloatingPointError):
            game.step(np.ones((6, 3), np.float32))


def test_a_graph_from_before_a_replay_notices_that_its_weights_have_changed():
    game, made = single(square)(True)
    x = np.ones((6, 3), np.float32)
    for _ in range(3):
        game.step(x)
    y = (made(x) ** 2).sum()
    game.step(x)
    with pytest.raises(mg.GraphError, match="changed in place"):
        y.backward()


# -- Python that must run at every step ------------------------------------------------------------------------------
def test_hooks_run_at_every_step():
    calls = {False: [], True: []}

    def build(replay):
        made, log = net(), calls[replay]
        player = mg.Player(
            "p",
            lambda x: square(made, x),
            optim.SGD(made, lr=0.5),
            updates=3,
            after=[
                optim.weight_clipping(made, 0.2),
                lambda: log.append(("player", float(abs(made[0].weight.data).max()))),
            ],
        )
        game = mg.Game(
            [player],
            replay=replay,
            before=[lambda: log.append(("before", game.steps))],
            after=[lambda: log.append(("after", made[0].bias.data.copy().tolist()))],
        )
        return game, made

    Pair(build).run()
    assert calls[False] == calls[True] and len(calls[True]) == 5 * STEPS
    assert all(value <= np.float32(0.2) for kind, value in calls[True] if kind == "player")


def test_averages_are_the_same_recorded_or_not_and_can_be_applied_in_a_loss():
    def build(replay):
        made = net()
        ema = optim.EMA(made, decay=0.9)

        def loss(x):
            with ema.applied(), mg.no_grad():
                teacher = made(x)
            return ((made(x) - teacher - 1.0) ** 2).mean()

        return mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.1))], replay=replay, after=[ema.update]), made, ema

    Pair(build).run()


def test_a_decay_of_one_tenth_a_step():
    """The issue's instance: the average of a weight, read through applied(), must move at each step."""

    def series(replay):
        w = mg.tensor(np.array([1.0]), requires_grad=True)
        ema = optim.EMA(w, decay=0.5, warm_up=False)

        def loss(x):
            with ema.applied(), mg.no_grad():
                mean = w * 1.0
            return (w * x).sum() + 0.0 * mean.sum(), {"mean": mean.sum()}

        game = mg.Game([mg.Player("p", loss, optim.SGD(w, lr=0.1))], replay=replay, after=[ema.update])
        return [[game.step(np.ones(1))["p"].item(), game.metrics["mean"].item()] for _ in range(6)]

    assert series(True) == series(False) and len({mean for _, mean in series(True)}) == 6


class ImagePool:
    """Shrivastava et al. 2016: half of the time an older fake. Python, a list and NumPy's random numbers."""

    def __init__(self, size, seed):
        self.size, self.images, self.rng = size, [], np.random.default_rng(seed)

    def exchange(self, out, fakes):
        for i, fake in enumerate(fakes):
            if len(self.images) < self.size:
                self.images.append(fake.copy())
                out[i] = fake
            elif self.rng.random() < 0.5:
                k = int(self.rng.integers(self.size))
                out[i], self.images[k] = self.images[k], fake.copy()
            else:
                out[i] = fake


def test_an_image_pool_is_an_effect():
    def build(replay):
        g, d = net(out=3), net()
        pool = ImagePool(10, 0)

        def discriminator(x):
            fake = g(x).detach()
            old = mg.tensor(np.zeros(fake.shape, np.float32))
            mg.effect(pool.exchange, old, fake)
            return losses.least_squares().discriminator(d(x), d(old))

        players = [
            mg.Player("D", discriminator, optim.Adam(d, lr=0.01)),
            mg.Player("G", lambda x: losses.least_squares().generator(d(g(x))), optim.Adam(g, lr=0.01)),
        ]
        return mg.Game(players, replay=replay), g, d

    Pair(build).run(12)


# -- numbers that change with the step -------------------------------------------------------------------------------
def test_scheduled_numbers_are_refilled_at_each_step():
    def build(replay):
        made, beta = net(), mg.scheduled(lambda t: 0.5**t)
        vector = mg.scheduled(lambda t: [t, -t, 2.0 * t])
        shown = []

        def loss(x):
            return square(made, x + vector) * beta + 0.1 * ops.reshape(beta, (1,)).sum(), {"beta": beta * 1.0}

        game = mg.Game(
            [mg.Player("p", loss, optim.SGD(made, lr=0.01))], replay=replay, after=[lambda: shown.append(beta.item())]
        )
        return game, made, shown

    pair = Pair(build)
    pair.run()
    for game, _, shown in pair.sides:
        assert shown == [0.5**t for t in range(STEPS)] and game.metrics["beta"].item() == 0.5 ** (STEPS - 1)


def test_scheduled_numbers_keep_their_shape():
    w = mg.tensor(np.ones(1), requires_grad=True)
    beta = mg.scheduled(lambda t: np.zeros(1 + t // 2), dtype="float64")
    game = mg.Game([mg.Player("p", lambda: (w * w).sum() + beta.sum() * 0.0, optim.SGD(w, lr=0.1))])
    game.step()
    game.step()
    with pytest.raises(ValueError, match=r"scheduled: got shape \(2,\) at step 2, expected \(1,\)"):
        game.step()


def test_a_temperature_is_annealed_and_learned():
    """gumbel_softmax with a tensor for a temperature: its values are followed, its derivative is not lost."""

    def build(replay):
        made, source = net(out=4), Source(2)
        inverse = mg.tensor(np.float32(0.5), requires_grad=True)
        cooling = mg.scheduled(lambda t: 0.8**t)

        def loss(x):
            noise = relaxation.gumbel(source.uniform((6, 4), stream="gumbel"))
            hot = relaxation.gumbel_softmax(made(x), noise, temperature=cooling)
            warm = relaxation.gumbel_softmax(made(x), noise, temperature=ops.exp(inverse))
            return ((hot - 0.25) ** 2).mean() - (warm**2).mean()

        optimizer = optim.Adam({"net": made, "inverse": inverse}, lr=0.05)
        return mg.Game([mg.Player("p", loss, optimizer)], replay=replay, random=source), made

    pair = Pair(build)
    pair.run()
    assert pair.sides[0][0].players[0].optimizer.parameters["inverse"].item() != np.float32(0.5)
    mg.gradcheck(
        lambda t: relaxation.gumbel_softmax(np.array([1.0, 2.0, 0.5]), np.array([0.3, -0.1, 0.2]), temperature=t),
        np.array(0.7),
    )
    with pytest.raises(TypeError, match="slope of type Tensor"):
        ops.leaky_relu(np.ones(2), slope=mg.tensor(0.1))


def test_an_annealed_penalty():
    gamma = mg.scheduled(lambda t: 1.0 / (1 + t))
    Pair(single(lambda made, x: square(made, x) + penalties.r1(made, x, gamma=gamma))).run()


# -- what used to crash ----------------------------------------------------------------------------------------------
def test_empty_arrays_in_a_step():
    def loss(made, x):
        empty = ops.broadcast_to(x[:0, :1], (0, 5))
        return square(made, x) + empty.sum() + ops.concatenate([x[:0], x]).mean() + (x[:0] * 2.0).reshape(-1).sum()

    Pair(single(loss)).run()


def test_the_spectral_norm_of_a_zero_weight():
    def build(replay):
        made = net()
        made[1].weight.assign(0.0)
        v = mg.tensor(np.ones(1, np.float32))
        hidden = mg.tensor(np.ones(8, np.float32))

        def loss(x):
            total = square(made, x)
            for layer, start in ((made[0], hidden), (made[1], v)):
                sigma, u, w = ops.power_iteration(layer.weight, start)
                start.assign(w)
                total = total + (ops.spectral_normalize(layer.weight, u, w) ** 2).mean() + 0.1 * sigma
            return total

        return mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.0))], replay=replay), made

    with np.errstate(all="ignore"):
        Pair(build).run()
    found = ops.power_iteration(np.zeros((3, 2)), np.array([1.0, 2.0]))
    assert found.sigma.item() == 0 and (found.v.data != 0).all()


# -- mg.replayed and mg.effect by themselves -------------------------------------------------------------------------
def test_replayed_takes_and_gives_structure():
    seen = []

    def f(batch, pair, factor, name=None):
        mg.effect(lambda: seen.append(1))
        a, (b, c) = batch, pair
        return {"sum": (a.x * factor + b).sum(), "all": [a["y"], (c, 2.0)]}

    g = mg.replayed(f)
    r = np.random.default_rng(0)
    kept = []
    for k in range(6):
        x, y, b, c = (r.standard_normal(4) for _ in range(4))
        out = g({"x": x, "y": y}, (mg.tensor(b), c), 2.0 if k < 4 else 3.0)
        np.testing.assert_allclose(out["sum"].item(), (x * (2.0 if k < 4 else 3.0) + b).sum())
        np.testing.assert_array_equal(out["all"][0].data, y)
        assert out["all"][1][1] == 2.0
        kept.append((out["all"][0], y))
    assert len(seen) == 6
    for t, y in kept:
        np.testing.assert_array_equal(t.data, y)


def test_replayed_advances_its_source_and_results_are_outside_every_graph():
    source, other = Source(4), Source(4)
    w = mg.tensor(np.ones(3, np.float32), requires_grad=True)
    f = mg.replayed(lambda n: w * source.normal((3,), stream="z") + float(n), random=source)
    for k in range(5):
        other.advance()
        got = f(1)
        np.testing.assert_array_equal(got.data, other.normal((3,), stream="z").data + 1)
        assert not got.requires_grad and k < 5


def test_replayed_inside_replayed_is_a_part_of_it():
    inner = mg.replayed(lambda x: x * 2.0)
    outer = mg.replayed(lambda x: inner(x) + 1.0)
    for k in range(5):
        assert outer(np.full(2, float(k))).data.tolist() == [2 * k + 1] * 2


def test_replayed_refuses_what_it_cannot_return_or_take():
    with pytest.raises(mg.RecordingError, match="returned object"):
        mg.replayed(lambda: object())()
    with pytest.raises(TypeError, match="replayed: argument"):
        mg.replayed(lambda x: x)(object())
    rolling = itertools.count()
    f = mg.replayed(lambda x: (x, next(rolling)))
    f(np.ones(1))
    with pytest.raises(mg.RecordingError, match="returns the plain values"):
        f(np.ones(1))
    import copy

    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(f)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((lambda x: x * 2, mg.tensor([1.0])), r"returned an array.*out\[\.\.\.\]"),
        ((3, mg.tensor([1.0])), "got 3, expected a function"),
        ((lambda out: out.fill(2), np.ones(1)), "got ndarray as what"),
        ((lambda out: None, 3.0), "got float as what"),
        ((lambda out: None, {"a": mg.tensor([1.0])}), "got dict as what"),
    ],
)
def test_an_effect_that_would_be_lost_is_refused(args, words):
    with pytest.raises(TypeError, match=words):
        mg.effect(*args)


def test_an_effect_may_return_what_it_wrote():
    out = mg.tensor([1.0, 2.0])
    mg.effect(lambda a, b: np.add(a, b, out=a), out, mg.tensor([1.0, 1.0]))
    assert out.data.tolist() == [2.0, 3.0]


def test_an_effect_may_read_and_write_what_it_likes():
    total, out = [], mg.tensor(np.zeros(3))

    def python(target, x, scale):
        total.append(float(x.sum()))
        target[...] = scale * np.sort(x) + len(total)

    def f(x):
        mg.effect(python, out, x * 1.0, 2.0)
        return out + 0.0

    g = mg.replayed(f)
    for k in range(5):
        x = np.random.default_rng(k).standard_normal(3)
        np.testing.assert_array_equal(g(x).data, 2 * np.sort(x) + k + 1)
    assert len(total) == 5


def test_a_failed_recording_leaves_the_game_usable():
    box = [True]

    def loss(made, x):
        if box[0]:
            float(x.sum())
        return square(made, x)

    game, _ = single(loss)(True)
    x = np.ones((6, 3), np.float32)
    with pytest.raises(mg.RecordingError):
        game.step(x)
    box[0] = False
    values = [game.step(x)["p"].item() for _ in range(4)]
    assert len(set(values)) == 4


# -- replay="check" --------------------------------------------------------------------------------------------------
def outside():
    """A number that no variable of Python's holds, but a library written in C: 1.0 twice, then 2.0."""
    base = sqlite3.connect(":memory:")
    base.execute("create table calls (k)")

    def number():
        base.execute("insert into calls values (1)")
        return 1.0 if base.execute("select count(*) from calls").fetchone()[0] <= 2 else 2.0

    return number


def test_check_finds_python_that_turns_out_otherwise_later_and_names_player_parameter_and_op():
    hidden = outside()
    made = nn.Dense(3, 1).initialize(0)
    loss = lambda x: (made(x) ** 2).mean() * hidden()  # noqa: E731
    game = mg.Game([mg.Player("critic", loss, optim.SGD(made, lr=0.1))], replay="check")
    x = np.ones((6, 3), np.float32)
    game.step(x)
    game.step(x)
    with pytest.raises(mg.RecordingError) as caught:
        game.step(x)
    text = str(caught.value)
    assert (
        "player 'critic', parameter 'weight'" in text
        and "multiply is the first operation" in text
        and f"{here()}:" in text
    )


def test_check_finds_other_operations():
    hidden = outside()
    made = nn.Dense(3, 1).initialize(0)

    def loss(x):
        y = (made(x) ** 2).mean()
        return ops.exp(y) if hidden() == 2.0 else ops.tanh(y)

    game = mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.1))], replay="check")
    x = np.ones((6, 3), np.float32)
    game.step(x)
    game.step(x)
    with pytest.raises(mg.RecordingError, match=r"the recording does activation, where the step does exp \("):
        game.step(x)


def test_check_passes_what_is_right_and_leaves_no_trace():
    """Everything at once: dropout, batch norm, averages, an image pool, hooks, penalties, extragradient, several updates."""

    def build(replay, rule, updates):
        source = Source(7)
        g = nn.Sequential(nn.Dense(3, 8), nn.BatchNorm(8, activation="relu"), nn.Dense(8, 3)).initialize(source, "G")
        d = nn.Sequential(nn.Dense(3, 8, activation="leaky_relu"), nn.Dropout(0.4), nn.Dense(8, 1)).initialize(
            source, "D"
        )
        pool, log, ema = ImagePool(8, 0), [], optim.EMA(g, decay=0.8)
        spare = mg.tensor(np.zeros(1, np.float32))
        beta = mg.scheduled(lambda t: 1 / (1 + t))

        def of_d(x):
            fake = g(source.normal(x.shape, stream="z")).detach()
            old = mg.tensor(np.zeros(fake.shape, np.float32))
            mg.effect(pool.exchange, old, fake)
            penalty = penalties.gradient_penalty(lambda t: d(t), x, old, uniform=source)
            return losses.non_saturating.discriminator(d(x), d(old)) + beta * penalty + 0.0 * spare.sum()

        of_g = lambda x: losses.non_saturating.generator(d(g(source.normal(x.shape, stream="z"))))  # noqa: E731
        bump = lambda: [log.append(len(log)), spare.assign(float(len(log)))]  # noqa: E731
        players = [
            mg.Player("D", of_d, optim.Adam(d, lr=0.02, clip_norm=1.0), updates=updates, after=[bump]),
            mg.Player("G", of_g, optim.SGD(g, lr=0.02, momentum=0.5)),
        ]
        return (
            mg.Game(players, rule=rule, random=source, replay=replay, after=[ema.update, bump]),
            g,
            d,
            ema,
            log,
            spare,
        )

    for rule, updates in (("alternating", 2), ("simultaneous", 1), ("extragradient", 1)):
        pair = Pair.__new__(Pair)
        pair.sides = [build(replay, rule, updates) for replay in (False, "check")]
        pair.run(8)
        assert pair.sides[0][4] == pair.sides[1][4] and pair.sides[0][5].item() == pair.sides[1][5].item()


def test_check_of_replayed():
    hidden = outside()
    f = mg.replayed(lambda x: x + hidden(), check=True)
    f(np.ones(2))
    f(np.ones(2))
    with pytest.raises(mg.RecordingError, match="check: a replay is not what the step does"):
        f(np.ones(2))


def test_the_page_on_recordings_is_right():
    """The docstring of minigan/replayed.py has the rule in one sentence, which the README repeats; its example runs."""

    replayed = sys.modules["minigan.replayed"]

    rule = "every number that changes is a tensor, and all Python that must run again is an effect"
    page, readme = replayed.__doc__, pathlib.Path(__file__).parent.parent / "README.md"
    assert rule in " ".join(page.split()) and rule in " ".join(readme.read_text().split())
    lines = [line[4:] for line in page.splitlines() if line.startswith("    ")]
    text = "\n".join(lines).replace("range(1000)", "range(5)")
    assert "mg.replayed(" in text and "for k in range(5)" in text
    source, w, seen = Source(0), mg.tensor(np.ones(2, np.float32), requires_grad=True), []
    optimizer = optim.SGD(w, lr=0.1)

    def train(x):
        mg.effect(lambda: seen.append(1))
        loss = ((w - x - source.normal((2,), stream="z")) ** 2).mean()
        optimizer.step([mg.grad(loss, w)])
        return loss

    loader = mg.data.Loader(np.zeros((8, 2), np.float32), batch_size=4, seed=0)
    scope = {"mg": mg, "train": train, "source": source, "loader": loader}
    exec(text, scope)
    assert scope["loss"].size == 1 and len(seen) == 5 and optimizer.steps == 5
