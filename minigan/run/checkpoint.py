"""Checkpoints: one .npz file with everything that a resumed run needs, sealed by the SHA-256 of all of it.

The file holds the arrays of `model.state()` and one more, `about`: a JSON document (see :class:`Checkpoint`). No pickle anywhere,
and nothing in it is imported or executed (see `minigan.run.references` for what is).

**The seal.** The last 65 bytes are the SHA-256 of all bytes before them, in hexadecimal, and a line feed; for a zip archive,
which an .npz file is, they are its comment. So a checkpoint stays one file, which can be copied, renamed into place in one
stroke and opened by `numpy.load`, and whoever doubts it compares the output of two commands:

    head -c -65 step-000400.npz | sha256sum
    tail -c 65 step-000400.npz

A manifest beside the file would say the same, but two files can be parted, and no rename moves both. Every byte is covered: a
bit that flips anywhere, the fields of the archive that nobody reads among them, and every cut, are noticed.

**Writing.** To a temporary neighbour, which is flushed to the disk and renamed; then the folder is flushed. A file with a
checkpoint's name is a whole one, whenever the power goes. The newest `KEPT` stay, and of each of them the best that it knows of.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigan.data.base import READ_ERRORS
from minigan.gans.protocol import ModelError
from minigan.run.errors import CheckpointError, disk_is_full
from minigan.run.progress import note
from minigan.run.rundir import RunDir, write_durably

FORMAT = 3  # 1 knew neither where a model comes from nor data sets with names, 2 had no seal
ABOUT = "about"
SEAL = 65  # bytes: 64 hexadecimal digits and a line feed
KEPT = 3  # the newest this many files stay: two to fall back on, and the last
_BROKEN: tuple[type[Exception], ...] = (*READ_ERRORS, AttributeError, RecursionError)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same contents are the same bytes, whenever they were written
_NO_COMMENT = b"\0\0"  # how a zip archive without a comment ends: with its comment's length


class DamagedError(CheckpointError):
    """A checkpoint that is not whole, or not what its name says: the one before it may be."""


@dataclass(kw_only=True)
class Checkpoint:
    """What a checkpoint says about itself, and its arrays.

    Attributes:
        model: its name in commands. origin: see `minigan.run.references.Reference.recorded`.
        config, facts, device: what the model is built from.
        data_checksum: CRC-32 of the training data, to notice that a file has changed.
        step: steps done.
        save_every, live_every: how often the run is saved and measured, as the options have it; empty for the default.
        reduce: how several ranks add up, as the option has it; empty for the default.
        near: where files of data lie, seen from the run's folder, by the names of the data sets.
        changes: of the settings, in their order: {"step": 400, "set": {"lr": 1e-4}, "was": {"lr": 1e-3}}.
        best: {"name": "share", "step": 400, "value": 0.9} of the best by the model's number; empty before there is one.
        means: `minigan.run.means.Means.state()`.
        state: `model.state()`.
    """

    model: str
    origin: dict[str, str]
    config: dict[str, Any]
    facts: dict[str, Any]
    device: str
    data_checksum: int
    step: int
    save_every: str = ""
    live_every: str = ""
    reduce: str = ""
    near: dict[str, str] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    means: dict[str, Any] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {"format": FORMAT, **{name: getattr(self, name) for name in _KINDS}}


_KINDS: dict[str, type] = {
    "model": str, "origin": dict, "config": dict, "facts": dict, "device": str, "data_checksum": int, "step": int,
    "save_every": str, "live_every": str, "reduce": str, "near": dict, "changes": list, "best": dict, "means": dict,
}  # fmt: skip
_YOUNGER = {"live_every": "", "reduce": ""}  # what files of this format may lack, written before it was there


# -- names -----------------------------------------------------------------------------------------------------------
def path_of(run: RunDir, step: int) -> Path:
    """The file for a step."""
    return run.checkpoints / _name(step)


def _name(step: int) -> str:
    return f"step-{step:06d}.npz"


def _step_of(path: Path) -> int:
    found = re.fullmatch(r"step-([0-9]{6,18})\.npz", path.name)
    step = int(found[1]) if found else -1
    return step if _name(step) == path.name else -1


def all_of(run: RunDir) -> list[Path]:
    """The files that have the name of a checkpoint, oldest first."""
    return sorted((p for p in run.checkpoints.glob("step-*.npz") if _step_of(p) >= 0), key=_step_of)


# -- writing ---------------------------------------------------------------------------------------------------------
def save(run: RunDir, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove older ones (see above). On a full disk older ones go first, but for the newest.

    Raises:
        OSError: it cannot be written. ModelError: the model's state is not made of arrays.
    """
    path, arrays = path_of(run, checkpoint.step), _checked(checkpoint)
    about = np.frombuffer(json.dumps(checkpoint.about()).encode(), np.uint8)

    def write(file: IO[bytes]) -> None:
        _write_sealed(file, {**arrays, ABOUT: about})

    try:
        write_durably(path, write)
    except OSError as error:
        if not disk_is_full(error) or not _remove(run, checkpoint.step, keep=1):
            raise
        note(f"note: the disk is full ({error}); older checkpoints in {run.checkpoints} were removed")
        write_durably(path, write)
    _remove(run, checkpoint.step, keep=KEPT)
    return path


