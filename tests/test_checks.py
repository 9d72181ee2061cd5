"""A model's own checks: `met` follows from value and target, and what a model returns is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from minigan import data
from minigan.gans import Check, ModelError, RealData, checks
from minigan.gans.needs import find
from minigan.gans.protocol import check_checks


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (0.95, ">= .95", True),
        (0.9499, ">= .95", False),
        (3, "<3.5", True),
        (3, "< 3", False),
        (3, "<= 3.0", True),
        (-1.5, "> -2e0", True),
        (8.0, "== 8", True),
        (7.0, "== 8", False),
        (1.0, ".9 to 1.1", True),
        (0.9, "0.9 to 1.1", True),
        (1.2, "0.9 to 1.1", False),
        (-0.2, "-.3 to -1e-1", True),
        (np.float32(0.5), ">= .5", True),
        (np.nan, "< 3", False),
        (np.nan, "> 3", False),
        (np.inf, "> 3", False),
        (-np.inf, "<= 3", False),
    ],
)
def test_met_follows_from_value_and_target(value, target, met):
    check = Check("x", value, target)
    assert check.met is met and isinstance(check.value, float)


@pytest.mark.parametrize(
    "target", ["", "8", "about 8", ">= .95 %", "=> 3", "2 to 1", ">= nan", "1 to", ">= 1 <= 2", None, 8]
)
def test_a_target_of_another_form_is_refused(target):
    with pytest.raises(ValueError, match=r"'>= \.95', or 'LOW to HIGH'"):
        Check("x", 1.0, target)


@pytest.mark.parametrize("value", ["1", None, [1.0], np.zeros(3), object()])
def test_a_value_is_one_number(value):
    with pytest.raises(TypeError, match="expected one number"):
        Check("x", value, "> 0")


def test_met_cannot_be_written_by_hand():
    with pytest.raises(AttributeError):
        Check("x", 1.0, "> 2").met = True
    with pytest.raises(TypeError):
        Check("x", 1.0, "> 2", True)
    with pytest.raises(TypeError, match="name"):
        Check("", 1.0, "> 2")


def test_a_source_is_a_text_and_no_part_of_the_verdict():
    assert Check("x", 3, "> 2").source == "" and Check("x", 3, "> 2", "Goodfellow et al. 2014, table 1").met
    with pytest.raises(TypeError, match="expected a text"):
        Check("x", 3, "> 2", source=2014)


@pytest.mark.parametrize("made", [None, 3, {"a": Check("a", 1, "> 0")}, [("a", 1, "> 0")], "checks"])
def test_a_model_returns_a_list_of_checks(made):
    with pytest.raises(ModelError, match=r"m: checks\(\) returned .* expected a list of Check"):
        check_checks("m", made)


def test_names_of_checks_are_their_own():
    one = Check("a", 1, "> 0")
    assert check_checks("m", (one,)) == [one]
    with pytest.raises(ModelError, match="'a' comes twice"):
        check_checks("m", [one, one])


def test_real_data_is_what_a_model_needs_with_modes_and_a_judge_at_the_first_use():
    points = RealData(find("points", "ring8", seed=0), seed=7)
    assert dict(points).keys() == {"x"} and points["x"].shape == (10000, 2) and points.seed == 7
    assert points.sets["x"].modes.shape == (8, 2) and points.judge() is None
    asked = []
    images = RealData(
        find({"a": "images", "y": "labels"}, "glyphs", seed=0), judge_of=lambda found: asked.append(found) or "it"
    )
    assert set(images) == {"a", "y"} and len(images) == 2 and not asked
    assert images.judge("a") == "it" == images.judge("a") and [found.name for found in asked] == ["glyphs"]


def test_checks_see_examples_in_random_order_with_their_labels(tmp_path):
    """A folder of folders is sorted by class, MNIST by writer: the first examples must stand for all."""
    y = np.repeat(np.arange(10), 50)
    x = np.broadcast_to(y[:, None, None].astype(np.uint8), (500, 4, 4))
    np.savez(tmp_path / "sorted.npz", x=x, y=y)
    supply = find({"x": "images", "y": "labels"}, str(tmp_path / "sorted.npz"), seed=0)
    real, other = RealData(supply, seed=0), RealData(supply, seed=1)
    assert set(real["y"][:100]) == set(range(10)) and sorted(real["y"]) == sorted(y)
    shown = (np.asarray(real["x"])[:, 0, 0, 0] + 1) * 127.5
    assert np.round(shown) == pytest.approx(real["y"]) and np.array_equal(real.sets["x"].y, real["y"])
    assert np.array_equal(real["x"][:9], real.sets["x"].x[:9]) and not np.array_equal(real["y"], other["y"])
    seen = []
    RealData(supply, judge_of=lambda found: seen.append(found)).judge()
    assert seen[0] is supply.sets["x"]  # the judge is that of the whole set, in its own order


def test_checks_look_at_so_many_of_a_large_set(monkeypatch):
    monkeypatch.setattr(checks, "MOST", 300)
    real = RealData(find({"x": "images", "y": "labels"}, "glyphs", seed=0))
    assert (
        len(real["x"])
        == len(real["y"])
        == len(real.sets["x"])
        == len(next(iter(real.sets["x"].factors.values())))
        == 300
    )
    monkeypatch.setattr(checks, "ROOM", 100 * 28 * 28)
    assert len(RealData(find({"x": "images", "y": "labels"}, "glyphs", seed=0))["x"]) == 25  # four bytes a pixel


def test_images_without_labels_have_no_judge(tmp_path):
    np.save(tmp_path / "x.npy", np.full((4, 8, 8), 200, np.uint8))
    supply = find("images", str(tmp_path / "x.npy"), seed=0)
    assert RealData(supply, judge_of=lambda found: 1 / 0).judge() is None
    with pytest.raises(data.DataError, match="images without labels"):
        from minigan.metrics import judge

        judge.for_data(supply.sets["x"])
