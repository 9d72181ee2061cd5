"""Pictures of what is in time: lines of text, waveforms above spectrograms, strips of film; and the files that samples go to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.base import write_atomically
from minigan.data.images import make_grid, save_gif
from minigan.data.sound import save_sounds
from minigan.data.tokens import as_text
from minigan.gans.needs import Facts
from minigan.run import plots

LINES, SOUNDS, FILMS, GRID = 24, 4, 8, 64  # of each how many a picture shows; films of a GIF
STRIP = 16  # pictures of a film
WIDTH = 100  # characters of a line that are shown
ENDINGS = {"tokens": ".txt", "audio": ".wav", "video": ".gif"}


class TextPainter:
    """Draws sequences of tokens as lines of text."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self.vocabulary = vocabulary

    def picture(self, samples: np.ndarray, title: str, columns: int | None = None) -> np.ndarray:
        """The first lines of (n, L) tokens, as one RGB picture; the title counts the rest."""
        lines = as_text(samples[:LINES], self.vocabulary)
        drawing = plots.figure(
            0.085 * max(20, *(min(len(line), WIDTH) for line in lines)) + 0.4, 0.2 * len(lines) + 0.5
        )
        height = drawing.get_figheight()
        more = f", {len(lines)} of {len(samples)}" if len(lines) < len(samples) else ""
        drawing.text(0.02, 1 - 0.25 / height, f"{title}{more}", fontsize=10, color=plots.GREY)
        for i, line in enumerate(lines):
            cut = line if len(line) <= WIDTH else line[: WIDTH - 1] + "\u2026"
            text = cut.replace("$", r"\$")  # or matplotlib takes what is between two for mathematics
            drawing.text(0.02, 1 - (0.5 + 0.2 * i) / height, text, fontsize=9, family="monospace")
        return plots.pixels(drawing)

    def frame(self, picture: np.ndarray, title: str) -> np.ndarray:
        """The picture itself: its title is on it already."""
        return picture


class SoundPainter:
    """Draws sounds as waveforms, each above its spectrogram; of several channels the first."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def picture(self, samples: np.ndarray, title: str, columns: int | None = None) -> np.ndarray:
        """The first sounds of (n, L, C), as one RGB picture; the title counts the rest, and what is not finite."""
        shown = np.nan_to_num(samples[:SOUNDS, :, 0])
        drawing = plots.figure(2.6 * len(shown) + 0.6, 3.8)
        seconds = shown.shape[1] / self.rate
        for i, sound in enumerate(shown):
            left, width = (0.55 + 2.6 * i) / drawing.get_figwidth(), 2.2 / drawing.get_figwidth()
            above = drawing.add_axes((left, 0.58, width, 0.3))
            above.plot(np.arange(len(sound)) / self.rate, sound, color=plots.BLUE, linewidth=0.7)
            above.set(xlim=(0, seconds), ylim=(-1.05, 1.05), xticks=[])
            below = drawing.add_axes((left, 0.13, width, 0.4))
            extent = (0, seconds, 0, self.rate / 2)
            below.imshow(
                spectrogram(sound), origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-80, vmax=0
            )
            below.set(xlabel="s")
            if i == 0:
                below.set(ylabel="Hz")
            for axes in (above, below):
                plots.clean(axes)
                axes.tick_params(labelsize=7)
        lost = len(samples) - int(np.isfinite(samples).all(axis=(1, 2)).sum())
        notes = [f"{len(shown)} of {len(samples)}"] * (len(shown) < len(samples)) + [f"{lost} not finite"] * (lost > 0)
        drawing.suptitle(", ".join([title, *notes]), fontsize=10)
        return plots.pixels(drawing)

    def frame(self, picture: np.ndarray, title: str) -> np.ndarray:
        """The picture itself: its title is on it already."""
        return picture


class FilmPainter(plots.ImagePainter):
    """Draws films as strips, a row each; of a long one some pictures, as far apart."""

    def picture(self, samples: np.ndarray, title: str, columns: int | None = None) -> np.ndarray:
        """The first films of (n, T, H, W, C) as one uint8 picture; the title is left out."""
        length = samples.shape[1]
        some = samples[:FILMS, np.unique(np.linspace(0, length - 1, min(length, STRIP)).round().astype(int))]
        return super().picture(some.reshape(-1, *some.shape[2:]), title, some.shape[1])


def spectrogram(sound: np.ndarray, window: int = 256) -> np.ndarray:
    """Of (L,) the power in decibels below the loudest, (frequencies, times): |DFT|^2 of Hann windows that overlap by three
    quarters, from -80 on. Silence is -80 everywhere."""
    window = min(window, len(sound))
    hop = max(1, window // 4)
    starts = np.arange(0, len(sound) - window + 1, hop)
    pieces = sound[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(pieces, axis=1).T) ** 2
    loudest = power.max()
    return 10 * np.log10(np.maximum(power / loudest, 1e-8)) if loudest > 0 else np.full(power.shape, -80.0)


Painter = TextPainter | SoundPainter | FilmPainter


def painter_in_time(kind: str, facts: Facts) -> Painter:
    """Who draws examples of a kind ("tokens", "audio" or "video")."""
    if kind == "tokens":
        return TextPainter(next(iter(facts.vocabularies.values())))
    return SoundPainter(_rate(facts)) if kind == "audio" else FilmPainter()


def save_in_time(target: Path, kind: str, examples: np.ndarray, facts: Facts) -> None:
    """Examples as a file of their own format: .txt, .wav or .gif (of films the first 64, in a grid)."""
    if kind == "tokens":
        text = "\n".join(as_text(examples, next(iter(facts.vocabularies.values())))) + "\n"
        write_atomically(target, lambda file: file.write(text.encode()))
    elif kind == "audio":
        save_sounds(target, examples, _rate(facts))
    else:
        save_film(target, examples, _rate(facts))


def save_film(target: Path, films: np.ndarray, rate: float) -> None:
    """The first 64 films (n, T, H, W, C), in a grid, as a .gif of so many pictures a second."""
    some = films[:GRID]
    factor = max(1, round(plots.SIDE / (some.shape[3] * np.ceil(np.sqrt(len(some))))))
    frames = [enlarged(make_grid(some[:, t]), factor) for t in range(some.shape[1])]
    save_gif(target, frames, fps=min(50.0, rate))


def enlarged(picture: np.ndarray, factor: int) -> Any:
    """Each pixel as a square of `factor`."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _rate(facts: Facts) -> float:
    return next(iter(facts.rates.values()))
