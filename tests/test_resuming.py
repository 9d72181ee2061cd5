"""Runs that are stopped, killed, moved, disturbed and changed go on as if nothing had been."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minigan
from minigan.cli import main
from minigan.gans.protocol import ModelError
from minigan.kernels.cpu import threads
from minigan.run import checkpoint, gallery, loop, plots, recorder, rundir
from minigan.run.interrupts import Interrupts
from minigan.run.rundir import RunDir

TINY = ["--batch-size", "16", "--set", "width=8"]
ROOT = Path(minigan.__file__).parent.parent
MODEL = Path(__file__).parent / "sample_model.py"


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(autouse=True)
def _saved_by_schedule(judged_by_nothing):
    """What is counted here are the saves that a schedule, or a signal, asks for."""


@pytest.fixture(autouse=True)
def _without_pictures(request, monkeypatch):
    """They take longer than the training; those tests that are about them say so in their names."""
    if "pictures" not in request.node.name:
        monkeypatch.setattr(gallery.Gallery, "draw", lambda self, step: {})
        monkeypatch.setattr(plots, "save_losses", lambda *_: False)


def at_step(patched: pytest.MonkeyPatch, step: int, *then) -> None:
    """Let things happen when a run has done that many steps."""
    advance = loop.Loop.advance

    def advanced(self):
        advance(self)
        if self.step == step:
            for act in then:
                act()

    patched.setattr(loop.Loop, "advance", advanced)


def sent(*numbers: int):
    return lambda: [os.kill(os.getpid(), number) for number in numbers]


def lines(out: str) -> list[dict]:
    rows = [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "ms_per_step"} for row in rows]


def last(out: str) -> tuple[str, bytes]:
    path, _ = checkpoint.latest(RunDir.open(out))
    return path.name, path.read_bytes()


# -- bit for bit -----------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=min(settings().max_examples, 6))
@example(
    model="toy", optimizer="sgd", ema=0.0, pool=0, updates=1, a=1, b=1, second=0, count=1
)  # at the first checkpoint
@given(
    model=st.sampled_from([f"{MODEL}:{name}" for name in ("Anything", "Simultaneous", "Extragradient")] + ["toy"]),
    optimizer=st.sampled_from(["sgd", "momentum", "rmsprop", "adam", "adamw"]),
    ema=st.sampled_from([0.0, 0.9]), pool=st.sampled_from([0, 32]), updates=st.sampled_from([1, 2]),
    a=st.integers(1, 9), b=st.integers(1, 9), second=st.integers(0, 8), count=st.sampled_from([1, 2]),
)  # fmt: skip
def test_a_resumed_run_is_the_unbroken_one(model, optimizer, ema, pool, updates, a, b, second, count):
    """Every byte of the last checkpoint (weights, buffers, moments, averages, spectral vectors, pool, random state, position in
    the data, means under way, best so far) and of metrics.jsonl, for runs that were stopped once, or twice, anywhere."""
    own = [f"optimizer={optimizer}", f"pool={pool}", f"updates={updates}"] if model != "toy" else []
    words = ["train", model, "--steps", str(a + b), "--batch-size", "8", "--set", "width=4", f"ema={ema}", *own]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(threads, "THREADS", count)
        assert main([*words, "--out", "whole"]) == 0
        stops = sorted({a, min(a + second, a + b - 1)} - {0})
        for number, step in enumerate(stops):
            with patched.context() as stopping:
                at_step(stopping, step, sent(signal.SIGTERM))
                code = main([*words, "--out", "parts"] if not number else ["resume", "parts"])
                assert code == (143 if step < a + b else 0)
        assert main(["resume", "parts"]) == 0
        assert last("parts") == last("whole") and lines("parts") == lines("whole")
        if model != "toy":
            best = [checkpoint.best(RunDir.open(out)) for out in ("whole", "parts")]
            assert best[0][0].name == best[1][0].name and best[0][0].read_bytes() == best[1][0].read_bytes()


# -- killed ----------------------------------------------------------------------------------------------------------
def test_killed_runs_are_found_whole_and_go_on_to_the_same_bytes():
    """A few of what bench/kills.py does 200 times."""
    spec = importlib.util.spec_from_file_location("kills", ROOT / "bench" / "kills.py")
    kills = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = kills
    spec.loader.exec_module(kills)
    found = kills.trials(f"{MODEL}:Anything", 3, seed=1)
    assert all(trial.survived for trial in found) and any(trial.appeared for trial in found)
    assert "| survived | 3 |" in kills.report(found, "x")


def test_a_run_can_be_resumed_from_the_moment_that_it_can_be_seen(monkeypatch):
    seen = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda run, saved: (seen.append((os.path.exists("run"), saved.step)), save(run, saved))[1]
    )
    assert main(["train", "toy", "--steps", "100", "--save-every", "40", "--out", "run", *TINY]) == 0
    assert seen == [(False, 1), (True, 40), (True, 80), (True, 100)]
    assert os.listdir() == ["run"]


def test_saves_by_the_clock(monkeypatch):
    times, perf_counter = [], time.perf_counter
    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda run, saved: (times.append(perf_counter()), save(run, saved))[1])
    at_step(monkeypatch, 2, lambda: time.sleep(0.3))
    at_step(monkeypatch, 7, lambda: time.sleep(0.3))
    assert main(["train", "toy", "--steps", "4000", "--save-every", "0.25s", "--out", "run", *TINY]) == 0
    assert len(times) >= 4  # the first, after each sleep, and the last
    assert json.loads(Path("run/config.json").read_text())["save_every"] == "0.25s"
    assert main(["resume", "run", "--steps", "4001"]) == 0
    assert checkpoint.latest(RunDir.open("run"))[1].save_every == "0.25s"
    assert main(["resume", "run", "--steps", "4002", "--save-every", "1"]) == 0
    assert json.loads(Path("run/config.json").read_text())["save_every"] == "1"


# -- signals ---------------------------------------------------------------------------------------------------------
HUP, TERM, INT = signal.SIGHUP, signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize("pack", [[TERM], [HUP], [TERM, INT, TERM], [INT, INT, INT], [HUP, TERM, INT, HUP]])
@pytest.mark.parametrize("where", ["step", "save"])
def test_signals_close_together_never_lose_the_save(pack, where, monkeypatch, capfd):
    if where == "step":
        at_step(monkeypatch, 7, sent(*pack))
    else:  # the first at a step, the others in the middle of its save
        at_step(monkeypatch, 7, sent(pack[0]))
        durably = rundir.write_durably

        def disturbed(path, write):
            if path.name == "step-000007.npz":
                sent(*pack[1:])()
            durably(path, write)

        monkeypatch.setattr(checkpoint, "write_durably", disturbed)
    assert main(["train", "toy", "--steps", "5000", "--out", "run", *TINY]) == 128 + pack[0]
    assert last("run")[0] == "step-000007.npz"
    out, err = capfd.readouterr()
    assert "resume run" in out and "Traceback" not in err
    if where == "step":
        assert RunDir.open("run").read_status()["state"] == "interrupted"


def test_once_it_is_saved_a_second_signal_stops_at_once(monkeypatch, capfd):
    at_step(monkeypatch, 7, sent(INT))
    monkeypatch.setattr(plots, "save_losses", lambda *_: (sent(INT)(), time.sleep(5))[0])
    assert main(["train", "toy", "--steps", "5000", "--out", "run", *TINY]) == 130
    assert last("run")[0] == "step-000007.npz" and "some of the last pictures are missing" in capfd.readouterr().err


def test_before_training_a_second_signal_stops_at_once():
    before = signal.getsignal(INT)
    with pytest.raises(KeyboardInterrupt), Interrupts() as caught:
        os.kill(os.getpid(), INT)
        assert caught.received == INT and caught.code == 130
        os.kill(os.getpid(), INT)
    assert signal.getsignal(INT) is before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(HUP, signal.SIG_IGN)
    try:
        with Interrupts() as caught:
            os.kill(os.getpid(), HUP)
            assert not caught.received
    finally:
        signal.signal(HUP, before)


# -- what cannot be written ------------------------------------------------------------------------------------------
def test_pictures_and_logs_that_cannot_be_written_are_notes(monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    for owner, name in ((plots, "save_picture"), (plots, "save_losses"), (plots, "save_progress")):
        monkeypatch.setattr(owner, name, full)
    calls, add = [], RunDir.flush_metrics

    def now_and_then(self, **how):
        calls.append(how)
        if len(calls) in range(3, 15):
            full()
        add(self, **how)

    monkeypatch.setattr(RunDir, "flush_metrics", now_and_then)
    assert main(["train", "toy", "--steps", "40", "--out", "run", *TINY]) == 0
    assert [row["step"] for row in lines("run")] == list(range(2, 41, 2))  # none is lost
    said = capsys.readouterr().err
    assert said.count("pictures cannot be written") == 1 and said.count("metrics.jsonl cannot be written") == 1
    assert last("run")[0] == "step-000040.npz" and RunDir.open("run").read_state() == "done"


def test_a_line_that_does_not_fit_leaves_no_half_of_it(monkeypatch, tmp_path):
    run = RunDir(tmp_path)
    run.add_metrics({"step": 1, "x": 1.0})
    write, left = os.write, [7]

    def seven_bytes_then_none(handle, data):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[: left.pop()])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", seven_bytes_then_none)
        with pytest.raises(OSError, match="No space"):
            run.add_metrics({"step": 2, "x": 2.0})
    assert run.metrics.read_text() == '{"step": 1, "x": 1.0}\n'
    run.add_metrics({"step": 3, "x": 3.0})
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3]


@pytest.mark.parametrize("what", ["samples", "checkpoints", ".lock", "metrics.jsonl", "status.json", "."])
def test_whatever_is_removed_of_a_run_it_is_saved(what, monkeypatch, capsys):
    def remove():
        path = Path("run", what)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    at_step(monkeypatch, 15, remove)
    assert main(["train", "toy", "--steps", "20", "--out", "run", *TINY]) == 0
    assert last("run")[0] == "step-000020.npz" and RunDir.open("run").read_state() == "done"
    said = capsys.readouterr().err
    assert ("is made again" in said) == (what in ("checkpoints", ".lock", "."))
    assert main(["resume", "run", "--steps", "21"]) == 0


def test_a_folder_that_became_someone_elses_is_left_alone(monkeypatch, capsys):
    """Two processes on one run: the second one's folder has the name by now."""
    pytest.importorskip("fcntl")
    other = []

    def replaced():
        shutil.rmtree("run")
        other.append(RunDir.create("run", ""))
        child = os.fork()
        if not child:
            other[0].lock()
            Path("locked").touch()
            time.sleep(60)
            os._exit(0)
        other.append(child)
        while not Path("locked").exists():
            time.sleep(0.01)

    at_step(monkeypatch, 13, replaced)
    try:
        assert main(["train", "toy", "--steps", "20", "--out", "run", *TINY]) == 2
    finally:
        os.kill(other[1], signal.SIGKILL)
        os.waitpid(other[1], 0)
    assert "is training in this folder" in capsys.readouterr().err
    assert checkpoint.all_of(other[0]) == [] and not other[0].status.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_checkpoint_that_cannot_be_written_is_tried_again(number, monkeypatch, capsys):
    durably, calls = rundir.write_durably, []

    def disturbed(path, write):
        calls.append(path.name)
        if path.name in ("step-000008.npz", "step-000010.npz"):
            raise OSError(number, os.strerror(number))
        durably(path, write)

    monkeypatch.setattr(checkpoint, "write_durably", disturbed)
    assert main(["train", "toy", "--steps", "40", "--out", "run", *TINY]) == 0
    saved = list(dict.fromkeys(calls))
    assert saved[:4] == [f"step-{step:06d}.npz" for step in (1, 8, 10, 12)]  # and not 16 only
    assert capsys.readouterr().err.count("a checkpoint cannot be written") == 1


