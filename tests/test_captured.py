"""Recorded steps as captured CUDA graphs: the bits of eager steps, whole steps in one graph, and what stays outside is named.

On the emulated GPU a capture refuses what CUDA and CuPy refuse: cuBLAS, sorting, copies from and to the host, memory of the pool
that others use, kernels that were never compiled. A graph keeps no array alive.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import emulated
from narrow import NarrowMLP

import minigan as mg
from minigan import gans, nn, ops, optim
from minigan.captured import VARIABLE, Graph
from minigan.gans.dcgan import DCGAN
from minigan.gans.toy import Toy
from minigan.random import Source
from minigan.refusals import RecordingError
from minigan.staged import Staged, of_arrays

pytestmark = pytest.mark.gpu

MODELS: dict[str, tuple[Any, tuple[int, ...], dict[str, Any]]] = {
    "toy": (Toy, (2,), {"width": 16}),  # with an R1 penalty and an average
    "mlp": (NarrowMLP, (3, 2, 1), {}),  # likewise, and with batch norm
    "dcgan": (DCGAN, (12, 12, 1), {"net": "s4", "features": 4}),  # with dropout
}
STEPS = 6  # two eager ones, one call by call, one that captures, one that compares, and one that only launches


def model_of(name: str, *, replay: bool, **more: Any) -> Any:
    kind, shape, options = MODELS[name]
    made = kind(kind.Config(batch_size=4, **options, **more), shape, device="gpu", replay=replay)
    return made, (4, *shape)


def stepped(model: Any, shape: tuple[int, ...], steps: int = STEPS) -> list[dict[str, float]]:
    draw = np.random.default_rng(0)
    batches = [draw.uniform(-1, 1, shape).astype(np.float32) for _ in range(steps)]
    return [{name: loss.item() for name, loss in model.game.step(batch).items()} for batch in batches]


@pytest.mark.parametrize("rule", ["alternating", "simultaneous"])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_the_zoo_is_one_graph_and_the_eager_step(name: str, rule: str) -> None:
    (eager, shape), (recorded, _) = (
        model_of(name, replay=replay, rule=rule, penalty_every=1) for replay in (False, True)
    )
    assert stepped(eager, shape) == stepped(recorded, shape)
    ours = recorded.state()
    for key, value in eager.state().items():
        np.testing.assert_array_equal(ours[key], value, err_msg=key)
    assert recorded.game.captured and all(" and 0 call(s) outside" in text for text in recorded.game.captured)
    assert all(text.startswith("1 CUDA graph(s) of ") for text in recorded.game.captured)


# -- what changes from step to step ------------------------------------------------------------------------------------
def regression(**options: Any) -> tuple[mg.Game, Any]:
    """A player with dropout and noise, an optimizer with a schedule, an average and a scheduled number, by `options`."""
    random = Source(4, device="gpu")
    net = nn.Sequential(nn.Dense(3, 4, activation="tanh"), nn.Dropout(0.5), nn.Dense(4, 1)).initialize(random).to("gpu")
    weight, average = mg.scheduled(lambda t: 1.0 + t, device="gpu"), optim.EMA(net, decay=0.9)
    make = options.pop("optimizer", lambda net: optim.Adam(net, lr=optim.linear(0.1, steps=20), clip_norm=0.5))
    wrap: Callable[[Any], Any] = options.pop("wrap", lambda y: y)

    def loss(x: Any) -> Any:
        target = random.uniform((len(x), 1), stream="target")
        return weight * ops.square(wrap(net(x)) - target).mean()

    after = [average.update, *options.pop("after", ())]
    return mg.Game([mg.Player("p", loss, make(net))], random=random, after=after, **options), net


def losses(game: mg.Game, steps: int = STEPS, seed: int = 0) -> list[float]:
    draw = np.random.default_rng(seed)
    return [game.step(draw.standard_normal((4, 3)).astype(np.float32))["p"].item() for _ in range(steps)]


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda net: optim.SGD(net, lr=optim.linear(0.1, steps=9), momentum=0.9, nesterov=True),
    "rmsprop": lambda net: optim.RMSProp(net, lr=optim.linear(0.1, steps=9)),
    "optimistic": lambda net: optim.OptimisticAdam(net, lr=optim.linear(0.1, steps=9), beta1=0.0),
    "options": lambda net: optim.Adam(net, lr=0.01, options={"layers.0": {"lr": optim.linear(0.1, steps=9)}}),
    "clipped": lambda net: optim.Adam(net, lr=optim.linear(0.1, steps=20), clip_norm=0.5),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rates_counters_averages_and_scheduled_numbers_follow(optimizer: str) -> None:
    make = OPTIMIZERS[optimizer]
    (eager, _), (recorded, _) = (regression(optimizer=make, replay=replay) for replay in (False, True))
    assert losses(eager, 7) == losses(recorded, 7)
    for game in (eager, recorded):  # between steps
        game.players[0].optimizer.lr = 0.01
    assert losses(eager, 2) == losses(recorded, 2)
    assert [text.partition(" of ")[0] for text in recorded.captured] == ["1 CUDA graph(s)"]
    assert "0 call(s) outside" in recorded.captured[0]
    for game in (eager, recorded):
        game.load_state(eager.state())
    assert losses(eager, 2, seed=1) == losses(recorded, 2, seed=1)


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_recurrent_layers_are_scanned_inside_the_graph(layer: str) -> None:
    def made(replay: bool) -> mg.Game:
        random = Source(4, device="gpu")
        net = getattr(nn, layer)(3, 4).initialize(random).to("gpu")

        def loss(x: Any) -> Any:
            return ops.square(net(ops.reshape(x, (2, 2, 3)))[0]).mean()

        return mg.Game([mg.Player("p", loss, optim.Adam(net, lr=0.1))], random=random, replay=replay)

    eager, recorded = made(False), made(True)
    assert losses(eager) == losses(recorded)
    assert recorded.captured[0].startswith("1 CUDA graph(s) of ") and "0 call(s) outside" in recorded.captured[0]


def test_each_form_of_the_batch_has_a_graph_of_its_own() -> None:
    (eager, _), (recorded, _) = (regression(replay=replay) for replay in (False, True))
    draw = np.random.default_rng(0)
    for n in (4, 4, 4, 4, 4, 6, 6, 6, 6, 4, 6, 4, 4, 4, 6):
        x = draw.standard_normal((n, 3)).astype(np.float32)
        assert eager.step(x)["p"].item() == recorded.step(x)["p"].item()
    assert len(recorded.captured) == 2


# -- what stays outside --------------------------------------------------------------------------------------------------
def test_python_runs_between_graphs() -> None:
    """An effect of one's own in the midst of the step, and a hook at its end."""
    seen: list[int] = []

    def counting() -> None:
        seen.append(1)

    def doubled(out: Any, x: Any) -> None:
        out[...] = x * np.float32(2 if len(seen) % 2 else 3)

    def wrapped(y: Any) -> Any:
        out = mg.tensor(np.zeros((4, 1), np.float32), device="gpu")
        mg.effect(doubled, out, y.detach())
        return y + out

    found = []
    for recorded in (False, True):
        seen.clear()
        game, _ = regression(wrap=wrapped, after=[counting], replay=recorded)
        found.append(losses(game, 7))
        assert len(seen) == 7
    assert found[0] == found[1]
    (text,) = game.captured
    for name in ("doubled", "counting"):
        assert f"{name} (Python that runs at every step)" in text
    assert text.startswith("2 CUDA graph(s)") and "2 call(s) outside" in text


