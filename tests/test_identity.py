"""A tensor has an identity: what is reachable twice is one, and what holds it goes on working when it moves."""

import copy
from functools import lru_cache, partial
from types import SimpleNamespace

import numpy as np
import pytest

import minigan as mg
from minigan import data, nn, ops, optim, penalties
from minigan.parameters import named
from minigan.random import Source


class Tied(nn.Module):
    """x W W^T: one weight under two names."""

    def __init__(self):
        self.encoder = nn.Dense(3, 3, bias=False)
        self.decoder = nn.Dense(3, 3, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Nested(nn.Module):
    """Parts in dicts, tuples and lists of lists."""

    def __init__(self):
        self.heads = {"a": nn.Dense(2, 3), "b": (nn.Dense(3, 4), [nn.BatchNorm(4), [nn.Dense(4, 5)]])}
        self.scale = [mg.tensor(np.ones(2), requires_grad=True), {"offset": mg.tensor(np.zeros(2))}]


def ones(net, x):
    return mg.grad((net(x) ** 2).sum(), list(net.parameters().values()))


# -- one tensor is one parameter -------------------------------------------------------------------------------------
def test_a_tied_weight_is_one_parameter_everywhere():
    net = Tied()
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert list(net.parameters()) == ["encoder.weight"] == list(net.state())
    (g,) = ones(net, x)
    before = net.encoder.weight.data.copy()
    want = mg.grad(((x @ (w := mg.tensor(before, requires_grad=True)) @ w) ** 2).sum(), w)
    np.testing.assert_allclose(g.data, want.data, rtol=1e-5)
    optim.SGD(net, lr=0.1).step([g])
    np.testing.assert_allclose(net.encoder.weight.data, before - 0.1 * g.data, rtol=1e-6)
    row = net.summary((4, 3)).splitlines()
    assert row[-1].split()[1] == "9" and [line.split()[-3] for line in row[1:-1]] == ["9", "0"]


def test_a_trunk_under_two_networks_is_one_parameter():
    trunk = nn.Dense(2, 4)
    d, q = nn.Sequential(trunk, nn.Dense(4, 1)), nn.Sequential(trunk, nn.Dense(4, 3))
    adam = optim.Adam({"D": d, "Q": q})
    assert list(adam.parameters) == [
        "D.layers.0.weight", "D.layers.0.bias", "D.layers.1.weight", "D.layers.1.bias", "Q.layers.1.weight", "Q.layers.1.bias"
    ]  # fmt: skip


@pytest.mark.parametrize("make", [Tied, lambda: nn.Sequential(*[nn.Dense(3, 3)] * 2)])
def test_an_average_applied_and_left_changes_nothing(make):
    net = make()
    ema = optim.EMA(net, decay=0.5)
    for t in net.parameters().values():
        t.assign(t.data + 1)
    trained, average = net.state(), {k: t.data.copy() for k, t in ema.averages.items()}
    with ema.applied():
        assert all((net.state()[k] == v).all() for k, v in average.items())
    assert all((net.state()[k] == v).all() for k, v in trained.items())
    assert all((t.data == average[k]).all() for k, t in ema.averages.items())


def test_an_average_is_not_applied_or_updated_inside_itself():
    ema = optim.EMA(nn.Dense(2, 2))
    with ema.applied():
        with pytest.raises(RuntimeError, match="leave the block first"):
            ema.applied().__enter__()
        with pytest.raises(RuntimeError, match="average the average"):
            ema.update()
    ema.update()


# -- the same object, wherever its array goes ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "move",
    [
        lambda net: net.to("cpu"),
        lambda net: net.astype("float64"),
        lambda net: net.load_state(net.state()),
        lambda net: [setattr(t, "data", t.data.copy()) for t in net.tensors().values()],
    ],
    ids=["to", "astype", "load_state", "data"],
)
def test_an_optimizer_and_an_average_go_on_when_the_network_moves(move):
    net = nn.Sequential(Tied(), nn.BatchNorm(3), nn.Dense(3, 1)).initialize(3)
    identities = {k: id(t) for k, t in net.tensors().items()}
    adam, ema = optim.Adam(net, lr=0.1), optim.EMA(net, decay=0.5)
    other = copy.deepcopy(net)
    plain, plain_ema = optim.Adam(other, lr=0.1), optim.EMA(other, decay=0.5)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    for step in range(4):
        if step == 2:
            move(net)
        for model, optimizer, average in ((net, adam, ema), (other, plain, plain_ema)):
            optimizer.step(ones(model, x.astype(next(iter(model.tensors().values())).dtype)))
            average.update()
    assert {k: id(t) for k, t in net.tensors().items()} == identities and net[0].encoder.weight is net[0].decoder.weight
    for k, t in other.tensors().items():
        np.testing.assert_allclose(net.tensors()[k].data, t.data, atol=2e-5)
        np.testing.assert_allclose(ema.averages[k].data, plain_ema.averages[k].data, atol=2e-5)
    adam.load_state(adam.state())