def test_where_nothing_can_be_saved_in_the_end_it_is_an_error(monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    at_step(monkeypatch, 3, lambda: monkeypatch.setattr(checkpoint, "write_durably", full))
    assert main(["train", "toy", "--steps", "10", "--out", "run", *TINY]) == 5
    said = capsys.readouterr().err
    assert "no room left on the disk" in said and "Traceback" not in said
    assert RunDir.open("run").read_state() == "failed" and last("run")[0] == "step-000002.npz"


class Unexpected(Exception):
    pass


@pytest.mark.parametrize("error", [Unexpected("x"), MemoryError("x"), ModelError("x"), RuntimeError("x")])
@pytest.mark.parametrize("where", ["pictures", "metrics"])
def test_whatever_fails_between_two_steps_the_run_is_saved_first(error, where, monkeypatch, capsys):
    from minigan.gans.toy import Toy

    def fail(self, real):
        if self.game.steps >= 5:
            raise error
        return {}

    monkeypatch.setattr(Toy, where, fail)
    code = main(["train", "toy", "--steps", "20", "--out", "run", *TINY])
    if where == "pictures" and isinstance(error, MemoryError):  # the training goes on without
        assert code == 0 and "pictures cannot be written (x)" in capsys.readouterr().err
        return
    assert code in (1, 4, 5)
    assert last("run")[0] == "step-000005.npz" and RunDir.open("run").read_state() == "failed"


def test_a_step_that_breaks_off_is_not_saved(monkeypatch, capsys):
    from minigan.game import Game

    step = Game.step

    def half(self, *args, **how):
        losses = step(self, *args, **how)
        if self.steps == 7:
            raise MemoryError("in the middle")
        return losses

    monkeypatch.setattr(Game, "step", half)
    assert main(["train", "toy", "--steps", "20", "--save-every", "3", "--out", "run", *TINY]) == 5
    assert last("run")[0] == "step-000006.npz"


# -- who trains here -------------------------------------------------------------------------------------------------
def test_a_run_that_goes_on_can_be_told_from_a_dead_one(monkeypatch, capsys):
    assert main(["train", "toy", "--steps", "4", "--out", "run", *TINY]) == 0
    run = RunDir.open("run")
    status = run.read_status()
    assert status["pid"] == os.getpid() and status["host"] and run.told() == ""
    run.set_status("running", 3, 10)
    assert "has died, after step 3 of 10" in run.told() and str(os.getpid()) in run.told()
    holder = RunDir.open("run")
    holder.lock()
    assert "is training here, at step 3 of 10" in run.told()
    capsys.readouterr()
    assert main(["sample", "run", "-n", "2", "--out", "x.npy"]) == 0
    assert "is training here" in capsys.readouterr().err
    assert main(["resume", "run", "--steps", "6"]) == 2
    assert f"process {os.getpid()} on" in capsys.readouterr().err
    holder.close()
    assert main(["resume", "run", "--steps", "6"]) == 0
    assert "has died" in capsys.readouterr().err
    run.set_status("running", 3, 10)
    monkeypatch.setattr(rundir.socket, "gethostname", lambda: "elsewhere")
    assert "cannot be seen from here" in run.told()
    assert main(["resume", "run", "--steps", "8"]) == 2  # it may well live: no lock reaches there
    os.utime(run.status, (0, 0))
    assert main(["resume", "run", "--steps", "8"]) == 0


def test_asking_who_trains_does_not_stop_one_who_begins():
    run, asked = RunDir.create("run", ""), threading.Event()
    run.set_status("running", 1, 2)
    (run.path / ".lock").touch()

    def ask():
        while not asked.is_set():
            run.told()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            RunDir.open("run").lock()
    finally:
        asked.set()
        asking.join()


# -- data that moved, settings that changed --------------------------------------------------------------------------
@pytest.fixture
def with_data(tmp_path, monkeypatch, capsys):
    """here/data/mine.npy and here/runs/run, trained on it for 4 steps."""
    (tmp_path / "here" / "data").mkdir(parents=True)
    np.save("here/data/mine.npy", np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32))
    words = ["train", "toy", "--data", "here/data/mine.npy", "--steps", "4", "--out", "here/runs/run", *TINY]
    assert main(words) == 0
    return tmp_path


