"""What a run leaves behind, and that it can be relied on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan
from minigan import gans
from minigan.cli import main
from minigan.gans import needs
from minigan.losses import EQUILIBRIUM
from minigan.run import building, checkpoint, feed, interrupts, plots, progress, references, rundir, settings
from minigan.run.errors import CheckpointError, UsageError
from minigan.run.rundir import RunDir, write_json

TINY = ["--batch-size", "16", "--set", "width=8"]


pytestmark = pytest.mark.usefixtures("own_folder")


def rows(path) -> list[dict]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_the_files_of_a_run(tmp_path, judged_by_nothing):
    assert main(["train", "toy", "--steps", "40", "--live-every", "0", "--out", "run", *TINY]) == 0
    run = tmp_path / "run"
    names = {"config.json", "env.json", "metrics.jsonl", "course.jsonl", "status.json", "losses.png", ".lock"}
    names |= {"latest.png"}
    clocked = {"live.jsonl"}  # of a run that takes longer than some seconds
    assert set(os.listdir(run)) - clocked == names | {"samples", "checkpoints"}
    config = json.loads((run / "config.json").read_text())
    assert config["model"] == "toy" and config["config"]["steps"] == 40 and config["config"]["width"] == 8
    env = json.loads((run / "env.json").read_text())
    assert {"numpy", "numba", "python", "minigan"} <= env["versions"].keys() and env["threads"] >= 1 and env["blas"]
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["step"], status["steps"]) == ("done", 40, 40)
    found = rows(run)
    assert [row["step"] for row in found] == list(range(2, 41, 2))
    assert all(np.isfinite([row["discriminator"], row["generator"]]).all() for row in found)
    samples, steps = set(os.listdir(run / "samples")), [f"step-{i:06d}" for i in range(0, 41, 2)]
    fields = {f"field-{step}.npz" for step in steps}  # what D says, for `minigan plot`
    assert samples == {"final.png", "progress.gif", *(f"{step}.png" for step in steps), *fields}
    with Image.open(run / "samples" / "progress.gif") as image:
        assert image.n_frames >= 20
    assert sorted(os.listdir(run / "checkpoints")) == [f"step-{i:06d}.npz" for i in (24, 32, 40)]


def apart(words: list[str]) -> int:
    """`main` in a process with one BLAS thread, for the larger model: on a busy machine two threads wait for each other."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.path.dirname(minigan.__path__[0])}
    return subprocess.run([sys.executable, "-m", "minigan", *words], env=environment, check=False).returncode


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("toy", [*TINY, "ema=0.9"]),
        ("mlp", ["--batch-size", "4", "--set", "latent=8", "norm=batch"]),
    ],
)
def test_a_resumed_run_equals_an_unbroken_one(model, options, tmp_path):
    run = apart if model == "mlp" else main
    assert run(["train", model, "--steps", "8", "--out", "whole", *options]) == 0
    assert run(["train", model, "--steps", "4", "--out", "parts", *options]) == 0
    assert run(["resume", "parts", "--steps", "8"]) == 0
    ends = [checkpoint.latest(RunDir(tmp_path / name))[1] for name in ("whole", "parts")]
    assert ends[0].state.keys() == ends[1].state.keys() and ends[0].config == ends[1].config
    for name, array in ends[0].state.items():
        assert array.dtype == ends[1].state[name].dtype and np.array_equal(array, ends[1].state[name]), name
    common = {row["step"]: (row["discriminator"], row["generator"]) for row in rows(tmp_path / "whole")}
    for row in rows(tmp_path / "parts"):
        assert common.get(row["step"], (row["discriminator"], row["generator"])) == (
            row["discriminator"],
            row["generator"],
        )
    for name in ("whole", "parts"):
        assert run(["sample", name, "-n", "5", "--seed", "9", "--out", f"{name}.npy"]) == 0
    assert np.array_equal(np.load("whole.npy"), np.load("parts.npy"))
    shape = (5, 2) if model == "toy" else (5, 28, 28, 1)
    assert np.load("whole.npy").shape == shape and np.abs(np.load("whole.npy")).max() < 10
    pictures = [Image.open(tmp_path / name / "samples" / "final.png") for name in ("whole", "parts")]
    first, second = (np.asarray(picture).astype(int) for picture in pictures)
    differing = np.abs(first - second)
    assert (np.count_nonzero(differing), differing.max()) == (0, 0)


