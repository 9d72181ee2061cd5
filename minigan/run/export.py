"""What is handed on of a run: `minigan export`, and `minigan best`, which says which checkpoint is the best."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minigan import gans
from minigan.gans.protocol import makes_examples
from minigan.run import building, checkpoint, safetensors
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import UsageError, command
from minigan.run.progress import note
from minigan.run.rundir import RunDir, write_durably
from minigan.version import __version__

ENDING = ".safetensors"


def export(path: str, target: str, *, of_best: bool = False, model: str | None = None) -> str:
    """Write a run's weights as safetensors, and read them back.

    The names are those of the state: generator/layers.0.weight. Networks with averaged weights are there twice: as they were
    trained, and under average/, which is what `minigan sample` draws from. Optimizers, and what else only a resumed run needs,
    are left out.

    Args:
        path: the run's directory.
        target: FILE.safetensors, which must not exist.
        of_best: the best checkpoint in place of the newest.
        model: FILE.py[:Class], where the recorded file has changed or moved.

    Returns:
        What to tell on stdout.

    Raises:
        UsageError: the file exists, or cannot be made there. CheckpointError: there is no usable checkpoint.
        OSError: it cannot be written, or does not hold what was written.
    """
    file = _free(target)
    folder = opened(path)
    source, saved = checkpoint.chosen(folder, of_best=of_best)
    arrays = weights(folder, source, saved, model)
    metadata = {"format": "np", "producer": f"minigan {__version__}", "model": saved.model, "step": str(saved.step)}
    try:
        write_durably(file, lambda out: safetensors.write(out, arrays, metadata))
    except ValueError as error:
        raise UsageError(f"--safetensors: {error}") from error
    back, _ = safetensors.read(file)
    if back.keys() != arrays.keys() or any(back[k].tobytes() != arrays[k].tobytes() for k in arrays):
        raise OSError(f"{file}: does not hold what was written")
    numbers = sum(array.size for array in arrays.values())
    return f"{file}: {len(arrays)} arrays, {numbers:,} numbers, of {source}; read back and compared"


def weights(folder: RunDir, source: Path, saved: Checkpoint, chosen: str | None) -> dict[str, np.ndarray]:
    """The parameters and buffers of a run's networks, and their averages, as contiguous arrays."""
    reference = building.reference_of(folder, source, saved, chosen, "export")
    config = building.restored_config(source, reference, saved)
    model = building.restored_model(source, reference, saved, config, "cpu")
    heads = tuple(f"{head}/" for head in (*model.modules, "average"))
    return {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in saved.state.items() if name.startswith(heads)}


def opened(path: str) -> RunDir:
    """An existing run's directory, with a note where it is in use, or was left by a process that died."""
    folder = RunDir.open(path)
    if told := folder.told():
        note(f"note: {told}")
    return folder


def _free(target: str) -> Path:
    file = Path(target)
    if file.suffix != ENDING:
        raise UsageError(f"--safetensors: got {target!r}, expected a file name that ends in {ENDING}")
    try:
        if os.path.lexists(file):
            raise UsageError(f"--safetensors: {target} exists, and nothing is overwritten; choose another name")
        if not file.parent.is_dir():
            raise UsageError(f"--safetensors: {target} is in {file.parent}, which is not a folder that exists")
    except ValueError as error:  # no path at all
        raise UsageError(f"--safetensors: {target!r} ({error})") from error
    return file


def best(path: str) -> str:
    """Which checkpoint of a run is the best, by its model's number; what to tell on stdout.

    Raises:
        CheckpointError: there is no usable checkpoint, or none that is the best.
    """
    folder = opened(path)
    path_of_newest, newest = checkpoint.latest(folder)
    file, saved = checkpoint.best_of(folder, path_of_newest, newest)
    name = newest.best["name"]
    lines = [
        f"{file}: {name} {newest.best['value']:.6g} at step {saved.step}, the best up to step {newest.step}",
        "next:",
    ]
    lines += [f"  {command('evaluate', folder.path)}"]
    if saved.model not in gans.MODELS or makes_examples(gans.get(saved.model)):
        lines += [f"  {command('sample', folder.path, '--best', '-n', 1000)}"]
    return "\n".join(lines)
