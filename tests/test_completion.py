"""Completion of command lines: bash is asked, as it would be at a prompt; the other shells' scripts are made."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from minigan import gans
from minigan.cli import COMMANDS, main

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("completion") / "minigan.bash"
    made = subprocess.run(
        [sys.executable, "-m", "minigan", "completion", "bash"], capture_output=True, text=True, check=True
    )
    file.write_text(made.stdout)
    return file


@needs_bash
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("minigan ", set(COMMANDS)),
        ("minigan train ", set(gans.MODELS)),
        ("minigan train wg", {"wgan", "wgan_gp"}),
        ("minigan train toy --da", {"--data"}),
        ("minigan train toy --data gr", {"grid25"}),
        ("minigan resume --st", {"--steps"}),
        ("minigan sample ru", {"runs"}),
        ("minigan completion ", {"bash", "zsh", "tcsh"}),
    ],
)
def test_bash_completes(script, tmp_path, line, expected):
    (tmp_path / "runs").mkdir()
    (tmp_path / "rubbish.txt").write_text("")
    words = line.split(" ")
    asked = f"source {script}; COMP_WORDS=({' '.join(w or chr(34) * 2 for w in words)}); COMP_CWORD={len(words) - 1}; "
    asked += "_shtab_minigan 2> /dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert expected <= {word for word in done.stdout.split() if not word.startswith("-") or words[-1].startswith("-")}
    assert "rubbish.txt" not in done.stdout


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_scripts_of_other_shells_name_every_command(shell, capsys):
    assert main(["completion", shell]) == 0
    made = capsys.readouterr().out
    assert all(name in made for name in [*COMMANDS, "no-preview"])


def test_without_shtab_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "minigan[completion]"' in capsys.readouterr().err