def test_resume_of_a_finished_run_says_so(capsys):
    assert main(["train", "toy", "--steps", "4", "--out", "run", *TINY]) == 0
    before = os.stat("run/status.json").st_mtime_ns
    capsys.readouterr()
    assert main(["resume", "run"]) == 0
    assert "all 4 steps are done" in capsys.readouterr().out
    assert os.stat("run/status.json").st_mtime_ns == before


def test_a_run_of_no_steps(capsys):
    assert main(["train", "toy", "--steps", "0", "--out", "run", *TINY]) == 0
    assert main(["sample", "run", "-n", "3"]) == 0
    assert main(["resume", "run", "--steps", "2"]) == 0
    assert checkpoint.latest(RunDir.open("run"))[1].step == 2


def test_resume_cuts_what_came_after_the_checkpoint(tmp_path):
    assert main(["train", "toy", "--steps", "20", "--out", "run", *TINY]) == 0
    run = tmp_path / "run"
    whole = rows(run)
    checkpoint.path_of(RunDir(run), 20).unlink()
    (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text() + '{"step": 21, "gener')
    (run / "samples" / "step-000018.png.part").write_bytes(b"half")
    assert main(["resume", "run"]) == 0
    assert [{**r, "ms_per_step": 0} for r in rows(run)] == [{**r, "ms_per_step": 0} for r in whole]
    assert not list(run.rglob("*.part"))


def test_a_run_from_a_file_resumes_from_another_folder(tmp_path, monkeypatch):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32))
    assert main(["train", "toy", "--data", "mine.npy", "--steps", "4", *TINY]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["resume", "../runs/toy-mine-seed0", "--steps", "6"]) == 0


def test_data_that_has_changed(tmp_path, capsys):
    points = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    np.save("mine.npy", points)
    assert main(["train", "toy", "--data", "mine.npy", "--steps", "4", "--out", "run", *TINY]) == 0
    np.save("mine.npy", points + 1)
    capsys.readouterr()
    assert main(["resume", "run", "--steps", "6"]) == 0
    assert "is not what it was" in capsys.readouterr().err
    np.save("mine.npy", points[:, :1])
    assert main(["resume", "run", "--steps", "8"]) == 4
    os.unlink("mine.npy")
    assert main(["resume", "run", "--steps", "8"]) == 4
    assert main(["sample", "run", "-n", "3"]) == 0  # the picture shows the generated points alone


def test_two_processes_do_not_train_in_one_folder():
    pytest.importorskip("fcntl")
    assert main(["train", "toy", "--steps", "2", "--out", "run", *TINY]) == 0
    holder = RunDir.open("run")
    holder.lock()
    assert main(["resume", "run", "--steps", "4"]) == 2
    holder.close()
    assert main(["resume", "run", "--steps", "4"]) == 0


def test_a_gpu_run_is_sampled_on_the_cpu_where_there_is_none(capsys, monkeypatch):
    from minigan import backend

    assert main(["train", "toy", "--steps", "2", "--out", "run", *TINY]) == 0
    saved = checkpoint.latest(RunDir.open("run"))[1]
    saved.device = "gpu"
    checkpoint.save(RunDir.open("run"), saved)
    monkeypatch.setattr(backend, "_gpu_problem", "there is none")
    capsys.readouterr()
    assert main(["sample", "run", "-n", "3"]) == 0
    assert "the CPU is used" in capsys.readouterr().err


# -- parts -----------------------------------------------------------------------------------------------------------
def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1} and os.listdir(tmp_path) == ["a.json"]


def test_metrics_are_json_even_when_numbers_are_not_finite(tmp_path):
    run = RunDir(tmp_path)
    run.add_metrics({"step": 1, "loss": float("nan")})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": null}\n'  # flushed already
    run.close()


