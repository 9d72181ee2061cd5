"""Parts of networks, changed weights, supervised losses, pools and image transforms: values, derivatives, replay, refusals."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from devices import each_device
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import special, stats

import minigan as mg
from minigan import data, losses, nn, ops, optim
from minigan.autodiff import Tensor, effect, grad, tensor
from minigan.backend import array_module, to_device

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 5, 2))


def net(module: Any, device: str = "cpu") -> Any:
    return module.initialize(3, "net").astype(np.float64).to(device)


def checked(module: Any, *inputs: Any) -> None:
    """Derivatives of orders 1 and 2 in the float inputs and in every parameter."""
    leaves = list(module.parameters().values())
    start = [t.numpy().copy() for t in leaves]
    fixed = [x for x in inputs if np.asarray(x).dtype.kind != "f"]

    def f(*values: Any) -> Any:
        xs, ws = values[: len(values) - len(leaves)], values[len(values) - len(leaves) :]
        holders = {id(t): w for t, w in zip(leaves, ws, strict=True)}
        return _with(module, holders, lambda: module(*xs, *fixed))

    points = [np.asarray(x) for x in inputs if np.asarray(x).dtype.kind == "f"]
    assert mg.gradcheck(f, (*points, *start), order=2)


def _with(module: Any, holders: dict[int, Any], call: Any) -> Any:
    """The call with other tensors in the parameters' places."""
    places = [(m, n, t) for _, m in module.modules() for n, t in vars(m).items() if id(t) in holders]
    try:
        for m, name, t in places:
            vars(m)[name] = holders[id(t)]
        return call()
    finally:
        for m, name, t in places:
            vars(m)[name] = t


def replays(make: Any, *arguments: Any, calls: int = 6) -> None:
    """A step with fresh state gives the same, bit by bit, eagerly and replayed."""
    results = []
    for recorded in (False, True):
        function, state = make()
        random = mg.random.Source(5)
        step = mg.replayed(function, check=True) if recorded else None
        for k in range(calls):
            random.advance()
            given_ = [a + k if a.dtype.kind == "f" else (a + k) % 3 for a in arguments]
            y = step(*given_) if step else function(*map(Tensor, given_))
            results.append(y.numpy().copy())
        results.append({name: np.array(value) for name, value in state().items()})
    half = len(results) // 2
    for eager, replayed in zip(results[:half], results[half:], strict=True):
        np.testing.assert_equal(replayed, eager)


# -- Embedding, Residual, Noise, Lambda --------------------------------------------------------------------------------
@each_device
def test_an_embedding_is_a_one_hot_product(device: str) -> None:
    layer = net(nn.Embedding(4, 3), device)
    k = to_device(np.array([[0, 3], [3, 1]]), device)
    y = layer(k)
    np.testing.assert_array_equal(y.numpy(), layer.weight.numpy()[np.array([[0, 3], [3, 1]])])
    g = grad(y.sum(), layer.weight).numpy()
    np.testing.assert_array_equal(g, np.array([1, 1, 0, 2])[:, None] * np.ones((4, 3)))  # a repeated label counts twice
    checked(net(nn.Embedding(4, 3)), np.array([1, 1, 2]))


@pytest.mark.parametrize("labels", [[0, 4], [-1, 2]])
def test_a_label_out_of_range_raises_also_in_a_replay(labels: list[int]) -> None:
    layer = nn.Embedding(4, 2)
    with pytest.raises(
        ValueError, match=rf"Embedding: got labels from {min(labels)} to {max(labels)}, expected integers in"
    ):
        layer(np.array(labels))
    with pytest.raises(TypeError, match="dtype float32"):
        layer(np.ones(2, np.float32))
    step = mg.replayed(lambda k: layer(k).sum())
    for k in range(4):
        step(np.array([k % 4, 1]))
    with pytest.raises(ValueError, match="Embedding: got labels"):
        step(np.array(labels))


@each_device
def test_a_residual_adds_what_went_in(device: str) -> None:
    body, shortcut = nn.Conv(2, 3, 3, activation="tanh"), nn.Conv(2, 3, 1)
    layer = net(nn.Residual(body, shortcut=shortcut, scale=math.sqrt(0.5)), device)
    x = Tensor(to_device(X, device))
    np.testing.assert_allclose(layer(x).numpy(), (body(x).numpy() + shortcut(x).numpy()) * math.sqrt(0.5), rtol=1e-12)
    plain = net(nn.Residual(nn.Dense(2, 4), nn.Tanh(), nn.Dense(4, 2)), device)
    np.testing.assert_allclose(plain(x).numpy(), (x + plain.body(x)).numpy())
    assert {name.split(".")[0] for name in layer.parameters()} == {"body", "shortcut"}
    with pytest.raises(ValueError, match=r"F\(x\) \(3, 4, 5, 7\) beside s\(x\) \(3, 4, 5, 2\).*give a shortcut"):
        nn.Residual(nn.Dense(2, 7))(X.astype(np.float32))


