"""From a name, a configuration or a checkpoint to a model and its data."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backend, data, gans, room
from minigan.gans import needs
from minigan.gans.needs import Facts, Supply, WrongKindError
from minigan.gans.options import misused, reading
from minigan.gans.protocol import ModelError, Unsuitable, check_made
from minigan.run import references, settings
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import CheckpointError, UsageError
from minigan.run.progress import note, phase
from minigan.run.references import Reference
from minigan.run.rundir import RunDir

SOME = 1000  # examples that pictures and metrics get


def load_data(reference: Reference, config: Any, trained_on: Facts | None = None) -> Supply:
    """The configuration's data sets. trained_on: the facts of a run that goes on, whose units are kept.

    Raises:
        DataError: one is unknown, unreadable, or without the labels that the model needs.
        UsageError: one is not of the kind the model is for; the message names what would fit.
        ModelError: an option of the model has the name of one that says how data are read.
    """
    if name := misused(config):
        raise ModelError(
            f"{reference.name}: got an option of its own called {name!r}, which says how data are read "
            f"(minigan train {reference.name} --help); expected another name"
        )
    try:
        options = reading(config)
        return needs.find(reference.model.needs, config.data, seed=config.seed, options=options, trained_on=trained_on)
    except WrongKindError as error:
        sets = [entry.name for entry in data.catalogue() if entry.kind in error.needed.split(" or ")]
        models = [other for other in gans.MODELS if error.found in fitting(other_needs(other))]
        raise UsageError(
            f"{reference.name} is a model for {error.needed}, and {error.given} holds {error.found}: choose --data from "
            f"{', '.join(sets)}, or a model for {error.found}: {', '.join(models) or 'there is none yet'}"
        ) from error


def load_same_kind(reference: Reference, config: Any, saved: Checkpoint) -> Supply:
    """The data of a run that has a checkpoint, in its units. Errors as :func:`load_data`, and
    CheckpointError: they have other shapes or classes than those that it was trained on.
    """
    trained_on = Facts.read(saved.facts)
    supply = load_data(reference, config, trained_on)
    if supply.facts != trained_on:
        raise CheckpointError(f"{config.data}: holds {supply.facts}; the run was trained on {trained_on}")
    return supply


def fitting(needed: Any) -> tuple[str, ...]:
    """The kinds of data that a model of one data set takes; none for another one."""
    return needs.FITTING.get(needed, (needed,)) if isinstance(needed, str) else ()


def other_needs(name: str) -> Any:
    """What a model of minigan's own is trained on; nothing for a registered one, which is not imported for that."""
    return gans.get(name).needs if gans.MODELS[name].startswith(f"{gans.__name__}.") else None


def tell(supply: Supply) -> None:
    """A line on each data set: what was read."""
    for found in supply.sets.values():
        note(f"read {found.summary()} from {found.name}")


def checksum(supply: Supply) -> int:
    """CRC-32 of the examples and labels of all data sets."""
    total = 0
    for name in sorted(supply.sets):
        x = supply.sets[name].x
        total = x.checksum(total) if isinstance(x, data.Pixels) else zlib.crc32(x.reshape(-1).data, total)
        labels = supply.sets[name].y
        total = total if labels is None else zlib.crc32(labels.data, total)
    return total


def some_of(supply: Supply) -> dict[str, np.ndarray]:
    """Examples spread over each data set, by the names in a model's `needs`: what its pictures and metrics may look at.

    Not the first ones, which in a folder of folders are all of one label.
    """
    return {name: np.asarray(part[spread(len(part), SOME)]) for name, part in supply.parts.items()}


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` places among `count`, evenly spread, in order."""
    return np.arange(min(count, most)) * count // min(count, most)


def new_model(reference: Reference, config: Any, facts: Facts, device: str) -> Any:
    """A model with its initial weights; UsageError when the configuration does not suit the data."""
    with usage_if_unsuitable(reference, config, facts), reference.blamed(), room.training():
        made = reference.model(config, facts, device=device)
        check_made(made)
        return made


@contextmanager
def usage_if_unsuitable(reference: Reference, config: Any, facts: Facts) -> Iterator[None]:
    """Turn what a model says to options that do not fit together into a UsageError.

    In minigan's own models that is whatever is wrong with a value; in somebody else's, only what is raised as `Unsuitable`.
    """
    try:
        yield
    except (ValueError, OverflowError) as error:
        if str(error).startswith("MINIGAN_"):  # a setting in the environment, which names itself
            raise
        if not (reference.own or isinstance(error, Unsuitable)):
            raise
        shapes = ", ".join(str(shape) for shape in facts.shapes.values())
        where = f" on {config.data}, shape {shapes}," if shapes else ""
        raise UsageError(f"{reference.name} cannot be trained{where} as it is set: {error}") from error


def reference_of(folder: RunDir, file: Path, saved: Checkpoint, chosen: str | None, word: str) -> Reference:
    """The model of a run (see `minigan.run.references`), with a note where it is not the one that the run was trained with."""
    try:
        found = references.of_run(folder.path, saved, chosen, word)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error
    if not found.own and found.sha256 != saved.origin.get("sha256"):
        note(f"note: {found.file} is not what it was when the run began; it goes on, but not as it would have")
    return found


def restored_config(path: Path, reference: Reference, saved: Checkpoint) -> Any:
    """The configuration in a checkpoint, as the model's own dataclass; CheckpointError when it does not fit."""
    try:
        with reference.blamed():
            return settings.restore(reference.model, saved.config)
    except ValueError as error:
        raise CheckpointError(f"{path}: does not fit {_version(reference)}: {error}") from error


def restored_model(path: Path, reference: Reference, saved: Checkpoint, config: Any, device: str) -> Any:
    """The model of a checkpoint, with its weights and all other state; CheckpointError when they do not fit."""
    try:
        facts = Facts.read(saved.facts)
        with reference.blamed():
            model = reference.model(config, facts, device=device)
            check_made(model)
        model.load_state(saved.state)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{path}: does not fit {_version(reference)}: {error}") from error
    return model


def _version(reference: Reference) -> str:
    return "this version of minigan" if reference.own else f"the model {reference.name} as it is now"


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
        from minigan.kernels.cpu.compiler import FOLDER

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
    from minigan.kernels.cpu import ahead, compiler

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
