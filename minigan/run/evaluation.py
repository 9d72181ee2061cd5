"""What a run's model is worth, as numbers: `minigan evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from minigan import metrics
from minigan.data import DataError
from minigan.data.base import open_file
from minigan.gans.protocol import check_checks
from minigan.metrics import Comparison, Metric, MissingError, Side
from minigan.run import building, checkpoint, places, references
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import CheckpointError, UsageError
from minigan.run.progress import note
from minigan.run.rundir import RunDir, write_durably
from minigan.run.setting import LEAST, Setting
from minigan.run.table import Evaluation, Row


def evaluate(
    path: str,
    *,
    n: int | None = None,
    seed: int | None = None,
    as_json: bool = False,
    model: str | None = None,
    slow: bool = False,
    files: Sequence[str] = (),
) -> str:
    """Measure a run, store the table in its folder, and return it.

    Args:
        path: the run's directory.
        n: samples; by default 5,000 images or 2,500 points, at most half of the data.
        seed: of the samples; by default the run's.
        as_json: return the JSON document instead of the table.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).
        slow: take the metrics too that need minutes.
        files: of one's own that register further metrics (see `minigan.metrics.registry`).

    Raises:
        UsageError: n out of range, a file without a metric. CheckpointError, DataError: no usable checkpoint, or no data.
        AuthorError: an error in the code of a model or of a metric that is not minigan's own.
    """
    import_metrics(files)
    found, _ = measured(path, n=n, seed=seed, model=model, slow=slow)
    text = found.as_text()
    _store(RunDir.open(path), found.as_json(), text)
    return found.as_json() if as_json else text


def import_metrics(files: Sequence[str]) -> None:
    """Import files that register metrics. UsageError for one that registers none, or one whose name is taken."""
    for path in files:
        before = len(metrics.METRICS)
        references.import_file(path)
        if len(metrics.METRICS) == before:
            raise UsageError(
                f"--metric: {path} registers no metric: call minigan.metrics.register(function, ...) in it"
            )


def _store(folder: RunDir, document: str, text: str) -> None:
    try:
        for file, content in (("evaluation.json", document), ("evaluation.txt", text)):
            write_durably(folder.path / file, partial(_write, content))
    except OSError as error:
        note(f"note: the table could not be stored in {folder.path} ({error})")


def _write(content: str, file: IO[bytes]) -> None:
    file.write(f"{content}\n".encode())


def checkpoints_to_evaluate(folder: RunDir) -> dict[str, tuple[Path, Checkpoint]]:
    """By label, in the order of the table: the last, and the best where there is one; a note where that one is damaged."""
    file, saved = checkpoint.latest(folder)
    found = {"last": (file, saved)}
    if saved.best:
        try:
            found["best"] = checkpoint.best_of(folder, file, saved)
        except CheckpointError as error:
            note(f"note: the best checkpoint is left out: {error}")
    return found


def measured(
    path: str,
    *,
    n: int | None = None,
    seed: int | None = None,
    model: str | None = None,
    slow: bool = False,
    beside: Setting | None = None,
) -> tuple[Evaluation, Setting]:
    """(what :func:`evaluate` tells, what the samples were compared with, and they). Arguments and errors as there.

    beside: that of another run on the same data, to be measured on the same real examples: data that are drawn here differ from
    seed to seed of a run. UsageError where the data are others.
    """
    if n is not None and n < LEAST:
        raise UsageError(f"-n: got {n}, expected at least {LEAST}")
    folder = RunDir.open(path)
    chosen = checkpoints_to_evaluate(folder)
    file, saved = next(iter(chosen.values()))
    reference = building.reference_of(folder, file, saved, model, "evaluate")
    config = building.restored_config(file, reference, saved)
    if beside is not None and config.data != beside.config.data:
        raise UsageError(
            f"{path} was trained on {config.data}, and not on {beside.config.data}: numbers on different data, or by different "
            "judges, do not compare"
        )
    config = places.found_again(folder.path, config, reference.model.needs, saved.near)
    read = config if beside is None else replace(config, seed=beside.config.seed)
    supply = building.load_same_kind(reference, read, saved)
    if beside is None and building.checksum(supply) != saved.data_checksum:
        note(f"note: {config.data} is not what it was when the run began; samples are compared with what it is now")
    device = building.usable_device(saved.device, folder.path)
    seed = config.seed if seed is None else seed
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        models = {
            label: building.restored_model(file, reference, saved, config, device)
            for label, (file, saved) in chosen.items()
        }
        setting = Setting(reference, config, supply, models["last"].conditions, n, seed)
        found = Evaluation(str(folder.path), reference.name, str(config.data), setting.n, setting.seed)
        for label, (file, saved) in chosen.items():
            model_now = models[label]
            found.checkpoints[label] = {"file": str(file), "step": saved.step}
            samples = setting.samples(model_now, label, found.left_out)
            if samples is not None:
                add_rows(found, label, setting.comparison(samples), setting.comparison(setting.other), slow=slow)
            with reference.blamed():
                found.checks[label] = check_checks(reference.name, model_now.checks(setting.real_data))
    found.judge = setting.judge_told()
    return found, setting


# -- metrics to rows -------------------------------------------------------------------------------------------------
def add_rows(found: Evaluation, label: str, comparison: Comparison, floor: Comparison, *, slow: bool = False) -> None:
    """Measure every metric that has what it takes, on samples and, once, on real examples in their place; the others are told in
    `left_out`."""
    for metric in metrics.METRICS.values():
        if metric.measure is None:
            continue
        if metric.slow and not slow:
            found.left_out[metric.name] = "takes minutes: ask for it with --slow"
            continue
        try:
            with _blamed(metric):
                values = _values(metric, comparison, found.left_out)
                if values is not None:
                    _merge(found, label, metric, values, floor)
        except ValueError as error:  # what one of our metrics says of samples that it cannot take, such as NaN
            found.left_out[f"{metric.name}, {label}"] = str(error)


def _blamed(metric: Metric) -> AbstractContextManager[None]:
    module = metric.function.__module__
    if module.startswith(f"{__package__.partition('.')[0]}."):
        return nullcontext()
    return references.blamed_on(
        str(getattr(sys.modules.get(module), "__file__", module)), f"{metric.name!r} (a metric)"
    )


def _values(metric: Metric, comparison: Comparison, left_out: dict[str, str]) -> dict[str, float] | None:
    try:
        return metric.values(comparison)
    except MissingError as error:
        left_out[metric.name] = str(error)
        return None


def _merge(found: Evaluation, label: str, metric: Metric, values: Mapping[str, float], floor: Comparison) -> None:
    titles = {name: metric.judged if metric.judged and floor.real.judged else name for name in values}
    known = {row.name: row for row in found.rows}
    if not known.keys() & set(titles.values()):
        real, biases = metric.values(floor), metric.biases(floor)
        known = {
            title: Row(title, metric.direction(name), {}, real.get(name), biases.get(name))
            for name, title in titles.items()
        }
        found.rows += known.values()
    for name, value in values.items():
        known[titles[name]].values[label] = value


# -- features from files ---------------------------------------------------------------------------------------------
def evaluate_features(real: str, fake: str, *, as_json: bool = False, seed: int = 0, files: Sequence[str] = ()) -> str:
    """The same table from features that somebody else's network gave, Inception's for instance: then the Frechet distance is an
    FID.

    Args:
        real, fake: .npy files (N, d) and (M, d); half of the real ones, shuffled, against the other half is the floor.
        as_json, seed, files: as for :func:`evaluate`.

    Raises:
        UsageError, AuthorError: as there. DataError: a file that cannot be read or holds something else.
    """
    import_metrics(files)
    x, y = _features(real), _features(fake)
    if x.shape[1] != y.shape[1]:
        raise DataError(
            f"{fake}: features of {y.shape[1]} numbers, and those of {real} have {x.shape[1]}: one network gives both"
        )
    order, half = np.random.default_rng(seed).permutation(len(x)), len(x) // 2
    parts = [Side(features=x[rows]) for rows in (order[:half], order[half : 2 * half])]
    found = Evaluation(fake, "features", real, len(y), seed, {"given": {"file": fake, "step": None}})
    add_rows(found, "given", Comparison(Side(features=x), Side(features=y), seed=seed), Comparison(*parts, seed=seed))
    return found.as_json() if as_json else found.as_text()


def _features(path: str) -> np.ndarray:
    try:
        open_file(Path(path)).close()  # of a pipe NumPy would wait for the other end
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        array = np.array(values) if isinstance(values, np.ndarray) and values.dtype.kind in "fiu" else np.empty(0)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as .npy ({error})") from error
    if array.ndim != 2 or len(array) < 2 * LEAST or not np.isfinite(array).all():
        raise DataError(f"{path}: expected finite features (N, d) in a .npy file, N at least {2 * LEAST}")
    return array