def stacked(y: Any) -> Any:
    return ops.matmul(ops.reshape(y, (2, 2, 1)), ops.reshape(y, (2, 1, 2))).mean() + y


OUTSIDE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "cuBLAS": (stacked, "matmul"),
    "Thrust": (lambda y: ops.sort(ops.reshape(y, (-1,))).mean() + y, "argsort|sort"),
}


@pytest.mark.skipif(not emulated(), reason="which libraries CuPy takes is its own affair")
@pytest.mark.parametrize("library", OUTSIDE)
def test_what_cannot_be_captured_is_named_and_right(library: str) -> None:
    wrap, name = OUTSIDE[library]
    eager, recorded = (regression(wrap=wrap, replay=replay)[0] for replay in (False, True))
    with pytest.warns(RuntimeWarning, match=rf"^graphs: ({name}\w*) stays outside of the CUDA graphs .*{library}"):
        ours = losses(recorded)
    assert losses(eager) == ours
    assert library in recorded.captured[0]


def test_many_arrays_are_joined_inside_a_graph() -> None:
    """CuPy's own way takes a table of addresses from the host."""
    wrap = lambda y: ops.concatenate([y * float(i) for i in range(9)], axis=1).mean() + y  # noqa: E731
    eager, recorded = (regression(wrap=wrap, replay=replay)[0] for replay in (False, True))
    assert losses(eager) == losses(recorded)
    assert "0 call(s) outside" in recorded.captured[0]