def test_converted_parameters_keep_their_gradients_graph_and_dtype():
    net = nn.Dense(2, 1)
    old = net(np.ones((1, 2), np.float32)).sum()
    old.backward()
    net.astype("float64")
    assert net.weight.grad.dtype == np.float64
    net(np.ones((1, 2))).sum().backward()
    np.testing.assert_allclose(net.weight.grad.data, 2.0)
    with pytest.raises(mg.GraphError, match="changed in place"):
        (nn_old := net(np.ones((1, 2))) ** 2)
        net.astype("float32")
        nn_old.sum().backward()


def test_integer_buffers_stay_integers():
    net = nn.Sequential(nn.Dense(1, 1))
    net.count = mg.tensor(np.array([3]))
    assert net.astype("float64").count.dtype == np.int64 and net.buffers()["count"] is net.count


# -- what is found ---------------------------------------------------------------------------------------------------
def test_parts_in_dicts_tuples_and_nested_lists_are_found():
    net = Nested()
    assert set(net.parameters()) == {
        "heads.a.weight", "heads.a.bias", "heads.b.0.weight", "heads.b.0.bias", "heads.b.1.0.gamma", "heads.b.1.0.beta",
        "heads.b.1.1.0.weight", "heads.b.1.1.0.bias", "scale.0",
    }  # fmt: skip
    assert set(net.buffers()) == {"heads.b.1.0.running_mean", "heads.b.1.0.running_var", "scale.1.offset"}
    net.eval()
    assert not net.heads["b"][1][0].training
    other = Nested().initialize(5)
    other.load_state(net.state())
    assert all((v == net.state()[k]).all() for k, v in other.state().items())


def test_a_module_that_holds_itself_ends():
    net = nn.Sequential(nn.Dense(1, 1))
    net.parent = net
    assert list(net.parameters()) == ["layers.0.weight", "layers.0.bias"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.eye(3), "neither a parameter nor a buffer"),
        ([1, {"a": (np.eye(3),)}], r"Dense.x.1.a.0: got an array"),
        (mg.tensor([1.0], requires_grad=True) * 2, "inside a graph"),
        ({nn.Dense(1, 1)}, "got a set"),
        ((nn.Dense(1, 1) for _ in range(2)), "got a generator"),
        (map(str, []), "got a map"),
    ],
)
def test_what_would_be_lost_is_refused_when_it_is_assigned(value, words):
    net = nn.Dense(1, 1)
    with pytest.raises(TypeError, match=words):
        net.x = value
    assert not hasattr(net, "x")


class Slotted:
    __slots__ = ("net",)

    def __init__(self):
        self.net = nn.Dense(1, 1)


class InClass:
    net = nn.Dense(1, 1)


def closed_over(held):
    return lambda x: held["net"](x)


