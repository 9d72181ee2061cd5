"""A run's directory: config.json env.json metrics.jsonl status.json samples/ checkpoints/.

Every JSON file is written whole or not at all. `metrics.jsonl` grows by one flushed line at a time; a resumed run cuts it back to
the checkpoint it starts from.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from minigan.data.base import write_atomically
from minigan.run.errors import CheckpointError, UsageError, command, disk_is_full

STATES = ("running", "done", "interrupted", "diverged", "failed")


def write_durably(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """`write_atomically`, and on the disk when it returns: a crash of the machine leaves the old file or the new one."""

    def and_flush(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        os.fsync(file.fileno())

    write_atomically(path, and_flush)


def write_json(path: Path, value: Any) -> None:
    """One JSON document, atomically."""
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def now() -> str:
    """The time of day, ISO 8601 with its offset."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


class RunDir:
    """The paths of a run and what is written to them. Make one with :meth:`create` or :meth:`open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples, self.checkpoints = path / "samples", path / "checkpoints"
        self.config, self.env = path / "config.json", path / "env.json"
        self.metrics, self.status = path / "metrics.jsonl", path / "status.json"
        self.losses = path / "losses.png"
        self._lock: IO[bytes] | None = None
        self._log: IO[str] | None = None
        self._started = now()

    @classmethod
    def create(cls, out: str | None, default: str) -> RunDir:
        """A new directory: `out`, which must be empty if it exists, or `default` with -2, -3, ... where it is taken."""
        try:
            if out is not None:
                check_free(out)
                Path(out).mkdir(parents=True, exist_ok=True)
                return cls(Path(out))._fill()
            number = 1
            while True:
                path = Path(default if number == 1 else f"{default}-{number}")
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.mkdir()
                except FileExistsError:
                    number += 1
                    continue
                return cls(path)._fill()
        except (OSError, ValueError) as error:
            if disk_is_full(error):
                raise
            raise UsageError(f"--out: cannot make the folder {out or default} ({error})") from error

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
        """Hold this directory for this process, until `close`; UsageError when another trains in it."""
        if self._lock is not None:
            return
        try:
            import fcntl
        except ImportError:  # Windows: no protection there
            return
        self._lock = open(self.path / ".lock", "wb")  # noqa: SIM115 - held until `close`
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{self.path}: another process is training in this folder; wait, or stop it") from error

    def read_config(self) -> dict[str, Any] | None:
        """config.json, or None where there is none; CheckpointError when it cannot be read."""
        try:
            value = json.loads(self.config.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.config}: cannot be read ({error}); {_REWRITE}") from error
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.config}: holds no JSON object; {_REWRITE}")
        return value

    def read_state(self) -> str:
        """The state in status.json; empty where there is none that can be read."""
        try:
            value = json.loads(self.status.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return ""
        return str(value.get("state", "")) if isinstance(value, dict) else ""

    def set_status(self, state: str, step: int, steps: int, message: str = "", warnings: Sequence[str] = ()) -> None:
        """Write status.json. warnings: what looks wrong, see `minigan.run.divergence`."""
        times = {"started": self._started, "updated": now()}
        write_json(
            self.status,
            {"state": state, "step": step, "steps": steps, "message": message, "warnings": list(warnings), **times},
        )

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Append one line; numbers that JSON does not have (NaN, Inf) become null."""
        if self._log is None:
            self._log = open(self.metrics, "a", encoding="utf-8")  # noqa: SIM115 - held until `close`
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        self._log.write(json.dumps(clean) + "\n")
        self._log.flush()

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole lines of metrics.jsonl; what is no JSON object with a step is passed over."""
        try:
            lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        rows = (_row(line) for line in lines)
        return [row for row in rows if row is not None]

    def cut_metrics(self, step: int) -> None:
        """Keep the lines up to a step: what came after it is about to be computed again."""
        kept = [row for row in self.read_metrics() if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_atomically(self.metrics, lambda file: file.write(text.encode()))

    def remove_parts(self) -> None:
        """Remove what a killed process left half-written."""
        for part in [*self.path.glob("*.part"), *self.path.glob("*/*.part")]:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the log and let go of the lock."""
        for file in (self._log, self._lock):
            if file is not None:
                file.close()
        self._log = self._lock = None


_REWRITE = "restore it, or delete it: the checkpoint holds the same settings"


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def check_free(out: str | None) -> None:
    """UsageError when `out` exists and is anything but an empty folder, or cannot be made. Nothing of it stays."""
    try:
        if out is None:
            return
        if not os.path.lexists(out):
            _try_to_make(Path(out))
            return
        taken = any(Path(out).iterdir())
    except (OSError, ValueError) as error:
        if disk_is_full(error):
            raise
        raise UsageError(f"--out: {out!r} is not a folder that can be used ({error})") from error
    if taken:
        raise UsageError(
            f"--out: {out} is not empty, and nothing is overwritten; choose another folder, "
            f"or go on with the run in it: {command('resume', out)}"
        )


def _try_to_make(path: Path) -> None:
    """Make a folder with those above it, and remove what was made: before the kernels are compiled, and not after."""
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        path.mkdir(parents=True)
    finally:
        for folder in missing:
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
