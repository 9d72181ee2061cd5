"""What models of two sets of images share: pictures in rows, and what is measured where the truth is known.

Pairs (`a` and `b` of one row) are the truth themselves. Of unpaired sets it is known where one was made of the other
(`minigan.data.derived`): then row i of the one has its counterpart, which no loss is ever told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import data
from minigan.gans import restoring
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Examples
from minigan.gans.images import Averaged, ImageConfig
from minigan.gans.options import again, option
from minigan.gans.protocol import Picture
from minigan.gans.translators import alike
from minigan.metrics.ssim import UNIFORM

SHOWN, LOOKED, JUDGED = 16, 200, 1000  # columns of a picture; images of a line of metrics, of the checks


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(ImageConfig):
    """The options of a model of two sets."""

    steps: int = option(2000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(16, "images of each set a step", low=1)
    features: int = option(16, "channels f after the first layers", low=1)
    lr: float = option(2e-4, "Adam's learning rate (Radford 2015, arXiv 1511.06434)", low=0.0)
    beta1: float = option(0.5, "Adam's beta1, decay of the mean gradient (ibid.)", low=0.0, high=0.999)
    ema: float = again(ImageConfig, "ema", 0.99)


class TwoSets(Averaged):
    """A model of images of `a` and of `b`, of one size; it translates those of `a`."""

    family = "translation"
    lesson = "23_image_to_image"
    conditions = {"source": Examples("a")}  # noqa: RUF012
    config: Any

    def prepare(self) -> None:
        """One size for both."""
        alike(*self.facts.shapes.values())

    def translated(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        """The images of `b` that are made of these of `a`."""
        return self.sample(len(x), seed=seed, source=x)


def rows(*images: np.ndarray) -> Picture:
    """A row of a grid each: (n, H, W, C) images; grey ones in three channels where others are in colour."""
    channels = max(each.shape[-1] for each in images)
    wide = [np.repeat(each, channels // each.shape[-1], axis=-1) for each in images]
    return Picture(np.concatenate(wide), len(images[0]))


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """The mean of |x - y| over pixels in [-1, 1]: 2 from black to white."""
    return float(np.abs(x - y).mean())


def similarity(x: np.ndarray, y: np.ndarray) -> float | None:
    """The mean structural similarity as of restored images; None for images that are smaller than its window."""
    return restoring.similarity(x, y) if min(x.shape[1:3]) >= UNIFORM else None


def shares(real: RealData, name: str, images: np.ndarray, labels: np.ndarray | None) -> float | None:
    """The share of images that the judge of that set takes for their label; None without a judge or labels."""
    judge = real.judge(name) if labels is not None else None
    return None if judge is None else float((judge.log_probabilities(images).argmax(axis=1) == labels).mean())


def read_check(real: RealData, name: str, images: np.ndarray) -> list[Check]:
    """What the judge of that set reads in translations of its first pairs; nothing without labels."""
    labels = real.sets[name].y
    read = shares(real, name, images, None if labels is None else labels[: len(images)])
    return [] if read is None else [Check("class accuracy of translations", read, ">= 0.95")]


def truth(real: RealData, a: str, b: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """The known map from one of the sets to the other, by what they were made of."""
    return data.known_map(real.sets[a].name, real.sets[b].name)


def some(real: Mapping[str, np.ndarray], *names: str, count: int = LOOKED) -> list[np.ndarray]:
    """The first examples of each of these sets, as many of each."""
    least = min(count, *(len(real[name]) for name in names)) if names else count
    return [np.asarray(real[name][:least]) for name in names]


def fitted_to(x: np.ndarray, channels: int) -> np.ndarray:
    """Images with so many channels: grey by the mean of three, or the same in each."""
    if x.shape[-1] == channels:
        return x
    return x.mean(axis=-1, keepdims=True) if channels == 1 else np.repeat(x, channels, axis=-1)


def modes_each(made: np.ndarray, apart: float) -> float:
    """How many different images there are among the translations of one input, the mean over inputs.

    made: (inputs, each, H, W, C). Two are different whose distance is at least `apart`; taken one after the other, an image that
    is different from all that were taken is one more.
    """
    counts = []
    for images in made:
        taken: list[np.ndarray] = []
        for image in images:
            if all(distance(image, other) >= apart for other in taken):
                taken.append(image)
        counts.append(len(taken))
    return float(np.mean(counts))


def correlation(z: np.ndarray, found: np.ndarray) -> float:
    """Of two arrays (n, d): the mean over coordinates of the correlation of one with the other; 0 where one does not vary."""
    x, y = z - z.mean(axis=0), found - found.mean(axis=0)
    scale = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    return float(np.divide((x * y).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 0).mean())
