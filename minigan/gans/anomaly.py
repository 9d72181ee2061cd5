"""What anomaly detectors share: a class that is held out of training, scores of unseen images, and what these are worth.

A detector trains on the images of all classes but one, and of those on four in five; it is judged by telling the fifth from the
class that it has never seen (the protocol of Akcay, Atapour-Abarghouei, Breckon 2018, arXiv 1805.06725, section 4). An image's
own pixels decide whether it is kept for the judgement: neither the order of the data nor a copy of an image can carry it over.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.latents import beside
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture, Unsuitable
from minigan.metrics.auroc import auroc
from minigan.metrics.principal import principal_residual

KEPT = 5  # one image in so many is kept
JUDGED, SHOWN, COMPONENTS, CHUNK = 2000, 20, 32, 500  # images of each kind: looked at, shown; of the baseline; at once


def held_out() -> Any:
    """The option that says which class."""
    return option(2, "class that is left out of training and is to be told from the others", low=0)


def kept(x: Any) -> np.ndarray:
    """Which images (N, H, W, C) in [-1, 1] are never trained on: (N,) booleans, by the CRC-32 of their bytes as 8-bit pixels."""
    found = np.zeros(len(x), bool)
    for start in range(0, len(x), CHUNK):
        pixels = np.rint(127.5 * (np.asarray(x[start : start + CHUNK]) + 1)).astype(np.uint8)
        found[start : start + CHUNK] = [zlib.crc32(np.ascontiguousarray(image).data) % KEPT == 0 for image in pixels]
    return found


class Detector(Model):
    """A model that scores images: larger is stranger.

    A subclass writes `networks`, `players`, :meth:`reconstruction` and :meth:`score`, and has `held_out` in its `Config`. Its
    losses get images; no label reaches them.
    """

    needs = {"x": "images", "y": "labels"}  # noqa: RUF012
    family = "anomaly"
    lesson = "22_autoencoders_and_adversaries"
    least_auroc: ClassVar[float] = 0.8

    def prepare(self) -> None:
        """Raises Unsuitable: a class that the data has not."""
        if self.config.held_out >= self.classes:
            raise Unsuitable(
                f"held_out: got {self.config.held_out}, expected a class of the data, 0 to {self.classes - 1}"
            )
        super().prepare()

    @classmethod
    def trains_on(cls, config: Any, data: Mapping[str, Any]) -> np.ndarray:
        """Images of the other classes that are not kept for the judgement."""
        return np.flatnonzero((data["y"] != config.held_out) & ~kept(data["x"]))

    def feed(self, batch: Any, number: int) -> Any:
        """The images alone."""
        return batch["x"]

    @abstractmethod
    def reconstruction(self, x: Tensor) -> Tensor:
        """What the model makes of images, of their shape."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """How strange each image is: (N,)."""

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The same in evaluation mode."""
        with self.evaluating():
            parts = [self.score(self.tensor(x[i : i + CHUNK])).numpy() for i in range(0, len(x), CHUNK)]
        return np.concatenate([*parts, np.empty(0, np.float32)])

    def unseen(self, real: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """(images that were not trained on, which of them are of the class held out): normal ones, then the others."""
        strange = real["y"] == self.config.held_out
        left = ~strange
        left[self.trains_on(self.config, real)] = False
        rows = np.concatenate([np.flatnonzero(which)[:JUDGED] for which in (left, strange)])
        return np.asarray(real["x"][rows]), strange[rows]

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The area under the curve, on the few images that are at hand; it is not for choosing a checkpoint by."""
        x, strange = self.unseen(real)
        return {"auroc": auroc(self.scores(x), strange)} if 0 < strange.sum() < len(x) else {}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Scores of both kinds; and images beside their reconstructions, normal ones above, below those of the class held out."""
        x, strange = self.unseen(real)
        found, few = self.scores(x), np.concatenate([np.flatnonzero(which)[:SHOWN] for which in (~strange, strange)])
        with self.evaluating():
            again = self.reconstruction(self.tensor(x[few])).numpy()
        groups = {"other classes, unseen": found[~strange], f"class {self.config.held_out}, held out": found[strange]}
        bars = Histogram({name: unit_range(v, found) for name, v in groups.items()}, "anomaly score, 0 to 1")
        return {**super().pictures(real), "scores": bars, "reconstructions": beside(x[few], again)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The area under the curve, and what is left of it above that of a linear autoencoder."""
        x, strange = self.unseen(real)
        area = auroc(self.scores(x), strange)
        normal = np.asarray(real["x"][self.trains_on(self.config, real)])
        linear = auroc(principal_residual(normal, x, COMPONENTS), strange)
        return [
            Check(f"AUROC, class {self.config.held_out} held out", area, f">= {self.least_auroc:g}"),
            Check(f"AUROC above that of the residual of PCA-{COMPONENTS}", area - linear, "> 0"),
        ]


def unit_range(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(v - min) / (max - min), of the scores `among` (Akcay et al. 2018, eq. 7)."""
    low, high = among.min(), among.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
