"""Steps that are dealt out to shards: every operation, every model, in one process; and the numbers are those of one rank.

What needs several processes is in `test_ranks_mpi.py`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest
from small_models import BATCH, words

import minigan as mg
from minigan import gans, nn, ops, theory
from minigan.autodiff import REGISTRY, Tensor, apply, cotangents
from minigan.ranks import Alone, Partial, Rows, World
from minigan.ranks.layout import Cut, bounds
from minigan.ranks.rules import rule_of
from minigan.run import building, references, settings
from minigan.run.feed import Feed
from minigan.samples import SeededDraw
from minigan.switches import no_grad, state

for _package in (ops, theory):
    for _module in pkgutil.iter_modules(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

SAMPLED = sorted(name for name, op in REGISTRY.items() if op.samples)
SEEDS = 16  # samples of each operation


# -- the layouts -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("units", [1, 5, 8, 12])
@pytest.mark.parametrize("shards", [1, 3, 5])
def test_every_row_belongs_to_one_shard_in_order(units, shards):
    found = [i for shard in range(shards) for i in range(*bounds(units, shard, shards))]
    assert found == list(range(units))
    cut = Cut(0, ((units, 2), (3, 1)))
    places = sorted(i for s in range(shards) for span in cut.spans(s, shards) for i in range(*span))
    assert places == list(range(cut.length)) == list(range(2 * units + 3))


def test_a_world_says_what_it_cannot_be():
    with pytest.raises(ValueError, match="reduce: got 'slow'"):
        World(Alone(), reduce="slow")
    with pytest.raises(ValueError, match="at least one a rank"):
        World(_Rank(2, 3), shards=2)


class _Rank(Alone):
    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


# -- every operation, on arrays that are dealt out in every way ------------------------------------------------------
def dealt(world: World, t: Tensor, way: int, draw: SeededDraw) -> Tensor:
    """A tensor of the same value: plain, rows along an axis, or a sum of parts. Made by operations, so that derivatives pass."""
    axes = [axis for axis, n in enumerate(t.shape) if n >= world.shards]
    if way == 1 and axes:
        axis = draw.integer(0, len(axes) - 1)
        n = t.shape[axes[axis]]
        runs = ((n, 1),) if n < 2 * world.shards else ((n - world.shards, 1), (world.shards, 1))
        cut = Cut(axes[axis], runs)
        if t.dtype.kind != "f":
            return world.made(Rows(world, cut, world.parts(t, cut)))
        ones = Tensor(np.ones(t.shape, t.dtype))
        return t * world.made(Rows(world, cut, world.parts(ones, cut)))
    if way == 2 and t.dtype.kind == "f" and t.ndim:
        first = Tensor(np.eye(world.shards, dtype=t.dtype)[0].reshape(-1, *[1] * t.ndim))
        cut = Cut(0, ((world.shards, 1),))
        weights = world.made(Rows(world, cut, world.parts(first, cut)))
        return ops.sum(weights * t, 0)  # the value in the first shard, zeros in the others
    return t


@pytest.mark.parametrize("name", SAMPLED)
def test_an_operation_on_shards_is_the_operation(name):
    op, split = REGISTRY[name], 0
    for seed in range(SEEDS):
        draw, world = SeededDraw(seed), World(Alone(), shards=2)
        arrays, params = op.samples(draw)
        arrays = [np.asarray(a) for a in arrays]
        leaves = [[mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays] for _ in range(2)]
        plain = apply(op, tuple(leaves[0]), params)
        with world.dealing([]):
            inputs = [dealt(world, t, draw.integer(0, 2), draw) for t in leaves[1]]
            split += any(isinstance(t._data, (Rows, Partial)) for t in inputs)
            made = apply(op, tuple(inputs), params)
            assert made.shape == plain.shape and made.dtype == plain.dtype
            value = made.data
            slopes = _slopes(made, leaves[1])
        np.testing.assert_allclose(value, plain.data, rtol=1e-12, atol=1e-12)
        for mine, theirs in zip(slopes, _slopes(plain, leaves[0]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-11)
    assert split > 2 or name in ("log_determinant", "positive_root")


def _slopes(y: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    """The derivative of sum(cos(i) y_i), by each leaf that has one."""
    floats = [t for t in leaves if t.node is not None]
    if y.node is None or not floats or y.node.op.name == "mean_softplus_backward":  # whose composite is differentiated
        return []
    g = Tensor(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))
    found = cotangents([y], floats, [g])
    return [np.zeros(t.shape) if s is None else s.data for s, t in zip(found, floats, strict=True)]


def test_operations_with_a_rule_exist_and_most_have_one():
    with_rule = [name for name in SAMPLED if rule_of(REGISTRY[name]) is not None]
    assert len(with_rule) > 0.8 * len(SAMPLED)


# -- derivatives -----------------------------------------------------------------------------------------------------
def test_moments_of_all_rows_have_the_derivatives_of_one_rank():
    """Batch norm in a critic with a gradient penalty: orders 1 and 2 go through the reduced moments."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((12, 3)), rng.standard_normal((3, 4))

    def slopes(world: World | None) -> list[np.ndarray]:
        weight = mg.tensor(w, requires_grad=True)
        layer = nn.BatchNorm(4, activation="tanh").astype("float64")
        with world.dealing([Tensor(x)]) if world else no_context() as given:
            real = given[0] if world else Tensor(x)
            with mg.enable_grad():
                real = ops.identity(real)
                real.node = None
                point = ops.reshape(real, real.shape)
                loss = _penalty(lambda t: ops.sum(layer(ops.matmul(t, weight)), 1), point)
            made = [mg.grad(loss, weight).data, loss.data]
        return [*made, layer.running_mean.data, layer.running_var.data]

    for mine, theirs in zip(slopes(World(Alone(), shards=3)), slopes(None), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


class no_context:
    def __enter__(self) -> list[Any]:
        return []

    def __exit__(self, *_: object) -> None: ...


def _penalty(critic: Any, x: Tensor) -> Tensor:
    g = mg.vjp(lambda t: ops.sum(critic(t)), x, 1.0, create_graph=True)[1]
    return ops.mean(ops.square(ops.norm(g, axis=1) - 1.0))


# -- the zoo ---------------------------------------------------------------------------------------------------------
def doubled(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {name: doubled(entry) for name, entry in batch.items()}
    return batch.astype(np.float64) if batch.dtype == np.float32 else batch


def trained(name: str, folder: Any, world: World | None, *, steps: int, replay: Any = False, **texts: str) -> dict:
    """The state of a small model in float64, and all it told, after some steps."""
    line = words(name, folder)
    pairs = dict(word.split("=", 1) for word in line[line.index("--set") + 1 :]) if "--set" in line else {}
    texts = {"data": line[line.index("--data") + 1], "batch_size": str(BATCH), "steps": "20", **pairs, **texts}
    reference = references.resolve(name)
    config = settings.build(reference, texts)
    path = settings.data_path(config.data, reference.model.needs, settings.defaults(reference)["data"])
    config = dataclasses.replace(config, data=path)
    supply = building.load_data(reference, config)
    model = building.new_model(reference, settings.suited(reference, config, texts, supply.facts), supply.facts, "cpu")
    model.game.replay, model.game.ranks = replay, world
    if name != "gail":  # whose world computes in float32
        model.random.dtype = np.dtype(np.float64)
        for network in model.modules.values():
            network.astype(np.float64)
    feed, told = Feed(supply, model, "cpu"), {}
    for step in range(steps):
        batches = feed(step) if name == "gail" else [doubled(batch) for batch in feed(step)]
        losses = model.game.step(batches=batches) if batches else model.game.step()
        told |= {f"{step} {key}": value.data for key, value in {**losses, **model.game.metrics}.items()}
    return {**model.state(), **told}


def apart(a: dict, b: dict) -> float:
    """The largest difference of two states, beside 1 and the largest number of the array."""
    assert a.keys() == b.keys()
    worst = 0.0
    for name in a:
        x, y = np.asarray(a[name]), np.asarray(b[name])
        if x.dtype.kind == "f" and x.size:
            worst = max(worst, float(np.abs(x - y).max() / (1 + np.abs(y).max())))
        else:
            np.testing.assert_array_equal(x, y)
    return worst


SLOW_HERE = {  # or of the same steps as another one
    "cyclegan", "vgan", "interpolate", "segan", "mocogan", "seqgan", "gumbelgan", "pixelda", "style", "wgan", "cwavegan",
    "wavegan", "denoise", "inpaint", "stackgan", "discogan", "lsgan", "sngan", "dragan", "gail", "vaegan", "ssaae", "ssgan",
    "dagan", "lapgan", "bicyclegan",
}  # fmt: skip
QUICK = [name for name in gans.MODELS if name not in SLOW_HERE]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in gans.MODELS if name in SLOW_HERE)]
)
def test_a_model_on_shards_is_the_model(name, tmp_path):
    world = World(Alone(), shards=5)  # of 12 rows: of unequal lengths
    alone, together = (trained(name, tmp_path, w, steps=2) for w in (None, world))
    # Biases before a batch norm have gradients of 0: what rounding leaves of them, Adam divides by its eps of 1e-8.
    assert apart(together, alone) < (3e-5 if name == "gail" else 1e-10)
    if name not in ("mocogan", "gail", "pacgan"):  # of which pictures are picked, and whose pairs are of two shards
        assert not world.gathered, f"read whole on every rank: {world.gathered}"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name, options",
    [
        ("toy", {"loss": "relativistic", "r1": "0.1", "r2": "0.1"}),
        ("toy", {"pool": "8", "noise": "0.1", "pack": "2"}),
        ("toy", {"optimizer": "optimistic_adam", "rule": "extragradient"}),
        pytest.param("wgan_gp", {"d_steps": "2"}, marks=pytest.mark.slow),
        ("dcgan", {"net": "s4", "dropout": "0.3", "augment": "color,translation,cutout"}),
    ],
)
def test_a_recorded_step_on_shards_replays_its_bits(name, options, tmp_path):
    """Steps 3 and 4 are replays, with what ranks say to each other among the calls; and they equal one rank's."""
    alone = trained(name, tmp_path, None, steps=4, **options)
    eager, replayed = (
        trained(name, tmp_path, World(Alone(), shards=3), steps=4, replay=r, **options) for r in (False, True)
    )
    assert apart(replayed, eager) == 0 and apart(eager, alone) < 1e-11