def test_a_run_that_moved_with_its_data_finds_it(with_data, capsys):
    os.rename("here", "there")
    assert main(["resume", "there/runs/run", "--steps", "6"]) == 0
    said = capsys.readouterr().err
    assert f"{with_data}/there/data/mine.npy" in said and "is not what it was" not in said
    assert main(["sample", "there/runs/run", "-n", "3"]) == 0


def test_data_that_moved_alone_is_named(with_data, capsys):
    os.rename("here/data/mine.npy", "other.npy")
    assert main(["resume", "here/runs/run", "--steps", "6"]) == 4
    assert main(["resume", "here/runs/run", "--steps", "6", "--data", "other.npy"]) == 0
    assert main(["resume", "here/runs/run", "--steps", "8"]) == 0  # it is remembered
    np.save("other.npy", np.load("other.npy") + 1)
    capsys.readouterr()
    assert main(["resume", "here/runs/run", "--steps", "10", "--data", "other.npy"]) == 4
    assert "is not the data that the run was trained on" in capsys.readouterr().err
    assert last("here/runs/run")[0] == "step-000008.npz"


def test_settings_change_at_a_step_that_is_kept(capsys):
    assert main(["train", "toy", "--steps", "10", "--out", "run", *TINY]) == 0
    assert main(["resume", "run", "--steps", "20", "--set", "lr=1e-4", "beta1=0.5", "loss=hinge"]) == 0
    change = {"step": 10, "set": {"lr": 1e-4, "loss": "hinge"}, "was": {"lr": 2e-3, "loss": "non_saturating"}}
    written = json.loads(Path("run/config.json").read_text())
    assert written["config"]["lr"] == 1e-4 and written["changes"] == [change]
    assert checkpoint.latest(RunDir.open("run"))[1].changes == [change]
    told = [(row["step"], row["set.lr"], row["set.loss"]) for row in lines("run") if "set.lr" in row]
    assert told == [(11, 1e-4, "hinge")]
    assert main(["resume", "run", "--steps", "24"]) == 0  # and goes on so
    saved = checkpoint.latest(RunDir.open("run"))[1]
    assert saved.config["lr"] == 1e-4 and saved.changes == [change]


