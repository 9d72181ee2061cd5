"""NaN and Inf in losses and gradients are seen in the step that makes them, recorded or not, and named."""

import numpy as np
import pytest
from devices import CPU, SPECIFICATION

import minigan as mg
from minigan import finite, losses, nn, optim
from minigan.backend import Notes
from minigan.kernels import kernel

OPTIMIZERS = {"adam": optim.Adam, "sgd": optim.SGD, "rmsprop": optim.RMSProp}


def game_of(make=optim.Adam, *, replay=True, width=8, dtype="float32", **options):
    source = mg.random.Source(seed=0)
    g = nn.Sequential(nn.Dense(2, width, activation="relu"), nn.Dense(width, 2)).initialize(source, "G").astype(dtype)
    d = nn.Sequential(nn.Dense(2, width, activation="leaky_relu"), nn.Dense(width, 1)).initialize(source, "D")
    d = d.astype(dtype)

    def fake(x):
        return g(mg.ops.cast(source.normal((len(x), 2), stream="z"), dtype=dtype))

    players = [
        mg.Player("D", lambda x: losses.non_saturating.discriminator(d(x), d(fake(x))), make(d, lr=1e-3)),
        mg.Player("G", lambda x: losses.non_saturating.generator(d(fake(x))), make(g, lr=1e-3)),
    ]
    return mg.Game(players, random=source, replay=replay, **options)


