"""The loader is a pure function of (seed, step) and visits every example once an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.data import DataError, Dataset, Loader, toys

sizes = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(size=sizes, seed=st.integers(-5, 2**64), epoch=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_each_epoch_visits_every_example_at_most_once(size: tuple[int, int], seed: int, epoch: int) -> None:
    n, batch_size = size
    loader = Loader(np.arange(n), batch_size=batch_size, seed=seed)
    steps = loader.steps_per_epoch
    assert steps == n // batch_size
    seen = np.concatenate([loader.batch(epoch * steps + k) for k in range(steps)])
    assert len(seen) == steps * batch_size == len(np.unique(seen))
    if n % batch_size == 0:
        np.testing.assert_array_equal(np.sort(seen), np.arange(n))


@given(steps=st.lists(st.integers(0, 500), min_size=1, max_size=20), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_order_of_asking_does_not_matter(steps: list[int], seed: int) -> None:
    data = np.random.default_rng(0).normal(size=(37, 3)).astype(np.float32)
    kept = Loader(data, batch_size=5, seed=seed)
    for step in steps:
        np.testing.assert_array_equal(kept.batch(step), Loader(data, batch_size=5, seed=seed).batch(step))


def test_epochs_and_seeds_differ_and_are_uniform() -> None:
    loader = Loader(np.arange(64), batch_size=64, seed=0)
    assert not np.array_equal(loader.batch(0), loader.batch(1))
    assert not np.array_equal(loader.batch(0), Loader(np.arange(64), batch_size=64, seed=1).batch(0))
    # Where example 0 lands, over 2000 epochs of 4: a quarter of the time each place (4.5 standard errors).
    small = Loader(np.arange(4), batch_size=4, seed=0)
    places = np.bincount([int(np.flatnonzero(small.batch(k) == 0)[0]) for k in range(2000)], minlength=4)
    assert np.abs(places - 500).max() < 4.5 * np.sqrt(2000 * 0.25 * 0.75)


def test_labels_belong_to_the_batch() -> None:
    data = toys.ring8(100)
    assert data.modes is not None and data.y is not None
    loader = Loader(data, batch_size=16, seed=3)
    for step in (0, 5, 6, 17):
        np.testing.assert_allclose(loader.batch(step), data.modes[loader.labels(step)], atol=0.2)
    with pytest.raises(DataError, match="no labels"):
        Loader(data.x, batch_size=16, seed=3).labels(0)


def test_out_is_filled_and_returned() -> None:
    data = np.random.default_rng(0).normal(size=(50, 4, 4, 1)).astype(np.float32)
    loader = Loader(data, batch_size=8, seed=0)
    out = np.empty((8, 4, 4, 1), dtype=np.float32)
    got = loader.batch(3, out=out)
    assert got is out
    np.testing.assert_array_equal(out, loader.batch(3))
    with pytest.raises(ValueError):
        loader.batch(3, out=np.empty((7, 4, 4, 1), dtype=np.float32))


def test_a_batch_is_a_copy() -> None:
    data = np.zeros((10, 2), dtype=np.float32)
    Loader(data, batch_size=10, seed=0).batch(0)[:] = 1
    assert not data.any()


def test_refusals() -> None:
    with pytest.raises(DataError, match=r"10 examples.*batch of 11.*10 or less"):
        Loader(np.zeros((10, 2)), batch_size=11, seed=0)
    with pytest.raises(ValueError, match="batch_size 0"):
        Loader(np.zeros((10, 2)), batch_size=0, seed=0)
    with pytest.raises(ValueError, match="step -1"):
        Loader(np.zeros((10, 2)), batch_size=2, seed=0).batch(-1)
    with pytest.raises(DataError, match="received ndarray, expected an array of examples"):
        Loader(np.array(1.0), batch_size=1, seed=0)


# -- structure -------------------------------------------------------------------------------------------------------
def labelled(n: int, name: str = "set") -> Dataset:
    x = np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)
    return Dataset(name, x, np.arange(n) % 3)


def test_rows_of_a_mapping_of_arrays_belong_together() -> None:
    n = 30
    loader = Loader({"x": np.arange(n), "pair": 10 * np.arange(n), "z": np.arange(n)[:, None]}, batch_size=7, seed=1)
    for step in (0, 3, 9):
        b = loader.batch(step)
        np.testing.assert_array_equal(b["pair"], 10 * b["x"])
        np.testing.assert_array_equal(b["z"][:, 0], b["x"])
        np.testing.assert_array_equal(b["x"], Loader(np.arange(n), batch_size=7, seed=1).batch(step))


def test_labels_as_integers_and_one_hot() -> None:
    data = labelled(30)
    integers = Loader(data, batch_size=8, seed=0, labels="integers").batch(2)
    one_hot = Loader(data, batch_size=8, seed=0, labels="one_hot", classes=4).batch(2)
    assert set(integers) == {"x", "y"} and integers["y"].dtype == np.int64
    np.testing.assert_array_equal(integers["y"], (integers["x"][:, 0] // 2).astype(int) % 3)
    assert one_hot["y"].shape == (8, 4) and one_hot["y"].dtype == np.float32
    np.testing.assert_array_equal(one_hot["y"].argmax(1), integers["y"])
    np.testing.assert_array_equal(one_hot["x"], Loader(data, batch_size=8, seed=0).batch(2))


def test_data_sets_in_a_mapping_are_unpaired_each_in_an_order_of_its_own() -> None:
    a, b = labelled(24, "a"), labelled(24, "b")
    loader = Loader({"horses": a, "zebras": b}, batch_size=6, seed=3)
    assert any((loader.batch(k)["horses"] != loader.batch(k)["zebras"]).any() for k in range(4))
    for name in ("horses", "zebras"):
        seen = np.concatenate([loader.batch(4 + k)[name] for k in range(4)])
        assert len(np.unique(seen, axis=0)) == 24
        # Its stream is named after it: other sets beside it change nothing.
        np.testing.assert_array_equal(
            loader.batch(5)[name], Loader({name: a, "third": labelled(60)}, batch_size=6, seed=3).batch(5)[name]
        )
    assert loader.indices(0).keys() == {"horses", "zebras"}
    with_labels = Loader({"A": a, "B": {"x": np.arange(9), "w": np.arange(9)}}, batch_size=5, seed=0)
    assert with_labels.batch(0)["A"].shape == (5, 2) and with_labels.batch(0)["B"].keys() == {"x", "w"}
    assert with_labels.steps_per_epoch == 1
    assert Loader({"A": a, "B": b}, batch_size=5, seed=0, labels="integers").batch(0)["B"].keys() == {"x", "y"}


def test_two_loaders_with_names_are_unpaired() -> None:
    orders = [Loader(np.arange(64), batch_size=64, seed=0, name=name).batch(0) for name in ("a", "b", "")]
    assert all((p != q).any() for i, p in enumerate(orders) for q in orders[:i])


def test_structured_out_is_filled() -> None:
    loader = Loader({"A": labelled(9), "B": {"x": np.arange(9), "w": np.arange(9)}}, batch_size=4, seed=0)
    out = {"A": np.empty((4, 2), np.float32), "B": {"x": np.empty(4, np.int64), "w": np.empty(4, np.int64)}}
    got, want = loader.batch(1, out=out), loader.batch(1)
    assert got["A"] is out["A"] and got["B"]["w"] is out["B"]["w"]
    np.testing.assert_array_equal(out["A"], want["A"])
    np.testing.assert_array_equal(out["B"]["x"], want["B"]["x"])


def with_labels(y: Any) -> Dataset:
    return Dataset("set", np.zeros((len(y), 2), np.float32), y)


LABELS = (np.zeros(5), np.full(5, np.nan), np.zeros(5, bool), np.array(list("abcde")), np.array([None] * 5))


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ((np.zeros((5, 2)), np.zeros(5)), {}, "received a tuple"),
        ([np.zeros((5, 2)), np.zeros((5, 2))], {}, "received a list"),
        ({"x": (np.zeros(5),)}, {}, "received a tuple for 'x'"),
        ({"x": np.zeros((5, 2)), "y": np.zeros(4)}, {}, "lengths are"),
        ({"x": np.zeros((5, 2)), "d": labelled(5)}, {}, "arrays and data sets"),
        ({}, {}, "without entries"),
        ({"a": labelled(5), "b": labelled(2)}, {}, "'b': 2 examples do not fill"),
        (np.zeros((5, 2)), {"labels": "integers"}, "is for Datasets"),
        (Dataset("d", np.zeros((5, 2), np.float32)), {"labels": "integers"}, "has none"),
        (labelled(5), {"labels": "one_hot", "classes": 2}, "for 2 classes"),
        ("data", {}, "received str"),
        (None, {}, "received NoneType"),
        (np.zeros((0, 2)), {}, "0 examples.*: give more"),
        (np.ma.masked_array(np.zeros((5, 2))), {}, "masked"),
        *((np.zeros((5, 2)).astype(kind), {}, "array of dtype") for kind in (object, str, complex, "M8[s]")),
        *((with_labels(y), {"labels": k}, "got labels of dtype") for y in LABELS for k in ("integers", "one_hot")),
    ],
)
def test_what_is_no_data_is_refused(data: Any, options: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Loader(data, batch_size=3, seed=0, **options)
    with pytest.raises(ValueError, match="labels='x'"):
        Loader(labelled(5), batch_size=3, seed=0, labels="x")


def test_chosen_rows_are_visited_once_an_epoch_and_no_others() -> None:
    rows = np.array([3, 17, 4, 9, 30, 12])
    loader = Loader({"x": np.arange(40), "y": 10 * np.arange(40)}, batch_size=3, seed=5, rows=rows)
    assert loader.steps_per_epoch == 2
    for epoch in range(4):
        batches = [loader.batch(2 * epoch + k) for k in range(2)]
        assert sorted(np.concatenate([b["x"] for b in batches])) == sorted(rows)
        assert all(np.array_equal(b["y"], 10 * b["x"]) for b in batches)
    everything = Loader(np.arange(40), batch_size=3, seed=5, rows=np.arange(40))
    assert np.array_equal(everything.batch(7), Loader(np.arange(40), batch_size=3, seed=5).batch(7))
    with pytest.raises(DataError, match="2 examples do not fill one batch of 3"):
        Loader(np.arange(40), batch_size=3, seed=0, rows=rows[:2])
    for wrong in (np.array([40]), np.array([-1]), np.array([0.5]), np.zeros((2, 2), int)):
        with pytest.raises(ValueError, match="whole numbers"):
            Loader(np.arange(40), batch_size=1, seed=0, rows=wrong)
    with pytest.raises(ValueError, match="the same number twice"):
        Loader(np.arange(40), batch_size=1, seed=0, rows=np.array([3, 5, 3]))
    with pytest.raises(ValueError, match="rows are of a single set"):
        Loader({"a": toys.ring8(40), "b": toys.ring8(40)}, batch_size=1, seed=0, rows=rows)
