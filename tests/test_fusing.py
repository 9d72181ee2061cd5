"""What a product does on its way out: which sums and derivatives, and that no bit changes."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn, ops, optim, penalties
from minigan.kernels.cpu.gemm_microkernel import AVAILABLE
from minigan.replay import Recording

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="without a fused multiply-add the BLAS makes the products")
rng = np.random.default_rng(7)
SIDE = 64  # smaller products have no kernel that adds


def arrays(count):
    return [mg.tensor(rng.standard_normal((SIDE, SIDE)).astype(np.float32)) for _ in range(count)]


def chain(a, b, c):
    return a @ b + b @ c + c @ a


def by_a_user(out, x):
    out[...] = x


def assigned_between(a, b, c):
    y = a @ b
    kept = ops.exp(a) * 1.0  # made inside, so that it may be written
    kept.assign(c * 0.5)
    return y + kept @ c, kept


def through_an_effect(a, b, c):
    y = a @ b
    seen = ops.exp(a) * 1.0
    mg.effect(by_a_user, seen, c * 2.0)
    return y + seen


CASES = {
    "two products": (lambda a, b, c: a @ b + b @ c, 1),
    "a product and an array made before": (lambda a, b, c: ops.exp(c) + a @ b, 1),
    "an array made between": (lambda a, b, c: a @ b + ops.exp(c), 1),
    "three products": (chain, 2),
    "of transposed factors": (lambda a, b, c: ops.exp(c) + a.T @ b + a @ b.T, 2),
    "read twice": (lambda a, b, c: (y := a @ b) * 2.0 + (y + ops.exp(c)), 0),
    "read again later": (lambda a, b, c: (y := a @ b, y + ops.exp(c), y * 1.0)[1:], 0),
    "held": (lambda a, b, c: (y := a @ b, y + ops.exp(c)), 0),
    "with itself": (lambda a, b, c: (y := a @ b) + y, 0),
    "broadcast": (lambda a, b, c: a @ b + ops.exp(c[:1]), 0),
    "turned": (lambda a, b, c: (a @ b).T + ops.exp(c), 0),
    "a part": (lambda a, b, c: (a @ b)[:32] + ops.exp(c[:32]), 0),
    "through a leaky ReLU": (lambda a, b, c: ops.activation_backward(a @ b.T, c, "leaky_relu"), 1),
    "through a ReLU": (lambda a, b, c: ops.activation_backward(ops.exp(a) @ b, ops.relu(c), "relu"), 1),
    "through tanh": (lambda a, b, c: ops.activation_backward(a @ b, ops.tanh(c), "tanh"), 0),
    "a product that is the layer's result": (lambda a, b, c: ops.activation_backward(ops.exp(c), a @ b, "relu"), 0),
    "an effect between": (through_an_effect, 0),
    "a write between": (assigned_between, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_product_takes_over_and_that_no_bit_changes(name):
    function, count = CASES[name]
    given = arrays(3)
    recording = Recording(function, *given)
    for _ in range(2):
        for t in given:
            t.data[...] = rng.standard_normal(t.shape)
        got, want = recording.replay(), function(*given)
        for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, want)), strict=True):
            np.testing.assert_array_equal(g.numpy(), w.numpy())
    assert sum(arrays is None for _, arrays in recording.made) == count


def test_the_gradients_of_a_weight_under_a_penalty_are_added_by_their_products():
    hidden = [nn.Dense(SIDE, SIDE, activation=kind) for kind in ("leaky_relu", "tanh")]
    d = nn.Sequential(*hidden, nn.Dense(SIDE, 1))
    d.initialize(mg.random.Source(0), "D")

    def loss(x):
        return ops.mean(d(x)) + penalties.r1(d, x, gamma=1.0)

    game = mg.Game([mg.Player("D", loss, optim.Adam(d))], replay="check")  # compares bit by bit
    for _ in range(5):
        game.step(rng.standard_normal((SIDE, SIDE)).astype(np.float32))
    found = game._recorded._entries[0].recording
    assert sum(arrays is None for _, arrays in found.made) >= 4
