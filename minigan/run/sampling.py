"""Draw from a trained model: `minigan sample`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from minigan import data
from minigan.run import building, checkpoint, environment, plots
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import UsageError, command
from minigan.run.rundir import RunDir, write_durably

MOST = 2**31 - 1
MOST_IN_A_PICTURE = 10_000


def sample(path: str, n: int, *, seed: int | None = None, out: str | None = None) -> str:
    """Draw `n` examples from the newest checkpoint of a run and write them to a file.

    Args:
        path: the run's directory.
        n: how many.
        seed: of the noise; by default the run's, whose first examples are those of the training pictures.
        out: FILE.npy for an array (n, H, W, C) float32 in [-1, 1], or (n, features); FILE.png for a grid or a scatter plot. By
            default samples/seed-S-n-N.png in the run's directory.

    Returns:
        What to tell on stdout.

    Raises:
        UsageError: n out of range, or a file that cannot be written.
        CheckpointError: there is no usable checkpoint.
    """
    if not 1 <= n <= MOST:
        raise UsageError(f"-n: got {n}, expected 1 to {MOST}")
    folder = RunDir.open(path)
    target = None if out is None else _target(out)
    file, saved = checkpoint.latest(folder)
    config = building.restored_config(file, saved)
    seed = config.seed if seed is None else seed
    target = target or folder.samples / f"seed-{seed}-n-{n}.png"
    if target.suffix.lower() == ".png" and n > MOST_IN_A_PICTURE:
        raise UsageError(
            f"-n: {n} are too many for one picture, at most {MOST_IN_A_PICTURE}; write them to a .npy file"
        )
    _check_memory(n, math.prod(saved.shape), getattr(config, "latent", 0))
    device = building.usable_device(saved.device, folder.path)
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        examples = building.restored_model(file, saved, config, device).sample(n, seed=seed)
    _write(target, examples, saved, config, n)
    again = f"more: {command('sample', path, '-n', n, '--seed', seed + 1)}"
    return f"{target}: {n} examples of {file}, seed {seed}\n{again}"


def _check_memory(n: int, elements: int, latent: int) -> None:
    """MemoryError before it is too late: Linux grants more than there is, and kills whoever uses it."""
    needed = 4 * n * (3 * elements + 6 * latent)  # float32: examples, parts and copies; noise, its bits and temporaries
    free = environment.free_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{n} examples need about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")


def _target(out: str) -> Path:
    target = Path(out)
    if target.suffix.lower() not in (".npy", ".png"):
        raise UsageError(f"--out: got {out!r}, expected a file name that ends in .npy or .png")
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else f"is in {target.parent}, which is not a folder that exists"
        raise UsageError(f"--out: {out} {what}")
    return target


def _write(target: Path, examples: np.ndarray, saved: Checkpoint, config: object, n: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() == ".npy":
        write_durably(target, lambda file: np.save(file, examples, allow_pickle=False))
        return
    real = None
    if len(saved.shape) == 1:
        try:
            real = data.load(config.data, seed=config.seed)  # type: ignore[attr-defined]
        except data.DataError:  # the picture then shows the generated points alone
            real = None
    kind = "points" if len(saved.shape) == 1 else "images"
    picture = plots.painter(kind, saved.shape, real).picture(examples, f"{n} samples at step {saved.step}")
    plots.save_picture(target, picture)
