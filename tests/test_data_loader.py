"""The loader is a pure function of (seed, step) and visits every example once an epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.data import DataError, Loader, toys

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
    with pytest.raises(ValueError, match="batch_size=0"):
        Loader(np.zeros((10, 2)), batch_size=0, seed=0)
    with pytest.raises(ValueError, match="step -1"):
        Loader(np.zeros((10, 2)), batch_size=2, seed=0).batch(-1)
    with pytest.raises(DataError, match="scalar"):
        Loader(np.array(1.0), batch_size=1, seed=0)
