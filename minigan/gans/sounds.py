"""What models of sounds share: WaveGAN's networks, and how pitches are counted.

    SoundUp     code --> dense L/4^k x 2^(k-1) f --> ReLU --> T 25/4 --> ... --> T 25/4 f --> ReLU --> T 25/4 channels, tanh
    SoundDown   sound --> conv 25/4 f --> shuffle --> conv 25/4 2f --> shuffle --> ... --> conv 25/4 2^(k-1) f --> numbers
                                                                                  leaky ReLU (slope .2) after each convolution

(Donahue, McAuley, Puckette 2018, arXiv 1802.04208, section 3): a DCGAN whose 5 x 5 kernels of stride 2 have become kernels of 25
of stride 4, so that each layer sees as many numbers and makes as many. k layers leave at most 16 samples; there is no batch norm.
"""

from __future__ import annotations

import numpy as np

from minigan import nn
from minigan.data.motion import dominant
from minigan.gans.checks import Check
from minigan.gans.protocol import Unsuitable

STRIDE, KERNEL, LEFT = 4, 25, 16  # samples that are left behind the last layer, at most
COMMON = 0.02  # a pitch is one that so many of the real sounds have


def lengths(length: int, least: int = 0) -> list[int]:
    """Of a sound behind each layer, from its own on.

    Raises:
        Unsuitable: no more than `LEFT`, no multiple by powers of 4 of what should be left, or that is no more than `least`.
    """
    found = [length]
    while found[-1] > LEFT and found[-1] % STRIDE == 0:
        found.append(found[-1] // STRIDE)
    if len(found) < 2 or found[-1] > LEFT or found[-1] <= least:
        raise Unsuitable(
            f"got sounds of {length} samples, expected 4^k times at most {LEFT}, and of what is left more than `shuffle`, here "
            f"{least}: cut them, --length 1024"
        )
    return found


class SoundUp(nn.Sequential):
    """From codes (N, inputs) to sounds (N, *shape) in [-1, 1], `shape` (L, channels). Raises Unsuitable."""

    def __init__(self, inputs: int, shape: tuple[int, ...], features: int) -> None:
        behind = lengths(shape[0])
        widths = [shape[1], *(features << i for i in range(len(behind) - 1))]
        layers: list[nn.Module] = [
            nn.Dense(inputs, behind[-1] * widths[-1], activation="relu", init="he"),
            nn.Reshape(behind[-1], widths[-1]),
        ]
        for i in range(len(widths) - 1, 0, -1):
            kind = "relu" if i > 1 else "tanh"
            layers.append(
                nn.ConvTranspose(widths[i], widths[i - 1], KERNEL, stride=STRIDE, axes=1, activation=kind, init="he")
            )
        super().__init__(*layers)


class SoundDown(nn.Sequential):
    """From sounds (N, *shape) to numbers (N, outputs); `shuffle`: n of phase shuffle, 0 for none. Raises Unsuitable."""

    def __init__(self, shape: tuple[int, ...], features: int, outputs: int, shuffle: int) -> None:
        behind = lengths(shape[0], shuffle)
        widths = [shape[1], *(features << i for i in range(len(behind) - 1))]
        layers: list[nn.Module] = []
        for i in range(1, len(widths)):
            layers.append(nn.Conv(widths[i - 1], widths[i], KERNEL, stride=STRIDE, axes=1, activation="leaky_relu"))
            if shuffle and i < len(widths) - 1:
                layers.append(nn.PhaseShuffle(shuffle))
        super().__init__(*layers, nn.Flatten(), nn.Dense(behind[-1] * widths[-1], outputs))


def pitches_of(sounds: np.ndarray) -> np.ndarray:
    """The strongest bins of at least `COMMON` of these sounds (n, L, 1), in order; where there are none, the commonest."""
    counts = np.bincount(dominant(sounds)[0])
    return np.flatnonzero(counts >= min(COMMON * len(sounds), counts.max()))


def heard(sounds: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """For each sound (n, L, 1) which of the pitches its strongest bin is, or a bin away from; their number for none, and for
    silence."""
    bins, share = dominant(sounds)
    apart = np.abs(bins[:, None] - pitches[None, :])
    return np.where((apart.min(axis=1) <= 1) & (share > 0), apart.argmin(axis=1), len(pitches))


def total_variation(real: np.ndarray, made: np.ndarray, pitches: np.ndarray) -> float:
    """1/2 sum |p - q| over the pitches, and what is at none of them: in [0, 1]."""
    tables = [np.bincount(heard(x, pitches), minlength=len(pitches) + 1) / len(x) for x in (real, made)]
    return float(np.abs(tables[0] - tables[1]).sum() / 2)


def pitch_checks(made: np.ndarray, sounds: np.ndarray, others: np.ndarray) -> list[Check]:
    """Which pitches there are, and how pure they are; beside two sets of real sounds."""
    pitches = pitches_of(sounds)
    told, pure = total_variation(sounds, others, pitches), dominant(sounds)[1].mean()
    return [
        Check("pitches, total variation", total_variation(sounds, made, pitches), "<= .15", f"real sounds: {told:.2f}"),
        Check("purity: energy at the pitch", float(dominant(made)[1].mean()), ">= .8", f"real sounds: {pure:.2f}"),
    ]
