"""Draw from a trained model: `minigan sample`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan import data, room
from minigan.gans.conditions import Examples
from minigan.gans.needs import Facts, kind_in_time
from minigan.gans.protocol import Trainable, can_be_drawn, fits, makes_examples
from minigan.run import building, checkpoint, export, places, plots, timed_pictures
from minigan.run.errors import UsageError, command
from minigan.run.references import Reference
from minigan.run.rundir import RunDir, write_durably

MOST = 2**31 - 1
MOST_IN_A_PICTURE = 10_000


def sample(
    path: str,
    n: int,
    *,
    seed: int | None = None,
    out: str | None = None,
    asked: Mapping[str, str] | None = None,
    model: str | None = None,
    of_best: bool = False,
) -> str:
    """Draw `n` examples from the newest checkpoint of a run, or from the best, and write them to a file.

    Args:
        path: the run's directory.
        n: how many.
        seed: of the noise; by default the run's, whose first examples are those of the training pictures.
        out: FILE.npy for an array (n, H, W, C) float32 in [-1, 1], or (n, features) in the data's units; FILE.png for a
            grid or a scatter plot; of text FILE.txt, of sounds FILE.wav, of films FILE.gif. By default samples/seed-S-n-N.png in
            the run's directory, .txt, .wav or .gif for what is in time, or .npy for what cannot be drawn.
        asked: the model's conditions, as text: {"label": "3"}.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).
        of_best: the best checkpoint by the model's number (see `minigan.gans.protocol.Trainable.best`).

    Returns:
        What to tell on stdout.

    Raises:
        UsageError: n out of range, an unknown condition or value, a file that cannot be written.
        CheckpointError: there is no usable checkpoint.
        AuthorError: what the model's own code raises.
    """
    if not 1 <= n <= MOST:
        raise UsageError(f"-n: got {n}, expected 1 to {MOST}")
    folder = export.opened(path)
    target = None if out is None else _target(out)
    if target and target.suffix.lower() == ".png":
        _check_count(n)
    file, saved = checkpoint.chosen(folder, of_best=of_best)
    reference = building.reference_of(folder, file, saved, model, "sample")
    _check_examples(reference, path)
    config = building.restored_config(file, reference, saved)
    config = places.found_again(folder.path, config, reference.model.needs, saved.near)
    seed = config.seed if seed is None else seed
    device = building.usable_device(saved.device, folder.path)
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        restored = building.restored_model(file, reference, saved, config, device)
        facts = Facts.read(saved.facts)
        given = conditions(reference, restored, asked or {}, config, facts)
        one = drawn(reference, restored, 1, seed, given)
        check_memory(n, one.size)
        kind = kind_in_time(reference.model.needs) if fits(one, kind_in_time(reference.model.needs)) else ""
        if target and target.suffix.lower() not in (".npy", ".png", timed_pictures.ENDINGS.get(kind, ".png")):
            raise UsageError(f"--out: got {str(target)!r}, and what the model makes is written to {_endings(kind)}")
        target = target or _default_target(folder, one, n, seed, asked or {}, kind)
        examples = facts.in_units(drawn(reference, restored, n, seed, given))
    title = f"{n} samples at step {saved.step}"
    if kind and target.suffix.lower() == ".png":
        plots.save_picture(target, timed_pictures.painter_in_time(kind, facts).picture(examples, title))
    elif target.suffix.lower() == timed_pictures.ENDINGS.get(kind):
        timed_pictures.save_in_time(target, kind, examples, facts)
    else:
        _write(target, examples, title, reference, config)
    words = [word for key, text in (asked or {}).items() for word in ("--set", f"{key}={text}")]
    words += [*(["--best"] if of_best else []), *(["--model", model] if model else [])]
    again = f"more: {command('sample', path, '-n', n, '--seed', seed + 1, *words)}"
    return f"{target}: {n} examples of {file}, seed {seed}\n{again}"


def conditions(
    reference: Reference, model: Trainable, asked: Mapping[str, str], config: Any, facts: Facts
) -> dict[str, Any]:
    """What is asked for, and the run's own examples where a model translates some and none are named."""
    given: dict[str, Any] = {}
    with reference.blamed():
        for name, text in asked.items():
            try:
                given[name] = model.parse_condition(name, text)
            except ValueError as error:
                raise UsageError(f"--set: {error}") from error
    for name, examples in given.items():
        if isinstance(model.conditions[name], Examples) and (units := facts.units_of(examples)):
            given[name] = units.standardised(examples)
    wanted = {name: c.of for name, c in model.conditions.items() if isinstance(c, Examples) and name not in given}
    if wanted:
        parts = building.load_data(reference, config, facts).parts
        given |= {name: parts[of] for name, of in wanted.items()}
    return given


