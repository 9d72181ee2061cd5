"""How a process finds out that it is one of several, and what it does when another one is gone.

MPI is imported only where a launcher has started the process (see `minigan.launched`): `mpiexec` of MPICH (and others that speak
PMI), `mpiexec` of Open MPI, or `srun`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from minigan import launched
from minigan.launched import LaunchError
from minigan.ranks.communicators import MPI, Communicator

INSTALL = "pip install 'minigan[distributed]'"
LOOK_EVERY = 0.25  # seconds, where the system does not tell at once that a process has ended
GRACE = 0.005  # seconds; launchers that end the other ranks themselves, without a name, need some 100 ms


def connect() -> Communicator | None:
    """The ranks that were started together; None where this process is alone.

    Raises:
        LaunchError: mpi4py is missing, or belongs to another MPI than the launcher.
    """
    count = launched.count()
    if count == 1:
        return None
    try:
        found = MPI()
    except ImportError as error:
        raise LaunchError(
            f"this is one of {count} processes of an MPI job, but mpi4py cannot be imported ({error}); install it, with an MPI, "
            f"by: {INSTALL}"
        ) from error
    if found.size != count:
        raise LaunchError(
            f"the launcher started {count} processes, but mpi4py's MPI knows of {found.size}: the two are of different makes; "
            "use the mpiexec that lies beside python (python -m mpi4py --mpi-lib-version names the library)"
        )
    return found


def told(rank: int, size: int) -> str:
    """A rank as messages name it."""
    return f"rank {rank} of {size} on {socket.gethostname()}"


# A launcher that sees a rank die kills the others at once, before they can say whose death it was, and names a process at best.
# So a process beside the ranks says it: the first rank of a machine starts it, and tells it by a dot when all is well.
_NAMER = """
import json, os, select, sys
names = {os.pidfd_open(int(pid)): name for pid, name in json.loads(sys.argv[1]).items()}
ready = select.select([0, *names], [], [])[0]
if not (0 in ready and os.read(0, 1)):
    if ready == [0]:  # the rank that started this is about to be gone
        ready = select.select(list(names), [], [], 5)[0]
    gone = [names[handle] for handle in ready if handle] or ["a rank of this machine"]
    os.write(2, ("minigan: " + gone[0] + " has ended before the run did; the others end with it. The last checkpoint is whole: "
                 "minigan resume goes on, with any number of ranks\\n").encode())
"""


class Watch:
    """Looks after the other ranks on this machine, in a thread, and ends this one, by name of the one that is gone, should one
    end before :meth:`stop`. (A launcher does the same across machines; MPI itself would wait for ever.)

    Args:
        communicator: of the ranks. gone: called with the message; by default prints it and aborts all ranks.

    Attributes:
        processes: a line on each rank, since launchers speak of processes.
    """

    def __init__(self, communicator: Communicator, gone: Callable[[str], None] | None = None) -> None:
        self._communicator, self._gone = communicator, gone or self._abort
        host = socket.gethostname()
        everybody = communicator.exchange((host, os.getpid()))
        self.processes = [f"{rank}: process {pid} on {where}" for rank, (where, pid) in enumerate(everybody)]
        self._others = {
            pid: rank for rank, (where, pid) in enumerate(everybody) if where == host and rank != communicator.rank
        }
        here = [(pid, rank) for rank, (where, pid) in enumerate(everybody) if where == host]
        first = here[0][1] == communicator.rank and gone is None and hasattr(os, "pidfd_open")
        self._namer = _started_namer({pid: self._name(rank, pid) for pid, rank in here}) if first else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="minigan ranks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From now on the others may end."""
        self._ended.set()
        if self._namer is not None and self._namer.stdin is not None:
            with contextlib.suppress(OSError):  # it has spoken
                self._namer.stdin.write(b".")
                self._namer.stdin.close()
            self._namer.wait()
            self._namer = None

    def _name(self, rank: int, pid: int) -> str:
        return f"{told(rank, self._communicator.size)} (process {pid})"

    def _look(self) -> None:
        handles = {handle: pid for pid in self._others if (handle := _handle(pid)) is not None}
        try:
            while not self._ended.is_set():
                gone = _those_that_ended(handles, [pid for pid in self._others if pid not in handles.values()])
                if gone and not self._ended.wait(GRACE):  # it may be the ordinary end, which is just coming
                    self._gone(f"minigan: {self._name(self._others[gone[0]], gone[0])} has ended before the run did")
                    return
        finally:
            for handle in handles:
                os.close(handle)

    def _abort(self, message: str) -> None:
        if not hasattr(os, "pidfd_open"):  # else it is said already, see _NAMER
            with contextlib.suppress(OSError, ValueError):  # nobody reads it
                print(message, file=sys.stderr, flush=True)
        self._communicator.abort(1)
        os._exit(1)


def _started_namer(names: dict[int, str]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-S", "-E", "-c", _NAMER, json.dumps(names)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)


def _handle(pid: int) -> int | None:
    """What becomes readable when a process ends; None where the system has no such thing, or the process is gone."""
    try:
        return os.pidfd_open(pid)  # type: ignore[attr-defined, no-any-return, unused-ignore]
    except (AttributeError, OSError):
        return None


def _those_that_ended(handles: dict[int, int], others: Sequence[int]) -> list[int]:
    """The processes that have ended, after a while without any."""
    if handles:
        ready, _, _ = select.select(list(handles), [], [], LOOK_EVERY)
    else:
        ready = []
        time.sleep(LOOK_EVERY)
    return [handles[handle] for handle in ready] + [pid for pid in others if not _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
