"""The first minutes of a new user: pictures and numbers hide nothing, mistakes are named, Ctrl-C is answered from the start.

What the defaults draw is looked at by test_readme.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest

import minigan as mg
from minigan import data, gans
from minigan.cli import COMMANDS, main
from minigan.run import plots
from minigan.run.gallery import Gallery
from minigan.run.loop import Loop
from minigan.run.means import Means

ROOT = Path(mg.__file__).parent.parent


pytestmark = pytest.mark.usefixtures("own_folder")


# -- settings --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["toy", "mlp", "dcgan"])
def test_r1_is_a_setting_of_every_two_player_gan(name):
    make = gans.get(name)
    shape = (2,) if name == "toy" else (28, 28, 1)
    for gamma in (0.0, 0.5):
        model = make(
            make.Config(batch_size=8, r1=gamma, penalty_every=3, **({"features": 2} if name == "dcgan" else {})), shape
        )
        x = np.random.default_rng(0).uniform(-1, 1, (8, *shape)).astype(np.float32)
        seen = []
        for _ in range(4):
            model.game.step(x)
            seen.append("r1" in model.game.metrics)
        assert seen == ([True, False, False, True] if gamma else [False] * 4)
        assert set(model.equilibrium()) == {"discriminator", "generator"}


# -- losses ----------------------------------------------------------------------------------------------------------
def test_a_mean_is_over_the_steps_that_report_the_number():
    means = Means()
    assert means.values() == {} and not means.pending
    for k in range(4):
        means.add({"loss": mg.tensor(np.float32(k))} | ({"r1": mg.tensor(np.array([10.0 * k]))} if k % 2 == 0 else {}))
    assert means.values() == {"loss": 1.5, "r1": 10.0} and means.pending and means.names == ["loss", "r1"]
    means.restart()
    assert means.values() == {"loss": 1.5, "r1": 10.0} and not means.pending
    means.add({"loss": mg.tensor(np.float32(np.nan))})
    means.add({"loss": mg.tensor(np.float32(1))})
    assert np.isnan(means.values()["loss"])
    big, means = 2**25, Means()
    for value in (big, *[1] * 8):  # in float32 the ones would be lost
        means.add({"x": mg.tensor(np.float32(value))})
    assert means.values()["x"] == (big + 8) / 9


@pytest.fixture
def no_pictures(monkeypatch):
    """Twenty pictures take longer than a hundred steps."""
    monkeypatch.setattr(Gallery, "draw", lambda self, step: {})


@pytest.mark.usefixtures("no_pictures")
def test_a_line_of_metrics_is_the_mean_since_the_line_before(tmp_path, monkeypatch):
    seen, add = [], Means.add

    def listen(self, values):
        seen.append({name: value.item() for name, value in values.items()})
        add(self, values)

    monkeypatch.setattr(Means, "add", listen)
    assert main(["train", "toy", "--steps", "100", "--out", "run", "--batch-size", "16", "--set", "width=8"]) == 0
    losses = [row for row in seen if "generator" in row]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(5, 101, 5)) and len(losses) == 100
    for row in rows:
        part = losses[row["step"] - 5 : row["step"]]
        for name in ("discriminator", "generator"):
            assert row[name] == pytest.approx(np.mean([each[name] for each in part]), rel=1e-12)


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_run_has_the_lines_of_an_unbroken_one(tmp_path, monkeypatch):
    words = ["train", "toy", "--steps", "100", "--batch-size", "16", "--set", "width=8"]
    assert main([*words, "--out", "whole"]) == 0
    advance = Loop.advance

    def stop(self):
        advance(self)
        if self.step == 33:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", stop)
        assert main([*words, "--out", "parts"]) == 130
    assert main(["resume", "parts"]) == 0
    whole, parts = (
        {row["step"]: row["generator"] for row in map(json.loads, Path(name, "metrics.jsonl").read_text().splitlines())}
        for name in ("whole", "parts")
    )
    assert parts == whole


# -- pictures --------------------------------------------------------------------------------------------------------
@pytest.fixture
def figures(monkeypatch):
    made, make = [], plots.figure

    def keep(*size):
        made.append(make(*size))
        return made[-1]

    monkeypatch.setattr(plots, "figure", keep)
    return made


def drawn(axes) -> np.ndarray:
    """The generated points of a scatter plot."""
    orange = matplotlib.colors.to_rgb(plots.ORANGE)
    return np.concatenate([c.get_offsets() for c in axes.collections if tuple(c.get_facecolor()[0][:3]) == orange])


def test_every_point_is_drawn_and_those_beyond_the_axes_are_counted(figures):
    artist = plots.painter("points", (2,), data.load("ring8"))
    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    x[:3], x[3:5] = [[1e6, 0], [-50, -50], [0, 7]], np.nan
    for samples in (x, x[5:]):
        artist.picture(samples, "step 1")
    (first,), (second,) = (figure.axes for figure in figures)
    assert (
        first.get_title() == "step 1, 3 of 100 beyond the axes, 2 of 100 not finite" and second.get_title() == "step 1"
    )
    assert first.get_xlim() == second.get_xlim() and first.get_ylim() == second.get_ylim()
    points = drawn(first)
    assert len(points) == 98
    for axis, (low, high) in enumerate((first.get_xlim(), first.get_ylim())):
        assert points[:, axis].min() >= low and points[:, axis].max() <= high
    assert "real (2,000 of 10,000)" in [text.get_text() for text in first.get_legend().get_texts()]


def test_a_histogram_counts_what_lies_beyond_its_axis_and_names_a_peak_above_it(figures):
    artist = plots.painter("points", (1,), data.load("gauss1d"))
    artist.picture(np.array([[0.0], [1e9], [np.inf], [-1e9]]), "step 1")
    axes = figures[0].axes[0]
    assert axes.get_title() == "step 1, 2 of 4 beyond the axes, 1 of 4 not finite"
    artist.picture(np.full((500, 1), 0.5), "step 2")
    assert any("peak of generated" in text.get_text() for text in figures[1].axes[0].texts)
    artist.picture(np.full((5, 1), np.nan), "step 3")
    assert "5 of 5 not finite" in figures[2].axes[0].get_title()


def test_a_plot_of_losses_says_which_values_it_does_not_show(figures, tmp_path):
    rows = [{"step": k, "generator": 1.0 + k % 3} for k in range(1, 1000)]
    plots.save_losses(tmp_path / "a.png", rows, ["generator"])
    plots.save_losses(tmp_path / "b.png", [*rows, {"step": 1000, "generator": 1e6}], ["generator"])
    texts = [[text.get_text() for text in figure.axes[0].texts] for figure in figures]
    assert texts == [[], ["1 of 1000 values beyond the axis: 1 to 1e+06"]]


# -- usage -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--device=gpu", "minigan train --device=gpu"),
        ("--device gpu", "options of a command stand behind it"),
        ("--device gpu train toy", "minigan train --device"),
        ("--steps=-5", "minigan train --steps=-5"),
        ("-n 3 sample run", "minigan sample -n"),
        ("--verison", "did you mean --version?"),
        ("--vers", "did you mean --version?"),
        ("--hel", "did you mean --help?"),
        ("-x", "unknown option -x"),
        ("--version train", "expected minigan --version alone"),
        ("trian toy", "did you mean train?"),
        ("lesson", "did you mean lessons?"),
        ("train toy --step 5", "did you mean --steps?"),
        ("train toy --dvice=gpu", "did you mean --device?"),
        ("train toy --bogus", "unrecognized arguments: --bogus"),
        ("train --help --bogus", "unrecognized arguments: --bogus"),
        ("train toy twice", "unrecognized arguments: twice"),
        ("train toy --steps=-5", "steps: got -5"),
        ("train toy --steps -5", "steps: got -5"),
        ("train toy --steps", "expected one argument"),
        ("sample run -n=0", "-n"),
        ("sample run -n 0", "-n: got 0"),
        ("sample run -n -3", "-n: got -3"),
        ("sample run --sed 3", "did you mean --seed?"),
        ("models --json", "unrecognized arguments: --json"),
        ("datasets glyphs", "unrecognized arguments: glyphs"),
        ("doctor --device gpu", "unrecognized arguments: --device gpu"),
        ("lessons rn 3", "run"),
        ("lessons run 1 --fats", "did you mean --fast?"),
    ],
)
def test_mistakes_end_with_2_and_the_way_out(words, said, capsys, tmp_path):
    assert main(words.split()) == 2
    found = capsys.readouterr()
    assert said in found.err and found.out == ""
    assert list(tmp_path.iterdir()) == []


NEEDED = {
    **{command: ["run"] for command in ("resume", "sample", "best", "plot", "diagnose")},
    "export": ["run", "--safetensors", "weights.safetensors"],
    "completion": ["bash"],
}  # without which argparse speaks of nothing else


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_a_flag_that_it_does_not_know(command, capsys):
    for flag in ("--no-such-flag", "--no-such-flag=1"):
        needed = NEEDED.get(command, [])
        assert main([command, *needed, flag]) == 2
        assert "no-such-flag" in capsys.readouterr().err


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------
OURS = "minigan.interrupted"  # from here on an answer is ours; -X importtime prints the line when the module is there
DELAYS = (0.0, 0.05, 0.2, 0.6, 1.5)


@pytest.mark.parametrize("words", [["train", "toy", "--steps", "100000", "--out", "run"], ["doctor"]])
def test_ctrl_c_gives_no_traceback_however_early(words, tmp_path):
    """To the whole group, as a terminal sends it: a second process that compiles gets it, too."""
    for number, delay in enumerate(DELAYS):
        (place := tmp_path / str(number)).mkdir()
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "minigan", *words], cwd=place, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        while OURS not in (line := process.stderr.readline()):
            assert line and "Traceback" not in line
        time.sleep(0.002)  # the module is there; the next line installs its answer
        time.sleep(delay)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err and "ignored" not in err, err[-2000:]
        assert process.returncode == 130 or (words == ["doctor"] and process.returncode == 0)


def test_who_imports_minigan_keeps_pythons_answer():
    code = "import signal, minigan; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "True"
