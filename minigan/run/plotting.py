"""Everything there is to see of a run: `minigan plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import backend, data
from minigan.autodiff import Tensor
from minigan.gans.needs import Facts, kind_in_time
from minigan.gans.protocol import Picture, can_be_drawn, fits
from minigan.run import building, checkpoint, export, field, figures, places, plots, tables
from minigan.run.errors import UsageError, shown
from minigan.run.recorder import NORM
from minigan.run.references import Reference
from minigan.run.rundir import RunDir
from minigan.run.timed_pictures import painter_in_time

STEPS, STRIPS = 9, 6  # images from one noise vector to another, and pairs of them
COORDINATES, REACH = 8, 2.5  # latent coordinates that are varied, from -REACH to REACH
FIELD = "field.gif"
GENERATORS = ("generator", "decoder")  # the names of networks that make examples of noise


class Unavailable(Exception):  # noqa: N818 - it says what a picture is
    """A picture that this model, or this run, does not have; the message says why."""


class Seen(NamedTuple):
    """What pictures are made of: the model, its samples, real examples by name, those of the samples' shape, the lines of
    metrics.jsonl, and the data's facts and its points. Only the last are in the user's units."""

    model: Any
    reference: Reference
    samples: np.ndarray
    sets: Mapping[str, np.ndarray]
    real: np.ndarray | None
    folder: RunDir
    rows: list[dict[str, Any]]
    facts: Facts
    points: data.Dataset | None


def plot(path: str, *, csv: str | None = None, tensorboard: str | None = None, model: str | None = None) -> str:
    """Make all pictures that a run's model allows, in RUN/plots; and its numbers as CSV or TensorBoard's event files.

    Args:
        path: the run's directory.
        csv: a file for `metrics.jsonl` as CSV. tensorboard: a folder for an event file. With one of these no pictures are made.
        model: FILE.py[:Class], where the recorded file has changed or moved (see `minigan.run.references`).

    Returns:
        What to tell on stdout: the files, and which pictures there are not, and why.

    Raises:
        UsageError, CheckpointError, DataError, AuthorError.
    """
    folder = export.opened(path)
    if csv is not None or tensorboard is not None:
        return _numbers(folder, csv, tensorboard)
    file, saved = checkpoint.latest(folder)
    reference = building.reference_of(folder, file, saved, model, "plot")
    config = building.restored_config(file, reference, saved)
    config = places.found_again(folder.path, config, reference.model.needs, saved.near)
    device = building.usable_device(saved.device, folder.path)
    with building.kernel_phase(device, quiet=True), np.errstate(all="ignore"):
        restored = building.restored_model(file, reference, saved, config, device)
        seen = _seen(restored, reference, config, folder, Facts.read(saved.facts))
        made, lacking = _all(seen)
    lines = [f"{path}: step {saved.step}", *(f"  {done}" for done in made), *(f"  no {text}" for text in lacking)]
    return "\n".join(lines)


def _numbers(folder: RunDir, csv: str | None, tensorboard: str | None) -> str:
    rows = folder.read_metrics()
    if not rows:
        raise UsageError(f"{folder.metrics}: has no lines yet")
    lines = []
    try:
        if csv is not None:
            if Path(csv).resolve() == folder.metrics.resolve():
                raise UsageError(f"--csv: {csv} is the file that is read; choose another name")
            tables.save_csv(Path(csv), rows)
            lines.append(f"{csv}: {len(rows)} lines")
        if tensorboard is not None:
            began = folder.metrics.stat().st_mtime
            lines.append(f"{tables.save_events(Path(tensorboard), rows, began)}: {len(rows)} lines")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError) as error:
        raise UsageError(f"cannot write there: {error}") from error
    return "\n".join(lines)


def _seen(model: Any, reference: Reference, config: Any, folder: RunDir, facts: Facts) -> Seen:
    sets: dict[str, np.ndarray] = {}
    points = None
    try:
        supply = building.load_data(reference, config, facts)
        sets = building.some_of(supply)
        points = next((found for found in supply.sets.values() if found.kind == "points"), None)
    except data.DataError as error:
        building.note(f"note: without real examples: {error}")
    samples = np.zeros((0, 0))
    with reference.blamed():
        made = model.pictures(sets) if sets or not model.needs else {}
        if isinstance(shown := made.get("samples"), Picture):
            samples = shown.examples
    alike = (x for x in sets.values() if len(samples) and x.shape[1:] == samples.shape[1:])
    return Seen(model, reference, samples, sets, next(alike, None), folder, folder.read_metrics(), facts, points)


def _all(seen: Seen) -> tuple[list[Path], list[str]]:
    """The files that were made, and for each that was not its name and why."""
    place = seen.folder.path / "plots"
    place.mkdir(exist_ok=True)
    made, lacking = [], []
    for name, draw in PICTURES.items():
        picture = _drawn(seen, draw)
        if isinstance(picture, Unavailable):
            lacking.append(f"{name}: {picture}")
            continue
        path = place / (FIELD if isinstance(picture, list) else f"{name}.png")
        if isinstance(picture, list):
            plots.save_gif(path, [*picture, *[picture[-1]] * 5], fps=min(10.0, max(2.0, len(picture) / 5)))
        elif isinstance(picture, np.ndarray):
            plots.save_picture(path, picture)
        made.append(path)
    return made, lacking


def _drawn(seen: Seen, draw: Callable[[Seen], Any]) -> Any:
    """A picture, or why there is none, which is no error of the model's author: it must not come out of `blamed`."""
    with seen.reference.blamed():
        try:
            return draw(seen)
        except Unavailable as reason:
            return reason


