"""Networks from images to images, and the discriminator of patches, that the models of image-to-image translation share.

    UNet        down: conv 4x4/2 f, then 2f, 4f, ...            batch norm after all but the first; leaky ReLU (slope .2)
                up: T 4x4/2 back, each but the first joined with the map of its size on the way down (a skip); batch norm, ReLU;
                last T 4x4/2 channels, tanh                     (Isola et al. 2016, arXiv 1611.07004, section 3.2.1, appendix 6.1)
    ResNet      conv 5x5 f -> conv 3x3/2 2f -> conv 3x3/2 4f -> blocks of two conv 3x3 4f with a shortcut -> T 3x3/2 2f
                -> T 3x3/2 f -> conv 5x5 channels, tanh         instance norm and ReLU after all but the last
                                                                (Zhu et al. 2017, arXiv 1703.10593, section 4, appendix 7.2)
    Narrow      conv 4x4/2 f -> conv 4x4/2 2f -> conv 3x3 4f -> T 4x4/2 2f -> T 4x4/2 channels, tanh: no way around the middle;
                batch norm after all but the ends; leaky ReLU before the middle, ReLU from there on
    PatchGAN    conv 4x4/2 f -> conv 4x4/2 2f -> conv 4x4 1     a logit for each patch of 22 x 22 pixels; leaky ReLU
                                                                (Isola et al. 2016, section 3.2.2)

T is a transposed convolution, the number of strides is as many as leave no side below 4 or odd (at 28 pixels two, down to 7), and
weights start at N(0, .02^2). The papers' networks are for 256 pixels: there a patch has 70, a ResNet 9 blocks and 7x7 ends.

What one number of a map sees of the image is its receptive field: k_1 pixels behind one convolution, and behind several

    r = 1 + sum_l (k_l - 1) s_1 ... s_(l-1)

for kernels k_l and strides s_l, first layer first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.gans.images import NORMAL, quarter, with_maps
from minigan.gans.protocol import Unsuitable

LEAST = 4  # pixels of a side that is not halved any more


def halvings(shape: tuple[int, ...], most: int = 8) -> int:
    """How often both sides of an image (H, W, C) can be halved. Raises Unsuitable: not once."""
    height, width, count = shape[0], shape[1], 0
    while height % 2 == width % 2 == 0 and min(height, width) > LEAST and count < most:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise Unsuitable(
            f"got images of shape {shape}, expected even height and width of more than {LEAST}; resize them: --size 28"
        )
    return count


def alike(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """a; raises Unsuitable for images of two sizes. The channels may differ."""
    if a[:2] != b[:2]:
        raise Unsuitable(f"got images of {a} and of {b}, expected one height and one width; resize them: --size 28")
    return a


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """The side r, in pixels, of what one number behind these convolutions (kernel, stride) sees."""
    r, jump = 1, 1
    for kernel, stride in layers:
        r, jump = r + (kernel - 1) * jump, jump * stride
    return r


def batch(channels: int, activation: str) -> nn.Module:
    """Batch norm and what follows it."""
    return nn.BatchNorm(channels, activation=activation)


def instance(channels: int, activation: str) -> nn.Module:
    """Instance norm without gain and offset, and what follows it."""
    return nn.InstanceNorm(channels, affine=False, activation=activation)


class UNet(nn.Module):
    """From images (N, *shape), and with `inputs` codes (N, inputs) as maps beside them, to images (N, H, W, channels).

    Args:
        shape: (H, W, C). channels: of the other image. features: f. inputs: length of a code.
        dropout: rate in the innermost layers of the way up, in training.

    Raises:
        Unsuitable: sides that cannot be halved.
    """

    def __init__(
        self, shape: tuple[int, ...], channels: int, features: int, *, inputs: int = 0, dropout: float = 0.0
    ) -> None:
        depth = halvings(shape)
        widths = [min(features << level, 8 * features) for level in range(depth)]
        self.down: list[nn.Module] = [
            nn.Conv(shape[-1] + inputs, widths[0], 4, stride=2, activation="leaky_relu", init=NORMAL)
        ]
        self.norms = []
        for before, after in pairwise(widths):
            self.down.append(nn.Conv(before, after, 4, stride=2, bias=False, init=NORMAL))
            self.norms.append(batch(after, "leaky_relu"))
        self.middle = nn.Sequential(
            nn.Conv(widths[-1], 2 * widths[-1], 3, bias=False, init=NORMAL), batch(2 * widths[-1], "relu")
        )
        sources = [2 * widths[-1], *(2 * width for width in widths[-2::-1])]
        self.up = [
            nn.ConvTranspose(source, width, 4, stride=2, bias=False, init=NORMAL)
            for source, width in zip(sources[:-1], widths[-2::-1], strict=True)
        ]
        self.up_norms = [batch(width, "relu") for width in widths[-2::-1]]
        self.drops = [nn.Dropout(dropout) for _ in range(2)] if dropout else []
        self.last = nn.ConvTranspose(sources[-1], channels, 4, stride=2, activation="tanh", init=NORMAL)

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        """The other image of x, or of x and a code."""
        seen = [self.down[0](with_maps(x, code))]
        for conv, norm in zip(self.down[1:], self.norms, strict=True):
            seen.append(norm(conv(seen[-1])))
        h = self._dropped(0, self.middle(seen.pop()))
        for number, (conv, norm) in enumerate(zip(self.up, self.up_norms, strict=True)):
            h = ops.concatenate([self._dropped(number + 1, norm(conv(h))), seen.pop()], axis=-1)
        return self.last(h)

    def _dropped(self, which: int, h: Tensor) -> Tensor:
        return self.drops[which](h) if which < len(self.drops) else h


class ResNet(nn.Sequential):
    """From images (N, *shape) to images (N, H, W, channels).

    Args:
        shape: (H, W, C). channels: of the other image. features: f. blocks: with shortcuts, in the middle.

    Raises:
        Unsuitable: sides that cannot be halved.
    """

    def __init__(self, shape: tuple[int, ...], channels: int, features: int, blocks: int) -> None:
        plain: dict[str, Any] = {"bias": False, "init": NORMAL}  # a bias before instance norm does nothing
        widths = [features << level for level in range(halvings(shape, 2) + 1)]
        wide = widths[-1]
        layers: list[nn.Module] = [nn.Conv(shape[-1], features, 5, **plain), instance(features, "relu")]
        for before, after in pairwise(widths):
            layers += [nn.Conv(before, after, 3, stride=2, **plain), instance(after, "relu")]
        for _ in range(blocks):
            layers.append(
                nn.Residual(
                    nn.Conv(wide, wide, 3, **plain), instance(wide, "relu"),
                    nn.Conv(wide, wide, 3, **plain), instance(wide, "linear"),
                )
            )  # fmt: skip
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [nn.ConvTranspose(before, after, 3, stride=2, **plain), instance(after, "relu")]
        super().__init__(*layers, nn.Conv(features, channels, 5, activation="tanh", init=NORMAL))


class Narrow(nn.Sequential):
    """From images (N, *shape) to images (N, H, W, channels), both sides multiples of 4.

    Raises:
        Unsuitable: another size.
    """

    def __init__(self, shape: tuple[int, ...], channels: int, features: int) -> None:
        quarter(shape)
        plain: dict[str, Any] = {"bias": False, "init": NORMAL}
        super().__init__(
            nn.Conv(shape[-1], features, 4, stride=2, activation="leaky_relu", init=NORMAL),
            nn.Conv(features, 2 * features, 4, stride=2, **plain),
            batch(2 * features, "leaky_relu"),
            nn.Conv(2 * features, 4 * features, 3, **plain),
            batch(4 * features, "relu"),
            nn.ConvTranspose(4 * features, 2 * features, 4, stride=2, **plain),
            batch(2 * features, "relu"),
            nn.ConvTranspose(2 * features, channels, 4, stride=2, activation="tanh", init=NORMAL),
        )


class PatchGAN(nn.Sequential):
    """From images (N, H, W, channels) to logits (N, H/4, W/4, 1), one for each patch.

    norm: what makes the norm behind the second layer, :func:`batch` or :func:`instance`; None for none.
    """

    convolutions = ((4, 2), (4, 2), (4, 1))  # kernels and strides

    def __init__(self, channels: int, features: int, norm: Any = instance) -> None:
        (first, by), (second, again), (last, one) = self.convolutions
        normed = [norm(2 * features, "leaky_relu")] if norm else []
        linear: dict[str, Any] = {"bias": not norm, "activation": None if norm else "leaky_relu"}
        super().__init__(
            nn.Conv(channels, features, first, stride=by, activation="leaky_relu", init=NORMAL),
            nn.Conv(features, 2 * features, second, stride=again, init=NORMAL, **linear),
            *normed,
            nn.Conv(2 * features, 1, last, stride=one, init=NORMAL),
        )


def classifier(shape: tuple[int, ...], classes: int, features: int) -> nn.Sequential:
    """From images (N, *shape) to logits (N, classes): two of conv 5x5, ReLU, max pool 2, with f and 2f channels, then dense."""
    inner = (shape[0] // 4) * (shape[1] // 4) * 2 * features
    init = "uniform_fan_in"
    return nn.Sequential(
        nn.Conv(shape[-1], features, 5, activation="relu", init=init), nn.MaxPool(2),
        nn.Conv(features, 2 * features, 5, activation="relu", init=init), nn.MaxPool(2),
        nn.Flatten(), nn.Dense(inner, 8 * features, activation="relu", init=init), nn.Dense(8 * features, classes, init=init),
    )  # fmt: skip


def in_colour(x: Tensor, channels: int) -> Tensor:
    """Images in so many channels: grey ones with the same in each."""
    return x if x.shape[-1] == channels else ops.broadcast_to(x, (*x.shape[:-1], channels))