def test_derivatives_of_a_residual() -> None:
    checked(net(nn.Residual(nn.Dense(2, 3, activation="tanh"), nn.Dense(3, 2))), X[:2, 0, 0])


@each_device
def test_noise_has_its_law_and_only_in_training(device: str) -> None:
    layer = nn.Noise(0.5).initialize(0, "n")
    layer.random.device = device
    x = Tensor(to_device(np.full((50_000,), 2.0, np.float32), device))
    y = layer(x).numpy()
    assert stats.kstest((y - 2) / 0.5, "norm").pvalue > 1e-3 and layer(x).device == device
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    assert not layer.parameters()
    t = tensor(np.ones(3, np.float32), requires_grad=True)
    np.testing.assert_array_equal(grad(nn.Noise(0.5)(t).sum(), t).numpy(), 1.0)


def test_learned_noise_is_one_picture_for_all_channels() -> None:
    layer = net(nn.Noise(channels=2))
    x = X
    np.testing.assert_array_equal(layer(x).numpy(), x)
    layer.gamma.assign(np.array([1.0, -3.0]))
    for mode in (True, False):
        n = layer.train(mode)(x).numpy() - x
        np.testing.assert_allclose(n[..., 1], -3 * n[..., 0], rtol=1e-9, atol=1e-12)
        assert n[..., 0].std() > 0.5
    t = mg.scheduled(lambda k: 1.0 + k)
    assert nn.Noise(t)(np.zeros(4, np.float32)).shape == (4,)


def test_noise_replays() -> None:
    def make(replay: Any) -> Any:
        layer, learned = nn.Noise(0.3).initialize(1, "a"), nn.Noise(channels=2).initialize(2, "b")
        learned.gamma.assign(1.0)
        game = mg.Game([mg.Player("P", lambda x: (learned(layer(x))).sum(), optim.SGD(learned, lr=0.1))], replay=replay)
        return [game.step(X.astype(np.float32) + k)["P"].item() for k in range(6)]

    eager, replayed = make(False), make("check")
    assert eager == replayed and len(set(eager)) == 6


def test_lambda_runs_a_function_and_refuses_to_hide_parameters() -> None:
    assert nn.Lambda(ops.square)(X).shape == X.shape and nn.Lambda(lambda x: 2.0 * x, name="double").name == "double"
    inner, w = nn.Dense(2, 2), tensor(np.ones(2, np.float32), requires_grad=True)
    holders = [lambda x: inner(x), lambda x: x * w, inner.forward, lambda x, net=inner: net(x)]
    for function in holders:
        with pytest.raises(TypeError, match="whose parameters nobody would find"):
            nn.Lambda(function)
    for wrong in (inner, 3, None):
        with pytest.raises(TypeError, match="Lambda: got"):
            nn.Lambda(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="returned ndarray"):
        nn.Lambda(lambda x: x.numpy())(X)  # type: ignore[arg-type, return-value]