def test_numbers_that_a_capture_would_freeze_are_noticed() -> None:
    """An effect that lies about being work on arrays: its Python counts."""
    count = [0]

    @of_arrays
    def counted(out: Any) -> None:
        count[0] += 1
        out[...] = np.float32(count[0])

    def wrapped(y: Any) -> Any:
        out = mg.tensor(np.zeros((), np.float32), device="gpu")
        mg.effect(counted, out)
        return y + out

    game, _ = regression(wrap=wrapped, replay=True)
    losses(game, 4)
    with pytest.raises(
        RecordingError, match=r"a CUDA graph does not leave what its calls do; the first that differs is .*counted"
    ):
        losses(game, 1)


def test_an_effect_in_two_parts_of_ones_own() -> None:
    count = [0]

    def number() -> np.ndarray:
        count[0] += 1
        return np.array([count[0]], np.float64)

    def work(numbers: Any, out: Any) -> None:
        out[...] = mg.backend.array_module(out).asarray(numbers)[0]

    def wrapped(y: Any) -> Any:
        out = mg.tensor(np.zeros((), np.float32), device="gpu")
        mg.effect(Staged(number, work), out)
        return y + out

    found = []
    for recorded in (False, True):
        count[0] = 0
        game, _ = regression(wrap=wrapped, replay=recorded)
        found.append(losses(game, 7))
    assert found[0] == found[1] and "0 call(s) outside" in game.captured[0]


def test_copies_between_host_and_device_are_refused_in_a_capture() -> None:
    there = mg.backend.to_device(np.ones(2), "gpu")
    with mg.backend.capturing():
        assert mg.backend.to_device(there, "gpu") is there
        with pytest.raises(mg.backend.CaptureError, match="copied from the host"):
            mg.backend.to_device(np.ones(2), "gpu")
        with pytest.raises(mg.backend.CaptureError, match="the host reads"):
            mg.backend.to_numpy(there)


# -- switches, memory ----------------------------------------------------------------------------------------------------
def test_graphs_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    game, _ = regression(replay=True, graphs=False)
    losses(game)
    assert game.captured == []
    game.graphs = True
    losses(game, 2)
    assert len(game.captured) == 1
    monkeypatch.setenv(VARIABLE, "0")
    assert not regression(replay=True)[0].graphs and regression(replay=True, graphs=True)[0].graphs
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(ValueError, match=r"MINIGAN_GRAPHS: got 'yes', expected 0 .* or 1"):
        regression(replay=True)
    with pytest.raises(TypeError, match="graphs"):
        regression(replay=True, graphs="yes")


def test_on_the_cpu_nothing_is_captured() -> None:
    model = gans.get("toy")(Toy.Config(batch_size=4, width=8), (2,))
    stepped(model, (4, 2))
    assert model.game.captured == []


def test_a_graph_holds_what_it_reads() -> None:
    """Tables of addresses that others forget, and its own temporaries, while other arrays come and go."""
    from minigan.kernels.gpu import optimizers

    (eager, _), (recorded, _) = (regression(replay=replay) for replay in (False, True))
    assert losses(eager, 5) == losses(recorded, 5)
    optimizers._tables.clear()
    gc.collect()
    others = [mg.tensor(np.full(n, np.nan), device="gpu") for n in range(1, 40)]
    assert losses(eager, 3, seed=1) == losses(recorded, 3, seed=1) and others


# -- launches ------------------------------------------------------------------------------------------------------------
LAUNCHES = {"toy": 60, "mlp": 90, "dcgan": 103}  # of a step without its lazy penalty


@pytest.mark.skipif(not emulated(), reason="CuPy does not tell what a graph holds")
@pytest.mark.parametrize("name", MODELS)
def test_a_step_has_few_launches(name: str) -> None:
    model, shape = model_of(name, replay=True)
    stepped(model, shape, 7)  # of which some are lazy: without the penalty
    recordings = [entry.recording for entry in model.game._recorded._entries if entry.recording is not None]
    (graph,) = next(r.graphs.parts for r in recordings if r.graphs is not None)
    assert isinstance(graph, Graph)
    work = Counter(part.name for part in graph._captured.work)
    assert work.total() <= LAUNCHES[name], work
    assert not work.keys() & {"sum", "astype", "exp", "log1p", "random"}, work  # what kernels of our own do
