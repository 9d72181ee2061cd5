"""What goes into a step of a game and what comes out: batches with structure, reports, lazy terms, hooks, phases."""

import numpy as np
import pytest

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.random import Source

R = np.random.default_rng(0)
X, Y = R.standard_normal((8, 2)).astype(np.float32), np.arange(8) % 3


def weight(*shape, value=1.0):
    return mg.tensor(np.full(shape or (1,), value), requires_grad=True)


def one(loss, w=None, *, replay=False, lr=0.1, **options):
    w = weight() if w is None else w
    return mg.Game([mg.Player("p", lambda *b: loss(w, *b), optim.SGD(w, lr=lr), **options)], replay=replay), w


# -- batches ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("replay", [False, True])
def test_a_mapping_reaches_every_loss_whole(replay):
    d, g = nn.Dense(2, 3).initialize(0), nn.Dense(3, 2).initialize(0)

    def of_d(b):
        assert set(b) == {"x", "y", "pair"} and set(b.pair) == {"a"} and "x" in b and len(b.x) == 8
        assert b.y.dtype == np.int64
        return -(ops.log_softmax(d(b.x)) * np.eye(3, dtype=np.float32)[0]).mean() + (b["pair"].a * b.x).sum() * 0.0

    def of_g(b):
        labels = ops.embedding(np.eye(3, dtype=np.float32), b.y)
        return ((g(labels) - b["x"]) ** 2).mean()

    players = [mg.Player("D", of_d, optim.SGD(d, lr=0.1)), mg.Player("G", of_g, optim.SGD(g, lr=0.1))]
    game = mg.Game(players, replay=replay)
    seen = []
    for k in range(4):
        seen.append(game.step({"x": X + k, "y": Y, "pair": {"a": X}})["G"].item())
    want, other = [], nn.Dense(3, 2).initialize(0)
    for k in range(4):
        loss = ((other(np.eye(3, dtype=np.float32)[Y]) - (X + k)) ** 2).mean()
        want.append(loss.item())
        optim_step = optim.SGD(other, lr=0.1)
        optim_step.step(mg.grad(loss, list(other.parameters().values())))
    np.testing.assert_allclose(seen, want, rtol=1e-5)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (([X, Y],), r"step\(batches=\[...\]\)"),
        (((X, Y),), "a mapping"),
        (({"x": [X]},), r"batch\['x'\]: got a list"),
        (({"x": 1.0},), r"batch\['x'\]: got float"),
        ((X.astype(np.float16),), "dtype float16"),
        (("text",), "got str"),
        ((None,), "none was given"),
    ],
)
@pytest.mark.parametrize("replay", [False, True])
def test_what_is_no_batch_is_refused(args, words, replay):
    game, _ = one(lambda w, b: (w * w).sum(), replay=replay)
    game.players[0].loss = lambda b: game.players[0].parameters[0].sum()
    with pytest.raises(TypeError, match=words):
        game.step(*args)
    with pytest.raises(TypeError, match="a batch and batches"):
        game.step(X, batches=[X])
    with pytest.raises(TypeError, match="expected a list of batches"):
        game.step(batches=X)


@pytest.mark.parametrize("name", ["keys", "1st", "_x", "a b", 3])
def test_names_that_cannot_be_written_are_refused(name):
    game, _ = one(lambda w, b: (w * w).sum())
    with pytest.raises(ValueError, match="expected one that can be written"):
        game.step({name: X})
    with pytest.raises(ValueError, match="without entries"):
        game.step({})


def test_a_batch_says_what_it_has():
    batch = mg.Batch({"x": mg.tensor(X), "y": mg.tensor(Y[:3])})
    with pytest.raises(AttributeError, match="no entry 'z', but x, y"):
        _ = batch.z
    with pytest.raises(KeyError, match="no entry 'z'"):
        batch["z"]
    with pytest.raises(ValueError, match=r"different lengths, \{'x': 8, 'y': 3\}"):
        len(batch)
    assert (
        dict(batch).keys() == batch.keys() and [n for n, _ in batch.items()] == ["x", "y"] and len(batch.values()) == 2
    )
    assert len(mg.Batch({"x": mg.tensor(X)})) == 8 and "Batch(x: tensor(" in repr(batch)


