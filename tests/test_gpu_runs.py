"""Whole runs on a GPU through the command line: every model trains as on the CPU, and a resumed run is the unbroken one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import words
from test_resuming import _without_pictures
from tiny_runs import TINY

from minigan import backend, gans
from minigan.cli import main
from minigan.run import checkpoint
from minigan.run.rundir import RunDir

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("own_folder", "judged_by_nothing"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TIMES = {"time", "seconds", "ms"}


def told(run: str) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without what a clock said."""
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if isinstance(v, (int, float)) and k not in TIMES} for line in lines]


def state(run: str) -> dict[str, np.ndarray]:
    return checkpoint.latest(RunDir.open(run))[1].state


@pytest.mark.usefixtures(_without_pictures.__name__)
@pytest.mark.parametrize("name", gans.MODELS)
def test_every_model_trains_as_on_the_cpu(name: str, tmp_path: Path) -> None:
    """Three steps, of which the third is a replay. They draw the same words and add up in another order."""
    run = words(name, tmp_path)
    for device in backend.DEVICES:
        assert main([*run[:2], "--steps", "3", "--out", device, "--device", device, *run[2:]]) == 0
    on_cpu, on_gpu = state("cpu"), state("gpu")
    assert on_cpu.keys() == on_gpu.keys()
    for key, value in on_cpu.items():
        assert on_gpu[key].dtype == value.dtype
        if value.dtype.kind == "f":
            np.testing.assert_allclose(
                on_gpu[key], value, rtol=2e-2, atol=2e-3 * max(1, np.abs(value).max(initial=0)), err_msg=key
            )
        else:
            np.testing.assert_array_equal(on_gpu[key], value, err_msg=key)


def test_a_resumed_run_is_the_unbroken_one_and_all_else_works_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    run = ["train", "toy", "--device", "gpu"]
    assert main([*run, "--steps", "6", "--out", "whole", *TINY]) == 0
    assert main([*run, "--steps", "4", "--out", "parts", *TINY]) == 0
    assert main(["resume", "parts", "--steps", "6"]) == 0
    assert json.loads(Path("parts/env.json").read_text())["device"] == "gpu"
    whole, parts = state("whole"), state("parts")
    for key, value in whole.items():
        np.testing.assert_array_equal(parts[key], value, err_msg=key)
    assert main(["sample", "parts", "-n", "5", "--out", "points.npy"]) == 0
    assert np.load("points.npy").shape == (5, 2) and np.isfinite(np.load("points.npy")).all()
    assert main(["plot", "parts"]) == 0
    assert "internal error" not in capsys.readouterr().err


def test_without_a_gpu_its_run_goes_on_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "toy", "--device", "gpu", "--steps", "2", "--out", "run", *TINY]) == 0
    monkeypatch.setattr(backend, "_gpu_problem", "it was taken away")
    assert main(["resume", "run", "--steps", "3"]) == 0
    assert "which is not usable here (it was taken away); the CPU is used" in capsys.readouterr().err
    assert main(["train", "toy", "--device", "gpu", "--steps", "2", "--out", "other", *TINY]) == 2


def test_doctor_trains_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "training, gpu" in capsys.readouterr().out