def test_checkpoints_keep_every_bit(tmp_path):
    run = RunDir.create(str(tmp_path / "run"), "")
    state = {
        "a/b.c": np.array([np.nan, -0.0, 1e-45], np.float32),
        "n": np.array(7),
        "empty": np.empty((0, 3), np.float64),
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }
    about = {
        "model": "toy", "origin": {"module": "minigan.gans.toy:Toy"}, "config": {"lr": 0.1},
        "facts": {"shapes": {"x": [2]}, "classes": {}}, "device": "cpu", "data_checksum": 3, "step": 12,
        "save_every": "30s", "live_every": "0", "reduce": "", "near": {"data": "../x.npy"},
        "changes": [{"step": 4, "set": {"lr": 0.1}, "was": {"lr": 0.2}}],
        "best": {"name": "x", "step": 8, "value": 1e-320}, "means": {"sums": {"D": [0.1 + 0.2, 3]}, "last": {}, "names": ["D"]},
    }  # fmt: skip
    path = checkpoint.save(run, checkpoint.Checkpoint(**about, state=state))
    found = checkpoint.load(path)
    assert found.about() == {"format": checkpoint.FORMAT, **about}
    for name, array in state.items():
        assert found.state[name].dtype == array.dtype and found.state[name].shape == array.shape
        assert found.state[name].tobytes() == array.tobytes()
    assert checkpoint.all_of(run) == [path]


def test_a_checkpoint_of_an_older_format_says_the_way_out(tmp_path, monkeypatch):
    run = RunDir.create(str(tmp_path / "run"), "")
    about = {"model": "toy", "origin": {}, "config": {}, "facts": {}, "device": "cpu", "data_checksum": 3, "step": 5}
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    path = checkpoint.save(run, checkpoint.Checkpoint(**about))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 1; this version of minigan reads format 3: train anew, or go on"):
        checkpoint.load(path)


def test_a_checkpoint_with_strange_values_is_refused(tmp_path):
    run = RunDir.create(str(tmp_path / "run"), "")
    about = {"model": "toy", "origin": {}, "config": {}, "facts": {}, "device": "cpu", "data_checksum": 3, "step": "12"}
    saved = checkpoint.Checkpoint(**about)
    saved.step = 5
    path = checkpoint.save(run, saved)
    assert checkpoint.load(path).step == 5
    with pytest.raises(CheckpointError, match="settings that are on one side only"):
        building.restored_config(path, references.resolve("toy"), checkpoint.load(path))


def test_settings_by_type():
    toy = references.resolve("toy")
    model, defaults = toy.model, settings.defaults(toy)
    config = settings.build(toy, {"lr": "1e-3", "width": "1_6", "data": "moons"})
    assert (config.lr, config.width, config.data) == (1e-3, 16, "moons")
    assert settings.parse("flag", "Yes", bool) is True and settings.parse("flag", "0", bool) is False
    with pytest.raises(UsageError, match="true or false"):
        settings.parse("flag", "maybe", bool)
    with pytest.raises(ValueError, match="lr: got 'x'"):
        settings.restore(model, {**defaults, "lr": "x"})
    assert settings.restore(model, {**defaults, "lr": 1}).lr == 1.0


def test_the_feed_gathers_straight_into_the_games_memory():
    model = gans.get("toy")(gans.get("toy").Config(batch_size=16, width=8), (2,))
    supply = needs.find("points", "ring8", seed=0)
    batches = feed.Feed(supply, model, "cpu")
    for step in range(3):  # seen twice, then replayed
        model.game.step(batches=batches(step))
    assert batches(3)[0] is model.game.buffer((16, 2))


def test_durations():
    assert [progress.duration(s) for s in (3.4, 185, 7800)] == ["3 s", "3 min 5 s", "2 h 10 min"]


def test_plain_progress_lines(capsys):
    shown = progress.Progress(100, 1000)
    shown.began -= 9.0
    shown.show(1000, {"discriminator": 1.2344, "generator": 0.8})
    shown.close()
    assert capsys.readouterr().err == "step 1000/1000  discriminator 1.234  generator 0.800  10 ms/step  ETA 0 s\n"


def test_interrupts_are_restored():
    import signal

    before = signal.getsignal(signal.SIGINT)
    with interrupts.Interrupts() as caught:
        os.kill(os.getpid(), signal.SIGINT)
        assert caught.received == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


