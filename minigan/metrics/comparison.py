"""What metrics are measured on: real examples, generated ones, and what a judge says of both, computed when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from minigan.metrics.registry import MissingError


class Side:
    """Some examples, real or generated.

    Args:
        examples: (N, H, W, C) images or (N, d) points; None where only features are at hand.
        judge: finds the :class:`minigan.metrics.judge.Judge` of the data; MissingError where there is none.
        features: (N, d), instead of those of the judge, or of points themselves.
        labels: (N,) the classes that the examples are of, or were asked to be of; None where nobody said.
    """

    def __init__(
        self,
        examples: np.ndarray | None = None,
        *,
        judge: Callable[[], Any] | None = None,
        features: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        self._examples, self._judge, self._features, self._labels = examples, judge, features, labels

    def __len__(self) -> int:
        given = self._features if self._examples is None else self._examples
        assert given is not None
        return len(given)

    @property
    def judged(self) -> bool:
        """Whether the features are the judge's."""
        return self._features is None and self.examples.ndim != 2

    @property
    def examples(self) -> np.ndarray:
        """As they are."""
        if self._examples is None:
            raise MissingError("there are features only, and no examples")
        return self._examples

    @property
    def points(self) -> np.ndarray:
        """(N, d): of an image all its pixels."""
        return self.examples.reshape(len(self.examples), -1)

    @property
    def images(self) -> np.ndarray:
        """(N, H, W, C)."""
        if self.examples.ndim != 4:
            raise MissingError("the examples are points, no images")
        return self.examples

    @property
    def judge(self) -> Any:
        """The judge of the data."""
        if self._judge is None:
            raise MissingError("there is no judge: the data are no labelled images")
        return self._judge()

    @cached_property
    def features(self) -> np.ndarray:
        """(N, d): those that were given; of points they themselves; of images the judge's."""
        if self._features is None and self.examples.ndim == 2:
            return self.examples
        return self.judge.features(self.images) if self._features is None else self._features

    @cached_property
    def log_probabilities(self) -> np.ndarray:
        """(N, classes): of each class, by the judge."""
        judge = self.judge
        return judge.log_probabilities_of(self.features) if self.judged else judge.log_probabilities(self.images)

    @property
    def classes(self) -> np.ndarray:
        """(N,): the likeliest class of each, by the judge."""
        return self.log_probabilities.argmax(axis=1)

    @property
    def labels(self) -> np.ndarray:
        """(N,): the class that each is of, or was to be of."""
        if self._labels is None:
            raise MissingError("nobody said which class an example is of: the model is not asked for labels")
        return self._labels


class Comparison:
    """Generated examples beside real ones.

    Attributes:
        real, fake: as many of each as there are.
        training: real examples that the model was trained on; held_out: others, not among them.
        mixture: the modes (K, d) and the standard deviation of the law of the data, where it is such a mixture.
        seed: of what a metric draws.
    """

    def __init__(
        self,
        real: Side,
        fake: Side,
        *,
        training: Side | None = None,
        held_out: Side | None = None,
        mixture: tuple[np.ndarray, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.real, self.fake, self.seed = real, fake, seed
        self._training, self._held_out, self._mixture = training, held_out, mixture

    @property
    def training(self) -> Side:
        """See the class."""
        return _there(self._training, "no training examples are at hand")

    @property
    def held_out(self) -> Side:
        """See the class."""
        return _there(self._held_out, "no examples are held out")

    @property
    def mixture(self) -> tuple[np.ndarray, float]:
        """See the class."""
        return _there(self._mixture, "the data are no mixture with known modes")


def _there(part: Any, otherwise: str) -> Any:
    if part is None:
        raise MissingError(otherwise)
    return part
