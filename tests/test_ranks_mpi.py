"""Jobs of several processes: equal numbers, refusals, ranks that are killed. Each job costs the start of its processes."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest
from ranks_jobs import HERE, Job, launcher, minigan
from test_resuming import last, lines
from tiny_runs import TINY

from minigan.cli import main
from minigan.run import checkpoint
from minigan.run.rundir import RunDir

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or launcher() is None,
    reason="needs mpi4py and an MPI: pip install -e '.[distributed]'",
)
RUN = ["train", "toy", *TINY, "--live-every", "0", "--out", "run"]
ENDLESS = [*RUN, "--steps", "1000000", "--save-every", "20"]


def test_ranks_compute_what_one_does(tmp_path):
    job = Job(3, HERE / "ranks_session.py", folder=tmp_path)
    assert job.code() == 0 and "all ranks agree" in job.said(), job.said()


def test_a_killed_rank_ends_the_job_by_name_and_another_number_of_ranks_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = minigan(3, *ENDLESS, "--reduce", "ordered:4", folder=tmp_path)
    pids = job.ranks()
    job.until(lambda: len(list(Path("run").glob("checkpoints/step-*"))) > 1)
    os.kill(pids[1], signal.SIGKILL)
    began = time.monotonic()
    assert job.code(20) != 0 and time.monotonic() - began < 10
    assert f"(process {pids[1]}) has ended before the run did" in job.said() and "rank 1 of 3" in job.said()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    step = checkpoint.latest(RunDir.open("run"))[1].step
    assert 0 < step < 1000000
    # the rest of the run on two ranks, and the whole of it on one: the same bytes
    again = minigan(2, "resume", "run", "--steps", step + 5, folder=tmp_path)
    assert again.code() == 0, again.said()
    assert main([*RUN[:-1], "one", "--steps", str(step + 5), "--save-every", "20", "--reduce", "ordered:4"]) == 0
    assert [a for a in lines("run") if a["step"] == step + 5] == [a for a in lines("one") if a["step"] == step + 5]
    states = [checkpoint.latest(RunDir.open(run))[1].state for run in ("run", "one")]
    assert last("run")[0] == last("one")[0] and all((states[0][name] == states[1][name]).all() for name in states[0])


def test_a_rank_that_cannot_go_on_says_so_by_name(tmp_path):
    """Rank 1 finds no data; and ranks with different options refuse each other."""
    (tmp_path / "odd.py").write_text(
        "import os, sys\n"
        "from minigan.cli import main\n"
        "words = sys.argv[2:]\n"
        "if os.environ.get('PMI_RANK', os.environ.get('OMPI_COMM_WORLD_RANK')) == '1':\n"
        "    words += sys.argv[1].split()\n"
        "sys.exit(main(words))\n"
    )
    for more, code, said in (
        ("--seed 5", 2, "rank 1 of 2 on"),
        ("--data nowhere.npy", 4, "rank 1 of 2 on"),
    ):
        job = Job(2, "odd.py", more, *RUN, "--steps", "5", folder=tmp_path)
        assert job.code() == code, job.said()
        assert said in job.said() and ("option seed" in job.said() or "nowhere.npy" in job.said())
        assert not (tmp_path / "run").exists()


def test_a_signal_to_one_rank_stops_all_at_one_step_after_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = minigan(2, *ENDLESS, folder=tmp_path)
    pids = job.ranks()
    job.until(lambda: Path("run").exists())
    os.kill(pids[1], signal.SIGTERM)
    assert job.code() == 143, job.said()
    assert "to go on" in job.said() and RunDir.open("run").read_state() == "interrupted"


@pytest.mark.slow
def test_twenty_kills_are_survived(tmp_path, monkeypatch):
    """Whichever rank is killed, and whenever: the job ends, the last checkpoint is whole, and ranks of another number go on."""
    monkeypatch.chdir(tmp_path)
    done = 0
    for kill in range(20):
        words = ["resume", "run", "--steps", "1000000"] if done else ENDLESS
        job = minigan(2 + kill % 2, *words, folder=tmp_path)
        pids = job.ranks()
        job.until(lambda: "training toy" in job.said())  # noqa: B023
        time.sleep(0.1 * (kill % 7))
        os.kill(pids[kill % len(pids)], signal.SIGKILL)
        assert job.code(20) != 0
        step = checkpoint.latest(RunDir.open("run"))[1].step
        assert step >= done and "has ended before the run did" in job.said()
        done = step
    assert done > 0
