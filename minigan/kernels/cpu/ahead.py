"""Compile the kernels of the convolutions in a second process, while the first compiles what comes before them in a step.

Numba compiles one function at a time in a process, so a second core stands idle at the very first start. Here
it goes through the same list from the other end. Both leave what they compiled in the cache on disk, where each looks first, so
they meet somewhere in the middle and at most one kernel is compiled twice.

    python -m minigan.kernels.cpu.ahead
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from minigan.kernels.cpu import conv as cpu_conv
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.compiler import LATER, Later


def conv_tasks() -> list[Later]:
    """The tasks of the convolutions, in the order of their files."""
    assert cpu_conv.DATA_MAPS  # importing it brings all of them
    return [task for task in LATER if "conv" in task.function.__module__]


def _start() -> subprocess.Popen[bytes] | None:
    """The second process; None where there is one processor only, or no process to be had. Then the first does all the work,
    as it does where the second fails."""
    command, quiet = [sys.executable, "-m", "minigan.kernels.cpu.ahead"], subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) if threads.THREADS > 1 else None
    except OSError:
        return None


@contextmanager
def second_process() -> Iterator[None]:
    """Compile in a second process while the block runs."""
    helper = _start()
    try:
        yield
    finally:
        if helper is not None:
            helper.terminate()
            helper.wait()


if __name__ == "__main__":
    for task in reversed(conv_tasks()):
        task()
