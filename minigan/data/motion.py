"""Generated sounds and films whose truth is known: `tones`, `voiced` and `moving_shapes`.

Each is a pure function of (n, seed); the same seed with a larger n extends the smaller set.
"""

from __future__ import annotations

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, stream

SAMPLES, RATE, PITCHES = 1024, 8000, 8
BINS = np.array([12, 16, 20, 26, 34, 44, 57, 74])  # whole periods in 1,024 samples: 94 to 578 Hz
FORMANTS = np.array([  # in Hz, of the vowels of beat, bet, father, bought, boot
    [270.0, 2290, 3010], [530, 1840, 2480], [730, 1090, 2440], [570, 840, 2410], [300, 870, 2240]
])  # fmt: skip
WIDTH, HARMONICS, HIGHEST = 100.0, 42, 3800.0  # of a resonance, in Hz; of a pitch of 90 Hz up to the highest frequency
FRAMES, SIDE, FPS = 8, 16, 8
SHAPES = ("disc", "square", "cross")


def pitches() -> np.ndarray:
    """The frequencies of `tones` in Hz, (8,)."""
    return BINS * RATE / SAMPLES


def tones(n: int = 4000, seed: int = 0) -> Dataset:
    """Tones x_t = a sin(2 pi f t / r + phi) of 1,024 samples at r = 8,000 Hz: x (n, 1024, 1), y the pitch, of eight that are
    equally likely and each a whole number of periods, so that a Fourier transform has it in one bin; a uniform in [.5, .9], phi
    in [0, 2 pi).

    factors: frequency, amplitude, phase. Raises DataError for n < 2.
    """
    n = checked_count(n, "tones")
    y = stream(seed, "tones/pitch").integers(0, PITCHES, n)
    amplitude = stream(seed, "tones/amplitude").uniform(0.5, 0.9, n)
    phase = stream(seed, "tones/phase").uniform(0, 2 * np.pi, n)
    angle = 2 * np.pi * BINS[y][:, None] * np.arange(SAMPLES) / SAMPLES + phase[:, None]
    x = (amplitude[:, None] * np.sin(angle)).astype(np.float32)[..., None]
    factors = {"frequency": pitches()[y], "amplitude": amplitude, "phase": phase}
    return Dataset("tones", x, y, "audio", factors, source=f"generated, seed {seed}", rate=float(RATE))


def voiced(n: int = 4000, seed: int = 0) -> Dataset:
    """Sounds like a held vowel: x (n, 1024, 1) at 8,000 Hz, y the vowel, of five that are equally likely.

    x_t = c sum_k e(k f_t) sin(k phi_t + psi_k), k f < 3,800 Hz: the harmonics of a pitch f that glides in a straight line between
    two frequencies of 90 to 250 Hz, phi its phase, psi uniform, under the envelope of a vocal tract with three resonances, e(f) =
    prod_j F_j^2 / |F_j^2 - f^2 + i f B|, B = 100 Hz, and F_1, F_2, F_3 those of a vowel (Peterson, Barney 1952, JASA 24, table
    II, men); 1 / k for the source. c makes the largest |x| one that is uniform in [.5, .9].

    factors: first, last (the pitch in Hz), amplitude. Raises DataError for n < 2.
    """
    n = checked_count(n, "voiced")
    y = stream(seed, "voiced/vowel").integers(0, len(FORMANTS), n)
    ends = stream(seed, "voiced/pitch").uniform(90, 250, (n, 2))
    loudest = stream(seed, "voiced/amplitude").uniform(0.5, 0.9, n)
    start = stream(seed, "voiced/phase").random((n, HARMONICS))
    x = np.zeros((n, SAMPLES))
    for begin in range(0, n, 256):
        part = slice(begin, begin + 256)
        pitch = ends[part, :1] + np.diff(ends[part]) * np.arange(SAMPLES) / (SAMPLES - 1)
        turn = np.exp(2j * np.pi * np.cumsum(pitch, axis=1) / RATE)
        turned = np.ones_like(turn)
        for k in range(1, HARMONICS + 1):
            turned *= turn  # e^(i k phi)
            heard = k * pitch.min(axis=1) < HIGHEST  # somewhere; of high pitches most harmonics are not
            f = k * pitch[heard]
            strength = np.where(f < HIGHEST, resonance(f, FORMANTS[y[part][heard]]) / k, 0)
            x[part][heard] += strength * (turned[heard] * np.exp(2j * np.pi * start[part, k - 1 : k][heard])).imag
    x *= (loudest / np.abs(x).max(axis=1))[:, None]
    factors = {"first": ends[:, 0], "last": ends[:, 1], "amplitude": loudest}
    source = f"generated, seed {seed}"
    return Dataset("voiced", x.astype(np.float32)[..., None], y, "audio", factors, source=source, rate=float(RATE))


