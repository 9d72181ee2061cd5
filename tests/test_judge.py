"""The judge: its split, its shifts, and that it learns."""

import numpy as np
import pytest

from minigan import data
from minigan.data.base import DataError
from minigan.metrics.judge import FEATURES, Judge, Recipe, shifted, split


@pytest.fixture(scope="module")
def glyphs():
    return data.load("glyphs", n=1200)


@pytest.fixture(scope="module")
def judge(glyphs):
    return Judge.trained(glyphs.x[:1000], glyphs.y[:1000], Recipe(steps=60, shift=1))


def test_split_is_a_division_that_stays_the_same():
    train, held_out = split(100, held_out=15, seed=3)
    assert len(held_out) == 15 and sorted([*train, *held_out]) == list(range(100))
    assert np.array_equal(held_out, split(100, held_out=15, seed=3)[1])
    assert not np.array_equal(held_out, split(100, held_out=15, seed=4)[1])
    with pytest.raises(ValueError, match="held_out 100"):
        split(100, held_out=100)


def test_shifted_moves_each_image_by_its_own_offset():
    images = np.arange(2 * 5 * 5, dtype=np.float32).reshape(2, 5, 5, 1)
    moved = shifted(images, np.array([[1, -2], [0, 0]]))
    assert np.array_equal(moved[0, 1:, :-2], images[0, :-1, 2:])
    assert (moved[0, 0] == -1).all() and (moved[0, :, -2:] == -1).all()
    assert np.array_equal(moved[1], images[1])


def test_it_learns_and_gives_features_and_probabilities(judge, glyphs):
    test = slice(1000, 1200)
    assert judge.accuracy(glyphs.x[test], glyphs.y[test]) > 0.9
    features = judge.features(glyphs.x[test], batch_size=64)
    assert features.shape == (200, FEATURES) and features.dtype == np.float32 and features.min() >= 0
    assert np.allclose(features, judge.features(glyphs.x[test]), atol=1e-4)
    p = judge.probabilities(glyphs.x[test])
    assert p.dtype == np.float64 and np.allclose(p.sum(axis=1), 1, atol=1e-12)
    assert judge.features(glyphs.x[:0]).shape == (0, FEATURES)


def test_training_is_a_pure_function_of_data_and_recipe(glyphs):
    one, other = (Judge.trained(glyphs.x[:64], glyphs.y[:64], Recipe(steps=2, batch_size=16)) for _ in range(2))
    assert np.array_equal(one.features(glyphs.x[:8]), other.features(glyphs.x[:8]))


def test_a_file_gives_the_same_judge(judge, glyphs, tmp_path):
    judge.save(tmp_path / "judge.npz")
    again = Judge.load(tmp_path / "judge.npz")
    assert np.array_equal(again.probabilities(glyphs.x[:20]), judge.probabilities(glyphs.x[:20]))
    (tmp_path / "judge.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"judge\.npz"):
        Judge.load(tmp_path / "judge.npz")


def test_images_of_another_kind_are_refused(judge, glyphs):
    with pytest.raises(ValueError, match=r"expected \(N, 28, 28, 1\) float32"):
        judge.features(glyphs.x[:2].astype(np.float64))
    with pytest.raises(ValueError, match="at least 4"):
        Judge((28, 28))
