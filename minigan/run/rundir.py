"""A run's directory: config.json env.json metrics.jsonl status.json samples/ checkpoints/.

Every JSON file is written whole or not at all. `metrics.jsonl` grows by whole lines; a resumed run cuts it back to the checkpoint
it starts from. A new directory is filled beside its place, under a hidden name, and appears when its first checkpoint is in it:
a run that can be seen can be resumed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from minigan.data.base import open_file, read_file, write_atomically
from minigan.run import lines
from minigan.run.errors import CheckpointError, TakenError, UsageError, command, disk_is_full

STATES = ("running", "done", "interrupted", "diverged", "failed")
FRESH = 60  # seconds in which a status.json from another machine counts as that of a living process
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def write_durably(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """`write_atomically`, and on the disk when it returns: a crash of the machine leaves the old file or the new one."""

    def and_flush(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        os.fsync(file.fileno())

    write_atomically(path, and_flush)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk. (Windows does so by itself, and opens no folders.)"""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """One JSON document, atomically."""
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def now() -> str:
    """The time of day, ISO 8601 with its offset."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


class UnreadableError(CheckpointError, OSError):
    """A file of a run is there and cannot be read: whoever goes on without it may take it for a file that is gone."""


class RunDir:
    """The paths of a run and what is written to them. Make one with :meth:`begin`, :meth:`create` or :meth:`open`."""

    def __init__(self, path: Path, *, names: Iterable[str] = ()) -> None:
        self._names = names  # that it may have when it appears; none for one that has its name
        self._lock: IO[bytes] | None = None
        self._unwritten: list[str] = []  # lines of metrics.jsonl that could not be written yet
        self._started = now()
        self._move(path)

    def _move(self, path: Path) -> None:
        self.path = path
        self.samples, self.checkpoints = path / "samples", path / "checkpoints"
        self.config, self.env = path / "config.json", path / "env.json"
        self.metrics, self.status = path / "metrics.jsonl", path / "status.json"
        self.losses, self.latest = path / "losses.png", path / "latest.png"

    @classmethod
    def begin(cls, out: str | None, default: str) -> RunDir:
        """A new directory that does not have its name yet: `out`, or `default`, with -2, -3, ... where that is taken.

        Where `out` is an empty folder already, that one is filled.

        Raises:
            UsageError: it cannot be made there, or `out` holds something. OSError: the disk is full.
        """
        try:
            check_free(out)
            if out is not None and os.path.lexists(out):
                return cls(Path(out))._fill()
            target = Path(default if out is None else out)
            target.parent.mkdir(parents=True, exist_ok=True)
            hidden = Path(tempfile.mkdtemp(dir=target.parent, prefix=".minigan-", suffix=".part"))
            mask = os.umask(0)
            os.umask(mask)
            hidden.chmod(0o777 & ~mask)
            counted = (default if number == 1 else f"{default}-{number}" for number in itertools.count(1))
            return cls(hidden, names=counted if out is None else [out])._fill()
        except (OSError, ValueError) as error:
            if disk_is_full(error):
                raise
            raise UsageError(f"--out: cannot make the folder {out or default} ({error})") from error

    def appear(self) -> RunDir:
        """Give the directory its name, with all that is in it, in one stroke. Nothing happens where it has one.

        Raises:
            UsageError: the name is no longer free.
        """
        names, self._names = self._names, ()
        for name in names:
            try:
                if os.path.lexists(name):
                    continue
                sync_folder(self.path)
                os.rename(self.path, name)
            except (OSError, ValueError) as error:
                if getattr(error, "errno", 0) in _TAKEN:
                    continue
                raise UsageError(f"--out: cannot make the folder {name} ({error})") from error
            self._move(Path(name))
            sync_folder(self.path.parent)
            return self
        if not names:
            return self
        raise UsageError(
            f"--out: {name} was made by somebody else meanwhile; what there is of the run is in {self.path}"
        )

    @classmethod
    def create(cls, out: str | None, default: str) -> RunDir:
        """A new directory that is there at once: see :meth:`begin`."""
        return cls.begin(out, default).appear()

    @classmethod
    def open(cls, path: str) -> RunDir:
        """An existing run's directory; CheckpointError when there is none."""
        run = cls(Path(path))
        try:
            if not run.path.is_dir():
                what = "is a file" if run.path.exists() else "does not exist"
                raise CheckpointError(f"{path}: {what}; expected the folder of a run, made by {command('train')}")
            if not run.checkpoints.is_dir():
                raise CheckpointError(f"{path}: has no folder checkpoints, so it is not the folder of a run")
        except (OSError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path!r}: cannot be read ({error})") from error
        return run

    def _fill(self) -> RunDir:
        self.samples.mkdir()
        self.checkpoints.mkdir()
        return self

    def lock(self) -> None:
        """Hold this directory for this process, until `close`; TakenError when another trains in it."""
        if self._lock is not None:
            return
        self._lock = open_file(self.path / ".lock", "ab")  # held until `close`
        for patience in (0.05, 0.1, 0.2, 0.0):  # whoever asks whether it is held, holds it for a moment
            if _locked(self._lock, shared=False):
                return
            time.sleep(patience)
        self.close()
        raise TakenError(f"{self.path}: another process ({self._who()}) is training in this folder; wait, or stop it")

    def _holds(self) -> bool:
        """Whether the lock is that of the folder as it is now."""
        if self._lock is None:
            return True
        try:
            there = os.stat(self.path / ".lock")
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._lock.fileno()))

    def mend(self) -> bool:
        """Make again what was removed of the folder while it was in use; returns whether anything was.

        Raises:
            TakenError: another process trains in a folder of that name by now. OSError: it cannot be made.
        """
        if self.checkpoints.is_dir() and self._holds():
            return False
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.samples.mkdir(exist_ok=True)
        if not self._holds():
            self.close()
            self.lock()
        return True

    def check_not_elsewhere(self) -> None:
        """TakenError when a process on another machine, where no lock reaches, has trained here a moment ago."""
        status = self.read_status()
        if status.get("state") != "running" or status.get("host") == socket.gethostname():
            return
        with contextlib.suppress(OSError):  # it is gone, and with it who wrote it
            if "host" in status and abs(time.time() - self.status.stat().st_mtime) < FRESH:
                raise TakenError(
                    f"{self.path}: {self._who()} has trained here less than {FRESH} s ago; stop it, or wait if it was"
                )

    def _who(self) -> str:
        status = self.read_status()
        return f"process {status.get('pid', 'of unknown number')} on {status.get('host', 'an unknown machine')}"

    def told(self) -> str:
        """What is to be known of a run whose status says that it goes on: whether it does; empty for one that has ended."""
        status = self.read_status()
        if status.get("state") != "running":
            return ""
        at = f"step {status.get('step')} of {status.get('steps')}, {status.get('updated')}"
        if status.get("host") != socket.gethostname():
            return (
                f"{self.path}: {self._who()} was training here at {at}; whether it still does cannot be seen from here"
            )
        if self.held_by_another():
            return f"{self.path}: {self._who()} is training here, at {at}"
        return f"{self.path}: {self._who()} was training here and has died, after {at}"

    def held_by_another(self) -> bool:
        """Whether another process of this machine trains here."""
        try:
            with open_file(self.path / ".lock") as file:
                return self._lock is None and not _locked(file, shared=True)
        except OSError:  # no lock, no holder
            return False

    def read_config(self) -> dict[str, Any] | None:
        """config.json, or None where there is none; CheckpointError when it cannot be read."""
        try:
            value = json.loads(read_file(self.config).decode())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.config}: cannot be read ({error}); {_REWRITE}") from error
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.config}: holds no JSON object; {_REWRITE}")
        return value

    def read_status(self) -> dict[str, Any]:
        """What status.json says; nothing where there is none that can be read."""
        try:
            value = json.loads(read_file(self.status).decode())
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def read_state(self) -> str:
        """The state in status.json; empty where there is none that can be read."""
        return str(self.read_status().get("state", ""))

    def set_status(self, state: str, step: int, steps: int, message: str = "", warnings: Sequence[str] = ()) -> None:
        """Write status.json. warnings: what looks wrong, see `minigan.run.divergence`."""
        at = {"state": state, "step": step, "steps": steps, "message": message, "warnings": list(warnings)}
        where = {"pid": os.getpid(), "host": socket.gethostname()}
        write_json(self.status, {**at, **where, "started": self._started, "updated": now()})

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Append one line; numbers that JSON does not have (NaN, Inf) become null.

        A line that cannot be written raises OSError, leaves no half of it behind, and is written with the next one.
        """
        self._unwritten.append(lines.line(row))
        self.flush_metrics()

    def flush_metrics(self, *, durably: bool = False) -> None:
        """Append what is still to be written. durably: all lines are on the disk when it returns. Raises OSError."""
        text = "".join(self._unwritten).encode()
        # By name each time: a file that was removed would take lines without complaint.
        with open_file(self.metrics, "ab") as file:
            handle = file.fileno()
            before = os.fstat(handle).st_size
            try:
                while text:
                    text = text[os.write(handle, text) :]
            except OSError:
                os.ftruncate(handle, before)
                raise
            if durably:
                os.fsync(handle)
        self._unwritten.clear()

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole lines of metrics.jsonl; what is no JSON object with a step is passed over.

        Raises:
            UnreadableError: there is something, and it cannot be read.
        """
        try:
            return lines.read(self.metrics)
        except OSError as error:
            raise UnreadableError(
                f"{self.metrics}: cannot be read ({error}); move it away to go on without it"
            ) from error

    def cut_metrics(self, step: int) -> None:
        """Keep the lines up to a step: what came after it is about to be computed again."""
        kept = [row for row in self.read_metrics() if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_durably(self.metrics, lambda file: file.write(text.encode()))

    def remove_parts(self) -> None:
        """Remove what a killed process left half-written."""
        for part in [*self.path.glob("*.part"), *self.path.glob("*/*.part")]:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
        self._lock = None


_REWRITE = "restore it, or delete it: the checkpoint holds the same settings"


def _locked(file: IO[bytes], *, shared: bool) -> bool:
    """Lock a file without waiting, until it is closed; False where another process holds it. On Windows all is free."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_free(out: str | None) -> None:
    """UsageError when `out` exists and is anything but an empty folder, or cannot be made. Nothing of it stays."""
    if out is None:
        return
    try:
        try:
            os.lstat(out)
        except FileNotFoundError:
            _try_to_make(Path(out))
            return
        taken = any(Path(out).iterdir())
    except (OSError, ValueError) as error:
        if disk_is_full(error):
            raise
        loose = isinstance(error, FileNotFoundError) and os.path.islink(out)
        what = "a link to a folder that does not exist" if loose else f"not a folder that can be used ({error})"
        raise UsageError(f"--out: {out!r} is {what}") from error
    if taken:
        raise UsageError(
            f"--out: {out} is not empty, and nothing is overwritten; choose another folder, "
            f"or go on with the run in it: {command('resume', out)}"
        )


def _try_to_make(path: Path) -> None:
    """Make a folder with those above it, under a hidden name beside its place, and remove what was made."""
    above = next(folder for folder in path.parents if os.path.lexists(folder))
    names = [name for name in path.relative_to(above).parts if name != os.pardir]
    with tempfile.TemporaryDirectory(dir=above, prefix=".minigan-", suffix=".part") as hidden:
        Path(hidden, *names).mkdir(parents=True, exist_ok=True)
