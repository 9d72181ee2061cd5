"""The judge of a data set: trained once, kept by checksum, recorded, never another's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minigan import data
from minigan.data import DataError
from minigan.data.pixels import Pixels
from minigan.metrics import judge
from minigan.metrics.judge import Recipe

QUICK = Recipe(steps=40, shift=1)


@pytest.fixture(scope="module")
def glyphs():
    return data.load("glyphs", n=1000)


@pytest.fixture(scope="module")
def kept(glyphs, tmp_path_factory):
    """(the folder with a judge, the judge)."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGAN_CACHE", str(folder))
        return folder, judge.for_data(glyphs, recipe=QUICK)


@pytest.fixture(autouse=True)
def _cache(kept, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(kept[0]))


def no_training(monkeypatch):
    monkeypatch.setattr(judge.Judge, "fit", lambda *a, **k: pytest.fail("a judge was trained"))


def test_it_is_recorded_and_found_again(kept, glyphs, monkeypatch):
    first = kept[1]
    assert judge.path_for(glyphs, recipe=QUICK).exists()
    assert first.record.data == "glyphs" and first.record.recipe["steps"] == 40 and first.record.seed == 0
    assert (first.record.trained_on, first.record.held_out) == (850, 150) and first.record.accuracy > 0.6
    no_training(monkeypatch)
    again = judge.for_data(glyphs, recipe=QUICK)
    assert again.record == first.record and again.sha256 == first.sha256
    assert np.array_equal(again.features(glyphs.x[:5]), first.features(glyphs.x[:5]))


def test_its_accuracy_is_that_on_examples_it_has_not_seen(kept, glyphs):
    _, held_out = judge.split(len(glyphs), held_out=150)
    assert kept[1].record.accuracy == kept[1].accuracy(glyphs.x[held_out], glyphs.y[held_out])


def test_images_that_stay_bytes_have_the_same_judge_and_are_read_a_part_at_a_time(monkeypatch, tmp_path):
    """A set larger than memory is judged: never more of it becomes floats than a part."""
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    read: list[int] = []

    class Watched(Pixels):
        def __getitem__(self, index):
            found = super().__getitem__(index)
            read.append(len(found))
            return found

    stored = np.random.default_rng(0).integers(0, 256, (12_000, 4, 4, 1), dtype=np.uint8)
    y = np.arange(12_000) % 2
    small = Recipe(steps=2, shift=0)
    one, other = (
        judge.for_data(data.Dataset("mine", x, y, "images"), recipe=small)
        for x in (Watched(stored), np.asarray(Pixels(stored)))
    )
    assert one.sha256 == other.sha256 and one.record == other.record
    assert max(read) <= 5000


def test_other_data_another_recipe_another_seed_are_another_judge(glyphs):
    pixel = glyphs.x.copy()
    pixel[0, 0, 0, 0] += 0.5
    label = glyphs.y.copy()
    label[3] = (label[3] + 1) % 10
    paths = [
        judge.path_for(found, **words)
        for found, words in [
            (glyphs, {}), (replace(glyphs, x=pixel), {}), (replace(glyphs, y=label), {}),
            (glyphs, {"seed": 1}), (glyphs, {"recipe": QUICK}), (data.load("glyphs", n=999), {}),
        ]
    ]  # fmt: skip
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("harm", ["cut", "empty", "weight", "other"])
def test_a_damaged_file_is_trained_anew(harm, glyphs, kept, monkeypatch):
    path = judge.path_for(glyphs, recipe=QUICK)
    whole = path.read_bytes()
    if harm == "weight":
        with np.load(path) as file:
            state = dict(file)
        state["0.0.weight" if "0.0.weight" in state else next(n for n in state if n.endswith("weight"))] += 1e-3
        np.savez(path, **state)
    else:
        path.write_bytes({"cut": whole[:-900], "empty": b"", "other": b"PK nothing"}[harm])
    with pytest.raises(DataError, match=r"is no judge that can be read"):
        judge.Judge.load(path)
    trained = []
    monkeypatch.setattr(judge, "_trained_for", lambda found, recipe: trained.append(recipe) or kept[1])
    assert judge.for_data(glyphs, recipe=QUICK).sha256 == kept[1].sha256 and trained == [QUICK]
    assert judge.Judge.load(path).sha256 == kept[1].sha256
    path.write_bytes(whole)


def test_a_cache_that_cannot_be_written_costs_the_training_only(glyphs, kept, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(judge, "_trained_for", lambda found, recipe: kept[1])
    assert judge.for_data(glyphs, recipe=QUICK) is kept[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": None}, "images without labels"),
        ({"y": np.zeros(1000, np.int64)}, "1 labels"),
        ({"y": np.arange(1000) % 3 - 1}, "whole numbers from 0"),
    ],
)
def test_what_it_cannot_learn_from_is_refused(change, said, glyphs):
    with pytest.raises(DataError, match=said):
        judge.for_data(replace(glyphs, **change))


def test_points_and_few_images_are_refused(glyphs):
    with pytest.raises(DataError, match="holds points"):
        judge.for_data("ring8")
    with pytest.raises(DataError, match="50 examples"):
        judge.for_data(replace(glyphs, x=glyphs.x[:50], y=glyphs.y[:50], factors={}))
