"""Every command with wrong input: the exit code says what was wrong, at once and without a traceback."""

import os

import pytest

from minigan import room
from minigan.cli import COMMANDS, main
from minigan.run import building

USAGE, BAD, NO_ROOM = 2, 4, 5
LONG = "x" * 300

CASES = [
    (USAGE, "train nosuch"), (USAGE, "train toy --steps x"), (USAGE, "train toy --steps -1"), (USAGE, "train toy --nosuch"),
    (USAGE, "train toy --out file"), (USAGE, "train toy --out file/run"), (USAGE, "train toy --out full"),
    (USAGE, f"train toy --out {LONG}"), (USAGE, "train toy --out /proc/run"), (USAGE, "train toy --out /dev/null/run"),
    (USAGE, "train toy --out a\0b"), (USAGE, "train toy --set width"), (USAGE, "train toy --set nosuch=1"),
    (USAGE, "train toy --set width=1e9x"), (USAGE, "train toy --set loss_bound=-1"), (USAGE, "train toy --device tpu"),
    (USAGE, "train mlp --data ring8"), (BAD, "train toy --data nosuch"), (BAD, "train toy --data file"),
    (USAGE, "train nosuch.py"), (NO_ROOM, "train toy --set width=1000000000"),
    (NO_ROOM, "train dcgan --set features=100000000"),
    (BAD, "resume nosuch"), (BAD, "resume file"), (BAD, "resume full"), (USAGE, "resume"),
    (BAD, "sample nosuch"), (USAGE, "sample full -n 0"), (USAGE, "sample full -n x"), (BAD, "sample full"),
    (BAD, "plot nosuch"), (BAD, "plot file"), (BAD, "plot full"), (USAGE, "plot"), (USAGE, "plot run --csv nowhere/m.csv"),
    (BAD, "diagnose nosuch"), (BAD, "diagnose file"), (BAD, "diagnose full"), (BAD, "diagnose run"), (USAGE, "diagnose"),
    (USAGE, "diagnose run --held_out x"),
    (BAD, "evaluate nosuch"), (BAD, "evaluate file"), (BAD, "evaluate full"), (USAGE, "evaluate"),
    (USAGE, "evaluate run --features a.npy b.npy"), (BAD, "evaluate --features a.npy file"), (USAGE, "compare"),
    (USAGE, "compare run"), (BAD, "compare nosuch file"), (USAGE, "compare run run --out nowhere/c.png"),
    (BAD, "best nosuch"), (BAD, "best full"), (BAD, "best run"), (USAGE, "best"),
    (USAGE, "export run"), (USAGE, "export run --safetensors w.npz"), (BAD, "export nosuch --safetensors w.safetensors"),
    (BAD, "export run --safetensors w.safetensors"), (USAGE, "train toy --save-every x"), (USAGE, "train toy --out loose"),
    (USAGE, "train toy --out loose/run"), (USAGE, f"train toy --out new/{LONG}"), (USAGE, "train toy --out full/../full"),
    (USAGE, "models x"), (USAGE, "datasets x"), (USAGE, "doctor x"), (USAGE, "nosuch"), (USAGE, "--nosuch"),
    (BAD, "lab nosuch"), (BAD, "lab file"), (BAD, "lab full"), (USAGE, "lab --port x"), (USAGE, "lab --port 0"),
    (USAGE, "lab --no-brows"), (USAGE, "lessons nosuch"), (USAGE, "completion"), (USAGE, "completion fish"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no run, no data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("")
    (tmp_path / "loose").symlink_to("nowhere")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')


@pytest.mark.parametrize(("code", "words"), CASES, ids=[words[:40].replace("\0", "0") for _, words in CASES])
def test_wrong_input(code, words, capsys, monkeypatch, tmp_path):
    if code != NO_ROOM:  # a model is refused while it is made
        monkeypatch.setattr(
            building, "kernel_phase", lambda *_, **__: pytest.fail("kernels before the input was checked")
        )
    else:
        monkeypatch.setattr(room, "available", lambda device="cpu": 2**30)
    before = sorted(os.walk(tmp_path))
    assert main(words.split(" ")) == code
    said = capsys.readouterr()
    if code == NO_ROOM:  # the layer, what it needs, what there is
        assert "Dense(" in said.err and "1.0 GiB are free" in said.err
    assert "Traceback" not in said.err and "internal error" not in said.err and said.err and not said.out
    assert sorted(os.walk(tmp_path)) == before  # nothing is left behind


def test_every_command_is_tried():
    assert {words.split()[0] for _, words in CASES} >= set(COMMANDS)


def test_a_good_folder_is_left_as_it_was(tmp_path):
    from minigan.run.rundir import check_free

    check_free(str(tmp_path / "a" / "b" / "c"))
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    check_free(str(tmp_path / "a" / "b"))
    check_free(str(tmp_path / "a" / "b" / ".." / ".." / "c"))
    assert os.listdir(tmp_path / "a") == [] and not (tmp_path / "c").exists()