def test_a_change_survives_a_kill_before_the_next_checkpoint(monkeypatch, capsys):
    assert main(["train", "toy", "--steps", "10", "--out", "run", *TINY]) == 0
    before = Path("run/config.json").read_text()
    with monkeypatch.context() as patched:
        patched.setattr(recorder.Recorder, "recording", lambda self, first: 1 / 0)  # as far as a kill there would get
        assert main(["resume", "run", "--steps", "20", "--set", "lr=1e-4"]) == 1
    assert Path("run/config.json").read_text() == before  # which has not heard of it
    assert main(["resume", "run", "--steps", "20"]) == 0
    written = json.loads(Path("run/config.json").read_text())
    assert written["config"]["lr"] == 1e-4 and [c["step"] for c in written["changes"]] == [10]
    assert [row["step"] for row in lines("run") if row.get("set.lr") == 1e-4] == [11]


def test_a_change_is_undone_with_the_checkpoint_that_has_it(capsys):
    assert main(["train", "toy", "--steps", "10", "--out", "run", *TINY]) == 0
    assert main(["resume", "run", "--steps", "12", "--set", "lr=1e-4"]) == 0
    for step in (10, 12):
        checkpoint.path_of(RunDir.open("run"), step).write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["resume", "run", "--steps", "12"]) == 0
    assert "is not in the checkpoint and is undone" in capsys.readouterr().err
    assert json.loads(Path("run/config.json").read_text())["config"]["lr"] == 2e-3


