"""Pictures of a run: grids of images, scatters of points, the animation over time, and the losses.

Matplotlib and Pillow are imported when the first picture is drawn. Colours are from the palette of Okabe and Ito (2008), which
people with any kind of colour vision can tell apart.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.base import READ_ERRORS, Dataset, write_atomically
from minigan.data.images import make_grid, save_gif, save_png
from minigan.gans.protocol import Histogram

BLUE, ORANGE, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#000000", "#8C8C8C"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9")
STYLES = ("-", ":", "-.")  # of the first five curves, of five more, ...
SIDE = 480  # pixels: small images are enlarged by a whole factor until a grid is about this wide


class ImagePainter:
    """Draws images as a grid."""

    def picture(self, samples: np.ndarray, title: str, columns: int | None = None) -> np.ndarray:
        """(n, H, W, C) as one uint8 picture; the title is left out."""
        grid = make_grid(samples, columns=columns)
        factor = max(1, round(SIDE / grid.shape[1]))
        return grid.repeat(factor, axis=0).repeat(factor, axis=1)

    def frame(self, picture: np.ndarray, title: str) -> np.ndarray:
        """A picture with its title on a strip below it, for the animation."""
        from PIL import Image, ImageDraw, ImageFont

        drawn = Image.fromarray(picture.squeeze())
        height, width = picture.shape[:2]
        image = Image.new(drawn.mode, (width, height + 24), "white")
        image.paste(drawn, (0, 0))
        ImageDraw.Draw(image).text((6, height + 4), title, fill="black", font=ImageFont.load_default(size=14))
        return np.asarray(image)


class PointPainter:
    """Draws real and generated points on the same axes in every picture.

    No sample is left out in silence: those beyond the axes are drawn on their edge, and the title counts them and those that
    are no numbers.

    Args:
        real: the data set, or None when it is not at hand.
        features: coordinates of a point; with one a histogram is drawn, and of more than two the first two.
    """

    shown = 2000  # real points

    def __init__(self, real: Dataset | None, features: int) -> None:
        self.real, self.features = real, features

    def picture(self, samples: np.ndarray, title: str, columns: int | None = None) -> np.ndarray:
        """(n, features) as one RGB picture; points need no columns."""
        flat = self.features == 1
        drawing = figure(5.4, 4.0 if flat else 5.4)
        # A fixed place: the layout engine would take twice the time of the drawing itself.
        axes = drawing.add_axes((0.13, 0.14, 0.84, 0.77) if flat else (0.13, 0.18, 0.82, 0.76))
        finite = samples[np.isfinite(samples).all(axis=1)]
        beyond = (self._histogram if flat else self._scatter)(axes, finite)
        counts = {"beyond the axes": beyond, "not finite": len(samples) - len(finite)}
        notes = [f"{count} of {len(samples)} {what}" for what, count in counts.items() if count]
        axes.set_title(", ".join([title, *notes]), fontsize=11 if len(notes) < 2 else 9)
        clean(axes)
        return pixels(drawing)

    def frame(self, picture: np.ndarray, title: str) -> np.ndarray:
        """The picture itself: its title is on it already."""
        return picture

    def _limits(self, samples: np.ndarray, axis: int) -> tuple[float, float]:
        x = (self.real.x if self.real is not None else samples)[:, axis]
        low, high = (float(x.min()), float(x.max())) if len(x) else (-1.0, 1.0)
        margin = 0.25 * (high - low) or 1.0
        return low - margin, high + margin

    def _scatter(self, axes: Any, samples: np.ndarray) -> int:
        """Draw points; returns how many lie beyond the axes."""
        limits = np.array([self._limits(samples, axis) for axis in (0, 1)])
        held = np.clip(samples[:, :2], *limits.T)
        beyond = (held != samples[:, :2]).any(axis=1)
        dots = {"linewidths": 0, "rasterized": True}
        if self.real is not None:
            x = self.real.x[: self.shown]
            part = f" ({len(x):,} of {len(self.real.x):,})" if len(x) < len(self.real.x) else ""
            axes.scatter(x[:, 0], x[:, 1], s=14, color=BLUE, alpha=0.35, label=f"real{part}", **dots)
        inside, edge = held[~beyond], held[beyond]
        axes.scatter(inside[:, 0], inside[:, 1], s=9, color=ORANGE, alpha=0.6, label="generated", **dots)
        axes.scatter(edge[:, 0], edge[:, 1], s=40, marker="x", color=ORANGE, linewidths=1, clip_on=False)
        if self.real is not None and self.real.modes is not None:
            modes = self.real.modes
            axes.scatter(modes[:, 0], modes[:, 1], s=40, marker="+", color=BLACK, linewidths=1, label="modes")
        axes.set(xlim=limits[0], ylim=limits[1], xlabel="$x_1$", ylabel="$x_2$")
        axes.set_aspect("equal", adjustable="box")
        legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, markerscale=1.3)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
        return int(beyond.sum())

    def _histogram(self, axes: Any, samples: np.ndarray) -> int:
        """Draw densities, with what lies beyond the axis in the outermost bins; returns how many that are."""
        low, high = self._limits(samples, 0)
        bins = np.linspace(low, high, 61)
        if self.real is not None:
            axes.hist(self.real.x[:, 0], bins, density=True, color=BLUE, alpha=0.35, label="real")
        held = np.clip(samples[:, 0], low, high)
        look = {"density": len(held) > 0, "histtype": "step", "color": ORANGE, "linewidth": 1.8, "label": "generated"}
        generated, *_ = axes.hist(held, bins, **look)
        if self.real is not None:
            heights, _ = np.histogram(self.real.x[:, 0], bins, density=True)
            axes.set_ylim(0, top := 2 * float(heights.max()))
            if generated.max() > top:
                axes.text(
                    0.02,
                    0.97,
                    f"peak of generated: {generated.max():.3g}",
                    color=ORANGE,
                    va="top",
                    transform=axes.transAxes,
                )
        axes.set(xlim=(low, high), xlabel="$x$", ylabel="density")
        axes.legend(loc="upper right", frameon=False)
        return int((held != samples[:, 0]).sum())


class HistogramPainter:
    """Draws groups of numbers on the same bins, each as shares of its own group."""

    def picture(self, shown: Histogram, title: str) -> np.ndarray:
        """As one RGB picture. The last bin holds the largest half percent, too; the title counts what is NaN or Inf."""
        finite = {name: np.asarray(v)[np.isfinite(v)] for name, v in shown.groups.items()}
        together = np.concatenate([*finite.values(), [0.0]])
        low, high = float(together.min()), float(np.percentile(together, 99.5))
        bins = np.linspace(low, high if high > low else low + 1.0, 41)
        drawing = figure(6.4, 4.0)
        axes = drawing.add_axes((0.1, 0.14, 0.87, 0.76))
        for (name, values), colour in zip(finite.items(), itertools.cycle(COLOURS), strict=False):
            weights = np.full(len(values), 1 / max(len(values), 1))
            axes.hist(
                values.clip(bins[0], bins[-1]),
                bins,
                weights=weights,
                color=colour,
                alpha=0.5,
                label=f"{name} ({len(values):,})",
            )
        lost = sum(len(v) for v in shown.groups.values()) - sum(map(len, finite.values()))
        axes.set_title(f"{title}, {lost} not finite" if lost else title, fontsize=11)
        axes.set(xlabel=shown.label, ylabel="share of the group")
        axes.margins(y=0.25)  # room for the legend
        axes.legend(loc="upper right", frameon=False)
        clean(axes)
        return pixels(drawing)

    def frame(self, picture: np.ndarray, title: str) -> np.ndarray:
        """The picture itself: its title is on it already."""
        return picture


Painter = ImagePainter | PointPainter
Framing = Any  # what has `picture` and `frame`: whose pictures can be collected into an animation


def painter(kind: str, shape: Sequence[int], real: Dataset | None = None) -> Painter:
    """Who draws examples of a kind ("images" or "points") and shape."""
    return ImagePainter() if kind == "images" else PointPainter(real, shape[0])


def painter_of(examples: np.ndarray, real: Dataset | None) -> Painter:
    """Who draws these examples, beside real ones where they are points of as many coordinates."""
    if examples.ndim == 4:
        return painter("images", examples.shape[1:])
    same = real is not None and real.x.shape[1:] == examples.shape[1:]
    return painter("points", examples.shape[1:], real if same else None)


def figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100)


def clean(axes: Any) -> None:
    """Without a frame above and at the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def pixels(figure: Any) -> np.ndarray:
    """A figure as (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def step_picture(folder: Path, step: int, prefix: str = "") -> Path:
    """Where the samples of a step are, or another picture of that step, whose files have a prefix."""
    return folder / f"{prefix}step-{step:06d}.png"


def save_progress(folder: Path, artist: Framing, last: int, prefix: str = "") -> Path | None:
    """The animation of all step pictures in a folder up to step `last`; None when there are fewer than two.

    Pictures of another size, or that cannot be read, are left out. It plays in about five seconds and rests on the last one.
    """
    frames: list[np.ndarray] = []
    for path in sorted(folder.glob(f"{prefix}step-*.png")):
        number = path.stem.removeprefix(f"{prefix}step-")
        if number.isdigit() and int(number) <= last and (picture := _read(path)) is not None:
            frames.append(artist.frame(picture, f"step {int(number)}"))
    frames = [frame for frame in frames if frame.shape == frames[-1].shape]
    if len(frames) < 2:
        return None
    path = folder / f"{prefix}progress.gif"
    fps = min(10.0, max(2.0, len(frames) / 5))
    save_gif(path, [*frames, *[frames[-1]] * math.ceil(fps)], fps=fps)
    return path


def _read(path: Path) -> np.ndarray | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except READ_ERRORS:
        return None


def save_picture(path: Path, picture: np.ndarray) -> None:
    """One picture as PNG, whole or not at all."""
    save_png(path, picture)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Centred moving average, over fewer neighbours near the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    left = np.maximum(np.arange(len(values)) - width // 2, 0)
    right = np.minimum(np.arange(len(values)) + width // 2 + 1, len(values))
    return (total[right] - total[left]) / (right - left)


def save_losses(
    path: Path,
    rows: Sequence[dict[str, Any]],
    curves: Sequence[str],
    levels: Mapping[str, tuple[str, float]] | None = None,
) -> bool:
    """Losses over the steps, each with its value at the equilibrium where that is known.

    rows: of metrics.jsonl. curves: the keys to draw. levels: what to call that value, and the value, by the same keys.
    Returns whether there was anything to draw.
    """
    drawing = figure(7.2, 4.2)
    axes = drawing.add_axes((0.09, 0.12, 0.83, 0.79))
    colours = dict(zip(curves, itertools.cycle(COLOURS), strict=False))
    ends, drawn = [], []
    for number, (name, colour) in enumerate(colours.items()):
        points = [(row["step"], row[name]) for row in rows if isinstance(row.get(name), (int, float))]
        if points:
            drawn += [value for _, value in points]
            ends.append(
                _curve(axes, np.array(points, float), name, colour, STYLES[number // len(COLOURS) % len(STYLES)])
            )
    if not ends:
        return False
    _levels(axes, levels or {}, colours, ends)
    low, high = axes.get_ylim()
    if outside := sum(not low <= value <= high for value in drawn):
        note = f"{outside} of {len(drawn)} values beyond the axis: {min(drawn):.3g} to {max(drawn):.3g}"
        axes.text(0.99, 0.98, note, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=GREY)
    axes.set(xlabel="step", ylabel="loss", xlim=(0, max(row["step"] for row in rows) or 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(ends), 4), frameon=False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    clean(axes)
    picture = io.BytesIO()
    drawing.savefig(picture, format="png", dpi=150, bbox_inches="tight" if len(ends) > 4 else None)
    write_atomically(path, lambda file: file.write(picture.getvalue()))
    return True


def _curve(axes: Any, points: np.ndarray, name: str, colour: str, style: str) -> np.ndarray:
    """Pale as measured, strong as a moving average; returns what decides the limits of the axis."""
    steps, values = points.T
    average = smooth(values, max(1, len(values) // 20))
    if len(values) >= 40:
        axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.8)
    marker = "o" if len(steps) < 3 else None
    axes.plot(steps, average, color=colour, linewidth=1.8, linestyle=style, label=name, marker=marker)
    return np.quantile(values, [0.005, 0.995])


def _levels(
    axes: Any, levels: Mapping[str, tuple[str, float]], colours: dict[str, str], ends: list[np.ndarray]
) -> None:
    """Dashed lines at the equilibrium, named at the right edge; the axis shows them and all but a few outliers."""
    drawn = [(*levels[name], colour) for name, colour in colours.items() if name in levels]
    for name, value, colour in drawn:
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1)
        axes.annotate(
            name, (1.012, value), xycoords=("axes fraction", "data"), color=colour, va="center", annotation_clip=False
        )
    low = min([*(end[0] for end in ends), *(value for _, value, _ in drawn)])
    high = max([*(end[1] for end in ends), *(value for _, value, _ in drawn)])
    margin = 0.08 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)
