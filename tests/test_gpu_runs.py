"""Whole runs on a GPU through the command line: every model trains as on the CPU, and a resumed run is the unbroken one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from devices import emulated
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
SOME = (
    "density",
    "infogan",
    "dagan",
    "fanogan",
    "vat",
    "unrolled",
    "projection",
)  # arrays of many kinds, in little time
TIMES = {"ms_per_step", "seconds"}


def told(run: str) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without what a clock said."""
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if isinstance(v, (int, float)) and k not in TIMES} for line in lines]


def state(run: str) -> dict[str, np.ndarray]:
    return checkpoint.latest(RunDir.open(run))[1].state


@pytest.mark.usefixtures(_without_pictures.__name__)
@pytest.mark.parametrize("name", SOME if emulated() else gans.MODELS)
def test_a_model_trains(name: str, tmp_path: Path) -> None:
    """Three steps, of which the third is a replay; all that is kept is finite. Every model on a GPU, some on the emulated one."""
    run = words(name, tmp_path)
    assert main([*run[:2], "--steps", "3", "--out", "run", "--device", "gpu", *run[2:]]) == 0
    for key, value in state("run").items():
        assert value.dtype.kind != "f" or np.isfinite(value).all(), key


@pytest.mark.usefixtures(_without_pictures.__name__)
@pytest.mark.parametrize("name", ["wgan_gp", "vaegan"])
def test_a_model_trains_as_on_the_cpu(name: str, tmp_path: Path) -> None:
    """The same words are drawn and sums are taken in another order. (Adam divides by what may be rounding alone, so the weights
    of units that rest may go either way: the losses are compared.)"""
    run = words(name, tmp_path)
    for device in backend.DEVICES:
        assert main([*run[:2], "--steps", "3", "--out", device, "--device", device, *run[2:]]) == 0
    assert {k: v.dtype for k, v in state("cpu").items()} == {k: v.dtype for k, v in state("gpu").items()}
    for on_cpu, on_gpu in zip(told("cpu"), told("gpu"), strict=True):
        common = on_cpu.keys() & on_gpu.keys()  # the norms of gradients are noted on the CPU alone
        assert {"step"} < common
        for key in common:
            assert on_gpu[key] == pytest.approx(on_cpu[key], rel=1e-2, abs=1e-3), key


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
