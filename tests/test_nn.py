"""Layers: values, initialisers, state, modes, summary."""

import numpy as np
import pytest
from scipy import stats

import minigan as mg
from minigan import nn, ops
from minigan.gradcheck import gradcheck
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


ACTIVATIONS = ["linear", "relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu", "gelu", "silu"]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_with_an_activation_equals_the_two_layers(name, training):
    x = np.random.default_rng(0).standard_normal((6, 2, 3))
    fused = nn.BatchNorm(3, activation=name, slope=0.1, gamma_std=0.3).astype("float64").initialize(2).train(training)
    fused.running_var.assign([0.5, 1.0, 2.0])
    plain = nn.BatchNorm(3).astype("float64").train(training)
    plain.load_state(fused.state())
    options = {"slope": 0.1} if name == "leaky_relu" else {}
    y = plain(x)
    want = y if name == "linear" else getattr(mg.ops, name)(y, **options)
    np.testing.assert_allclose(fused(x).data, want.data, atol=1e-14)


def test_batch_norm_is_accurate_where_the_mean_is_large_and_with_an_outlier_first():
    r = np.random.default_rng(0)
    x = (1e3 + r.standard_normal((20_000, 5))).astype(np.float32)
    x[0] += 300  # a shift by the first row alone would lose five digits of the variance
    statistics = np.empty((2, 5), np.float32)
    mg.ops.batch_norm(x, np.ones(5, np.float32), np.zeros(5, np.float32), statistics=statistics)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(statistics, [wide.mean(0), wide.var(0)], rtol=2e-6)


def test_batch_norm_keeps_nan():
    x = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    x[50, 1] = np.nan
    y = mg.ops.batch_norm(x, np.ones(3, np.float32), np.zeros(3, np.float32), activation="relu").data
    np.testing.assert_array_equal(np.isnan(y).all(0), [False, True, False])
    np.testing.assert_array_equal(np.isnan(y).any(0), [False, True, False])


@pytest.mark.parametrize("activation", ["linear", "leaky_relu", "tanh"])
@pytest.mark.parametrize("order", [1, 2])
def test_replayed_batch_norm_computes_and_follows_as_an_eager_one(activation, order):
    """Values, derivatives and running averages; two batches in a step, as a discriminator sees them."""
    r = np.random.default_rng(1)
    layers = [nn.BatchNorm(4, momentum=0.3, activation=activation).astype("float64") for _ in range(2)]

    def step(layer, x, z):
        leaf = ops.identity(x).detach()
        leaf.requires_grad = True
        first, second = layer(leaf), layer(z)
        loss = (first * first * first).sum() + second.mean()
        g = mg.grad(loss, [leaf, layer.gamma, layer.beta], create_graph=order == 2)
        return [first, second, *g, *([mg.grad((g[0] ** 2).sum(), leaf)] if order == 2 else [])]

    batches = [(r.standard_normal((7, 2, 4)), 2 * r.standard_normal((5, 4)) + 1) for _ in range(4)]
    own = [mg.tensor(b.copy()) for b in batches[0]]
    recording = mg.Recording(step, layers[0], *own)
    for i, batch in enumerate(batches):
        for target, new in zip(own, batch, strict=True):
            target.data[...] = new
        got = recording.replay() if i else recording.result
        want = step(layers[1], *map(mg.tensor, batch))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a.data, b.data)
        for name, buffer in layers[0].buffers().items():
            np.testing.assert_array_equal(buffer.data, layers[1].buffers()[name].data)
    assert (layers[0].running_mean.data != 0).all()


def test_a_replayed_batch_norm_is_three_calls():
    """Forward, running averages, backward: views and the packed result cost nothing."""
    layer, x = nn.BatchNorm(4, activation="relu"), np.ones((6, 5, 4), np.float32)
    leaf, w = mg.tensor(x, requires_grad=True), mg.tensor(x)
    recording = mg.Recording(lambda: mg.grad(layer(leaf), [leaf, layer.gamma, layer.beta], w))
    assert len(recording) == 3


