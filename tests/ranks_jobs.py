"""Jobs of several ranks: `mpiexec` of the MPI that mpi4py was built for, the processes that it starts, and what they said."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS = 120  # in which each job must end


def launcher() -> str | None:
    """`mpiexec` beside this Python, where the wheel of an MPI puts it, or on the PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE.parent), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI", "MPI_"))}
    return kept | {"PYTHONPATH": path, "MINIGAN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | more


class Job:
    """`mpiexec -n N python WORDS`."""

    def __init__(self, ranks: int, *words: Any, folder: Path, **more: str) -> None:
        command = [launcher(), "-n", str(ranks), sys.executable, *map(str, words)]
        self.said_to = folder / f"job-{time.monotonic_ns()}.txt"
        with open(self.said_to, "wb") as out:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=environment(**more), start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self.said_to.read_text(errors="replace")

    def ranks(self) -> list[int]:
        """The processes, as rank 0 tells them when all are there."""
        self.until(lambda: "ranks (0: process" in self.said())
        return [int(pid) for pid in re.findall(r"\d+: process (\d+) on", self.said())]

    def until(self, happened: Any) -> None:
        end = time.monotonic() + SECONDS
        while not happened():
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)

    def code(self, seconds: float = SECONDS) -> int:
        """How it ended; a job that does not end in time is killed, and the test fails."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"the job does not end within {seconds} s: {self.said()}") from None


def minigan(ranks: int, *words: Any, folder: Path, **more: str) -> Job:
    """`mpiexec -n N minigan WORDS`."""
    return Job(ranks, "-m", "minigan", *words, folder=folder, **more)
