"""What holds for every model, through the command line: one seed, one hash; a resumed run is the unbroken one; a best."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import words
from test_resuming import _without_pictures, at_step, last, lines, sent

from minigan import gans
from minigan.cli import main
from minigan.gans.protocol import makes_examples
from minigan.kernels.cpu import threads
from minigan.run import checkpoint
from minigan.run.rundir import RunDir

pytestmark = [
    pytest.mark.usefixtures("own_folder", _without_pictures.__name__),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def hashed(out: str) -> str:
    """Of all state in the last checkpoint, and of the lines of metrics.jsonl."""
    state = checkpoint.latest(RunDir.open(out))[1].state
    told = json.dumps(lines(out), sort_keys=True).encode()
    return hashlib.sha256(b"".join(n.encode() + state[n].tobytes() for n in sorted(state)) + told).hexdigest()


@pytest.mark.parametrize("name", gans.MODELS)
def test_one_seed_is_one_hash_and_a_resumed_run_is_the_unbroken_one(name, tmp_path, monkeypatch):
    """A run with one thread, with two, and with two one that is stopped and resumed. The third step is a replay."""
    run, hashes = words(name, tmp_path), []
    for count in (1, 2):
        monkeypatch.setattr(threads, "THREADS", count)
        monkeypatch.setattr(threads, "_pool", None)
        assert main([*run, "--steps", "5", "--out", f"with{count}"]) == 0
        hashes.append(hashed(f"with{count}"))
    assert len(set(hashes)) == 1
    monkeypatch.setattr(threads, "THREADS", 2)
    with monkeypatch.context() as stopping:
        at_step(stopping, 3, sent(signal.SIGTERM))
        assert main([*run, "--steps", "5", "--out", "parts"]) == 143
    assert main(["resume", "parts"]) == 0
    assert last("parts") == last("with2") and lines("parts") == lines("with2")
    saved = checkpoint.latest(RunDir.open("parts"))[1]
    assert bool(saved.best) == (gans.get(name).best is not None)
    assert not saved.best or saved.best["name"] in lines("parts")[saved.best["step"] - 1]


@settings(max_examples=min(settings().max_examples, 4))
@given(data=st.data(), name=st.sampled_from(list(gans.MODELS)), count=st.sampled_from([1, 2]), cut=st.integers(1, 8))
def test_a_run_of_any_model_resumes_to_the_same_bytes(tmp_path_factory, data, name, count, cut):
    folder = tmp_path_factory.mktemp("any")
    steps = cut + data.draw(st.integers(1, 4))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(threads, "THREADS", count)
        run = words(name, folder)
        assert main([*run, "--steps", str(steps), "--out", "whole"]) == 0
        with patched.context() as stopping:
            at_step(stopping, cut, sent(signal.SIGTERM))
            assert main([*run, "--steps", str(steps), "--out", "parts"]) == 143
        assert main(["resume", "parts"]) == 0
        assert last("parts") == last("whole") and lines("parts") == lines("whole")
        if gans.get(name).best is None:
            return
        best = [checkpoint.best(RunDir.open(out))[0] for out in ("whole", "parts")]
        assert best[0].name == best[1].name and best[0].read_bytes() == best[1].read_bytes()


@pytest.mark.parametrize("name", [name for name in gans.MODELS if not makes_examples(gans.get(name))])
def test_what_makes_no_examples_offers_none_and_says_what_to_ask_for(name, tmp_path, capsys):
    assert main([*words(name, tmp_path), "--steps", "3", "--out", "run"]) == 0
    told = capsys.readouterr().out
    assert "minigan evaluate run" in told.replace("python -m ", "") and " sample " not in told
    for command in (["sample", "run"], ["sample", "run", "--best", "-n", "3", "--out", "x.npy"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "makes no examples" in said and "evaluate run" in said and "plot run" in said
    assert not Path("x.npy").exists()
    assert main(["best", "run"]) == 0
    assert " sample " not in capsys.readouterr().out
    assert main(["evaluate", "run"]) == 0 and main(["compare", "run", "run"]) == 0 and main(["plot", "run"]) == 0
    assert "own checks met" in capsys.readouterr().out and not Path("compare.png").exists()