def test_as_many_batches_as_updates_or_one():
    seen = []
    game, _ = one(lambda w, b: (seen.append(b.x.data.sum()), (w * b.x).sum())[1], updates=3)
    game.step(batches=[{"x": np.full(1, float(k))} for k in range(3)])
    game.step(batches=[{"x": np.full(1, 7.0)}])
    game.step({"x": np.full(1, 8.0)})
    assert seen == [0, 1, 2, 7, 7, 7, 8, 8, 8] and game.updates() == 3
    for count in (0, 2, 4):
        with pytest.raises(ValueError, match=f"got {count} batches, expected 1 or 3"):
            game.step(batches=[{"x": np.ones(1)}] * count)
    game, _ = one(lambda w, b: (w * b).sum())
    with pytest.raises(ValueError, match=r"got 2 batches, expected 1$"):
        game.step(batches=[np.ones(1)] * 2)


@pytest.mark.parametrize("replay", [False, True])
def test_a_game_without_data_takes_no_batch(replay):
    game, w = one(lambda w: (w * w).sum(), replay=replay)
    for _ in range(5):
        game.step()
    np.testing.assert_allclose(w.data, 0.8**5)
    game = mg.Game([mg.Player("p", lambda: (w * w).sum(), optim.SGD(w, lr=0.1))])
    with pytest.raises(TypeError, match="no player's loss is a function of one"):
        game.step(X)


@pytest.mark.parametrize("replay", [False, True])
def test_several_batches_are_gathered_into_the_games_memory(replay):
    game, w = one(lambda w, b: (w * b.x).sum() + 0.0 * b.y.sum(), updates=2, replay=replay)
    assert game.buffers() is None
    want = 1.0
    for k in range(5):
        buffers = game.buffers()
        batches = [{"x": np.full(1, float(k + j)), "y": np.ones(2)} for j in range(2)]
        if buffers is not None:
            for own, new in zip(buffers, batches, strict=True):
                own["x"][...], own["y"][...] = new["x"], new["y"]
            batches = buffers
        game.step(batches=batches)
        want -= 0.1 * (2 * k + 1)
        assert w.item() == pytest.approx(want)
    assert (game.buffers() is not None) == replay


def test_batches_may_be_gathered_into_the_games_memory_in_another_order():
    """What was put into one buffer is not overwritten on its way to another."""
    game, w = one(lambda w, b: (w * b).sum(), updates=2, replay=True)
    plain, v = one(lambda w, b: (w * b).sum(), updates=2)
    for k in range(6):
        batches = [np.array([float(k), 2.0]), np.array([1.0, -3.0 * k])]
        plain.step(batches=batches)
        if (buffers := game.buffers()) is not None:
            buffers[1][...], buffers[0][...] = batches
            batches = [buffers[1], buffers[0][:]]
        game.step(batches=batches)
    assert w.item() == v.item()


def test_an_array_of_a_class_of_its_own_is_an_array():
    """`*` of a np.matrix is another product; a replay, and a resumed run, would not see it."""
    kinds = []
    game, _ = one(lambda w, b: (kinds.append(type(b.data)), (w * b).sum())[1])
    for batch in (np.matrix([[2.0]]), np.ones(1).view(type("Own", (np.ndarray,), {})), np.float64(3.0)):
        game.step(batch)
    assert kinds == [np.ndarray] * 3


# -- what comes out --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("replay", [False, True])
def test_losses_and_reports_can_be_kept(replay):
    game, _ = one(lambda w, b: ((w * b).sum(), {"norm": (w * w).sum(), "twice": 2 * b.sum()}), replay=replay)
    kept, reports = [], []
    for k in range(6):
        kept.append(game.step(np.full(1, float(k)))["p"])
        reports.append(game.metrics)
    w, values = 1.0, []
    for k in range(6):
        values.append((w * k, w * w, 2 * k))
        w -= 0.1 * k
    got = [(a.item(), m["norm"].item(), m["twice"].item()) for a, m in zip(kept, reports, strict=True)]
    np.testing.assert_allclose(got, values)
    assert not kept[0].requires_grad and not reports[0]["norm"].requires_grad


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda w: w * np.ones(2), r"a tensor \(2,\) for 'loss'"),
        (lambda w: 1.0, "float for 'loss'"),
        (lambda w: (w.sum(), {"kl": 1.0}), "float for 'kl'"),
        (lambda w: (w.sum(), {"kl": w * np.ones(3)}), r"a tensor \(3,\) for 'kl'"),
        (lambda w: (w.sum(), w.sum()), "tuple for 'loss'"),
        (lambda w: (1.0, {"loss": w.sum()}), "float for 'loss'"),
    ],
)
def test_what_is_no_loss_is_refused(result, words):
    game, _ = one(result)
    with pytest.raises(TypeError, match=words):
        game.step()


