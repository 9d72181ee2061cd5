"""Pictures of one's own: every model of images trains on them from 28 to 128 pixels, grey or in colour, or says the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import png
from small_models import small

from minigan import data, gans
from minigan.cli import main
from minigan.gans import needs
from minigan.gans.needs import PAIRED, entries
from minigan.run.feed import Feed

COUNT, BATCH = 20, 4
IMAGES = [name for name in gans.MODELS if {"images", "examples", PAIRED} & set(entries(gans.get(name).needs).values())]


def supply_of(model: Any, shape: tuple[int, ...]) -> needs.Supply:
    """Random images of one shape, with two labels; a second set is the same in another order."""
    x = np.tanh(np.random.default_rng(0).normal(size=(COUNT, *shape))).astype(np.float32)
    y = np.arange(COUNT) % 2
    forms = {"labels": y, "one-hot": np.eye(2, dtype=np.float32)[y]}
    sets: dict[str, data.Dataset] = {}
    groups: dict[str, dict[str, Any]] = {}
    facts = needs.Facts()
    for name, kind in entries(model.needs).items():
        if kind in forms:
            facts.classes[name], array = 2, forms[kind]
        else:
            sets[name] = data.Dataset(f"own {name}", x[::-1].copy() if sets else x, y, "images")
            facts.shapes[name], array = shape, sets[name].x
        beside = kind in forms or kind == PAIRED
        (next(reversed(groups.values())) if beside else groups.setdefault(name, {}))[name] = array
    return needs.Supply(facts, sets, groups, isinstance(model.needs, str))


def trained(name: str, shape: tuple[int, ...]) -> Any:
    """A small model after one step on such images."""
    model = gans.get(name)
    own = {"blocks": 1, "held_out": 1}  # of two classes one
    options = {**small(model), **{key: value for key, value in own.items() if hasattr(model.Config(), key)}}
    supply = supply_of(model, shape)
    built = model(model.Config(**options, batch_size=BATCH, steps=4), supply.facts, replay=False)
    built.game.step(batches=Feed(supply, built, "cpu")(0))
    return built, supply


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("shape", [(28, 28, 3), (128, 64, 1)])
def test_models_of_images_train_at_every_size_grey_or_in_colour(name: str, shape: tuple[int, ...]) -> None:
    model, supply = trained(name, shape)
    assert all(np.isfinite(value).all() for value in model.state().values())
    real = {part: array[:BATCH] for part, array in supply.parts.items()}
    pictures = model.pictures(real)
    assert pictures and all(
        np.isfinite(picture.examples).all() for picture in pictures.values() if hasattr(picture, "examples")
    )


@pytest.mark.parametrize("name", IMAGES)
def test_an_odd_size_trains_or_is_told_with_the_way_out(name: str) -> None:
    try:
        trained(name, (29, 30, 3))
    except gans.Unsuitable as error:
        assert "--size" in str(error) and "(29, 30, " in str(error)


def folders(path: Path) -> None:
    for name, seed in (("one", 0), ("other", 1)):
        for number, pixels in enumerate(
            np.random.default_rng(seed).integers(0, 256, (COUNT, 40, 36, 3), dtype=np.uint8)
        ):
            place = path / name / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.png").write_bytes(png(pixels))


@pytest.mark.parametrize(
    ("words", "channels"),
    [
        (["dcgan", "--data", "one", "--size", "28", "--crop"], 3),
        (["cgan", "--data", "one", "--size", "64x48", "--crop", "--grey"], 1),
        (["cyclegan", "--data", "one,other", "--size", "28", "--crop"], 3),
        (["pix2pix", "--data", "one", "--size", "28", "--crop", "--grey"], 1),
        (["style", "--data", "one/,other/", "--size", "28", "--crop"], 3),
    ],
)
def test_folders_are_trained_on_by_one_command(
    words: list[str], channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders(tmp_path)
    settings = [f"{key}={value}" for key, value in small(gans.get(words[0])).items()]
    options = ["--batch-size", "4", "--steps", "1", "--out", "run", *(["--set", *settings] if settings else [])]
    assert main(["train", *words, *options]) == 0
    source = ["--set", "source=one/"] if words[0] in ("cyclegan",) else []
    if not source and words[0] != "pix2pix":
        assert main(["sample", "run", "-n", "2", "--out", "made.npy"]) == 0
        assert np.load("made.npy").shape[-1] == channels
    assert list(Path("run/samples").glob("*.png"))


def test_folders_of_other_sizes_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders(tmp_path)
    Path("third").mkdir()
    for number in range(3):
        (tmp_path / "third" / f"{number}.png").write_bytes(png(np.full((24, 24, 3), 40 * number, np.uint8)))
    for data_option in ("one,third", "third,one"):
        assert main(["train", "cyclegan", "--data", data_option, "--steps", "1", "--out", "run"]) == 2
        assert "--size 28" in capsys.readouterr().err
