"""The page "Write your own GAN": short enough, and every command of it runs as it stands, from nothing to pictures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan
from minigan import data
from minigan.cli import main

PAGE = (Path(__file__).parent.parent / "lessons" / "write_your_own_gan.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.M | re.S))
COMMANDS = [shlex.split(line) for line in BLOCKS["bash"].splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(BLOCKS["python"], encoding="utf-8")
    return tmp_path


def test_the_page_is_short_and_its_model_knows_of_no_files_devices_or_progress():
    assert len(PAGE.splitlines()) <= 100
    assert not re.search(r"open\(|Path|device|gpu|tqdm|print|progress|checkpoint", BLOCKS["python"])
    assert re.findall(r'^            "(\w)": nn', BLOCKS["python"], flags=re.M) == ["G", "D", "C"]


def test_its_commands_do_what_they_say_in_a_few_steps(folder, capsys):
    """The same commands, the training shorter."""
    for words in COMMANDS:
        shorter = {"train": ["--steps", "6", "--batch-size", "16"], "resume": ["--steps", "8"]}.get(words[1], [])
        assert main([*words[1:], *([] if "--help" in words else shorter)]) == 0, words
    assert (folder / "runs/mine/samples/final.png").is_file()
    assert (folder / "runs/mine/samples/seed-0-n-100-label-3.png").is_file()
    assert "hidden units" in capsys.readouterr().out


@pytest.mark.slow
def test_its_commands_as_they_stand_draw_what_they_are_asked_for(folder):
    """The nearest glyph is of the class that was asked for in about seven samples of ten (chance: one)."""
    # One BLAS thread and a process of its own: on a busy machine two threads wait for each other.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.path.dirname(minigan.__path__[0])}
    for words in COMMANDS:
        subprocess.run([sys.executable, "-m", *words], env=environment, check=True)
    glyphs = data.load("glyphs")
    real, right = glyphs.x.reshape(len(glyphs), -1), []
    for label in range(10):
        assert main(["sample", "runs/mine", "-n", "50", "--set", f"label={label}", "--out", "of.npy"]) == 0
        samples = np.load("of.npy").reshape(50, -1)
        nearest = ((real**2).sum(1) - 2 * samples @ real.T).argmin(1)
        right.append(float((glyphs.y[nearest] == label).mean()))
    assert np.mean(right) > 0.5, right
