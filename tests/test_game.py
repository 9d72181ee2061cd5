"""Players, rules, freezing, recorded steps."""

import numpy as np
import pytest
from devices import each_device
from narrow import NarrowMLP

import minigan as mg
from minigan import nn, ops, optim
from minigan.gans.toy import Toy
from minigan.random import Source
from minigan.rules import RULES
from minigan.theory import dynamics


def bilinear(h=0.1, rule="alternating", updates=1, device="cpu"):
    """min over x, max over y of x y by plain descent with step h."""
    x, y = (mg.tensor(np.array([v]), requires_grad=True, device=device) for v in (1.0, 0.5))
    players = [
        mg.Player("x", lambda batch: (x * y).sum(), optim.SGD([x], lr=h), updates=updates),
        mg.Player("y", lambda batch: -(x * y).sum(), optim.SGD([y], lr=h)),
    ]
    return mg.Game(players, rule=rule), x, y


def test_rules_move_the_bilinear_game_as_their_formulas_say():
    game, x, y = bilinear(rule="simultaneous")
    game.step(np.zeros(1))
    assert x.item() == pytest.approx(1 - 0.1 * 0.5) and y.item() == pytest.approx(0.5 + 0.1 * 1)
    game, x, y = bilinear(rule="alternating", updates=2)
    game.step(np.zeros(1))
    assert x.item() == pytest.approx(0.9) and y.item() == pytest.approx(0.5 + 0.1 * 0.9)


def test_simultaneous_descent_grows_by_sqrt_1_plus_h2():
    """Identity 40."""
    game, x, y = bilinear(h=0.3, rule="simultaneous")
    start = np.hypot(x.item(), y.item())
    for _ in range(10):
        game.step(np.zeros(1))
    assert np.hypot(x.item(), y.item()) == pytest.approx(start * (1 + 0.09) ** 5)


@each_device
@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("rule", ["simultaneous", "alternating", "extragradient"])
def test_rules_are_those_of_the_theory(rule, replay, device):
    game, x, y = bilinear(h=0.3, rule=rule, device=device)
    game.replay = replay
    path = dynamics.iterate(getattr(dynamics, rule), dynamics.bilinear_game(), (1.0, 0.5), steps=20, step=0.3)
    for want in path[1:]:
        game.step(np.zeros(1))
        np.testing.assert_allclose([x.item(), y.item()], want, atol=1e-14)


def test_extragradient_reads_two_batches_and_reports_the_losses_of_where_it_stood():
    seen = []
    x = mg.tensor(np.ones(1), requires_grad=True)
    loss = lambda batch: (seen.append((x.item(), batch.item())), (x * x * batch).sum())[1]  # noqa: E731
    game = mg.Game([mg.Player("x", loss, optim.SGD([x], lr=0.1))], rule="extragradient")
    losses = game.step(batches=[np.full(1, 2.0), np.full(1, 3.0)])
    assert seen == [(1.0, 2.0), (pytest.approx(0.6), 3.0)]  # the look-ahead is 1 - 0.1 * 4
    assert losses["x"].item() == 2.0
    assert x.item() == pytest.approx(1 - 0.1 * 2 * 3 * 0.6)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.Adam(p, lr=optim.linear(0.1, steps=30), beta1=0.5),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.7, clip_norm=0.4),
        lambda p: optim.RMSProp(p, lr=0.05),
    ],
    ids=["adam", "momentum", "rmsprop"],
)
@each_device
@pytest.mark.parametrize("replay", [False, True])
def test_extragradient_leaves_no_trace_of_the_look_ahead_in_any_optimizer(optimizer, replay, device):
    """The same by hand: a second set of optimizers, brought to the same state, makes the look-ahead."""
    game, x, y = bilinear(rule="extragradient", device=device)
    for player in game.players:
        player.optimizer = optimizer(list(player.optimizer.parameters.values()))
    game.replay = replay
    here, ahead = ([mg.tensor(np.array([v]), requires_grad=True, device=device) for v in (1.0, 0.5)] for _ in range(2))
    movers, scouts = [optimizer([t]) for t in here], [optimizer([t]) for t in ahead]
    slopes = lambda x, y: ([mg.tensor(y.data.copy())], [mg.tensor(-x.data)])  # noqa: E731
    for _ in range(12):
        game.step(np.zeros(1))
        for t, scout, mover in zip(ahead, scouts, movers, strict=True):
            scout.load_state(mover.state())
            t.assign(mover.parameters["0"])
        for scout, grads in zip(scouts, slopes(*here), strict=True):
            scout.step(grads)
        for mover, grads in zip(movers, slopes(*ahead), strict=True):
            mover.step(grads)
        assert (x.item(), y.item()) == (here[0].item(), here[1].item())
    assert [p.optimizer.steps for p in game.players] == [12, 12]
    for player, mover in zip(game.players, movers, strict=True):
        assert all((v == mover.state()[k]).all() for k, v in player.optimizer.state().items())


