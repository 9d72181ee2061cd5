"""What models of films share: networks of small films, pictures, and what is measured where the truth is known.

    FilmUp     z -> dense T/4 x H/4 x W/4 x 4f -> T 4x4x4/2 2f                   batch norm and ReLU after both
    FilmDown   film -> conv 4x4x4/2 f -> conv 4x4x4/2 2f -> conv 3x3x3 4f        leaky ReLU (slope .2), batch norm but after the
               -> dense 1                                                        first

A film (T, H, W, C) is convolved along its three axes at once, so that a filter sees motion (Tran et al. 2014, arXiv 1412.0767).

What a film of `moving_shapes` must hold is known: a shape on a straight line at constant speed, over a ground that rests. So the
checks take the centre of what is bright: how far from such a line it is; how fast it goes, since a shape that rests is on a line
too; and how much a pixel of the ground changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.data import motion
from minigan.gans.checks import Check, RealData
from minigan.gans.images import NORMAL, Averaged, ImageConfig, quarter
from minigan.gans.needs import ONLY
from minigan.gans.options import again, option
from minigan.gans.protocol import Unsuitable
from minigan.random import Source

JUDGED, LIVE = 500, 100  # films that checks and live numbers look at


@dataclass(frozen=True, kw_only=True)
class FilmConfig(ImageConfig):
    """The options of a model of films."""

    data: str = option("moving_shapes", "films: a data set by name, or a path (see: minigan datasets)")
    steps: int = option(2000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(32, "films a step", low=1)
    features: int = option(16, "channels f: half those of G's dense layer over 2, those after D's first layer", low=1)
    lr: float = option(5e-4, "Adam's learning rate (2e-4: Radford 2015, arXiv 1511.06434)", low=0.0)
    beta1: float = option(0.5, "Adam's beta1, decay of the mean gradient (.5: ibid.)", low=0.0, high=0.999)
    ema: float = again(ImageConfig, "ema", 0.995)


class FilmUp(nn.Sequential):
    """From codes (N, inputs) to maps (N, T/2, H/2, W/2, 2 f); `shape` (T, H, W, C) is the film's. Raises Unsuitable."""

    def __init__(self, inputs: int, shape: tuple[int, ...], features: int) -> None:
        start, wide = quarters(shape), 4 * features
        super().__init__(
            nn.Dense(inputs, int(np.prod(start)) * wide, bias=False, init=NORMAL),
            nn.Reshape(*start, wide),
            nn.BatchNorm(wide, activation="relu"),
            nn.ConvTranspose(wide, wide // 2, 4, stride=2, axes=3, bias=False, init=NORMAL),
            nn.BatchNorm(wide // 2, activation="relu"),
        )


class Painter(nn.Module):
    """From where (N, a) and what (N, b) to pictures (N, *shape): `Up` of where, each channel with a gain and an offset by what.

    A gain is the same at all places, so what a picture shows can change, and hardly where.
    """

    def __init__(self, where: int, what: int, shape: tuple[int, ...], features: int) -> None:
        start, wide = quarter(shape), 4 * features
        self.dense = nn.Dense(where, start[0] * start[1] * wide, bias=False, init=NORMAL)
        self.spread = nn.Reshape(*start, wide)
        self.middle = nn.ConvTranspose(wide, wide // 2, 4, stride=2, bias=False, init=NORMAL)
        self.last = nn.ConvTranspose(wide // 2, shape[-1], 4, stride=2, init=NORMAL)
        self.norms = [nn.BatchNorm(channels) for channels in (wide, wide // 2)]
        self.styles = [nn.Dense(what, 2 * channels) for channels in (wide, wide // 2, shape[-1])]

    def forward(self, where: Tensor, what: Tensor) -> Tensor:  # type: ignore[override]
        """The pictures, in [-1, 1]."""
        h = ops.relu(self._styled(0, self.norms[0](self.spread(self.dense(where))), what))
        h = ops.relu(self._styled(1, self.norms[1](self.middle(h)), what))
        return ops.tanh(self._styled(2, self.last(h), what))

    def _styled(self, layer: int, h: Tensor, what: Tensor) -> Tensor:
        gain, offset = ops.split(self.styles[layer](what), 2, axis=1)
        return nn.modulate(h, 1.0 + gain, offset)


class FilmDown(nn.Sequential):
    """From films (N, *shape) to logits (N, 1). Raises Unsuitable."""

    def __init__(self, shape: tuple[int, ...], features: int) -> None:
        left = int(np.prod(quarters(shape)))
        plain: dict[str, Any] = {"axes": 3, "bias": False, "init": NORMAL}
        super().__init__(
            nn.Conv(shape[-1], features, 4, stride=2, axes=3, activation="leaky_relu", init=NORMAL),
            nn.Conv(features, 2 * features, 4, stride=2, **plain),
            nn.BatchNorm(2 * features, activation="leaky_relu"),
            nn.Conv(2 * features, 4 * features, 3, **plain),
            nn.BatchNorm(4 * features, activation="leaky_relu"),
            nn.Flatten(),
            nn.Dense(4 * features * left, 1, init=NORMAL),
        )


class Path(nn.GRUCell):
    """A GRU whose state begins to move slowly: the bias of its update gate is m."""

    def __init__(self, units: int, memory: float) -> None:
        self.memory = memory
        super().__init__(units, units)

    def reset(self, random: Source, stream: str) -> None:
        """As any GRU's, but for that bias."""
        super().reset(random, stream)
        self.bias.assign(np.repeat(np.array([0, self.memory, 0], np.float32), self.units))


def quarters(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Pictures, height and width of the maps in the middle of films (T, H, W, C).

    Raises:
        Unsuitable: one that is no multiple of 4.
    """
    if len(shape) != 4 or any(side % 4 for side in shape[:3]):
        raise Unsuitable(
            f"got films of shape {shape}, expected (T, H, W, C) with T, H and W multiples of 4; cut and resize them: "
            "--length 8 --size 16"
        )
    return shape[0] // 4, shape[1] // 4, shape[2] // 4


def change(x: np.ndarray) -> float:
    """The mean of |x_t+1 - x_t| over films (n, T, H, W, C): 0 of what rests."""
    return float(np.abs(np.diff(x, axis=1)).mean())


Between = Callable[[Tensor, Tensor], Tensor]  # the picture between two


def refilled(x: Tensor, between: Between) -> Tensor:
    """Films (N, T, H, W, C) whose pictures 1, 3, 5, ... are made of their neighbours, where there are two."""
    t = x.shape[1]
    made = [between(x[:, k - 1], x[:, k + 1]) if k % 2 and k + 1 < t else x[:, k] for k in range(t)]
    return ops.stack(made, 1)


def slowed(x: Tensor, between: Between) -> Tensor:
    """As many pictures at half the speed: those of the first half, with one made between any two."""
    made = [between(x[:, k // 2], x[:, k // 2 + 1]) if k % 2 else x[:, k // 2] for k in range(x.shape[1])]
    return ops.stack(made, 1)


class FilmModel(Averaged):
    """A model that makes films."""

    Config = FilmConfig
    family = "time"
    needs = "video"
    best = None

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Mean change from picture to picture, as a share of that of real films."""
        films = np.asarray(real[ONLY][:LIVE])
        return {"change": change(self.sample(len(films), seed=self.config.seed)) / max(change(films), 1e-6)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """How much changes; of films with known truth the lines, the speeds, the ground."""
        films, made = np.asarray(real[ONLY][:JUDGED]), self.sample(JUDGED, seed=real.seed)
        found = [
            Check(
                "change from picture to picture, of the data's", change(made) / max(change(films), 1e-6), "0.8 to 1.25"
            )
        ]
        return found + (moving_checks(made, films) if "vx" in real.sets[ONLY].factors else [])


def moving_checks(made: np.ndarray, films: np.ndarray) -> list[Check]:
    """Of films of one bright shape each, beside as many real ones."""
    off, real_off = motion.path_residual(made), motion.path_residual(films)
    shown = np.isfinite(off)
    speed, real_speed = (np.linalg.norm(motion.velocity(x), axis=1) for x in (made, films))
    mean = lambda values: float(np.mean(values[shown])) if shown.any() else np.inf  # noqa: E731
    return [
        Check("films with a shape in every picture", float(shown.mean()), ">= 0.98"),
        Check("centre off a straight line, pixels", mean(off), "<= 0.3", f"real films: {real_off.mean():.2f}"),
        Check("speed, of the data's", mean(speed) / float(real_speed.mean()), "0.8 to 1.25"),
        Check("change of the ground, std", mean(motion.unrest(made)), "<= 0.05", "real films: 0"),
    ]