# -- norms -------------------------------------------------------------------------------------------------------------
@each_device
def test_instance_norm_without_gains_and_with_an_activation(device: str) -> None:
    x = Tensor(to_device(X, device))
    h = (X - X.mean((1, 2), keepdims=True)) / np.sqrt(X.var((1, 2), keepdims=True) + 1e-5)
    layer = net(nn.InstanceNorm(2, affine=False, activation="leaky_relu", slope=0.3), device)
    np.testing.assert_allclose(layer(x).numpy(), np.where(h > 0, h, 0.3 * h), rtol=1e-9)
    assert not layer.parameters() and set(layer.buffers()) == {"gamma", "beta"}
    np.testing.assert_allclose(nn.instance_standardize(x).numpy(), h, rtol=1e-9)
    gain, offset = RNG.standard_normal((2, 3, 2))
    got = nn.modulate(nn.instance_standardize(x), Tensor(to_device(gain, device)), Tensor(to_device(offset, device)))
    np.testing.assert_allclose(got.numpy(), gain[:, None, None] * h + offset[:, None, None], rtol=1e-9)
    with pytest.raises(ValueError, match=r"gain \(2,\) and offset \(2,\).*expected \(3, 2\)"):
        nn.modulate(x, Tensor(np.ones(2)), Tensor(np.ones(2)))
    with pytest.raises(TypeError, match="affine 'no' of type str, expected True or False"):
        nn.InstanceNorm(2, affine="no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="swash"):
        nn.InstanceNorm(2, activation="swash")


@each_device
def test_adaptive_instance_norm(device: str) -> None:
    layer = net(nn.AdaIN(2, 3), device)
    style = RNG.standard_normal((3, 3))
    h = (X - X.mean((1, 2), keepdims=True)) / np.sqrt(X.var((1, 2), keepdims=True) + 1e-5)
    s = style @ layer.style.weight.numpy() + layer.style.bias.numpy()
    got = layer(Tensor(to_device(X, device)), Tensor(to_device(style, device)))
    np.testing.assert_allclose(got.numpy(), (1 + s[:, None, None, :2]) * h + s[:, None, None, 2:], rtol=1e-9)
    with pytest.raises(ValueError, match=r"style \(2, 3\), expected"):
        layer(X, style[:2])


def test_derivatives_of_adaptive_and_conditional_norms() -> None:
    checked(net(nn.AdaIN(2, 2)), X[:2, :2, :2], RNG.standard_normal((2, 2)))
    checked(net(nn.ConditionalBatchNorm(2, 3, eps=0.1)), X[:, 0, 0], np.array([2, 0, 2]))
    checked(net(nn.ConditionalBatchNorm(2, 3, eps=0.1)), X[:, 0, 0], special.softmax(RNG.standard_normal((3, 3)), 1))


@each_device
def test_conditional_batch_norm_has_a_gain_a_class(device: str) -> None:
    layer, plain = net(nn.ConditionalBatchNorm(2, 4), device), net(nn.BatchNorm(2), device)
    layer.gamma.assign(to_device(np.arange(8.0).reshape(4, 2), device))
    layer.beta.assign(to_device(-np.arange(8.0).reshape(4, 2), device))
    x, k = Tensor(to_device(X, device)), np.array([3, 0, 3])
    for mode in (True, False):
        h = plain.train(mode)(x).numpy()
        labels, vectors = to_device(k, device), to_device(np.eye(4)[k], device)
        gain = np.arange(8.0).reshape(4, 2)[k][:, None, None]
        np.testing.assert_allclose(layer.train(mode)(x, labels).numpy(), gain * h - gain, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        layer(x, vectors).numpy(), layer(x, labels).numpy(), rtol=1e-9, atol=1e-12
    )  # in evaluation
    assert set(layer.buffers()) == {f"norm.{n}" for n in ("gamma", "beta", "running_mean", "running_var")}
    for wrong in ([4, 0, 0], [-1, 0, 0]):
        with pytest.raises(ValueError, match="ConditionalBatchNorm: got labels"):
            net(nn.ConditionalBatchNorm(2, 4))(X, np.array(wrong))
    with pytest.raises(ValueError, match=r"classes \(2,\) int64, expected \(3,\)"):
        net(nn.ConditionalBatchNorm(2, 4))(X, k[:2])


def test_conditional_batch_norm_replays() -> None:
    def make() -> Any:
        layer = net(nn.ConditionalBatchNorm(2, 3))
        return lambda x, k: layer(x, k), layer.state

    replays(make, X, np.array([0, 1, 2]))


def test_batch_norm_without_update_leaves_its_averages() -> None:
    layer, other = nn.BatchNorm(2, update=False), nn.BatchNorm(2)
    x = X.astype(np.float32)
    before = layer.state()
    np.testing.assert_array_equal(layer(x).numpy(), other(x).numpy())  # normalised by the batch all the same
    np.testing.assert_equal(layer.state(), before)
    layer.update = True
    layer(x)
    np.testing.assert_equal(layer.state(), other.state())
    switched = nn.BatchNorm(2)
    step = mg.replayed(lambda x: switched(x).sum())
    for k in range(4):
        step(x + k)
    switched.update, held = False, switched.state()
    step(x)  # recorded anew
    np.testing.assert_equal(switched.state(), held)
    for wrong in (1, None, "no"):
        with pytest.raises(TypeError, match="expected True or False"):
            nn.BatchNorm(2, update=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gamma_std"):
        nn.BatchNorm(2, affine=False, gamma_std=0.02)


# -- changed weights ---------------------------------------------------------------------------------------------------
LAYERS: dict[str, Any] = {
    "dense": lambda: nn.Dense(4, 3, activation="tanh"),
    "conv": lambda: nn.Conv(4, 3, 3),
    "transpose": lambda: nn.ConvTranspose(4, 3, 3, stride=2),
    "embedding": lambda: nn.Embedding(4, 3),
}
CHANGES: dict[str, Any] = {"spectral": nn.spectral, "weight_norm": nn.weight_norm, "equalized": nn.equalized}
every_layer = pytest.mark.parametrize("kind", LAYERS)
every_change = pytest.mark.parametrize("change", CHANGES)


def input_for(kind: str) -> np.ndarray:
    return (
        np.array([0, 3, 1]) if kind == "embedding" else RNG.standard_normal((2, 4) if kind == "dense" else (2, 4, 4, 4))
    )


def as_rows(w: np.ndarray, kind: str) -> np.ndarray:
    w = np.swapaxes(w, -1, -2) if kind == "transpose" else w
    return w.reshape(-1, w.shape[-1])


@every_layer
def test_spectral_normalisation_gives_norm_1(kind: str) -> None:
    layer = net(nn.spectral(LAYERS[kind](), steps=200))
    assert np.linalg.norm(as_rows(layer.weight.numpy(), kind), 2) == pytest.approx(1, rel=1e-6)
    raw = vars(layer)["weight"]
    assert layer.parameters()["weight"] is raw and "changes.0.v" in layer.buffers()
    np.testing.assert_allclose(
        layer.weight.numpy(), raw.numpy() / np.linalg.norm(as_rows(raw.numpy(), kind), 2), rtol=1e-6
    )


@every_layer
def test_weight_norm_changes_nothing_at_first_and_learns_length_apart_from_direction(kind: str) -> None:
    layer, plain = net(nn.weight_norm(LAYERS[kind]())), net(LAYERS[kind]())
    np.testing.assert_allclose(layer.weight.numpy(), plain.weight.numpy(), rtol=1e-6)
    layer.changes[0].g.assign(2.0)
    np.testing.assert_allclose(np.linalg.norm(as_rows(layer.weight.numpy(), kind), axis=0), 2.0, rtol=1e-12)
    assert {"weight", "changes.0.g"} <= set(layer.parameters())
    before = layer(input_for(kind)).numpy()
    vars(layer)["weight"].assign(vars(layer)["weight"].numpy() * 7)
    assert before.shape == layer(input_for(kind)).numpy().shape


@every_layer
def test_equalized_weights_are_standard_normal_times_a_constant(kind: str) -> None:
    layer = net(nn.equalized(LAYERS[kind](), gain=3.0))
    raw = vars(layer)["weight"].numpy()
    fan_in = 4 if kind in ("dense", "embedding") else 36
    np.testing.assert_allclose(layer.weight.numpy(), raw * 3 / math.sqrt(fan_in), rtol=1e-12)
    assert 0.5 < raw.std() < 1.5
    wide = nn.equalized(nn.Dense(300, 300)).initialize(0)
    assert stats.kstest(vars(wide)["weight"].numpy().ravel(), "norm").pvalue > 1e-3


@every_layer
@every_change
def test_a_changed_layer_computes_with_its_changed_weight(kind: str, change: str) -> None:
    layer, plain, x = net(CHANGES[change](LAYERS[kind]())).eval(), net(LAYERS[kind]()), input_for(kind)
    plain.weight.assign(layer.weight.numpy())
    np.testing.assert_allclose(layer(x).numpy(), plain(x).numpy(), rtol=1e-10, atol=1e-12)
    assert type(layer).__name__ == type(plain).__name__ and isinstance(layer, type(plain))


@every_layer
@pytest.mark.parametrize("change", ["weight_norm", "equalized"])
def test_derivatives_of_changed_layers_of_orders_1_and_2(kind: str, change: str) -> None:
    checked(net(CHANGES[change](LAYERS[kind]())), input_for(kind)[:1])


@each_device
def test_the_derivative_of_spectral_normalisation(device: str) -> None:
    layer = net(nn.spectral(nn.Dense(4, 3, bias=False), steps=300), device).eval()
    w, g = vars(layer)["weight"], RNG.standard_normal((4, 3))
    got = grad((layer.weight * to_device(g, device)).sum(), w).numpy()
    u, s, v = np.linalg.svd(w.numpy(), full_matrices=False)
    wb = w.numpy() / s[0]
    np.testing.assert_allclose(got, (g - (g * wb).sum() * np.outer(u[:, 0], v[0])) / s[0], rtol=1e-6, atol=1e-9)
    first = grad((layer.weight * to_device(g, device)).sum(), w, create_graph=True)
    assert np.isfinite(grad((first * first).sum(), w).numpy()).all()


@each_device
def test_derivatives_of_order_2_with_the_vectors_held(device: str) -> None:
    w, u, v = RNG.standard_normal((4, 3)), RNG.standard_normal(4), RNG.standard_normal(3)
    held = lambda m: ops.spectral_normalize(m, to_device(u, device), to_device(v, device))  # noqa: E731
    assert mg.gradcheck(held, to_device(w, device), order=2)


def test_spectral_state_moves_in_training_only_and_is_saved() -> None:
    layer, x = nn.spectral(nn.Dense(6, 5)).initialize(1), np.ones((2, 6), np.float32)
    vars(layer)["weight"].assign(RNG.standard_normal((6, 5)).astype(np.float32))
    v = layer.state()["changes.0.v"]
    layer.eval()(x)
    np.testing.assert_array_equal(layer.state()["changes.0.v"], v)
    once = layer(x).numpy()
    np.testing.assert_array_equal(layer(x).numpy(), once)
    layer.train()(x)
    assert not np.array_equal(layer.state()["changes.0.v"], v)
    other = nn.spectral(nn.Dense(6, 5)).initialize(2)
    other.load_state(layer.state())
    np.testing.assert_array_equal(other(x).numpy(), layer(x).numpy())
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(twin(x).numpy(), other(x).numpy())


@every_change
def test_changed_networks_train_and_replay(change: str) -> None:
    def run(replay: Any) -> Any:
        critic = nn.Sequential(
            nn.Conv(1, 4, 3, stride=2, activation="leaky_relu"), nn.BatchNorm(4), nn.Flatten(), nn.Dense(16, 1)
        )
        critic = CHANGES[change](critic).initialize(0, "D")
        player = mg.Player("D", lambda x: ops.mean(ops.square(critic(x) - 1.0)), optim.Adam(critic, lr=1e-2))
        game = mg.Game([player], replay=replay)
        x = (
            RNG.standard_normal((4, 4, 4, 1)).astype(np.float32) * 0
            + np.arange(64, dtype=np.float32).reshape(4, 4, 4, 1) / 64
        )
        return [game.step(x)["D"].item() for _ in range(8)], critic.state()

    eager, replayed = run(False), run("check")
    np.testing.assert_equal(replayed, eager)
    assert eager[0][-1] < eager[0][0]


@each_device
@pytest.mark.parametrize("first", ["the change", "float64"])
@pytest.mark.parametrize("change", [*CHANGES, "operator"])
def test_changed_layers_are_drawn_anew_in_double_precision(change: str, first: str, device: str) -> None:
    """A change takes its weight's dtype and device, whichever came first, and what it draws takes them, too."""
    made = lambda n: nn.spectral_operator(n, (4, 4, 2)) if change == "operator" else CHANGES[change](n)  # noqa: E731
    network = nn.Sequential(nn.Conv(2, 3, 3), nn.Flatten(), nn.Dense(48, 1))
    for convert in (made, lambda n: n.astype(np.float64).to(device))[:: 1 if first == "the change" else -1]:
        network = convert(network)
    network.initialize(1)
    assert {str(t.dtype) for t in network.tensors().values()} == {"float64"}
    with mg.no_grad():
        out = network(to_device(np.ones((2, 4, 4, 2)), device))
    assert out.dtype == np.float64 and out.device == device


def test_changes_add_up_and_refuse_what_they_cannot_change() -> None:
    layer = net(nn.spectral(nn.equalized(nn.Dense(4, 3)), steps=200))
    assert np.linalg.norm(layer.weight.numpy(), 2) == pytest.approx(1, rel=1e-6) and len(layer.changes) == 2
    assert set(layer.parameters()) == {"weight", "bias"}
    network = nn.spectral(nn.Sequential(nn.Dense(2, 3), nn.BatchNorm(3), nn.ReLU(), nn.Dense(3, 1)))
    assert [name for name in network.buffers() if name.endswith(".v")] == [
        "layers.0.changes.0.v",
        "layers.3.changes.0.v",
    ]
    for function in CHANGES.values():
        with pytest.raises(ValueError, match="no layer with a parameter 'weight'"):
            function(nn.BatchNorm(3))
        with pytest.raises(TypeError, match="got ndarray"):
            function(np.ones((2, 2)))
    with pytest.raises(TypeError, match="expected a module and a Change"):
        nn.reweight(nn.Dense(2, 2), nn.ReLU())  # type: ignore[arg-type]
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="steps"):
            nn.spectral(nn.Dense(2, 2), steps=wrong)
    with pytest.raises(ValueError, match="gain"):
        nn.equalized(nn.Dense(2, 2), gain=0.0)


def test_a_change_of_ones_own() -> None:
    class Doubled(nn.Change):
        def forward(self, w: Tensor) -> Tensor:
            return 2.0 * w

    plain, layer = net(nn.Dense(2, 2)), net(nn.reweight(nn.Dense(2, 2), Doubled()))
    np.testing.assert_array_equal(layer.weight.numpy(), 2 * plain.weight.numpy())


# -- losses --------------------------------------------------------------------------------------------------------------
@each_device
def test_supervised_losses_against_second_formulas(device: str) -> None:
    x, y, k = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 4)), np.array([0, 3, 3, 1, 2])
    dx, dy, dk = (to_device(a, device) for a in (x, y, k))
    q = 0.9 * np.eye(4)[k] + 0.1 / 4
    cases = [
        (losses.l1(dx, dy), np.abs(x - y).mean()), (losses.l1(dx, 0.5), np.abs(x - 0.5).mean()),
        (losses.mse(dx, dy), ((x - y) ** 2).mean()), (losses.mse(dx, 1), ((x - 1) ** 2).mean()),
        (losses.cross_entropy(dx, dk), -special.log_softmax(x, 1)[np.arange(5), k].mean()),
        (losses.cross_entropy(dx, dk, label_smoothing=0.1), -(q * special.log_softmax(x, 1)).sum(1).mean()),
        (losses.cross_entropy(dx, to_device(q, device)), -(q * special.log_softmax(x, 1)).sum(1).mean()),
        (losses.gaussian_kl(dx, dy), 0.5 * (x**2 + np.exp(y) - 1 - y).sum(1).mean()),
    ]  # fmt: skip
    for got, expected in cases:
        assert got.shape == () and got.device == device and got.item() == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 10**6))