@pytest.mark.parametrize("model, shards", [("toy", 4), ("dcgan", 3)])
def test_ordered_sums_do_not_depend_on_who_has_which_shard(model, shards, tmp_path):
    """Ranks of a pretended job, one after the other: with what the others would have sent, each computes the same bits."""
    whole = trained(model, tmp_path, World(Alone(), reduce="ordered", shards=shards), steps=3, replay=True)
    again = trained(model, tmp_path, World(Alone(), reduce="fast", shards=shards), steps=3)
    assert apart(whole, again) == 0  # one rank adds up its shards in their order, too


def test_noise_and_masks_are_those_of_the_global_rows():
    source, world = mg.random.Source(3), World(Alone(), shards=3)
    source.advance()
    expected = source.normal((7, 2), stream="z").data.copy()
    source.advance(0)
    source.advance()
    with world.dealing([Tensor(np.zeros((7, 1)))]):
        drawn = source.normal((7, 2), stream="z")
        assert isinstance(drawn._data, Rows) and [len(b) for b in drawn._data.blocks] == [2, 2, 3]
        np.testing.assert_array_equal(drawn.data, expected)
        assert not isinstance(source.normal((6, 2), stream="z")._data, Rows)  # no batch's


def test_effects_see_all_rows_and_write_them_back():
    world, seen = World(Alone(), shards=2), []

    def exchange(out: np.ndarray, x: np.ndarray) -> None:
        seen.append(x.copy())
        out[...] = x[::-1]

    x = np.arange(8.0).reshape(4, 2)
    with world.dealing([Tensor(x)]) as (batch,), no_grad():
        made = batch * 1.0
        mg.effect(exchange, made, batch)
        assert isinstance(made._data, Rows)
        np.testing.assert_array_equal(made.data, x[::-1])
        np.testing.assert_array_equal(seen[0], x)
        total = ops.sum(batch, 0)
        assert isinstance(total._data, Partial)
        mg.effect(lambda out: np.multiply(out, 2.0, out=out), total)
        np.testing.assert_array_equal(total.data, 2 * x.sum(0))
    assert state.spread is None


def test_what_is_dealt_out_is_no_array_and_says_so():
    world = World(Alone(), shards=2)
    with world.dealing([Tensor(np.ones((4, 2)))]) as (batch,):
        assert batch.shape == (4, 2) and len(batch) == 4
        with pytest.raises(TypeError, match=r"Rows\(\(4, 2\), float64, 2 of 2 shards\) is dealt to several ranks"):
            np.asarray(batch._data)
        np.testing.assert_array_equal(batch.numpy(), np.ones((4, 2)))


def test_the_gradients_of_a_player_go_through_one_sum():
    world = World(Alone(), shards=2)
    model = gans.get("toy")
    made = model(model.Config(batch_size=8, width=8), (2,), replay=False)
    made.game.ranks, sums = world, []
    add_up = world._add_up
    world._add_up = lambda out, flats: (sums.append(out.size), add_up(out, flats))  # type: ignore[assignment, func-returns-value]
    made.game.step(np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32))
    sizes = [sum(t.size for t in player.parameters) for player in made.game.players]
    assert all(sum(size <= got <= size + 4 for got in sums) == 1 for size in sizes), (sums, sizes)
    assert len(sums) == len(sizes), f"further sums, of {sums} numbers"