def resonance(frequency: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """prod_j F_j^2 / |F_j^2 - f^2 + i f B|: frequencies (n, ...) in Hz and formants (n, 3), one at 0 Hz."""
    square = frequency * frequency
    below = np.ones_like(frequency)  # the denominator's square
    for centre in np.moveaxis(formants, 1, 0).reshape(formants.shape[1], -1, *[1] * (frequency.ndim - 1)):
        below *= np.square(centre**2 - square) + WIDTH**2 * square
    return np.prod(formants**2, axis=1).reshape(-1, *[1] * (frequency.ndim - 1)) / np.sqrt(below)


def dominant(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the strongest bin of each sound, the share of the energy that lies in it and its two neighbours): x (N, L) or (N, L, 1),
    the mean taken off. A sine of whole periods has share 1, noise next to none. Silence has bin 0 and share 0."""
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    power = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)) ** 2
    bins, total = power.argmax(axis=1), power.sum(axis=1)
    near = np.stack([power[np.arange(len(x)), np.clip(bins + k, 0, power.shape[1] - 1)] for k in (-1, 0, 1)]).sum(
        axis=0
    )
    return bins, np.divide(near, total, out=np.zeros(len(x)), where=total > 0)


def moving_shapes(n: int = 4000, seed: int = 0) -> Dataset:
    """Films of a bright shape that moves in a straight line over a dark still ground: x (n, 8, 16, 16, 1) at 8 pictures a
    second, y the shape: a disc of radius 2.5, a square and a cross of side 5.

    The centre goes from a place uniform in the middle square [4, 11]^2 to another; all coverage is of 5 x 5 points a pixel. The
    ground is -1 + .4 u, u uniform for each film, the shape 1. factors: x0, y0 (the first centre, in pixels), vx, vy (pixels a
    picture), ground. Raises DataError for n < 2.
    """
    n = checked_count(n, "moving_shapes")
    y = stream(seed, "moving_shapes/shape").integers(0, len(SHAPES), n)
    ends = stream(seed, "moving_shapes/ends").uniform(4, SIDE - 5, (n, 2, 2))
    ground = -1 + 0.4 * stream(seed, "moving_shapes/ground").random(n)
    start, speed = ends[:, 0], (ends[:, 1] - ends[:, 0]) / (FRAMES - 1)
    x = np.empty((n, FRAMES, SIDE, SIDE, 1), np.float32)
    for begin in range(0, n, 256):
        part = slice(begin, begin + 256)
        for t in range(FRAMES):
            covered = coverage(y[part], start[part] + t * speed[part])
            g = ground[part, None, None]
            x[part, t, :, :, 0] = g + (1 - g) * covered
    factors = {"x0": start[:, 0], "y0": start[:, 1], "vx": speed[:, 0], "vy": speed[:, 1], "ground": ground}
    return Dataset("moving_shapes", x, y, "video", factors, source=f"generated, seed {seed}", rate=float(FPS))


def coverage(shape: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """How much of each pixel a shape covers, (N, 16, 16) in [0, 1]: shapes (N,), centres (N, 2) as (column, row)."""
    fine = (np.arange(5 * SIDE) + 0.5) / 5 - 0.5
    dx, dy = fine[None, :] - centre[:, :1], fine[None, :] - centre[:, 1:]
    across, down = np.abs(dx)[:, None, :], np.abs(dy)[:, :, None]
    inside = np.stack([
        across**2 + down**2 <= 2.5**2,
        np.maximum(across, down) <= 2.5,
        (np.minimum(across, down) <= 0.9) & (np.maximum(across, down) <= 2.5),
    ])[shape, np.arange(len(shape))]  # fmt: skip
    return inside.reshape(-1, SIDE, 5, SIDE, 5).mean(axis=(2, 4), dtype=np.float32)


def centroids(x: np.ndarray) -> np.ndarray:
    """The centre of what is brighter than the ground, (N, T, 2) as (column, row): x (N, T, H, W[, 1]), weights x - the median of
    the picture, what is below a tenth of the largest taken as 0; NaN where there is nothing.

    Raises:
        DataError: another rank.
    """
    x = np.asarray(x, np.float64)
    x = x[..., 0] if x.ndim == 5 else x
    if x.ndim != 4:
        raise DataError(f"centroids: got shape {x.shape}, expected films (N, T, H, W) or (N, T, H, W, 1)")
    weight = np.maximum(x - np.median(x, axis=(2, 3), keepdims=True), 0)
    weight = np.where(weight > 0.1 * weight.max(axis=(2, 3), keepdims=True), weight, 0)
    total = weight.sum(axis=(2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        column = (weight.sum(axis=2) * np.arange(x.shape[3])).sum(axis=2) / total
        row = (weight.sum(axis=3) * np.arange(x.shape[2])).sum(axis=2) / total
    return np.stack([column, row], axis=2)


def path_residual(x: np.ndarray) -> np.ndarray:
    """How far a film's centres are from the straight line through them at constant speed, by least squares: the root mean square
    over its pictures, in pixels, (N,); NaN where a picture shows nothing."""
    return _fitted(x)[1]


def velocity(x: np.ndarray) -> np.ndarray:
    """That of the straight line, (N, 2) in pixels a picture; NaN where a picture shows nothing."""
    return _fitted(x)[0]


def _fitted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(velocity, residual) of the line by least squares."""
    places = centroids(x)
    t = np.arange(places.shape[1]) - (places.shape[1] - 1) / 2
    mean = places.mean(axis=1, keepdims=True)
    slope = (t[None, :, None] * places).sum(axis=1, keepdims=True) / (t @ t)
    rest = places - mean - slope * t[None, :, None]
    return slope[:, 0], np.sqrt((rest**2).sum(axis=2).mean(axis=1))


def unrest(x: np.ndarray, radius: float = 4.0) -> np.ndarray:
    """How much the ground of films (N, T, H, W[, 1]) changes: the standard deviation over time of a pixel's brightness in the
    pictures in which it is more than `radius` pixels off the centre in a row or a column, root mean square over pixels, (N,).
    NaN where a picture shows nothing."""
    places = centroids(x)
    x = np.asarray(x, np.float64).reshape(*np.shape(x)[:4])
    column, row = np.arange(x.shape[3])[None, None, :], np.arange(x.shape[2])[None, None, :]
    off = np.maximum(np.abs(row - places[:, :, 1:])[:, :, :, None], np.abs(column - places[:, :, :1])[:, :, None, :])
    ground = off > radius
    count = np.maximum(ground.sum(axis=1), 1)
    mean = np.where(ground, x, 0).sum(axis=1) / count
    squares = np.where(ground, (x - mean[:, None]) ** 2, 0).sum(axis=1) / count
    return np.where(np.isfinite(places).all(axis=(1, 2)), np.sqrt(squares.mean(axis=(1, 2))), np.nan)
