"""What `style.py` keeps and is measured by: an image a pair, the pairs, Gram matrices, and what has become of content and style.

style left     the Gram distance (`metrics/texture.py`) of the images to their styles, as a share of that of the contents: by
               fixed filters, which no loss has heard of
content kept   the correlation of F^2, less its mean at each filter, with that of the own content, and above that with others'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor, tensor
from minigan.backend import to_numpy
from minigan.gans.checks import Check, RealData
from minigan.gans.domains import fitted_to
from minigan.metrics.judge import Judge
from minigan.metrics.texture import texture_distance
from minigan.random import Source

CONVOLUTIONS, POOLS = (0, 2), (1, 3)  # places in a judge's trunk, whose rest reads the classes
TINY = 1e-12


def with_means(judge: Judge) -> nn.Sequential:
    """The network of a judge that takes means of 2 x 2 where it took maxima."""
    for place in POOLS:
        judge.trunk.layers[place] = nn.AvgPool(2)
    return judge.network


def gram(f: Tensor) -> Tensor:
    """G = F F^T / M of each image, (N, filters, filters)."""
    flat = ops.reshape(f, (len(f), -1, f.shape[-1]))
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / flat.shape[1]


def share(found: Tensor, wanted: Tensor) -> Tensor:
    """sum (found - wanted)^2 / sum wanted^2 of each image, the mean."""
    apart, whole = (ops.sum(ops.square(ops.flatten(t, 1)), axis=1) for t in (found - wanted, wanted))
    return ops.mean(apart / (whole + TINY))


class Canvas(nn.Module):
    """What is added to each content, at first white noise."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.change = tensor(np.zeros(shape, np.float32), requires_grad=True)

    def reset(self, random: Source, stream: str) -> None:
        """N(0, .02^2)."""
        self.change.assign(0.02 * random.normal(self.change.shape, stream=f"{stream}.change"))


class Kept:
    """A batch of images by name, zeros at first."""

    def __init__(self, count: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.batch = {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}

    def keep(self, batch: Mapping[str, Any]) -> None:
        """These."""
        for name, each in self.batch.items():
            each[...] = to_numpy(batch[name])

    def state(self) -> dict[str, np.ndarray]:
        """Copies."""
        return {name: each.copy() for name, each in self.batch.items()}

    load_state = keep


def losses_of(model: Any, images: np.ndarray) -> tuple[float, float]:
    """L_content and L_style of images (N, H, W, C), an image a pair, the means."""
    a, b, x = (model.tensor(each) for each in (model.pairs.batch["a"], model.pairs.batch["b"], images))
    with model.evaluating():
        content, style = model.both(x, a, b)
    return content.item(), style.item()


def checks_of(model: Any, real: RealData) -> list[Check]:
    """See the file's docstring; and whether the judge of the content's set reads the same in the images."""
    a, b, x = model.pairs.batch["a"], model.pairs.batch["b"], model.sample(model.config.batch_size)
    styles, plain = fitted_to(b, x.shape[-1]), fitted_to(a, x.shape[-1])
    by_image, by_content = (
        np.mean([texture_distance(each[None], style[None]) for each, style in zip(images, styles, strict=True)])
        for images in (x, plain)
    )
    with model.evaluating():
        maps = [model.seen(model.tensor(each))[-1].numpy() for each in (x, a)]
    of_x, of_a = ((f - f.mean(axis=(1, 2), keepdims=True)).reshape(len(f), -1) for f in maps)
    table = np.corrcoef(of_x, of_a)[: len(x), len(x) :]
    own, other = np.diag(table).mean(), (table.sum() - np.trace(table)) / max(1, table.size - len(x))
    (_, style), (_, before) = losses_of(model, x), losses_of(model, a)
    made = [
        Check("L_style, of that of the contents", style / max(before, TINY), "<= 0.1"),
        Check(
            "Gram distance by fixed filters, of that of the contents",
            by_image.mean() / max(by_content.mean(), TINY),
            "<= 0.5",
        ),
        Check("correlation of F^2 with the content's", own, ">= 0.5"),
        Check("correlation with the own content's, above that with others'", own - other, ">= 0.2"),
    ]
    if (judge := real.judge("a")) is not None and x.shape == a.shape:
        read = (judge.log_probabilities(each).argmax(axis=1) for each in (x, a))
        made.append(Check("class of the content kept, by its set's judge", np.equal(*read).mean(), ">= 0.8"))
    return made
