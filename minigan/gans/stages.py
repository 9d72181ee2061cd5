"""Networks of models that add pixels stage by stage: LAPGAN's levels (`lapgan.py`), StackGAN's two stages (`stackgan.py`)."""

from __future__ import annotations

import math

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.gans.images import NORMAL, Down, with_maps
from minigan.gans.latents import normed
from minigan.gans.restoring import residual


class Detail(nn.Module):
    """G of a level: from l (N, H, W, C) and a plane of noise to h."""

    def __init__(self, channels: int, features: int) -> None:
        self.layers = nn.Sequential(
            nn.Conv(channels + 1, features, 5, activation="relu", init="he"),
            nn.Conv(features, features, 5, activation="relu", init="he"),
            nn.Conv(features, channels, 5, init=NORMAL),
        )

    def forward(self, coarse: Tensor, noise: Tensor) -> Tensor:  # type: ignore[override]
        """h."""
        return self.layers(ops.concatenate([coarse, noise], axis=-1))


def coarsest(shape: tuple[int, ...], latent: int, width: int) -> nn.Module:
    """From z (N, latent) to small images: two dense layers with batch norm, one more, tanh."""
    hidden = [*normed(latent, width, "relu"), *normed(width, width, "relu")]
    return nn.Sequential(*hidden, nn.Dense(width, math.prod(shape), activation="tanh"), nn.Reshape(*shape))


def coarse_judge(shape: tuple[int, ...], width: int) -> nn.Module:
    """A logit of small images."""
    hidden = nn.Dense(math.prod(shape), width, activation="leaky_relu")
    return nn.Sequential(nn.Flatten(), hidden, nn.Dropout(0.3), nn.Dense(width, 1))


def detail_judge(shape: tuple[int, ...], features: int) -> nn.Module:
    """A logit of images of that shape: conv 5x5/2 f, conv 5x5/2 2f, leaky ReLU and dropout after each."""
    layers: list[nn.Module] = []
    inputs = shape[-1]
    for outputs in (features, 2 * features):
        layers += [nn.Conv(inputs, outputs, 5, stride=2, activation="leaky_relu", init="he"), nn.Dropout(0.3)]
        inputs = outputs
    ends = math.prod(-(-side // 4) for side in shape[:2])
    return nn.Sequential(*layers, nn.Flatten(), nn.Dense(ends * inputs, 1))


class SketchJudge(nn.Module):
    """D of stage 1: conv 4x4/2 2f, leaky ReLU -> dense 8f, batch norm, leaky ReLU -> a logit, labels as maps at each layer.

    Args:
        shape: of the large images. features: f. classes: how many labels.
    """

    def __init__(self, shape: tuple[int, ...], features: int, classes: int) -> None:
        size = shape[0] // 4 * (shape[1] // 4) * 2 * features
        self.first = nn.Conv(shape[-1] + classes, 2 * features, 4, stride=2, activation="leaky_relu", init=NORMAL)
        self.dense = nn.Dense(size + classes, 8 * features, bias=False, init=NORMAL)
        self.norm = nn.BatchNorm(8 * features, activation="leaky_relu")
        self.last = nn.Dense(8 * features, 1, init=NORMAL)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """The logit of small images."""
        h = ops.flatten(self.first(with_maps(x, y)), 1)
        return self.last(self.norm(self.dense(with_maps(h, y))))


class PictureJudge(nn.Module):
    """D of stage 2: the trunk `Down` with labels as maps, and a logit."""

    def __init__(self, shape: tuple[int, ...], features: int, classes: int) -> None:
        self.trunk = Down(shape, features, maps=classes)
        self.last = nn.Dense(self.trunk.outputs, 1, init=NORMAL)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """The logit of large images."""
        return self.last(self.trunk(x, y))


class Sketch(nn.Module):
    """Stage 1: from z and c to small images."""

    def __init__(self, inputs: int, shape: tuple[int, ...], features: int) -> None:
        start, wide = (shape[0] // 4, shape[1] // 4), 4 * features
        self.layers = nn.Sequential(
            nn.Dense(inputs, start[0] * start[1] * wide, bias=False, init=NORMAL), nn.Reshape(*start, wide),
            nn.BatchNorm(wide, activation="relu"),
            nn.ConvTranspose(wide, 2 * features, 4, stride=2, bias=False, init=NORMAL),
            nn.BatchNorm(2 * features, activation="relu"),
            nn.Conv(2 * features, shape[-1], 3, activation="tanh", init=NORMAL),
        )  # fmt: skip

    def forward(self, z: Tensor, c: Tensor) -> Tensor:  # type: ignore[override]
        """I_1."""
        return self.layers(ops.concatenate([z, c], axis=1))


class Painter(nn.Module):
    """Stage 2: from small images and c' to large ones."""

    def __init__(self, channels: int, code: int, features: int, blocks: int) -> None:
        self.layers = nn.Sequential(
            nn.Conv(channels + code, features, 3, bias=False), nn.BatchNorm(features, activation="relu"),
            residual(features, blocks), nn.Upsample(2),
            nn.Conv(features, features // 2 or 1, 3, bias=False), nn.BatchNorm(features // 2 or 1, activation="relu"),
            nn.Conv(features // 2 or 1, channels, 3, activation="tanh", init=NORMAL),
        )  # fmt: skip

    def forward(self, sketch: Tensor, c: Tensor) -> Tensor:  # type: ignore[override]
        """I_2."""
        return self.layers(with_maps(sketch, c))
