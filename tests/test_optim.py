"""Optimizers against the papers' formulas written out in float64, schedules, clipping, averages."""

import copy
import math

import numpy as np
import pytest
from devices import each_device
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import optim
from minigan.kernels import kernel

SHAPES = [(3, 4), (4,), (1,), (0, 3), (2, 3, 5)]


def parameters(dtype):
    r = np.random.default_rng(0)
    return [mg.tensor(r.standard_normal(s).astype(dtype), requires_grad=True) for s in SHAPES]


def gradients(dtype, t):
    r = np.random.default_rng(t + 1)
    return [r.standard_normal(s).astype(dtype) for s in SHAPES]


def plain_sgd(p, g, s, t, lr=0.1, mu=0.0, wd=0.0, nesterov=False):
    g = g + wd * p
    s["v"] = mu * s.get("v", 0) + g
    return p - lr * (g + mu * s["v"] if nesterov else s["v"])


def plain_rmsprop(p, g, s, t, lr=0.01, rho=0.9, eps=1e-8):
    s["s"] = rho * s.get("s", 0) + (1 - rho) * g**2
    return p - lr * g / (np.sqrt(s["s"]) + eps)


def plain_adam(p, g, s, t, lr=0.01, b1=0.9, b2=0.999, eps=1e-8, wd=0.0):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    return p - lr * (s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + eps) + wd * p)