def test_derivatives_of_supervised_losses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, k = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.integers(0, 4, 3)
    assert mg.gradcheck(losses.mse, (x, y), order=2) and mg.gradcheck(losses.gaussian_kl, (x, y), order=2)
    assert mg.gradcheck(losses.l1, (x, np.where(np.abs(x - y) < 0.1, x - 1, y)), order=2)
    assert mg.gradcheck(lambda t: losses.cross_entropy(t, k, label_smoothing=0.2), x, order=2)
    assert mg.gradcheck(losses.cross_entropy, (x, special.softmax(y, 1)), order=2)


def test_the_kl_is_that_of_the_theory_and_accurate_near_0() -> None:
    from minigan.theory import gaussians

    m, v = np.array([0.3, -1.0]), np.array([0.5, 2.0])
    expected = float(np.asarray(gaussians.kl(m, np.diag(v), np.zeros(2), np.eye(2))))
    assert losses.gaussian_kl(m[None], np.log(v)[None]).item() == pytest.approx(expected, rel=1e-12)
    assert losses.gaussian_kl(np.zeros((1, 1)), np.full((1, 1), 1e-6)).item() == pytest.approx(0.25e-12, rel=1e-4)


def test_cross_entropy_at_the_edges() -> None:
    logits = np.array([[0.0, -np.inf, 1.0]])
    x = tensor(logits, requires_grad=True)
    loss = losses.cross_entropy(x, np.array([0]))
    assert loss.item() == pytest.approx(math.log(1 + math.e)) and np.isfinite(grad(loss, x).numpy()).all()
    assert losses.cross_entropy(logits, np.array([[1.0, 0, 0]])).item() == pytest.approx(math.log(1 + math.e))
    assert losses.cross_entropy(np.array([[1e4, 0.0]], np.float32), np.array([1])).item() == 1e4
    for labels in (np.array([3]), np.array([-1])):
        with pytest.raises(ValueError, match="cross_entropy: got labels"):
            losses.cross_entropy(logits, labels)
    for labels, words in ((np.zeros((1, 1), int), r"labels \(1, 1\) int64"), (np.zeros(1), r"labels \(1,\) float64")):
        with pytest.raises(ValueError, match=words):
            losses.cross_entropy(logits, labels)
    for wrong in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="label_smoothing"):
            losses.cross_entropy(logits, np.array([0]), label_smoothing=wrong)


