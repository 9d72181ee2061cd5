"""Checkpoints: one .npz file with everything that a resumed run needs, and a hash of it all.

The file holds the arrays of `model.state()` and one more, `about`: a JSON document with the model's name and origin, its
configuration, the facts of the data, the step, the data's checksum and a SHA-256 over that document and every array. No pickle
anywhere, and nothing in it is imported or executed (see `minigan.run.references` for what is). It is written to a temporary
neighbour, flushed to the disk and renamed, so a file with a checkpoint's name is a whole one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.base import READ_ERRORS
from minigan.run.errors import CheckpointError
from minigan.run.rundir import RunDir, write_durably

FORMAT = 2  # 1 knew neither where a model comes from nor data sets with names
ABOUT = "about"
_BROKEN: tuple[type[Exception], ...] = (*READ_ERRORS, AttributeError, RecursionError)
KEPT = 3  # the newest this many files stay: two to fall back on, and the last


@dataclass(kw_only=True)
class Checkpoint:
    """What a checkpoint says about itself, and its arrays.

    Attributes:
        model: its name in commands. origin: see `minigan.run.references.Reference.recorded`.
        config, facts, device: what the model is built from.
        data_checksum: CRC-32 of the training data, to notice that a file has changed.
        step: steps done.
        state: `model.state()`.
    """

    model: str
    origin: dict[str, str]
    config: dict[str, Any]
    facts: dict[str, Any]
    device: str
    data_checksum: int
    step: int
    state: dict[str, np.ndarray] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {"format": FORMAT, **{name: getattr(self, name) for name in _KINDS}}


_KINDS: dict[str, type] = {
    "model": str, "origin": dict, "config": dict, "facts": dict, "device": str, "data_checksum": int, "step": int,
}  # fmt: skip


def digest(about: dict[str, Any], state: dict[str, np.ndarray]) -> str:
    """SHA-256 over the description and, in the order of their names, each array's name, dtype, shape and bytes."""
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        total.update(f"\n{name} {array.dtype.str} {state[name].shape}\n".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def path_of(run: RunDir, step: int) -> Path:
    """The file for a step."""
    return run.checkpoints / f"step-{step:06d}.npz"


def _step_of(path: Path) -> int:
    number = path.stem.removeprefix("step-")
    return int(number) if number.isascii() and number.isdigit() else -1


def all_of(run: RunDir) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted((p for p in run.checkpoints.glob("step-*.npz") if _step_of(p) >= 0), key=_step_of)


def save(run: RunDir, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove all but the newest `KEPT`. Raises OSError when there is no room."""
    about, path = checkpoint.about(), path_of(run, checkpoint.step)
    text = json.dumps({**about, "sha256": digest(about, checkpoint.state)})
    arrays: dict[str, Any] = {**checkpoint.state, ABOUT: np.frombuffer(text.encode(), np.uint8)}
    write_durably(path, lambda file: np.savez(file, **arrays))
    for old in all_of(run)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and compare its hash.

    Raises:
        CheckpointError: the file is missing, damaged, changed, or of another format.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(bytes(arrays.pop(ABOUT)))
        expected = about.pop("sha256")
        wrong = digest(about, arrays) != expected
    except _BROKEN as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {error})") from error
    if wrong:
        raise CheckpointError(f"{path}: the contents do not match their SHA-256; the file was damaged or changed")
    if about.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format {about.get('format')!r}; this version of minigan reads format {FORMAT}: train anew, or go on "
            "with the version that wrote it (see env.json)"
        )
    for name, kind in _KINDS.items():
        if not isinstance(about.get(name), kind):
            raise CheckpointError(f"{path}: {name} is {about.get(name)!r}, expected {kind.__name__}")
    return Checkpoint(**{name: about[name] for name in _KINDS}, state=arrays)


def latest(run: RunDir) -> tuple[Path, Checkpoint]:
    """The newest checkpoint of a run; CheckpointError when there is none or when it is broken."""
    paths = all_of(run)
    if not paths:
        raise CheckpointError(f"{run.checkpoints}: holds no checkpoint: the run ended before the first; train it anew")
    try:
        return paths[-1], load(paths[-1])
    except CheckpointError as error:
        hint = f"; delete it to go back to {paths[-2].name}" if len(paths) > 1 else ""
        raise CheckpointError(f"{error}{hint}") from error