RULES = {
    "sgd": (lambda p: optim.SGD(p, lr=0.1), plain_sgd),
    "momentum": (
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        lambda *a: plain_sgd(*a, mu=0.9, wd=0.01),
    ),
    "nesterov": (
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda *a: plain_sgd(*a, mu=0.9, nesterov=True),
    ),
    "rmsprop": (lambda p: optim.RMSProp(p, lr=0.01, rho=0.9), plain_rmsprop),
    "adam": (lambda p: optim.Adam(p, lr=0.01), plain_adam),
    "adam beta1 0": (lambda p: optim.Adam(p, lr=0.01, beta1=0.0), lambda *a: plain_adam(*a, b1=0.0)),
    "adamw": (lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1), lambda *a: plain_adam(*a, wd=0.1)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernels", kernel.CHOICES)
def test_update_rules_follow_the_papers(rule, dtype, kernels):
    make, plain = RULES[rule]
    params = parameters(dtype)
    want = [p.data.astype(np.float64) for p in params]
    states = [{} for _ in params]
    optimizer = make(params)
    with kernel.using(kernels):
        for t in range(1, 6):
            grads = gradients(dtype, t)
            optimizer.step([mg.tensor(g) for g in grads])
            want = [plain(p, g.astype(np.float64), s, t) for p, g, s in zip(want, grads, states, strict=True)]
    for p, w in zip(params, want, strict=True):
        np.testing.assert_allclose(p.data, w, rtol=0, atol=2e-6 if dtype == "float32" else 1e-13)


def test_many_chunks_and_threads():
    """A parameter longer than a chunk, so that several threads share it."""
    p = mg.tensor(np.linspace(-1, 1, 300_001, dtype=np.float32), requires_grad=True)
    g = np.cos(np.arange(300_001)).astype(np.float32)
    want = plain_adam(p.data.astype(np.float64), g.astype(np.float64), {}, 1)
    optim.Adam([p], lr=0.01).step([mg.tensor(g)])
    np.testing.assert_allclose(p.data, want, atol=1e-6)


@pytest.mark.parametrize("make", [optim.Adam, optim.SGD, optim.RMSProp])
def test_addresses_that_an_optimizer_keeps_are_no_others(make):
    """It keeps where its parameters and state lie: not where they lay before they moved, nor for a copy of it."""
    moved, stays = ({"w": mg.tensor(np.ones(5, np.float32), requires_grad=True)} for _ in range(2))
    first, second = make(moved, lr=0.1), make(stays, lr=0.1)
    for number in range(4):
        for named, optimizer in ((moved, first), (stays, second)):
            optimizer.step([mg.tensor(np.full(5, number - 1.5, np.float32))])
            before = named["w"].data
            if named is moved:
                named["w"]._data = before.copy()
                before[...] = np.nan  # what is read or written there shows
    assert np.array_equal(moved["w"].data, stays["w"].data)
    twin = copy.deepcopy(second)
    parameter, state = stays["w"].data.copy(), second.state()
    twin.step([mg.tensor(np.ones(5, np.float32))])
    assert np.array_equal(stays["w"].data, parameter)
    assert all(np.array_equal(second.state()[name], array) for name, array in state.items())


@given(st.floats(-1e3, 1e3).filter(lambda g: abs(g) > 1e-3))
def test_adams_first_step_is_the_sign_of_the_gradient(g):
    """Identity 55: -lr g / (|g| + eps)."""
    p = mg.tensor(np.zeros(1), requires_grad=True)
    optim.Adam([p], lr=0.1).step([mg.tensor(np.array([g]))])
    assert p.item() == pytest.approx(-0.1 * g / (abs(g) + 1e-8), rel=1e-9)


def test_step_reads_non_contiguous_gradients_and_dicts_by_name():
    p = mg.tensor(np.zeros((2, 3)), requires_grad=True)
    g = np.arange(6.0).reshape(3, 2)
    optim.SGD({"w": p}, lr=1.0).step({"w": mg.tensor(g).T.detach()})
    np.testing.assert_array_equal(p.data, -g.T)


@pytest.mark.parametrize("name", RULES)
def test_state_round_trip(name):
    make, _ = RULES[name]
    a, b = parameters("float64"), parameters("float64")
    first, second = make(a), make(b)
    for t in range(3):
        first.step([mg.tensor(g) for g in gradients("float64", t)])
    for p, q in zip(a, b, strict=True):
        q.assign(p)
    second.load_state(first.state())
    for optimizer in (first, second):
        optimizer.step([mg.tensor(g) for g in gradients("float64", 9)])
    assert all((p.data == q.data).all() for p, q in zip(a, b, strict=True))
    with pytest.raises(ValueError, match="one side only"):
        second.load_state({})


def test_schedules():
    assert [optim.constant(2.0)(t) for t in (0, 9)] == [2.0, 2.0]
    line = optim.linear(1.0, steps=10, final=0.5)
    assert [line(t) for t in (0, 5, 10, 20)] == [1.0, 0.75, 0.5, 0.5]
    wave = optim.cosine(1.0, steps=10)
    assert wave(0) == 1 and wave(5) == pytest.approx(0.5) and wave(10) == pytest.approx(0, abs=1e-15) == wave(99)
    assert [optim.step_decay(1.0, every=3, factor=0.5)(t) for t in (0, 2, 3, 6)] == [1, 1, 0.5, 0.25]
    assert [optim.warm_up(4.0, steps=4)(t) for t in (0, 1, 3, 9)] == [1, 2, 4, 4]
    p = mg.tensor(np.zeros(1), requires_grad=True)
    optimizer = optim.SGD([p], lr=optim.step_decay(1.0, every=1, factor=0.5))
    for _ in range(3):
        optimizer.step([mg.tensor(np.ones(1))])
    assert p.item() == -1.75 and optimizer.lr == 0.125


@each_device
def test_clipping(device):
    grads = [mg.tensor(np.array(v), device=device) for v in ([3.0, 0.0], [[4.0]])]
    clipped = optim.clip_by_norm(grads, 1.0)
    assert math.sqrt(sum((g.numpy() ** 2).sum() for g in clipped)) == pytest.approx(1)
    np.testing.assert_allclose(clipped[0].numpy(), [0.6, 0])
    assert [g.data.tolist() for g in optim.clip_by_norm(grads, 10.0)] == [g.data.tolist() for g in grads]
    assert optim.clip_by_value(grads, 2.0)[1].item() == 2
    zero = optim.clip_by_norm([mg.tensor(np.zeros(3), device=device)], 1.0)
    assert zero[0].data.tolist() == [0, 0, 0]
    p = mg.tensor(np.zeros(2), requires_grad=True, device=device)
    optim.SGD([p], lr=1.0, clip_norm=1.0).step([mg.tensor(np.array([3.0, 4.0]), device=device)])
    np.testing.assert_allclose(p.numpy(), [-0.6, -0.8])


def test_ema_averages_parameters_and_buffers_and_swaps():
    net = mg.nn.Sequential(mg.nn.Dense(2, 3), mg.nn.BatchNorm(3))
    ema = optim.EMA(net, decay=0.9, warm_up=False)
    want = {k: v.astype(np.float64) for k, v in net.state().items()}
    for t in range(4):
        for p in {**net.parameters(), **net.buffers()}.values():
            p.assign(p.data + t)
        ema.update()
        want = {k: 0.9 * want[k] + 0.1 * v for k, v in net.state().items()}
    trained = net.state()
    with ema.applied():
        for k, v in net.state().items():
            np.testing.assert_allclose(v, want[k], atol=1e-5)
    assert all((trained[k] == v).all() for k, v in net.state().items())
    other = optim.EMA(net, decay=0.9)
    other.load_state(ema.state())
    assert all((other.averages[k].data == ema.averages[k].data).all() for k in want)


def test_ema_warm_up_forgets_the_start():
    net = mg.nn.Dense(1, 1, init=lambda random, stream, shape: np.zeros(shape, np.float32))
    ema = optim.EMA(net, decay=0.999)
    net.weight.assign(1.0)
    ema.update()
    assert ema.averages["weight"].item() == pytest.approx(0.9)  # decay_0 = 1/10


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: optim.Adam([], lr=1), "no parameters"),
        (lambda p: optim.Adam(p, lr=-1), "lr -1"),
        (lambda p: optim.Adam(p, beta1=1.0), "beta1 1.0"),
        (lambda p: optim.SGD(p, lr=1, momentum=-0.1), "momentum -0.1"),
        (lambda p: optim.SGD(p, lr=1).step([mg.tensor(np.zeros(3))] * 5), "expected"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make(parameters("float64"))


def test_optimistic_adam_is_adam_with_the_last_step_taken_back():
    """p <- p - 2 u_t + u_(t-1), from a table of Adam's own steps on given gradients."""
    random = np.random.default_rng(0)
    gradients = random.standard_normal((5, 3))
    plain, ours = mg.tensor(np.zeros(3), requires_grad=True), mg.tensor(np.zeros(3), requires_grad=True)
    adam, optimistic = optim.Adam({"p": plain}, lr=0.1), optim.OptimisticAdam({"p": ours}, lr=0.1)
    steps, place = [], np.zeros(3)
    for t, g in enumerate(gradients):
        before = plain.data.copy()
        adam.step([mg.tensor(g)])
        steps.append(before - plain.data)
        optimistic.step([mg.tensor(g)])
        place = place - (2 * steps[-1] - steps[-2] if t else steps[-1])
        np.testing.assert_allclose(ours.data, place, atol=1e-12)


def test_optimism_comes_in_where_adam_circles():
    """min over x, max over y of x y: the distance to (0, 0) after 600 steps of both."""

    def distance(make):
        x, y = mg.tensor(np.array(1.0), requires_grad=True), mg.tensor(np.array(1.0), requires_grad=True)
        players = [
            mg.Player("x", lambda: x * y, make({"x": x}, lr=0.05, beta1=0.0)),
            mg.Player("y", lambda: -x * y, make({"y": y}, lr=0.05, beta1=0.0)),
        ]
        game = mg.Game(players, rule="simultaneous")
        for _ in range(600):
            game.step()
        return math.hypot(x.item(), y.item())

    assert distance(optim.OptimisticAdam) < 0.2 < 1.5 < distance(optim.Adam)


def test_a_history_is_the_mean_of_all_weights_so_far():
    p = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    history = optim.History({"p": p})
    seen = []
    for value in ([3.0, 1.0], [0.0, 5.0], [6.0, 0.0]):
        p.assign(np.array(value))
        history.update()
        seen.append(value)
    mean = np.mean(seen, 0)
    np.testing.assert_allclose(history.averages["p"].data, mean, atol=1e-12)
    gap = np.array(seen[-1]) - mean
    assert history.distance().item() == pytest.approx((gap**2).sum())
    np.testing.assert_allclose(mg.grad(history.distance(), p).data, 2 * gap, atol=1e-12)
    again = optim.History({"p": p})
    again.load_state(history.state())
    assert again.steps == 3 and again.distance().item() == history.distance().item()