@pytest.mark.parametrize("loss", [losses.l1, losses.mse, losses.gaussian_kl])
def test_losses_do_not_broadcast_in_silence(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"\(4, 1\) and .*\(4,\).*expected one shape"):
        loss(np.ones((4, 1)), np.ones(4))
    with pytest.raises(ValueError, match=r"\(0, 2\)"):
        loss(np.ones((0, 2)), np.ones((0, 2)))


def test_losses_replay_and_check_their_labels_there() -> None:
    def total(x: Any, k: Any) -> Tensor:
        return losses.cross_entropy(x, k) + losses.l1(x, 0.0) + losses.mse(x, 1.0) + losses.gaussian_kl(x, x)

    step = mg.replayed(total)
    x = RNG.standard_normal((3, 4))
    for n in range(5):
        k = np.array([n % 4, 1, 2])
        assert step(x, k).item() == total(x, k).item()
    with pytest.raises(ValueError, match="got labels from 0 to 4"):
        step(x, np.array([0, 4, 1]))


# -- pools ---------------------------------------------------------------------------------------------------------------
@each_device
def test_a_pool_fills_then_mixes_and_loses_nothing(device: str) -> None:
    pool = data.Pool(8, seed=1)
    seen: list[float] = []
    for k in range(200):
        x = np.arange(4 * k, 4 * k + 4, dtype=np.float32).reshape(4, 1)
        y = pool(tensor(to_device(x, device), requires_grad=True))
        assert y.device == device and y.node is None and len(pool) == min(8, 4 * k + 4)
        if k < 2:
            np.testing.assert_array_equal(y.numpy(), x)
        seen += y.numpy().ravel().tolist()
    kept = pool.state()["examples"].ravel().tolist()
    # The first eight were returned while they went in; after that each comes back once, or is in the pool still.
    assert sorted(seen[8:] + kept) == list(range(800))
    newest = np.mean([v == i for i, v in enumerate(seen) if i >= 8])
    assert 0.42 < newest < 0.58  # half are exchanged