def test_updates_read_one_batch_each():
    seen = []
    x = mg.tensor(np.zeros(1), requires_grad=True)
    loss = lambda batch: (seen.append(batch.item()), (x * batch).sum())[1]  # noqa: E731
    mg.Game([mg.Player("x", loss, optim.SGD([x], lr=1.0), updates=3)]).step(
        batches=[np.ones(1), np.full(1, 2.0), np.full(1, 3.0)]
    )
    assert seen == [1, 2, 3] and x.item() == -6


def test_bad_games_are_refused():
    with pytest.raises(ValueError, match="different names"):
        mg.Game([])
    with pytest.raises(ValueError, match="rule"):
        bilinear(rule="sideways")
    with pytest.raises(ValueError, match="several updates"):
        bilinear(rule="simultaneous", updates=2)[0].step(np.zeros(1))
    with pytest.raises(ValueError, match="extragradient: got a player with several updates"):
        bilinear(rule="extragradient", updates=2)[0].step(np.zeros(1))


def small(model=Toy, shape=(2,), **options):
    config = model.Config(batch_size=16, **options)
    return model(config, shape, replay=False)


def test_each_player_changes_only_its_own_parameters():
    model = small()
    x = np.random.default_rng(0).standard_normal((16, 2)).astype(np.float32)
    for player, other in ((0, model.generator), (1, model.discriminator)):
        before = other.state()
        p = model.game.players[player]
        _, grads = p.gradients(mg.tensor(x), [q for q in model.game.players if q is not p])
        p.optimizer.step(grads)
        assert all((v == before[k]).all() for k, v in other.state().items())


def test_no_weight_gradient_of_a_frozen_player_is_computed():
    """In G's move the shapes of D's weights appear in no product of the backward walk; and D's move builds no graph of G."""
    model = small(r1=0.0)  # whose products have the shapes of G's weights, by chance
    x = mg.tensor(np.zeros((16, 2), np.float32))
    d, g = model.game.players
    for player, other, frozen in ((g, d, model.discriminator), (d, g, model.generator)):
        shapes = {t.shape for t in frozen.parameters().values()} - {
            t.shape for t in dict(player.optimizer.parameters).values()
        }
        made = []
        with mg.hook(
            lambda e, made=made: made.append(e.output.shape) if e.kind == "apply" and "matmul" in e.op.name else None
        ):
            player.gradients(x, [other])
        assert made and shapes and not shapes & set(made)
    nodes = []
    with mg.hook(lambda e: nodes.append((e.op.name, e.node)) if e.kind == "apply" else None):
        d.gradients(x, [g])
    assert [node for name, node in nodes if name == "dense"][:3] == [None] * 3  # G's three layers
    assert all(t.requires_grad for t in model.generator.parameters().values())  # thawed again


def test_frozen_parameters_thaw_after_an_error():
    model = small()
    broken = mg.Player("broken", lambda batch: batch @ batch, model.game.players[0].optimizer)
    with pytest.raises(ValueError, match="matmul"):
        broken.gradients(mg.tensor(np.zeros((3, 2))), [model.game.players[1]])
    assert all(t.requires_grad for t in model.generator.parameters().values())


def test_a_replayed_gan_under_extragradient_is_the_eager_one_bit_for_bit():
    games = [Toy(Toy.Config(batch_size=8), (2,), replay=replay) for replay in (False, True)]
    for model in games:
        model.game.rule = RULES["extragradient"]
    r = np.random.default_rng(0)
    for _ in range(4):
        x = r.standard_normal((8, 2)).astype(np.float32)
        a, b = (model.game.step(x) for model in games)
        assert {k: v.item() for k, v in a.items()} == {k: v.item() for k, v in b.items()}
    ours = games[1].state()
    assert all((v == ours[k]).all() for k, v in games[0].state().items())


