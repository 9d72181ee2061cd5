"""Recurrent layers: the fast scans against the definition, for many sizes, masks and layouts; and what is refused."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, ops
from minigan.autodiff import grad
from minigan.kernels import kernel
from minigan.kernels.cpu import threads


def arrays(seed, n, length, units, gates, dtype=np.float32):
    r = np.random.default_rng(seed)

    def draw(*shape):
        return r.standard_normal(shape).astype(dtype)

    mask = np.arange(length) < r.integers(1, length + 1, (n, 1))
    mask[0] = r.integers(0, 2, length)  # steps that do not count may lie anywhere
    u = (draw(units, gates * units) / np.sqrt(units)).astype(dtype)
    return draw(n, length, gates * units), draw(n, units), draw(n, units), u, draw(units), mask


def leaves(*values):
    return [mg.tensor(v, requires_grad=True) for v in values]


def lstm(values, mask):
    h, c = ops.lstm(*values, mask)
    return ops.concatenate([h.reshape(-1), c.reshape(-1)])


def gru(values, mask):
    return ops.gru(*values, mask)


def run(layer, values, mask, kernels):
    """The result and all cotangents for a cotangent of cosines."""
    xs = leaves(*values)
    with kernel.using(kernels):
        y = layer(xs, mask)
        return [t.numpy() for t in (y, *grad(y, xs, np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)))]


SIZES = st.tuples(st.integers(1, 70), st.integers(1, 9), st.integers(1, 70))


def both(name, seed, n, length, units):
    xw, h0, c0, u, bias, mask = arrays(seed, n, length, units, 4 if name == "lstm" else 3)
    return (lstm, [xw, h0, c0, u], mask) if name == "lstm" else (gru, [xw, h0, u, bias], mask)


@pytest.mark.parametrize("name", ["lstm", "gru"])
@given(SIZES, st.integers(0, 2**32 - 1), st.booleans())
def test_the_fast_scan_equals_the_reference(name, sizes, seed, masked):
    layer, values, mask = both(name, seed, *sizes)
    fast, plain = (run(layer, values, mask if masked else None, kernels) for kernels in ("fast", "reference"))
    for got, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_threads_do_not_show_and_nothing_kept_gives_the_same(name, monkeypatch):
    layer, values, mask = both(name, 0, 50, 7, 40)
    first = run(layer, values, mask, "fast")
    with mg.no_grad():
        np.testing.assert_array_equal(layer(leaves(*values), mask).numpy(), first[0])
    for size in (1, 3):
        monkeypatch.setattr(threads, "THREADS", size)
        for got, expected in zip(run(layer, values, mask, "fast"), first, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_extreme_inputs_saturate_and_nan_stays(name):
    layer, values, _ = both(name, 1, 9, 3, 9)
    values[0][:] = np.float32(1e30)
    assert all(np.isfinite(v).all() for v in run(layer, values, None, "fast"))
    values[0][2, 1, 0] = np.nan
    y = run(layer, values, None, "fast")[0]
    assert np.isnan(y).any() and np.isfinite(y).any(), "a NaN reaches its own row only"


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_padding_at_the_end_is_not_seen(name):
    """A short sequence in a long batch has the state that it has alone, and no gradient from behind its end."""
    layer, values, _ = both(name, 2, 8, 6, 5)
    lengths = np.array([1, 2, 3, 4, 5, 6, 3, 3])
    xs = leaves(*values)
    y = layer(xs, ops.sequence_mask(lengths, 6))
    g = grad(y.sum(), xs)[0].numpy()
    for i, length in enumerate(lengths):
        alone = [v[i : i + 1] if v.shape[0] == 8 and v.ndim > 1 else v for v in values]
        alone[0] = alone[0][:, :length]
        h = layer(leaves(*alone), None).numpy().reshape(-1)[: length * 5].reshape(length, 5)
        np.testing.assert_allclose(y.numpy().reshape(-1)[: 8 * 6 * 5].reshape(8, 6, 5)[i, :length], h, atol=1e-6)
        assert not g[i, length:].any()


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_recorded_step_replays_bit_by_bit(name):
    layer, values, _ = both(name, 3, 16, 5, 8)
    weights = mg.nn.Dense(3, 4 * 8 if name == "lstm" else 3 * 8).initialize(0)
    u = mg.tensor(values[3 if name == "lstm" else 2], requires_grad=True)

    def step_loss(b):
        xs = [ops.dense(b.x, weights.weight, weights.bias), *values[1:]]
        xs[3 if name == "lstm" else 2] = u
        return (layer(xs, b.mask) ** 2).mean()

    r = np.random.default_rng(0)
    batches = [
        {"x": r.standard_normal((16, 5, 3)).astype(np.float32), "mask": r.random((16, 5)) < 0.7} for _ in range(6)
    ]
    game = mg.Game([mg.Player("net", step_loss, mg.optim.Adam([u, *weights.parameters().values()]))], replay="check")
    for batch in batches:
        game.step(batch)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({0: np.zeros((4, 3, 7), np.float32)}, ValueError),
        ({0: np.zeros((4, 0, 8), np.float32)}, ValueError),
        ({1: np.zeros((3, 2), np.float32)}, ValueError),
        ({3: np.zeros((2, 7), np.float32)}, ValueError),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, error):
    values = [np.zeros(s, np.float32) for s in ((4, 3, 8), (4, 2), (4, 2), (2, 8))]
    for i, value in change.items():
        values[i] = value
    with pytest.raises(error, match="lstm: got xw"):
        ops.lstm(*values)


def test_masks_that_do_not_fit_are_refused():
    values = [np.zeros(s, np.float32) for s in ((4, 3, 6), (4, 2), (2, 6), (2,))]
    with pytest.raises(TypeError, match="sequence_mask"):
        ops.gru(*values, np.ones((4, 3), np.float32))
    with pytest.raises(ValueError, match="sequence_mask"):
        ops.gru(*values, np.ones((4, 2), bool))
    with pytest.raises(ValueError, match="bias"):
        ops.gru(*values[:3], np.zeros(3, np.float32))


# -- layers ----------------------------------------------------------------------------------------------------------
if find_spec("torch"):  # no part of the tests' environment: where it is, it has a say

    def torch_twin(layer, kind):
        import torch

        twin = getattr(torch.nn, kind)(layer.cells[0].inputs, layer.cells[0].units, len(layer.cells), batch_first=True)
        with torch.no_grad():
            for k, cell in enumerate(layer.cells):
                for name, value in (
                    (f"weight_ih_l{k}", cell.weight.data.T),
                    (f"weight_hh_l{k}", cell.recurrent.data.T),
                    (f"bias_ih_l{k}", cell.bias.data),
                    (f"bias_hh_l{k}", np.zeros_like(cell.bias.data)),
                ):
                    getattr(twin, name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
                if kind == "GRU":
                    getattr(twin, f"bias_hh_l{k}")[-cell.units :] = torch.from_numpy(cell.recurrent_bias.data)
        return torch, twin

    @pytest.mark.parametrize("kind", ["LSTM", "GRU"])
    def test_layers_equal_pytorchs_in_value_and_gradient(kind):
        layer = getattr(nn, kind)(5, 12, layers=2).initialize(1)
        r = np.random.default_rng(0)
        for name, t in layer.parameters().items():
            if "bias" in name:
                t.assign(r.standard_normal(t.shape).astype(np.float32))
        torch, twin = torch_twin(layer, kind)
        x = r.standard_normal((9, 6, 5)).astype(np.float32)
        y, state = layer(x)
        want, last = twin(torch.from_numpy(x))
        np.testing.assert_allclose(y.numpy(), want.detach().numpy(), atol=2e-6)
        last = last if kind == "LSTM" else (last,)
        for k in range(2):
            for got, expected in zip(state[k] if kind == "LSTM" else (state[k],), last, strict=True):
                np.testing.assert_allclose(got.numpy(), expected[k].detach().numpy(), atol=2e-6)
        (want**2).sum().backward()
        names = {"weight": "weight_ih_l", "recurrent": "weight_hh_l", "bias": "bias_ih_l"}
        for name, g in zip(layer.parameters(), grad((y**2).sum(), list(layer.parameters().values())), strict=True):
            _, k, part = name.split(".")
            if part in names:
                expected = getattr(twin, names[part] + k).grad.numpy()
            else:
                expected = getattr(twin, "bias_hh_l" + k).grad.numpy()[-12:]
            np.testing.assert_allclose(g.numpy(), expected.T, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_state_in_and_out_and_steps_equal_the_sequence(kind):
    layer = getattr(nn, kind)(3, 4, layers=2).initialize(0)
    x = np.random.default_rng(0).standard_normal((5, 7, 3)).astype(np.float32)
    whole, last = layer(x)
    first, state = layer(x[:, :4])
    second, end = layer(x[:, 4:], state)
    np.testing.assert_allclose(ops.concatenate([first, second], axis=1).numpy(), whole.numpy(), atol=1e-6)
    np.testing.assert_allclose(np.array(ops.stack(ops_leaves(end))), np.array(ops.stack(ops_leaves(last))), atol=1e-6)
    cell = layer.cells[0]
    by_steps, _ = ops.scan(cell, cell.start(5), x)
    np.testing.assert_allclose(by_steps.numpy(), cell.over(x)[0].numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="state of 1 layers"):
        layer(x, state[:1])


def ops_leaves(state):
    return [t for part in state for t in (part if isinstance(part, tuple) else (part,))]


def test_forget_bias_starts_at_one_and_gates_have_their_own_fans():
    cell = nn.LSTMCell(4, 6).initialize(3)
    np.testing.assert_array_equal(cell.bias.numpy(), np.repeat([0, 1, 0, 0], 6))
    assert np.abs(cell.recurrent.numpy()).max() <= np.sqrt(6 / 12) < 1.1 * np.abs(cell.recurrent.numpy()).max()


# -- scan ------------------------------------------------------------------------------------------------------------
class Wheel(nn.Module):
    """A cell of plain operations with a state of two tensors."""

    def __init__(self):
        self.turn = mg.tensor(np.array([[0.8, 0.3], [-0.4, 0.9]]), requires_grad=True)

    def forward(self, x, state):
        place, count = state["place"], state["count"]
        place = ops.tanh(ops.matmul(place, self.turn) + x)
        return (place * count, count), {"place": place, "count": count + 1}


@pytest.mark.parametrize("checkpoint", [1, 2, 3, 7, 100])
def test_checkpoints_change_nothing_but_memory(checkpoint):
    cell, r = Wheel(), np.random.default_rng(0)
    x, place = r.standard_normal((3, 7, 2)), r.standard_normal((3, 2))

    def value(x, place, turn, checkpoint):
        cell.turn = turn
        (y, counts), end = ops.scan(cell, {"place": place, "count": np.ones((3, 1))}, x, checkpoint=checkpoint)
        assert counts.shape == (3, 7, 1) and y.shape == (3, 7, 2)
        return (y**2).sum() + end["place"].sum() ** 3 + counts.sum()

    results = []
    for k in (None, checkpoint):
        xs = leaves(x, place, cell.turn.data)
        first = grad(value(*xs, k), xs, create_graph=True)
        second = grad(sum((g**2).sum() for g in first), xs)
        results.append([t.numpy() for t in (*first, *second)])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_checkpoints_in_a_recorded_step():
    cell, rng = nn.LSTMCell(2, 3).initialize(0), np.random.default_rng(0)

    def loss(x):
        return (ops.scan(cell, cell.start(4), x, checkpoint=3)[0] ** 2).mean()

    game = mg.Game([mg.Player("net", loss, mg.optim.Adam(cell))], replay="check")
    for _ in range(5):
        game.step(rng.standard_normal((4, 8, 2)).astype(np.float32))


def test_what_a_second_run_would_do_differently_is_refused():
    source, w = mg.random.Source(0), mg.tensor([1.0], requires_grad=True)

    def noisy(x, s):
        return s, s + source.normal((1,), stream="n")

    with pytest.raises(TypeError, match="draw random numbers before"):
        ops.scan(noisy, w * 1, length=4, checkpoint=2)
    with pytest.raises(TypeError, match="would be lost"):
        ops.scan(lambda x, s: (s, s * w), mg.tensor([1.0]), length=4, checkpoint=2)


def test_scans_that_cannot_be_are_refused():

    def step(x, s):
        return s, s

    with pytest.raises(ValueError, match="length"):
        ops.scan(step, mg.tensor([1.0]))
    with pytest.raises(ValueError, match="length"):
        ops.scan(step, mg.tensor([1.0]), np.zeros((2, 3)), length=4)
    with pytest.raises(ValueError, match="form"):
        ops.scan(lambda x, s: (s, ops.stack([s, s])), mg.tensor([1.0]), length=2)
    with pytest.raises(TypeError, match="expected tensors"):
        ops.scan(step, "state", length=2)
