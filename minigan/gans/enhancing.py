"""What takes noise out of sounds: SEGAN's network, and a Wiener filter to compare with; how much was gained, in decibels.

    y (L) --> conv 31/4 f --> conv 31/4 2f --> conv 31/4 4f --> c          leaky ReLU (slope .2) after each
    c, z of its shape, joined --> T 31/4 2f --> T 31/4 f --> T 31/4, tanh  each but the first reads the map of its size, too

(Pascual, Bonafonte, Serra 2017, arXiv 1703.09452, section 3: eleven layers of stride 2, PReLU.)
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from minigan import nn, ops
from minigan.autodiff import Tensor
from minigan.gans.sounds import STRIDE, lengths

KERNEL = 31


class Enhancer(nn.Module):
    """G: from noisy sounds (N, L, C) to clean ones. Raises Unsuitable: a length that does not divide."""

    def __init__(self, shape: tuple[int, ...], features: int) -> None:
        widths = [shape[1], *(features << i for i in range(len(lengths(shape[0])) - 1))]
        same: dict[str, Any] = {"stride": STRIDE, "axes": 1, "init": "he"}
        self.down = [nn.Conv(a, b, KERNEL, activation="leaky_relu", **same) for a, b in pairwise(widths)]
        kinds = ["tanh", *["leaky_relu"] * (len(widths) - 2)]
        up = zip(widths[1:], widths[:-1], kinds, strict=True)
        self.up = [nn.ConvTranspose(2 * a, b, KERNEL, activation=kind, **same) for a, b, kind in up][::-1]

    def forward(self, y: Tensor, noise: Any) -> Tensor:  # type: ignore[override]
        """x~ of y; `noise` draws z by its shape."""
        seen = [y]
        for conv in self.down:
            seen.append(conv(seen[-1]))
        h = noise(seen[-1].shape)
        for back in self.up:
            h = back(ops.concatenate([h, seen.pop()], axis=-1))
        return h


class Judge(nn.Sequential):
    """D: from two sounds as channels, (N, L, 2 C), to scores (N, 1); `shape` (L, C). Raises Unsuitable."""

    def __init__(self, shape: tuple[int, ...], features: int) -> None:
        left = lengths(shape[0])
        widths = [2 * shape[1], *(features << i for i in range(len(left) - 1))]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers.append(nn.Conv(a, b, KERNEL, stride=STRIDE, axes=1, bias=False))
            layers.append(nn.BatchNorm(b, activation="leaky_relu"))
        super().__init__(*layers, nn.Flatten(), nn.Dense(left[-1] * widths[-1], 1))


def signal_to_noise(made: np.ndarray, x: np.ndarray) -> np.ndarray:
    """10 log10 sum x^2 / sum (made - x)^2 of each sound (n, L, C), in decibels, at most 100: (n,)."""
    power, error = (np.square(each.astype(np.float64)).sum(axis=(1, 2)) for each in (x, made - x))
    return 10 * np.log10(np.maximum(power, 1e-12) / np.maximum(error, 1e-10 * np.maximum(power, 1e-12)))


def wiener(y: np.ndarray, std: np.ndarray, window: int = 512) -> np.ndarray:
    """Sounds (n, L, C) with white noise of known deviation (n,), through a Wiener filter (Wiener 1949; as spectral subtraction of
    powers: Lim, Oppenheim 1979, Proc. IEEE 67, section IV): Y S / (S + N) in Hann windows that overlap by three quarters, S + N
    the power |Y|^2 and S what is left of it without N."""
    length, hop = y.shape[1], window // 4
    shape = np.hanning(window + 1)[:window]
    padded = np.pad(y.astype(np.float64), ((0, 0), (window, window + -length % hop), (0, 0)))
    made, weight = np.zeros_like(padded), np.zeros((1, padded.shape[1], 1))
    noise = np.square(std)[:, None, None] * (shape**2).sum()
    for start in range(0, padded.shape[1] - window + 1, hop):
        part = slice(start, start + window)
        spectrum = np.fft.rfft(padded[:, part] * shape[:, None], axis=1)
        power = np.square(np.abs(spectrum))
        kept = np.maximum(1 - noise / np.maximum(power, 1e-20), 0)
        made[:, part] += np.fft.irfft(kept * spectrum, window, axis=1) * shape[:, None]
        weight[:, part] += np.square(shape)[:, None]
    return (made / np.maximum(weight, 1e-9))[:, window : window + length].astype(y.dtype)
