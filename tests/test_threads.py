"""One seed gives one sequence of numbers: over runs, and over the number of threads, whole steps of the models bit for bit."""

import hashlib

import numpy as np
import pytest

from minigan import gans, ops
from minigan.kernels.cpu import conv_cost, threads

MODELS = [
    (
        "dcgan",
        (28, 28, 1),
        {"net": "s4", "features": 64, "batch_size": 12},
    ),  # for so few images algorithms are close to each other
    ("dcgan", (28, 28, 3), {"net": "ig", "batch_size": 8, "features": 16}),
    ("dcgan", (32, 32, 3), {"net": "s4", "features": 8, "batch_size": 33}),
    ("mlp", (12, 12, 1), {"batch_size": 20}),
    ("toy", (2,), {"batch_size": 700}),
    ("stylegan", (16, 16, 1), {"batch_size": 7, "latent": 16, "width": 16}),
]


def trained(name, shape, options, count, steps, monkeypatch):
    """The SHA-256 of all state after some steps with that many threads."""
    monkeypatch.setattr(threads, "THREADS", count)
    monkeypatch.setattr(threads, "_pool", None)
    model = gans.get(name)
    made = model(model.Config(**options), shape)
    batch = np.random.default_rng(1).uniform(-1, 1, (made.config.batch_size, *shape)).astype(np.float32)
    for _ in range(steps):  # the third is a replay
        made.game.step(batch)
    state = made.state()
    return hashlib.sha256(
        b"".join(n.encode() + np.ascontiguousarray(state[n]).tobytes() for n in sorted(state))
    ).hexdigest()


@pytest.mark.parametrize(("name", "shape", "options"), MODELS)
def test_steps_do_not_depend_on_threads(name, shape, options, monkeypatch):
    counts = (1, 2, 3, 2)  # two threads twice: one seed, one hash
    assert len({trained(name, shape, options, count, 3, monkeypatch) for count in counts}) == 1


def test_the_choice_of_an_algorithm_does_not_depend_on_threads(monkeypatch):
    chosen = set()
    for count in (1, 2, 3, 8, 64):
        monkeypatch.setattr(threads, "THREADS", count)
        chosen.add(
            tuple(
                ops.conv_plan((n, side, side, ins), (k, k, ins, outs), which=which).algorithm
                for which, (ins, outs) in ((m, c) for m in conv_cost.MAPS for c in ((3, 64), (64, 128), (256, 128)))
                for n, side, k in ((1, 28, 5), (8, 14, 5), (12, 7, 3), (64, 14, 4))
                if which != "conv_transpose" or ins == outs
            )
        )  # fmt: skip
    assert len(chosen) == 1