def test_a_pool_is_replayed_resumed_and_brought_back() -> None:
    def make() -> Any:
        pool = data.Pool(4, seed=3)
        return lambda x: pool(x * 2.0), pool.state

    replays(make, X, calls=9)
    pool, other = data.Pool(4, seed=3), data.Pool(4, seed=3)
    for k in range(5):
        pool(X + k)
    other.load_state(pool.state())
    for k in range(5):
        np.testing.assert_array_equal(other(X - k).numpy(), pool(X - k).numpy())
    back = pool.mark()
    first = pool(X).numpy()
    back()
    np.testing.assert_array_equal(pool(X).numpy(), first)
    empty = data.Pool(4, seed=3)
    empty.load_state(data.Pool(4, seed=3).state())
    assert len(empty) == 0


def test_a_pool_refuses_what_it_cannot_keep() -> None:
    pool = data.Pool(4, seed=0)
    pool(X)
    for wrong in (X[:, :2], X.astype(np.float32)):
        with pytest.raises(ValueError, match=r"Pool: got examples"):
            pool(wrong)
    for options in ({"size": -1}, {"size": 4, "rate": 1.5}, {"size": 2.5}):
        with pytest.raises((TypeError, ValueError), match="Pool: got"):
            data.Pool(**{"seed": 0, **options})  # type: ignore[arg-type]
    for state in ({}, {"calls": np.array(1), "more": np.ones(2)}, {"calls": np.array(1), "examples": np.ones((5, 2))}):
        with pytest.raises(ValueError, match="load_state"):
            pool.load_state(state)
    np.testing.assert_array_equal(data.Pool(0, seed=0)(X).numpy(), X)
    assert "4 of 4" not in repr(data.Pool(4, seed=0)) and "3 of 4, (4, 5, 2) float64" in repr(pool)