OUT_OF_SIGHT = {
    "a closure": lambda: closed_over({"net": nn.Dense(1, 1)}),
    "a function in a closure": lambda: (lambda f: lambda x: f(x))(closed_over({"net": nn.Dense(1, 1)})),
    "a default": lambda: lambda x, net=nn.Dense(1, 1): net(x),  # noqa: B008
    "a method": lambda: nn.Dense(1, 1).forward,
    "a cached function": lambda: lru_cache(closed_over({"net": nn.Dense(1, 1)})),
    "a parameter in a closure": lambda: (lambda w: lambda x: x * w)(mg.tensor([1.0], requires_grad=True)),
    "slots": Slotted,
    "the class of an object": InClass,
    "a class": lambda: InClass,
    "a mapping in an object": lambda: SimpleNamespace(nets={"a": nn.Dense(1, 1)}),
    "an object in an object": lambda: SimpleNamespace(inner=SimpleNamespace(net=nn.Dense(1, 1))),
}


@pytest.mark.parametrize("kind", OUT_OF_SIGHT)
def test_functions_and_objects_hide_no_networks(kind):
    net = nn.Dense(1, 1)
    with pytest.raises(TypeError, match=r"Dense\.x(\.0)?: got a .*would not be found"):
        net.x = OUT_OF_SIGHT[kind]()
    with pytest.raises(TypeError, match="would not be found"):
        net.x = [OUT_OF_SIGHT[kind]()]


@pytest.mark.parametrize("kind", ["a closure", "a function in a closure", "a default", "a parameter in a closure"])
def test_a_layer_of_a_function_hides_no_networks_in_objects_and_mappings(kind):
    with pytest.raises(TypeError, match="whose parameters nobody would find"):
        nn.Lambda(OUT_OF_SIGHT[kind]())


def test_what_is_in_the_open_may_be_used_by_functions_too():
    class Net(nn.Module):
        def __init__(self):
            self.inner, self.constant = nn.Dense(1, 1), mg.tensor([2.0])
            inner, self.double = self.inner, lambda x: self.inner(x) * 2
            self.twice = lambda x: inner(inner(x))
            self.thrice = partial(lambda f, x: f(f(f(x))), self.inner)
            self.settings = SimpleNamespace(rate=0.1, log=[])
            scale = mg.tensor([3.0])
            self.scaled = nn.Lambda(lambda x: x * scale)

    assert list(Net().parameters()) == ["inner.weight", "inner.bias"]
    later = Net()
    later.settings.log.append(nn.Dense(1, 1))
    with pytest.raises(TypeError, match="settings: got a SimpleNamespace"):
        later.parameters()


def test_a_class_holds_no_networks_and_has_no_slots():
    with pytest.raises(TypeError, match=r"Net\.layers: got a list in the body of the class.*__init__: self\.layers"):
        type("Net", (nn.Module,), {"layers": [nn.Dense(1, 1)]})
    with pytest.raises(TypeError, match="Net: has __slots__"):
        type("Net", (nn.Module,), {"__slots__": ("net",)})


def test_two_tensors_of_one_path_are_refused():
    net = nn.Dense(1, 1)
    net.parts = {0: mg.tensor(np.ones(1)), "0": mg.tensor(np.ones(1))}
    with pytest.raises(ValueError, match=r"two tensors have the path 'parts\.0'"):
        net.tensors()


# -- what optimizers, averages and clipping take ---------------------------------------------------------------------
def test_names_of_nested_parameters():
    w = mg.tensor(np.ones(2), requires_grad=True)
    assert list(named(w, owner="o")) == ["parameter"]
    assert list(named({"G": nn.Dense(1, 1), "rest": [w, (nn.Dense(1, 1, bias=False),)]}, owner="o")) == [
        "G.weight", "G.bias", "rest.0", "rest.1.0.weight"
    ]  # fmt: skip
    assert list(named(nn.Dense(1, 1).parameters().values(), owner="o")) == ["0", "1"]