def _losses(seen: Seen) -> None:
    names = [player.name for phase in seen.model.game.phases for player in phase.players]
    target = seen.folder.path / "plots" / "losses.png"
    if not plots.save_losses(target, seen.rows, names, seen.model.equilibrium()):
        raise Unavailable("metrics.jsonl has no losses")


def _gradients(seen: Seen) -> np.ndarray:
    keys = list(dict.fromkeys(key for row in seen.rows for key in row if key.endswith(NORM)))
    drawn = figures.norms(seen.rows, keys, NORM)
    if drawn is None:
        raise Unavailable(
            "metrics.jsonl has no norms of gradients (they are noted on the CPU, by minigan's optimizers)"
        )
    return drawn


def _samples(seen: Seen) -> np.ndarray:
    kind = kind_in_time(seen.reference.model.needs)
    if len(seen.samples) and fits(seen.samples, kind):
        return painter_in_time(kind, seen.facts).picture(seen.samples, f"step {seen.model.game.steps}")
    if not len(seen.samples) or not can_be_drawn(seen.samples):
        raise Unavailable("the model makes no samples that can be drawn")
    if seen.samples.ndim == 2:
        samples = seen.facts.in_units(seen.samples)
        return plots.painter_of(samples, seen.points).picture(samples, f"step {seen.model.game.steps}")
    if seen.real is None:
        raise Unavailable("there are no real examples of the samples' shape")
    return figures.beside(seen.real, seen.samples)


def _scores(seen: Seen) -> np.ndarray:
    return figures.histogram(*(_scored(seen, x) for x in (_real(seen), seen.samples)))


def _real(seen: Seen) -> np.ndarray:
    if field.critic_of(seen.model) is None or not hasattr(seen.model, "evaluating"):
        raise Unavailable(f"the model has no network called {' or '.join(field.CRITICS)}")
    if seen.real is None:
        raise Unavailable("there are no real examples of the samples' shape")
    return seen.real


def _scored(seen: Seen, x: np.ndarray) -> np.ndarray:
    try:
        return field.scores(seen.model, np.ascontiguousarray(x[:500], np.float32))
    except (TypeError, ValueError, AttributeError) as error:
        raise Unavailable(f"its discriminator is no function of examples alone ({shown(error)})") from error


