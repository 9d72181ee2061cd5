"""Layers: values, initialisers, state, modes, summary."""

import numpy as np
import pytest
from scipy import stats

import minigan as mg
from minigan import nn
from minigan.random import Source


def test_dense_is_the_formula_on_any_leading_axes():
    layer = nn.Dense(3, 2, activation="leaky_relu", slope=0.1).initialize(1)
    layer.bias.assign(np.array([0.5, -0.5]))
    x = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
    z = x @ layer.weight.data + layer.bias.data
    np.testing.assert_allclose(layer(x).data, np.where(z > 0, z, 0.1 * z), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu", "gelu", "silu"])
def test_fused_activation_equals_the_layer(name):
    x = np.random.default_rng(0).standard_normal((6, 3))
    fused = nn.Dense(3, 4, activation=name).astype("float64").initialize(2)
    plain = nn.Sequential(nn.Dense(3, 4).astype("float64"), nn.Activation(name))
    plain[0].load_state(fused.state())
    np.testing.assert_allclose(fused(x).data, plain(x).data, atol=1e-14)


def test_batch_norm_trains_by_the_batch_and_evaluates_by_running_averages():
    layer = nn.BatchNorm(3, momentum=0.5).astype("float64")
    x = np.random.default_rng(0).standard_normal((10, 4, 3)) * 2 + 1
    y = layer(x).data
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((0, 1)), x.var((0, 1)) / (x.var((0, 1)) + 1e-5), rtol=1e-9)
    np.testing.assert_allclose(layer.running_mean.data, 0.5 * x.mean((0, 1)))
    np.testing.assert_allclose(layer.running_var.data, 0.5 + 0.5 * x.var((0, 1), ddof=1))
    layer.eval()
    before = layer.running_mean.data.copy()
    want = (x - layer.running_mean.data) / np.sqrt(layer.running_var.data + 1e-5)
    np.testing.assert_allclose(layer(x).data, want)
    assert (layer.running_mean.data == before).all()


def test_layer_norm_normalises_each_element():
    x = np.random.default_rng(0).standard_normal((5, 7)) * 3 + 2
    y = nn.LayerNorm(7, eps=0.0).astype("float64")(x).data
    np.testing.assert_allclose(y, (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True))


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    layer = nn.Dropout(0.4).initialize(1)
    x = np.ones((200, 100), np.float32)
    y = layer(x).data
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)} and abs(y.mean() - 1) < 0.02
    assert not (layer(x).data == y).all()  # a second call in a step draws another mask
    assert (layer.eval()(x).data == x).all()
    with pytest.raises(ValueError, match=r"rate 1\.0"):
        nn.Dropout(1.0)


def test_dropout_as_an_operation():
    x = np.ones((50, 40))
    y = mg.ops.dropout(x, rate=0.25, random=Source(1)).data
    assert set(np.unique(y)) == {0.0, 1 / 0.75} and abs(y.mean() - 1) < 0.1
    assert (mg.ops.dropout(x, rate=0.0, random=Source(1)).data == x).all()
    with pytest.raises(ValueError, match="rate 1"):
        mg.ops.dropout(x, rate=1, random=Source(1))


def test_dropout_gradient_uses_the_same_mask():
    x = mg.tensor(np.ones((8, 8)), requires_grad=True)
    y = nn.Dropout(0.5).initialize(3)(x)
    np.testing.assert_array_equal(mg.grad(y.sum(), x).data, y.data)


def test_shapes():
    assert nn.Flatten()(np.zeros((2, 3, 4), np.float32)).shape == (2, 12)
    assert nn.Reshape(3, 4)(np.zeros((2, 12), np.float32)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="Reshape"):
        nn.Reshape(5)(np.zeros((2, 12), np.float32))


