"""From a name, a configuration or a checkpoint to a model and its data."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from minigan import backend, data, gans
from minigan.run import settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import CheckpointError, UsageError
from minigan.run.progress import note, phase


def load_data(name: str, model: Any, config: Any) -> data.Dataset:
    """The configuration's data set.

    Raises:
        DataError: it is unknown or unreadable.
        UsageError: it is not of the kind the model is for; the message names what would fit.
    """
    found = data.load(config.data, seed=config.seed)
    if found.kind != model.kind:
        sets = [entry.name for entry in data.catalogue() if entry.kind == model.kind]
        models = [other for other in gans.MODELS if gans.get(other).kind == found.kind]
        raise UsageError(
            f"{name} is a model for {model.kind}, and {config.data} holds {found.kind}: choose --data from "
            f"{', '.join(sets)}, or a model for {found.kind}: {', '.join(models) or 'there is none yet'}"
        )
    return found


def checksum(found: data.Dataset) -> int:
    """CRC-32 of the examples."""
    return zlib.crc32(found.x.reshape(-1).data)


def new_model(name: str, config: Any, shape: tuple[int, ...], device: str) -> Any:
    """A model with its initial weights; UsageError when the configuration does not suit the shape."""
    with usage_if_unsuitable(name, config, shape):
        return gans.get(name)(config, shape, device=device)


@contextmanager
def usage_if_unsuitable(name: str, config: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what a model says to sizes that do not fit together into a UsageError."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        if str(error).startswith("MINIGAN_"):  # a setting in the environment, which names itself
            raise
        raise UsageError(f"{name} cannot be trained on {config.data}, shape {shape}, as it is set: {error}") from error


def restored_config(path: Path, checkpoint: Checkpoint) -> Any:
    """The configuration in a checkpoint, as the model's own dataclass; CheckpointError when it does not fit."""
    try:
        return settings.restore(gans.get(checkpoint.model), checkpoint.config)
    except ValueError as error:
        raise CheckpointError(f"{path}: does not fit this version of minigan: {error}") from error


def restored_model(path: Path, checkpoint: Checkpoint, config: Any, device: str) -> Any:
    """The model of a checkpoint, with its weights and all other state; CheckpointError when they do not fit."""
    try:
        model = gans.get(checkpoint.model)(config, tuple(checkpoint.shape), device=device)
        model.load_state(checkpoint.state)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{path}: does not fit this version of minigan: {error}") from error
    return model


def usable_device(recorded: str, path: Path) -> str:
    """The device a run was on, or the CPU, with a note, where that device is not to be had."""
    if recorded in backend.DEVICES and (recorded == "cpu" or not backend.gpu_problem()):
        return recorded
    note(
        f"note: {path} is from device {recorded!r}, which is not usable here ({backend.gpu_problem()}); the CPU is used"
    )
    return "cpu"


@contextmanager
def kernel_phase(device: str, *, quiet: bool = False) -> Iterator[None]:
    """Announce that kernels are compiled, or loaded, while the block runs. quiet: only when they have to be compiled."""
    if os.environ.get("MINIGAN_KERNELS") == "reference":
        text, slow = "starting with the reference kernels", False
    elif device == "gpu":
        text, slow = "compiling kernels (once; cached by CuPy)", True
    else:
        from minigan.kernels.compiler import FOLDER

        slow = not any(FOLDER.rglob("*.nbi"))
        text = f"compiling kernels (once; cached in {FOLDER})" if slow else f"loading kernels from {FOLDER}"
    if quiet and not slow:
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(phase(text))
        if slow and device == "cpu":
            stack.enter_context(_compilation())
        yield


SECONDS_A_LINE = 2.0


@contextmanager
def _compilation() -> Iterator[None]:
    """Show what is being compiled and how far that is, and let a second process take half of it."""
    from minigan.kernels import ahead, compiler

    done, began = 0, time.perf_counter()
    due = began + SECONDS_A_LINE

    def show(name: str) -> None:
        nonlocal done, due
        done += 1
        if time.perf_counter() > due:
            due = time.perf_counter() + SECONDS_A_LINE
            note(f"  {time.perf_counter() - began:.0f} s: {done} kernels, the last one {name}")

    compiler.announce.append(show)
    try:
        with ahead.second_process():
            yield
    finally:
        compiler.announce.remove(show)
