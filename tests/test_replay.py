"""Recordings: what they keep, what they skip, and that a replay computes what a fresh run would."""

import numpy as np
import pytest
from devices import each_device

import minigan as mg
from minigan import ops


def record(f, *arrays, device="cpu"):
    inputs = [mg.tensor(a, device=device) for a in arrays]
    return mg.Recording(f, *inputs), inputs


@each_device
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "broadcast"])
def test_a_replay_reads_the_inputs_new_values_through_views(layout, device):
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
            v @ mg.tensor(np.ones((v.shape[1], 2)), device=device),
        ]

    r = np.random.default_rng(0)
    recording, (x,) = record(f, r.standard_normal((4, 3)), device=device)
    for _ in range(3):
        new = mg.tensor(r.standard_normal((4, 3)), device=device)
        x.data[...] = new.data
        for got, want in zip(recording.replay(), f(new), strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy())


@each_device
def test_views_cost_no_call(device):
    recording, _ = record(lambda x: x.reshape(2, 6).T[1:], np.zeros((3, 4)), device=device)
    assert len(recording) == 0
    recording, _ = record(lambda x: x.T.reshape(-1), np.zeros((3, 4)), device=device)
    assert len(recording) == 1  # a transposed array has to be copied to be flattened


@each_device
def test_derivatives_and_second_derivatives_replay(device):
    def f(x):
        x = mg.ops.identity(x)
        leaf = x.detach()
        leaf.requires_grad = True
        y = (ops.tanh(leaf) ** 3).sum()
        g = mg.grad(y, leaf, create_graph=True)
        return [g, mg.grad((g * g).sum(), leaf)]

    recording, (x,) = record(f, np.linspace(-1, 1, 7), device=device)
    new = mg.tensor(np.linspace(0.3, 2, 7), device=device)
    x.data[...] = new.data
    for got, want in zip(recording.replay(), f(new), strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy())


@each_device
def test_index_arrays_and_masks_computed_in_the_step_are_followed(device):
    def f(x):
        return [ops.where(x > 0.0, x, 0.0), ops.sort(x), x[ops.argsort(x)], ops.max(x)]

    recording, (x,) = record(f, np.array([3.0, -1.0, 2.0]), device=device)
    x.data[...] = mg.tensor(np.array([-5.0, 7.0, 1.0]), device=device).data
    got = [t.data.tolist() for t in recording.replay()]
    assert got == [[0, 7, 1], [-5, 1, 7], [-5, 1, 7], 7]


@each_device
def test_size_zero(device):
    recording, _ = record(lambda x: ops.concatenate([x, x]).sum(), np.zeros((0, 3)), device=device)
    assert recording.replay().item() == 0
