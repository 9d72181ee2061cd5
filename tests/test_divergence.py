"""Training under fault: what reproduces a NaN, and warnings of a divergence that makes none."""

import json
from pathlib import Path

import numpy as np
import pytest

from minigan.cli import main
from minigan.finite import NotFiniteError
from minigan.gans.protocol import Picture
from minigan.run.divergence import Watcher, keep
from minigan.run.rundir import RunDir
from tests.test_finite import game_of, points

pytestmark = pytest.mark.usefixtures("own_folder")


def train(*words):
    settings = [word for word in words if "=" in word]
    options = [word for word in words if "=" not in word]
    return main(["train", "toy", "--out", "run", "--batch-size", "16", *options, "--set", "width=8", *settings])


def test_a_run_with_nan_leaves_what_reproduces_it(tmp_path, capsys):
    assert train("--steps", "40", "lr=1e15") == 3
    said = capsys.readouterr().err
    assert "player 'generator'" in said and "diverged" in said
    about = json.loads((tmp_path / "run/diverged/about.json").read_text())
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert status["state"] == "diverged" and status["step"] == about["step"] and str(about["step"]) in said
    with np.load(tmp_path / "run/diverged/batch.npz") as batch:
        assert batch["0"].shape == (16, 2) and batch["0"].dtype == np.float32
    words = about["command"].split()
    assert about["checkpoint"] is None
    assert main([*words[words.index("train") :], "--out=again"]) == 3
    again = json.loads((tmp_path / "again/diverged/about.json").read_text())
    assert {k: again[k] for k in ("step", "player", "cause")} == {k: about[k] for k in ("step", "player", "cause")}


def test_what_reproduces_it_from_a_checkpoint(tmp_path, capsys, monkeypatch):
    from minigan.run import loop

    advance = loop.Loop.advance

    def spoil(self):
        if self.step == 17:
            parameter = self.model.generator.parameters()["layers.0.weight"]
            parameter.data[0, 0] = np.nan
        advance(self)

    monkeypatch.setattr(loop.Loop, "advance", spoil)
    assert train("--steps", "20") == 3
    about = json.loads((tmp_path / "run/diverged/about.json").read_text())
    assert about["step"] == 18 and Path(about["checkpoint"]).stem in ("step-000016", "step-000017")
    words = about["command"].split()
    assert main(words[words.index("resume") :]) == 3
    assert json.loads((tmp_path / "run/diverged/about.json").read_text())["step"] == 18


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--steps", "60", "loss=least_squares", "lr=100", "r1=0"], "loss of discriminator is"),
        (["--steps", "12", "lr=0"], "has not moved in"),
        (["--steps", "12", "spread_bound=1000"], "has the generator collapsed"),
        (["--steps", "12", "loss_bound=0.01"], "beyond +-0.01"),
    ],
)
def test_divergence_without_nan_is_told(words, told, tmp_path, capsys):
    assert train(*words) == 0
    said = capsys.readouterr()
    assert told in said.err and told in said.out
    assert any(told in text for text in json.loads((tmp_path / "run/status.json").read_text())["warnings"])


@pytest.mark.parametrize(
    "silence", [["--steps", "12", "lr=0.001"], ["--steps", "12", "loss_bound=0", "spread_bound=0"]]
)
def test_sound_runs_are_told_nothing(silence, tmp_path, capsys):
    assert train(*silence) == 0
    assert "warning" not in capsys.readouterr().err
    assert json.loads((tmp_path / "run/status.json").read_text())["warnings"] == []


class Bounds:
    loss_bound, spread_bound = 10.0, 0.1


def test_a_warning_comes_once_and_goes():
    watcher, game = Watcher(Bounds(), {"x": points(64)}), game_of()
    game.step(points())
    assert watcher.see_numbers(1, {"D": 5.0, "G": -11.0}, game) == watcher.warnings
    assert len(watcher.warnings) == 1 and "loss of G is -11" in watcher.warnings[0]
    game.step(points())
    assert watcher.see_numbers(2, {"D": 5.0, "G": -12.0}, game) == []
    assert watcher.see_numbers(3, {"D": 5.0, "G": 1.0}, game) == [] == watcher.warnings
    narrow, wide = Picture(points(64) * 0.01), Picture(points(64))
    assert watcher.see_pictures(0, {"samples": narrow}) == watcher.see_pictures(5, {"samples": narrow}) == []
    assert len(watcher.see_pictures(6, {"samples": narrow})) == 1
    assert watcher.see_pictures(7, {"samples": wide}) == [] == watcher.warnings


def test_mappings_are_kept_by_name(tmp_path):
    error = NotFiniteError("D", ["w"], 1.0, 3, clipped=False)
    keep(RunDir(tmp_path), error, [{"x": points(), "y": np.arange(16)}, points()], {"seed": 1})
    with np.load(tmp_path / "diverged/batch.npz") as batch:
        assert sorted(batch.files) == ["0.x", "0.y", "1"] and (batch["0.y"] == np.arange(16)).all()
