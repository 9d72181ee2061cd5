"""Layers that change the number of positions: (N, *spatial, C) with one to three spatial axes."""

from __future__ import annotations

from minigan import ops
from minigan.autodiff import Tensor, TensorLike
from minigan.kernels.geometry import sizes
from minigan.nn.module import Module

Sizes = int | tuple[int, ...]


class _Pool(Module):
    """A window and a stride, each one number or one a spatial axis; stride None is the window's length."""

    def __init__(self, window: Sizes, *, stride: Sizes | None = None) -> None:
        name = type(self).__name__
        self.window = sizes(f"{name}: window", window)
        self.stride = None if stride is None else sizes(f"{name}: stride", stride)


class AvgPool(_Pool):
    """The mean of each window, see :func:`minigan.ops.avg_pool`: `AvgPool(2)` halves each spatial axis."""

    def forward(self, x: TensorLike) -> Tensor:
        """Means of windows."""
        return ops.avg_pool(x, window=self.window, stride=self.stride)


class MaxPool(_Pool):
    """The largest of each window, see :func:`minigan.ops.max_pool`."""

    def forward(self, x: TensorLike) -> Tensor:
        """Largest elements of windows."""
        return ops.max_pool(x, window=self.window, stride=self.stride)


class Upsample(Module):
    """`scale` times as many positions an axis, "nearest" or "bilinear", see :func:`minigan.ops.upsample`."""

    def __init__(self, scale: Sizes, *, mode: str = "nearest") -> None:
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f"Upsample: got mode {mode!r}, expected 'nearest' or 'bilinear'")
        self.scale, self.mode = sizes("Upsample: scale", scale), mode

    def forward(self, x: TensorLike) -> Tensor:
        """More positions."""
        return ops.upsample(x, scale=self.scale, mode=self.mode)


class PixelShuffle(Module):
    """Channels to positions, (N, H, W, r^2 C) to (N, r H, r W, C), see :func:`minigan.ops.pixel_shuffle`."""

    def __init__(self, scale: Sizes) -> None:
        self.scale = sizes("PixelShuffle: scale", scale)

    def forward(self, x: TensorLike) -> Tensor:
        """The same elements, more positions of fewer channels."""
        return ops.pixel_shuffle(x, self.scale)


class GlobalAvgPool(Module):
    """The mean over all positions, (N, *spatial, C) to (N, C)."""

    def forward(self, x: TensorLike) -> Tensor:
        """One mean a channel."""
        return ops.global_avg_pool(x)


class GlobalMaxPool(Module):
    """The largest over all positions, (N, *spatial, C) to (N, C)."""

    def forward(self, x: TensorLike) -> Tensor:
        """One largest a channel."""
        return ops.global_max_pool(x)
