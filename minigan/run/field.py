"""What a discriminator of points in the plane says everywhere, and where that sends generated points."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import backend, ops
from minigan.autodiff import Tensor, grad
from minigan.data.base import READ_ERRORS
from minigan.gans.gan import joined
from minigan.run.rundir import write_durably
from minigan.switches import enable_grad

CELLS, ARROWS = 60, 120
CRITICS = ("discriminator", "critic")  # the names of networks that score examples


class Field(NamedTuple):
    """D on a grid over the plane, and generated points with the directions in which the generator's loss falls there.

    Attributes:
        low, high: corners of the plane, (2,). scores: D's, (CELLS, CELLS), the first axis is x_2.
        points, arrows: (n, 2), the arrows -dL/dx for the generator's loss L, or +dD/dx where the model has no pair of losses.
    """

    low: np.ndarray
    high: np.ndarray
    scores: np.ndarray
    points: np.ndarray
    arrows: np.ndarray


def critic_of(model: Any) -> Any:
    """The network that scores examples, or None."""
    return next((model.modules[name] for name in CRITICS if name in model.modules), None)


def scores(model: Any, x: np.ndarray) -> np.ndarray:
    """D(x) for examples, in evaluation mode: one number each, or of a PacGAN for each pack of them. Raises what the network does
    where it is no function of examples alone."""
    with model.evaluating():
        return backend.to_numpy(_judged(model, Tensor(backend.to_device(x, model.device))).data).reshape(-1)


def _judged(model: Any, x: Tensor) -> Tensor:
    pack = getattr(model.config, "pack", 1)
    return critic_of(model)(joined(x[: len(x) // pack * pack], pack))


def of_model(model: Any, real: np.ndarray, samples: np.ndarray) -> Field:
    """The field now, over the plane that real points lie in."""
    low, high = real.min(axis=0), real.max(axis=0)
    margin = 0.25 * (high - low) + 1e-6
    low, high = low - margin, high + margin
    x1, x2 = (np.linspace(a, b, CELLS, dtype=np.float32) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    points = np.ascontiguousarray(samples[:ARROWS], np.float32)
    return Field(low, high, scores(model, grid).reshape(CELLS, CELLS), points, directions(model, points, real))


def directions(model: Any, samples: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Where the generator's loss falls: -n dL/dx for each of n samples, of their shape.

    L is the mean of the pair's generator loss, or of -D where there is no pair. real: what a relativistic loss compares with.
    Raises what the network does where it is no function of examples alone.
    """
    count = len(samples)
    x = Tensor(backend.to_device(samples, model.device))
    beside = Tensor(backend.to_device(real[np.arange(count) % len(real)], model.device))
    x.requires_grad = True
    with model.evaluating(), enable_grad():
        found, pair = _judged(model, x), getattr(model, "pair", None)
        if pair is None:
            return backend.to_numpy(grad(ops.sum(found), x).data)
        loss = pair.generator(found, _judged(model, beside).detach() if pair.relativistic else None)
        return -count * backend.to_numpy(grad(loss, x).data)


def path_of(folder: Path, step: int) -> Path:
    """Where the field of a step is."""
    return folder / f"field-step-{step:06d}.npz"


def save(folder: Path, step: int, field: Field) -> None:
    """One file a step, some 17 kB: drawn by `minigan plot`, since drawing takes longer than a hundred steps."""
    arrays: dict[str, Any] = {name: np.asarray(array, np.float32) for name, array in field._asdict().items()}
    write_durably(path_of(folder, step), lambda file: np.savez(file, **arrays))


def load_all(folder: Path) -> dict[int, Field]:
    """All fields by step; files that cannot be read are passed over."""
    found = {}
    for path in sorted(folder.glob("field-step-*.npz")):
        number = path.stem.removeprefix("field-step-")
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                found[int(number)] = Field(*(archive[name] for name in Field._fields))
        except READ_ERRORS:
            continue
    return found