def points(n=16, dtype="float32"):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("replay", [False, True, "check"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_number_that_is_none_is_named_in_its_step(optimizer, replay, value):
    game, x = game_of(OPTIMIZERS[optimizer], replay=replay), points()
    for _ in range(6):
        game.step(x)
    x[3, 1] = value
    with pytest.raises(mg.NotFiniteError) as caught:
        game.step(x)
    error = caught.value
    assert (error.player, error.step) == ("D", 7)
    assert set(error.parameters) <= set(game.players[0].optimizer.parameters)
    assert error.parameters or not np.isfinite(error.loss)
    assert "player 'D'" in str(error) and "step 7" in str(error)


def test_the_last_player_is_named_where_the_others_have_numbers():
    game = game_of()
    g = game.players[1].optimizer.parameters
    name = list(g)[-1]  # D sees the generator's NaN first, unless it is made in G's own update
    loss = game.players[1].loss
    poison = mg.scheduled(lambda t: float("nan") if t == 4 else 1.0)
    game.players[1].loss = lambda x: loss(x) + (g[name].sum() * poison) * 0.0
    for _ in range(4):
        game.step(points())
    with pytest.raises(mg.NotFiniteError) as caught:
        game.step(points())
    assert (caught.value.player, caught.value.step) == ("G", 5) and name in caught.value.parameters


def test_a_gradient_is_seen_where_the_loss_is_finite():
    w = mg.tensor(np.zeros(3, np.float32), requires_grad=True)
    v = mg.tensor(np.ones(3, np.float32), requires_grad=True)

    def loss():
        return mg.ops.sqrt(w * w).sum() + v.sum()  # 0 / 0 in the derivative, at a loss of 3

    game = mg.Game([mg.Player("only", loss, optim.SGD({"v": v, "w": w}, lr=0.1))])
    with np.errstate(all="ignore"), pytest.raises(mg.NotFiniteError, match="gradient of 'w' is") as caught:
        game.step()
    assert caught.value.parameters == ("w",) and caught.value.loss == 3.0


def test_every_update_of_a_step_counts():
    calls = mg.scheduled(lambda t: 1.0)
    w = mg.tensor(np.ones(2, np.float32), requires_grad=True)

    def loss(b):
        return (w * b.x * calls).sum()

    game = mg.Game([mg.Player("D", loss, optim.Adam(w, lr=0.0), updates=2)], replay=True)
    good, bad = {"x": np.ones(2, np.float32)}, {"x": np.array([1, np.inf], np.float32)}
    for _ in range(3):
        game.step(batches=[good, good])
    with np.errstate(all="ignore"), pytest.raises(mg.NotFiniteError):
        game.step(batches=[bad, good])  # the second update's loss and gradient are NaN only by the weight


def test_the_switch_and_what_is_forgotten_with_a_state():
    game, x = game_of(finite=False), points()
    game.step(x)
    kept = {name: value.copy() for name, value in game.state().items()}
    weights = [t.data.copy() for p in game.players for t in p.parameters]
    game.step(np.full_like(x, np.nan))  # told to go on
    game.load_state(kept)
    for t, was in zip([t for p in game.players for t in p.parameters], weights, strict=True):
        t.assign(was)
    game.finite = True
    assert np.isfinite([loss.item() for loss in game.step(x).values()]).all()


def test_clipping_is_told():
    game = game_of(lambda p, lr: optim.Adam(p, lr=lr, clip_norm=1.0))
    with pytest.raises(mg.NotFiniteError, match="clip_norm spreads"):
        game.step(np.full((16, 2), np.nan, np.float32))


class Own(optim.Optimizer):
    """An update that knows nothing of `bad`."""

    def update(self, params, grads, slots, lr, option):
        for p, g in zip(params, grads, strict=True):
            p -= lr * g


def test_an_optimizer_of_ones_own_is_looked_at_now_and_then():
    w = mg.tensor(np.ones(2, np.float32), requires_grad=True)
    hot = mg.scheduled(lambda t: float("inf") if t == 3 else 0.5)
    game = mg.Game([mg.Player("w", lambda: (mg.ops.minimum(w * hot, 1.0) * 0.5).sum(), Own(w, lr=0.1))])
    seen = []
    with np.errstate(all="ignore"), pytest.raises(mg.NotFiniteError) as caught:
        for step in range(finite.EVERY + 1):
            seen.append(step)
            game.step()
    assert caught.value.step <= finite.EVERY


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kernels_note_the_arrays_that_are_not_finite(name, dtype):
    rng = np.random.default_rng(0)
    shapes = [(3,), (20_000,), (70, 70), (8192,)]
    params = [rng.standard_normal(s).astype(dtype) for s in shapes]
    grads = [rng.standard_normal(s).astype(dtype) for s in shapes]
    grads[0][:] = np.finfo(dtype).max  # large, and a number
    grads[1][19_999] = np.nan
    grads[2][0, 5] = -np.inf
    slots = [[np.zeros_like(p) for p in params] for _ in range(2 if name == "adam" else 1)]
    hyper = {"adam": [1e-3, 0.9, 0.99, 1e-8, 0.0, 1], "sgd": [1e-3, 0.9, 0.0], "rmsprop": [1e-3, 0.9, 1e-8]}[name]
    extra = (False,) if name == "sgd" else ()
    for kernels in (CPU, SPECIFICATION):
        notes = Notes(4, dtype)
        with np.errstate(all="ignore"):
            getattr(kernels, name)(params, grads, *slots, np.array(hyper), *extra, notes)
        assert np.isnan(notes.bad).tolist() == [False, True, True, False] and notes.bad[0] == notes.bad[3] == 0


@pytest.mark.parametrize("replay", [False, True])
def test_the_norm_of_the_gradients_is_noted(replay):
    game = game_of(optim.SGD, replay=replay, width=100)
    d = game.players[0].optimizer
    assert d.gradient_norm() is None
    for _ in range(4):
        before = [t.data.copy() for t in d.parameters.values()]
        game.step(points())
        moved = [(t.data.astype(np.float64) - b) / 1e-3 for t, b in zip(d.parameters.values(), before, strict=True)]
        norm = np.sqrt(sum((m**2).sum() for m in moved))
        assert d.gradient_norm() == pytest.approx(norm, rel=1e-3)
    with kernel.using("reference"):
        game.step(points())
    assert d.gradient_norm() == pytest.approx(norm, rel=0.2)
