"""Checkpoints: damaged, copied, interrupted anywhere, best, exported."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import shutil
import tempfile

import numpy as np
import pytest
from tiny_runs import TINY

from minigan.cli import main
from minigan.data import base
from minigan.gans.protocol import ModelError
from minigan.run import checkpoint, evaluation, rundir, safetensors
from minigan.run.checkpoint import Checkpoint, DamagedError
from minigan.run.contest import Contest
from minigan.run.errors import CheckpointError, UsageError
from minigan.run.rundir import RunDir
from minigan.run.schedule import Schedule

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def run(finished, tmp_path, capsys, judged_by_nothing):
    """A copy of it, as `run` in the present folder."""
    return RunDir.open(str(shutil.copytree(finished, tmp_path / "run")))


def tiny(step: int, **more) -> Checkpoint:
    state = {"a/b": np.arange(12, dtype=np.float32).reshape(3, 4), "c/d": np.array(step)}
    return Checkpoint(
        model="toy", origin={"module": "minigan.gans.toy:Toy"}, config={"lr": 0.1}, facts={"shapes": {}, "classes": {}},
        device="cpu", data_checksum=7, step=step, state=more.pop("state", state), **more,
    )  # fmt: skip


def steps_of(run: RunDir) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in checkpoint.all_of(run)]


# -- the seal --------------------------------------------------------------------------------------------------------
def test_no_bit_of_a_checkpoint_can_flip_and_no_byte_be_missing_or_added():
    run = RunDir.create("run", "")
    path = checkpoint.save(run, tiny(5))
    raw = path.read_bytes()
    assert not checkpoint._broken_seal(io.BytesIO(raw))
    flipped = bytearray(raw)
    for place, bit in itertools.product(range(len(raw)), range(8)):  # every single one
        flipped[place] ^= 1 << bit
        assert checkpoint._broken_seal(io.BytesIO(flipped))
        flipped[place] ^= 1 << bit
    for length in range(len(raw)):
        assert checkpoint._broken_seal(io.BytesIO(raw[:length]))
    rng = np.random.default_rng(0)
    for trial in range(120):  # and as `resume` would see them
        place, bit = rng.integers(len(raw)), rng.integers(8)
        damaged = bytearray(raw)
        damaged[place] ^= 1 << bit
        path.write_bytes([damaged, raw[:place], raw + raw[:place] + b"\0"][trial % 3])
        with pytest.raises(DamagedError, match=path.name):
            checkpoint.load(path)
    path.write_bytes(raw)
    assert checkpoint.load(path).step == 5


def test_a_checkpoint_is_an_archive_that_others_can_read_and_verify():
    import hashlib
    import zipfile

    path = checkpoint.save(RunDir.create("run", ""), tiny(5))
    raw = path.read_bytes()
    assert raw[-65:] == hashlib.sha256(raw[:-65]).hexdigest().encode() + b"\n"
    with np.load(path, allow_pickle=False) as archive:
        assert archive["a/b"].tolist() == np.arange(12.0).reshape(3, 4).tolist()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and archive.comment == raw[-65:]


def test_the_same_contents_are_the_same_bytes():
    first, second = (checkpoint.save(RunDir.create(name, ""), tiny(5)).read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    "state",
    [{"a": np.array([{}], dtype=object)}, {"about": np.zeros(3)}, {"a\0b": np.zeros(3)}, {"a": None}],
)
def test_what_would_be_pickled_or_lose_its_name_is_refused_before_it_is_written(state):
    run = RunDir.create("run", "")
    with pytest.raises(ModelError, match="expected an array of numbers"):
        checkpoint.save(run, tiny(5, state=state))
    assert os.listdir(run.checkpoints) == []


def test_a_checkpoint_without_a_seal_is_of_an_older_format(run):
    path = checkpoint.all_of(run)[-1]
    saved = checkpoint.load(path)
    about = {**saved.about(), "format": 2, "sha256": "0" * 64}
    np.savez(path, **saved.state, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
    with pytest.raises(CheckpointError, match="format 2; this version of minigan reads format 3") as caught:
        checkpoint.load(path)
    assert not isinstance(caught.value, DamagedError)
    assert main(["resume", "run"]) == 4  # and no older one is taken in its place


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
def test_what_is_no_file_is_no_checkpoint(kind, run, capsys):
    path = checkpoint.path_of(run, 11)
    make = {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link to nothing": lambda: path.symlink_to("x")}
    make[kind]()
    assert main(["resume", "run", "--steps", "10"]) == 0
    assert "step-000011.npz" in capsys.readouterr().err


# -- a damaged newest, and copies ------------------------------------------------------------------------------------
def test_a_damaged_newest_falls_back_to_the_one_before_and_says_so(run, capsys):
    whole = checkpoint.load(checkpoint.path_of(run, 10))
    path = checkpoint.path_of(run, 10)
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["sample", "run", "-n", "3", "--out", "x.npy"]) == 0
    said = capsys.readouterr()
    assert "step-000010.npz" in said.err and "step-000008.npz before it is whole" in said.err
    assert "step-000008.npz" in said.out
    assert main(["resume", "run"]) == 0
    again = checkpoint.load(path)
    assert again.about() == whole.about() and all(np.array_equal(again.state[k], whole.state[k]) for k in whole.state)


def test_when_all_are_damaged_nothing_is_used(run, capsys):
    for path in checkpoint.all_of(run):
        path.write_bytes(b"x" * 500)
    assert main(["resume", "run"]) == 4
    assert capsys.readouterr().err.count("do not match the SHA-256") == 3


def test_a_renamed_copy_is_not_used_and_pushes_nothing_out(run, capsys):
    true = checkpoint.path_of(run, 10).read_bytes()
    for step in (11, 500, 999_999, 1_000_000):
        checkpoint.path_of(run, step).write_bytes(true)
    for name in ("step-10.npz", "step-0000010.npz", "step-x.npz", "best.npz"):
        (run.checkpoints / name).write_bytes(true)
    path, saved = checkpoint.latest(run)
    assert (path.name, saved.step) == ("step-000010.npz", 10)
    assert "which its name does not say" in capsys.readouterr().err
    assert main(["resume", "run", "--steps", "20"]) == 0
    assert checkpoint.latest(run)[1].step == 20
    assert {12, 16, 20} < set(steps_of(run)) and checkpoint.path_of(run, 500).exists()  # what is not ours stays


def test_the_one_just_saved_is_never_removed():
    run = RunDir.create("run", "")
    for step in (100, 200, 300, 400, 7):
        checkpoint.save(run, tiny(step))
    assert steps_of(run) == [7, 200, 300, 400]


def test_the_newest_stay_and_the_best_that_they_know_of():
    run = RunDir.create("run", "")
    best = {}
    for step in range(1, 9):
        best = {"name": "x", "step": step, "value": 1.0} if step in (2, 6) else best
        checkpoint.save(run, tiny(step, best=best))
        newest = list(range(max(1, step - 2), step + 1))
        known = {2 if s < 6 else 6 for s in newest if s >= 2}
        assert set(steps_of(run)) == {*newest, *known}
    assert checkpoint.best(run)[1].step == 6


def test_files_that_vanish_while_they_are_looked_for(monkeypatch):
    """A run that goes on removes old checkpoints, and makes new ones."""
    run = RunDir.create("run", "")
    checkpoint.save(run, tiny(1))
    load = checkpoint.load

    def removed_meanwhile(path):
        if path.name == "step-000001.npz":
            checkpoint.save(run, tiny(2))
            path.unlink()
        return load(path)

    monkeypatch.setattr(checkpoint, "load", removed_meanwhile)
    assert checkpoint.latest(run)[1].step == 2


# -- a crash, or an error, anywhere in a save ------------------------------------------------------------------------
class Counted:
    """Lets the system calls of a save through, up to one of them."""

    def __init__(self, monkeypatch, last: int, then) -> None:
        self.left, self.then = last, then
        for name in ("fsync", "replace", "chmod", "open", "close", "unlink", "umask"):
            monkeypatch.setattr(os, name, self.through(getattr(os, name)))
        monkeypatch.setattr(tempfile, "mkstemp", self.through(tempfile.mkstemp))
        fdopen = os.fdopen

        def opened(handle, mode):
            file = fdopen(handle, mode)
            write = file.write

            def half(data):
                self.tick(lambda: (write(bytes(data)[: len(data) // 2]), file.flush()))
                return write(data)

            return _Writer(file, half)

        monkeypatch.setattr(os, "fdopen", opened)

    def tick(self, before=lambda: None) -> None:
        self.left -= 1
        if self.left == 0:
            before()
            self.then()

    def through(self, function):
        def call(*args, **kwargs):
            self.tick()
            return function(*args, **kwargs)

        return call


class _Writer:
    """A file whose every write counts."""

    def __init__(self, file, write) -> None:
        self._file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def flush(self):
        self._file.flush()

    def fileno(self):
        return self._file.fileno()


def saved_with(monkeypatch, run: RunDir, last: int, then) -> bool:
    """Save step 4 with something happening at the `last`-th system call; returns whether it came to that."""
    with monkeypatch.context() as patched:
        counted = Counted(patched, last, then)
        with contextlib.suppress(OSError):
            checkpoint.save(run, tiny(4))
    return counted.left <= 0


def three(name: str) -> RunDir:
    run = RunDir.create(name, "")
    for step in (1, 2, 3):
        checkpoint.save(run, tiny(step))
    return run


def test_a_crash_anywhere_in_a_save_leaves_a_whole_checkpoint(monkeypatch):
    """os._exit in the middle, as SIGKILL would, at each open, write, fsync, rename and removal."""
    pytest.importorskip("fcntl")
    whole, found = three("run"), []
    for last in itertools.count(1):
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree(whole.path, "copy")
        run = RunDir.open("copy")
        child = os.fork()
        if not child:
            try:
                saved_with(monkeypatch, run, last, lambda: os._exit(9))
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (1, 9)
        step = checkpoint.latest(run)[1].step
        found.append(step)
        run.remove_parts()
        checkpoint.save(run, tiny(5))  # and the next one goes on from there
        assert checkpoint.latest(run)[1].step == 5 and not list(run.path.rglob("*.part"))
        if code == 1:
            break
    assert found[0] == 3 and found[-1] == 4 and sorted(found) == found and len(found) > 25


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_anywhere_in_a_save_leaves_a_whole_checkpoint(number, monkeypatch):
    whole, saved = three("run"), []
    for last in itertools.count(1):
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree(whole.path, "copy")
        run = RunDir.open("copy")

        def fail():
            raise OSError(number, os.strerror(number))

        came = saved_with(monkeypatch, run, last, fail)
        saved.append(checkpoint.latest(run)[1].step)
        assert saved[-1] >= 3
        if not came:
            break
    assert saved[-1] == 4 and len(saved) > 25
    if number == errno.ENOSPC:  # older ones made room, and the second attempt succeeded
        assert saved.count(4) > len(saved) - 4


def test_a_full_disk_takes_the_older_ones_first_but_not_the_best(monkeypatch, capsys):
    run = RunDir.create("run", "")
    for step in (1, 2, 3):
        checkpoint.save(run, tiny(step, best={"name": "x", "step": 1, "value": 0.5}))
    durably, calls = rundir.write_durably, []

    def full_once(path, write):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        durably(path, write)

    monkeypatch.setattr(checkpoint, "write_durably", full_once)
    checkpoint.save(run, tiny(4, best={"name": "x", "step": 1, "value": 0.5}))
    assert steps_of(run) == [1, 3, 4] and "the disk is full" in capsys.readouterr().err


def test_what_is_written_and_renamed_is_on_the_disk(monkeypatch):
    """The file before its name, and the folder after it."""
    run, seen = RunDir.create("run", ""), []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda h: (seen.append(os.readlink(f"/proc/self/fd/{h}")), fsync(h))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append("rename"), replace(a, b))[1])
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    checkpoint.save(run, tiny(1))
    assert [".part" in seen[0], *seen[1:]] == [True, "rename", os.path.realpath(run.checkpoints)]


def test_a_temporary_file_that_vanished_does_not_hide_what_went_wrong(tmp_path):
    def fail(file):
        os.unlink(file.name if isinstance(file.name, str) else next(tmp_path.glob("*.part")))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        base.write_atomically(tmp_path / "x", fail)


# -- when to save, and which is the best -----------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["", "0", "-5", "x", "5m", "0s", "-1s", "nans", "infs", "1.5", "s", "5 s s"])
def test_bad_schedules(text, tmp_path):
    with pytest.raises(UsageError, match=r"steps \(500\), or of seconds \(30s\)"):
        Schedule.parse(text)


def test_schedules():
    assert Schedule.parse("500").steps == 500 and Schedule.parse(" 0.5S ").seconds == 0.5
    every = Schedule.parse("10").of(1000)
    assert not every.due(9, 1, 0) and every.due(10, 1, 0) and not every.due(10, 10, 0) and every.due(12, 9, 0)
    assert Schedule().of(100).steps == 20 and Schedule().of(3).steps == 1


def test_the_contest():
    contest = Contest("max share", {})
    assert not contest.improved({"step": 1, "share": float("nan")})
    assert contest.improved({"step": 2, "share": 0.5}) and contest.best == {}
    contest.settle(3)  # the checkpoint of step 2 was not written: it is not the best
    assert contest.best == {} and contest.claimed(2) == {}
    assert contest.improved({"step": 4, "share": 0.25})
    contest.settle(4)
    assert contest.claimed(9) == {"name": "share", "step": 4, "value": 0.25}
    assert not contest.improved({"step": 5, "share": 0.25}) and contest.improved({"step": 6, "share": 0.26})
    assert Contest("min share", contest.best).improved({"step": 7, "share": 0.1})
    with pytest.raises(ModelError, match=r"judged by 'share', which no line of metrics.jsonl has: loss"):
        contest.improved({"step": 5, "loss": 1.0})


JUDGED = """
from minigan.gans.toy import Toy