def _generated(seen: Seen, z: np.ndarray) -> np.ndarray:
    """G(z), images; Unavailable where the model has no generator of noise alone. What a decoder gives may be no image
    yet, but logits of its pixels: then the model has a method `image` that makes it one.
    """
    latent = getattr(seen.model.config, "latent", None)
    generator = next((seen.model.modules[name] for name in GENERATORS if name in seen.model.modules), None)
    if latent is None or generator is None or not hasattr(seen.model, "evaluating"):
        raise Unavailable(f"the model has no network called {' or '.join(GENERATORS)} with an option latent")
    as_image = getattr(seen.model, "image", lambda made: made)
    try:
        with seen.model.evaluating():
            noise = Tensor(backend.to_device(z.astype(np.float32), seen.model.device))
            made = backend.to_numpy(as_image(generator(noise)).data)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unavailable(f"its generator is no function of noise alone ({shown(error)})") from error
    if made.ndim != 4 or not can_be_drawn(made):
        raise Unavailable("it is for images")
    return made


def _noise(seen: Seen, count: int) -> np.ndarray:
    latent = getattr(seen.model.config, "latent", 1)
    return np.random.default_rng(seen.model.config.seed).standard_normal((count, latent))


def _interpolations(seen: Seen) -> np.ndarray:
    """Along great circles, since in many dimensions a straight line leaves the shell where noise lies (White 2016, arXiv
    1609.04468): z(t) = (sin((1 - t) w) a + sin(t w) b) / sin w, w the angle between a and b."""
    a, b = np.split(_noise(seen, 2 * STRIPS), 2)
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    w, t = np.arccos(np.clip(cosine, -0.9999, 0.9999))[:, None, None], np.linspace(0, 1, STEPS)[:, None]
    z = (np.sin((1 - t) * w) * a[:, None] + np.sin(t * w) * b[:, None]) / np.sin(w)
    images = _generated(seen, z.reshape(-1, z.shape[-1]))
    columns = [f"{x:.2g}" for x in t[:, 0]]
    return figures.strips(
        images, "from one noise vector to another", [f"pair {i + 1}" for i in range(STRIPS)], columns, "t"
    )


def _traversals(seen: Seen) -> np.ndarray:
    base, values = _noise(seen, 1)[0], np.linspace(-REACH, REACH, STEPS)
    count = min(COORDINATES, len(base))
    z = np.tile(base, (count, STEPS, 1))
    for i in range(count):
        z[i, :, i] = values
    images = _generated(seen, z.reshape(-1, len(base)))
    title = "one coordinate of one noise vector varied, the others held"
    rows, columns = [f"$z_{{{i + 1}}}$" for i in range(count)], [f"{v:.2g}" for v in values]
    return figures.strips(images, title, rows, columns, "its value, in standard deviations")


def _field(seen: Seen) -> np.ndarray:
    real = _real(seen)
    if real.ndim != 2 or real.shape[1] != 2:
        raise Unavailable("it is for points in the plane")
    _scored(seen, real)
    now = field.of_model(seen.model, real, seen.samples)
    return _drawn_field(now, real, f"step {seen.model.game.steps}", [now])


def _animation(seen: Seen) -> list[np.ndarray]:
    found = field.load_all(seen.folder.samples)
    if len(found) < 2 or seen.real is None:
        raise Unavailable("it is for points in the plane, and shows what was kept while a run trained")
    return [_drawn_field(now, seen.real, f"step {step}", list(found.values())) for step, now in sorted(found.items())]


def _drawn_field(now: field.Field, real: np.ndarray, title: str, every: list[field.Field]) -> np.ndarray:
    """All frames share a scale of colours and of arrows: the 95th percentiles of all."""
    reach = float(np.quantile([np.quantile(np.abs(f.scores), 0.95) for f in every], 0.95)) or 1.0
    lengths = np.concatenate([np.linalg.norm(f.arrows, axis=1) for f in every])
    return figures.field(now, real, title, reach, float(np.quantile(lengths, 0.95)))


PICTURES: dict[str, Callable[[Seen], Any]] = {
    "losses": _losses,
    "gradients": _gradients,
    "samples": _samples,
    "scores": _scores,
    "interpolations": _interpolations,
    "traversals": _traversals,
    "field": _field,
    "animation": _animation,
}
