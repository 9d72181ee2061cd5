"""Choices in a recorded step, the score function's estimator, sequences of unequal lengths, moved phases."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import data, nn, ops, policy
from minigan.autodiff import grad
from minigan.data import DataError


# -- the score function ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("baseline", ["none", "constant", "leave one out"])
def test_reinforce_is_unbiased_with_every_baseline(baseline):
    """The mean over all pairs of choices, each weighted by its probability, is the exact gradient of -E[R]."""
    logits = mg.tensor(np.array([0.3, -0.5, 1.0]), requires_grad=True)
    p, value = np.exp(logits.data) / np.exp(logits.data).sum(), np.array([1.0, 5.0, -2.0])
    total = 0
    for pair in itertools.product(range(3), repeat=2):
        chosen = np.array(pair)
        rewards = value[chosen]
        b = {"none": 0.0, "constant": 7.0, "leave one out": policy.leave_one_out(rewards)}[baseline]
        log_p = ops.log_prob(ops.broadcast_to(logits, (2, 3)), chosen)
        total = total + p[chosen].prod() * grad(policy.reinforce(log_p, rewards, baseline=b), logits).data
    exact = grad(-ops.sum(ops.softmax(logits) * value), logits).data
    np.testing.assert_allclose(total, exact, atol=1e-12)


def test_a_baseline_lowers_the_variance_of_the_estimate():
    source, logits, value = (
        mg.random.Source(0),
        mg.tensor(np.zeros(3), requires_grad=True),
        np.array([10.0, 11.0, 12.0]),
    )
    spread = {}
    for name in ("without", "with"):
        found = []
        for _ in range(200):
            source.advance()
            many = ops.broadcast_to(logits, (8, 3))
            chosen = source.categorical(many, stream="a")
            rewards = ops.take(value, chosen)
            b = policy.leave_one_out(rewards) if name == "with" else 0.0
            found.append(grad(policy.reinforce(ops.log_prob(many, chosen), rewards, baseline=b), logits).data)
        spread[name] = np.var(found, axis=0).sum()
    assert spread["with"] < 0.05 * spread["without"]


def test_rewards_and_baselines_are_constants_and_masked_choices_do_not_count():
    w = mg.tensor(np.array([2.0, 3.0]), requires_grad=True)
    log_p = mg.tensor(np.array([-1.0, -2.0]), requires_grad=True)
    loss = policy.reinforce(log_p, w * w, baseline=w, mask=np.array([True, False]))
    np.testing.assert_allclose(loss.item(), -(4 - 2) * -1.0 / 2)
    by_w, by_p = grad(loss, [w, log_p])
    np.testing.assert_array_equal(by_w.data, 0)
    np.testing.assert_allclose(by_p.data, [-1.0, 0.0])


def test_what_reinforce_cannot_use_is_refused():
    with pytest.raises(ValueError, match="broadcast"):
        policy.reinforce(np.zeros(3), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="mask"):
        policy.reinforce(np.zeros(3), 1.0, mask=np.ones(2, bool))
    with pytest.raises(ValueError, match="N >= 2"):
        policy.leave_one_out(np.zeros(1))
    with pytest.raises(ValueError, match="expected \\(2,\\)"):
        ops.log_prob(np.zeros((2, 3)), np.array([0, 1, 2]))
    with pytest.raises(TypeError, match="integers"):
        ops.log_prob(np.zeros((2, 3)), np.zeros(2))


class Writer(nn.Module):
    """Writes tokens one after the other: each is chosen, and read again in the next step."""

    def __init__(self):
        self.table, self.cell, self.out = nn.Embedding(5, 4), nn.GRUCell(4, 6), nn.Dense(6, 5)

    def forward(self, n, length, source, how):
        token, state, made, log_p = self.table(np.zeros(n, np.int64)), None, [], []
        for _ in range(length):
            h, state = self.cell(token, state)
            logits = self.out(h)
            if how == "reinforce":
                chosen = source.categorical(logits, stream="tokens")
                log_p.append(ops.log_prob(logits, chosen))
                made.append(ops.one_hot(chosen, 5))
            else:
                made.append(ops.gumbel_softmax(logits, temperature=0.7, random=source, hard=how == "straight"))
            token = ops.matmul(made[-1], self.table.weight)
        return ops.stack(made, axis=1), log_p


@pytest.mark.parametrize("how", ["reinforce", "straight", "relaxed"])
def test_choices_in_a_recorded_step_are_drawn_anew_and_bit_by_bit(how):
    """Eager and recorded training end in the same weights, and the tokens of two steps differ."""

    def run(replay):
        source, writer = mg.random.Source(3), Writer().initialize(1)

        def loss():
            made, log_p = writer(7, 4, source, how)
            score = ops.sum(made * np.arange(5.0, dtype=np.float32), -1)
            if how != "reinforce":
                return ops.mean(score)
            rewards = -ops.flip(ops.cumsum(ops.flip(score, 1), 1), 1)
            return policy.reinforce(ops.stack(log_p, 1), rewards, baseline=policy.leave_one_out(rewards))

        game = mg.Game([mg.Player("G", loss, mg.optim.Adam(writer, lr=0.01))], random=source, replay=replay)
        losses = [game.step()["G"].item() for _ in range(6)]
        return losses, writer.state()

    (eager, weights), (recorded, again) = run(False), run("check")
    assert eager == recorded and len(set(eager)) == 6
    for name in weights:
        np.testing.assert_array_equal(weights[name], again[name])


# -- moved phases ----------------------------------------------------------------------------------------------------
def test_phase_shuffle_moves_each_sequence_and_reflects_at_the_ends():
    layer, x = nn.PhaseShuffle(3).initialize(0), np.arange(40.0).reshape(1, 10, 4).repeat(60, 0).astype(np.float32)
    y = layer(x).numpy()
    seen = set()
    for row in y:
        k = next(k for k in range(-3, 4) if (row == np.pad(x[0], ((3, 3), (0, 0)), "reflect")[3 - k : 13 - k]).all())
        seen.add(k)
    assert seen == set(range(-3, 4))
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x)
    assert mg.gradcheck(
        lambda v: nn.PhaseShuffle(2).initialize(mg.random.Source(1), "a")(v), x[:3, :5].astype(float), order=2
    )
    with pytest.raises(ValueError, match="L > 3"):
        layer.train()(x[:, :3])


# -- sequences of unequal lengths ------------------------------------------------------------------------------------
@given(st.lists(st.integers(1, 12), min_size=4, max_size=14), st.integers(1, 4), st.integers(1, 3))
def test_buckets_leave_the_least_padding_that_any_cut_leaves(lengths, buckets, fewest):
    found = data.bucket_lengths(np.array(lengths), buckets, fewest=fewest)

    def padding(cut):
        place = np.searchsorted(cut, lengths)
        if min(np.bincount(place, minlength=len(cut))) < fewest:
            return np.inf
        return sum(cut[p] - n for p, n in zip(place, lengths, strict=True))

    shorter = sorted(set(lengths))[:-1]
    cuts = [(*c, max(lengths)) for k in range(buckets) for c in itertools.combinations(shorter, k)]
    assert padding(found) == min(map(padding, cuts)) < np.inf and len(found) <= buckets


def sequences(count=50):
    r = np.random.default_rng(0)
    return [np.full((int(r.integers(1, 30)), 2), i + 1, np.float32) for i in range(count)]


def test_batches_are_padded_masked_and_a_function_of_the_step():
    made, loader = sequences(), data.SequenceLoader(sequences(), batch_size=5, seed=1, pad=-1)
    assert loader.padding < 0.25 < data.SequenceLoader(made, batch_size=5, seed=1, buckets=1).padding
    epoch = [loader.batch(k) for k in range(loader.steps_per_epoch)]
    visited = np.concatenate([b["x"][:, 0, 0] for b in epoch]).astype(int) - 1
    assert len(set(visited)) == len(visited) >= 50 - 4 * len(loader.buckets)
    for b in epoch:
        assert b["x"].shape[1] in loader.buckets and b["mask"].dtype == bool
        np.testing.assert_array_equal(b["mask"].sum(1), b["lengths"])
        for x, mask, i in zip(b["x"], b["mask"], b["x"][:, 0, 0].astype(int) - 1, strict=True):
            np.testing.assert_array_equal(x[mask], made[i])
            assert (x[~mask] == -1).all()
    again = data.SequenceLoader(sequences(), batch_size=5, seed=1, pad=-1)
    for step in (loader.steps_per_epoch + 2, 1):  # in any order
        np.testing.assert_array_equal(again.batch(step)["x"], loader.batch(step)["x"])
    other = [data.SequenceLoader(made, batch_size=5, seed=s).indices(0).tolist() for s in (1, 2)]
    assert other[0] != other[1]


def test_sequences_that_cannot_be_are_refused():
    good = sequences(6)
    for wrong, what in (
        ([], "none"),
        ([*good, np.zeros((0, 2), np.float32)], "L >= 1"),
        ([*good, np.zeros((3, 3), np.float32)], "one"),
        ([*good, 1.0], "number"),
    ):
        with pytest.raises(DataError, match=what):
            data.SequenceLoader(wrong, batch_size=2, seed=0)
    with pytest.raises(DataError, match="at least 7"):
        data.SequenceLoader(good, batch_size=7, seed=0)