class Judged(Toy):
    best = "max height"
    def pictures(self, real):
        return {}
    def metrics(self, real):
        return {"height": {1: 0.0, 2: 5.0, 3: 9.0, 4: 7.0}.get(self.game.steps, 1.0)}
"""


def test_the_best_is_kept_beside_the_last(tmp_path, capsys):
    (tmp_path / "judged.py").write_text(JUDGED)
    assert main(["train", "judged.py", "--steps", "20", "--out", "run", *TINY]) == 0
    run = RunDir.open("run")
    assert steps_of(run) == [3, 12, 16, 20]
    capsys.readouterr()
    assert main(["best", "run"]) == 0
    assert "step-000003.npz: height 9 at step 3, the best up to step 20" in capsys.readouterr().out
    assert main(["sample", "run", "--best", "-n", "4", "--out", "best.npy"]) == 0
    assert "step-000003.npz" in capsys.readouterr().out
    assert main(["sample", "run", "-n", "4", "--out", "last.npy"]) == 0
    assert not np.array_equal(np.load("best.npy"), np.load("last.npy"))
    assert main(["resume", "run", "--steps", "40"]) == 0
    assert steps_of(run) == [3, 24, 32, 40]
    checkpoint.path_of(run, 3).write_bytes(b"damaged")
    assert main(["best", "run"]) == 4  # another is not taken for it
    assert main(["sample", "run", "-n", "4"]) == 0
    capsys.readouterr()
    assert list(evaluation.checkpoints_to_evaluate(run)) == ["last"] and "step-000003.npz" in capsys.readouterr().err


def test_the_best_is_evaluated_beside_the_last(tmp_path, capsys):
    (tmp_path / "judged.py").write_text(JUDGED)
    assert main(["train", "judged.py", "--steps", "20", "--out", "run", *TINY]) == 0
    chosen = evaluation.checkpoints_to_evaluate(RunDir.open("run"))
    assert {label: saved.step for label, (_, saved) in chosen.items()} == {"last": 20, "best": 3}
    capsys.readouterr()
    assert main(["evaluate", "run", "-n", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["checkpoints"]
    assert {label: each["step"] for label, each in found.items()} == {"last": 20, "best": 3}


def test_the_best_of_a_model_that_says_nothing_is_by_its_samples(capsys):
    assert main(["train", "toy", "--steps", "6", "--out", "run", *TINY]) == 0
    run = RunDir.open("run")
    capsys.readouterr()
    assert main(["best", "run"]) == 0
    assert ": sliced W1 " in capsys.readouterr().out
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    best = checkpoint.latest(run)[1].best
    assert best["value"] == min(row["sliced W1"] for row in rows) == rows[best["step"] - 1]["sliced W1"]


@pytest.mark.parametrize("how", ["None", "a number of samples, and there are none to compare with"])
def test_a_model_that_is_not_judged_has_no_best(how, tmp_path, capsys):
    more = "    best = None\n" if how == "None" else "    def sample(self, n, **asked): return np.zeros((n, 3))\n"
    text = JUDGED.replace('    best = "max height"\n', more)
    (tmp_path / "plain.py").write_text(f"import numpy as np\n{text}")
    assert main(["train", "plain.py", "--steps", "4", "--out", "plain", *TINY]) == 0
    capsys.readouterr()
    assert main(["best", "plain"]) == 4
    assert "by which number to judge" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["height", "best height", "max", 3])
def test_best_of_another_form(text, tmp_path, capsys):
    (tmp_path / "judged.py").write_text(JUDGED.replace('"max height"', repr(text)))
    assert main(["train", "judged.py", "--steps", "4", *TINY]) == 4
    assert 'no best that is "min NAME" or "max NAME"' in capsys.readouterr().err


# -- export ----------------------------------------------------------------------------------------------------------
def test_export_as_safetensors(run, capsys):
    assert main(["export", "run", "--safetensors", "weights.safetensors"]) == 0
    assert "read back and compared" in capsys.readouterr().out
    arrays, metadata = safetensors.read(run.path.parent / "weights.safetensors")
    state = checkpoint.latest(run)[1].state
    wanted = {name for name in state if name.startswith(("generator/", "discriminator/", "average/"))}
    assert arrays.keys() == wanted and {name.split("/")[0] for name in wanted} == {
        "generator",
        "discriminator",
        "average",
    }
    for name, array in arrays.items():
        assert array.dtype == state[name].dtype and np.array_equal(array, state[name]), name
    assert metadata["model"] == "toy" and metadata["step"] == "10"
    reader = pytest.importorskip("safetensors.numpy")
    theirs = reader.load_file("weights.safetensors")
    assert theirs.keys() == arrays.keys() and all(np.array_equal(theirs[k], arrays[k]) for k in arrays)


def test_export_overwrites_nothing_and_knows_its_name(run, capsys):
    (run.path.parent / "there.safetensors").write_bytes(b"mine")
    for name in ("there.safetensors", "x.npz", "no/where.safetensors", "a\0b.safetensors", ""):
        assert main(["export", "run", "--safetensors", name]) == 2
    assert (run.path.parent / "there.safetensors").read_bytes() == b"mine"
    assert main(["export", "run"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_safetensors_of_every_dtype_and_shape(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 2, (2, 3)).astype(name) for name in safetensors.DTYPES}
    arrays |= {"none": np.empty((0, 3), np.float32), "one": np.array(7.0), "turned": np.arange(6.0).reshape(2, 3).T}
    arrays["big"] = np.arange(3, dtype=">f4")
    with open(tmp_path / "x.safetensors", "wb") as file:
        safetensors.write(file, arrays, {"a": "b"})
    found, metadata = safetensors.read(tmp_path / "x.safetensors")
    assert metadata == {"a": "b"} and found.keys() == arrays.keys()
    assert all(np.array_equal(found[k], arrays[k]) and found[k].shape == arrays[k].shape for k in arrays)
    raw = (tmp_path / "x.safetensors").read_bytes()
    assert int.from_bytes(raw[:8], "little") % 8 == 0
    reader = pytest.importorskip("safetensors.numpy")
    theirs = reader.load_file(tmp_path / "x.safetensors")
    assert all(np.array_equal(theirs[k], arrays[k]) for k in arrays)
    for broken in (raw[:-1], raw + b"\0", raw[:20], b"", raw[8:], raw.replace(b"F64", b"F99")):
        (tmp_path / "y.safetensors").write_bytes(broken)
        with pytest.raises(ValueError, match=r"safetensors|bytes|offsets"):
            safetensors.read(tmp_path / "y.safetensors")
    with pytest.raises(ValueError, match="complex128"):
        safetensors.write(io.BytesIO(), {"x": np.zeros(2, complex)}, {})