@pytest.mark.parametrize(
    ("model", "shape", "options"),
    [
        (Toy, (2,), {}),
        (Toy, (3,), {"loss": "minimax", "ema": 0.9}),
        (NarrowMLP, (6, 6, 1), {}),  # with batch norm and an average
    ],
)
@each_device
def test_a_replayed_game_is_the_eager_game_bit_for_bit(model, shape, options, device):
    config = model.Config(batch_size=8, **options)
    eager, recorded = (model(config, shape, replay=replay, device=device) for replay in (False, True))
    r = np.random.default_rng(0)
    for _ in range(5 if device == "cpu" else 3):
        x = r.standard_normal((8, *shape)).astype(np.float32)
        a, b = eager.game.step(x), recorded.game.step(x)
        assert {k: v.item() for k, v in a.items()} == {k: v.item() for k, v in b.items()}
    ours = recorded.state()
    assert all((v == ours[k]).all() for k, v in eager.state().items())
    assert (eager.sample(7) == recorded.sample(7)).all() and eager.sample(7).shape == (7, *shape)


@each_device
def test_replay_with_dropout_draws_new_masks_and_other_batch_sizes_record_anew(device):
    def build(replay):
        random = Source(4, device=device)
        net = nn.Sequential(nn.Dense(3, 8, activation="tanh"), nn.Dropout(0.5), nn.Dense(8, 1)).to(device)
        net.initialize(random)
        adam = optim.Adam(net, lr=optim.linear(0.1, steps=20), clip_norm=0.5)
        return mg.Game(
            [mg.Player("p", lambda x: ops.square(net(x) - 1.0).mean(), adam)], random=random, replay=replay
        ), net

    (a, left), (b, right) = build(False), build(True)
    r = np.random.default_rng(0)
    for n in (4, 4, 4, 6, 4, 6, 6, 4):
        x = r.standard_normal((n, 3)).astype(np.float32)  # NumPy's: the game takes it to the players' device
        assert a.step(x)["p"].item() == b.step(x)["p"].item()
    assert all((v == right.state()[k]).all() for k, v in left.state().items())
    assert b.buffer((4, 3)) is not None and b.buffer((5, 3)) is None


def test_a_batch_gathered_into_the_buffer_is_used_in_place():
    model = small()
    model.game.replay = True
    x = np.random.default_rng(0).standard_normal((16, 2)).astype(np.float32)
    other = small()
    for _ in range(3):
        model.game.step(x)
        other.game.step(x)
    model.game.buffer(x.shape)[...] = 2 * x
    want = other.game.step(2 * x)
    got = model.game.step(model.game.buffer(x.shape))
    assert {k: v.item() for k, v in got.items()} == {k: v.item() for k, v in want.items()}


def test_state_resumes_bit_for_bit():
    r = np.random.default_rng(0)
    batches = [r.standard_normal((16, 2)).astype(np.float32) for _ in range(6)]
    whole, first, second = small(ema=0.9), small(ema=0.9), small(ema=0.9)
    for x in batches:
        whole.game.step(x)
    for x in batches[:3]:
        first.game.step(x)
    second.load_state(first.state())
    for x in batches[3:]:
        second.game.step(x)
    assert all((v == second.state()[k]).all() for k, v in whole.state().items())


def test_gan_config_names_what_is_wrong():
    with pytest.raises(ValueError, match="batch_size: got 0"):
        Toy.Config(batch_size=0)
    with pytest.raises(ValueError, match="loss: got 'x'"):
        Toy.Config(loss="x")


def test_toy_gan_learns_a_line():
    """The whole engine at work: the generated cloud finds the data's mean and spread. (Players rotate: hence the average.)"""
    model = Toy(Toy.Config(lr=5e-4, seed=1, ema=0.998), (2,))
    assert np.abs(model.sample(2000).mean(0) - [2, -1]).max() > 1.5
    r = np.random.default_rng(0)
    for _ in range(1500):
        model.game.step((r.standard_normal((256, 2)) * 0.5 + [2.0, -1.0]).astype(np.float32))
    y = model.sample(2000)
    assert np.abs(y.mean(0) - [2, -1]).max() < 0.5 and (y.std(0) > 0.15).all() and (y.std(0) < 1.0).all()
