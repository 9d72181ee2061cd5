"""The command line: parsing, exit codes, and that no input ends in a traceback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny_runs import TINY

import minigan
from minigan import gans, room
from minigan.cli import COMMANDS, main
from minigan.gans.protocol import FAMILIES
from minigan.run import checkpoint, rundir

ROOT = os.path.dirname(os.path.dirname(minigan.__file__))


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def trained(finished, tmp_path, capsys, judged_by_nothing):
    """A copy of it, as `run` in the present folder."""
    return shutil.copytree(finished, tmp_path / "run")


def start(*words: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": "1", **options.pop("env", {})}
    command = [sys.executable, "-m", "minigan", *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def refused(capsys, code: int, *words: str) -> str:
    """Run a command that must fail with this code; returns what it said on stderr."""
    capsys.readouterr()
    assert main(list(words)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err and "internal error" not in said.err
    return said.err


# -- help ------------------------------------------------------------------------------------------------------------
def test_help_is_quick():
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        process = start("--help")
        out, err = process.communicate(timeout=30)
        took.append(time.perf_counter() - begin)
        assert process.returncode == 0 and err == ""
    assert all(name in out for name in COMMANDS)
    assert min(took) < 0.5  # 0.2 s on an idle machine


def test_help_imports_nothing_heavy():
    script = "import sys, minigan.cli as c; c.main(['--help']); print([m for m in HEAVY if m in sys.modules])"
    heavy = ["numba", "matplotlib", "tqdm", "cupy", "PIL", "scipy"]
    found = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy}; {script}"],
        env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.splitlines()[-1] == "[]"


def test_help_of_a_model_lists_its_settings(capsys):
    assert main(["train", "mlp", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("latent", "0.001", "non_saturating", "normalisation", "--batch-size"):
        assert word in out
    assert main(["train", "--help", "toy"]) == 0
    assert "width" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["resume", "sample", "models", "datasets", "doctor"])
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert command in capsys.readouterr().out


def test_version_and_nothing(capsys):
    assert main(["--version"]) == 0
    assert minigan.__version__ in capsys.readouterr().out
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_tables(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "mlp" in out and "(default)" in out and "points" in out
    listed = out.splitlines()
    for name, reference in gans.MODELS.items():  # each once, behind its family's line
        (at,) = [i for i, line in enumerate(listed) if line.startswith(f"  {name} ")]
        over = next(line for line in reversed(listed[:at]) if not line.startswith(" "))
        model = gans.get(name)
        assert over == f"{model.family}: {FAMILIES[model.family]}"
        if reference.startswith("minigan.gans."):
            assert model.family != "own" and 0 < len(model.summary) <= 90
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    assert "ring8" in out and "28x28x1" in out and "download" in out


def test_doctor(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "all is well" in out and "ms/step" in out and out.count("ok:") >= 3


def test_doctor_tells_what_is_missing(capsys, monkeypatch):
    from minigan.run import doctor, environment

    monkeypatch.setattr(environment, "versions", lambda: {"pooch": None})
    for name in ("gradients", "kernels"):
        monkeypatch.setattr(doctor, name, lambda: "skipped")
    monkeypatch.setattr(doctor, "training", lambda device: 1 / 0)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "pip install pooch" in out and "ZeroDivisionError" in out and "2 problem" in out


# -- usage: exit code 2 ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "did you mean train"),
        (["train", "tou"], "did you mean 'toy'"),
        (["train", "toy", "--set", "widht=8"], "did you mean 'width'"),
        (["train", "toy", "--set", "lr"], "key=value"),
        (["train", "toy", "--set", "lr=fast"], "lr: got 'fast', expected a finite number"),
        (["train", "toy", "--set", "lr=nan"], "finite"),
        (["train", "toy", "--set", "lr=-1"], "at least 0"),
        (["train", "toy", "--set", "width=8.5"], "whole number"),
        (["train", "toy", "--set", "width=8", "width=9"], "twice"),
        (["train", "toy", "--set", "loss=hing"], "non_saturating"),
        (["train", "toy", "--steps", "-1"], "at least 0"),
        (["train", "toy", "--steps", "1", "--set", "steps=2"], "keep one"),
        (["train", "toy", "--batch-size", "0"], "at least 1"),
        (["train", "toy", "--device", "tpu"], "invalid choice"),
        (["train", "toy", "--data", "glyphs"], "ring8"),
        (["train", "mlp", "--data", "ring8"], "toy"),
        (["train", "toy", "--set", "width=" + "9" * 30], "cannot be trained"),
        (["train", "toy", "--out", "a\0b"], "--out"),
        (["sample", "nowhere", "-n", "0"], "-n: got 0"),
        (["sample", "nowhere", "-n", "many"], "invalid int"),
        (["resume"], "DIR"),
        (["train", "toy", "--out", ""], "--out: got an empty text"),
        (["train", ""], "MODEL|FILE.py[:Class]: got an empty text"),
        (["train", "toy", "--data", ""], "--data: got an empty text"),
        (["train", "toy", "--set", ""], "--set: got an empty text"),
        (["train", "toy", "--save-every", ""], "--save-every: got an empty text"),
        (["train", "toy", "--save-every", "5m"], "--save-every: got '5m'"),
        (["resume", ""], "DIR: got an empty text"),
        (["resume", "nowhere", "--model", ""], "--model: got an empty text"),
        (["sample", "", "-n", "3"], "DIR: got an empty text"),
        (["sample", "nowhere", "--out", ""], "--out: got an empty text"),
        (["lessons", "run", ""], "N: got an empty text"),
        (["lessons", "build", "--out", ""], "--out: got an empty text"),
        (["export", "nowhere", "--safetensors", "x"], "expected a file name"),
        (["resume", "nowhere", "--step", "4"], "unrecognized"),
    ],
)
def test_usage_errors(words, said, capsys, tmp_path):
    assert said in refused(capsys, 2, *words)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_options_may_stand_before_the_model(capsys):
    assert "'toi'" in refused(capsys, 2, "train", "--steps", "1", "toi")


def test_out_is_never_overwritten(trained, capsys, tmp_path):
    before = sorted(os.listdir(trained))
    assert "minigan resume run" in refused(capsys, 2, "train", "toy", "--out", "run", *TINY)
    assert sorted(os.listdir(trained)) == before
    (tmp_path / "file").write_text("")
    refused(capsys, 2, "train", "toy", "--out", "file", *TINY)
    refused(capsys, 2, "train", "toy", "--steps", "1", "--out", "file/run", *TINY)


def test_an_empty_folder_may_be_used_and_default_names_count_up(tmp_path):
    (tmp_path / "empty").mkdir()
    assert main(["train", "toy", "--steps", "1", "--out", "empty", *TINY]) == 0
    for name in ("toy-moons-seed3", "toy-moons-seed3-2"):
        assert main(["train", "toy", "--data", "moons", "--seed", "3", "--steps", "1", *TINY]) == 0
        assert (tmp_path / "runs" / name / "samples" / "final.png").is_file()


def test_a_bad_environment_is_a_usage_error():
    process = start("train", "toy", "--steps", "1", env={"MINIGAN_THREADS": "x"})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "MINIGAN_THREADS" in err and "Traceback" not in err


def test_no_gpu_is_a_usage_error(capsys, monkeypatch):
    from minigan import backend

    monkeypatch.setattr(backend, "_gpu_problem", "there is none")
    assert "--device cpu" in refused(capsys, 2, "train", "toy", "--device", "gpu")


# -- data and checkpoints: exit code 4 -------------------------------------------------------------------------------
@pytest.mark.parametrize("data", ["rign8", "missing.npy", "bad.npy", "/", "a\0b.npy"])
def test_bad_data(data, capsys, tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nothing")
    assert refused(capsys, 4, "train", "toy", "--data", data)


def test_fewer_examples_than_a_batch(capsys, tmp_path):
    np.save(tmp_path / "few.npy", np.zeros((5, 2), np.float32))
    assert "5 examples" in refused(capsys, 4, "train", "toy", "--data", "few.npy", *TINY)


@pytest.mark.parametrize("command", [["resume"], ["sample", "-n", "3"]])
def test_no_run_there(command, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name in ("nowhere", "file", "folder", "a\0b"):
        refused(capsys, 4, command[0], name, *command[1:])


def _garbage(path):
    path.write_bytes(os.urandom(1000))


def _empty(path):
    path.write_bytes(b"")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-400])


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[raw.index(checkpoint.load(path).state["generator/layers.0.weight"].tobytes())] ^= 1
    path.write_bytes(raw)


def _changed(path):
    """A well-formed archive with another weight in it."""
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["generator/layers.0.weight"][0, 0] += 1
    np.savez(path, **arrays)


def _pickled(path):
    np.savez(path, about=np.array([{"a": 1}], dtype=object))


def _array(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def _other_keys(path):
    """Rightly hashed, but from a version with other settings."""
    saved = checkpoint.load(path)
    saved.config["magic"] = 1
    checkpoint.save(rundir.RunDir(path.parent.parent), saved)


def _other_shapes(path):
    saved = checkpoint.load(path)
    saved.state["generator/layers.0.weight"] = np.zeros((3, 3), np.float32)
    checkpoint.save(rundir.RunDir(path.parent.parent), saved)


def _fewer_arrays(path):
    saved = checkpoint.load(path)
    del saved.state["game/step"]
    checkpoint.save(rundir.RunDir(path.parent.parent), saved)


def _other_model(path):
    saved = checkpoint.load(path)
    saved.model = "biggan"
    checkpoint.save(rundir.RunDir(path.parent.parent), saved)


@pytest.mark.parametrize("break_it", [_garbage, _empty, _cut, _flip, _changed, _pickled, _array])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(break_it, trained, capsys):
    paths = checkpoint.all_of(rundir.RunDir(trained))
    break_it(paths[-1])
    for words in (["sample", "run", "-n", "3"], ["resume", "run", "--steps", "10"]):
        capsys.readouterr()
        assert main(words) == 0
        said = capsys.readouterr().err
        assert paths[-1].name in said and f"{paths[-2].name} before it is whole" in said
    for path in paths:
        break_it(path) if break_it is not _flip else path.write_bytes(b"")
    assert paths[0].name in refused(capsys, 4, "resume", "run", "--steps", "20")


@pytest.mark.parametrize("break_it", [_other_keys, _other_shapes, _fewer_arrays, _other_model])
def test_checkpoints_of_something_else(break_it, trained, capsys):
    path = checkpoint.all_of(rundir.RunDir(trained))[-1]
    break_it(path)
    for words in (["resume", "run", "--steps", "20"], ["sample", "run", "-n", "3"]):
        assert path.name in refused(capsys, 4, *words)


def test_a_checkpoint_that_is_missing(trained, capsys):
    for path in checkpoint.all_of(rundir.RunDir(trained)):
        path.unlink()
    assert "no checkpoint" in refused(capsys, 4, "sample", "run", "-n", "3")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"model": "mlp"}', "\xff\xfe", '{"model": "toy", "config": 3}'])
def test_broken_config(text, trained, capsys):
    (trained / "config.json").write_bytes(text.encode("latin-1"))
    assert "config.json" in refused(capsys, 4, "resume", "run", "--steps", "20")
    (trained / "config.json").unlink()
    assert main(["resume", "run", "--steps", "12"]) == 0
    assert json.loads((trained / "config.json").read_text())["config"]["steps"] == 12


def test_an_edited_config_is_not_passed_over(trained, capsys):
    config = json.loads((trained / "config.json").read_text())
    config["config"]["lr"] = 1.0
    (trained / "config.json").write_text(json.dumps(config))
    assert "lr" in refused(capsys, 4, "resume", "run", "--steps", "20")


def test_resume_to_before_the_present_step(trained, capsys):
    assert "at step 10 already" in refused(capsys, 2, "resume", "run", "--steps", "5")
    assert "whole number" in refused(capsys, 2, "resume", "run", "--steps", "x")


# -- samples ---------------------------------------------------------------------------------------------------------
def test_sample_files(trained, capsys):
    assert main(["sample", "run", "-n", "7", "--seed", "5", "--out", "a.npy"]) == 0
    points = np.load("a.npy")
    assert points.shape == (7, 2) and points.dtype == np.float32
    assert main(["sample", "run", "-n", "7", "--seed", "5", "--out", "b.npy"]) == 0
    assert np.array_equal(points, np.load("b.npy"))
    assert main(["sample", "run", "-n", "7"]) == 0
    assert (trained / "samples" / "seed-0-n-7.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["sample", "run", "-n", "7", "--out", "c.PNG"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("out", ["x.jpg", "x", "nowhere/x.npy", "."])
def test_sample_to_a_bad_place(out, trained, capsys):
    refused(capsys, 2, "sample", "run", "-n", "3", "--out", out)


def test_too_many_samples(trained, capsys, monkeypatch):
    monkeypatch.setattr(room, "available", lambda device="cpu": 2**30)
    assert "npy" in refused(capsys, 2, "sample", "run", "-n", "20000")
    assert "out of memory" in refused(capsys, 5, "sample", "run", "-n", "2000000000", "--out", "x.npy")
    refused(capsys, 2, "sample", "run", "-n", "9" * 20)


# -- divergence, memory, disk ----------------------------------------------------------------------------------------
def test_divergence(capsys, tmp_path):
    words = ["train", "toy", "--steps", "20", "--out", "run", "--batch-size", "16", "--set", "lr=1e30"]
    said = refused(capsys, 3, *words)
    assert "smaller learning rate" in said and "no checkpoint yet" in said
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "diverged"


def test_divergence_leaves_the_last_good_checkpoint(capsys, tmp_path, monkeypatch, judged_by_nothing):
    from minigan.run import loop

    advance = loop.Loop.advance

    def spoil(self):
        advance(self)
        if self.step == 15:
            self.model.generator.parameters()["layers.0.weight"].data[0, 0] = np.inf

    monkeypatch.setattr(loop.Loop, "advance", spoil)
    said = refused(capsys, 3, "train", "toy", "--steps", "20", "--out", "run", *TINY)
    assert "step-000012.npz" in said
    found = checkpoint.all_of(rundir.RunDir(tmp_path / "run"))
    assert found[-1].name == "step-000012.npz"
    assert all(np.isfinite(a).all() for a in checkpoint.load(found[-1]).state.values())


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 5, "no room left on the disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 5, "no room left on the disk"),
        (MemoryError("Unable to allocate 9 TiB"), 5, "a smaller batch size (--batch-size N)"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_failures_on_the_way(error, code, said, capsys, monkeypatch, tmp_path):
    def fail(*_):
        raise error

    monkeypatch.setattr(checkpoint, "save", fail)
    assert said in refused(capsys, code, "train", "toy", "--steps", "5", "--out", "run", *TINY)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] in ("failed", "interrupted")


def test_a_model_that_is_too_large(capsys):
    assert "out of memory" in refused(capsys, 5, "train", "toy", "--set", "width=10000000000", "latent=10000")


def test_a_full_disk(tmp_path):
    resource = pytest.importorskip("resource")
    process = start(
        "train", "toy", "--steps", "5", "--out", "run",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )  # fmt: skip
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5 and "no room" in err and "Traceback" not in err and "ignored" not in err
    assert not list(tmp_path.rglob("*.part"))


def test_a_bug_is_called_a_bug(capsys, monkeypatch):
    from minigan.run import listing

    def fail():
        raise ZeroDivisionError("one by none")

    monkeypatch.setattr(listing, "models", fail)
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: one by none" in said and "MINIGAN_DEBUG=1" in said and "Traceback" not in said
    monkeypatch.setenv("MINIGAN_DEBUG", "1")
    assert main(["models"]) == 1
    assert "Traceback" in capsys.readouterr().err


# -- pipes and signals -----------------------------------------------------------------------------------------------
def test_a_closed_pipe_is_quiet():
    for words in (["datasets"], ["train", "toy", "--help"], ["--help"]):
        process = start(*words)
        process.stdout.close()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err == ""


def test_training_goes_on_when_nobody_reads_its_progress(tmp_path):
    process = start("train", "toy", "--steps", "4", "--out", "run", *TINY)
    process.stderr.close()
    out = process.stdout.read()
    assert process.wait(timeout=60) == 0 and "all 4 steps" in out


def wait_for(process, done) -> None:
    limit = time.monotonic() + 60
    while not done():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.01)


def test_sigterm_saves_and_ends_with_143(tmp_path):
    process = start("train", "toy", "--steps", "100000", "--out", "run", *TINY)
    wait_for(process, lambda: (tmp_path / "run" / "status.json").exists())
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143 and "resume run" in out
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "interrupted"


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path):
    words = ["--steps", "800", "--batch-size", "16", "--set", "width=8", "loss=minimax"]
    process = start("train", "toy", "--out", "a", *words)
    wait_for(process, lambda: (tmp_path / "a" / "metrics.jsonl").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert out.splitlines()[-1].strip() == "python -m minigan resume a"
    status = json.loads((tmp_path / "a" / "status.json").read_text())
    assert status["state"] == "interrupted" and 0 < status["step"] < 800
    assert main(["resume", "a"]) == 0
    assert main(["train", "toy", "--out", "b", *words]) == 0
    ends = [checkpoint.latest(rundir.RunDir(tmp_path / name))[1] for name in "ab"]
    assert ends[0].step == ends[1].step == 800
    assert ends[0].state.keys() == ends[1].state.keys()
    assert all(np.array_equal(ends[0].state[k], ends[1].state[k]) for k in ends[0].state)


def test_ctrl_c_while_kernels_are_compiled(tmp_path):
    process = start("train", "toy", "--steps", "100000", "--out", "run", *TINY)
    assert "read 10,000 points, 2 coordinates, 8 labels" in process.stderr.readline()
    assert "kernels" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "resume run" in out and "Traceback" not in err
    assert json.loads((tmp_path / "run" / "status.json").read_text())["step"] >= 1
