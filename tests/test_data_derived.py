"""Sets made of others by a known map, pairs and two sets on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_models import write_images

import minigan.data.derived
from minigan import data
from minigan.cli import main
from minigan.data import MAPS, DataError, Dataset, Pixels, derive
from minigan.gans import needs
from minigan.gans.checks import RealData

R = np.random.default_rng(0)
GREY = Dataset("noise", R.uniform(-1, 1, (9, 12, 10, 1)).astype(np.float32), np.arange(9), "images")
TWO = {"a": "images", "y": "labels", "b": "paired images"}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_keeps_rows_and_labels_and_does_not_depend_on_how_many_there_are(name: str, monkeypatch) -> None:
    whole = derive(GREY, [name], f"noise+{name}", seed=3)
    assert whole.x.shape[:3] == GREY.x.shape[:3] and whole.x.dtype == np.float32 and np.abs(whole.x).max() <= 1
    assert whole.name == f"noise+{name}" and (whole.y == GREY.y).all()
    monkeypatch.setattr(minigan.data.derived, "PART", 4)
    lazy = derive(GREY, [name], "other", seed=3, lazy=True)
    assert isinstance(lazy.x, Pixels) and np.array_equal(np.asarray(lazy.x), whole.x)
    again = derive(GREY, [name], "other", seed=4).x
    assert np.array_equal(again, whole.x) == (not MAPS[name].numbers)


def test_each_map_by_its_formula() -> None:
    x, step = GREY.x, 1 / 127.5
    made = {name: derive(GREY, [name], "", seed=0).x for name in MAPS}
    assert np.abs(made["inverted"] + x).max() <= step
    paper, ink = np.array([1, 0.7, 0]), np.array([-1, -1, -0.6])
    assert np.abs(made["tinted"] - (paper + (x + 1) / 2 * (ink - paper))).max() <= step
    assert np.abs(made["coloured"].max(-1, keepdims=True) - x).max() <= step
    assert np.allclose(made["coloured"].min(-1), -1)
    white = Dataset("white", np.ones((2, 12, 10, 1), np.float32), None, "images")
    black = Dataset("black", np.full((2, 12, 10, 1), -1, np.float32), None, "images")
    bare = (derive(black, ["textured"], "", seed=0).x + 1) / 2
    assert bare.min() >= 0 and bare.max() <= 0.8 + step and bare.std() > 0.05
    assert np.abs((derive(white, ["textured"], "", seed=0).x + 1) / 2 - (1 - bare)).max() <= step
    square = np.full((2, 12, 12, 1), -1, np.float32)
    square[:, 3:9, 3:9] = 1
    edges = derive(Dataset("square", square, None, "images"), ["edges"], "", seed=0).x[0, :, :, 0]
    assert set(np.unique(edges)) == {-1, 1} and edges[5, 5] == -1 and edges[0, 0] == -1
    assert (edges[5] == [-1, -1, 1, 1, -1, -1, -1, -1, 1, 1, -1, -1]).all()
    colours = R.uniform(-1, 1, (3, 4, 4, 3)).astype(np.float32)
    grey = derive(Dataset("c", colours, None, "images"), ["grey"], "", seed=0).x[..., 0]
    assert np.abs(grey - colours @ np.array([0.299, 0.587, 0.114])).max() <= step + 1e-6


def test_the_true_map_is_known_where_there_is_one() -> None:
    for name, backwards in {"inverted": True, "tinted": True, "coloured": True, "edges": False, "grey": False}.items():
        made = derive(GREY, [name], "", seed=0).x
        if there := data.known_map("noise", f"noise+{name}"):
            assert np.abs(there(GREY.x) - made).max() <= 1 / 127.5
        assert bool(there) == (not MAPS[name].numbers)
        back = data.known_map(f"noise+{name}", "noise")
        assert bool(back) == backwards
        if back:
            assert np.abs(back(made) - GREY.x).max() <= 1 / 60
    chained = data.known_map("noise", "noise+inverted+edges")
    both = derive(derive(GREY, ["inverted"], "", seed=0), ["edges"], "", seed=0).x
    assert chained is not None and (chained(GREY.x) == both).mean() > 0.95  # but for the rounding between
    for a, b in (
        ("noise", "noise"),
        ("noise", "other+edges"),
        ("noise", "noise+textured"),
        ("noise+edges", "noise+grey"),
    ):
        assert data.known_map(a, b) is None


def test_names_with_maps_are_loaded_listed_and_refused(tmp_path: Path, capsys) -> None:
    found = data.load("glyphs+inverted+coloured", n=5, lazy=True)
    assert found.x.shape == (5, 28, 28, 3) and found.name == "glyphs+inverted+coloured" and "label" in found.factors
    assert data.is_known("glyphs+edges") and not data.is_known("glyphs+nothing")
    held = data.held_out("glyphs+edges", n=4)
    assert held is not None and held.x.shape == (4, 28, 28, 1)
    with pytest.raises(DataError, match=r"unknown data set 'glyphs\+edgy'.*with a map, as in glyphs\+"):
        data.load("glyphs+edgy")
    with pytest.raises(DataError, match="ring8 holds points"):
        data.load("ring8+edges")
    with pytest.raises(DataError, match=r"coloured: got images \(28, 28, 3\), expected grey ones; \+grey before"):
        data.load("glyphs+coloured+coloured", n=3)
    strange = tmp_path / "my+edges"
    strange.mkdir()
    assert data.split(str(strange)) == (str(strange), []) and data.split("photos/+grey") == ("photos/", ["grey"])
    assert main(["datasets"]) == 0
    listed = capsys.readouterr().out
    assert all(f"+{name}" in listed for name in MAPS)


def test_pairs_stay_pairs_and_must_be_as_many(tmp_path: Path) -> None:
    write_images(tmp_path / "one.npz")
    one = str(tmp_path / "one.npz")
    supply = needs.find(TWO, f"a={one},b={one}+inverted", seed=0)
    assert list(supply.groups) == ["a"] and set(supply.groups["a"]) == {"a", "y", "b"}
    assert supply.facts.shapes == {"a": (8, 8, 1), "b": (8, 8, 1)} and supply.group_of("b") is supply.groups["a"]
    real = RealData(supply)
    np.testing.assert_allclose(np.asarray(real["a"]), -np.asarray(real["b"]), atol=1e-6)
    assert (real.sets["b"].y == real["y"]).all()
    np.savez(tmp_path / "few.npz", x=R.integers(0, 256, (7, 8, 8, 1), dtype=np.uint8))
    with pytest.raises(DataError, match=r"has 7 examples and .* 60, expected pairs"):
        needs.find(TWO, f"a={one},b={tmp_path / 'few.npz'}", seed=0)
    with pytest.raises(TypeError, match="paired images stand behind"):
        needs.entries({"b": "paired images"})


def test_one_name_stands_for_what_the_default_makes_of_one() -> None:
    two = {"a": "images", "b": "images"}
    assert needs.names_of_sets("p,q", two) == {"a": "p", "b": "q"}
    assert needs.names_of_sets("p", two, "a=glyphs,b=glyphs+edges") == {"a": "p", "b": "p+edges"}
    assert needs.names_of_sets("p+grey", two, "a=x+edges,b=x") == {"a": "p+grey+edges", "b": "p+grey"}
    for text, default in (
        ("p", ""),
        ("p", "a=ring8,b=moons"),
        ("p,q,r", "a=x,b=x"),
        ("", "a=x,b=x"),
        ("p,", "a=x,b=x"),
    ):
        with pytest.raises(DataError, match="expected a=NAME,b=NAME"):
            needs.names_of_sets(text, two, default)


def test_own_pictures_are_translated_by_one_name_and_found_again_when_they_move(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    write_images(Path("mine.npz"))
    words = ["train", "pix2pix", "--data", "mine.npz", "--batch-size", "12", "--set", "features=2"]
    assert main([*words, "--steps", "2", "--out", "run"]) == 0
    here = Path("mine.npz").resolve()
    assert json.loads(Path("run/config.json").read_text())["config"]["data"] == f"a={here}+edges,b={here}"
    (tmp_path / "one").rename(tmp_path / "two")
    monkeypatch.chdir(tmp_path / "two")
    assert main(["resume", "run", "--steps", "3"]) == 0
    assert main(["sample", "run", "-n", "3", "--set", "source=mine.npz", "--out", "x.npy"]) == 0
    assert np.load("x.npy").shape == (3, 8, 8, 1)
    capsys.readouterr()
    assert main(["train", "cyclegan", "--data", "mine.npz,ring8"]) == 2
    assert "holds points" in capsys.readouterr().err
