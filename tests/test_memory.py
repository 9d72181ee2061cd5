"""The memory of a step: what recordings keep, what a graph holds while it is walked, what slices cost."""

import gc
import os
import tracemalloc

import numpy as np
import pytest
import test_games_at_random as random_games
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, ops, optim
from minigan.arena import Arena
from minigan.lifetimes import LINE, least, pack
from minigan.random import Source

KIB = 1024


def bytes_held(recording):
    """The arena, after a replay, and what of the step's own arrays stayed where it was."""
    recording.replay()
    return recording.arena.nbytes


def poison(arena):
    """NaN wherever an array of the step may lie: whoever reads what this replay did not write shows it."""
    arena._block[:] = 0xFF


# -- packing ---------------------------------------------------------------------------------------------------------
@given(
    arrays=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 30), st.integers(0, 12)), max_size=40),
)
def test_arrays_that_live_at_once_lie_apart(arrays):
    sizes, first = [a[0] for a in arrays], [a[1] for a in arrays]
    last = [a[1] + a[2] for a in arrays]
    offsets, length = pack(sizes, first, last)
    assert not (np.asarray(offsets) % LINE).any()
    for i in range(len(arrays)):
        assert offsets[i] >= 0 and offsets[i] + sizes[i] <= length
        for j in range(i):
            together = first[i] <= last[j] and first[j] <= last[i]
            apart = offsets[i] + sizes[i] <= offsets[j] or offsets[j] + sizes[j] <= offsets[i]
            assert apart or not together
    assert least(sizes, first, last) <= length <= sum(-(-s // LINE) * LINE for s in sizes)


def test_the_block_of_a_chain_is_as_short_as_can_be():
    n = 50
    _, length = pack([1000] * n, range(n), [min(i + 1, n - 1) for i in range(n)])
    assert length == least([1000] * n, range(n), [min(i + 1, n - 1) for i in range(n)]) == 2 * 1024


# -- what recordings keep --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [4, 40])
def test_a_chain_without_a_backward_keeps_two_arrays(n):
    x = mg.tensor(np.linspace(-1, 1, 4 * KIB))

    def chain():
        y = x
        for _ in range(n):
            y = ops.tanh(y) * 1.5
        return y.sum()

    recording = mg.Recording(chain)
    want = chain()
    assert bytes_held(recording) <= 2 * 32 * KIB + 2 * n * LINE  # of float64, and a factor each
    poison(recording.arena)
    np.testing.assert_array_equal(recording.replay().data, want.data)


def test_what_somebody_still_holds_is_refilled_where_it_is():
    x, held = mg.tensor(np.arange(6.0).reshape(2, 3)), []

    def f():
        y = ops.exp(x)
        z = y * 2.0
        held[:] = [y, z.T[1:]]  # a view of another
        return (z + 1.0).sum()

    recording = mg.Recording(f)
    x.data[...] = -x.data
    got = recording.replay().item()
    poison(recording.arena)
    np.testing.assert_array_equal(held[0].data, np.exp(x.data))
    np.testing.assert_array_equal(held[1].data, (np.exp(x.data) * 2.0).T[1:])
    assert got == (np.exp(x.data) * 2.0 + 1.0).sum()


def test_an_effect_on_what_the_step_made_is_followed():
    x = mg.tensor(np.arange(1.0, 5.0))

    def reverse(out, y):
        out[...] = y[::-1]

    def f():
        y = ops.exp(x)
        out = y * 0.0
        mg.effect(reverse, out, y)
        z = out + 1.0  # reads what the effect wrote
        mg.effect(reverse, out, z)
        return out + z

    recording = mg.Recording(f)
    for k in range(3):
        x.data[...] = np.random.default_rng(k).standard_normal(4)
        poison(recording.arena) if k else None
        want = np.exp(x.data)[::-1] + 1.0
        np.testing.assert_array_equal(recording.replay().data, want[::-1] + want)


def test_what_a_users_effect_saw_is_still_there_for_the_next():
    x, desk = mg.tensor(np.arange(1.0, 5.0)), {}
    out = mg.tensor(np.zeros(4))

    def look(out, y):
        desk["y"] = y

    def take(out):
        out[...] = desk.pop("y")  # so that nobody holds it when the step has ended

    def f():
        mg.effect(look, out, ops.exp(x))
        z = ops.tanh(ops.tanh(x) * 3.0) + 1.0  # what would lie where the first array did
        mg.effect(take, out)
        return out + z * 0.0

    recording = mg.Recording(f)
    for _ in range(2):
        x.data[...] = x.data + 0.25
        np.testing.assert_array_equal(recording.replay().data, np.exp(x.data))


def test_numbers_from_python_and_parameters_are_never_overwritten():
    weight, table = mg.tensor(np.eye(3), requires_grad=True), np.full((2, 3), 2.0)

    def f(x):
        y = (ops.tanh(x @ weight) * table).sum() + mg.tensor(np.array(3.0))
        return mg.grad(y, weight)

    x = mg.tensor(np.ones((2, 3)))
    recording = mg.Recording(f, x)
    for _ in range(3):
        poison(recording.arena)
        np.testing.assert_array_equal(recording.replay().data, f(x).data)
    np.testing.assert_array_equal(weight.data, np.eye(3))
    assert (table == 2.0).all()


def test_recordings_of_one_function_share_a_block_and_the_larger_form_replaces_it():
    source = Source(1)
    step = mg.replayed(lambda x: (ops.tanh(x + source.normal(x.shape, stream="z")) ** 2).mean(), random=source)
    plain, own = Source(1), []
    for k, n in enumerate([100, 100, 100, 5000, 5000, 5000, 100, 5000, 100]):
        x = np.random.default_rng(k).standard_normal((n, 4)).astype(np.float32)
        plain.advance()
        want = (ops.tanh(mg.tensor(x) + plain.normal(x.shape, stream="z")) ** 2).mean()
        own.append(step._arena.nbytes)
        assert step(x).data.tobytes() == want.data.tobytes()
    assert own[3] < own[6] == own[-1]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@given(options=random_games.games, sizes=st.lists(st.sampled_from([4, 4, 5]), min_size=5, max_size=8))
@settings(deadline=None, max_examples=5)
def test_a_replay_reads_nothing_that_an_earlier_one_left(options, sizes):
    """Random games, with the arena full of NaN before each step: the bits of an eager game all the same."""
    sides = [random_games.Model(options, False), random_games.Model(options, True)]
    for k, n in enumerate([*sizes, 4, 4, 4, 4]):
        poison(sides[1].game._recorded._arena)
        eager, replayed = (model.step(n, k) for model in sides)
        assert eager == replayed, f"step {k}"
    a, b = (model.state() for model in sides)
    assert all(value.tobytes() == b[name].tobytes() for name, value in a.items())


def test_a_block_that_grows_tells_the_others_and_not_itself():
    class User:
        forgotten = 0

        def forget(self):
            self.forgotten += 1

    arena, (a, b) = Arena(), (User(), User())
    arena.block(a, 100)
    arena.block(b, 80)
    assert (a.forgotten, b.forgotten) == (0, 0)
    assert arena.block(b, 300).nbytes >= 300
    assert a.forgotten == 1


# -- graphs ----------------------------------------------------------------------------------------------------------
def peak_of(function):
    """The most bytes that NumPy held at once, beyond what it held before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_a_graph_that_nobody_holds_is_freed_while_it_is_walked():
    layers = [nn.Dense(64, 64, activation="tanh").initialize(k) for k in range(12)]
    x = mg.tensor(np.ones((2048, 64), np.float32))
    parameters = [t for layer in layers for t in layer.parameters().values()]

    def forward():
        y = x
        for layer in layers:
            y = layer(y)
        return ops.mean(y)

    def owned():
        mg.autodiff.cotangents([forward()], parameters)

    def held():
        loss = forward()
        mg.autodiff.cotangents([loss], parameters)
        return loss

    owned()
    kept = peak_of(forward)
    assert peak_of(owned) < kept + 4.5 * 512 * KIB
    np.testing.assert_array_equal(held().data, forward().data)  # whoever holds a graph can walk it again
    loss = forward()
    first, second = (mg.grad(loss, parameters) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


# -- slices ----------------------------------------------------------------------------------------------------------
READS = {
    "slices": lambda x: [x[:, t] for t in range(x.shape[1])],
    "ranges": lambda x: [x[:, t : t + 2] for t in range(x.shape[1] - 1)],
    "take": lambda x: [ops.take(x, t, axis=1) for t in range(x.shape[1])],
    "indices": lambda x: [ops.take(x, np.array([t, t, 0]), axis=1) for t in range(x.shape[1])],
    "split": lambda x: ops.split(x, x.shape[1], axis=1),
    "iteration": lambda x: list(x.swapaxes(0, 1)),
    "whole too": lambda x: [x[:, 0], x, x[:, ::-1], x * x],
}


def _reads_loss(reads, x):
    return sum(((k + 1.0) * ops.tanh(part) ** 2).sum() for k, part in enumerate(READS[reads](x)))


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_what_is_read_part_by_part(reads, order):
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    mg.gradcheck(lambda x: _reads_loss(reads, x), x, order=order)


@pytest.mark.parametrize("reads", ["slices", "take", "split", "iteration"])
def test_reading_part_by_part_costs_memory_in_proportion(reads):
    """Gradient of a loop over T slices: at most a few arrays of x's size, whatever T is (dense zeros would be T of them)."""

    def peak(steps):
        x = mg.tensor(np.ones((32, steps, 64), np.float32), requires_grad=True)
        return peak_of(lambda: mg.grad(_reads_loss(reads, x), x)) / x._data.nbytes

    peak(4)
    assert peak(32) < 12 and peak(32) < 1.5 * peak(8)


@pytest.mark.parametrize("join", [lambda parts: ops.concatenate(parts, axis=1), lambda parts: ops.stack(parts, axis=1)])
def test_a_recorded_loop_over_time_is_linear(join):
    def held(steps):
        x = mg.tensor(np.ones((64, steps, 16), np.float32), requires_grad=True)
        return bytes_held(
            mg.Recording(lambda: mg.grad(ops.sum(join([ops.tanh(part) for part in x.swapaxes(0, 1)])), x))
        )

    assert held(64) < 1.1 * 4 * held(16)


def test_cotangents_that_are_summed_in_place_alias_nobody():
    x = mg.tensor(np.arange(3.0), requires_grad=True)
    seed = np.ones(3)
    seen = []
    y = ops.identity(x)
    y.register_hook(lambda g: seen.append(g))
    total = y + y + y + y
    g = mg.grad(total, x, seed)
    np.testing.assert_array_equal(g.data, [4.0] * 3)
    g.data[...] = 0.0
    np.testing.assert_array_equal(seed, [1.0] * 3)
    other = mg.grad(total, [x, y], seed)
    np.testing.assert_array_equal([t.data for t in other], [[4.0] * 3] * 2)


# -- a recurrent network ---------------------------------------------------------------------------------------------
STEPS, BATCH, WIDTH = 40, 128, 32


class LSTM(nn.Module):
    def __init__(self):
        self.gates, self.out = nn.Dense(2 * WIDTH, 4 * WIDTH), nn.Dense(WIDTH, 1)

    def forward(self, x):
        h = c = mg.tensor(np.zeros((len(x), WIDTH), np.float32))
        made = []
        for t in range(x.shape[1]):
            i, f, o, new = ops.split(self.gates(ops.concatenate([x[:, t], h], axis=1)), 4, axis=1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(new)
            h = ops.sigmoid(o) * ops.tanh(c)
            made.append(self.out(h))
        return ops.concatenate(made, axis=1)


def lstm_step():
    """(a game with one player, a batch for it)."""
    net = LSTM().initialize(0)
    game = mg.Game([mg.Player("L", lambda x: ops.mean(net(x) ** 2), optim.Adam(net))])
    return game, np.ones((BATCH, STEPS, WIDTH), np.float32)


def test_a_recorded_lstm_takes_little_more_than_an_eager_one():
    game, x = lstm_step()
    game.step(x)
    eager = peak_of(lambda: game.step(x))
    player = game.players[0]
    recorded, x_in = Arena(), mg.tensor(x)

    def move():
        loss, grads = player.gradients(x_in, [])
        player.move(grads)
        return loss.detach()

    def record_and_replay():
        recording = mg.Recording(move, arena=recorded)
        for _ in range(2):
            recording.replay()

    assert peak_of(record_and_replay) <= 1.3 * eager
    assert recorded.nbytes <= 1.1 * eager


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc to see what is resident")
def test_freed_memory_goes_back_to_the_system():
    from minigan import pages

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    arrays = [np.ones(8 * KIB) for _ in range(1000)]  # 64 KiB each: from the C library's own heap
    last = np.ones(8 * KIB)
    full = resident()
    assert full > before + 50 * KIB * KIB
    del arrays
    pages.trim()
    assert resident() < full - 40 * KIB * KIB and last[0] == 1


def test_showing_a_recording_plans_nothing() -> None:
    x = mg.tensor(np.ones(3))
    recording = mg.Recording(lambda: (x * 2.0).sum())
    assert "2 calls" in repr(recording) and recording._plan is None