def drawn(reference: Reference, model: Trainable, n: int, seed: int, given: Mapping[str, Any]) -> np.ndarray:
    """n examples; UsageError for a model that makes none."""
    with reference.blamed():
        try:
            return model.sample(n, seed=seed, **given)
        except NotImplementedError as error:
            raise UsageError(f"{reference.name}: {error}") from error


def _check_examples(reference: Reference, path: str) -> None:
    if not makes_examples(reference.model):
        what = f" ({reference.model.summary})" if reference.model.summary else ""
        raise UsageError(
            f"{reference.name}{what} makes no examples that could be sampled; what it has learned tell "
            f"{command('evaluate', path)} and {command('plot', path)}"
        )


def check_memory(n: int, elements: int) -> None:
    """MemoryError before it is too late: Linux grants more than there is, and kills whoever uses it."""
    needed = 2 * 4 * n * elements  # float32: the parts, and the whole
    room.check(needed, f"-n: {n} examples: this", hint="; use a smaller -n")


def _check_count(n: int) -> None:
    if n > MOST_IN_A_PICTURE:
        raise UsageError(
            f"-n: {n} are too many for one picture, at most {MOST_IN_A_PICTURE}; write them to a .npy file"
        )


def _endings(kind: str) -> str:
    return ", ".join([*([timed_pictures.ENDINGS[kind]] if kind else []), ".npy or .png"])


def _default_target(folder: RunDir, one: np.ndarray, n: int, seed: int, asked: Mapping[str, str], kind: str) -> Path:
    ending = timed_pictures.ENDINGS[kind][1:] if kind else "png" if can_be_drawn(one) else "npy"
    if ending == "png":
        _check_count(n)
    words = [f"seed-{seed}-n-{n}", *(f"{key}-{re.sub(r'[^A-Za-z0-9.,-]', '_', text)}" for key, text in asked.items())]
    return folder.samples / f"{'-'.join(words)}.{ending}"


def _target(out: str) -> Path:
    target = Path(out)
    if target.suffix.lower() not in (".npy", ".png", *timed_pictures.ENDINGS.values()):
        raise UsageError(
            f"--out: got {out!r}, expected a file name that ends in .npy or .png (text: .txt, sounds: .wav, films: .gif)"
        )
    other = target.exists() and not target.is_file()
    if other or not target.parent.is_dir():
        what = (
            "is a folder, or no regular file" if other else f"is in {target.parent}, which is not a folder that exists"
        )
        raise UsageError(f"--out: {out} {what}")
    return target


def _write(target: Path, examples: np.ndarray, title: str, reference: Reference, config: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() == ".npy":
        write_durably(target, lambda file: np.save(file, examples, allow_pickle=False))
        return
    if not can_be_drawn(examples):
        raise UsageError(f"--out: examples of shape {examples.shape[1:]} cannot be drawn; write them to a .npy file")
    real = None
    if examples.ndim == 2:
        try:
            sets = building.load_data(reference, config).sets
        except data.DataError:  # the picture then shows the generated points alone
            sets = {}
        real = next((found for found in sets.values() if found.kind == "points"), None)
    plots.save_picture(target, plots.painter_of(examples, real).picture(examples, title))