# -- images --------------------------------------------------------------------------------------------------------------
IMAGES = np.tanh(RNG.standard_normal((3, 6, 8, 1))).astype(np.float32)


@pytest.mark.parametrize("size", [(3, 4), (12, 8), (5, 11), (1, 1), (6, 8)])
def test_resize_is_pillows(size: tuple[int, int]) -> None:
    got = data.resize(IMAGES, size)
    assert got.shape == (3, *size, 1) and got.dtype == np.float32 and np.abs(got).max() <= 1
    for ours, image in zip(got, IMAGES, strict=True):
        theirs = Image.fromarray(image[..., 0], "F").resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_allclose(ours[..., 0], np.asarray(theirs), atol=1e-5)
    for ours, image in zip(data.resize(IMAGES, size, filter="bicubic"), IMAGES, strict=True):
        theirs = Image.fromarray(image[..., 0], "F").resize(size[::-1], Image.Resampling.BICUBIC)
        np.testing.assert_allclose(ours[..., 0], np.asarray(theirs), atol=1e-5)
    nearest = data.resize(IMAGES, size, filter="nearest")
    assert set(nearest.ravel()) <= set(IMAGES.ravel())


@each_device
def test_transforms_of_arrays_tensors_and_data_sets(device: str) -> None:
    x = to_device(IMAGES, device)
    hued = data.Dataset("d", IMAGES, np.arange(3), "images", factors={"size": np.ones(3)})
    red = [1.0, -1.0, -1.0]
    for change in (
        data.invert,
        lambda v: data.colour(v, red),
        lambda v: data.resize(v, 4),
        lambda v: data.colour(v, seed=2),
    ):
        array, t, whole = change(x), change(Tensor(x)), change(hued)
        assert type(array) is type(x) and array_module(array) is array_module(x)
        np.testing.assert_array_equal(t.numpy(), Tensor(array).numpy())
        np.testing.assert_allclose(whole.x, t.numpy(), atol=1e-6)
        assert isinstance(whole, data.Dataset) and whole.y is hued.y and np.abs(whole.x).max() <= 1 + 1e-6
    np.testing.assert_array_equal(data.invert(hued).x, -IMAGES)
    tinted = data.colour(IMAGES, red)
    np.testing.assert_allclose(tinted[..., :1], IMAGES, atol=1e-6)
    np.testing.assert_allclose(tinted[..., 1:], -1)
    hue = data.colour(hued, seed=2).factors["hue"]
    assert hue.shape == (3,) and len(set(hue)) == 3 and "size" in data.colour(hued).factors


