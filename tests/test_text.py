"""How objects show themselves: one rule for all public classes, in a terminal and in a notebook; what is imported late."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import minigan as mg
from minigan import data, nn, ops, optim


def network() -> nn.Module:
    return nn.Sequential(nn.Dense(2, 4, activation="leaky_relu", slope=0.1), nn.spectral(nn.Dense(4, 1, bias=False)))


def objects() -> dict[str, Any]:
    net, x = network(), np.ones((8, 2), np.float32)
    adam = optim.Adam(net, lr=mg.optim.constant(0.5), beta1=0.5, clip_norm=1.0)
    lazy = mg.Lazy("r1", lambda b: ops.mean(net(b)), every=4)
    player = mg.Player("G", lambda b: ops.mean(net(b)), adam, updates=2, lazy=[lazy])
    points = data.load("ring8", n=64)
    step = mg.replayed(lambda b: ops.mean(net(b)))
    for _ in range(3):
        step(x)
    return {
        "net": net, "adam": adam, "sgd": optim.SGD(net, lr=0.1, momentum=0.9), "rms": optim.RMSProp(net, lr=0.1),
        "ema": optim.EMA(net), "snapshot": optim.Snapshot(adam), "lazy": lazy, "player": player,
        "game": mg.Game([player], replay=True), "phased": mg.Game([mg.Phase("a", [player], steps=3), mg.Phase("b", [player])]),
        "phase": mg.Phase("warm", [player], steps=3, rule="simultaneous"), "source": mg.random.Source(3),
        "points": points, "loader": data.Loader(points, batch_size=8, seed=0, labels="one_hot"),
        "rows": data.Loader({"x": x, "y": x}, batch_size=2, seed=0), "pool": data.Pool(4, seed=0),
        "batch": mg.Batch({"x": mg.tensor(x)}),
        "replayed": step, "recording": mg.Recording(lambda: net(x)), "tensor": mg.tensor(x), "scheduled": mg.scheduled(float),
        **{name: layer for name, layer in LAYERS.items()},
    }  # fmt: skip


LAYERS: dict[str, nn.Module] = {
    "Conv": nn.Conv(3, 4, 5, stride=2), "ConvTranspose": nn.ConvTranspose(3, 4, 5), "BatchNorm": nn.BatchNorm(3),
    "Dropout": nn.Dropout(0.3), "Reshape": nn.Reshape(2, 2), "Flatten": nn.Flatten(), "ReLU": nn.ReLU(), "Noise": nn.Noise(0.1),
    "Lambda": nn.Lambda(ops.square), "Embedding": nn.Embedding(3, 2), "Residual": nn.Residual(nn.Dense(2, 2)),
    "AdaIN": nn.AdaIN(2, 2), "ConditionalBatchNorm": nn.ConditionalBatchNorm(2, 3), "AvgPool": nn.AvgPool(2),
    "GroupNorm": nn.GroupNorm(2, 4), "InstanceNorm": nn.InstanceNorm(2, affine=False), "LayerNorm": nn.LayerNorm(2),
}  # fmt: skip


@pytest.mark.parametrize("name", objects())
def test_text_is_short_and_says_what_it_is(name: str) -> None:
    value = objects()[name]
    text = repr(value)
    assert type(value).__name__.lower() in text.lower() and "object at 0x" not in text
    assert len(text) < 1_500 and max(map(len, text.splitlines())) < 260


def test_every_public_class_that_people_hold_has_a_text_of_its_own() -> None:
    spaces = (mg, nn, optim, data)
    for kind in [
        v for space in spaces for n, v in vars(space).items() if isinstance(v, type) and not n.startswith("_")
    ]:
        if not issubclass(kind, (Exception, str)) and kind.__module__.startswith("minigan"):
            assert kind.__repr__ is not object.__repr__, f"{kind.__name__} shows its address only"


def test_networks_show_their_settings_and_shapes() -> None:
    assert repr(network()).splitlines() == [
        "Sequential(",
        "  layers.0: Dense(activation='leaky_relu', slope=0.1, weight=(2, 4), bias=(4,))",
        "  layers.1: Dense(weight=(4, 1)",
        "    changes.0: Spectral(v=(1,))",
        "  )",
        ")",
    ]
    shared = nn.Dense(2, 2)
    assert repr(nn.Sequential(shared, shared)).count("weight") == 1 and "shown above" in repr(
        nn.Sequential(shared, shared)
    )
    assert "Adam(3 parameters of 16 numbers, lr=0.5, beta1=0.5" in repr(objects()["adam"])
    assert "clip_norm=1, steps=0)" in repr(objects()["adam"]) and "momentum=0.9" in repr(objects()["sgd"])
    assert "Player('G', Adam(" in repr(objects()["game"]) and "Phase('b'" in repr(objects()["phased"])
    assert "64 examples (x (2,) float32, y (8,) float32)" in repr(objects()["loader"])


def test_text_reads_no_values_in_a_recorded_step() -> None:
    net = network()
    step = mg.replayed(lambda x: (repr(net), repr(x), x._repr_html_(), net(x).sum())[-1])
    for _ in range(4):
        step(np.ones((2, 2), np.float32))


# -- notebooks ---------------------------------------------------------------------------------------------------------
def test_a_graph_is_a_picture() -> None:
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    y = (ops.tanh(x) * ops.tanh(x)).sum()
    picture = mg.graph_to_svg(y)
    root = ET.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    boxes = root.findall(f".//{space}rect")
    texts = [t.text for t in root.findall(f".//{space}text")]
    assert len(boxes) == len(texts) == mg.graph_to_dot(y).count("[shape=")
    assert "leaf 2x3 float64" in texts and len(root.findall(f"{space}line")) == mg.graph_to_dot(y).count("->")
    corners = [(int(b.get("x", "")), int(b.get("y", ""))) for b in boxes]
    assert len(set(corners)) == len(corners)  # no box on another
    assert picture._repr_svg_() == picture
    with pytest.raises(mg.GraphError, match="outside every graph"):
        mg.graph_to_svg(x.detach())


def test_a_tensor_shows_its_values_and_its_graph_in_a_notebook() -> None:
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    assert x._repr_html_() == x.detach()._repr_html_().replace("float64)", "float64, op=leaf)")
    html = ops.square(x)._repr_html_()
    assert "op=square" in html and "<svg" in html and "<details>" in html
    y = x
    for _ in range(100):
        y = y + 1.0
    assert "<svg" not in y._repr_html_() and "101 operations and leaves" in y._repr_html_()


# -- imported when first used ------------------------------------------------------------------------------------------
def test_theory_models_and_metrics_are_imported_when_first_used() -> None:
    code = """
import sys
import minigan as mg
late = ["gans", "metrics", "theory"]
assert not [n for n in late if f"minigan.{n}" in sys.modules], "imported too early"
assert set(late) <= set(dir(mg)) and {"grad", "nn"} <= set(dir(mg))
assert mg.theory.divergences.kl([0.5, 0.5], [0.5, 0.5]) == 0 and mg.gans.DEFAULT in mg.gans.MODELS and mg.metrics.__doc__
try:
    mg.theroy
except AttributeError as error:
    assert "no attribute 'theroy'" in str(error)
else:
    raise AssertionError
from minigan import *
"""
    subprocess.run([sys.executable, "-c", code], check=True)
