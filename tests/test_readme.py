"""Every code block of the README runs. (Its `pip install` halves are run by .ci/run, in a fresh environment.)

What takes minutes runs shorter: how good its results are is measured elsewhere (bench/quality.py, bench/defaults.py), and every
lesson runs in test_lessons.py.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from minigan import data, metrics
from minigan.cli import main

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.M | re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines() if line.strip()]


def test_every_block_is_of_a_kind_that_is_run():
    assert {language for language, _ in BLOCKS} == {"python", "bash"}
    assert SHELL[:2] == ["pip install . && minigan train", 'pip install -e ".[test]" && pytest']


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_block(number, capsys):
    kept = dict(metrics.METRICS)
    try:
        exec(compile(PYTHON[number], f"README block {number}", "exec"), {"__name__": "readme"})
    finally:  # a block registers one
        metrics.METRICS.clear()
        metrics.METRICS.update(kept)


SHORTER = {  # a run draws a picture at every step where it has few: the fewer, the shorter
    "minigan train": ["--steps", "4"],
    "minigan train toy --set loss=relativistic r1=0.1 r2=0.1 --out runs/relativistic": ["--steps", "4"],
    "minigan train wgan_gp --data grid25": ["--steps", "4"],
    "minigan train cgan --out runs/cgan": ["--steps", "4"],
    "minigan train seqgan --out runs/text": ["--steps", "3"],
    "minigan train gail --out runs/pole": ["--steps", "2"],
    "minigan train sngan --data glyphs --set spectral=operator": ["--steps", "3"],
    "minigan train dcgan --set loss=hinge augment=color,translation,cutout --out runs/augmented": ["--steps", "3"],
    "minigan lessons run 0 --out figures": ["--fast"],
    "minigan lessons run 7 --out figures": ["--fast"],
    "minigan lessons build --out site": ["--fast", "--only", "2"],
}
STEPS = {"minigan train mlp": "10"}  # instead of those it has


def shortened(command: str) -> list[str]:
    """The words of a command after `minigan`."""
    words = shlex.split(command, comments=True)
    if " ".join(words[:3]) in STEPS:
        words[words.index("--steps") + 1] = STEPS[" ".join(words[:3])]
    return [*words[1:], *SHORTER.get(" ".join(words), [])]


@pytest.mark.slow
def test_shell_commands_in_order(tmp_path, monkeypatch, capsys):
    """All commands, the main job included, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    commands = [part.strip() for line in SHELL for part in line.split("&&") if part.strip().startswith("minigan")]
    assert len(commands) >= 7
    assert SHORTER.keys() <= {" ".join(shlex.split(command, comments=True)) for command in commands}
    for command in commands:
        assert main(shortened(command)) == 0, command
    ring, points = data.load("ring8"), np.load("points.npy")
    near = np.linalg.norm(points[:, None] - ring.modes, axis=2) < 0.1
    assert near.any(axis=1).mean() > 0.85 and near.mean(axis=0).min() > 0.05  # as the README says, and nearly as even
    assert list(tmp_path.glob("runs/r3gan-glyphs-seed0/samples/final.png")) and (tmp_path / "points.npy").exists()