def test_transforms_are_differentiable_and_check_what_they_get() -> None:
    x = IMAGES.astype(np.float64)[:2, :3, :3]
    for change in (data.invert, lambda v: data.colour(v, [0.5, 0.0, -1.0]), lambda v: data.resize(v, (2, 5))):
        assert mg.gradcheck(change, x, order=2)
    for wrong in (IMAGES[0], IMAGES.astype(np.uint8), np.zeros((0, 3, 3, 1), np.float32)):
        for change in (data.invert, data.colour, lambda v: data.resize(v, 4)):
            with pytest.raises(data.DataError, match="expected float images"):
                change(wrong)
    with pytest.raises(data.DataError, match=r"expected float images \(N, H, W, 1\)"):
        data.colour(np.zeros((2, 3, 3, 3), np.float32))
    with pytest.raises(data.DataError, match=r"colours \(3,\) in \[0, 2\]"):
        data.colour(IMAGES, [0.0, 1.0, 2.0])
    for size in (0, (3, 0), (1, 2, 3)):
        with pytest.raises((data.DataError, ValueError), match="resize: got size"):
            data.resize(IMAGES, size)  # type: ignore[arg-type]
    with pytest.raises(data.DataError, match="filter 'cubic'"):
        data.resize(IMAGES, 4, filter="cubic")


# -- weight clipping -----------------------------------------------------------------------------------------------------
@each_device
def test_weight_clipping_clips_all_and_replays(device: str) -> None:
    results = []
    for replay in (False, "check"):
        critic = net(nn.Dense(3, 2), device)
        clip = optim.weight_clipping(critic, 0.1)
        player = mg.Player("D", lambda x, c=critic: ops.mean(c(x)), optim.SGD(critic, lr=1.0), after=[clip])
        game = mg.Game([player], replay=replay)
        results.append([game.step(np.ones((2, 3)) + k)["D"].item() for k in range(6)])
        assert max(float(np.abs(t.numpy()).max()) for t in critic.parameters().values()) <= 0.1
    assert results[0] == results[1]
    saved = ops.square(critic.weight)
    effect(lambda *_: None, critic.weight)
    with pytest.raises(mg.GraphError, match="changed in place"):
        saved.sum().backward()
