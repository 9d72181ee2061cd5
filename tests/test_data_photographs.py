"""Patches of scikit-image's photographs, and its faces: cut as their docstring says, and apart for training and for testing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from minigan import data
from minigan.cli import main
from minigan.data import DataError, photographs
from minigan.data.images import to_uint8


def found_in(picture: np.ndarray, patch: np.ndarray) -> list[tuple[int, int]]:
    """Where a patch, or its mirror image, stands in a picture (H, W)."""
    places = []
    for each in (patch, patch[:, ::-1]):
        rows, columns = np.where(picture[: 1 - len(each), : 1 - each.shape[1]] == each[0, 0])
        places += [
            (r, c)
            for r, c in zip(rows, columns, strict=True)
            if (picture[r : r + len(each), c : c + each.shape[1]] == each).all()
        ]
    return places


def test_patches_are_squares_of_the_picture_and_those_to_test_by_share_no_pixel_with_the_others() -> None:
    picture = photographs._picture(photographs._file("", "coins.png"))[
        :, :, 0
    ]  # 303 rows, 384 columns: divided along these
    ends = {}
    for split in photographs.SPLITS:
        x = to_uint8(data.load("photo:coins", n=20, size=64, split=split).x)[..., 0]
        places = [found_in(picture, patch) for patch in x]
        assert all(places) and len({p[0] for p in places}) > 15  # at random
        ends[split] = min(p[0][1] for p in places), max(p[0][1] for p in places) + 64
    border = round(photographs.KEPT * picture.shape[1])
    assert ends["train"][1] <= border <= ends["test"][0]


def test_a_patch_depends_on_its_number_and_the_seed_alone() -> None:
    x = data.load("photo:brick", n=12).x
    assert np.array_equal(data.load("photo:brick", n=5).x, x[:5])
    assert not np.array_equal(data.load("photo:brick", n=12, seed=1).x, x)
    of_all = data.load("photos", n=26)
    assert of_all.x.shape == (26, 28, 28, 3) and of_all.y is not None
    assert [of_all.classes[label] for label in of_all.y[:13]] == [*photographs.PICTURES, "astronaut"]
    assert np.array_equal(of_all.x[[1, 13]], np.repeat(x[:2], 3, axis=-1))  # grey ones in three channels
    assert (of_all.x.std(axis=(1, 2, 3)) > 0.02).all()  # no clear sky


def test_small_patches_are_means_and_large_ones_the_pixels() -> None:
    large, small = (data.load("photo:chelsea", n=6, size=size).x for size in (64, 32))
    blocks = large.reshape(6, 32, 2, 32, 2, 3).mean((2, 4))
    assert (
        np.corrcoef(blocks.reshape(-1), small.reshape(-1))[0, 1] > 0.99 and np.abs(blocks.mean() - small.mean()) < 0.01
    )
    assert data.load("photo:chelsea", n=2, size="16x32", grey=True).x.shape == (2, 16, 32, 1)
    grey = data.load("photo:chelsea", n=6, size=64, grey=True).x[..., 0]
    assert np.abs(grey - large @ np.array([0.299, 0.587, 0.114])).max() < 0.01


def test_which_sets_are_in_halves() -> None:
    halves = {
        name for name in ("mnist+edges", "faces", "photos", "glyphs", "ring8", "./photos") if data.in_halves(name)
    }
    assert halves == {"mnist+edges", "faces", "photos"}


def test_faces_and_what_is_held_out() -> None:
    faces, others = data.load("faces"), data.held_out("faces")
    assert others is not None and faces.x.shape == (80, 28, 28, 1) and len(others) == 20 and np.abs(faces.x).max() <= 1
    raw = data.load("faces", size=25).x
    assert raw.min() == -1 and raw.max() > 0.9 and raw.dtype == np.float32
    flat = np.concatenate([faces.x, others.x]).reshape(100, -1)
    assert len(np.unique(flat, axis=0)) == 100
    test = data.held_out("photo:brick", n=4)
    assert test is not None and np.array_equal(test.x, data.load("photo:brick", n=4, split="test").x)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "photo:coins",
            {"size": 128, "split": "test"},
            r"128 x 128 pixels do not fit into its part of 115 x 303: .*--size",
        ),
        ("photos", {"size": 512}, "photos, astronaut: patches of 512 x 512 pixels do not fit"),
        ("photo:brick", {"split": "all"}, "expected train or test"),
        ("photo:brik", {}, "did you mean 'photo:brick'"),
        ("faces", {"n": 81}, "split=train has 80"),
        ("faces", {"size": "large"}, "expected N or HxW"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        data.load(name, **options)


def test_without_scikit_image_there_is_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "skimage" else find(name, *rest)
    )
    for name in ("photo:brick", "photos", "faces"):
        assert main(["train", "dcgan", "--data", name, "--steps", "1", "--out", str(tmp_path / "run")]) == 4
        assert "pip install scikit-image" in capsys.readouterr().err


def test_a_folder_of_the_same_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "./faces" not in data.load("faces").summary()
    (tmp_path / "faces").mkdir()
    assert "the folder of that name is ./faces" in data.load("faces").summary()
