"""A few labelled examples among many, the first of each class that come; and what models that learn from them share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.autodiff import Tensor
from minigan.backend import to_numpy
from minigan.gans.base import Model, Stateful
from minigan.gans.options import option
from minigan.gans.protocol import Picture

JUDGED, ROWS = 5000, 8  # images that checks look at; in a column of a picture


def labels() -> Any:
    """The option that says how many."""
    return option(10, "labelled images of each class; the first ones that come", low=1)


class Labelled:
    """`each` examples of each class, collected from the stream of batches and kept with the run.

    Until a class has as many, those that are there are repeated, so that a batch always has classes * each rows.

    Args:
        shape: of an example. classes, each: how many.
    """

    def __init__(self, shape: tuple[int, ...], *, classes: int, each: int) -> None:
        self.x = np.zeros((classes, each, *shape), np.float32)
        self.counts = np.zeros(classes, np.int64)

    def collect(self, x: Any, y: Any) -> None:
        """Take what is still missing from a batch of examples (N, *shape) and labels (N,)."""
        each = self.x.shape[1]
        if (self.counts == each).all():
            return
        x, y = to_numpy(x), to_numpy(y)
        for k in np.flatnonzero(self.counts < each):
            found = x[y == k][: each - self.counts[k]]
            self.x[k, self.counts[k] : self.counts[k] + len(found)] = found
            self.counts[k] += len(found)

    def batch(self) -> dict[str, np.ndarray]:
        """All of them: `labelled` (classes * each, *shape) and `label` (classes * each,). Raises ValueError: there are none."""
        classes, each = self.x.shape[:2]
        there = np.flatnonzero(np.arange(each) < self.counts[:, None])  # in order of classes
        if not len(there):
            raise ValueError("Labelled: got no examples yet; collect(x, y) from a batch first")
        rows = there[np.arange(classes * each) % len(there)]
        return {"labelled": self.x.reshape(-1, *self.x.shape[2:])[rows], "label": rows // each}

    def pairs(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """n of them, evenly drawn, each beside another one of its class: two arrays (n, *shape).

        Raises:
            ValueError: no class has two yet.
        """
        enough = np.flatnonzero(self.counts >= 2)
        if not len(enough):
            raise ValueError(
                "Labelled: got no class with two examples yet, expected some; a larger batch_size brings them at once"
            )
        k = rng.choice(enough, n, p=self.counts[enough] / self.counts[enough].sum())
        first = rng.integers(self.counts[k])
        return self.x[k, first], self.x[k, (first + rng.integers(1, self.counts[k])) % self.counts[k]]

    def state(self) -> dict[str, np.ndarray]:
        """What was collected."""
        return {"x": self.x.copy(), "counts": self.counts.copy()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned. Raises ValueError: of other sizes."""
        if (
            state.keys() != {"x", "counts"}
            or state["x"].shape != self.x.shape
            or state["counts"].shape != self.counts.shape
        ):
            raise ValueError(f"Labelled: got a state of other sizes, expected x {self.x.shape}")
        self.x[...], self.counts[...] = state["x"], state["counts"]


class FewLabels(Model):
    """A classifier that is told a few labels and sees many images without.

    A subclass writes `networks`, `players` and :meth:`logits`, and has `labels` in its `Config`. Its losses get images b.x
    without labels, and the labelled ones b.labelled with b.label.
    """

    needs = {"x": "images", "y": "labels"}  # noqa: RUF012
    family = "semi-supervised"
    best = "min error"
    labelled: Labelled

    def extra_state(self) -> dict[str, Stateful]:
        """The labelled images: no others' labels are ever read."""
        return {"labelled": Labelled(self.shape, classes=self.classes, each=self.config.labels)}

    def feed(self, batch: Any, number: int) -> Any:
        """A batch without its labels, and all labelled images."""
        self.labelled.collect(batch["x"], batch["y"])
        return {"x": batch["x"], **self.labelled.batch()}

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Of the classes (N, K)."""

    def predicted(self, x: np.ndarray) -> np.ndarray:
        """The likeliest class of each image (N,)."""
        with self.evaluating():
            return self.logits(self.tensor(x)).numpy().argmax(axis=1)

    def error(self, real: Mapping[str, np.ndarray]) -> float:
        """The share of wrong answers on images that came without labels, but for the labelled ones among them."""
        return float((self.predicted(real["x"][:JUDGED]) != real["y"][:JUDGED]).mean())

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The error."""
        return {"error": self.error(real)}

    def told(self, x: np.ndarray) -> Picture:
        """Images, each in the column of the class that it is given; where no image is given a class, the column is black."""
        found = self.predicted(x)
        rows = [np.flatnonzero(found == k)[:ROWS] for k in range(self.classes)]
        columns = np.full((ROWS, self.classes, *self.shape), -1.0, np.float32)
        for k, chosen in enumerate(rows):
            columns[: len(chosen), k] = x[chosen]
        return Picture(columns.reshape(-1, *self.shape), self.classes)