# -- pictures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("features", [1, 2, 5])
def test_points_of_any_dimension_without_the_data(features):
    x = np.random.default_rng(0).normal(size=(50, features)).astype(np.float32)
    assert plots.painter("points", (features,)).picture(x, "step 1").dtype == np.uint8
    assert plots.painter("points", (features,)).picture(x[:1] * 0, "step 1").dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_image_pictures(channels):
    artist = plots.painter("images", (28, 28, channels))
    picture = artist.picture(np.zeros((64, 28, 28, channels), np.float32), "step 1")
    assert picture.shape[:2] == (484, 484)
    frame = artist.frame(picture, "step 1")
    assert frame.shape[:2] == (508, 484) and frame[484:].min() == 0 and frame[484:].max() == 255


def test_the_animation_leaves_broken_pictures_out(tmp_path):
    artist = plots.painter("images", (4, 4, 1))
    assert plots.save_progress(tmp_path, artist, 10) is None
    for step in range(4):
        shade = np.full((4, 4, 4, 1), step / 4, np.float32)
        plots.save_picture(plots.step_picture(tmp_path, step), artist.picture(shade, ""))
    plots.step_picture(tmp_path, 1).write_bytes(b"broken")
    assert plots.save_progress(tmp_path, artist, 3) == tmp_path / "progress.gif"
    with Image.open(tmp_path / "progress.gif") as image:
        assert image.n_frames == 3


def test_losses_without_rows_or_with_one(tmp_path):
    path = tmp_path / "losses.png"
    assert not plots.save_losses(path, [], ["generator"])
    assert not plots.save_losses(path, [{"step": 1, "generator": None}], ["generator"])
    assert plots.save_losses(path, [{"step": 1, "generator": 0.5}], ["generator"], EQUILIBRIUM["minimax"])
    assert path.is_file()


def test_smooth_is_a_mean():
    x = np.arange(10.0)
    assert np.allclose(plots.smooth(x, 3)[1:-1], x[1:-1]) and plots.smooth(x, 1).tolist() == x.tolist()


# -- what is no file -------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_device_is_neither_waited_for_nor_replaced(tmp_path, capsys):
    """Opening a pipe waits for a partner that never comes, and /dev/zero has no end; a rename would replace either."""
    run = rundir.RunDir.create(str(tmp_path / "run"), "")
    for name in ("config.json", "status.json", "metrics.jsonl", ".lock", "live.jsonl", "model.py", "x.npy", "x.png"):
        os.mkfifo(run.path / name)
    with pytest.raises(CheckpointError, match="is no regular file"):
        run.read_config()
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: cannot be read .* move it away"):
        run.read_metrics()
    assert run.read_status() == {} and run.told() == ""
    for write in (lambda: run.add_metrics({"step": 1}), run.lock, lambda: run.set_status("done", 1, 1)):
        with pytest.raises(OSError, match=r"no regular file|No such device"):
            write()
    for words in (["train", "model.py"], ["evaluate", "--features", "x.npy", "x.npy"], ["sample", ".", "--out", "x.npy"],
                  ["compare", ".", ".", "--out", "x.png"], ["plot", ".", "--csv", "x.npy"]):  # fmt: skip
        with contextlib.chdir(run.path):
            assert main(words) in (2, 4)
        said = capsys.readouterr().err
        assert "regular file" in said and "Traceback" not in said
    for place in (run.path / "x.npy", Path("/dev/null")):
        with pytest.raises(FileExistsError, match="is no regular file"):
            rundir.write_durably(place, lambda file: file.write(b"x"))
    assert Path("/dev/null").is_char_device() and (run.path / "x.npy").is_fifo()


@pytest.mark.parametrize("step", ["-5", "true", "1.5", "99999999999999999999", "null"])
def test_a_line_with_a_step_that_is_none_is_passed_over(step, tmp_path):
    run = rundir.RunDir.create(str(tmp_path / "run"), "")
    run.metrics.write_text(f'{{"step": {step}, "x": 1}}\n{{"step": 3, "x": 1e308, "y": -1e308, "z": 10e400}}\n')
    assert [row["step"] for row in run.read_metrics()] == [3]
    assert main(["plot", str(run.path), "--tensorboard", str(tmp_path / "tb")]) == 0  # a float32 has no 1e308
