"""Every code block of the README runs. (Its `pip install` halves are run by .ci/run, in a fresh environment.)"""

import re
import shlex
from pathlib import Path

import pytest

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
    exec(compile(PYTHON[number], f"README block {number}", "exec"), {})


@pytest.mark.slow
def test_shell_commands_in_order(tmp_path, monkeypatch, capsys):
    """The commands as they stand, the main job included, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    commands = [part.strip() for line in SHELL for part in line.split("&&") if part.strip().startswith("minigan")]
    assert len(commands) >= 7
    for command in commands:
        words = shlex.split(command, comments=True)
        assert main(words[1:]) == 0, command
    assert list(tmp_path.glob("runs/dcgan-*/samples/final.png")) and (tmp_path / "points.npy").exists()