W = mg.tensor(np.ones(2), requires_grad=True)
NET = nn.Dense(1, 1)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([W, W], ValueError, "'1' is the same Tensor as '0'"),
        ({"a": NET, "b": [NET]}, ValueError, "'b.0' is the same Module|'b.0' is the same Dense as 'a'"),
        ([NET, NET.weight], ValueError, "'1' is the same Tensor as '0.weight'"),
        ([mg.tensor(np.ones(2))], ValueError, "'0' takes no gradient"),
        ({"n": mg.tensor(np.arange(2))}, ValueError, "'n' holds int64"),
        ([W * 2], ValueError, "'0' is a result inside a graph"),
        ({"a": {"b": W}, "a.b": mg.tensor(np.ones(2), requires_grad=True)}, ValueError, "the name 'a.b'"),
        ({"lr": 0.1}, TypeError, "lr of type float"),
        (np.ones(2), TypeError, "of type ndarray"),
        ([], ValueError, "no parameters"),
        (nn.Flatten(), ValueError, "no parameters"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(given, error, words):
    with pytest.raises(error, match=words):
        optim.SGD(given, lr=0.1)
    if "gradient" not in words and "int64" not in words:
        with pytest.raises(error, match=words):
            optim.EMA(given)


def shared():
    w = mg.tensor(np.ones(3), requires_grad=True)
    again = w.detach()
    again.requires_grad = True
    return {"a": w, "b": again}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.SGD(shared(), lr=0.1), "'b' shares its memory with 'a'"),
        (lambda: optim.SGD({W}, lr=0.1), "order is another one"),
        (lambda: optim.EMA(frozenset([W])), "order is another one"),
        (lambda: nn.Dense(1, 1).parameters().update(nn.Dense(1, 1).parameters()), "would be dropped"),
        (lambda: nn.Dense(1, 1).parameters().__setitem__("weight", W), "would be dropped"),
        (lambda: nn.Dense(1, 1).parameters().copy().__setitem__("weight", W), "would be dropped"),
        (lambda: optim.SGD({"a": W}, lr=0.1).step({"a": W, "b": W}), r"differ in the names \['b'\]"),
        (lambda: optim.SGD({"a": W}, lr=0.1).step({"b": W}), r"differ in the names \['a', 'b'\]"),
        (lambda: optim.SGD({"a": W}, lr=0.1).step([]), "got 0 gradients for 1"),
        (lambda: optim.SGD({"a": W}, lr=0.1).step([None]), "got None as the gradient of 'a'"),
        (lambda: optim.SGD({"a": W}, lr=0.1, options=["a"]), "got options"),
        (lambda: optim.SGD({"a": W}, lr=0.1, options={"a": 1.0}), "got options"),
        (lambda: optim.SGD({"a": W}, lr=lambda t: None).step([W.detach()]), "gives lr None"),
    ],
)
def test_what_an_optimizer_would_mistake(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()


@pytest.mark.parametrize(
    "change",
    [
        {"weight": np.full((2, 2), None)},
        {"weight": np.full((2, 2), 1j)},
        {"weight": np.full((2, 2), "1")},
        {"weight": [[1.0, 2.0], [3.0, 4.0]]},
        {"weight": mg.tensor(np.ones((2, 2)))},
        {"bias": np.ones(3)},
        {"steps": np.array(np.nan)},
        {"steps": np.array(1.5)},
        {"steps": np.array(-1)},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_a_state_that_is_none_is_refused_and_nothing_is_changed(change):
    net = nn.Dense(2, 2).initialize(0)
    ((name, value),) = change.items()
    for part in (net, optim.Adam(net), optim.EMA(net)):
        before = part.state()
        hit = [key for key in before if key == name or key.endswith(f".{name}")]
        if part is not net or name != "steps":  # a network counts nothing
            with pytest.raises((TypeError, ValueError), match=r"load_state.*expected"):
                part.load_state({key: value if key in hit else old + 1 for key, old in before.items()})
        assert all((part.state()[key] == old).all() for key, old in before.items())


def test_joining_parameters_drops_none():
    g, q = nn.Dense(1, 1), nn.Dense(1, 1)
    with pytest.raises(ValueError, match=r"the name 'weight' is in both|the name 'bias' is in both"):
        g.parameters() | q.parameters()
    with pytest.raises(ValueError, match="is in both"):
        dict(g.parameters()) | q.parameters()
    both = g.parameters()
    with pytest.raises(ValueError, match="is in both"):
        both |= q.parameters()
    assert len(g.parameters() | g.parameters()) == 2


def test_options_by_prefix():
    net = {"mapping": nn.Dense(2, 2), "synthesis": nn.Dense(2, 2)}
    for t in named(net, owner="").values():
        t.assign(0.0)
    adam = optim.Adam(net, lr=0.1, options={"mapping": {"lr": 0.001}, "mapping.bias": {"lr": lambda t: 0.01 * (t + 1)}})
    for _ in range(2):
        adam.step([mg.tensor(np.ones(t.shape, np.float32)) for t in adam.parameters.values()])
    moved = {name: float(-t.data.reshape(-1)[0]) for name, t in adam.parameters.items()}
    want = {"mapping.weight": 0.002, "mapping.bias": 0.03, "synthesis.weight": 0.2, "synthesis.bias": 0.2}
    assert moved == pytest.approx(want, rel=1e-4) and adam.steps == 2
    with pytest.raises(ValueError, match="options for 'mappin'"):
        optim.Adam(net, options={"mappin": {"lr": 1.0}})
    with pytest.raises(ValueError, match=r"options\['mapping'\] has 'momentum'"):
        optim.Adam(net, options={"mapping": {"momentum": 0.5}})
    with pytest.raises(ValueError, match="beta1"):
        optim.Adam(net, options={"mapping": {"beta1": 1.0}})


def test_clipping_keeps_the_structure_it_is_given():
    grads = {"a": mg.tensor(np.array([3.0])), "b": [mg.tensor(np.array([4.0]))]}
    clipped = optim.clip_by_norm(grads, 1.0)
    assert clipped["a"].item() == pytest.approx(0.6) and clipped["b"][0].item() == pytest.approx(0.8)
    assert optim.clip_by_value(mg.tensor(np.array([3.0])), 0.5).item() == 0.5
    net = nn.Dense(2, 2).initialize(0)
    optim.weight_clipping({"D": net}, 0.01)()
    assert np.abs(net.weight.data).max() <= 0.01


# -- hyper-parameters ------------------------------------------------------------------------------------------------
NAN, INF = float("nan"), float("inf")
SIZED = (nn.MaxPool, nn.AvgPool, nn.Upsample, nn.PixelShuffle)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda v=v: optim.SGD([W], lr=v) for v in (-1.0, NAN, INF, "0.1", None, True)),
        *(lambda v=v: optim.SGD([W], lr=0.1, clip_norm=v) for v in (-1.0, 0.0, NAN, INF)),
        *(lambda v=v: optim.SGD([W], lr=0.1, clip_value=v) for v in (-1.0, 0.0, NAN)),
        *(lambda v=v: optim.SGD([W], lr=0.1, momentum=v) for v in (-0.1, 1.0, NAN)),
        *(lambda v=v: optim.SGD([W], lr=0.1, weight_decay=v) for v in (-0.1, NAN)),
        *(lambda v=v: optim.RMSProp([W], lr=0.1, rho=v) for v in (-0.1, 1.0, NAN)),
        *(lambda v=v: optim.RMSProp([W], lr=0.1, eps=v) for v in (-1e-8, NAN)),
        *(lambda v=v, k=k: optim.Adam([W], **{k: v}) for k in ("beta1", "beta2") for v in (-0.1, 1.0, NAN)),
        *(lambda v=v: optim.Adam([W], eps=v) for v in (-1e-8, NAN, INF)),
        *(lambda v=v: optim.AdamW([W], weight_decay=v) for v in (-0.1, NAN)),
        *(lambda v=v: optim.EMA([W], decay=v) for v in (-0.1, 1.0, NAN)),
        *(lambda v=v: optim.clip_by_norm([W], v) for v in (-1.0, 0.0, NAN)),
        *(lambda v=v: optim.clip_by_value([W], v) for v in (-1.0, 0.0, NAN)),
        *(lambda v=v: optim.weight_clipping([W], v) for v in (-1.0, 0.0, NAN)),
        *(lambda v=v: optim.constant(v) for v in (-1.0, NAN)),
        *(lambda v=v, f=f: f(0.1, steps=v) for f in (optim.linear, optim.cosine) for v in (0, -1, 2.5, NAN)),
        *(lambda v=v, f=f: f(v, steps=5) for f in (optim.linear, optim.cosine, optim.warm_up) for v in (-1.0, NAN)),
        *(lambda v=v, f=f: f(0.1, steps=5, final=v) for f in (optim.linear, optim.cosine) for v in (-1.0, NAN)),
        *(lambda v=v: optim.step_decay(0.1, every=v) for v in (0, -1, 0.5)),
        *(lambda v=v: optim.step_decay(0.1, every=1, factor=v) for v in (-1.0, NAN)),
        *(lambda v=v: optim.warm_up(0.1, steps=v) for v in (0, -1)),
        *(lambda v=v: nn.BatchNorm(3, momentum=v) for v in (-0.1, 1.1, NAN)),
        *(lambda v=v: nn.BatchNorm(3, eps=v) for v in (-1e-5, NAN)),
        *(lambda v=v: nn.BatchNorm(3, gamma_std=v) for v in (-0.1, NAN)),
        *(lambda v=v: nn.BatchNorm(3, activation="leaky_relu", slope=v) for v in (0.0, NAN)),
        lambda: nn.BatchNorm(0),
        lambda: optim.SGD([W], lr=0.1, nesterov="no"),
        lambda: optim.EMA([W], warm_up=5),
        *(
            lambda v=v, f=f: f(v)
            for f in (nn.init.normal, nn.init.xavier, nn.init.orthogonal)
            for v in (-1.0, NAN, INF)
        ),
        *(lambda v=v: nn.init.he(v) for v in (NAN, "a")),
        *(lambda v=v, f=f: f(2, 2, bias=v) for f in (nn.Dense, lambda *a, **k: nn.Conv(*a, 3, **k)) for v in (0, "no")),
        *(lambda v=v: nn.Conv(1, 1, v) for v in ([], None, 1.5, (3, 0), (1, 1, 1, 1))),
        *(lambda v=v, f=f: f(v) for f in SIZED for v in (0, -1, 1.5, NAN, None, True, (), (2, 0))),
        *(lambda v=v, f=f: f(2, stride=v) for f in (nn.MaxPool, nn.AvgPool) for v in (0, 1.5, "a")),
        lambda: nn.Upsample(2, mode="cubic"),
        *(lambda v=v: mg.random.Source(v) for v in (1.5, NAN, None, "a", True)),
        *(lambda v=v: data.Loader(np.ones((4, 1)), batch_size=v, seed=0) for v in (0, 1.5, NAN, None, True)),
        *(lambda v=v: data.Loader(np.ones((4, 1)), batch_size=2, seed=v) for v in (1.5, NAN, None)),
        *(lambda v=v: data.Loader(np.ones((4, 1)), batch_size=2, seed=0).batch(v) for v in (-1, 1.5, NAN, None)),
        *(
            lambda v=v: penalties.r1(lambda x: x.sum(axis=1), np.ones((2, 1)), gamma=v)
            for v in (-1, NAN, INF, None, "a")
        ),
        *(
            lambda v=v: penalties.dragan(ops.sum, np.ones((2, 1)), noise=np.ones((2, 1)), target=v)
            for v in (-1, NAN, None)
        ),
        *(lambda v=v: penalties.orthogonality([mg.tensor(np.ones((2, 2)))], beta=v) for v in (-1, NAN, INF, None)),
        *(lambda v=v: mg.scheduled(lambda t, v=v: v) for v in (None, "1", 1j, mg.tensor(1.0), [None])),
        lambda: setattr(mg.scheduled(float), "requires_grad", True),
        lambda: setattr(mg.scheduled(float), "data", np.ones(())),
    ],
)
def test_a_hyper_parameter_out_of_range_is_refused_where_it_is_given(make):
    with pytest.raises((ValueError, TypeError), match=r"got|expected"):
        make()


