"""Recordings: what they keep, what they skip, and that a replay computes what a fresh run would."""

import numpy as np
import pytest

import minigan as mg
from minigan import ops


def record(f, *arrays):
    inputs = [mg.tensor(a) for a in arrays]
    return mg.Recording(f, *inputs), inputs


@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "broadcast"])
def test_a_replay_reads_the_inputs_new_values_through_views(layout):
    views = {
        "plain": lambda x: x,
        "transposed": lambda x: x.T,
        "strided": lambda x: x[::2, 1:],
        "broadcast": lambda x: ops.broadcast_to(x[:1], (5, 3)),
    }

    def f(x):
        v = views[layout](x)
        return [
            ops.tanh(v),
            v + 1.0,
            ops.concatenate([v, v]),
            v.reshape(-1) * 2.0,
            ops.softmax(v),
            v @ np.ones((v.shape[1], 2)),
        ]

    r = np.random.default_rng(0)
    recording, (x,) = record(f, r.standard_normal((4, 3)))
    for _ in range(3):
        new = r.standard_normal((4, 3))
        x.data[...] = new
        for got, want in zip(recording.replay(), f(mg.tensor(new)), strict=True):
            np.testing.assert_array_equal(got.data, want.data)


def test_views_cost_no_call():
    recording, _ = record(lambda x: x.reshape(2, 6).T[1:], np.zeros((3, 4)))
    assert len(recording) == 0
    recording, _ = record(lambda x: x.T.reshape(-1), np.zeros((3, 4)))
    assert len(recording) == 1  # a transposed array has to be copied to be flattened


def test_derivatives_and_second_derivatives_replay():
    def f(x):
        x = mg.ops.identity(x)
        leaf = x.detach()
        leaf.requires_grad = True
        y = (ops.tanh(leaf) ** 3).sum()
        g = mg.grad(y, leaf, create_graph=True)
        return [g, mg.grad((g * g).sum(), leaf)]

    recording, (x,) = record(f, np.linspace(-1, 1, 7))
    x.data[...] = np.linspace(0.3, 2, 7)
    for got, want in zip(recording.replay(), f(mg.tensor(np.linspace(0.3, 2, 7))), strict=True):
        np.testing.assert_array_equal(got.data, want.data)


def test_index_arrays_and_masks_computed_in_the_step_are_followed():
    def f(x):
        return [ops.where(x > 0.0, x, 0.0), ops.sort(x), x[ops.argsort(x)], ops.max(x)]

    recording, (x,) = record(f, np.array([3.0, -1.0, 2.0]))
    x.data[...] = [-5.0, 7.0, 1.0]
    got = [t.data.tolist() for t in recording.replay()]
    assert got == [[0, 7, 1], [-5, 1, 7], [-5, 1, 7], 7]


def test_size_zero():
    recording, _ = record(lambda x: ops.concatenate([x, x]).sum(), np.zeros((0, 3)))
    assert recording.replay().item() == 0
