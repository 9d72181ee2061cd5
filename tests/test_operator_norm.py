"""Spectral normalisation of whole convolutions, layers that compare a batch, and networks with other tensors in their places."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan import nn, ops

rng = np.random.default_rng(3)
CASES = [((5,), 3, 2, 4, 1), ((6, 5), 5, 1, 2, 2), ((6, 6), 4, 2, 1, 3), ((4, 4), 3, 1, 1, 1)]
cases = pytest.mark.parametrize(("size", "kernel", "stride", "inputs", "outputs"), CASES)


def dense_matrix(w, size, **options):
    """The convolution as a matrix: one column for each number of the input map."""
    count = math.prod(size) * w.shape[-2]
    unit = np.eye(count).reshape(count, *size, w.shape[-2])
    return ops.conv(unit, w, **options).data.reshape(count, -1).T


@cases
def test_the_operator_norm_is_that_of_the_dense_matrix(size, kernel, stride, inputs, outputs):
    w = rng.standard_normal((*(kernel,) * len(size), inputs, outputs))
    start = rng.standard_normal((1, *size, inputs))
    _, values, right = np.linalg.svd(dense_matrix(w, size, stride=stride))
    close = right[0].reshape(start.shape) + 1e-5 * start
    sigma = ops.conv_power_iteration(w, close, steps=3, stride=stride).sigma
    assert sigma.item() == pytest.approx(values[0], rel=1e-8)
    grown = [ops.conv_power_iteration(w, start, steps=k, stride=stride).sigma.item() for k in range(1, 7)]
    assert np.diff(grown).min() >= -1e-12 and max(grown) <= values[0] * (1 + 1e-12)
    leaf = mg.tensor(w, requires_grad=True)
    slope = mg.grad(ops.conv_power_iteration(leaf, close, steps=3, stride=stride).sigma, leaf).data
    step = 1e-6 * rng.standard_normal(w.shape)
    norm = lambda w: np.linalg.norm(dense_matrix(w, size, stride=stride), 2)  # noqa: E731
    assert (slope * step).sum() == pytest.approx((norm(w + step) - norm(w - step)) / 2, rel=1e-3)


@cases
def test_the_kernels_matrix_is_another_number_within_the_known_factor(size, kernel, stride, inputs, outputs):
    """s_A <= sqrt(r) s_M, r the windows that a number meets; near equality for a constant kernel, and they do differ."""
    w = rng.standard_normal((*(kernel,) * len(size), inputs, outputs))
    reshaped = np.linalg.norm(w.reshape(-1, outputs), 2)
    true = np.linalg.norm(dense_matrix(w, size, stride=stride), 2)
    factor = math.sqrt(math.ceil(kernel / stride) ** len(size))
    assert true <= factor * reshaped * (1 + 1e-12) and abs(true / reshaped - 1) > 0.02


def test_a_constant_kernel_stretches_by_almost_the_whole_factor():
    w = np.ones((3, 3, 1, 1))
    true = ops.conv_power_iteration(w, np.ones((1, 40, 40, 1)), steps=200).sigma.item()
    assert 0.98 * 9 < true <= 9 and np.linalg.norm(w.reshape(-1, 1), 2) == 3


def small_network():
    return nn.Sequential(
        nn.Conv(1, 3, 5, stride=2, activation="leaky_relu"), nn.Conv(3, 4, 3), nn.Flatten(), nn.Dense(64, 1)
    )


def test_every_layer_has_norm_one_and_so_has_the_network():
    network = nn.spectral_operator(small_network(), (8, 8, 1), steps=5).initialize(mg.random.Source(1), "D")
    x = rng.standard_normal((6, 8, 8, 1)).astype(np.float32)
    for _ in range(20):
        network(x)
    for layer, size in ((network[0], (8, 8)), (network[1], (4, 4))):
        norm = np.linalg.norm(dense_matrix(layer.weight.data.astype(np.float64), size, **layer.options), 2)
        assert norm == pytest.approx(1, abs=0.01)
    assert np.linalg.norm(network[3].weight.data, 2) == pytest.approx(1, abs=0.01)
    slopes = mg.penalties.gradient_norm(network, x).data
    assert slopes.max() <= 1.02
    reshaped = nn.spectral(small_network(), steps=5).initialize(mg.random.Source(1), "D")
    for _ in range(20):
        reshaped(x)
    true = np.linalg.norm(dense_matrix(reshaped[0].weight.data.astype(np.float64), (8, 8), **reshaped[0].options), 2)
    assert abs(true - 1) > 0.1  # the reshaped form bounds something else


def test_its_state_is_in_buffers_and_moves_in_training_only():
    network = nn.spectral_operator(small_network(), (8, 8, 1)).initialize(mg.random.Source(1), "D")
    x = rng.standard_normal((2, 8, 8, 1)).astype(np.float32)
    moving = [name for name in network.buffers() if name.endswith(".v")]
    assert len(moving) == 3
    before = network.state()
    network.eval()(x)
    assert all((network.state()[name] == before[name]).all() for name in before)
    network.train()(x)
    assert any((network.state()[name] != before[name]).any() for name in moving)
    other = nn.spectral_operator(small_network(), (8, 8, 1))
    other.load_state(network.state())
    assert (other.eval()(x).data == network.eval()(x).data).all()


def test_what_operator_norms_refuse():
    with pytest.raises(TypeError, match=r"use nn\.spectral"):
        nn.spectral_operator(nn.Sequential(nn.ConvTranspose(1, 1, 3)), (4, 4, 1))
    with pytest.raises(ValueError, match="uses 0 of 0 layers"):
        nn.spectral_operator(nn.Sequential(nn.Flatten()), (4,))
    with pytest.raises(ValueError, match="expected \\(1, \\*sizes, in\\)"):
        ops.conv_power_iteration(np.ones((3, 3, 1, 1)), np.zeros((1, 4, 4, 1)))


# -- layers that compare a batch -------------------------------------------------------------------------------------
def test_minibatch_discrimination_is_that_of_the_formula():
    layer = nn.MinibatchDiscrimination(3, kernels=2, dimensions=4)
    layer.astype(np.float64).initialize(mg.random.Source(0, dtype=np.float64), "layer")
    x = rng.standard_normal((5, 3))
    m = (x @ layer.weight.data).reshape(5, 2, 4)
    close = np.exp(-np.abs(m[:, None] - m[None]).sum(3)).mean(1)
    np.testing.assert_allclose(layer(x).data, np.concatenate([x, close], 1), atol=1e-12)
    same = layer(np.tile(x[:1], (4, 1))).data[:, 3:]
    np.testing.assert_allclose(same, 1.0)
    assert mg.gradcheck(lambda x: layer(x), x, order=2)
    with pytest.raises(ValueError, match=r"expected \(N, 3\)"):
        layer(x[:, :2])


@pytest.mark.parametrize("shape", [(5, 3), (4, 2, 2, 3)])
def test_minibatch_std_is_that_of_the_formula(shape):
    x = rng.standard_normal(shape)
    y = nn.MinibatchStd()(x).data
    assert y.shape == (*shape[:-1], shape[-1] + 1) and (y[..., :-1] == x).all()
    np.testing.assert_allclose(y[..., -1], np.sqrt(x.var(0) + 1e-8).mean(), atol=1e-12)
    assert mg.gradcheck(lambda x: nn.MinibatchStd()(x), x, order=2)
    leaf = mg.tensor(np.ones(shape), requires_grad=True)
    assert np.isfinite(mg.grad(nn.MinibatchStd()(leaf).sum(), leaf).data).all()


# -- other tensors in a network's places -----------------------------------------------------------------------------
def test_a_network_with_other_tensors_is_a_function_of_them():
    network = nn.Sequential(nn.Dense(2, 3, activation="tanh"), nn.Dense(3, 1)).astype(np.float64)
    x, before = rng.standard_normal((4, 2)), network.state()
    leaves = nn.leaves(network)
    assert leaves.keys() == network.parameters().keys()
    with nn.substituted(network, {name: 2.0 * t for name, t in leaves.items()}):
        loss = ops.sum(ops.square(network(x)))
    slopes = mg.grad(loss, list(leaves.values()))
    doubled = nn.Sequential(nn.Dense(2, 3, activation="tanh"), nn.Dense(3, 1)).astype(np.float64)
    doubled.load_state({name: 2 * value for name, value in before.items()})
    wanted = mg.grad(ops.sum(ops.square(doubled(x))), list(doubled.parameters().values()))
    for found, want in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(found.data, 2 * want.data, atol=1e-12)
    assert all((network.state()[name] == before[name]).all() for name in before)


def test_tied_parameters_are_replaced_everywhere_and_what_cannot_be_is_refused():
    first, second = nn.Dense(2, 2, bias=False), nn.Dense(2, 2, bias=False)
    second.weight = first.weight
    network = nn.Sequential(first, second)
    with nn.substituted(network, {"layers.0.weight": mg.tensor(2 * np.eye(2, dtype=np.float32))}):
        np.testing.assert_allclose(network(np.eye(2, dtype=np.float32)).data, 4 * np.eye(2))
    with pytest.raises(ValueError, match="expected one of"), nn.substituted(network, {"nothing": first.weight}):
        pass

    class Listed(nn.Module):
        def __init__(self):
            self.parts = [mg.tensor(np.ones(2), requires_grad=True)]

    with pytest.raises(ValueError, match="list or dict"), nn.substituted(Listed(), {"parts.0": mg.tensor(np.ones(2))}):
        pass