def test_batch_norm_statistics_are_the_batches_and_do_not_disturb_derivatives():
    """One buffer for two batches: the derivative of the first is taken after the second has overwritten it."""
    r = np.random.default_rng(1)
    a, b = (mg.tensor(r.standard_normal((6, 3)), requires_grad=True) for _ in range(2))
    one, zero, statistics = np.ones(3), np.zeros(3), np.empty((2, 3))
    y = ops.batch_norm(a, one, zero, statistics=statistics)
    np.testing.assert_allclose(statistics, [a.data.mean(0), a.data.var(0)])
    ops.batch_norm(b, one, zero, statistics=statistics)
    w = r.standard_normal((6, 3))
    np.testing.assert_array_equal(mg.grad(y, a, w).data, mg.grad(ops.batch_norm(a, one, zero), a, w).data)


def test_batch_norm_refuses():
    x, c = np.zeros((4, 3), np.float32), np.ones(3, np.float32)
    with pytest.raises(ValueError, match="activation 'swish', expected one of"):
        ops.batch_norm(x, c, c, activation="swish")
    with pytest.raises(ValueError, match="activation 'swish', expected one of"):
        nn.BatchNorm(3, activation="swish")
    with pytest.raises(ValueError, match=r"statistics \(3,\), expected \(2, 3\)"):
        ops.batch_norm(x, c, c, statistics=c)
    with pytest.raises(ValueError, match="eps -1"):
        nn.BatchNorm(3, eps=-1)


@pytest.mark.parametrize("spatial", [(), (5,), (3, 2), (2, 2, 2)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm_normalises_each_group_of_each_element(spatial, groups):
    r = np.random.default_rng(0)
    x = r.standard_normal((3, *spatial, 6)) * 3 + 2
    layer = nn.GroupNorm(groups, 6, eps=0.01).astype("float64")
    layer.gamma.assign(r.standard_normal(6))
    layer.beta.assign(r.standard_normal(6))
    want = np.empty_like(x)
    for n, k in np.ndindex(3, groups):
        part = (n, ..., slice(k * 6 // groups, (k + 1) * 6 // groups))
        want[part] = (x[part] - x[part].mean()) / np.sqrt(x[part].var() + 0.01)
    want = layer.gamma.data * want + layer.beta.data
    np.testing.assert_allclose(layer(x).data, want, atol=1e-13)
    np.testing.assert_array_equal(layer(x).data, layer.eval()(x).data)


def test_instance_norm_normalises_each_channel_of_each_element():
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)) * 3 + 2
    y = nn.InstanceNorm(2, eps=0.0).astype("float64")(x).data
    want = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    np.testing.assert_allclose(y, want, atol=1e-13)


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_group_norms_up_to_order_2_against_finite_differences(norm):
    r = np.random.default_rng(0)
    x, gamma, beta = r.standard_normal((2, 3, 2, 4)), r.standard_normal(4), r.standard_normal(4)
    options = {"group": {"groups": 2}, "instance": {}}[norm]
    f = getattr(ops, f"{norm}_norm")
    assert gradcheck(lambda *xs: f(*xs, eps=0.01, **options), (x, gamma, beta), order=2)


def test_group_norms_refuse():
    with pytest.raises(ValueError, match="GroupNorm: got 4 groups for 6 channels, expected a divisor of 6"):
        nn.GroupNorm(4, 6)
    with pytest.raises(ValueError, match="group_norm: got 4 groups"):
        ops.group_norm(np.zeros((2, 3, 6)), np.ones(6), np.zeros(6), groups=4)
    with pytest.raises(ValueError, match=r"instance_norm: .*use layer_norm"):
        nn.InstanceNorm(6)(np.zeros((2, 6), np.float32))
    with pytest.raises(ValueError, match="group_norm: got x"):
        nn.GroupNorm(2, 6)(np.zeros((2, 3, 4), np.float32))


def test_layer_norm_normalises_each_element():
    x = np.random.default_rng(0).standard_normal((5, 7)) * 3 + 2
    y = nn.LayerNorm(7, eps=0.0).astype("float64")(x).data
    np.testing.assert_allclose(y, (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True))


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    layer = nn.Dropout(0.4).initialize(1)
    x = np.ones((200, 100), np.float32)
    y = layer(x).data
    assert set(np.unique(y)) == {np.float32(0), np.float32(65536 / round(0.6 * 65536))} and abs(y.mean() - 1) < 0.02
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
