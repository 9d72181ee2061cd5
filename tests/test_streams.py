"""Every command where nobody reads what it says: closed streams, a full device, a pipe whose reader has ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import TINY

import minigan
from minigan.cli import COMMANDS
from minigan.run import checkpoint
from minigan.run.rundir import RunDir

pytestmark = [
    pytest.mark.usefixtures("own_folder"),
    pytest.mark.skipif(not (os.path.exists("/dev/full") and hasattr(os, "fork")), reason="needs /dev/full and fork"),
]
HERE = Path(__file__).parent
ROOT = Path(minigan.__file__).parent.parent
TRAINED = f"train toy --steps 4 {' '.join(TINY)} --out"
FULL, GONE = [">full"], [">gone", "2>gone"]

# What is printed is what is asked for, so a full device is exit code 5; but a run that has been trained is saved, and done.
PRINT = (
    "datasets",
    "lessons",
    "best run",
    "export run --safetensors OUT.safetensors",
    "plot run --csv m.csv",
    "--help",
)
CASES = [
    *[("models", how, 5 if ">full" in how else 0) for how in (
        FULL, GONE, [">closed"], ["2>closed"], [">closed", "2>closed"], [">gone"], ["2>gone"], ["2>full"], [">full", "2>full"],
    )],
    ("nosuch", ["2>full"], 2), ("nosuch", ["2>gone"], 2), ("sample nosuch", [">closed", "2>closed"], 4),
    *[(f"{TRAINED} {k}", how, 0) for k, how in enumerate((FULL, GONE, ["2>full"]))],
    ("resume run --steps 12", FULL, 0),
    *[(words.replace("OUT", how[0][1:]), how, 5 if how is FULL else 0) for how in (FULL, GONE) for words in PRINT],
    (f"train closes.py:Mine --steps 2 {' '.join(TINY)} --out closed", [], 0),
    ("sample run -n 4 --out x.npy", FULL, 5), ("evaluate run -n 40", GONE, 0),
    ("compare run run -n 40", GONE, 0), ("diagnose run", GONE, 0), ("doctor", GONE, 0), ("completion bash", GONE, 0),
    ("lab --no-browser", FULL, 5), ("lab nosuch", GONE, 4),
]  # fmt: skip


CLOSES = """
import sys
from minigan.gans.toy import Toy

sys.stdout.close()
sys.stderr.close()

class Mine(Toy):
    pass
"""


def test_every_command_ends_as_it_should_whoever_reads_it(finished):
    shutil.copytree(finished, "run")
    Path("closes.py").write_text(CLOSES)
    done = subprocess.run(
        [sys.executable, str(HERE / "stream_driver.py"), json.dumps([[words, how] for words, how, _ in CASES])],
        capture_output=True, text=True, check=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    wrong = []
    for (words, how, code), (got, said) in zip(CASES, json.loads(done.stdout), strict=True):
        if got != code or "Traceback" in said or "Exception ignored" in said or "internal error" in said:
            wrong.append((words, how, f"exit code {got}, expected {code}", said[-300:]))
    assert not wrong, "\n".join(map(str, wrong))
    for k in range(3):
        run = RunDir.open(str(k))
        assert checkpoint.latest(run)[1].step == 4 and run.read_state() == "done"
    assert checkpoint.latest(RunDir.open("run"))[1].step == 12
    assert {words.split()[0] for words, _, _ in CASES} >= set(COMMANDS)