def test_the_learning_rate_can_be_assigned_and_a_bad_schedule_is_noticed():
    w = mg.tensor(np.zeros(1), requires_grad=True)
    sgd = optim.SGD(w, lr=1.0)
    sgd.lr = 0.25
    sgd.step([mg.tensor(np.ones(1))])
    sgd.lr = lambda t: 0.5 * t
    sgd.step([mg.tensor(np.ones(1))])
    assert w.item() == -0.75 and sgd.lr == 1.0
    with pytest.raises(ValueError, match="lr -1"):
        sgd.lr = -1.0
    sgd.lr = lambda t: NAN
    with pytest.raises(ValueError, match="schedule gives lr nan at update 2"):
        sgd.step([mg.tensor(np.ones(1))])


# -- gradients of one's own ------------------------------------------------------------------------------------------
def test_gradients_share_memory_with_nothing():
    a, b = (mg.tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    seed = np.ones((2, 3))
    for create_graph in (False, True):
        ga, gb, gc = mg.grad([a + b, a.reshape(6)], [a, b, a], [seed, np.ones(6)], create_graph=create_graph)
        for g in (ga, gb, gc):
            assert g.data.flags.writeable
            g.data[...] = 7
            g.data[...] = np.arange(6.0).reshape(2, 3)
        ga.data[...] = -1
        assert (gb.data == np.arange(6.0).reshape(2, 3)).all() and (gc.data == gb.data).all() and (seed == 1).all()
    (a.sum() + b.sum()).backward()
    a.grad.data[...] = 5
    assert (b.grad.data == 1).all()
    g = mg.tensor(seed)
    mg.grad(ops.identity(a), a, g).data[...] = 3
    assert (g.data == 1).all()
    mg.vjp(lambda x: x + 0.0, np.ones(3), seed[0])[1].data[...] = 9
    assert (seed == 1).all()


def test_copied_gradients_can_be_differentiated_again():
    x = mg.tensor(np.array([2.0]), requires_grad=True)
    first, again = mg.grad(x**3, [x, x], create_graph=True)
    np.testing.assert_allclose(mg.grad(again.sum(), x).data, 12.0)
    np.testing.assert_allclose(mg.grad(first.sum(), x).data, 12.0)


# -- copies ----------------------------------------------------------------------------------------------------------
def test_a_deep_copy_is_independent():
    w = mg.tensor(np.ones(2), requires_grad=True)
    twin = copy.deepcopy(w)
    (twin * 3.0).sum().backward()
    assert w.grad is None and (twin.grad.data == 3).all()
    twin.assign(5.0)
    assert (w.data == 1).all()
    shallow = copy.copy(w)
    (shallow * 2.0).sum().backward()
    assert w.grad is None and shallow.data is w.data
    with pytest.raises(mg.GraphError, match="detach"):
        copy.deepcopy(w * 2.0)


def test_a_deep_copy_of_a_module_keeps_its_ties_and_nothing_else_of_the_original():
    net = nn.Sequential(Tied(), nn.Dropout(0.5), nn.Dense(3, 1)).initialize(Source(1), "net")
    twin = copy.deepcopy(net)
    assert twin[0].encoder.weight is twin[0].decoder.weight and twin[0].encoder.weight is not net[0].encoder.weight
    twin(np.ones((2, 3), np.float32)).sum().backward()
    assert all(t.grad is None for t in net.parameters().values())
    assert all(t.grad is not None for t in twin.parameters().values())


def test_a_copys_dropout_goes_with_the_game_and_draws_masks_of_its_own():
    source = Source(0)
    net = nn.Sequential(nn.Dense(1, 64), nn.Dropout(0.5)).initialize(source, "net")
    twin = copy.deepcopy(net)
    w = mg.tensor(np.ones(1), requires_grad=True)
    seen = []

    def loss(x):
        seen.append([m[1](np.ones((1, 64), np.float32)).data.copy() for m in (net, twin)])
        return (w * w).sum()

    game = mg.Game([mg.Player("p", loss, optim.SGD(w, lr=0.1))], random=source)
    for _ in range(3):
        game.step(np.zeros(1))
    masks = [mask for pair in seen for mask in pair]
    assert all((a != b).any() for i, a in enumerate(masks) for b in masks[:i])


def test_layers_and_networks_that_were_not_told_apart_share_neither_masks_nor_weights():
    a, b = nn.Dropout(0.5), nn.Dropout(0.5)
    x = np.ones((1, 64), np.float32)
    assert (a(x).data != b(x).data).any()
    g = nn.Sequential(nn.Dense(2, 64), nn.Dropout(0.5), nn.Dense(64, 2)).initialize(0)
    d = nn.Sequential(nn.Dense(2, 64), nn.Dropout(0.5), nn.Dense(64, 1)).initialize(0)
    assert (g[0].weight.data != d[0].weight.data).any() and (g[1](x).data != d[1](x).data).any()
    same = copy.deepcopy(g).initialize(0)
    assert (same[0].weight.data == g[0].weight.data).all()  # a pure function of the integer and the structure
    for bad in (0.5, "0", True, None):
        with pytest.raises(TypeError, match="initialize: got random"):
            g.initialize(bad)


@pytest.mark.parametrize("make", [lambda: nn.Dropout(0.5), lambda: nn.Sequential(nn.Dropout(0.5)).initialize(0)])
@pytest.mark.parametrize("replay", [False, True])
def test_in_a_step_no_two_layers_draw_the_same_mask(make, replay):
    layers, masks = [make() for _ in range(2)], []
    w = mg.tensor(np.ones((1, 64), np.float32), requires_grad=True)
    seen = [mg.tensor(np.zeros((1, 64), np.float32)) for _ in layers]

    def loss():
        for layer, out in zip(layers, seen, strict=True):
            out.assign(layer(w))
        return sum(t.sum() for t in (layer(w) for layer in layers))

    game = mg.Game([mg.Player("p", loss, optim.SGD(w, lr=0.0))], replay=replay)
    for _ in range(4):
        game.step()
        masks += [out.data.copy() for out in seen]
    assert all((a != b).any() for i, a in enumerate(masks) for b in masks[:i])


def test_a_parameter_that_is_frozen_while_another_player_moves_is_no_buffer():
    d, g, seen = nn.Dense(2, 1).initialize(0), nn.Dense(2, 2).initialize(1), []
    loss = lambda x: [(d(g(x)) ** 2).mean(), seen.append((list(d.parameters()), list(d.buffers())))][0]  # noqa: E731
    players = [
        mg.Player("D", lambda x: (d(x) ** 2).mean(), optim.SGD(d, lr=0.1)),
        mg.Player("G", loss, optim.SGD(g, lr=0.1)),
    ]
    mg.Game(players).step(np.ones((3, 2), np.float32))
    assert seen == [(["weight", "bias"], [])] and all(t.requires_grad for t in d.parameters().values())


@pytest.mark.parametrize(
    "hide",
    [
        lambda net: {"a": net}.values(),
        lambda net: partial(net),
        lambda net: SimpleNamespace(net=net),
        lambda net: [SimpleNamespace(weight=net.weight)],
    ],
    ids=["the values of a dict", "partial", "an object", "an object in a list"],
)
def test_modules_in_objects_would_be_lost_and_are_refused(hide):
    with pytest.raises(TypeError, match="would not be found; use a list"):
        nn.Module().part = hide(nn.Dense(2, 2))


def test_a_tensor_given_by_itself_and_in_its_network_is_refused_in_any_order():
    net = nn.Dense(2, 2)
    for given in ([net, net.weight], [net.weight, net], {"w": net.weight, "net": {"a": net}}):
        with pytest.raises(ValueError, match="is the same Tensor as"):
            optim.Adam(given)
    other = nn.Dense(2, 2)
    other.weight = net.weight
    assert list(named({"a": net, "b": other}, owner="test")) == ["a.weight", "a.bias", "b.bias"]


def test_options_of_a_prefix_may_change_later():
    net = nn.Sequential(nn.Dense(2, 2, bias=False), nn.Dense(2, 1, bias=False)).initialize(0)
    optimizer = optim.SGD(net, lr=0.0, options={"layers.0": {"lr": 0.0}})
    before = net[0].weight.data.copy()
    optimizer.options["layers.0"]["lr"] = 1.0
    optimizer.step([mg.tensor(np.ones(t.shape, np.float32)) for t in optimizer.parameters.values()])
    np.testing.assert_allclose(net[0].weight.data, before - 1)


def test_a_mapping_that_holds_itself_is_refused():
    endless: dict = {}
    endless["again"] = endless
    with pytest.raises(ValueError, match="Adam: got a mapping or sequence that holds itself"):
        optim.Adam(endless)
