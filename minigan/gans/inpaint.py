"""Inpainting by a context encoder (Pathak, Krahenbuhl, Donahue, Darrell, Efros 2016, arXiv 1604.07379): what a hole held.

    x --> central half of both sides hidden --> y, mask --> conv 4x4/2 f --> conv 4x4/2 2f --> residual blocks
                                                |                                                    |
                                                |        T 4x4/2 c, tanh <-- T 4x4/2 f <-------------+
                                                +--> outside of the hole, and that inside of it = G(y)
    x, or G(y) --> D: a logit a patch, of which those that see the hole count most since all others are equal

With M = 1 inside the hole the two losses are (ibid., eq. 1 to 3; there the error is squared, here it is absolute)

    L_rec = E |M (x - G(y))| / |M|            L_adv = E -log D(G(y))
    G  minimises  .999 L_rec + .001 L_adv           D  minimises  -E log D(x) - E log(1 - D(G(y)))

The minimum of L_rec alone is the median of each pixel over all that may have been there: sharp where the context decides, a blur
or nothing where it does not. L_adv chooses one of them. Nothing in either loss asks for the truth of a single image, so besides
its error it is asked whether a completed image can still be read, by a classifier that saw whole ones.

What goes wrong: pixels outside of the hole are copied, so an error over the whole image looks four times as good; a seam at the
border, which D sees and L_rec hardly does; and a G whose view is smaller than the hole can only fill its rim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.damage import hole, nearest
from minigan.gans.images import multiple
from minigan.gans.options import again, option
from minigan.gans.restoring import (
    LIVE,
    Patches,
    Restorer,
    RestoringConfig,
    quality,
    relative_distance,
    residual,
)


@dataclass(frozen=True, kw_only=True)
class InpaintConfig(RestoringConfig):
    """The context encoder's options."""

    steps: int = again(RestoringConfig, "steps", 1500)
    adversarial: float = option(
        0.001,
        "weight of -log D, and of the error 1 minus that (Pathak 2016, arXiv 1604.07379, eq. 3)",
        low=0.0,
        high=1.0,
    )


class Filler(nn.Module):
    """From an image and its mask, as one more channel, to an image of the shape of the first."""

    def __init__(self, channels: int, features: int, blocks: int) -> None:
        wide = 2 * features
        self.layers = nn.Sequential(
            nn.Conv(channels + 1, features, 4, stride=2, activation="relu", init="he"),
            nn.Conv(features, wide, 4, stride=2, activation="relu", init="he"),
            residual(wide, blocks),
            nn.ConvTranspose(wide, features, 4, stride=2, activation="relu", init="he"),
            nn.ConvTranspose(features, channels, 4, stride=2, activation="tanh"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """What may have been there."""
        return self.layers(x)


class Inpaint(Restorer):
    """A context encoder against a discriminator."""

    Config = InpaintConfig
    summary = "fills the hole in an image: context encoder (Pathak et al. 2016)"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, channels = self.config, self.shape[-1]
        multiple(self.shape, 4)
        return {
            "generator": Filler(channels, config.features, config.blocks),
            "discriminator": Patches(channels, config.features),
        }

    def prepare(self) -> None:
        """The mask M, (1, H, W, 1)."""
        self.hole = hole(self.shape)
        self.mask = self.tensor(self.hole)

    def damaged(self, x: Tensor) -> Tensor:
        """y and the mask behind it: grey (0) in the hole."""
        mask = ops.cast(self.mask, dtype=x.dtype)
        return ops.concatenate([x * (1.0 - mask), ops.broadcast_to(mask, (*x.shape[:-1], 1))], axis=-1)

    def restored(self, y: Tensor, network: nn.Module) -> Tensor:
        """The image outside of the hole, and what the network made inside of it."""
        return y[..., :-1] + ops.cast(self.mask, dtype=y.dtype) * network(y)

    def distance(self, x: Tensor, made: Tensor) -> Tensor:
        """(1 - adversarial) L_rec; outside of the hole the difference is 0."""
        error = ops.sum(ops.abs(x - made)) / (len(x) * x.shape[-1] * float(self.hole.sum()))
        return (1.0 - self.config.adversarial) * error

    def shown(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """With the hole; and filled with the nearest pixel that is seen."""
        return {"masked": y[..., :-1], "nearest": nearest(y[..., :-1], self.hole[0, :, :, 0] > 0)}

    def hidden_quality(self, made: np.ndarray, x: np.ndarray) -> float:
        """PSNR in the hole, dB."""
        inside = self.hole[0, :, :, 0] > 0
        return quality(made[:, inside], x[:, inside])

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """The PSNR in the hole, in decibels."""
        rows = self.rows(real["x"][:LIVE], self.config.seed)
        return {"psnr": self.hidden_quality(rows["restored"], rows["truth"])}

    def judged(self, rows: dict[str, np.ndarray], real: RealData) -> list[Check]:
        """PSNR in the hole beside two fills without learning; whether a judge still reads the completed image."""
        x, judge = rows["truth"], real.judge()
        mean = np.where(self.hole > 0, x.mean(axis=0, keepdims=True), x)
        of = {k: self.hidden_quality(v, x) for k, v in {"mean": mean, **rows}.items() if k != "truth"}
        made = [
            Check("PSNR in the hole above the data's mean's, dB", of["restored"] - of["mean"], "> 0"),
            Check("PSNR in the hole above the nearest pixels', dB", of["restored"] - of["nearest"], "> 0"),
        ]
        labels = next(iter(real.sets.values())).y
        if judge is not None and labels is not None:
            asked = (judge.log_probabilities(images).argmax(axis=1) for images in (rows["restored"], mean))
            right, plain = ((found == labels[: len(x)]).mean() for found in asked)
            made.append(Check("completed images that the judge reads rightly", right, ">= 0.6"))
            made.append(Check("the same, above those with the data's mean", right - plain, ">= 0.1"))
            share = relative_distance(judge, rows["restored"], rows["nearest"], x)
            made.append(Check("cFD, of that of the nearest pixels'", share, "<= 0.5"))
        return made