def _checked(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The state's arrays; ModelError for what would be pickled, or would come back under another name."""
    arrays = {name: np.asarray(value) for name, value in checkpoint.state.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject or name == ABOUT or not name.isprintable():
            raise ModelError(
                f"{checkpoint.model}: state(): {name!r} is {array.dtype} {array.shape}, expected an array of numbers under a "
                f"printable name other than {ABOUT!r}"
            )
    return arrays


class _Sealing:
    """Passes bytes on to a file and hashes them. The last two stay here, to be given a comment's length in their place."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._held, self._hash = file, b"", hashlib.sha256()

    def write(self, data: Any) -> int:
        new = bytes(data)
        whole = self._held + new
        self._pass_on(whole[:-2])
        self._held = whole[-2:]
        return len(new)

    def flush(self) -> None:
        self._file.flush()

    def _pass_on(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def close(self) -> None:
        """Seal the archive that went through."""
        if self._held != _NO_COMMENT:
            raise RuntimeError(f"a zip archive ended in {self._held!r}, expected no comment")
        self._pass_on(SEAL.to_bytes(2, "little"))
        self._file.write(f"{self._hash.hexdigest()}\n".encode())


def _write_sealed(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    sealing: Any = _Sealing(file)  # without `tell` and `seek`: zipfile then writes from front to back
    with zipfile.ZipFile(sealing, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    sealing.close()


def _remove(run: RunDir, step: int, *, keep: int) -> int:
    """Remove the checkpoints up to a step but for the newest `keep` and what these call the best; returns how many.

    A file whose inside does not bear out its name is no checkpoint: it is not counted, and not removed either.
    """
    known = {_step_of(path): _peek(path) for path in all_of(run)}
    own = sorted(s for s, about in known.items() if about.get("step") == s <= step)
    kept = {*own[-keep:], *(_best_step(known[s]) for s in own[-keep:])}
    doomed = [path_of(run, s) for s in own if s not in kept]
    for path in doomed:
        path.unlink(missing_ok=True)
    return len(doomed)


def _best_step(about: Mapping[str, Any]) -> Any:
    best = about.get("best")
    return best.get("step") if isinstance(best, dict) else None


# -- reading ---------------------------------------------------------------------------------------------------------
def load(path: Path) -> Checkpoint:
    """Read a checkpoint, after a look at its seal.

    Raises:
        DamagedError: the file is missing, damaged, changed, or a copy under another step's name.
        CheckpointError: it is of another format.
    """
    about = arrays = None
    try:
        if not path.is_file():
            raise FileNotFoundError("no such file")
        with open(path, "rb") as file:
            problem = _broken_seal(file)
            if not problem:
                file.seek(0)
                about, arrays = _contents(file)
    except _BROKEN as error:
        raise DamagedError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {error})") from error
    if about is None or arrays is None:
        _check_format(path, _peek(path).get("format", FORMAT))
        raise DamagedError(f"{path}: {problem}; the file was damaged or changed")
    _check_format(path, about.get("format"))
    about = _YOUNGER | about
    for name, kind in _KINDS.items():
        if not isinstance(about.get(name), kind):
            raise CheckpointError(f"{path}: {name} is {about.get(name)!r}, expected {kind.__name__}")
    if about["step"] != _step_of(path):
        raise DamagedError(
            f"{path}: is of step {about['step']}, which its name does not say: a renamed copy is not used"
        )
    return Checkpoint(**{name: about[name] for name in _KINDS}, state=arrays)


def _check_format(path: Path, number: Any) -> None:
    if number != FORMAT:
        raise CheckpointError(
            f"{path}: format {number!r}; this version of minigan reads format {FORMAT}: train anew, or go on "
            "with the version that wrote it (see env.json)"
        )


def _broken_seal(file: IO[bytes]) -> str:
    """What is wrong with a file's seal; empty where it holds."""
    size = file.seek(0, 2) - SEAL
    if size < 0:
        return f"{size + SEAL} bytes are too few for a checkpoint"
    found = hashlib.sha256()
    file.seek(0)
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        found.update(part)
        size -= len(part)
    sealed = file.read(SEAL) == f"{found.hexdigest()}\n".encode()
    return "" if sealed else "the contents do not match the SHA-256 at their end"


def _contents(file: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    about = json.loads(bytes(arrays.pop(ABOUT)))
    if not isinstance(about, dict):
        raise TypeError(f"{ABOUT} is {type(about).__name__}, expected a mapping")
    return about, arrays


def _peek(path: Path) -> dict[str, Any]:
    """What a file says about itself, without a look at its seal; nothing where it says nothing that can be read."""
    try:
        if not path.is_file():
            return {}
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(bytes(archive[ABOUT]))
    except _BROKEN:
        return {}
    return about if isinstance(about, dict) else {}


def latest(run: RunDir) -> tuple[Path, Checkpoint]:
    """The newest checkpoint of a run that is whole, with a note for each newer one that is not.

    Raises:
        CheckpointError: there is none, or it is of another format.
    """
    for _ in range(8):  # a run that goes on removes old files while they are looked at
        found, broken = _newest(run)
        if all(path.exists() for path in broken):
            break
    if found is None:
        raise CheckpointError(
            "; ".join([*broken.values(), "no other checkpoint is left: train anew"])
            if broken
            else f"{run.checkpoints}: holds no checkpoint: the run ended before the first; train it anew"
        )
    for text in broken.values():
        note(f"note: {text}")
    if broken:
        note(f"note: {found[0].name} before it is whole and is used instead")
    return found


def _newest(run: RunDir) -> tuple[tuple[Path, Checkpoint] | None, dict[Path, str]]:
    """The newest whole checkpoint, and what is wrong with each newer file."""
    broken: dict[Path, str] = {}
    for path in reversed(all_of(run)):
        try:
            return (path, load(path)), broken
        except DamagedError as error:
            broken[path] = str(error)
    return None, broken


def best(run: RunDir) -> tuple[Path, Checkpoint]:
    """The checkpoint that the newest one calls the best by the model's number.

    Raises:
        CheckpointError: there is none, or it is damaged: no other is taken in its place.
    """
    return best_of(run, *latest(run))


def best_of(run: RunDir, newest: Path, saved: Checkpoint) -> tuple[Path, Checkpoint]:
    """:func:`best`, with what :func:`latest` has found."""
    if not saved.best:
        raise CheckpointError(
            f"{newest}: knows of no best: either {saved.model} does not say by which number to judge (best = 'min NAME' or "
            "'max NAME' in its class), or there is no data set to compare its samples with, or the run has not come to the "
            "first of the 20 steps at which it is judged"
        )
    path = path_of(run, saved.best["step"])
    return path, saved if path == newest else load(path)


def chosen(run: RunDir, *, of_best: bool) -> tuple[Path, Checkpoint]:
    """:func:`best` where it is asked for, else :func:`latest`."""
    return best(run) if of_best else latest(run)