PLAYER = optim.SGD(mg.tensor(np.ones(1), requires_grad=True), lr=0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: mg.Player("p", lambda: None, None), "got an optimizer of type NoneType"),
        (lambda p: mg.Player("p", lambda: None, [PLAYER]), "got an optimizer of type list"),
        (lambda p: mg.Player("p", lambda: None, PLAYER, lazy=[lambda: None]), r"expected mg\.Lazy"),
        (lambda p: mg.Player("p", lambda: None, PLAYER, lazy=mg.Lazy("r", lambda: None, every=2)), "expected a list"),
        (lambda p: mg.Player("p", lambda: None, PLAYER, after=print), "got after of type .*expected a list"),
        (lambda p: mg.Player("p", lambda: None, PLAYER, after=[3]), "got 3 in after"),
        (lambda p: mg.Player("p", lambda: None, PLAYER, after=[lambda x: None]), "takes an argument"),
        (lambda p: mg.Game([p], before=[3]), "got 3 in before"),
        (lambda p: mg.Game([p], after=[lambda x: None]), "takes an argument"),
        (lambda p: mg.Game([3]), "expected a list of mg.Player"),
        (lambda p: mg.Game(p), "expected a list of mg.Player"),
        (lambda p: mg.Phase("a", p), "expected a list of mg.Player"),
        (lambda p: mg.Game([p], rule=3), "got rule 3"),
        (lambda p: mg.Phase("a", [p], rule=[]), r"got rule \[\]"),
        (lambda p: mg.Game([p], random=3), r"expected a mg\.random\.Source"),
        (lambda p: mg.Game([p], random=np.random.default_rng(0)), r"expected a mg\.random\.Source"),
        (lambda p: mg.Game([p], finite="no"), "expected True or False"),
        (lambda p: mg.replayed(lambda x: x, random=3), r"expected a mg\.random\.Source"),
        (lambda p: mg.replayed(3), "expected a function"),
        (lambda p: setattr(mg.Game([p]), "steps", 1.5), "expected an integer"),
        (lambda p: setattr(mg.Game([p]), "steps", -1), "expected an integer >= 0"),
        (lambda p: setattr(p.optimizer, "steps", -1), "expected an integer >= 0"),
    ],
)
def test_what_a_game_cannot_be_made_of_is_refused_where_it_is_given(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make(mg.Player("p", lambda: None, PLAYER))


def test_two_reports_that_read_the_same_are_refused():
    game, _ = one(lambda w: (w.sum(), {1: w.sum(), "1": 2 * w.sum()}))
    with pytest.raises(ValueError, match="two read the same"):
        game.step()


def test_reports_of_one_name_are_refused():
    w, v = weight(), weight()
    both = lambda t: lambda: (t.sum(), {"kl": t.sum()})  # noqa: E731
    game = mg.Game([mg.Player("a", both(w), optim.SGD(w, lr=0.1)), mg.Player("b", both(v), optim.SGD(v, lr=0.1))])
    with pytest.raises(ValueError, match="'b' reports 'kl', which is taken"):
        game.step()


# -- a loss that misses its parameters -------------------------------------------------------------------------------
def test_a_loss_that_reaches_none_of_its_parameters_is_an_error_that_names_both():
    w, v = weight(), weight()
    for loss in (lambda: (v * v).sum(), lambda: (w.detach() * 2.0).sum()):
        game = mg.Game([mg.Player("critic", loss, optim.SGD({"w": w}, lr=0.1))])
        with pytest.raises(mg.GraphError, match=r"player 'critic': its loss reaches none of its parameters \(w\)"):
            game.step()


def test_parameters_that_are_never_reached_are_named_once(recwarn):
    a, b = weight(), weight()
    game = mg.Game([mg.Player("p", lambda: (a * a).sum(), optim.SGD({"a": a, "b": b}, lr=0.1))])
    with pytest.warns(UserWarning, match="player 'p': its loss does not reach the parameters b"):
        game.step()
    recwarn.clear()
    game.step()
    assert not recwarn.list and b.item() == 1.0


def test_twin_networks_are_pointed_out():
    def game(seed, *name):
        nets = [nn.Dense(3, 3).initialize(seed(), *name) for _ in range(2)]
        return mg.Game([mg.Player(n, lambda: 0, optim.SGD(net, lr=0.1)) for n, net in zip("ab", nets, strict=True)])

    with pytest.raises(
        ValueError, match=r"'a: weight' and 'b: weight' start with the same.*one integer.*initialize\(0, 'G'\)"
    ):
        game(lambda: 0)
    with pytest.raises(ValueError, match="one integer"):
        nets = {n: nn.Dense(3, 3).initialize(4) for n in "ab"}
        mg.Game([mg.Player("both", lambda: 0, optim.Adam(nets))])
    with pytest.warns(UserWarning, match="start with the same numbers"):  # it was said so
        game(lambda: Source(0), "net")


# -- what is wrong is told -------------------------------------------------------------------------------------------
def test_a_mapping_given_to_a_network_is_told():
    net, b = nn.Dense(2, 1), {"x": X, "y": Y}
    for loss in (lambda b: net(b).mean(), lambda b: ops.mean(b), lambda b: net(b.x).mean() * mg.tensor(b)):
        with pytest.raises(TypeError, match=r"a mapping is no array; its entries are b\.x, b\.y"):
            mg.Game([mg.Player("p", loss, optim.SGD(net, lr=0.1))]).step(b)


def test_losses_of_several_arguments_are_refused_when_they_are_given():
    w = weight()
    for loss in (lambda x, y: 0, lambda *, x: 0, lambda x, *, y: 0):
        with pytest.raises(TypeError, match=r"player 'p': its loss takes the arguments \(.*b\.x, b\.y"):
            mg.Player("p", loss, optim.SGD(w, lr=0.1))
        with pytest.raises(TypeError, match="its lazy term 'r1' takes the arguments"):
            mg.Player("p", lambda: 0, optim.SGD(w, lr=0.1), lazy=[mg.Lazy("r1", loss, every=2)])
    with pytest.raises(TypeError, match="its loss is Tensor, expected a function"):
        mg.Player("p", w, optim.SGD(w, lr=0.1))
    with pytest.raises(TypeError, match="scheduled: got 3, expected a function"):
        mg.scheduled(3)


@pytest.mark.parametrize(
    "batch, words",
    [
        (np.ma.masked_array(X, mask=X > 0), "masked array, whose mask would be lost"),
        ({"x": X, "y": [1, 2]}, r"batch\['y'\]: got a list, expected an array: np.asarray"),
        (X.astype(np.float16), "got dtype float16"),
        (np.array([X, None], object), "got dtype object"),
    ],
    ids=["masked", "a list of labels", "float16", "objects"],
)
def test_batches_that_would_be_misread(batch, words):
    game, _ = one(lambda w, b: w.sum())
    with pytest.raises(TypeError, match=words):
        game.step(batch)


@pytest.mark.parametrize("replay", [False, True])
def test_numbers_in_another_order_of_bytes_and_arrays_in_any_layout(replay):
    w = mg.tensor(np.ones(1, np.float32), requires_grad=True)
    game, _ = one(lambda w, b: (w * b.x).sum() * b.y[0], w, replay=replay, lr=0.0)
    for k in range(4):
        x = [X, np.asfortranarray(X), X.astype(">f4"), X[::-1][::-1]][k]
        assert game.step({"x": x, "y": np.array([3], ">i8")})["p"].item() == pytest.approx(3 * X.sum(), rel=1e-5)


@pytest.mark.parametrize("replay", [False, True])
def test_losses_that_are_parameters_themselves_are_told_as_they_were(replay):
    """Before the update; and what was kept does not change later."""
    w = weight(value=1.0)
    game = mg.Game([mg.Player("p", lambda: (w, {"m": w, "part": w[:1]}), optim.SGD(w, lr=0.25))], replay=replay)
    kept = [(game.step()["p"], *(game.metrics[name] for name in ("m", "part"))) for _ in range(4)]
    assert [[t.item() for t in row] for row in kept] == [[1 - k / 4] * 3 for k in range(4)]


@pytest.mark.parametrize("replay", [False, True])
def test_networks_and_settings_that_change_while_training(replay):
    """A parameter that is not reached any more is named, a player that reaches none raises, and bad settings are refused."""
    net = nn.Sequential(nn.Dense(2, 3), nn.Dense(3, 1)).initialize(Source(0), "net")
    game = mg.Game([mg.Player("p", lambda x: net(x).mean(), optim.SGD(net, lr=0.1))], replay=replay)
    for _ in range(3):
        game.step(X)
    net.layers[0] = nn.Dense(2, 3)
    with pytest.warns(UserWarning, match=r"does not reach the parameters layers\.0\.weight, layers\.0\.bias"):
        game.step(X)
    net.layers[1] = nn.Dense(3, 1)
    with pytest.raises(mg.GraphError, match="its loss reaches none of its parameters"):
        game.step(X)
    game.players[0].optimizer.parameters["layers.0.weight"].requires_grad = False
    with pytest.raises(mg.GraphError, match=r"its parameter 'layers\.0\.weight' takes no gradient any more"):
        game.step(X)
    with pytest.raises(ValueError, match="player 'p': got updates 0"):
        game.players[0].updates = 0
    with pytest.raises(ValueError, match="game: got rule 'often'"):
        game.rule = "often"
    game.rule = "simultaneous"
    assert game.rule is mg.rules.simultaneous
    for name, value in (
        ("momentum", -1.0),
        ("clip_norm", -1.0),
        ("clip_value", 0),
        ("weight_decay", np.nan),
        ("lr", np.inf),
    ):
        with pytest.raises(ValueError, match=f"SGD: got {name} "):
            setattr(game.players[0].optimizer, name, value)


# -- lazy terms ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("replay", [False, True])
def test_a_lazy_term_counts_every_kth_step_k_times_as_strong(replay):
    w = weight()
    lazy = mg.Lazy("l2", lambda b: (w * w).sum() * b.sum(), every=4)
    game = mg.Game([mg.Player("p", lambda b: (w * b).sum(), optim.SGD(w, lr=0.01), lazy=[lazy])], replay=replay)
    want, due = 1.0, []
    for k in range(17):
        b = 1.0 + k / 10
        losses_ = game.step(np.full(1, b))
        assert losses_["p"].item() == pytest.approx(want * b)
        due.append("l2" in game.metrics)
        if due[-1]:
            assert game.metrics["l2"].item() == pytest.approx(want * want * b)
        want -= 0.01 * (b + (4 * 2 * want * b if k % 4 == 0 else 0))
        assert w.item() == pytest.approx(want)
    assert due == [k % 4 == 0 for k in range(17)]


def test_lazy_r1_has_the_mean_of_the_full_one_and_bad_terms_are_refused():
    critic = nn.Dense(2, 1).initialize(3)
    term = mg.Lazy("r1", lambda x: penalties.r1(critic, x, gamma=2.0), every=2)
    player = mg.Player("D", lambda x: critic(x).mean(), optim.SGD(critic, lr=0.1), lazy=[term])
    _, plain = mg.Player("D", lambda x: critic(x).mean(), player.optimizer).gradients(mg.tensor(X), [])
    _, due = player.gradients(mg.tensor(X), [])  # outside a game it is step 0
    full = mg.grad(penalties.r1(critic, X, gamma=2.0), critic.weight)
    np.testing.assert_allclose(due[0].data - plain[0].data, 2 * full.data, rtol=1e-4, atol=1e-6)
    for options in ({"every": 0}, {"every": 1.5}, {"every": 2, "scale": -1.0}, {"every": 2, "scale": float("nan")}):
        with pytest.raises((TypeError, ValueError), match="lazy term 'x'"):
            mg.Lazy("x", lambda: 0, **options)
    assert mg.Lazy("x", lambda: 0, every=3, scale=1.0).scale == 1.0


# -- hooks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("replay", [False, True])
def test_a_critic_is_clipped_after_every_update(replay):
    """Algorithm 1 of the WGAN paper: inside the loop over the critic's updates, so no update starts outside the box."""
    d, largest = nn.Dense(2, 1).initialize(0), []

    def loss(x):
        return losses.wasserstein.discriminator(d(x) * 100.0, d(x + 5.0) * 100.0)

    watch = lambda: largest.append(float(max(abs(t.data).max() for t in d.parameters().values())))  # noqa: E731
    clip = lambda: [t.assign(np.clip(t.data, -0.01, 0.01)) for t in d.parameters().values()]  # noqa: E731
    for hook in (optim.weight_clipping(d, 0.01), clip):
        player = mg.Player("D", loss, optim.RMSProp(d, lr=0.05), updates=3, after=[hook, watch])
        game = mg.Game([player], replay=replay)
        for _ in range(5):
            game.step(X)
    assert len(largest) == 30 and max(largest) <= np.float32(0.01)


@pytest.mark.parametrize("replay", [False, True])
def test_order_of_hooks(replay):
    said, w = [], weight()
    player = mg.Player("p", lambda: (w * w).sum(), optim.SGD(w, lr=0.1), updates=2, after=[lambda: said.append("p")])
    before, after = [lambda: said.append(f"before {game.steps}")], [lambda: said.append("after")]
    game = mg.Game([player], replay=replay, before=before, after=after)
    for _ in range(4):
        game.step()
    assert said == [text for k in range(4) for text in (f"before {k}", "p", "p", "after")]


# -- phases ----------------------------------------------------------------------------------------------------------
def phased(replay=False):
    source = Source(1)
    g, d = nn.Dense(2, 2).initialize(source, "G"), nn.Dense(2, 1).initialize(source, "D")
    adam_g = optim.Adam(g, lr=0.05)
    beta = mg.scheduled(lambda t: 1.0 / (1 + t))
    noise = lambda x: source.normal(x.shape, stream="z")  # noqa: E731
    content = mg.Player("G", lambda x: ((g(noise(x)) - x) ** 2).mean() * beta, adam_g)
    adversarial = [
        mg.Player("D", lambda x: losses.hinge.discriminator(d(x), d(g(noise(x)))), optim.Adam(d, lr=0.05)),
        mg.Player("G", lambda x: losses.hinge.generator(d(g(noise(x)))) * beta, adam_g),
    ]
    phases = [mg.Phase("content", [content], steps=4), mg.Phase("adversarial", adversarial, rule="simultaneous")]
    return mg.Game(phases, random=source, replay=replay), g, d


@pytest.mark.parametrize("replay", [False, True])
def test_phases_share_optimizers_and_one_counter_and_resume_bit_for_bit(replay):
    batches = [np.random.default_rng(k).standard_normal((8, 2)).astype(np.float32) for k in range(10)]
    whole = phased()
    names, values = [], []
    for x in batches:
        names.append((whole[0].phase.name, sorted(losses_ := whole[0].step(x))))
        values.append({k: v.item() for k, v in losses_.items()})
    assert names == [("content", ["G"])] * 4 + [("adversarial", ["D", "G"])] * 6
    assert whole[0].optimizers()["G"].steps == 10 and whole[0].optimizers()["D"].steps == 6
    for stop in (2, 4, 7):
        first, second = phased(replay), phased(replay)
        for x in batches[:stop]:
            first[0].step(x)
        for a, b in zip(first[1:], second[1:], strict=True):
            b.load_state(a.state())
        second[0].load_state(first[0].state())
        for x, want in zip(batches[stop:], values[stop:], strict=True):
            assert {k: v.item() for k, v in second[0].step(x).items()} == want
        for a, b in zip(whole, second, strict=True):
            assert all((v == b.state()[k]).all() for k, v in a.state().items())


def test_bad_phases_and_states_are_refused():
    w = weight()
    player = mg.Player("p", lambda: (w * w).sum(), optim.SGD(w, lr=0.1))
    for make, words in (
        (lambda: mg.Game([mg.Phase("a", [player]), mg.Phase("b", [player])]), "phase 'a' has no steps"),
        (lambda: mg.Game([mg.Phase("a", [player], steps=1), player]), "all of one kind"),
        (lambda: mg.Phase("a", []), "one or more"),
        (lambda: mg.Phase("a", [player], steps=0), "got steps 0"),
        (lambda: mg.Phase("a", [player], rule="x"), "rule 'x'"),
        (lambda: mg.Game([player], replay="maybe"), "replay 'maybe'"),
        (lambda: mg.Player("p", player.loss, player.optimizer, updates=0), "got updates 0"),
        (lambda: mg.Player("p", player.loss, player.optimizer, updates=1.5), "got updates 1.5"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            make()
    game = mg.Game([player], random=Source(0))
    state = game.state()
    for wrong in (
        {**state, "x": np.zeros(1)},
        {k: v for k, v in state.items() if k != "random"},
        {**state, "q/steps": 0},
    ):
        with pytest.raises(ValueError, match="on one side only"):
            game.load_state(wrong)
    game.load_state(state)


def test_players_of_several_phases_with_optimizers_of_their_own_keep_them_apart():
    w, v = weight(), weight()
    phases = [
        mg.Phase("first", [mg.Player("p", lambda: (w * w).sum(), optim.SGD(w, lr=0.1))], steps=1),
        mg.Phase("then", [mg.Player("p", lambda: (v * v).sum(), optim.SGD(v, lr=0.1))]),
    ]
    game = mg.Game(phases)
    assert list(game.optimizers()) == ["p", "then.p"]
    for _ in range(3):
        game.step()
    assert [o.steps for o in game.optimizers().values()] == [1, 2]
    game.load_state(game.state())