@pytest.mark.parametrize(
    ("init", "law"),
    [
        (nn.init.normal(0.02), stats.norm(0, 0.02)),
        (nn.init.xavier(), stats.uniform(-np.sqrt(6 / 500), 2 * np.sqrt(6 / 500))),
        (nn.init.he(0.2), stats.norm(0, np.sqrt(2 / 1.04 / 200))),
        (nn.init.uniform_fan_in(), stats.uniform(-1 / np.sqrt(200), 2 / np.sqrt(200))),
    ],
)
def test_initialisers_follow_their_law(init, law):
    w = init(Source(0), "w", (200, 300))
    assert w.dtype == np.float32 and stats.kstest(w[:50].ravel(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 3, 2, 7)])
def test_orthogonal_is_orthogonal(shape):
    w = nn.init.orthogonal(2.0)(Source(0, dtype="float64"), "w", shape)
    flat = w.reshape(-1, shape[-1])
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    assert w.shape == shape
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_fans_count_the_kernel():
    assert nn.init.fans((5, 5, 3, 7)) == (75, 175)
    with pytest.raises(ValueError, match="shape"):
        nn.init.fans((3,))
    with pytest.raises(ValueError, match="expected one of"):
        nn.init.get("nope")


def network():
    return nn.Sequential(nn.Dense(4, 3), nn.BatchNorm(3), nn.Sequential(nn.Dense(3, 2)))


def test_names_state_and_loading():
    net = network().initialize(1)
    assert list(net.parameters()) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.gamma",
        "layers.1.beta",
        "layers.2.layers.0.weight",
        "layers.2.layers.0.bias",
    ]
    assert list(net.buffers()) == ["layers.1.running_mean", "layers.1.running_var"]
    other = network().initialize(2)
    assert (net.state()["layers.0.weight"] != other.state()["layers.0.weight"]).all()
    state = net.state()
    other.load_state(state)
    assert all((v == state[k]).all() for k, v in other.state().items())
    state["layers.0.weight"][:] = 9  # a copy
    assert not (net.layers[0].weight.data == 9).any()


def test_load_state_changes_nothing_when_it_refuses():
    net = network()
    before = net.state()
    for broken in ({}, {**before, "extra": np.zeros(1)}, {**before, "layers.2.layers.0.bias": np.zeros(7)}):
        with pytest.raises(ValueError, match="load_state"):
            net.load_state(broken)
    assert all((v == before[k]).all() for k, v in net.state().items())


def test_initialize_depends_on_seed_and_path_only():
    a, b = network().initialize(5).state(), network().initialize(5).state()
    assert all((a[k] == b[k]).all() for k in a)
    square = nn.Sequential(nn.Dense(4, 4), nn.Dense(4, 4)).initialize(5)
    assert (square[0].weight.data != square[1].weight.data).any()


def test_modes_reach_all_children():
    net = nn.Sequential(nn.Sequential(nn.Dropout(0.5)))
    assert net[0][0].training and not net.eval()[0][0].training and net.train()[0][0].training


def test_summary_counts():
    text = network().summary((8, 4))
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    assert rows["layers.0"][1] == "Dense" and rows["layers.0"][4:] == ["15", "60", "192"]
    assert rows["total"][1] == "29" and network().training
    assert len({len(line) for line in text.splitlines()}) == 1


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="expected one of"):
        nn.Activation("swoosh")
    with pytest.raises(ValueError, match="activation"):
        nn.Dense(2, 2, activation="swoosh")(np.zeros((1, 2), np.float32))
    with pytest.raises(TypeError, match="expected modules"):
        nn.Sequential(3)
    with pytest.raises(ValueError, match="expected x"):
        nn.Dense(3, 2)(np.zeros((1, 2), np.float32))


def test_our_tanh_is_accurate_to_a_few_units_in_the_last_place():
    x = np.concatenate([np.linspace(-12, 12, 200_001), np.logspace(-45, 0, 1000)]).astype(np.float32)
    y, want = mg.ops.tanh(x).data, np.tanh(x.astype(np.float64))
    error = np.abs(y - want) / np.maximum(np.spacing(np.abs(want).astype(np.float32)), np.float32(1e-45))
    assert error.max() < 6 and np.abs(y).max() <= 1 + 1e-7
    assert np.isnan(mg.ops.tanh(np.full(20, np.nan, np.float32)).data).all()