@pytest.mark.parametrize(
    ("pair", "code", "said"),
    [
        ("lr=x", 2, "finite"), ("lr=-1", 2, "at least 0"), ("nonsense=1", 2, "unknown key"), ("steps=9", 2, "--steps"),
        ("data=moons", 2, "--data"), ("width=16", 2, "have no place"), ("ema=0", 2, "have no place"), ("lr", 2, "key=value"),
    ],
)  # fmt: skip
def test_settings_that_cannot_change(pair, code, said, capsys):
    if not Path("run").exists():
        assert main(["train", "toy", "--steps", "3", "--out", "run", *TINY]) == 0
    before = last("run")
    capsys.readouterr()
    assert main(["resume", "run", "--steps", "9", "--set", pair]) == code
    assert said in capsys.readouterr().err and last("run") == before
    assert json.loads(Path("run/config.json").read_text())["changes"] == []


@pytest.mark.parametrize("changes", [3, [1], [{}], [{"step": 1}], [{"step": 1, "set": 2, "was": {}}]])
def test_changes_that_were_edited(changes, capsys):
    assert main(["train", "toy", "--steps", "3", "--out", "run", *TINY]) == 0
    config = json.loads(Path("run/config.json").read_text())
    Path("run/config.json").write_text(json.dumps({**config, "changes": changes}))
    assert main(["resume", "run", "--steps", "9"]) == 4
    assert "is not what was written for this run" in capsys.readouterr().err


# -- streams that are closed -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, tmp_path):
    """What is opened in their place would get their number, and what is written to stderr."""
    words = f"exec {sys.executable} -m minigan train toy --steps 4 --out run {' '.join(TINY)} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        ["sh", "-c", words], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert process.returncode == 0 and "Traceback" not in process.stderr and "Traceback" not in process.stdout
    assert last("run")[0] == "step-000004.npz" and len(lines("run")) == 4
